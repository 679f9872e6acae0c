// What both ways through a residual block share: the block, where its gradients go, who takes which
// images, and the memory.
//
// The headers residual_block*.hpp are parts of residual_block.cpp, which alone includes them.

#pragma once

#include <omp.h>

#include <algorithm>
#include <array>

#include "convolution.hpp"

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

struct Gradients {
    bf16* x;
    float* e;  // (images, outputs) or null
    float *norm1_weight, *norm1_bias, *norm2_weight, *norm2_bias;
    bf16 *conv1_weight, *conv1_bias, *conv2_weight, *conv2_bias, *skip_weight, *skip_bias;
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

}  // namespace
