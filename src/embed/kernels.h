/* The arithmetic of the encoder, in one table per instruction set.
 *
 * Chosen once per process by what the CPU and the system offer;
 * TARN_EMBED_KERNEL=<name> forces one (a name that is unknown, or that this
 * machine cannot run, is ignored):
 *
 *   scalar      the reference, any CPU
 *   avx2exact   8-bit activations        avx2  7-bit ones, twice as fast
 *   avxvnni     256 bits, dot product    vnni256  the same in its EVEX form
 *   avx512vnni  512 bits, dot product
 *   neondot     arm64 with sdot
 *
 * Integer sums of all tables but avx2 agree to the bit for the same codes; the
 * float parts agree within rounding. kernels_test.c holds them to it.
 */
#ifndef TARN_EMBED_KERNELS_H
#define TARN_EMBED_KERNELS_H

#include "embed/asset.h"

/* Rows of activations: x = low + step * code. */
struct embed_rows {
    const uint8_t *codes; /* [count][inputs] */
    const float *step;
    const float *low;
    size_t count;
    uint8_t *room; /* as large as the codes: for another order of them */
};

/* A value so far from the rest of its row that it would take the others' codes:
 * its code is the nearest within the others' range, and `rest` what that leaves
 * out. A row has at most EMBED_OUTLIERS of them. */
struct embed_outlier {
    uint32_t row, column;
    float rest;
};

/* One head's attention. Queries, keys and values lie in rows of `stride`
 * floats; `dims` is a multiple of 32. */
struct embed_attention {
    const float *queries, *keys, *values;
    size_t stride, rows, dims;
    float scale;
    float *out; /* rows of out_stride floats */
    size_t out_stride;
    float *keys_across;  /* room for dims * padded rows */
    float *values_dense; /* room for rows * dims */
    float *scores;       /* room for EMBED_QUERY_ROWS * padded rows */
};

enum {
    EMBED_OUTLIERS = 8,
    EMBED_QUERY_ROWS = 14,
    EMBED_ROW_PAD = 32, /* rows are padded to a multiple of it in scratch */
};

struct embed_kernels {
    const char *name;
    uint32_t steps; /* codes run from 0 to this */

    /* Codes of `rows` rows of `n` floats, n a multiple of 64; returns how many
     * outliers there are, in the order of their rows. */
    size_t (*quantise)(const float *x, size_t rows, size_t n, uint8_t *codes, float *ret_step, float *ret_low,
                       struct embed_outlier *ret_outliers);
    /* out[row][output] = scale * (step * dot) + sums * low + bias. */
    void (*multiply)(const struct embed_matrix *matrix, const struct embed_rows *rows, float *out);
    /* Adds what the codes of outliers left out. */
    void (*correct)(const struct embed_matrix *matrix, const struct embed_outlier *outliers, size_t count,
                    float *out);
    /* x = norm(x + added) by rows; `added` may be NULL. */
    void (*normalise)(float *x, const float *added, size_t rows, size_t n, const struct embed_norm *norm,
                      float epsilon);
    void (*gelu)(float *x, size_t n); /* n a multiple of 16 */
    void (*attend)(const struct embed_attention *a);
};

const struct embed_kernels *embed_kernels_get(void);
/* A table by name when this machine can run it; NULL otherwise. */
const struct embed_kernels *embed_kernels_named(const char *name);

extern const struct embed_kernels embed_kernels_scalar;
#if defined(__x86_64__)
extern const struct embed_kernels embed_kernels_avx2;
extern const struct embed_kernels embed_kernels_avx2exact;
extern const struct embed_kernels embed_kernels_avxvnni;
extern const struct embed_kernels embed_kernels_vnni256;
extern const struct embed_kernels embed_kernels_avx512vnni;
#endif
#if defined(__aarch64__)
extern const struct embed_kernels embed_kernels_neondot;
#endif

#endif
