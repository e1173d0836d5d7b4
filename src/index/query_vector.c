/* The vector of a query's text. The last ones are remembered: people ask the
 * same thing again, and page through its answers. */
#include "index/search.h"

#include <math.h>

static uint64_t key_of(const struct definition *definition, const char *text)
{
    uint64_t key = tn_hash64(definition->version, strlen(definition->version), 1);
    key = tn_hash64(definition->model, strlen(definition->model), key);
    return tn_hash64(text, strlen(text), key);
}

static bool recall(struct index_service *service, uint64_t key, const char *text, uint32_t dimension, float *out)
{
    bool found = false;
    pthread_mutex_lock(&service->queries_lock);
    for (size_t i = 0; i < QUERIES_KEPT && !found; i++) {
        struct kept_query *kept = &service->queries[i];
        if (kept->text && kept->key == key && kept->dimension == dimension && tn_streq(kept->text, text)) {
            memcpy(out, kept->vector, dimension * sizeof *out);
            kept->used = ++service->queries_clock;
            found = true;
        }
    }
    pthread_mutex_unlock(&service->queries_lock);
    return found;
}

static void remember(struct index_service *service, uint64_t key, const char *text, uint32_t dimension,
                     const float *vector)
{
    pthread_mutex_lock(&service->queries_lock);
    struct kept_query *oldest = &service->queries[0];
    for (size_t i = 1; i < QUERIES_KEPT; i++)
        if (service->queries[i].used < oldest->used)
            oldest = &service->queries[i];
    free(oldest->text);
    free(oldest->vector);
    *oldest = (struct kept_query){.key = key,
                                  .used = ++service->queries_clock,
                                  .text = tn_strdup(text),
                                  .vector = tn_malloc(dimension * sizeof *vector),
                                  .dimension = dimension};
    memcpy(oldest->vector, vector, dimension * sizeof *vector);
    pthread_mutex_unlock(&service->queries_lock);
}

enum tn_code query_vector(struct logical *logical, const char *text, struct tn_arena *arena, const float **ret,
                          struct tn_error *err)
{
    const struct definition *definition = &logical->definition;
    struct index_service *service = logical->service;
    float *vector = TN_ARENA_ARRAY(arena, float, definition->dimension);
    if (definition->vector_column) {
        tn_fail(err, TN_EREQUEST, "index \"%s\" holds vectors that came with the rows", definition->name);
        tn_error_hint(err, "give a vector instead of a text, or search by mode keyword");
        return TN_EREQUEST;
    }
    uint64_t key = key_of(definition, text);
    if (!recall(service, key, text, definition->dimension, vector)) {
        const struct model_text asked = {.data = text, .length = strlen(text)};
        const struct model_call call = {
            .use = MODEL_QUERY, .priority = TN_FOREGROUND, .version = definition->version};
        TN_TRY(service->embedder.embed(service->embedder.context, definition->model, &call, &asked, 1, vector, err));
        remember(service, key, text, definition->dimension, vector);
    }
    *ret = vector;
    return TN_OK;
}
