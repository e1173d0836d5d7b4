/* tarn ingest, tarn preview: files to the server as they are. */
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/query.h"
#include "cli/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the request ---------------------------------------------------------------------- */

/* The same words as options and as parameters, but for the dash. */
static const char *const passed_on[][2] = {
    {"types", "types"},       {"format", "format"},       {"delimiter", "delimiter"},     {"header", "header"},
    {"encoding", "encoding"}, {"mode", "mode"},           {"max-rejects", "max_rejects"}, {"key", "key"},
    {"reason", "reason"},     {"workspace", "workspace"}, {"auto-embed", "auto_embed"},
};

static char *make_path(struct cli *cli, const struct cli_args *args, const char *route, const char *dataset,
                       const char *source)
{
    char *path = tn_arena_strdup(cli->arena, route);
    bool ingest = tn_streq(route, "/ingest/file");
    cli_add_query(cli, &path, "dataset", dataset);
    cli_add_query(cli, &path, "source", cli_args_text(args, "source", source));
    for (size_t i = 0; i < (ingest ? TN_COUNT(passed_on) : 5); i++)
        cli_add_query(cli, &path, passed_on[i][1], cli_args_text(args, passed_on[i][0], NULL));
    return path;
}

struct upload {
    struct progress progress;
    int fd;
    const char *name;
    uint64_t sent;
};

static enum tn_code read_file(void *context, char *out, size_t room, size_t *ret_count, struct tn_error *err)
{
    struct upload *upload = context;
    ssize_t got;
    do
        got = read(upload->fd, out, room);
    while (got < 0 && errno == EINTR && !client_interrupted());
    if (got < 0)
        return tn_fail_errno(err, errno, "%s", upload->name);
    *ret_count = (size_t)got;
    upload->sent += (uint64_t)got;
    return TN_OK;
}

static void show_progress(void *context, uint64_t sent, bool all_sent)
{
    struct upload *upload = context;
    progress_update(&upload->progress, sent, all_sent ? "writing" : NULL);
}

static enum tn_code send_file(struct cli *cli, const char *path, const struct file_source *file, json_t **ret,
                              struct tn_error *err)
{
    struct client *client;
    TN_TRY(tn_str_starts_with(path, "/ingest/file") ? cli_connect(cli, true, &client, err)
                                                    : cli_connect_or_scratch(cli, &client, err));
    struct upload upload = {.fd = file->fd, .name = file->path};
    progress_begin(&upload.progress, &cli->term, cli->quiet || cli->json, file->name,
                   file->size > 0 ? (uint64_t)file->size : 0);
    struct client_request request = {.method = "POST",
                                     .path = path,
                                     .content_type = "application/octet-stream",
                                     .source = read_file,
                                     .source_context = &upload,
                                     .source_size = file->size,
                                     .progress = show_progress,
                                     .progress_context = &upload};
    CLIENT_AUTO_REPLY reply = {0};
    query_catch_interrupts(true);
    enum tn_code code = client_send(client, &request, &reply, err);
    progress_end(&upload.progress);
    TN_TRY(code);
    return tn_json_parse_zeros(reply.body.data ? reply.body.data : "", reply.body.len, 64 << 20,
                               "the server's answer", ret, err);
}

/* ---- what came of it --------------------------------------------------------------------- */

static int64_t number_at(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

static const char *text_at(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text ? text : "";
}

static void put_warnings(const struct cli *cli, const json_t *answer, struct tn_buf *out)
{
    const json_t *warnings = json_object_get(answer, "warnings");
    bool colour = cli->term.colour_out;
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const json_t *warning = json_array_get(warnings, i);
        const char *text = json_is_object(warning) ? text_at(warning, "message") : json_string_value(warning);
        tn_buf_printf(out, "  %swarning:%s ", colour ? "\033[33m" : "", colour ? "\033[0m" : "");
        if (text && *text)
            term_put_safe(out, text, strlen(text));
        else
            tn_json_dump(warning, out);
        tn_buf_putc(out, '\n');
    }
}

/* The names in the file where they differ. */
static bool any_renamed(const json_t *schema)
{
    for (size_t i = 0; i < json_array_size(schema); i++) {
        const json_t *column = json_array_get(schema, i);
        if (!tn_streq(text_at(column, "name"), text_at(column, "original_name")))
            return true;
    }
    return false;
}

static void put_schema(const struct cli *cli, const json_t *schema, struct tn_buf *out)
{
    bool renamed = any_renamed(schema);
    TN_CLEANUP(table_free_p) struct table *table = table_new(renamed ? 3 : 2);
    table_header(table, 0, "column", false);
    table_header(table, 1, "type", false);
    if (renamed)
        table_header(table, 2, "in the file", false);
    for (size_t i = 0; i < json_array_size(schema); i++) {
        const json_t *column = json_array_get(schema, i);
        table_cell(table, text_at(column, "name"));
        table_cell(table, text_at(column, "type"));
        if (renamed)
            table_cell(table, text_at(column, "original_name"));
    }
    struct table_style style = {
        .width = cli->term.out_tty ? term_width() : 0, .colour = cli->term.colour_out, .utf8 = cli->term.utf8};
    table_draw(table, style, out);
}

static void put_summary(const struct cli *cli, const json_t *answer, const struct file_source *file,
                        uint64_t elapsed_ns, struct tn_buf *out)
{
    char rows[32], size[32] = "", took[32];
    bool unchanged = tn_streq(text_at(answer, "status"), "unchanged");
    int64_t rejected = number_at(answer, "rejected_rows");
    (void)snprintf(took, sizeof took, "%.*f s", elapsed_ns < 100 * 1000000u ? 3 : 2, (double)elapsed_ns / 1e9);
    if (file->size > 0)
        (void)tn_format_size((uint64_t)file->size, size);
    TN_AUTO_BUF name = {0};
    term_put_safe(&name, file->name, strlen(file->name));
    if (unchanged)
        tn_buf_printf(out, "%s: unchanged, %s is there already (%s row%s)\n", text_at(answer, "dataset"),
                      name.data ? name.data : "", tn_format_count(number_at(answer, "rows"), rows),
                      tn_plural(number_at(answer, "rows")));
    else
        tn_buf_printf(out, "%s: %s row%s from %s (%s%s%s)\n", text_at(answer, "dataset"),
                      tn_format_count(number_at(answer, "rows"), rows), number_at(answer, "rows") == 1 ? "" : "s",
                      name.data ? name.data : "", size, size[0] ? " in " : "", took);
    if (!unchanged && cli->term.out_tty)
        put_schema(cli, json_object_get(answer, "schema"), out);
    put_warnings(cli, answer, out);
    const char *ingest = text_at(answer, "ingest_id");
    if (rejected > 0)
        tn_buf_printf(out, "  %s row%s rejected%s%s\n", tn_format_count(rejected, rows),
                      rejected == 1 ? " was" : "s were", *ingest ? ": tarn rejects " : "", ingest);
}

static enum tn_code ingest_one(struct cli *cli, const struct cli_args *args, const char *path, const char *dataset,
                               struct tn_error *err)
{
    TN_CLEANUP(file_close) struct file_source file = FILE_SOURCE_NONE;
    TN_AUTO_JSON *answer = NULL;
    uint64_t started = tn_mono_ns();
    TN_TRY(file_open(path, &file, err));
    if (tn_streq(path, "-") && !dataset) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "standard input has no name for a dataset");
        tn_error_hint(err, "say: tarn ingest - DATASET");
        return code;
    }
    TN_TRY(send_file(cli, make_path(cli, args, "/ingest/file", dataset, file.name), &file, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    TN_AUTO_BUF text = {0};
    put_summary(cli, answer, &file, tn_mono_ns() - started, &text);
    return cli_print(cli, &text, err);
}

/* One bad file does not keep the others out; the first error decides the exit
 * status. */
enum tn_code cmd_ingest(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *dataset = cli_args_text(args, "dataset", NULL);
    size_t words = args->word_count;
    if (words > 1 && !dataset && files_is_dataset(args->words[words - 1]))
        dataset = args->words[--words];
    bool taken = false;
    TN_TRY(cli_ingest_postgres(cli, args, &taken, err));
    if (taken)
        return TN_OK;
    TN_TRY(cli_ingest_documents(cli, args, args->words, words, dataset, &taken, err));
    if (taken)
        return TN_OK;
    struct file_list files = {0};
    TN_TRY(files_expand(cli->arena, args->words, words, &files, err));
    enum tn_code first = TN_OK;
    size_t failed = 0;
    for (size_t i = 0; i < files.count && !client_interrupted(); i++) {
        struct tn_error error = {0};
        enum tn_code code = ingest_one(cli, args, files.paths[i], dataset, &error);
        if (code == TN_OK)
            continue;
        if (files.count > 1 && code != TN_EUNREACHABLE && code != TN_EUSAGE)
            tn_error_context(&error, "%s", files.paths[i]);
        if (first == TN_OK) {
            first = code;
            *err = error;
        } else {
            cli_error_print(cli, &error);
        }
        failed++;
        if (code == TN_EUNREACHABLE || code == TN_EUSAGE || code == TN_EUNAUTHORIZED || code == TN_ECONFIG ||
            code == TN_ELOCKED || cli->pipe_closed)
            break;
    }
    if (files.count > 1)
        cli_note(cli, "%zu of %zu files are in", files.count - failed, files.count);
    return first;
}

/* ---- preview ------------------------------------------------------------------------------- */

static void put_rows(const struct cli *cli, const json_t *answer, struct tn_buf *out)
{
    const json_t *schema = json_object_get(answer, "schema"), *rows = json_object_get(answer, "rows");
    size_t count = json_array_size(schema);
    TN_CLEANUP(table_free_p) struct table *table = table_new(count);
    for (size_t c = 0; c < count; c++)
        table_header(table, c, text_at(json_array_get(schema, c), "name"),
                     table_type_is_number(text_at(json_array_get(schema, c), "type")));
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (size_t c = 0; c < count; c++) {
            const json_t *row = json_array_get(rows, r), *column = json_array_get(schema, c);
            const json_t *value =
                json_is_array(row) ? json_array_get(row, c) : json_object_get(row, text_at(column, "name"));
            if (value)
                table_cell_json(table, value, text_at(column, "type"));
            else
                table_cell(table, NULL);
        }
    struct table_style style = {
        .width = cli->term.out_tty ? term_width() : 0, .colour = cli->term.colour_out, .utf8 = cli->term.utf8};
    table_draw(table, style, out);
}

static void put_format(const json_t *answer, struct tn_buf *out)
{
    const json_t *format = json_object_get(answer, "format"), *value;
    const char *key;
    if (!json_is_object(format)) {
        tn_buf_printf(out, "format: %s\n", json_is_string(format) ? json_string_value(format) : "?");
        return;
    }
    tn_buf_puts(out, "format:");
    json_object_foreach((json_t *)(uintptr_t)format, key, value)
    {
        TN_AUTO_BUF text = {0};
        if (!table_json_text(value, NULL, &text))
            continue;
        tn_buf_printf(out, " %s=", key);
        term_put_safe(out, text.data ? text.data : "", text.len);
    }
    tn_buf_putc(out, '\n');
}

enum tn_code cmd_preview(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_CLEANUP(file_close) struct file_source file = FILE_SOURCE_NONE;
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(file_open(args->words[0], &file, err));
    const char *dataset = cli_args_text(args, "dataset", NULL);
    TN_TRY(send_file(cli, make_path(cli, args, "/ingest/preview", dataset, file.name), &file, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    TN_AUTO_BUF text = {0};
    put_format(answer, &text);
    tn_buf_putc(&text, '\n');
    put_schema(cli, json_object_get(answer, "schema"), &text);
    tn_buf_putc(&text, '\n');
    put_rows(cli, answer, &text);
    put_warnings(cli, answer, &text);
    TN_TRY(cli_print(cli, &text, err));
    cli_note(cli, "Nothing was written.");
    return TN_OK;
}
