// The matrix tiles of AMX in plain C++, for processors with AVX512-BF16 that have none, and for
// sanitizers, which see every load and store here and none of an instruction on tiles. Included
// before everything else.

#pragma once

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#ifndef __AMX_BF16__
#define __AMX_BF16__ 1
#endif

namespace emulated {

inline thread_local char tiles[8][16][64];

inline void load(int tile, const void* base, int64_t stride) {
    for (int row = 0; row < 16; ++row)
        std::memcpy(tiles[tile][row], static_cast<const char*>(base) + row * stride, 64);
}

inline void store(int tile, void* base, int64_t stride) {
    for (int row = 0; row < 16; ++row)
        std::memcpy(static_cast<char*>(base) + row * stride, tiles[tile][row], 64);
}

inline float number(int tile, int row, int column) {
    uint16_t half;
    std::memcpy(&half, tiles[tile][row] + 2 * column, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

inline void multiply(int to, int a, int b) {
    float sums[16][16];
    std::memcpy(sums, tiles[to], sizeof(sums));
    for (int row = 0; row < 16; ++row)
        for (int k = 0; k < 32; ++k) {
            const float factor = number(a, row, k);
            for (int column = 0; column < 16; ++column)
                sums[row][column] += factor * number(b, k / 2, 2 * column + k % 2);
        }
    std::memcpy(tiles[to], sums, sizeof(sums));
}

}  // namespace emulated

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadd(tile, base, stride) emulated::load(tile, base, stride)
#define _tile_stored(tile, base, stride) emulated::store(tile, base, stride)
#define _tile_zero(tile) std::memset(emulated::tiles[tile], 0, sizeof(emulated::tiles[tile]))
#define _tile_dpbf16ps(to, a, b) emulated::multiply(to, a, b)
#define _tile_loadconfig(shape) static_cast<void>(shape)
#define _tile_release() static_cast<void>(0)
#define syscall(...) 0
