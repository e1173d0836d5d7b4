/* Which rows qualify, and what that means for the way to search. */
#ifndef TARN_VECTOR_FILTER_H
#define TARN_VECTOR_FILTER_H

#include "vector/delta.h"
#include "vector/search.h"

/* One search's view of what qualifies in a generation. */
struct admission {
    struct admit admit; /* first: the walks see only this */
    const struct generation *g;
    const struct delta *delta; /* NULL: nothing changed */
    uint32_t instant;
    bool deletions;                     /* some row of the generation died */
    const struct vector_filter *filter; /* NULL: none */
    uint64_t matches;                   /* rows that pass, estimated; >= 0 */
    float selectivity;
};

bool filter_passes(const struct vector_filter *filter, int64_t id);
void admission_init(struct admission *a, const struct generation *g, const struct delta *delta, uint32_t instant,
                    const struct vector_filter *filter);
/* NULL when everything qualifies. */
const struct admit *admission_admit(const struct admission *a);
static inline bool admission_row(const struct admission *a, uint32_t row)
{
    return (!a->deletions || delta_base_alive(a->delta, row, a->instant)) &&
           (!a->filter || filter_passes(a->filter, a->g->ids[row]));
}

/* Whether all admitted nodes can be listed without looking at every node. */
bool admission_lists(const struct admission *a);
/* Lists them in s->gathered, each once; count in *ret. */
enum tn_code admission_list(const struct admission *a, struct scratch *s, size_t *ret,
                            struct tn_error *err) TN_CHECKED;
/* Up to `want` admitted nodes from all over. */
size_t admission_seeds(const struct admission *a, uint32_t *ret_nodes, size_t want);

#endif
