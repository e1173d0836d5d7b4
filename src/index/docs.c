/* Documents by id, and the chunks that each has. */
#include "index/index_internal.h"

struct doc {
    char *id;
    size_t length;
    int64_t *chunks;
    uint32_t count, capacity;
};

struct docs {
    pthread_mutex_t lock;
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
    docs->slot_count = 1024;
    docs->slots = tn_calloc(docs->slot_count, sizeof *docs->slots);
    docs->seed = tn_random_u64();
    return docs;
}

void docs_free(struct docs *docs)
{
    if (!docs)
        return;
    for (size_t i = 0; i < docs->count; i++) {
        free(docs->docs[i].id);
        free(docs->docs[i].chunks);
    }
    free(docs->docs);
    free(docs->slots);
    (void)pthread_mutex_destroy(&docs->lock);
    free(docs);
}

/* The slot of that id, or the free one where it would go. */
static size_t slot_of(const struct docs *docs, const char *id, size_t length)
{
    size_t mask = docs->slot_count - 1, at = tn_hash64(id, length, docs->seed) & mask;
    for (; docs->slots[at] != 0; at = (at + 1) & mask) {
        const struct doc *doc = &docs->docs[docs->slots[at] - 1];
        if (doc->length == length && memcmp(doc->id, id, length) == 0)
            break;
    }
    return at;
}

static void widen(struct docs *docs)
{
    free(docs->slots);
    docs->slot_count *= 2;
    docs->slots = tn_calloc(docs->slot_count, sizeof *docs->slots);
    for (size_t i = 0; i < docs->count; i++)
        docs->slots[slot_of(docs, docs->docs[i].id, docs->docs[i].length)] = (uint32_t)i + 1;
}

void docs_add(struct docs *docs, const char *doc_id, size_t length, int64_t chunk)
{
    pthread_mutex_lock(&docs->lock);
    size_t at = slot_of(docs, doc_id, length);
    if (docs->slots[at] == 0) {
        TN_GROW(docs->docs, docs->count, docs->capacity);
        docs->docs[docs->count] = (struct doc){.id = tn_strndup(doc_id, length), .length = length};
        docs->slots[at] = (uint32_t)++docs->count;
        if (docs->count * 2 > docs->slot_count)
            widen(docs);
        at = slot_of(docs, doc_id, length);
    }
    struct doc *doc = &docs->docs[docs->slots[at] - 1];
    bool there = false;
    for (uint32_t i = 0; i < doc->count && !there; i++)
        there = doc->chunks[i] == chunk;
    if (!there) {
        docs->live += doc->count == 0;
        docs->chunks++;
        TN_GROW(doc->chunks, doc->count, doc->capacity);
        doc->chunks[doc->count++] = chunk;
    }
    pthread_mutex_unlock(&docs->lock);
}

void docs_remove(struct docs *docs, const char *doc_id, size_t length, int64_t chunk)
{
    pthread_mutex_lock(&docs->lock);
    size_t at = slot_of(docs, doc_id, length);
    struct doc *doc = docs->slots[at] ? &docs->docs[docs->slots[at] - 1] : NULL;
    for (uint32_t i = 0; doc && i < doc->count; i++)
        if (doc->chunks[i] == chunk) {
            doc->chunks[i] = doc->chunks[--doc->count];
            docs->chunks--;
            docs->live -= doc->count == 0;
            break;
        }
    pthread_mutex_unlock(&docs->lock);
}

void docs_each(struct docs *docs, const char *doc_id, void (*each)(void *context, int64_t chunk), void *context)
{
    pthread_mutex_lock(&docs->lock);
    size_t at = slot_of(docs, doc_id, strlen(doc_id));
    const struct doc *doc = docs->slots[at] ? &docs->docs[docs->slots[at] - 1] : NULL;
    for (uint32_t i = 0; doc && i < doc->count; i++)
        each(context, doc->chunks[i]);
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
