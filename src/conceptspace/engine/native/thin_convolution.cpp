// 3x3 convolutions of stride 1, with a border of zeros, between few (1 to 4, "thin") and many
// ("wide") channels.
//
// Images have their channels innermost: thin ones are float32, wide ones float32 or bfloat16.
// Weights are (3, 3, thin, wide), and every product and sum is float32. A thin image is small: with
// its border it stays in cache, and three pixels of it are one row of factors.

#include "norm_gelu.hpp"

#include <algorithm>
#include <type_traits>
#include <vector>

namespace {

using namespace conceptspace;

// A tile of sums, (PIXELS, LANES), fills half of the vector registers.
#ifdef __AVX512F__
constexpr int LANES = 32, PIXELS = 8;
#else
constexpr int LANES = 16, PIXELS = 4;
#endif

// GCC would join turns of the outer loop, and the sums would lose their registers.
#define FEW_REGISTERS __attribute__((optimize("no-loop-unroll-and-jam")))

// sums[p][c] += a[p * step + k] * b[k * stride + c] over k.
template <int P, int W>
inline void products(const float* __restrict a, int64_t step, int64_t count,
                     const float* __restrict b, int64_t stride, float (&sums)[P][W]) {
    for (int64_t k = 0; k < count; ++k, ++a, b += stride)
#pragma omp simd
        for (int c = 0; c < W; ++c)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p) sums[p][c] += a[p * step] * b[c];
}

// Ask for memory that is soon read or written: processors do not look beyond a page of 4 KB, which
// is a row of 32 pixels. There need not be any memory.
constexpr int64_t AHEAD = 64;  // pixels

template <bool Written, typename T>
inline void prefetch(const T* from, int64_t count) {
    const char* line = reinterpret_cast<const char*>(from);
    for (const char* end = reinterpret_cast<const char*>(from + count); line < end; line += 64)
        __builtin_prefetch(line, Written);
}

// Copies a thin image into the middle of (height + 2, width + 2, N), the rest of which is zero.
template <int N>
void bordered(const float* __restrict thin, float* __restrict out, Image s) {
    const int64_t pitch = (s.width + 2) * N;
    for (int64_t y = 0; y < s.height; ++y)
        std::copy_n(thin + y * s.width * N, s.width * N, out + (y + 1) * pitch + N);
}

template <typename T, int N, int P, int W>
inline void spread_tile(const float* __restrict corner, int64_t pitch, const float* __restrict taps,
                        const float* __restrict bias, T* __restrict out, int64_t channels) {
    prefetch<true>(out + AHEAD * channels, P * channels);
    for (int64_t first = 0; first < channels; first += W, taps += W, out += W) {
        float sums[P][W];
        for (int p = 0; p < P; ++p)
            for (int c = 0; c < W; ++c) sums[p][c] = bias ? bias[first + c] : 0.0f;
        for (int dy = 0; dy < 3; ++dy)
            products<P, W>(corner + dy * pitch, N, 3 * N, taps + dy * 3 * N * channels, channels,
                           sums);
        for (int p = 0; p < P; ++p)
#pragma omp simd
            for (int c = 0; c < W; ++c) write(out[p * channels + c], sums[p][c]);
    }
}

// Thin to wide.
template <typename T, int N, int W>
void spread(const float* thin, const float* taps, const float* bias, T* wide, int64_t images,
            Image s) {
    const int64_t pitch = (s.width + 2) * N;
#pragma omp parallel
    {
        std::vector<float> image((s.height + 2) * pitch);
#pragma omp for
        for (int64_t n = 0; n < images; ++n) {
            bordered<N>(thin + n * s.pixels() * N, image.data(), s);
            T* out = wide + n * s.size();
            for (int64_t y = 0; y < s.height; ++y) {
                const float* row = image.data() + y * pitch;
                int64_t x = 0;
                for (; x + PIXELS <= s.width; x += PIXELS, out += PIXELS * s.channels)
                    spread_tile<T, N, PIXELS, W>(row + x * N, pitch, taps, bias, out, s.channels);
                for (; x < s.width; ++x, out += s.channels)
                    spread_tile<T, N, 1, W>(row + x * N, pitch, taps, bias, out, s.channels);
            }
        }
    }
}

template <int P>
FEW_REGISTERS void gather_tile(const float* __restrict row, const float* __restrict columns,
                               int64_t many, float* __restrict out, int64_t channels) {
    float sums[P][LANES] = {};
    products<P, LANES>(row, channels, channels, columns, many, sums);
    for (int p = 0; p < P; ++p)
#pragma omp simd
        for (int c = 0; c < LANES; ++c) out[p * many + c] = sums[p][c];
}

// Wide to thin: what every pixel gives to its 3x3 neighbours, a row at a time, is a product with a
// matrix of 9 N columns; then each neighbour adds up what it was given.
template <typename T, int N>
void gather(const T* wide, const float* taps, const float* bias, float* thin, int64_t images,
            Image s) {
    constexpr int64_t many = (9 * N + LANES - 1) / LANES * LANES;
    std::vector<float> columns(s.channels * many);
    for (int64_t dy = 0; dy < 3; ++dy)
        for (int64_t dx = 0; dx < 3; ++dx)
            for (int64_t t = 0; t < N; ++t, taps += s.channels)
                for (int64_t c = 0; c < s.channels; ++c)
                    columns[c * many + (dx * 3 + dy) * N + t] = taps[c];
#pragma omp parallel
    {
        // Left and right of a row's gifts are zeros.
        std::vector<float> row(s.width * s.channels), given((s.width + 2) * many),
            outside(s.width * N);
#pragma omp for
        for (int64_t n = 0; n < images; ++n) {
            float* image = thin + n * s.pixels() * N;
            for (int64_t p = 0; p < s.pixels(); ++p)
                for (int t = 0; t < N; ++t) image[p * N + t] = bias ? bias[t] : 0.0f;
            for (int64_t y = 0; y < s.height; ++y) {
                const T* from = wide + n * s.size() + y * s.width * s.channels;
#pragma omp simd
                for (int64_t i = 0; i < s.width * s.channels; ++i) row[i] = read(from[i]);
                const T* ahead = from + AHEAD * s.channels;
                for (int64_t c = 0; c < many; c += LANES) {
                    int64_t x = 0;
                    for (; x + PIXELS <= s.width; x += PIXELS) {
                        prefetch<false>(ahead + x * s.channels, PIXELS * s.channels);
                        gather_tile<PIXELS>(row.data() + x * s.channels, columns.data() + c, many,
                                            given.data() + (x + 1) * many + c, s.channels);
                    }
                    for (; x < s.width; ++x)
                        gather_tile<1>(row.data() + x * s.channels, columns.data() + c, many,
                                       given.data() + (x + 1) * many + c, s.channels);
                }
                float* to[3];
                for (int64_t dy = 0; dy < 3; ++dy) {
                    const int64_t target = y + 1 - dy;
                    const bool inside = target >= 0 && target < s.height;
                    to[dy] = inside ? image + target * s.width * N : outside.data();
                }
                const float* g = given.data();
                for (int64_t x = 0; x < s.width * N; x += N, g += many) {
                    float sums[3 * N];
                    for (int j = 0; j < 3 * N; ++j)
                        sums[j] = g[j] + g[many + 3 * N + j] + g[2 * many + 6 * N + j];
                    for (int dy = 0; dy < 3; ++dy)
                        for (int t = 0; t < N; ++t) to[dy][x + t] += sums[dy * N + t];
                }
            }
        }
    }
}

// Adds the products of a row of pixels with one row of taps to sums, (3 N, channels).
template <typename T, int N, int W>
FEW_REGISTERS void tap_sums(const float* __restrict thin, const T* __restrict wide,
                            float* __restrict out, Image s) {
    float sums[3 * N][W];
    for (int j = 0; j < 3 * N; ++j)
        for (int c = 0; c < W; ++c) sums[j][c] = out[j * s.channels + c];
    for (int64_t x = 0; x < s.width; ++x, thin += N, wide += s.channels) {
        prefetch<false>(wide + AHEAD * s.channels, W);
#pragma omp simd
        for (int c = 0; c < W; ++c) {
            const float v = read(wide[c]);
#pragma GCC unroll 12
            for (int j = 0; j < 3 * N; ++j) sums[j][c] += thin[j] * v;
        }
    }
    for (int j = 0; j < 3 * N; ++j)
        for (int c = 0; c < W; ++c) out[j * s.channels + c] = sums[j][c];
}

template <typename T, int W>
void pixel_sums(const T* __restrict wide, float* __restrict out, Image s) {
    float sums[W];
    for (int c = 0; c < W; ++c) sums[c] = out[c];
    for (int64_t x = 0; x < s.width; ++x, wide += s.channels)
#pragma omp simd
        for (int c = 0; c < W; ++c) sums[c] += read(wide[c]);
    for (int c = 0; c < W; ++c) out[c] = sums[c];
}

template <typename T, int N, int W>
void weights(const float* thin, const T* wide, float* taps, float* bias, int64_t images, Image s) {
    const int64_t pitch = (s.width + 2) * N, size = 9 * N * s.channels;
#pragma omp parallel
    {
        std::vector<float> image((s.height + 2) * pitch);
#pragma omp for
        for (int64_t n = 0; n < images; ++n) {
            bordered<N>(thin + n * s.pixels() * N, image.data(), s);
            float* sums = taps + n * size;
            std::fill(sums, sums + size, 0.0f);
            if (bias) std::fill(bias + n * s.channels, bias + (n + 1) * s.channels, 0.0f);
            for (int64_t y = 0; y < s.height; ++y)
                for (int64_t c = 0; c < s.channels; c += W) {
                    const T* row = wide + n * s.size() + y * s.width * s.channels + c;
                    for (int64_t dy = 0; dy < 3; ++dy)
                        tap_sums<T, N, W>(image.data() + (y + dy) * pitch, row,
                                          sums + dy * 3 * N * s.channels + c, s);
                    if (bias) pixel_sums<T, W>(row, bias + n * s.channels + c, s);
                }
        }
    }
}

template <int N>
using Count = std::integral_constant<int, N>;

// Call f with the number of thin channels and the wide type as constants.
template <typename F>
void with_thin(int64_t thin, int half, F f) {
    const auto typed = [&](auto count) { half ? f(count, bf16()) : f(count, float()); };
    switch (thin) {
        case 1: return typed(Count<1>());
        case 2: return typed(Count<2>());
        case 3: return typed(Count<3>());
        default: return typed(Count<4>());
    }
}

}  // namespace

extern "C" {

// wide = convolution of thin; bias: (many,) or null. many: a multiple of 8.
void thin_convolution_spread(int half, const float* thin, const float* taps, const float* bias,
                             void* wide, int64_t images, int64_t height, int64_t width,
                             int64_t few, int64_t many) {
    const Image s{height, width, many};
    with_thin(few, half, [&](auto count, auto type) {
        using T = decltype(type);
        constexpr int N = decltype(count)::value;
        if (many % LANES == 0)
            spread<T, N, LANES>(thin, taps, bias, static_cast<T*>(wide), images, s);
        else
            spread<T, N, 8>(thin, taps, bias, static_cast<T*>(wide), images, s);
    });
}

// thin = convolution of wide; bias: (few,) or null. taps[dy][dx] goes from a pixel to
// its neighbour at (1 - dy, 1 - dx), that is, from the neighbour at (dy - 1, dx - 1).
void thin_convolution_gather(int half, const void* wide, const float* taps, const float* bias,
                             float* thin, int64_t images, int64_t height, int64_t width,
                             int64_t few, int64_t many) {
    const Image s{height, width, many};
    with_thin(few, half, [&](auto count, auto type) {
        using T = decltype(type);
        gather<T, decltype(count)::value>(static_cast<const T*>(wide), taps, bias, thin, images, s);
    });
}

// Per image the sums of thin[pixel + (dy - 1, dx - 1)] * wide[pixel], (images, 3, 3, thin, wide),
// and, if asked, of wide, (images, wide).
void thin_convolution_weights(int half, const float* thin, const void* wide, float* taps,
                              float* bias, int64_t images, int64_t height, int64_t width,
                              int64_t few, int64_t many) {
    const Image s{height, width, many};
    with_thin(few, half, [&](auto count, auto type) {
        using T = decltype(type);
        constexpr int N = decltype(count)::value;
        if (many % LANES == 0)
            weights<T, N, LANES>(thin, static_cast<const T*>(wide), taps, bias, images, s);
        else
            weights<T, N, 8>(thin, static_cast<const T*>(wide), taps, bias, images, s);
    });
}

}  // extern "C"
