/* ocr.h: the pages of a dataset of documents that are images, read by
 * tesseract: several at once, and written in their order.
 *
 * A page that was read gets its text, `ocr` (what read it), `ocr_confidence`
 * (0 to 100) and needs_ocr = false, in a commit of its own, journaled like any
 * other change of a row, and indexes follow it. One that cannot be read gets
 * `ocr_error`, and the rest goes on. Once a document has no page left, its row's
 * text is put together again, and its file (scans.h) is let go.
 *
 * Doing it twice is safe: a page that was read is not read again, so a call
 * that was broken off is called again. A page whose document is replaced
 * meanwhile stays as it is.
 *
 * Threads: one call, one thread, which calls `progress` and `log`; those that
 * read call `stopping` too.
 * Errors: TN_EUNSUPPORTED (a program or a language is missing: what to
 * install), TN_EDATASET, TN_ESCHEMA (no documents), TN_ECANCELLED.
 */
#ifndef TARN_INGEST_OCR_H
#define TARN_INGEST_OCR_H

#include "dataset/dataset.h"
#include "document/document.h"

struct ingest_ocr_options {
    const char *dataset;   /* of documents */
    const char *languages; /* tesseract's words, "eng+deu" */
    const char *actor, *reason, *request_id;
    struct document_limits limits;   /* of one page */
    size_t readers;                  /* pages that are read at once; 0: 1 */
    uint64_t memory_alone;           /* more than limits': of a page that failed, read while no other is */
    bool (*stopping)(void *context); /* may be NULL, as the next two */
    void (*progress)(void *context, uint64_t pages, uint64_t of);
    void (*log)(void *context, const char *text);
    void *context;
};

/* Answers {"dataset","engine","pages","failed","documents","errors":[{"path",
 * "page","code","detail","hint"}]}: pages read, pages that could not be, documents
 * that have all their text now; at most a hundred errors. */
enum tn_code ingest_ocr(struct lake *lake, const struct ingest_ocr_options *options, struct tn_json *out,
                        struct tn_error *err) TN_CHECKED;

#endif
