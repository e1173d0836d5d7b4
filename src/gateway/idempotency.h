/* Answers kept for Idempotency-Key: a client that repeats a write because it
 * did not hear the answer gets that answer, and nothing happens twice.
 *
 * The table is in memory and bounded (IDEMPOTENCY_SLOTS answers for a day, the
 * oldest out first); after a restart a repeated ingest is still recognised by
 * its content. Answers that say "try again" (429, 5xx) are not kept.
 *
 * Threads: any.
 */
#ifndef TARN_GATEWAY_IDEMPOTENCY_H
#define TARN_GATEWAY_IDEMPOTENCY_H

#include "base/base.h"

#define IDEMPOTENCY_SLOTS    512
#define IDEMPOTENCY_BODY_MAX ((size_t)64 << 10)

struct idempotency;
struct idempotency *idempotency_new(void) __attribute__((returns_nonnull));
void idempotency_free(struct idempotency *table);

/* What names a request: who, what it is called, and what it asks for. */
struct idempotency_key {
    unsigned char name[32];    /* hash of token id, route and key */
    unsigned char request[32]; /* hash of the target and, where it is known, the body */
};
struct idempotency_key idempotency_key_of(const char *actor, const char *route, const char *key, const char *target,
                                          const void *body, size_t body_length);

struct idempotency_answer {
    unsigned status;
    const char *media; /* static */
    char etag[32];     /* "" for none */
    const char *body;
    size_t length;
};

/* TN_OK: go on, and call idempotency_end with the same key, always.
 * TN_EEXISTS: *ret is the first answer, its body the arena's.
 * TN_ECONFLICT: the first one is still running. TN_EREFUSED: the key was used
 * for a different request. TN_EBUSY: all slots are running. */
enum tn_code idempotency_begin(struct idempotency *table, const struct idempotency_key *key, struct tn_arena *arena,
                               struct idempotency_answer *ret, struct tn_error *err) TN_CHECKED;
/* Copies the answer, or, for NULL, forgets the key. */
void idempotency_end(struct idempotency *table, const struct idempotency_key *key,
                     const struct idempotency_answer *answer);

#endif
