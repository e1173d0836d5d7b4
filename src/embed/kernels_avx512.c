/* AVX-512 with VNNI: six rows by 64 outputs stay in registers (24 sums, 4
 * loads of weights, 1 of activations). */
#if defined(__x86_64__)
#include <immintrin.h>

#define EMBED_LANES         16
#define EMBED_ISA           __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define EMBED_QUERIES       12
#define EMBED_LARGER(a, b)  ((lanes_f)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define EMBED_SMALLER(a, b) ((lanes_f)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define EMBED_INVERSE(x)    inverse_512(x)
/* Around the intrinsics gcc 12 copies and spills sums in every step, which costs
 * a third of the speed; told like this it leaves them be. */
#define EMBED_ADD_PRODUCT(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

/* 14 bits, and one step of Newton's. */
EMBED_ISA static inline __m512 inverse_512(__m512 x)
{
    __m512 near = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(near, _mm512_fnmadd_ps(x, near, _mm512_set1_ps(2.0F)));
}

#define EMBED_OWN_SET_APART
#include "embed/kernels_float.h"

enum { ROWS = 6, PANELS = 4 };

INLINE void store_sums(const struct embed_matrix *m, size_t n, __m512i dot, float step, float low, float *out)
{
    __m512 constant =
        _mm512_fmadd_ps(_mm512_loadu_ps(m->sums + n), _mm512_set1_ps(low), _mm512_loadu_ps(m->bias + n));
    __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_loadu_ps(m->scale + n));
    _mm512_storeu_ps(out + n, _mm512_fmadd_ps(scaled, _mm512_set1_ps(step), constant));
}

INLINE void add_products(__m512i *sum, __m512i codes, __m512i weights)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(codes), "v"(weights));
}

/* Rows first to first + count by outputs n to n + 64. `ahead`: the weights of
 * the next 64 are fetched meanwhile, which nothing else would see coming. */
INLINE void multiply_tile(const struct embed_matrix *m, const struct embed_rows *rows, size_t first, size_t count,
                          size_t n, bool ahead, float *out)
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
        for (size_t p = 0; p < PANELS; p++) {
            weights[p] = _mm512_loadu_si512(w + p * 16 * inputs + k * 16);
            if (ahead)
                _mm_prefetch(w + (p + PANELS) * 16 * inputs + k * 16, _MM_HINT_T1);
        }
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
        if (rows->count >= 2 * ROWS && n + 64 < m->outputs) {
            multiply_tile(m, rows, 0, ROWS, n, true, out);
            row = ROWS;
        }
        for (; row + ROWS <= rows->count; row += ROWS)
            multiply_tile(m, rows, row, ROWS, n, false, out);
        switch (rows->count - row) {
        case 5:
            multiply_tile(m, rows, row, 5, n, false, out);
            break;
        case 4:
            multiply_tile(m, rows, row, 4, n, false, out);
            break;
        case 3:
            multiply_tile(m, rows, row, 3, n, false, out);
            break;
        case 2:
            multiply_tile(m, rows, row, 2, n, false, out);
            break;
        case 1:
            multiply_tile(m, rows, row, 1, n, false, out);
            break;
        default:
            break;
        }
    }
}

/* By masks. */
INLINE size_t set_apart(const float *x, size_t n, struct row_range *range, uint32_t row, struct embed_outlier *out)
{
    const __m512 below = _mm512_set1_ps(range->below), above = _mm512_set1_ps(range->above);
    __m512 low = above, high = below;
    size_t count = 0;
    for (size_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        __mmask16 inside = _mm512_cmp_ps_mask(v, below, _CMP_GE_OQ) & _mm512_cmp_ps_mask(v, above, _CMP_LE_OQ);
        low = _mm512_mask_min_ps(low, inside, v, low);
        high = _mm512_mask_max_ps(high, inside, v, high);
        for (unsigned left = 0xffffU & ~(unsigned)inside; left != 0; left &= left - 1) {
            if (count == EMBED_OUTLIERS)
                return 0;
            const size_t column = i + (size_t)__builtin_ctz(left);
            out[count++] = (struct embed_outlier){.row = row, .column = (uint32_t)column, .rest = x[column]};
        }
    }
    const float least = _mm512_reduce_min_ps(low), most = _mm512_reduce_max_ps(high);
    if (!(least < most))
        return 0;
    range->least = least;
    range->most = most;
    for (size_t i = 0; i < count; i++)
        out[i].rest -= out[i].rest < least ? least : most;
    return count;
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
