// A residual block, skip(x) + conv2(drop(gelu(norm2(conv1(gelu(norm1(x))) + e)))), and its gradient,
// in bfloat16 with float32 sums, on processors with AMX.
//
// Norms look at one image and so does a convolution: every thread takes its images through the
// whole block, a few at a time, so that what is between stays in its cache. Only the gradients of
// the weights gather from all images; for them each thread leaves behind the inputs and output
// gradients of its convolutions, arranged for the tiles.

#include "tiles.hpp"

#ifdef CONCEPTSPACE_TILES

#include <omp.h>

#include <algorithm>
#include <array>

namespace {

using namespace conceptspace;

struct Convolution {
    const bf16* weight;  // (outputs, taps, inputs)
    const bf16* bias;    // (outputs,)
};

struct Block {
    int64_t images, height, width, inputs, outputs;
    Norm norm1, norm2;
    Convolution conv1, conv2, skip;  // skip without weight: the identity
    Dropout dropout;

    Image input() const { return {height, width, inputs}; }
    Image output() const { return {height, width, outputs}; }
};

// The images of one thread.
struct Share {
    int64_t first, last;

    Share(int64_t images, int thread, int threads)
        : first(images * thread / threads), last(images * (thread + 1) / threads) {}
};

// How many images a strip holds: so many that their positions keep the tiles busy, that a row of
// them fills tiles, and that they stay in cache.
int64_t together(const Block& b) {
    int64_t whole = 2;
    while (whole < BLOCK && b.width * whole % BLOCK) whole *= 2;
    const int64_t enough = std::max<int64_t>(1, 512 / (b.height * b.width));
    return (enough + whole - 1) / whole * whole;
}

enum Place {
    PACKED1, PACKED2, PACKED_SKIP, BIAS, NORMS, STRIP1, STRIP2, STRIP_SKIP, PASSED, PASSED_SKIP,
    INNER, TRANSPOSED1, TRANSPOSED2, TRANSPOSED_SKIP, PAIRS1, PAIRS2, SUMS, PLACES
};
thread_local std::array<Buffer, PLACES> memory;

void to_float(const bf16* from, int64_t count, float* to) {
    for (int64_t i = 0; i < count; ++i) to[i] = read(from[i]);
}

template <typename Job>
void shared_out(int64_t jobs, Job job) {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < jobs; ++i) job(i);
}

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

struct Gradients {
    bf16* x;
    float* e;  // (images, outputs) or null
    float *norm1_weight, *norm1_bias, *norm2_weight, *norm2_bias;
    bf16 *conv1_weight, *conv1_bias, *conv2_weight, *conv2_bias, *skip_weight, *skip_bias;
};

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

// The gradient of one convolution's weights: a job for each 32 inputs by 32 outputs.
struct Work {
    int64_t inputs, taps, jobs, offset;
    bf16* grad;

    int64_t size() const { return taps * 4 * TILE; }
    float* sums(float* all, int64_t job) const { return all + offset + job * size(); }
};

// What a strip adds to the gradients of conv1, conv2 and skip.
struct Contribution {
    Cover cover;
    std::array<Factors, 3> factors;
};

void backward(const Block& b, const bf16* grad, const bf16* x, const float* e, const bf16* middle,
              const float* mean1, const float* rstd1, const float* mean2, const float* rstd2,
              const Gradients& to) {
    bf16* packed1 = memory[PACKED1].get<bf16>(9 * b.inputs * b.outputs);
    bf16* packed2 = memory[PACKED2].get<bf16>(9 * b.outputs * b.outputs);
    bf16* packed_skip =
        b.skip.weight ? memory[PACKED_SKIP].get<bf16>(b.inputs * b.outputs) : nullptr;
    const int64_t in_blocks = b.inputs / BLOCK, out_blocks = b.outputs / BLOCK;
    std::array<Work, 3> works{
        {{b.inputs, 9, in_blocks * out_blocks, 0, to.conv1_weight},
         {b.outputs, 9, out_blocks * out_blocks, 0, to.conv2_weight},
         {b.inputs, 1, b.skip.weight ? in_blocks * out_blocks : 0, 0, to.skip_weight}}};
    int64_t stride = 0;
    for (Work& w : works) {
        w.offset = stride;
        stride += w.jobs * w.size();
    }
    const int most_threads = omp_get_max_threads();
    std::vector<std::vector<Contribution>> contributions(most_threads);
    std::vector<Totals> totals(most_threads, Totals(b));
    // Few blocks of weights: each thread sums its own images over all blocks; many: each thread
    // takes some blocks over all images.
    const bool few = works[1].jobs <= std::max(4, most_threads);
    float* sums = memory[SUMS].get<float>(stride * (few ? most_threads : 1));
#pragma omp parallel
    {
        shared_out(std::max(in_blocks, out_blocks), [&](int64_t i) {
            if (i < in_blocks) {
                pack_backward(b.conv1.weight, b.outputs, 9, b.inputs, packed1, i);
                if (b.skip.weight)
                    pack_backward(b.skip.weight, b.outputs, 1, b.inputs, packed_skip, i);
            }
            if (i < out_blocks)
                pack_backward(b.conv2.weight, b.outputs, 9, b.outputs, packed2, i);
        });
        const TilesInUse tiles;
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        const Share share(b.images, thread, threads);
        const int64_t most = together(b);
        float* own = sums + (few ? thread * stride : 0);
        if (few) std::memset(own, 0, stride * sizeof(float));
        const Image in = b.input(), result = b.output();
        const int64_t widest = std::max(b.inputs, b.outputs);
        float* buffer = memory[NORMS].get<float>(7 * widest);
        float *scale_gradient = buffer + 5 * widest, *shift_gradient = buffer + 6 * widest;
        float* inner = memory[INNER].get<float>(widest * in.pixels());
        Totals& total = totals[thread];
        // What the weights' gradients need is kept for one strip, or for all.
        const Strip largest{std::min(most, share.last - share.first), b.height, b.width};
        const int64_t row = largest.length() + BLOCK, stored = largest.stored();
        const int64_t kept = few ? 1 : (share.last - share.first + most - 1) / most;
        bf16* transposed1 = memory[TRANSPOSED1].get<bf16>(kept * row * b.inputs);
        bf16* transposed2 = memory[TRANSPOSED2].get<bf16>(kept * row * b.outputs);
        bf16* transposed_skip =
            b.skip.weight ? memory[TRANSPOSED_SKIP].get<bf16>(kept * row * b.inputs) : nullptr;
        bf16* pairs1 = memory[PAIRS1].get<bf16>(kept * stored * b.outputs);
        bf16* pairs2 = memory[PAIRS2].get<bf16>(kept * stored * b.outputs);
        auto add = [&](int w, int64_t job, const Contribution& c) {
            add_weight_gradient(c.factors[w], c.cover, works[w].taps, job / out_blocks * BLOCK,
                                job % out_blocks * BLOCK, works[w].sums(own, job));
        };
        for (int64_t n = share.first, slot = 0; n < share.last; n += most, slot += few ? 0 : 1) {
            Contribution here{Cover({std::min(most, share.last - n), b.height, b.width}), {}};
            const Cover& cover = here.cover;
            const Strip& strip = cover.strip;
            const Places in_places{strip.step(b.inputs), strip.gap(b.inputs)};
            const Places places{strip.step(b.outputs), strip.gap(b.outputs)};
            bf16* passed = memory[PASSED].get<bf16>(strip.count * widest * in.pixels());
            const bf16* leaving = grad + n * result.size();
            const bf16* entering = x + n * in.size();

            bf16* slope = strip.prepare(memory[STRIP1], b.outputs);
            bf16* values = strip.prepare(memory[STRIP2], b.outputs);
            strip.fill(slope, leaving, b.outputs);
            here.factors[1].pairs =
                pair_strip(slope, strip, b.outputs, total.conv2_bias.data(),
                           pairs2 + slot * stored * b.outputs);
            const Summand second{slope, packed2, b.outputs, 9};
            convolve(&second, 1, cover, -1, b.outputs, nullptr, nullptr, passed);
            const bf16* added = leaving;
            if (b.skip.weight) {
                bf16* around = memory[PASSED_SKIP].get<bf16>(strip.count * in.size());
                const Summand skip{slope, packed_skip, b.outputs, 1};
                convolve(&skip, 1, cover, -1, b.inputs, nullptr, nullptr, around);
                added = around;
                bf16* copy = strip.prepare(memory[STRIP_SKIP], b.inputs);
                strip.fill(copy, entering, b.inputs);
                here.factors[2] = {transpose_strip(copy, cover, b.inputs,
                                                   transposed_skip + slot * row * b.inputs),
                                   here.factors[1].pairs};
            }
            for (int64_t i = 0; i < strip.count; ++i) {
                norm_gelu_gradient<bf16, BLOCK>(
                    passed + i * result.size(), middle + (n + i) * result.size(),
                    e ? e + (n + i) * b.outputs : nullptr, b.norm2,
                    mean2 + (n + i) * b.norm2.groups, rstd2 + (n + i) * b.norm2.groups, nullptr,
                    slope + i * b.outputs, places, values + i * b.outputs, places, scale_gradient,
                    shift_gradient, to.e ? to.e + (n + i) * b.outputs : nullptr, result, b.dropout,
                    static_cast<uint32_t>((n + i) * result.size()), inner, buffer);
                add_to(total.norm2_weight, scale_gradient);
                add_to(total.norm2_bias, shift_gradient);
            }
            here.factors[1].transposed =
                transpose_strip(values, cover, b.outputs, transposed2 + slot * row * b.outputs);
            here.factors[0].pairs =
                pair_strip(slope, strip, b.outputs, total.conv1_bias.data(),
                           pairs1 + slot * stored * b.outputs);

            const Summand first{slope, packed1, b.outputs, 9};
            convolve(&first, 1, cover, -1, b.inputs, nullptr, nullptr, passed);
            values = strip.prepare(memory[STRIP2], b.inputs);
            for (int64_t i = 0; i < strip.count; ++i) {
                norm_gelu_gradient<bf16, BLOCK>(
                    passed + i * in.size(), entering + i * in.size(), nullptr, b.norm1,
                    mean1 + (n + i) * b.norm1.groups, rstd1 + (n + i) * b.norm1.groups,
                    added + i * in.size(), to.x + (n + i) * in.size(), in.dense(),
                    values + i * b.inputs, in_places, scale_gradient, shift_gradient, nullptr, in,
                    Dropout(0, 0), 0, inner, buffer);
                add_to(total.norm1_weight, scale_gradient);
                add_to(total.norm1_bias, shift_gradient);
            }
            here.factors[0].transposed =
                transpose_strip(values, cover, b.inputs, transposed1 + slot * row * b.inputs);
            if (few) {
                for (int w = 0; w < 3; ++w)
                    for (int64_t job = 0; job < works[w].jobs; ++job) add(w, job, here);
            } else {
                contributions[thread].push_back(std::move(here));
            }
        }
        if (!few) {
#pragma omp barrier
            for (int w = 0; w < 3; ++w)
                shared_out(works[w].jobs, [&](int64_t job) {
                    std::memset(works[w].sums(own, job), 0, works[w].size() * sizeof(float));
                    for (int t = 0; t < threads; ++t)
                        for (const Contribution& c : contributions[t]) add(w, job, c);
                });
        }
#pragma omp barrier
        for (const Work& work : works)
            shared_out(work.jobs, [&](int64_t job) {
                write_weight_gradient(work.sums(sums, job), few ? threads : 1, stride, work.taps,
                                      work.inputs, job / out_blocks * BLOCK,
                                      job % out_blocks * BLOCK, work.grad);
            });
    }
    write_total(totals, &Totals::conv1_bias, to.conv1_bias);
    write_total(totals, &Totals::conv2_bias, to.conv2_bias);
    if (b.skip.weight) write_total(totals, &Totals::conv2_bias, to.skip_bias);
    write_total(totals, &Totals::norm1_weight, to.norm1_weight);
    write_total(totals, &Totals::norm1_bias, to.norm1_bias);
    write_total(totals, &Totals::norm2_weight, to.norm2_weight);
    write_total(totals, &Totals::norm2_bias, to.norm2_bias);
}

const bf16* half(const void* data) { return static_cast<const bf16*>(data); }
bf16* half(void* data) { return static_cast<bf16*>(data); }

}  // namespace

extern "C" {

int residual_block_available() { return tiles_permitted(); }

// Norms are float32 and convolutions bfloat16; skip's parameters are null for the identity.
// statistics: mean and 1 / deviation of norm1, then of norm2, (4, images, groups).
void residual_block_forward(const void* x, const float* e, const float* norm1_weight,
                            const float* norm1_bias, const float* norm2_weight,
                            const float* norm2_bias, const void* conv1_weight,
                            const void* conv1_bias, const void* conv2_weight,
                            const void* conv2_bias, const void* skip_weight, const void* skip_bias,
                            void* middle, void* out, float* statistics, int64_t images,
                            int64_t height, int64_t width, int64_t inputs, int64_t outputs,
                            int64_t groups, double eps, double rate, uint32_t seed) {
    const int64_t one = images * groups;
    const float epsilon = static_cast<float>(eps);
    forward({images, height, width, inputs, outputs, {norm1_weight, norm1_bias, groups, epsilon},
             {norm2_weight, norm2_bias, groups, epsilon}, {half(conv1_weight), half(conv1_bias)},
             {half(conv2_weight), half(conv2_bias)}, {half(skip_weight), half(skip_bias)},
             Dropout(rate, seed)},
            half(x), e, half(middle), half(out), statistics, statistics + one,
            statistics + 2 * one, statistics + 3 * one);
}

// grad_e: null where e is.
void residual_block_backward(
    const void* grad, const void* x, const float* e, const void* middle, const float* statistics,
    const float* norm1_weight, const float* norm1_bias, const float* norm2_weight,
    const float* norm2_bias, const void* conv1_weight, const void* conv1_bias,
    const void* conv2_weight, const void* conv2_bias, const void* skip_weight,
    const void* skip_bias, void* grad_x, float* grad_e, float* grad_norm1_weight,
    float* grad_norm1_bias, float* grad_norm2_weight, float* grad_norm2_bias,
    void* grad_conv1_weight, void* grad_conv1_bias, void* grad_conv2_weight, void* grad_conv2_bias,
    void* grad_skip_weight, void* grad_skip_bias, int64_t images, int64_t height, int64_t width,
    int64_t inputs, int64_t outputs, int64_t groups, double rate, uint32_t seed) {
    const int64_t one = images * groups;
    backward({images, height, width, inputs, outputs, {norm1_weight, norm1_bias, groups, 0.0f},
              {norm2_weight, norm2_bias, groups, 0.0f}, {half(conv1_weight), half(conv1_bias)},
              {half(conv2_weight), half(conv2_bias)}, {half(skip_weight), half(skip_bias)},
              Dropout(rate, seed)},
             half(grad), half(x), e, half(middle), statistics, statistics + one,
             statistics + 2 * one, statistics + 3 * one,
             {half(grad_x), grad_e, grad_norm1_weight, grad_norm1_bias, grad_norm2_weight,
              grad_norm2_bias, half(grad_conv1_weight), half(grad_conv1_bias),
              half(grad_conv2_weight), half(grad_conv2_bias), half(grad_skip_weight),
              half(grad_skip_bias)});
}

}  // extern "C"

#else

extern "C" {

int residual_block_available() { return 0; }
void residual_block_forward() {}
void residual_block_backward() {}

}  // extern "C"

#endif
