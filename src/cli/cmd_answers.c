/* tarn rag, answers, answer, replay. */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>
#include <stdio.h>

#define EVENT_MAX ((size_t)16 << 20)

static const struct cli_column answer_columns[] = {
    {"answer", "answer_id", CLI_TEXT},  {"time", "time", CLI_TIME},   {"kind", "kind", CLI_TEXT},
    {"question", "question", CLI_TEXT}, {"model", "model", CLI_TEXT}, {"refused", "refused", CLI_TEXT},
    {"feedback", "feedback", CLI_TEXT},
};

static const char *text_of(const json_t *object, const char *path)
{
    const char *text = json_string_value(cli_json_at(object, path));
    return text ? text : "";
}

static int64_t count_of(const json_t *object, const char *path)
{
    return json_integer_value(cli_json_at(object, path));
}

static void put_safe(struct tn_buf *out, const char *text)
{
    if (*text)
        term_put_safe(out, text, strlen(text));
}

/* ---- an answer on a terminal ---------------------------------------------------------- */

static void put_citations(const json_t *answer, struct tn_buf *out)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(answer, "citations"), i, item)
    {
        tn_buf_printf(out, "%s[%" PRId64 "] ", i ? "" : "\n", count_of(item, "source"));
        put_safe(out, *text_of(item, "title") ? text_of(item, "title") : text_of(item, "doc_id"));
        if (count_of(item, "page") > 0)
            tn_buf_printf(out, ", page %" PRId64, count_of(item, "page"));
        tn_buf_puts(out, "\n    \"");
        for (const char *c = text_of(item, "quote"); *c;) { /* a quote may have lines */
            size_t line = strcspn(c, "\n");
            if (line > 0)
                term_put_safe(out, c, line);
            tn_buf_puts(out, c[line] ? " " : "");
            c += line + (c[line] != '\0');
        }
        tn_buf_puts(out, "\"\n");
    }
}

static void put_lines(struct tn_buf *out, const char *text)
{
    while (*text) {
        size_t line = strcspn(text, "\n");
        if (line > 0)
            term_put_safe(out, text, line);
        tn_buf_putc(out, '\n');
        text += line + (text[line] != '\0');
    }
}

static void note_rest(struct cli *cli, const json_t *answer)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(answer, "warnings"), i, item) cli_note(cli, "%s", json_string_value(item));
    if (!json_is_string(json_object_get(answer, "model")) && !json_is_true(json_object_get(answer, "refused")))
        cli_note(cli, "no language model: these are the passages' own sentences");
    else if (json_is_string(json_object_get(answer, "model")))
        cli_note(cli, "%s (%s)", text_of(answer, "model"), text_of(answer, "choice.why"));
    cli_note(cli, "answer %s; `tarn answer` shows what made it", text_of(answer, "answer_id"));
}

/* `told`: its words were printed as they came. */
static enum tn_code print_answer(struct cli *cli, const json_t *answer, bool told, struct tn_error *err)
{
    TN_AUTO_BUF out = {0};
    bool refused = json_is_true(json_object_get(answer, "refused"));
    if (refused)
        cli_note(cli, "refused: %s", text_of(answer, "reason"));
    else if (!told)
        put_lines(&out, text_of(answer, "answer"));
    put_citations(answer, &out);
    if (out.len > 0)
        TN_TRY(cli_print(cli, &out, err));
    note_rest(cli, answer);
    return TN_OK;
}

/* ---- rag ---------------------------------------------------------------------------------- */

struct reading {
    struct cli *cli;
    struct tn_buf rest; /* of the stream: no whole line yet */
    char event[32];
    struct tn_buf told; /* what was printed, as text */
    json_t *done;
    bool failed;
};

static enum tn_code take_token(struct reading *reading, const json_t *data, struct tn_error *err)
{
    TN_AUTO_BUF out = {0};
    const char *text = text_of(data, "text");
    tn_buf_puts(&reading->told, text);
    while (*text) {
        size_t line = strcspn(text, "\n");
        if (line > 0)
            term_put_safe(&out, text, line);
        if (text[line])
            tn_buf_putc(&out, '\n');
        text += line + (text[line] != '\0');
    }
    TN_TRY(cli_print(reading->cli, &out, err));
    (void)fflush(stdout);
    return TN_OK;
}

static enum tn_code take_data(struct reading *reading, const char *text, size_t length, struct tn_error *err)
{
    TN_AUTO_JSON *data = NULL;
    TN_TRY(tn_json_parse(text, length, EVENT_MAX, "event", &data, err));
    if (tn_streq(reading->event, "error"))
        return client_problem(count_of(data, "status"), text, length, err);
    if (tn_streq(reading->event, "done"))
        reading->done = json_incref(data);
    if (reading->cli->json) {
        TN_AUTO_JSON *line = json_pack("{s:s, s:O}", "event", reading->event, "data", data);
        return cli_print_json(reading->cli, line, err);
    }
    return tn_streq(reading->event, "token") ? take_token(reading, data, err) : TN_OK;
}

static enum tn_code take_stream(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    struct reading *reading = context;
    const char *newline;
    tn_buf_append(&reading->rest, bytes, count);
    while ((newline = memchr(reading->rest.data, '\n', reading->rest.len))) {
        size_t length = (size_t)(newline - reading->rest.data);
        const char *line = reading->rest.data;
        reading->rest.data[length] = '\0';
        if (tn_str_starts_with(line, "event: "))
            (void)snprintf(reading->event, sizeof reading->event, "%.31s", line + 7);
        else if (tn_str_starts_with(line, "data: "))
            TN_TRY(take_data(reading, line + 6, length - 6, err));
        tn_buf_consume(&reading->rest, length + 1);
    }
    return reading->rest.len <= EVENT_MAX ? TN_OK : tn_fail(err, TN_EJSON, "the server's event has no end");
}

/* Words went out before they were checked: what was taken back is printed again. */
static enum tn_code end_stream(struct reading *reading, struct tn_error *err)
{
    const char *told = reading->told.data ? reading->told.data : "";
    if (!reading->done)
        return tn_fail(err, TN_EUNREACHABLE, "the server ended the stream");
    if (reading->cli->json)
        return TN_OK;
    if (*told) {
        TN_AUTO_BUF newline = {0};
        tn_buf_putc(&newline, '\n');
        TN_TRY(cli_print(reading->cli, &newline, err));
    }
    bool same = tn_streq(told, text_of(reading->done, "answer"));
    if (!same && *told && !json_is_true(json_object_get(reading->done, "refused")))
        cli_note(reading->cli, "checked against the sources, it reads:");
    return print_answer(reading->cli, reading->done, same && *told, err);
}

static enum tn_code stream(struct cli *cli, struct client *client, const json_t *body, struct tn_error *err)
{
    CLIENT_AUTO_REPLY reply = {0};
    TN_AUTO_BUF text = {0};
    struct reading reading = {.cli = cli};
    tn_json_dump(body, &text);
    const struct client_request request = {.method = "POST",
                                           .path = "/rag",
                                           .content_type = "application/json",
                                           .body = text.data,
                                           .body_length = text.len,
                                           .accept = "text/event-stream",
                                           .sink = take_stream,
                                           .sink_context = &reading};
    enum tn_code code = client_send(client, &request, &reply, err);
    if (code == TN_OK)
        code = end_stream(&reading, err);
    tn_buf_release(&reading.rest);
    tn_buf_release(&reading.told);
    json_decref(reading.done);
    return code;
}

static void set_text(json_t *body, const struct cli_args *args, const char *option, const char *key)
{
    const char *text = cli_args_text(args, option, NULL);
    if (text)
        (void)json_object_set_new(body, key, json_string(text));
}

enum tn_code cmd_rag(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    static const char *const texts[] = {"index", "dataset", "model", "filter"};
    struct client *client;
    int64_t k = 0;
    (void)json_object_set_new(body, "question", json_string(args->words[0]));
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        set_text(body, args, texts[i], texts[i]);
    TN_TRY(cli_args_i64(args, "k", 1, 50, 8, &k, err));
    (void)json_object_set_new(body, "k", json_integer(k));
    if (cli_args_has(args, "rerank"))
        (void)json_object_set_new(body, "rerank", json_true());
    TN_TRY(cli_connect(cli, false, &client, err));
    if (cli_args_has(args, "stream")) {
        (void)json_object_set_new(body, "stream", json_true());
        return stream(cli, client, body, err);
    }
    TN_TRY(client_json(client, "POST", "/rag", body, &answer, err));
    return cli->json ? cli_print_json(cli, answer, err) : print_answer(cli, answer, false, err);
}

/* ---- what was answered -------------------------------------------------------------------- */

enum tn_code cmd_answers(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    int64_t limit;
    TN_TRY(cli_args_i64(args, "limit", 1, 1000, 20, &limit, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = tn_arena_printf(cli->arena, "/answers?limit=%" PRId64, limit);
    TN_TRY(client_json(client, "GET", path, NULL, &answer, err));
    return cli_print_items(cli, json_object_get(answer, "items"), answer_columns, TN_COUNT(answer_columns),
                           "No answers yet: tarn rag QUESTION gives one.", err);
}

static enum tn_code judge(struct cli *cli, struct client *client, const char *id, bool good, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_pack("{s:b}", "good", good), *answer = NULL;
    const char *path = client_path(cli->arena, "/answers/", id, "/feedback", NULL);
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "answer %s: %s", id, text_of(answer, "feedback"));
    return TN_OK;
}

enum tn_code cmd_answer(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    bool good = cli_args_has(args, "good"), bad = cli_args_has(args, "bad");
    if (good && bad)
        return tn_fail(err, TN_EUSAGE, "an answer is good or bad, not both");
    TN_TRY(cli_connect(cli, false, &client, err));
    if (good || bad)
        return judge(cli, client, args->words[0], good, err);
    TN_TRY(
        client_json(client, "GET", client_path(cli->arena, "/answers/", args->words[0], NULL), NULL, &answer, err));
    return cli_print_json(cli, answer, err);
}

/* ---- again ------------------------------------------------------------------------------------ */

static void put_change(const json_t *answer, const char *key, struct tn_buf *out)
{
    const json_t *part = json_object_get(answer, key);
    if (json_object_get(part, "came")) {
        tn_buf_printf(out, "%-18s %zu came, %zu left, %zu changed, %" PRId64 " moved\n", key,
                      json_array_size(json_object_get(part, "came")), json_array_size(json_object_get(part, "left")),
                      json_array_size(json_object_get(part, "changed")), count_of(part, "moved"));
        return;
    }
    TN_AUTO_BUF text = {0};
    if (part)
        tn_json_dump(part, &text);
    tn_buf_printf(out, "%-18s ", key);
    put_safe(out, text.data ? text.data : "");
    tn_buf_putc(out, '\n');
}

enum tn_code cmd_replay(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    TN_AUTO_BUF out = {0};
    struct client *client;
    set_text(body, args, "model", "model");
    (void)json_object_set_new(body, "data", json_string(cli_args_has(args, "then") ? "then" : "now"));
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = client_path(cli->arena, "/answers/", args->words[0], "/replay", NULL);
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    const json_t *changed = json_object_get(answer, "changed"), *item;
    size_t i;
    json_array_foreach(changed, i, item) put_change(answer, json_string_value(item), &out);
    if (out.len == 0)
        cli_note(cli, "nothing changed");
    tn_buf_puts(&out, out.len ? "\n" : "");
    put_lines(&out, text_of(answer, "now.answer"));
    TN_TRY(cli_print(cli, &out, err));
    if (json_is_true(cli_json_at(answer, "now.refused")))
        cli_note(cli, "refused: %s", text_of(answer, "now.reason"));
    cli_note(cli, "answer %s; `tarn --json replay` shows both whole", text_of(answer, "replay_id"));
    return TN_OK;
}
