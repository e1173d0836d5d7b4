/* Tags: names of a dataset's states. Branches, which other engines make, are
 * listed beside them, since both can be asked for. */
#include "gateway/gateway_internal.h"

#define TAGS_USUAL 100
#define TAGS_MAX   1000

static void put_state(struct tn_json *json, int64_t snapshot_id, int64_t committed_us)
{
    char time[TN_TIME_TEXT];
    tn_json_ki64(json, "snapshot_id", snapshot_id);
    tn_json_kstr(json, "committed_at", committed_us ? tn_time_format(committed_us, time) : NULL);
}

static void put_ref(struct tn_json *json, const struct iceberg_metadata *metadata, const struct iceberg_ref *ref)
{
    const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, ref->snapshot_id);
    tn_json_open(json, '{');
    tn_json_kstr(json, "name", ref->name);
    tn_json_kstr(json, "type", ref->is_tag ? "tag" : "branch");
    put_state(json, ref->snapshot_id, snapshot ? snapshot->timestamp_ms * 1000 : 0);
    tn_json_close(json, '}');
}

static int by_name(const void *a, const void *b)
{
    const struct iceberg_ref *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

enum tn_code h_tags(struct request *request, struct tn_error *err)
{
    uint64_t limit = TAGS_USUAL;
    const char *cursor = http_param(&request->target, "cursor");
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(request_param_u64(request, "limit", TAGS_MAX, &limit, err));
    if (limit == 0)
        return tn_fail(err, TN_EREQUEST, "limit must be a whole number from 1 to %d", TAGS_MAX);
    TN_TRY(catalog_load(request->gateway->lake.catalog, request->match.captures[0], &metadata, err));
    const struct iceberg_ref **refs =
        TN_ARENA_ARRAY(request->arena, const struct iceberg_ref *, metadata->ref_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (!cursor || strcmp(metadata->refs[i].name, cursor) > 0)
            refs[count++] = &metadata->refs[i];
    if (count > 0)
        qsort((void *)refs, count, sizeof(struct iceberg_ref *), by_name);
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count && i < limit; i++)
        put_ref(&json, metadata, refs[i]);
    tn_json_close(&json, ']');
    tn_json_kstr(&json, "next_cursor", count > limit ? refs[limit - 1]->name : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_tag_get(struct request *request, struct tn_error *err)
{
    const char *name = request->match.captures[0], *tag = request->match.captures[1];
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(request->gateway->lake.catalog, name, &metadata, err));
    const struct iceberg_ref *ref = iceberg_metadata_ref_named(metadata, tag);
    if (!ref)
        return dataset_tag_unknown(name, tag, err);
    struct tn_json json = reply_json(request);
    put_ref(&json, metadata, ref);
    return TN_OK;
}

static enum tn_code answer(struct request *request, const struct dataset_tagged *done)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "dataset", request->match.captures[0]);
    tn_json_kstr(&json, "status", done->status);
    tn_json_kstr(&json, "name", request->match.captures[1]);
    put_state(&json, done->snapshot_id, done->committed_us);
    tn_json_close(&json, '}');
    return TN_OK;
}

static struct dataset_who who_of(const struct request *request)
{
    return (struct dataset_who){
        .actor = request->actor.name, .source = request_source(request), .request_id = request->id};
}

enum tn_code h_tag_set(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    json_t *as_of = NULL;
    struct dataset_tag tag = {.name = request->match.captures[1]};
    struct dataset_who who = who_of(request);
    struct dataset_tagged done;
    TN_TRY(request_optional_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "as_of", .kind = TN_JSON_ANY, .ret = &as_of},
        {.name = "move", .kind = TN_JSON_BOOL, .ret = &tag.move},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &who.reason},
        {.name = "workspace", .kind = TN_JSON_STRING, .ret = &who.workspace},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(request_as_of(request, as_of, &tag.as_of, err));
    TN_TRY(dataset_tag_set(&request->gateway->lake, request->match.captures[0], &tag, &who, &done, err));
    return answer(request, &done);
}

enum tn_code h_tag_drop(struct request *request, struct tn_error *err)
{
    struct dataset_who who = who_of(request);
    struct dataset_tagged done;
    TN_TRY(request_reason(request, &who.reason, &who.workspace, err));
    TN_TRY(dataset_tag_drop(&request->gateway->lake, request->match.captures[0], request->match.captures[1], &who,
                            &done, err));
    return answer(request, &done);
}
