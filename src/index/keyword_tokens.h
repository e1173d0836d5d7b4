/* keyword_tokens: the words of a text as FTS5 counts them. Private to keyword.
 *
 * "Engineer" and "engineering" are one word to FTS5, and so have one list. The
 * same functions of SQLite cut here that cut there, set up as the table is.
 */
#ifndef TARN_INDEX_KEYWORD_TOKENS_H
#define TARN_INDEX_KEYWORD_TOKENS_H

#include "base/base.h"
#include "index/keyword_fold.h"

#include <sqlite3.h>

#define KEYWORD_TOKENIZE KEYWORD_FOLD " porter unicode61 remove_diacritics 2"

fts5_api *keyword_fts5_api(sqlite3 *db); /* NULL when this SQLite has none */

struct keyword_tokens;
/* One of SQLite's codes. It is closed before the database is. */
int keyword_tokens_open(sqlite3 *db, struct keyword_tokens **ret);
void keyword_tokens_close(struct keyword_tokens *tokens);
TN_DEFINE_CLEANUP(struct keyword_tokens, keyword_tokens_close)

/* A word, which stands at [begin, end) of the text; what is not SQLITE_OK ends it, and is returned. */
typedef int keyword_token_fn(void *context, const char *token, size_t length, size_t begin, size_t end);
int keyword_tokens_each(struct keyword_tokens *tokens, const char *text, size_t length, keyword_token_fn *each,
                        void *context);
/* What two phrases that FTS5 takes for the same have in common: "word" or "pre"*, as keyword_query writes them. */
int keyword_tokens_key(struct keyword_tokens *tokens, const char *phrase, struct tn_buf *ret);

#endif
