// dropout(gelu(group_norm(x + e))) and its gradient over a batch of images; see norm_gelu.hpp.

#include "norm_gelu.hpp"

#include <vector>

namespace {

using namespace conceptspace;

template <typename T, int W>
void forward(const T* x, const float* e, Norm norm, T* out, float* mean, float* rstd,
             int64_t images, Image s, Dropout dropout) {
#pragma omp parallel
    {
        std::vector<float> buffer(4 * s.channels);
#pragma omp for
        for (int64_t n = 0; n < images; ++n)
            norm_gelu<T, W>(x + n * s.size(), e ? e + n * s.channels : nullptr, norm,
                            out + n * s.size(), s.dense(), mean + n * norm.groups, rstd + n * norm.groups,
                            s, dropout, static_cast<uint32_t>(n * s.size()), buffer.data());
    }
}

template <typename T, int W>
void backward(const T* grad, const T* x, const float* e, Norm norm, const float* mean,
              const float* rstd, T* grad_x, float* grad_weight, float* grad_bias, float* grad_e,
              int64_t images, Image s, Dropout dropout) {
#pragma omp parallel
    {
        std::vector<float> buffer(5 * s.channels), inner(s.size());
#pragma omp for
        for (int64_t n = 0; n < images; ++n) {
            const int64_t first = n * s.size(), channel = n * s.channels;
            norm_gelu_gradient<T, W>(
                grad + first, x + first, e ? e + channel : nullptr, norm, mean + n * norm.groups,
                rstd + n * norm.groups, nullptr, grad_x + first, s.dense(), nullptr, {},
                grad_weight + channel, grad_bias + channel, grad_e ? grad_e + channel : nullptr, s,
                dropout, static_cast<uint32_t>(first), inner.data(), buffer.data());
        }
    }
}

}  // namespace

// The widest block of channels that divides their number.
#define FOR_BLOCK(function, T, ...)                                 \
    if (channels % 32 == 0) function<T, 32>(__VA_ARGS__);           \
    else if (channels % 8 == 0) function<T, 8>(__VA_ARGS__);        \
    else function<T, 1>(__VA_ARGS__)

extern "C" {

void norm_gelu_forward(int half, const void* x, const float* e, const float* weight,
                       const float* bias, void* out, float* mean, float* rstd, int64_t images,
                       int64_t height, int64_t width, int64_t channels, int64_t groups, double eps,
                       double rate, uint32_t seed) {
    const Image s{1, height * width, channels};
    const Norm norm{weight, bias, groups, static_cast<float>(eps)};
    const Dropout d(rate, seed);
    if (half) {
        FOR_BLOCK(forward, bf16, static_cast<const bf16*>(x), e, norm, static_cast<bf16*>(out),
                  mean, rstd, images, s, d);
    } else {
        FOR_BLOCK(forward, float, static_cast<const float*>(x), e, norm, static_cast<float*>(out),
                  mean, rstd, images, s, d);
    }
}

// Writes grad_x, and per image the gradients of weight and bias, (2, images, channels), and, if
// asked, of e, (images, channels).
void norm_gelu_backward(int half, const void* grad, const void* x, const float* e,
                        const float* weight, const float* bias, const float* mean,
                        const float* rstd, void* grad_x, float* grad_norm, float* grad_e,
                        int64_t images, int64_t height, int64_t width, int64_t channels,
                        int64_t groups, double rate, uint32_t seed) {
    const Image s{1, height * width, channels};
    float *grad_weight = grad_norm, *grad_bias = grad_norm + images * channels;
    const Norm norm{weight, bias, groups, 0.0f};
    const Dropout d(rate, seed);
    if (half) {
        FOR_BLOCK(backward, bf16, static_cast<const bf16*>(grad), static_cast<const bf16*>(x), e,
                  norm, mean, rstd, static_cast<bf16*>(grad_x), grad_weight, grad_bias, grad_e,
                  images, s, d);
    } else {
        FOR_BLOCK(backward, float, static_cast<const float*>(grad), static_cast<const float*>(x),
                  e, norm, mean, rstd, static_cast<float*>(grad_x), grad_weight, grad_bias, grad_e,
                  images, s, d);
    }
}

}  // extern "C"
