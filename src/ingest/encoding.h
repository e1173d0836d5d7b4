/* encoding.h: from what the bytes are encoded in to UTF-8, piece by piece. */
#ifndef TARN_INGEST_ENCODING_H
#define TARN_INGEST_ENCODING_H

#include "base/buf.h"

enum encoding { ENCODING_AUTO, ENCODING_UTF8, ENCODING_UTF16LE, ENCODING_UTF16BE, ENCODING_WINDOWS_1252 };

/* "utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "latin-1", "iso-8859-1",
 * "windows-1252", "cp1252", "auto"; any case. Latin-1 is read as its superset
 * Windows-1252. "utf-16" alone is little-endian unless a mark says otherwise. */
bool encoding_parse(const char *word, enum encoding *ret);
const char *encoding_name(enum encoding encoding);

/* What the first bytes say: a byte order mark (its length in *ret_mark) or the
 * zero bytes of UTF-16; ENCODING_AUTO when they leave it open (UTF-8 until a
 * byte proves the opposite). */
enum encoding encoding_detect(const unsigned char *bytes, size_t length, size_t *ret_mark);

/* Characters cut in two by the end of a piece wait in the state. Broken
 * UTF-16 becomes U+FFFD. */
struct encoding_state {
    enum encoding from;
    unsigned char odd;
    bool has_odd;
    uint16_t high;
};
void encoding_convert(struct encoding_state *state, const void *bytes, size_t count, struct tn_buf *out);
/* The input has ended. */
void encoding_finish(struct encoding_state *state, struct tn_buf *out);

/* As tn_utf8_valid_prefix, with a fast way over ASCII. */
size_t encoding_utf8_prefix(const char *bytes, size_t length);

#endif
