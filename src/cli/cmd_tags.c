/* tarn tag: names of a dataset's states. */
#include "cli/cli.h"
#include "cli/client.h"

static const struct cli_column columns[] = {
    {"name", "name", CLI_TEXT},
    {"type", "type", CLI_TEXT},
    {"snapshot", "snapshot_id", CLI_TEXT},
    {"committed", "committed_at", CLI_TIME},
};

static enum tn_code list(struct cli *cli, struct client *client, const char *dataset, struct tn_error *err)
{
    TN_AUTO_JSON *items = NULL;
    const char *path = client_path(cli->arena, "/datasets/", dataset, "/tags", NULL);
    TN_TRY(cli_fetch_some(client, cli, path, 0, &items, err));
    return cli_print_items(cli, items, columns, TN_COUNT(columns), "no tags", err);
}

static enum tn_code set(struct client *client, const struct cli_args *args, const char *path, json_t **ret,
                        struct tn_error *err)
{
    static const char *const members[][2] = {{"as-of", "as_of"}, {"reason", "reason"}, {"workspace", "workspace"}};
    TN_AUTO_JSON *body = json_object();
    for (size_t i = 0; i < TN_COUNT(members); i++) {
        const char *text = cli_args_text(args, members[i][0], NULL);
        if (text)
            (void)json_object_set_new(body, members[i][1], json_string(text));
    }
    if (cli_args_has(args, "move"))
        (void)json_object_set_new(body, "move", json_true());
    return client_json(client, "PUT", path, body, ret, err);
}

static enum tn_code drop(struct cli *cli, struct client *client, const struct cli_args *args, char *path,
                         json_t **ret, struct tn_error *err)
{
    cli_add_query(cli, &path, "reason", cli_args_text(args, "reason", NULL));
    cli_add_query(cli, &path, "workspace", cli_args_text(args, "workspace", NULL));
    return client_json(client, "DELETE", path, NULL, ret, err);
}

/* Options that would do nothing are refused before anything is done. */
static enum tn_code check_options(const struct cli_args *args, struct tn_error *err)
{
    static const char *const options[] = {"as-of", "move", "delete", "reason", "workspace"};
    bool deletes = cli_args_has(args, "delete");
    if (args->word_count > 1 && !*args->words[1])
        return tn_fail(err, TN_EUSAGE, "a tag's name is not empty");
    for (size_t i = 0; i < TN_COUNT(options) && args->word_count < 2; i++)
        if (cli_args_has(args, options[i]))
            return tn_fail(err, TN_EUSAGE, "--%s wants the name of a tag behind the dataset's", options[i]);
    if (deletes && (cli_args_has(args, "as-of") || cli_args_has(args, "move")))
        return tn_fail(err, TN_EUSAGE, "--delete forgets a tag whatever it names: leave out --%s",
                       cli_args_has(args, "as-of") ? "as-of" : "move");
    return TN_OK;
}

enum tn_code cmd_tag(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    const char *dataset = args->words[0];
    TN_TRY(check_options(args, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    if (args->word_count < 2)
        return list(cli, client, dataset, err);
    char *path = client_path(cli->arena, "/datasets/", dataset, "/tags/", args->words[1], NULL);
    if (cli_args_has(args, "delete"))
        TN_TRY(drop(cli, client, args, path, &answer, err));
    else
        TN_TRY(set(client, args, path, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    const char *status = json_string_value(json_object_get(answer, "status"));
    const json_t *value = json_object_get(answer, "snapshot_id"); /* beyond 2^53 a text */
    const char *id = json_is_string(value)
                         ? json_string_value(value)
                         : tn_arena_printf(cli->arena, "%lld", (long long)json_integer_value(value));
    if (status && tn_streq(status, "dropped"))
        cli_note(cli, "%s: the tag %s is forgotten; it was snapshot %s", dataset, args->words[1], id);
    else
        cli_note(cli, "%s: %s %s snapshot %s", dataset, args->words[1],
                 status && tn_streq(status, "unchanged") ? "was already" : "is", id);
    return TN_OK;
}
