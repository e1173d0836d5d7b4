/* The arithmetic of the engine, in one table per instruction set.
 *
 * The table is chosen once per process by what the CPU and the system offer;
 * TARN_VECTOR_KERNELS=scalar|avx2|avx512|neon|neondot forces one (an unknown
 * or unsupported name is ignored). The integer kernels of all tables agree bit
 * by bit; the float kernels agree within rounding. kernels_test.c holds both
 * to it.
 *
 * "Padded" lengths are multiples of 64. Codes and int8 queries are 32-byte
 * aligned at least; plain float vectors may be unaligned and of any length.
 */
#ifndef TARN_VECTOR_KERNELS_H
#define TARN_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* estimate = add - mul * scale * (dot(code, query) - bias) */
struct code_factor {
    float add;
    float mul;
};

/* What a block of nodes is scored against. */
struct score_query {
    const uint8_t *codes;
    const struct code_factor *factors;
    size_t stride;       /* bytes from one code to the next */
    const int8_t *query; /* padded */
    size_t dims;         /* padded */
    float scale;         /* of the query's int8 steps */
    float bias;          /* the grid's middle times the sum of the query */
    uint32_t ahead;      /* how many nodes ahead codes are prefetched */
};

struct vector_kernels {
    const char *name;

    /* Raw vectors, any length. l2 is the squared distance. */
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*l2_f32)(const float *a, const float *b, size_t n);
    float (*dot_f16)(const uint16_t *a, const float *b, size_t n);
    float (*l2_f16)(const uint16_t *a, const float *b, size_t n);
    /* One row against four queries, `stride` floats apart: exact scans. */
    void (*dot_f32_x4)(const float *row, const float *queries, size_t stride, size_t n, float out[4]);

    /* Codes against an int8 query. n is padded. A 4-bit code holds, in each
     * run of 128 dimensions, the first 64 in the low and the last 64 in the
     * high nibbles of 64 bytes (a last run of 64: 32 and 32 in 32 bytes). */
    int32_t (*dot_u8)(const uint8_t *code, const int8_t *query, size_t n);
    int32_t (*dot_u4)(const uint8_t *code, const int8_t *query, size_t n);
    void (*score_u8)(const struct score_query *q, const uint32_t *nodes, size_t count, float *out);
    void (*score_u4)(const struct score_query *q, const uint32_t *nodes, size_t count, float *out);

    /* Parts of the rotation. */
    void (*fht)(float *x, size_t n);                        /* orthonormal; n a power of two >= 64 */
    void (*flip)(float *x, const uint32_t *bits, size_t n); /* x[i] = -x[i] where bit i is set */
    void (*mix)(float *x, size_t n);                        /* (x[i], x[i + n/2]) turned by 45 degrees */

    /* out = x - center, and the int8 form of out: ret_scale is the step,
     * ret_sum the sum of the steps. All zero: scale 0. n padded. */
    void (*center_s8)(const float *x, const float *center, size_t n, int8_t *out, float *ret_scale, int32_t *ret_sum,
                      float *ret_norm2);
};

const struct vector_kernels *vector_kernels_get(void);
/* A table by name when this machine can run it; NULL otherwise. */
const struct vector_kernels *vector_kernels_named(const char *name);

float vector_half_to_float(uint16_t half);
uint16_t vector_float_to_half(float value); /* rounds to nearest even; beyond the range: infinity */

extern const struct vector_kernels vector_kernels_scalar;
#if defined(__x86_64__)
extern const struct vector_kernels vector_kernels_avx2;
extern const struct vector_kernels vector_kernels_avx512;
#endif
#if defined(__aarch64__)
extern const struct vector_kernels vector_kernels_neon;
extern const struct vector_kernels vector_kernels_neondot;
#endif

#endif
