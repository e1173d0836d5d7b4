/* BLAKE2b-256 through libsodium, and the hash for tables in memory. */
#include "base/hash.h"

#include "base/str.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct tn_hash), "struct tn_hash is too small");
_Static_assert(_Alignof(crypto_generichash_state) <= _Alignof(struct tn_hash),
               "struct tn_hash is aligned too little");

/* Without it libsodium takes its portable code instead of the CPU's best. */
static void choose_implementation(void)
{
    (void)!sodium_init();
}

static crypto_generichash_state *state_of(struct tn_hash *hash)
{
    return (void *)hash->state;
}

void tn_hash_init(struct tn_hash *hash)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, choose_implementation);
    (void)crypto_generichash_init(state_of(hash), NULL, 0, TN_HASH_BYTES);
}

void tn_hash_update(struct tn_hash *hash, const void *bytes, size_t count)
{
    if (count)
        (void)crypto_generichash_update(state_of(hash), bytes, count);
}

void tn_hash_final(struct tn_hash *hash, unsigned char ret_digest[TN_HASH_BYTES])
{
    (void)crypto_generichash_final(state_of(hash), ret_digest, TN_HASH_BYTES);
}

void tn_hash_final_hex(struct tn_hash *hash, char ret_hex[TN_HASH_HEX])
{
    unsigned char digest[TN_HASH_BYTES];
    tn_hash_final(hash, digest);
    tn_hex_encode(digest, sizeof digest, ret_hex);
}

__extension__ typedef unsigned __int128 u128;

/* Both halves of a 128-bit product depend on all bits of both factors. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load64(const unsigned char *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

/* 0 to 8 bytes as a number. */
static uint64_t load_short(const unsigned char *p, size_t count)
{
    uint64_t value = 0;
    if (count)
        memcpy(&value, p, count);
    return value;
}

uint64_t tn_hash64(const void *bytes, size_t count, uint64_t seed)
{
    /* Odd constants with about half of their bits set: the fractional parts
     * of the square roots of 2, 3, 5 and 7. */
    static const uint64_t k0 = UINT64_C(0x6A09E667F3BCC909), k1 = UINT64_C(0xBB67AE8584CAA73B),
                          k2 = UINT64_C(0x3C6EF372FE94F82B), k3 = UINT64_C(0xA54FF53A5F1D36F1);
    const unsigned char *p = bytes;
    size_t left = count;
    uint64_t h = fold(seed ^ k0, (uint64_t)count ^ k1);
    if (left > 32) {
        uint64_t other = h ^ k3;
        for (; left > 32; p += 32, left -= 32) {
            h = fold(load64(p) ^ k1, load64(p + 8) ^ h);
            other = fold(load64(p + 16) ^ k2, load64(p + 24) ^ other);
        }
        h ^= other;
    }
    for (; left > 16; p += 16, left -= 16)
        h = fold(load64(p) ^ k2, load64(p + 8) ^ h);
    uint64_t a = load_short(p, left < 8 ? left : 8);
    uint64_t b = left > 8 ? load_short(p + 8, left - 8) : 0;
    h = fold(a ^ k1, b ^ h);
    return fold(h ^ k2, k3);
}
