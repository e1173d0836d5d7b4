/* `tarn __complete`: what the shells' completion asks. */
#include "cli/cli.h"
#include "cli/client.h"

static void put_matching(struct tn_buf *out, const char *prefix, const char *word)
{
    if (tn_str_starts_with(word, prefix))
        tn_buf_printf(out, "%s\n", word);
}

static void put_options_matching(struct tn_buf *out, const char *prefix, const struct cli_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        TN_AUTO_FREE char *name = tn_asprintf("--%s", options->items[i].name);
        put_matching(out, prefix, name);
    }
}

/* Names of datasets, when a server runs that can be asked in no time. */
static void put_datasets_matching(struct cli *cli, struct tn_buf *out, const char *prefix)
{
    char *url = NULL, *token = NULL;
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    TN_AUTO_JSON *items = NULL;
    if (gateway_find(cli_lake(cli), cli->arena, &url, &token, NULL) != TN_OK ||
        client_new(url, cli->token ? cli->token : token, &client, NULL) != TN_OK ||
        cli_fetch_items(client, cli->arena, "/catalog/datasets", &items, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(items, i), "name"));
        put_matching(out, prefix, name ? name : "");
    }
}

static void put_words_matching(struct cli *cli, const struct cli_command *command, struct tn_buf *out,
                               const char *prefix)
{
    enum { WORDS_MOST = 7 };
    static const char *const fixed[][WORDS_MOST] = {{"config", "show", "check"},
                                                    {"model", "list", "providers", "import", "default", "accept"},
                                                    {"token", "new", "list", "revoke"},
                                                    {"demo", "staffing"},
                                                    {"datasets", "set"},
                                                    {"jobs", "watch", "move", "pause", "resume", "cancel", "log"},
                                                    {"rows", "append", "upsert", "patch", "delete"}};
    for (size_t i = 0; i < TN_COUNT(fixed); i++)
        for (size_t k = 1; k < WORDS_MOST && tn_streq(command->name, fixed[i][0]) && fixed[i][k]; k++)
            put_matching(out, prefix, fixed[i][k]);
    static const char *const with_dataset[] = {"describe", "sample",  "snapshots", "drop",    "datasets",
                                               "rows",     "history", "restore",   "compact", "ocr",
                                               "expire",   "pin",     "unpin",     "tag"};
    for (size_t i = 0; i < TN_COUNT(with_dataset); i++)
        if (tn_streq(command->name, with_dataset[i]))
            put_datasets_matching(cli, out, prefix);
    size_t count;
    const struct cli_command *all = cli_commands(&count);
    for (size_t i = 0; tn_streq(command->name, "help") && i < count; i++)
        if (all[i].summary)
            put_matching(out, prefix, all[i].name);
}

/* `tarn __complete WORD...`: the words of the line so far, the last of them
 * unfinished; answers one candidate a line. */
enum tn_code cmd_complete(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *prefix = args->word_count ? args->words[args->word_count - 1] : "";
    const struct cli_command *command = NULL;
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i + 1 < args->word_count && !command; i++) {
        if (tn_streq(args->words[i], "--lake") && i + 2 < args->word_count)
            cli->lake_flag = args->words[i + 1];
        command = cli_command_find(args->words[i]);
    }
    if (prefix[0] == '-') {
        if (command)
            put_options_matching(&text, prefix, &command->options);
        put_options_matching(&text, prefix, &cli_global_options);
    } else if (command) {
        put_words_matching(cli, command, &text, prefix);
    } else {
        size_t count;
        const struct cli_command *all = cli_commands(&count);
        for (size_t i = 0; i < count; i++)
            if (all[i].summary)
                put_matching(&text, prefix, all[i].name);
    }
    return cli_print(cli, &text, err);
}
