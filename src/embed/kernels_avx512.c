/* AVX-512 with VNNI: six rows by 64 outputs stay in registers (24 sums, 4
 * loads of weights, 1 of activations). */
#if defined(__x86_64__)
#define EMBED_LANES 16
#define EMBED_ISA   __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#include "embed/kernels_float.h"

#include <immintrin.h>

enum { ROWS = 6, PANELS = 4 };

INLINE void store_sums(const struct embed_matrix *m, size_t n, __m512i dot, float step, float low, float *out)
{
    __m512 constant =
        _mm512_fmadd_ps(_mm512_loadu_ps(m->sums + n), _mm512_set1_ps(low), _mm512_loadu_ps(m->bias + n));
    __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_loadu_ps(m->scale + n));
    _mm512_storeu_ps(out + n, _mm512_fmadd_ps(scaled, _mm512_set1_ps(step), constant));
}

/* vpdpbusd. Around the intrinsic gcc 12 copies and spills the sums in every
 * step, which costs a third of the speed; told like this it leaves them be. */
INLINE void add_products(__m512i *sum, __m512i codes, __m512i weights)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(codes), "v"(weights));
}

/* Rows first to first + count by outputs n to n + 64. */
INLINE void multiply_tile(const struct embed_matrix *m, const struct embed_rows *rows, size_t first, size_t count,
                          size_t n, float *out)
{
    size_t inputs = m->inputs;
    const uint8_t *x = rows->codes + first * inputs;
    const int8_t *w = m->codes + n * inputs;
    __m512i dot[ROWS][PANELS];
#pragma GCC unroll 6
    for (size_t r = 0; r < count; r++)
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; p++)
            dot[r][p] = _mm512_setzero_si512();
    for (size_t k = 0; k < inputs; k += 4) {
        __m512i weights[PANELS];
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; p++)
            weights[p] = _mm512_loadu_si512(w + p * 16 * inputs + k * 16);
#pragma GCC unroll 6
        for (size_t r = 0; r < count; r++) {
            int32_t four;
            memcpy(&four, x + r * inputs + k, sizeof four);
            __m512i codes = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (size_t p = 0; p < PANELS; p++)
                add_products(&dot[r][p], codes, weights[p]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < count; r++)
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; p++)
            store_sums(m, n + 16 * p, dot[r][p], rows->step[first + r], rows->low[first + r],
                       out + (first + r) * m->outputs);
}

EMBED_ISA static void multiply_avx512(const struct embed_matrix *m, const struct embed_rows *rows, float *out)
{
    for (size_t n = 0; n < m->outputs; n += 64) {
        size_t row = 0;
        for (; row + ROWS <= rows->count; row += ROWS)
            multiply_tile(m, rows, row, ROWS, n, out);
        switch (rows->count - row) {
        case 5:
            multiply_tile(m, rows, row, 5, n, out);
            break;
        case 4:
            multiply_tile(m, rows, row, 4, n, out);
            break;
        case 3:
            multiply_tile(m, rows, row, 3, n, out);
            break;
        case 2:
            multiply_tile(m, rows, row, 2, n, out);
            break;
        case 1:
            multiply_tile(m, rows, row, 1, n, out);
            break;
        default:
            break;
        }
    }
}

const struct embed_kernels embed_kernels_avx512vnni = {
    .name = "avx512vnni",
    .steps = 255,
    .quantise = quantise_255,
    .multiply = multiply_avx512,
    .correct = correct,
    .normalise = normalise,
    .gelu = gelu,
    .attend = attend,
};
#else
typedef int embed_kernels_avx512_is_for_x86;
#endif
