/* Rows in, changed and out, one request at a time. */
#include "gateway/gateway_internal.h"
#include "ingest/ingest.h"

enum tn_code request_if_match(const struct request *request, int64_t *ret, struct tn_error *err)
{
    const char *text = request->if_match;
    *ret = 0;
    if (!text || tn_streq(text, "*"))
        return TN_OK;
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '"' && text[length - 1] == '"')
        text = tn_arena_strndup(request->arena, text + 1, length - 2);
    if (!tn_parse_i64(text, ret) || *ret == 0) {
        tn_fail(err, TN_EREQUEST, "If-Match must be a snapshot id in quotes, not %.60s", request->if_match);
        tn_error_hint(err, "it is the ETag of a write's answer, or \"snapshot_id\" of GET /catalog/datasets/{d}");
        return TN_EREQUEST;
    }
    return TN_OK;
}

static enum tn_code answer(struct request *request, const struct dataset_commit *done)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"inserted", done->counts.inserted},
        {"updated", done->counts.updated},
        {"unchanged", done->counts.unchanged},
        {"deleted", done->counts.deleted},
    };
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "dataset", request->match.captures[0]);
    for (size_t i = 0; i < TN_COUNT(counts); i++) {
        tn_json_key(&json, counts[i].key);
        tn_json_u64(&json, counts[i].value);
    }
    tn_json_key(&json, "snapshot_id");
    if (done->snapshot_id)
        tn_json_i64(&json, done->snapshot_id);
    else
        tn_json_null(&json);
    tn_json_close(&json, '}');
    reply_header(request, "ETag", tn_arena_printf(request->arena, "\"%lld\"", (long long)done->snapshot_id));
    return TN_OK;
}

/* ---- bodies with rows ---------------------------------------------------------- */

static void rows_free(void *context)
{
    ingest_rows_free(context);
}

static enum tn_code feed(struct request *request, const void *bytes, size_t count, struct tn_error *err)
{
    return ingest_rows_feed(request->upload, bytes, count, err);
}

static enum tn_code start(struct request *request, enum dataset_rows_op op, struct ingest_rows **ret,
                          struct tn_error *err)
{
    struct ingest_rows_options options = {
        .dataset = request->match.captures[0],
        .op = op,
        .key = http_param(&request->target, "key"),
        .key_value = request->match.capture_count > 1 ? request->match.captures[1] : NULL,
        .actor = request->actor.name,
        .source = request_source(request),
        .reason = http_param(&request->target, "reason"),
        .workspace = http_param(&request->target, "workspace"),
        .request_id = request->id,
    };
    if (op == DATASET_ROWS_DELETE)
        TN_TRY(request_reason(request, &options.reason, &options.workspace, err));
    TN_TRY(request_if_match(request, &options.if_snapshot, err));
    options.must_exist = request->if_match != NULL;
    TN_TRY(index_check_free(request->gateway->indexes, options.dataset, err));
    return ingest_rows_new(&request->gateway->lake, &options, ret, err);
}

static enum tn_code start_upload(struct request *request, enum dataset_rows_op op, struct tn_error *err)
{
    struct ingest_rows *rows = NULL;
    TN_TRY(start(request, op, &rows, err));
    request->upload = rows;
    request->upload_free = rows_free;
    request->upload_feed = feed;
    return TN_OK;
}

enum tn_code h_rows_append_start(struct request *request, struct tn_error *err)
{
    return start_upload(request, DATASET_ROWS_APPEND, err);
}

enum tn_code h_rows_upsert_start(struct request *request, struct tn_error *err)
{
    return start_upload(request, DATASET_ROWS_UPSERT, err);
}

enum tn_code h_rows_patch_start(struct request *request, struct tn_error *err)
{
    return start_upload(request, DATASET_ROWS_PATCH, err);
}

enum tn_code h_rows_write(struct request *request, struct tn_error *err)
{
    TN_CLEANUP(ingest_rows_free_p) struct ingest_rows *rows = TN_TAKE(request->upload);
    struct dataset_commit done = {0};
    TN_TRY(ingest_rows_commit(rows, &done, err));
    return answer(request, &done);
}

/* ---- deletes ------------------------------------------------------------------- */

enum tn_code h_rows_delete(struct request *request, struct tn_error *err)
{
    TN_CLEANUP(ingest_rows_free_p) struct ingest_rows *rows = NULL;
    struct dataset_commit done = {0};
    TN_TRY(start(request, DATASET_ROWS_DELETE, &rows, err));
    TN_TRY(ingest_rows_commit(rows, &done, err));
    return answer(request, &done);
}

enum tn_code h_rows_delete_where(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct dataset_rows rows = {.op = DATASET_ROWS_WHERE,
                                .actor = request->actor.name,
                                .source = request_source(request),
                                .request_id = request->id};
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "where", .kind = TN_JSON_STRING, .ret = &rows.predicate, .required = true},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &rows.reason},
        {.name = "workspace", .kind = TN_JSON_STRING, .ret = &rows.workspace},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(request_if_match(request, &rows.if_snapshot, err));
    TN_TRY(index_check_free(request->gateway->indexes, request->match.captures[0], err));
    struct dataset_commit done = {0};
    TN_TRY(dataset_rows_write(&request->gateway->lake, request->match.captures[0], &rows, &done, err));
    return answer(request, &done);
}
