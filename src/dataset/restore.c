/* The past made the present again, and the past forgotten on request. Both are
 * commits like others. */
#include "dataset/dataset_internal.h"
#include "dataset/hot.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- restore ------------------------------------------------------------------ */

static enum tn_code find_moment(const struct iceberg_metadata *metadata, const char *name, const char *as_of,
                                const struct iceberg_snapshot **ret, struct tn_error *err)
{
    char *end;
    int64_t us, id = strtoll(as_of, &end, 10);
    if (*as_of && *end == '\0')
        *ret = iceberg_metadata_snapshot(metadata, id);
    else if (tn_time_parse(as_of, &us))
        *ret = iceberg_metadata_as_of(metadata, us / 1000);
    else
        return tn_fail(err, TN_EREQUEST,
                       "as_of \"%.100s\" is neither a snapshot id nor a time such as "
                       "2026-01-31T12:00:00Z",
                       as_of);
    if (*ret)
        return TN_OK;
    tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" has no state of %.100s", name, as_of);
    tn_error_hint(err, "`tarn snapshots %s` lists its versions", name);
    return TN_ESNAPSHOT;
}

static void add_restore_event(struct journal_batch *batch, const struct iceberg_snapshot *then, const char *actor,
                              const char *reason)
{
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    char time[TN_TIME_TEXT];
    tn_json_open(&json, '{');
    tn_json_key(&json, "snapshot_id");
    tn_json_i64(&json, then->id);
    tn_json_kstr(&json, "timestamp", tn_time_format(then->timestamp_ms * 1000, time));
    tn_json_close(&json, '}');
    const struct journal_event event = {
        .operation = "restore",
        .new_value = value.data,
        .new_length = value.len,
        .rows = (uint64_t)iceberg_snapshot_count(then, "total-records", 0),
        .actor = actor,
        .source = "restore",
        .reason = reason,
    };
    journal_batch_add(batch, &event);
}

enum tn_code dataset_restore(struct lake *lake, const char *name, const char *as_of, const char *actor,
                             const char *reason, struct dataset_commit *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char exact[CATALOG_NAME_MAX + 1], id[24];
    ICEBERG_AUTO_METADATA *known = NULL;
    TN_TRY(catalog_load(lake->catalog, name, &known, err)); /* the misspelt name's suggestion */
    catalog_exact_name(name, exact);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, exact);
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_TRY(catalog_load_locked(lake->catalog, exact, &newest, err));
    const struct iceberg_snapshot *then = NULL;
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", exact);
    TN_TRY(find_moment(newest, exact, as_of, &then, err));
    if (then == newest->current) {
        *ret = (struct dataset_commit){.snapshot_id = then->id, .unchanged = true};
        return TN_OK;
    }
    struct iceberg_table table = catalog_table(lake->catalog, arena, exact);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(exact);
    TN_TRY(iceberg_tx_start_from(tx, then->id, err));
    snprintf(id, sizeof id, "%" PRId64, then->id);
    iceberg_tx_set_summary(tx, CATALOG_S_RESTORED, id);
    iceberg_tx_set_summary(tx, CATALOG_S_ACTOR, actor ? actor : "tarn");
    if (reason)
        iceberg_tx_set_summary(tx, CATALOG_S_REASON, reason);
    add_restore_event(batch, then, actor, reason);
    TN_TRY(journal_batch_attach(batch, tx, false, err));
    TN_FAULT("restore.before_commit");
    TN_TRY(iceberg_tx_commit(tx, &done, err));
    TN_FAULT("restore.after_commit");
    catalog_publish(lake->catalog, exact, done);
    journal_batch_committed(lake->journal, batch, done);
    dataset_hot_follow(lake, exact, newest, done, NULL);
    *ret = (struct dataset_commit){
        .snapshot_id = done->current->id,
        .rows = (uint64_t)iceberg_snapshot_count(done->current, "total-records", 0),
    };
    return TN_OK;
}

/* ---- expiry ------------------------------------------------------------------- */

static bool is_held(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    if (snapshot == metadata->current)
        return true;
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (metadata->refs[i].snapshot_id == snapshot->id)
            return true;
    return false;
}

static size_t newer_than(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    size_t count = 0;
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        count += metadata->snapshots[i]->sequence_number > snapshot->sequence_number;
    return count;
}

/* Counts what goes, and takes it out of the transaction's table. */
static void expire_from(const struct iceberg_metadata *metadata, const struct dataset_expiry *options,
                        struct iceberg_tx *tx, struct dataset_expired *ret)
{
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        int64_t at_us = snapshot->timestamp_ms * 1000;
        if (is_held(metadata, snapshot) || at_us >= options->older_than_us ||
            newer_than(metadata, snapshot) < options->keep) {
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
    if (lake->journal)
        TN_TRY(journal_roll(lake->journal, true, err));
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
    }
    *ret = result;
    return TN_OK;
}
