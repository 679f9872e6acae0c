// The block's gradient: back through conv2 and norm2, through conv1 and norm1, and to the weights.

#pragma once

#include <vector>

#include "residual_block_weights.hpp"

namespace {

// Sums over a thread's images: gradients of what is one number per channel.
struct Totals {
    std::vector<float> conv1_bias, conv2_bias, norm1_weight, norm1_bias, norm2_weight, norm2_bias;

    explicit Totals(const Block& b)
        : conv1_bias(b.outputs), conv2_bias(b.outputs), norm1_weight(b.inputs),
          norm1_bias(b.inputs), norm2_weight(b.outputs), norm2_bias(b.outputs) {}
};

void add_to(std::vector<float>& total, const float* more) {
    for (size_t c = 0; c < total.size(); ++c) total[c] += more[c];
}

template <typename T>
void write_total(const std::vector<Totals>& totals, std::vector<float> Totals::* which, T* to) {
    for (size_t c = 0; c < (totals[0].*which).size(); ++c) {
        float sum = 0;
        for (const Totals& t : totals) sum += (t.*which)[c];
        write(to[c], sum);
    }
}

// What the gradient is computed from, and where to. The weights are arranged for the tiles.
struct Pass {
    const Block& b;
    const bf16* grad;
    const bf16* x;
    const float* e;
    const bf16* middle;
    const float *mean1, *rstd1, *mean2, *rstd2;
    const Gradients& to;
    bf16 *packed1, *packed2, *packed_skip;  // packed_skip: null for the identity

    void pack(int64_t i) const {
        if (i < b.inputs / BLOCK) {
            pack_backward(b.conv1.weight, b.outputs, 9, b.inputs, packed1, i);
            if (b.skip.weight) pack_backward(b.skip.weight, b.outputs, 1, b.inputs, packed_skip, i);
        }
        if (i < b.outputs / BLOCK)
            pack_backward(b.conv2.weight, b.outputs, 9, b.outputs, packed2, i);
    }
};

// The memory of one thread, and what it has summed up. What the weights' gradients need is kept
// for one strip, or for all, each in its slot.
struct Scratch {
    const Block& b;
    Totals& total;
    int64_t row, stored;
    float *buffer, *scale_gradient, *shift_gradient, *inner;
    bf16 *transposed1, *transposed2, *transposed_skip, *pairs1, *pairs2;

    Scratch(const Block& block, Totals& sums, const Strip& largest, int64_t slots)
        : b(block), total(sums), row(largest.length() + BLOCK), stored(largest.stored()) {
        const int64_t widest = std::max(b.inputs, b.outputs);
        buffer = memory[NORMS].get<float>(7 * widest);
        scale_gradient = buffer + 5 * widest;
        shift_gradient = buffer + 6 * widest;
        inner = memory[INNER].get<float>(widest * b.input().pixels());
        transposed1 = memory[TRANSPOSED1].get<bf16>(slots * row * b.inputs);
        transposed2 = memory[TRANSPOSED2].get<bf16>(slots * row * b.outputs);
        transposed_skip =
            b.skip.weight ? memory[TRANSPOSED_SKIP].get<bf16>(slots * row * b.inputs) : nullptr;
        pairs1 = memory[PAIRS1].get<bf16>(slots * stored * b.outputs);
        pairs2 = memory[PAIRS2].get<bf16>(slots * stored * b.outputs);
    }
};

// One strip on its way back, from image n on.
struct Way {
    Contribution here;
    int64_t n, slot;
    bf16* passed;       // the gradient behind the convolution that was passed last
    const bf16* added;  // the gradient that goes around both convolutions
};

// Back through conv2 and norm2, and around them: leaves in STRIP1 the gradient of conv1's result.
Way through_second(const Pass& p, Scratch& s, int64_t n, int64_t count, int64_t slot) {
    const Block& b = p.b;
    const Image in = b.input(), result = b.output();
    Way way{{Cover({count, b.height, b.width}), {}}, n, slot, nullptr, nullptr};
    const Cover& cover = way.here.cover;
    const Strip& strip = cover.strip;
    const Places places{strip.step(b.outputs), strip.gap(b.outputs)};
    const int64_t widest = std::max(b.inputs, b.outputs);
    way.passed = memory[PASSED].get<bf16>(strip.count * widest * in.pixels());
    way.added = p.grad + n * result.size();

    bf16* slope = strip.prepare(memory[STRIP1], b.outputs);
    bf16* values = strip.prepare(memory[STRIP2], b.outputs);
    strip.fill(slope, way.added, b.outputs);
    const bf16* pairs = pair_strip(slope, strip, b.outputs, s.total.conv2_bias.data(),
                                   s.pairs2 + slot * s.stored * b.outputs);
    const Summand second{slope, p.packed2, b.outputs, 9};
    convolve(&second, 1, cover, -1, b.outputs, nullptr, nullptr, way.passed);
    if (b.skip.weight) {
        bf16* around = memory[PASSED_SKIP].get<bf16>(strip.count * in.size());
        const Summand skip{slope, p.packed_skip, b.outputs, 1};
        convolve(&skip, 1, cover, -1, b.inputs, nullptr, nullptr, around);
        way.added = around;
        bf16* copy = strip.prepare(memory[STRIP_SKIP], b.inputs);
        strip.fill(copy, p.x + n * in.size(), b.inputs);
        way.here.factors[2] = {
            transpose_strip(copy, cover, b.inputs, s.transposed_skip + slot * s.row * b.inputs),
            pairs};
    }
    for (int64_t i = 0; i < strip.count; ++i) {
        norm_gelu_gradient<bf16, BLOCK>(
            way.passed + i * result.size(), p.middle + (n + i) * result.size(),
            p.e ? p.e + (n + i) * b.outputs : nullptr, b.norm2, p.mean2 + (n + i) * b.norm2.groups,
            p.rstd2 + (n + i) * b.norm2.groups, nullptr, slope + i * b.outputs, places,
            values + i * b.outputs, places, s.scale_gradient, s.shift_gradient,
            p.to.e ? p.to.e + (n + i) * b.outputs : nullptr, result, b.dropout,
            static_cast<uint32_t>((n + i) * result.size()), s.inner, s.buffer);
        add_to(s.total.norm2_weight, s.scale_gradient);
        add_to(s.total.norm2_bias, s.shift_gradient);
    }
    way.here.factors[1] = {
        transpose_strip(values, cover, b.outputs, s.transposed2 + slot * s.row * b.outputs), pairs};
    way.here.factors[0].pairs = pair_strip(slope, strip, b.outputs, s.total.conv1_bias.data(),
                                           s.pairs1 + slot * s.stored * b.outputs);
    const Summand first{slope, p.packed1, b.outputs, 9};
    convolve(&first, 1, cover, -1, b.inputs, nullptr, nullptr, way.passed);
    return way;
}

// On through norm1 to the gradient of x.
void through_first(const Pass& p, Scratch& s, Way& way) {
    const Block& b = p.b;
    const Image in = b.input();
    const Strip& strip = way.here.cover.strip;
    const Places in_places{strip.step(b.inputs), strip.gap(b.inputs)};
    bf16* values = strip.prepare(memory[STRIP2], b.inputs);
    for (int64_t i = 0; i < strip.count; ++i) {
        const int64_t image = way.n + i;
        norm_gelu_gradient<bf16, BLOCK>(
            way.passed + i * in.size(), p.x + image * in.size(), nullptr, b.norm1,
            p.mean1 + image * b.norm1.groups, p.rstd1 + image * b.norm1.groups,
            way.added + i * in.size(), p.to.x + image * in.size(), in.dense(),
            values + i * b.inputs, in_places, s.scale_gradient, s.shift_gradient, nullptr, in,
            Dropout(0, 0), 0, s.inner, s.buffer);
        add_to(s.total.norm1_weight, s.scale_gradient);
        add_to(s.total.norm1_bias, s.shift_gradient);
    }
    way.here.factors[0].transposed = transpose_strip(
        values, way.here.cover, b.inputs, s.transposed1 + way.slot * s.row * b.inputs);
}

void backward(const Block& b, const bf16* grad, const bf16* x, const float* e, const bf16* middle,
              const float* mean1, const float* rstd1, const float* mean2, const float* rstd2,
              const Gradients& to) {
    const Pass pass{b, grad, x, e, middle, mean1, rstd1, mean2, rstd2, to,
                    memory[PACKED1].get<bf16>(9 * b.inputs * b.outputs),
                    memory[PACKED2].get<bf16>(9 * b.outputs * b.outputs),
                    b.skip.weight ? memory[PACKED_SKIP].get<bf16>(b.inputs * b.outputs) : nullptr};
    Weights weights(b, to);
    std::vector<Totals> totals(omp_get_max_threads(), Totals(b));
#pragma omp parallel
    {
        shared_out(std::max(b.inputs, b.outputs) / BLOCK, [&](int64_t i) { pass.pack(i); });
        const TilesInUse tiles;
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        const Share share(b.images, thread, threads);
        const int64_t most = together(b), images = share.last - share.first;
        weights.begin(thread);
        const int64_t slots = weights.slots((images + most - 1) / most);
        Scratch scratch(b, totals[thread], {std::min(most, images), b.height, b.width}, slots);
        for (int64_t n = share.first, strip = 0; n < share.last; n += most, ++strip) {
            const int64_t count = std::min(most, share.last - n);
            Way way = through_second(pass, scratch, n, count, slots == 1 ? 0 : strip);
            through_first(pass, scratch, way);
            weights.take(thread, std::move(way.here));
        }
        weights.write(threads);
    }
    write_total(totals, &Totals::conv1_bias, to.conv1_bias);
    write_total(totals, &Totals::conv2_bias, to.conv2_bias);
    if (b.skip.weight) write_total(totals, &Totals::conv2_bias, to.skip_bias);
    write_total(totals, &Totals::norm1_weight, to.norm1_weight);
    write_total(totals, &Totals::norm1_bias, to.norm1_bias);
    write_total(totals, &Totals::norm2_weight, to.norm2_weight);
    write_total(totals, &Totals::norm2_bias, to.norm2_bias);
}

}  // namespace
