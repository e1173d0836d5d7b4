/* NEON, and NEON with the dot product instructions of ARMv8.2.
 *
 * The plain table widens to 16 bits, which every arm64 CPU can do; the dot
 * table uses sdot. Codes of 8 bits are moved to signed by flipping the top
 * bit, and 128 times the sum of the query is added back, so that both tables
 * agree with the reference to the bit. Everything that is not hot stays the
 * reference, which the compiler vectorises well enough here.
 */
#if defined(__aarch64__)
#include "vector/kernels.h"

#include <arm_neon.h>
#include <math.h>

#define DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))

static float dot_f32_neon(const float *a, const float *b, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
        s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
        s2 = vfmaq_f32(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
        s3 = vfmaq_f32(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
    }
    return vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3))) +
           vector_kernels_scalar.dot_f32(a + i, b + i, n - i);
}

static float l2_f32_neon(const float *a, const float *b, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4_t d0 = vsubq_f32(vld1q_f32(a + i), vld1q_f32(b + i));
        float32x4_t d1 = vsubq_f32(vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
        s0 = vfmaq_f32(s0, d0, d0);
        s1 = vfmaq_f32(s1, d1, d1);
    }
    return vaddvq_f32(vaddq_f32(s0, s1)) + vector_kernels_scalar.l2_f32(a + i, b + i, n - i);
}

static inline float32x4_t load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static float dot_f16_neon(const uint16_t *a, const float *b, size_t n)
{
    float32x4_t s = vdupq_n_f32(0);
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        s = vfmaq_f32(s, load_f16(a + i), vld1q_f32(b + i));
    return vaddvq_f32(s) + vector_kernels_scalar.dot_f16(a + i, b + i, n - i);
}

static float l2_f16_neon(const uint16_t *a, const float *b, size_t n)
{
    float32x4_t s = vdupq_n_f32(0);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t d = vsubq_f32(load_f16(a + i), vld1q_f32(b + i));
        s = vfmaq_f32(s, d, d);
    }
    return vaddvq_f32(s) + vector_kernels_scalar.l2_f16(a + i, b + i, n - i);
}

static void dot_f32_x4_neon(const float *row, const float *queries, size_t stride, size_t n, float out[4])
{
    for (size_t j = 0; j < 4; j++)
        out[j] = dot_f32_neon(row, queries + j * stride, n);
}

static inline int32x4_t multiply_add(int32x4_t sum, int8x16_t a, int8x16_t b)
{
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    return vpadalq_s16(sum, vmull_high_s8(a, b));
}

static inline int8x16_t signed_code(const uint8_t *code)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(code), vdupq_n_u8(128)));
}

static int32_t dot_u8_neon(const uint8_t *code, const int8_t *query, size_t n)
{
    int32x4_t dot = vdupq_n_s32(0), sum = dot;
    for (size_t i = 0; i < n; i += 16) {
        int8x16_t q = vld1q_s8(query + i);
        dot = multiply_add(dot, signed_code(code + i), q);
        sum = vpadalq_s16(sum, vpaddlq_s8(q));
    }
    return vaddvq_s32(dot) + 128 * vaddvq_s32(sum);
}

static int32_t dot_u4_neon(const uint8_t *code, const int8_t *query, size_t n)
{
    const uint8x16_t low = vdupq_n_u8(15);
    int32x4_t dot = vdupq_n_s32(0);
    size_t i = 0;
    while (i < n) {
        size_t half = n - i >= 128 ? 64 : 32;
        for (size_t j = 0; j < half; j += 16) {
            uint8x16_t x = vld1q_u8(code + j);
            dot = multiply_add(dot, vreinterpretq_s8_u8(vandq_u8(x, low)), vld1q_s8(query + i + j));
            dot = multiply_add(dot, vreinterpretq_s8_u8(vshrq_n_u8(x, 4)), vld1q_s8(query + i + half + j));
        }
        code += half;
        i += 2 * half;
    }
    return vaddvq_s32(dot);
}

DOTPROD static int32_t dot_u8_dotprod(const uint8_t *code, const int8_t *query, size_t n)
{
    const int8x16_t ones = vdupq_n_s8(1);
    int32x4_t dot = vdupq_n_s32(0), sum = dot;
    for (size_t i = 0; i < n; i += 16) {
        int8x16_t q = vld1q_s8(query + i);
        dot = vdotq_s32(dot, signed_code(code + i), q);
        sum = vdotq_s32(sum, ones, q);
    }
    return vaddvq_s32(dot) + 128 * vaddvq_s32(sum);
}

DOTPROD static int32_t dot_u4_dotprod(const uint8_t *code, const int8_t *query, size_t n)
{
    const uint8x16_t low = vdupq_n_u8(15);
    int32x4_t d0 = vdupq_n_s32(0), d1 = d0;
    size_t i = 0;
    while (i < n) {
        size_t half = n - i >= 128 ? 64 : 32;
        for (size_t j = 0; j < half; j += 16) {
            uint8x16_t x = vld1q_u8(code + j);
            d0 = vdotq_s32(d0, vreinterpretq_s8_u8(vandq_u8(x, low)), vld1q_s8(query + i + j));
            d1 = vdotq_s32(d1, vreinterpretq_s8_u8(vshrq_n_u8(x, 4)), vld1q_s8(query + i + half + j));
        }
        code += half;
        i += 2 * half;
    }
    return vaddvq_s32(vaddq_s32(d0, d1));
}

static inline void score(const struct score_query *q, const uint32_t *nodes, size_t count, float *out,
                         int32_t (*dot)(const uint8_t *, const int8_t *, size_t))
{
    for (size_t i = 0; i < count; i++) {
        if (i + q->ahead < count) {
            const uint8_t *next = q->codes + nodes[i + q->ahead] * q->stride;
            for (size_t o = 0; o < q->stride; o += 64)
                __builtin_prefetch(next + o);
        }
        struct code_factor f = q->factors[nodes[i]];
        int32_t sum = dot(q->codes + nodes[i] * q->stride, q->query, q->dims);
        out[i] = f.add - f.mul * q->scale * ((float)sum - q->bias);
    }
}

static void score_u8_neon(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    score(q, nodes, count, out, dot_u8_neon);
}

static void score_u4_neon(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    score(q, nodes, count, out, dot_u4_neon);
}

static void score_u8_dotprod(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    score(q, nodes, count, out, dot_u8_dotprod);
}

static void score_u4_dotprod(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    score(q, nodes, count, out, dot_u4_dotprod);
}

static void fht_neon(float *x, size_t n)
{
    for (size_t h = n / 2; h >= 4; h /= 2)
        for (size_t i = 0; i < n; i += 2 * h)
            for (size_t j = i; j < i + h; j += 4) {
                float32x4_t a = vld1q_f32(x + j);
                float32x4_t b = vld1q_f32(x + j + h);
                vst1q_f32(x + j, vaddq_f32(a, b));
                vst1q_f32(x + j + h, vsubq_f32(a, b));
            }
    float scale = 1.0F / sqrtf((float)n);
    for (size_t i = 0; i < n; i += 4) {
        float a = x[i] + x[i + 1], b = x[i] - x[i + 1];
        float c = x[i + 2] + x[i + 3], d = x[i + 2] - x[i + 3];
        x[i] = (a + c) * scale;
        x[i + 1] = (b + d) * scale;
        x[i + 2] = (a - c) * scale;
        x[i + 3] = (b - d) * scale;
    }
}

static void flip_neon(float *x, const uint32_t *bits, size_t n)
{
    vector_kernels_scalar.flip(x, bits, n);
}

static void mix_neon(float *x, size_t n)
{
    vector_kernels_scalar.mix(x, n);
}

static void center_s8_neon(const float *x, const float *center, size_t n, int8_t *out, float *ret_scale,
                           int32_t *ret_sum, float *ret_norm2)
{
    vector_kernels_scalar.center_s8(x, center, n, out, ret_scale, ret_sum, ret_norm2);
}

#define SHARED                                                                                                       \
    .dot_f32 = dot_f32_neon, .l2_f32 = l2_f32_neon, .dot_f16 = dot_f16_neon, .l2_f16 = l2_f16_neon,                  \
    .dot_f32_x4 = dot_f32_x4_neon, .fht = fht_neon, .flip = flip_neon, .mix = mix_neon, .center_s8 = center_s8_neon

const struct vector_kernels vector_kernels_neon = {
    .name = "neon",
    SHARED,
    .dot_u8 = dot_u8_neon,
    .dot_u4 = dot_u4_neon,
    .score_u8 = score_u8_neon,
    .score_u4 = score_u4_neon,
};

const struct vector_kernels vector_kernels_neondot = {
    .name = "neondot",
    SHARED,
    .dot_u8 = dot_u8_dotprod,
    .dot_u4 = dot_u4_dotprod,
    .score_u8 = score_u8_dotprod,
    .score_u4 = score_u4_dotprod,
};
#else
typedef int vector_kernels_neon_is_for_arm64;
#endif
