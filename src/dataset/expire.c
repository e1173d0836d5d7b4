/* The past forgotten on request. The journal keeps what happened: it is complete
 * and rolled before a snapshot goes. */
#include "dataset/dataset_internal.h"
#include "dataset/hot.h"
#include "journal/journal.h"

#include <stdlib.h>

static bool is_held(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    if (snapshot == metadata->current)
        return true;
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (metadata->refs[i].snapshot_id == snapshot->id)
            return true;
    return false;
}

static int by_sequence(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The sequence number from which on snapshots are among the newest `keep`. */
static int64_t newest_from(const struct iceberg_metadata *metadata, size_t keep)
{
    size_t count = metadata->snapshot_count;
    if (keep == 0 || count == 0)
        return INT64_MAX;
    TN_AUTO_FREE int64_t *sequences = tn_realloc_array(NULL, count, sizeof *sequences);
    for (size_t i = 0; i < count; i++)
        sequences[i] = metadata->snapshots[i]->sequence_number;
    qsort(sequences, count, sizeof *sequences, by_sequence);
    return sequences[count - TN_MIN(count, keep)];
}

/* Counts what goes, and takes it out of the transaction's table. */
static void expire_from(const struct iceberg_metadata *metadata, const struct dataset_expiry *options,
                        struct iceberg_tx *tx, struct dataset_expired *ret)
{
    int64_t newest = newest_from(metadata, options->keep);
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        int64_t at_us = snapshot->timestamp_ms * 1000;
        if (is_held(metadata, snapshot) || at_us >= options->older_than_us || snapshot->sequence_number >= newest) {
            ret->kept++;
            continue;
        }
        ret->oldest_us = ret->snapshots == 0 ? at_us : TN_MIN(ret->oldest_us, at_us);
        ret->newest_us = TN_MAX(ret->newest_us, at_us);
        ret->snapshots++;
        if (tx)
            iceberg_tx_forget_snapshot(tx, snapshot->id);
    }
}

/* The snapshots are gone by then, whatever becomes of the note. */
static void note_expiry(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                        const struct dataset_expiry *options, const struct dataset_expired *done)
{
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    char oldest[TN_TIME_TEXT], newest[TN_TIME_TEXT];
    struct tn_error error = {0};
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "snapshots", (int64_t)done->snapshots);
    tn_json_ki64(&json, "kept", (int64_t)done->kept);
    tn_json_kstr(&json, "oldest", tn_time_format(done->oldest_us, oldest));
    tn_json_kstr(&json, "newest", tn_time_format(done->newest_us, newest));
    tn_json_close(&json, '}');
    const struct journal_event event = {
        .operation = "expire",
        .new_value = value.data,
        .new_length = value.len,
        .actor = options->actor,
        .source = "api",
        .reason = options->reason,
    };
    if (journal_note(lake->journal, name, metadata->uuid, metadata->last_sequence_number, &event, 1, &error) != TN_OK)
        TN_LOG(TN_LOG_ERROR, "journal.note_lost", TN_FS("dataset", name), TN_FS("operation", "expire"),
               TN_FS("error", error.detail));
}

enum tn_code dataset_expire(struct lake *lake, const char *name, const struct dataset_expiry *options,
                            struct dataset_expired *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char exact[CATALOG_NAME_MAX + 1];
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    struct dataset_expired result = {0};
    TN_TRY(catalog_load(lake->catalog, name, &newest, err));
    catalog_exact_name(name, exact);
    if (options->preview) {
        expire_from(newest, options, NULL, &result);
        *ret = result;
        return TN_OK;
    }
    if (lake->journal) {
        TN_TRY(dataset_journal_foreign(lake, exact, err));
        TN_TRY(journal_roll(lake->journal, true, err));
    }
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, exact);
    iceberg_metadata_unref(TN_TAKE(newest));
    TN_TRY(catalog_load_locked(lake->catalog, exact, &newest, err));
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", exact);
    struct iceberg_table table = catalog_table(lake->catalog, arena, exact);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    expire_from(newest, options, tx, &result);
    if (result.snapshots > 0) {
        TN_TRY(iceberg_tx_commit(tx, &done, err));
        catalog_publish(lake->catalog, exact, done);
        dataset_hot_follow(lake, exact, newest, done, NULL);
        note_expiry(lake, exact, done, options, &result);
    }
    *ret = result;
    return TN_OK;
}
