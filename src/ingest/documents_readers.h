/* documents_readers.h: files, or pages of scans, read by several caged children at once, and given
 * back in the order in which they came.
 *
 *     readers_put, while there is room -> readers_take, the oldest
 *
 * A file that holds others (a mail with attachments) is only said to: those are
 * streamed, and for one that asks in order.
 *
 * Memory: the texts of what was read and not taken stay below 64 MB, beside one
 * for each child. Threads: one that puts and takes; readers_new's count behind it.
 */
#ifndef TARN_INGEST_DOCUMENTS_READERS_H
#define TARN_INGEST_DOCUMENTS_READERS_H

#include "document/document.h"

struct reading {
    int fd; /* from its beginning; it and the name stay until it is taken */
    const char *name;
    enum tn_code code; /* as of document_extract */
    struct tn_error error;
    struct document *document; /* the taker's; may be NULL */
    bool has_files;            /* all else means nothing then */
    /* Not 0: only this page is read, from its image (document_ocr_page). */
    uint32_t page;
    const char *languages;
    struct tn_buf text; /* the taker's */
    unsigned confidence;
};

struct readers;
/* Threads and helpers start as they are needed. */
struct readers *readers_new(const struct document_limits *limits, size_t count) __attribute__((returns_nonnull));
/* Kills what is being read. What was put and not taken is the caller's as before. */
void readers_free(struct readers *readers);
TN_DEFINE_CLEANUP(struct readers, readers_free)
/* Asked from several threads while they read: once it says yes, it is as if
 * cancelled. Before the first is put. */
void readers_stop_when(struct readers *readers, bool (*stopping)(void *context), void *context);
/* From any thread: what is being read and what still waits ends with TN_ECANCELLED. */
void readers_cancel(struct readers *readers);

size_t readers_room(const struct readers *readers); /* in all: twice the count */
/* There is room: fewer than that were put and not taken. */
void readers_put(struct readers *readers, struct reading *reading);
/* Waits for the oldest. */
struct reading *readers_take(struct readers *readers) __attribute__((returns_nonnull));
/* Reads one that was taken once more, under these limits, while no other is read. */
void readers_read_alone(struct readers *readers, const struct document_limits *limits, struct reading *reading);

#endif
