/* tarn config, tarn token. */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

static const struct cli_column config_columns[] = {
    {"key", "key", CLI_TEXT},
    {"value", "value", CLI_TEXT},
    {"from", "origin", CLI_TEXT},
    {"what it does", "help", CLI_TEXT},
};

static const struct cli_column token_columns[] = {
    {"id", "id", CLI_TEXT},
    {"name", "name", CLI_TEXT},
    {"created", "created", CLI_TIME},
    {"last used", "last_used", CLI_TIME},
};

static enum tn_code config_show(struct cli *cli, const struct tn_config *config, struct tn_error *err)
{
    struct tn_config_table table = tn_config_table(config);
    TN_AUTO_JSON *items = json_array();
    for (size_t i = 0; i < table.count; i++) {
        const char *name = table.keys[i].name;
        json_t *item = json_object();
        (void)json_object_set_new(item, "key", json_string(name));
        (void)json_object_set_new(item, "value", json_string(tn_config_text(config, name)));
        (void)json_object_set_new(item, "origin", json_string(tn_config_origin(config, name)));
        (void)json_object_set_new(item, "help", json_string(table.keys[i].help));
        (void)json_array_append_new(items, item);
    }
    return cli_print_items(cli, items, config_columns, TN_COUNT(config_columns), "", err);
}

enum tn_code cmd_config(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const struct tn_config *config = NULL;
    bool show = tn_streq(args->words[0], "show");
    if (!show && !tn_streq(args->words[0], "check"))
        return tn_fail(err, TN_EUSAGE, "tarn config %s: it is show or check", args->words[0]);
    TN_TRY(cli_config(cli, &config, err));
    if (show)
        return config_show(cli, config, err);
    size_t set = 0;
    struct tn_config_table table = tn_config_table(config);
    for (size_t i = 0; i < table.count; i++)
        set += !tn_streq(tn_config_origin(config, table.keys[i].name), "default");
    TN_AUTO_BUF text = {0};
    if (cli->json)
        tn_buf_printf(&text, "{\"ok\":true,\"keys_set\":%zu}\n", set);
    else
        tn_buf_printf(&text, "The configuration is good; %zu of %zu keys are set.\n", set, table.count);
    return cli_print(cli, &text, err);
}

/* ---- tokens -------------------------------------------------------------------------- */

static enum tn_code token_new(struct cli *cli, const char *name, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    if (name)
        (void)json_object_set_new(body, "name", json_string(name));
    TN_TRY(cli_connect(cli, true, &client, err));
    TN_TRY(client_json(client, "POST", "/tokens", body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    const char *token = json_string_value(json_object_get(answer, "token"));
    const char *id = json_string_value(json_object_get(answer, "id"));
    if (!token)
        return tn_fail(err, TN_EINTERNAL, "the server's answer holds no token");
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text, "%s\n", token);
    TN_TRY(cli_print(cli, &text, err));
    cli_note(cli,
             "Shown this once. Use it as TARN_TOKEN or \"Authorization: Bearer\"; `tarn token revoke %s` ends it.",
             id ? id : "ID");
    return TN_OK;
}

static enum tn_code token_list(struct cli *cli, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(cli_fetch_items(client, cli->arena, "/tokens", &items, err));
    return cli_print_items(cli, items, token_columns, TN_COUNT(token_columns), "No tokens: tarn token new makes one.",
                           err);
}

static enum tn_code token_revoke(struct cli *cli, const char *id, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(client_json(client, "DELETE", client_path(cli->arena, "/tokens/", id, NULL), NULL, &answer, err));
    cli_note(cli, "%s: revoked", id);
    return TN_OK;
}

enum tn_code cmd_token(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    static const char *const verbs[] = {"new", "list", "revoke"};
    const char *verb = args->words[0], *argument = args->word_count > 1 ? args->words[1] : NULL;
    if (tn_streq(verb, "new"))
        return token_new(cli, argument, err);
    if (tn_streq(verb, "list") && !argument)
        return token_list(cli, err);
    if (tn_streq(verb, "revoke") && argument)
        return token_revoke(cli, argument, err);
    enum tn_code code = tn_fail(err, TN_EUSAGE, "tarn token %s: not understood", verb);
    const char *near = tn_suggest(verb, verbs, TN_COUNT(verbs));
    tn_error_hint(err, "tarn token new [NAME] | list | revoke ID%s%s%s", near ? "; did you mean " : "",
                  near ? near : "", near ? "?" : "");
    return code;
}
