/* The past made the present again, by a commit like others. */
#include "dataset/hot.h"
#include "dataset/moment.h"
#include "dataset/rows_internal.h"
#include "dataset/write_internal.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static enum tn_code find_state(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                               const char *as_of, struct moment_state *ret, struct tn_error *err)
{
    struct moment moment;
    TN_TRY(moment_parse(as_of, &moment, err));
    TN_TRY(moment_find(lake, name, metadata, &moment, ret, err));
    if (ret->snapshot)
        return TN_OK;
    tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" has no state of %.100s", name, as_of);
    tn_error_hint(err, "`tarn snapshots %s` lists its versions", name);
    return TN_ESNAPSHOT;
}

/* What is restored, as the journal tells it. */
struct restoring {
    struct lake *lake;
    const char *name, *as_of;
    const struct dataset_who *who;
    int64_t if_snapshot; /* 0: whatever is newest */
    struct moment_state state;
    struct iceberg_metadata *newest;
    struct iceberg_tx *tx;
    struct tn_arena *arena;
};

static void add_event(const struct restoring *restoring, struct journal_batch *batch)
{
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    char time[TN_TIME_TEXT];
    const struct iceberg_snapshot *then = restoring->state.snapshot;
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "as_of", restoring->as_of);
    tn_json_key(&json, "snapshot_id");
    tn_json_i64(&json, then->id);
    tn_json_kstr(&json, "timestamp", tn_time_format(then->timestamp_ms * 1000, time));
    if (restoring->state.replay_to)
        tn_json_ki64(&json, "replayed_to", restoring->state.replay_to);
    tn_json_close(&json, '}');
    const struct journal_event event = {
        .operation = "restore",
        .new_value = value.data,
        .new_length = value.len,
        .rows = (uint64_t)iceberg_snapshot_count(then, "total-records", 0),
        .actor = restoring->who->actor,
        .source = "restore",
        .reason = restoring->who->reason,
        .workspace = restoring->who->workspace,
        .request_id = restoring->who->request_id,
    };
    journal_batch_add(batch, &event);
}

/* ---- a state that is told --------------------------------------------------------- */

/* The snapshot that it begins with, without the rows that events replaced, and
 * with those that they told. Rows without a key are known by their values
 * alone: where such ones went, everything is written anew. */

static enum tn_code told_select(const struct restoring *restoring, const struct moment_told *told,
                                enum moment_part part, bool placed, struct tn_buf *out, struct tn_error *err)
{
    return moment_told_sql(restoring->lake, restoring->name, restoring->newest, &restoring->state, told,
                           restoring->newest->schema, part, placed, out, err);
}

static enum tn_code remove_replaced(const struct restoring *restoring, const struct moment_told *told,
                                    struct rows_files *files, struct tn_error *err)
{
    TN_AUTO_BUF rows = {0};
    TN_AUTO_BUF sql = {0};
    char *staged;
    struct engine_file_stats written;
    uint64_t count;
    TN_TRY(told_select(restoring, told, MOMENT_REPLACED, true, &rows, err));
    tn_buf_printf(&sql, "SELECT tarn_path, tarn_pos FROM (%s) ORDER BY tarn_path, tarn_pos", rows.data);
    TN_TRY(store_stage_path(restoring->lake->store, restoring->arena, ".parquet", &staged, err));
    const struct engine_copy copy = {.select = sql.data, .local_path = staged};
    TN_TRY(engine_copy_parquet(restoring->lake->engine, &copy, restoring->arena, &written, err));
    enum tn_code code = rows_files_remove_listed(files, staged, "true", &count, err);
    (void)unlink(staged);
    return code;
}

static enum tn_code put_told(const struct restoring *restoring, struct tn_error *err)
{
    TN_CLEANUP(moment_told_unref) struct moment_told *told = NULL;
    TN_CLEANUP(rows_files_release) struct rows_files files;
    TN_AUTO_BUF rows = {0};
    const struct iceberg_schema *then = iceberg_metadata_schema_at(restoring->newest, restoring->state.snapshot);
    rows_files_init(&files, restoring->lake, restoring->arena, restoring->tx);
    TN_TRY(moment_tell(restoring->lake, restoring->newest, &restoring->state, &told, err));
    if (!told->path)
        return TN_OK;
    TN_TRY(rows_check_writable(restoring->newest, err));
    bool whole = then->identifier_count == 0 && told->removes;
    if (whole)
        iceberg_tx_remove_all(restoring->tx);
    else if (then->identifier_count > 0)
        TN_TRY(remove_replaced(restoring, told, &files, err));
    TN_TRY(told_select(restoring, told, whole ? MOMENT_ALL : MOMENT_CHANGED, false, &rows, err));
    return rows_files_add_sql(&files, restoring->newest->schema, rows.data, err);
}

/* ---- the key ------------------------------------------------------------------------- */

static bool has_key_of_today(const struct iceberg_schema *then, const struct iceberg_schema *now)
{
    return then->identifier_count == now->identifier_count &&
           memcmp(then->identifier_ids, now->identifier_ids, now->identifier_count * sizeof *now->identifier_ids) ==
               0;
}

/* The columns stay today's and so does the key: rows of a time with another one
 * must have one of their own too. */
static enum tn_code check_key(const struct restoring *restoring, struct tn_error *err)
{
    TN_CLEANUP(moment_told_unref) struct moment_told *told = NULL;
    TN_AUTO_BUF rows = {0};
    const struct iceberg_schema *now = restoring->newest->schema;
    if (now->identifier_count == 0 ||
        has_key_of_today(iceberg_metadata_schema_at(restoring->newest, restoring->state.snapshot), now))
        return TN_OK;
    TN_TRY(moment_tell(restoring->lake, restoring->newest, &restoring->state, &told, err));
    tn_buf_putc(&rows, '(');
    TN_TRY(moment_told_sql(restoring->lake, restoring->name, restoring->newest, &restoring->state, told, now,
                           MOMENT_ALL, false, &rows, err));
    tn_buf_putc(&rows, ')');
    return dataset_check_keyed_rows(restoring->lake, now, rows.data, err);
}

/* ---- the commit --------------------------------------------------------------------- */

static enum tn_code put_state(struct restoring *restoring, struct tn_error *err)
{
    char id[24];
    TN_TRY(iceberg_tx_start_from(restoring->tx, restoring->state.snapshot->id, err));
    if (restoring->state.replay_to)
        TN_TRY(put_told(restoring, err));
    snprintf(id, sizeof id, "%" PRId64, restoring->state.snapshot->id);
    iceberg_tx_set_summary(restoring->tx, CATALOG_S_RESTORED, id);
    iceberg_tx_set_summary(restoring->tx, CATALOG_S_ACTOR, restoring->who->actor ? restoring->who->actor : "tarn");
    if (restoring->who->reason)
        iceberg_tx_set_summary(restoring->tx, CATALOG_S_REASON, restoring->who->reason);
    if (restoring->who->request_id)
        iceberg_tx_set_summary(restoring->tx, CATALOG_S_REQUEST, restoring->who->request_id);
    return TN_OK;
}

static enum tn_code commit_state(struct restoring *restoring, struct iceberg_metadata **ret, struct tn_error *err)
{
    struct lake *lake = restoring->lake;
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(restoring->name);
    TN_TRY(check_key(restoring, err));
    TN_TRY(put_state(restoring, err));
    add_event(restoring, batch);
    TN_TRY(journal_batch_attach(batch, restoring->tx, false, err));
    TN_FAULT("restore.before_commit");
    enum tn_code code = catalog_tx_commit(lake->catalog, restoring->name, restoring->tx, &done, err);
    if (code != TN_OK && code != TN_ECONFLICT)
        journal_batch_committed(lake->journal, batch, NULL);
    TN_TRY(code);
    TN_FAULT("restore.after_commit");
    catalog_publish(lake->catalog, restoring->name, done);
    journal_batch_committed(lake->journal, batch, done);
    dataset_hot_follow(lake, restoring->name, restoring->newest, done, NULL);
    *ret = TN_TAKE(done);
    return TN_OK;
}

static enum tn_code check_newest(const struct restoring *restoring, const struct iceberg_metadata *newest,
                                 struct tn_error *err)
{
    int64_t now = newest->current ? newest->current->id : 0;
    if (restoring->if_snapshot == 0 || restoring->if_snapshot == now)
        return TN_OK;
    tn_fail(err, TN_EPRECONDITION, "the newest snapshot is %" PRId64 ", not %" PRId64, now, restoring->if_snapshot);
    tn_error_hint(err, "look at what came meanwhile (`tarn snapshots %s`) and decide anew", restoring->name);
    return TN_EPRECONDITION;
}

static uint64_t live_rows(const struct iceberg_snapshot *snapshot)
{
    int64_t rows = iceberg_snapshot_count(snapshot, "total-records", 0) -
                   iceberg_snapshot_count(snapshot, "total-position-deletes", 0);
    return rows > 0 ? (uint64_t)rows : 0;
}

static enum tn_code restore_locked(struct restoring *restoring, struct dataset_commit *ret, struct tn_error *err)
{
    struct lake *lake = restoring->lake;
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, restoring->name);
    TN_TRY(catalog_load_locked(lake->catalog, restoring->name, &newest, err));
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", restoring->name);
    TN_TRY(check_newest(restoring, newest, err));
    TN_TRY(find_state(lake, restoring->name, newest, restoring->as_of, &restoring->state, err));
    if (restoring->state.snapshot == newest->current && !restoring->state.replay_to) {
        *ret = (struct dataset_commit){
            .snapshot_id = newest->current->id, .rows = live_rows(newest->current), .unchanged = true};
        return TN_OK;
    }
    struct iceberg_table table = catalog_table(lake->catalog, arena, restoring->name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    restoring->newest = newest;
    restoring->arena = arena;
    restoring->tx = tx;
    TN_TRY(commit_state(restoring, &done, err));
    *ret = (struct dataset_commit){.snapshot_id = done->current->id, .rows = live_rows(done->current)};
    return TN_OK;
}

enum tn_code dataset_restore(struct lake *lake, const char *name, const char *as_of, int64_t if_snapshot,
                             const struct dataset_who *who, struct dataset_commit *ret, struct tn_error *err)
{
    char exact[CATALOG_NAME_MAX + 1];
    ICEBERG_AUTO_METADATA *known = NULL;
    TN_TRY(catalog_load(lake->catalog, name, &known, err)); /* the misspelt name's suggestion */
    catalog_exact_name(name, exact);
    struct restoring restoring = {
        .lake = lake, .name = exact, .as_of = as_of, .if_snapshot = if_snapshot, .who = who};
    return restore_locked(&restoring, ret, err);
}
