/* keyword_rank: BM25 for FTS5. Private to index.
 *
 * FTS5's own function fetches the length of every matching row from a table of
 * its own, which costs more than all the rest; here it is asked of whoever
 * keeps the texts, and set against a fixed usual length, so that a score does
 * not depend on which other chunks there are or were.
 */
#ifndef TARN_INDEX_KEYWORD_RANK_H
#define TARN_INDEX_KEYWORD_RANK_H

#include <sqlite3.h>
#include <stdint.h>

struct keyword_lengths {
    uint32_t (*of)(void *context, int64_t id); /* bytes; NULL: all are as long as usual */
    void *context;
    uint32_t usual; /* bytes */
};

/* Registers tarn_rank(words), smaller is better. *lengths is looked at whenever a statement begins. */
int keyword_rank_register(sqlite3 *db, const struct keyword_lengths *lengths);

#endif
