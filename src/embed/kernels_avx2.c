/* 256 bits: AVX2, and the two forms of VNNI at that width.
 *
 * maddubs adds two products into 16 bits and saturates, so AVX2 has two
 * tables: "avx2" keeps activations to 7 bits, where nothing can saturate, and
 * "avx2exact" splits 8-bit ones into the upper seven bits and the last.
 */
#if defined(__x86_64__)
#define EMBED_LANES 8
#define EMBED_ISA   __attribute__((target("avx2,fma")))
#include "embed/kernels_float.h"

#include <immintrin.h>

enum { ROWS = 5 };

EMBED_ISA static size_t quantise_127(const float *x, size_t rows, size_t n, uint8_t *codes, float *ret_step,
                                     float *ret_low, struct embed_outlier *ret_outliers)
{
    size_t apart = 0;
    for (size_t i = 0; i < rows; i++)
        apart += quantise_row(x + i * n, n, 127, codes + i * n, ret_step + i, ret_low + i, (uint32_t)i,
                              ret_outliers + apart);
    return apart;
}

INLINE void store_sums(const struct embed_matrix *m, size_t n, __m256i dot, float step, float low, float *out)
{
    __m256 constant =
        _mm256_fmadd_ps(_mm256_loadu_ps(m->sums + n), _mm256_set1_ps(low), _mm256_loadu_ps(m->bias + n));
    __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), _mm256_loadu_ps(m->scale + n));
    _mm256_storeu_ps(out + n, _mm256_fmadd_ps(scaled, _mm256_set1_ps(step), constant));
}

/* Sums of four products each, by the ways that CPUs offer. */
#define DOT_7BIT(sum, codes, weights)                                                                                \
    _mm256_add_epi32((sum), _mm256_madd_epi16(_mm256_maddubs_epi16((codes), (weights)), _mm256_set1_epi16(1)))
#define DOT_SPLIT(sum, codes, weights)                                                                               \
    _mm256_add_epi32(                                                                                                \
        _mm256_add_epi32(                                                                                            \
            (sum), _mm256_madd_epi16(_mm256_maddubs_epi16(UPPER_SEVEN(codes), (weights)), _mm256_set1_epi16(2))),    \
        _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_and_si256((codes), _mm256_set1_epi8(1)), (weights)),           \
                          _mm256_set1_epi16(1)))
#define UPPER_SEVEN(codes)               _mm256_and_si256(_mm256_srli_epi16((codes), 1), _mm256_set1_epi8(127))
#define DOT_VNNI(sum, codes, weights)    _mm256_dpbusd_epi32((sum), (codes), (weights))
#define DOT_AVXVNNI(sum, codes, weights) _mm256_dpbusd_avx_epi32((sum), (codes), (weights))

/* Five rows by 16 outputs: ten sums, two loads of weights, one of activations.
 * A function can be compiled for one instruction set only, hence a macro that
 * makes the same two functions four times. */
#define DEFINE_MULTIPLY(name, isa, DOT)                                                                              \
    __attribute__((target(isa), always_inline)) static inline void name##_tile(                                      \
        const struct embed_matrix *m, const struct embed_rows *rows, size_t first, size_t count, size_t n,           \
        float *out)                                                                                                  \
    {                                                                                                                \
        size_t inputs = m->inputs;                                                                                   \
        const uint8_t *x = rows->codes + first * inputs;                                                             \
        const int8_t *w = m->codes + n * inputs;                                                                     \
        __m256i left[ROWS], right[ROWS];                                                                             \
        for (size_t r = 0; r < count; r++)                                                                           \
            left[r] = right[r] = _mm256_setzero_si256();                                                             \
        for (size_t k = 0; k < inputs; k += 4, w += 64) {                                                            \
            __m256i w0 = _mm256_loadu_si256((const __m256i *)(const void *)w);                                       \
            __m256i w1 = _mm256_loadu_si256((const __m256i *)(const void *)(w + 32));                                \
            _Pragma("GCC unroll 5") for (size_t r = 0; r < count; r++)                                               \
            {                                                                                                        \
                int32_t four;                                                                                        \
                memcpy(&four, x + r * inputs + k, sizeof four);                                                      \
                __m256i codes = _mm256_set1_epi32(four);                                                             \
                left[r] = DOT(left[r], codes, w0);                                                                   \
                right[r] = DOT(right[r], codes, w1);                                                                 \
            }                                                                                                        \
        }                                                                                                            \
        for (size_t r = 0; r < count; r++) {                                                                         \
            float *row = out + (first + r) * m->outputs;                                                             \
            store_sums(m, n, left[r], rows->step[first + r], rows->low[first + r], row);                             \
            store_sums(m, n + 8, right[r], rows->step[first + r], rows->low[first + r], row);                        \
        }                                                                                                            \
    }                                                                                                                \
    __attribute__((target(isa))) static void name(const struct embed_matrix *m, const struct embed_rows *rows,       \
                                                  float *out)                                                        \
    {                                                                                                                \
        for (size_t n = 0; n < m->outputs; n += 16) {                                                                \
            size_t row = 0;                                                                                          \
            for (; row + ROWS <= rows->count; row += ROWS)                                                           \
                name##_tile(m, rows, row, ROWS, n, out);                                                             \
            for (; row + 2 <= rows->count; row += 2)                                                                 \
                name##_tile(m, rows, row, 2, n, out);                                                                \
            if (row < rows->count)                                                                                   \
                name##_tile(m, rows, row, 1, n, out);                                                                \
        }                                                                                                            \
    }

DEFINE_MULTIPLY(multiply_avx2, "avx2,fma", DOT_7BIT)
DEFINE_MULTIPLY(multiply_avx2exact, "avx2,fma", DOT_SPLIT)
DEFINE_MULTIPLY(multiply_avxvnni, "avx2,fma,avxvnni", DOT_AVXVNNI)
DEFINE_MULTIPLY(multiply_vnni256, "avx2,fma,avx512f,avx512vl,avx512vnni", DOT_VNNI)

#define TABLE(set, most, coder)                                                                                      \
    const struct embed_kernels embed_kernels_##set = {                                                               \
        .name = #set,                                                                                                \
        .steps = (most),                                                                                             \
        .quantise = (coder),                                                                                         \
        .multiply = multiply_##set,                                                                                  \
        .correct = correct,                                                                                          \
        .normalise = normalise,                                                                                      \
        .gelu = gelu,                                                                                                \
        .attend = attend,                                                                                            \
    }

TABLE(avx2, 127, quantise_127);
TABLE(avx2exact, 255, quantise_255);
TABLE(avxvnni, 255, quantise_255);
TABLE(vnni256, 255, quantise_255);
#else
typedef int embed_kernels_avx2_is_for_x86;
#endif
