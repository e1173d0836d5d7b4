/* A statement under the guard, to rows; rows against rows. */
#include "answer/ask.h"

#include <inttypes.h>
#include <string.h>

#define RESULT_MAX ((size_t)4 << 20) /* bytes of rows; more are cut off */
#define ROWS_TOLD  10                /* of those that came or left */

/* ---- what it may read ------------------------------------------------------------------ */

static bool is_visible(const struct ask_sight *sight, const struct engine_table_ref *ref)
{
    const char *name = ref->argument_count > 0 ? ref->arguments[0].text : ref->name;
    for (size_t i = 0; i < sight->table_count; i++) {
        const struct ask_table *table = &sight->tables[i];
        if (tn_str_equal_nocase(name, table->name) ||
            (ref->argument_count > 0 && table->index && tn_str_equal_nocase(name, table->index)))
            return true;
    }
    return false;
}

static enum tn_code resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err)
{
    const struct ask_sight *sight = context;
    struct engine_table_ref mine = *ref;
    if (sight->only && !is_visible(sight, ref))
        return tn_fail(err, TN_EDATASET, "%s is not among the datasets of this question", ref->name);
    for (size_t i = 0; i < sight->snapshot_count && ref->at == ENGINE_AT_NOW && ref->argument_count == 0; i++)
        if (tn_str_equal_nocase(ref->name, sight->snapshots[i].dataset) && sight->snapshots[i].snapshot_id != 0) {
            mine.at = ENGINE_AT_VERSION;
            mine.at_version = sight->snapshots[i].snapshot_id;
        }
    return sight->inner.resolve(sight->inner.context, &mine, arena, ret, err);
}

static size_t names(void *context, struct tn_arena *arena, const char *const **ret)
{
    const struct ask_sight *sight = context;
    const char **list = TN_ARENA_ARRAY(arena, const char *, sight->table_count + 1);
    for (size_t i = 0; i < sight->table_count; i++)
        list[i] = sight->tables[i].name;
    *ret = list;
    return sight->table_count;
}

/* ---- rows of a JSON text ------------------------------------------------------------------ */

bool ask_next_row(const char **at, const char *end, const char **ret_row, size_t *ret_length)
{
    const char *c = *at;
    size_t depth = 0;
    bool quoted = false;
    if (c < end && *c == '[' && (c + 1 == end || c[1] == '[' || c[1] == ']'))
        c++; /* the array's own bracket; rows begin behind it */
    while (c < end && *c != '[')
        c++;
    for (const char *begin = c; c < end; c++) {
        if (quoted) {
            if (*c == '\\' && c + 1 < end)
                c++;
            else
                quoted = *c != '"';
        } else if (*c == '"') {
            quoted = true;
        } else if (*c == '[') {
            depth++;
        } else if (*c == ']' && --depth == 0) {
            *ret_row = begin;
            *ret_length = (size_t)(c + 1 - begin);
            *at = c + 1;
            return true;
        }
    }
    return false;
}

/* Rows of a SELECT without ORDER BY come as they like. */
static void hash_rows(struct ask_result *result)
{
    struct tn_hash hash;
    uint64_t sums[2] = {0};
    const char *at = result->rows, *end = result->rows + result->rows_length, *row;
    size_t length;
    while (ask_next_row(&at, end, &row, &length))
        for (uint64_t i = 0; i < TN_COUNT(sums); i++)
            sums[i] += tn_hash64(row, length, i + 1);
    tn_hash_init(&hash);
    tn_hash_update(&hash, result->columns, strlen(result->columns));
    tn_hash_update(&hash, sums, sizeof sums);
    tn_hash_update(&hash, &result->row_count, sizeof result->row_count);
    tn_hash_final_hex(&hash, result->hash);
}

/* ---- running ------------------------------------------------------------------------------ */

static const char *columns_json(const struct engine_query *query, struct tn_arena *arena)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    engine_query_columns_json(query, &json);
    return tn_arena_strndup(arena, text.data, text.len);
}

static void take_tables(const struct engine_query *query, struct tn_arena *arena, struct ask_result *ret)
{
    size_t count;
    const struct engine_used_table *tables = engine_query_tables(query, &count);
    struct engine_used_table *copy = TN_ARENA_ARRAY(arena, struct engine_used_table, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = tables[i];
        copy[i].name = tn_arena_strdup(arena, tables[i].name);
        copy[i].version = tn_arena_strdup(arena, tables[i].version);
    }
    ret->tables = copy;
    ret->table_count = count;
}

static enum tn_code read_rows(struct engine_query *query, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_JSON_ROWS);
    bool done = false;
    tn_buf_putc(out, '[');
    while (!done && out->len < RESULT_MAX)
        TN_TRY(engine_writer_fill(writer, (size_t)64 << 10, out, &done, err));
    if (out->data[out->len - 1] == ',')
        out->len--;
    tn_buf_putc(out, ']');
    return TN_OK;
}

enum tn_code ask_run(struct engine *engine, const struct ask_sight *sight, const struct ask_limits *limits,
                     const char *sql, struct tn_arena *arena, struct ask_result *ret, struct tn_error *err)
{
    struct ask_sight mine = *sight;
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_AUTO_BUF rows = {0};
    const struct engine_query_options options = {
        .sql = sql,
        .sql_length = strlen(sql),
        .timeout_ms = limits->timeout_ms,
        .row_limit = limits->rows,
        .cancel = limits->cancel,
        .resolver = {.context = &mine, .resolve = resolve, .names = names},
    };
    TN_TRY(engine_query_start(engine, &options, &query, err));
    TN_TRY(read_rows(query, &rows, err));
    struct ask_result made = {.columns = columns_json(query, arena),
                              .rows = tn_arena_strndup(arena, rows.data, rows.len),
                              .rows_length = rows.len,
                              .row_count = engine_query_rows(query),
                              .truncated = engine_query_truncated(query) || rows.len > RESULT_MAX};
    take_tables(query, arena, &made);
    hash_rows(&made);
    *ret = made;
    return TN_OK;
}

/* ---- comparing ------------------------------------------------------------------------------ */

struct row {
    const char *text;
    size_t length;
};

static int by_text(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = memcmp(x->text, y->text, TN_MIN(x->length, y->length));
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static struct row *sorted(const struct ask_result *result, size_t *ret_count)
{
    struct row *rows = NULL;
    size_t count = 0, capacity = 0, length;
    const char *at = result->rows, *end = result->rows + result->rows_length, *text;
    while (ask_next_row(&at, end, &text, &length)) {
        TN_GROW(rows, count, capacity);
        rows[count++] = (struct row){text, length};
    }
    if (count > 0)
        qsort(rows, count, sizeof *rows, by_text);
    *ret_count = count;
    return rows;
}

/* The rows that only one of the two has. */
struct difference {
    uint64_t count;
    struct tn_buf told; /* some of them, as the inside of a JSON array */
};

static void differ(struct difference *difference, const struct row *row)
{
    if (difference->count < ROWS_TOLD) {
        if (difference->count > 0)
            tn_buf_putc(&difference->told, ',');
        tn_buf_append(&difference->told, row->text, row->length);
    }
    difference->count++;
}

static void write_difference(const char *name, const char *list, struct difference *difference, struct tn_json *out)
{
    tn_json_ki64(out, name, (int64_t)difference->count);
    tn_json_key(out, list);
    tn_json_open(out, '[');
    if (difference->told.len > 0)
        tn_json_raw(out, difference->told.data, difference->told.len);
    tn_json_close(out, ']');
    tn_buf_release(&difference->told);
}

void ask_compare(const struct ask_result *then, const struct ask_result *now, struct tn_json *out)
{
    size_t then_count, now_count, i = 0, k = 0;
    TN_AUTO_FREE struct row *a = sorted(then, &then_count);
    TN_AUTO_FREE struct row *b = sorted(now, &now_count);
    struct difference came = {0}, left = {0};
    while (i < then_count || k < now_count) {
        int order = i == then_count ? 1 : k == now_count ? -1 : by_text(&a[i], &b[k]);
        if (order < 0)
            differ(&left, &a[i++]);
        else if (order > 0)
            differ(&came, &b[k++]);
        else
            i++, k++;
    }
    tn_json_open(out, '{');
    tn_json_kbool(out, "same", came.count == 0 && left.count == 0);
    tn_json_ki64(out, "then", (int64_t)then->row_count);
    tn_json_ki64(out, "now", (int64_t)now->row_count);
    write_difference("came", "came_rows", &came, out);
    write_difference("left", "left_rows", &left, out);
    tn_json_close(out, '}');
}
