/* tarn ask. */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"

#include <inttypes.h>

static const char *text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text ? text : "";
}

static enum tn_code request_of(const struct cli_args *args, json_t *body, struct tn_error *err)
{
    const char *model = cli_args_text(args, "model", NULL);
    int64_t limit = 0;
    (void)json_object_set_new(body, "question", json_string(args->words[0]));
    if (model)
        (void)json_object_set_new(body, "model", json_string(model));
    json_t *names = cli_names(cli_args_text(args, "dataset", NULL));
    if (json_array_size(names) > 0)
        (void)json_object_set(body, "datasets", names);
    json_decref(names);
    if (cli_args_has(args, "limit")) {
        TN_TRY(cli_args_i64(args, "limit", 1, INT64_MAX, 0, &limit, err));
        (void)json_object_set_new(body, "limit", json_integer(limit));
    }
    return TN_OK;
}

static void draw_rows(const struct cli *cli, const json_t *columns, const json_t *rows, struct tn_buf *out)
{
    size_t count = json_array_size(columns), i, k;
    const json_t *column, *row;
    TN_CLEANUP(table_free_p) struct table *table = table_new(count);
    json_array_foreach(columns, i, column)
        table_header(table, i, text_of(column, "name"), table_type_is_number(text_of(column, "type")));
    json_array_foreach(rows, k, row) for (i = 0; i < count; i++)
        table_cell_json(table, json_array_get(row, i), text_of(json_array_get(columns, i), "type"));
    const struct table_style style = {.width = term_width(), .colour = cli->term.colour_out, .utf8 = cli->term.utf8};
    table_draw(table, style, out);
}

static void put_csv(const json_t *columns, const json_t *rows, struct tn_buf *out)
{
    size_t count = json_array_size(columns), i, k;
    const json_t *column, *row;
    json_array_foreach(columns, i, column)
    {
        const char *name = text_of(column, "name");
        if (i > 0)
            tn_buf_putc(out, ',');
        cli_put_csv(out, name, strlen(name));
    }
    tn_buf_putc(out, '\n');
    json_array_foreach(rows, k, row)
    {
        for (i = 0; i < count; i++) {
            TN_AUTO_BUF text = {0};
            if (i > 0)
                tn_buf_putc(out, ',');
            if (table_json_text(json_array_get(row, i), text_of(json_array_get(columns, i), "type"), &text))
                cli_put_csv(out, text.data ? text.data : "", text.len);
        }
        tn_buf_putc(out, '\n');
    }
}

/* Rows to standard output; what they mean and how they were found beside them. */
static enum tn_code print_answer(struct cli *cli, const json_t *answer, struct tn_error *err)
{
    TN_AUTO_BUF out = {0};
    const json_t *columns = json_object_get(answer, "columns"), *rows = json_object_get(answer, "rows"), *warning;
    size_t i;
    if (json_is_true(json_object_get(answer, "refused"))) {
        cli_note(cli, "no answer: %s", text_of(answer, "reason"));
        cli->exit_status = 1;
        return TN_OK;
    }
    if (cli->term.out_tty)
        draw_rows(cli, columns, rows, &out);
    else
        put_csv(columns, rows, &out);
    TN_TRY(cli_print(cli, &out, err));
    if (json_is_true(json_object_get(answer, "truncated")))
        cli_note(cli, "there are more rows; --limit says how many to show");
    cli_note(cli, "%s", text_of(answer, "sentence"));
    cli_note(cli, "\n%s\n", text_of(answer, "sql"));
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
        cli_note(cli, "%s", json_string_value(warning));
    cli_note(cli, "%s, answer %s", text_of(answer, "model"), text_of(answer, "answer_id"));
    return TN_OK;
}

enum tn_code cmd_ask(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    struct client *client;
    TN_TRY(request_of(args, body, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(client_json(client, "POST", "/ask", body, &answer, err));
    return cli->json ? cli_print_json(cli, answer, err) : print_answer(cli, answer, err);
}
