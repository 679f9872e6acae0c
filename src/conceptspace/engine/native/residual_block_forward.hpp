// The block's result.

#pragma once

#include "residual_block.hpp"

namespace {

// e: (images, outputs) or null. middle: conv1's result, (images, pixels, outputs), and statistics
// (images, groups) for the gradient.
void forward(const Block& b, const bf16* x, const float* e, bf16* middle, bf16* out, float* mean1,
             float* rstd1, float* mean2, float* rstd2) {
    bf16* packed1 = memory[PACKED1].get<bf16>(9 * b.inputs * b.outputs);
    bf16* packed2 = memory[PACKED2].get<bf16>(9 * b.outputs * b.outputs);
    bf16* packed_skip =
        b.skip.weight ? memory[PACKED_SKIP].get<bf16>(b.inputs * b.outputs) : nullptr;
    float* bias1 = memory[BIAS].get<float>(2 * b.outputs);
    float* bias2 = bias1 + b.outputs;
    to_float(b.conv1.bias, b.outputs, bias1);
    to_float(b.conv2.bias, b.outputs, bias2);
    if (b.skip.weight)
        for (int64_t c = 0; c < b.outputs; ++c) bias2[c] += read(b.skip.bias[c]);
#pragma omp parallel
    {
        shared_out(b.outputs / BLOCK, [&](int64_t i) {
            pack_forward(b.conv1.weight, 9, b.inputs, packed1, i);
            pack_forward(b.conv2.weight, 9, b.outputs, packed2, i);
            if (b.skip.weight) pack_forward(b.skip.weight, 1, b.inputs, packed_skip, i);
        });
        const TilesInUse tiles;
        const Share share(b.images, omp_get_thread_num(), omp_get_num_threads());
        const int64_t most = together(b);
        float* buffer = memory[NORMS].get<float>(4 * std::max(b.inputs, b.outputs));
        const Image in = b.input(), result = b.output();
        for (int64_t n = share.first; n < share.last; n += most) {
            const Cover cover({std::min(most, share.last - n), b.height, b.width});
            const Strip& strip = cover.strip;
            const Places in_places{strip.step(b.inputs), strip.gap(b.inputs)};
            const Places places{strip.step(b.outputs), strip.gap(b.outputs)};
            bf16* strip1 = strip.prepare(memory[STRIP1], b.inputs);
            bf16* strip2 = strip.prepare(memory[STRIP2], b.outputs);
            for (int64_t i = 0; i < strip.count; ++i)
                norm_gelu<bf16, BLOCK>(
                    x + (n + i) * in.size(), nullptr, b.norm1, strip1 + i * b.inputs, in_places,
                    mean1 + (n + i) * b.norm1.groups, rstd1 + (n + i) * b.norm1.groups, in,
                    Dropout(0, 0), 0, buffer);
            const Summand first{strip1, packed1, b.inputs, 9};
            convolve(&first, 1, cover, 1, b.outputs, bias1, nullptr, middle + n * result.size());
            for (int64_t i = 0; i < strip.count; ++i)
                norm_gelu<bf16, BLOCK>(
                    middle + (n + i) * result.size(), e ? e + (n + i) * b.outputs : nullptr,
                    b.norm2, strip2 + i * b.outputs, places, mean2 + (n + i) * b.norm2.groups,
                    rstd2 + (n + i) * b.norm2.groups, result, b.dropout,
                    static_cast<uint32_t>((n + i) * result.size()), buffer);
            Summand second[2] = {{strip2, packed2, b.outputs, 9}, {}};
            const bf16* added = x + n * in.size();
            if (b.skip.weight) {
                bf16* entering = strip.prepare(memory[STRIP_SKIP], b.inputs);
                strip.fill(entering, x + n * in.size(), b.inputs);
                second[1] = {entering, packed_skip, b.inputs, 1};
                added = nullptr;
            }
            convolve(second, b.skip.weight ? 2 : 1, cover, 1, b.outputs, bias2, added,
                     out + n * result.size());
        }
    }
}

}  // namespace
