/* documents_internal.h: shared by documents.c (files) and documents_rows.c. */
#ifndef TARN_INGEST_DOCUMENTS_INTERNAL_H
#define TARN_INGEST_DOCUMENTS_INTERNAL_H

#include "ingest/documents.h"
#include "ingest/documents_readers.h"
#include "ingest/documents_table.h"
#include "ingest/scans.h"

#include <stdatomic.h>

#define DEPTH_MAX 3 /* a mail in an archive in an archive */

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

/* A file that was put aside, to be read beside others. */
struct pending {
    struct reading reading;
    struct level level; /* without an extractor */
    size_t depth;
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
    /* Files that are being read, the oldest first; their rows are made in that order. */
    struct readers *readers;
    struct pending *window; /* a ring */
    size_t window_first, window_count;
    bool in_order; /* files inside are read when they come, not put aside */
    atomic_bool cancelled;
    _Atomic uint64_t bytes_in, rows;
};

/* documents_rows.c: rows of what was read, and their commits. The row is that
 * of the file levels[depth - 1]. */
void rows_init(struct ingest_documents *documents);
enum tn_code rows_put_document(void *documents, const struct document *document, struct tn_error *err) TN_CHECKED;
enum tn_code rows_put_failure(struct ingest_documents *documents, struct level *level, const struct tn_error *error,
                              struct tn_error *err) TN_CHECKED;
void rows_note_failure(struct ingest_documents *documents, const char *path, const struct tn_error *error);
enum tn_code rows_put_unchanged(struct ingest_documents *documents, const struct level *level,
                                struct tn_error *err) TN_CHECKED;
/* Notes what the row will be, and which older pages go. */
enum tn_code rows_enter(struct ingest_documents *documents, const struct level *level, uint64_t content,
                        uint32_t sections, bool row, struct tn_error *err) TN_CHECKED;
bool rows_is_known(const struct ingest_documents *documents, const struct level *level);
enum tn_code rows_flush(struct ingest_documents *documents, struct tn_error *err) TN_CHECKED;
enum tn_code rows_flush_when_large(struct ingest_documents *documents, struct tn_error *err) TN_CHECKED;

#endif
