/* Guarded text in other clothes: as a Parquet file, as a plan. */
#include "engine/engine_internal.h"

#include <unistd.h>

static enum tn_code copy_rows(struct engine_query *query, const struct engine_query_options *options,
                              const char *local_path, uint64_t *ret_rows, struct tn_error *err)
{
    TN_AUTO_BUF suffix = {0};
    if (query->row_limit)
        tn_buf_printf(&suffix, ") LIMIT %llu", (unsigned long long)query->row_limit);
    tn_buf_puts(&suffix, ") TO ");
    tn_buf_put_sql_string(&suffix, local_path);
    tn_buf_puts(&suffix, " (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)");
    engine_bound_wrap(&query->bound, query->row_limit ? "COPY (FROM (" : "COPY (", suffix.data, query->arena);
    TN_TRY(engine_query_execute(query, options->params, false, err));
    query->row_limit = 0; /* the result is one row: how many were written */
    duckdb_data_chunk chunk = NULL;
    size_t rows = 0;
    TN_TRY(engine_query_chunk(query, &chunk, &rows, err));
    uint64_t written = 0;
    if (chunk) {
        written = *(const uint64_t *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
        duckdb_destroy_data_chunk(&chunk);
    }
    *ret_rows = written;
    return TN_OK;
}

enum tn_code engine_query_to_parquet(struct engine *engine, const struct engine_query_options *options,
                                     const char *local_path, uint64_t *ret_rows, struct tn_error *err)
{
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_open(engine, options, &query, err));
    uint64_t rows = 0;
    enum tn_code code = copy_rows(query, options, local_path, &rows, err);
    if (code != TN_OK) {
        (void)unlink(local_path);
        return code;
    }
    *ret_rows = rows;
    return TN_OK;
}

/* EXPLAIN returns (kind, text); the text is what people want to see. */
static void append_plan(duckdb_data_chunk chunk, size_t rows, struct tn_buf *out)
{
    if (duckdb_data_chunk_get_column_count(chunk) < 2)
        return;
    duckdb_string_t *texts = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 1));
    for (size_t i = 0; i < rows; i++)
        tn_buf_append(out, duckdb_string_t_data(&texts[i]), duckdb_string_t_length(texts[i]));
}

enum tn_code engine_explain(struct engine *engine, const struct engine_query_options *options, struct tn_buf *ret,
                            struct tn_error *err)
{
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_open(engine, options, &query, err));
    engine_bound_wrap(&query->bound, "EXPLAIN ", "", query->arena);
    query->row_limit = 0;
    TN_TRY(engine_query_execute(query, options->params, false, err));
    duckdb_data_chunk chunk = NULL;
    size_t rows = 0;
    for (;;) {
        TN_TRY(engine_query_chunk(query, &chunk, &rows, err));
        if (!chunk)
            return TN_OK;
        append_plan(chunk, rows, ret);
        duckdb_destroy_data_chunk(&chunk);
    }
}
