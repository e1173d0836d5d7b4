/* Preparation, rotation, quantisation: see space.h for the algebra.
 *
 * The rotation alternates random signs with a fast Hadamard transform of the
 * first and of the last 2^k coordinates and, where the padded length is no
 * power of two, a butterfly across its halves. It costs n log n and no table;
 * a dense random matrix would be 2.3 MB at 768 dimensions.
 */
#include "vector/space.h"

#include <math.h>
#include <string.h>

#define CLIP_SIGMAS 2.6F /* where the 4-bit grid ends: least error for a bell curve */

void space_init(struct space *space, enum vector_metric metric, uint32_t dims, uint32_t code_bits, bool lifted,
                uint64_t seed)
{
    memset(space, 0, sizeof *space);
    space->kernels = vector_kernels_get();
    space->metric = metric;
    space->dims = dims;
    space->code_bits = code_bits;
    space->lifted = lifted;
    space->seed = seed;
    space->padded = (dims + (lifted ? 1U : 0U) + 63U) / 64U * 64U;
    space->window = 64;
    while (space->window * 2 <= space->padded)
        space->window *= 2;
    space->rounds = space->window == space->padded ? 3 : 4;
    for (uint32_t r = 0; r < space->rounds; r++)
        for (uint32_t i = 0; i < space->padded / 32; i++)
            space->signs[r][i] = (uint32_t)(space_mix64(seed ^ ((uint64_t)r << 32 | i)) >> 32);
}

enum space_kind space_prepare(const struct space *space, const float *in, float *out)
{
    /* Sums of squares in double cannot overflow for finite floats, and they
     * are not finite exactly when an input is not. */
    double norm2 = 0;
    for (uint32_t i = 0; i < space->dims; i++)
        norm2 += (double)in[i] * (double)in[i];
    if (!isfinite(norm2))
        return SPACE_NOT_FINITE;
    if (out != in)
        memcpy(out, in, space->dims * sizeof *out);
    if (space->metric != VECTOR_COSINE)
        return norm2 < 1e36 ? SPACE_FINE : SPACE_NOT_FINITE;
    if (norm2 < 1e-60)
        return SPACE_ZERO;
    if (fabs(norm2 - 1) < 4e-7) /* unit length already: keep its bits */
        return SPACE_FINE;
    double inverse = 1 / sqrt(norm2);
    for (uint32_t i = 0; i < space->dims; i++)
        out[i] = (float)((double)in[i] * inverse);
    return SPACE_FINE;
}

static void rotate(const struct space *space, float *x)
{
    const struct vector_kernels *k = space->kernels;
    for (uint32_t r = 0; r < space->rounds; r++) {
        k->flip(x, space->signs[r], space->padded);
        k->fht(r % 2 ? x + space->padded - space->window : x, space->window);
        if (space->window != space->padded)
            k->mix(x, space->padded);
    }
}

static void rotate_lifted(const struct space *space, const float *prepared, float lift, float *out)
{
    memcpy(out, prepared, space->dims * sizeof *out);
    memset(out + space->dims, 0, (space->padded - space->dims) * sizeof *out);
    if (space->lifted)
        out[space->dims] = lift;
    rotate(space, out);
}

void space_rotate_row(const struct space *space, const float *prepared, float *out)
{
    float lift = 0;
    if (space->lifted) {
        float norm2 = space->kernels->dot_f32(prepared, prepared, space->dims);
        lift = sqrtf(fmaxf(0, space->lift - norm2));
    }
    rotate_lifted(space, prepared, lift, out);
}

void space_rotate_query(const struct space *space, const float *prepared, float *out)
{
    rotate_lifted(space, prepared, 0, out);
}

static struct code_factor make_factor(float norm2, float with_center, float with_code, bool squared)
{
    float step = with_code > 0 ? norm2 / with_code : 0;
    return squared ? (struct code_factor){.add = norm2, .mul = 2 * step}
                   : (struct code_factor){.add = -with_center, .mul = step};
}

/* Steps of the residual on the grid 0..top whose middle is top / 2, at most
 * `clip` from the middle; returns the product of (step - middle) and residual. */
static float put_on_grid(const float *residual, uint32_t n, float clip, float top, uint8_t *steps)
{
    float inverse = clip > 0 ? top / (2 * clip) : 0;
    float middle = top / 2;
    float product = 0;
    for (uint32_t i = 0; i < n; i++) {
        float s = residual[i] * inverse + middle;
        s = s < 0 ? 0 : s > top ? top : s;
        int step = (int)(s + 0.5F);
        steps[i] = (uint8_t)step;
        product += ((float)step - middle) * residual[i];
    }
    return product;
}

static void pack_u4(const uint8_t *steps, uint32_t n, uint8_t *code)
{
    uint32_t i = 0;
    while (i < n) {
        uint32_t half = n - i >= 128 ? 64 : 32;
        for (uint32_t j = 0; j < half; j++)
            code[j] = (uint8_t)(steps[i + j] | steps[i + half + j] << 4);
        code += half;
        i += 2 * half;
    }
}

/* Residual, its norm squared, its product with the center, its largest size. */
static void take_residual(const struct space *space, const float *rotated, float *residual, float *ret_norm2,
                          float *ret_with_center, float *ret_most)
{
    float most = 0;
    for (uint32_t i = 0; i < space->padded; i++) {
        residual[i] = rotated[i] - space->center[i];
        most = fabsf(residual[i]) > most ? fabsf(residual[i]) : most;
    }
    *ret_norm2 = space->kernels->dot_f32(residual, residual, space->padded);
    *ret_with_center = space->kernels->dot_f32(residual, space->center, space->padded);
    *ret_most = most;
}

/* 255 steps would have their middle at 127.5; 1..255 have it at 128, which
 * makes a code with its top bit flipped a signed step. */
static float grid_u8(const float *residual, uint32_t n, float most, uint8_t *code)
{
    float product = put_on_grid(residual, n, most, 254, code);
    for (uint32_t i = 0; i < n; i++)
        code[i]++;
    return product;
}

void space_encode(const struct space *space, const float *rotated, uint8_t *code, struct code_factor *factor)
{
    _Alignas(64) float residual[SPACE_PADDED_MAX];
    float norm2, with_center, most, product;
    residual[0] = 0; /* never empty: padded is at least 64 */
    take_residual(space, rotated, residual, &norm2, &with_center, &most);
    if (space->code_bits == 8) {
        product = grid_u8(residual, space->padded, most, code);
    } else {
        uint8_t steps[SPACE_PADDED_MAX];
        float clip = fminf(most, CLIP_SIGMAS * sqrtf(norm2 / (float)space->padded));
        product = put_on_grid(residual, space->padded, clip, 15, steps);
        pack_u4(steps, space->padded, code);
    }
    *factor = make_factor(norm2, with_center, product, space->metric == VECTOR_L2);
}

void space_encode_build(const struct space *space, const float *rotated, uint8_t *code, struct code_factor *factor)
{
    _Alignas(64) float residual[SPACE_PADDED_MAX];
    float norm2, with_center, most;
    residual[0] = 0; /* never empty: padded is at least 64 */
    take_residual(space, rotated, residual, &norm2, &with_center, &most);
    float product = grid_u8(residual, space->padded, most, code);
    *factor = make_factor(norm2, with_center, product, true);
}

enum space_kind space_query_set(const struct space *space, const float *query, struct space_query *ret)
{
    _Alignas(64) float rotated[SPACE_PADDED_MAX];
    enum space_kind kind = space_prepare(space, query, ret->prepared);
    if (kind != SPACE_FINE)
        return kind;
    space_rotate_query(space, ret->prepared, rotated);
    int32_t sum;
    float norm2;
    space->kernels->center_s8(rotated, space->center, space->padded, ret->steps, &ret->scale, &sum, &norm2);
    ret->bias = (space->code_bits == 4 ? 7.5F : 128.0F) * (float)sum;
    float product = space->metric == VECTOR_L2 ? 0 : space->kernels->dot_f32(rotated, space->center, space->padded);
    ret->base = space->metric == VECTOR_L2 ? norm2 : space->metric == VECTOR_COSINE ? 1 - product : -product;
    ret->sigma = space->noise * space->radius * sqrtf(norm2) * (space->metric == VECTOR_L2 ? 2.0F : 1.0F);
    return SPACE_FINE;
}

float space_public_distance(const struct space *space, float internal)
{
    if (space->metric == VECTOR_L2)
        return sqrtf(fmaxf(0, internal));
    if (space->metric == VECTOR_COSINE)
        return fminf(2, fmaxf(0, internal));
    return internal;
}

float space_internal_distance(const struct space *space, float distance)
{
    return space->metric == VECTOR_L2 ? distance * fabsf(distance) : distance;
}
