/* tarn jobs: list, watch, move, pause, resume, cancel, log. */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>
#include <time.h>

#define EVENT_MAX  ((size_t)4 << 20)
#define COMEBACKS  30
#define NAP_NS     1000000000
#define LABEL_TEXT 80

static const struct cli_column job_columns[] = {
    {"id", "id", CLI_TEXT},
    {"kind", "kind", CLI_TEXT},
    {"subject", "subject", CLI_TEXT},
    {"state", "state", CLI_TEXT},
    {"done", "progress.done", CLI_COUNT},
    {"of", "progress.total", CLI_COUNT},
    {"unit", "progress.unit", CLI_TEXT},
    {"created", "created", CLI_TIME},
    {"reason", "reason", CLI_TEXT},
};

static const struct cli_column log_columns[] = {{"time", "time", CLI_TIME}, {"text", "text", CLI_TEXT}};

static const char *text_at(const json_t *object, const char *path)
{
    return json_string_value(cli_json_at(object, path));
}

static uint64_t count_at(const json_t *object, const char *path)
{
    json_int_t value = json_integer_value(cli_json_at(object, path));
    return value > 0 ? (uint64_t)value : 0;
}

static double number_at(const json_t *object, const char *path)
{
    return json_number_value(cli_json_at(object, path));
}

/* ---- list, steer, log ------------------------------------------------------------- */

static enum tn_code list(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    int64_t limit;
    TN_TRY(cli_args_i64(args, "limit", 1, 1000, 20, &limit, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    char *path = tn_arena_printf(cli->arena, "/jobs?limit=%" PRId64, limit);
    cli_add_query(cli, &path, "state", cli_args_text(args, "state", NULL));
    TN_TRY(client_json(client, "GET", path, NULL, &answer, err));
    return cli_print_items(cli, json_object_get(answer, "items"), job_columns, TN_COUNT(job_columns), "no jobs", err);
}

static enum tn_code steer(struct cli *cli, const struct cli_args *args, const char *method, const char *action,
                          json_t *body, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *job = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(client_json(client, method, client_path(cli->arena, "/jobs/", args->words[1], action, NULL), body, &job,
                       err));
    if (cli->json)
        return cli_print_json(cli, job, err);
    const char *subject = text_at(job, "subject"), *reason = text_at(job, "reason");
    cli_note(cli, "%s%s%s: %s%s%s", text_at(job, "kind"), subject ? " " : "", subject ? subject : "",
             text_at(job, "state"), reason ? ", " : "", reason ? reason : "");
    return TN_OK;
}

static enum tn_code show_log(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(client_json(client, "GET", client_path(cli->arena, "/jobs/", args->words[1], "/log", NULL), NULL, &answer,
                       err));
    return cli_print_items(cli, json_object_get(answer, "items"), log_columns, TN_COUNT(log_columns),
                           "the job said nothing", err);
}

/* ---- watch -------------------------------------------------------------------------- */

struct watch {
    struct cli *cli;
    struct progress progress;
    char label[LABEL_TEXT], unit[24];
    struct tn_buf line; /* not whole yet */
    json_t *last;       /* the job as it was told last */
    bool begun;
};

static const char *ended_word(const json_t *job)
{
    const char *state = text_at(job, "state");
    bool ended = state && (tn_streq(state, "done") || tn_streq(state, "failed") || tn_streq(state, "cancelled"));
    return ended ? state : NULL;
}

/* What stands behind the bar when the job does not run. */
static const char *phase_of(const json_t *job)
{
    const char *state = text_at(job, "state"), *reason = text_at(job, "reason");
    return state && tn_streq(state, "running") ? reason : state;
}

static void draw(struct watch *watch, const json_t *job)
{
    const char *subject = text_at(job, "subject"), *unit = text_at(job, "progress.unit");
    if (!watch->begun) {
        (void)snprintf(watch->label, sizeof watch->label, "%s%s%s", text_at(job, "kind"), subject ? " " : "",
                       subject ? subject : "");
        progress_begin(&watch->progress, &watch->cli->term, watch->cli->quiet, watch->label, 0);
        watch->begun = true;
    }
    (void)snprintf(watch->unit, sizeof watch->unit, "%s", unit ? unit : "");
    watch->progress.unit = watch->unit;
    watch->progress.total = count_at(job, "progress.total");
    watch->progress.rate = number_at(job, "progress.rate");
    watch->progress.seconds_left = number_at(job, "progress.seconds_left");
    watch->progress.drawn_ns = 0; /* the server paces it */
    progress_update(&watch->progress, count_at(job, "progress.done"), phase_of(job));
}

static enum tn_code take_data(struct watch *watch, const char *text, size_t length, struct tn_error *err)
{
    json_t *job = NULL;
    TN_TRY(tn_json_parse(text, length, EVENT_MAX, "event", &job, err));
    json_decref(watch->last);
    watch->last = job;
    if (!cli_json_at(job, "kind"))
        return TN_OK; /* an error event: the stream breaks off behind it */
    if (!watch->cli->term.out_tty || watch->cli->json)
        return cli_print_json(watch->cli, job, err);
    draw(watch, job);
    return TN_OK;
}

/* Lines of the event stream; of them the data alone is of interest. */
static enum tn_code take_events(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    static const char data[] = "data: ";
    struct watch *watch = context;
    tn_buf_append(&watch->line, bytes, count);
    const char *newline;
    while ((newline = memchr(watch->line.data, '\n', watch->line.len))) {
        size_t length = (size_t)(newline - watch->line.data);
        if (tn_str_starts_with(watch->line.data, data))
            TN_TRY(take_data(watch, watch->line.data + sizeof data - 1, length - (sizeof data - 1), err));
        tn_buf_consume(&watch->line, length + 1);
    }
    if (watch->line.len > EVENT_MAX)
        return tn_fail(err, TN_EJSON, "the server's event has no end");
    return TN_OK;
}

static enum tn_code say_end(struct watch *watch, struct tn_error *err)
{
    const char *state = ended_word(watch->last);
    const json_t *job = watch->last;
    if (!watch->cli->json && watch->cli->term.out_tty && tn_streq(state, "done"))
        cli_note(watch->cli, "%s: done", watch->label);
    if (tn_streq(state, "done"))
        return TN_OK;
    if (tn_streq(state, "cancelled"))
        return tn_fail(err, TN_ECANCELLED, "job %s was cancelled", text_at(job, "id"));
    const char *word = text_at(job, "error.code"), *detail = text_at(job, "error.detail");
    const char *hint = text_at(job, "error.hint");
    (void)tn_fail(err, word ? tn_code_from_word(word) : TN_EINTERNAL, "job %s failed: %s", text_at(job, "id"),
                  detail ? detail : "");
    if (hint)
        tn_error_hint(err, "%s", hint);
    return err->code;
}

/* Until the job has ended. A server that restarts is waited for. */
static enum tn_code follow(struct watch *watch, struct client *client, const char *path, struct tn_error *err)
{
    for (int left = COMEBACKS;; left--) {
        CLIENT_AUTO_REPLY reply = {0};
        const struct client_request request = {
            .method = "GET", .path = path, .accept = "text/event-stream", .sink = take_events, .sink_context = watch};
        tn_buf_clear(&watch->line);
        enum tn_code code = client_send(client, &request, &reply, err);
        if (watch->last && ended_word(watch->last))
            return TN_OK;
        if (code == TN_ECANCELLED && client_interrupted()) {
            tn_error_hint(err, "the job goes on; `tarn jobs cancel` would end it");
            return code;
        }
        bool broken = code == TN_OK || code == TN_EUNREACHABLE || code == TN_EUNAVAILABLE;
        if (!broken || !watch->last || left == 0 || watch->cli->gateway)
            return code != TN_OK ? code : tn_fail(err, TN_EUNREACHABLE, "the server ended the stream");
        const struct timespec nap = {.tv_sec = NAP_NS / 1000000000};
        (void)nanosleep(&nap, NULL);
    }
}

static enum tn_code watch_job(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    struct watch watch = {.cli = cli};
    TN_TRY(cli_connect(cli, false, &client, err));
    enum tn_code code =
        follow(&watch, client, client_path(cli->arena, "/jobs/", args->words[1], "/events", NULL), err);
    if (watch.begun)
        progress_end(&watch.progress);
    if (code == TN_OK)
        code = say_end(&watch, err);
    tn_buf_release(&watch.line);
    json_decref(watch.last);
    return code;
}

static enum tn_code move(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    int64_t priority = INT64_MAX;
    TN_TRY(cli_args_i64(args, "priority", -1000, 1000, priority, &priority, err));
    if (priority == INT64_MAX)
        return tn_fail(err, TN_EUSAGE, "jobs move: where to? Add --priority N: the highest begins first, 0 is usual");
    TN_AUTO_JSON *body = json_pack("{s:I}", "priority", (json_int_t)priority);
    return steer(cli, args, "PATCH", "", body, err);
}

/* ---- the command ----------------------------------------------------------------------- */

enum tn_code cmd_jobs(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    static const char *const verbs[] = {"watch", "move", "pause", "resume", "cancel", "log"};
    if (args->word_count == 0)
        return list(cli, args, err);
    const char *verb = args->words[0];
    bool known = false;
    for (size_t i = 0; i < TN_COUNT(verbs); i++)
        known |= tn_streq(verb, verbs[i]);
    if (!known) {
        const char *near = tn_suggest(verb, verbs, TN_COUNT(verbs));
        (void)tn_fail(err, TN_EUSAGE, "jobs: \"%.60s\" is not watch, move, pause, resume, cancel or log", verb);
        if (near)
            tn_error_hint(err, "did you mean %s?", near);
        return TN_EUSAGE;
    }
    if (args->word_count < 2) {
        (void)tn_fail(err, TN_EUSAGE, "jobs %s: which job?", verb);
        tn_error_hint(err, "`tarn jobs` lists them");
        return TN_EUSAGE;
    }
    if (tn_streq(verb, "watch"))
        return watch_job(cli, args, err);
    if (tn_streq(verb, "log"))
        return show_log(cli, args, err);
    if (tn_streq(verb, "cancel"))
        return steer(cli, args, "DELETE", "", NULL, err);
    if (tn_streq(verb, "move"))
        return move(cli, args, err);
    return steer(cli, args, "POST", tn_streq(verb, "pause") ? "/pause" : "/resume", NULL, err);
}
