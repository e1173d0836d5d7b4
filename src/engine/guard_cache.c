/* Analyses by exact text, least recently used out first.
 *
 * Parsing and judging costs a fraction of a millisecond, as much as a trivial
 * query itself; services send the same texts again and again. A small
 * chained hash table, with a ring through the entries.
 */
#include "engine/engine_internal.h"

#define BUCKETS 2048

struct cache_entry {
    struct tn_ring ring;
    struct guard_analysis *analysis;
    uint64_t hash;
    size_t bytes;
    struct cache_entry *bucket_next;
};

struct guard_cache {
    pthread_mutex_t lock;
    struct cache_entry *buckets[BUCKETS];
    struct tn_ring ring;
    size_t count, bytes, max_entries, max_bytes;
};

/* FNV-1a: a collision costs a comparison, nothing more. */
static uint64_t hash_text(const char *sql, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)sql[i]) * UINT64_C(1099511628211);
    return hash;
}

struct guard_cache *guard_cache_new(size_t max_entries, size_t max_bytes)
{
    struct guard_cache *cache = tn_calloc(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    tn_ring_init(&cache->ring);
    cache->max_entries = max_entries;
    cache->max_bytes = max_bytes;
    return cache;
}

static void evict(struct guard_cache *cache, struct cache_entry *entry)
{
    struct cache_entry **slot = &cache->buckets[entry->hash % BUCKETS];
    while (*slot != entry)
        slot = &(*slot)->bucket_next;
    *slot = entry->bucket_next;
    tn_ring_leave(&entry->ring);
    cache->count--;
    cache->bytes -= entry->bytes;
    guard_analysis_free(entry->analysis);
    free(entry);
}

static struct cache_entry *find(struct guard_cache *cache, const char *sql, size_t length, uint64_t hash)
{
    struct cache_entry *entry = cache->buckets[hash % BUCKETS];
    while (entry && (entry->hash != hash || entry->analysis->length != length ||
                     memcmp(entry->analysis->sql, sql, length) != 0))
        entry = entry->bucket_next;
    return entry;
}

struct guard_analysis *guard_cache_get(struct guard_cache *cache, const char *sql, size_t length)
{
    uint64_t hash = hash_text(sql, length);
    struct guard_analysis *analysis = NULL;
    pthread_mutex_lock(&cache->lock);
    struct cache_entry *entry = find(cache, sql, length, hash);
    if (entry) {
        tn_ring_renew(&cache->ring, &entry->ring);
        analysis = entry->analysis;
        atomic_fetch_add(&analysis->references, 1);
    }
    pthread_mutex_unlock(&cache->lock);
    return analysis;
}

void guard_cache_put(struct guard_cache *cache, struct guard_analysis *analysis)
{
    size_t bytes = tn_arena_reserved(analysis->arena) + sizeof(struct cache_entry);
    if (bytes > cache->max_bytes / 4)
        return;
    uint64_t hash = hash_text(analysis->sql, analysis->length);
    pthread_mutex_lock(&cache->lock);
    if (!find(cache, analysis->sql, analysis->length, hash)) {
        struct cache_entry *entry = tn_calloc(1, sizeof *entry);
        *entry = (struct cache_entry){.analysis = analysis, .hash = hash, .bytes = bytes};
        atomic_fetch_add(&analysis->references, 1);
        entry->bucket_next = cache->buckets[hash % BUCKETS];
        cache->buckets[hash % BUCKETS] = entry;
        tn_ring_enter(&cache->ring, &entry->ring);
        cache->count++;
        cache->bytes += bytes;
    }
    while (cache->count > cache->max_entries || cache->bytes > cache->max_bytes)
        evict(cache, tn_ring_oldest(&cache->ring));
    pthread_mutex_unlock(&cache->lock);
}

size_t guard_cache_bytes(struct guard_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    return bytes;
}

void guard_cache_free(struct guard_cache *cache)
{
    if (!cache)
        return;
    for (struct cache_entry *entry; (entry = tn_ring_oldest(&cache->ring));)
        evict(cache, entry);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
