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

// The gradients of the convolutions' weights. Few blocks of them: each thread sums its own images
// over all blocks; many: each thread takes some blocks over the images of all threads.
class Weights {
public:
    Weights(const Block& b, const Gradients& to)
        : out_blocks(b.outputs / BLOCK),
          works{{{b.inputs, 9, b.inputs / BLOCK * out_blocks, 0, to.conv1_weight},
                 {b.outputs, 9, out_blocks * out_blocks, 0, to.conv2_weight},
                 {b.inputs, 1, b.skip.weight ? b.inputs / BLOCK * out_blocks : 0, 0,
                  to.skip_weight}}},
          few(works[1].jobs <= std::max(4, omp_get_max_threads())),
          contributions(omp_get_max_threads()) {
        for (Work& w : works) {
            w.offset = stride;
            stride += w.jobs * w.size();
        }
        sums = memory[SUMS].get<float>(stride * (few ? omp_get_max_threads() : 1));
    }

    // How many strips' factors are kept.
    int64_t slots(int64_t strips) const { return few ? 1 : strips; }

    void begin(int thread) {
        if (few) std::memset(own(thread), 0, stride * sizeof(float));
    }

    void take(int thread, Contribution&& here) {
        if (!few) {
            contributions[thread].push_back(std::move(here));
            return;
        }
        for (int w = 0; w < 3; ++w)
            for (int64_t job = 0; job < works[w].jobs; ++job) add(w, job, here, own(thread));
    }

    // By all threads together, once each has given its contributions.
    void write(int threads) {
        if (!few) {
#pragma omp barrier
            for (int w = 0; w < 3; ++w)
                shared_out(works[w].jobs, [&](int64_t job) {
                    std::memset(works[w].sums(sums, job), 0, works[w].size() * sizeof(float));
                    for (int t = 0; t < threads; ++t)
                        for (const Contribution& c : contributions[t]) add(w, job, c, sums);
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

private:
    int64_t out_blocks;
    std::array<Work, 3> works;
    bool few;
    std::vector<std::vector<Contribution>> contributions;
    int64_t stride = 0;
    float* sums;

    float* own(int thread) const { return sums + thread * stride; }

    void add(int w, int64_t job, const Contribution& c, float* to) const {
        add_weight_gradient(c.factors[w], c.cover, works[w].taps, job / out_blocks * BLOCK,
                            job % out_blocks * BLOCK, works[w].sums(to, job));
    }
};

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
