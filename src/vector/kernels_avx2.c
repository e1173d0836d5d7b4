/* AVX2 with FMA and F16C.
 *
 * vpmaddubsw saturates at 16 bits. With 4-bit codes it cannot (two products
 * of at most 15 * 127), and four of its results still fit before they must be
 * widened. With 8-bit codes it could, so those are widened first: exactness
 * comes before speed, and 8-bit codes serve building only on such machines.
 */
#if defined(__x86_64__)
#include "vector/kernels.h"

#include <immintrin.h>
#include <math.h>

#define WIDE __attribute__((target("avx2,fma,f16c")))

WIDE static inline float sum_ps(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
    return _mm_cvtss_f32(s);
}

WIDE static inline int32_t sum_epi32(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1));
    return _mm_cvtsi128_si32(s);
}

WIDE static float dot_f32_avx2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    return sum_ps(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3))) +
           vector_kernels_scalar.dot_f32(a + i, b + i, n - i);
}

WIDE static float l2_f32_avx2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
        s0 = _mm256_fmadd_ps(d0, d0, s0);
        s1 = _mm256_fmadd_ps(d1, d1, s1);
    }
    return sum_ps(_mm256_add_ps(s0, s1)) + vector_kernels_scalar.l2_f32(a + i, b + i, n - i);
}

WIDE static float dot_f16_avx2(const uint16_t *a, const float *b, size_t n)
{
    __m256 s = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_cvtph_ps(_mm_loadu_si128((const void *)(a + i)));
        s = _mm256_fmadd_ps(x, _mm256_loadu_ps(b + i), s);
    }
    return sum_ps(s) + vector_kernels_scalar.dot_f16(a + i, b + i, n - i);
}

WIDE static float l2_f16_avx2(const uint16_t *a, const float *b, size_t n)
{
    __m256 s = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_cvtph_ps(_mm_loadu_si128((const void *)(a + i)));
        __m256 d = _mm256_sub_ps(x, _mm256_loadu_ps(b + i));
        s = _mm256_fmadd_ps(d, d, s);
    }
    return sum_ps(s) + vector_kernels_scalar.l2_f16(a + i, b + i, n - i);
}

WIDE static void dot_f32_x4_avx2(const float *row, const float *queries, size_t stride, size_t n, float out[4])
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_loadu_ps(row + i);
        s0 = _mm256_fmadd_ps(x, _mm256_loadu_ps(queries + i), s0);
        s1 = _mm256_fmadd_ps(x, _mm256_loadu_ps(queries + stride + i), s1);
        s2 = _mm256_fmadd_ps(x, _mm256_loadu_ps(queries + 2 * stride + i), s2);
        s3 = _mm256_fmadd_ps(x, _mm256_loadu_ps(queries + 3 * stride + i), s3);
    }
    vector_kernels_scalar.dot_f32_x4(row + i, queries + i, stride, n - i, out);
    out[0] += sum_ps(s0);
    out[1] += sum_ps(s1);
    out[2] += sum_ps(s2);
    out[3] += sum_ps(s3);
}

WIDE static inline __m256i add_u8s8(__m256i sum, __m256i code, __m256i query)
{
    __m256i c0 = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(code));
    __m256i c1 = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(code, 1));
    __m256i q0 = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(query));
    __m256i q1 = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(query, 1));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(c0, q0));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(c1, q1));
}

WIDE static int32_t dot_u8_avx2(const uint8_t *code, const int8_t *query, size_t n)
{
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    for (size_t i = 0; i < n; i += 64) {
        s0 =
            add_u8s8(s0, _mm256_loadu_si256((const void *)(code + i)), _mm256_loadu_si256((const void *)(query + i)));
        s1 = add_u8s8(s1, _mm256_loadu_si256((const void *)(code + i + 32)),
                      _mm256_loadu_si256((const void *)(query + i + 32)));
    }
    return sum_epi32(_mm256_add_epi32(s0, s1));
}

/* 32 code bytes against 32 low and 32 high query bytes, as 16-bit pairs. */
WIDE static inline __m256i pairs_u4(const uint8_t *code, const int8_t *low_query, const int8_t *high_query)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i x = _mm256_loadu_si256((const void *)code);
    __m256i a = _mm256_maddubs_epi16(_mm256_and_si256(x, low), _mm256_loadu_si256((const void *)low_query));
    __m256i b = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(x, 4), low),
                                     _mm256_loadu_si256((const void *)high_query));
    return _mm256_add_epi16(a, b);
}

WIDE static int32_t dot_u4_avx2(const uint8_t *code, const int8_t *query, size_t n)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i s = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        __m256i a = pairs_u4(code + i / 2, query + i, query + i + 64);
        __m256i b = pairs_u4(code + i / 2 + 32, query + i + 32, query + i + 96);
        s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
    }
    if (i < n)
        s = _mm256_add_epi32(s, _mm256_madd_epi16(pairs_u4(code + i / 2, query + i, query + i + 32), ones));
    return sum_epi32(s);
}

WIDE static inline void prefetch_code(const struct score_query *q, uint32_t node, size_t bytes)
{
    const uint8_t *p = q->codes + node * q->stride;
    for (size_t o = 0; o < bytes; o += 64)
        _mm_prefetch((const char *)p + o, _MM_HINT_T0);
    _mm_prefetch((const char *)&q->factors[node], _MM_HINT_T0);
}

WIDE static inline void score(const struct score_query *q, const uint32_t *nodes, size_t count, float *out,
                              int32_t (*dot)(const uint8_t *, const int8_t *, size_t), size_t bytes)
{
    for (size_t i = 0; i < q->ahead && i < count; i++)
        prefetch_code(q, nodes[i], bytes);
    for (size_t i = 0; i < count; i++) {
        if (i + q->ahead < count)
            prefetch_code(q, nodes[i + q->ahead], bytes);
        struct code_factor f = q->factors[nodes[i]];
        int32_t sum = dot(q->codes + nodes[i] * q->stride, q->query, q->dims);
        out[i] = f.add - f.mul * q->scale * ((float)sum - q->bias);
    }
}

WIDE static void score_u8_avx2(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    score(q, nodes, count, out, dot_u8_avx2, q->dims);
}

WIDE static void score_u4_avx2(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    score(q, nodes, count, out, dot_u4_avx2, q->dims / 2);
}

WIDE static void fht_avx2(float *x, size_t n)
{
    const __m256 s4 = _mm256_setr_ps(0, 0, 0, 0, -0.0F, -0.0F, -0.0F, -0.0F);
    const __m256 s2 = _mm256_setr_ps(0, 0, -0.0F, -0.0F, 0, 0, -0.0F, -0.0F);
    const __m256 s1 = _mm256_setr_ps(0, -0.0F, 0, -0.0F, 0, -0.0F, 0, -0.0F);
    const __m256 scale = _mm256_set1_ps(1.0F / sqrtf((float)n));
    for (size_t h = n / 2; h >= 8; h /= 2)
        for (size_t i = 0; i < n; i += 2 * h)
            for (size_t j = i; j < i + h; j += 8) {
                __m256 a = _mm256_loadu_ps(x + j);
                __m256 b = _mm256_loadu_ps(x + j + h);
                _mm256_storeu_ps(x + j, _mm256_add_ps(a, b));
                _mm256_storeu_ps(x + j + h, _mm256_sub_ps(a, b));
            }
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        v = _mm256_add_ps(_mm256_permute2f128_ps(v, v, 1), _mm256_xor_ps(v, s4));
        v = _mm256_add_ps(_mm256_permute_ps(v, 0x4E), _mm256_xor_ps(v, s2));
        v = _mm256_add_ps(_mm256_permute_ps(v, 0xB1), _mm256_xor_ps(v, s1));
        _mm256_storeu_ps(x + i, _mm256_mul_ps(v, scale));
    }
}

WIDE static void flip_avx2(float *x, const uint32_t *bits, size_t n)
{
    const __m256i shifts = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    const __m256i sign = _mm256_set1_epi32((int)0x80000000U);
    for (size_t i = 0; i < n; i += 8) {
        __m256i b = _mm256_set1_epi32((int)(bits[i / 32] >> (i % 32)));
        __m256i m = _mm256_and_si256(_mm256_sllv_epi32(b, shifts), sign);
        _mm256_storeu_ps(x + i, _mm256_xor_ps(_mm256_loadu_ps(x + i), _mm256_castsi256_ps(m)));
    }
}

WIDE static void mix_avx2(float *x, size_t n)
{
    const __m256 scale = _mm256_set1_ps((float)M_SQRT1_2);
    for (size_t i = 0; i < n / 2; i += 8) {
        __m256 a = _mm256_loadu_ps(x + i);
        __m256 b = _mm256_loadu_ps(x + i + n / 2);
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_add_ps(a, b), scale));
        _mm256_storeu_ps(x + i + n / 2, _mm256_mul_ps(_mm256_sub_ps(a, b), scale));
    }
}

WIDE static void center_s8_avx2(const float *x, const float *center, size_t n, int8_t *out, float *ret_scale,
                                int32_t *ret_sum, float *ret_norm2)
{
    const __m256 sign = _mm256_set1_ps(-0.0F);
    __m256 most = _mm256_setzero_ps();
    __m256 norm2 = most;
    for (size_t i = 0; i < n; i += 8) {
        __m256 d = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(center + i));
        most = _mm256_max_ps(most, _mm256_andnot_ps(sign, d));
        norm2 = _mm256_fmadd_ps(d, d, norm2);
    }
    float lanes[8];
    _mm256_storeu_ps(lanes, most);
    float top = 0;
    for (size_t j = 0; j < 8; j++)
        top = lanes[j] > top ? lanes[j] : top;
    __m256 inverse = _mm256_set1_ps(top > 0 ? 127.0F / top : 0);
    __m256i sum = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 16) {
        __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(center + i));
        __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(x + i + 8), _mm256_loadu_ps(center + i + 8));
        __m256i v0 = _mm256_cvtps_epi32(_mm256_mul_ps(d0, inverse));
        __m256i v1 = _mm256_cvtps_epi32(_mm256_mul_ps(d1, inverse));
        sum = _mm256_add_epi32(sum, _mm256_add_epi32(v0, v1));
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(v0, v1), 0xD8);
        __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
        _mm_storeu_si128((void *)(out + i), bytes);
    }
    *ret_scale = top / 127.0F;
    *ret_sum = sum_epi32(sum);
    *ret_norm2 = sum_ps(norm2);
}

const struct vector_kernels vector_kernels_avx2 = {
    .name = "avx2",
    .dot_f32 = dot_f32_avx2,
    .l2_f32 = l2_f32_avx2,
    .dot_f16 = dot_f16_avx2,
    .l2_f16 = l2_f16_avx2,
    .dot_f32_x4 = dot_f32_x4_avx2,
    .dot_u8 = dot_u8_avx2,
    .dot_u4 = dot_u4_avx2,
    .score_u8 = score_u8_avx2,
    .score_u4 = score_u4_avx2,
    .fht = fht_avx2,
    .flip = flip_avx2,
    .mix = mix_avx2,
    .center_s8 = center_s8_avx2,
};
#else
typedef int vector_kernels_avx2_is_for_x86;
#endif
