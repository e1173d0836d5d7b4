/* tarn index trial, trials, promote, rollback, generations. */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>

enum { WAIT_SECONDS = 3600 };

static double real_of(const json_t *answer, const char *key)
{
    return json_number_value(json_object_get(answer, key));
}

static int64_t count_of(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

/* ---- trial ------------------------------------------------------------------------- */

static enum tn_code set_number(json_t *params, const struct cli_args *args, const char *option, const char *key,
                               struct tn_error *err)
{
    int64_t value = 0;
    if (!cli_args_has(args, option))
        return TN_OK;
    TN_TRY(cli_args_i64(args, option, 1, 65536, 0, &value, err));
    (void)json_object_set_new(params, key, json_integer(value));
    return TN_OK;
}

static enum tn_code take_params(const struct cli_args *args, json_t *params, struct tn_error *err)
{
    static const char *const numbers[][2] = {
        {"m", "M"}, {"ef-construction", "ef_construction"}, {"ef", "ef"}, {"code-bits", "code_bits"}};
    const char *recall = cli_args_text(args, "recall", NULL), *raw = cli_args_text(args, "raw", NULL);
    double target;
    for (size_t i = 0; i < TN_COUNT(numbers); i++)
        TN_TRY(set_number(params, args, numbers[i][0], numbers[i][1], err));
    if (recall && !tn_parse_double(recall, &target))
        return tn_fail(err, TN_EUSAGE, "--recall: \"%.40s\" is no number; write 0.97", recall);
    if (recall)
        (void)json_object_set_new(params, "recall_target", json_real(target));
    if (raw)
        (void)json_object_set_new(params, "raw", json_string(raw));
    return TN_OK;
}

static void put_trial(const json_t *trial, struct tn_buf *out)
{
    tn_buf_printf(out,
                  "trial %" PRId64 ": built in %.1f s (%.1f s of CPU), %" PRId64 " rows\n"
                  "            recall@10  recall@1    p50    p95    p99 us\n"
                  "  trial        %.4f    %.4f  %5.0f  %5.0f  %5.0f\n"
                  "  active       %.4f    %.4f  %5.0f  %5.0f  %5.0f\n",
                  count_of(trial, "trial"), real_of(trial, "build_seconds"), real_of(trial, "cpu_seconds"),
                  count_of(trial, "rows"), real_of(trial, "recall_at_10"), real_of(trial, "recall_at_1"),
                  real_of(trial, "p50_us"), real_of(trial, "p95_us"), real_of(trial, "p99_us"),
                  real_of(trial, "active_recall_at_10"), real_of(trial, "active_recall_at_1"),
                  real_of(trial, "active_p50_us"), real_of(trial, "active_p95_us"), real_of(trial, "active_p99_us"));
}

enum tn_code cli_index_trial(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *params = json_object(), *answer = NULL, *body = NULL;
    TN_AUTO_BUF text = {0};
    struct client *client;
    char path[64];
    TN_TRY(take_params(args, params, err));
    body = json_pack("{s:s,s:O}", "index", args->words[1], "params", params);
    TN_TRY(set_number(body, args, "samples", "samples", err));
    TN_TRY(cli_connect(cli, false, &client, err));
    snprintf(path, sizeof path, "/hnsw/trial?wait=%d", cli_args_has(args, "background") ? 0 : WAIT_SECONDS);
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    if (json_object_get(answer, "job_id")) {
        cli_note(cli, "job %s builds it; `tarn jobs` shows how far it is",
                 json_string_value(json_object_get(answer, "job_id")));
        return TN_OK;
    }
    put_trial(answer, &text);
    TN_TRY(cli_print(cli, &text, err));
    cli_note(cli, "`tarn index promote %s %" PRId64 "` lets it serve", args->words[1], count_of(answer, "trial"));
    return TN_OK;
}

/* ---- lists ----------------------------------------------------------------------------- */

/* Numbers as they are read best. */
static void shorten(json_t *items)
{
    static const struct {
        const char *key;
        int digits;
    } reals[] = {{"recall_at_10", 4}, {"p50_us", 0}, {"p95_us", 0}, {"build_seconds", 1}};
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        for (size_t r = 0; r < TN_COUNT(reals); r++) {
            char text[32];
            const json_t *value = json_object_get(item, reals[r].key);
            if (!json_is_number(value))
                continue;
            snprintf(text, sizeof text, "%.*f", reals[r].digits, json_number_value(value));
            (void)json_object_set_new(item, reals[r].key, json_string(text));
        }
    }
}

enum tn_code cli_index_trials(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    static const struct cli_column columns[] = {
        {"record", "record", CLI_COUNT},
        {"what", "kind", CLI_TEXT},
        {"trial", "trial", CLI_COUNT},
        {"time", "time", CLI_TIME},
        {"M", "m", CLI_COUNT},
        {"ef_c", "ef_construction", CLI_COUNT},
        {"ef", "window", CLI_COUNT},
        {"bits", "code_bits", CLI_COUNT},
        {"raw", "raw", CLI_TEXT},
        {"recall@10", "recall_at_10", CLI_TEXT},
        {"p50 us", "p50_us", CLI_TEXT},
        {"p95 us", "p95_us", CLI_TEXT},
        {"build s", "build_seconds", CLI_TEXT},
        {"memory", "bytes_resident", CLI_BYTES},
        {"state", "state", CLI_TEXT},
        {"reason", "reason", CLI_TEXT},
    };
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    char *path = tn_arena_strdup(cli->arena, client_path(cli->arena, "/hnsw/trials/", args->words[1], NULL));
    cli_add_query(cli, &path, "filter", cli_args_text(args, "filter", NULL));
    cli_add_query(cli, &path, "sort", cli_args_text(args, "sort", NULL));
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(cli_fetch_items(client, cli->arena, path, &items, err));
    if (!cli->json)
        shorten(items);
    return cli_print_items(cli, items, columns, TN_COUNT(columns), "No trials yet: tarn index trial NAME makes one.",
                           err);
}

enum tn_code cli_index_generations(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    static const struct cli_column columns[] = {
        {"generation", "generation", CLI_COUNT},
        {"state", "state", CLI_TEXT},
        {"trial", "trial", CLI_COUNT},
        {"built", "built", CLI_TIME},
        {"rows", "rows", CLI_COUNT},
        {"M", "m", CLI_COUNT},
        {"ef_c", "ef_construction", CLI_COUNT},
        {"bits", "code_bits", CLI_COUNT},
        {"raw", "raw", CLI_TEXT},
        {"size", "bytes_on_disk", CLI_BYTES},
    };
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    const char *path = tn_arena_printf(cli->arena, "%s/generations",
                                       client_path(cli->arena, "/vectors/indexes/", args->words[1], NULL));
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(cli_fetch_items(client, cli->arena, path, &items, err));
    return cli_print_items(cli, items, columns, TN_COUNT(columns), "No generation yet.", err);
}

/* ---- which one serves ----------------------------------------------------------------------- */

static enum tn_code change(struct cli *cli, const struct cli_args *args, const char *path, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    struct client *client;
    const char *reason = cli_args_text(args, "reason", NULL);
    if (reason)
        (void)json_object_set_new(body, "reason", json_string(reason));
    if (cli_args_has(args, "force"))
        (void)json_object_set_new(body, "force", json_true());
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s: generation %" PRId64 " serves, %" PRId64 " before (swapped in %.1f ms)", args->words[1],
             count_of(answer, "generation"), count_of(answer, "before"), real_of(answer, "swap_ms"));
    return TN_OK;
}

enum tn_code cli_index_promote(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    if (args->word_count < 3) {
        tn_fail(err, TN_EUSAGE, "index promote: which trial?");
        tn_error_hint(err, "`tarn index trials %s` lists them", args->words[1]);
        return TN_EUSAGE;
    }
    return change(cli, args, client_path(cli->arena, "/hnsw/promote/", args->words[1], "/", args->words[2], NULL),
                  err);
}

enum tn_code cli_index_rollback(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    return change(cli, args, client_path(cli->arena, "/hnsw/rollback/", args->words[1], NULL), err);
}
