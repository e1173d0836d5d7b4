/* keyword_bag: words joined by OR, scored over lists in memory.
 *
 * What FTS5 would answer, in the same order and with the same scores: a score is
 * the sum over the words, in their order, of keyword_score. FTS5 is asked for
 * the lists that are not there yet, and for whatever else than words, phrases
 * and prefixes joined by OR stands in an expression. Private to keyword.
 */
#ifndef TARN_INDEX_KEYWORD_BAG_H
#define TARN_INDEX_KEYWORD_BAG_H

#include "index/keyword_lists.h"

#include <sqlite3.h>

struct keyword_bag;
/* On a reader's database, which has the functions of keyword_rank; one of SQLite's codes. */
int keyword_bag_open(sqlite3 *db, struct keyword_bag **ret);
void keyword_bag_close(struct keyword_bag *bag);
TN_DEFINE_CLEANUP(struct keyword_bag, keyword_bag_close)

/* *ret_done false: FTS5 is to be asked, nothing was called yet. SQLite's codes. */
int keyword_bag_search(struct keyword_bag *bag, const struct keyword_search *search, bool *ret_done);
/* The lists of its words and no more; SQLITE_INTERRUPT when `stopping` (given the search's context) said so. */
int keyword_bag_learn(struct keyword_bag *bag, const struct keyword_search *search, bool (*stopping)(void *context));

#endif
