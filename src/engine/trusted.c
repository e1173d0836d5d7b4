/* Statements that Tarn wrote: run for their rows as text, or described. */
#include "engine/vec.h"

struct rows {
    struct tn_arena *arena;
    struct vec **shapes;
    size_t column_count;
    struct tn_buf text; /* the row's values, each ended by a NUL */
    size_t *offsets;
    const char **values;
    engine_row_fn *row;
    void *context;
};

static enum tn_code make_shapes(struct rows *rows, duckdb_result *result, struct tn_error *err)
{
    rows->column_count = (size_t)duckdb_column_count(result);
    rows->shapes = TN_ARENA_ARRAY(rows->arena, struct vec *, rows->column_count + 1);
    rows->offsets = TN_ARENA_ARRAY(rows->arena, size_t, rows->column_count + 1);
    rows->values = TN_ARENA_ARRAY(rows->arena, const char *, rows->column_count + 1);
    for (size_t i = 0; i < rows->column_count; i++) {
        duckdb_logical_type type = duckdb_column_logical_type(result, i);
        enum tn_code code = vec_new(type, rows->arena, &rows->shapes[i], err);
        duckdb_destroy_logical_type(&type);
        TN_TRY(code);
    }
    return TN_OK;
}

static bool give_row(struct rows *rows, size_t row)
{
    tn_buf_clear(&rows->text);
    for (size_t i = 0; i < rows->column_count; i++) {
        rows->offsets[i] = SIZE_MAX;
        if (!vec_valid(rows->shapes[i], row) || rows->shapes[i]->type == DUCKDB_TYPE_SQLNULL)
            continue;
        rows->offsets[i] = rows->text.len;
        cell_put_text(rows->shapes[i], row, &rows->text);
        tn_buf_putc(&rows->text, '\0');
    }
    for (size_t i = 0; i < rows->column_count; i++)
        rows->values[i] = rows->offsets[i] == SIZE_MAX ? NULL : rows->text.data + rows->offsets[i];
    return rows->row(rows->context, rows->column_count, rows->values);
}

/* False when the receiver has had enough. */
static bool give_chunk(struct rows *rows, duckdb_data_chunk chunk)
{
    size_t count = (size_t)duckdb_data_chunk_get_size(chunk);
    for (size_t i = 0; i < rows->column_count; i++)
        vec_point(rows->shapes[i], duckdb_data_chunk_get_vector(chunk, i));
    for (size_t row = 0; row < count; row++) {
        if (!give_row(rows, row))
            return false;
    }
    return true;
}

static enum tn_code give_rows(duckdb_result *result, engine_row_fn *row, void *context, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct rows rows = {.arena = arena, .row = row, .context = context};
    bool more = true;
    enum tn_code code = row ? make_shapes(&rows, result, err) : TN_OK;
    while (code == TN_OK && more) {
        duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
        if (!chunk) {
            const char *message = duckdb_result_error(result);
            if (message && *message)
                code = engine_fail(err, message, NULL);
            break;
        }
        if (row) /* else it runs for its effect, to the end */
            more = give_chunk(&rows, chunk);
        duckdb_destroy_data_chunk(&chunk);
    }
    tn_buf_release(&rows.text);
    return code;
}

/* One prepared statement, streamed. */
static enum tn_code run_prepared(duckdb_prepared_statement prepared, engine_row_fn *row, void *context,
                                 struct tn_error *err)
{
    duckdb_pending_result pending = NULL;
    duckdb_result result;
    if (duckdb_pending_prepared_streaming(prepared, &pending) != DuckDBSuccess) {
        enum tn_code code = engine_fail(err, duckdb_pending_error(pending), NULL);
        duckdb_destroy_pending(&pending);
        return code;
    }
    enum tn_code code = TN_OK;
    if (duckdb_execute_pending(pending, &result) != DuckDBSuccess)
        code = engine_fail(err, duckdb_result_error(&result), NULL);
    else
        code = give_rows(&result, duckdb_result_return_type(result) == DUCKDB_RESULT_TYPE_QUERY_RESULT ? row : NULL,
                         context, err);
    duckdb_destroy_result(&result);
    duckdb_destroy_pending(&pending);
    return code;
}

static enum tn_code run_statements(duckdb_connection connection, const char *sql, engine_row_fn *row, void *context,
                                   struct tn_error *err)
{
    duckdb_extracted_statements statements = NULL;
    idx_t count = duckdb_extract_statements(connection, sql, &statements);
    enum tn_code code = TN_OK;
    if (!count)
        code = engine_fail(err, duckdb_extract_statements_error(statements), NULL);
    for (idx_t i = 0; code == TN_OK && i < count; i++) {
        duckdb_prepared_statement prepared = NULL;
        if (duckdb_prepare_extracted_statement(connection, statements, i, &prepared) != DuckDBSuccess)
            code = engine_fail(err, duckdb_prepare_error(prepared), NULL);
        else
            code = run_prepared(prepared, row, context, err);
        duckdb_destroy_prepare(&prepared);
    }
    duckdb_destroy_extracted(&statements);
    return code;
}

enum tn_code engine_run(struct engine *engine, const char *sql, engine_row_fn *row, void *context,
                        struct tn_error *err)
{
    TN_CLEANUP(engine_session_give_p) struct engine_session *session = NULL;
    TN_TRY(engine_session_take(engine, &session, err));
    return run_statements(session->connection, sql, row, context, err);
}

static void read_columns(duckdb_result *result, struct tn_arena *arena, struct engine_column **ret, size_t *ret_count)
{
    size_t count = (size_t)duckdb_column_count(result);
    struct engine_column *columns = TN_ARENA_ARRAY(arena, struct engine_column, count + 1);
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < count; i++) {
        duckdb_logical_type type = duckdb_column_logical_type(result, i);
        tn_buf_clear(&text);
        engine_type_text(type, &text);
        columns[i] = (struct engine_column){
            .name = tn_arena_strdup(arena, duckdb_column_name(result, i)),
            .type = engine_type_of(type),
            .type_text = tn_arena_strdup(arena, text.data),
        };
        duckdb_destroy_logical_type(&type);
    }
    *ret = columns;
    *ret_count = count;
}

enum tn_code engine_describe(struct engine *engine, const char *sql, struct tn_arena *arena,
                             struct engine_column **ret, size_t *ret_count, struct tn_error *err)
{
    TN_CLEANUP(engine_session_give_p) struct engine_session *session = NULL;
    TN_TRY(engine_session_take(engine, &session, err));
    /* LIMIT 0 lets the optimiser drop everything below it. */
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text, "SELECT * FROM (%s\n) LIMIT 0", sql);
    duckdb_result result;
    enum tn_code code = TN_OK;
    if (duckdb_query(session->connection, text.data, &result) != DuckDBSuccess)
        code = engine_fail(err, duckdb_result_error(&result), NULL);
    else
        read_columns(&result, arena, ret, ret_count);
    duckdb_destroy_result(&result);
    return code;
}
