/* The past forgotten on request. The journal keeps what happened: it is complete
 * and rolled before a snapshot goes. */
#include "dataset/dataset_internal.h"
#include "dataset/hot.h"
#include "dataset/moment.h"
#include "journal/journal.h"

static bool is_held(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    if (snapshot == metadata->current)
        return true;
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (metadata->refs[i].snapshot_id == snapshot->id)
            return true;
    return false;
}

/* The sequence number from which on snapshots are among the newest `keep`. */
static int64_t newest_from(const struct moment_order *order, size_t keep)
{
    if (keep == 0 || order->count == 0)
        return INT64_MAX;
    return order->items[order->count - TN_MIN(order->count, keep)]->sequence_number;
}

/* Whether moments within the limit are told from it: those of thinned snapshots
 * between it and the next one, where that is younger than the limit. */
static bool is_needed(const struct moment_order *order, const struct iceberg_snapshot *snapshot,
                      int64_t older_than_us)
{
    const struct iceberg_snapshot *next = moment_after(order, snapshot->sequence_number);
    return next && next->timestamp_ms * 1000 > older_than_us &&
           iceberg_metadata_thinned_after(order->metadata, snapshot) &&
           !moment_is_cut(order, snapshot->sequence_number, snapshot->sequence_number + 1);
}

/* What came to be while the journal was rolled stays: its events would go with it. */
static bool is_journaled(struct journal *journal, const struct iceberg_metadata *metadata,
                         const struct iceberg_snapshot *snapshot, int64_t asked)
{
    if (!journal)
        return true;
    if (iceberg_snapshot_summary(snapshot, JOURNAL_S_BATCH))
        return snapshot->sequence_number <= journal_rolled_to(journal, metadata->uuid);
    return snapshot->sequence_number <= asked;
}

/* Counts what goes of the snapshots up to the sequence number `asked`; its ids
 * go to `ret_ids`, which has room for all, or is NULL: then it is a preview. */
static void expire_from(struct journal *journal, const struct iceberg_metadata *metadata,
                        const struct dataset_expiry *options, int64_t asked, int64_t *ret_ids,
                        struct dataset_expired *ret)
{
    TN_CLEANUP(moment_order_release) struct moment_order order;
    moment_order_init(&order, metadata);
    int64_t newest = newest_from(&order, options->keep);
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        int64_t at_us = snapshot->timestamp_ms * 1000;
        if (is_held(metadata, snapshot) || at_us >= options->older_than_us || snapshot->sequence_number >= newest ||
            is_needed(&order, snapshot, options->older_than_us) ||
            (ret_ids && !is_journaled(journal, metadata, snapshot, asked))) {
            ret->kept++;
            continue;
        }
        ret->oldest_us = ret->snapshots == 0 ? at_us : TN_MIN(ret->oldest_us, at_us);
        ret->newest_us = TN_MAX(ret->newest_us, at_us);
        if (ret_ids)
            ret_ids[ret->snapshots] = snapshot->id;
        ret->snapshots++;
    }
}

static void forget_all(struct lake *lake, const struct iceberg_metadata *metadata, const int64_t *ids, size_t count,
                       struct tn_arena *arena, struct iceberg_tx *tx)
{
    const char *cuts = dataset_cuts(lake, metadata, ids, count, arena);
    for (size_t i = 0; i < count; i++)
        iceberg_tx_forget_snapshot(tx, ids[i]);
    if (cuts)
        iceberg_tx_set_property(tx, DATASET_P_CUTS, *cuts ? cuts : NULL);
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
        .actor = options->who.actor,
        .source = options->who.source,
        .reason = options->who.reason,
        .workspace = options->who.workspace,
        .request_id = options->who.request_id,
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
        expire_from(lake->journal, newest, options, newest->last_sequence_number, NULL, &result);
        *ret = result;
        return TN_OK;
    }
    int64_t asked = newest->last_sequence_number;
    if (lake->journal) {
        TN_TRY(dataset_journal_foreign(lake, exact, err));
        TN_TRY(journal_note_moves(lake->journal, exact, newest, NULL, err)); /* most of it without the lock */
        TN_TRY(journal_roll(lake->journal, true, err));
    }
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, exact);
    iceberg_metadata_unref(TN_TAKE(newest));
    TN_TRY(catalog_load_locked(lake->catalog, exact, &newest, err));
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", exact);
    struct iceberg_table table = catalog_table(lake->catalog, arena, exact);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    int64_t *ids = TN_ARENA_ARRAY(arena, int64_t, newest->snapshot_count + 1);
    expire_from(lake->journal, newest, options, asked, ids, &result);
    if (result.snapshots > 0) {
        forget_all(lake, newest, ids, result.snapshots, arena, tx);
        TN_TRY(journal_note_moves(lake->journal, exact, newest, NULL, err)); /* the log of them is cut */
        TN_TRY(catalog_tx_commit(lake->catalog, exact, tx, &done, err));
        catalog_publish(lake->catalog, exact, done);
        dataset_hot_follow(lake, exact, newest, done, NULL);
        note_expiry(lake, exact, done, options, &result);
    }
    *ret = result;
    return TN_OK;
}
