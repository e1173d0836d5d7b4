/* Datasets: listed, described, changed, dropped, looked into. */
#include "gateway/evidence.h"

#include <inttypes.h>

#define LIST_DEFAULT    100
#define LIST_MAX        1000
#define SAMPLE_MAX      10000
#define SNAPSHOTS_USUAL 1000
#define SNAPSHOTS_MAX   10000

/* Lists: names in byte order; the cursor is the last name of the page before. */
enum tn_code h_dataset_list(struct request *request, struct tn_error *err)
{
    struct catalog *catalog = request->gateway->lake.catalog;
    const char *const *names;
    const char *cursor = http_param(&request->target, "cursor"), *last = NULL;
    size_t count = 0, shown = 0;
    uint64_t limit = LIST_DEFAULT;
    TN_TRY(request_param_u64(request, "limit", LIST_MAX, &limit, err));
    if (limit == 0)
        return tn_fail(err, TN_EREQUEST, "limit must be a whole number from 1 to %d", LIST_MAX);
    TN_TRY(catalog_list(catalog, request->arena, &names, &count, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    tn_json_open(&json, '[');
    size_t i = 0;
    for (; i < count && shown < limit; i++) {
        if (cursor && strcmp(names[i], cursor) <= 0)
            continue;
        struct tn_error gone = {0};
        struct tn_json before = json;
        size_t length = request->reply.body.len;
        enum tn_code code = catalog_summarize(catalog, names[i], &json, &gone);
        if (code == TN_EDATASET) { /* dropped meanwhile */
            json = before;
            request->reply.body.len = length;
            continue;
        }
        if (code != TN_OK) {
            if (err)
                *err = gone;
            return code;
        }
        last = names[i];
        shown++;
    }
    tn_json_close(&json, ']');
    tn_json_kstr(&json, "next_cursor", i < count ? last : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_dataset_get(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    struct dataset_debt debt = {0};
    const char *name = request->match.captures[0];
    TN_TRY(catalog_describe(request->gateway->lake.catalog, name, &json, err));
    /* A table that others may hold here and that we do not read has no debt that we could tell. */
    if (dataset_debt(&request->gateway->lake, name, &debt, NULL) != TN_OK)
        return TN_OK;
    struct tn_buf *body = &request->reply.body;
    body->len--; /* the closing bracket */
    json.depth = 1;
    json.comma = true;
    tn_json_key(&json, "debt");
    debt_json(&debt, &json);
    tn_json_key(&json, "indexes");
    index_list_of(request->gateway->indexes, name, &json);
    tn_buf_putc(body, '}');
    return TN_OK;
}

/* "id", "a,b" or ["a", "b"]: more than a remark, for the rows must have it. */
static enum tn_code patch_key(struct request *request, const char *name, json_t *body, const char *reason,
                              struct tn_error *err)
{
    const json_t *key = json_object_get(body, "key");
    TN_AUTO_BUF text = {0};
    if (!key)
        return TN_OK;
    if (json_is_string(key))
        tn_buf_puts(&text, json_string_value(key));
    for (size_t i = 0; i < json_array_size(key); i++) {
        const char *column = json_string_value(json_array_get(key, i));
        if (!column)
            return tn_fail(err, TN_EREQUEST, "key must be a list of names; item %zu is none", i + 1);
        tn_buf_printf(&text, "%s%s", i ? "," : "", column);
    }
    if (text.len == 0)
        return tn_fail(err, TN_EREQUEST, "key must name the columns that tell rows apart");
    const struct dataset_who who = {
        .actor = request->actor.name, .source = request_source(request), .reason = reason, .request_id = request->id};
    TN_TRY(dataset_set_key(&request->gateway->lake, name, text.data, &who, err));
    (void)json_object_del(body, "key");
    return TN_OK;
}

static const char *exact_name(struct request *request, const char *name)
{
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, exact);
    return tn_arena_strdup(request->arena, exact);
}

enum tn_code h_dataset_patch(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    TN_TRY(request_json(request, &body, err));
    const char *name = request->match.captures[0];
    const json_t *said = json_object_get(body, "reason");
    const char *reason = json_string_value(said);
    if (said && !reason && !json_is_null(said))
        return tn_fail(err, TN_EREQUEST, "request: field \"reason\" must be a text");
    if (reason)
        reason = tn_arena_strdup(request->arena, reason);
    TN_LOG(TN_LOG_INFO, "dataset.patch", TN_FS("dataset", name), TN_FS("actor", request->actor.name),
           TN_FS("reason", reason));
    TN_TRY(patch_key(request, name, body, reason, err));
    (void)json_object_del(body, "reason");
    if (json_object_size(body) == 0)
        return h_dataset_get(request, err);
    ICEBERG_AUTO_METADATA *before = NULL;
    ICEBERG_AUTO_METADATA *after = NULL;
    struct journal_intent intent;
    TN_TRY(catalog_load(request->gateway->lake.catalog, name, &before, err));
    TN_TRY(evidence_intend_describe(request, exact_name(request, name), before, body, reason, &intent, err));
    enum tn_code code = catalog_patch(request->gateway->lake.catalog, name, body, err);
    if (code != TN_OK)
        evidence_take_back(request, exact_name(request, name), &intent, code);
    TN_TRY(code);
    TN_FAULT("catalog.described");
    if (catalog_load(request->gateway->lake.catalog, name, &after, NULL) == TN_OK)
        evidence_describe(request, exact_name(request, name), before, after, body, reason, &intent);
    if (json_is_true(json_object_get(body, "auto_embed"))) {
        char *index = NULL;
        TN_TRY(index_embed_now(request->gateway->indexes, name, request->actor.name, &index, err));
        free(index);
    }
    return h_dataset_get(request, err);
}

enum tn_code h_dataset_delete(struct request *request, struct tn_error *err)
{
    const char *name = request->match.captures[0], *reason = NULL;
    ICEBERG_AUTO_METADATA *was = NULL;
    struct journal_intent intent;
    TN_TRY(request_reason(request, &reason, NULL, err));
    TN_TRY(catalog_load(request->gateway->lake.catalog, name, &was, err));
    TN_TRY(index_check_free(request->gateway->indexes, name, err));
    TN_TRY(evidence_settle(request, name, err));
    TN_TRY(evidence_intend_drop(request, exact_name(request, name), was, reason, &intent, err));
    enum tn_code code = catalog_drop(request->gateway->lake.catalog, name, err);
    if (code != TN_OK)
        evidence_take_back(request, exact_name(request, name), &intent, code);
    TN_TRY(code);
    TN_FAULT("catalog.dropped");
    evidence_dropped(request, exact_name(request, name), &intent, reason);
    TN_LOG(TN_LOG_INFO, "dataset.drop", TN_FS("dataset", name), TN_FS("actor", request->actor.name),
           TN_FS("reason", reason));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "dataset", name);
    tn_json_kstr(&json, "status", "dropped");
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_dataset_snapshots(struct request *request, struct tn_error *err)
{
    uint64_t limit = SNAPSHOTS_USUAL;
    int64_t before = INT64_MAX, more = 0;
    const char *cursor = http_param(&request->target, "cursor");
    TN_TRY(request_param_u64(request, "limit", SNAPSHOTS_MAX, &limit, err));
    if (limit == 0)
        return tn_fail(err, TN_EREQUEST, "limit must be a whole number from 1 to %d", SNAPSHOTS_MAX);
    if (cursor && !tn_parse_i64(cursor, &before))
        return tn_fail(err, TN_EREQUEST, "cursor is not one that this list gave");
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    TN_TRY(catalog_snapshots(request->gateway->lake.catalog, request->match.captures[0], before, (size_t)limit, &json,
                             &more, err));
    tn_json_kstr(&json, "next_cursor", more ? tn_arena_printf(request->arena, "%" PRId64, more) : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

/* A sample is a query like any other: the same guard, the same limits. */
enum tn_code h_dataset_sample(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    const char *name = request->match.captures[0];
    uint64_t limit = 20;
    TN_TRY(request_param_u64(request, "limit", SAMPLE_MAX, &limit, err));
    TN_TRY(catalog_load(request->gateway->lake.catalog, name, &metadata, err));
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT * FROM ");
    tn_buf_put_sql_name(&sql, name);
    tn_buf_printf(&sql, " LIMIT %llu", (unsigned long long)limit);
    return query_answer(request, sql.data, http_param(&request->target, "as_of"), err);
}
