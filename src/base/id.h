/* Identifiers and randomness (from the kernel through libsodium). */
#ifndef TARN_BASE_ID_H
#define TARN_BASE_ID_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Must be called once before any other function of this header; idempotent. */
enum tn_code tn_random_init(struct tn_error *err) TN_CHECKED;
void tn_random_bytes(void *out, size_t count);
uint64_t tn_random_u64(void);
/* A positive, non-zero 63-bit number: an Iceberg snapshot id. */
int64_t tn_random_i63(void);

#define TN_UUID_TEXT 37
/* Version 7: sorts by time of creation, also within one millisecond of one
 * process. Thread-safe. */
const char *tn_uuid7(char out[TN_UUID_TEXT]);
/* Version 4. */
const char *tn_uuid4(char out[TN_UUID_TEXT]);

/* A secret for people to paste: `bytes` random bytes as base64url, no
 * padding. `out` holds 4 * ((bytes + 2) / 3) + 1. */
const char *tn_random_token(size_t bytes, char *out);
/* Equal in constant time for equal lengths. */
_Bool tn_secret_equal(const char *a, const char *b);

#endif
