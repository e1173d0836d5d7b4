/* tarn ingest, for documents: files, archives and folders of them, sent some
 * hundred at a time, each with its path. */
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/folder.h"
#include "cli/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_FILES   500
#define BATCH_BYTES   ((uint64_t)64 << 20)
#define SKIPPED_SHOWN 20
#define BOUNDARY      "tarn-documents-"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum tn_code gather(struct folder_list *list, const char *const *words, size_t count, bool *ret_others,
                           struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        size_t before = list->count;
        bool there = !tn_streq(words[i], "-") && stat(words[i], &info) == 0;
        if (there && S_ISDIR(info.st_mode))
            TN_TRY(folder_gather(list, words[i], err));
        else if (there && folder_is_document(words[i]))
            folder_add(list, &(struct folder_file){words[i], words[i], NULL, (uint64_t)info.st_size});
        *ret_others |= list->count == before;
    }
    return TN_OK;
}

/* ---- one request ----------------------------------------------------------------------- */

struct body {
    const struct folder_file *files;
    int *fds;
    size_t count, at; /* at: which file is being sent */
    bool in_file;
    const char *boundary;
    struct tn_buf text; /* of the form around the files */
    size_t text_sent;
    bool ended;
    struct progress progress;
    uint64_t sent;
};

static void put_part_head(struct body *body, const char *name)
{
    tn_buf_printf(&body->text, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"", body->boundary);
    for (const char *p = name; *p; p++) {
        if (*p == '"' || *p == '\\')
            tn_buf_putc(&body->text, '\\');
        tn_buf_putc(&body->text, (unsigned char)*p < 0x20 ? '_' : *p);
    }
    tn_buf_puts(&body->text, "\"\r\nContent-Type: application/octet-stream\r\n\r\n");
}

/* The form's next words when those before are sent. */
static void next_text(struct body *body)
{
    tn_buf_clear(&body->text);
    body->text_sent = 0;
    if (body->at < body->count) {
        put_part_head(body, body->files[body->at].name);
        body->in_file = true;
    } else {
        tn_buf_printf(&body->text, "--%s--\r\n", body->boundary);
        body->ended = true;
    }
}

static enum tn_code read_body(void *context, char *out, size_t room, size_t *ret_count, struct tn_error *err)
{
    struct body *body = context;
    *ret_count = 0;
    for (;;) {
        size_t left = TN_MIN(body->text.len - body->text_sent, room);
        if (left) {
            memcpy(out, body->text.data + body->text_sent, left);
            body->text_sent += left;
            *ret_count = left;
            return TN_OK;
        }
        if (body->in_file) {
            ssize_t got = read(body->fds[body->at], out, room);
            if (got < 0 && errno == EINTR && !client_interrupted())
                continue;
            if (got < 0)
                return tn_fail_errno(err, errno, "%s", body->files[body->at].path);
            *ret_count = (size_t)got;
            if (got > 0)
                return TN_OK;
            body->in_file = false;
            body->at++;
            tn_buf_clear(&body->text);
            body->text_sent = 0;
            tn_buf_puts(&body->text, "\r\n");
            continue;
        }
        if (body->ended)
            return TN_OK;
        next_text(body);
    }
}

static void show_progress(void *context, uint64_t sent, bool all_sent)
{
    struct body *body = context;
    progress_update(&body->progress, body->sent + sent, all_sent ? "writing" : NULL);
}

static enum tn_code send_body(struct cli *cli, const char *path, struct body *body, json_t **ret,
                              struct tn_error *err)
{
    struct client *client;
    TN_TRY(cli_connect(cli, true, &client, err));
    struct client_request request = {
        .method = "POST",
        .path = path,
        .content_type = tn_arena_printf(cli->arena, "multipart/form-data; boundary=%s", body->boundary),
        .source = read_body,
        .source_context = body,
        .source_size = -1,
        .progress = show_progress,
        .progress_context = body};
    CLIENT_AUTO_REPLY reply = {0};
    query_catch_interrupts(true);
    TN_TRY(client_send(client, &request, &reply, err));
    return tn_json_parse_zeros(reply.body.data ? reply.body.data : "", reply.body.len, 64 << 20,
                               "the server's answer", ret, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

static const char *const counts[] = {"files", "ingested", "unchanged", "failed", "pages", "needs_ocr", "bytes"};

static int64_t number_at(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

/* Adds an answer to the sum of those before. */
static void add_answer(json_t *sum, json_t *answer)
{
    for (size_t i = 0; i < TN_COUNT(counts); i++)
        (void)json_object_set_new(sum, counts[i],
                                  json_integer(number_at(sum, counts[i]) + number_at(answer, counts[i])));
    static const char *const last[] = {"dataset",           "pages_dataset", "snapshot_id",
                                       "pages_snapshot_id", "auto_embed",    "indexes"};
    for (size_t i = 0; i < TN_COUNT(last); i++) {
        json_t *value = json_object_get(answer, last[i]);
        if (value && (!json_is_null(value) || !json_object_get(sum, last[i])))
            (void)json_object_set(sum, last[i], value);
    }
    (void)json_array_extend(json_object_get(sum, "errors"), json_object_get(answer, "errors"));
}

static void tell_errors(const struct cli *cli, const json_t *answer)
{
    const json_t *errors = json_object_get(answer, "errors");
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *item = json_array_get(errors, i);
        const char *word = json_string_value(json_object_get(item, "code"));
        const char *hint = json_string_value(json_object_get(item, "hint"));
        struct tn_error error = {0};
        char page[40] = "";
        if (number_at(item, "page"))
            (void)snprintf(page, sizeof page, ", page %" PRId64, number_at(item, "page"));
        (void)tn_fail(&error, tn_code_from_word(word ? word : ""), "%s%s: %s",
                      json_string_value(json_object_get(item, "path")), page,
                      json_string_value(json_object_get(item, "detail")));
        if (hint)
            tn_error_hint(&error, "%s", hint);
        cli_error_print(cli, &error);
    }
}

/* Links that lead out of their folder: as if they could not be read. */
static void add_refused(json_t *sum, const struct folder_lefts *refused)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < refused->listed; i++)
        (void)json_array_append_new(errors, json_pack("{s:s, s:s, s:s, s:s}", "path", refused->items[i].path, "code",
                                                      tn_code_word(TN_EREFUSED), "detail", refused->items[i].detail,
                                                      "hint", refused->items[i].hint));
    (void)json_object_set_new(sum, "errors", errors);
    (void)json_object_set_new(sum, "files", json_integer((int64_t)refused->count));
    (void)json_object_set_new(sum, "failed", json_integer((int64_t)refused->count));
}

/* What is not sent at all. */
static void add_skipped(json_t *sum, const struct folder_list *list)
{
    json_t *files = json_array();
    for (size_t i = 0; i < list->skipped.listed; i++) {
        const struct folder_left *left = &list->skipped.items[i];
        (void)json_array_append_new(
            files, json_pack("{s:s, s:s, s:s}", "path", left->path, "detail", left->detail, "hint", left->hint));
    }
    (void)json_object_set_new(sum, "skipped", json_integer((int64_t)list->skipped.count));
    (void)json_object_set_new(sum, "skipped_files", files);
    (void)json_object_set_new(sum, "hidden", json_integer((int64_t)list->hidden));
}

static void tell_skipped(const struct cli *cli, const struct folder_list *list)
{
    const struct folder_lefts *skipped = &list->skipped;
    size_t shown = TN_MIN(skipped->listed, (size_t)SKIPPED_SHOWN);
    if (skipped->count)
        cli_note(cli, "%" PRIu64 " file%s skipped:", skipped->count, skipped->count == 1 ? " was" : "s were");
    for (size_t i = 0; i < shown; i++) {
        TN_AUTO_BUF line = {0};
        const struct folder_left *left = &skipped->items[i];
        term_put_safe(&line, left->path, strlen(left->path));
        tn_buf_printf(&line, ": %s; ", left->detail);
        term_put_safe(&line, left->hint, strlen(left->hint));
        cli_note(cli, "  %s", line.data);
    }
    if (skipped->count > shown)
        cli_note(cli, "  and %" PRIu64 " more; --json lists the first %d", skipped->count - shown, FOLDER_LISTED);
    if (list->hidden)
        cli_note(cli, "%" PRIu64 " hidden file%s or folder%s passed by", list->hidden, list->hidden == 1 ? "" : "s",
                 list->hidden == 1 ? " was" : "s were");
}

/* How many of the files go into the next request. */
static size_t batch_size(const struct folder_list *list, size_t first)
{
    uint64_t bytes = 0;
    size_t count = 0;
    while (first + count < list->count && count < BATCH_FILES && (count == 0 || bytes < BATCH_BYTES))
        bytes += list->files[first + count++].size;
    return count;
}

static enum tn_code send_batch(struct cli *cli, const char *path, struct body *body, json_t *sum,
                               struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    int fds[BATCH_FILES];
    size_t opened = 0;
    enum tn_code code = TN_OK;
    body->fds = fds;
    while (opened < body->count && (code = folder_open(&body->files[opened], &fds[opened], err)) == TN_OK)
        opened++;
    if (code == TN_OK)
        code = send_body(cli, path, body, &answer, err);
    for (size_t i = 0; i < opened; i++)
        (void)close(fds[i]);
    tn_buf_release(&body->text);
    if (code != TN_OK)
        return code;
    if (!cli->json)
        tell_errors(cli, answer);
    add_answer(sum, answer);
    return TN_OK;
}

static enum tn_code send_all(struct cli *cli, const struct folder_list *list, const char *path, json_t *sum,
                             struct tn_error *err)
{
    char token[32], boundary[64];
    struct progress progress;
    uint64_t total = 0, sent = 0;
    enum tn_code code = TN_OK;
    (void)snprintf(boundary, sizeof boundary, BOUNDARY "%s", tn_random_token(12, token));
    for (size_t i = 0; i < list->count; i++)
        total += list->files[i].size;
    progress_begin(&progress, &cli->term, cli->quiet || cli->json,
                   list->count == 1 ? list->files[0].name : "documents", total);
    for (size_t first = 0; first < list->count && code == TN_OK && !client_interrupted();) {
        struct body body = {.files = list->files + first,
                            .count = batch_size(list, first),
                            .boundary = boundary,
                            .progress = progress,
                            .sent = sent};
        code = send_batch(cli, path, &body, sum, err);
        progress = body.progress;
        for (size_t i = 0; i < body.count; i++)
            sent += body.files[i].size;
        first += body.count;
    }
    progress_end(&progress);
    return code;
}

static void tell_scans(const json_t *sum, struct tn_buf *text)
{
    const char *dataset = json_string_value(json_object_get(sum, "dataset"));
    const char *job = json_string_value(json_object_get(sum, "ocr_job"));
    if (job)
        tn_buf_printf(text, "  %" PRId64 " scanned without text; job %s reads them\n", number_at(sum, "needs_ocr"),
                      job);
    else
        tn_buf_printf(text,
                      "  %" PRId64 " scanned without text: `tarn ocr %s` reads them, with tesseract installed\n",
                      number_at(sum, "needs_ocr"), dataset);
}

static enum tn_code tell(struct cli *cli, const json_t *sum, const struct folder_list *list, uint64_t elapsed_ns,
                         struct tn_error *err)
{
    char ingested[32], unchanged[32], failed[32], pages[32];
    TN_AUTO_BUF text = {0};
    if (cli->json)
        return cli_print_json(cli, sum, err);
    tn_buf_printf(&text, "%s: %s document%s (%s page%s or section%s), %s unchanged, %s failed, in %.2f s\n",
                  json_string_value(json_object_get(sum, "dataset")),
                  tn_format_count(number_at(sum, "ingested"), ingested), tn_plural(number_at(sum, "ingested")),
                  tn_format_count(number_at(sum, "pages"), pages), tn_plural(number_at(sum, "pages")),
                  tn_plural(number_at(sum, "pages")), tn_format_count(number_at(sum, "unchanged"), unchanged),
                  tn_format_count(number_at(sum, "failed"), failed), (double)elapsed_ns / 1e9);
    if (number_at(sum, "needs_ocr"))
        tell_scans(sum, &text);
    TN_TRY(cli_print(cli, &text, err));
    tell_skipped(cli, list);
    return TN_OK;
}

/* A name for the dataset, from the first word: "My reports/" is my_reports. */
static const char *default_dataset(struct cli *cli, const char *word)
{
    TN_AUTO_BUF name = {0};
    char *real;
    const char *base = base_name(tn_path_real(cli->arena, word, &real, NULL) == TN_OK ? real : word);
    const char *dot = strrchr(base, '.');
    for (const char *p = base; *p && p != dot; p++) {
        char c = tn_ascii_lower(*p);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (fine && !name.len && c <= '9')
            tn_buf_putc(&name, '_');
        if (fine || (name.len && name.data[name.len - 1] != '_'))
            tn_buf_putc(&name, fine ? c : '_');
    }
    while (name.len > 1 && name.data[name.len - 1] == '_')
        name.data[--name.len] = '\0';
    return tn_arena_strdup(cli->arena, name.len ? name.data : "documents");
}

enum tn_code cli_ingest_documents(struct cli *cli, const struct cli_args *args, const char *const *words,
                                  size_t count, const char *dataset, bool *ret_taken, struct tn_error *err)
{
    struct folder_list list = {.arena = cli->arena};
    bool others = false;
    uint64_t started = tn_mono_ns();
    enum tn_code code = gather(&list, words, count, &others, err);
    if (code == TN_OK && !list.count) { /* nothing of it is sent, perhaps it is a folder of tables */
        tell_skipped(cli, &list);
        TN_AUTO_JSON *refused = json_object();
        add_refused(refused, &list.refused);
        tell_errors(cli, refused);
    }
    if (code == TN_OK && list.count && others) {
        code = tn_fail(err, TN_EUSAGE, "documents and other files in one call");
        tn_error_hint(err, "they go into different datasets: call `tarn ingest` once for each kind");
    }
    if (code == TN_OK && list.count) {
        char *path = tn_arena_strdup(cli->arena, "/ingest/documents");
        cli_add_query(cli, &path, "dataset", dataset ? dataset : default_dataset(cli, words[0]));
        cli_add_query(cli, &path, "reason", cli_args_text(args, "reason", NULL));
        cli_add_query(cli, &path, "auto_embed", cli_args_text(args, "auto-embed", NULL));
        TN_AUTO_JSON *sum = json_object();
        add_refused(sum, &list.refused);
        if (!cli->json)
            tell_errors(cli, sum);
        add_skipped(sum, &list);
        code = send_all(cli, &list, path, sum, err);
        if (code == TN_OK)
            code = tell(cli, sum, &list, tn_mono_ns() - started, err);
        if (code == TN_OK && number_at(sum, "failed"))
            cli->exit_status = 1;
        *ret_taken = true;
    }
    folder_list_release(&list);
    return code;
}

/* ---- tarn ocr ---------------------------------------------------------------------------------- */

enum tn_code cmd_ocr(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    struct client *client;
    TN_TRY(cli_connect(cli, true, &client, err));
    char *path = tn_arena_printf(cli->arena, "%s/ocr", client_path(cli->arena, "/datasets/", args->words[0], NULL));
    cli_add_query(cli, &path, "languages", cli_args_text(args, "languages", NULL));
    cli_add_query(cli, &path, "reason", cli_args_text(args, "reason", NULL));
    /* A gateway of our own ends with us: there the job is waited for. */
    bool wait = cli->gateway || cli_args_has(args, "wait");
    cli_add_query(cli, &path, "wait", wait ? "3600" : NULL);
    TN_TRY(client_json(client, "POST", path, NULL, &answer, err));
    if (cli->json)
        return cli_print_json(cli, answer, err);
    const char *job = json_string_value(json_object_get(answer, "job_id"));
    if (job) {
        cli_note(cli, "%s: job %s; `tarn jobs watch %s` follows it", args->words[0], job, job);
        return TN_OK;
    }
    tell_errors(cli, answer);
    cli_note(cli, "%s: %" PRId64 " pages read by %s, %" PRId64 " failed, %" PRId64 " documents whole", args->words[0],
             number_at(answer, "pages"), json_string_value(json_object_get(answer, "engine")),
             number_at(answer, "failed"), number_at(answer, "documents"));
    if (number_at(answer, "failed"))
        cli->exit_status = 1;
    return TN_OK;
}
