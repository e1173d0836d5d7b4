/* The guard: what text from outside may say.
 *
 * DuckDB's own parser turns the text into a tree (json_serialize_sql parses
 * and binds nothing); guard_walk.c judges every node of it by name. Nothing is
 * decided by searching the text.
 */
#include "engine/engine_internal.h"

/* The tree of the largest text allowed stays below this. */
#define MAX_TREE_BYTES ((size_t)64 << 20)

void guard_analysis_free(struct guard_analysis *analysis)
{
    if (!analysis || atomic_fetch_sub(&analysis->references, 1) != 1)
        return;
    struct tn_arena *arena = analysis->arena; /* which holds the analysis too */
    tn_arena_free(arena);
}

static enum tn_code open_serializer(struct engine_session *session, struct tn_error *err)
{
    if (session->serialize)
        return TN_OK;
    duckdb_prepared_statement prepared = NULL;
    if (duckdb_prepare(session->connection,
                       "SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, "
                       "skip_default := true)::VARCHAR",
                       &prepared) != DuckDBSuccess) {
        enum tn_code code = engine_fail(err, duckdb_prepare_error(prepared), NULL);
        duckdb_destroy_prepare(&prepared);
        return code;
    }
    session->serialize = prepared;
    return TN_OK;
}

static enum tn_code parse_tree(const char *text, size_t length, json_t **ret, struct tn_error *err)
{
    if (length > MAX_TREE_BYTES)
        return tn_fail(err, TN_ESQLREFUSED, "the statement is too large");
    json_error_t error;
    /* Numbers in the tree are positions; the largest does not fit 63 bits. */
    json_t *root = json_loadb(text, length, JSON_DECODE_INT_AS_REAL, &error);
    if (!root)
        return tn_fail(err, TN_ESQLREFUSED, "the statement is nested too deeply");
    *ret = root;
    return TN_OK;
}

/* The tree of a text, or DuckDB's refusal to parse it. */
static enum tn_code serialize(struct engine_session *session, const char *sql, size_t length, json_t **ret,
                              struct tn_error *err)
{
    TN_TRY(open_serializer(session, err));
    duckdb_result result;
    if (duckdb_bind_varchar_length(session->serialize, 1, sql, length) != DuckDBSuccess)
        return tn_fail(err, TN_ESQL, "the statement is not valid UTF-8 text");
    if (duckdb_execute_prepared(session->serialize, &result) != DuckDBSuccess) {
        enum tn_code code = engine_fail(err, duckdb_result_error(&result), NULL);
        duckdb_destroy_result(&result);
        return code;
    }
    enum tn_code code;
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (!chunk || duckdb_data_chunk_get_size(chunk) != 1) {
        code = tn_fail(err, TN_EINTERNAL, "the SQL engine returned no tree");
    } else {
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, 0);
        duckdb_string_t *text = duckdb_vector_get_data(vector);
        code = parse_tree(duckdb_string_t_data(text), duckdb_string_t_length(*text), ret, err);
    }
    if (chunk)
        duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    return code;
}

/* DuckDB did not make a tree: a mistake, or no SELECT. */
static enum tn_code refuse(const json_t *root, const char *sql, size_t length, struct tn_error *err)
{
    const char *type = json_string_value(json_object_get(root, "error_type"));
    const char *message = json_string_value(json_object_get(root, "error_message"));
    if (!message)
        message = "the statement cannot be read";
    if (type && tn_streq(type, "not implemented") && strstr(message, "Only SELECT")) {
        tn_fail(err, TN_ESQLREFUSED, "only SELECT statements can be run here");
        tn_error_hint(err, "%s", guard_text_hint(sql, length));
        return TN_ESQLREFUSED;
    }
    const char *advice = strstr(message, " Use \"SET ");
    advice = advice ? advice : strstr(message, "\nUse SET ");
    int shown = advice ? (int)(advice - message) : (int)TN_MIN(strlen(message), (size_t)1000);
    tn_fail(err, TN_ESQL, "%.*s", shown, message);
    uint64_t position = 0;
    const char *position_text = json_string_value(json_object_get(root, "position"));
    if (position_text && tn_parse_u64(position_text, &position))
        engine_error_place(err, sql, length, (size_t)position);
    return TN_ESQL;
}

static enum tn_code tree_of(struct engine_session *session, const char *sql, size_t length, json_t **ret,
                            struct tn_error *err)
{
    TN_TRY(guard_text_bounds(sql, length, err));
    json_t *parsed = NULL;
    TN_TRY(serialize(session, sql, length, &parsed, err));
    TN_AUTO_JSON *root = parsed;
    if (!json_is_false(json_object_get(root, "error")))
        return refuse(root, sql, length, err);
    *ret = TN_TAKE(root);
    return TN_OK;
}

enum tn_code guard_analyse(struct engine_session *session, const char *sql, size_t length,
                           struct guard_analysis **ret, struct tn_error *err)
{
    struct guard_cache *cache = session->engine->cache;
    struct guard_analysis *cached = guard_cache_get(cache, sql, length);
    if (cached) {
        *ret = cached;
        return TN_OK;
    }
    json_t *parsed = NULL;
    TN_TRY(tree_of(session, sql, length, &parsed, err));
    TN_AUTO_JSON *root = parsed;

    struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(guard_analysis_free_p) struct guard_analysis *analysis = tn_arena_alloc(arena, sizeof *analysis);
    atomic_init(&analysis->references, 1);
    analysis->arena = arena;
    analysis->sql = tn_arena_strndup(arena, sql, length);
    analysis->length = length;
    TN_TRY(guard_walk(root, analysis, err));
    guard_cache_put(cache, analysis);
    *ret = TN_TAKE(analysis);
    return TN_OK;
}

enum tn_code engine_guard(struct engine *engine, const char *sql, size_t length, struct tn_arena *arena,
                          struct engine_statement *ret, struct tn_error *err)
{
    TN_CLEANUP(engine_session_give_p) struct engine_session *session = NULL;
    TN_TRY(engine_session_take(engine, &session, err));
    TN_CLEANUP(guard_analysis_free_p) struct guard_analysis *analysis = NULL;
    TN_TRY(guard_analyse(session, sql, length, &analysis, err));
    struct engine_table_ref *tables = TN_ARENA_ARRAY(arena, struct engine_table_ref, analysis->table_count + 1);
    for (size_t i = 0; i < analysis->table_count; i++) {
        tables[i] = analysis->tables[i].ref;
        tables[i].name = tn_arena_strdup(arena, tables[i].name);
        if (tables[i].at_name)
            tables[i].at_name = tn_arena_strdup(arena, tables[i].at_name);
    }
    *ret = (struct engine_statement){.tables = tables, .table_count = analysis->table_count};
    return TN_OK;
}

/* A condition is judged in two places: alone, where "a) OR (b" does not parse,
 * and between parentheses, where "a;" does not. */
static enum tn_code judge_condition(struct engine_session *session, const char *before, const char *condition,
                                    size_t length, const char *after, bool *ret_varies, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, before);
    tn_buf_append(&sql, condition, length);
    tn_buf_puts(&sql, after);
    json_t *parsed = NULL;
    enum tn_code code = tree_of(session, sql.data, sql.len, &parsed, err);
    TN_AUTO_JSON *root = parsed;
    if (code == TN_OK)
        code = guard_walk_expression(root, sql.data, sql.len, ret_varies, err);
    if (code != TN_OK && err && err->line == 1)
        err->column = TN_MAX(1, err->column - (int)strlen(before));
    return code;
}

/* Nothing ends it but its length. */
static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!memchr(" \t\r\n", text[i], 4))
            return false;
    return true;
}

enum tn_code engine_guard_predicate(struct engine *engine, const char *predicate, size_t length,
                                    struct tn_arena *arena, const char **ret, bool *ret_varies, struct tn_error *err)
{
    bool varies = false;
    TN_CLEANUP(engine_session_give_p) struct engine_session *session = NULL;
    if (is_blank(predicate, length)) {
        (void)tn_fail(err, TN_ESQL, "the condition is empty");
        tn_error_hint(err, "Write what a row must meet, such as city = 'Chicago'.");
        return TN_ESQL;
    }
    TN_TRY(engine_session_take(engine, &session, err));
    TN_TRY(judge_condition(session, "SELECT ", predicate, length, "", &varies, err));
    /* The line break ends a comment that the predicate may end in. */
    TN_TRY(judge_condition(session, "SELECT (", predicate, length, "\n)", &varies, err));
    *ret = tn_arena_printf(arena, "%.*s\n", (int)length, predicate);
    if (ret_varies)
        *ret_varies = varies;
    return TN_OK;
}
