/* A graph under construction: what build.c, graph_build.c, graph_finish.c and
 * generation_write.c pass along. */
#ifndef TARN_VECTOR_BUILD_H
#define TARN_VECTOR_BUILD_H

#include "vector/graph.h"
#include "vector/memory.h"
#include "vector/space.h"

#include <pthread.h>

struct builder {
    const struct vector_rows *rows;
    const struct vector_build_options *options;
    struct space space;
    struct budget budget;
    uint32_t threads;
    uint32_t degree; /* M; 2 M in layer 0 */
    uint32_t ef;

    /* Rows by what became of them. */
    uint32_t *row_node; /* node of a row; NODE_NONE: a zero row */
    uint64_t zero_count;
    uint64_t duplicate_count;
    uint32_t nodes;
    uint32_t *node_row; /* one row of each node, in node order */

    /* Levels: node i < level_nodes[l] is in layer l + 1. */
    uint32_t levels;
    uint32_t level_nodes[LEVELS_MAX];

    struct block codes; /* 8 bits, for building */
    struct block factors;
    struct block search_codes; /* what the generation will hold */
    struct block search_factors;
    int32_t *code_sums;
    uint32_t cap0, cap;      /* list capacities while building */
    struct block links0;     /* counted lists, cap0 + 1 apart */
    struct block distances0; /* of the links, cap0 apart */
    struct block links[LEVELS_MAX];
    struct block distances[LEVELS_MAX];
    uint8_t *locks;
    uint64_t repaired;

    /* progress */
    pthread_mutex_t progress_lock;
    uint64_t last_progress_ns;
    enum vector_phase phase;
    uint64_t phase_total;
    atomic_uint_least64_t done;
    atomic_uint_least64_t next;
    atomic_bool cancelled;
    atomic_int failure; /* enum tn_code of a worker */
    struct tn_error worker_error;
};

/* False: stop now. Honours pause; calls progress from worker 0 at times. */
bool build_goes_on(struct builder *b, uint32_t worker);
void build_phase(struct builder *b, enum vector_phase phase, uint64_t total);
enum tn_code build_outcome(struct builder *b, struct tn_error *err) TN_CHECKED;
/* Row as the metric sees it. */
enum space_kind build_row(const struct builder *b, uint64_t row, float *out);

enum tn_code graph_build(struct builder *b, struct tn_error *err) TN_CHECKED;
/* Links of every node down to 2 M, all nodes reachable. */
enum tn_code graph_finish(struct builder *b, struct tn_error *err) TN_CHECKED;
/* New number of each node; layers stay prefixes. */
void graph_order(const struct builder *b, uint32_t *ret_new_of_old);

/* Node `node` as a query over the builder's 8-bit codes. `steps` holds padded bytes. */
struct score_query graph_node_query(const struct builder *b, uint32_t node, int8_t *steps, float *ret_base);
/* The diverse nearest of candidates (ascending); at most `want` of them. Returns how many. */
struct select_scratch {
    _Alignas(64) int8_t steps[SPACE_PADDED_MAX];
    uint32_t kept[LINKS_MAX];
    float scores[8];
};
uint32_t graph_select(const struct builder *b, struct pool_entry *candidates, size_t count, uint32_t want,
                      struct select_scratch *scratch);

static inline uint32_t *graph_list(const struct builder *b, uint32_t level, uint32_t node)
{
    return level ? (uint32_t *)b->links[level - 1].data + (size_t)node * (b->cap + 1)
                 : (uint32_t *)b->links0.data + (size_t)node * (b->cap0 + 1);
}

static inline struct link_view graph_view(const struct builder *b, uint32_t level)
{
    return (struct link_view){.base = level ? b->links[level - 1].data : b->links0.data,
                              .stride = (level ? b->cap : b->cap0) + 1,
                              .degree = 0,
                              .limit = level ? b->level_nodes[level - 1] : b->nodes,
                              .counted = true};
}

#endif
