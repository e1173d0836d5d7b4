/* The snapshot's own JSON: what it did, and every total.
 *
 * The totals are optional in the specification and needed in practice: some
 * engines count rows by them and refuse to write when one is missing. They
 * continue the parent's; when a foreign parent lacks one, or has one that cannot
 * be right, all are counted anew from the manifests.
 */
#include "base/str.h"
#include "iceberg/tx_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void summary_number(struct tn_json *json, const char *key, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    tn_json_kstr(json, key, text);
}

static void summary_nonzero(struct tn_json *json, const char *key, int64_t value)
{
    if (value)
        summary_number(json, key, value);
}

static const char *summary_operation(const struct iceberg_tx *tx)
{
    bool adds = tx->plus.files[ICEBERG_DATA] > 0;
    bool removes = tx->remove_all || tx->start_id != ICEBERG_NONE || tx->minus.files[ICEBERG_DATA] ||
                   tx->minus.files[ICEBERG_POSITION_DELETES] || tx->minus.files[ICEBERG_EQUALITY_DELETES] ||
                   tx->plus.files[ICEBERG_POSITION_DELETES];
    if (tx->rewrite)
        return "replace";
    if (!removes)
        return "append";
    return adds || tx->start_id != ICEBERG_NONE ? "overwrite" : "delete";
}

static void summary_write_changes(const struct iceberg_tx *tx, struct tn_json *json)
{
    const struct tx_counts *plus = &tx->plus, *minus = &tx->minus;
    const enum iceberg_content data = ICEBERG_DATA, pos = ICEBERG_POSITION_DELETES, eq = ICEBERG_EQUALITY_DELETES;
    summary_nonzero(json, "added-data-files", plus->files[data]);
    summary_nonzero(json, "deleted-data-files", minus->files[data]);
    summary_nonzero(json, "added-records", plus->rows[data]);
    summary_nonzero(json, "deleted-records", minus->rows[data]);
    summary_nonzero(json, "added-files-size", plus->bytes);
    summary_nonzero(json, "removed-files-size", minus->bytes);
    summary_nonzero(json, "added-delete-files", plus->files[pos]);
    summary_nonzero(json, "removed-delete-files", minus->files[pos] + minus->files[eq]);
    summary_nonzero(json, "added-position-delete-files", plus->files[pos]);
    summary_nonzero(json, "removed-position-delete-files", minus->files[pos]);
    summary_nonzero(json, "removed-equality-delete-files", minus->files[eq]);
    summary_nonzero(json, "added-position-deletes", plus->rows[pos]);
    summary_nonzero(json, "removed-position-deletes", minus->rows[pos]);
    summary_nonzero(json, "removed-equality-deletes", minus->rows[eq]);
}

struct summary_totals {
    int64_t records, data_files, delete_files, position_deletes, equality_deletes, bytes;
};

static bool summary_read_totals(const struct iceberg_snapshot *snapshot, struct summary_totals *ret)
{
    *ret = (struct summary_totals){
        .records = iceberg_snapshot_count(snapshot, "total-records", ICEBERG_NONE),
        .data_files = iceberg_snapshot_count(snapshot, "total-data-files", ICEBERG_NONE),
        .delete_files = iceberg_snapshot_count(snapshot, "total-delete-files", ICEBERG_NONE),
        .position_deletes = iceberg_snapshot_count(snapshot, "total-position-deletes", ICEBERG_NONE),
        .equality_deletes = iceberg_snapshot_count(snapshot, "total-equality-deletes", ICEBERG_NONE),
        .bytes = iceberg_snapshot_count(snapshot, "total-files-size", ICEBERG_NONE),
    };
    return ret->records >= 0 && ret->data_files >= 0 && ret->delete_files >= 0 && ret->position_deletes >= 0 &&
           ret->equality_deletes >= 0 && ret->bytes >= 0;
}

static void summary_count_file(struct summary_totals *totals, const struct iceberg_file *file)
{
    totals->bytes += file->size_bytes;
    if (file->content == ICEBERG_DATA) {
        totals->data_files++;
        totals->records += file->record_count;
        return;
    }
    totals->delete_files++;
    *(file->content == ICEBERG_POSITION_DELETES ? &totals->position_deletes : &totals->equality_deletes) +=
        file->record_count;
}

static enum tn_code summary_count_totals(struct iceberg_tx *tx, const struct iceberg_snapshot *snapshot,
                                         struct summary_totals *ret, struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    struct summary_totals totals = {0};
    TN_TRY(table_open_list(&tx->table, tx->base, snapshot, &list, err));
    for (size_t i = 0; i < list->count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
        TN_TRY(table_open_manifest(&tx->table, tx->base, &list->rows[i], &manifest, err));
        for (size_t k = 0; k < manifest->count; k++)
            if (manifest->entries[k].status != MANIFEST_DELETED)
                summary_count_file(&totals, &manifest->entries[k].file);
    }
    *ret = totals;
    return TN_OK;
}

/* Continues the totals; false when one of them would be less than nothing. */
static bool summary_continue(const struct iceberg_tx *tx, struct summary_totals *totals)
{
    const struct tx_counts *plus = &tx->plus, *minus = &tx->minus;
    const enum iceberg_content data = ICEBERG_DATA, pos = ICEBERG_POSITION_DELETES, eq = ICEBERG_EQUALITY_DELETES;
    totals->records += plus->rows[data] - minus->rows[data];
    totals->data_files += plus->files[data] - minus->files[data];
    totals->delete_files += plus->files[pos] - minus->files[pos] - minus->files[eq];
    totals->position_deletes += plus->rows[pos] - minus->rows[pos];
    totals->equality_deletes -= minus->rows[eq];
    totals->bytes += plus->bytes - minus->bytes;
    return totals->records >= 0 && totals->data_files >= 0 && totals->delete_files >= 0 &&
           totals->position_deletes >= 0 && totals->equality_deletes >= 0 && totals->bytes >= 0;
}

/* Of no data file, or of files of no size: files that were taken in as they lay
 * are often counted so. */
static bool summary_is_likely(const struct summary_totals *totals)
{
    return totals->bytes > 0 || totals->data_files + totals->delete_files == 0;
}

static enum tn_code summary_write_totals(struct iceberg_tx *tx, struct tn_json *json, struct tn_error *err)
{
    const struct iceberg_snapshot *start = tx_start(tx);
    struct summary_totals totals = {0};
    bool right = !start || (summary_read_totals(start, &totals) && summary_is_likely(&totals));
    if (!right || !summary_continue(tx, &totals)) {
        if (start)
            TN_TRY(summary_count_totals(tx, start, &totals, err));
        (void)summary_continue(tx, &totals);
    }
    summary_number(json, "total-records", totals.records);
    summary_number(json, "total-data-files", totals.data_files);
    summary_number(json, "total-delete-files", totals.delete_files);
    summary_number(json, "total-position-deletes", totals.position_deletes);
    summary_number(json, "total-equality-deletes", totals.equality_deletes);
    summary_number(json, "total-files-size", totals.bytes);
    return TN_OK;
}

enum tn_code tx_snapshot_json(struct iceberg_tx *tx, const char *list_uri, int64_t timestamp_ms, int32_t schema_id,
                              struct tn_buf *out, struct tn_error *err)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_key(&json, "snapshot-id");
    tn_json_int(&json, tx->snapshot_id);
    if (tx->base->current) { /* readers refuse a null here */
        tn_json_key(&json, "parent-snapshot-id");
        tn_json_int(&json, tx->base->current->id);
    }
    tn_json_key(&json, "sequence-number");
    tn_json_int(&json, tx->sequence_number);
    tn_json_key(&json, "timestamp-ms");
    tn_json_int(&json, timestamp_ms);
    tn_json_kstr(&json, "manifest-list", list_uri);
    tn_json_key(&json, "summary");
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "operation", summary_operation(tx));
    for (size_t i = 0; i < tx->summary_count; i++)
        tn_json_kstr(&json, tx->summary[i].key, tx->summary[i].value);
    summary_write_changes(tx, &json);
    TN_TRY(summary_write_totals(tx, &json, err));
    tn_json_close(&json, '}');
    tn_json_key(&json, "schema-id");
    tn_json_int(&json, schema_id);
    tn_json_close(&json, '}');
    return TN_OK;
}
