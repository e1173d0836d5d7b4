/* worker.h: what the asking process and its helper say to each other, over one
 * SOCK_SEQPACKET socket (the helper's descriptor WORKER_FD).
 *
 *   -> a struct worker_request, with two descriptors: the file, and the pipe
 *      for the frames (wire.h)
 *   -> one byte WORKER_KILL, at any time: end the child
 *   <- a struct worker_status, once per request, when the child is gone
 *
 * The helper reads no file itself: it forks a child per request, waits for it
 * or for an order to kill it with all it started, and says how it ended. When
 * the asking process goes away, so does the helper, and the child with it.
 */
#ifndef TARN_DOCUMENT_WORKER_H
#define TARN_DOCUMENT_WORKER_H

#include "document/document.h"
#include "document/ocr.h"

#define WORKER_FD       3
#define WORKER_KILL     'K'
#define WORKER_NAME_MAX 1024

enum worker_task { WORKER_READ, WORKER_OCR_LOOK, WORKER_OCR_PAGE };
struct worker_request {
    struct document_limits limits;
    enum worker_task task;
    uint32_t page;                     /* OCR_PAGE: which */
    char languages[OCR_LANGUAGES_MAX]; /* OCR_... */
    char name[WORKER_NAME_MAX];
};
struct worker_status {
    int status; /* of waitpid; -1: no child could be made */
};

#endif
