/* One query and its result (see query.h). */
#include "cli/query.h"

#include "cli/table.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const mode_names[] = {"table", "csv", "ndjson", "json"};
static const char *const mode_media[] = {"application/json", "text/csv", "application/x-ndjson", "application/json"};

enum tn_code query_mode_parse(const char *word, enum query_mode *ret, struct tn_error *err)
{
    for (size_t i = 0; i < TN_COUNT(mode_names); i++)
        if (tn_streq(word, mode_names[i])) {
            *ret = (enum query_mode)i;
            return TN_OK;
        }
    enum tn_code code = tn_fail(err, TN_EUSAGE, "there is no mode \"%s\"", word);
    tn_error_hint(err, "table, csv, ndjson or json");
    return code;
}

const char *query_mode_name(enum query_mode mode)
{
    return mode_names[mode];
}

static void interrupt_gently(int number)
{
    (void)number;
    client_interrupt();
}

static void interrupt_once(int number)
{
    if (client_interrupted())
        _exit(130);
    interrupt_gently(number);
}

void query_catch_interrupts(bool second_ends)
{
    struct sigaction action = {.sa_handler = second_ends ? interrupt_once : interrupt_gently};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

json_t *query_param(const char *text)
{
    json_t *value = NULL;
    if (tn_json_parse(text, strlen(text), 1 << 20, "parameter", &value, NULL) == TN_OK) {
        if (!json_is_object(value) && !json_is_array(value))
            return value;
        json_decref(value);
    }
    json_t *plain = json_string(text);
    return plain ? plain : json_null();
}

void query_excerpt(const char *sql, int line, int column, struct tn_buf *out)
{
    for (int at = 1; at < line && sql; at++) {
        sql = strchr(sql, '\n');
        sql = sql ? sql + 1 : NULL;
    }
    if (!sql || line < 1 || column < 1)
        return;
    size_t length = strcspn(sql, "\n"), mark = 0;
    for (int skip = 1; mark < length && skip < column; skip++) {
        mark++;
        while (mark < length && ((unsigned char)sql[mark] & 0xC0) == 0x80)
            mark++;
    }
    /* Of a long line, the surroundings. */
    size_t from = mark > 60 ? tn_utf8_floor(sql, length, mark - 60) : 0;
    size_t to = length - from > 120 ? from + tn_utf8_floor(sql + from, length - from, 120) : length;
    TN_AUTO_BUF before = {0}, after = {0};
    term_put_safe(&before, sql + from, mark - from);
    term_put_safe(&after, sql + mark, to > mark ? to - mark : 0);
    const char *shown = before.len ? before.data : "";
    tn_buf_printf(out, "      %s%s\n      %*s^", shown, after.len ? after.data : "",
                  (int)tn_utf8_width(shown, before.len), "");
}

/* ---- tables --------------------------------------------------------------------- */

static const char *column_type(const json_t *columns, size_t at)
{
    return json_string_value(json_object_get(json_array_get(columns, at), "type"));
}

static void draw(const struct cli *cli, const json_t *answer, const struct query_output *output, struct tn_buf *out)
{
    const json_t *columns = json_object_get(answer, "columns"), *rows = json_object_get(answer, "rows");
    size_t count = json_array_size(columns);
    TN_CLEANUP(table_free_p) struct table *table = table_new(count);
    for (size_t c = 0; c < count; c++) {
        const char *name = json_string_value(json_object_get(json_array_get(columns, c), "name"));
        table_header(table, c, name ? name : "", table_type_is_number(column_type(columns, c)));
    }
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (size_t c = 0; c < count; c++) {
            const json_t *value = json_array_get(json_array_get(rows, r), c);
            if (value)
                table_cell_json(table, value, column_type(columns, c));
            else
                table_cell(table, NULL);
        }
    struct table_style style = {.width = output->terminal ? term_width() : 0,
                                .colour = output->terminal && cli->term.colour_out,
                                .utf8 = cli->term.utf8};
    table_draw(table, style, out);
}

static void put_elapsed(struct tn_buf *out, uint64_t elapsed_ns)
{
    double ms = (double)elapsed_ns / 1e6;
    if (ms < 1000)
        tn_buf_printf(out, "%.1f ms", ms);
    else
        tn_buf_printf(out, "%.2f s", ms / 1000);
}

static void put_footer(const struct cli *cli, const json_t *answer, const struct query_output *output,
                       uint64_t elapsed_ns, struct tn_buf *out)
{
    size_t rows = json_array_size(json_object_get(answer, "rows"));
    char count[32];
    const char *dim = output->terminal && cli->term.colour_out ? "\033[2m" : "", *normal = *dim ? "\033[0m" : "";
    (void)tn_format_count((int64_t)rows, count);
    if (json_is_true(json_object_get(answer, "truncated")))
        tn_buf_printf(out, "%s(the first %s rows; a larger limit shows more, and piped output has all)%s\n", dim,
                      count, normal);
    if (!output->timing)
        return;
    tn_buf_printf(out, "%s%s row%s in ", dim, count, rows == 1 ? "" : "s");
    put_elapsed(out, elapsed_ns);
    tn_buf_printf(out, "%s\n", normal);
}

/* ---- sending -------------------------------------------------------------------------- */

struct sink {
    struct cli *cli;
    int fd;
    char last; /* so that a result ends in a line break */
};

static enum tn_code write_piece(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    struct sink *sink = context;
    if (count > 0)
        sink->last = bytes[count - 1];
    return cli_write(sink->cli, sink->fd, bytes, count, err);
}

static enum tn_code stream(struct cli *cli, struct client *client, struct client_request *request,
                           const struct query_output *output, uint64_t started_ns, struct tn_error *err)
{
    struct sink sink = {.cli = cli, .fd = output->fd, .last = '\n'};
    CLIENT_AUTO_REPLY reply = {0};
    request->sink = write_piece;
    request->sink_context = &sink;
    TN_TRY(client_send(client, request, &reply, err));
    if (sink.last != '\n')
        TN_TRY(cli_write(cli, output->fd, "\n", 1, err));
    if (output->timing) {
        TN_AUTO_BUF text = {0};
        put_elapsed(&text, tn_mono_ns() - started_ns);
        cli_note(cli, "in %s", text.data);
    }
    return TN_OK;
}

static enum tn_code answer(struct cli *cli, struct client *client, struct client_request *request,
                           const struct query_output *output, struct tn_error *err)
{
    uint64_t started = tn_mono_ns();
    request->accept = mode_media[output->mode];
    if (output->mode != QUERY_TABLE)
        return stream(cli, client, request, output, started, err);
    CLIENT_AUTO_REPLY reply = {0};
    TN_TRY(client_send(client, request, &reply, err));
    uint64_t elapsed = tn_mono_ns() - started;
    TN_AUTO_JSON *document = NULL;
    TN_TRY(tn_json_parse_zeros(reply.body.data ? reply.body.data : "", reply.body.len, (size_t)1 << 30,
                         "the server's answer", &document, err));
    TN_AUTO_BUF text = {0};
    draw(cli, document, output, &text);
    put_footer(cli, document, output, elapsed, &text);
    return cli_write(cli, output->fd, text.data ? text.data : "", text.len, err);
}

static void write_body(const char *sql, const struct query_output *output, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "sql", sql);
    if (output->params && json_array_size(output->params) > 0) {
        TN_AUTO_BUF params = {0};
        tn_json_dump(output->params, &params);
        tn_json_key(&json, "params");
        tn_json_raw(&json, params.data, params.len);
    }
    if (output->as_of)
        tn_json_kstr(&json, "as_of", output->as_of);
    if (output->limit > 0 || output->mode == QUERY_TABLE)
        tn_json_ki64(&json, "limit", output->limit > 0 ? output->limit : QUERY_PAGE);
    if (output->timeout_ms > 0)
        tn_json_ki64(&json, "timeout_ms", output->timeout_ms);
    tn_json_close(&json, '}');
}

enum tn_code query_run(struct cli *cli, struct client *client, const char *sql, const struct query_output *output,
                       struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error scratch = {0};
    err = err ? err : &scratch;
    char id[TN_UUID_TEXT];
    TN_AUTO_BUF body = {0};
    (void)tn_uuid7(id);
    write_body(sql, output, &body);
    struct client_request request = {.method = "POST",
                                     .path = "/query/sql",
                                     .body = body.data,
                                     .body_length = body.len,
                                     .request_id = id,
                                     .cancel_path = client_path(arena, "/query/", id, NULL)};
    cli->excerpt = NULL;
    enum tn_code code = answer(cli, client, &request, output, err);
    if ((code == TN_ESQL || code == TN_ESQLREFUSED) && err->line > 0) {
        TN_AUTO_BUF text = {0};
        query_excerpt(sql, err->line, err->column, &text);
        if (text.len)
            cli->excerpt = tn_arena_strdup(cli->arena, text.data);
    }
    return code;
}
