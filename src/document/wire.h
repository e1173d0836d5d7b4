/* wire.h: from the child that reads a file to the process that asked.
 *
 * Frames: one byte kind, four bytes length (this machine's order: both ends
 * are one program), then so many bytes. What arrives is a stranger's: the
 * reading side believes nothing of it (extract.c).
 */
#ifndef TARN_DOCUMENT_WIRE_H
#define TARN_DOCUMENT_WIRE_H

#include "document/document.h"

#define WIRE_HEADER    5
#define WIRE_PIECE_MAX ((size_t)1 << 20) /* of text and data */
#define WIRE_HEAD_MAX  ((size_t)64 << 20)

enum wire_kind {
    WIRE_HEAD = 'H',  /* a document but for its text, as JSON */
    WIRE_TEXT = 'T',  /* a piece of its text */
    WIRE_WHOLE = 'W', /* it is complete */
    WIRE_FILE = 'F',  /* a file inside: its name */
    WIRE_DATA = 'D',  /* a piece of it */
    WIRE_END = 'E',   /* it is complete */
    WIRE_BAD = 'B',   /* a file inside that cannot be had: an error with its name */
    WIRE_ERROR = 'X', /* nothing follows: an error */
    WIRE_DONE = 'Z',  /* nothing follows */
};

/* A sink whose calls become frames on a descriptor. */
struct wire_out {
    int fd;
};
struct document_sink wire_sink(struct wire_out *out);
enum tn_code wire_put_error(int fd, const struct tn_error *error, struct tn_error *err) TN_CHECKED;
enum tn_code wire_put_done(int fd, struct tn_error *err) TN_CHECKED;

/* The other side: a document without its text from its JSON. TN_ECORRUPT. */
enum tn_code wire_take_head(const char *json, size_t length, struct document **ret, struct tn_error *err) TN_CHECKED;
/* Whether the sections lie within the text, all of it valid UTF-8. */
bool wire_document_is_sound(const struct document *document);
/* The error of a WIRE_ERROR or WIRE_BAD frame. */
void wire_take_error(const char *json, size_t length, struct tn_error *ret, char *name, size_t name_room);

#endif
