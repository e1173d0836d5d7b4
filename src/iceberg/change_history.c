/* Snapshots and the branches and tags that point to them. */
#include "iceberg/change_internal.h"

#include "base/str.h"

#include <inttypes.h>
#include <string.h>

#define MINUTE_MS 60000

static bool has_id(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* --- Snapshots --- */

static enum tn_code check_sequence(struct change_state *state, const struct doc_node *node, struct tn_error *err)
{
    int64_t sequence = 0, first_row = ICEBERG_NONE, rows = ICEBERG_NONE;
    TN_TRY(doc_take_i64(node, "sequence-number", "a snapshot", &sequence, err));
    if (state->format_version == 1)
        return sequence == 0
                   ? TN_OK
                   : tn_fail(err, TN_EREQUEST, "a table of format 1 has no sequence numbers: %" PRId64, sequence);
    bool rootless = doc_is_null(doc_get(node, "parent-snapshot-id")); /* a replaced table starts over */
    if (sequence < 0 || (sequence <= state->last_sequence_number && !rootless))
        return tn_fail(err, TN_ECONFLICT,
                       "Cannot add snapshot with sequence number %" PRId64
                       " older than last sequence number %" PRId64,
                       sequence, state->last_sequence_number);
    state->last_sequence_number = TN_MAX(state->last_sequence_number, sequence);
    if (state->format_version < 3)
        return TN_OK;
    TN_TRY(doc_take_i64(node, "first-row-id", "a snapshot", &first_row, err));
    TN_TRY(doc_take_i64(node, "added-rows", "a snapshot", &rows, err));
    if (first_row < 0 || rows < 0)
        return tn_fail(err, TN_EREQUEST, "Cannot add a snapshot: first-row-id is null");
    if (first_row < state->next_row_id)
        return tn_fail(err, TN_ECONFLICT,
                       "Cannot add a snapshot, first-row-id is behind table next-row-id: %" PRId64 " < %" PRId64,
                       first_row, state->next_row_id);
    if (rows > INT64_MAX - first_row)
        return tn_fail(err, TN_EREQUEST, "added-rows is out of range");
    state->next_row_id = first_row + rows;
    return TN_OK;
}

static enum tn_code check_snapshot(struct change_state *state, const struct doc_node *node, int64_t id,
                                   struct tn_error *err)
{
    static const char what[] = "a snapshot";
    int64_t at = 0;
    int32_t schema = ICEBERG_NONE;
    const char *list = NULL;
    TN_TRY(doc_need_i64(node, "timestamp-ms", what, &at, err));
    TN_TRY(doc_take_i32(node, "schema-id", what, &schema, err));
    TN_TRY(doc_take_text(node, "manifest-list", what, &list, err));
    if (id < 0)
        return tn_fail(err, TN_EREQUEST, "a snapshot id must not be negative: %" PRId64, id);
    if (change_find(&state->snapshots, id))
        return tn_fail(err, TN_EREQUEST, "Snapshot already exists for id: %" PRId64, id);
    if (schema != ICEBERG_NONE && !change_find(&state->schemas, schema))
        return tn_fail(err, TN_EREQUEST, "snapshot %" PRId64 " is of the unknown schema %d", id, schema);
    if (!list && state->format_version > 1)
        return tn_fail(err, TN_EREQUEST, "snapshot %" PRId64 " has no manifest-list", id);
    /* Readers refuse a history that goes back by more than a minute. */
    if (at < state->last_updated_ms - MINUTE_MS)
        return tn_fail(err, TN_EREQUEST,
                       "Invalid snapshot timestamp %" PRId64 ": before last updated timestamp %" PRId64, at,
                       state->last_updated_ms);
    return check_sequence(state, node, err);
}

enum tn_code change_add_snapshot(struct change_state *state, const struct doc_node *node, struct tn_error *err)
{
    int64_t id = 0;
    if (node->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "a snapshot must be an object");
    TN_TRY(doc_need_i64(node, "snapshot-id", "a snapshot", &id, err));
    TN_TRY(check_snapshot(state, node, id, err));
    const char *json = node->raw;
    size_t length = node->raw_length;
    const struct doc_node *parent = doc_get(node, "parent-snapshot-id");
    if (parent && parent->kind == DOC_NULL) { /* Java cannot load a table with a null here */
        TN_AUTO_BUF text = {0};
        struct tn_json out = tn_json_writer(&text);
        tn_json_open(&out, '{');
        for (const struct doc_node *member = node->first; member; member = member->next) {
            if (member == parent)
                continue;
            tn_json_key(&out, member->key);
            tn_json_raw(&out, member->raw, member->raw_length);
        }
        tn_json_close(&out, '}');
        json = tn_arena_strndup(state->arena, text.data, text.len);
        length = text.len;
    }
    change_add(&state->snapshots, id, json, length);
    TN_GROW(state->added, state->added_count, state->added_capacity);
    state->added[state->added_count++] = id;
    state->changed = true;
    return TN_OK;
}

static enum tn_code snapshot_time(const struct change_state *state, int64_t id, int64_t *ret, struct tn_error *err)
{
    const struct change_piece *piece = change_find(&state->snapshots, id);
    const struct doc_node *node = NULL;
    TN_TRY(doc_parse(state->arena, piece->json, piece->length, "a snapshot", &node, err));
    return doc_need_i64(node, "timestamp-ms", "a snapshot", ret, err);
}

/* --- Branches and tags --- */

static enum tn_code make_main(struct change_state *state, int64_t id, struct tn_error *err)
{
    int64_t at = state->now_ms;
    if (has_id(state->added, state->added_count, id)) {
        TN_TRY(snapshot_time(state, id, &at, err));
    } else if (state->log_count) {
        at = TN_MAX(at, state->log[state->log_count - 1].timestamp_ms);
    }
    state->snapshot_id = id;
    state->last_updated_ms = TN_MAX(state->last_updated_ms, at);
    TN_GROW(state->log, state->log_count, state->log_capacity);
    state->log[state->log_count++] = (struct iceberg_log_entry){.timestamp_ms = at, .snapshot_id = id};
    TN_GROW(state->mains, state->main_count, state->main_capacity);
    state->mains[state->main_count++] = id;
    return TN_OK;
}

static const char *ref_json(struct change_state *state, const struct doc_node *update, size_t *ret_length)
{
    static const char *const keys[] = {"snapshot-id", "type", "max-ref-age-ms", "max-snapshot-age-ms",
                                       "min-snapshots-to-keep"};
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    for (size_t i = 0; i < TN_COUNT(keys); i++) {
        const struct doc_node *node = doc_get(update, keys[i]);
        if (doc_is_null(node))
            continue;
        tn_json_key(&json, keys[i]);
        tn_json_raw(&json, node->raw, node->raw_length);
    }
    tn_json_close(&json, '}');
    *ret_length = text.len;
    return tn_arena_strndup(state->arena, text.data, text.len);
}

static enum tn_code check_ref(const struct change_state *state, const struct doc_node *update, const char *name,
                              const char *type, int64_t id, struct tn_error *err)
{
    static const char *const positive[] = {"max-ref-age-ms", "max-snapshot-age-ms", "min-snapshots-to-keep"};
    bool tag = tn_streq(type, "tag");
    if (!tag && !tn_streq(type, "branch"))
        return tn_fail(err, TN_EREQUEST, "a ref is a \"branch\" or a \"tag\", not \"%.40s\"", type);
    if (tag && tn_streq(name, "main"))
        return tn_fail(err, TN_EREQUEST, "main is a branch and cannot be a tag");
    if (!*name)
        return tn_fail(err, TN_EREQUEST, "a ref has no name");
    if (!change_find(&state->snapshots, id))
        return tn_fail(err, TN_EREQUEST, "Cannot set %.200s to unknown snapshot: %" PRId64, name, id);
    for (size_t i = 0; i < TN_COUNT(positive); i++) {
        int64_t value = 1;
        TN_TRY(doc_take_i64(update, positive[i], "a ref", &value, err));
        if (value <= 0)
            return tn_fail(err, TN_EREQUEST, "%s must be positive", positive[i]);
        if (i > 0 && tag && !doc_is_null(doc_get(update, positive[i])))
            return tn_fail(err, TN_EREQUEST, "Tags do not support setting %s", positive[i]);
    }
    return TN_OK;
}

enum tn_code change_set_ref(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    static const char what[] = "set-snapshot-ref";
    const char *name = NULL, *type = NULL;
    int64_t id = 0;
    size_t length = 0;
    TN_TRY(doc_need_text(update, "ref-name", what, &name, err));
    TN_TRY(doc_need_text(update, "type", what, &type, err));
    TN_TRY(doc_need_i64(update, "snapshot-id", what, &id, err));
    TN_TRY(check_ref(state, update, name, type, id, err));
    const char *json = ref_json(state, update, &length);
    struct change_ref *ref = change_ref_named(state, name);
    bool same_target = ref && ref->snapshot_id == id;
    if (same_target && ref->length == length && memcmp(ref->json, json, length) == 0)
        return TN_OK;
    if (tn_streq(name, "main") && !same_target)
        TN_TRY(make_main(state, id, err));
    if (!ref) {
        TN_GROW(state->refs, state->ref_count, state->ref_capacity);
        ref = &state->refs[state->ref_count++];
        ref->name = tn_arena_strdup(state->arena, name);
    }
    ref->snapshot_id = id;
    ref->json = json;
    ref->length = length;
    state->changed = true;
    return TN_OK;
}

void change_remove_ref(struct change_state *state, const char *name)
{
    struct change_ref *ref = change_ref_named(state, name);
    if (tn_streq(name, "main")) {
        state->changed |= state->snapshot_id != ICEBERG_NONE;
        state->snapshot_id = ICEBERG_NONE;
    }
    if (!ref)
        return;
    size_t at = (size_t)(ref - state->refs);
    state->ref_count--;
    memmove(ref, ref + 1, (state->ref_count - at) * sizeof *ref);
    state->changed = true;
}

enum tn_code change_remove_snapshots(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *ids = NULL;
    TN_TRY(doc_need(update, "snapshot-ids", DOC_ARRAY, "remove-snapshots", &ids, err));
    for (const struct doc_node *node = ids->first; node; node = node->next) {
        if (node->kind != DOC_INT)
            return tn_fail(err, TN_EREQUEST, "remove-snapshots: an id is not a number");
        if (!change_remove(&state->snapshots, node->integer))
            continue;
        (void)change_remove(&state->statistics, node->integer);
        (void)change_remove(&state->partition_statistics, node->integer);
        for (size_t i = state->ref_count; i-- > 0;)
            if (state->refs[i].snapshot_id == node->integer)
                change_remove_ref(state, state->refs[i].name);
        state->removed_snapshots = true;
        state->changed = true;
    }
    return TN_OK;
}
