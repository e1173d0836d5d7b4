/* AVX-512 with VNNI: up to 14 rows by 32 outputs stay in registers (28 sums, 2
 * of weights, 1 of activations). A query's rows are one such tile: the weights
 * go by once. */
#if defined(__x86_64__)
#include <immintrin.h>

#define EMBED_LANES         16
#define EMBED_ISA           __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define EMBED_QUERIES       14
#define EMBED_LARGER(a, b)  ((lanes_f)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define EMBED_SMALLER(a, b) ((lanes_f)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define EMBED_SUM(v)        _mm512_reduce_add_ps((__m512)(v))
#define EMBED_LEAST(v)      _mm512_reduce_min_ps((__m512)(v))
#define EMBED_MOST(v)       _mm512_reduce_max_ps((__m512)(v))
/* Around the intrinsics gcc 12 copies and spills sums in every step, which costs
 * a third of the speed; told like this it leaves them be. */
#define EMBED_ADD_PRODUCT(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

#define EMBED_OWN_SET_APART
#define EMBED_OWN_TURN
#include "embed/kernels_float.h"

INLINE void turn(const float *from, size_t stride, float *to, size_t to_stride)
{
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + stride), c = _mm_loadu_ps(from + 2 * stride),
           d = _mm_loadu_ps(from + 3 * stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + to_stride, b);
    _mm_storeu_ps(to + 2 * to_stride, c);
    _mm_storeu_ps(to + 3 * to_stride, d);
}

enum { ROWS = 14, PANELS = 2, LINE = 64 };

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

/* `count` rows whose codes lie as put_across leaves them. */
struct tile {
    const uint8_t *across;
    const float *step, *low;
    float *out;
    /* Weights that will be wanted next, and how much of them a step fetches:
     * nothing else would see them coming. */
    const int8_t *ahead;
    size_t fetch;
};

/* The rows' sums for outputs n to n + 32. */
INLINE void multiply_tile(const struct embed_matrix *m, size_t n, const struct tile *t, size_t count)
{
    const size_t panel = 16 * (size_t)m->inputs;
    const int8_t *w = m->codes + n * m->inputs, *end = w + panel, *ahead = t->ahead;
    const uint8_t *x = t->across;
    __m512i dot[ROWS][PANELS];
    for (size_t p = 0; p < PANELS; p++) {
        _mm_prefetch((const char *)(m->scale + n + 16 * p), _MM_HINT_T0);
        _mm_prefetch((const char *)(m->sums + n + 16 * p), _MM_HINT_T0);
        _mm_prefetch((const char *)(m->bias + n + 16 * p), _MM_HINT_T0);
    }
#pragma GCC unroll 14
    for (size_t r = 0; r < count; r++)
        dot[r][0] = dot[r][1] = _mm512_setzero_si512();
    for (; w < end; w += LINE, x += 4 * count, ahead += t->fetch) {
        const __m512i left = _mm512_loadu_si512(w), right = _mm512_loadu_si512(w + panel);
        _mm_prefetch(ahead, _MM_HINT_T0);
        _mm_prefetch(ahead + LINE, _MM_HINT_T0);
#pragma GCC unroll 14
        for (size_t r = 0; r < count; r++) {
            int32_t four;
            memcpy(&four, x + 4 * r, sizeof four);
            const __m512i codes = _mm512_set1_epi32(four);
            add_products(&dot[r][0], codes, left);
            add_products(&dot[r][1], codes, right);
        }
    }
#pragma GCC unroll 14
    for (size_t r = 0; r < count; r++)
#pragma GCC unroll 2
        for (size_t p = 0; p < PANELS; p++)
            store_sums(m, n + 16 * p, dot[r][p], t->step[r], t->low[r], t->out + r * m->outputs);
}

typedef void tile_fn(const struct embed_matrix *m, size_t n, const struct tile *t);
#define TILE_OF(count)                                                                                               \
    EMBED_ISA static void multiply_##count(const struct embed_matrix *m, size_t n, const struct tile *t)             \
    {                                                                                                                \
        multiply_tile(m, n, t, count);                                                                               \
    }
TILE_OF(1)
TILE_OF(2)
TILE_OF(3)
TILE_OF(4)
TILE_OF(5)
TILE_OF(6)
TILE_OF(7)
TILE_OF(8)
TILE_OF(9)
TILE_OF(10)
TILE_OF(11)
TILE_OF(12)
TILE_OF(13)
TILE_OF(14)
static tile_fn *const tiles[ROWS + 1] = {
    NULL,       multiply_1, multiply_2,  multiply_3,  multiply_4,  multiply_5,  multiply_6,  multiply_7,
    multiply_8, multiply_9, multiply_10, multiply_11, multiply_12, multiply_13, multiply_14,
};

/* Four codes of each row after the other, then the next four of each: a tile
 * reads them in one stream. */
EMBED_ISA static void put_across(const uint8_t *codes, size_t inputs, size_t count, uint8_t *across)
{
    size_t r = 0;
    for (; r + 4 <= count; r += 4)
        for (size_t k = 0; k < inputs; k += 16)
            turn((const float *)(const void *)(codes + r * inputs + k), inputs / 4,
                 (float *)(void *)(across + k * count + 4 * r), count);
    for (; r < count; r++)
        for (size_t k = 0; k < inputs; k += 4)
            memcpy(across + k * count + 4 * r, codes + r * inputs + k, 4);
}

EMBED_ISA static void multiply_avx512(const struct embed_matrix *m, const struct embed_rows *rows, float *out)
{
    const size_t inputs = m->inputs, outputs = m->outputs;
    for (size_t first = 0, height; first < rows->count; first += height) {
        height = tile_height(rows->count - first, ROWS);
        put_across(rows->codes + first * inputs, inputs, height, rows->room + first * inputs);
    }
    /* What comes next is as much as this: two lines a step in one tile, or one in two of them. */
    const size_t fetch = rows->count > ROWS ? LINE : 2 * LINE;
    for (size_t n = 0; n < outputs; n += 16 * PANELS) {
        const int8_t *ahead = m->codes + (n + 16 * PANELS) * inputs;
        if (n + 16 * PANELS == outputs)
            ahead = m->next ? m->next : m->codes;
        for (size_t first = 0, height, tile = 0; first < rows->count; first += height, tile++) {
            height = tile_height(rows->count - first, ROWS);
            const struct tile t = {
                .across = rows->room + first * inputs,
                .step = rows->step + first,
                .low = rows->low + first,
                .out = out + first * outputs,
                .ahead = ahead + TN_MIN(tile, 1) * inputs / 4 * LINE,
                .fetch = tile < 2 ? fetch : 0,
            };
            tiles[height](m, n, &t);
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
