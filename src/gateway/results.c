/* A hash table of chains, and a ring through all entries by their last use. */
#include "gateway/results.h"

#include <pthread.h>
#include <string.h>

#define BUCKETS 4096

struct entry {
    struct tn_ring ring;
    struct entry *chain;
    uint64_t hash;
    struct result result;
    size_t name_length, length;
    char bytes[]; /* the name, then the body */
};

struct results {
    pthread_mutex_t lock;
    struct tn_ring ring;
    struct results_state state;
    struct entry *buckets[BUCKETS];
};

struct results *results_new(uint64_t budget_bytes)
{
    if (budget_bytes == 0)
        return NULL;
    struct results *results = tn_calloc(1, sizeof *results);
    pthread_mutex_init(&results->lock, NULL);
    tn_ring_init(&results->ring);
    results->state.budget = budget_bytes;
    return results;
}

static uint64_t bytes_of(size_t name_length, size_t length)
{
    return sizeof(struct entry) + name_length + length;
}

static void evict(struct results *results, struct entry *entry)
{
    struct entry **slot = &results->buckets[entry->hash % BUCKETS];
    while (*slot != entry)
        slot = &(*slot)->chain;
    *slot = entry->chain;
    tn_ring_leave(&entry->ring);
    results->state.count--;
    results->state.bytes -= bytes_of(entry->name_length, entry->length);
    free(entry);
}

void results_free(struct results *results)
{
    if (!results)
        return;
    for (struct entry *entry; (entry = tn_ring_oldest(&results->ring));)
        evict(results, entry);
    pthread_mutex_destroy(&results->lock);
    free(results);
}

static struct entry *find(const struct results *results, const void *name, size_t name_length, uint64_t hash)
{
    struct entry *entry = results->buckets[hash % BUCKETS];
    while (entry &&
           (entry->hash != hash || entry->name_length != name_length || memcmp(entry->bytes, name, name_length) != 0))
        entry = entry->chain;
    return entry;
}

bool results_find(struct results *results, const void *name, size_t name_length, struct tn_buf *out,
                  struct result *ret)
{
    if (!results)
        return false;
    uint64_t hash = tn_hash64(name, name_length, 0);
    pthread_mutex_lock(&results->lock);
    struct entry *entry = find(results, name, name_length, hash);
    if (entry) {
        tn_ring_renew(&results->ring, &entry->ring);
        *ret = entry->result;
        tn_buf_append(out, entry->bytes + name_length, entry->length);
    }
    *(entry ? &results->state.hits : &results->state.misses) += 1;
    pthread_mutex_unlock(&results->lock);
    return entry != NULL;
}

void results_keep(struct results *results, const void *name, size_t name_length, const void *body, size_t length,
                  struct result result)
{
    if (!results || length > RESULTS_BODY_MAX || bytes_of(name_length, length) > results->state.budget)
        return;
    struct entry *entry = tn_malloc(sizeof *entry + name_length + length);
    *entry = (struct entry){
        .hash = tn_hash64(name, name_length, 0), .result = result, .name_length = name_length, .length = length};
    memcpy(entry->bytes, name, name_length);
    if (length)
        memcpy(entry->bytes + name_length, body, length);
    pthread_mutex_lock(&results->lock);
    struct entry *other = find(results, name, name_length, entry->hash);
    if (other) /* two asked at once */
        evict(results, other);
    entry->chain = results->buckets[entry->hash % BUCKETS];
    results->buckets[entry->hash % BUCKETS] = entry;
    tn_ring_enter(&results->ring, &entry->ring);
    results->state.count++;
    results->state.bytes += bytes_of(name_length, length);
    while (results->state.bytes > results->state.budget)
        evict(results, tn_ring_oldest(&results->ring));
    pthread_mutex_unlock(&results->lock);
}

struct results_state results_state(struct results *results)
{
    if (!results)
        return (struct results_state){0};
    pthread_mutex_lock(&results->lock);
    struct results_state state = results->state;
    pthread_mutex_unlock(&results->lock);
    return state;
}
