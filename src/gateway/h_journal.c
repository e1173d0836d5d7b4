/* The journal: events, newest first; the life of one record, oldest first.
 * Both are queries of the SQL table `journal`, under the guard like any. */
#include "gateway/gateway_internal.h"
#include "ingest/ingest.h"

#include <inttypes.h>

#define EVENTS_DEFAULT 100
#define EVENTS_MAX     1000
#define HISTORY_MAX    10000
#define HISTORY_USUAL  1000

#define EVENT_COLUMNS                                                                                                \
    "event_id, ts, dataset, entity, operation, field, old_value, new_value, actor, source, reason, workspace, "      \
    "request_id, snapshot_id, \"sequence\", \"ordinal\", \"rows\""

/* Conditions on parameters, as they come. */
struct where {
    struct tn_buf sql;
    json_t *params;
};

static void where_add(struct where *where, const char *condition, const char *value)
{
    if (!value)
        return;
    json_array_append_new(where->params, json_string(value));
    tn_buf_printf(&where->sql, "%s %s $%zu", where->sql.len ? " AND" : " WHERE", condition,
                  json_array_size(where->params));
}

enum tn_code ask_lines(struct request *request, const char *sql, const json_t *params, struct tn_buf *out,
                       struct tn_error *err)
{
    const struct engine_query_options options = {
        .sql = sql,
        .sql_length = strlen(sql),
        .params = params,
        .timeout_ms = request->gateway->limits.sql_timeout_ms,
        .cancel = &request->cancel,
        .resolver = dataset_resolver(&request->gateway->lake),
    };
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_start(request->gateway->lake.engine, &options, &query, err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_NDJSON);
    for (bool done = false; !done;)
        TN_TRY(engine_writer_fill(writer, (size_t)1 << 20, out, &done, err));
    return TN_OK;
}

/* Lines become the items of a list; *ret_last is the last one shown. */
static size_t put_items(struct tn_json *json, const struct tn_buf *lines, size_t limit, const char **ret_last,
                        size_t *ret_last_length)
{
    size_t shown = 0;
    tn_json_key(json, "items");
    tn_json_open(json, '[');
    for (const char *at = lines->data, *end = at + lines->len; at && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline ? (size_t)(newline - at) : (size_t)(end - at);
        if (shown++ < limit) {
            tn_json_raw(json, at, length);
            *ret_last = at;
            *ret_last_length = length;
        }
        at += length + 1;
    }
    tn_json_close(json, ']');
    return shown;
}

/* Two fields of the last event of a page, which say where the next one begins. */
struct cursor_fields {
    const char *first, *second;
};
static const struct cursor_fields journal_cursor = {"ts", "event_id"}, history_cursor = {"sequence", "ordinal"};

static const char *field_text(struct tn_arena *arena, const json_t *event, const char *name)
{
    const json_t *value = json_object_get(event, name);
    if (json_is_integer(value))
        return tn_arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return json_is_string(value) ? json_string_value(value) : "";
}

/* "<first>,<second>". */
static const char *cursor_after(struct tn_arena *arena, const struct cursor_fields *fields, const char *line,
                                size_t length)
{
    TN_AUTO_JSON *event = NULL;
    if (tn_json_parse_zeros(line, length, length, "event", &event, NULL) != TN_OK)
        return NULL;
    return tn_arena_printf(arena, "%s,%s", field_text(arena, event, fields->first),
                           field_text(arena, event, fields->second));
}

static enum tn_code where_cursor(struct request *request, struct where *where, struct tn_error *err)
{
    const char *cursor = http_param(&request->target, "cursor");
    if (!cursor)
        return TN_OK;
    const char *comma = strchr(cursor, ',');
    int64_t us;
    const char *ts = comma ? tn_arena_strndup(request->arena, cursor, (size_t)(comma - cursor)) : "";
    if (!comma || !tn_time_parse(ts, &us))
        return tn_fail(err, TN_EREQUEST, "cursor is not one that this list gave");
    json_array_append_new(where->params, json_string(ts));
    json_array_append_new(where->params, json_string(comma + 1));
    size_t count = json_array_size(where->params);
    tn_buf_printf(&where->sql, "%s (ts, event_id) < ($%zu::TIMESTAMPTZ, $%zu)", where->sql.len ? " AND" : " WHERE",
                  count - 1, count);
    return TN_OK;
}

static enum tn_code where_time(struct request *request, struct where *where, const char *name, const char *condition,
                               struct tn_error *err)
{
    const char *text = http_param(&request->target, name);
    int64_t us;
    if (text && !tn_time_parse(text, &us))
        return tn_fail(err, TN_EREQUEST, "%s must be a time such as 2026-01-31T12:00:00Z, not \"%.60s\"", name, text);
    where_add(where, condition, text);
    return TN_OK;
}

static enum tn_code answer_events(struct request *request, const struct where *where, const char *order,
                                  const struct cursor_fields *cursor, uint64_t limit, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF lines = {0};
    const char *last = NULL;
    size_t last_length = 0;
    if (limit == 0)
        return tn_fail(err, TN_EREQUEST, "limit must be a whole number from 1");
    tn_buf_printf(&sql, "SELECT " EVENT_COLUMNS " FROM journal%s ORDER BY %s LIMIT %" PRIu64,
                  where->sql.data ? where->sql.data : "", order, limit + 1);
    TN_TRY(ask_lines(request, sql.data, where->params, &lines, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    size_t found = put_items(&json, &lines, (size_t)limit, &last, &last_length);
    tn_json_kstr(&json, "next_cursor",
                 found > limit && last ? cursor_after(request->arena, cursor, last, last_length) : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

/* From when on there are enough events for the page: finding that takes one column
 * of the journal, and then the others are read of few rows. */
static enum tn_code where_newest(struct request *request, struct where *where, uint64_t limit, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF line = {0};
    TN_AUTO_JSON *row = NULL;
    tn_buf_printf(&sql, "SELECT min(ts) AS ts FROM (SELECT ts FROM journal%s ORDER BY ts DESC LIMIT %" PRIu64 ")",
                  where->sql.data ? where->sql.data : "", limit + 1);
    TN_TRY(ask_lines(request, sql.data, where->params, &line, err));
    if (line.len == 0)
        return TN_OK;
    TN_TRY(tn_json_parse(line.data, line.len, line.len, "answer of the journal", &row, err));
    const char *ts = json_string_value(json_object_get(row, "ts"));
    if (ts)
        where_add(where, "ts >= CAST(", ts);
    if (ts)
        tn_buf_puts(&where->sql, " AS TIMESTAMPTZ)");
    return TN_OK;
}

/* What the journal tells of (docs/formats/journal.md): any other word finds nothing. */
static enum tn_code check_operation(const char *word, struct tn_error *err)
{
    static const char *const known[] = {
        "insert",   "update",           "delete",           "ingest",         "replace",      "restore",    "compact",
        "schema",   "expire",           "create",           "alter",          "rollback",     "rename",     "drop",
        "describe", "namespace.create", "namespace.update", "namespace.drop", "index.create", "index.drop", "tag.set",
        "tag.drop"};
    TN_AUTO_BUF list = {0};
    for (size_t i = 0; i < TN_COUNT(known); i++) {
        if (!word || tn_streq(word, known[i]))
            return TN_OK;
        tn_buf_printf(&list, "%s%s", i ? ", " : "", known[i]);
    }
    const char *near = tn_suggest(word, known, TN_COUNT(known));
    (void)tn_fail(err, TN_EREQUEST, "operation: the journal has no \"%.60s\"", word);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"? It has %s", near, list.data);
    else
        tn_error_hint(err, "it has %s", list.data);
    return TN_EREQUEST;
}

enum tn_code h_journal(struct request *request, struct tn_error *err)
{
    uint64_t limit = EVENTS_DEFAULT;
    const struct http_target *target = &request->target;
    TN_TRY(request_param_u64(request, "limit", EVENTS_MAX, &limit, err));
    TN_TRY(check_operation(http_param(target, "operation"), err));
    struct where where = {.params = json_array()};
    where_add(&where, "dataset =", http_param(target, "dataset"));
    where_add(&where, "entity =", http_param(target, "entity"));
    where_add(&where, "actor =", http_param(target, "actor"));
    where_add(&where, "operation =", http_param(target, "operation"));
    enum tn_code code = where_time(request, &where, "since", "ts >=", err);
    if (code == TN_OK)
        code = where_time(request, &where, "until", "ts <", err);
    if (code == TN_OK)
        code = where_cursor(request, &where, err);
    if (code == TN_OK)
        code = where_newest(request, &where, limit, err);
    if (code == TN_OK)
        code = answer_events(request, &where, "ts DESC, event_id DESC", &journal_cursor, limit, err);
    tn_buf_release(&where.sql);
    json_decref(where.params);
    return code;
}

static enum tn_code was_there(struct request *request, const char *name, bool *ret, struct tn_error *err)
{
    TN_AUTO_BUF lines = {0};
    TN_AUTO_JSON *params = json_pack("[s]", name);
    TN_TRY(ask_lines(request, "SELECT 1 FROM journal WHERE dataset = lower($1) LIMIT 1", params, &lines, err));
    *ret = lines.len > 0;
    return TN_OK;
}

/* A dataset that was dropped has a history too: *ret stays NULL then. */
static enum tn_code history_of(struct request *request, struct iceberg_metadata **ret, struct tn_error *err)
{
    const char *name = request->match.captures[0];
    struct tn_error unknown = {0};
    bool known = false;
    enum tn_code code = catalog_load(request->gateway->lake.catalog, name, ret, &unknown);
    if (code == TN_EDATASET)
        TN_TRY(was_there(request, name, &known, err));
    if (code == TN_OK || known)
        return TN_OK;
    if (err)
        *err = unknown;
    return code;
}

/* The record as the journal names it: a moment may be written with another zone,
 * 1.5 stand for 1.50, and a key of several columns be written in the path as its
 * parts, with commas, or as JSON with spaces. What is no key
 * of today's columns is looked for as it stands: the key was another one once. */
static const char *entity_of(struct request *request, const struct iceberg_metadata *metadata)
{
    const char *text = request->match.captures[1];
    struct engine_cell *key = NULL;
    TN_AUTO_BUF out = {0};
    if (!metadata || metadata->schema->identifier_count == 0 ||
        ingest_rows_key(request->arena, metadata->schema, text, &key, NULL) != TN_OK ||
        dataset_put_entity(metadata->schema, key, &out, NULL) != TN_OK)
        return text;
    return tn_arena_strdup(request->arena, out.data);
}

static enum tn_code where_history_cursor(struct request *request, struct where *where, struct tn_error *err)
{
    const char *cursor = http_param(&request->target, "cursor");
    const char *comma = cursor ? strchr(cursor, ',') : NULL;
    int64_t sequence, ordinal;
    if (!cursor)
        return TN_OK;
    if (!comma || !tn_parse_i64(tn_arena_strndup(request->arena, cursor, (size_t)(comma - cursor)), &sequence) ||
        !tn_parse_i64(comma + 1, &ordinal))
        return tn_fail(err, TN_EREQUEST, "cursor is not one that this list gave");
    tn_buf_printf(&where->sql, "%s (\"sequence\", \"ordinal\") > (%" PRId64 ", %" PRId64 ")",
                  where->sql.len ? " AND" : " WHERE", sequence, ordinal);
    return TN_OK;
}

enum tn_code h_history(struct request *request, struct tn_error *err)
{
    uint64_t limit = HISTORY_USUAL;
    TN_TRY(request_param_u64(request, "limit", HISTORY_MAX, &limit, err));
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char exact[CATALOG_NAME_MAX + 1];
    TN_TRY(history_of(request, &metadata, err));
    catalog_exact_name(request->match.captures[0], exact);
    struct where where = {.params = json_array()};
    if (metadata)
        where_add(&where, "table_uuid =", metadata->uuid);
    else
        where_add(&where, "dataset =", exact);
    where_add(&where, "entity =", entity_of(request, metadata));
    enum tn_code code = where_history_cursor(request, &where, err);
    if (code == TN_OK)
        code = answer_events(request, &where, "\"sequence\", \"ordinal\"", &history_cursor, limit, err);
    tn_buf_release(&where.sql);
    json_decref(where.params);
    return code;
}
