/* Where the delete files of a commit lie: in the partition of their data file.
 *
 * Clients look for a data file's deletes among those of its own spec and
 * partition, so that one in another place deletes nothing. Who deletes rows
 * knows the data file by its path; its entry says the rest.
 */
#include "base/str.h"
#include "iceberg/tx_internal.h"

#include <string.h>

struct placing {
    struct iceberg_tx *tx;
    struct iceberg_file **waiting; /* delete files, by the path that they are for */
    size_t count, placed;
};

static int by_target(const void *a, const void *b)
{
    const struct iceberg_file *const *x = a, *const *y = b;
    return strcmp((*x)->referenced_data_file, (*y)->referenced_data_file);
}

static void place(struct placing *placing, const struct iceberg_file *data)
{
    size_t low = 0, high = placing->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(placing->waiting[middle]->referenced_data_file, data->path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < placing->count && tn_streq(placing->waiting[low]->referenced_data_file, data->path); low++) {
        struct iceberg_file *file = placing->waiting[low], copy = {0};
        manifest_copy_file(placing->tx->arena, data, &copy); /* the manifest that has it may go */
        file->spec_id = data->spec_id;
        file->partition = copy.partition;
        file->partition_count = copy.partition_count;
        placing->placed++;
    }
}

static enum tn_code place_by_list(struct placing *placing, const struct manifest_object *list, struct tn_error *err)
{
    struct iceberg_tx *tx = placing->tx;
    for (size_t i = 0; list && i < list->count && placing->placed < placing->count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
        if (list->rows[i].content != MANIFEST_DATA)
            continue;
        TN_TRY(table_open_manifest(&tx->table, tx->base, &list->rows[i], &manifest, err));
        for (size_t k = 0; k < manifest->count; k++)
            if (manifest->entries[k].status != MANIFEST_DELETED)
                place(placing, &manifest->entries[k].file);
    }
    return TN_OK;
}

/* A table that never had another spec than one without fields has one place. */
static bool has_one_place(const struct iceberg_metadata *metadata)
{
    return metadata->spec_count == 1 && metadata->specs[0]->field_count == 0 && metadata->specs[0]->id == 0;
}

enum tn_code tx_place_deletes(struct iceberg_tx *tx, const struct manifest_object *old, struct tn_error *err)
{
    struct placing placing = {.tx = tx};
    if (has_one_place(tx->base))
        return TN_OK;
    placing.waiting = TN_ARENA_ARRAY(tx->attempt, struct iceberg_file *, tx->added_count + 1);
    for (size_t i = 0; i < tx->added_count; i++)
        if (tx_delete_target(tx->added[i]))
            placing.waiting[placing.count++] = tx->added[i];
    if (placing.count == 0)
        return TN_OK;
    qsort(placing.waiting, placing.count, sizeof *placing.waiting, by_target);
    for (size_t i = 0; i < tx->added_count; i++)
        if (tx->added[i]->content == ICEBERG_DATA)
            place(&placing, tx->added[i]);
    TN_TRY(place_by_list(&placing, old, err));
    if (placing.placed < placing.count)
        return tn_fail(err, TN_ECONFLICT, "rows of %s are deleted from a data file that it no longer has",
                       tx->table.prefix);
    return TN_OK;
}
