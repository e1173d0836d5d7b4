/* Documents of the REST catalog: commits as they come, metadata as it is shown. */
#include "base/str.h"
#include "iceberg/change_internal.h"

#include <string.h>

#define MOST_CHANGES 256
#define SEPARATOR    '\x1f'

static enum tn_code read_identifier(struct tn_arena *arena, const struct doc_node *node,
                                    struct iceberg_change *change, struct tn_error *err)
{
    TN_AUTO_BUF space = {0};
    const struct doc_node *id = doc_get(node, "identifier"), *parts = NULL;
    if (doc_is_null(id))
        return TN_OK;
    TN_TRY(doc_need(id, "namespace", DOC_ARRAY, "an identifier", &parts, err));
    TN_TRY(doc_need_text(id, "name", "an identifier", &change->table, err));
    for (const struct doc_node *part = parts->first; part; part = part->next) {
        if (part->kind != DOC_STRING || strchr(part->text, SEPARATOR))
            return tn_fail(err, TN_EREQUEST, "a part of a namespace is not a name");
        if (part != parts->first)
            tn_buf_putc(&space, SEPARATOR);
        tn_buf_puts(&space, part->text);
    }
    change->space = tn_arena_strndup(arena, space.data ? space.data : "", space.len);
    return TN_OK;
}

static enum tn_code read_change(struct tn_arena *arena, const struct doc_node *node, struct iceberg_change *change,
                                struct tn_error *err)
{
    const struct doc_node *list = NULL;
    *change = (struct iceberg_change){0};
    if (node->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "a change must be an object");
    TN_TRY(read_identifier(arena, node, change, err));
    if (!doc_is_null(doc_get(node, "requirements"))) {
        TN_TRY(doc_need(node, "requirements", DOC_ARRAY, "the request", &list, err));
        change->requirements = list->raw;
        change->requirements_length = list->raw_length;
    }
    TN_TRY(doc_need(node, "updates", DOC_ARRAY, "the request", &list, err));
    change->updates = list->raw;
    change->updates_length = list->raw_length;
    return TN_OK;
}

static enum tn_code read_changes(struct tn_arena *arena, const char *text, size_t length, bool several,
                                 struct iceberg_change **ret, size_t *ret_count, struct tn_error *err)
{
    const struct doc_node *root = NULL, *list = NULL;
    size_t count = 0;
    TN_TRY(doc_parse(arena, text, length, "the request", &root, err));
    if (!several) {
        *ret = tn_arena_alloc(arena, sizeof **ret);
        *ret_count = 1;
        return read_change(arena, root, *ret, err);
    }
    TN_TRY(doc_need(root, "table-changes", DOC_ARRAY, "the request", &list, err));
    if (list->count == 0 || list->count > MOST_CHANGES)
        return tn_fail(err, TN_EREQUEST, "a transaction has 1 to %d changes, not %u", MOST_CHANGES, list->count);
    struct iceberg_change *changes = TN_ARENA_ARRAY(arena, struct iceberg_change, list->count);
    for (const struct doc_node *node = list->first; node; node = node->next) {
        TN_TRY(read_change(arena, node, &changes[count], err));
        if (!changes[count++].table)
            return tn_fail(err, TN_EREQUEST, "a change of the transaction names no table");
    }
    *ret = changes;
    *ret_count = count;
    return TN_OK;
}

enum tn_code iceberg_changes_read(struct tn_arena *arena, const char *text, size_t length, bool several,
                                  struct iceberg_change **ret, size_t *ret_count, struct tn_error *err)
{
    enum tn_code code = read_changes(arena, text, length, several, ret, ret_count, err);
    if (code == TN_ECORRUPT) { /* the reader's word for a document that is not as it must be */
        code = TN_EREQUEST;
        if (err)
            err->code = code;
    }
    return code;
}

static bool is_referred(const struct iceberg_metadata *metadata, int64_t id)
{
    if (metadata->current && metadata->current->id == id)
        return true;
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (metadata->refs[i].snapshot_id == id)
            return true;
    return false;
}

enum tn_code iceberg_metadata_json_refs(const struct iceberg_metadata *metadata, struct tn_buf *out,
                                        struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct doc_node *root = NULL;
    struct tn_json json = tn_json_writer(out);
    size_t length = 0;
    const char *text = iceberg_metadata_json(metadata, &length);
    TN_TRY(doc_parse(arena, text, length, "the table's metadata", &root, err));
    tn_json_open(&json, '{');
    for (const struct doc_node *node = root->first; node; node = node->next) {
        tn_json_key(&json, node->key);
        if (!tn_streq(node->key, "snapshots")) {
            tn_json_raw(&json, node->raw, node->raw_length);
            continue;
        }
        tn_json_open(&json, '[');
        for (size_t i = 0; i < metadata->snapshot_count; i++)
            if (is_referred(metadata, metadata->snapshots[i]->id))
                tn_json_raw(&json, metadata->snapshots[i]->json, metadata->snapshots[i]->json_length);
        tn_json_close(&json, ']');
    }
    tn_json_close(&json, '}');
    return TN_OK;
}
