/* A delete by predicate of very many rows: not row by row but set-wise.
 *
 * The places of the rows go through a file, so that memory stays bounded, and
 * the journal gets one event with the predicate and how many rows met it. Such
 * a commit cannot be replayed from the journal and does not say that it can.
 */
#include "dataset/dataset_internal.h"
#include "dataset/rows_internal.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static enum tn_code list_places(struct lake *lake, const char *name, const struct iceberg_metadata *newest,
                                const char *predicate, const char *local_path, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT tarn_path, tarn_pos FROM (");
    TN_TRY(dataset_placed_sql(lake, name, newest, newest->current, &sql, err));
    tn_buf_puts(&sql, ") AS ");
    tn_buf_put_sql_name(&sql, name);
    tn_buf_printf(&sql, " WHERE (%s) ORDER BY tarn_path, tarn_pos", predicate);
    const struct engine_copy copy = {.select = sql.data, .local_path = local_path};
    struct engine_file_stats written;
    return engine_copy_parquet(lake->engine, &copy, arena, &written, err);
}

static void put_event(struct journal_batch *batch, const struct rows_call *call, uint64_t rows)
{
    const struct dataset_rows *request = call->request.rows;
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "where", request->predicate);
    tn_json_ki64(&json, "deleted", (int64_t)rows);
    tn_json_close(&json, '}');
    const struct journal_event event = {
        .operation = "delete",
        .new_value = value.data,
        .new_length = value.len,
        .rows = rows,
        .actor = request->actor,
        .source = request->source,
        .reason = request->reason,
        .workspace = request->workspace,
        .request_id = request->request_id,
    };
    journal_batch_add(batch, &event);
}

static void set_summary(struct iceberg_tx *tx, const struct dataset_rows *rows)
{
    const struct {
        const char *key, *value;
    } texts[] = {{CATALOG_S_ACTOR, rows->actor},
                 {CATALOG_S_SOURCE, rows->source},
                 {CATALOG_S_REASON, rows->reason},
                 {CATALOG_S_REQUEST, rows->request_id}};
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        if (texts[i].value)
            iceberg_tx_set_summary(tx, texts[i].key, texts[i].value);
}

static enum tn_code commit_listed(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                                  const char *local_path, struct rows_call *call, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    TN_CLEANUP(rows_files_release) struct rows_files files;
    rows_files_init(&files, lake, arena, tx);
    uint64_t rows = 0;
    TN_TRY(rows_files_remove_listed(&files, local_path, "true", &rows, err));
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(name);
    if (lake->journal) {
        put_event(batch, call, rows);
        TN_TRY(journal_batch_attach(batch, tx, false, err));
    }
    set_summary(tx, call->request.rows);
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_FAULT("rows.before_commit");
    enum tn_code code = catalog_tx_commit(lake->catalog, name, tx, &done, err);
    if (code == TN_ECONFLICT)
        rows_files_drop(&files);
    else if (code != TN_OK)
        journal_batch_committed(lake->journal, batch, NULL);
    TN_TRY(code);
    TN_FAULT("rows.after_commit");
    catalog_publish(lake->catalog, name, done);
    if (lake->hot)
        dataset_hot_follow(lake, name, newest, done, NULL);
    if (lake->journal)
        journal_batch_committed(lake->journal, batch, done);
    call->commit = (struct dataset_commit){.snapshot_id = done->current->id, .counts.deleted = rows};
    return TN_OK;
}

enum tn_code rows_delete_many(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                              const char *predicate, struct rows_call *call, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *staged;
    TN_TRY(store_stage_path(lake->store, arena, ".parquet", &staged, err));
    enum tn_code code = list_places(lake, name, newest, predicate, staged, err);
    if (code == TN_OK)
        code = commit_listed(lake, name, newest, staged, call, err);
    (void)unlink(staged);
    return code;
}
