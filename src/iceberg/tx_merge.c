/* Small manifests become larger ones, so that planning reads few files however
 * many commits there were.
 *
 * Manifests are in tiers by their number of live files: up to 31, up to 1,023,
 * more. When 32 of one tier (and kind, and spec) have come together, they are
 * merged into one, which then counts in the next tier. A file's entry is thus
 * rewritten twice at most, and a table has at most 31 small and 31 middling
 * manifests of each kind. Merging all small ones at every hundredth commit, as
 * other writers do, rewrites the whole table's entries again and again.
 *
 * Only manifests of earlier commits are merged: those of this one hold ADDED
 * and DELETED entries that say what this snapshot did.
 */
#include "iceberg/tx_internal.h"

#include <string.h>

#define MERGE_FANOUT 32
#define MERGE_TIERS  2

/* The tier, or MERGE_TIERS for what is left alone. */
static int merge_tier(const struct manifest_row *row)
{
    if (row->added_files < 0 || row->existing_files < 0 || row->key_metadata.data)
        return MERGE_TIERS;
    int64_t live = (int64_t)row->added_files + row->existing_files, limit = MERGE_FANOUT;
    int tier = 0;
    for (; tier < MERGE_TIERS && live >= limit; tier++)
        limit *= MERGE_FANOUT;
    return tier;
}

static bool merge_same_group(const struct manifest_row *a, const struct manifest_row *b)
{
    return a->content == b->content && a->spec_id == b->spec_id && merge_tier(a) == merge_tier(b);
}

static enum tn_code merge_group(struct iceberg_tx *tx, const struct manifest_row **rows, size_t count,
                                struct tn_error *err)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build build = {0};
    const struct iceberg_spec *spec = iceberg_metadata_spec(tx->base, rows[0]->spec_id);
    const char *json = NULL;
    const struct iceberg_schema *schema = tx_spec_schema(tx, spec, &json);
    TN_TRY(manifest_build_open(&build, tx->attempt, (enum manifest_content)rows[0]->content, schema, json, spec, NULL,
                               err));
    for (size_t i = 0; i < count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
        TN_TRY(table_open_manifest(&tx->table, tx->base, rows[i], &manifest, err));
        for (size_t k = 0; k < manifest->count; k++)
            if (manifest->entries[k].status != MANIFEST_DELETED)
                TN_TRY(manifest_build_add(&build, MANIFEST_EXISTING, &manifest->entries[k].file, err));
    }
    return tx_put_manifest(tx, &build, err);
}

enum tn_code tx_keep_rows(struct iceberg_tx *tx, const struct manifest_row **rows, size_t count, struct tn_error *err)
{
    const struct manifest_row **group = TN_ARENA_ARRAY(tx->attempt, const struct manifest_row *, count);
    bool *done = TN_ARENA_ARRAY(tx->attempt, bool, count);
    for (size_t i = 0; i < count; i++) {
        if (done[i])
            continue;
        size_t members = 0;
        for (size_t k = i; k < count; k++)
            if (!done[k] && merge_same_group(rows[i], rows[k]))
                group[members++] = rows[k];
        bool merge = members >= MERGE_FANOUT && merge_tier(rows[i]) < MERGE_TIERS &&
                     iceberg_metadata_spec(tx->base, rows[i]->spec_id);
        if (!merge) {
            tx_push_row(tx, rows[i]);
            continue;
        }
        TN_TRY(merge_group(tx, group, members, err));
        for (size_t k = i; k < count; k++)
            done[k] = done[k] || merge_same_group(rows[i], rows[k]);
    }
    return TN_OK;
}
