/* readers.h: one function for each type. All read hostile bytes: they run in
 * the cage (cage.h), and every one has a fuzz target. */
#ifndef TARN_DOCUMENT_READERS_H
#define TARN_DOCUMENT_READERS_H

#include "document/outline.h"

struct document_input {
    const char *bytes; /* the whole file */
    size_t count;
    const char *name;
    const struct document_limits *limits;
    const struct document_sink *sink; /* for files inside */
    unsigned depth;                   /* of mails in mails */
};

/* Each writes into the outline; outline_finish is the caller's. */
enum tn_code reader_text(const struct document_input *input, struct outline *outline,
                         struct tn_error *err) TN_CHECKED;
enum tn_code reader_markdown(const struct document_input *input, struct outline *outline,
                             struct tn_error *err) TN_CHECKED;
enum tn_code reader_html(const struct document_input *input, struct outline *outline,
                         struct tn_error *err) TN_CHECKED;
enum tn_code reader_docx(const struct document_input *input, struct outline *outline,
                         struct tn_error *err) TN_CHECKED;
enum tn_code reader_eml(const struct document_input *input, struct outline *outline, struct tn_error *err) TN_CHECKED;
/* Its pages without text: image.h. */
enum tn_code reader_image(const struct document_input *input, struct outline *outline,
                          struct tn_error *err) TN_CHECKED;

/* The HTML of a mail's body into an outline that has begun. */
enum tn_code reader_html_body(const char *bytes, size_t count, const char *charset, struct outline *outline,
                              struct tn_error *err) TN_CHECKED;

/* "2024-01-31T12:00:00+01:00" and less, or a mail's "Wed, 31 Jan 2024 12:00:00
 * +0100", as RFC 3339 in UTC; NULL when it is no time. The arena's. */
const char *reader_time(struct tn_arena *arena, const char *text, size_t length);

/* detect.c: what the bytes are. */
enum document_type detect_type(const char *bytes, size_t count, const char *name);
/* Why a file is no document, for people. */
enum tn_code detect_refuse(const char *bytes, size_t count, struct tn_error *err);

#endif
