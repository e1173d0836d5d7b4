/* Documents by id, and the chunks that each has. */
#include "index/index_internal.h"

/* Most have one chunk, which needs no room of its own. */
struct doc {
    const char *id; /* the arena's */
    uint32_t hash, length;
    uint32_t count, capacity; /* capacity 0: `one` is what there is */
    union {
        int64_t one, *many;
    } chunks;
};

struct docs {
    pthread_mutex_t lock;
    struct tn_arena *arena;
    struct doc *docs;
    size_t count, capacity;
    uint32_t *slots;   /* number of a doc, plus 1 */
    size_t slot_count; /* a power of two */
    uint64_t live, chunks, seed;
};

struct docs *docs_new(void)
{
    struct docs *docs = tn_calloc(1, sizeof *docs);
    (void)pthread_mutex_init(&docs->lock, NULL);
    docs->arena = tn_arena_new();
    docs->slot_count = 1024;
    docs->slots = tn_calloc(docs->slot_count, sizeof *docs->slots);
    docs->seed = tn_random_u64();
    return docs;
}

void docs_free(struct docs *docs)
{
    if (!docs)
        return;
    for (size_t i = 0; i < docs->count; i++)
        if (docs->docs[i].capacity > 0)
            free(docs->docs[i].chunks.many);
    tn_arena_free(docs->arena);
    free(docs->docs);
    free(docs->slots);
    (void)pthread_mutex_destroy(&docs->lock);
    free(docs);
}

static int64_t *chunks_of(struct doc *doc)
{
    return doc->capacity > 0 ? doc->chunks.many : &doc->chunks.one;
}

static void add_chunk(struct doc *doc, int64_t chunk)
{
    if (doc->count > 0 && doc->count >= doc->capacity) {
        uint32_t capacity = doc->capacity > 0 ? doc->capacity * 2 : 4;
        int64_t *many = tn_realloc_array(doc->capacity > 0 ? doc->chunks.many : NULL, capacity, sizeof *many);
        if (doc->capacity == 0)
            many[0] = doc->chunks.one;
        doc->chunks.many = many;
        doc->capacity = capacity;
    }
    chunks_of(doc)[doc->count++] = chunk;
}

static uint32_t hash_of(const struct docs *docs, const char *id, size_t length)
{
    return (uint32_t)tn_hash64(id, length, docs->seed);
}

/* The slot of that id, or the free one where it would go. */
static size_t slot_of(const struct docs *docs, uint32_t hash, const char *id, size_t length)
{
    size_t mask = docs->slot_count - 1, at = hash & mask;
    for (; docs->slots[at] != 0; at = (at + 1) & mask) {
        const struct doc *doc = &docs->docs[docs->slots[at] - 1];
        if (doc->hash == hash && doc->length == length && memcmp(doc->id, id, length) == 0)
            break;
    }
    return at;
}

/* NULL when there is none. */
static struct doc *find(const struct docs *docs, const char *id, size_t length)
{
    uint32_t number = docs->slots[slot_of(docs, hash_of(docs, id, length), id, length)];
    return number ? &docs->docs[number - 1] : NULL;
}

static void widen(struct docs *docs)
{
    free(docs->slots);
    docs->slot_count *= 2;
    docs->slots = tn_calloc(docs->slot_count, sizeof *docs->slots);
    for (size_t i = 0; i < docs->count; i++) { /* all ids differ */
        size_t at = docs->docs[i].hash & (docs->slot_count - 1);
        while (docs->slots[at] != 0)
            at = (at + 1) & (docs->slot_count - 1);
        docs->slots[at] = (uint32_t)i + 1;
    }
}

static struct doc *find_or_add(struct docs *docs, const char *id, size_t length)
{
    uint32_t hash = hash_of(docs, id, length);
    size_t at = slot_of(docs, hash, id, length);
    if (docs->slots[at] != 0)
        return &docs->docs[docs->slots[at] - 1];
    TN_GROW(docs->docs, docs->count, docs->capacity);
    docs->docs[docs->count] =
        (struct doc){.id = tn_arena_strndup(docs->arena, id, length), .hash = hash, .length = (uint32_t)length};
    docs->slots[at] = (uint32_t)++docs->count;
    if (docs->count * 2 > docs->slot_count)
        widen(docs);
    return &docs->docs[docs->count - 1];
}

void docs_add(struct docs *docs, const char *doc_id, size_t length, int64_t chunk)
{
    pthread_mutex_lock(&docs->lock);
    struct doc *doc = find_or_add(docs, doc_id, length);
    const int64_t *chunks = chunks_of(doc);
    bool there = false;
    for (uint32_t i = 0; i < doc->count && !there; i++)
        there = chunks[i] == chunk;
    if (!there) {
        docs->live += doc->count == 0;
        docs->chunks++;
        add_chunk(doc, chunk);
    }
    pthread_mutex_unlock(&docs->lock);
}

void docs_remove(struct docs *docs, const char *doc_id, size_t length, int64_t chunk)
{
    pthread_mutex_lock(&docs->lock);
    struct doc *doc = find(docs, doc_id, length);
    int64_t *chunks = doc ? chunks_of(doc) : NULL;
    for (uint32_t i = 0; doc && i < doc->count; i++)
        if (chunks[i] == chunk) {
            chunks[i] = chunks[--doc->count];
            docs->chunks--;
            docs->live -= doc->count == 0;
            break;
        }
    pthread_mutex_unlock(&docs->lock);
}

void docs_each(struct docs *docs, const char *doc_id, void (*each)(void *context, int64_t chunk), void *context)
{
    pthread_mutex_lock(&docs->lock);
    struct doc *doc = find(docs, doc_id, strlen(doc_id));
    const int64_t *chunks = doc ? chunks_of(doc) : NULL;
    for (uint32_t i = 0; doc && i < doc->count; i++)
        each(context, chunks[i]);
    pthread_mutex_unlock(&docs->lock);
}

uint64_t docs_count(struct docs *docs)
{
    pthread_mutex_lock(&docs->lock);
    uint64_t count = docs->live;
    pthread_mutex_unlock(&docs->lock);
    return count;
}

uint64_t docs_chunks(struct docs *docs)
{
    pthread_mutex_lock(&docs->lock);
    uint64_t count = docs->chunks;
    pthread_mutex_unlock(&docs->lock);
    return count;
}
