// Convolutions of bfloat16 images by the matrix tiles of AMX, without a copy for every tap.
//
// A strip holds several images, their channels innermost, one after the other with a column of
// zeros right of each and a row of zeros below, so that a tap of a convolution is one shift for
// all pixels: 16 successive positions of a strip, read at the tap's offset, are the first factor of
// a tile product as they lie in memory. Sums are float32.

#pragma once

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512BW__)
#define CONCEPTSPACE_TILES 1

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "norm_gelu.hpp"

namespace conceptspace {

constexpr int64_t SIDE = 16;    // rows of a tile, and columns of float32
constexpr int64_t BLOCK = 32;   // channels or positions in a row of bfloat16
constexpr int64_t TILE = SIDE * SIDE;

// Ask the kernel for the tiles' registers, once in a process.
inline bool tiles_permitted() {
    constexpr long ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    static const bool permitted =
        syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
    return permitted;
}

// Full tiles for this thread, as long as this lives.
struct TilesInUse {
    TilesInUse() {
        struct __attribute__((packed)) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t row_bytes[16] = {};
            uint8_t rows[16] = {};
        } shape;
        for (int i = 0; i < 8; ++i) shape.row_bytes[i] = 64, shape.rows[i] = SIDE;
        _tile_loadconfig(&shape);
    }
    ~TilesInUse() { _tile_release(); }
};

// Memory that grows and is kept, aligned to a cache line.
class Buffer {
  public:
    template <typename T>
    T* get(int64_t count) {
        const size_t bytes = (static_cast<size_t>(count) * sizeof(T) + 4095) / 4096 * 4096;
        if (bytes > size_) {
            std::free(data_);
            data_ = std::aligned_alloc(4096, bytes);
            if (!data_) throw std::bad_alloc();
            size_ = bytes;
        }
        return static_cast<T*>(data_);
    }
    ~Buffer() { std::free(data_); }

  private:
    void* data_ = nullptr;
    size_t size_ = 0;
};

// Images side by side. Position 0 is the first pixel; `lead` zeros stand before it.
struct Strip {
    int64_t images, height, width;

    int64_t pitch() const { return width + 1; }
    int64_t area() const { return ((height + 1) * pitch() + 1) / 2 * 2; }
    int64_t length() const { return (images * area() + BLOCK - 1) / BLOCK * BLOCK; }
    int64_t lead() const { return pitch() + 1; }
    int64_t stored() const { return lead() + length() + pitch() + 1 + BLOCK; }
    int64_t shift(int64_t tap, int64_t taps) const {
        return taps == 1 ? 0 : (tap / 3 - 1) * pitch() + tap % 3 - 1;
    }

    // Position 0 of a strip in a buffer whose zeros are written here.
    bf16* prepare(Buffer& buffer, int64_t channels) const {
        bf16* first = buffer.get<bf16>(stored() * channels) + lead() * channels;
        auto clear = [&](int64_t from, int64_t to) {
            std::memset(first + from * channels, 0, (to - from) * channels * sizeof(bf16));
        };
        clear(-lead(), 0);
        for (int64_t n = 0; n < images; ++n) {
            for (int64_t y = 0; y + 1 < height; ++y)
                clear(n * area() + y * pitch() + width, n * area() + (y + 1) * pitch());
            clear(n * area() + (height - 1) * pitch() + width, (n + 1) * area());
        }
        clear(images * area(), stored() - lead());
        return first;
    }

    // Copy images, (pixels, channels) each, into their places.
    void fill(bf16* first, const bf16* x, int64_t channels) const {
        for (int64_t n = 0; n < images; ++n)
            for (int64_t y = 0; y < height; ++y, x += width * channels)
                std::memcpy(first + (n * area() + y * pitch()) * channels, x,
                            width * channels * sizeof(bf16));
    }
};

// Where the tiles of a strip begin, and which pixel each position is (-1: none).
struct Cover {
    std::vector<int32_t> start, pixel;

    explicit Cover(const Strip& strip) : pixel(strip.length() + SIDE, -1) {
        int32_t next = 0;
        for (int64_t n = 0; n < strip.images; ++n)
            for (int64_t y = 0; y < strip.height; ++y)
                for (int64_t x = 0; x < strip.width; ++x)
                    pixel[n * strip.area() + y * strip.pitch() + x] = next++;
        if (strip.width % SIDE == 0) {
            for (int64_t n = 0; n < strip.images; ++n)
                for (int64_t y = 0; y < strip.height; ++y)
                    for (int64_t x = 0; x < strip.width; x += SIDE)
                        start.push_back(static_cast<int32_t>(n * strip.area() +
                                                             y * strip.pitch() + x));
        } else {
            for (int64_t p = 0; p < strip.images * strip.area(); p += SIDE)
                start.push_back(static_cast<int32_t>(p));
        }
        if (start.size() % 2) start.push_back(start.back());
    }
};

inline void transpose(__m512i (&r)[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; ++j) {
            r[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + 2 + j]);
            r[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + 2 + j]);
        }
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
    }
    for (int i = 0; i < 4; ++i) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

// Two rows of 32 numbers, number by number: the first and the last 16 pairs.
inline void interleave(__m512i a, __m512i b, __m512i& low, __m512i& high) {
    const __m512i even = _mm512_set_epi16(
        47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4,
        35, 3, 34, 2, 33, 1, 32, 0);
    low = _mm512_permutex2var_epi16(a, even, b);
    high = _mm512_permutex2var_epi16(a, _mm512_add_epi16(even, _mm512_set1_epi16(16)), b);
}

inline void widen(__m512i values, __m512& low, __m512& high) {
    low = _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(values)), 16));
    high = _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(values, 1)), 16));
}

inline __m512i rounded(__m512 low, __m512 high) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// Weights as second factors of tile products. weight: (outputs, taps, inputs); packed:
// (outputs / 32, taps, inputs / 32, 2, 16 pairs of inputs, 16 outputs, 2). Block `from` to `to`.
inline void pack_forward(const bf16* weight, int64_t outputs, int64_t taps, int64_t inputs,
                         bf16* packed, int64_t block) {
    bf16* to = packed + block * taps * inputs * BLOCK;
    for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t k = 0; k < inputs; k += BLOCK)
            for (int64_t half = 0; half < 2; ++half) {
                __m512i rows[16];
                for (int64_t i = 0; i < SIDE; ++i)
                    rows[i] = _mm512_loadu_si512(
                        weight + ((block * BLOCK + half * SIDE + i) * taps + tap) * inputs + k);
                transpose(rows);
                for (int64_t i = 0; i < SIDE; ++i, to += BLOCK) _mm512_store_si512(to, rows[i]);
            }
    (void)outputs;
}

// The same for the gradient of the input, which is a convolution from outputs to inputs.
// packed: (inputs / 32, taps, outputs / 32, 2, 16 pairs of outputs, 16 inputs, 2).
inline void pack_backward(const bf16* weight, int64_t outputs, int64_t taps, int64_t inputs,
                          bf16* packed, int64_t block) {
    bf16* to = packed + block * taps * outputs * BLOCK;
    for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t k = 0; k < outputs; k += BLOCK, to += 2 * SIDE * BLOCK)
            for (int64_t i = 0; i < SIDE; ++i) {
                const bf16* row = weight + ((k + 2 * i) * taps + tap) * inputs + block * BLOCK;
                __m512i low, high;
                interleave(_mm512_loadu_si512(row), _mm512_loadu_si512(row + taps * inputs), low,
                           high);
                _mm512_store_si512(to + i * BLOCK, low);
                _mm512_store_si512(to + (SIDE + i) * BLOCK, high);
            }
}

// One summand of a convolution: a strip of `channels`, and packed weights for each tap.
struct Summand {
    const bf16* strip;
    const bf16* packed;
    int64_t channels, taps;
};

// Round 32 sums of 32 channels, with what is to be added, to their pixels.
inline void write_pixels(const float* sums, const int32_t* first, const int32_t* second,
                         int64_t outputs, int64_t channel, const float* bias, const bf16* added,
                         bf16* out) {
    const __m512 bias_low = bias ? _mm512_loadu_ps(bias + channel) : _mm512_setzero_ps();
    const __m512 bias_high = bias ? _mm512_loadu_ps(bias + channel + SIDE) : _mm512_setzero_ps();
    for (int64_t side = 0; side < 2; ++side, sums += 2 * TILE)
        for (int64_t i = 0; i < SIDE; ++i) {
            const int64_t pixel = (side ? second : first)[i];
            if (pixel < 0) continue;
            __m512 low = _mm512_add_ps(_mm512_load_ps(sums + i * SIDE), bias_low);
            __m512 high = _mm512_add_ps(_mm512_load_ps(sums + TILE + i * SIDE), bias_high);
            if (added) {
                __m512 more_low, more_high;
                widen(_mm512_loadu_si512(added + pixel * outputs + channel), more_low, more_high);
                low = _mm512_add_ps(low, more_low);
                high = _mm512_add_ps(high, more_high);
            }
            _mm512_storeu_si512(out + pixel * outputs + channel, rounded(low, high));
        }
}

// out = sum of convolutions + bias + added, at every pixel; direction -1 turns the taps around.
// out, added: (pixels, outputs); bias: (outputs,) or null; added: or null.
inline void convolve(const Summand* summands, int count, const Strip& strip, const Cover& cover,
                     int direction, int64_t outputs, const float* bias, const bf16* added,
                     bf16* out) {
    // Sums are written to pixels one round late, while the tiles work on the next.
    alignas(64) float sums[2][4 * TILE];
    const int32_t *first_pixel = nullptr, *second_pixel = nullptr;
    int64_t channel = 0;
    int round = 0;
    for (size_t t = 0; t < cover.start.size(); t += 2) {
        const int64_t first = cover.start[t], second = cover.start[t + 1];
        for (int64_t block = 0; block < outputs / BLOCK; ++block) {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (int s = 0; s < count; ++s) {
                const int64_t c = summands[s].channels, taps = summands[s].taps;
                const bf16* b = summands[s].packed + block * taps * c * BLOCK;
                for (int64_t tap = 0; tap < taps; ++tap) {
                    const int64_t shift = direction * strip.shift(tap, taps);
                    const bf16* a = summands[s].strip + (first + shift) * c;
                    const bf16* a2 = summands[s].strip + (second + shift) * c;
                    for (int64_t k = 0; k < c; k += BLOCK, b += 2 * SIDE * BLOCK) {
                        _tile_loadd(6, b, 64);
                        _tile_loadd(4, a + k, c * sizeof(bf16));
                        _tile_loadd(7, b + SIDE * BLOCK, 64);
                        _tile_loadd(5, a2 + k, c * sizeof(bf16));
                        _tile_dpbf16ps(0, 4, 6);
                        _tile_dpbf16ps(1, 4, 7);
                        _tile_dpbf16ps(2, 5, 6);
                        _tile_dpbf16ps(3, 5, 7);
                        
                    }
                }
            }
            float* now = sums[round % 2];
            _tile_stored(0, now, 64);
            _tile_stored(1, now + TILE, 64);
            _tile_stored(2, now + 2 * TILE, 64);
            _tile_stored(3, now + 3 * TILE, 64);
            if (round++)
                write_pixels(sums[round % 2], first_pixel, second_pixel, outputs, channel, bias,
                             added, out);
            first_pixel = &cover.pixel[first];
            second_pixel = &cover.pixel[second];
            channel = block * BLOCK;
        }
    }
    if (round)
        write_pixels(sums[(round + 1) % 2], first_pixel, second_pixel, outputs, channel, bias,
                     added, out);
}

// What one thread contributes to the gradient of a convolution's weights: its input with the
// positions innermost, (inputs, row), and the gradient of its output in pairs of positions,
// (outputs / 32, length / 2, 32, 2), of which the first `used` positions count.
struct Factors {
    const bf16* transposed;
    int64_t row;
    const bf16* pairs;
    int64_t length, used;
};

// Length of a row of transposed positions, such that rows do not meet in the same cache lines.
inline int64_t transposed_row(const Strip& strip) {
    return (strip.stored() + 2047) / 2048 * 2048 + 9 * BLOCK;
}

// Position 0 of the first row.
inline bf16* prepare_transposed(Buffer& buffer, const Strip& whole, int64_t channels) {
    const int64_t row = transposed_row(whole), lead = (whole.lead() + 31) / 32 * 32;
    bf16* first = buffer.get<bf16>(channels * row + lead) + lead;
    for (int64_t c = 0; c < channels; ++c) {
        std::memset(first + c * row - lead, 0, lead * sizeof(bf16));
        std::memset(first + c * row + whole.length(), 0,
                    (row - lead - whole.length()) * sizeof(bf16));
    }
    return first;
}

// Write a strip with the positions innermost.
inline void transpose_strip(const bf16* strip, int64_t length, int64_t channels, bf16* to,
                            int64_t row) {
    for (int64_t c = 0; c < channels; c += BLOCK)
        for (int64_t p = 0; p < length; p += BLOCK) {
            __m512i low[16], high[16];
            for (int64_t i = 0; i < SIDE; ++i) {
                const bf16* at = strip + (p + 2 * i) * channels + c;
                interleave(_mm512_load_si512(at), _mm512_load_si512(at + channels), low[i],
                           high[i]);
            }
            transpose(low);
            transpose(high);
            for (int64_t i = 0; i < SIDE; ++i) {
                _mm512_storeu_si512(to + (c + i) * row + p, low[i]);
                _mm512_storeu_si512(to + (c + SIDE + i) * row + p, high[i]);
            }
        }
}

// Write a strip in pairs of positions, and add its sum over all positions to `sum`.
inline void pair_strip(const bf16* strip, int64_t length, int64_t channels, bf16* to,
                       int64_t block_size, float* sum) {
    for (int64_t c = 0; c < channels; c += BLOCK, to += block_size) {
        __m512 total_low = _mm512_loadu_ps(sum + c), total_high = _mm512_loadu_ps(sum + c + SIDE);
        for (int64_t p = 0; p < length; p += 2) {
            const __m512i a = _mm512_load_si512(strip + p * channels + c);
            const __m512i b = _mm512_load_si512(strip + (p + 1) * channels + c);
            __m512i low, high;
            interleave(a, b, low, high);
            _mm512_storeu_si512(to + p * BLOCK, low);
            _mm512_storeu_si512(to + p * BLOCK + BLOCK, high);
            __m512 a_low, a_high, b_low, b_high;
            widen(a, a_low, a_high);
            widen(b, b_low, b_high);
            total_low = _mm512_add_ps(total_low, _mm512_add_ps(a_low, b_low));
            total_high = _mm512_add_ps(total_high, _mm512_add_ps(a_high, b_high));
        }
        _mm512_storeu_ps(sum + c, total_low);
        _mm512_storeu_ps(sum + c + SIDE, total_high);
    }
}

// Add 32 inputs by 32 outputs of the weights' gradient to sums, (taps, 2, 2, 16, 16).
inline void add_weight_gradient(const Factors& f, const Strip& strip, int64_t taps, int64_t input,
                                int64_t output, float* sums) {
    constexpr int64_t CHUNK = 8 * BLOCK;  // positions whose rows stay in the first-level cache
    const bf16* pairs = f.pairs + output * f.length;
    const int64_t row = f.row * static_cast<int64_t>(sizeof(bf16));
    for (int64_t from = 0; from < f.used; from += CHUNK) {
        const int64_t to = from + CHUNK < f.used ? from + CHUNK : f.used;
        for (int64_t tap = 0; tap < taps; ++tap) {
            float* sum = sums + tap * 4 * TILE;
            _tile_loadd(0, sum, 64);
            _tile_loadd(1, sum + TILE, 64);
            _tile_loadd(2, sum + 2 * TILE, 64);
            _tile_loadd(3, sum + 3 * TILE, 64);
            const bf16* a = f.transposed + input * f.row + strip.shift(tap, taps);
            for (int64_t p = from; p < to; p += BLOCK) {
                _tile_loadd(4, a + p, row);
                _tile_loadd(6, pairs + p * BLOCK, 128);
                _tile_loadd(7, pairs + p * BLOCK + BLOCK, 128);
                _tile_loadd(5, a + SIDE * f.row + p, row);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, sum, 64);
            _tile_stored(1, sum + TILE, 64);
            _tile_stored(2, sum + 2 * TILE, 64);
            _tile_stored(3, sum + 3 * TILE, 64);
        }
    }
}

// Write the sums of some threads, `stride` apart, to weights of shape (outputs, taps, inputs).
inline void write_weight_gradient(const float* sums, int64_t threads, int64_t stride, int64_t taps,
                                  int64_t inputs, int64_t input, int64_t output, bf16* grad) {
    for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t half = 0; half < 2; ++half) {
            __m512i rows[2][16];
            for (int64_t side = 0; side < 2; ++side) {
                const float* from = sums + (tap * 4 + side * 2 + half) * TILE;
                for (int64_t i = 0; i < SIDE; ++i) {
                    __m512 total = _mm512_load_ps(from + i * SIDE);
                    for (int64_t t = 1; t < threads; ++t)
                        total = _mm512_add_ps(total, _mm512_load_ps(from + t * stride + i * SIDE));
                    rows[side][i] = _mm512_castps_si512(total);
                }
                transpose(rows[side]);
            }
            for (int64_t i = 0; i < SIDE; ++i)
                _mm512_storeu_si512(
                    grad + ((output + half * SIDE + i) * taps + tap) * inputs + input,
                    rounded(_mm512_castsi512_ps(rows[0][i]), _mm512_castsi512_ps(rows[1][i])));
        }
}

}  // namespace conceptspace

#endif
