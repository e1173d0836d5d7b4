/* documents.h: documents in, two datasets out.
 *
 *     ingest_documents_new -> (_begin, _data ..., _end) per file ... -> _finish
 *
 * D has one row per document (key doc_id), D__pages one per page or section
 * (key doc_id, page), so that a citation names a page. doc_id comes from the
 * path, so it stays when the content changes; `hash` is the content's. A file
 * whose bytes are known under its path is "unchanged" and is not read again,
 * unless it could not be read the last time. A changed one replaces its rows.
 * A zip archive is taken apart: its members are "archive.zip/folder/file.pdf",
 * attachments of a mail "mail.eml/file.pdf".
 *
 * A file that cannot be read has a row too, with `error` and without text, and
 * does not keep the others out.
 *
 * Rows are kept in spools and committed every so many documents: pages first,
 * then what is left of pages that a document no longer has, then documents.
 * The row with the new hash comes last, so after a crash in between the same
 * call again completes: what has no row is read anew, and pages that are there
 * already stay as they are.
 *
 * Several files are read at once, each by a caged child; their rows are made in
 * the order in which the files came. An archive's members are read beside each
 * other, and an archive after what came before it.
 *
 * Memory: 32 bytes for each document of the dataset, the texts of documents
 * that were read (64 MB and one for each reader), and blocks. Threads: one at a
 * time, except ingest_documents_cancel, which kills what is being read.
 */
#ifndef TARN_INGEST_DOCUMENTS_H
#define TARN_INGEST_DOCUMENTS_H

#include "dataset/dataset.h"
#include "document/document.h"

#define INGEST_PAGES_SUFFIX "__pages"

/* Texts are copied. */
struct ingest_documents_options {
    const char *dataset;
    const char *actor, *reason, *request_id;
    struct document_limits limits;
    size_t readers;  /* files read at once; 0: 1 */
    bool keep_scans; /* files with pages to be read from their image, for ocr.h */
};

struct ingest_documents;
enum tn_code ingest_documents_new(struct lake *lake, const struct ingest_documents_options *options,
                                  struct ingest_documents **ret, struct tn_error *err) TN_CHECKED;
void ingest_documents_free(struct ingest_documents *documents);
TN_DEFINE_CLEANUP(struct ingest_documents, ingest_documents_free)

/* One file after another. What is wrong with a file is no error here. */
enum tn_code ingest_documents_begin(struct ingest_documents *documents, const char *path,
                                    struct tn_error *err) TN_CHECKED;
enum tn_code ingest_documents_data(struct ingest_documents *documents, const void *bytes, size_t count,
                                   struct tn_error *err) TN_CHECKED;
enum tn_code ingest_documents_end(struct ingest_documents *documents, struct tn_error *err) TN_CHECKED;

/* Commits what is left; `out` receives the answer object of POST
 * /ingest/documents. */
enum tn_code ingest_documents_finish(struct ingest_documents *documents, struct tn_json *out,
                                     struct tn_error *err) TN_CHECKED;
/* Soon: TN_ECANCELLED. What is committed stays. */
void ingest_documents_cancel(struct ingest_documents *documents);

/* How many files were kept for ocr.h that were not before. */
uint64_t ingest_documents_scans(const struct ingest_documents *documents);

/* Received bytes and rows of documents, so far. */
void ingest_documents_progress(const struct ingest_documents *documents, uint64_t *ret_bytes, uint64_t *ret_rows);

#endif
