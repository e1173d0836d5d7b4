/* SQL: asked, explained, cancelled. */
#include "gateway/gateway_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST_MEMORY (INT64_C(16) << 20)

enum answer_kind { ANSWER_JSON, ANSWER_NDJSON, ANSWER_CSV, ANSWER_PARQUET, ANSWER_ARROW };
static const char *const answers[] = {"application/json", "application/x-ndjson", "text/csv",
                                      "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"};
static const enum engine_format formats[] = {ENGINE_JSON_ROWS, ENGINE_NDJSON, ENGINE_CSV, ENGINE_CSV, ENGINE_ARROW};

/* ---- what is asked ----------------------------------------------------------- */

static uint64_t lower_of(uint64_t limit, int64_t wish)
{
    if (wish < 0)
        return limit;
    return limit == 0 ? (uint64_t)wish : TN_MIN(limit, (uint64_t)wish);
}

/* Takes the body apart; *ret_body owns what the options borrow. *ret_memory is
 * 0 unless less memory than the engine's was asked for. */
static enum tn_code read_asked(struct request *request, json_t **ret_body, struct engine_query_options *ret,
                               uint64_t *ret_memory, struct tn_error *err)
{
    const char *sql = NULL, *as_of = NULL;
    json_t *params = NULL, *as_of_value = NULL;
    int64_t limit = -1, timeout_ms = -1, memory = 0;
    const struct tn_json_field fields[] = {
        {.name = "sql", .kind = TN_JSON_STRING, .ret = &sql, .required = true},
        {.name = "params", .kind = TN_JSON_ANY, .ret = &params},
        {.name = "as_of", .kind = TN_JSON_ANY, .ret = &as_of_value},
        {.name = "limit", .kind = TN_JSON_INT, .ret = &limit, .min = 1, .max = INT64_MAX},
        {.name = "timeout_ms", .kind = TN_JSON_INT, .ret = &timeout_ms, .min = 1, .max = INT64_MAX},
        {.name = "memory_bytes", .kind = TN_JSON_INT, .ret = &memory, .min = LEAST_MEMORY, .max = INT64_MAX},
    };
    TN_TRY(request_json(request, ret_body, err));
    TN_TRY(tn_json_read(*ret_body, "request body", fields, TN_COUNT(fields), err));
    TN_TRY(request_as_of(request, as_of_value, &as_of, err));
    if (params && !json_is_array(params) && !json_is_object(params) && !json_is_null(params))
        return tn_fail(err, TN_EREQUEST, "params must be an array (for $1, ?) or an object (for $name)");
    const struct gateway_limits *limits = &request->gateway->limits;
    *ret = (struct engine_query_options){
        .sql = sql,
        .sql_length = strlen(sql),
        .params = json_is_null(params) ? NULL : params,
        .timeout_ms = lower_of(limits->sql_timeout_ms, timeout_ms),
        .row_limit = lower_of(limits->sql_max_rows, limit),
        .default_at = as_of,
        .cancel = &request->cancel,
        .resolver = dataset_resolver(&request->gateway->lake),
    };
    uint64_t most = tn_config_size(request->gateway->lake.config, "sql.memory");
    *ret_memory = memory > 0 && (uint64_t)memory < most ? (uint64_t)memory : 0;
    return TN_OK;
}

/* The lake as an engine of its own sees it: what the lake's engine holds in
 * memory (hot copies, bitmaps) is not there; the journal gives it files. The
 * arena's. */
static struct engine_query_options options_for(struct request *request, const struct engine_query_options *options,
                                               const struct small_engine *small)
{
    struct engine_query_options mine = *options;
    if (small) {
        struct lake *alone = tn_arena_alloc(request->arena, sizeof *alone);
        *alone = request->gateway->lake;
        alone->engine = small_engine_of(small);
        alone->hot = NULL;
        alone->relations = NULL;
        mine.resolver = dataset_resolver(alone);
    }
    return mine;
}

static struct engine *engine_for(const struct request *request, const struct small_engine *small)
{
    return small ? small_engine_of(small) : request->gateway->lake.engine;
}

/* ---- the streamed answer ------------------------------------------------------ */

struct rows {
    struct request *request;
    struct small_engine *small; /* NULL: the lake's engine runs it */
    struct engine_query *query;
    struct engine_writer *writer;
    enum answer_kind answer;
    bool begun;
    struct tn_buf name; /* under which a short answer is kept; empty: under none */
};

static void cancel_query(void *query)
{
    engine_query_cancel(query);
}

static void rows_free(void *context)
{
    struct rows *rows = context;
    request_on_cancel(rows->request, NULL, NULL);
    engine_writer_free(rows->writer);
    engine_query_free(rows->query);
    small_engine_close(rows->small);
    tn_buf_release(&rows->name);
    free(rows);
}

/* A version is a snapshot's id, perhaps with a schema's behind a plus; 0 is a
 * dataset without rows. */
static void write_version(struct tn_json *json, const char *version)
{
    char digits[24];
    int64_t id = 0;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)strcspn(version, "+"), version);
    if (!tn_parse_i64(digits, &id))
        tn_json_str(json, version);
    else if (id == 0)
        tn_json_null(json);
    else
        tn_json_i64(json, id);
}

/* A dataset that is read at several moments has an array of its snapshots. */
static void write_snapshots(const struct engine_used_table *tables, size_t count, struct tn_json *json)
{
    tn_json_key(json, "snapshots");
    tn_json_open(json, '{');
    for (size_t i = 0; i < count; i++) {
        size_t before = 0, after = 0;
        for (size_t k = 0; k < count; k++)
            if (k != i && tn_streq(tables[k].name, tables[i].name))
                *(k < i ? &before : &after) += 1;
        if (before > 0)
            continue;
        tn_json_key(json, tables[i].name);
        if (after == 0) {
            write_version(json, tables[i].version);
            continue;
        }
        tn_json_open(json, '[');
        for (size_t k = i; k < count; k++)
            if (tn_streq(tables[k].name, tables[i].name))
                write_version(json, tables[k].version);
        tn_json_close(json, ']');
    }
    tn_json_close(json, '}');
}

static void write_sources(const struct engine_used_table *tables, size_t count, struct tn_json *json)
{
    tn_json_key(json, "source");
    tn_json_open(json, '{');
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = tn_streq(tables[k].name, tables[i].name);
        if (!seen)
            tn_json_kstr(json, tables[i].name, tables[i].cached ? "cache" : "parquet");
    }
    tn_json_close(json, '}');
}

static void write_tail(const struct request *request, const struct engine_query *query, struct result result,
                       bool kept, struct tn_buf *out)
{
    size_t count;
    const struct engine_used_table *tables = engine_query_tables(query, &count);
    struct tn_json json = tn_json_writer(out);
    tn_buf_putc(out, ']');
    json.comma = true;
    json.depth = 1;
    tn_json_ki64(&json, "row_count", (int64_t)result.rows);
    tn_json_kbool(&json, "truncated", result.truncated);
    if (kept)
        tn_json_kbool(&json, "kept", true);
    tn_json_kf64(&json, "elapsed_ms", (double)((tn_mono_ns() - request->started_ns) / 1000) / 1e3);
    write_snapshots(tables, count, &json);
    write_sources(tables, count, &json);
    tn_buf_puts(out, "}\n");
}

static enum tn_code rows_fill(void *context, size_t target, struct tn_buf *out, bool *ret_done, struct tn_error *err)
{
    struct rows *rows = context;
    bool envelope = rows->answer == ANSWER_JSON, first = !rows->begun;
    bool done = false;
    size_t start = out->len;
    if (envelope && first) {
        tn_buf_puts(out, "{\"columns\":");
        struct tn_json json = tn_json_writer(out);
        engine_query_columns_json(rows->query, &json);
        tn_buf_puts(out, ",\"rows\":[");
    }
    rows->begun = true;
    TN_TRY(engine_writer_fill(rows->writer, target, out, &done, err));
    const struct result result = {engine_query_rows(rows->query), engine_query_truncated(rows->query)};
    if (done && first && rows->name.len)
        results_keep(rows->request->gateway->results, rows->name.data, rows->name.len, out->data + start,
                     out->len - start, result);
    if (done && envelope)
        write_tail(rows->request, rows->query, result, false, out);
    *ret_done = done;
    return TN_OK;
}

/* JSON: a member "error" in place of the ones that belong at the end. NDJSON:
 * a last line {"error":...}. The others only break off. */
static void rows_fail(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    struct rows *rows = context;
    if (rows->answer == ANSWER_JSON)
        tn_buf_puts(out, "],\"error\":");
    else if (rows->answer == ANSWER_NDJSON)
        tn_buf_puts(out, "{\"error\":");
    else
        return;
    problem_write(error, request_id, out);
    tn_buf_puts(out, "}\n");
}

/* ---- what was answered before ------------------------------------------------------ */

/* Each part with its length, so that none runs into the next. */
static void put_part(struct tn_buf *out, const char *text, size_t length)
{
    tn_buf_printf(out, "%zu:", length);
    tn_buf_append(out, text, length);
}

/* Leaves it empty when an answer to this cannot be told from another. */
static void name_answer(const struct engine_query *query, const struct engine_query_options *options,
                        enum answer_kind kind, struct tn_buf *out)
{
    const char *identity = engine_query_identity(query);
    if (!identity)
        return;
    tn_buf_printf(out, "%d %llu ", (int)kind, (unsigned long long)options->row_limit);
    put_part(out, options->sql, options->sql_length);
    put_part(out, identity, strlen(identity));
    char *params = options->params ? json_dumps(options->params, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (params)
        put_part(out, params, strlen(params));
    free(params);
}

static bool asks(const struct request *request, const char *directive)
{
    return request->cache_control && strcasestr(request->cache_control, directive);
}

static void reply_rows(struct request *request, enum answer_kind kind)
{
    reply_status(request, 200, kind == ANSWER_CSV ? "text/csv; charset=utf-8" : answers[kind]);
}

static bool answer_kept(struct request *request, const struct engine_query *query, enum answer_kind kind,
                        const struct tn_buf *name)
{
    struct result result;
    struct tn_buf *body = &request->reply.body;
    if (!name->len || asks(request, "no-cache") ||
        !results_find(request->gateway->results, name->data, name->len, body, &result))
        return false;
    reply_rows(request, kind);
    reply_header(request, "X-Tarn-Result", "kept");
    if (kind == ANSWER_JSON)
        write_tail(request, query, result, true, body);
    return true;
}

/* ---- answers ------------------------------------------------------------------------ */

static enum tn_code answer_rows(struct request *request, const struct engine_query_options *options, uint64_t memory,
                                enum answer_kind kind, struct tn_error *err)
{
    TN_CLEANUP(small_engine_close_p) struct small_engine *small = NULL;
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_AUTO_BUF name = {0};
    if (memory)
        TN_TRY(small_engine_open(request->gateway, memory, &small, err));
    const struct engine_query_options mine = options_for(request, options, small);
    TN_TRY(engine_query_open(engine_for(request, small), &mine, &query, err));
    if (request->gateway->results && !asks(request, "no-store"))
        name_answer(query, options, kind, &name);
    if (answer_kept(request, query, kind, &name))
        return TN_OK;
    TN_TRY(engine_query_run(query, options->params, err));
    struct rows *rows = tn_calloc(1, sizeof *rows);
    *rows = (struct rows){
        .request = request, .small = TN_TAKE(small), .query = TN_TAKE(query), .answer = kind, .name = name};
    name = (struct tn_buf){0};
    rows->writer = engine_writer_new(rows->query, formats[kind]);
    request_on_cancel(request, cancel_query, rows->query);
    reply_rows(request, kind);
    request->reply.stream = (struct stream){.context = rows, .fill = rows_fill, .fail = rows_fail, .free = rows_free};
    return TN_OK;
}

/* Parquet's index stands at its end, so the file is made first and sent then. */
static enum tn_code answer_parquet(struct request *request, const struct engine_query_options *options,
                                   uint64_t memory, struct tn_error *err)
{
    char *path = NULL;
    uint64_t rows = 0;
    struct stat st;
    TN_CLEANUP(small_engine_close_p) struct small_engine *small = NULL;
    if (memory)
        TN_TRY(small_engine_open(request->gateway, memory, &small, err));
    TN_TRY(store_stage_path(request->gateway->lake.store, request->arena, ".parquet", &path, err));
    const struct engine_query_options mine = options_for(request, options, small);
    enum tn_code code = engine_query_to_parquet(engine_for(request, small), &mine, path, &rows, err);
    TN_AUTO_CLOSE int fd = code == TN_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    (void)unlink(path);
    TN_TRY(code);
    if (fd < 0 || fstat(fd, &st) != 0)
        return tn_fail(err, TN_EIO, "the result's file cannot be read");
    reply_status(request, 200, answers[ANSWER_PARQUET]);
    reply_header(request, "X-Row-Count", tn_arena_printf(request->arena, "%llu", (unsigned long long)rows));
    request->reply.fd = fd;
    request->reply.fd_size = (uint64_t)st.st_size;
    fd = -1;
    return TN_OK;
}

static enum tn_code answer(struct request *request, const struct engine_query_options *options, uint64_t memory,
                           struct tn_error *err)
{
    int best = http_accept_best(request->accept, answers, TN_COUNT(answers));
    if (best < 0) {
        (void)tn_fail(err, TN_EACCEPT, "no result can be given as %.200s", request->accept);
        tn_error_hint(err, "accept one of: %s, %s, %s, %s, %s", answers[0], answers[1], answers[2], answers[3],
                      answers[4]);
        return TN_EACCEPT;
    }
    if (options->timeout_ms > 0)
        atomic_store(&request->deadline_ns, request->started_ns + options->timeout_ms * 1000000);
    return best == ANSWER_PARQUET ? answer_parquet(request, options, memory, err)
                                  : answer_rows(request, options, memory, (enum answer_kind)best, err);
}

enum tn_code query_answer(struct request *request, const char *sql, const char *as_of, struct tn_error *err)
{
    const struct engine_query_options options = {
        .sql = sql,
        .sql_length = strlen(sql),
        .timeout_ms = request->gateway->limits.sql_timeout_ms,
        .row_limit = request->gateway->limits.sql_max_rows,
        .default_at = as_of,
        .cancel = &request->cancel,
        .resolver = dataset_resolver(&request->gateway->lake),
    };
    return answer(request, &options, 0, err);
}

enum tn_code h_query_sql(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct engine_query_options options;
    uint64_t memory = 0;
    TN_TRY(read_asked(request, &body, &options, &memory, err));
    return answer(request, &options, memory, err);
}

enum tn_code h_query_explain(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    TN_AUTO_BUF plan = {0};
    struct engine_query_options options;
    uint64_t memory = 0; /* nothing is run */
    TN_TRY(read_asked(request, &body, &options, &memory, err));
    TN_TRY(engine_explain(request->gateway->lake.engine, &options, &plan, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "plan");
    tn_json_strn(&json, plan.data ? plan.data : "", plan.len);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_query_cancel(struct request *request, struct tn_error *err)
{
    const char *id = request->match.captures[0];
    if (watch_cancel_id(request->gateway, id, request) == 0) {
        (void)tn_fail(err, TN_ENOTFOUND, "no query with the request id \"%.80s\" is running", id);
        tn_error_hint(err, "it may have ended; the id is the X-Request-Id of the query");
        return TN_ENOTFOUND;
    }
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "request_id", id);
    tn_json_kstr(&json, "status", "cancelled");
    tn_json_close(&json, '}');
    return TN_OK;
}
