/* Content hashes and checksums. */
#ifndef TARN_BASE_HASH_H
#define TARN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* BLAKE2b-256: what `b2sum -l 256 FILE` prints. Names the bytes of a source. */
#define TN_HASH_BYTES 32
#define TN_HASH_HEX   (2 * TN_HASH_BYTES + 1)
struct tn_hash {
    _Alignas(64) unsigned char state[384];
};
void tn_hash_init(struct tn_hash *hash);
void tn_hash_update(struct tn_hash *hash, const void *bytes, size_t count);
void tn_hash_final(struct tn_hash *hash, unsigned char ret_digest[TN_HASH_BYTES]);
void tn_hash_final_hex(struct tn_hash *hash, char ret_hex[TN_HASH_HEX]);

/* CRC-32C (Castagnoli), hardware where the CPU has it. Start with 0 and feed
 * the result back in to continue. */
uint32_t tn_crc32c(uint32_t crc, const void *bytes, size_t count);
/* The checksum of two texts in a row from those of each (both begun with 0),
 * without looking at their bytes: `length` is the second one's. */
uint32_t tn_crc32c_join(uint32_t first, uint32_t second, uint64_t length);

/* 64-bit non-cryptographic hash for tables in memory; seeded per process
 * where outside input decides the keys. */
uint64_t tn_hash64(const void *bytes, size_t count, uint64_t seed);

#endif
