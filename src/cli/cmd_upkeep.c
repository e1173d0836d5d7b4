/* tarn compact, restore, expire, pin, unpin. */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>

static enum tn_code post(struct cli *cli, const char *method, const char *dataset, const char *action,
                         const json_t *body, json_t **ret, struct tn_error *err)
{
    struct client *client;
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path =
        tn_arena_printf(cli->arena, "%s/%s", client_path(cli->arena, "/datasets/", dataset, NULL), action);
    return client_json(client, method, path, body, ret, err);
}

static void set_text(json_t *body, const struct cli_args *args, const char *option, const char *key)
{
    const char *text = cli_args_text(args, option, NULL);
    if (text)
        (void)json_object_set_new(body, key, json_string(text));
}

static int64_t count_of(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

enum tn_code cmd_compact(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    struct client *client;
    set_text(body, args, "reason", "reason");
    TN_TRY(cli_connect(cli, false, &client, err));
    /* A gateway of our own ends with us: there the job is waited for. */
    const char *action = cli->gateway ? "compact?background=true&wait=3600" : "compact?background=true";
    TN_TRY(
        post(cli, "POST", args->words[0], cli_args_has(args, "background") ? action : "compact", body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    const char *job = json_string_value(json_object_get(answer, "job_id"));
    if (job)
        cli_note(cli, "%s: job %s; `tarn jobs watch %s` follows it", args->words[0], job, job);
    else if (count_of(answer, "files_before") == 0)
        cli_note(cli, "%s: nothing to compact", args->words[0]);
    else
        cli_note(cli, "%s: %" PRId64 " files became %" PRId64 ", %" PRId64 " deleted rows are gone from them",
                 args->words[0], count_of(answer, "files_before"), count_of(answer, "files_after"),
                 count_of(answer, "deleted_rows"));
    return TN_OK;
}

enum tn_code cmd_restore(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    if (!cli_args_has(args, "as-of")) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "restore %s to which state?", args->words[0]);
        tn_error_hint(err, "--as-of with a time or a snapshot id; `tarn snapshots %s` lists them", args->words[0]);
        return code;
    }
    set_text(body, args, "as-of", "as_of");
    set_text(body, args, "reason", "reason");
    set_text(body, args, "workspace", "workspace");
    TN_TRY(post(cli, "POST", args->words[0], "restore", body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s: the state of %s is the newest one again (%" PRId64 " row%s); what came between is kept",
             args->words[0], cli_args_text(args, "as-of", ""), count_of(answer, "rows"),
             tn_plural(count_of(answer, "rows")));
    return TN_OK;
}

enum tn_code cmd_expire(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    int64_t keep;
    if (!cli_args_has(args, "older-than")) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "expire which snapshots of %s?", args->words[0]);
        tn_error_hint(err, "--older-than 2026-01-31T00:00:00Z; try it with --preview");
        return code;
    }
    TN_TRY(cli_args_i64(args, "keep", 1, INT32_MAX, 1, &keep, err));
    set_text(body, args, "older-than", "older_than");
    set_text(body, args, "reason", "reason");
    (void)json_object_set_new(body, "keep", json_integer(keep));
    bool preview = cli_args_has(args, "preview");
    (void)json_object_set_new(body, "preview", json_boolean(preview));
    TN_TRY(post(cli, "POST", args->words[0], "expire", body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s: %" PRId64 " snapshots %s, %" PRId64 " stay", args->words[0], count_of(answer, "snapshots"),
             preview ? "would go" : "are forgotten", count_of(answer, "kept"));
    return TN_OK;
}

static enum tn_code pin(struct cli *cli, const struct cli_args *args, const char *method, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(post(cli, method, args->words[0], "pin", NULL, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    char bytes[32];
    int64_t held = count_of(answer, "cache_bytes");
    cli_note(cli, "%s: %s; the cache holds %s", args->words[0], json_string_value(json_object_get(answer, "status")),
             tn_format_size(held > 0 ? (uint64_t)held : 0, bytes));
    return TN_OK;
}

enum tn_code cmd_pin(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    return pin(cli, args, "POST", err);
}

enum tn_code cmd_unpin(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    return pin(cli, args, "DELETE", err);
}
