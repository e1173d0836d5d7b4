/* CRC-32C: the CPU's instruction where there is one, else eight tables.
 *
 * The version is chosen on the first call; every thread that races there
 * stores the same pointer.
 */
#include "base/crc32c_internal.h"
#include "base/hash.h"

#include <pthread.h>
#include <string.h>

typedef uint32_t crc_fn(uint32_t crc, const void *bytes, size_t count);

#define POLYNOMIAL UINT32_C(0x82F63B78) /* Castagnoli, bits reversed */

static uint32_t tables[8][256];

static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 255];
    }
}

static uint32_t load32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t tn_crc32c_portable(uint32_t crc, const void *bytes, size_t count)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_tables);
    const unsigned char *p = bytes;
    crc = ~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint32_t low = load32(p) ^ crc, high = load32(p + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^
              tables[0][high >> 24];
    }
    for (; count; p++, count--)
        crc = crc >> 8 ^ tables[0][(crc ^ *p) & 255];
    return ~crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    uint64_t state = ~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        state = _mm_crc32_u64(state, word);
    }
    uint32_t rest = (uint32_t)state;
    for (; count; p++, count--)
        rest = _mm_crc32_u8(rest, *p);
    return ~rest;
}

static crc_fn *best_version(void)
{
    return __builtin_cpu_supports("sse4.2") ? crc_sse42 : tn_crc32c_portable;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

/* Written in assembly because the compilers disagree on the intrinsic's name. */
static uint32_t crc_arm(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    crc = ~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
    }
    for (; count; p++, count--)
        __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*p));
    return ~crc;
}

static crc_fn *best_version(void)
{
    const unsigned long has_crc32 = 1UL << 7; /* HWCAP_CRC32 */
    return getauxval(AT_HWCAP) & has_crc32 ? crc_arm : tn_crc32c_portable;
}
#else
static crc_fn *best_version(void)
{
    return tn_crc32c_portable;
}
#endif

uint32_t tn_crc32c(uint32_t crc, const void *bytes, size_t count)
{
    static crc_fn *chosen;
    crc_fn *run = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (!run) {
        run = best_version();
        __atomic_store_n(&chosen, run, __ATOMIC_RELAXED);
    }
    return run(crc, bytes, count);
}

/* Checksums are polynomials over GF(2), the highest bit the constant term: the
 * product of two, reduced by the checksum's own. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        if (a >> bit & 1)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

uint32_t tn_crc32c_join(uint32_t first, uint32_t second, uint64_t length)
{
    uint32_t square = UINT32_C(1) << 23; /* x^8: a byte more behind the first text */
    for (; length; length >>= 1) {
        if (length & 1)
            first = multiply(square, first);
        square = multiply(square, square);
    }
    return first ^ second;
}
