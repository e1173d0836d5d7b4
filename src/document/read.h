/* read.h: one file, read in this process. */
#ifndef TARN_DOCUMENT_READ_H
#define TARN_DOCUMENT_READ_H

#include "document/outline.h"

struct read_job {
    const struct document_limits *limits;
    int fd; /* a regular file */
    const char *name;
    const struct document_sink *sink;
    /* Reads a PDF; NULL: refused. */
    enum tn_code (*pdf)(const struct document_limits *limits, int fd, struct outline *outline, struct tn_error *err);
};
enum tn_code read_file(const struct read_job *job, struct tn_error *err) TN_CHECKED;

/* pdf.c: by pdfinfo, pdftotext and pdfimages of poppler. The process must be
 * caged: it only reads what those print. */
enum tn_code pdf_read(const struct document_limits *limits, int fd, struct outline *outline,
                      struct tn_error *err) TN_CHECKED;

#endif
