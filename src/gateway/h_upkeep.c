/* Upkeep on request: compaction, expiry, restore, the hot cache. */
#include "gateway/gateway_internal.h"

static bool is_cancelled(void *context)
{
    return atomic_load(&((struct request *)context)->cancel);
}

static void put_u64(struct tn_json *json, const char *key, uint64_t value)
{
    tn_json_key(json, key);
    tn_json_u64(json, value);
}

enum tn_code h_compact(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *name = request->match.captures[0];
    struct dataset_compaction options = {.actor = request->actor.name,
                                         .request_id = request->id,
                                         .cancelled = is_cancelled,
                                         .cancel_context = request};
    TN_TRY(request_optional_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &options.reason},
        {.name = "debt_only", .kind = TN_JSON_BOOL, .ret = &options.debt_only},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    bool later = false;
    const char *background = http_param(&request->target, "background");
    if (background && !tn_parse_bool(background, &later))
        return tn_fail(err, TN_EREQUEST, "background must be true or false, not \"%.60s\"", background);
    if (later)
        return compact_later(request, name, &options, err);
    struct dataset_compacted done = {0};
    TN_TRY(dataset_compact(&request->gateway->lake, name, &options, &done, err));
    compact_tell(request->gateway, name, &done);
    struct tn_json json = reply_json(request);
    compact_json(name, &done, &json);
    return TN_OK;
}

enum tn_code h_expire(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *name = request->match.captures[0], *older_than = NULL;
    int64_t keep = 1;
    struct dataset_expiry options = {
        .who = {.actor = request->actor.name, .source = request_source(request), .request_id = request->id}};
    TN_TRY(request_optional_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "older_than", .kind = TN_JSON_STRING, .ret = &older_than, .required = true},
        {.name = "keep", .kind = TN_JSON_INT, .ret = &keep, .min = 1, .max = INT32_MAX},
        {.name = "preview", .kind = TN_JSON_BOOL, .ret = &options.preview},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &options.who.reason},
        {.name = "workspace", .kind = TN_JSON_STRING, .ret = &options.who.workspace},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    if (!tn_time_parse(older_than, &options.older_than_us))
        return tn_fail(err, TN_EREQUEST, "older_than must be a time such as 2026-01-31T12:00:00Z, not \"%.60s\"",
                       older_than);
    options.keep = (size_t)keep;
    struct dataset_expired done = {0};
    TN_TRY(dataset_expire(&request->gateway->lake, name, &options, &done, err));
    char oldest[TN_TIME_TEXT], newest[TN_TIME_TEXT];
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "dataset", name);
    tn_json_kstr(&json, "status", options.preview ? "preview" : "expired");
    put_u64(&json, "snapshots", done.snapshots);
    put_u64(&json, "kept", done.kept);
    tn_json_kstr(&json, "oldest", done.snapshots ? tn_time_format(done.oldest_us, oldest) : NULL);
    tn_json_kstr(&json, "newest", done.snapshots ? tn_time_format(done.newest_us, newest) : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_restore(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    json_t *as_of_value = NULL;
    const char *as_of = NULL;
    const char *name = request->match.captures[0];
    struct dataset_who who = {
        .actor = request->actor.name, .source = request_source(request), .request_id = request->id};
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "as_of", .kind = TN_JSON_ANY, .ret = &as_of_value, .required = true},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &who.reason},
        {.name = "workspace", .kind = TN_JSON_STRING, .ret = &who.workspace},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(request_as_of(request, as_of_value, &as_of, err));
    if (!as_of)
        return tn_fail(err, TN_EREQUEST, "as_of must be a snapshot id, a time or a tag");
    int64_t if_snapshot;
    TN_TRY(index_check_free(request->gateway->indexes, name, err));
    TN_TRY(request_if_match(request, &if_snapshot, err));
    struct dataset_commit done = {0};
    TN_TRY(dataset_restore(&request->gateway->lake, name, as_of, if_snapshot, &who, &done, err));
    reply_header(request, "ETag", tn_arena_printf(request->arena, "\"%lld\"", (long long)done.snapshot_id));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "dataset", name);
    tn_json_kstr(&json, "status", done.unchanged ? "unchanged" : "restored");
    tn_json_ki64(&json, "snapshot_id", done.snapshot_id);
    put_u64(&json, "rows", done.rows);
    tn_json_close(&json, '}');
    return TN_OK;
}

static enum tn_code answer_pin(struct request *request, const char *status)
{
    const struct dataset_hot_state state = dataset_hot_state(request->gateway->lake.hot);
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "dataset", request->match.captures[0]);
    tn_json_kstr(&json, "status", status);
    put_u64(&json, "cache_bytes", state.bytes);
    put_u64(&json, "cache_budget_bytes", state.budget);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_pin(struct request *request, struct tn_error *err)
{
    TN_TRY(dataset_hot_pin(&request->gateway->lake, request->match.captures[0], err));
    return answer_pin(request, "pinned");
}

enum tn_code h_unpin(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(request->gateway->lake.catalog, request->match.captures[0], &metadata, err));
    dataset_hot_evict(&request->gateway->lake, request->match.captures[0]);
    return answer_pin(request, "unpinned");
}
