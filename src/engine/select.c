/* SELECTs that Tarn wrote, for their rows as cells.
 *
 * A statement that is kept lives with its session: compiled, with the shape of
 * its result, and with the place where its source stands, since DuckDB binds a
 * table function once and runs it many times. A kept text means the same
 * columns of its source each time.
 */
#include "engine/cell.h"

/* One compiled statement. */
struct session_select {
    char *sql;
    duckdb_prepared_statement prepared;
    struct engine_source_run run;
    struct tn_arena *arena;
    struct engine_column *columns; /* known from the first run on */
    struct vec **shapes;
    size_t column_count;
    uint64_t used;
};

static void select_free(struct session_select *statement)
{
    if (!statement)
        return;
    if (statement->prepared)
        duckdb_destroy_prepare(&statement->prepared);
    tn_arena_free(statement->arena);
    free(statement->sql);
    free(statement);
}
TN_DEFINE_CLEANUP(struct session_select, select_free)

void engine_session_drop_selects(struct engine_session *session)
{
    for (size_t i = 0; i < SESSION_SELECTS; i++) {
        select_free(session->selects[i]);
        session->selects[i] = NULL;
    }
}

/* ---- compiling ------------------------------------------------------------ */

/* The source's own error goes before what DuckDB makes of it. */
static enum tn_code failure(const struct session_select *statement, const char *message, struct tn_error *err)
{
    if (statement->run.code != TN_OK) {
        if (err)
            *err = statement->run.error;
        return statement->run.code;
    }
    return engine_fail(err, message, NULL);
}

static enum tn_code prepare(struct engine_session *session, struct session_select *statement, const char *sql,
                            struct tn_error *err)
{
    if (duckdb_prepare(session->connection, sql, &statement->prepared) != DuckDBSuccess)
        return failure(statement, duckdb_prepare_error(statement->prepared), err);
    return TN_OK;
}

static struct session_select **find_place(struct engine_session *session, const char *sql)
{
    struct session_select **oldest = &session->selects[0];
    for (size_t i = 0; i < SESSION_SELECTS; i++) {
        struct session_select **place = &session->selects[i];
        if (*place && tn_streq((*place)->sql, sql))
            return place;
        if (!*place || (*oldest && (*place)->used < (*oldest)->used))
            oldest = place;
    }
    return oldest;
}

static struct session_select *select_new(void)
{
    struct session_select *statement = tn_calloc(1, sizeof *statement);
    statement->arena = tn_arena_new();
    return statement;
}

/* The kept statement, compiled when it is not there. *ret is the session's. */
static enum tn_code keep(struct engine_session *session, const struct engine_select *select,
                         struct session_select **ret, struct tn_error *err)
{
    struct session_select **place = find_place(session, select->sql);
    struct session_select *statement = *place;
    if (!statement || !tn_streq(statement->sql, select->sql)) {
        TN_CLEANUP(select_free_p) struct session_select *made = select_new();
        made->sql = tn_strdup(select->sql);
        engine_source_begin(&made->run, select->source, select->source_rows);
        enum tn_code code = prepare(session, made, select->sql, err);
        engine_source_end(&made->run);
        TN_TRY(code);
        select_free(statement);
        *place = statement = TN_TAKE(made);
    }
    statement->used = ++session->tick;
    *ret = statement;
    return TN_OK;
}

static enum tn_code read_shape(struct session_select *statement, duckdb_result *result, struct tn_error *err)
{
    size_t count = (size_t)duckdb_column_count(result);
    if (statement->columns && count == statement->column_count)
        return TN_OK;
    statement->columns = TN_ARENA_ARRAY(statement->arena, struct engine_column, count + 1);
    statement->shapes = TN_ARENA_ARRAY(statement->arena, struct vec *, count + 1);
    statement->column_count = count;
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < count; i++) {
        duckdb_logical_type type = duckdb_column_logical_type(result, i);
        struct engine_column *column = &statement->columns[i];
        tn_buf_clear(&text);
        engine_type_text(type, &text);
        column->name = tn_arena_strdup(statement->arena, duckdb_column_name(result, i));
        column->type = engine_type_of(type);
        column->type_text = tn_arena_strdup(statement->arena, text.data);
        if (duckdb_get_type_id(type) == DUCKDB_TYPE_FLOAT)
            column->type.kind = ENGINE_DOUBLE;
        enum tn_code code = vec_new(type, statement->arena, &statement->shapes[i], err);
        duckdb_destroy_logical_type(&type);
        TN_TRY(code);
    }
    return TN_OK;
}

/* ---- rows ------------------------------------------------------------------ */

struct giving {
    const struct session_select *statement;
    struct engine_cell *cells;
    struct tn_buf json; /* of the row's values that cells hold as JSON */
    size_t *offsets;
    engine_cells_fn *each;
    void *context;
};

static void render(struct giving *giving, size_t row)
{
    const struct session_select *statement = giving->statement;
    size_t count = statement->column_count, rendered = 0;
    tn_buf_clear(&giving->json);
    for (size_t i = 0; i < count; i++) {
        giving->offsets[i] = SIZE_MAX;
        if (cell_read(statement->shapes[i], row, &giving->cells[i]))
            continue;
        giving->offsets[i] = giving->json.len;
        cell_put_json(statement->shapes[i], row, &giving->json);
        giving->cells[i].text.length = giving->json.len - giving->offsets[i];
        rendered++;
    }
    for (size_t i = 0; rendered && i < count; i++)
        if (giving->offsets[i] != SIZE_MAX)
            giving->cells[i].text.data = giving->json.data + giving->offsets[i];
}

static enum tn_code give_chunk(struct giving *giving, duckdb_data_chunk chunk, struct tn_error *err)
{
    const struct session_select *statement = giving->statement;
    size_t rows = (size_t)duckdb_data_chunk_get_size(chunk);
    for (size_t i = 0; i < statement->column_count; i++)
        vec_point(statement->shapes[i], duckdb_data_chunk_get_vector(chunk, i));
    for (size_t row = 0; row < rows; row++) {
        render(giving, row);
        TN_TRY(giving->each(giving->context, giving->cells, err));
    }
    return TN_OK;
}

static enum tn_code give(struct session_select *statement, duckdb_result *result, engine_cells_fn *each,
                         void *context, struct tn_error *err)
{
    struct giving giving = {.statement = statement, .each = each, .context = context};
    giving.cells = tn_calloc(statement->column_count + 1, sizeof *giving.cells);
    giving.offsets = tn_calloc(statement->column_count + 1, sizeof *giving.offsets);
    enum tn_code code = TN_OK;
    while (code == TN_OK) {
        duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
        if (!chunk) {
            const char *message = duckdb_result_error(result);
            if (message && *message)
                code = failure(statement, message, err);
            break;
        }
        if (each)
            code = give_chunk(&giving, chunk, err);
        duckdb_destroy_data_chunk(&chunk);
    }
    tn_buf_release(&giving.json);
    free(giving.cells);
    free(giving.offsets);
    return code;
}

static void copy_columns(const struct session_select *statement, struct tn_arena *arena,
                         const struct engine_column **ret, size_t *ret_count)
{
    struct engine_column *columns = TN_ARENA_ARRAY(arena, struct engine_column, statement->column_count + 1);
    for (size_t i = 0; i < statement->column_count; i++) {
        columns[i] = statement->columns[i];
        columns[i].name = tn_arena_strdup(arena, columns[i].name);
        columns[i].type_text = tn_arena_strdup(arena, columns[i].type_text);
    }
    *ret = columns;
    *ret_count = statement->column_count;
}

/* What the caller gets of one run. */
struct receiver {
    struct tn_arena *arena;
    const struct engine_column **ret_columns;
    size_t *ret_count;
    engine_cells_fn *each;
    void *context;
};

static enum tn_code take_result(struct session_select *statement, duckdb_result *result,
                                const struct receiver *receiver, struct tn_error *err)
{
    TN_TRY(read_shape(statement, result, err));
    if (receiver->ret_columns)
        copy_columns(statement, receiver->arena, receiver->ret_columns, receiver->ret_count);
    return give(statement, result, receiver->each, receiver->context, err);
}

/* The whole result at once: of short ones it is there sooner. */
static enum tn_code execute_whole(struct session_select *statement, const struct receiver *receiver,
                                  struct tn_error *err)
{
    duckdb_result result;
    enum tn_code code = duckdb_execute_prepared(statement->prepared, &result) == DuckDBSuccess
                            ? take_result(statement, &result, receiver, err)
                            : failure(statement, duckdb_result_error(&result), err);
    duckdb_destroy_result(&result);
    return code;
}

static enum tn_code execute(struct session_select *statement, const struct receiver *receiver, struct tn_error *err)
{
    duckdb_pending_result pending = NULL;
    duckdb_result result;
    enum tn_code code = TN_OK;
    if (duckdb_pending_prepared_streaming(statement->prepared, &pending) != DuckDBSuccess) {
        code = failure(statement, duckdb_pending_error(pending), err);
    } else {
        if (duckdb_execute_pending(pending, &result) != DuckDBSuccess)
            code = failure(statement, duckdb_result_error(&result), err);
        else
            code = take_result(statement, &result, receiver, err);
        duckdb_destroy_result(&result);
    }
    duckdb_destroy_pending(&pending);
    return code;
}

enum tn_code engine_select(struct engine *engine, const struct engine_select *select, struct tn_arena *arena,
                           const struct engine_column **ret_columns, size_t *ret_count, engine_cells_fn *each,
                           void *context, struct tn_error *err)
{
    const struct receiver receiver = {arena, ret_columns, ret_count, each, context};
    TN_CLEANUP(engine_session_give_p) struct engine_session *session = NULL;
    TN_CLEANUP(select_free_p) struct session_select *once = NULL;
    struct session_select *statement = NULL;
    TN_TRY(engine_session_take(engine, &session, err));
    if (select->keep)
        TN_TRY(keep(session, select, &statement, err));
    else
        statement = once = select_new();
    engine_source_begin(&statement->run, select->source, select->source_rows);
    enum tn_code code = select->keep ? TN_OK : prepare(session, statement, select->sql, err);
    if (code == TN_OK)
        code = cell_bind(statement->prepared, select->param_types, select->params, select->param_count, err);
    if (code == TN_OK)
        code = select->keep ? execute_whole(statement, &receiver, err) : execute(statement, &receiver, err);
    engine_source_end(&statement->run);
    return code;
}
