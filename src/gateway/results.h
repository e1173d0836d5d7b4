/* Answers of queries, kept for who asks the same again.
 *
 * What is kept is named by everything that made it: the text, its parameters,
 * the row limit, the format, and the identity of the rows that it reads
 * (engine_query_identity). A commit gives a dataset another identity, so
 * nothing here goes stale and nothing is ever thrown out for it: what nobody
 * can ask for any more grows old and leaves when room is wanted. Who may read
 * what is settled before anything is looked for here.
 *
 * Memory: names and bodies, within the budget of `sql.results`; the least
 * recently used leave first. A body above RESULTS_BODY_MAX is not kept.
 *
 * Threads: any.
 */
#ifndef TARN_GATEWAY_RESULTS_H
#define TARN_GATEWAY_RESULTS_H

#include "base/base.h"

#define RESULTS_BODY_MAX ((size_t)256 << 10)

struct results;
/* NULL for a budget of 0: nothing is kept, and all below take NULL. */
struct results *results_new(uint64_t budget_bytes);
void results_free(struct results *results);

struct result {
    uint64_t rows;
    bool truncated;
};
/* Appends the body that has this name. */
bool results_find(struct results *results, const void *name, size_t name_length, struct tn_buf *out,
                  struct result *ret);
/* Copies both. */
void results_keep(struct results *results, const void *name, size_t name_length, const void *body, size_t length,
                  struct result result);

struct results_state {
    uint64_t count, bytes, budget, hits, misses;
};
struct results_state results_state(struct results *results);

#endif
