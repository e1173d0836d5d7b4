#include "vector/delta.h"

#include <stdlib.h>
#include <string.h>

enum tn_code delta_new(const struct generation *g, uint64_t memory_budget, struct delta **ret, struct tn_error *err)
{
    TN_CLEANUP(delta_free_p) struct delta *d = tn_calloc(1, sizeof *d);
    d->generation = g;
    d->budget.limit = memory_budget;
    d->row_stride = ((size_t)g->space.dims + 15) / 16 * 16;
    /* Pages that no deletion touches cost nothing. */
    TN_TRY(block_alloc(&d->base_block, (uint64_t)g->rows * sizeof(atomic_uint) + 64, NULL, "tombstones", err));
    d->base_died = d->base_block.data;
    d->table_slots = 1024;
    d->table = tn_malloc(d->table_slots * sizeof *d->table);
    memset(d->table, 0xFF, d->table_slots * sizeof *d->table);
    *ret = TN_TAKE(d);
    return TN_OK;
}

void delta_free(struct delta *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < DELTA_SEGMENTS_MAX; i++) {
        struct delta_segment *s = atomic_load(&d->segments[i]);
        if (!s)
            break;
        block_free(&s->block, NULL);
        free(s);
    }
    block_free(&d->base_block, NULL);
    free(d->table);
    free(d);
}

static enum tn_code add_segment(struct delta *d, uint32_t at, struct tn_error *err)
{
    size_t code = space_code_bytes(&d->generation->space);
    size_t sizes[] = {sizeof(int64_t),
                      sizeof(uint32_t),
                      sizeof(atomic_uint),
                      64 / 64,
                      sizeof(struct code_factor),
                      code,
                      d->row_stride * sizeof(float)};
    size_t total = 0;
    for (size_t i = 0; i < TN_COUNT(sizes); i++)
        total += (sizes[i] * DELTA_SEGMENT + 63) / 64 * 64;
    struct delta_segment *s = tn_calloc(1, sizeof *s);
    enum tn_code result = block_alloc(&s->block, total, &d->budget, "changed rows", err);
    if (result != TN_OK) {
        free(s);
        return result;
    }
    uint8_t *p = s->block.data;
    void *parts[TN_COUNT(sizes)];
    for (size_t i = 0; i < TN_COUNT(sizes); i++) {
        parts[i] = p;
        p += (sizes[i] * DELTA_SEGMENT + 63) / 64 * 64;
    }
    s->ids = parts[0];
    s->born = parts[1];
    s->died = parts[2];
    s->zero = parts[3];
    s->factors = parts[4];
    s->codes = parts[5];
    s->rows = parts[6];
    atomic_store_explicit(&d->segments[at], s, memory_order_release);
    return TN_OK;
}

static uint32_t slot_of(const struct delta *d, int64_t id)
{
    return (uint32_t)(space_mix64((uint64_t)id) & (d->table_slots - 1));
}

/* Dead rows stay in the table until it grows: their slots keep chains whole. */
static void table_add(struct delta *d, uint32_t row)
{
    int64_t id = delta_at(d, row)->ids[row % DELTA_SEGMENT];
    uint32_t at = slot_of(d, id);
    while (d->table[at] != UINT32_MAX) {
        uint32_t other = d->table[at];
        if (delta_at(d, other)->ids[other % DELTA_SEGMENT] == id)
            break; /* the newest row of an id takes its slot */
        at = (at + 1) & (d->table_slots - 1);
    }
    if (d->table[at] == UINT32_MAX)
        d->table_used++;
    d->table[at] = row;
}

static enum tn_code table_grow(struct delta *d, size_t more, struct tn_error *err)
{
    uint32_t slots = d->table_slots;
    while ((uint64_t)d->table_used + more > slots / 2)
        slots *= 2;
    if (slots == d->table_slots)
        return TN_OK;
    uint32_t *table = tn_try_malloc((size_t)slots * sizeof *table);
    if (!table)
        return tn_fail(err, TN_ENOMEM, "not enough memory for the ids of changed rows");
    memset(table, 0xFF, (size_t)slots * sizeof *table);
    uint32_t *old = d->table;
    uint32_t old_slots = d->table_slots;
    d->table = table;
    d->table_slots = slots;
    d->table_used = 0;
    for (uint32_t i = 0; i < old_slots; i++)
        if (old[i] != UINT32_MAX)
            table_add(d, old[i]);
    free(old);
    return TN_OK;
}

enum tn_code delta_reserve(struct delta *d, size_t count, struct tn_error *err)
{
    uint32_t have = atomic_load(&d->count);
    if (count > (size_t)DELTA_SEGMENT * DELTA_SEGMENTS_MAX - have) {
        (void)tn_fail(err, TN_EREFUSED, "%u rows changed since the last fold: no room for %zu more", have, count);
        tn_error_hint(err, "fold the index");
        return TN_EREFUSED;
    }
    TN_TRY(table_grow(d, count, err));
    for (uint32_t at = have / DELTA_SEGMENT; at < ((uint64_t)have + count + DELTA_SEGMENT - 1) / DELTA_SEGMENT; at++)
        if (!atomic_load(&d->segments[at]))
            TN_TRY(add_segment(d, at, err));
    return TN_OK;
}

uint32_t delta_find(const struct delta *d, int64_t id)
{
    for (uint32_t at = slot_of(d, id); d->table[at] != UINT32_MAX; at = (at + 1) & (d->table_slots - 1)) {
        uint32_t row = d->table[at];
        const struct delta_segment *s = delta_at(d, row);
        if (s->ids[row % DELTA_SEGMENT] == id)
            return atomic_load(&s->died[row % DELTA_SEGMENT]) == 0 ? row : UINT32_MAX;
    }
    return UINT32_MAX;
}

bool delta_remove(struct delta *d, uint32_t at, int64_t id)
{
    uint32_t row = delta_find(d, id);
    if (row != UINT32_MAX) {
        atomic_store_explicit(&delta_at(d, row)->died[row % DELTA_SEGMENT], at, memory_order_relaxed);
        atomic_fetch_sub(&d->live, 1);
        return true;
    }
    row = generation_find(d->generation, id);
    if (row == UINT32_MAX || atomic_load(&d->base_died[row]) != 0)
        return false;
    atomic_store_explicit(&d->base_died[row], at, memory_order_relaxed);
    atomic_fetch_add(&d->base_dead, 1);
    return true;
}

void delta_put(struct delta *d, uint32_t at, int64_t id, const float *prepared, bool zero)
{
    _Alignas(64) float rotated[SPACE_PADDED_MAX];
    (void)delta_remove(d, at, id);
    const struct space *space = &d->generation->space;
    uint32_t row = atomic_load(&d->count);
    struct delta_segment *s = delta_at(d, row);
    uint32_t i = row % DELTA_SEGMENT;
    s->ids[i] = id;
    s->born[i] = at;
    s->zero[i] = zero;
    memcpy(s->rows + i * d->row_stride, prepared, space->dims * sizeof(float));
    if (!zero) {
        space_rotate_row(space, prepared, rotated);
        space_encode(space, rotated, s->codes + i * space_code_bytes(space), &s->factors[i]);
    }
    table_add(d, row);
    atomic_store_explicit(&d->count, row + 1, memory_order_release);
    atomic_fetch_add(&d->live, 1);
}
