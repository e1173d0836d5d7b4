/* NEON with the dot product instructions of ARMv8.2. They multiply signed by
 * signed bytes: codes are moved to signed by flipping the top bit, and 128
 * times the sum of the weights is added back, in integers, so that sums equal
 * the reference's to the bit. The float parts are the reference's text, which
 * is 128 bits wide as NEON is. */
#if defined(__aarch64__)
#define EMBED_LANES 4
#define EMBED_ISA
#include "embed/kernels_float.h"

#include <arm_neon.h>

#define DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))

enum { ROWS = 4, PANELS = 4 };

/* Rows first to first + count by outputs n to n + 16; a fifth row of ones
 * makes the sums of the weights. */
DOTPROD static inline __attribute__((always_inline)) void multiply_tile(const struct embed_matrix *m,
                                                                        const struct embed_rows *rows, size_t first,
                                                                        size_t count, size_t n, float *out)
{
    size_t inputs = m->inputs;
    const uint8_t *x = rows->codes + first * inputs;
    const int8_t *w = m->codes + n * inputs;
    int32x4_t dot[ROWS][PANELS];
    int32x4_t total[PANELS];
    for (size_t p = 0; p < PANELS; p++)
        total[p] = vdupq_n_s32(0);
    for (size_t r = 0; r < count; r++)
        for (size_t p = 0; p < PANELS; p++)
            dot[r][p] = vdupq_n_s32(0);
    for (size_t k = 0; k < inputs; k += 4, w += 64) {
        int8x16_t weights[PANELS];
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; p++) {
            weights[p] = vld1q_s8(w + 16 * p);
            total[p] = vdotq_s32(total[p], weights[p], vdupq_n_s8(1));
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < count; r++) {
            uint32_t four;
            memcpy(&four, x + r * inputs + k, sizeof four);
            int8x16_t codes = vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080U));
#pragma GCC unroll 4
            for (size_t p = 0; p < PANELS; p++)
                dot[r][p] = vdotq_s32(dot[r][p], weights[p], codes);
        }
    }
    for (size_t r = 0; r < count; r++)
        for (size_t p = 0; p < PANELS; p++) {
            size_t at = n + 4 * p;
            int32x4_t sum = vaddq_s32(dot[r][p], vshlq_n_s32(total[p], 7));
            float32x4_t constant =
                vfmaq_n_f32(vld1q_f32(m->bias + at), vld1q_f32(m->sums + at), rows->low[first + r]);
            float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(m->scale + at));
            vst1q_f32(out + (first + r) * m->outputs + at, vfmaq_n_f32(constant, scaled, rows->step[first + r]));
        }
}

DOTPROD static void multiply_neondot(const struct embed_matrix *m, const struct embed_rows *rows, float *out)
{
    for (size_t n = 0; n < m->outputs; n += 16) {
        size_t row = 0;
        for (; row + ROWS <= rows->count; row += ROWS)
            multiply_tile(m, rows, row, ROWS, n, out);
        for (; row < rows->count; row++)
            multiply_tile(m, rows, row, 1, n, out);
    }
}

const struct embed_kernels embed_kernels_neondot = {
    .name = "neondot",
    .steps = 255,
    .quantise = quantise_255,
    .multiply = multiply_neondot,
    .correct = correct,
    .normalise = normalise,
    .gelu = gelu,
    .attend = attend,
};
#else
typedef int embed_kernels_neon_is_for_arm;
#endif
