/* A version put together again. */
#include "iceberg/change_internal.h"

#include "base/id.h"
#include "base/str.h"
#include "iceberg/metadata_internal.h"

#include <string.h>

/* --- The logs --- */

static bool has_id(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* A snapshot that this change added, made main's, and went on from was never
 * what anybody saw. What lies before a forgotten snapshot is no history. */
static void settle_snapshot_log(struct change_state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->log_count; i++) {
        int64_t id = state->log[i].snapshot_id;
        bool between = id != state->snapshot_id && has_id(state->added, state->added_count, id) &&
                       has_id(state->mains, state->main_count, id);
        if (change_find(&state->snapshots, id)) {
            if (!between)
                state->log[kept++] = state->log[i];
        } else if (state->removed_snapshots) {
            kept = 0;
        }
    }
    state->log_count = kept;
}

static void settle_metadata_log(struct change_state *state)
{
    const char *text = NULL;
    if (state->base && state->base->uri) {
        TN_GROW(state->files, state->file_count, state->file_capacity);
        state->files[state->file_count++] =
            (struct iceberg_log_entry){.timestamp_ms = state->base->last_updated_ms, .file = state->base->uri};
    }
    for (size_t i = 0; i < state->property_count; i++)
        if (tn_streq(state->properties[i].key, METADATA_LOG_PROPERTY))
            text = state->properties[i].value;
    size_t limit = metadata_log_limit(text);
    if (state->file_count > limit) {
        memmove(state->files, state->files + (state->file_count - limit), limit * sizeof *state->files);
        state->file_count = limit;
    }
}

/* --- The document --- */

static void put_int(struct tn_json *json, const char *key, int64_t value)
{
    tn_json_key(json, key);
    tn_json_int(json, value);
}

static void put_pieces(struct tn_json *json, const char *key, const struct change_pieces *pieces)
{
    tn_json_key(json, key);
    tn_json_open(json, '[');
    for (size_t i = 0; i < pieces->count; i++)
        tn_json_raw(json, pieces->items[i].json, pieces->items[i].length);
    tn_json_close(json, ']');
}

/* What readers of format 1 alone look for. */
static enum tn_code put_legacy(struct change_state *state, struct tn_json *json, struct tn_error *err)
{
    const struct change_piece *schema = change_find(&state->schemas, state->schema_id);
    const struct change_piece *spec = change_find(&state->specs, state->spec_id);
    const struct doc_node *root = NULL;
    tn_json_key(json, "schema");
    tn_json_raw(json, schema->json, schema->length);
    TN_TRY(doc_parse(state->arena, spec->json, spec->length, "a partition spec", &root, err));
    const struct doc_node *fields = doc_get(root, "fields");
    tn_json_key(json, "partition-spec");
    tn_json_raw(json, fields->raw, fields->raw_length);
    return TN_OK;
}

static enum tn_code put_head(struct change_state *state, struct tn_json *json, struct tn_error *err)
{
    put_int(json, "format-version", state->format_version);
    tn_json_kstr(json, "table-uuid", state->uuid);
    tn_json_kstr(json, "location", state->location);
    if (state->format_version > 1)
        put_int(json, "last-sequence-number", state->last_sequence_number);
    put_int(json, "last-updated-ms", state->last_updated_ms);
    put_int(json, "last-column-id", state->last_column_id);
    if (state->format_version == 1)
        TN_TRY(put_legacy(state, json, err));
    put_int(json, "current-schema-id", state->schema_id);
    put_pieces(json, "schemas", &state->schemas);
    put_int(json, "default-spec-id", state->spec_id);
    put_pieces(json, "partition-specs", &state->specs);
    put_int(json, "last-partition-id", state->last_partition_id);
    put_int(json, "default-sort-order-id", state->order_id);
    put_pieces(json, "sort-orders", &state->orders);
    if (state->format_version > 2)
        put_int(json, "next-row-id", state->next_row_id);
    tn_json_key(json, "properties");
    tn_json_open(json, '{');
    for (size_t i = 0; i < state->property_count; i++)
        tn_json_kstr(json, state->properties[i].key, state->properties[i].value);
    tn_json_close(json, '}');
    return TN_OK;
}

static void put_history(const struct change_state *state, struct tn_json *json)
{
    if (state->snapshot_id != ICEBERG_NONE)
        put_int(json, "current-snapshot-id", state->snapshot_id);
    tn_json_key(json, "refs");
    tn_json_open(json, '{');
    for (size_t i = 0; i < state->ref_count; i++) {
        tn_json_key(json, state->refs[i].name);
        tn_json_raw(json, state->refs[i].json, state->refs[i].length);
    }
    tn_json_close(json, '}');
    put_pieces(json, "snapshots", &state->snapshots);
    if (state->statistics.count)
        put_pieces(json, "statistics", &state->statistics);
    if (state->partition_statistics.count)
        put_pieces(json, "partition-statistics", &state->partition_statistics);
    metadata_put_logs(json, state->log, state->log_count, state->files, state->file_count);
}

static enum tn_code check_complete(const struct change_state *state, struct tn_error *err)
{
    if (!state->location || !*state->location)
        return tn_fail(err, TN_EREQUEST, "the table has no location");
    if (!change_find(&state->schemas, state->schema_id))
        return tn_fail(err, TN_EREQUEST, "the table has no current schema");
    if (!change_find(&state->specs, state->spec_id))
        return tn_fail(err, TN_EREQUEST, "the table has no default partition spec");
    if (!change_find(&state->orders, state->order_id))
        return tn_fail(err, TN_EREQUEST, "the table has no default sort order");
    return TN_OK;
}

enum tn_code change_finish(struct change_state *state, struct tn_buf *out, struct tn_error *err)
{
    char uuid[TN_UUID_TEXT];
    TN_TRY(check_complete(state, err));
    if (!state->uuid)
        state->uuid = tn_arena_strdup(state->arena, tn_uuid4(uuid));
    settle_snapshot_log(state);
    settle_metadata_log(state);
    state->last_updated_ms = TN_MAX(state->last_updated_ms, state->now_ms);
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    TN_TRY(put_head(state, &json, err));
    put_history(state, &json);
    for (size_t i = 0; i < state->others.count; i++) {
        tn_json_key(&json, state->other_keys[state->others.items[i].id]);
        tn_json_raw(&json, state->others.items[i].json, state->others.items[i].length);
    }
    tn_json_close(&json, '}');
    return TN_OK;
}
