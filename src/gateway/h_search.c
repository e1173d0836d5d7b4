/* Indexes and searches. */
#include "base/json_floats.h"
#include "gateway/evidence.h"
#include "gateway/gateway_internal.h"
#include "vector/vector.h"

#include <math.h>

/* ---- indexes ------------------------------------------------------------------- */

static enum tn_code take_columns(struct request *request, const json_t *list, struct index_definition *ret,
                                 struct tn_error *err)
{
    size_t count = json_array_size(list), i;
    const json_t *item;
    const char **names = TN_ARENA_ARRAY(request->arena, const char *, count + 1);
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return tn_fail(err, TN_EREQUEST, "text_columns must be a list of column names");
        names[i] = json_string_value(item);
    }
    ret->text_columns = names;
    ret->text_column_count = count;
    return TN_OK;
}

/* Left out, it is the usual one; 0 is none. */
static enum tn_code check_recall(const json_t *body, double recall, struct tn_error *err)
{
    if (!json_object_get(body, "recall_target") || (recall > 0 && recall < 1))
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "recall_target lies between 0 and 1");
    tn_error_hint(err, "0.95 is usual: 95 of the 100 nearest are found. Leave it out for the index's own.");
    return TN_EREQUEST;
}

static enum tn_code take_chunk(const json_t *chunk, struct index_definition *ret, struct tn_error *err)
{
    int64_t size = 0, overlap = UINT32_MAX;
    const struct tn_json_field fields[] = {
        {.name = "size", .kind = TN_JSON_INT, .ret = &size, .min = 1, .max = 1 << 20},
        {.name = "overlap", .kind = TN_JSON_INT, .ret = &overlap, .min = 0, .max = 1 << 20},
    };
    if (chunk)
        TN_TRY(tn_json_read(chunk, "chunk", fields, TN_COUNT(fields), err));
    ret->chunk_size = (uint32_t)size;
    ret->chunk_overlap = (uint32_t)overlap;
    return TN_OK;
}

/* Of the dataset whose texts it has; nothing is noted of one that is gone. */
static void note_index(struct request *request, const char *dataset, const char *operation, const json_t *before,
                       const json_t *after, const char *reason)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (dataset && catalog_load(request->gateway->lake.catalog, dataset, &metadata, NULL) == TN_OK)
        evidence_note(request, dataset, metadata, operation, before, after, reason);
}

/* What was asked for, with the name that it got. */
static void note_created(struct request *request, json_t *body, const struct index_definition *definition,
                         const char *reason)
{
    (void)json_object_del(body, "reason");
    (void)json_object_set_new(body, "name", json_string(definition->name ? definition->name : definition->dataset));
    note_index(request, definition->dataset, "index.create", NULL, body, reason);
}

enum tn_code h_index_create(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct index_definition definition = {0};
    json_t *columns = NULL, *chunk = NULL;
    const char *reason = NULL;
    char job[JOB_ID_TEXT];
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "name", .kind = TN_JSON_STRING, .ret = &definition.name},
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &definition.dataset, .required = true},
        {.name = "text_columns", .kind = TN_JSON_ARRAY, .ret = &columns},
        {.name = "vector_column", .kind = TN_JSON_STRING, .ret = &definition.vector_column},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &definition.model},
        {.name = "chunk", .kind = TN_JSON_OBJECT, .ret = &chunk},
        {.name = "backend", .kind = TN_JSON_STRING, .ret = &definition.backend},
        {.name = "recall_target", .kind = TN_JSON_DOUBLE, .ret = &definition.recall_target},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(check_recall(body, definition.recall_target, err));
    TN_TRY(take_columns(request, columns, &definition, err));
    TN_TRY(take_chunk(chunk, &definition, err));
    TN_TRY(index_create(request->gateway->indexes, &definition, request->actor.name, job, err));
    reason = reason ? tn_arena_strdup(request->arena, reason) : NULL; /* it was the body's */
    note_created(request, body, &definition, reason);
    return job_reply(request, job, err);
}

enum tn_code h_index_list(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    TN_TRY(index_list(request->gateway->indexes, &json, err));
    tn_json_key(&json, "next_cursor");
    tn_json_null(&json);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_index_get(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    return index_show(request->gateway->indexes, request->match.captures[0], &json, err);
}

static enum tn_code done(struct request *request, const char *status)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "index", request->match.captures[0]);
    tn_json_kstr(&json, "status", status);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_index_drop(struct request *request, struct tn_error *err)
{
    const char *reason = NULL, *name = request->match.captures[0];
    TN_AUTO_JSON *was = NULL;
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    TN_TRY(request_reason(request, &reason, NULL, err));
    TN_TRY(index_show(request->gateway->indexes, name, &json, err));
    was = json_loadb(text.data, text.len, 0, NULL);
    TN_TRY(index_drop(request->gateway->indexes, name, err));
    TN_AUTO_JSON *before = json_pack("{s:s}", "name", name);
    note_index(request, json_string_value(json_object_get(was, "dataset")), "index.drop", before, NULL, reason);
    return done(request, "dropped");
}

enum tn_code h_index_refresh(struct request *request, struct tn_error *err)
{
    char job[JOB_ID_TEXT];
    TN_TRY(index_order(request->gateway->indexes, request->match.captures[0], request->actor.name, job, err));
    return job_reply(request, job, err);
}

enum tn_code h_index_fold(struct request *request, struct tn_error *err)
{
    TN_TRY(index_fold(request->gateway->indexes, request->match.captures[0], err));
    return done(request, "folded");
}

enum tn_code h_index_evaluate(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    int64_t samples = 100, k = 10;
    const struct tn_json_field fields[] = {
        {.name = "samples", .kind = TN_JSON_INT, .ret = &samples, .min = 1, .max = 1000},
        {.name = "k", .kind = TN_JSON_INT, .ret = &k, .min = 1, .max = INDEX_K_MAX},
    };
    TN_TRY(request_optional_json(request, &body, err));
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    struct tn_json json = reply_json(request);
    return index_evaluate(request->gateway->indexes, request->match.captures[0], (uint32_t)samples, (uint32_t)k,
                          &json, err);
}

/* ---- searches --------------------------------------------------------------------- */

/* The body with its vector taken out, which is most of it. What cannot be read
 * so is read as any body, and so is what is wrong, for its place to be told. */
static enum tn_code take_body(struct request *request, struct index_query *query, json_t **ret, struct tn_error *err)
{
    struct tn_buf *body = &request->body;
    struct tn_json_floats found;
    float vector[VECTOR_DIMENSIONS_MAX];
    if (!body->data || !tn_json_cut_floats(body->data, body->len, "vector", vector, TN_COUNT(vector), &found))
        return request_json(request, ret, err);
    size_t cut = found.end - found.begin, whole = body->len;
    char *kept = tn_arena_strndup(request->arena, body->data + found.begin, cut);
    memmove(body->data + found.begin, body->data + found.end, whole - found.end);
    body->len -= cut;
    if (request_json(request, ret, NULL) == TN_OK) {
        query->vector =
            memcpy(TN_ARENA_ARRAY(request->arena, float, found.count), vector, found.count * sizeof *vector);
        query->dimension = found.count;
        return TN_OK;
    }
    memmove(body->data + found.end, body->data + found.begin, whole - found.end);
    memcpy(body->data + found.begin, kept, cut);
    body->len = whole;
    return request_json(request, ret, err);
}

static enum tn_code take_vector(struct request *request, const json_t *list, struct index_query *query,
                                struct tn_error *err)
{
    if (query->vector)
        return TN_OK;
    size_t count = json_array_size(list), i;
    const json_t *item;
    float *vector = TN_ARENA_ARRAY(request->arena, float, count + 1);
    if (!list)
        return TN_OK;
    json_array_foreach(list, i, item)
    {
        double value = json_number_value(item);
        if (!json_is_number(item) || !isfinite((float)value))
            return tn_fail(err, TN_EREQUEST, "vector must be a list of numbers");
        vector[i] = (float)value;
    }
    query->vector = vector;
    query->dimension = count;
    return TN_OK;
}

static enum tn_code answer_search(struct request *request, const struct index_query *query, bool explain,
                                  struct tn_error *err)
{
    TN_CLEANUP(index_answer_free_p) struct index_answer *answer = NULL;
    TN_TRY(index_search(request->gateway->indexes, query, &answer, err));
    struct tn_json json = reply_json(request);
    index_answer_write(answer, explain, &json);
    return TN_OK;
}

enum tn_code h_vector_search(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct index_query query = {.mode = INDEX_VECTOR, .weight = -1};
    json_t *vector = NULL;
    int64_t k = 10;
    bool explain = false;
    TN_TRY(take_body(request, &query, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "index", .kind = TN_JSON_STRING, .ret = &query.index, .required = true},
        {.name = "query", .kind = TN_JSON_STRING, .ret = &query.text},
        {.name = "vector", .kind = TN_JSON_ARRAY, .ret = &vector},
        {.name = "k", .kind = TN_JSON_INT, .ret = &k, .min = 1, .max = INDEX_K_MAX},
        {.name = "filter", .kind = TN_JSON_STRING, .ret = &query.filter},
        {.name = "recall_target", .kind = TN_JSON_DOUBLE, .ret = &query.recall},
        {.name = "model_version", .kind = TN_JSON_STRING, .ret = &query.model_version},
        {.name = "per_doc", .kind = TN_JSON_BOOL, .ret = &query.per_doc},
        {.name = "rows", .kind = TN_JSON_BOOL, .ret = &query.rows},
        {.name = "explain", .kind = TN_JSON_BOOL, .ret = &explain},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(check_recall(body, query.recall, err));
    TN_TRY(take_vector(request, vector, &query, err));
    if (query.text && query.vector) {
        tn_fail(err, TN_EREQUEST, "a search goes by query or by vector, not by both");
        tn_error_hint(err, "Words beside a vector: hybrid_search('index', 'text', vector := [...]) in SQL.");
        return TN_EREQUEST;
    }
    query.k = (uint32_t)k;
    return answer_search(request, &query, explain, err);
}

/* The index that a search means: that of the dataset (NULL: the only one there
 * is), or that of the model. */
static enum tn_code choose_index(struct request *request, const char *dataset, const char **ret, struct tn_error *err)
{
    char *name = NULL;
    const char *model = http_param(&request->target, "model");
    struct index_service *indexes = request->gateway->indexes;
    TN_TRY(model ? index_with_model(indexes, dataset, model, &name, err)
                 : index_of_dataset(indexes, dataset, &name, err));
    *ret = tn_arena_strdup(request->arena, name);
    free(name);
    return TN_OK;
}

static enum tn_code take_datasets(const json_t *list, const char *index, struct tn_error *err)
{
    size_t count = json_array_size(list);
    if (list && index)
        return tn_fail(err, TN_EREQUEST, "a search names an index or datasets, not both");
    if (list && count == 0) {
        tn_fail(err, TN_EREQUEST, "datasets names none");
        tn_error_hint(err, "Leave it out to search the only index there is.");
        return TN_EREQUEST;
    }
    if (count > INDEX_SEVERAL_MAX)
        return tn_fail(err, TN_EREQUEST, "a search looks into %d datasets at most, not %zu", INDEX_SEVERAL_MAX,
                       count);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name)
            return tn_fail(err, TN_EREQUEST, "datasets must be names; number %zu is none", i + 1);
        for (size_t k = 0; k < i; k++)
            if (tn_str_equal_nocase(name, json_string_value(json_array_get(list, k))))
                return tn_fail(err, TN_EREQUEST, "datasets has \"%.100s\" twice", name);
    }
    return TN_OK;
}

static enum tn_code search_several(struct request *request, const json_t *datasets, struct index_query *query,
                                   bool explain, struct tn_error *err)
{
    struct index_answer *answers[INDEX_SEVERAL_MAX];
    size_t count = json_array_size(datasets), done = 0;
    enum tn_code code = TN_OK;
    while (code == TN_OK && done < count) {
        const char *dataset = json_string_value(json_array_get(datasets, done));
        code = choose_index(request, dataset, &query->index, err);
        if (code == TN_OK)
            code = index_search(request->gateway->indexes, query, &answers[done], err);
        if (code != TN_OK)
            tn_error_context(err, "%s", dataset);
        else
            done++;
    }
    if (code == TN_OK) {
        struct tn_json json = reply_json(request);
        index_answers_write(answers, count, query, explain, &json);
    }
    while (done > 0)
        index_answer_free(answers[--done]);
    return code;
}

static enum tn_code check_weight(const json_t *body, const struct index_query *query, struct tn_error *err)
{
    if (!json_object_get(body, "weight"))
        return TN_OK;
    if (!(query->weight >= 0 && query->weight <= 1))
        return tn_fail(err, TN_EREQUEST, "weight is the vectors' share, from 0 to 1");
    if (query->mode == INDEX_HYBRID && query->fusion == INDEX_BLEND)
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "weight has no meaning in this search");
    tn_error_hint(err, "It is the vectors' share in mode hybrid with fusion blend; leave it out elsewhere.");
    return TN_EREQUEST;
}

enum tn_code h_search(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct index_query query = {.mode = INDEX_HYBRID, .weight = -1};
    json_t *datasets = NULL;
    const char *mode = "hybrid", *fusion = "blend";
    int64_t k = 10;
    bool explain = false;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "query", .kind = TN_JSON_STRING, .ret = &query.text, .required = true},
        {.name = "index", .kind = TN_JSON_STRING, .ret = &query.index},
        {.name = "datasets", .kind = TN_JSON_ARRAY, .ret = &datasets},
        {.name = "k", .kind = TN_JSON_INT, .ret = &k, .min = 1, .max = INDEX_K_MAX},
        {.name = "mode", .kind = TN_JSON_STRING, .ret = &mode},
        {.name = "filter", .kind = TN_JSON_STRING, .ret = &query.filter},
        {.name = "fusion", .kind = TN_JSON_STRING, .ret = &fusion},
        {.name = "weight", .kind = TN_JSON_DOUBLE, .ret = &query.weight},
        {.name = "recall_target", .kind = TN_JSON_DOUBLE, .ret = &query.recall},
        {.name = "per_doc", .kind = TN_JSON_BOOL, .ret = &query.per_doc},
        {.name = "rows", .kind = TN_JSON_BOOL, .ret = &query.rows},
        {.name = "explain", .kind = TN_JSON_BOOL, .ret = &explain},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    if (!index_mode_parse(mode, &query.mode))
        return tn_fail(err, TN_EREQUEST, "mode must be hybrid, vector or keyword, not \"%.40s\"", mode);
    if (!index_fusion_parse(fusion, &query.fusion))
        return tn_fail(err, TN_EREQUEST, "fusion must be blend or rrf, not \"%.40s\"", fusion);
    TN_TRY(check_weight(body, &query, err));
    TN_TRY(check_recall(body, query.recall, err));
    query.k = (uint32_t)k;
    TN_TRY(take_datasets(datasets, query.index, err));
    if (!query.index && json_array_size(datasets) > 1)
        return search_several(request, datasets, &query, explain, err);
    if (!query.index)
        TN_TRY(choose_index(request, json_string_value(json_array_get(datasets, 0)), &query.index, err));
    return answer_search(request, &query, explain, err);
}
