/* ocr_pages.h: pages that are being read from their image, several at once, and
 * given back in the order in which they came. Part of ocr.c.
 *
 *     ocr_pages_put, until it is full -> ocr_pages_take, the oldest -> ocr_pages_drop
 *
 * Threads: one that puts and takes; the readers' own behind it.
 */
#ifndef TARN_INGEST_OCR_PAGES_H
#define TARN_INGEST_OCR_PAGES_H

#include "ingest/documents_readers.h"
#include "ingest/ocr.h"
#include "ingest/scans.h"

/* A document whose pages are read. */
struct ocr_scan {
    char doc_id[40], hash[TN_HASH_HEX], *path;
    int fd;              /* of its file; -1: it is not kept */
    struct tn_error why; /* then */
    bool told;           /* that it is not */
    bool touched;        /* a page of it was read */
    size_t users;
};
struct ocr_scan *ocr_scan_new(const json_t *row) __attribute__((returns_nonnull)); /* doc_id, hash, path */
void ocr_scan_unref(struct ocr_scan *scan);                                        /* NULL too */

struct ocr_page {
    struct ocr_scan *scan;
    int64_t number;
    struct reading reading; /* code, error, text and confidence, when the file is kept */
};

struct ocr_pages;
struct ocr_pages *ocr_pages_new(struct lake *lake, const struct ingest_ocr_options *options)
    __attribute__((returns_nonnull));
void ocr_pages_free(struct ocr_pages *pages); /* kills what is being read */
TN_DEFINE_CLEANUP(struct ocr_pages, ocr_pages_free)

bool ocr_pages_is_full(const struct ocr_pages *pages);
bool ocr_pages_is_empty(const struct ocr_pages *pages);
/* A row of doc_id, hash, path and page; those of a document come one after another. */
enum tn_code ocr_pages_put(struct ocr_pages *pages, const json_t *row, struct tn_error *err) TN_CHECKED;
/* Waits for the oldest. What failed beside others is read once more with the memory of all. */
struct ocr_page *ocr_pages_take(struct ocr_pages *pages) __attribute__((returns_nonnull));
void ocr_pages_drop(struct ocr_pages *pages);

#endif
