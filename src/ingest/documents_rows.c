/* Rows of documents, and their commits (see documents.h). */
#include "ingest/documents_internal.h"

#include <string.h>

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

enum tn_code rows_flush(struct ingest_documents *documents, struct tn_error *err)
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

enum tn_code rows_flush_when_large(struct ingest_documents *documents, struct tn_error *err)
{
    if (documents->documents.rows < COMMIT_FILES &&
        documents->documents.spool.size + documents->pages.spool.size < COMMIT_BYTES)
        return TN_OK;
    return rows_flush(documents, err);
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

enum tn_code rows_enter(struct ingest_documents *documents, const struct level *level, uint64_t content,
                        uint32_t sections, bool row, struct tn_error *err)
{
    struct known_document *known = known_find(&documents->known, key_of(level));
    /* The same path twice in one call: the later one replaces, by a later commit. */
    if (known && known->batch == documents->batch)
        TN_TRY(rows_flush(documents, err));
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
enum tn_code rows_put_unchanged(struct ingest_documents *documents, const struct level *level, struct tn_error *err)
{
    bool kept;
    documents->unchanged++;
    if (!documents->keep_scans || !known_find(&documents->known, key_of(level))->needs_ocr)
        return TN_OK;
    TN_TRY(scans_has(documents->lake, documents->dataset, level->doc_id, &kept, err));
    return kept ? TN_OK : keep_scan(documents, level, true, err);
}

enum tn_code rows_put_document(void *context, const struct document *document, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    struct level *level = &documents->levels[documents->depth - 1];
    struct table *table = &documents->documents;
    int64_t created;
    TN_TRY(keep_scan(documents, level, document->needs_ocr, err));
    TN_TRY(rows_enter(documents, level, content_of(level), (uint32_t)document->section_count, true, err));
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

void rows_note_failure(struct ingest_documents *documents, const char *path, const struct tn_error *error)
{
    documents->failed++;
    if (documents->failure_count == ERRORS_SHOWN)
        return;
    TN_GROW(documents->failures, documents->failure_count, documents->failure_capacity);
    documents->failures[documents->failure_count++] = (struct failure){tn_strdup(path), *error};
}

/* The row of a file that cannot be read. */
enum tn_code rows_put_failure(struct ingest_documents *documents, struct level *level, const struct tn_error *error,
                              struct tn_error *err)
{
    struct table *table = &documents->documents;
    rows_note_failure(documents, level->path, error);
    if (level->written) /* a mail whose text is in, but not all that is attached to it */
        return TN_OK;
    TN_TRY(keep_scan(documents, level, false, err));
    TN_TRY(rows_enter(documents, level, 0, 0, true, err));
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

bool rows_is_known(const struct ingest_documents *documents, const struct level *level)
{
    const struct known_document *known = known_find(&documents->known, key_of(level));
    return known && known->content == content_of(level);
}

void rows_init(struct ingest_documents *documents)
{
    struct store *store = documents->lake->store;
    table_init(&documents->documents, document_columns, TN_COUNT(document_columns), "doc_id", store);
    table_init(&documents->pages, page_columns, TN_COUNT(page_columns), "doc_id,page", store);
}
