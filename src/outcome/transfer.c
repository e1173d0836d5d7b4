/* To other projects, and from a dataset. */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <string.h>

enum tn_code outcome_export_json(struct outcome_store *store, int64_t min_samples, struct tn_json *out,
                                 struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_model *models;
    size_t count;
    char now[TN_TIME_TEXT];
    TN_TRY(outcome_rank(store, NULL, min_samples, OUTCOME_BY_RATE, arena, &models, &count, err));
    tn_json_open(out, '{');
    tn_json_kstr(out, "format", "tarn-outcomes-1");
    tn_json_kstr(out, "exported", tn_time_format(tn_now_us(), now));
    tn_json_ki64(out, "min_samples", min_samples);
    tn_json_key(out, "items");
    tn_json_open(out, '[');
    for (size_t i = 0; i < count; i++)
        outcome_model_json(&models[i], out);
    tn_json_close(out, ']');
    tn_json_close(out, '}');
    return TN_OK;
}

/* ---- a dataset ------------------------------------------------------------------- */

static bool has_column(const struct dataset_column *columns, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (tn_str_equal_nocase(columns[i].name, name))
            return true;
    return false;
}

/* The view of the requirement, with what else the dataset knows. */
static enum tn_code view_text(struct lake *lake, const char *dataset, struct tn_buf *sql, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char *const required[] = {"task_type", "model_id", "success"};
    struct dataset_column *columns;
    size_t count;
    TN_TRY(dataset_columns(lake, dataset, arena, &columns, &count, err));
    for (size_t i = 0; i < TN_COUNT(required); i++)
        if (!has_column(columns, count, required[i]))
            return tn_fail(err, TN_ESCHEMA, "dataset \"%s\" has no column %s", dataset, required[i]);
    tn_buf_puts(sql, "SELECT task_type, model_id, "
                     "CAST(count(CASE WHEN CAST(success AS INTEGER) = 1 THEN 1 END) AS BIGINT) AS successes, "
                     "CAST(count(CASE WHEN CAST(success AS INTEGER) = 0 THEN 1 END) AS BIGINT) AS failures, ");
    tn_buf_puts(sql,
                has_column(columns, count, "timeout")
                    ? "CAST(count(CASE WHEN CAST(timeout AS INTEGER) = 1 AND CAST(success AS INTEGER) = 0 THEN 1 "
                      "END) AS BIGINT) AS timeouts, "
                    : "0 AS timeouts, ");
    tn_buf_puts(sql, has_column(columns, count, "tokens_used")
                         ? "CAST(coalesce(sum(tokens_used), 0) AS BIGINT) AS total_tokens, "
                         : "0 AS total_tokens, ");
    tn_buf_puts(sql, has_column(columns, count, "cost_usd")
                         ? "CAST(coalesce(sum(cost_usd), 0) AS DOUBLE) AS total_cost, "
                         : "0.0::DOUBLE AS total_cost, ");
    tn_buf_puts(sql, has_column(columns, count, "timestamp") ? "max(\"timestamp\") AS last_used FROM "
                                                             : "NULL AS last_used FROM ");
    tn_buf_put_sql_name(sql, dataset);
    tn_buf_printf(sql, " WHERE task_type IS NOT NULL AND model_id IS NOT NULL GROUP BY 1, 2 LIMIT %d",
                  OUTCOME_BATCH_MAX + 1);
    return TN_OK;
}

static enum tn_code ask(struct lake *lake, const struct tn_buf *sql, struct tn_buf *out, struct tn_error *err)
{
    const struct engine_query_options options = {
        .sql = sql->data, .sql_length = sql->len, .resolver = dataset_resolver(lake)};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_start(lake->engine, &options, &query, err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_NDJSON);
    for (bool done = false; !done;)
        TN_TRY(engine_writer_fill(writer, (size_t)1 << 20, out, &done, err));
    return TN_OK;
}

enum tn_code outcome_import_dataset(struct outcome_store *store, const char *dataset, struct outcome_imported *ret,
                                    struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF lines = {0};
    TN_AUTO_JSON *items = json_array();
    TN_AUTO_JSON *document = json_object();
    if (!store->lake)
        return tn_fail(err, TN_EUNSUPPORTED, "there is no lake to read a dataset from");
    TN_TRY(view_text(store->lake, dataset, &sql, err));
    TN_TRY(ask(store->lake, &sql, &lines, err));
    for (const char *at = lines.data, *end = at + lines.len; at && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline ? (size_t)(newline - at) : (size_t)(end - at);
        json_t *item = NULL;
        TN_TRY(tn_json_parse(at, length, length, "row", &item, err));
        (void)json_array_append_new(items, item);
        at += length + 1;
    }
    (void)json_object_set_new(document, "format", json_string("tarn-outcomes-1"));
    (void)json_object_set(document, "items", items);
    TN_AUTO_FREE char *source = tn_asprintf("dataset:%s", dataset);
    return outcome_import_json(store, document, source, ret, err);
}
