/* What commands print: text, lists, errors. */
#include "cli/cli.h"

#include "cli/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum tn_code cli_write(struct cli *cli, int fd, const char *bytes, size_t count, struct tn_error *err)
{
    errno = 0;
    enum tn_code code = tn_write_all(fd, bytes, count, fd == STDOUT_FILENO ? "standard output" : "the output", err);
    if (code != TN_OK && errno == EPIPE)
        cli->pipe_closed = true;
    return code;
}

enum tn_code cli_print(struct cli *cli, const struct tn_buf *text, struct tn_error *err)
{
    return text->len ? cli_write(cli, STDOUT_FILENO, text->data, text->len, err) : TN_OK;
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    if (cli->quiet)
        return;
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    (void)fprintf(stderr, "%s\n", text.data);
}

static void print_error_json(const struct tn_error *error)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "code", tn_code_word(error->code));
    tn_json_kstr(&json, "title", tn_code_title(error->code));
    tn_json_kstr(&json, "detail", error->detail);
    if (error->hint[0])
        tn_json_kstr(&json, "hint", error->hint);
    if (error->line > 0) {
        tn_json_ki64(&json, "line", error->line);
        tn_json_ki64(&json, "column", error->column);
    }
    tn_json_close(&json, '}');
    (void)fprintf(stderr, "%s\n", text.data);
}

/* Lines of detail may be many (schema differences): control characters other
 * than line breaks become visible. */
static void put_lines(struct tn_buf *out, const char *text, const char *indent)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        term_put_safe(out, text, length);
        text += length;
        if (*text == '\n' && *++text)
            tn_buf_printf(out, "\n%s", indent);
    }
}

void cli_error_print(const struct cli *cli, const struct tn_error *error)
{
    if (cli->json) {
        print_error_json(error);
        return;
    }
    bool colour = cli->term.colour_err;
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text, "%starn: %s", colour ? "\033[31m" : "", colour ? "\033[0m" : "");
    put_lines(&text, error->detail[0] ? error->detail : tn_code_title(error->code), "      ");
    if (cli->excerpt)
        tn_buf_printf(&text, "\n%s", cli->excerpt);
    if (error->hint[0]) {
        tn_buf_puts(&text, "\n      ");
        put_lines(&text, error->hint, "      ");
    }
    (void)fprintf(stderr, "%s\n", text.data);
}

void cli_put_csv(struct tn_buf *out, const char *text, size_t length)
{
    if (!memchr(text, '"', length) && !memchr(text, ',', length) && !memchr(text, '\n', length) &&
        !memchr(text, '\r', length)) {
        tn_buf_append(out, text, length);
        return;
    }
    tn_buf_putc(out, '"');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            tn_buf_putc(out, '"');
        tn_buf_putc(out, text[i]);
    }
    tn_buf_putc(out, '"');
}

const json_t *cli_json_at(const json_t *object, const char *path)
{
    while (object) {
        size_t length = strcspn(path, ".");
        object = json_object_getn(object, path, length);
        if (!path[length])
            break;
        path += length + 1;
    }
    return object;
}

/* "2026-11-21T01:02:03.456Z" -> "2026-11-21 01:02:03", which is UTC too. */
static void put_time(struct tn_buf *out, const char *text)
{
    size_t at = out->len;
    tn_buf_append(out, text, TN_MIN(strlen(text), 19));
    if (out->len - at > 10 && out->data[at + 10] == 'T')
        out->data[at + 10] = ' ';
}

static void put_look(struct tn_buf *out, const json_t *value, enum cli_look look)
{
    char text[32];
    if (json_is_integer(value) && look == CLI_COUNT)
        tn_buf_puts(out, tn_format_count(json_integer_value(value), text));
    else if (json_is_integer(value) && look == CLI_BYTES && json_integer_value(value) >= 0)
        tn_buf_puts(out, tn_format_size((uint64_t)json_integer_value(value), text));
    else if (json_is_string(value) && look == CLI_TIME)
        put_time(out, json_string_value(value));
    else if (value)
        (void)table_json_text(value, NULL, out);
}

static void draw_items(struct cli *cli, const json_t *items, const struct cli_column *columns, size_t count,
                       struct tn_buf *out)
{
    TN_CLEANUP(table_free_p) struct table *table = table_new(count);
    for (size_t c = 0; c < count; c++)
        table_header(table, c, columns[c].title, columns[c].look == CLI_COUNT || columns[c].look == CLI_BYTES);
    for (size_t i = 0; i < json_array_size(items); i++)
        for (size_t c = 0; c < count; c++) {
            TN_AUTO_BUF cell = {0};
            put_look(&cell, cli_json_at(json_array_get(items, i), columns[c].key), columns[c].look);
            table_cell_n(table, cell.len ? cell.data : "", cell.len);
        }
    struct table_style style = {.width = term_width(), .colour = cli->term.colour_out, .utf8 = cli->term.utf8};
    table_draw(table, style, out);
}

static void list_items(const json_t *items, const struct cli_column *columns, size_t count, struct tn_buf *out)
{
    for (size_t c = 0; c < count; c++)
        tn_buf_printf(out, "%s%s", c ? "," : "", columns[c].title);
    tn_buf_putc(out, '\n');
    for (size_t i = 0; i < json_array_size(items); i++) {
        for (size_t c = 0; c < count; c++) {
            TN_AUTO_BUF cell = {0};
            const json_t *value = cli_json_at(json_array_get(items, i), columns[c].key);
            if (value)
                (void)table_json_text(value, NULL, &cell);
            tn_buf_puts(out, c ? "," : "");
            cli_put_csv(out, cell.len ? cell.data : "", cell.len);
        }
        tn_buf_putc(out, '\n');
    }
}

enum tn_code cli_print_items(struct cli *cli, const json_t *items, const struct cli_column *columns, size_t count,
                             const char *nothing, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    if (cli->json) {
        for (size_t i = 0; i < json_array_size(items); i++) {
            tn_json_dump(json_array_get(items, i), &text);
            tn_buf_putc(&text, '\n');
        }
    } else if (!cli->term.out_tty) {
        list_items(items, columns, count, &text);
    } else if (json_array_size(items) == 0) {
        cli_note(cli, "%s", nothing);
    } else {
        draw_items(cli, items, columns, count, &text);
    }
    return cli_print(cli, &text, err);
}

enum tn_code cli_print_json(struct cli *cli, const json_t *value, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    tn_json_dump(value, &text);
    tn_buf_putc(&text, '\n');
    return cli_print(cli, &text, err);
}

enum tn_code cli_fetch_items(struct client *client, struct tn_arena *arena, const char *path, json_t **ret,
                             struct tn_error *err)
{
    TN_AUTO_JSON *all = json_array();
    const char *cursor = NULL;
    TN_AUTO_FREE char *kept = NULL;
    do {
        const char *where =
            cursor ? client_path(arena, path, "", strchr(path, '?') ? "&cursor=" : "?cursor=", cursor, NULL) : path;
        TN_AUTO_JSON *page = NULL;
        TN_TRY(client_json(client, "GET", where, NULL, &page, err));
        const json_t *items = json_is_array(page) ? page : json_object_get(page, "items");
        if (!json_is_array(items))
            return tn_fail(err, TN_EINTERNAL, "%s: the answer is no list", path);
        for (size_t i = 0; i < json_array_size(items); i++)
            (void)json_array_append(all, json_array_get(items, i));
        const char *next = json_string_value(json_object_get(page, "next_cursor"));
        free(kept);
        kept = next ? tn_strdup(next) : NULL;
        cursor = kept;
    } while (cursor);
    *ret = TN_TAKE(all);
    return TN_OK;
}
