/* Changes that other engines ask for: from a request to the next version, and
 * from that to the pointer. */
#include "iceberg/change_internal.h"

#include "base/fault.h"
#include "base/str.h"
#include "iceberg/manifest.h"
#include "iceberg/schema.h"
#include "iceberg/table_internal.h"

#include <inttypes.h>
#include <string.h>

/* What is wrong in a request is the client's to mend: never a 5xx, after which
 * it could not know whether its commit stands. */
static enum tn_code blame_request(enum tn_code code, struct tn_error *err)
{
    switch (code) {
    case TN_ECORRUPT:
    case TN_ESCHEMA:
    case TN_EUNSUPPORTED:
    case TN_EREFUSED:
    case TN_ETOOLARGE:
        if (err)
            err->code = TN_EREQUEST;
        return TN_EREQUEST;
    default:
        return code;
    }
}

/* --- What must hold of the files that the client wrote --- */

static enum tn_code check_row(const struct iceberg_table *table, const struct iceberg_metadata *next,
                              const struct iceberg_snapshot *snapshot, const struct manifest_row *row,
                              struct tn_arena *arena, struct tn_error *err)
{
    char *key = NULL;
    uint64_t size = 0;
    if (next->format_version > 1 && row->sequence_number > snapshot->sequence_number)
        return tn_fail(err, TN_EREQUEST, "%s: sequence number %" PRId64 " of %s is above the snapshot's %" PRId64,
                       snapshot->manifest_list, row->sequence_number, row->path, snapshot->sequence_number);
    if (!iceberg_metadata_spec(next, row->spec_id))
        return tn_fail(err, TN_EREQUEST, "%s: %s is of the unknown partition spec %d", snapshot->manifest_list,
                       row->path, row->spec_id);
    if (row->added_snapshot_id != snapshot->id ||
        store_key_of_uri(table->store, arena, row->path, &key, NULL) != TN_OK)
        return TN_OK; /* looked at when it was committed; or not ours to read */
    enum tn_code code = store_head(table->store, key, &size, err);
    if (code == TN_ENOTFOUND)
        return tn_fail(err, TN_EREQUEST, "the manifest %s is not there", row->path);
    if (code == TN_OK && (int64_t)size != row->length)
        return tn_fail(err, TN_EREQUEST, "the manifest %s has %" PRIu64 " bytes, and the list says %" PRId64,
                       row->path, size, row->length);
    return code;
}

static enum tn_code check_snapshot(const struct iceberg_table *table, const struct iceberg_metadata *next,
                                   const struct iceberg_snapshot *snapshot, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    char *key = NULL;
    if (!snapshot->manifest_list ||
        store_key_of_uri(table->store, arena, snapshot->manifest_list, &key, NULL) != TN_OK)
        return TN_OK;
    TN_TRY(table_open_list(table, next, snapshot, &list, err));
    for (size_t i = 0; i < list->count; i++)
        TN_TRY(check_row(table, next, snapshot, &list->rows[i], arena, err));
    return TN_OK;
}

/* A snapshot that stays needs the schema that it was written with, and the specs
 * of its manifests: other engines refuse the table without them. */
static enum tn_code check_kept_snapshot(const struct iceberg_table *table, const struct iceberg_metadata *next,
                                        const struct iceberg_snapshot *snapshot, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    char *key = NULL;
    if (snapshot->schema_id != ICEBERG_NONE && !iceberg_metadata_schema(next, snapshot->schema_id))
        return tn_fail(err, TN_EREQUEST, "Cannot remove schema %d: snapshot %" PRId64 " was written with it",
                       snapshot->schema_id, snapshot->id);
    if (!snapshot->manifest_list ||
        store_key_of_uri(table->store, arena, snapshot->manifest_list, &key, NULL) != TN_OK)
        return TN_OK;
    TN_TRY(table_open_list(table, next, snapshot, &list, err));
    for (size_t i = 0; i < list->count; i++)
        if (!iceberg_metadata_spec(next, list->rows[i].spec_id))
            return tn_fail(err, TN_EREQUEST,
                           "Cannot remove partition spec %d: files of snapshot %" PRId64 " were written with it",
                           list->rows[i].spec_id, snapshot->id);
    return TN_OK;
}

/* --- Applying --- */

/* The document's version, as `version` of the table. */
static enum tn_code change_result(struct change_state *state, const struct iceberg_table *table, int64_t version,
                                  struct iceberg_metadata **ret, struct tn_error *err)
{
    TN_AUTO_BUF json = {0};
    ICEBERG_AUTO_METADATA *next = NULL;
    const char *key = table_metadata_key(state->arena, table, version);
    TN_TRY(change_finish(state, &json, err));
    TN_TRY(iceberg_metadata_parse(json.data, json.len, store_uri(table->store, state->arena, key), &next, err));
    struct metadata *inner = metadata_of(next);
    inner->shown.version = version;
    inner->shown.key = tn_arena_strdup(inner->arena, key);
    inner->checkpoint = version;
    for (size_t i = 0; i < state->added_count; i++) {
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(next, state->added[i]);
        if (snapshot)
            TN_TRY(check_snapshot(table, next, snapshot, err));
    }
    for (size_t i = 0; i < next->snapshot_count && state->removed_layouts; i++)
        TN_TRY(check_kept_snapshot(table, next, next->snapshots[i], err));
    held_add_version(table->store, next);
    *ret = TN_TAKE(next);
    return TN_OK;
}

static enum tn_code each_of(struct change_state *state, const char *text, size_t length, bool updates,
                            struct tn_error *err)
{
    const struct doc_node *list = NULL;
    if (!text)
        return TN_OK;
    TN_TRY(doc_parse(state->arena, text, length, updates ? "updates" : "requirements", &list, err));
    if (list->kind == DOC_NULL)
        return TN_OK;
    if (list->kind != DOC_ARRAY)
        return tn_fail(err, TN_EREQUEST, "\"%s\" must be an array", updates ? "updates" : "requirements");
    for (const struct doc_node *node = list->first; node; node = node->next)
        TN_TRY(updates ? change_update(state, node, err) : change_require(state, node, err));
    return TN_OK;
}

static enum tn_code change_apply(struct change_state *state, const struct iceberg_table *table, int64_t version,
                                 const struct iceberg_change *change, struct iceberg_metadata **ret,
                                 struct tn_error *err)
{
    TN_TRY(each_of(state, change->requirements, change->requirements_length, false, err));
    TN_TRY(each_of(state, change->updates, change->updates_length, true, err));
    if (state->base && !state->changed) {
        *ret = iceberg_metadata_ref(state->base);
        return TN_OK;
    }
    if (!state->location)
        state->location = store_uri(table->store, state->arena, table->prefix);
    return change_result(state, table, version, ret, err);
}

enum tn_code iceberg_change_apply(const struct iceberg_table *table, const struct iceberg_metadata *base,
                                  int64_t version, const struct iceberg_change *change, struct iceberg_metadata **ret,
                                  struct tn_error *err)
{
    struct change_state state;
    enum tn_code code = change_state_init(&state, base, err);
    if (code == TN_OK)
        code = blame_request(change_apply(&state, table, version, change, ret, err), err);
    change_state_release(&state);
    return code;
}

bool iceberg_change_creates(const struct iceberg_change *change)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct doc_node *list = NULL;
    if (!change->requirements ||
        doc_parse(arena, change->requirements, change->requirements_length, "requirements", &list, NULL) != TN_OK ||
        list->kind != DOC_ARRAY)
        return false;
    for (const struct doc_node *node = list->first; node; node = node->next) {
        const struct doc_node *type = doc_get(node, "type");
        if (type && type->kind == DOC_STRING && tn_streq(type->text, "assert-create"))
            return true;
    }
    return false;
}

/* --- Creating --- */

/* The new id of an old one, found by walking both in step. */
static int32_t renumbered(const struct iceberg_field *old, const struct iceberg_field *new, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (old[i].id == id)
            return new[i].id;
        int32_t found = renumbered(old[i].type->fields, new[i].type->fields, old[i].type->field_count, id);
        if (found != ICEBERG_NONE)
            return found;
    }
    return ICEBERG_NONE;
}

struct create_ids {
    const struct iceberg_schema *old, *new;
};

/* A spec's or order's fields with the columns' new ids, as {"fields": [...]}. */
static enum tn_code renumber_fields(struct change_state *state, const struct doc_node *object,
                                    const struct create_ids *ids, const struct doc_node **ret, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    const struct doc_node *fields = NULL;
    TN_TRY(doc_need(object, "fields", DOC_ARRAY, "the request", &fields, err));
    tn_json_open(&json, '{');
    tn_json_key(&json, "fields");
    tn_json_open(&json, '[');
    for (const struct doc_node *field = fields->first; field; field = field->next) {
        int32_t source = 0;
        TN_TRY(doc_need_i32(field, "source-id", "a field", &source, err));
        int32_t id = renumbered(ids->old->fields, ids->new->fields, ids->old->field_count, source);
        if (id == ICEBERG_NONE)
            return tn_fail(err, TN_EREQUEST, "Cannot find source column %d in the schema", source);
        tn_json_open(&json, '{');
        for (const struct doc_node *member = field->first; member; member = member->next) {
            if (tn_streq(member->key, "field-id") || tn_streq(member->key, "source-id"))
                continue;
            tn_json_key(&json, member->key);
            tn_json_raw(&json, member->raw, member->raw_length);
        }
        tn_json_key(&json, "source-id");
        tn_json_int(&json, id);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    const char *copy = tn_arena_strndup(state->arena, text.data, text.len);
    return doc_parse(state->arena, copy, text.len, "the request", ret, err);
}

static enum tn_code create_schema(struct change_state *state, const struct doc_node *root, struct create_ids *ids,
                                  struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    const struct doc_node *node = NULL;
    int32_t last = 0;
    TN_TRY(doc_need(root, "schema", DOC_OBJECT, "the request", &node, err));
    TN_TRY(iceberg_schema_parse(state->arena, node->raw, node->raw_length, &ids->old, err));
    TN_TRY(iceberg_schema_assign_ids(state->arena, ids->old, 1, &ids->new, &last, err));
    iceberg_schema_json(ids->new, &text);
    const char *copy = tn_arena_strndup(state->arena, text.data, text.len);
    TN_TRY(doc_parse(state->arena, copy, text.len, "the schema", &node, err));
    TN_TRY(change_add_schema(state, node, err));
    state->last_column_id = last;
    state->schema_id = state->added_schema_id;
    return TN_OK;
}

static enum tn_code create_layout(struct change_state *state, const struct doc_node *root,
                                  const struct create_ids *ids, struct tn_error *err)
{
    static const char none[] = "{\"fields\":[]}";
    const struct doc_node *spec = doc_get(root, "partition-spec"), *order = doc_get(root, "write-order");
    const struct doc_node *empty = NULL;
    TN_TRY(doc_parse(state->arena, none, sizeof none - 1, "nothing", &empty, err));
    if (doc_is_null(spec))
        spec = empty;
    else
        TN_TRY(renumber_fields(state, spec, ids, &spec, err));
    if (doc_is_null(order))
        order = empty;
    else
        TN_TRY(renumber_fields(state, order, ids, &order, err));
    TN_TRY(change_add_spec(state, spec, err));
    TN_TRY(change_add_order(state, order, err));
    state->spec_id = state->added_spec_id;
    state->order_id = state->added_order_id;
    return TN_OK;
}

/* Names that say how the table is to be made, and are no properties of it. */
static bool is_reserved(const char *key)
{
    static const char *const names[] = {"format-version",           "uuid",
                                        "snapshot-count",           "current-snapshot-id",
                                        "current-snapshot-summary", "current-snapshot-timestamp-ms",
                                        "current-schema",           "default-partition-spec",
                                        "default-sort-order"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (tn_streq(names[i], key))
            return true;
    return false;
}

static enum tn_code create_properties(struct change_state *state, const struct doc_node *root, struct tn_error *err)
{
    const struct doc_node *map = doc_get(root, "properties");
    if (doc_is_null(map))
        return TN_OK;
    TN_TRY(doc_need(root, "properties", DOC_OBJECT, "the request", &map, err));
    for (const struct doc_node *node = map->first; node; node = node->next) {
        int64_t version = 0;
        if (node->kind != DOC_STRING)
            return tn_fail(err, TN_EREQUEST, "property \"%.100s\" must be text", node->key);
        if (!is_reserved(node->key))
            change_set_property(state, node->key, node->text);
        if (!tn_streq(node->key, "format-version"))
            continue;
        if (!tn_parse_i64(node->text, &version) || version < 1 || version > 3)
            return tn_fail(err, TN_EREQUEST, "format-version must be 1, 2 or 3, not \"%.40s\"", node->text);
        state->format_version = (int32_t)version;
    }
    return TN_OK;
}

static enum tn_code change_create(struct change_state *state, const struct iceberg_table *table, int64_t version,
                                  const char *request, size_t length, struct iceberg_metadata **ret,
                                  struct tn_error *err)
{
    const struct doc_node *root = NULL;
    struct create_ids ids = {0};
    const char *location = NULL;
    TN_TRY(doc_parse(state->arena, request, length, "the request", &root, err));
    TN_TRY(create_properties(state, root, err));
    TN_TRY(create_schema(state, root, &ids, err));
    TN_TRY(create_layout(state, root, &ids, err));
    TN_TRY(doc_take_text(root, "location", "the request", &location, err));
    size_t end = location ? strlen(location) : 0;
    while (end > 1 && location[end - 1] == '/')
        end--;
    state->location =
        end ? tn_arena_strndup(state->arena, location, end) : store_uri(table->store, state->arena, table->prefix);
    return change_result(state, table, version, ret, err);
}

enum tn_code iceberg_change_create(const struct iceberg_table *table, int64_t version, const char *request,
                                   size_t length, struct iceberg_metadata **ret, struct tn_error *err)
{
    struct change_state state;
    enum tn_code code = change_state_init(&state, NULL, err);
    if (code == TN_OK)
        code = blame_request(change_create(&state, table, version, request, length, ret, err), err);
    change_state_release(&state);
    return code;
}

enum tn_code iceberg_change_register(const struct iceberg_table *table, int64_t version, const char *uri,
                                     struct iceberg_metadata **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF json = {0};
    ICEBERG_AUTO_METADATA *next = NULL;
    char *key = NULL;
    if (store_key_of_uri(table->store, arena, uri, &key, NULL) != TN_OK)
        return tn_fail(err, TN_EREQUEST, "the metadata file %s lies outside of the lake", uri);
    enum tn_code code = store_get(table->store, key, ICEBERG_METADATA_MAX_BYTES, &json, err);
    if (code == TN_ENOTFOUND)
        return tn_fail(err, TN_EREQUEST, "Failed to open input stream for file: %s", uri);
    TN_TRY(code);
    code = iceberg_metadata_parse(json.data, json.len, uri, &next, err);
    if (code != TN_OK)
        return blame_request(code, err);
    struct metadata *inner = metadata_of(next);
    inner->shown.version = version;
    inner->shown.key = tn_arena_strdup(inner->arena, key);
    inner->checkpoint = version;
    held_add_version(table->store, next);
    *ret = TN_TAKE(next);
    return TN_OK;
}

/* --- Publishing --- */

enum tn_code iceberg_table_next_version(const struct iceberg_table *table, int64_t *ret, struct tn_error *err)
{
    int64_t newest = 0;
    TN_TRY(table_newest_version(table, 0, &newest, err));
    *ret = newest + 1;
    return TN_OK;
}

enum tn_code iceberg_version_put(const struct iceberg_metadata *next, struct store_batch *batch, struct tn_error *err)
{
    size_t length = 0;
    const char *json = iceberg_metadata_json(next, &length);
    return store_batch_put(batch, next->key, json, length, err);
}

static size_t snapshots_added(struct tn_arena *arena, const struct iceberg_metadata *base,
                              const struct iceberg_metadata *next, int64_t **ret)
{
    int64_t *ids = TN_ARENA_ARRAY(arena, int64_t, next->snapshot_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < next->snapshot_count && count < ORIGIN_MAX_SNAPSHOTS; i++)
        if (!base || !iceberg_metadata_snapshot(base, next->snapshots[i]->id))
            ids[count++] = next->snapshots[i]->id;
    *ret = ids;
    return count;
}

const char *iceberg_version_pointer(struct tn_arena *arena, const struct iceberg_table *table,
                                    const struct iceberg_metadata *base, const struct iceberg_metadata *next,
                                    const struct iceberg_origin *origin, const char **ret_text)
{
    TN_AUTO_BUF text = {0};
    int64_t *ids = NULL;
    struct table_pointer pointer = table_pointer_for(arena, table, next);
    pointer.origin = *origin;
    pointer.origin_snapshot_count = snapshots_added(arena, base, next, &ids);
    pointer.origin_snapshots = ids;
    table_pointer_write(&pointer, &text);
    *ret_text = tn_arena_strndup(arena, text.data, text.len);
    return table_pointer_key(arena, table, next->version);
}

/* Old pointers are removed, so a number can be free again: the commit stands
 * only if the one before is still there (docs/formats/table.md). */
static enum tn_code publish_checked(const struct iceberg_table *table, const struct iceberg_metadata *next,
                                    const char *key, struct tn_arena *arena, struct tn_error *err)
{
    bool there = true;
    if (next->version > 1)
        TN_TRY(store_exists(table->store, table_pointer_key(arena, table, next->version - 1), &there, err));
    if (there)
        return TN_OK;
    TN_TRY(store_delete(table->store, key, err));
    return tn_fail(err, TN_ECONFLICT, "%s has been changed many times since version %" PRId64, table->prefix,
                   next->version - 1);
}

enum tn_code iceberg_version_publish(const struct iceberg_table *table, const struct iceberg_metadata *base,
                                     const struct iceberg_metadata *next, bool written,
                                     const struct iceberg_origin *origin, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(table->store);
    const char *text = NULL, *key = iceberg_version_pointer(arena, table, base, next, origin, &text);
    if (!written)
        TN_TRY(iceberg_version_put(next, batch, err));
    enum tn_code code = store_batch_commit(batch, key, text, strlen(text), err);
    if (code == TN_EEXISTS) {
        if (!written) {
            enum tn_code ignored = store_delete(table->store, next->key, NULL);
            (void)ignored;
        }
        return tn_fail(err, TN_ECONFLICT, "%s was changed by somebody else at the same time", table->prefix);
    }
    TN_TRY(code);
    TN_TRY(publish_checked(table, next, key, arena, err));
    TN_FAULT("rest.after_pointer");
    iceberg_version_hint(table, next);
    return TN_OK;
}

void iceberg_version_hint(const struct iceberg_table *table, const struct iceberg_metadata *next)
{
    table_write_hint(table, next);
}

enum tn_code iceberg_snapshot_origin(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                                     int64_t snapshot_id, struct tn_arena *arena, struct iceberg_origin *ret,
                                     struct tn_error *err)
{
    for (int64_t version = metadata->version; version > 0; version--) {
        struct table_pointer pointer;
        enum tn_code code = table_pointer_read(table, version, arena, &pointer, err);
        if (code == TN_ENOTFOUND) /* pointers that old are gone */
            break;
        TN_TRY(code);
        for (size_t i = 0; i < pointer.origin_snapshot_count; i++)
            if (pointer.origin_snapshots[i] == snapshot_id) {
                *ret = pointer.origin;
                return TN_OK;
            }
    }
    return tn_fail(err, TN_ENOTFOUND, "snapshot %" PRId64 " was not committed by another engine", snapshot_id);
}
