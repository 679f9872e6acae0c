// How images lie in memory for the tiles, so that a convolution needs no copy for every tap.
//
// A strip holds some images pixel by pixel: the first pixel of all, the second of all, and so on,
// the channels of each innermost, with a column of zeros to the right and a row of zeros below. So
// a tap of a convolution is one shift for all positions, and 16 positions next to each other, read
// at the tap's shift, are the first factor of a tile product as they lie in memory.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "tiles.hpp"

namespace conceptspace {

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

}  // namespace conceptspace
