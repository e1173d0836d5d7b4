/* What WordPiece needs to know about characters. */
#ifndef TARN_EMBED_UNICODE_H
#define TARN_EMBED_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNICODE_FOLD_MAX = 4, UNICODE_BAD = 0xFFFD };

/* The code point at `p`; *ret_length is 1 and the result UNICODE_BAD where
 * there is no valid UTF-8. `left` is at least 1. */
uint32_t unicode_decode(const unsigned char *p, size_t left, size_t *ret_length);

/* Dropped from texts: controls, formats, private use. Tab and line ends are
 * spaces instead. */
bool unicode_is_ignored(uint32_t c);
bool unicode_is_space(uint32_t c);
/* Category P, and every symbol of ASCII. */
bool unicode_is_punctuation(uint32_t c);
/* Ideographs, each of which is a word of its own. */
bool unicode_is_ideograph(uint32_t c);
/* Lower case without accents: 0 to UNICODE_FOLD_MAX code points. */
size_t unicode_fold(uint32_t c, uint32_t out[UNICODE_FOLD_MAX]);

#endif
