/* keyword_rank: BM25 for FTS5. Private to index.
 *
 * FTS5's own function fetches the length of every matching row from a table of
 * its own, which costs more than all the rest; here it is asked of whoever
 * keeps the texts, and set against a fixed usual length, so that a score does
 * not depend on which other chunks there are or were.
 */
#ifndef TARN_INDEX_KEYWORD_RANK_H
#define TARN_INDEX_KEYWORD_RANK_H

#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYWORD_K1 1.2
#define KEYWORD_B  0.75

/* What a word is worth that so many rows of all have. */
static inline double keyword_weight(int64_t all, int64_t rows)
{
    return log(1 + ((double)(all - rows) + 0.5) / ((double)rows + 0.5));
}

/* What it adds to a row in which it stands so often; length: 1 is usual. */
static inline double keyword_score(double weight, double times, double length)
{
    return weight * times * (KEYWORD_K1 + 1) / (times + KEYWORD_K1 * (1 - KEYWORD_B + KEYWORD_B * length));
}

struct keyword_ranking {
    uint32_t (*length_of)(void *context, int64_t id); /* bytes; NULL: all are as long as usual */
    void *context;
    uint32_t usual;        /* bytes */
    const int64_t *judged; /* rising ids of which the score is wanted */
    double *ret_judged;
    size_t judged_count;
    uint64_t marks[64]; /* a bit by the last digits of each of them: most matches are none of them */
    double full;        /* set with the first row: the score of a usual row with each term once */
};

void keyword_rank_mark(struct keyword_ranking *ranking); /* sets marks */

/* For tarn_gather(words, pointer), which is asked of one row of a search and
 * appends all rows of the search's first phrase, without lengths. */
#define KEYWORD_GATHER "keyword_gather" /* the kind of pointer */
struct keyword_list;
struct keyword_gather {
    struct keyword_list *into;
    int64_t after; /* ids up to here are left out */
    size_t rows;
    bool (*stopping)(void *context); /* now and then: true ends it with SQLITE_INTERRUPT; or NULL */
    void *context;
};

/* Registers tarn_rank(words), smaller is better; *ranking is looked at for every
 * row. And tarn_times(words), how often the first phrase stands in a row,
 * tarn_rows(words), how many rows there are at all, and tarn_gather. */
int keyword_rank_register(sqlite3 *db, struct keyword_ranking *ranking);

#endif
