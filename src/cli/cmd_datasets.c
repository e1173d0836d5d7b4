/* tarn datasets, describe, sample, snapshots, drop, rejects. */
#include "cli/query.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct cli_column list_columns[] = {
    {"name", "name", CLI_TEXT},        {"rows", "rows", CLI_COUNT},         {"size", "bytes", CLI_BYTES},
    {"columns", "columns", CLI_COUNT}, {"updated", "updated_at", CLI_TIME}, {"description", "description", CLI_TEXT},
};

static const struct cli_column schema_columns[] = {
    {"column", "name", CLI_TEXT},
    {"type", "type", CLI_TEXT},
    {"nullable", "nullable", CLI_TEXT},
    {"original name", "original_name", CLI_TEXT},
    {"description", "description", CLI_TEXT},
};

static const struct cli_column snapshot_columns[] = {
    {"snapshot", "snapshot_id", CLI_TEXT}, {"committed", "committed_at", CLI_TIME},
    {"operation", "operation", CLI_TEXT},  {"added", "added_rows", CLI_COUNT},
    {"rows", "total_rows", CLI_COUNT},     {"source", "source", CLI_TEXT},
    {"actor", "actor", CLI_TEXT},          {"reason", "reason", CLI_TEXT},
};

static const struct cli_column lineage_columns[] = {
    {"committed", "committed_at", CLI_TIME},  {"source", "source", CLI_TEXT},      {"rows", "rows", CLI_COUNT},
    {"rejected", "rejected_rows", CLI_COUNT}, {"size", "source_bytes", CLI_BYTES}, {"actor", "actor", CLI_TEXT},
    {"ingest", "ingest_id", CLI_TEXT},
};

static const struct cli_column reject_columns[] = {
    {"line", "line", CLI_TEXT},
    {"column", "column", CLI_TEXT},
    {"value", "value", CLI_TEXT},
    {"reason", "reason", CLI_TEXT},
};

/* ---- datasets ----------------------------------------------------------------------- */

/* "" removes: null in the request. */
static void set_field(json_t *patch, const struct cli_args *args, const char *name)
{
    const char *text = cli_args_text(args, name, NULL);
    if (text)
        (void)json_object_set_new(patch, name, *text ? json_string(text) : json_null());
}

static void set_tags(json_t *patch, const char *text)
{
    json_t *tags = json_array();
    for (const char *p = text; *p;) {
        size_t length = strcspn(p, ","), from = strspn(p, " "), to = length;
        while (to > from && p[to - 1] == ' ')
            to--;
        if (to > from)
            (void)json_array_append_new(tags, json_stringn(p + from, to - from));
        p += length + (p[length] == ',');
    }
    (void)json_object_set_new(patch, "tags", tags);
}

static enum tn_code set_auto_embed(json_t *patch, const struct cli_args *args, struct tn_error *err)
{
    const char *text = cli_args_text(args, "auto-embed", NULL);
    if (!text)
        return TN_OK;
    if (*text && !tn_streq(text, "true") && !tn_streq(text, "false"))
        return tn_fail(err, TN_EUSAGE, "--auto-embed is true, false or \"\", not \"%.40s\"", text);
    (void)json_object_set_new(patch, "auto_embed", *text ? json_boolean(tn_streq(text, "true")) : json_null());
    return TN_OK;
}

static enum tn_code dataset_set(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *patch = json_object(), *answer = NULL;
    set_field(patch, args, "description");
    set_field(patch, args, "owner");
    set_field(patch, args, "sensitivity");
    TN_TRY(set_auto_embed(patch, args, err));
    if (cli_args_has(args, "tags"))
        set_tags(patch, cli_args_text(args, "tags", ""));
    if (json_object_size(patch) == 0) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "nothing to set");
        tn_error_hint(err, "give --description, --owner, --tags, --sensitivity or --auto-embed");
        return code;
    }
    set_field(patch, args, "reason");
    struct client *client;
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = client_path(cli->arena, "/catalog/datasets/", args->words[1], NULL);
    TN_TRY(client_json(client, "PATCH", path, patch, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s: noted", args->words[1]);
    return TN_OK;
}

enum tn_code cmd_datasets(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    if (args->word_count > 0) {
        if (args->word_count == 2 && tn_streq(args->words[0], "set"))
            return dataset_set(cli, args, err);
        enum tn_code code = tn_fail(err, TN_EUSAGE, "tarn datasets %s: not understood", args->words[0]);
        tn_error_hint(err, "`tarn datasets` lists, `tarn datasets set DATASET --description ...` describes; "
                           "for one dataset there is `tarn describe DATASET`");
        return code;
    }
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(cli_fetch_items(client, cli->arena, "/catalog/datasets", &items, err));
    return cli_print_items(cli, items, list_columns, TN_COUNT(list_columns),
                           "No datasets yet: tarn ingest FILE brings one.", err);
}

/* ---- describe ----------------------------------------------------------------------- */

static void put_fact(struct tn_buf *out, const char *label, const json_t *about, const char *key)
{
    const json_t *value = json_object_get(about, key);
    TN_AUTO_BUF text = {0};
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const char *word = json_string_value(json_array_get(value, i));
            tn_buf_printf(&text, "%s%s", i ? ", " : "", word ? word : "");
        }
    } else if (value) {
        (void)table_json_text(value, NULL, &text);
    }
    if (text.len == 0)
        return;
    tn_buf_printf(out, "  %-12s ", label);
    term_put_safe(out, text.data, text.len);
    tn_buf_putc(out, '\n');
}

static int64_t count_at(const json_t *about, const char *key)
{
    return json_integer_value(json_object_get(about, key));
}

static void put_facts(const json_t *about, struct tn_buf *out)
{
    char rows[32], bytes[32];
    int64_t size = json_integer_value(json_object_get(about, "bytes"));
    tn_buf_printf(out, "%s: %s row%s, %s in %" PRId64 " file%s, %" PRId64 " snapshot%s\n",
                  json_string_value(json_object_get(about, "name")), tn_format_count(count_at(about, "rows"), rows),
                  tn_plural(count_at(about, "rows")), tn_format_size(size > 0 ? (uint64_t)size : 0, bytes),
                  count_at(about, "files"), tn_plural(count_at(about, "files")), count_at(about, "snapshots"),
                  tn_plural(count_at(about, "snapshots")));
    put_fact(out, "description", about, "description");
    put_fact(out, "owner", about, "owner");
    put_fact(out, "tags", about, "tags");
    put_fact(out, "sensitivity", about, "sensitivity");
    put_fact(out, "key", about, "key");
    put_fact(out, "updated", about, "updated_at");
    put_fact(out, "location", about, "location");
    tn_buf_putc(out, '\n');
}

enum tn_code cmd_describe(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *about = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = client_path(cli->arena, "/catalog/datasets/", args->words[0], NULL);
    TN_TRY(client_json(client, "GET", path, NULL, &about, err));
    if (cli->json)
        return cli_print_json(cli, about, err);
    const json_t *schema = json_object_get(about, "schema"), *lineage = json_object_get(about, "lineage");
    if (!cli->term.out_tty)
        return cli_print_items(cli, schema, schema_columns, TN_COUNT(schema_columns), "", err);
    TN_AUTO_BUF text = {0};
    put_facts(about, &text);
    TN_TRY(cli_print(cli, &text, err));
    TN_TRY(cli_print_items(cli, schema, schema_columns, TN_COUNT(schema_columns), "no columns", err));
    if (json_array_size(lineage) == 0)
        return TN_OK;
    TN_TRY(cli_write(cli, STDOUT_FILENO, "\n", 1, err));
    return cli_print_items(cli, lineage, lineage_columns, TN_COUNT(lineage_columns), "", err);
}

/* ---- sample, snapshots, drop ------------------------------------------------------------ */

enum tn_code cmd_sample(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *mode = cli_args_text(args, "mode", NULL);
    struct query_output output = {.fd = STDOUT_FILENO, .terminal = cli->term.out_tty};
    output.mode = cli->json ? QUERY_NDJSON : output.terminal ? QUERY_TABLE : QUERY_CSV;
    if (mode)
        TN_TRY(query_mode_parse(mode, &output.mode, err));
    TN_TRY(cli_args_i64(args, "limit", 1, 1000000, 10, &output.limit, err));
    struct client *client;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT * FROM ");
    tn_buf_put_sql_name(&sql, args->words[0]);
    tn_buf_printf(&sql, " LIMIT %" PRId64, output.limit);
    query_catch_interrupts(true);
    return query_run(cli, client, sql.data, &output, err);
}

enum tn_code cmd_snapshots(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    int64_t limit;
    TN_TRY(cli_args_i64(args, "limit", 1, 10000, 0, &limit, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = client_path(cli->arena, "/catalog/datasets/", args->words[0], "/snapshots", NULL);
    TN_TRY(cli_fetch_some(client, cli, path, limit, &items, err));
    return cli_print_items(cli, items, snapshot_columns, TN_COUNT(snapshot_columns), "no snapshots yet", err);
}

static enum tn_code confirm(struct cli *cli, const char *dataset, struct tn_error *err)
{
    if (!isatty(STDIN_FILENO) || !cli->term.err_tty) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "drop %s: not without being asked", dataset);
        tn_error_hint(err, "give --yes when nobody is there to answer");
        return code;
    }
    char answer[16] = "";
    (void)fprintf(stderr, "Drop the dataset %s? [y/N] ", dataset);
    if (!fgets(answer, sizeof answer, stdin) || (answer[0] | 0x20) != 'y')
        return tn_fail(err, TN_ECANCELLED, "%s stays", dataset);
    return TN_OK;
}

enum tn_code cmd_drop(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    if (!cli_args_has(args, "yes"))
        TN_TRY(confirm(cli, args->words[0], err));
    TN_TRY(cli_connect(cli, false, &client, err));
    char *path = client_path(cli->arena, "/catalog/datasets/", args->words[0], NULL);
    cli_add_query(cli, &path, "reason", cli_args_text(args, "reason", NULL));
    TN_TRY(client_json(client, "DELETE", path, NULL, &answer, err));
    if (cli->json && answer && !json_is_null(answer))
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s: dropped; its files are still in the lake's folder", args->words[0]);
    return TN_OK;
}

/* ---- rejects ----------------------------------------------------------------------------- */

struct rejects {
    struct cli *cli;
    struct tn_buf line;
    json_t *shown; /* the first ones */
    int64_t count;
};

static void take_reject(struct rejects *rejects, const char *line, size_t length)
{
    json_t *item = NULL;
    if (length == 0)
        return;
    rejects->count++;
    if (json_array_size(rejects->shown) < QUERY_PAGE &&
        tn_json_parse_zeros(line, length, 64 << 20, "rejected row", &item, NULL) == TN_OK)
        (void)json_array_append_new(rejects->shown, item);
}

static enum tn_code take_rejects(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    struct rejects *rejects = context;
    (void)err;
    tn_buf_append(&rejects->line, bytes, count);
    size_t at = 0;
    for (const char *end; (end = memchr(rejects->line.data + at, '\n', rejects->line.len - at));) {
        size_t stop = (size_t)(end - rejects->line.data);
        take_reject(rejects, rejects->line.data + at, stop - at);
        at = stop + 1;
    }
    tn_buf_consume(&rejects->line, at);
    return TN_OK;
}

static enum tn_code pass_rejects(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    return cli_write(context, STDOUT_FILENO, bytes, count, err);
}

enum tn_code cmd_rejects(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_AUTO_JSON *shown = json_array();
    CLIENT_AUTO_REPLY reply = {0};
    struct rejects rejects = {.cli = cli, .shown = shown};
    bool table = cli->term.out_tty && !cli->json;
    struct client_request request = {.method = "GET",
                                     .path = client_path(cli->arena, "/ingest/", args->words[0], "/rejects", NULL),
                                     .accept = "application/x-ndjson",
                                     .sink = table ? take_rejects : pass_rejects,
                                     .sink_context = table ? (void *)&rejects : (void *)cli};
    enum tn_code code = client_send(client, &request, &reply, err);
    if (code == TN_OK && table) {
        take_reject(&rejects, rejects.line.data, rejects.line.len);
        code = cli_print_items(cli, shown, reject_columns, TN_COUNT(reject_columns), "no rejected rows", err);
    }
    if (rejects.count > QUERY_PAGE)
        cli_note(cli, "(the first %d of %" PRId64 " rejected rows; pipe for all)", QUERY_PAGE, rejects.count);
    tn_buf_release(&rejects.line);
    return code;
}
