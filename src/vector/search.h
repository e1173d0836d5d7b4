/* Searching one generation: what search.c (the contract) is made of. */
#ifndef TARN_VECTOR_SEARCH_H
#define TARN_VECTOR_SEARCH_H

#include "vector/generation.h"

struct ranked {
    float distance; /* internal, from the raw vector */
    uint32_t node;
};

/* Scratch memory of one searching thread, fitted to a generation. */
struct scratch {
    struct walk walk;
    struct space_query query;
    size_t pool_capacity;
    struct ranked *ranked; /* the best so far by raw vector, ascending */
    size_t ranked_capacity;
    size_t ranked_count;
    uint32_t *gathered; /* nodes of a gather */
    size_t gathered_capacity;
    struct block marks;
};
enum tn_code scratch_fit(struct scratch *s, const struct generation *g, size_t pool, size_t ranked,
                         struct tn_error *err) TN_CHECKED;
void scratch_release(struct scratch *s);

/* Which nodes count: tombstones and the caller's filter together. */
struct admit {
    bool (*node)(const struct admit *admit, uint32_t node);
};

struct walk_plan {
    const struct hot *hot; /* NULL: the generation's */
    size_t window;
    size_t capacity; /* >= window */
    uint32_t patience;
    uint32_t k;
    uint64_t cost;             /* stop after so many distances; 0: never */
    const struct admit *admit; /* two-hop: only admitted nodes enter the pool */
    const uint32_t *seeds;     /* two-hop: more places to start from */
    size_t seed_count;
};

/* The query of the scratch, as codes of this generation. */
struct score_query scratch_scorer(const struct scratch *s, const struct generation *g, const struct hot *hot);
static inline score_function *generation_scorer(const struct generation *g)
{
    return g->space.code_bits == 4 ? g->space.kernels->score_u4 : g->space.kernels->score_u8;
}

/* Leaves candidates in s->walk.pool, ascending by estimate. */
void search_walk(struct scratch *s, const struct generation *g, const struct walk_plan *plan,
                 struct vector_stats *stats);
void search_two_hop(struct scratch *s, const struct generation *g, const struct walk_plan *plan,
                    struct vector_stats *stats);
/* The nearest `capacity` by estimate among given nodes (NULL: all nodes that
 * are admitted; admit may be NULL). */
void search_codes(struct scratch *s, const struct generation *g, const uint32_t *nodes, size_t count,
                  const struct admit *admit, size_t capacity, struct vector_stats *stats);

/* Ranks the pool by raw vectors until k admitted rows cannot be bettered:
 * stops at the first candidate whose estimate is more than `sigmas` spreads
 * beyond the k-th best, or after `limit` raw vectors (0: all). A node counts
 * as many rows as it has admitted ones: `weight`, NULL meaning one. */
void search_rerank(struct scratch *s, const struct generation *g, uint32_t k, uint32_t limit, float sigmas,
                   const struct admit *admit, struct vector_stats *stats);
/* Ranks all admitted nodes by raw vectors. */
void search_exact(struct scratch *s, const struct generation *g, uint32_t k, const struct admit *admit,
                  struct vector_stats *stats);

#define RERANK_SIGMAS 2.0F
/* Candidates kept beyond the window, for ranking by raw vectors. */
static inline size_t search_capacity(size_t window, uint32_t k)
{
    return TN_MAX(window, (size_t)k + k / 2 + 10);
}

#endif
