// The gradients of the weights of the block's convolutions, the one thing that gathers from all
// images.

#pragma once

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "residual_block.hpp"
#include "weight_gradient.hpp"

namespace {

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

}  // namespace
