/* What changed since a generation was built, in memory.
 *
 * Rows are appended to segments that never move. Every change happens at an
 * instant, a counter; a row is seen by a search that began at instant t when
 * born <= t < died, and a row of the generation when it did not die by t. So a
 * replacement (a death and a birth at one instant) is seen whole or not at
 * all, and readers take no lock. Writers hold the index's lock.
 */
#ifndef TARN_VECTOR_DELTA_H
#define TARN_VECTOR_DELTA_H

#include "vector/generation.h"

#define DELTA_SEGMENT      1024U
#define DELTA_SEGMENTS_MAX 16384U /* 16 million rows: fold long before */

struct delta_segment {
    struct block block;
    int64_t *ids;
    uint32_t *born;
    atomic_uint *died; /* 0: alive */
    bool *zero;        /* no direction: only ever at distance 1 */
    struct code_factor *factors;
    uint8_t *codes;
    float *rows; /* prepared, row_stride apart */
};

struct delta {
    const struct generation *generation;
    struct budget budget;
    size_t row_stride; /* floats */
    struct delta_segment *_Atomic segments[DELTA_SEGMENTS_MAX];
    atomic_uint count;
    atomic_uint now;        /* the instant of the last finished change */
    atomic_uint *base_died; /* per row of the generation */
    struct block base_block;
    atomic_uint base_dead; /* rows of the generation that died */
    atomic_uint live;      /* rows here that are alive */
    /* id -> row here, of the living; writers only */
    uint32_t *table;
    uint32_t table_slots;
    uint32_t table_used;
};

enum tn_code delta_new(const struct generation *g, uint64_t memory_budget, struct delta **ret,
                       struct tn_error *err) TN_CHECKED;
void delta_free(struct delta *d);
TN_DEFINE_CLEANUP(struct delta, delta_free)

/* Room for `count` more rows, so that delta_put cannot fail. */
enum tn_code delta_reserve(struct delta *d, size_t count, struct tn_error *err) TN_CHECKED;
/* At instant `at`, seen once delta_publish(at) is called. `prepared` as
 * space_prepare leaves it. */
void delta_put(struct delta *d, uint32_t at, int64_t id, const float *prepared, bool zero);
bool delta_remove(struct delta *d, uint32_t at, int64_t id);
static inline void delta_publish(struct delta *d, uint32_t at)
{
    atomic_store_explicit(&d->now, at, memory_order_release);
}

static inline bool delta_base_alive(const struct delta *d, uint32_t row, uint32_t instant)
{
    uint32_t died = atomic_load_explicit(&d->base_died[row], memory_order_relaxed);
    return died == 0 || died > instant;
}
static inline struct delta_segment *delta_at(const struct delta *d, uint32_t row)
{
    return atomic_load_explicit(&d->segments[row / DELTA_SEGMENT], memory_order_acquire);
}
static inline bool delta_seen(const struct delta_segment *s, uint32_t i, uint32_t instant)
{
    uint32_t died = atomic_load_explicit(&s->died[i], memory_order_relaxed);
    return s->born[i] <= instant && (died == 0 || died > instant);
}
/* The living row of an id; UINT32_MAX. Writers, or readers under the lock. */
uint32_t delta_find(const struct delta *d, int64_t id);

#endif
