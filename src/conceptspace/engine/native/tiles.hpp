// Convolutions of bfloat16 images by the matrix tiles of AMX, without a copy for every tap.
//
// A strip holds some images pixel by pixel: the first pixel of all, the second of all, and so on,
// the channels of each innermost, with a column of zeros to the right and a row of zeros below. So
// a tap of a convolution is one shift for all positions, and 16 positions next to each other, read
// at the tap's shift, are the first factor of a tile product as they lie in memory. Sums are
// float32.

#pragma once

#if defined(__linux__) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512BW__)
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

constexpr int64_t SIDE = 16;   // rows of a tile, and columns of float32
constexpr int64_t BLOCK = 32;  // channels or positions in a row of bfloat16
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

#ifdef __SANITIZE_ADDRESS__  // a buffer ends where it was asked to, and what is beyond is an error
constexpr size_t PAGE = 64;
constexpr bool EXACT = true;
#else
constexpr size_t PAGE = 4096;
constexpr bool EXACT = false;
#endif

// Memory that grows and is kept, aligned to a cache line.
class Buffer {
  public:
    template <typename T>
    T* get(int64_t count) {
        const size_t bytes = (static_cast<size_t>(count) * sizeof(T) + PAGE - 1) / PAGE * PAGE;
        if (bytes > size_ || (EXACT && bytes < size_)) {
            std::free(data_);
            data_ = std::aligned_alloc(PAGE, bytes);
            if (!data_) throw std::bad_alloc();
            size_ = bytes;
        }
#ifdef CONCEPTSPACE_POISON  // for a test: what is read before it is written is not a number
        std::memset(data_, 0xff, bytes);
#endif
        return static_cast<T*>(data_);
    }
    ~Buffer() { std::free(data_); }

  private:
    void* data_ = nullptr;
    size_t size_ = 0;
};

// Position 0 is the first pixel of the first image; `lead` zeros stand before it. An odd number of
// images is filled up by one of zeros, so that every shift is even.
struct Strip {
    int64_t count, height, width;

    int64_t images() const { return count + count % 2; }
    // Positions of a row, and of all rows with the zeros below.
    int64_t pitch() const { return (width + 1) * images(); }
    int64_t length() const { return ((height + 1) * pitch() + BLOCK - 1) / BLOCK * BLOCK; }
    int64_t lead() const { return pitch() + images(); }
    int64_t stored() const { return lead() + length() + images() + BLOCK; }
    int64_t shift(int64_t tap, int64_t taps) const {
        return taps == 1 ? 0 : (tap / 3 - 1) * pitch() + (tap % 3 - 1) * images();
    }

    // Position 0 of a strip in a buffer whose zeros are written here.
    bf16* prepare(Buffer& buffer, int64_t channels) const {
        bf16* first = buffer.get<bf16>(stored() * channels) + lead() * channels;
        auto clear = [&](int64_t from, int64_t to) {
            std::memset(first + from * channels, 0, (to - from) * channels * sizeof(bf16));
        };
        if (count != images()) clear(0, height * pitch());
        clear(-lead(), 0);
        for (int64_t y = 0; y < height; ++y)
            clear(y * pitch() + width * images(), (y + 1) * pitch());
        clear(height * pitch(), stored() - lead());
        return first;
    }

    // Elements from a pixel of an image to its next, and what is more at the end of a row.
    int64_t step(int64_t channels) const { return images() * channels; }
    int64_t gap(int64_t channels) const { return (pitch() - width * images()) * channels; }

    // Copy images, (pixels, channels) each, into their places.
    void fill(bf16* first, const bf16* x, int64_t channels) const {
        for (int64_t n = 0; n < count; ++n)
            for (int64_t y = 0; y < height; ++y)
                for (int64_t c = 0; c < width; ++c, x += channels)
                    std::memcpy(first + (y * pitch() + c * images() + n) * channels, x,
                                channels * sizeof(bf16));
    }
};

// Which positions of a strip the tiles take.
struct Cover {
    Strip strip;
    std::vector<int32_t> rows;   // first of 16 positions; an even number of them
    std::vector<int32_t> steps;  // first of 32 positions; what is no pixel counts as zero
    std::vector<int32_t> pixel;  // of each position, counted over the images; -1: none

    explicit Cover(const Strip& strip) : strip(strip), pixel(strip.length() + SIDE, -1) {
        const int64_t used = strip.width * strip.images();
        for (int64_t n = 0; n < strip.count; ++n)
            for (int64_t y = 0; y < strip.height; ++y)
                for (int64_t x = 0; x < strip.width; ++x)
                    pixel[y * strip.pitch() + x * strip.images() + n] =
                        static_cast<int32_t>((n * strip.height + y) * strip.width + x);
        for (int64_t y = 0; y < strip.height; ++y)
            for (int64_t x = 0; x < used; x += SIDE)
                rows.push_back(static_cast<int32_t>(y * strip.pitch() + x));
        if (rows.size() % 2) rows.push_back(rows.back());
        if (used % BLOCK == 0) {
            for (int64_t y = 0; y < strip.height; ++y)
                for (int64_t x = 0; x < used; x += BLOCK)
                    steps.push_back(static_cast<int32_t>(y * strip.pitch() + x));
        } else {
            for (int64_t p = 0; p < strip.height * strip.pitch(); p += BLOCK)
                steps.push_back(static_cast<int32_t>(p));
        }
    }
};

// Of 16 rows of 16 numbers of 32 bits.
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

// 32 numbers in bfloat16 to float32, and back.
inline void widen(__m512i values, __m512& low, __m512& high) {
    low = _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(values)), 16));
    high = _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(values, 1)), 16));
}

inline __m512i rounded(__m512 low, __m512 high) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// A block of 32 outputs of the weights as second factors of tile products. weight: (outputs, taps,
// inputs); packed: (outputs / 32, taps, inputs / 32, 2, 16 pairs of inputs, 16 outputs, 2).
inline void pack_forward(const bf16* weight, int64_t taps, int64_t inputs, bf16* packed,
                         int64_t block) {
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
}

// The same for the gradient of the input, a convolution from outputs to inputs. packed:
// (inputs / 32, taps, outputs / 32, 2, 16 pairs of outputs, 16 inputs, 2).
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
inline void convolve(const Summand* summands, int count, const Cover& cover, int direction,
                     int64_t outputs, const float* bias, const bf16* added, bf16* out) {
    // Sums are written to pixels one round late, while the tiles work on the next.
    alignas(64) float sums[2][4 * TILE];
    const int32_t *first_pixel = nullptr, *second_pixel = nullptr;
    int64_t channel = 0;
    int round = 0;
    // All positions for one block of outputs, whose weights then stay in the second-level cache.
    for (int64_t block = 0; block < outputs / BLOCK; ++block) {
        for (size_t t = 0; t < cover.rows.size(); t += 2) {
            const int64_t first = cover.rows[t], second = cover.rows[t + 1];
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (int s = 0; s < count; ++s) {
                const int64_t c = summands[s].channels, taps = summands[s].taps;
                const bf16* b = summands[s].packed + block * taps * c * BLOCK;
                for (int64_t tap = 0; tap < taps; ++tap) {
                    const int64_t shift = direction * cover.strip.shift(tap, taps);
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

// What a strip contributes to the gradient of a convolution's weights: the convolution's input with
// the positions of all steps innermost, (inputs, row_length), and the gradient of its output in
// pairs of positions, (outputs / 32, stored / 2, 32, 2).
struct Factors {
    const bf16* transposed;
    const bf16* pairs;
};

// An odd number of cache lines, so that rows spread over the cache.
inline int64_t row_length(const Cover& cover) {
    return static_cast<int64_t>(cover.steps.size() | 1) * BLOCK;
}

// Write a strip's steps with the positions innermost. to: channels * row_length.
inline const bf16* transpose_strip(const bf16* first, const Cover& cover, int64_t channels,
                                   bf16* to) {
    const int64_t row = row_length(cover);
    for (int64_t c = 0; c < channels; c += BLOCK)
        for (size_t s = 0; s < cover.steps.size(); ++s) {
            __m512i low[16], high[16];
            for (int64_t i = 0; i < SIDE; ++i) {
                const bf16* at = first + (cover.steps[s] + 2 * i) * channels + c;
                interleave(_mm512_load_si512(at), _mm512_load_si512(at + channels), low[i],
                           high[i]);
            }
            transpose(low);
            transpose(high);
            for (int64_t i = 0; i < SIDE; ++i) {
                _mm512_store_si512(to + (c + i) * row + s * BLOCK, low[i]);
                _mm512_store_si512(to + (c + SIDE + i) * row + s * BLOCK, high[i]);
            }
        }
    return to;
}

// Write a strip and the zeros around it in pairs of positions, and add its sum over all positions
// to `sum`. to: channels * stored.
inline const bf16* pair_strip(const bf16* first, const Strip& strip, int64_t channels, float* sum,
                              bf16* to) {
    const bf16* made = to + strip.lead() * BLOCK;
    first -= strip.lead() * channels;
    for (int64_t c = 0; c < channels; c += BLOCK) {
        __m512 total_low = _mm512_loadu_ps(sum + c), total_high = _mm512_loadu_ps(sum + c + SIDE);
        for (int64_t p = 0; p < strip.stored(); p += 2, to += 2 * BLOCK) {
            const __m512i a = _mm512_load_si512(first + p * channels + c);
            const __m512i b = _mm512_load_si512(first + (p + 1) * channels + c);
            __m512i low, high;
            interleave(a, b, low, high);
            _mm512_store_si512(to, low);
            _mm512_store_si512(to + BLOCK, high);
            __m512 a_low, a_high, b_low, b_high;
            widen(a, a_low, a_high);
            widen(b, b_low, b_high);
            total_low = _mm512_add_ps(total_low, _mm512_add_ps(a_low, b_low));
            total_high = _mm512_add_ps(total_high, _mm512_add_ps(a_high, b_high));
        }
        _mm512_storeu_ps(sum + c, total_low);
        _mm512_storeu_ps(sum + c + SIDE, total_high);
    }
    return made;
}

// Add 32 inputs by 32 outputs of the weights' gradient to sums, (taps, 2, 2, 16, 16).
inline void add_weight_gradient(const Factors& f, const Cover& cover, int64_t taps, int64_t input,
                                int64_t output, float* sums) {
    constexpr size_t CHUNK = 8;  // steps whose positions stay in the first-level cache
    const std::vector<int32_t>& steps = cover.steps;
    const int64_t row = row_length(cover), row_bytes = row * sizeof(bf16);
    for (size_t from = 0; from < steps.size(); from += CHUNK) {
        const size_t to = from + CHUNK < steps.size() ? from + CHUNK : steps.size();
        for (int64_t tap = 0; tap < taps; ++tap) {
            float* sum = sums + tap * 4 * TILE;
            _tile_loadd(0, sum, 64);
            _tile_loadd(1, sum + TILE, 64);
            _tile_loadd(2, sum + 2 * TILE, 64);
            _tile_loadd(3, sum + 3 * TILE, 64);
            // What a tap adds at a position came from the position against its shift.
            const bf16* pairs = f.pairs + output * cover.strip.stored() -
                                cover.strip.shift(tap, taps) * BLOCK;
            for (size_t i = from; i < to; ++i) {
                const bf16* a = f.transposed + input * row + i * BLOCK;
                const bf16* b = pairs + steps[i] * BLOCK;
                _tile_loadd(4, a, row_bytes);
                _tile_loadd(6, b, 128);
                _tile_loadd(7, b + BLOCK, 128);
                _tile_loadd(5, a + SIDE * row, row_bytes);
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
