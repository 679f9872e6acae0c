// A residual block, skip(x) + conv2(drop(gelu(norm2(conv1(gelu(norm1(x))) + e)))), and its gradient,
// in bfloat16 with float32 sums, on processors with AMX.
//
// Norms look at one image and so does a convolution: every thread takes its images through the
// whole block, a few at a time, so that what is between stays in its cache. Only the gradients of
// the weights gather from all images; for them each thread leaves behind the inputs and output
// gradients of its convolutions, arranged for the tiles.

#include "tiles.hpp"

#ifdef CONCEPTSPACE_TILES

#include "residual_block_backward.hpp"
#include "residual_block_forward.hpp"

namespace {

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
