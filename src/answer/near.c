/* How near sentences are to a question, without embedding any of them twice. */
#include "answer/rag.h"

#include <math.h>

#define SETS 1024
#define WAYS 4

struct slot {
    struct near_key key;
    uint64_t used; /* 0: empty */
    size_t dimension;
    float *vector;
};

struct near_cache {
    pthread_mutex_t lock;
    uint64_t clock;
    struct slot slots[SETS][WAYS];
};

struct near_cache *near_cache_new(void)
{
    struct near_cache *cache = tn_calloc(1, sizeof *cache);
    (void)pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void near_cache_free(struct near_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t way = 0; way < WAYS; way++)
            free(cache->slots[i][way].vector);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct near_key near_key_of(const char *version, const char *text, size_t length)
{
    struct near_key key;
    for (size_t i = 0; i < TN_COUNT(key.hash); i++)
        key.hash[i] = tn_hash64(text, length, tn_hash64(version, strlen(version), i));
    return key;
}

static struct slot *slot_of(struct near_cache *cache, const struct near_key *key, size_t dimension)
{
    struct slot *set = cache->slots[key->hash[0] % SETS];
    for (size_t way = 0; way < WAYS; way++)
        if (set[way].used && set[way].key.hash[0] == key->hash[0] && set[way].key.hash[1] == key->hash[1] &&
            set[way].dimension == dimension)
            return &set[way];
    return NULL;
}

bool near_cache_get(struct near_cache *cache, const struct near_key *key, size_t dimension, float *out)
{
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = slot_of(cache, key, dimension);
    if (slot) {
        slot->used = ++cache->clock;
        memcpy(out, slot->vector, dimension * sizeof *out);
    }
    pthread_mutex_unlock(&cache->lock);
    return slot != NULL;
}

void near_cache_put(struct near_cache *cache, const struct near_key *key, size_t dimension, const float *vector)
{
    pthread_mutex_lock(&cache->lock);
    struct slot *set = cache->slots[key->hash[0] % SETS], *slot = slot_of(cache, key, dimension);
    if (!slot) {
        slot = &set[0];
        for (size_t way = 1; way < WAYS; way++)
            if (set[way].used < slot->used)
                slot = &set[way];
    }
    slot->vector = tn_realloc_array(slot->vector, dimension, sizeof *vector);
    memcpy(slot->vector, vector, dimension * sizeof *vector);
    slot->key = *key;
    slot->dimension = dimension;
    slot->used = ++cache->clock;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- of a run ------------------------------------------------------------------ */

/* The search embedded the question already, unless the passages come from a record. */
static enum tn_code question_vector(struct rag_run *run, size_t dimension, const float **ret, struct tn_error *err)
{
    const struct model_text text = {run->rag->question, strlen(run->rag->question)};
    const struct model_call call = {.use = MODEL_QUERY, .version = run->record->embedding_version};
    if (run->question && run->question_size == dimension) {
        *ret = run->question;
        return TN_OK;
    }
    float *vector = TN_ARENA_ARRAY(run->arena, float, dimension);
    TN_TRY(
        model_embed(run->service->options.models, run->record->embedding_model, &call, &text, 1, vector, NULL, err));
    *ret = vector;
    return TN_OK;
}

static enum tn_code sentence_vectors(struct rag_run *run, const struct model_text *texts, size_t count,
                                     size_t dimension, float *out, struct tn_error *err)
{
    const struct model_call call = {.use = MODEL_DOCUMENT, .version = run->record->embedding_version};
    const char *version = tn_arena_printf(run->arena, "%s %s", run->record->embedding_model,
                                          run->record->embedding_version ? run->record->embedding_version : "");
    struct near_key *keys = TN_ARENA_ARRAY(run->arena, struct near_key, count);
    struct model_text *missing = TN_ARENA_ARRAY(run->arena, struct model_text, count);
    size_t *places = TN_ARENA_ARRAY(run->arena, size_t, count), missing_count = 0;
    for (size_t i = 0; i < count; i++) {
        keys[i] = near_key_of(version, texts[i].data, texts[i].length);
        if (near_cache_get(run->service->near, &keys[i], dimension, out + i * dimension))
            continue;
        places[missing_count] = i;
        missing[missing_count++] = texts[i];
    }
    if (missing_count == 0)
        return TN_OK;
    float *made = TN_ARENA_ARRAY(run->arena, float, tn_size_mul(dimension, missing_count));
    TN_TRY(model_embed(run->service->options.models, run->record->embedding_model, &call, missing, missing_count,
                       made, NULL, err));
    for (size_t i = 0; i < missing_count; i++) {
        memcpy(out + places[i] * dimension, made + i * dimension, dimension * sizeof *out);
        near_cache_put(run->service->near, &keys[places[i]], dimension, made + i * dimension);
    }
    return TN_OK;
}

static double cosine(const float *a, const float *b, size_t count)
{
    double product = 0, of_a = 0, of_b = 0;
    for (size_t i = 0; i < count; i++) {
        double x = a[i], y = b[i];
        product += x * y;
        of_a += x * x;
        of_b += y * y;
    }
    return of_a > 0 && of_b > 0 ? product / sqrt(of_a * of_b) : 0;
}

enum tn_code rag_nearness(void *context, const struct model_text *texts, size_t count, double *ret,
                          struct tn_error *err)
{
    struct rag_run *run = context;
    struct model_info info;
    const float *question;
    TN_TRY(model_find(run->service->options.models, run->record->embedding_model, &info, err));
    float *vectors = TN_ARENA_ARRAY(run->arena, float, tn_size_mul(info.dimension, count));
    TN_TRY(question_vector(run, info.dimension, &question, err));
    TN_TRY(sentence_vectors(run, texts, count, info.dimension, vectors, err));
    for (size_t i = 0; i < count; i++)
        ret[i] = cosine(question, vectors + i * info.dimension, info.dimension);
    return TN_OK;
}
