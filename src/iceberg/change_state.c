/* A version taken apart. */
#include "iceberg/change_internal.h"

#include "base/clock.h"
#include "base/str.h"
#include "iceberg/schema.h"

#include <string.h>

static const char what[] = "the table's metadata";

struct change_piece *change_find(const struct change_pieces *pieces, int64_t id)
{
    for (size_t i = pieces->count; i-- > 0;)
        if (pieces->items[i].id == id)
            return &pieces->items[i];
    return NULL;
}

void change_add(struct change_pieces *pieces, int64_t id, const char *json, size_t length)
{
    TN_GROW(pieces->items, pieces->count, pieces->capacity);
    pieces->items[pieces->count++] = (struct change_piece){id, json, length};
}

bool change_remove(struct change_pieces *pieces, int64_t id)
{
    struct change_piece *found = change_find(pieces, id);
    if (!found)
        return false;
    size_t at = (size_t)(found - pieces->items);
    pieces->count--;
    memmove(found, found + 1, (pieces->count - at) * sizeof *found);
    return true;
}

int64_t change_next_id(const struct change_pieces *pieces)
{
    int64_t next = 0;
    for (size_t i = 0; i < pieces->count; i++)
        next = TN_MAX(next, pieces->items[i].id + 1);
    return next;
}

struct change_ref *change_ref_named(const struct change_state *state, const char *name)
{
    for (size_t i = 0; i < state->ref_count; i++)
        if (tn_streq(state->refs[i].name, name))
            return &state->refs[i];
    return NULL;
}

void change_set_property(struct change_state *state, const char *key, const char *value)
{
    size_t at = 0;
    while (at < state->property_count && !tn_streq(state->properties[at].key, key))
        at++;
    if (!value && at == state->property_count)
        return;
    if (!value) {
        state->property_count--;
        memmove(state->properties + at, state->properties + at + 1,
                (state->property_count - at) * sizeof *state->properties);
        return;
    }
    if (at == state->property_count) {
        TN_GROW(state->properties, state->property_count, state->property_capacity);
        state->properties[state->property_count++].key = tn_arena_strdup(state->arena, key);
    }
    state->properties[at].value = tn_arena_strdup(state->arena, value);
}

const char *change_with_id(struct change_state *state, const struct doc_node *object, const char *key, int64_t id,
                           size_t *ret_length)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_key(&json, key);
    tn_json_int(&json, id);
    for (const struct doc_node *node = object->first; node; node = node->next) {
        if (tn_streq(node->key, key))
            continue;
        tn_json_key(&json, node->key);
        tn_json_raw(&json, node->raw, node->raw_length);
    }
    tn_json_close(&json, '}');
    *ret_length = text.len;
    return tn_arena_strndup(state->arena, text.data, text.len);
}

enum tn_code change_schema(const struct change_state *state, int64_t id, struct tn_arena *arena,
                           const struct iceberg_schema **ret, struct tn_error *err)
{
    const struct change_piece *piece = change_find(&state->schemas, id);
    *ret = NULL;
    return piece ? iceberg_schema_parse(arena, piece->json, piece->length, ret, err) : TN_OK;
}

/* --- From the document --- */

static enum tn_code take_list(const struct doc_node *root, const char *key, const char *id_key,
                              struct change_pieces *ret, struct tn_error *err)
{
    const struct doc_node *list = doc_get(root, key);
    if (doc_is_null(list))
        return TN_OK;
    TN_TRY(doc_need(root, key, DOC_ARRAY, what, &list, err));
    for (const struct doc_node *node = list->first; node; node = node->next) {
        int64_t id = 0;
        if (doc_get(node, id_key)) /* a schema of format 1 may have none */
            TN_TRY(doc_need_i64(node, id_key, what, &id, err));
        change_add(ret, id, node->raw, node->raw_length);
    }
    return TN_OK;
}

/* Format 1 knew one schema and one partition spec, without ids. */
static enum tn_code take_legacy(struct change_state *state, const struct doc_node *root, struct tn_error *err)
{
    const struct doc_node *schema = doc_get(root, "schema"), *fields = doc_get(root, "partition-spec");
    size_t length = 0;
    if (state->schemas.count == 0 && schema && schema->kind == DOC_OBJECT) {
        const char *json = change_with_id(state, schema, "schema-id", 0, &length);
        change_add(&state->schemas, 0, json, length);
        state->schema_id = 0;
    }
    if (state->specs.count == 0 && fields && fields->kind == DOC_ARRAY) {
        struct doc_node list = *fields, spec = {.kind = DOC_OBJECT, .count = 1, .first = &list};
        list.key = "fields";
        list.next = NULL;
        state->last_partition_id = 999;
        TN_TRY(change_add_spec(state, &spec, err));
        state->spec_id = state->added_spec_id;
        state->added_spec_id = ICEBERG_NONE;
        state->changed = false;
    }
    if (state->orders.count == 0)
        change_add(&state->orders, 0, "{\"order-id\":0,\"fields\":[]}", strlen("{\"order-id\":0,\"fields\":[]}"));
    return TN_OK;
}

static enum tn_code take_history(struct change_state *state, const struct doc_node *root, struct tn_error *err)
{
    const struct iceberg_metadata *base = state->base;
    TN_TRY(take_list(root, "snapshots", "snapshot-id", &state->snapshots, err));
    TN_TRY(take_list(root, "statistics", "snapshot-id", &state->statistics, err));
    TN_TRY(take_list(root, "partition-statistics", "snapshot-id", &state->partition_statistics, err));
    for (size_t i = 0; i < base->ref_count; i++) {
        TN_GROW(state->refs, state->ref_count, state->ref_capacity);
        state->refs[state->ref_count++] = (struct change_ref){base->refs[i].name, base->refs[i].snapshot_id,
                                                              base->refs[i].json, base->refs[i].json_length};
    }
    for (size_t i = 0; i < base->snapshot_log_count; i++) {
        TN_GROW(state->log, state->log_count, state->log_capacity);
        state->log[state->log_count++] = base->snapshot_log[i];
    }
    for (size_t i = 0; i < base->metadata_log_count; i++) {
        TN_GROW(state->files, state->file_count, state->file_capacity);
        state->files[state->file_count++] = base->metadata_log[i];
    }
    return TN_OK;
}

static bool is_known(const char *key)
{
    static const char *const known[] = {
        "format-version",        "table-uuid",      "location",          "last-sequence-number",
        "last-updated-ms",       "last-column-id",  "schemas",           "current-schema-id",
        "partition-specs",       "default-spec-id", "last-partition-id", "sort-orders",
        "default-sort-order-id", "properties",      "snapshots",         "refs",
        "current-snapshot-id",   "snapshot-log",    "metadata-log",      "schema",
        "partition-spec",        "statistics",      "next-row-id",       "partition-statistics",
    };
    for (size_t i = 0; i < TN_COUNT(known); i++)
        if (tn_streq(known[i], key))
            return true;
    return false;
}

static void take_others(struct change_state *state, const struct doc_node *root)
{
    for (const struct doc_node *node = root->first; node; node = node->next) {
        if (is_known(node->key))
            continue;
        TN_GROW(state->other_keys, state->other_count, state->other_capacity);
        state->other_keys[state->other_count] = node->key;
        change_add(&state->others, (int64_t)state->other_count++, node->raw, node->raw_length);
    }
}

static enum tn_code take_base(struct change_state *state, struct tn_error *err)
{
    const struct iceberg_metadata *base = state->base;
    const struct doc_node *root = NULL;
    size_t length = 0;
    const char *json = iceberg_metadata_json(base, &length);
    TN_TRY(doc_parse(state->arena, json, length, what, &root, err));
    state->format_version = base->format_version;
    state->uuid = *base->uuid ? base->uuid : NULL;
    state->location = base->location;
    state->last_sequence_number = base->last_sequence_number;
    state->last_updated_ms = base->last_updated_ms;
    state->last_column_id = base->last_column_id;
    state->schema_id = base->schema->id;
    state->spec_id = base->default_spec_id;
    state->order_id = base->default_sort_order_id;
    state->snapshot_id = base->current ? base->current->id : ICEBERG_NONE;
    TN_TRY(doc_take_i32(root, "last-partition-id", what, &state->last_partition_id, err));
    TN_TRY(doc_take_i64(root, "next-row-id", what, &state->next_row_id, err));
    TN_TRY(take_list(root, "schemas", "schema-id", &state->schemas, err));
    TN_TRY(take_list(root, "partition-specs", "spec-id", &state->specs, err));
    TN_TRY(take_list(root, "sort-orders", "order-id", &state->orders, err));
    TN_TRY(take_legacy(state, root, err));
    for (size_t i = 0; i < base->property_count; i++)
        change_set_property(state, base->properties[i].key, base->properties[i].value);
    take_others(state, root);
    return take_history(state, root, err);
}

enum tn_code change_state_init(struct change_state *state, const struct iceberg_metadata *base, struct tn_error *err)
{
    *state = (struct change_state){.arena = tn_arena_new(),
                                   .base = base,
                                   .fresh = !base,
                                   .now_ms = tn_now_ms(),
                                   .format_version = 2,
                                   .last_partition_id = 999,
                                   .schema_id = ICEBERG_NONE,
                                   .spec_id = ICEBERG_NONE,
                                   .order_id = ICEBERG_NONE,
                                   .snapshot_id = ICEBERG_NONE,
                                   .added_schema_id = ICEBERG_NONE,
                                   .added_spec_id = ICEBERG_NONE,
                                   .added_order_id = ICEBERG_NONE};
    return base ? take_base(state, err) : TN_OK;
}

void change_state_release(struct change_state *state)
{
    struct change_pieces *lists[] = {&state->schemas,   &state->specs,      &state->orders,
                                     &state->snapshots, &state->statistics, &state->partition_statistics,
                                     &state->others};
    for (size_t i = 0; i < TN_COUNT(lists); i++)
        free(lists[i]->items);
    free((void *)state->other_keys);
    free(state->refs);
    free(state->properties);
    free(state->log);
    free(state->files);
    free(state->added);
    free(state->mains);
    tn_arena_free(state->arena);
    *state = (struct change_state){0};
}
