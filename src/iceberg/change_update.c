/* The updates of the REST catalog, by their names. */
#include "iceberg/change_internal.h"

#include "base/id.h"
#include "base/str.h"

#include <string.h>

typedef enum tn_code update_fn(struct change_state *state, const struct doc_node *update, struct tn_error *err);

static const char what[] = "an update";

static enum tn_code set_text(struct change_state *state, const struct doc_node *update, const char *key,
                             const char **slot, struct tn_error *err)
{
    const char *text = NULL;
    TN_TRY(doc_need_text(update, key, what, &text, err));
    if (!*text)
        return tn_fail(err, TN_EREQUEST, "\"%s\" is empty", key);
    state->changed |= !*slot || !tn_streq(*slot, text);
    *slot = text;
    return TN_OK;
}

static enum tn_code assign_uuid(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const char *uuid = NULL;
    TN_TRY(doc_need_text(update, "uuid", what, &uuid, err));
    if (strlen(uuid) != TN_UUID_TEXT - 1)
        return tn_fail(err, TN_EREQUEST, "\"%.60s\" is not a UUID", uuid);
    if (state->uuid && !tn_str_equal_nocase(state->uuid, uuid))
        return tn_fail(err, TN_EREQUEST, "Cannot reassign uuid: the table has %.60s", state->uuid);
    return set_text(state, update, "uuid", &state->uuid, err);
}

static enum tn_code upgrade_format(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    int32_t version = 0;
    TN_TRY(doc_need_i32(update, "format-version", what, &version, err));
    if (version < 1 || version > 3)
        return tn_fail(err, TN_EREQUEST, "Cannot upgrade table to unsupported format version: v%d (supported: v3)",
                       version);
    bool empty = state->fresh && !state->changed;
    if (version < state->format_version && !empty && !state->fresh)
        return tn_fail(err, TN_EREQUEST, "Cannot downgrade v%d table to v%d", state->format_version, version);
    state->changed |= version != state->format_version;
    state->format_version = version;
    return TN_OK;
}

static enum tn_code add_schema(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *schema = NULL;
    TN_TRY(doc_need(update, "schema", DOC_OBJECT, what, &schema, err));
    return change_add_schema(state, schema, err);
}

static enum tn_code add_spec(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *spec = NULL;
    TN_TRY(doc_need(update, "spec", DOC_OBJECT, what, &spec, err));
    return change_add_spec(state, spec, err);
}

static enum tn_code add_order(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *order = NULL;
    TN_TRY(doc_need(update, "sort-order", DOC_OBJECT, what, &order, err));
    return change_add_order(state, order, err);
}

/* The three "current" ids, where -1 is what this change added last. */
static enum tn_code set_id(struct change_state *state, const struct doc_node *update, const char *key,
                           const struct change_pieces *among, int32_t added, int32_t *slot, struct tn_error *err)
{
    int32_t id = 0;
    TN_TRY(doc_need_i32(update, key, what, &id, err));
    if (id == -1) {
        if (added == ICEBERG_NONE)
            return tn_fail(err, TN_EREQUEST, "Cannot set last added %s: nothing has been added", key);
        id = added;
    }
    if (!change_find(among, id))
        return tn_fail(err, TN_EREQUEST, "Cannot set %s to unknown id: %d", key, id);
    state->changed |= *slot != id;
    *slot = id;
    return TN_OK;
}

static enum tn_code set_schema(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return set_id(state, update, "schema-id", &state->schemas, state->added_schema_id, &state->schema_id, err);
}

static enum tn_code set_spec(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return set_id(state, update, "spec-id", &state->specs, state->added_spec_id, &state->spec_id, err);
}

static enum tn_code set_order(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return set_id(state, update, "sort-order-id", &state->orders, state->added_order_id, &state->order_id, err);
}

static enum tn_code add_snapshot(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *snapshot = NULL;
    TN_TRY(doc_need(update, "snapshot", DOC_OBJECT, what, &snapshot, err));
    return change_add_snapshot(state, snapshot, err);
}

static enum tn_code remove_ref(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const char *name = NULL;
    TN_TRY(doc_need_text(update, "ref-name", what, &name, err));
    change_remove_ref(state, name);
    return TN_OK;
}

static enum tn_code set_location(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return set_text(state, update, "location", &state->location, err);
}

static enum tn_code set_properties(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *map = doc_get(update, "updates");
    if (!map)
        TN_TRY(doc_need(update, "updated", DOC_OBJECT, what, &map, err)); /* its name in older clients */
    if (map->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "set-properties: \"updates\" must be an object");
    for (const struct doc_node *node = map->first; node; node = node->next) {
        if (node->kind != DOC_STRING)
            return tn_fail(err, TN_EREQUEST, "property \"%.100s\" must be text", node->key);
        change_set_property(state, node->key, node->text);
        state->changed = true;
    }
    return TN_OK;
}

static enum tn_code remove_properties(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    const struct doc_node *list = doc_get(update, "removals");
    if (!list)
        TN_TRY(doc_need(update, "removed", DOC_ARRAY, what, &list, err));
    if (list->kind != DOC_ARRAY)
        return tn_fail(err, TN_EREQUEST, "remove-properties: \"removals\" must be an array");
    for (const struct doc_node *node = list->first; node; node = node->next) {
        if (node->kind != DOC_STRING)
            return tn_fail(err, TN_EREQUEST, "remove-properties: a name is not text");
        change_set_property(state, node->text, NULL);
        state->changed = true;
    }
    return TN_OK;
}

static enum tn_code put_statistics(struct change_state *state, const struct doc_node *update, const char *key,
                                   struct change_pieces *pieces, struct tn_error *err)
{
    const struct doc_node *file = NULL;
    const char *path = NULL;
    int64_t id = 0;
    TN_TRY(doc_need(update, key, DOC_OBJECT, what, &file, err));
    TN_TRY(doc_need_i64(file, "snapshot-id", key, &id, err));
    TN_TRY(doc_need_text(file, "statistics-path", key, &path, err));
    TN_TRY(change_check_statistics(file, pieces == &state->partition_statistics, err));
    (void)change_remove(pieces, id);
    change_add(pieces, id, file->raw, file->raw_length);
    state->changed = true;
    return TN_OK;
}

static enum tn_code drop_statistics(struct change_state *state, const struct doc_node *update,
                                    struct change_pieces *pieces, struct tn_error *err)
{
    int64_t id = 0;
    TN_TRY(doc_need_i64(update, "snapshot-id", what, &id, err));
    state->changed |= change_remove(pieces, id);
    return TN_OK;
}

static enum tn_code set_statistics(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return put_statistics(state, update, "statistics", &state->statistics, err);
}

static enum tn_code remove_statistics(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return drop_statistics(state, update, &state->statistics, err);
}

static enum tn_code set_partition_statistics(struct change_state *state, const struct doc_node *update,
                                             struct tn_error *err)
{
    return put_statistics(state, update, "partition-statistics", &state->partition_statistics, err);
}

static enum tn_code remove_partition_statistics(struct change_state *state, const struct doc_node *update,
                                                struct tn_error *err)
{
    return drop_statistics(state, update, &state->partition_statistics, err);
}

static enum tn_code remove_ids(struct change_state *state, const struct doc_node *update, const char *key,
                               struct change_pieces *pieces, int32_t kept, struct tn_error *err)
{
    const struct doc_node *ids = NULL;
    TN_TRY(doc_need(update, key, DOC_ARRAY, what, &ids, err));
    for (const struct doc_node *node = ids->first; node; node = node->next) {
        if (node->kind != DOC_INT)
            return tn_fail(err, TN_EREQUEST, "\"%s\": an id is not a number", key);
        if (node->integer == kept)
            return tn_fail(err, TN_EREQUEST, "Cannot remove %s %d: it is the current one", key, kept);
        state->removed_layouts |= change_remove(pieces, node->integer);
    }
    state->changed |= state->removed_layouts;
    return TN_OK;
}

static enum tn_code remove_specs(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return remove_ids(state, update, "spec-ids", &state->specs, state->spec_id, err);
}

static enum tn_code remove_schemas(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    return remove_ids(state, update, "schema-ids", &state->schemas, state->schema_id, err);
}

static enum tn_code refuse_keys(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    (void)state;
    (void)update;
    return tn_fail(err, TN_EREQUEST, "tables with encryption keys are not supported");
}

enum tn_code change_update(struct change_state *state, const struct doc_node *update, struct tn_error *err)
{
    static const struct {
        const char *action;
        update_fn *apply;
    } table[] = {
        {"assign-uuid", assign_uuid},
        {"upgrade-format-version", upgrade_format},
        {"add-schema", add_schema},
        {"set-current-schema", set_schema},
        {"add-spec", add_spec},
        {"set-default-spec", set_spec},
        {"add-sort-order", add_order},
        {"set-default-sort-order", set_order},
        {"add-snapshot", add_snapshot},
        {"set-snapshot-ref", change_set_ref},
        {"remove-snapshots", change_remove_snapshots},
        {"remove-snapshot-ref", remove_ref},
        {"set-location", set_location},
        {"set-properties", set_properties},
        {"remove-properties", remove_properties},
        {"set-statistics", set_statistics},
        {"remove-statistics", remove_statistics},
        {"set-partition-statistics", set_partition_statistics},
        {"remove-partition-statistics", remove_partition_statistics},
        {"remove-partition-specs", remove_specs},
        {"remove-schemas", remove_schemas},
        {"add-encryption-key", refuse_keys},
        {"remove-encryption-key", refuse_keys},
    };
    const char *action = NULL;
    if (update->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "an update must be an object");
    TN_TRY(doc_need_text(update, "action", what, &action, err));
    for (size_t i = 0; i < TN_COUNT(table); i++)
        if (tn_streq(action, table[i].action))
            return table[i].apply(state, update, err);
    return tn_fail(err, TN_EREQUEST, "Cannot parse update: the action \"%.60s\" is not known", action);
}
