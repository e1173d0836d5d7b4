/* Parquet files for tables: COPY with RETURN_STATS.
 *
 * A copy runs on the caller's thread and keeps the order of the rows; two
 * copies on two threads run side by side.
 */
#include "engine/engine_internal.h"

#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_ROW_GROUP 122880
#define FIRST_PAGE        4 /* behind the magic "PAR1" */

static void put_copy(const struct engine_copy *copy, struct tn_buf *sql)
{
    tn_buf_printf(sql, "COPY (%s\n) TO ", copy->select);
    tn_buf_put_sql_string(sql, copy->local_path);
    tn_buf_printf(sql, " (FORMAT parquet, COMPRESSION %s, USE_TMP_FILE false, RETURN_STATS",
                  copy->compact ? "zstd" : "snappy");
    if (copy->field_ids)
        tn_buf_printf(sql, ", FIELD_IDS %s", copy->field_ids);
    if (copy->row_group_rows)
        tn_buf_printf(sql, ", ROW_GROUP_SIZE %llu", (unsigned long long)copy->row_group_rows);
    tn_buf_putc(sql, ')');
}

/* The source's own error, or the cancel, goes before what DuckDB makes of it. */
static enum tn_code failure(struct engine_source_run *run, struct engine_watch *watch, const char *message,
                            struct tn_error *err)
{
    if (run->code != TN_OK) {
        if (err)
            *err = run->error;
        return run->code;
    }
    if (atomic_load(&watch->stop) != ENGINE_RUNNING)
        return tn_fail(err, TN_ECANCELLED, "cancelled while writing the file");
    return engine_fail(err, message, NULL);
}

static enum tn_code execute(struct engine_session *session, const char *sql, struct engine_source_run *run,
                            struct engine_watch *watch, struct tn_arena *arena, struct engine_file_stats *ret,
                            struct tn_error *err)
{
    duckdb_prepared_statement prepared = NULL;
    duckdb_result result;
    enum tn_code code = TN_OK;
    if (duckdb_prepare(session->connection, sql, &prepared) != DuckDBSuccess) {
        code = failure(run, watch, duckdb_prepare_error(prepared), err);
    } else {
        if (duckdb_execute_prepared(prepared, &result) != DuckDBSuccess) {
            code = failure(run, watch, duckdb_result_error(&result), err);
        } else {
            duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
            code = chunk ? engine_stats_read(chunk, arena, ret, err)
                         : tn_fail(err, TN_EINTERNAL, "the SQL engine returned no statistics of the file");
            if (chunk)
                duckdb_destroy_data_chunk(&chunk);
        }
        duckdb_destroy_result(&result);
    }
    duckdb_destroy_prepare(&prepared);
    return code;
}

/* ---- split offsets ------------------------------------------------------ */

struct offsets {
    struct tn_arena *arena;
    int64_t *items;
    size_t count, capacity;
};

static bool take_offset(void *context, size_t column_count, const char *const *values)
{
    struct offsets *offsets = context;
    int64_t offset = 0;
    if (column_count == 1 && values[0] && tn_parse_i64(values[0], &offset)) {
        TN_GROW(offsets->items, offsets->count, offsets->capacity);
        offsets->items[offsets->count++] = offset;
    }
    return true;
}

/* Where each row group begins. One group begins behind the magic, so the
 * footer is read only when there are more. */
static enum tn_code read_offsets(struct engine *engine, const struct engine_copy *copy, struct tn_arena *arena,
                                 struct engine_file_stats *stats, struct tn_error *err)
{
    uint64_t group = copy->row_group_rows ? copy->row_group_rows : DEFAULT_ROW_GROUP;
    struct offsets offsets = {.arena = arena};
    enum tn_code code = TN_OK;
    if (stats->rows == 0)
        return TN_OK;
    if (stats->rows <= group) {
        TN_GROW(offsets.items, offsets.count, offsets.capacity);
        offsets.items[offsets.count++] = FIRST_PAGE;
    } else {
        TN_AUTO_BUF sql = {0};
        tn_buf_puts(&sql, "SELECT min(coalesce(dictionary_page_offset, data_page_offset)) FROM parquet_metadata(");
        tn_buf_put_sql_string(&sql, copy->local_path);
        tn_buf_puts(&sql, ") GROUP BY row_group_id ORDER BY 1");
        code = engine_run(engine, sql.data, take_offset, &offsets, err);
    }
    stats->split_count = offsets.count;
    stats->split_offsets = TN_ARENA_ARRAY(arena, int64_t, offsets.count + 1);
    if (offsets.count)
        memcpy(stats->split_offsets, offsets.items, offsets.count * sizeof *offsets.items);
    free(offsets.items);
    return code;
}

enum tn_code engine_copy_parquet(struct engine *engine, const struct engine_copy *copy, struct tn_arena *arena,
                                 struct engine_file_stats *ret, struct tn_error *err)
{
    TN_CLEANUP(engine_session_give_p) struct engine_session *session = NULL;
    TN_TRY(engine_session_take(engine, &session, err));
    TN_AUTO_BUF sql = {0};
    put_copy(copy, &sql);

    struct engine_watch watch = {
        .connection = session->connection, .cancelled = copy->cancelled, .cancel_context = copy->cancel_context};
    struct engine_source_run run;
    struct engine_file_stats stats = {0};
    engine_source_begin(&run, copy->source, 0);
    watchdog_arm(engine->watchdog, &watch);
    enum tn_code code = engine_watch_enter(&watch, err);
    if (code == TN_OK) {
        code = execute(session, sql.data, &run, &watch, arena, &stats, err);
        engine_watch_leave(&watch);
    }
    watchdog_disarm(engine->watchdog, &watch);
    engine_source_end(&run);

    if (code == TN_OK)
        code = read_offsets(engine, copy, arena, &stats, err);
    if (code != TN_OK) {
        (void)unlink(copy->local_path);
        return code;
    }
    *ret = stats;
    return TN_OK;
}
