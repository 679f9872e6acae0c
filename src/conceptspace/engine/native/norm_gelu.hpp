// dropout(gelu(group_norm(x + e))) of one image and its gradient, the channels stored innermost.
//
// x: (height, width, channels) in float32 or bfloat16; e: (channels,) in float32 or null.
// Statistics, parameters and every intermediate value are float32. The three passes over memory
// that separate operations would make are one forward and two backward, on data in cache.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace conceptspace {

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

// The distribution function and the density of the normal distribution at u, for a result in
// float32 and in bfloat16. The latter by polynomials in u^2 up to |u| = 5, absolute errors below
// 4e-7 and 3e-6: no division and no exponential.
inline void normal(float u, float& cdf, float& density, float) {
    float e = exp_minus(0.5f * u * u);
    cdf = normal_cdf(u, e);
    density = 0.398942280401432678f * e;
}

inline void normal(float u, float& cdf, float& density, bf16) {
    float v = u < 5.0f ? u : 5.0f;
    v = v > -5.0f ? v : -5.0f;
    float t = v * v * 0.08f - 1.0f;
    float p = 0.000705952991f, q = 0.0112997523f;
    p = p * t - 0.00167403098f, q = q * t - 0.0241097686f;
    p = p * t + 0.00146263157f, q = q * t + 0.0116008431f;
    p = p * t - 0.00253432234f, q = q * t - 0.0125485734f;
    p = p * t + 0.00666780895f, q = q * t + 0.0493081037f;
    p = p * t - 0.0112997434f, q = q * t - 0.0685009246f;
    p = p * t + 0.0162870702f, q = q * t + 0.0623100085f;
    p = p * t - 0.0232163442f, q = q * t - 0.0577348582f;
    p = p * t + 0.031464872f, q = q * t + 0.0491472268f;
    p = p * t - 0.0404507113f, q = q * t - 0.0317772682f;
    p = p * t + 0.0515189416f, q = q * t + 0.0150352205f;
    p = p * t - 0.0702959372f, q = q * t - 0.00479756003f;
    p = p * t + 0.141363805f, q = q * t + 0.000770139775f;
    cdf = 0.5f + v * p;
    density = q;
}

// Several neighbours, in one instruction where there is one.
template <int W>
inline void write(float* __restrict target, const float (&values)[W]) {
    for (int c = 0; c < W; ++c) target[c] = values[c];
}

template <int W>
inline void write(bf16* __restrict target, const float (&values)[W]) {
#if defined(__AVX512BF16__)
    if constexpr (W == 32) {
        const __m512bh rounded =
            _mm512_cvtne2ps_pbh(_mm512_loadu_ps(values + 16), _mm512_loadu_ps(values));
        std::memcpy(target, &rounded, 64);
        return;
    }
#endif
    for (int c = 0; c < W; ++c) write(target[c], values[c]);
}

struct Dropout {
    uint32_t seed, threshold;
    float scale;
    bool active;

    Dropout(double rate, uint32_t seed)
        : seed(seed),
          threshold(static_cast<uint32_t>(rate * 4294967296.0)),
          scale(static_cast<float>(1.0 / (1.0 - rate))),
          active(rate > 0) {}

    // 1 / (1 - rate) where an element is kept and 0 where it is dropped; a hash of its position.
    float kept(uint32_t position) const {
        uint32_t h = position * 0x9e3779b1u + seed;
        h ^= h >> 16; h *= 0x85ebca6bu;
        h ^= h >> 13; h *= 0xc2b2ae35u;
        h ^= h >> 16;
        return h >= threshold ? scale : 0.0f;
    }
};

// Where an output's pixels go: elements from one to the next, and what is more at a row's end.
struct Places {
    int64_t step, gap;
};

struct Image {
    int64_t height, width, channels;

    int64_t pixels() const { return height * width; }
    int64_t size() const { return height * width * channels; }
    Places dense() const { return {channels, 0}; }
};

// The norm of an image whose channels form groups.
struct Norm {
    const float* weight;
    const float* bias;
    int64_t groups;
    float eps;
};

// Channels are walked in blocks whose width W the compiler knows, so that a block's coefficients
// stay in registers while the pixels go by.

template <typename T, int W>
void channel_sums(const T* __restrict x, const float* __restrict start, float* __restrict sum,
                  float* __restrict square, Image s) {
    float first[W], a[W] = {}, b[W] = {};
    for (int c = 0; c < W; ++c) first[c] = start[c];
    for (int64_t p = 0; p < s.pixels(); ++p, x += s.channels)
#pragma omp simd
        for (int c = 0; c < W; ++c) {
            float v = read(x[c]) - first[c];
            a[c] += v;
            b[c] += v * v;
        }
    for (int c = 0; c < W; ++c) sum[c] = a[c], square[c] = b[c];
}

template <typename T, int W, bool Dropped>
void normalized_gelu(const T* __restrict x, const float* __restrict scale,
                     const float* __restrict shift, T* __restrict out, Places to,
                     uint32_t position, Image s, Dropout dropout) {
    float m[W], b[W];
    for (int c = 0; c < W; ++c) m[c] = scale[c], b[c] = shift[c];
    for (int64_t row = 0; row < s.height; ++row, out += to.gap)
        for (int64_t p = 0; p < s.width; ++p, x += s.channels, out += to.step) {
            float v[W];
#pragma omp simd
            for (int c = 0; c < W; ++c) {
                float u = read(x[c]) * m[c] + b[c], cdf, density;
                normal(u, cdf, density, T());
                v[c] = u * cdf * (Dropped ? dropout.kept(position + c) : 1.0f);
            }
            write<W>(out, v);
            position += static_cast<uint32_t>(s.channels);
        }
}

// g = grad * dropout * gelu'(u), kept for the second pass, and its sums over the pixels; if asked,
// also the value dropout * gelu(u) that went forward.
template <typename T, int W, bool Dropped, bool Values>
void gelu_gradient(const T* __restrict x, const T* __restrict grad, const float* __restrict scale,
                   const float* __restrict shift, const float* __restrict weight,
                   const float* __restrict bias, float* __restrict g, T* __restrict values,
                   Places to, float* __restrict sum_g, float* __restrict sum_gh,
                   float* __restrict sum_hat, uint32_t position, Image s, Dropout dropout) {
    float m[W], b[W], w[W], v[W], a0[W] = {}, a1[W] = {}, a2[W] = {};
    for (int c = 0; c < W; ++c) m[c] = scale[c], b[c] = shift[c], w[c] = weight[c], v[c] = bias[c];
    for (int64_t row = 0; row < s.height; ++row) {
        for (int64_t p = 0; p < s.width; ++p, x += s.channels, grad += s.channels) {
            float forward[W];
#pragma omp simd
            for (int c = 0; c < W; ++c) {
                float hat = read(x[c]) * m[c] + b[c];
                float u = hat * w[c] + v[c], cdf, density;
                normal(u, cdf, density, T());
                float factor = Dropped ? dropout.kept(position + c) : 1.0f;
                float value = read(grad[c]) * (cdf + u * density) * factor;
                forward[c] = u * cdf * factor;
                g[c] = value;
                a0[c] += value;
                a1[c] += value * hat;
                a2[c] += hat;
            }
            g += s.channels;
            if (Values) write<W>(values, forward), values += to.step;
            position += static_cast<uint32_t>(s.channels);
        }
        if (Values) values += to.gap;
    }
    for (int c = 0; c < W; ++c) sum_g[c] = a0[c], sum_gh[c] = a1[c], sum_hat[c] = a2[c];
}

template <typename T, int W, bool Added>
void input_gradient(const T* __restrict x, const float* __restrict g,
                    const float* __restrict from_g, const float* __restrict from_x,
                    const float* __restrict constant, const T* __restrict added,
                    T* __restrict out, Places to, Image s) {
    float a[W], b[W], d[W];
    for (int c = 0; c < W; ++c) a[c] = from_g[c], b[c] = from_x[c], d[c] = constant[c];
    for (int64_t row = 0; row < s.height; ++row, out += to.gap)
        for (int64_t p = 0; p < s.width; ++p) {
            float v[W];
#pragma omp simd
            for (int c = 0; c < W; ++c) {
                v[c] = a[c] * g[c] + b[c] * read(x[c]) + d[c];
                if (Added) v[c] += read(added[c]);
            }
            write<W>(out, v);
            x += s.channels, g += s.channels, out += to.step;
            if (Added) added += s.channels;
        }
}

// Writes the result to its places, and the mean and 1 / deviation of each group.
// position: of the image's first element in its tensor. buffer: 4 * channels.
template <typename T, int W>
void norm_gelu(const T* x, const float* e, Norm norm, T* out, Places to, float* mean,
               float* rstd, Image s, Dropout dropout, uint32_t position, float* buffer) {
    const int64_t width = s.channels / norm.groups, pixels = s.pixels();
    const double count = static_cast<double>(width) * pixels;
    float* sum = buffer;
    float* square = sum + s.channels;
    float* scale = square + s.channels;
    float* shift = scale + s.channels;
    // Sums are taken around the first pixel, so that a large mean costs no digits.
    for (int64_t c = 0; c < s.channels; ++c) shift[c] = read(x[c]);
    for (int64_t c = 0; c < s.channels; c += W)
        channel_sums<T, W>(x + c, shift + c, sum + c, square + c, s);
    for (int64_t g = 0; g < norm.groups; ++g) {
        const int64_t from = g * width, to = from + width;
        double m = 0, variance = 0;
        for (int64_t c = from; c < to; ++c)
            m += sum[c] + pixels * (static_cast<double>(shift[c]) + (e ? e[c] : 0.0f));
        m /= count;
        for (int64_t c = from; c < to; ++c) {
            double start = static_cast<double>(shift[c]) + (e ? e[c] : 0.0f) - m;
            variance += square[c] + start * (2.0 * sum[c] + pixels * start);
        }
        variance = variance > 0 ? variance / count : 0;
        const float r = static_cast<float>(1.0 / std::sqrt(variance + norm.eps));
        mean[g] = static_cast<float>(m);
        rstd[g] = r;
        for (int64_t c = from; c < to; ++c) {
            scale[c] = r * norm.weight[c];
            shift[c] = norm.bias[c] + scale[c] * static_cast<float>((e ? e[c] : 0.0f) - m);
        }
    }
    const auto applied =
        dropout.active ? normalized_gelu<T, W, true> : normalized_gelu<T, W, false>;
    for (int64_t c = 0; c < s.channels; c += W)
        applied(x + c, scale + c, shift + c, out + c, to, position + static_cast<uint32_t>(c), s,
                dropout);
}

// Writes grad_x (plus `added`, if given) to its places; the gradients of weight,
// bias and, if asked, e, (channels,) each; and, if asked, the values that went forward, to theirs.
// inner: as many as the image has elements; buffer: 5 * channels.
template <typename T, int W>
void norm_gelu_gradient(const T* grad, const T* x, const float* e, Norm norm, const float* mean,
                        const float* rstd, const T* added, T* grad_x, Places to, T* values,
                        Places values_to, float* grad_weight, float* grad_bias, float* grad_e,
                        Image s, Dropout dropout, uint32_t position, float* inner, float* buffer) {
    const int64_t width = s.channels / norm.groups, pixels = s.pixels();
    const float count = static_cast<float>(width) * pixels;
    float* scale = buffer;
    float* shift = scale + s.channels;
    float* from_g = shift + s.channels;
    float* from_x = from_g + s.channels;
    float* sum_hat = from_x + s.channels;
    float* sum_g = grad_bias;
    float* sum_gh = grad_weight;
    for (int64_t c = 0; c < s.channels; ++c) {
        const float r = rstd[c / width];
        scale[c] = r;
        shift[c] = r * ((e ? e[c] : 0.0f) - mean[c / width]);
    }
    const auto gradient =
        values ? (dropout.active ? gelu_gradient<T, W, true, true> : gelu_gradient<T, W, false, true>)
               : (dropout.active ? gelu_gradient<T, W, true, false>
                                 : gelu_gradient<T, W, false, false>);
    for (int64_t c = 0; c < s.channels; c += W)
        gradient(x + c, grad + c, scale + c, shift + c, norm.weight + c, norm.bias + c, inner + c,
                 values ? values + c : nullptr, values_to, sum_g + c, sum_gh + c, sum_hat + c,
                 position + static_cast<uint32_t>(c), s, dropout);
    for (int64_t g = 0; g < norm.groups; ++g) {
        const int64_t from = g * width, to = from + width;
        double a = 0, b = 0;
        for (int64_t c = from; c < to; ++c) {
            a += static_cast<double>(norm.weight[c]) * sum_g[c];
            b += static_cast<double>(norm.weight[c]) * sum_gh[c];
        }
        const float r = rstd[g];
        const float m1 = static_cast<float>(a / count), m2 = static_cast<float>(b / count);
        for (int64_t c = from; c < to; ++c) {
            if (grad_e) grad_e[c] = r * (norm.weight[c] * sum_g[c] - pixels * m1 - m2 * sum_hat[c]);
            // grad_x = r (weight g - m1 - hat m2), with hat = scale x + shift
            from_g[c] = r * norm.weight[c];
            from_x[c] = -r * m2 * scale[c];
            shift[c] = -r * (m1 + m2 * shift[c]);
        }
    }
    const auto passed = added ? input_gradient<T, W, true> : input_gradient<T, W, false>;
    for (int64_t c = 0; c < s.channels; c += W)
        passed(x + c, inner + c, from_g + c, from_x + c, shift + c, added ? added + c : nullptr,
               grad_x + c, to, s);
}

}  // namespace conceptspace
