/* tarn outcomes: how models did. */
#include "cli/cli.h"
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define BATCH_LINES 5000
#define INPUT_MAX   ((size_t)64 << 20) /* of one document */

static const struct cli_column model_columns[] = {
    {"model", "model_id", CLI_TEXT},         {"rate", "success_rate", CLI_TEXT},
    {"at least", "lower_bound", CLI_TEXT},   {"trials", "trials", CLI_COUNT},
    {"timeouts", "timeouts", CLI_COUNT},     {"tokens each", "average_tokens", CLI_TEXT},
    {"cost each", "average_cost", CLI_TEXT}, {"cost of a success", "cost_per_success", CLI_TEXT},
    {"last used", "last_used", CLI_TIME},
};
static const struct cli_column dashboard_columns[] = {
    {"task", "task_type", CLI_TEXT},    {"model", "model_id", CLI_TEXT},
    {"rate", "success_rate", CLI_TEXT}, {"at least", "lower_bound", CLI_TEXT},
    {"trials", "trials", CLI_COUNT},    {"tokens", "total_tokens", CLI_COUNT},
    {"cost", "total_cost", CLI_TEXT},   {"last used", "last_used", CLI_TIME},
};
static const struct cli_column day_columns[] = {
    {"day", "day", CLI_TEXT},        {"model", "model_id", CLI_TEXT},     {"attempts", "attempts", CLI_COUNT},
    {"wins", "wins", CLI_COUNT},     {"timeouts", "timeouts", CLI_COUNT}, {"rate", "success_rate", CLI_TEXT},
    {"tokens", "tokens", CLI_COUNT}, {"cost", "cost", CLI_TEXT},
};
static const struct cli_column problem_columns[] = {
    {"task", "task_type", CLI_TEXT},  {"model", "model_id", CLI_TEXT},  {"field", "field", CLI_TEXT},
    {"problem", "problem", CLI_TEXT}, {"refused", "refused", CLI_TEXT},
};

/* ---- asking ------------------------------------------------------------------------ */

struct parameter {
    const char *name, *value; /* NULL: not given */
};

static enum tn_code ask(struct cli *cli, const char *method, const char *path, const struct parameter *parameters,
                        size_t count, const json_t *body, json_t **ret, struct tn_error *err)
{
    struct client *client;
    char *full = tn_arena_strdup(cli->arena, path);
    for (size_t i = 0; i < count; i++)
        cli_add_query(cli, &full, parameters[i].name, parameters[i].value);
    TN_TRY(cli_connect(cli, false, &client, err));
    return client_json(client, method, full, body, ret, err);
}

/* Shares and money as a person reads them; programs get all digits. */
static void shorten(const struct cli *cli, json_t *items)
{
    size_t at;
    json_t *item;
    if (cli->json || !cli->term.out_tty)
        return;
    json_array_foreach(items, at, item)
    {
        const char *key;
        json_t *value;
        void *next;
        json_object_foreach_safe(item, next, key, value)
        {
            if (json_is_real(value))
                (void)json_object_set_new(item, key, json_sprintf("%.4g", json_real_value(value)));
        }
    }
}

static enum tn_code show_list(struct cli *cli, const char *path, const struct parameter *parameters, size_t count,
                              const struct cli_column *columns, size_t column_count, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(ask(cli, "GET", path, parameters, count, NULL, &answer, err));
    json_t *items = json_object_get(answer, "items");
    shorten(cli, items);
    return cli_print_items(cli, items, columns, column_count, "no outcomes that fit", err);
}

/* ---- record ------------------------------------------------------------------------- */

struct totals {
    int64_t recorded, duplicates;
};

static enum tn_code send_batch(struct cli *cli, json_t *list, struct totals *totals, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    if (json_array_size(list) == 0)
        return TN_OK;
    (void)json_object_set(body, "outcomes", list);
    TN_TRY(ask(cli, "POST", "/outcomes", NULL, 0, body, &answer, err));
    totals->recorded += json_integer_value(json_object_get(answer, "recorded"));
    totals->duplicates += json_integer_value(json_object_get(answer, "duplicates"));
    if (json_is_true(json_object_get(answer, "degraded")))
        cli_note(cli, "the server works without its SQLite file: the outcomes are safe in its log");
    (void)json_array_clear(list);
    return TN_OK;
}

static enum tn_code send_line(struct cli *cli, const char *line, size_t length, json_t *list, struct totals *totals,
                              struct tn_error *err)
{
    json_t *value = NULL;
    if (strspn(line, " \t\r") >= length)
        return TN_OK;
    TN_TRY(tn_json_parse(line, length, INPUT_MAX, "line", &value, err));
    (void)json_array_append_new(list, value);
    return json_array_size(list) >= BATCH_LINES ? send_batch(cli, list, totals, err) : TN_OK;
}

static enum tn_code fill_buffer(int fd, const char *path, struct tn_buf *buf, bool *ret_end, struct tn_error *err)
{
    ssize_t got;
    char *room = tn_buf_reserve(buf, 65536);
    do
        got = read(fd, room, 65536);
    while (got < 0 && errno == EINTR && !client_interrupted());
    if (got < 0)
        return tn_fail_errno(err, errno, "%s", path);
    buf->len += (size_t)got;
    buf->data[buf->len] = '\0';
    *ret_end = got == 0;
    return TN_OK;
}

/* One JSON object a line, or one array. */
static enum tn_code record_file(struct cli *cli, const char *path, struct totals *totals, struct tn_error *err)
{
    TN_AUTO_CLOSE int opened = tn_streq(path, "-") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int fd = tn_streq(path, "-") ? STDIN_FILENO : opened;
    TN_AUTO_JSON *list = json_array();
    TN_AUTO_BUF buf = {0};
    bool end = false;
    if (fd < 0)
        return tn_fail_errno(err, errno, "%s", path);
    for (size_t line = 1; !end;) {
        TN_TRY(fill_buffer(fd, path, &buf, &end, err));
        bool array = buf.len > 0 && line == 1 && buf.data[strspn(buf.data, " \t\r\n")] == '[';
        if (buf.len > INPUT_MAX)
            return tn_fail(err, TN_ETOOLARGE, "%s: send one JSON object a line", path);
        if (array && !end)
            continue;
        if (array) {
            json_decref(TN_TAKE(list));
            TN_TRY(tn_json_parse(buf.data, buf.len, INPUT_MAX, path, &list, err));
            break;
        }
        if (end && buf.len > 0)
            tn_buf_putc(&buf, '\n');
        for (char *newline; buf.len > 0 && (newline = memchr(buf.data, '\n', buf.len)); line++) {
            size_t length = (size_t)(newline - buf.data);
            enum tn_code code = send_line(cli, buf.data, length, list, totals, err);
            if (code != TN_OK) {
                tn_error_context(err, "%s, line %zu", path, line);
                return code;
            }
            tn_buf_consume(&buf, length + 1);
        }
    }
    return send_batch(cli, list, totals, err);
}

static enum tn_code record_one(struct cli *cli, const struct cli_args *args, struct totals *totals,
                               struct tn_error *err)
{
    TN_AUTO_JSON *list = json_array();
    json_t *one = json_object();
    (void)json_array_append_new(list, one);
    bool failure = cli_args_has(args, "failure"), timeout = cli_args_has(args, "timeout");
    if (cli_args_has(args, "success") == (failure || timeout))
        return tn_fail(err, TN_EUSAGE, "say --success, --failure or --timeout");
    (void)json_object_set_new(one, "task_type", json_string(args->words[1]));
    (void)json_object_set_new(one, "model_id", json_string(args->words[2]));
    (void)json_object_set_new(one, "success", json_boolean(!failure && !timeout));
    (void)json_object_set_new(one, "timeout", json_boolean(timeout));
    int64_t tokens;
    double cost = 0;
    const char *text = cli_args_text(args, "cost", NULL);
    TN_TRY(cli_args_i64(args, "tokens", 0, TN_JSON_MAX_SAFE, 0, &tokens, err));
    if (text && !tn_parse_double(text, &cost))
        return tn_fail(err, TN_EUSAGE, "--cost must be a number, not \"%.60s\"", text);
    (void)json_object_set_new(one, "tokens_used", json_integer(tokens));
    (void)json_object_set_new(one, "cost_usd", json_real(cost));
    if ((text = cli_args_text(args, "key", NULL)))
        (void)json_object_set_new(one, "key", json_string(text));
    if ((text = cli_args_text(args, "at", NULL)))
        (void)json_object_set_new(one, "timestamp", json_string(text));
    return send_batch(cli, list, totals, err);
}

static enum tn_code run_record(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct totals totals = {0};
    if (args->word_count == 2)
        TN_TRY(record_file(cli, args->words[1], &totals, err));
    else if (args->word_count == 3)
        TN_TRY(record_one(cli, args, &totals, err));
    else
        return tn_fail(err, TN_EUSAGE,
                       "record TASK MODEL, or record FILE with one JSON object a line (- reads stdin)");
    if (cli->json) {
        TN_AUTO_JSON *answer = json_pack("{s:I,s:I}", "recorded", (json_int_t)totals.recorded, "duplicates",
                                         (json_int_t)totals.duplicates);
        return cli_print_json(cli, answer, err);
    }
    cli_note(cli, "%" PRId64 " recorded%s", totals.recorded,
             totals.duplicates > 0
                 ? tn_arena_printf(cli->arena, ", %" PRId64 " were there already", totals.duplicates)
                 : "");
    return TN_OK;
}

/* ---- lists -------------------------------------------------------------------------- */

static enum tn_code run_rank(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const struct parameter parameters[] = {
        {"task_type", args->words[1]},
        {"min_samples", cli_args_text(args, "min-samples", NULL)},
        {"by", cli_args_text(args, "by", NULL)},
    };
    return show_list(cli, "/outcomes/rank", parameters, TN_COUNT(parameters), model_columns, TN_COUNT(model_columns),
                     err);
}

static enum tn_code run_dashboard(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const struct parameter parameters[] = {
        {"task_type", args->word_count > 1 ? args->words[1] : NULL},
        {"min_samples", cli_args_text(args, "min-samples", NULL)},
    };
    return show_list(cli, "/outcomes/dashboard", parameters, TN_COUNT(parameters), dashboard_columns,
                     TN_COUNT(dashboard_columns), err);
}

static enum tn_code run_trends(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const struct parameter parameters[] = {
        {"task_type", args->words[1]},
        {"model_id", cli_args_text(args, "model", NULL)},
        {"days", cli_args_text(args, "days", NULL)},
    };
    return show_list(cli, "/outcomes/trends", parameters, TN_COUNT(parameters), day_columns, TN_COUNT(day_columns),
                     err);
}

/* ---- advice ------------------------------------------------------------------------- */

static enum tn_code run_demote(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    const struct parameter parameters[] = {
        {"task_type", args->words[1]},
        {"model_id", args->words[2]},
        {"threshold", cli_args_text(args, "threshold", NULL)},
        {"min_samples", cli_args_text(args, "min-samples", NULL)},
    };
    TN_TRY(ask(cli, "GET", "/outcomes/demote", parameters, TN_COUNT(parameters), NULL, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text, "%s: %s\n", json_is_true(json_object_get(answer, "demote")) ? "demote" : "keep",
                  json_string_value(json_object_get(answer, "why")));
    return cli_print(cli, &text, err);
}

static enum tn_code run_ab(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    const struct parameter parameters[] = {
        {"task_type", args->words[1]},
        {"incumbent", cli_args_text(args, "incumbent", NULL)},
        {"challenger", cli_args_text(args, "challenger", NULL)},
        {"since", cli_args_text(args, "since", NULL)},
        {"alpha", cli_args_text(args, "alpha", NULL)},
        {"min_samples", cli_args_text(args, "min-samples", NULL)},
    };
    TN_TRY(ask(cli, "GET", "/outcomes/ab", parameters, TN_COUNT(parameters), NULL, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    TN_AUTO_JSON *items = json_array();
    (void)json_array_append(items, json_object_get(answer, "incumbent"));
    (void)json_array_append(items, json_object_get(answer, "challenger"));
    shorten(cli, items);
    TN_TRY(cli_print_items(cli, items, model_columns, TN_COUNT(model_columns), "", err));
    cli_note(cli, "%s (p = %.3g, %s test); the first is the incumbent",
             json_string_value(json_object_get(answer, "verdict")),
             json_number_value(json_object_get(answer, "p_value")),
             json_string_value(json_object_get(answer, "test")));
    return TN_OK;
}

/* ---- to and fro ---------------------------------------------------------------------- */

static enum tn_code run_export(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    TN_AUTO_BUF text = {0};
    const struct parameter parameters[] = {{"min_samples", cli_args_text(args, "min-samples", NULL)}};
    const char *file = cli_args_text(args, "output", NULL);
    TN_TRY(ask(cli, "GET", "/outcomes/export", parameters, 1, NULL, &answer, err));
    tn_json_dump(answer, &text);
    tn_buf_putc(&text, '\n');
    return file ? tn_file_replace(file, text.data, text.len, 0644, err) : cli_print(cli, &text, err);
}

static enum tn_code run_import(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *document = NULL, *answer = NULL;
    TN_AUTO_BUF text = {0};
    const char *dataset = cli_args_text(args, "dataset", NULL);
    const char *source = cli_args_text(args, "source", NULL);
    if (!dataset == (args->word_count < 2))
        return tn_fail(err, TN_EUSAGE, "import FILE, or import --dataset NAME");
    if (!dataset) {
        const char *slash = strrchr(args->words[1], '/');
        TN_TRY(tn_file_read(args->words[1], INPUT_MAX, &text, err));
        TN_TRY(tn_json_parse(text.data ? text.data : "", text.len, INPUT_MAX, args->words[1], &document, err));
        source = source ? source : slash ? slash + 1 : args->words[1];
    }
    const struct parameter parameters[] = {{"dataset", dataset}, {"source", source}};
    TN_TRY(ask(cli, "POST", "/outcomes/import", parameters, 2, document, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    json_t *problems = json_object_get(answer, "problems");
    if (json_array_size(problems) > 0)
        TN_TRY(cli_print_items(cli, problems, problem_columns, TN_COUNT(problem_columns), "", err));
    cli_note(cli,
             "%" JSON_INTEGER_FORMAT " taken, %" JSON_INTEGER_FORMAT " unchanged, %" JSON_INTEGER_FORMAT " refused",
             json_integer_value(json_object_get(answer, "taken")),
             json_integer_value(json_object_get(answer, "unchanged")),
             json_integer_value(json_object_get(answer, "refused")));
    return TN_OK;
}

/* ---- the command ---------------------------------------------------------------------- */

static const struct action {
    const char *name;
    size_t min, max; /* words behind it */
    cli_run_fn *run;
} actions[] = {
    {"record", 1, 2, run_record}, {"rank", 1, 1, run_rank},     {"demote", 2, 2, run_demote},
    {"ab", 1, 1, run_ab},         {"trends", 1, 1, run_trends}, {"dashboard", 0, 1, run_dashboard},
    {"export", 0, 0, run_export}, {"import", 0, 1, run_import},
};

enum tn_code cmd_outcomes(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    size_t words = args->word_count - 1;
    for (size_t i = 0; i < TN_COUNT(actions); i++) {
        if (!tn_streq(actions[i].name, args->words[0]))
            continue;
        if (words >= actions[i].min && words <= actions[i].max)
            return actions[i].run(cli, args, err);
        (void)tn_fail(err, TN_EUSAGE, "outcomes %s with %zu arguments", args->words[0], words);
        tn_error_hint(err, "`tarn help outcomes`");
        return TN_EUSAGE;
    }
    return tn_fail(err, TN_EUSAGE,
                   "outcomes what? record, rank, demote, ab, trends, dashboard, export or import, not \"%.60s\"",
                   args->words[0]);
}
