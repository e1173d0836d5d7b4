/* keyword_fold: words that look alike are one word. Private to keyword.
 *
 * A tokenizer of FTS5 in front of another one, which cuts what has spaces
 * between its words. Before it, letters and digits are brought to one form
 * (Unicode's NFKC, case folded): full-width and half-width forms, ligatures,
 * raised digits, accents composed or not, sharp s. What is ASCII, and all that
 * stands between words, goes through as it is.
 *
 * Chinese, Japanese and Korean have no spaces that could be relied on. Of a run of their
 * characters every two neighbours are a word, and in texts each one alone as
 * well, at the same place: "東京都" is 東京 京都 and 東 京 都. A phrase of them is
 * found where they stand together. docs/decisions/0107-words-that-look-alike.md
 *
 * Its name changes with what it makes of any text; a table knows the name that
 * it was made with (keyword_cut_again).
 */
#ifndef TARN_INDEX_KEYWORD_FOLD_H
#define TARN_INDEX_KEYWORD_FOLD_H

#include "base/base.h"

#include <sqlite3.h>

#define KEYWORD_FOLD "tarn1"

/* For a connection, before its tables are used; one of SQLite's codes. */
int keyword_fold_register(sqlite3 *db);

enum keyword_script { KEYWORD_NO_WORD, KEYWORD_WORD, KEYWORD_KANA, KEYWORD_PAIRS };
/* What the character at the beginning is: of no word, of a word between spaces,
 * or of those that are taken by twos (KANA: Hiragana, which endings are written in).
 * *ret_bytes: how long it is, at least 1. */
enum keyword_script keyword_fold_script(const char *text, size_t length, size_t *ret_bytes);

#endif
