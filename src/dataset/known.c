/* Has this content been brought already? The answer stands in the summaries of
 * the snapshots, written by the same commit as the rows. */
#include "dataset/dataset_internal.h"

#include <stdio.h>
#include <string.h>

static bool summary_is(const struct iceberg_snapshot *snapshot, const char *key, const char *want)
{
    const char *value = iceberg_snapshot_summary(snapshot, key);
    return value && want && tn_streq(value, want);
}

static bool is_replace(const struct iceberg_snapshot *snapshot)
{
    return summary_is(snapshot, CATALOG_S_MODE, "replace");
}

static void fill_known(const struct iceberg_snapshot *snapshot, struct dataset_known *ret)
{
    const char *id = iceberg_snapshot_summary(snapshot, CATALOG_S_INGEST);
    ret->snapshot_id = snapshot->id;
    ret->rows = (uint64_t)iceberg_snapshot_count(snapshot, CATALOG_S_ROWS, 0);
    ret->rejected_rows = (uint64_t)iceberg_snapshot_count(snapshot, CATALOG_S_REJECTED, 0);
    snprintf(ret->ingest_id, sizeof ret->ingest_id, "%s", id ? id : "");
}

/* The state that a snapshot changed: of a restore, the one that it brought
 * back; of others the parent, or where that was thinned the nearest older one. */
static const struct iceberg_snapshot *state_before(const struct iceberg_metadata *metadata,
                                                   const struct iceberg_snapshot *snapshot)
{
    int64_t restored = iceberg_snapshot_count(snapshot, CATALOG_S_RESTORED, ICEBERG_NONE);
    int64_t wanted = restored != ICEBERG_NONE ? restored : snapshot->parent_id;
    if (wanted == ICEBERG_NONE)
        return NULL;
    const struct iceberg_snapshot *found = iceberg_metadata_snapshot(metadata, wanted);
    for (size_t i = 0; !found && restored == ICEBERG_NONE && i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *older = metadata->snapshots[metadata->snapshot_count - 1 - i];
        if (older->sequence_number < snapshot->sequence_number)
            found = older;
    }
    return found;
}

static bool keeps_rows(const struct iceberg_snapshot *snapshot)
{
    return tn_streq(snapshot->operation, "replace");
}

bool dataset_find_in(const struct iceberg_metadata *metadata, enum dataset_mode mode, const char *content_hash,
                     const char *options_hash, struct dataset_known *ret)
{
    size_t steps = metadata->snapshot_count;
    const struct iceberg_snapshot *snapshot = metadata->current;
    while (snapshot && steps-- > 0) {
        if (summary_is(snapshot, CATALOG_S_HASH, content_hash) &&
            (!options_hash || summary_is(snapshot, CATALOG_S_OPTIONS, options_hash))) {
            /* For a replace, the content must be all there is. */
            if (mode == DATASET_REPLACE && !is_replace(snapshot) && snapshot->parent_id != ICEBERG_NONE)
                return false;
            fill_known(snapshot, ret);
            return true;
        }
        /* What came after an upsert may have changed its rows again. */
        bool last_word = mode != DATASET_APPEND && !keeps_rows(snapshot);
        if (last_word || is_replace(snapshot))
            return false;
        snapshot = state_before(metadata, snapshot);
    }
    return false;
}

enum tn_code dataset_find_content(struct lake *lake, const char *name, enum dataset_mode mode,
                                  const char *content_hash, const char *options_hash, struct dataset_known *ret,
                                  struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    enum tn_code code = catalog_load(lake->catalog, name, &metadata, err);
    if (code == TN_EDATASET || (code == TN_OK && !dataset_find_in(metadata, mode, content_hash, options_hash, ret)))
        return tn_fail(err, TN_ENOTFOUND, "dataset \"%s\" does not hold this content", name);
    return code;
}
