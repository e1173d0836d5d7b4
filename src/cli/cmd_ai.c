/* tarn embed, tarn model. */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>
#include <stdio.h>

enum { TEXTS_MAX = 2048, LINE_MAX_BYTES = 1 << 20 };

static void set_text(json_t *body, const char *key, const char *text)
{
    if (text)
        (void)json_object_set_new(body, key, json_string(text));
}

static const char *text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text ? text : "";
}

/* ---- embed ------------------------------------------------------------------------ */

static enum tn_code add_text(json_t *texts, const char *text, size_t length, struct tn_error *err)
{
    json_t *item = json_stringn(text, length);
    if (!item)
        return tn_fail(err, TN_EUSAGE, "text %zu is not UTF-8", json_array_size(texts) + 1);
    (void)json_array_append_new(texts, item);
    return TN_OK;
}

static enum tn_code print_vectors(struct cli *cli, const json_t *answer, struct tn_error *err)
{
    const json_t *vectors = json_object_get(answer, "vectors");
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        TN_AUTO_BUF line = {0};
        tn_json_dump(json_array_get(vectors, i), &line);
        tn_buf_putc(&line, '\n');
        TN_TRY(cli_print(cli, &line, err));
    }
    return TN_OK;
}

static enum tn_code embed_texts(struct cli *cli, const struct cli_args *args, json_t *texts, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    struct client *client;
    if (json_array_size(texts) == 0)
        return TN_OK;
    set_text(body, "model", cli_args_text(args, "model", NULL));
    set_text(body, "use", cli_args_text(args, "use", NULL));
    (void)json_object_set(body, "texts", texts);
    TN_TRY(cli_connect_or_scratch(cli, &client, err));
    TN_TRY(client_json(client, "POST", "/ai/embed", body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    int64_t cut = json_integer_value(json_object_get(answer, "truncated"));
    if (cut > 0)
        cli_note(cli, "%" PRId64 " texts are longer than %s reads; their ends do not count", cut,
                 text_of(answer, "model"));
    return print_vectors(cli, answer, err);
}

/* Lines of standard input, some at a time. */
static enum tn_code embed_lines(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *texts = json_array();
    TN_AUTO_FREE char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        size_t kept = (size_t)(length - (line[length - 1] == '\n'));
        if (kept > LINE_MAX_BYTES)
            return tn_fail(err, TN_ETOOLARGE, "a line of standard input is longer than 1 MB");
        TN_TRY(add_text(texts, line, kept, err));
        if (json_array_size(texts) < 256)
            continue;
        TN_TRY(embed_texts(cli, args, texts, err));
        (void)json_array_clear(texts);
    }
    return embed_texts(cli, args, texts, err);
}

enum tn_code cmd_embed(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    if (args->word_count == 0 || (args->word_count == 1 && tn_streq(args->words[0], "-")))
        return embed_lines(cli, args, err);
    TN_AUTO_JSON *texts = json_array();
    for (size_t i = 0; i < args->word_count; i++)
        TN_TRY(add_text(texts, args->words[i], strlen(args->words[i]), err));
    return embed_texts(cli, args, texts, err);
}

/* ---- model ------------------------------------------------------------------------- */

static enum tn_code list(struct cli *cli, const char *path, const struct cli_column *columns, size_t count,
                         const char *nothing, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(cli_connect_or_scratch(cli, &client, err));
    TN_TRY(client_json(client, "GET", path, NULL, &answer, err));
    return cli_print_items(cli, json_object_get(answer, "items"), columns, count, nothing, err);
}

static enum tn_code list_models(struct cli *cli, struct tn_error *err)
{
    static const struct cli_column columns[] = {
        {"name", "name", CLI_TEXT},           {"state", "state", CLI_TEXT},
        {"dimension", "dimension", CLI_TEXT}, {"max tokens", "max_tokens", CLI_TEXT},
        {"version", "version", CLI_TEXT},     {"problem", "problem", CLI_TEXT},
    };
    return list(cli, "/ai/models", columns, TN_COUNT(columns), "no models", err);
}

static enum tn_code list_providers(struct cli *cli, struct tn_error *err)
{
    static const struct cli_column columns[] = {
        {"name", "name", CLI_TEXT},    {"state", "state", CLI_TEXT},        {"address", "address", CLI_TEXT},
        {"calls", "calls", CLI_COUNT}, {"failures", "failures", CLI_COUNT}, {"problem", "problem", CLI_TEXT},
    };
    return list(cli, "/ai/providers", columns, TN_COUNT(columns), "no providers", err);
}

static enum tn_code change(struct cli *cli, const char *path, const json_t *body, const char *what,
                           struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(cli_connect(cli, true, &client, err));
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s %s (version %.16s)", text_of(answer, "name"), what, text_of(answer, "version"));
    return TN_OK;
}

static enum tn_code import_model(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object();
    char *folder = NULL;
    TN_TRY(tn_path_real(cli->arena, args->words[1], &folder, err));
    set_text(body, "folder", folder);
    set_text(body, "name", cli_args_text(args, "name", NULL));
    return change(cli, "/ai/models/import", body, "is imported", err);
}

enum tn_code cmd_model(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *verb = args->words[0];
    bool bare = tn_streq(verb, "list") || tn_streq(verb, "providers");
    if (bare && args->word_count == 1)
        return tn_streq(verb, "list") ? list_models(cli, err) : list_providers(cli, err);
    if (!bare && args->word_count == 2) {
        TN_AUTO_JSON *body = json_object();
        set_text(body, "model", args->words[1]);
        if (tn_streq(verb, "import"))
            return import_model(cli, args, err);
        if (tn_streq(verb, "accept"))
            return change(cli, "/ai/models/accept", body, "is accepted as it is now", err);
        if (tn_streq(verb, "default")) {
            bool chat = cli_args_has(args, "chat");
            (void)json_object_set_new(body, "chat", json_boolean(chat));
            return change(cli, "/ai/models/default", body,
                          chat ? "answers where no model is named" : "embeds where no model is named", err);
        }
    }
    (void)tn_fail(err, TN_EUSAGE, "model %s: that is none of its forms", verb);
    tn_error_hint(err, "list, providers, import DIR, default NAME, accept NAME");
    return TN_EUSAGE;
}
