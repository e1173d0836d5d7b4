/* A guarded query from start to end. */
#include "engine/engine_internal.h"
#include "engine/vec.h"

static enum tn_code take_slot(struct engine *engine, struct tn_error *err)
{
    pthread_mutex_lock(&engine->lock);
    bool free_slot = engine->running < engine->max_queries;
    engine->running += free_slot;
    pthread_mutex_unlock(&engine->lock);
    if (free_slot)
        return TN_OK;
    tn_fail(err, TN_EBUSY, "%zu queries are running, as many as may at once", engine->max_queries);
    tn_error_hint(err, "Try again in a moment, or raise the setting sql.max_queries.");
    return TN_EBUSY;
}

/* What ended a call into DuckDB: our own stop goes before its interrupt. */
static enum tn_code failure(struct engine_query *query, const char *message, struct tn_error *err)
{
    TN_TRY(engine_watch_check(&query->watch, err));
    return engine_fail(err, message, &query->bound.text);
}

static enum tn_code guard_and_resolve(struct engine_query *query, const struct engine_query_options *options,
                                      struct tn_error *err)
{
    TN_TRY(guard_analyse(query->session, options->sql, options->sql_length, &query->analysis, err));
    TN_TRY(engine_watch_check(&query->watch, err));
    return engine_resolve(query->session, query->analysis, options, query->arena, &query->bound, err);
}

enum tn_code engine_query_open(struct engine *engine, const struct engine_query_options *options,
                               struct engine_query **ret, struct tn_error *err)
{
    TN_TRY(take_slot(engine, err));
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = tn_calloc(1, sizeof *query);
    query->engine = engine;
    query->row_limit = options->row_limit;
    query->arena = tn_arena_new();
    TN_TRY(engine_session_take(engine, &query->session, err));
    query->watch.connection = query->session->connection;
    query->watch.cancel = options->cancel;
    query->watch.timeout_ms = options->timeout_ms;
    if (options->timeout_ms)
        query->watch.deadline_ns = tn_mono_ns() + TN_MIN(options->timeout_ms, UINT64_C(1) << 40) * 1000000U;
    watchdog_arm(engine->watchdog, &query->watch);

    TN_TRY(engine_watch_enter(&query->watch, err));
    enum tn_code code = guard_and_resolve(query, options, err);
    engine_watch_leave(&query->watch);
    if (code != TN_OK) {
        TN_TRY(engine_watch_check(&query->watch, err));
        return code;
    }
    *ret = TN_TAKE(query);
    return TN_OK;
}

static enum tn_code run_prepared(struct engine_query *query, duckdb_prepared_statement prepared, struct tn_error *err)
{
    duckdb_pending_result pending = NULL;
    enum tn_code code = TN_OK;
    if (duckdb_pending_prepared_streaming(prepared, &pending) != DuckDBSuccess) {
        code = failure(query, duckdb_pending_error(pending), err);
    } else if (duckdb_execute_pending(pending, &query->result) != DuckDBSuccess) {
        code = failure(query, duckdb_result_error(&query->result), err);
        duckdb_destroy_result(&query->result);
    } else {
        query->has_result = true;
    }
    duckdb_destroy_pending(&pending);
    return code;
}

static enum tn_code read_columns(struct engine_query *query, struct tn_error *err)
{
    size_t count = (size_t)duckdb_column_count(&query->result);
    query->columns = TN_ARENA_ARRAY(query->arena, struct engine_column, count + 1);
    query->shapes = TN_ARENA_ARRAY(query->arena, struct vec *, count + 1);
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < count; i++) {
        duckdb_logical_type type = duckdb_column_logical_type(&query->result, i);
        tn_buf_clear(&text);
        engine_type_text(type, &text);
        query->columns[i] = (struct engine_column){
            .name = tn_arena_strdup(query->arena, duckdb_column_name(&query->result, i)),
            .type = engine_type_of(type),
            .type_text = tn_arena_strdup(query->arena, text.data),
        };
        enum tn_code code = vec_new(type, query->arena, &query->shapes[i], err);
        duckdb_destroy_logical_type(&type);
        if (code != TN_OK) {
            tn_error_context(err, "column \"%s\"", query->columns[i].name);
            return code;
        }
    }
    query->column_count = count;
    return TN_OK;
}

static enum tn_code compile_and_run(struct engine_query *query, const json_t *params, bool keep_plan,
                                    struct tn_error *err)
{
    duckdb_prepared_statement prepared = NULL;
    const struct engine_bound *bound = &query->bound;
    if (keep_plan) {
        enum tn_code code =
            engine_session_plan(query->session, bound->sql, bound->length, &bound->text, &prepared, err);
        if (code != TN_OK)
            return code;
        TN_TRY(engine_bind_params(prepared, params, err));
        return run_prepared(query, prepared, err);
    }
    enum tn_code code = TN_OK;
    if (duckdb_prepare(query->session->connection, bound->sql, &prepared) != DuckDBSuccess)
        code = failure(query, duckdb_prepare_error(prepared), err);
    if (code == TN_OK)
        code = engine_bind_params(prepared, params, err);
    if (code == TN_OK)
        code = run_prepared(query, prepared, err);
    duckdb_destroy_prepare(&prepared);
    return code;
}

enum tn_code engine_query_execute(struct engine_query *query, const json_t *params, bool keep_plan,
                                  struct tn_error *err)
{
    TN_TRY(engine_watch_enter(&query->watch, err));
    enum tn_code code = compile_and_run(query, params, keep_plan, err);
    engine_watch_leave(&query->watch);
    if (code != TN_OK) {
        TN_TRY(engine_watch_check(&query->watch, err));
        return code;
    }
    return read_columns(query, err);
}

enum tn_code engine_query_run(struct engine_query *query, const json_t *params, struct tn_error *err)
{
    return engine_query_execute(query, params, true, err);
}

const char *engine_query_identity(const struct engine_query *query)
{
    return query->analysis->varies ? NULL : query->bound.identity;
}

enum tn_code engine_query_start(struct engine *engine, const struct engine_query_options *options,
                                struct engine_query **ret, struct tn_error *err)
{
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_open(engine, options, &query, err));
    TN_TRY(engine_query_run(query, options->params, err));
    *ret = TN_TAKE(query);
    return TN_OK;
}

/* DuckDB's tasks for a result that was not read to its end go on until they
 * see an interrupt, and destroying the result waits for them: so the watchdog
 * interrupts while it is destroyed. */
static void destroy_result(struct engine_query *query)
{
    if (!query->has_result)
        return;
    bool drained = query->ended && !query->truncated;
    atomic_store(&query->watch.busy, true);
    if (!drained)
        watchdog_stop(query->engine->watchdog, &query->watch, ENGINE_STOP_CANCEL);
    duckdb_destroy_result(&query->result);
    engine_watch_leave(&query->watch);
}

void engine_query_free(struct engine_query *query)
{
    if (!query)
        return;
    struct engine *engine = query->engine;
    destroy_result(query);
    if (query->session)
        watchdog_disarm(engine->watchdog, &query->watch);
    engine_session_give(query->session);
    for (size_t i = 0; i < query->bound.hold_count; i++)
        engine_hold_unref(query->bound.holds[i]);
    guard_analysis_free(query->analysis);
    tn_arena_free(query->arena);
    free(query);
    pthread_mutex_lock(&engine->lock);
    engine->running--;
    pthread_mutex_unlock(&engine->lock);
}

void engine_query_cancel(struct engine_query *query)
{
    watchdog_stop(query->engine->watchdog, &query->watch, ENGINE_STOP_CANCEL);
}

const struct engine_column *engine_query_columns(const struct engine_query *query, size_t *ret_count)
{
    *ret_count = query->column_count;
    return query->columns;
}

void engine_query_columns_json(const struct engine_query *query, struct tn_json *out)
{
    tn_json_open(out, '[');
    for (size_t i = 0; i < query->column_count; i++) {
        tn_json_open(out, '{');
        tn_json_kstr(out, "name", query->columns[i].name);
        tn_json_kstr(out, "type", query->columns[i].type_text);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
}

const struct engine_used_table *engine_query_tables(const struct engine_query *query, size_t *ret_count)
{
    *ret_count = query->bound.used_count;
    return query->bound.used;
}

uint64_t engine_query_rows(const struct engine_query *query)
{
    return query->rows;
}

bool engine_query_truncated(const struct engine_query *query)
{
    return query->truncated;
}

static enum tn_code fetch(struct engine_query *query, duckdb_data_chunk *ret, struct tn_error *err)
{
    TN_TRY(engine_watch_enter(&query->watch, err));
    duckdb_data_chunk chunk = duckdb_fetch_chunk(query->result);
    engine_watch_leave(&query->watch);
    if (!chunk) {
        const char *message = duckdb_result_error(&query->result);
        if (message && *message)
            return failure(query, message, err);
        TN_TRY(engine_watch_check(&query->watch, err));
    }
    *ret = chunk;
    return TN_OK;
}

enum tn_code engine_query_chunk(struct engine_query *query, duckdb_data_chunk *ret, size_t *ret_rows,
                                struct tn_error *err)
{
    *ret = NULL;
    *ret_rows = 0;
    while (!query->ended) {
        duckdb_data_chunk chunk = NULL;
        TN_TRY(fetch(query, &chunk, err));
        size_t rows = chunk ? (size_t)duckdb_data_chunk_get_size(chunk) : 0;
        query->ended = !chunk;
        if (query->row_limit && rows > query->row_limit - query->rows) {
            rows = (size_t)(query->row_limit - query->rows);
            query->truncated = query->ended = true;
        }
        query->rows += rows;
        if (rows) {
            *ret = chunk;
            *ret_rows = rows;
            return TN_OK;
        }
        if (chunk)
            duckdb_destroy_data_chunk(&chunk);
    }
    return TN_OK;
}
