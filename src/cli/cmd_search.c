/* tarn index, tarn search. */
#include "cli/cli.h"
#include "cli/client.h"

#include <inttypes.h>

enum { WAIT_SECONDS = 3600, LINE_WIDTH = 160 };

static void set_text(json_t *body, const struct cli_args *args, const char *option, const char *key)
{
    const char *text = cli_args_text(args, option, NULL);
    if (text)
        (void)json_object_set_new(body, key, json_string(text));
}

static enum tn_code set_count(json_t *body, const struct cli_args *args, const char *option, const char *key,
                              int64_t most, struct tn_error *err)
{
    int64_t value = 0;
    if (!cli_args_has(args, option))
        return TN_OK;
    TN_TRY(cli_args_i64(args, option, 0, most, 0, &value, err));
    (void)json_object_set_new(body, key, json_integer(value));
    return TN_OK;
}

static int64_t count_of(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

static const char *text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text ? text : "";
}

/* ---- index ------------------------------------------------------------------------ */

static const struct cli_column index_columns[] = {
    {"index", "name", CLI_TEXT},
    {"dataset", "dataset", CLI_TEXT},
    {"state", "state", CLI_TEXT},
    {"documents", "documents", CLI_COUNT},
    {"chunks", "chunks", CLI_COUNT},
    {"model", "model", CLI_TEXT},
    {"generation", "generation", CLI_COUNT},
    {"size", "bytes_on_disk", CLI_BYTES},
};

static enum tn_code list(struct cli *cli, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    TN_TRY(cli_connect(cli, false, &client, err));
    TN_TRY(cli_fetch_items(client, cli->arena, "/vectors/indexes", &items, err));
    return cli_print_items(cli, items, index_columns, TN_COUNT(index_columns),
                           "No indexes yet: tarn index create DATASET makes one.", err);
}

json_t *cli_names(const char *words)
{
    json_t *names = json_array();
    while (words && *words) {
        size_t length = strcspn(words, ",");
        if (length > 0)
            (void)json_array_append_new(names, json_stringn(words, length));
        words += length + (words[length] == ',');
    }
    return names;
}

static void set_columns(json_t *body, const char *words)
{
    json_t *columns = cli_names(words);
    if (json_array_size(columns) > 0)
        (void)json_object_set(body, "text_columns", columns);
    json_decref(columns);
}

static enum tn_code create(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    json_t *chunk = json_object();
    struct client *client;
    char path[64];
    (void)json_object_set_new(body, "dataset", json_string(args->words[1]));
    set_text(body, args, "name", "name");
    set_text(body, args, "model", "model");
    set_text(body, args, "vector-column", "vector_column");
    set_text(body, args, "backend", "backend");
    set_columns(body, cli_args_text(args, "columns", NULL));
    enum tn_code code = set_count(chunk, args, "chunk", "size", 1 << 20, err);
    if (code == TN_OK)
        code = set_count(chunk, args, "overlap", "overlap", 1 << 20, err);
    if (json_object_size(chunk) > 0)
        (void)json_object_set(body, "chunk", chunk);
    json_decref(chunk);
    TN_TRY(code);
    TN_TRY(cli_connect(cli, false, &client, err));
    snprintf(path, sizeof path, "/vectors/indexes?wait=%d", cli_args_has(args, "background") ? 0 : WAIT_SECONDS);
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    if (json_object_get(answer, "job_id"))
        cli_note(cli, "job %s builds the index; `tarn jobs` shows how far it is", text_of(answer, "job_id"));
    else
        cli_note(cli, "%" PRId64 " documents, %" PRId64 " chunks (%" PRId64 " embedded, %" PRId64 " known already)",
                 count_of(answer, "documents"), count_of(answer, "chunks"), count_of(answer, "embedded"),
                 count_of(answer, "reused"));
    return TN_OK;
}

static enum tn_code call(struct cli *cli, const char *method, const char *before, const char *index,
                         const char *after, const json_t *body, json_t **ret, struct tn_error *err)
{
    struct client *client;
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path = tn_arena_printf(cli->arena, "%s%s", client_path(cli->arena, before, index, NULL), after);
    return client_json(client, method, path, body, ret, err);
}

static enum tn_code show(struct cli *cli, const char *index, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(call(cli, "GET", "/vectors/indexes/", index, "", NULL, &answer, err));
    return cli_print_json(cli, answer, err);
}

static enum tn_code change(struct cli *cli, const char *method, const char *before, const char *index,
                           const char *after, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(call(cli, method, before, index, after, NULL, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    cli_note(cli, "%s: %s", index, text_of(answer, "status"));
    return TN_OK;
}

static enum tn_code evaluate(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    TN_AUTO_BUF text = {0};
    TN_TRY(set_count(body, args, "samples", "samples", 1000, err));
    TN_TRY(set_count(body, args, "k", "k", 1000, err));
    TN_TRY(call(cli, "POST", "/vectors/evaluate/", args->words[1], "", body, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    const json_t *latency = json_object_get(answer, "latency_us");
    tn_buf_printf(
        &text,
        "recall@%" PRId64 "  %.4f of the true nearest, %" PRId64 " queries\n"
        "recall@1   %.4f\n"
        "latency    p50 %.0f us, p95 %.0f us, p99 %.0f us\n",
        count_of(answer, "k"), json_number_value(json_object_get(answer, "recall")), count_of(answer, "samples"),
        json_number_value(json_object_get(answer, "recall_at_1")), json_number_value(json_object_get(latency, "p50")),
        json_number_value(json_object_get(latency, "p95")), json_number_value(json_object_get(latency, "p99")));
    return cli_print(cli, &text, err);
}

enum tn_code cmd_index(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *verb = args->words[0], *name = args->word_count > 1 ? args->words[1] : NULL;
    if (tn_streq(verb, "list"))
        return list(cli, err);
    if (!name) {
        tn_fail(err, TN_EUSAGE, "index %s: of what?", verb);
        tn_error_hint(err, "tarn help index");
        return TN_EUSAGE;
    }
    if (tn_streq(verb, "create"))
        return create(cli, args, err);
    if (tn_streq(verb, "show"))
        return show(cli, name, err);
    if (tn_streq(verb, "drop"))
        return change(cli, "DELETE", "/vectors/indexes/", name, "", err);
    if (tn_streq(verb, "fold"))
        return change(cli, "POST", "/vectors/indexes/", name, "/fold", err);
    if (tn_streq(verb, "rollback"))
        return cli_index_rollback(cli, args, err);
    if (tn_streq(verb, "trial"))
        return cli_index_trial(cli, args, err);
    if (tn_streq(verb, "trials"))
        return cli_index_trials(cli, args, err);
    if (tn_streq(verb, "promote"))
        return cli_index_promote(cli, args, err);
    if (tn_streq(verb, "generations"))
        return cli_index_generations(cli, args, err);
    if (tn_streq(verb, "eval"))
        return evaluate(cli, args, err);
    tn_fail(err, TN_EUSAGE, "index cannot \"%.40s\"", verb);
    tn_error_hint(err,
                  "it can create, list, show, drop, fold, eval, trial, trials, promote, rollback and generations");
    return TN_EUSAGE;
}

/* ---- search ------------------------------------------------------------------------- */

/* One line of a text, cut where the screen ends. */
static void put_line(struct tn_buf *out, const char *text)
{
    TN_AUTO_BUF line = {0};
    size_t length = tn_utf8_floor(text, strlen(text), LINE_WIDTH);
    for (size_t i = 0; i < length; i++)
        tn_buf_putc(&line, text[i] == '\n' || text[i] == '\r' || text[i] == '\t' ? ' ' : text[i]);
    if (length < strlen(text))
        tn_buf_puts(&line, "...");
    if (line.len > 0)
        term_put_safe(out, line.data, line.len);
}

/* The fields of a hit's row, one a line. */
static void put_row(struct tn_buf *out, const json_t *row)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        TN_AUTO_BUF text = {0};
        tn_buf_puts(out, "      ");
        term_put_safe(out, name, strlen(name));
        tn_buf_puts(out, ": ");
        if (json_is_string(value))
            put_line(out, json_string_value(value));
        else if (!json_is_null(value)) {
            tn_json_dump(value, &text);
            put_line(out, text.data);
        }
        tn_buf_putc(out, '\n');
    }
}

/* Where a hit of several datasets is from. */
static void put_origin(struct tn_buf *out, const json_t *hit)
{
    const char *dataset = text_of(hit, "dataset");
    if (*dataset)
        term_put_safe(out, dataset, strlen(dataset));
    if (*dataset)
        tn_buf_putc(out, ' ');
}

static enum tn_code print_hits(struct cli *cli, const json_t *answer, struct tn_error *err)
{
    TN_AUTO_BUF out = {0};
    size_t i;
    const json_t *hit;
    json_array_foreach(json_object_get(answer, "hits"), i, hit)
    {
        tn_buf_printf(&out, "%2zu  %.4f  ", i + 1, json_number_value(json_object_get(hit, "score")));
        const char *id = text_of(hit, "doc_id");
        put_origin(&out, hit);
        term_put_safe(&out, id, strlen(id));
        tn_buf_printf(&out, " #%" PRId64 "\n    ", count_of(hit, "chunk_no"));
        put_line(&out, text_of(hit, "text"));
        tn_buf_putc(&out, '\n');
        put_row(&out, json_object_get(hit, "row"));
    }
    if (out.len == 0)
        cli_note(cli, "nothing found");
    else
        TN_TRY(cli_print(cli, &out, err));
    if (json_is_true(json_object_get(answer, "behind")))
        cli_note(cli, "rows of the last commits are not searchable yet");
    return TN_OK;
}

enum tn_code cmd_search(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    struct client *client;
    const char *dataset = cli_args_text(args, "dataset", NULL);
    (void)json_object_set_new(body, "query", json_string(args->words[0]));
    set_text(body, args, "index", "index");
    set_text(body, args, "mode", "mode");
    set_text(body, args, "filter", "filter");
    set_text(body, args, "fusion", "fusion");
    json_t *names = cli_names(dataset);
    if (json_array_size(names) > 0)
        (void)json_object_set(body, "datasets", names);
    json_decref(names);
    TN_TRY(set_count(body, args, "count", "k", 1000, err));
    const char *const flags[][2] = {{"per-doc", "per_doc"}, {"rows", "rows"}, {"explain", "explain"}};
    for (size_t i = 0; i < TN_COUNT(flags); i++)
        if (cli_args_has(args, flags[i][0]))
            (void)json_object_set_new(body, flags[i][1], json_true());
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *model = cli_args_text(args, "model", NULL);
    const char *path = model ? client_path(cli->arena, "/search?model=", model, NULL) : "/search";
    TN_TRY(client_json(client, "POST", path, body, &answer, err));
    if (cli->json || cli_args_has(args, "explain"))
        return cli_print_json(cli, answer, err);
    return print_hits(cli, answer, err);
}
