/* From a caller's vector to a code and back to a distance.
 *
 * A row is first put in the form that the metric sees (unit length for
 * cosine), then turned by a random rotation that spreads every direction
 * evenly over the coordinates, then the mean of all rows (the center) is taken
 * off, and what is left, the residual r, is put on a grid of 16 or 256 steps.
 * With q' = q - center:
 *
 *     <q,x>     = <q,center> + <center,r> + <q',r>
 *     |q - x|^2 = |q'|^2 + |r|^2 - 2 <q',r>
 *
 * The first terms are constants of the query or exact per row (factor.add);
 * <q',r> is estimated by the integer product of code and query times a factor
 * per row (factor.mul) that makes the estimate unbiased. For the inner product
 * rows get one more coordinate, sqrt(M^2 - |x|^2), which is 0 in queries: that
 * makes "largest product" and "nearest" the same, so that a graph can be built.
 */
#ifndef TARN_VECTOR_SPACE_H
#define TARN_VECTOR_SPACE_H

#include "vector/kernels.h"
#include "vector/vector.h"

#define SPACE_PADDED_MAX 4160 /* 4,096 and the lifted coordinate, in steps of 64 */

struct space {
    const struct vector_kernels *kernels;
    enum vector_metric metric;
    uint32_t dims;
    uint32_t padded;
    uint32_t code_bits; /* of the codes that are searched: 4 or 8 */
    uint32_t rounds;
    uint32_t window; /* largest power of two <= padded */
    bool lifted;
    float lift;   /* M^2 */
    float noise;  /* spread of (estimate - truth) / (|q'| * |r|), |r| over all rows */
    float radius; /* root mean square of |r| */
    uint64_t seed;
    uint32_t signs[4][SPACE_PADDED_MAX / 32];
    _Alignas(64) float center[SPACE_PADDED_MAX];
};

void space_init(struct space *space, enum vector_metric metric, uint32_t dims, uint32_t code_bits, bool lifted,
                uint64_t seed);
static inline size_t space_code_bytes(const struct space *space)
{
    return (size_t)space->padded * space->code_bits / 8;
}

enum space_kind { SPACE_FINE, SPACE_ZERO, SPACE_NOT_FINITE };
/* The form that the metric sees; `out` may be `in`. A zero row of a cosine
 * space is SPACE_ZERO and left as it is. */
enum space_kind space_prepare(const struct space *space, const float *in, float *out);

/* Prepared row to rotated coordinates, `padded` of them. Queries have no lift. */
void space_rotate_row(const struct space *space, const float *prepared, float *out);
void space_rotate_query(const struct space *space, const float *prepared, float *out);

/* The searched code of a rotated row. */
void space_encode(const struct space *space, const float *rotated, uint8_t *code, struct code_factor *factor);
/* The 8-bit code for building: always by squared distance between residuals. */
void space_encode_build(const struct space *space, const float *rotated, uint8_t *code, struct code_factor *factor);

/* A query, ready to be scored. */
struct space_query {
    _Alignas(64) float prepared[VECTOR_DIMENSIONS_MAX + 16];
    _Alignas(64) int8_t steps[SPACE_PADDED_MAX];
    float scale;
    float bias;
    float base;  /* estimate = base + score */
    float sigma; /* spread of the estimate */
};
enum space_kind space_query_set(const struct space *space, const float *query, struct space_query *ret);

/* Between the internal value (1 - cos, -product, squared distance) and what
 * callers see (the square root for l2). */
float space_public_distance(const struct space *space, float internal);
float space_internal_distance(const struct space *space, float distance);

static inline uint64_t space_mix64(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

#endif
