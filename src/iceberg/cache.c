/* Decoded manifests by URI, bounded in bytes, least recently used out first.
 *
 * One lock around a chained table and a list; what it guards is a look-up and
 * some pointers, decoding happens outside. Two threads that miss the same
 * manifest both decode it, and the second one's copy is kept.
 */
#include "base/hash.h"
#include "base/ring.h"
#include "base/str.h"
#include "iceberg/table_internal.h"

#include <pthread.h>
#include <string.h>

#define CACHE_BUCKETS 4096

struct cache_entry {
    struct tn_ring ring;
    struct cache_entry *chain; /* of the bucket */
    struct manifest_object *object;
    size_t bucket;
};

struct iceberg_cache {
    pthread_mutex_t lock; /* guards everything below */
    struct cache_entry *buckets[CACHE_BUCKETS];
    struct tn_ring ring;
    struct iceberg_cache_state state;
};

struct iceberg_cache *iceberg_cache_new(size_t max_bytes)
{
    struct iceberg_cache *cache = tn_calloc(1, sizeof *cache);
    (void)pthread_mutex_init(&cache->lock, NULL);
    tn_ring_init(&cache->ring);
    cache->state.max_bytes = max_bytes;
    return cache;
}

static size_t cache_bucket(const char *uri)
{
    return (size_t)(tn_hash64(uri, strlen(uri), 0) % CACHE_BUCKETS);
}

static void cache_remove(struct iceberg_cache *cache, struct cache_entry *entry)
{
    struct cache_entry **at = &cache->buckets[entry->bucket];
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    tn_ring_leave(&entry->ring);
    cache->state.bytes -= entry->object->bytes;
    cache->state.entries--;
    manifest_object_unref(entry->object);
    free(entry);
}

void iceberg_cache_free(struct iceberg_cache *cache)
{
    if (!cache)
        return;
    for (struct cache_entry *entry; (entry = tn_ring_oldest(&cache->ring));)
        cache_remove(cache, entry);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct cache_entry *cache_find(struct iceberg_cache *cache, size_t bucket, const char *uri)
{
    struct cache_entry *entry = cache->buckets[bucket];
    while (entry && !tn_streq(entry->object->uri, uri))
        entry = entry->chain;
    return entry;
}

struct manifest_object *cache_get(struct iceberg_cache *cache, const char *uri)
{
    if (!cache)
        return NULL;
    size_t bucket = cache_bucket(uri);
    struct manifest_object *object = NULL;
    (void)pthread_mutex_lock(&cache->lock);
    struct cache_entry *entry = cache_find(cache, bucket, uri);
    if (entry) {
        tn_ring_renew(&cache->ring, &entry->ring);
        object = entry->object;
        manifest_object_ref(object);
        cache->state.hits++;
    } else {
        cache->state.misses++;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return object;
}

void cache_put(struct iceberg_cache *cache, struct manifest_object *object)
{
    if (!cache || object->bytes > cache->state.max_bytes / 4)
        return;
    struct cache_entry *entry = tn_calloc(1, sizeof *entry);
    entry->bucket = cache_bucket(object->uri);
    entry->object = object;
    manifest_object_ref(object);
    (void)pthread_mutex_lock(&cache->lock);
    struct cache_entry *old = cache_find(cache, entry->bucket, object->uri);
    if (old)
        cache_remove(cache, old);
    entry->chain = cache->buckets[entry->bucket];
    cache->buckets[entry->bucket] = entry;
    tn_ring_enter(&cache->ring, &entry->ring);
    cache->state.bytes += object->bytes;
    cache->state.entries++;
    while (cache->state.bytes > cache->state.max_bytes)
        cache_remove(cache, tn_ring_oldest(&cache->ring));
    (void)pthread_mutex_unlock(&cache->lock);
}

struct iceberg_cache_state iceberg_cache_state(struct iceberg_cache *cache)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct iceberg_cache_state state = cache->state;
    (void)pthread_mutex_unlock(&cache->lock);
    return state;
}
