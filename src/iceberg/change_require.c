/* What a client's commit takes for granted. The texts are those that clients
 * and the compatibility kit know. */
#include "iceberg/change_internal.h"

#include "base/str.h"

#include <inttypes.h>

static const char what[] = "a requirement";

static enum tn_code fail(struct tn_error *err, const char *about, int64_t expected, int64_t found)
{
    return tn_fail(err, TN_ECONFLICT, "Requirement failed: %s changed: expected id %" PRId64 " != %" PRId64, about,
                   expected, found);
}

static enum tn_code require_ref(const struct change_state *state, const struct doc_node *node, struct tn_error *err)
{
    const char *name = NULL;
    TN_TRY(doc_need_text(node, "ref", what, &name, err));
    const struct change_ref *ref = change_ref_named(state, name);
    const struct doc_node *id = doc_get(node, "snapshot-id");
    const char *kind = ref && strstr(ref->json, "\"tag\"") ? "tag" : "branch";
    if (doc_is_null(id))
        return ref ? tn_fail(err, TN_ECONFLICT, "Requirement failed: %s %.200s was created concurrently", kind, name)
                   : TN_OK;
    int64_t expected = 0;
    TN_TRY(doc_need_i64(node, "snapshot-id", what, &expected, err));
    if (!ref)
        return tn_fail(err, TN_ECONFLICT, "Requirement failed: branch or tag %.200s is missing, expected %" PRId64,
                       name, expected);
    if (ref->snapshot_id != expected)
        return tn_fail(err, TN_ECONFLICT,
                       "Requirement failed: %s %.200s has changed: expected id %" PRId64 " != %" PRId64, kind, name,
                       expected, ref->snapshot_id);
    return TN_OK;
}

static enum tn_code require_uuid(const struct change_state *state, const struct doc_node *node, struct tn_error *err)
{
    const char *expected = NULL;
    TN_TRY(doc_need_text(node, "uuid", what, &expected, err));
    if (!state->uuid || !tn_str_equal_nocase(expected, state->uuid))
        return tn_fail(err, TN_ECONFLICT, "Requirement failed: UUID does not match: expected %.60s != %.60s",
                       state->uuid ? state->uuid : "none", expected);
    return TN_OK;
}

enum tn_code change_require(const struct change_state *state, const struct doc_node *node, struct tn_error *err)
{
    const struct {
        const char *type, *key, *about;
        int64_t found;
    } numbers[] = {
        {"assert-last-assigned-field-id", "last-assigned-field-id", "last assigned field id", state->last_column_id},
        {"assert-current-schema-id", "current-schema-id", "current schema", state->schema_id},
        {"assert-last-assigned-partition-id", "last-assigned-partition-id", "last assigned partition id",
         state->last_partition_id},
        {"assert-default-spec-id", "default-spec-id", "default partition spec", state->spec_id},
        {"assert-default-sort-order-id", "default-sort-order-id", "default sort order", state->order_id},
    };
    const char *type = NULL;
    int64_t expected = 0;
    if (node->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "a requirement must be an object");
    TN_TRY(doc_need_text(node, "type", what, &type, err));
    if (tn_streq(type, "assert-create"))
        return state->fresh ? TN_OK : tn_fail(err, TN_ECONFLICT, "Requirement failed: table already exists");
    if (tn_streq(type, "assert-table-uuid"))
        return require_uuid(state, node, err);
    if (tn_streq(type, "assert-ref-snapshot-id"))
        return require_ref(state, node, err);
    for (size_t i = 0; i < TN_COUNT(numbers); i++) {
        if (!tn_streq(type, numbers[i].type))
            continue;
        TN_TRY(doc_need_i64(node, numbers[i].key, what, &expected, err));
        return state->fresh || expected == numbers[i].found ? TN_OK
                                                            : fail(err, numbers[i].about, expected, numbers[i].found);
    }
    return tn_fail(err, TN_EREQUEST, "Cannot parse update requirement: the type \"%.60s\" is not known", type);
}
