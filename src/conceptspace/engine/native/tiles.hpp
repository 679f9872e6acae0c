// The matrix tiles of AMX, and the instructions of AVX-512 that prepare numbers for them.

#pragma once

#if defined(__linux__) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512BW__)
#define CONCEPTSPACE_TILES 1

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

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

}  // namespace conceptspace

#endif
