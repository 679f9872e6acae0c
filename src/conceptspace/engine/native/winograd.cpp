// A 3x3 convolution in float32, zeros around the image, the channels stored innermost.
//
// Winograd's F(4x4, 3x3), with the matrices of Lavin and Gray (2016): a tile of 4x4 results comes
// from 6x6 pixels. Pixels and weights are transformed so that a pair of channels needs one product
// at each of 36 places, instead of 144; the sums of these products are transformed into results.

#include <omp.h>

#include <cstdint>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int64_t LANES = 16;
#elif defined(__AVX__)
constexpr int64_t LANES = 8;
#else
constexpr int64_t LANES = 4;
#endif
constexpr int PLACES = 36;
constexpr int64_t ROWS = 6;           // Tiles that are multiplied together: their sums fill the registers.
constexpr int64_t WIDE = 2 * LANES;   // Outputs that are.
constexpr int64_t TILES = 4 * ROWS;   // Tiles that are transformed together: they stay in the cache.
constexpr int64_t PAD = 16;           // Lest the places of a tile share few lines of the cache.

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

// A line of each transform. What it reads is ``from`` apart, what it writes ``to``.

inline void transform_pixels(const Vector* d, Vector* v, int step) {
    const Vector a = d[4 * step] - 4.0f * d[2 * step], b = d[3 * step] - 4.0f * d[step];
    const Vector c = d[4 * step] - d[2 * step], e = 2.0f * (d[3 * step] - d[step]);
    v[0] = 4.0f * d[0] - 5.0f * d[2 * step] + d[4 * step];
    v[step] = a + b;
    v[2 * step] = a - b;
    v[3 * step] = c + e;
    v[4 * step] = c - e;
    v[5 * step] = 4.0f * d[step] - 5.0f * d[3 * step] + d[5 * step];
}

inline void transform_taps(const Vector* g, Vector* u, int from, int to) {
    const Vector near = g[0] + g[2 * from], far = 0.25f * g[0] + g[2 * from];
    u[0] = 0.25f * g[0];
    u[to] = (-1.0f / 6) * (near + g[from]);
    u[2 * to] = (-1.0f / 6) * (near - g[from]);
    u[3 * to] = (1.0f / 6) * (far + 0.5f * g[from]);
    u[4 * to] = (1.0f / 6) * (far - 0.5f * g[from]);
    u[5 * to] = g[2 * from];
}

inline void transform_sums(const Vector* m, Vector* y, int step) {
    const Vector a = m[step] + m[2 * step], b = m[step] - m[2 * step];
    const Vector c = m[3 * step] + m[4 * step], d = m[3 * step] - m[4 * step];
    y[0] = m[0] + a + c;
    y[step] = b + 2.0f * d;
    y[2 * step] = a + 4.0f * c;
    y[3 * step] = b + 8.0f * d + m[5 * step];
}

struct Size {
    int64_t height, width, inputs, outputs;

    int64_t down() const { return (height + 3) / 4; }
    int64_t across() const { return (width + 3) / 4; }
    bool inside(int64_t row, int64_t column) const {
        return row >= 0 && row < height && column >= 0 && column < width;
    }
    // From one place to the next.
    int64_t weight_step() const { return inputs * outputs + PAD; }
    int64_t pixel_step() const { return TILES * inputs + PAD; }
    int64_t sum_step() const { return TILES * outputs + PAD; }
};

// From weight (3, 3, inputs, outputs) to u (places, outputs / WIDE, inputs, WIDE).
void weights_to_places(const float* weight, float* u, Size s) {
#pragma omp for
    for (int64_t c = 0; c < s.inputs; ++c) {
        for (int64_t n = 0; n < s.outputs; n += LANES) {
            Vector taps[9], half[18], whole[PLACES];
            for (int i = 0; i < 9; ++i) taps[i] = load(weight + (i * s.inputs + c) * s.outputs + n);
            for (int i = 0; i < 3; ++i) transform_taps(taps + i, half + i, 3, 3);
            for (int i = 0; i < 6; ++i) transform_taps(half + 3 * i, whole + 6 * i, 1, 1);
            float* to = u + (n / WIDE * s.inputs + c) * WIDE + n % WIDE;
            for (int i = 0; i < PLACES; ++i) store(to + i * s.weight_step(), whole[i]);
        }
    }
}

// One tile of an image (height, width, inputs), to its row in v (places, TILES, inputs).
void pixels_to_places(const float* image, int64_t top, int64_t left, float* v, Size s) {
    for (int64_t c = 0; c < s.inputs; c += LANES) {
        Vector pixels[PLACES], half[PLACES];
        for (int i = 0; i < PLACES; ++i) {
            const int64_t row = top + i / 6 - 1, column = left + i % 6 - 1;
            const float* from = image + (row * s.width + column) * s.inputs + c;
            pixels[i] = s.inside(row, column) ? load(from) : Vector{};
        }
        for (int i = 0; i < 6; ++i) transform_pixels(pixels + i, half + i, 6);
        for (int i = 0; i < 6; ++i) transform_pixels(half + 6 * i, pixels + 6 * i, 1);
        for (int i = 0; i < PLACES; ++i) store(v + i * s.pixel_step() + c, pixels[i]);
    }
}

// ROWS tiles at one place: sums (ROWS, WIDE of outputs) of v (ROWS, inputs) times u (inputs, WIDE).
inline void multiply(const float* v, const float* u, float* m, Size s) {
    Vector sums[ROWS][2] = {};
    for (int64_t c = 0; c < s.inputs; ++c) {
        const Vector a = load(u + c * WIDE), b = load(u + c * WIDE + LANES);
        for (int r = 0; r < ROWS; ++r) {
            const float value = v[r * s.inputs + c];
            sums[r][0] += value * a;
            sums[r][1] += value * b;
        }
    }
    for (int r = 0; r < ROWS; ++r) {
        store(m + r * s.outputs, sums[r][0]);
        store(m + r * s.outputs + LANES, sums[r][1]);
    }
}

// One tile from its row in m (places, TILES, outputs) to an image (height, width, outputs).
void places_to_results(const float* m, const float* bias, float* image, int64_t top, int64_t left,
                       Size s) {
    for (int64_t n = 0; n < s.outputs; n += LANES) {
        Vector sums[PLACES], half[24], results[24];
        for (int i = 0; i < PLACES; ++i) sums[i] = load(m + i * s.sum_step() + n);
        for (int i = 0; i < 6; ++i) transform_sums(sums + i, half + i, 6);
        for (int i = 0; i < 4; ++i) transform_sums(half + 6 * i, results + 6 * i, 1);
        const Vector added = bias ? load(bias + n) : Vector{};
        for (int i = 0; i < 16; ++i) {
            const int64_t row = top + i / 4, column = left + i % 4;
            if (s.inside(row, column))
                store(image + (row * s.width + column) * s.outputs + n,
                      results[i / 4 * 6 + i % 4] + added);
        }
    }
}

}  // namespace

extern "C" {

// weight: (3, 3, inputs, outputs); bias may be null.
void winograd_convolution(const float* x, const float* weight, const float* bias, float* out,
                          int64_t images, int64_t height, int64_t width, int64_t inputs,
                          int64_t outputs) {
    const Size s{height, width, inputs, outputs};
    const int64_t per_image = s.down() * s.across(), tiles = images * per_image;
    static thread_local std::vector<float> kept;
    kept.resize(PLACES * s.weight_step());
    float* const u = kept.data();
#pragma omp parallel
    {
        weights_to_places(weight, u, s);
        static thread_local std::vector<float> buffer;
        buffer.resize(PLACES * (s.pixel_step() + s.sum_step()));
        float *v = buffer.data(), *m = v + PLACES * s.pixel_step();
        const int64_t threads = omp_get_num_threads(), share = (tiles + threads - 1) / threads;
        const int64_t most = share < TILES ? share : TILES;
#pragma omp for
        for (int64_t first = 0; first < tiles; first += most) {
            const int64_t count = tiles - first < most ? tiles - first : most;
            for (int64_t t = 0; t < count; ++t) {
                const int64_t n = (first + t) / per_image, tile = (first + t) % per_image;
                pixels_to_places(x + n * height * width * inputs, tile / s.across() * 4,
                                 tile % s.across() * 4, v + t * inputs, s);
            }
            for (int64_t i = 0; i < PLACES; ++i)
                for (int64_t o = 0; o < outputs; o += WIDE)
                    for (int64_t t = 0; t < count; t += ROWS)
                        multiply(v + i * s.pixel_step() + t * inputs,
                                 u + i * s.weight_step() + o * inputs,
                                 m + i * s.sum_step() + t * outputs + o, s);
            for (int64_t t = 0; t < count; ++t) {
                const int64_t n = (first + t) / per_image, tile = (first + t) % per_image;
                places_to_results(m + t * outputs, bias, out + n * height * width * outputs,
                                  tile / s.across() * 4, tile % s.across() * 4, s);
            }
        }
    }
}

}  // extern "C"
