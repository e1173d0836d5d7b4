/* tarn rows, history, journal: rows changed, and who changed them. */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/files.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const struct cli_column event_columns[] = {
    {"time", "ts", CLI_TIME},        {"dataset", "dataset", CLI_TEXT}, {"record", "entity", CLI_TEXT},
    {"what", "operation", CLI_TEXT}, {"field", "field", CLI_TEXT},     {"old", "old_value", CLI_TEXT},
    {"new", "new_value", CLI_TEXT},  {"actor", "actor", CLI_TEXT},     {"reason", "reason", CLI_TEXT},
};

static const struct cli_column history_columns[] = {
    {"time", "ts", CLI_TIME},       {"what", "operation", CLI_TEXT}, {"field", "field", CLI_TEXT},
    {"old", "old_value", CLI_TEXT}, {"new", "new_value", CLI_TEXT},  {"actor", "actor", CLI_TEXT},
    {"source", "source", CLI_TEXT}, {"reason", "reason", CLI_TEXT},  {"snapshot", "snapshot_id", CLI_TEXT},
};

/* ---- rows ------------------------------------------------------------------------- */

struct rows_action {
    const char *name, *method;
    bool keyed; /* DATASET KEY */
    bool body;
};

static const struct rows_action actions[] = {
    {"append", "POST", false, true},
    {"upsert", "PUT", false, true},
    {"patch", "PATCH", true, true},
    {"delete", "DELETE", true, false},
};

static const struct rows_action *find_action(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(actions); i++)
        if (tn_streq(actions[i].name, name))
            return &actions[i];
    return NULL;
}

static enum tn_code read_input(void *context, char *out, size_t room, size_t *ret_count, struct tn_error *err)
{
    const struct file_source *file = context;
    ssize_t got;
    do
        got = read(file->fd, out, room);
    while (got < 0 && errno == EINTR && !client_interrupted());
    if (got < 0)
        return tn_fail_errno(err, errno, "%s", file->path);
    *ret_count = (size_t)got;
    return TN_OK;
}

static enum tn_code show_counts(struct cli *cli, const char *dataset, const json_t *answer, struct tn_error *err)
{
    static const char *const words[] = {"inserted", "updated", "unchanged", "deleted"};
    if (cli->json)
        return cli_print_json(cli, answer, err);
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < TN_COUNT(words); i++) {
        int64_t count = json_integer_value(json_object_get(answer, words[i]));
        char shown[32];
        if (count > 0)
            tn_buf_printf(&text, "%s%s %s", text.len ? ", " : "", tn_format_count(count, shown), words[i]);
    }
    cli_note(cli, "%s: %s", dataset, text.len ? text.data : "nothing to change");
    return TN_OK;
}

/* The rows: what follows on the command line, a file with @, or standard input. */
static enum tn_code send_rows(struct cli *cli, const struct rows_action *action, const char *path, const char *rows,
                              json_t **ret, struct tn_error *err)
{
    struct client *client;
    CLIENT_AUTO_REPLY reply = {0};
    struct file_source file = FILE_SOURCE_NONE;
    struct client_request request = {.method = action->method, .path = path, .content_type = "application/json"};
    TN_TRY(cli_connect(cli, false, &client, err));
    if (action->body && rows && (rows[0] == '{' || rows[0] == '[')) {
        request.body = rows;
        request.body_length = strlen(rows);
    } else if (action->body) {
        TN_TRY(file_open(rows ? rows : "-", &file, err));
        request.source = read_input;
        request.source_context = &file;
        request.source_size = file.size;
    }
    enum tn_code code = client_send(client, &request, &reply, err);
    file_close(&file);
    TN_TRY(code);
    return tn_json_parse_zeros(reply.body.data, reply.body.len, (size_t)1 << 20, "the server's answer", ret, err);
}

static enum tn_code delete_where(struct cli *cli, const char *dataset, const struct cli_args *args,
                                 struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *body = json_pack("{s:s, s:s?}", "where", cli_args_text(args, "where", ""), "reason",
                                   cli_args_text(args, "reason", NULL));
    TN_AUTO_JSON *answer = NULL;
    if (!cli_args_has(args, "reason"))
        (void)json_object_del(body, "reason");
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = client_path(cli->arena, "/datasets/", dataset, "/delete", NULL);
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    return show_counts(cli, dataset, answer, err);
}

enum tn_code cmd_rows(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const struct rows_action *action = find_action(args->words[0]);
    bool where = cli_args_has(args, "where");
    size_t wanted = action && action->keyed && !where ? 3 : 2;
    if (!action || args->word_count < wanted || args->word_count > wanted + (action->body ? 1 : 0) ||
        (where && !tn_streq(action->name, "delete"))) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "tarn rows %s: not understood", args->words[0]);
        tn_error_hint(err, "rows append DATASET [ROWS], rows upsert DATASET [ROWS], rows patch DATASET KEY [FIELDS], "
                           "rows delete DATASET KEY, rows delete DATASET --where CONDITION");
        return code;
    }
    const char *dataset = args->words[1];
    if (where)
        return delete_where(cli, dataset, args, err);
    char *path = action->keyed ? client_path(cli->arena, "/datasets/", dataset, "/rows/", args->words[2], NULL)
                               : client_path(cli->arena, "/datasets/", dataset, "/rows", NULL);
    cli_add_query(cli, &path, "reason", cli_args_text(args, "reason", NULL));
    cli_add_query(cli, &path, "workspace", cli_args_text(args, "workspace", NULL));
    if (tn_streq(action->name, "upsert"))
        cli_add_query(cli, &path, "key", cli_args_text(args, "key", NULL));
    TN_AUTO_JSON *answer = NULL;
    const char *rows = args->word_count > wanted ? args->words[wanted] : NULL;
    TN_TRY(send_rows(cli, action, path, rows, &answer, err));
    return show_counts(cli, dataset, answer, err);
}

/* ---- history, journal --------------------------------------------------------------- */

enum tn_code cmd_history(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    int64_t limit;
    TN_TRY(cli_args_i64(args, "limit", 1, 10000, 0, &limit, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path =
        client_path(cli->arena, "/catalog/datasets/", args->words[0], "/history/", args->words[1], NULL);
    TN_TRY(cli_fetch_some(client, cli, path, limit, &items, err));
    return cli_print_items(cli, items, history_columns, TN_COUNT(history_columns),
                           "nothing is written down about that record", err);
}

enum tn_code cmd_journal(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    static const char *const filters[] = {"dataset", "entity", "actor", "operation", "since", "until"};
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    int64_t limit;
    TN_TRY(cli_args_i64(args, "limit", 1, 1000, 50, &limit, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    char *path = tn_arena_printf(cli->arena, "/journal?limit=%" PRId64, limit);
    for (size_t i = 0; i < TN_COUNT(filters); i++)
        cli_add_query(cli, &path, filters[i], cli_args_text(args, filters[i], NULL));
    TN_TRY(client_json(client, "GET", path, NULL, &answer, err));
    return cli_print_items(cli, json_object_get(answer, "items"), event_columns, TN_COUNT(event_columns), "no events",
                           err);
}
