/* The scalar reference and the choice of a table. */
#include "vector/kernels.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1UL << 20)
#endif
#endif

float vector_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = (half >> 10) & 0x1FU;
    uint32_t fraction = half & 0x3FFU;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7F800000U | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        float small = (float)fraction * 0x1p-24F;
        memcpy(&bits, &small, sizeof bits);
        bits |= sign;
    }
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

uint16_t vector_float_to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000U);
    uint32_t rest = bits & 0x7FFFFFFFU;
    if (rest > 0x7F800000U)
        return sign | 0x7E00U;
    if (rest >= 0x477FF000U) /* 65,520 and beyond round to infinity */
        return sign | 0x7C00U;
    if (rest < 0x38800000U) { /* a subnormal half: let the float adder round */
        float magnitude;
        memcpy(&magnitude, &rest, sizeof magnitude);
        magnitude += 0.5F;
        uint32_t sum;
        memcpy(&sum, &magnitude, sizeof sum);
        return sign | (uint16_t)(sum - 0x3F000000U);
    }
    uint32_t odd = (rest >> 13) & 1U;
    return sign | (uint16_t)((rest - 0x38000000U + 0xFFFU + odd) >> 13);
}

static float dot_f32_scalar(const float *a, const float *b, size_t n)
{
    float lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            lanes[j] += a[i + j] * b[i + j];
    float sum = 0;
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (size_t j = 0; j < 8; j++)
        sum += lanes[j];
    return sum;
}

static float l2_f32_scalar(const float *a, const float *b, size_t n)
{
    float lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            lanes[j] += (a[i + j] - b[i + j]) * (a[i + j] - b[i + j]);
    float sum = 0;
    for (; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    for (size_t j = 0; j < 8; j++)
        sum += lanes[j];
    return sum;
}

static float dot_f16_scalar(const uint16_t *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += vector_half_to_float(a[i]) * b[i];
    return sum;
}

static float l2_f16_scalar(const uint16_t *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) {
        float d = vector_half_to_float(a[i]) - b[i];
        sum += d * d;
    }
    return sum;
}

static void dot_f32_x4_scalar(const float *row, const float *queries, size_t stride, size_t n, float out[4])
{
    for (size_t j = 0; j < 4; j++)
        out[j] = dot_f32_scalar(row, queries + j * stride, n);
}

static int32_t dot_u8_scalar(const uint8_t *code, const int8_t *query, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += code[i] * query[i];
    return sum;
}

static int32_t dot_u4_scalar(const uint8_t *code, const int8_t *query, size_t n)
{
    int32_t sum = 0;
    size_t i = 0;
    while (i < n) {
        size_t half = n - i >= 128 ? 64 : 32;
        for (size_t j = 0; j < half; j++)
            sum += (code[j] & 15) * query[i + j] + (code[j] >> 4) * query[i + half + j];
        code += half;
        i += 2 * half;
    }
    return sum;
}

static void score_u8_scalar(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        struct code_factor f = q->factors[nodes[i]];
        int32_t dot = dot_u8_scalar(q->codes + nodes[i] * q->stride, q->query, q->dims);
        out[i] = f.add - f.mul * q->scale * ((float)dot - q->bias);
    }
}

static void score_u4_scalar(const struct score_query *q, const uint32_t *nodes, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        struct code_factor f = q->factors[nodes[i]];
        int32_t dot = dot_u4_scalar(q->codes + nodes[i] * q->stride, q->query, q->dims);
        out[i] = f.add - f.mul * q->scale * ((float)dot - q->bias);
    }
}

static void fht_scalar(float *x, size_t n)
{
    for (size_t h = 1; h < n; h *= 2)
        for (size_t i = 0; i < n; i += 2 * h)
            for (size_t j = i; j < i + h; j++) {
                float a = x[j];
                float b = x[j + h];
                x[j] = a + b;
                x[j + h] = a - b;
            }
    float scale = 1.0F / sqrtf((float)n);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

static void flip_scalar(float *x, const uint32_t *bits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bits[i / 32] >> (i % 32) & 1U)
            x[i] = -x[i];
}

static void mix_scalar(float *x, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        float a = x[i];
        float b = x[i + n / 2];
        x[i] = (a + b) * (float)M_SQRT1_2;
        x[i + n / 2] = (a - b) * (float)M_SQRT1_2;
    }
}

static void center_s8_scalar(const float *x, const float *center, size_t n, int8_t *out, float *ret_scale,
                             int32_t *ret_sum, float *ret_norm2)
{
    float most = 0;
    float norm2 = 0;
    for (size_t i = 0; i < n; i++) {
        float d = x[i] - center[i];
        most = fmaxf(most, fabsf(d));
        norm2 += d * d;
    }
    float inverse = most > 0 ? 127.0F / most : 0;
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (int8_t)lrintf((x[i] - center[i]) * inverse);
        sum += out[i];
    }
    *ret_scale = most / 127.0F;
    *ret_sum = sum;
    *ret_norm2 = norm2;
}

const struct vector_kernels vector_kernels_scalar = {
    .name = "scalar",
    .dot_f32 = dot_f32_scalar,
    .l2_f32 = l2_f32_scalar,
    .dot_f16 = dot_f16_scalar,
    .l2_f16 = l2_f16_scalar,
    .dot_f32_x4 = dot_f32_x4_scalar,
    .dot_u8 = dot_u8_scalar,
    .dot_u4 = dot_u4_scalar,
    .score_u8 = score_u8_scalar,
    .score_u4 = score_u4_scalar,
    .fht = fht_scalar,
    .flip = flip_scalar,
    .mix = mix_scalar,
    .center_s8 = center_s8_scalar,
};

#if defined(__x86_64__)
/* Not among the names that every compiler's __builtin_cpu_supports knows. */
static int cpu_has_f16c(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

/* Best last. */
static size_t usable_tables(const struct vector_kernels *out[4])
{
    size_t count = 0;
    out[count++] = &vector_kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c())
        out[count++] = &vector_kernels_avx2;
    if (count == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vnni"))
        out[count++] = &vector_kernels_avx512;
#elif defined(__aarch64__)
    out[count++] = &vector_kernels_neon;
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
        out[count++] = &vector_kernels_neondot;
#endif
    return count;
}

const struct vector_kernels *vector_kernels_named(const char *name)
{
    const struct vector_kernels *tables[4];
    size_t count = usable_tables(tables);
    for (size_t i = 0; i < count; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    return NULL;
}

static const struct vector_kernels *chosen;

static void choose(void)
{
    const struct vector_kernels *tables[4];
    size_t count = usable_tables(tables);
    chosen = tables[count - 1];
    const char *forced = getenv("TARN_VECTOR_KERNELS");
    if (forced) {
        const struct vector_kernels *named = vector_kernels_named(forced);
        if (named)
            chosen = named;
    }
}

const struct vector_kernels *vector_kernels_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, choose);
    return chosen;
}
