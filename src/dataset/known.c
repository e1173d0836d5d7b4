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
        if (mode == DATASET_REPLACE || is_replace(snapshot))
            return false;
        snapshot =
            snapshot->parent_id == ICEBERG_NONE ? NULL : iceberg_metadata_snapshot(metadata, snapshot->parent_id);
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
