/* AVX-512 with VNNI: 64 code bytes a step.
 *
 * vpdpbusd multiplies unsigned by signed bytes, which is why codes are
 * unsigned and queries signed. High nibbles are left in place (times 16) and
 * divided out of the sum at the end: one shift per vector instead of one per
 * step. Four nodes are scored side by side, so that each query load serves
 * four and their reductions share shuffles.
 */
#if defined(__x86_64__)
#include "vector/kernels.h"

#include <immintrin.h>
#include <math.h>

#define WIDE __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

/* The first `left` of sixteen lanes. */
static inline __mmask16 lanes(size_t left)
{
    return (__mmask16)(left >= 16 ? 0xFFFFU : (1U << left) - 1U);
}

WIDE static float dot_f32_avx512(const float *a, const float *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i), s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

WIDE static float l2_f32_avx512(const float *a, const float *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
        __m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
        s0 = _mm512_fmadd_ps(d0, d0, s0);
        s1 = _mm512_fmadd_ps(d1, d1, s1);
    }
    for (; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i));
        s0 = _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

WIDE static inline __m512 load_f16(const uint16_t *p, __mmask16 m)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, p));
}

WIDE static float dot_f16_avx512(const uint16_t *a, const float *b, size_t n)
{
    __m512 s = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        s = _mm512_fmadd_ps(load_f16(a + i, m), _mm512_maskz_loadu_ps(m, b + i), s);
    }
    return _mm512_reduce_add_ps(s);
}

WIDE static float l2_f16_avx512(const uint16_t *a, const float *b, size_t n)
{
    __m512 s = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 d = _mm512_sub_ps(load_f16(a + i, m), _mm512_maskz_loadu_ps(m, b + i));
        s = _mm512_fmadd_ps(d, d, s);
    }
    return _mm512_reduce_add_ps(s);
}

WIDE static void dot_f32_x4_avx512(const float *row, const float *queries, size_t stride, size_t n, float out[4])
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 x = _mm512_maskz_loadu_ps(m, row + i);
        s0 = _mm512_fmadd_ps(x, _mm512_maskz_loadu_ps(m, queries + i), s0);
        s1 = _mm512_fmadd_ps(x, _mm512_maskz_loadu_ps(m, queries + stride + i), s1);
        s2 = _mm512_fmadd_ps(x, _mm512_maskz_loadu_ps(m, queries + 2 * stride + i), s2);
        s3 = _mm512_fmadd_ps(x, _mm512_maskz_loadu_ps(m, queries + 3 * stride + i), s3);
    }
    out[0] = _mm512_reduce_add_ps(s0);
    out[1] = _mm512_reduce_add_ps(s1);
    out[2] = _mm512_reduce_add_ps(s2);
    out[3] = _mm512_reduce_add_ps(s3);
}

WIDE static int32_t dot_u8_avx512(const uint8_t *code, const int8_t *query, size_t n)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0;
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
        s1 = _mm512_dpbusd_epi32(s1, _mm512_loadu_si512(code + i + 64), _mm512_loadu_si512(query + i + 64));
    }
    if (i < n)
        s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

/* Low and high sums of one code, the high ones already divided by 16. */
WIDE static inline __m512i sum_u4(const uint8_t *code, const int8_t *query, size_t n)
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i s = _mm512_setzero_si512(), t = s;
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        __m512i x = _mm512_loadu_si512(code + i / 2);
        s = _mm512_dpbusd_epi32(s, _mm512_and_si512(x, low), _mm512_loadu_si512(query + i));
        t = _mm512_dpbusd_epi32(t, _mm512_andnot_si512(low, x), _mm512_loadu_si512(query + i + 64));
    }
    s = _mm512_add_epi32(s, _mm512_srai_epi32(t, 4));
    if (i < n) {
        const __m256i low2 = _mm256_set1_epi8(15);
        __m256i x = _mm256_loadu_si256((const void *)(code + i / 2));
        __m256i u = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_and_si256(x, low2),
                                        _mm256_loadu_si256((const void *)(query + i)));
        u = _mm256_dpbusd_epi32(u, _mm256_and_si256(_mm256_srli_epi16(x, 4), low2),
                                _mm256_loadu_si256((const void *)(query + i + 32)));
        s = _mm512_add_epi32(s, _mm512_zextsi256_si512(u));
    }
    return s;
}

WIDE static int32_t dot_u4_avx512(const uint8_t *code, const int8_t *query, size_t n)
{
    return _mm512_reduce_add_epi32(sum_u4(code, query, n));
}

/* The four sums of four accumulators. */
WIDE static inline __m128i reduce_x4(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

WIDE static inline void finish_x4(const struct score_query *q, const uint32_t *nodes, __m128i dots, float *out)
{
    const struct code_factor *f = q->factors;
    __m128 a = _mm_castpd_ps(_mm_loadh_pd(_mm_load_sd((const double *)(const void *)&f[nodes[0]]),
                                          (const double *)(const void *)&f[nodes[1]]));
    __m128 b = _mm_castpd_ps(_mm_loadh_pd(_mm_load_sd((const double *)(const void *)&f[nodes[2]]),
                                          (const double *)(const void *)&f[nodes[3]]));
    __m128 add = _mm_shuffle_ps(a, b, 0x88);
    __m128 mul = _mm_mul_ps(_mm_shuffle_ps(a, b, 0xDD), _mm_set1_ps(q->scale));
    __m128 dot = _mm_sub_ps(_mm_cvtepi32_ps(dots), _mm_set1_ps(q->bias));
    _mm_storeu_ps(out, _mm_fnmadd_ps(mul, dot, add));
}

WIDE static inline void prefetch_code(const struct score_query *q, uint32_t node, size_t bytes)
{
    const uint8_t *p = q->codes + node * q->stride;
    for (size_t o = 0; o < bytes; o += 64)
        _mm_prefetch((const char *)p + o, _MM_HINT_T0);
    _mm_prefetch((const char *)&q->factors[node], _MM_HINT_T0);
}

WIDE static inline void score_u4_x4(const struct score_query *q, const uint32_t *nodes, float *out)
{
    const __m512i low = _mm512_set1_epi8(15);
    const uint8_t *c0 = q->codes + nodes[0] * q->stride;
    const uint8_t *c1 = q->codes + nodes[1] * q->stride;
    const uint8_t *c2 = q->codes + nodes[2] * q->stride;
    const uint8_t *c3 = q->codes + nodes[3] * q->stride;
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    size_t i = 0;
    for (; i + 128 <= q->dims; i += 128) {
        __m512i ql = _mm512_loadu_si512(q->query + i);
        __m512i qh = _mm512_loadu_si512(q->query + i + 64);
        __m512i x0 = _mm512_loadu_si512(c0 + i / 2);
        __m512i x1 = _mm512_loadu_si512(c1 + i / 2);
        __m512i x2 = _mm512_loadu_si512(c2 + i / 2);
        __m512i x3 = _mm512_loadu_si512(c3 + i / 2);
        s0 = _mm512_dpbusd_epi32(s0, _mm512_and_si512(x0, low), ql);
        t0 = _mm512_dpbusd_epi32(t0, _mm512_andnot_si512(low, x0), qh);
        s1 = _mm512_dpbusd_epi32(s1, _mm512_and_si512(x1, low), ql);
        t1 = _mm512_dpbusd_epi32(t1, _mm512_andnot_si512(low, x1), qh);
        s2 = _mm512_dpbusd_epi32(s2, _mm512_and_si512(x2, low), ql);
        t2 = _mm512_dpbusd_epi32(t2, _mm512_andnot_si512(low, x2), qh);
        s3 = _mm512_dpbusd_epi32(s3, _mm512_and_si512(x3, low), ql);
        t3 = _mm512_dpbusd_epi32(t3, _mm512_andnot_si512(low, x3), qh);
    }
    __m128i lows = reduce_x4(s0, s1, s2, s3);
    __m128i highs = reduce_x4(t0, t1, t2, t3);
    __m128i dots = _mm_add_epi32(lows, _mm_srai_epi32(highs, 4));
    if (i < q->dims) {
        int32_t tail[4];
        for (size_t j = 0; j < 4; j++) {
            const uint8_t *c = q->codes + nodes[j] * q->stride + i / 2;
            tail[j] = _mm512_reduce_add_epi32(sum_u4(c, q->query + i, q->dims - i));
        }
        dots = _mm_add_epi32(dots, _mm_loadu_si128((const void *)tail));
    }
    finish_x4(q, nodes, dots, out);
}

WIDE static void score_u4_avx512(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    size_t bytes = q->dims / 2;
    for (size_t i = 0; i < q->ahead && i < count; i++)
        prefetch_code(q, nodes[i], bytes);
    size_t next = q->ahead;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (size_t stop = next + 4; next < stop && next < count; next++)
            prefetch_code(q, nodes[next], bytes);
        score_u4_x4(q, nodes + i, out + i);
    }
    for (; i < count; i++) {
        struct code_factor f = q->factors[nodes[i]];
        int32_t dot = dot_u4_avx512(q->codes + nodes[i] * q->stride, q->query, q->dims);
        out[i] = f.add - f.mul * q->scale * ((float)dot - q->bias);
    }
}

WIDE static inline void score_u8_x4(const struct score_query *q, const uint32_t *nodes, float *out)
{
    const uint8_t *c0 = q->codes + nodes[0] * q->stride;
    const uint8_t *c1 = q->codes + nodes[1] * q->stride;
    const uint8_t *c2 = q->codes + nodes[2] * q->stride;
    const uint8_t *c3 = q->codes + nodes[3] * q->stride;
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < q->dims; i += 64) {
        __m512i x = _mm512_loadu_si512(q->query + i);
        s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(c0 + i), x);
        s1 = _mm512_dpbusd_epi32(s1, _mm512_loadu_si512(c1 + i), x);
        s2 = _mm512_dpbusd_epi32(s2, _mm512_loadu_si512(c2 + i), x);
        s3 = _mm512_dpbusd_epi32(s3, _mm512_loadu_si512(c3 + i), x);
    }
    finish_x4(q, nodes, reduce_x4(s0, s1, s2, s3), out);
}

WIDE static void score_u8_avx512(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    size_t bytes = q->dims;
    for (size_t i = 0; i < q->ahead && i < count; i++)
        prefetch_code(q, nodes[i], bytes);
    size_t next = q->ahead;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (size_t stop = next + 4; next < stop && next < count; next++)
            prefetch_code(q, nodes[next], bytes);
        score_u8_x4(q, nodes + i, out + i);
    }
    for (; i < count; i++) {
        struct code_factor f = q->factors[nodes[i]];
        int32_t dot = dot_u8_avx512(q->codes + nodes[i] * q->stride, q->query, q->dims);
        out[i] = f.add - f.mul * q->scale * ((float)dot - q->bias);
    }
}

/* The four levels inside a register, then the scale. */
WIDE static inline __m512 fht_lanes(__m512 x, __m512 scale)
{
    __m512 y = _mm512_shuffle_f32x4(x, x, 0x4E);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xFF00, y, x);
    y = _mm512_shuffle_f32x4(x, x, 0xB1);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xF0F0, y, x);
    y = _mm512_permute_ps(x, 0x4E);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xCCCC, y, x);
    y = _mm512_permute_ps(x, 0xB1);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xAAAA, y, x);
    return _mm512_mul_ps(x, scale);
}

/* 256 values in sixteen registers. */
WIDE static inline void fht_256(float *p, __m512 scale)
{
    __m512 v[16];
    for (size_t i = 0; i < 16; i++)
        v[i] = _mm512_loadu_ps(p + 16 * i);
    for (size_t h = 1; h < 16; h *= 2)
        for (size_t i = 0; i < 16; i += 2 * h)
            for (size_t j = i; j < i + h; j++) {
                __m512 a = v[j];
                __m512 b = v[j + h];
                v[j] = _mm512_add_ps(a, b);
                v[j + h] = _mm512_sub_ps(a, b);
            }
    for (size_t i = 0; i < 16; i++)
        _mm512_storeu_ps(p + 16 * i, fht_lanes(v[i], scale));
}

WIDE static void fht_avx512(float *x, size_t n)
{
    __m512 scale = _mm512_set1_ps(1.0F / sqrtf((float)n));
    size_t floor = n >= 256 ? 256 : 16;
    for (size_t h = n / 2; h >= floor; h /= 2)
        for (size_t i = 0; i < n; i += 2 * h)
            for (size_t j = i; j < i + h; j += 16) {
                __m512 a = _mm512_loadu_ps(x + j);
                __m512 b = _mm512_loadu_ps(x + j + h);
                _mm512_storeu_ps(x + j, _mm512_add_ps(a, b));
                _mm512_storeu_ps(x + j + h, _mm512_sub_ps(a, b));
            }
    if (floor == 256)
        for (size_t i = 0; i < n; i += 256)
            fht_256(x + i, scale);
    else
        for (size_t i = 0; i < n; i += 16)
            _mm512_storeu_ps(x + i, fht_lanes(_mm512_loadu_ps(x + i), scale));
}

WIDE static void flip_avx512(float *x, const uint32_t *bits, size_t n)
{
    const __m512i sign = _mm512_set1_epi32((int)0x80000000U);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = (__mmask16)(bits[i / 32] >> (i % 32));
        __m512i v = _mm512_castps_si512(_mm512_loadu_ps(x + i));
        _mm512_storeu_ps(x + i, _mm512_castsi512_ps(_mm512_mask_xor_epi32(v, m, v, sign)));
    }
}

WIDE static void mix_avx512(float *x, size_t n)
{
    const __m512 scale = _mm512_set1_ps((float)M_SQRT1_2);
    for (size_t i = 0; i < n / 2; i += 16) {
        __m512 a = _mm512_loadu_ps(x + i);
        __m512 b = _mm512_loadu_ps(x + i + n / 2);
        _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_add_ps(a, b), scale));
        _mm512_storeu_ps(x + i + n / 2, _mm512_mul_ps(_mm512_sub_ps(a, b), scale));
    }
}

WIDE static void center_s8_avx512(const float *x, const float *center, size_t n, int8_t *out, float *ret_scale,
                                  int32_t *ret_sum, float *ret_norm2)
{
    __m512 most = _mm512_setzero_ps();
    __m512 norm2 = most;
    for (size_t i = 0; i < n; i += 16) {
        __m512 d = _mm512_sub_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(center + i));
        most = _mm512_max_ps(most, _mm512_abs_ps(d));
        norm2 = _mm512_fmadd_ps(d, d, norm2);
    }
    float top = _mm512_reduce_max_ps(most);
    __m512 inverse = _mm512_set1_ps(top > 0 ? 127.0F / top : 0);
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __m512 d = _mm512_sub_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(center + i));
        __m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(d, inverse));
        sum = _mm512_add_epi32(sum, v);
        _mm_storeu_si128((void *)(out + i), _mm512_cvtepi32_epi8(v));
    }
    *ret_scale = top / 127.0F;
    *ret_sum = _mm512_reduce_add_epi32(sum);
    *ret_norm2 = _mm512_reduce_add_ps(norm2);
}

const struct vector_kernels vector_kernels_avx512 = {
    .name = "avx512",
    .dot_f32 = dot_f32_avx512,
    .l2_f32 = l2_f32_avx512,
    .dot_f16 = dot_f16_avx512,
    .l2_f16 = l2_f16_avx512,
    .dot_f32_x4 = dot_f32_x4_avx512,
    .dot_u8 = dot_u8_avx512,
    .dot_u4 = dot_u4_avx512,
    .score_u8 = score_u8_avx512,
    .score_u4 = score_u4_avx512,
    .fht = fht_avx512,
    .flip = flip_avx512,
    .mix = mix_avx512,
    .center_s8 = center_s8_avx512,
};
#else
typedef int vector_kernels_avx512_is_for_x86;
#endif
