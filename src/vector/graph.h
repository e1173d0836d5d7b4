/* The walk over a graph, shared by building and searching.
 *
 * A walk keeps its candidates in one sorted array (the pool). Each round takes
 * the nearest few that were not expanded yet, collects their unseen
 * neighbours, scores them as one block, and inserts what is near enough. The
 * first `window` entries are expanded; the pool may be longer, so that more
 * candidates than were expanded can be ranked by their raw vectors.
 */
#ifndef TARN_VECTOR_GRAPH_H
#define TARN_VECTOR_GRAPH_H

#include "vector/kernels.h"

#include <stdbool.h>
#include <string.h>

#define NODE_NONE     UINT32_MAX
#define NODE_EXPANDED UINT32_C(0x80000000)
#define LEVELS_MAX    12
#define DEGREE_MAX    64               /* M */
#define LINKS_MAX     (3 * DEGREE_MAX) /* of a node while building */
#define EXPAND_MAX    8
#define BLOCK_MAX     (EXPAND_MAX * LINKS_MAX)

struct pool_entry {
    float distance;
    uint32_t node; /* NODE_EXPANDED is set once it was expanded */
};

struct walk {
    /* scratch, owned by whoever made the walk */
    struct pool_entry *pool;
    uint8_t *marks; /* one per node: the epoch in which it was seen */
    size_t marks_size;
    uint8_t epoch;
    /* one walk */
    size_t count;
    size_t capacity;
    size_t window;
    size_t cursor; /* nothing before it waits to be expanded */
    uint32_t hops;
    uint32_t distances;
    uint32_t visited;
    /* Asks the system for the codes of nodes[] before they are touched, all at
     * once instead of one fault after the other; NULL once a mapping is in memory. */
    void (*fetch)(const struct walk *walk, size_t nodes);
    const void *fetch_context;
    uint32_t nodes[BLOCK_MAX + 1];
    float scores[BLOCK_MAX];
};

typedef void score_function(const struct score_query *q, const uint32_t *nodes, size_t count, float *out);

/* Lists of links: `stride` uint32 apart. Counted lists begin with their
 * length (and may be changed by other threads meanwhile); the others end at
 * NODE_NONE or after `degree`. A number that is no node of the layer ends a
 * list too: one comparison is both the end and the bounds check, so that even
 * an unverified file cannot lead a walk astray. */
struct link_view {
    const uint32_t *base;
    size_t stride;
    uint32_t degree;
    uint32_t limit; /* nodes of the layer */
    bool counted;
};

static inline void walk_begin(struct walk *walk, size_t window, size_t capacity)
{
    walk->count = walk->cursor = 0;
    walk->window = window;
    walk->capacity = capacity;
    walk->hops = walk->distances = walk->visited = 0;
    if (++walk->epoch == 0) {
        memset(walk->marks, 0, walk->marks_size);
        walk->epoch = 1;
    }
}

static inline bool walk_mark(struct walk *walk, uint32_t node)
{
    if (walk->marks[node] == walk->epoch)
        return false;
    walk->marks[node] = walk->epoch;
    return true;
}

/* Where it went; SIZE_MAX when the pool is full of nearer ones. */
static inline size_t walk_insert(struct walk *walk, float distance, uint32_t node)
{
    struct pool_entry *pool = walk->pool;
    size_t n = walk->count;
    if (n == walk->capacity) {
        if (!(distance < pool[n - 1].distance))
            return SIZE_MAX;
        n--;
    } else {
        walk->count++;
    }
    /* Without branches: where it belongs cannot be guessed. */
    size_t low = 0;
    for (size_t left = n; left > 1;) {
        size_t half = left / 2;
        low += pool[low + half - 1].distance <= distance ? half : 0;
        left -= half;
    }
    low += n && pool[low].distance <= distance;
    memmove(pool + low + 1, pool + low, (n - low) * sizeof *pool);
    pool[low] = (struct pool_entry){distance, node};
    if (low < walk->cursor)
        walk->cursor = low;
    return low;
}

static inline uint32_t link_load(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void walk_prefetch_links(const struct link_view *links, uint32_t node)
{
    const uint32_t *list = links->base + node * links->stride;
    __builtin_prefetch(list);
    __builtin_prefetch(list + 16);
    if (links->counted)
        __builtin_prefetch(list + 32);
}

/* Appends the unseen neighbours of `node` to walk->nodes from `n` on. Every
 * second one is new, in no order, so that adding them takes no branch. */
static inline size_t walk_collect(struct walk *walk, const struct link_view *links, uint32_t node, size_t n)
{
    const uint32_t *list = links->base + node * links->stride;
    if (links->counted) {
        uint32_t degree = __atomic_load_n(list, __ATOMIC_ACQUIRE);
        for (uint32_t i = 1; i <= degree; i++) {
            uint32_t next = link_load(list + i);
            walk->nodes[n] = next;
            n += walk->marks[next] != walk->epoch;
            walk->marks[next] = walk->epoch;
        }
        return n;
    }
    for (uint32_t i = 0; i < links->degree; i++) {
        uint32_t next = list[i];
        if (next >= links->limit)
            break;
        walk->nodes[n] = next;
        n += walk->marks[next] != walk->epoch;
        walk->marks[next] = walk->epoch;
    }
    return n;
}

/* Takes the nearest waiting candidate; the cursor must be below the window. */
static inline uint32_t walk_pop(struct walk *walk)
{
    uint32_t node = walk->pool[walk->cursor].node;
    walk->pool[walk->cursor].node |= NODE_EXPANDED;
    while (walk->cursor < walk->count && walk->pool[walk->cursor].node & NODE_EXPANDED)
        walk->cursor++;
    return node;
}

/* One round; returns the best position that something was inserted at
 * (SIZE_MAX: none). The caller has checked walk_waits. */
static inline bool walk_waits(const struct walk *walk)
{
    return walk->cursor < walk->count && walk->cursor < walk->window;
}

static inline size_t walk_round(struct walk *walk, const struct link_view *links, const struct score_query *q,
                                score_function *score, uint32_t expand)
{
    size_t n = 0;
    for (uint32_t e = 0; e < expand && walk_waits(walk); e++) {
        uint32_t node = walk_pop(walk);
        walk->hops++;
        n = walk_collect(walk, links, node, n);
    }
    walk->distances += (uint32_t)n;
    if (__builtin_expect(walk->fetch != NULL, 0))
        walk->fetch(walk, n);
    score(q, walk->nodes, n, walk->scores);
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (walk->count == walk->capacity && !(walk->scores[i] < walk->pool[walk->count - 1].distance))
            continue;
        size_t at = walk_insert(walk, walk->scores[i], walk->nodes[i]);
        if (at < walk->cursor + 2 * expand)
            walk_prefetch_links(links, walk->nodes[i]);
        best = at < best ? at : best;
    }
    return best;
}

/* From `start` to the nearest node of one layer that greed finds. */
static inline uint32_t walk_greedy(struct walk *walk, const struct link_view *links, const struct score_query *q,
                                   score_function *score, uint32_t start, float *distance)
{
    for (;;) {
        const uint32_t *list = links->base + start * links->stride;
        size_t n = 0;
        if (links->counted) {
            uint32_t degree = __atomic_load_n(list, __ATOMIC_ACQUIRE);
            for (; n < degree; n++)
                walk->nodes[n] = link_load(list + 1 + n);
        } else {
            while (n < links->degree && list[n] < links->limit) {
                walk->nodes[n] = list[n];
                n++;
            }
        }
        if (__builtin_expect(walk->fetch != NULL, 0))
            walk->fetch(walk, n);
        score(q, walk->nodes, n, walk->scores);
        walk->distances += (uint32_t)n;
        walk->hops++;
        uint32_t next = start;
        for (size_t i = 0; i < n; i++)
            if (walk->scores[i] < *distance) {
                *distance = walk->scores[i];
                next = walk->nodes[i];
            }
        if (next == start)
            return start;
        start = next;
    }
}

#endif
