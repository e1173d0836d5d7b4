/* tarn reembed: the vectors of a pgvector table made anew. Model and driver run
 * in this process; a lake only lends its configuration and its models. */
#include "cli/cli.h"
#include "cli/query.h"
#include "cli/reembed_hold.h"
#include "reembed/reembed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WAIT_SECONDS = 5, INDEX_LINE_SECONDS = 5, RATES_MAX = 1 << 20 };

struct reembed {
    struct cli *cli;
    struct model_service *models;
    struct model_info model;
    const char *index_phase; /* that was printed last; the arena's */
    uint64_t index_line_ns;
    struct reembed_hold hold; /* with --with-service */
};

/* ---- the model --------------------------------------------------------------------------- */

/* Models of the lake; without a lake those that came with the build and those
 * of configured servers, in a folder that goes with the command. */
static enum tn_code open_models(struct cli *cli, const struct tn_config *config, struct tn_pool *pool,
                                struct model_service **ret, struct tn_error *err)
{
    const char *folder = getenv("TMPDIR");
    char *path = tn_arena_printf(cli->arena, "%s/tarn-XXXXXX", folder && *folder ? folder : "/tmp");
    if (cli_is_lake(cli_lake(cli))) {
        path = tn_path_join(cli->arena, cli_lake(cli), "models");
        TN_TRY(tn_mkdirs(path, 0755, err));
    } else {
        if (!mkdtemp(path))
            return tn_fail_errno(err, errno, "%s", path);
        cli->scratch = path;
    }
    const struct model_options options = {
        .config = config, .folder = path, .shared_asset = model_shared_asset(cli->arena), .pool = pool};
    return model_service_open(&options, ret, err);
}

static enum tn_code embed(void *context, const struct model_text *texts, size_t count, float *out, size_t *ret_cut,
                          struct tn_error *err)
{
    struct reembed *reembed = context;
    const struct model_call call = {
        .use = MODEL_DOCUMENT, .priority = TN_FOREGROUND, .version = reembed->model.version};
    return model_embed(reembed->models, reembed->model.name, &call, texts, count, out, ret_cut, err);
}

static enum tn_code find_model(struct reembed *reembed, const struct cli_args *args, struct tn_error *err)
{
    const char *name = cli_args_text(args, "model", NULL);
    int64_t dimension;
    if (!name || !cli_args_has(args, "dimension")) {
        (void)tn_fail(err, TN_EUSAGE, "--%s is missing", name ? "dimension" : "model");
        tn_error_hint(err, "`tarn model list` shows models and what they make");
        return TN_EUSAGE;
    }
    TN_TRY(cli_args_i64(args, "dimension", 1, 65535, 0, &dimension, err));
    TN_TRY(model_find(reembed->models, name, &reembed->model, err));
    if (reembed->model.dimension == (uint32_t)dimension)
        return TN_OK;
    (void)tn_fail(err, TN_EUSAGE, "model %s makes vectors of %" PRIu32 " dimensions, --dimension was %" PRId64,
                  reembed->model.name, reembed->model.dimension, dimension);
    tn_error_hint(err, "nothing was written");
    return TN_EUSAGE;
}

/* ---- the plan ------------------------------------------------------------------------------- */

static const char *text_of(const struct cli_args *args, const struct tn_config *config, const char *flag,
                           const char *key)
{
    return cli_args_text(args, flag, tn_config_string(config, key));
}

static enum tn_code read_tables(const struct cli_args *args, const struct tn_config *config, struct reembed_plan *ret,
                                struct tn_error *err)
{
    ret->url = cli_args_text(args, "postgres-url", NULL);
    if (!ret->url) {
        (void)tn_fail(err, TN_EUSAGE, "--postgres-url is missing");
        tn_error_hint(err, "as in postgresql://user@host:5432/database");
        return TN_EUSAGE;
    }
    ret->table = text_of(args, config, "table", "reembed.table");
    ret->id_column = text_of(args, config, "id-column", "reembed.id_column");
    ret->text_column = text_of(args, config, "text-column", "reembed.text_column");
    ret->vector_column = text_of(args, config, "vector-column", "reembed.vector_column");
    ret->index_name = text_of(args, config, "index-name", "reembed.index_name");
    ret->registry_table = text_of(args, config, "registry-table", "reembed.registry_table");
    const char *file = text_of(args, config, "password-file", "reembed.password_file");
    ret->password_file = file[0] ? file : NULL;
    return TN_OK;
}

static enum tn_code read_plan(const struct cli_args *args, const struct tn_config *config, struct reembed_plan *ret,
                              struct tn_error *err)
{
    int64_t batch;
    const char *lock = cli_args_text(args, "lock-timeout", NULL);
    const char *mode = text_of(args, config, "mode", "reembed.mode");
    reembed_plan_defaults(ret);
    TN_TRY(read_tables(args, config, ret, err));
    TN_TRY(cli_args_i64(args, "batch-size", 1, REEMBED_BATCH_MAX, tn_config_int(config, "reembed.batch_size"), &batch,
                        err));
    ret->batch_size = (size_t)batch;
    TN_TRY(cli_args_bool(args, "drop-hnsw-first", true, &ret->drop_hnsw_first, err));
    TN_TRY(cli_args_bool(args, "concurrent-index", false, &ret->concurrent_index, err));
    if (!reembed_mode_parse(mode, &ret->mode))
        return tn_fail(err, TN_EUSAGE, "--mode %s: it is staged or in-place", mode);
    ret->lock_timeout_ms = tn_config_ms(config, "reembed.lock_timeout");
    if (lock && (!tn_parse_duration_ms(lock, &ret->lock_timeout_ms) || ret->lock_timeout_ms == 0))
        return tn_fail(err, TN_EUSAGE, "--lock-timeout %s is no duration, as 10s is", lock);
    ret->maintenance_work_mem = cli_args_text(args, "maintenance-work-mem", NULL);
    return TN_OK;
}

/* ---- rates of earlier runs ---------------------------------------------------------------------- */

static const char *rates_path(struct cli *cli)
{
    return cli_is_lake(cli_lake(cli)) ? tn_path_join(cli->arena, cli_lake(cli), "state/reembed-rates.json") : NULL;
}

static json_t *read_rates(struct cli *cli)
{
    TN_AUTO_BUF text = {0};
    json_t *rates = NULL;
    const char *path = rates_path(cli);
    if (path && tn_file_read(path, RATES_MAX, &text, NULL) == TN_OK &&
        tn_json_parse(text.data, text.len, RATES_MAX, path, &rates, NULL) == TN_OK && json_is_object(rates))
        return rates;
    json_decref(rates);
    return json_object();
}

/* A cache: that it cannot be written is no error. */
static void keep_rate(struct reembed *reembed, const struct reembed_report *report)
{
    const char *path = rates_path(reembed->cli);
    if (!path || report->rows_embedded == 0 || report->embed_secs <= 0)
        return;
    TN_AUTO_JSON *rates = read_rates(reembed->cli);
    TN_AUTO_BUF text = {0};
    (void)json_object_set_new(rates, reembed->model.name,
                              json_real((double)report->rows_embedded / report->embed_secs));
    tn_json_dump(rates, &text);
    if (tn_file_replace(path, text.data, text.len, 0644, NULL) != TN_OK)
        cli_note(reembed->cli, "%s could not be written", path);
}

/* ---- looking ahead --------------------------------------------------------------------------------- */

static enum tn_code look_ahead(struct reembed *reembed, const struct reembed_plan *plan,
                               struct reembed_embedder *embedder, bool probe, struct reembed_preview *ret,
                               struct tn_error *err)
{
    TN_AUTO_JSON *rates = read_rates(reembed->cli);
    const struct reembed_rate known = {.rows_per_second =
                                           json_number_value(json_object_get(rates, reembed->model.name)),
                                       .source = "measured by an earlier run"};
    return reembed_preview(plan, embedder, probe, &known, ret, err);
}

static enum tn_code print_preview(struct cli *cli, const struct reembed_preview *preview, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    reembed_preview_text(preview, &text);
    if (!cli->quiet)
        (void)fputs(text.data, stderr);
    if (!cli->json)
        return TN_OK;
    TN_AUTO_BUF line = {0};
    struct tn_json json = tn_json_writer(&line);
    reembed_preview_json(preview, &json);
    tn_buf_putc(&line, '\n');
    return cli_print(cli, &line, err);
}

/* ---- the run ----------------------------------------------------------------------------------------- */

static void warn(struct cli *cli, const struct reembed_plan *plan, const struct reembed_preview *preview, bool waits)
{
    const char *abort = waits ? " Press Ctrl-C within 5 seconds\nWARN: to abort.\n" : "\n";
    if (cli->quiet)
        return;
    if (plan->mode == REEMBED_IN_PLACE)
        (void)fprintf(stderr,
                      "WARN: tarn reembed is starting. Search results will be\n"
                      "WARN: incorrect until this run completes. Stop whatever searches\n"
                      "WARN: %s now: it will hold vectors of two models.%s",
                      preview->table, abort);
    else
        (void)fprintf(stderr,
                      "WARN: tarn reembed is starting. Searches in %s go on in the\n"
                      "WARN: old vectors; they wait while it switches%s,\n"
                      "WARN: and must use the new model from then on.%s",
                      preview->table, plan->concurrent_index ? "" : " and the index is built", abort);
}

static enum tn_code wait_for_second_thoughts(struct tn_error *err)
{
    for (int i = 0; i < WAIT_SECONDS * 10 && !client_interrupted(); i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000L}, NULL);
    return client_interrupted() ? tn_fail(err, TN_ECANCELLED, "stopped before anything was written") : TN_OK;
}

static void show_index(struct reembed *reembed, const struct reembed_event *event)
{
    uint64_t now = tn_mono_ns();
    bool fresh = !reembed->index_phase || !tn_streq(reembed->index_phase, event->text);
    if (!fresh && now - reembed->index_line_ns < INDEX_LINE_SECONDS * UINT64_C(1000000000))
        return;
    reembed->index_line_ns = now;
    if (fresh)
        reembed->index_phase = tn_arena_strdup(reembed->cli->arena, event->text);
    if (event->total > 0)
        cli_note(reembed->cli, "reembed: %s, %" PRIu64 "%% of its blocks", event->text,
                 event->done * 100 / event->total);
    else
        cli_note(reembed->cli, "reembed: %s", event->text);
}

static void show(void *context, const struct reembed_event *event)
{
    struct reembed *reembed = context;
    switch (event->kind) {
    case REEMBED_NOTE:
        cli_note(reembed->cli, "reembed: %s", event->text);
        break;
    case REEMBED_WARNING:
        cli_note(reembed->cli, "WARN: %s", event->text);
        break;
    case REEMBED_BATCH:
        cli_note(reembed->cli, "reembed: wrote batch %" PRIu64 " (%" PRIu64 " rows), %" PRIu64 " of %" PRIu64,
                 event->number, event->rows, event->done, event->total);
        break;
    case REEMBED_INDEX:
        show_index(reembed, event);
        break;
    }
}

static bool stopping(void *context)
{
    (void)context;
    return client_interrupted();
}

static enum tn_code print_report(struct cli *cli, const struct reembed_report *report, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    if (cli->json) {
        reembed_report_json(report, &json);
        tn_buf_putc(&text, '\n');
    } else {
        reembed_report_text(report, &text);
    }
    return cli_print(cli, &text, err);
}

static enum tn_code run(struct reembed *reembed, const struct reembed_plan *plan, struct reembed_embedder *embedder,
                        struct tn_error *err)
{
    const struct reembed_observer observer = {.context = reembed, .event = show, .stopping = stopping};
    TN_CLEANUP(reembed_report_release) struct reembed_report report = {0};
    TN_TRY(reembed_run(plan, embedder, &observer, &report, err));
    keep_rate(reembed, &report);
    return print_report(reembed->cli, &report, err);
}

static enum tn_code preview_and_run(struct reembed *reembed, const struct cli_args *args,
                                    const struct reembed_plan *plan, struct tn_error *err)
{
    struct reembed_embedder embedder = {.context = reembed, .model = reembed->model, .embed = embed};
    TN_CLEANUP(reembed_preview_release) struct reembed_preview preview = {0};
    bool waits = !cli_args_has(args, "no-confirm");
    TN_TRY(look_ahead(reembed, plan, &embedder, cli_args_has(args, "probe"), &preview, err));
    if (cli_args_has(args, "dry-run"))
        return print_preview(reembed->cli, &preview, err);
    if (preview.refused.code != TN_OK && !preview.no_op) {
        if (err)
            *err = preview.refused;
        return preview.refused.code;
    }
    query_catch_interrupts(true);
    if (!preview.no_op) {
        warn(reembed->cli, plan, &preview, waits);
        if (waits)
            TN_TRY(wait_for_second_thoughts(err));
    }
    if (cli_args_has(args, "with-service") && !preview.no_op) {
        const char *label = tn_arena_strndup(reembed->cli->arena, preview.server, strcspn(preview.server, " "));
        TN_TRY(reembed_hold_begin(&reembed->hold, reembed->cli, label, preview.table, err));
    }
    return run(reembed, plan, &embedder, err);
}

enum tn_code cmd_reembed(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const struct tn_config *config = NULL;
    TN_CLEANUP(tn_pool_free_p) struct tn_pool *pool = NULL;
    TN_CLEANUP(model_service_close_p) struct model_service *models = NULL;
    struct reembed reembed = {.cli = cli};
    struct reembed_plan plan;
    if (cli_args_has(args, "index"))
        return cli_reembed_index(cli, args, err);
    TN_TRY(cli_config(cli, &config, err));
    TN_TRY(read_plan(args, config, &plan, err));
    if (cli_args_has(args, "probe") && !cli_args_has(args, "dry-run"))
        return tn_fail(err, TN_EUSAGE, "--probe goes with --dry-run");
    TN_TRY(tn_pool_new(0, &pool, err));
    TN_TRY(open_models(cli, config, pool, &models, err));
    reembed.models = models;
    TN_TRY(find_model(&reembed, args, err));
    enum tn_code code = preview_and_run(&reembed, args, &plan, err);
    if (reembed.hold.datasets)
        reembed_hold_end(&reembed.hold);
    return code;
}
