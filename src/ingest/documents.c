/* Documents on their way in (see documents.h). */
#include "ingest/documents.h"

#include "ingest/documents_table.h"
#include "ingest/scans.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX      3 /* a mail in an archive in an archive */
#define ERRORS_SHOWN   1000
#define COMMIT_FILES   4000
#define COMMIT_BYTES   ((uint64_t)256 << 20)
#define STALE_PER_CALL 200

static const struct table_column document_columns[] = {
    {"doc_id", "VARCHAR", ENGINE_VARCHAR},    {"path", "VARCHAR", ENGINE_VARCHAR},
    {"title", "VARCHAR", ENGINE_VARCHAR},     {"type", "VARCHAR", ENGINE_VARCHAR},
    {"hash", "VARCHAR", ENGINE_VARCHAR},      {"bytes", "BIGINT", ENGINE_BIGINT},
    {"pages", "BIGINT", ENGINE_BIGINT},       {"sections", "BIGINT", ENGINE_BIGINT},
    {"author", "VARCHAR", ENGINE_VARCHAR},    {"created", "TIMESTAMP WITH TIME ZONE", ENGINE_TIMESTAMPTZ},
    {"metadata", "VARCHAR", ENGINE_VARCHAR},  {"text", "VARCHAR", ENGINE_VARCHAR},
    {"needs_ocr", "BOOLEAN", ENGINE_BOOLEAN}, {"error", "VARCHAR", ENGINE_VARCHAR},
    {"warnings", "VARCHAR", ENGINE_VARCHAR},
};
static const struct table_column page_columns[] = {
    {"doc_id", "VARCHAR", ENGINE_VARCHAR},       {"page", "BIGINT", ENGINE_BIGINT},
    {"path", "VARCHAR", ENGINE_VARCHAR},         {"title", "VARCHAR", ENGINE_VARCHAR},
    {"heading", "VARCHAR", ENGINE_VARCHAR},      {"text", "VARCHAR", ENGINE_VARCHAR},
    {"needs_ocr", "BOOLEAN", ENGINE_BOOLEAN},    {"ocr", "VARCHAR", ENGINE_VARCHAR},
    {"ocr_confidence", "BIGINT", ENGINE_BIGINT}, {"ocr_error", "VARCHAR", ENGINE_VARCHAR},
};

#define DOC_ID_TEXT 33

/* One file that is being received or read; those found inside it are one deeper. */
struct level {
    struct document_extractor *extractor;
    int fd; /* of a file without a name, used again and again */
    char *path;
    uint64_t size;
    struct tn_hash hash;
    char content[TN_HASH_HEX], doc_id[DOC_ID_TEXT];
    bool written; /* it has its row */
};

struct failure {
    char *path;
    struct tn_error error;
};

/* Rows that a document had and has no more. */
struct stale {
    char doc_id[DOC_ID_TEXT];
    uint32_t above; /* pages with a higher number */
    bool document;  /* the document's row too */
};

struct ingest_documents {
    struct lake *lake;
    struct tn_arena *arena;
    const char *dataset, *pages_dataset, *actor, *reason, *request_id;
    struct document_limits limits;
    bool keep_scans;
    char id[TN_UUID_TEXT];
    int64_t started_us;
    struct level levels[DEPTH_MAX + 1];
    size_t depth;      /* of the file that is open: levels[depth - 1] */
    size_t extracting; /* of the file that is being read */
    bool too_deep;     /* the file that comes in is left out */
    struct known_documents known;
    struct table documents, pages;
    struct stale *stale;
    size_t stale_count, stale_capacity;
    uint32_t batch;
    struct failure *failures;
    size_t failure_count, failure_capacity;
    uint64_t ingested, unchanged, failed, page_rows, needs_ocr, scans;
    int64_t snapshot_id, pages_snapshot_id;
    atomic_bool cancelled;
    _Atomic uint64_t bytes_in, rows;
};

/* ---- begin and end ------------------------------------------------------------------------ */

static const char *copy_text(struct tn_arena *arena, const char *text)
{
    return text ? tn_arena_strdup(arena, text) : NULL;
}

enum tn_code ingest_documents_new(struct lake *lake, const struct ingest_documents_options *options,
                                  struct ingest_documents **ret, struct tn_error *err)
{
    if (!options->dataset || !*options->dataset) {
        (void)tn_fail(err, TN_EREQUEST, "into which dataset? dataset= is missing");
        tn_error_hint(err, "POST /ingest/documents?dataset=NAME");
        return TN_EREQUEST;
    }
    TN_TRY(catalog_check_name(options->dataset, err));
    TN_CLEANUP(ingest_documents_free_p) struct ingest_documents *documents = tn_calloc(1, sizeof *documents);
    for (size_t i = 0; i <= DEPTH_MAX; i++)
        documents->levels[i].fd = -1;
    documents->lake = lake;
    documents->arena = tn_arena_new();
    documents->limits = options->limits;
    documents->keep_scans = options->keep_scans;
    table_init(&documents->documents, document_columns, TN_COUNT(document_columns), "doc_id", lake->store);
    table_init(&documents->pages, page_columns, TN_COUNT(page_columns), "doc_id,page", lake->store);
    documents->dataset = tn_arena_strdup(documents->arena, options->dataset);
    documents->pages_dataset = tn_arena_printf(documents->arena, "%s" INGEST_PAGES_SUFFIX, options->dataset);
    TN_TRY(catalog_check_name(documents->pages_dataset, err));
    documents->actor = copy_text(documents->arena, options->actor);
    documents->reason = copy_text(documents->arena, options->reason);
    documents->request_id = copy_text(documents->arena, options->request_id);
    documents->started_us = tn_now_us();
    documents->batch = 1;
    (void)tn_uuid7(documents->id);
    TN_TRY(known_load(&documents->known, lake, documents->dataset, err));
    *ret = TN_TAKE(documents);
    return TN_OK;
}

void ingest_documents_free(struct ingest_documents *documents)
{
    if (!documents)
        return;
    for (size_t i = 0; i <= DEPTH_MAX; i++) {
        document_extractor_free(documents->levels[i].extractor);
        if (documents->levels[i].fd >= 0)
            (void)close(documents->levels[i].fd);
        free(documents->levels[i].path);
    }
    for (size_t i = 0; i < documents->failure_count; i++)
        free(documents->failures[i].path);
    free(documents->failures);
    free(documents->stale);
    known_release(&documents->known);
    table_release(&documents->documents);
    table_release(&documents->pages);
    tn_arena_free(documents->arena);
    free(documents);
}

void ingest_documents_cancel(struct ingest_documents *documents)
{
    atomic_store(&documents->cancelled, true);
}

void ingest_documents_progress(const struct ingest_documents *documents, uint64_t *ret_bytes, uint64_t *ret_rows)
{
    *ret_bytes = atomic_load(&documents->bytes_in);
    *ret_rows = atomic_load(&documents->rows);
}

/* ---- commits -------------------------------------------------------------------------------- */

/* Deletes by a predicate, some hundred documents at a time. */
static enum tn_code delete_stale(struct ingest_documents *documents, bool of_documents, struct tn_error *err)
{
    for (size_t at = 0; at < documents->stale_count;) {
        TN_AUTO_BUF where = {0};
        for (size_t n = 0; at < documents->stale_count && n < STALE_PER_CALL; at++) {
            const struct stale *stale = &documents->stale[at];
            if (of_documents && !stale->document)
                continue;
            tn_buf_printf(&where, "%s(doc_id = '%s'", where.len ? " OR " : "", stale->doc_id);
            if (!of_documents)
                tn_buf_printf(&where, " AND page > %u", stale->above);
            tn_buf_putc(&where, ')');
            n++;
        }
        if (!where.len)
            return TN_OK;
        struct dataset_commit commit;
        const struct dataset_rows rows = {.op = DATASET_ROWS_WHERE,
                                          .predicate = where.data,
                                          .actor = documents->actor ? documents->actor : "ingest",
                                          .source = "documents",
                                          .reason = documents->reason,
                                          .request_id = documents->request_id};
        enum tn_code code = dataset_rows_write(
            documents->lake, of_documents ? documents->dataset : documents->pages_dataset, &rows, &commit, err);
        if (code != TN_OK && code != TN_EDATASET)
            return code;
    }
    return TN_OK;
}

static enum tn_code flush(struct ingest_documents *documents, struct tn_error *err)
{
    const struct dataset_lineage lineage = {.ingest_id = documents->id,
                                            .source = "documents",
                                            .actor = documents->actor,
                                            .reason = documents->reason,
                                            .request_id = documents->request_id,
                                            .source_bytes = atomic_load(&documents->bytes_in),
                                            .started_us = documents->started_us};
    struct dataset_commit commit = {0};
    if (documents->pages.rows) {
        TN_TRY(table_commit(&documents->pages, documents->lake, documents->pages_dataset, &lineage, &commit, err));
        documents->pages_snapshot_id = commit.snapshot_id;
    }
    TN_FAULT("documents.after_pages");
    TN_TRY(delete_stale(documents, false, err));
    TN_FAULT("documents.after_stale_pages");
    if (documents->documents.rows) {
        TN_TRY(table_commit(&documents->documents, documents->lake, documents->dataset, &lineage, &commit, err));
        documents->snapshot_id = commit.snapshot_id;
    }
    TN_FAULT("documents.after_documents");
    TN_TRY(delete_stale(documents, true, err));
    documents->stale_count = 0;
    documents->batch++;
    return TN_OK;
}

static enum tn_code flush_when_large(struct ingest_documents *documents, struct tn_error *err)
{
    if (documents->documents.rows < COMMIT_FILES &&
        documents->documents.spool.size + documents->pages.spool.size < COMMIT_BYTES)
        return TN_OK;
    return flush(documents, err);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static uint64_t key_of(const struct level *level)
{
    char head[17];
    memcpy(head, level->doc_id, 16);
    head[16] = '\0';
    return strtoull(head, NULL, 16) | 1;
}

static uint64_t content_of(const struct level *level)
{
    char head[17];
    memcpy(head, level->content, 16);
    head[16] = '\0';
    return strtoull(head, NULL, 16) | 1;
}

/* Notes what the row will be, and which older pages go. */
static enum tn_code enter_known(struct ingest_documents *documents, const struct level *level, uint64_t content,
                                uint32_t sections, bool row, struct tn_error *err)
{
    struct known_document *known = known_find(&documents->known, key_of(level));
    /* The same path twice in one call: the later one replaces, by a later commit. */
    if (known && known->batch == documents->batch)
        TN_TRY(flush(documents, err));
    if (known && (known->sections > sections || !row)) {
        TN_GROW(documents->stale, documents->stale_count, documents->stale_capacity);
        struct stale *stale = &documents->stale[documents->stale_count++];
        *stale = (struct stale){.above = sections, .document = !row};
        memcpy(stale->doc_id, level->doc_id, sizeof stale->doc_id);
    }
    if (!row && !known)
        return TN_OK;
    known = known_add(&documents->known, key_of(level));
    known->content = content;
    known->sections = sections;
    known->batch = documents->batch;
    return TN_OK;
}

static void put_string(struct table *table, const char *text)
{
    table_put_text(table, text, text ? strlen(text) : 0);
}

static enum tn_code put_pages(struct ingest_documents *documents, const struct level *level,
                              const struct document *document, struct tn_error *err)
{
    struct table *pages = &documents->pages;
    const char *text = document->text.data ? document->text.data : "";
    for (size_t i = 0; i < document->section_count; i++) {
        const struct document_section *section = &document->sections[i];
        put_string(pages, level->doc_id);
        table_put_number(pages, (int64_t)i + 1);
        put_string(pages, level->path);
        put_string(pages, document->title);
        put_string(pages, *section->heading ? section->heading : NULL);
        table_put_text(pages, text + section->start, section->length);
        table_put_number(pages, section->needs_ocr);
        for (int n = 0; n < 3; n++)
            table_put_null(pages); /* ocr.c fills them */
        TN_TRY(table_end_row(pages, err));
    }
    documents->page_rows += document->section_count;
    return TN_OK;
}

static void put_metadata(struct table *table, const struct document *document)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    for (size_t i = 0; i < document->field_count; i++)
        tn_json_kstr(&json, document->fields[i].name, document->fields[i].value);
    tn_json_close(&json, '}');
    table_put_text(table, text.data, text.len);
}

static void put_warnings(struct table *table, const struct document *document)
{
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < document->warning_count; i++)
        tn_buf_printf(&text, "%s%s", i ? "\n" : "", document->warnings[i]);
    table_put_text(table, text.data, text.len);
}

/* The lake keeps no files, but those that have pages to be read from their image. */
static enum tn_code keep_scan(struct ingest_documents *documents, const struct level *level, bool needs_ocr,
                              struct tn_error *err)
{
    struct known_document *known = known_find(&documents->known, key_of(level));
    if (needs_ocr && documents->keep_scans) {
        documents->scans++;
        TN_TRY(scans_keep(documents->lake, documents->dataset, level->doc_id, level->fd, level->size, err));
    } else if (known && known->needs_ocr) {
        TN_TRY(scans_drop(documents->lake, documents->dataset, level->doc_id, err));
    }
    return TN_OK;
}

/* One that was ingested when scans were not kept. */
static enum tn_code keep_unchanged(struct ingest_documents *documents, const struct level *level,
                                   struct tn_error *err)
{
    bool kept;
    documents->unchanged++;
    if (!documents->keep_scans || !known_find(&documents->known, key_of(level))->needs_ocr)
        return TN_OK;
    TN_TRY(scans_has(documents->lake, documents->dataset, level->doc_id, &kept, err));
    return kept ? TN_OK : keep_scan(documents, level, true, err);
}

static enum tn_code put_document(void *context, const struct document *document, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    struct level *level = &documents->levels[documents->depth - 1];
    struct table *table = &documents->documents;
    int64_t created;
    TN_TRY(keep_scan(documents, level, document->needs_ocr, err));
    TN_TRY(enter_known(documents, level, content_of(level), (uint32_t)document->section_count, true, err));
    known_find(&documents->known, key_of(level))->needs_ocr = document->needs_ocr;
    TN_TRY(put_pages(documents, level, document, err));
    put_string(table, level->doc_id);
    put_string(table, level->path);
    put_string(table, document->title);
    put_string(table, document_type_name(document->type));
    put_string(table, level->content);
    table_put_number(table, (int64_t)level->size);
    if (document->pages)
        table_put_number(table, document->pages);
    else
        table_put_null(table);
    table_put_number(table, (int64_t)document->section_count);
    put_string(table, document->author);
    if (document->created && tn_time_parse(document->created, &created))
        table_put_number(table, created);
    else
        table_put_null(table);
    put_metadata(table, document);
    table_put_text(table, document->text.data ? document->text.data : "", document->text.len);
    table_put_number(table, document->needs_ocr);
    table_put_null(table);
    put_warnings(table, document);
    level->written = true;
    documents->ingested++;
    documents->needs_ocr += document->needs_ocr;
    atomic_fetch_add(&documents->rows, 1);
    return table_end_row(table, err);
}

static void note_failure(struct ingest_documents *documents, const char *path, const struct tn_error *error)
{
    documents->failed++;
    if (documents->failure_count == ERRORS_SHOWN)
        return;
    TN_GROW(documents->failures, documents->failure_count, documents->failure_capacity);
    documents->failures[documents->failure_count++] = (struct failure){tn_strdup(path), *error};
}

/* The row of a file that cannot be read. */
static enum tn_code put_failure(struct ingest_documents *documents, struct level *level, const struct tn_error *error,
                                struct tn_error *err)
{
    struct table *table = &documents->documents;
    note_failure(documents, level->path, error);
    if (level->written) /* a mail whose text is in, but not all that is attached to it */
        return TN_OK;
    TN_TRY(keep_scan(documents, level, false, err));
    TN_TRY(enter_known(documents, level, 0, 0, true, err));
    put_string(table, level->doc_id);
    put_string(table, level->path);
    table_put_null(table);
    table_put_null(table);
    put_string(table, level->content);
    table_put_number(table, (int64_t)level->size);
    table_put_null(table);
    table_put_number(table, 0);
    for (int i = 0; i < 4; i++)
        table_put_null(table);
    table_put_number(table, 0);
    put_string(table, error->detail);
    table_put_null(table);
    atomic_fetch_add(&documents->rows, 1);
    return table_end_row(table, err);
}

/* ---- files ------------------------------------------------------------------------------------ */

static enum tn_code check_cancelled(const struct ingest_documents *documents, struct tn_error *err)
{
    return atomic_load(&documents->cancelled) ? tn_fail(err, TN_ECANCELLED, "cancelled; what is committed stays")
                                              : TN_OK;
}

/* A file without a name in the lake's staging folder, emptied for each use. */
static enum tn_code empty_file(struct ingest_documents *documents, struct level *level, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *path;
    if (level->fd < 0) {
        TN_TRY(store_stage_path(documents->lake->store, arena, ".document", &path, err));
        level->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (level->fd < 0)
            return tn_fail_errno(err, errno, "%s", path);
        (void)unlink(path);
    }
    if (lseek(level->fd, 0, SEEK_SET) != 0 || ftruncate(level->fd, 0) != 0)
        return tn_fail_errno(err, errno, "the staging file of documents");
    return TN_OK;
}

static void make_doc_id(struct level *level)
{
    char hex[TN_HASH_HEX];
    struct tn_hash hash;
    tn_hash_init(&hash);
    tn_hash_update(&hash, level->path, strlen(level->path));
    tn_hash_final_hex(&hash, hex);
    memcpy(level->doc_id, hex, DOC_ID_TEXT - 1);
    level->doc_id[DOC_ID_TEXT - 1] = '\0';
}

/* `path` of a file inside another one is relative to that. */
static enum tn_code begin_level(struct ingest_documents *documents, const char *path, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct level *level = &documents->levels[documents->depth];
    TN_TRY(check_cancelled(documents, err));
    const char *whole =
        documents->depth ? tn_arena_printf(arena, "%s/%s", documents->levels[documents->depth - 1].path, path) : path;
    const char *clean = document_clean_path(arena, whole);
    if (!clean)
        return tn_fail(err, TN_EREQUEST, "a file has no name");
    TN_TRY(empty_file(documents, level, err));
    free(level->path);
    level->path = tn_strdup(clean);
    level->size = 0;
    level->written = false;
    make_doc_id(level);
    tn_hash_init(&level->hash);
    documents->depth++;
    return TN_OK;
}

static enum tn_code level_data(struct ingest_documents *documents, const void *bytes, size_t count,
                               struct tn_error *err)
{
    struct level *level = &documents->levels[documents->depth - 1];
    tn_hash_update(&level->hash, bytes, count);
    level->size += count;
    return tn_write_all(level->fd, bytes, count, "the staging file of documents", err);
}

static enum tn_code inner_begin(void *context, const char *name, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    documents->too_deep = documents->depth > DEPTH_MAX;
    if (!documents->too_deep)
        return begin_level(documents, name, err);
    struct tn_error error = {0};
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s", documents->levels[documents->depth - 1].path, name);
    (void)tn_fail(&error, TN_EUNSUPPORTED, "it lies deeper than %d archives or mails in each other", DEPTH_MAX);
    note_failure(documents, path, &error);
    return TN_OK;
}

static enum tn_code inner_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    return documents->too_deep ? TN_OK : level_data(documents, bytes, count, err);
}

static enum tn_code end_level(struct ingest_documents *documents, struct tn_error *err);

static enum tn_code inner_end(void *context, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    return documents->too_deep ? TN_OK : end_level(documents, err);
}

/* A member that cannot be had, perhaps after its first bytes. */
static enum tn_code inner_failed(void *context, const char *name, const struct tn_error *why, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    if (documents->depth > DEPTH_MAX && documents->depth == documents->extracting)
        return inner_begin(documents, name, err);
    if (documents->depth == documents->extracting)
        TN_TRY(begin_level(documents, name, err));
    struct level *level = &documents->levels[documents->depth - 1];
    tn_hash_final_hex(&level->hash, level->content);
    enum tn_code code = put_failure(documents, level, why, err);
    documents->depth--;
    return code;
}

static enum tn_code extract(struct ingest_documents *documents, struct level *level, struct tn_error *err)
{
    size_t depth = documents->depth, outer = documents->extracting;
    const struct document_sink sink = {.context = documents,
                                       .document = put_document,
                                       .file_begin = inner_begin,
                                       .file_data = inner_data,
                                       .file_end = inner_end,
                                       .file_failed = inner_failed};
    struct tn_error error = {0};
    if (!level->extractor)
        TN_TRY(document_extractor_new(&documents->limits, NULL, &level->extractor, err));
    documents->extracting = depth;
    enum tn_code code = document_extract(level->extractor, level->fd, level->path, &sink, &error);
    documents->extracting = outer;
    documents->depth = depth; /* a file inside that broke off is no more */
    documents->too_deep = false;
    if (document_error_is_of_file(code))
        return put_failure(documents, level, &error, err);
    if (code != TN_OK) {
        if (err)
            *err = error;
        return code;
    }
    /* An archive is no document: it is what it holds. */
    return level->written ? TN_OK : enter_known(documents, level, 0, 0, false, err);
}

static enum tn_code end_level(struct ingest_documents *documents, struct tn_error *err)
{
    struct level *level = &documents->levels[documents->depth - 1];
    enum tn_code code = TN_OK;
    tn_hash_final_hex(&level->hash, level->content);
    const struct known_document *known = known_find(&documents->known, key_of(level));
    if (known && known->content == content_of(level))
        code = keep_unchanged(documents, level, err);
    else
        code = extract(documents, level, err);
    documents->depth--;
    return code == TN_OK ? flush_when_large(documents, err) : code;
}

enum tn_code ingest_documents_begin(struct ingest_documents *documents, const char *path, struct tn_error *err)
{
    return begin_level(documents, path, err);
}

enum tn_code ingest_documents_data(struct ingest_documents *documents, const void *bytes, size_t count,
                                   struct tn_error *err)
{
    atomic_fetch_add(&documents->bytes_in, count);
    return level_data(documents, bytes, count, err);
}

enum tn_code ingest_documents_end(struct ingest_documents *documents, struct tn_error *err)
{
    return end_level(documents, err);
}

uint64_t ingest_documents_scans(const struct ingest_documents *documents)
{
    return documents->scans;
}

/* ---- the answer --------------------------------------------------------------------------------- */

static void put_errors(const struct ingest_documents *documents, struct tn_json *out)
{
    tn_json_key(out, "errors");
    tn_json_open(out, '[');
    for (size_t i = 0; i < documents->failure_count; i++) {
        const struct failure *failure = &documents->failures[i];
        tn_json_open(out, '{');
        tn_json_kstr(out, "path", failure->path);
        tn_json_kstr(out, "code", tn_code_word(failure->error.code));
        tn_json_kstr(out, "detail", failure->error.detail);
        if (failure->error.hint[0])
            tn_json_kstr(out, "hint", failure->error.hint);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
}

static void put_snapshot(struct tn_json *out, const char *key, int64_t id)
{
    tn_json_key(out, key);
    if (id)
        tn_json_i64(out, id);
    else
        tn_json_null(out);
}

enum tn_code ingest_documents_finish(struct ingest_documents *documents, struct tn_json *out, struct tn_error *err)
{
    TN_TRY(check_cancelled(documents, err));
    TN_TRY(flush(documents, err));
    tn_json_open(out, '{');
    tn_json_kstr(out, "dataset", documents->dataset);
    tn_json_kstr(out, "pages_dataset", documents->pages_dataset);
    tn_json_kstr(out, "ingest_id", documents->id);
    tn_json_ki64(out, "files", (int64_t)(documents->ingested + documents->unchanged + documents->failed));
    tn_json_ki64(out, "ingested", (int64_t)documents->ingested);
    tn_json_ki64(out, "unchanged", (int64_t)documents->unchanged);
    tn_json_ki64(out, "failed", (int64_t)documents->failed);
    tn_json_ki64(out, "pages", (int64_t)documents->page_rows);
    tn_json_ki64(out, "needs_ocr", (int64_t)documents->needs_ocr);
    tn_json_ki64(out, "bytes", (int64_t)atomic_load(&documents->bytes_in));
    put_snapshot(out, "snapshot_id", documents->snapshot_id);
    put_snapshot(out, "pages_snapshot_id", documents->pages_snapshot_id);
    put_errors(documents, out);
    tn_json_close(out, '}');
    return TN_OK;
}
