// dropout(gelu(group_norm(x + e))) and its gradient, for images stored with the channels innermost.
//
// x: (images, pixels, channels) in float32 or bfloat16; e: (images, channels) in float32 or null.
// Statistics, parameters and every intermediate value are float32. The three passes over memory
// that separate operations would make are one forward and two backward, on data in cache.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using bf16 = uint16_t;

inline float read(float value) { return value; }

inline float read(bf16 value) {
    uint32_t bits = static_cast<uint32_t>(value) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
}

inline void write(float& target, float value) { target = value; }

// Round to nearest, ties to even.
inline void write(bf16& target, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    target = static_cast<bf16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// exp(-y) for y >= 0, relative error below 3e-7: 2^n times a polynomial on [-ln2/2, ln2/2].
inline float exp_minus(float y) {
    float t = -(y < 87.0f ? y : 87.0f) * 1.44269504088896341f;
    float n = std::nearbyint(t);
    float r = (t - n) * 0.693147180559945309f;
    float p = 1.0f + r * (1.0f + r * (0.5f + r * (0.166666672f + r * (0.0416664916f +
              r * (0.00833347384f + r * 0.00139320758f)))));
    uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, 4);
    return p * scale;
}

// The normal distribution function, absolute error below 1e-7 (Abramowitz and Stegun 7.1.26),
// from e = exp(-u^2 / 2).
inline float normal_cdf(float u, float e) {
    float a = std::fabs(u) * 0.707106781186547524f;
    float t = 1.0f / (1.0f + 0.3275911f * a);
    float tail = 0.5f * e * t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f +
                 t * (-1.453152027f + t * 1.061405429f))));
    return u < 0 ? tail : 1.0f - tail;
}

// 1 / (1 - rate) where an element is kept and 0 where it is dropped; a hash of its position.
inline float kept(uint32_t seed, uint32_t position, uint32_t threshold, float scale) {
    uint32_t h = position * 0x9e3779b1u + seed;
    h ^= h >> 16; h *= 0x85ebca6bu;
    h ^= h >> 13; h *= 0xc2b2ae35u;
    h ^= h >> 16;
    return h >= threshold ? scale : 0.0f;
}

struct Shape {
    int64_t images, pixels, channels, groups;
};

struct Dropout {
    uint32_t seed, threshold;
    float scale;
    bool active;
};

// Channels are walked in blocks whose width W the compiler knows, so that a block's coefficients
// stay in registers while the pixels go by.

template <typename T, int W>
void channel_sums(const T* __restrict x, const float* __restrict start, float* __restrict sum,
                  float* __restrict square, Shape s) {
    float first[W], a[W] = {}, b[W] = {};
    for (int c = 0; c < W; ++c) first[c] = start[c];
    for (int64_t p = 0; p < s.pixels; ++p, x += s.channels)
#pragma omp simd
        for (int c = 0; c < W; ++c) {
            float v = read(x[c]) - first[c];
            a[c] += v;
            b[c] += v * v;
        }
    for (int c = 0; c < W; ++c) sum[c] = a[c], square[c] = b[c];
}

template <typename T, int W>
void normalized_gelu(const T* __restrict x, const float* __restrict scale,
                     const float* __restrict shift, T* __restrict out, uint32_t position, Shape s,
                     Dropout dropout) {
    float m[W], b[W];
    for (int c = 0; c < W; ++c) m[c] = scale[c], b[c] = shift[c];
    for (int64_t p = 0; p < s.pixels; ++p, x += s.channels, out += s.channels) {
        if (dropout.active) {
#pragma omp simd
            for (int c = 0; c < W; ++c) {
                float u = read(x[c]) * m[c] + b[c];
                float v = u * normal_cdf(u, exp_minus(0.5f * u * u));
                write(out[c], v * kept(dropout.seed, position + c, dropout.threshold,
                                       dropout.scale));
            }
        } else {
#pragma omp simd
            for (int c = 0; c < W; ++c) {
                float u = read(x[c]) * m[c] + b[c];
                write(out[c], u * normal_cdf(u, exp_minus(0.5f * u * u)));
            }
        }
        position += static_cast<uint32_t>(s.channels);
    }
}

// g = grad * dropout * gelu'(u), kept for the second pass, and its sums over the pixels.
template <typename T, int W, bool Dropped>
void gelu_gradient(const T* __restrict x, const T* __restrict grad, const float* __restrict scale,
                   const float* __restrict shift, const float* __restrict weight,
                   const float* __restrict bias, float* __restrict g, float* __restrict sum_g,
                   float* __restrict sum_gh, float* __restrict sum_hat, uint32_t position,
                   Shape s, Dropout dropout) {
    float m[W], b[W], w[W], v[W], a0[W] = {}, a1[W] = {}, a2[W] = {};
    for (int c = 0; c < W; ++c) m[c] = scale[c], b[c] = shift[c], w[c] = weight[c], v[c] = bias[c];
    for (int64_t p = 0; p < s.pixels; ++p, x += s.channels, grad += s.channels, g += s.channels) {
#pragma omp simd
        for (int c = 0; c < W; ++c) {
            float hat = read(x[c]) * m[c] + b[c];
            float u = hat * w[c] + v[c];
            float density = exp_minus(0.5f * u * u);
            float slope = normal_cdf(u, density) + u * 0.398942280401432678f * density;
            float value = read(grad[c]) * slope;
            if (Dropped)
                value *= kept(dropout.seed, position + c, dropout.threshold, dropout.scale);
            g[c] = value;
            a0[c] += value;
            a1[c] += value * hat;
            a2[c] += hat;
        }
        position += static_cast<uint32_t>(s.channels);
    }
    for (int c = 0; c < W; ++c) sum_g[c] = a0[c], sum_gh[c] = a1[c], sum_hat[c] = a2[c];
}

template <typename T, int W>
void input_gradient(const T* __restrict x, const float* __restrict g,
                    const float* __restrict from_g, const float* __restrict from_x,
                    const float* __restrict constant, T* __restrict out, Shape s) {
    float a[W], b[W], d[W];
    for (int c = 0; c < W; ++c) a[c] = from_g[c], b[c] = from_x[c], d[c] = constant[c];
    for (int64_t p = 0; p < s.pixels; ++p, x += s.channels, g += s.channels, out += s.channels)
#pragma omp simd
        for (int c = 0; c < W; ++c) write(out[c], a[c] * g[c] + b[c] * read(x[c]) + d[c]);
}

template <typename T, int W>
void forward(const T* x, const float* e, const float* weight, const float* bias, T* out,
             float* mean, float* rstd, Shape s, float eps, Dropout dropout) {
    const int64_t width = s.channels / s.groups, size = s.pixels * s.channels;
    const double count = static_cast<double>(width) * s.pixels;
#pragma omp parallel
    {
        std::vector<float> buffer(4 * s.channels);
        float* sum = buffer.data();
        float* square = sum + s.channels;
        float* scale = square + s.channels;
        float* shift = scale + s.channels;
#pragma omp for
        for (int64_t n = 0; n < s.images; ++n) {
            const T* image = x + n * size;
            const float* added = e ? e + n * s.channels : nullptr;
            // Sums are taken around the first pixel, so that a large mean costs no digits.
            for (int64_t c = 0; c < s.channels; ++c) shift[c] = read(image[c]);
            for (int64_t c = 0; c < s.channels; c += W)
                channel_sums<T, W>(image + c, shift + c, sum + c, square + c, s);
            for (int64_t g = 0; g < s.groups; ++g) {
                const int64_t from = g * width, to = from + width;
                double m = 0, variance = 0;
                for (int64_t c = from; c < to; ++c)
                    m += sum[c] + s.pixels * (static_cast<double>(shift[c]) +
                                              (added ? added[c] : 0.0f));
                m /= count;
                for (int64_t c = from; c < to; ++c) {
                    double start = static_cast<double>(shift[c]) + (added ? added[c] : 0.0f) - m;
                    variance += square[c] + start * (2.0 * sum[c] + s.pixels * start);
                }
                variance = variance > 0 ? variance / count : 0;
                const float r = static_cast<float>(1.0 / std::sqrt(variance + eps));
                mean[n * s.groups + g] = static_cast<float>(m);
                rstd[n * s.groups + g] = r;
                for (int64_t c = from; c < to; ++c) {
                    scale[c] = r * weight[c];
                    shift[c] = bias[c] + scale[c] * static_cast<float>((added ? added[c] : 0.0f) -
                                                                       m);
                }
            }
            for (int64_t c = 0; c < s.channels; c += W)
                normalized_gelu<T, W>(image + c, scale + c, shift + c, out + n * size + c,
                                      static_cast<uint32_t>(n * size + c), s, dropout);
        }
    }
}

// Writes grad_x, and per image the gradients of weight, bias and e, (images, channels) each.
template <typename T, int W>
void backward(const T* grad, const T* x, const float* e, const float* weight, const float* bias,
              const float* mean, const float* rstd, T* grad_x, float* grad_weight,
              float* grad_bias, float* grad_e, Shape s, Dropout dropout) {
    const int64_t width = s.channels / s.groups, size = s.pixels * s.channels;
    const float count = static_cast<float>(width) * s.pixels;
#pragma omp parallel
    {
        std::vector<float> buffer(5 * s.channels);
        std::vector<float> inner(size);
        float* scale = buffer.data();
        float* shift = scale + s.channels;
        float* from_g = shift + s.channels;
        float* from_x = from_g + s.channels;
        float* sum_hat = from_x + s.channels;
        float* g_of = inner.data();
#pragma omp for
        for (int64_t n = 0; n < s.images; ++n) {
            const T* image = x + n * size;
            const float* added = e ? e + n * s.channels : nullptr;
            float* sum_g = grad_bias + n * s.channels;
            float* sum_gh = grad_weight + n * s.channels;
            for (int64_t c = 0; c < s.channels; ++c) {
                const float r = rstd[n * s.groups + c / width];
                scale[c] = r;
                shift[c] = r * ((added ? added[c] : 0.0f) - mean[n * s.groups + c / width]);
            }
            const auto gradient =
                dropout.active ? gelu_gradient<T, W, true> : gelu_gradient<T, W, false>;
            for (int64_t c = 0; c < s.channels; c += W)
                gradient(image + c, grad + n * size + c, scale + c, shift + c, weight + c,
                         bias + c, g_of + c, sum_g + c, sum_gh + c, sum_hat + c,
                         static_cast<uint32_t>(n * size + c), s, dropout);
            for (int64_t g = 0; g < s.groups; ++g) {
                const int64_t from = g * width, to = from + width;
                double a = 0, b = 0;
                for (int64_t c = from; c < to; ++c) {
                    a += static_cast<double>(weight[c]) * sum_g[c];
                    b += static_cast<double>(weight[c]) * sum_gh[c];
                }
                const float r = rstd[n * s.groups + g];
                const float m1 = static_cast<float>(a / count), m2 = static_cast<float>(b / count);
                for (int64_t c = from; c < to; ++c) {
                    if (grad_e)
                        grad_e[n * s.channels + c] =
                            r * (weight[c] * sum_g[c] - s.pixels * m1 - m2 * sum_hat[c]);
                    // grad_x = r (weight g - m1 - hat m2), with hat = scale x + shift
                    from_g[c] = r * weight[c];
                    from_x[c] = -r * m2 * scale[c];
                    shift[c] = -r * (m1 + m2 * shift[c]);
                }
            }
            for (int64_t c = 0; c < s.channels; c += W)
                input_gradient<T, W>(image + c, g_of + c, from_g + c, from_x + c, shift + c,
                                     grad_x + n * size + c, s);
        }
    }
}

Dropout dropout_of(double rate, uint32_t seed) {
    return {seed, static_cast<uint32_t>(rate * 4294967296.0),
            static_cast<float>(1.0 / (1.0 - rate)), rate > 0};
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
                       int64_t pixels, int64_t channels, int64_t groups, double eps, double rate,
                       uint32_t seed) {
    const Shape s{images, pixels, channels, groups};
    const Dropout d = dropout_of(rate, seed);
    const float epsilon = static_cast<float>(eps);
    if (half) {
        FOR_BLOCK(forward, bf16, static_cast<const bf16*>(x), e, weight, bias,
                  static_cast<bf16*>(out), mean, rstd, s, epsilon, d);
    } else {
        FOR_BLOCK(forward, float, static_cast<const float*>(x), e, weight, bias,
                  static_cast<float*>(out), mean, rstd, s, epsilon, d);
    }
}

void norm_gelu_backward(int half, const void* grad, const void* x, const float* e,
                        const float* weight, const float* bias, const float* mean,
                        const float* rstd, void* grad_x, float* grad_weight, float* grad_bias,
                        float* grad_e, int64_t images, int64_t pixels, int64_t channels,
                        int64_t groups, double rate, uint32_t seed) {
    const Shape s{images, pixels, channels, groups};
    const Dropout d = dropout_of(rate, seed);
    if (half) {
        FOR_BLOCK(backward, bf16, static_cast<const bf16*>(grad), static_cast<const bf16*>(x), e,
                  weight, bias, mean, rstd, static_cast<bf16*>(grad_x), grad_weight, grad_bias,
                  grad_e, s, d);
    } else {
        FOR_BLOCK(backward, float, static_cast<const float*>(grad), static_cast<const float*>(x),
                  e, weight, bias, mean, rstd, static_cast<float*>(grad_x), grad_weight,
                  grad_bias, grad_e, s, d);
    }
}

}  // extern "C"
