/* The float parts, written once over vectors of EMBED_LANES floats. A file of
 * kernels defines EMBED_LANES and EMBED_ISA (a target attribute, or nothing),
 * then includes this once; the functions become its own.
 *
 * Compilers lower these vectors to the instruction set that EMBED_ISA names,
 * so there is one text for 128, 256 and 512 bits. Every function here carries
 * EMBED_ISA: code of another set would be correct but slow.
 *
 * A set whose compilers do badly at one of these says its own before that:
 * EMBED_LARGER and EMBED_SMALLER (two vectors in, the second where one of them
 * is no number), EMBED_SUM, EMBED_LEAST and EMBED_MOST (of a vector's lanes),
 * EMBED_ADD_PRODUCT (sum += a * b), and with more registers EMBED_QUERIES, how
 * many queries attention looks at together, at most EMBED_QUERY_ROWS.
 * EMBED_OWN_SET_APART, EMBED_OWN_TURN: the file has its own of that name.
 */
#include "embed/kernels.h"

#include <math.h>
#include <string.h>

typedef float lanes_f __attribute__((vector_size(4 * EMBED_LANES), aligned(4), may_alias));
typedef int32_t lanes_i __attribute__((vector_size(4 * EMBED_LANES), aligned(4), may_alias));
typedef uint32_t lanes_u __attribute__((vector_size(4 * EMBED_LANES), aligned(4), may_alias));
typedef int64_t lanes_l __attribute__((vector_size(4 * EMBED_LANES), aligned(4), may_alias));
typedef uint8_t lanes_b __attribute__((vector_size(EMBED_LANES), aligned(1), may_alias));

/* For what is to stay in registers: aligned as they are. */
typedef float lanes_r __attribute__((vector_size(4 * EMBED_LANES)));

#define INLINE      EMBED_ISA static inline __attribute__((always_inline))
#define LOAD(p)     (*(const lanes_f *)(p))
#define STORE(p, v) (*(lanes_f *)(p) = (v))
#define SPLAT(x)    ((x) - (lanes_f){0})

INLINE lanes_f pick(lanes_i mask, lanes_f a, lanes_f b)
{
    return (lanes_f)(((lanes_i)a & mask) | ((lanes_i)b & ~mask));
}
#ifndef EMBED_LARGER
#define EMBED_LARGER(a, b)  pick((a) > (b), (a), (b))
#define EMBED_SMALLER(a, b) pick((a) < (b), (a), (b))
#endif
#ifndef EMBED_ADD_PRODUCT
#define EMBED_ADD_PRODUCT(sum, a, b) ((sum) += (a) * (b))
#endif
#ifndef EMBED_QUERIES
#define EMBED_QUERIES 4
#endif

INLINE lanes_f larger(lanes_f a, lanes_f b)
{
    return EMBED_LARGER(a, b);
}
INLINE lanes_f smaller(lanes_f a, lanes_f b)
{
    return EMBED_SMALLER(a, b);
}

#ifndef EMBED_SUM
INLINE float sum_lanes(lanes_f v)
{
    float sum = 0;
    for (int i = 0; i < EMBED_LANES; i++)
        sum += v[i];
    return sum;
}

INLINE float least_lane(lanes_f v)
{
    float least = v[0];
    for (int i = 1; i < EMBED_LANES; i++)
        least = v[i] < least ? v[i] : least;
    return least;
}

INLINE float largest_lane(lanes_f v)
{
    float most = v[0];
    for (int i = 1; i < EMBED_LANES; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}
#define EMBED_SUM(v)   sum_lanes(v)
#define EMBED_LEAST(v) least_lane(v)
#define EMBED_MOST(v)  largest_lane(v)
#endif

/* x * (1/2 + erf(x / sqrt 2) / 2). Half of erf(x / sqrt 2), which is odd, is
 * x times a polynomial of x^2 for |x| <= 5, beyond which it is 1/2 within
 * 3e-7; the polynomial was fitted to an equal error of 1e-7 * (1 + 1 / |x|),
 * in a variable that runs from -1 to 1, so that rounding does not add up. */
EMBED_ISA static void gelu(float *x, size_t n)
{
    static const float factors[] = {5.62348694e-4F, -1.57589663e-3F, 1.83713087e-3F, -2.77329003e-3F,
                                    6.30732626e-3F, -1.10906102e-2F, 1.64437927e-2F, -2.32952628e-2F,
                                    3.14348899e-2F, -4.04387787e-2F, 5.15209623e-2F, -7.02964291e-2F,
                                    1.41363785e-1F};
    for (size_t i = 0; i < n; i += EMBED_LANES) {
        const lanes_f v = LOAD(x + i);
        const lanes_f near = smaller(larger(v, SPLAT(-5.0F)), SPLAT(5.0F));
        const lanes_f s = near * near * 0.08F - 1.0F;
        lanes_f p = SPLAT(factors[0]);
#pragma GCC unroll 12
        for (size_t k = 1; k < sizeof factors / sizeof factors[0]; k++)
            p = p * s + factors[k];
        STORE(x + i, v * (near * p + 0.5F));
    }
}

EMBED_ISA static void normalise(float *x, const float *added, size_t rows, size_t n, const struct embed_norm *norm,
                                float epsilon)
{
    for (size_t row = 0; row < rows; row++, x += n) {
        lanes_f sum = {0};
        for (size_t i = 0; i < n; i += EMBED_LANES) {
            lanes_f v = LOAD(x + i);
            if (added)
                v += LOAD(added + row * n + i);
            STORE(x + i, v);
            sum += v;
        }
        float mean = EMBED_SUM(sum) / (float)n;
        lanes_f squares = {0};
        for (size_t i = 0; i < n; i += EMBED_LANES) {
            lanes_f v = LOAD(x + i) - mean;
            squares += v * v;
        }
        float factor = 1.0F / sqrtf(EMBED_SUM(squares) / (float)n + epsilon);
        for (size_t i = 0; i < n; i += EMBED_LANES)
            STORE(x + i, (LOAD(x + i) - mean) * factor * LOAD(norm->gain + i) + LOAD(norm->shift + i));
    }
}

/* Values further than this many standard deviations from their row's mean are
 * outliers. Of 384 normal ones, one in 5,000 rows would be. */
#define OUTLIER_DEVIATIONS 5.0F

/* Least and largest value, and the limits beyond which one is an outlier. */
struct row_range {
    float least, most, below, above;
};

INLINE struct row_range measure_row(const float *x, size_t n)
{
    /* Two of each: a sum waits for the one before. */
    lanes_f low = LOAD(x), high = low, sum = {0}, squares = {0};
    lanes_f low1 = low, high1 = low, sum1 = sum, squares1 = sum;
    for (size_t i = 0; i < n; i += 2 * EMBED_LANES) {
        lanes_f v = LOAD(x + i), v1 = LOAD(x + i + EMBED_LANES);
        low = smaller(v, low);
        high = larger(v, high);
        sum += v;
        squares += v * v;
        low1 = smaller(v1, low1);
        high1 = larger(v1, high1);
        sum1 += v1;
        squares1 += v1 * v1;
    }
    struct row_range range = {.least = EMBED_LEAST(smaller(low1, low)), .most = EMBED_MOST(larger(high1, high))};
    float mean = EMBED_SUM(sum + sum1) / (float)n;
    float variance = EMBED_SUM(squares + squares1) / (float)n - mean * mean;
    float reach = OUTLIER_DEVIATIONS * sqrtf(variance > 0 ? variance : 0);
    range.below = mean - reach;
    range.above = mean + reach;
    return range;
}

/* Finds the outliers and narrows the range to the rest. Returns how many; none
 * where there are too many to be worth it. */
INLINE size_t set_apart(const float *x, size_t n, struct row_range *range, uint32_t row, struct embed_outlier *out);

#ifndef EMBED_OWN_SET_APART
INLINE bool any_lane(lanes_i mask)
{
    const lanes_l pairs = (lanes_l)mask;
    int64_t any = 0;
    for (int i = 0; i < EMBED_LANES / 2; i++)
        any |= pairs[i];
    return any != 0;
}

/* The outliers among 64 values; false when there are too many to be worth it. */
INLINE bool take_outliers(const float *x, size_t first, const struct row_range *range, uint32_t row,
                          struct embed_outlier *out, size_t *count)
{
    for (size_t i = first; i < first + 64; i++) {
        if (x[i] >= range->below && x[i] <= range->above)
            continue;
        if (*count == EMBED_OUTLIERS)
            return false;
        out[(*count)++] = (struct embed_outlier){.row = row, .column = (uint32_t)i, .rest = x[i]};
    }
    return true;
}

INLINE size_t set_apart(const float *x, size_t n, struct row_range *range, uint32_t row, struct embed_outlier *out)
{
    size_t count = 0;
    const lanes_f below = SPLAT(range->below), above = SPLAT(range->above);
    lanes_f low = above, high = below;
    for (size_t at = 0; at < n; at += 64) {
        lanes_i outside = {0};
        for (size_t i = at; i < at + 64; i += EMBED_LANES) {
            lanes_f v = LOAD(x + i);
            lanes_i out_here = ~((v >= below) & (v <= above));
            low = smaller(pick(out_here, above, v), low);
            high = larger(pick(out_here, below, v), high);
            outside |= out_here;
        }
        if (any_lane(outside) && !take_outliers(x, at, range, row, out, &count))
            return 0;
    }
    float least = EMBED_LEAST(low), most = EMBED_MOST(high);
    if (!(least < most))
        return 0;
    range->least = least;
    range->most = most;
    for (size_t i = 0; i < count; i++)
        out[i].rest -= out[i].rest < least ? least : most;
    return count;
}
#endif

/* Codes 0 to `steps` between a row's least and largest value. Comparisons are
 * written so that a number that is none becomes code 0, not undefined. */
INLINE void code_row(const float *x, size_t n, const struct row_range *range, float steps, uint8_t *codes,
                     float *ret_step, float *ret_low)
{
    float step = (range->most - range->least) / steps;
    float inverse = step > 0 ? 1.0F / step : 0;
    for (size_t i = 0; i < n; i += EMBED_LANES) {
        lanes_f code = (LOAD(x + i) - range->least) * inverse + 0.5F;
        code = smaller(larger(code, (lanes_f){0}), SPLAT(steps));
        lanes_i whole = __builtin_convertvector(code, lanes_i);
        *(lanes_b *)(codes + i) = __builtin_convertvector(whole, lanes_b);
    }
    *ret_step = step;
    *ret_low = range->least;
}

INLINE size_t quantise_row(const float *x, size_t n, float steps, uint8_t *codes, float *ret_step, float *ret_low,
                           uint32_t row, struct embed_outlier *outliers)
{
    struct row_range range = measure_row(x, n);
    size_t apart = 0;
    if (range.least < range.below || range.most > range.above)
        apart = set_apart(x, n, &range, row, outliers);
    code_row(x, n, &range, steps, codes, ret_step, ret_low);
    return apart;
}

EMBED_ISA static size_t quantise_255(const float *x, size_t rows, size_t n, uint8_t *codes, float *ret_step,
                                     float *ret_low, struct embed_outlier *ret_outliers)
{
    size_t apart = 0;
    for (size_t i = 0; i < rows; i++)
        apart += quantise_row(x + i * n, n, 255, codes + i * n, ret_step + i, ret_low + i, (uint32_t)i,
                              ret_outliers + apart);
    return apart;
}

/* A column of the matrix lies in every fourth byte of one 64-byte block for
 * each 16 outputs. */
EMBED_ISA static void correct(const struct embed_matrix *m, const struct embed_outlier *outliers, size_t count,
                              float *out)
{
    for (size_t o = 0; o < count; o++) {
        const int8_t *block = m->codes + outliers[o].column / 4 * 64;
        const int left = 24 - 8 * (int)(outliers[o].column % 4);
        float *row = out + outliers[o].row * m->outputs;
        for (size_t n = 0; n < m->outputs; n += 16, block += 16 * m->inputs)
            for (size_t i = 0; i < 16; i += EMBED_LANES) {
                lanes_u four = *(const lanes_u *)(const void *)(block + 4 * i);
                lanes_f weight = __builtin_convertvector((lanes_i)(four << left) >> 24, lanes_f);
                STORE(row + n + i, LOAD(row + n + i) + weight * LOAD(m->scale + n + i) * outliers[o].rest);
            }
    }
}

/* Of the next tile, so that `rows` fall into as few as hold them, of nearly the
 * same height. */
INLINE size_t tile_height(size_t rows, size_t most)
{
    const size_t tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

/* --- Attention ------------------------------------------------------------ */

enum { KEYS = 2 * EMBED_LANES }; /* that a step serves */
_Static_assert(EMBED_QUERIES <= EMBED_QUERY_ROWS && EMBED_ROW_PAD % KEYS == 0, "room in the scratch");

/* 2^x for x <= 0, relative error 3e-6: a whole power times a polynomial for
 * what is left, which is within half a unit. Adding 1.5 * 2^23 rounds. */
INLINE lanes_f exp2_negative(lanes_f x)
{
    x = larger(x, SPLAT(-126.0F));
    lanes_f shifted = x + 12582912.0F;
    lanes_f r = x - (shifted - 12582912.0F);
    lanes_f p = SPLAT(9.57010143e-3F);
    p = p * r + 5.59178603e-2F;
    p = p * r + 2.40247448e-1F;
    p = p * r + 6.93121815e-1F;
    p = p * r + 9.99999261e-1F;
    return (lanes_f)((lanes_i)p + ((lanes_i)shifted << 23));
}

/* Keys lie across: of KEYS at a time one dimension after the other. */
/* to[d][j] = from[j][d] for four of each. */
INLINE void turn(const float *from, size_t stride, float *to, size_t to_stride);

#ifndef EMBED_OWN_TURN
INLINE void turn(const float *from, size_t stride, float *to, size_t to_stride)
{
    for (size_t j = 0; j < 4; j++)
        for (size_t d = 0; d < 4; d++)
            to[d * to_stride + j] = from[j * stride + d];
}
#endif

INLINE void lay_keys_across(const struct embed_attention *a, size_t padded)
{
    for (size_t first = 0; first < padded; first += KEYS) {
        float *across = a->keys_across + first * a->dims;
        size_t count = a->rows > first ? a->rows - first : 0;
        count = count < KEYS ? count : KEYS;
        if (count < KEYS)
            memset(across, 0, KEYS * a->dims * sizeof(float));
        const float *keys = a->keys + first * a->stride;
        size_t j = 0;
        for (; j + 4 <= count; j += 4)
            for (size_t d = 0; d < a->dims; d += 4)
                turn(keys + j * a->stride + d, a->stride, across + d * KEYS + j, KEYS);
        for (; j < count; j++)
            for (size_t d = 0; d < a->dims; d++)
                across[d * KEYS + j] = keys[j * a->stride + d];
    }
}

/* out[r][0..KEYS) = factor[r] * (sum over k of x[r][k] * y[k][0..KEYS)), for
 * `count` rows: scores of queries with KEYS keys, and blends of values. */
struct float_tile {
    const float *x, *y, *factor;
    float *out;
    size_t x_stride, y_stride, out_stride, steps;
};

INLINE void add_product(lanes_r *sum, lanes_r a, lanes_r b)
{
    EMBED_ADD_PRODUCT(*sum, a, b);
}

INLINE void multiply_some(const struct float_tile *t, size_t count)
{
    const float *x = t->x, *y = t->y, *end = y + t->steps * t->y_stride;
    const size_t stride = t->x_stride, y_stride = t->y_stride;
    lanes_r left[EMBED_QUERIES], right[EMBED_QUERIES];
    /* Two pointers and six distances fit the registers, one and thirteen do not;
     * left to itself the compiler sees that these are the same. */
    const float *upper = count > 7 ? x + 7 * stride : x;
    __asm__("" : "+r"(upper));
#pragma GCC unroll 14
    for (size_t r = 0; r < count; r++)
        left[r] = right[r] = (lanes_r){0};
    for (; y < end; y += y_stride, x++, upper++) {
        const lanes_r y0 = (lanes_r)LOAD(y);
        const lanes_r y1 = (lanes_r)LOAD(y + EMBED_LANES);
#pragma GCC unroll 14
        for (size_t r = 0; r < count; r++) {
            const lanes_r one = (r < 7 ? x : upper)[r % 7 * stride] - (lanes_r){0};
            add_product(&left[r], one, y0);
            add_product(&right[r], one, y1);
        }
    }
    float *out = t->out;
#pragma GCC unroll 14
    for (size_t r = 0; r < count; r++) {
        STORE(out + r * t->out_stride, (lanes_f)(left[r] * t->factor[r]));
        STORE(out + r * t->out_stride + EMBED_LANES, (lanes_f)(right[r] * t->factor[r]));
    }
}

/* One of each height. Inlined into its callers, gcc 12 keeps the sums in memory. */
typedef void multiply_fn(const struct float_tile *t);
#define FLOATS_OF(count)                                                                                             \
    EMBED_ISA static __attribute__((noinline)) void multiply_floats_##count(const struct float_tile *t)              \
    {                                                                                                                \
        multiply_some(t, count);                                                                                     \
    }
FLOATS_OF(1)
FLOATS_OF(2)
FLOATS_OF(3)
FLOATS_OF(4)
#if EMBED_QUERIES > 4
FLOATS_OF(5)
FLOATS_OF(6)
FLOATS_OF(7)
FLOATS_OF(8)
FLOATS_OF(9)
FLOATS_OF(10)
FLOATS_OF(11)
FLOATS_OF(12)
FLOATS_OF(13)
FLOATS_OF(14)
#endif
static multiply_fn *const float_tiles[EMBED_QUERIES + 1] = {
    NULL,
    multiply_floats_1,
    multiply_floats_2,
    multiply_floats_3,
    multiply_floats_4,
#if EMBED_QUERIES > 4
    multiply_floats_5,
    multiply_floats_6,
    multiply_floats_7,
    multiply_floats_8,
    multiply_floats_9,
    multiply_floats_10,
    multiply_floats_11,
    multiply_floats_12,
    multiply_floats_13,
    multiply_floats_14,
#endif
};

/* Lanes behind a row's end count for nothing. */
INLINE lanes_f end_row(lanes_f v, size_t left)
{
    lanes_i inside;
#pragma GCC unroll 16
    for (int i = 0; i < EMBED_LANES; i++)
        inside[i] = i;
    inside = inside < (int32_t)left;
    return pick(inside, v, SPLAT(-1e30F));
}

/* A row's `count` scores become weights; returns one over their sum. */
INLINE float soften(float *scores, size_t count)
{
    const size_t last = (count - 1) / EMBED_LANES * EMBED_LANES;
    STORE(scores + last, end_row(LOAD(scores + last), count - last));
    lanes_f most = LOAD(scores + last);
    for (size_t j = 0; j < last; j += EMBED_LANES)
        most = larger(LOAD(scores + j), most);
    const float top = EMBED_MOST(most);
    lanes_f sum = {0};
    for (size_t j = 0; j <= last; j += EMBED_LANES) {
        lanes_f e = exp2_negative(LOAD(scores + j) - top);
        STORE(scores + j, e);
        sum += e;
    }
    return 1.0F / EMBED_SUM(sum);
}

INLINE void attend_rows(const struct embed_attention *a, size_t first, size_t count, size_t padded)
{
    multiply_fn *multiply = float_tiles[count];
    float factor[EMBED_QUERIES];
    struct float_tile tile = {.x = a->queries + first * a->stride,
                              .x_stride = a->stride,
                              .factor = factor,
                              .y_stride = KEYS,
                              .out_stride = padded,
                              .steps = a->dims};
    for (size_t r = 0; r < count; r++)
        factor[r] = a->scale * 1.44269504F;
    for (size_t j = 0; j < padded; j += KEYS) {
        tile.y = a->keys_across + j * a->dims;
        tile.out = a->scores + j;
        multiply(&tile);
    }
    for (size_t r = 0; r < count; r++)
        factor[r] = soften(a->scores + r * padded, a->rows);
    tile.x = a->scores;
    tile.x_stride = padded;
    tile.y_stride = a->dims;
    tile.out_stride = a->out_stride;
    tile.steps = a->rows;
    for (size_t d = 0; d < a->dims; d += KEYS) {
        tile.y = a->values_dense + d;
        tile.out = a->out + first * a->out_stride + d;
        multiply(&tile);
    }
}

EMBED_ISA static void attend(const struct embed_attention *a)
{
    size_t padded = (a->rows + EMBED_ROW_PAD - 1) / EMBED_ROW_PAD * EMBED_ROW_PAD;
    lay_keys_across(a, padded);
    for (size_t j = 0; j < a->rows; j++)
        memcpy(a->values_dense + j * a->dims, a->values + j * a->stride, a->dims * sizeof(float));
    for (size_t first = 0, height; first < a->rows; first += height) {
        height = tile_height(a->rows - first, EMBED_QUERIES);
        attend_rows(a, first, height, padded);
    }
}
