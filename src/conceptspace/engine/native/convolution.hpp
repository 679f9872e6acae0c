// Convolutions of strips of bfloat16 images by the matrix tiles; sums are float32.

#pragma once

#include <cstdint>

#include "strips.hpp"

namespace conceptspace {

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

}  // namespace conceptspace
