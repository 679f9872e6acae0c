// The gradient of a convolution's weights by the matrix tiles; sums are float32.

#pragma once

#include <cstdint>
#include <vector>

#include "strips.hpp"

namespace conceptspace {

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
