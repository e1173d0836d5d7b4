/* A search from beginning to end. */
#include "index/search.h"

#include <inttypes.h>
#include <math.h>

#define WIDTH_LEAST 100 /* candidates of a leg that fusing chooses from */
#define TRIES       4   /* a hit may be deleted between finding and reading it */

bool index_mode_parse(const char *word, enum index_mode *ret)
{
    static const char *const words[] = {
        [INDEX_HYBRID] = "hybrid", [INDEX_VECTOR] = "vector", [INDEX_KEYWORD] = "keyword"};
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (tn_streq(word, words[i])) {
            *ret = (enum index_mode)i;
            return true;
        }
    return false;
}

bool index_fusion_parse(const char *word, enum index_fusion *ret)
{
    if (!tn_streq(word, "blend") && !tn_streq(word, "rrf"))
        return false;
    *ret = word[0] == 'b' ? INDEX_BLEND : INDEX_RRF;
    return true;
}

static uint64_t lap_us(uint64_t *since)
{
    uint64_t now = tn_mono_ns(), took = (now - *since) / 1000;
    *since = now;
    return took;
}

/* What says nothing is near to anything: its hits would be any. */
static enum tn_code check_text(const struct index_query *query, struct tn_error *err)
{
    if (!query->text || (query->vector && query->mode == INDEX_VECTOR))
        return TN_OK;
    if (strlen(query->text) > INDEX_QUERY_MAX)
        return tn_fail(err, TN_EREQUEST, "a query's text has at most %d bytes", INDEX_QUERY_MAX);
    if (query->text[strspn(query->text, " \t\r\n\v\f")] != '\0')
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "the query is empty");
    tn_error_hint(err, query->mode == INDEX_VECTOR ? "Give a text in query, or a vector."
                                                   : "Write what to look for in query, such as \"cloud migration\".");
    return TN_EREQUEST;
}

static enum tn_code check(const struct index_query *query, const struct definition *definition, struct tn_error *err)
{
    if (query->k > INDEX_K_MAX)
        return tn_fail(err, TN_EREQUEST, "k is at most %d", INDEX_K_MAX);
    if (!query->text && !query->vector)
        return tn_fail(err, TN_EREQUEST, "a search needs a query's text or a vector");
    if (!query->text && query->mode != INDEX_VECTOR)
        return tn_fail(err, TN_EREQUEST, "a search by words needs a text");
    TN_TRY(check_text(query, err));
    if (query->vector && query->dimension != definition->dimension)
        return tn_fail(err, TN_EREQUEST, "the vector has %zu numbers, those of index \"%s\" have %u",
                       query->dimension, definition->name, definition->dimension);
    if (query->recall < 0 || query->recall >= 1)
        return tn_fail(err, TN_EREQUEST, "a wanted recall lies between 0 and 1");
    if (query->model_version && !tn_streq(query->model_version, definition->version)) {
        tn_fail(err, TN_ECONFLICT, "index \"%s\" was built with version %.80s of model \"%s\"", definition->name,
                definition->version, definition->model);
        tn_error_hint(err, "vectors of two versions cannot be compared: embed the query with that one");
        return TN_ECONFLICT;
    }
    return TN_OK;
}

static enum tn_code prepare(struct search *search, uint64_t *clock, struct tn_error *err)
{
    const struct index_query *query = search->query;
    struct index_answer *answer = search->answer;
    if (query->mode != INDEX_KEYWORD) {
        if (query->vector) {
            search->vector = query->vector;
        } else {
            TN_TRY(query_vector(search->logical, query->text, answer->arena, &search->vector, err));
            answer->vector = search->vector;
            answer->dimension = search->logical->definition.dimension;
        }
        answer->embed_us = lap_us(clock);
    }
    if (query->mode != INDEX_VECTOR) {
        TN_AUTO_BUF words = {0};
        if (keyword_query(query->text, strlen(query->text), &words))
            search->expression = answer->keyword_query = tn_arena_strdup(answer->arena, words.data);
    }
    return TN_OK;
}

static enum tn_code look(struct search *search, uint64_t *clock, bool *ret_lost, struct tn_error *err)
{
    struct index_answer *answer = search->answer;
    const struct index_query *query = search->query;
    search->count = 0;
    answer->strategy = "none";
    answer->selectivity = answer->estimated_recall = 1;
    if (query->mode != INDEX_KEYWORD)
        TN_TRY(search_vectors(search, err));
    answer->vector_us = lap_us(clock);
    if (query->mode != INDEX_VECTOR)
        TN_TRY(search_words(search, err));
    search_fuse(search);
    answer->keyword_us = lap_us(clock);
    TN_TRY(answer_fill(search, ret_lost, err));
    answer->fetch_us = lap_us(clock);
    return TN_OK;
}

/* Under the gate. */
static enum tn_code try_once(struct search *search, uint64_t *clock, bool *ret_lost, struct tn_error *err)
{
    struct logical *logical = search->logical;
    struct index_answer *answer = search->answer;
    TN_CLEANUP(allowed_unref_p) struct allowed *allowed = NULL;
    TN_TRY(allow(logical, search->query->filter, &allowed, &answer->snapshot_id, &answer->behind, err));
    answer->behind = answer->behind || !atomic_load(&logical->synced);
    if (search->lost) /* what takes it away is not done: it would be found again */
        allow_there(logical, &allowed);
    search->allowed = allowed;
    answer->passing = allowed ? allowed->matches : UINT64_MAX;
    answer->filter_us = lap_us(clock);
    search->vectors = atomic_load(&logical->vectors);
    TN_TRY(files_reader(logical, &search->reader, err));
    enum tn_code code = look(search, clock, ret_lost, err);
    files_reader_back(logical, TN_TAKE(search->reader));
    if (code == TN_OK && !*ret_lost && search->query->rows)
        code = answer_rows(search, err);
    search->allowed = NULL;
    return code;
}

static enum tn_code run(struct search *search, uint64_t *clock, struct tn_error *err)
{
    struct logical *logical = search->logical;
    bool lost = true;
    TN_TRY(prepare(search, clock, err));
    for (int i = 0; i < TRIES && lost; i++) {
        TN_TRY(files_look(logical, true, FILES_PATIENCE_MS, err));
        pthread_rwlock_rdlock(&logical->gate);
        enum tn_code code = TN_OK;
        if (atomic_load(&logical->open))
            code = try_once(search, clock, &lost, err);
        pthread_rwlock_unlock(&logical->gate);
        TN_TRY(code);
        search->lost = lost;
        search->last = i + 2 == TRIES;
    }
    return lost ? tn_fail(err, TN_EUNAVAILABLE, "the files of index \"%s\" are being replaced",
                          logical->definition.name)
                : TN_OK;
}

static void name_answer(struct index_answer *answer, const struct definition *definition)
{
    (void)tn_uuid7(answer->query_id);
    answer->index = tn_arena_strdup(answer->arena, definition->name);
    answer->dataset = tn_arena_strdup(answer->arena, definition->dataset);
    answer->model = tn_arena_strdup(answer->arena, definition->model);
    answer->model_version = tn_arena_strdup(answer->arena, definition->version);
}

enum tn_code index_search(struct index_service *service, const struct index_query *query, struct index_answer **ret,
                          struct tn_error *err)
{
    uint64_t start = tn_mono_ns(), clock = start;
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_serving(service, query->index, &logical, err));
    TN_TRY(hold_check(service, logical->definition.dataset, err));
    TN_TRY(check(query, &logical->definition, err));
    TN_CLEANUP(index_answer_free_p) struct index_answer *answer = tn_calloc(1, sizeof *answer);
    answer->arena = tn_arena_new();
    struct search search = {.logical = logical, .query = query, .answer = answer, .k = query->k ? query->k : 10};
    search.width = query->mode == INDEX_HYBRID ? TN_MAX(search.k, (uint32_t)WIDTH_LEAST) : search.k;
    search.candidates = TN_ARENA_ARRAY(answer->arena, struct candidate, (size_t)search.width * 2);
    TN_TRY(run(&search, &clock, err));
    name_answer(answer, &logical->definition); /* the dataset as it is called now */
    answer->total_us = (tn_mono_ns() - start) / 1000;
    *ret = TN_TAKE(answer);
    return TN_OK;
}
