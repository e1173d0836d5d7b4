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

struct keyword_ranking {
    uint32_t (*length_of)(void *context, int64_t id);      /* bytes; NULL: all are as long as usual */
    void (*seen)(void *context, int64_t id, double score); /* each ranked row, in no order; NULL: nobody asks */
    void *context;
    uint32_t usual; /* bytes */
    double full;    /* set with the first row: the score of a usual row with each term once */
};

/* Registers tarn_rank(words), smaller is better. *ranking is looked at for every row. */
int keyword_rank_register(sqlite3 *db, struct keyword_ranking *ranking);

#endif
