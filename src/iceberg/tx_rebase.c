/* The same changes on a newer base: what may pass, and what stands in the way. */
#include "base/str.h"
#include "iceberg/schema.h"
#include "iceberg/tx_internal.h"
#include "iceberg/value.h"

#include <inttypes.h>
#include <string.h>

/* Calls `see` for every live entry of the newest snapshot's manifests of one
 * kind that came after sequence number `after`. */
typedef enum tn_code rebase_entry_fn(struct iceberg_tx *tx, const struct iceberg_file *file, struct tn_error *err);

static enum tn_code rebase_walk(struct iceberg_tx *tx, const struct iceberg_metadata *newest, int32_t content,
                                int64_t after, rebase_entry_fn *see, struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    if (!newest->current)
        return TN_OK;
    TN_TRY(table_open_list(&tx->table, newest, newest->current, &list, err));
    for (size_t i = 0; i < list->count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
        if (list->rows[i].content != content || list->rows[i].sequence_number <= after)
            continue;
        TN_TRY(table_open_manifest(&tx->table, newest, &list->rows[i], &manifest, err));
        for (size_t k = 0; k < manifest->count; k++)
            if (manifest->entries[k].status != MANIFEST_DELETED)
                TN_TRY(see(tx, &manifest->entries[k].file, err));
    }
    return TN_OK;
}

/* A delete file that the transaction has not seen must not touch a file that
 * it removes: its rows would come back, or be removed twice. */
static enum tn_code rebase_check_delete(struct iceberg_tx *tx, const struct iceberg_file *file, struct tn_error *err)
{
    if (file->sequence_number <= tx->base->last_sequence_number)
        return TN_OK;
    for (size_t i = 0; i < tx->removed_count; i++) {
        const char *path = tx->removed_list[i];
        const struct iceberg_bytes value = {(const uint8_t *)path, strlen(path)};
        const struct iceberg_stats *bounds = iceberg_file_stats(file, ICEBERG_DELETE_PATH_ID);
        bool hit = true; /* without bounds it may touch anything */
        if (file->referenced_data_file)
            hit = tn_streq(file->referenced_data_file, path);
        else if (bounds && bounds->lower.data && bounds->upper.data)
            hit = value_compare_raw(bounds->lower, value) <= 0 && value_compare_raw(value, bounds->upper) <= 0;
        if (hit)
            return tn_fail(err, TN_ECONFLICT, "rows of %s were deleted by another writer meanwhile", path);
    }
    return TN_OK;
}

static enum tn_code rebase_note_live(struct iceberg_tx *tx, const struct iceberg_file *file, struct tn_error *err)
{
    (void)err;
    /* The path lives in the cache's object: it is copied. */
    if (!tx_paths_has(&tx->found, file->path))
        (void)tx_paths_add(&tx->found, tn_arena_strdup(tx->arena, file->path));
    return TN_OK;
}

static bool rebase_adds(const struct iceberg_tx *tx, const char *path)
{
    for (size_t i = 0; i < tx->added_count; i++)
        if (tn_streq(tx->added[i]->path, path))
            return true;
    return false;
}

/* Data files that the new delete files are for must still be there. */
static enum tn_code rebase_check_targets(struct iceberg_tx *tx, const struct iceberg_metadata *newest,
                                         struct tn_error *err)
{
    bool any = false;
    for (size_t i = 0; i < tx->added_count; i++)
        any |= tx->added[i]->content != ICEBERG_DATA;
    if (!any || tx->start_id != ICEBERG_NONE)
        return TN_OK;
    enum tn_code code = rebase_walk(tx, newest, MANIFEST_DATA, ICEBERG_NONE, rebase_note_live, err);
    for (size_t i = 0; i < tx->added_count && code == TN_OK; i++) {
        const char *target = tx_delete_target(tx->added[i]);
        if (tx->added[i]->content == ICEBERG_DATA)
            continue;
        if (!target || (!tx_paths_has(&tx->found, target) && !rebase_adds(tx, target)))
            code = tn_fail(err, TN_ECONFLICT, "%s, whose rows are to be deleted, was removed by another writer",
                           target ? target : tx->added[i]->path);
    }
    tx_paths_release(&tx->found);
    return code;
}

enum tn_code iceberg_tx_rebase(struct iceberg_tx *tx, const struct iceberg_metadata *newest, struct tn_error *err)
{
    if (tx->finished)
        return tn_fail(err, TN_EINTERNAL, "a transaction that was published cannot be rebased");
    if (!tn_streq(newest->uuid, tx->base->uuid))
        return tn_fail(err, TN_ECONFLICT, "%s was dropped and created anew by another writer", tx->table.prefix);
    if (tx->schema && !schema_same(newest->schema, tx->base->schema))
        return tn_fail(err, TN_ECONFLICT, "the columns of %s were changed by another writer", tx->table.prefix);
    if (tx->removed_count)
        TN_TRY(rebase_walk(tx, newest, MANIFEST_DELETES, tx->base->last_sequence_number, rebase_check_delete, err));
    TN_TRY(rebase_check_targets(tx, newest, err));
    struct iceberg_metadata *old = tx->base;
    tx->base = iceberg_metadata_ref(newest);
    tx->thinned_count = 0;
    /* The last attempt's objects are deleted when the next one is built. */
    iceberg_metadata_unref(old);
    return TN_OK;
}
