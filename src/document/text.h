/* text.h: characters, as far as cutting text needs to know them. */
#ifndef TARN_DOCUMENT_TEXT_H
#define TARN_DOCUMENT_TEXT_H

#include "base/base.h"

/* The character at p (left >= 1) and its bytes; a byte that begins none is
 * U+FFFD and one byte. */
size_t text_decode(const char *p, size_t left, uint32_t *ret);
/* Unicode's White_Space. */
bool text_is_space(uint32_t c);
/* Written without spaces between words: Han, kana. */
bool text_is_ideograph(uint32_t c);
bool text_is_lower(uint32_t c); /* Latin, Greek and Cyrillic */
/* Bytes of the character that a reader sees at p: a base with what belongs to
 * it. At least 1, at most TEXT_CLUSTER_MAX and the character at its end. */
#define TEXT_CLUSTER_MAX 128
size_t text_cluster(const char *p, size_t left);
size_t text_characters(const char *p, size_t length); /* code points */

/* Appends text as it should be kept: NUL and other control characters but tab
 * and line feed dropped, CR LF and CR made LF, bytes that are no UTF-8 made
 * U+FFFD. */
void text_put_clean(struct tn_buf *out, const char *bytes, size_t count);
/* Ends with exactly one line feed, unless empty. */
void text_end_line(struct tn_buf *out);
/* Drops white space from the end. */
void text_trim_end(struct tn_buf *out);

/* Makes UTF-8 of a file's bytes: UTF-16 by its mark or its zero bytes, else
 * UTF-8 (not checked: text_put_clean does), else Windows-1252. `charset` (may
 * be NULL) is what the file says of itself; an unknown name is ignored. */
void text_to_utf8(const char *bytes, size_t count, const char *charset, struct tn_buf *out);

/* Loads the C library's tables for the common charsets, so that they can be
 * used where no file can be opened any more; how many there are. */
size_t text_preload_charsets(void);

#endif
