#include "gateway/idempotency.h"

#include <pthread.h>
#include <sodium.h>

#define KEEP_NS (UINT64_C(86400) * 1000000000)

struct slot {
    enum { SLOT_FREE, SLOT_RUNNING, SLOT_DONE } state;
    struct idempotency_key key;
    uint64_t since_ns;
    struct idempotency_answer answer; /* body: heap */
};

struct idempotency {
    pthread_mutex_t lock;
    struct slot slots[IDEMPOTENCY_SLOTS];
};

struct idempotency *idempotency_new(void)
{
    struct idempotency *table = tn_calloc(1, sizeof *table);
    (void)pthread_mutex_init(&table->lock, NULL);
    return table;
}

static void slot_clear(struct slot *slot)
{
    free((void *)(uintptr_t)slot->answer.body);
    *slot = (struct slot){0};
}

void idempotency_free(struct idempotency *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < IDEMPOTENCY_SLOTS; i++)
        slot_clear(&table->slots[i]);
    (void)pthread_mutex_destroy(&table->lock);
    free(table);
}

static void hash_text(crypto_generichash_state *state, const void *bytes, size_t length)
{
    /* The length first, so that no two lists of texts run together alike. */
    uint64_t prefix = length;
    (void)crypto_generichash_update(state, (const unsigned char *)&prefix, sizeof prefix);
    (void)crypto_generichash_update(state, bytes, length);
}

struct idempotency_key idempotency_key_of(const char *actor, const char *route, const char *key, const char *target,
                                          const void *body, size_t body_length)
{
    struct idempotency_key ret;
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof ret.name);
    hash_text(&state, actor, strlen(actor));
    hash_text(&state, route, strlen(route));
    hash_text(&state, key, strlen(key));
    (void)crypto_generichash_final(&state, ret.name, sizeof ret.name);
    (void)crypto_generichash_init(&state, NULL, 0, sizeof ret.request);
    hash_text(&state, target, strlen(target));
    hash_text(&state, body ? body : "", body_length);
    (void)crypto_generichash_final(&state, ret.request, sizeof ret.request);
    return ret;
}

static struct slot *find_locked(struct idempotency *table, const struct idempotency_key *key)
{
    for (size_t i = 0; i < IDEMPOTENCY_SLOTS; i++) {
        struct slot *slot = &table->slots[i];
        if (slot->state != SLOT_FREE && memcmp(slot->key.name, key->name, sizeof key->name) == 0)
            return slot;
    }
    return NULL;
}

/* A free slot, or that of the oldest kept answer; NULL when all are running. */
static struct slot *claim_locked(struct idempotency *table)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < IDEMPOTENCY_SLOTS; i++) {
        struct slot *slot = &table->slots[i];
        if (slot->state == SLOT_FREE)
            return slot;
        if (slot->state == SLOT_DONE && (!oldest || slot->since_ns < oldest->since_ns))
            oldest = slot;
    }
    if (oldest)
        slot_clear(oldest);
    return oldest;
}

static enum tn_code repeat_locked(const struct slot *slot, const struct idempotency_key *key, struct tn_arena *arena,
                                  struct idempotency_answer *ret, struct tn_error *err)
{
    if (memcmp(slot->key.request, key->request, sizeof key->request) != 0) {
        (void)tn_fail(err, TN_EREFUSED, "this Idempotency-Key was used for a different request");
        tn_error_hint(err, "take a new key for a new request");
        return TN_EREFUSED;
    }
    if (slot->state == SLOT_RUNNING) {
        (void)tn_fail(err, TN_ECONFLICT, "the first request with this Idempotency-Key is still running");
        tn_error_hint(err, "ask again in a moment for its answer");
        return TN_ECONFLICT;
    }
    *ret = slot->answer;
    ret->body = tn_arena_strndup(arena, slot->answer.body, slot->answer.length);
    return TN_EEXISTS;
}

enum tn_code idempotency_begin(struct idempotency *table, const struct idempotency_key *key, struct tn_arena *arena,
                               struct idempotency_answer *ret, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    (void)pthread_mutex_lock(&table->lock);
    struct slot *slot = find_locked(table, key);
    if (slot && slot->state == SLOT_DONE && tn_mono_ns() - slot->since_ns > KEEP_NS) {
        slot_clear(slot);
        slot = NULL;
    }
    if (slot) {
        code = repeat_locked(slot, key, arena, ret, err);
    } else {
        slot = claim_locked(table);
        if (slot)
            *slot = (struct slot){.state = SLOT_RUNNING, .key = *key, .since_ns = tn_mono_ns()};
        else
            code = tn_fail(err, TN_EBUSY, "%d requests with an Idempotency-Key are running", IDEMPOTENCY_SLOTS);
    }
    (void)pthread_mutex_unlock(&table->lock);
    return code;
}

void idempotency_end(struct idempotency *table, const struct idempotency_key *key,
                     const struct idempotency_answer *answer)
{
    (void)pthread_mutex_lock(&table->lock);
    struct slot *slot = find_locked(table, key);
    if (slot && slot->state == SLOT_RUNNING) {
        bool keep = answer && answer->status < 500 && answer->status != 429 && answer->status != 499 &&
                    answer->length <= IDEMPOTENCY_BODY_MAX;
        if (keep) {
            slot->answer = *answer;
            slot->answer.body = tn_strndup(answer->length > 0 ? answer->body : "", answer->length);
            slot->state = SLOT_DONE;
            slot->since_ns = tn_mono_ns();
        } else {
            slot_clear(slot);
        }
    }
    (void)pthread_mutex_unlock(&table->lock);
}
