/* Documents on their way in (see documents.h). */
#include "ingest/documents_internal.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
    rows_init(documents);
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
    documents->readers = readers_new(&documents->limits, TN_MAX(options->readers, (size_t)1));
    documents->window = tn_calloc(readers_room(documents->readers), sizeof *documents->window);
    for (size_t i = 0; i < readers_room(documents->readers); i++)
        documents->window[i].level.fd = -1;
    *ret = TN_TAKE(documents);
    return TN_OK;
}

static void level_release(struct level *level)
{
    document_extractor_free(level->extractor);
    if (level->fd >= 0)
        (void)close(level->fd);
    free(level->path);
}

static void window_free(struct ingest_documents *documents)
{
    if (!documents->readers)
        return;
    size_t room = readers_room(documents->readers);
    readers_free(documents->readers); /* from here on nobody writes to the window */
    for (size_t i = 0; i < room; i++) {
        level_release(&documents->window[i].level);
        document_free(documents->window[i].reading.document);
    }
    free(documents->window);
}

void ingest_documents_free(struct ingest_documents *documents)
{
    if (!documents)
        return;
    window_free(documents);
    for (size_t i = 0; i <= DEPTH_MAX; i++)
        level_release(&documents->levels[i]);
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
    readers_cancel(documents->readers);
}

void ingest_documents_progress(const struct ingest_documents *documents, uint64_t *ret_bytes, uint64_t *ret_rows)
{
    *ret_bytes = atomic_load(&documents->bytes_in);
    *ret_rows = atomic_load(&documents->rows);
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

static enum tn_code end_level(struct ingest_documents *documents, struct tn_error *err);
static enum tn_code drain(struct ingest_documents *documents, struct tn_error *err);

static enum tn_code inner_begin(void *context, const char *name, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    documents->too_deep = documents->depth > DEPTH_MAX;
    if (!documents->too_deep)
        return begin_level(documents, name, err);
    struct tn_error error = {0};
    TN_TRY(drain(documents, err));
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s", documents->levels[documents->depth - 1].path, name);
    (void)tn_fail(&error, TN_EUNSUPPORTED, "it lies deeper than %d archives or mails in each other", DEPTH_MAX);
    rows_note_failure(documents, path, &error);
    return TN_OK;
}

static enum tn_code inner_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct ingest_documents *documents = context;
    return documents->too_deep ? TN_OK : level_data(documents, bytes, count, err);
}

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
    TN_TRY(drain(documents, err));
    struct level *level = &documents->levels[documents->depth - 1];
    tn_hash_final_hex(&level->hash, level->content);
    enum tn_code code = rows_put_failure(documents, level, why, err);
    documents->depth--;
    return code;
}

/* Reads it now; files inside come one after another. */
static enum tn_code extract(struct ingest_documents *documents, struct level *level, struct tn_error *err)
{
    size_t depth = documents->depth, outer = documents->extracting;
    const struct document_sink sink = {.context = documents,
                                       .document = rows_put_document,
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
    TN_TRY(drain(documents, err));
    if (document_error_is_of_file(code))
        return rows_put_failure(documents, level, &error, err);
    if (code != TN_OK) {
        if (err)
            *err = error;
        return code;
    }
    /* An archive is no document: it is what it holds. */
    return level->written ? TN_OK : rows_enter(documents, level, 0, 0, false, err);
}

/* ---- several at once --------------------------------------------------------------------------- */

static enum tn_code take_reading(struct ingest_documents *documents, struct level *level,
                                 const struct reading *reading, struct tn_error *err)
{
    if (reading->has_files) {
        documents->in_order = true;
        enum tn_code code = extract(documents, level, err);
        documents->in_order = false;
        return code;
    }
    if (reading->code == TN_OK)
        return reading->document ? rows_put_document(documents, reading->document, err)
                                 : rows_enter(documents, level, 0, 0, false, err);
    if (document_error_is_of_file(reading->code))
        return rows_put_failure(documents, level, &reading->error, err);
    if (err)
        *err = reading->error;
    return reading->code;
}

/* The rows of the oldest file that was put aside, as if it came now. */
static enum tn_code finish_oldest(struct ingest_documents *documents, struct tn_error *err)
{
    struct pending *pending = &documents->window[documents->window_first];
    struct level *level = &documents->levels[pending->depth - 1], before = *level;
    size_t depth = documents->depth;
    (void)readers_take(documents->readers);
    documents->window_first = (documents->window_first + 1) % readers_room(documents->readers);
    documents->window_count--;
    *level = pending->level;
    level->extractor = before.extractor;
    documents->depth = pending->depth;
    enum tn_code code = take_reading(documents, level, &pending->reading, err);
    documents->depth = depth;
    before.extractor = level->extractor;
    level->extractor = NULL;
    pending->level = *level;
    *level = before;
    document_free(pending->reading.document);
    pending->reading.document = NULL;
    return code;
}

/* While one of them is redone for the files inside, the others wait behind it. */
static enum tn_code drain(struct ingest_documents *documents, struct tn_error *err)
{
    while (documents->window_count && !documents->in_order)
        TN_TRY(finish_oldest(documents, err));
    return TN_OK;
}

static bool is_put_aside(const struct ingest_documents *documents, const char *doc_id)
{
    size_t room = readers_room(documents->readers);
    for (size_t i = 0; i < documents->window_count; i++)
        if (tn_streq(documents->window[(documents->window_first + i) % room].level.doc_id, doc_id))
            return true;
    return false;
}

/* Archives are read in order, their members beside each other; what else holds files says so when it is read. */
static bool is_archive(const struct level *level)
{
    char head[4];
    ssize_t got = pread(level->fd, head, sizeof head, 0);
    return got == 4 && memcmp(head, "PK", 2) == 0 && !tn_str_ends_with(level->path, ".docx");
}

static enum tn_code put_aside(struct ingest_documents *documents, struct level *level, struct tn_error *err)
{
    size_t room = readers_room(documents->readers);
    if (documents->window_count == room)
        TN_TRY(finish_oldest(documents, err));
    struct pending *pending = &documents->window[(documents->window_first + documents->window_count++) % room];
    struct level reuse = pending->level;
    pending->level = *level;
    pending->level.extractor = NULL;
    pending->depth = documents->depth;
    pending->reading = (struct reading){.fd = level->fd, .name = pending->level.path};
    level->fd = reuse.fd;
    level->path = reuse.path;
    readers_put(documents->readers, &pending->reading);
    return TN_OK;
}

static enum tn_code end_level(struct ingest_documents *documents, struct tn_error *err)
{
    struct level *level = &documents->levels[documents->depth - 1];
    enum tn_code code = TN_OK;
    tn_hash_final_hex(&level->hash, level->content);
    if (is_put_aside(documents, level->doc_id)) /* what is known of it is about to change */
        TN_TRY(drain(documents, err));
    if (rows_is_known(documents, level))
        code = rows_put_unchanged(documents, level, err);
    else if (documents->in_order)
        code = extract(documents, level, err);
    else if (!is_archive(level))
        code = put_aside(documents, level, err);
    else if ((code = drain(documents, err)) == TN_OK)
        code = extract(documents, level, err);
    documents->depth--;
    return code == TN_OK ? rows_flush_when_large(documents, err) : code;
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
    TN_TRY(drain(documents, err));
    TN_TRY(rows_flush(documents, err));
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
