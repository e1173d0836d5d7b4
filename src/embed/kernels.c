/* The scalar reference and the choice of a table. */
#define EMBED_LANES 4
#define EMBED_ISA
#include "embed/kernels_float.h"

#include <pthread.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1UL << 20)
#endif
#endif

static void multiply_scalar(const struct embed_matrix *m, const struct embed_rows *rows, float *out)
{
    for (size_t row = 0; row < rows->count; row++) {
        const uint8_t *x = rows->codes + row * m->inputs;
        for (size_t n = 0; n < m->outputs; n++) {
            const int8_t *w = m->codes + n / 16 * 16 * m->inputs + n % 16 * 4;
            int32_t dot = 0;
            for (size_t k = 0; k < m->inputs; k += 4, w += 64)
                for (size_t i = 0; i < 4; i++)
                    dot += x[k + i] * w[i];
            out[row * m->outputs + n] =
                (float)dot * m->scale[n] * rows->step[row] + (m->sums[n] * rows->low[row] + m->bias[n]);
        }
    }
}

const struct embed_kernels embed_kernels_scalar = {
    .name = "scalar",
    .steps = 255,
    .quantise = quantise_255,
    .multiply = multiply_scalar,
    .correct = correct,
    .normalise = normalise,
    .gelu = gelu,
    .attend = attend,
};

enum { TABLES_MAX = 6 };

#if defined(__x86_64__)
/* Not among the names that every compiler's __builtin_cpu_supports knows. The
 * registers it needs are those of AVX2. */
static bool cpu_has_avxvnni(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1U << 4);
}
#endif

/* Best last. */
static size_t usable_tables(const struct embed_kernels *out[TABLES_MAX])
{
    size_t count = 0;
    out[count++] = &embed_kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return count;
    out[count++] = &embed_kernels_avx2exact;
    out[count++] = &embed_kernels_avx2;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vnni");
    if (wide)
        out[count++] = &embed_kernels_vnni256;
    if (cpu_has_avxvnni())
        out[count++] = &embed_kernels_avxvnni;
    if (wide)
        out[count++] = &embed_kernels_avx512vnni;
#elif defined(__aarch64__)
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
        out[count++] = &embed_kernels_neondot;
#endif
    return count;
}

const struct embed_kernels *embed_kernels_named(const char *name)
{
    const struct embed_kernels *tables[TABLES_MAX];
    size_t count = usable_tables(tables);
    for (size_t i = 0; i < count; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    return NULL;
}

static const struct embed_kernels *chosen;

static void choose(void)
{
    const struct embed_kernels *tables[TABLES_MAX];
    size_t count = usable_tables(tables);
    chosen = tables[count - 1];
    const char *forced = getenv("TARN_EMBED_KERNEL");
    const struct embed_kernels *named = forced ? embed_kernels_named(forced) : NULL;
    if (named)
        chosen = named;
}

const struct embed_kernels *embed_kernels_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, choose);
    return chosen;
}
