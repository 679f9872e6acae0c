// A 3x3 convolution in float32 and the gradient of its weights, zeros around the image, channels
// stored innermost.
//
// Winograd's F(4x4, 3x3), with the matrices of Lavin and Gray (2016): a tile of 4x4 results comes
// from 6x6 pixels. Pixels and weights are transformed so that a pair of channels needs one product
// at each of 36 places, instead of 144; the sums of products are transformed into results. The
// gradient goes the same way back.

#include <omp.h>

#include <algorithm>
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
constexpr int64_t ROWS = 6;          // Tiles whose sums fill the registers,
constexpr int64_t WIDE = 2 * LANES;  // for so many outputs at once.
constexpr int64_t FEW = 4;           // Inputs whose products with the gradient are summed at once.
constexpr int64_t TILES = 4 * ROWS;  // Tiles that are transformed together and stay in the cache.
constexpr int64_t PAD = 16;          // Lest the places of a tile share few lines of the cache.

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

// A line of each transform; what it writes is ``to`` apart.

inline void transform_pixels(const Vector* d, Vector* v, int to) {
    const Vector a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1];
    const Vector c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
    v[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    v[to] = a + b;
    v[2 * to] = a - b;
    v[3 * to] = c + e;
    v[4 * to] = c - e;
    v[5 * to] = 4.0f * d[1] - 5.0f * d[3] + d[5];
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

inline void transform_sums(const Vector* m, Vector* y, int to) {
    const Vector a = m[1] + m[2], b = m[1] - m[2];
    const Vector c = m[3] + m[4], d = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[to] = b + 2.0f * d;
    y[2 * to] = a + 4.0f * c;
    y[3 * to] = b + 8.0f * d + m[5];
}

inline void transform_gradient(const Vector* y, Vector* e, int to) {
    const Vector even = y[0] + y[2], odd = y[1] + y[3];
    const Vector far = y[0] + 4.0f * y[2], apart = 2.0f * y[1] + 8.0f * y[3];
    e[0] = y[0];
    e[to] = even + odd;
    e[2 * to] = even - odd;
    e[3 * to] = far + apart;
    e[4 * to] = far - apart;
    e[5 * to] = y[3];
}

inline void transform_products(const Vector* d, Vector* g, int to) {
    const Vector a = d[1] + d[2], b = d[2] - d[1], c = d[3] + d[4], e = d[3] - d[4];
    g[0] = 0.25f * d[0] - (1.0f / 6) * a + (1.0f / 24) * c;
    g[to] = (1.0f / 6) * b + (1.0f / 12) * e;
    g[2 * to] = (1.0f / 6) * (c - a) + d[5];
}

struct Tile {
    int64_t image, top, left;
};

struct Size {
    int64_t height, width, inputs, outputs;

    int64_t down() const { return (height + 3) / 4; }
    int64_t across() const { return (width + 3) / 4; }
    Tile tile(int64_t index) const {
        const int64_t row = index / across();
        return {row / down(), row % down() * 4, index % across() * 4};
    }
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
        Vector half[PLACES];
        for (int j = 0; j < 6; ++j) {
            Vector line[6];
            for (int i = 0; i < 6; ++i) {
                const int64_t row = top + i - 1, column = left + j - 1;
                const float* from = image + (row * s.width + column) * s.inputs + c;
                line[i] = s.inside(row, column) ? load(from) : Vector{};
            }
            transform_pixels(line, half + j, 6);
        }
        for (int i = 0; i < 6; ++i) {
            Vector line[6];
            transform_pixels(half + 6 * i, line, 1);
            for (int j = 0; j < 6; ++j) store(v + (6 * i + j) * s.pixel_step() + c, line[j]);
        }
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
        const Vector added = bias ? load(bias + n) : Vector{};
        Vector half[24];
        for (int j = 0; j < 6; ++j) {
            Vector line[6];
            for (int i = 0; i < 6; ++i) line[i] = load(m + (6 * i + j) * s.sum_step() + n);
            transform_sums(line, half + j, 6);
        }
        for (int i = 0; i < 4; ++i) {
            Vector line[4];
            transform_sums(half + 6 * i, line, 1);
            for (int j = 0; j < 4; ++j) {
                const int64_t row = top + i, column = left + j;
                if (s.inside(row, column))
                    store(image + (row * s.width + column) * s.outputs + n, line[j] + added);
            }
        }
    }
}

// One tile of the results' gradient (height, width, outputs) to its row in e (places, TILES,
// outputs).
void gradient_to_places(const float* image, int64_t top, int64_t left, float* e, Size s) {
    for (int64_t n = 0; n < s.outputs; n += LANES) {
        Vector half[24];
        for (int j = 0; j < 4; ++j) {
            Vector line[4];
            for (int i = 0; i < 4; ++i) {
                const int64_t row = top + i, column = left + j;
                const float* from = image + (row * s.width + column) * s.outputs + n;
                line[i] = s.inside(row, column) ? load(from) : Vector{};
            }
            transform_gradient(line, half + j, 4);
        }
        for (int i = 0; i < 6; ++i) {
            Vector line[6];
            transform_gradient(half + 4 * i, line, 1);
            for (int j = 0; j < 6; ++j) store(e + (6 * i + j) * s.sum_step() + n, line[j]);
        }
    }
}

// Adds to d (inputs, outputs) the sum over tiles of v (tiles, inputs) times e (tiles, outputs), for
// FEW inputs and WIDE outputs.
inline void add_products(const float* v, const float* e, float* d, int64_t tiles, Size s) {
    Vector sums[FEW][2];
    for (int r = 0; r < FEW; ++r)
        for (int k = 0; k < 2; ++k) sums[r][k] = load(d + r * s.outputs + k * LANES);
    for (int64_t t = 0; t < tiles; ++t) {
        const Vector a = load(e + t * s.outputs), b = load(e + t * s.outputs + LANES);
        for (int r = 0; r < FEW; ++r) {
            const float value = v[t * s.inputs + r];
            sums[r][0] += value * a;
            sums[r][1] += value * b;
        }
    }
    for (int r = 0; r < FEW; ++r)
        for (int k = 0; k < 2; ++k) store(d + r * s.outputs + k * LANES, sums[r][k]);
}

// From d (places, inputs, outputs) to the weights' gradient (3, 3, inputs, outputs).
void places_to_weights(const float* d, float* weight, Size s) {
#pragma omp for
    for (int64_t c = 0; c < s.inputs; ++c) {
        for (int64_t n = 0; n < s.outputs; n += LANES) {
            Vector half[18];
            for (int j = 0; j < 6; ++j) {
                Vector line[6];
                for (int i = 0; i < 6; ++i)
                    line[i] = load(d + (6 * i + j) * s.weight_step() + c * s.outputs + n);
                transform_products(line, half + j, 6);
            }
            for (int i = 0; i < 3; ++i) {
                Vector line[3];
                transform_products(half + 6 * i, line, 1);
                for (int j = 0; j < 3; ++j)
                    store(weight + ((3 * i + j) * s.inputs + c) * s.outputs + n, line[j]);
            }
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
    const int64_t tiles = images * s.down() * s.across();
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
                const Tile tile = s.tile(first + t);
                pixels_to_places(x + tile.image * height * width * inputs, tile.top, tile.left,
                                 v + t * inputs, s);
            }
            for (int64_t i = 0; i < PLACES; ++i)
                for (int64_t o = 0; o < outputs; o += WIDE)
                    for (int64_t t = 0; t < count; t += ROWS)
                        multiply(v + i * s.pixel_step() + t * inputs,
                                 u + i * s.weight_step() + o * inputs,
                                 m + i * s.sum_step() + t * outputs + o, s);
            for (int64_t t = 0; t < count; ++t) {
                const Tile tile = s.tile(first + t);
                places_to_results(m + t * outputs, bias,
                                  out + tile.image * height * width * outputs, tile.top, tile.left,
                                  s);
            }
        }
    }
}

// grad: of the results; grad_weight: (3, 3, inputs, outputs). The tiles are summed in their order.
void winograd_weight_gradient(const float* grad, const float* x, float* grad_weight, int64_t images,
                              int64_t height, int64_t width, int64_t inputs, int64_t outputs) {
    const Size s{height, width, inputs, outputs};
    const int64_t tiles = images * s.down() * s.across();
    static thread_local std::vector<float> kept;
    kept.resize(PLACES * (s.weight_step() + s.pixel_step() + s.sum_step()));
    float *const d = kept.data(), *const v = d + PLACES * s.weight_step();
    std::fill(d, v, 0.0f);
    float* const e = v + PLACES * s.pixel_step();
#pragma omp parallel
    {
        for (int64_t first = 0; first < tiles; first += TILES) {
            const int64_t count = tiles - first < TILES ? tiles - first : TILES;
#pragma omp for
            for (int64_t t = 0; t < count; ++t) {
                const Tile tile = s.tile(first + t);
                pixels_to_places(x + tile.image * height * width * inputs, tile.top, tile.left,
                                 v + t * inputs, s);
                gradient_to_places(grad + tile.image * height * width * outputs, tile.top,
                                   tile.left, e + t * outputs, s);
            }
#pragma omp for
            for (int64_t i = 0; i < PLACES; ++i)
                for (int64_t o = 0; o < outputs; o += WIDE)
                    for (int64_t c = 0; c < inputs; c += FEW)
                        add_products(v + i * s.pixel_step() + c, e + i * s.sum_step() + o,
                                     d + i * s.weight_step() + c * outputs + o, count, s);
        }
        places_to_weights(d, grad_weight, s);
    }
}

}  // extern "C"
