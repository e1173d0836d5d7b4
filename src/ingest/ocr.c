/* OCR of a dataset of documents (see ocr.h). */
#include "ingest/ocr.h"

#include "ingest/documents.h"
#include "ingest/ocr_pages.h"
#include "ingest/rows.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PAGES_PER_LOOK 500
#define LEFT_PER_LOOK  1000
#define ERRORS_SHOWN   100
#define ATTEMPTS       8

struct ocr {
    struct lake *lake;
    const struct ingest_ocr_options *options;
    const char *pages; /* the dataset of pages */
    struct ocr_pages *reading;
    char engine[64];
    struct ocr_scan *scan; /* the document whose pages are written */
    char after_id[40];     /* the last page that was looked at */
    int64_t after_page;
    uint64_t read, failed, documents, total;
    json_t *errors;
};

/* ---- looking -------------------------------------------------------------------------------- */

typedef enum tn_code each_row(void *context, const json_t *row, struct tn_error *err);

static enum tn_code give_lines(struct tn_buf *lines, bool all, each_row *each, void *context, struct tn_error *err)
{
    size_t at = 0;
    for (const char *end; at < lines->len && (end = memchr(lines->data + at, '\n', lines->len - at)) != NULL;) {
        TN_AUTO_JSON *row = NULL;
        size_t length = (size_t)(end - lines->data) - at;
        if (length)
            TN_TRY(tn_json_parse(lines->data + at, length, length, "row", &row, err));
        if (row)
            TN_TRY(each(context, row, err));
        at = (size_t)(end + 1 - lines->data);
    }
    tn_buf_consume(lines, at);
    return all && lines->len ? tn_fail(err, TN_EINTERNAL, "half a row of a result") : TN_OK;
}

/* The rows of a SELECT as of that snapshot of the tables that it names; 0: the newest. */
static enum tn_code look(const struct ocr *ocr, const char *sql, int64_t snapshot, each_row *each, void *context,
                         struct tn_error *err)
{
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    char at[32];
    (void)snprintf(at, sizeof at, "%" PRId64, snapshot);
    const struct engine_query_options options = {.sql = sql,
                                                 .sql_length = strlen(sql),
                                                 .default_at = snapshot ? at : NULL,
                                                 .resolver = dataset_resolver(ocr->lake)};
    enum tn_code code = engine_query_start(ocr->lake->engine, &options, &query, err);
    if (code == TN_ESQL) {
        (void)tn_fail(err, TN_ESCHEMA, "the dataset \"%s\" holds no documents", ocr->options->dataset);
        tn_error_hint(err, "OCR reads what POST /ingest/documents (`tarn ingest` of PDFs) has made");
        return TN_ESCHEMA;
    }
    TN_TRY(code);
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_NDJSON);
    TN_AUTO_BUF out = {0};
    for (bool done = false; !done;) {
        TN_TRY(engine_writer_fill(writer, 1 << 16, &out, &done, err));
        TN_TRY(give_lines(&out, done, each, context, err));
    }
    return TN_OK;
}

static const char *text_at(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static bool is_stopping(const struct ocr *ocr)
{
    return ocr->options->stopping && ocr->options->stopping(ocr->options->context);
}

static void say(const struct ocr *ocr, const char *text)
{
    if (ocr->options->log)
        ocr->options->log(ocr->options->context, text);
}

/* ---- writing -------------------------------------------------------------------------------- */

static enum tn_code newest(const struct ocr *ocr, const char *dataset, int64_t *ret_snapshot, bool *ret_has_ocr,
                           struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(ocr->lake->catalog, dataset, &metadata, err));
    *ret_snapshot = metadata->current ? metadata->current->id : 0;
    /* Rows of an older release have no such columns before the next ingest. */
    *ret_has_ocr = iceberg_schema_find(metadata->schema, "ocr_error", false) != NULL;
    return TN_OK;
}

static enum tn_code patch(const struct ocr *ocr, const char *dataset, const char *key, const struct tn_buf *body,
                          int64_t if_snapshot, struct tn_error *err)
{
    TN_CLEANUP(ingest_rows_free_p) struct ingest_rows *rows = NULL;
    struct dataset_commit commit;
    const struct ingest_rows_options options = {.dataset = dataset,
                                                .op = DATASET_ROWS_PATCH,
                                                .key_value = key,
                                                .if_snapshot = if_snapshot,
                                                .actor = ocr->options->actor ? ocr->options->actor : "ocr",
                                                .source = "ocr",
                                                .reason = ocr->options->reason,
                                                .request_id = ocr->options->request_id};
    TN_TRY(ingest_rows_new(ocr->lake, &options, &rows, err));
    TN_TRY(ingest_rows_feed(rows, body->data, body->len, err));
    return ingest_rows_commit(rows, &commit, err);
}

static enum tn_code see_page(void *context, const json_t *row, struct tn_error *err)
{
    (void)err;
    *(bool *)context = json_is_true(json_object_get(row, "needs_ocr"));
    return TN_OK;
}

struct result {
    const struct tn_buf *text;
    unsigned confidence;
    const char *error; /* instead of both */
};

static void put_result(const struct ocr *ocr, const struct result *result, bool has_ocr, struct tn_buf *body)
{
    struct tn_json json = tn_json_writer(body);
    tn_json_open(&json, '{');
    if (result->text) {
        tn_json_kstr(&json, "text", result->text->data ? result->text->data : "");
        tn_json_kbool(&json, "needs_ocr", false);
    }
    if (has_ocr) {
        TN_AUTO_FREE char *by = tn_asprintf("%s, %s", ocr->engine, ocr->options->languages);
        tn_json_kstr(&json, "ocr", by);
        tn_json_kstr(&json, "ocr_error", result->error);
        if (result->text)
            tn_json_ki64(&json, "ocr_confidence", result->confidence);
    }
    tn_json_close(&json, '}');
}

/* Into the row of the page, unless its document was replaced meanwhile: its row
 * is looked at in the very snapshot that the write goes on from, and a new
 * version's file is kept before its pages are written. */
static enum tn_code write_page(struct ocr *ocr, int64_t page, const struct result *result, bool *ret_written,
                               struct tn_error *err)
{
    char key[80];
    TN_AUTO_BUF sql = {0};
    (void)snprintf(key, sizeof key, "[\"%s\",%" PRId64 "]", ocr->scan->doc_id, page);
    tn_buf_puts(&sql, "SELECT needs_ocr FROM ");
    tn_buf_put_sql_name(&sql, ocr->pages);
    tn_buf_printf(&sql, " WHERE doc_id = '%s' AND page = %" PRId64, ocr->scan->doc_id, page);
    *ret_written = false;
    for (int n = 1;; n++) {
        int64_t snapshot;
        bool has_ocr;
        bool waiting = false;
        TN_AUTO_BUF body = {0};
        TN_TRY(newest(ocr, ocr->pages, &snapshot, &has_ocr, err));
        TN_TRY(look(ocr, sql.data, snapshot, see_page, &waiting, err));
        if (!waiting || !scans_is_same(ocr->lake, ocr->options->dataset, ocr->scan->doc_id, ocr->scan->fd) ||
            (!result->text && !has_ocr))
            return TN_OK;
        put_result(ocr, result, has_ocr, &body);
        enum tn_code code = patch(ocr, ocr->pages, key, &body, snapshot, err);
        if (code == TN_EPRECONDITION && n < ATTEMPTS)
            continue;
        *ret_written = code == TN_OK;
        return code;
    }
}

/* ---- a whole document ----------------------------------------------------------------------- */

struct assembly {
    struct tn_buf text;
    uint64_t most, pages, left;
    bool full;
};

/* As a PDF's text is: pages parted by a form feed. */
static enum tn_code add_page(void *context, const json_t *row, struct tn_error *err)
{
    struct assembly *assembly = context;
    const char *text = text_at(row, "text");
    (void)err;
    assembly->left += json_is_true(json_object_get(row, "needs_ocr"));
    assembly->full |= assembly->text.len + strlen(text) > assembly->most;
    if (!assembly->full)
        tn_buf_printf(&assembly->text, "%s%s", assembly->pages ? "\n\f" : "", text);
    assembly->pages++;
    return TN_OK;
}

static enum tn_code see_hash(void *context, const json_t *row, struct tn_error *err)
{
    (void)err;
    (void)snprintf(context, TN_HASH_HEX, "%s", text_at(row, "hash"));
    return TN_OK;
}

static enum tn_code assemble(const struct ocr *ocr, struct assembly *ret, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT text, needs_ocr FROM ");
    tn_buf_put_sql_name(&sql, ocr->pages);
    tn_buf_printf(&sql, " WHERE doc_id = '%s' ORDER BY page", ocr->scan->doc_id);
    return look(ocr, sql.data, 0, add_page, ret, err);
}

static enum tn_code write_document(struct ocr *ocr, const struct assembly *assembly, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0}, body = {0};
    struct tn_json json = tn_json_writer(&body);
    tn_json_open(&json, '{');
    if (!assembly->full)
        tn_json_kstr(&json, "text", assembly->text.data ? assembly->text.data : "");
    tn_json_kbool(&json, "needs_ocr", assembly->left > 0);
    tn_json_close(&json, '}');
    tn_buf_puts(&sql, "SELECT hash FROM ");
    tn_buf_put_sql_name(&sql, ocr->options->dataset);
    tn_buf_printf(&sql, " WHERE doc_id = '%s'", ocr->scan->doc_id);
    for (int n = 1;; n++) {
        char hash[TN_HASH_HEX] = "";
        int64_t snapshot;
        bool ignored;
        TN_TRY(newest(ocr, ocr->options->dataset, &snapshot, &ignored, err));
        TN_TRY(look(ocr, sql.data, snapshot, see_hash, hash, err));
        if (!tn_streq(hash, ocr->scan->hash))
            return TN_OK;
        enum tn_code code = patch(ocr, ocr->options->dataset, ocr->scan->doc_id, &body, snapshot, err);
        if (code != TN_EPRECONDITION || n == ATTEMPTS)
            return code;
    }
}

/* The document's row, once the last of its pages was looked at. */
static enum tn_code finish_document(struct ocr *ocr, struct tn_error *err)
{
    struct assembly assembly = {.most = ocr->options->limits.text_bytes};
    enum tn_code code = assemble(ocr, &assembly, err);
    if (code == TN_OK)
        code = write_document(ocr, &assembly, err);
    if (code == TN_OK && assembly.left == 0) {
        ocr->documents++;
        if (ocr->scan->fd < 0 || scans_is_same(ocr->lake, ocr->options->dataset, ocr->scan->doc_id, ocr->scan->fd))
            code = scans_drop(ocr->lake, ocr->options->dataset, ocr->scan->doc_id, err);
    }
    tn_buf_release(&assembly.text);
    return code;
}

static enum tn_code end_document(struct ocr *ocr, struct tn_error *err)
{
    enum tn_code code = ocr->scan && ocr->scan->touched ? finish_document(ocr, err) : TN_OK;
    ocr_scan_unref(ocr->scan);
    ocr->scan = NULL;
    return code;
}

/* ---- pages ------------------------------------------------------------------------------------ */

/* `page` 0: of the whole document. */
static void note_error(struct ocr *ocr, int64_t page, const struct tn_error *error)
{
    TN_AUTO_FREE char *line = page ? tn_asprintf("%s, page %" PRId64 ": %s", ocr->scan->path, page, error->detail)
                                   : tn_asprintf("%s: %s", ocr->scan->path, error->detail);
    say(ocr, line);
    if (json_array_size(ocr->errors) < ERRORS_SHOWN)
        (void)json_array_append_new(ocr->errors,
                                    json_pack("{s:s, s:o, s:s, s:s?}", "path", ocr->scan->path, "page",
                                              page ? json_integer(page) : json_null(), "detail", error->detail,
                                              "hint", error->hint[0] ? error->hint : NULL));
}

static enum tn_code take_failure(struct ocr *ocr, int64_t page, const struct tn_error *why, struct tn_error *err)
{
    const struct result result = {.error = why->detail};
    bool written;
    ocr->failed++;
    note_error(ocr, page, why);
    return write_page(ocr, page, &result, &written, err);
}

static enum tn_code write_reading(struct ocr *ocr, const struct ocr_page *page, struct tn_error *err)
{
    const struct reading *reading = &page->reading;
    const struct result result = {.text = &reading->text, .confidence = reading->confidence};
    bool written;
    if (page->scan->fd < 0) {
        if (!page->scan->told)
            note_error(ocr, 0, &page->scan->why);
        page->scan->told = true;
        ocr->failed++;
        return TN_OK;
    }
    if (document_error_is_of_file(reading->code))
        return take_failure(ocr, page->number, &reading->error, err);
    if (reading->code != TN_OK) {
        if (err)
            *err = reading->error;
        return reading->code;
    }
    TN_FAULT("ocr.before_page");
    TN_TRY(write_page(ocr, page->number, &result, &written, err));
    TN_FAULT("ocr.after_page");
    ocr->read += written;
    page->scan->touched |= written;
    return TN_OK;
}

/* The oldest of those that are being read. */
static enum tn_code take_page(struct ocr *ocr, struct tn_error *err)
{
    if (is_stopping(ocr))
        return tn_fail(err, TN_ECANCELLED, "cancelled; pages that were read stay");
    const struct ocr_page *page = ocr_pages_take(ocr->reading);
    if (page->scan != ocr->scan) {
        TN_TRY(end_document(ocr, err));
        ocr->scan = page->scan;
        ocr->scan->users++;
    }
    TN_TRY(write_reading(ocr, page, err));
    memcpy(ocr->after_id, ocr->scan->doc_id, sizeof ocr->after_id);
    ocr->after_page = page->number;
    ocr_pages_drop(ocr->reading);
    if (ocr->options->progress)
        ocr->options->progress(ocr->options->context, ocr->read + ocr->failed, ocr->total);
    return TN_OK;
}

static enum tn_code gather(void *context, const json_t *row, struct tn_error *err)
{
    (void)err;
    (void)json_array_append(context, (json_t *)(uintptr_t)row);
    return TN_OK;
}

static enum tn_code next_pages(struct ocr *ocr, json_t *rows, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT p.doc_id, p.page, d.path, d.hash FROM ");
    tn_buf_put_sql_name(&sql, ocr->pages);
    tn_buf_puts(&sql, " p JOIN ");
    tn_buf_put_sql_name(&sql, ocr->options->dataset);
    tn_buf_printf(&sql,
                  " d ON d.doc_id = p.doc_id WHERE p.needs_ocr AND (p.doc_id > '%s' OR (p.doc_id = '%s' AND p.page > "
                  "%" PRId64 ")) ORDER BY p.doc_id, p.page LIMIT %d",
                  ocr->after_id, ocr->after_id, ocr->after_page, PAGES_PER_LOOK);
    return look(ocr, sql.data, 0, gather, rows, err);
}

static enum tn_code read_pages(struct ocr *ocr, struct tn_error *err)
{
    for (size_t count = PAGES_PER_LOOK; count == PAGES_PER_LOOK;) {
        TN_AUTO_JSON *rows = json_array();
        TN_TRY(next_pages(ocr, rows, err));
        count = json_array_size(rows);
        for (size_t i = 0; i < count || !ocr_pages_is_empty(ocr->reading);) {
            if (i == count || ocr_pages_is_full(ocr->reading))
                TN_TRY(take_page(ocr, err));
            else
                TN_TRY(ocr_pages_put(ocr->reading, json_array_get(rows, i++), err));
        }
    }
    return end_document(ocr, err);
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/* Documents whose last page was read by a call that died before it said so. */
static enum tn_code finish_left(struct ocr *ocr, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_JSON *rows = json_array();
    tn_buf_puts(&sql, "SELECT doc_id, path, hash FROM ");
    tn_buf_put_sql_name(&sql, ocr->options->dataset);
    tn_buf_puts(&sql, " d WHERE needs_ocr AND NOT EXISTS (SELECT 1 FROM ");
    tn_buf_put_sql_name(&sql, ocr->pages);
    tn_buf_printf(&sql, " p WHERE p.doc_id = d.doc_id AND p.needs_ocr) LIMIT %d", LEFT_PER_LOOK);
    TN_TRY(look(ocr, sql.data, 0, gather, rows, err));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        ocr->scan = ocr_scan_new(json_array_get(rows, i));
        ocr->scan->touched = true;
        TN_TRY(end_document(ocr, err));
    }
    return TN_OK;
}

static enum tn_code see_total(void *context, const json_t *row, struct tn_error *err)
{
    (void)err;
    ((struct ocr *)context)->total = (uint64_t)json_integer_value(json_object_get(row, "n"));
    return TN_OK;
}

static enum tn_code count_pages(struct ocr *ocr, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT count(*) AS n FROM ");
    tn_buf_put_sql_name(&sql, ocr->pages);
    tn_buf_puts(&sql, " WHERE needs_ocr");
    return look(ocr, sql.data, 0, see_total, ocr, err);
}

static enum tn_code run(struct ocr *ocr, struct tn_error *err)
{
    const struct ingest_ocr_options *options = ocr->options;
    TN_CLEANUP(document_extractor_free_p) struct document_extractor *extractor = NULL;
    TN_TRY(document_extractor_new(&options->limits, NULL, &extractor, err));
    document_extractor_stop_when(extractor, options->stopping, options->context);
    TN_TRY(document_ocr_look(extractor, options->languages, ocr->engine, err));
    TN_TRY(finish_left(ocr, err));
    TN_TRY(count_pages(ocr, err));
    if (options->progress)
        options->progress(options->context, 0, ocr->total);
    return read_pages(ocr, err);
}

static void put_answer(const struct ocr *ocr, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "dataset", ocr->options->dataset);
    tn_json_kstr(out, "engine", ocr->engine);
    tn_json_ki64(out, "pages", (int64_t)ocr->read);
    tn_json_ki64(out, "failed", (int64_t)ocr->failed);
    tn_json_ki64(out, "documents", (int64_t)ocr->documents);
    TN_AUTO_BUF errors = {0};
    tn_json_dump(ocr->errors, &errors);
    tn_json_key(out, "errors");
    tn_json_raw(out, errors.data, errors.len);
    tn_json_close(out, '}');
}

enum tn_code ingest_ocr(struct lake *lake, const struct ingest_ocr_options *options, struct tn_json *out,
                        struct tn_error *err)
{
    TN_AUTO_FREE char *pages = tn_asprintf("%s" INGEST_PAGES_SUFFIX, options->dataset);
    struct ocr ocr = {.lake = lake,
                      .options = options,
                      .pages = pages,
                      .reading = ocr_pages_new(lake, options),
                      .errors = json_array()};
    enum tn_code code = run(&ocr, err);
    if (code == TN_OK)
        put_answer(&ocr, out);
    ocr_pages_free(ocr.reading);
    ocr_scan_unref(ocr.scan);
    json_decref(ocr.errors);
    return code;
}
