/* mime.h: a mail's parts: headers, boundaries, transfer encodings. Forgiving:
 * what cannot be understood is taken as it stands. */
#ifndef TARN_DOCUMENT_MIME_H
#define TARN_DOCUMENT_MIME_H

#include "base/base.h"

#define MIME_PARTS_MAX 10000

/* Borrows the bytes it was parsed from. */
struct mime_part {
    const char *head, *body;
    size_t head_length, body_length;
    char type[80]; /* "text/plain" when nothing is said */
    char charset[40], boundary[80], encoding[24];
    char filename[256];
    bool attachment;
};
void mime_parse(const char *bytes, size_t count, struct mime_part *ret);
/* Appends the first header of that name, unfolded, its encoded words decoded, as valid UTF-8. */
bool mime_header(const struct mime_part *part, const char *name, struct tn_buf *ret);
/* The body with its transfer encoding undone. */
void mime_decode(const struct mime_part *part, struct tn_buf *ret);

struct mime_walk {
    const char *at, *end, *boundary;
    bool begun, ended;
};
/* The parts of a multipart; borrows `part`. */
struct mime_walk mime_children(const struct mime_part *part);
bool mime_next(struct mime_walk *walk, struct mime_part *ret);

#endif
