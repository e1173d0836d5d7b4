/* tarn ingest postgres: a job of the server's, watched until it ends. */
#include "cli/cli.h"
#include "cli/query.h"
#include "job/job.h"
#include "postgres/postgres.h"

#include <inttypes.h>

/* Words that are the same as options and in the request. */
static const char *const passed_on[] = {"query",       "schema",  "dataset", "key",
                                        "incremental", "numeric", "mode",    "reason"};

/* ---- the request -------------------------------------------------------------------- */

/* The command line of a process is seen by everybody on the machine: the URL's
 * place in it says what may be seen, as soon as it is read. */
static void hide_argument(const char *argument, const char *label)
{
    char *text = (char *)(uintptr_t)argument;
    size_t length = strlen(text), shown = TN_MIN(length, strlen(label));
    memcpy(text, label, shown);
    memset(text + shown, 0, length - shown);
}

/* --password-file, else the URL, else where psql would look on this machine. */
static enum tn_code find_password(const struct cli_args *args, const char *url, char **ret, struct tn_error *err)
{
    const char *file = cli_args_text(args, "password-file", NULL);
    return file ? postgres_password_read(file, ret, err) : postgres_password_local(url, ret, err);
}

static void put_tables(struct cli *cli, const struct cli_args *args, json_t *body)
{
    size_t count;
    const char *const *tables = cli_args_all(args, cli->arena, "table", &count);
    if (count == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_string(tables[i]));
    (void)json_object_set_new(body, "tables", list);
}

static enum tn_code make_body(struct cli *cli, const struct cli_args *args, json_t *body, struct tn_error *err)
{
    char *label = NULL, *clean = NULL, *password = NULL;
    const char *url = args->words[1];
    TN_TRY(postgres_url_split(url, &label, &clean, NULL, err));
    enum tn_code code = find_password(args, url, &password, err);
    hide_argument(url, label);
    (void)json_object_set_new(body, "url", json_string(clean));
    if (code == TN_OK && password)
        (void)json_object_set_new(body, "password", json_string(password));
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
    free(label);
    free(clean);
    TN_TRY(code);
    for (size_t i = 0; i < TN_COUNT(passed_on); i++) {
        const char *value = cli_args_text(args, passed_on[i], NULL);
        if (value)
            (void)json_object_set_new(body, passed_on[i], json_string(value));
    }
    if (cli_args_has(args, "compare"))
        (void)json_object_set_new(body, "compare", json_true());
    put_tables(cli, args, body);
    return TN_OK;
}

/* ---- waiting -------------------------------------------------------------------------- */

static const char *text_at(const json_t *object, const char *path)
{
    const char *text = json_string_value(cli_json_at(object, path));
    return text ? text : "";
}

static int64_t count_at(const json_t *object, const char *path)
{
    return json_integer_value(cli_json_at(object, path));
}

static enum tn_code fail_as_job(const json_t *job, struct tn_error *err)
{
    const char *code = text_at(job, "error.code"), *hint = text_at(job, "error.hint");
    if (!*code)
        return tn_fail(err, TN_ECANCELLED, "the job was cancelled");
    enum tn_code meant = tn_fail(err, tn_code_from_word(code), "%s", text_at(job, "error.detail"));
    if (*hint)
        tn_error_hint(err, "%s", hint);
    return meant;
}

static void draw(struct progress *progress, const json_t *job)
{
    const char *state = text_at(job, "state"), *reason = text_at(job, "reason");
    progress->unit = "rows";
    progress->total = (uint64_t)count_at(job, "progress.total");
    progress->rate = json_number_value(cli_json_at(job, "progress.rate"));
    progress->seconds_left = json_number_value(cli_json_at(job, "progress.seconds_left"));
    progress_update(progress, (uint64_t)count_at(job, "progress.done"),
                    tn_streq(state, "running") ? (*reason ? reason : NULL) : state);
}

/* *ret_job is the ended job. An interrupt cancels it, and waits for its end. */
static enum tn_code await(struct cli *cli, struct client *client, const char *id, const char *label, json_t **ret_job,
                          struct tn_error *err)
{
    struct progress progress = {0};
    bool cancelled = false;
    char *path = client_path(cli->arena, "/jobs/", id, "?wait=1", NULL);
    progress_begin(&progress, &cli->term, cli->quiet || cli->json, label, 0);
    for (;;) {
        TN_AUTO_JSON *job = NULL;
        struct tn_error error = {0};
        enum tn_code code = client_json(client, "GET", path, NULL, &job, &error);
        if (client_interrupted() && !cancelled) {
            TN_AUTO_JSON *answer = NULL;
            client_interrupt_clear();
            cancelled = true;
            enum tn_code ignored TN_UNUSED =
                client_json(client, "DELETE", client_path(cli->arena, "/jobs/", id, NULL), NULL, &answer, &error);
            continue;
        }
        if (code != TN_OK) {
            progress_end(&progress);
            if (err)
                *err = error;
            return code;
        }
        draw(&progress, job);
        enum job_state state = JOB_QUEUED;
        if (job_state_parse(text_at(job, "state"), &state) && job_state_ended(state)) {
            progress_end(&progress);
            *ret_job = TN_TAKE(job);
            return TN_OK;
        }
    }
}

/* ---- what came of it ------------------------------------------------------------------------ */

static void put_table(const struct cli *cli, const json_t *table, struct tn_buf *out)
{
    char count[32], more[32];
    bool upsert = tn_streq(text_at(table, "mode"), "upsert");
    if (tn_streq(text_at(table, "status"), "unchanged")) {
        tn_buf_printf(out, "%s: unchanged, %s has nothing new\n", text_at(table, "dataset"), text_at(table, "table"));
    } else {
        tn_buf_printf(out, "%s: %s row%s from %s", text_at(table, "dataset"),
                      tn_format_count(count_at(table, "rows"), count), count_at(table, "rows") == 1 ? "" : "s",
                      text_at(table, "table"));
        if (upsert)
            tn_buf_printf(out, ", %s new, %s changed", tn_format_count(count_at(table, "inserted"), count),
                          tn_format_count(count_at(table, "updated"), more));
        if (cli_json_at(table, "deleted"))
            tn_buf_printf(out, ", %s deleted", tn_format_count(count_at(table, "deleted"), count));
        tn_buf_putc(out, '\n');
    }
    if (*text_at(table, "watermark"))
        tn_buf_printf(out, "  up to %s\n", text_at(table, "watermark"));
    const json_t *warnings = cli_json_at(table, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        tn_buf_printf(out, "  %swarning:%s ", cli->term.colour_out ? "\033[33m" : "",
                      cli->term.colour_out ? "\033[0m" : "");
        term_put_safe(out, text, strlen(text));
        tn_buf_putc(out, '\n');
    }
}

enum tn_code cli_ingest_postgres(struct cli *cli, const struct cli_args *args, bool *ret_taken, struct tn_error *err)
{
    *ret_taken = args->word_count >= 2 && tn_streq(args->words[0], "postgres") &&
                 (strstr(args->words[1], "://") || strchr(args->words[1], '='));
    if (!*ret_taken)
        return TN_OK;
    TN_AUTO_JSON *body = json_object(), *accepted = NULL, *job = NULL;
    struct client *client;
    if (args->word_count > 2)
        return tn_fail(err, TN_EUSAGE, "\"%s\" is one argument too many: tables are named with --table",
                       args->words[2]);
    TN_TRY(make_body(cli, args, body, err));
    TN_TRY(cli_connect(cli, true, &client, err));
    query_catch_interrupts(true);
    TN_TRY(client_json(client, "POST", "/ingest/postgres", body, &accepted, err));
    if (cli_args_has(args, "background")) {
        cli_note(cli, "job %s does it; `tarn jobs watch %s` shows how far it is", text_at(accepted, "job_id"),
                 text_at(accepted, "job_id"));
        return cli->json ? cli_print_json(cli, accepted, err) : TN_OK;
    }
    TN_TRY(await(cli, client, text_at(accepted, "job_id"), "postgres", &job, err));
    if (!tn_streq(text_at(job, "state"), "done"))
        return fail_as_job(job, err);
    const json_t *result = cli_json_at(job, "result"), *tables = cli_json_at(result, "tables");
    if (cli->json)
        return cli_print_json(cli, result, err);
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < json_array_size(tables); i++)
        put_table(cli, json_array_get(tables, i), &text);
    return cli_print(cli, &text, err);
}
