#include "vector/filter.h"

#include <math.h>
#include <stdlib.h>

bool filter_passes(const struct vector_filter *filter, int64_t id)
{
    switch (filter->kind) {
    case VECTOR_FILTER_BITMAP: {
        uint64_t bit = (uint64_t)id - (uint64_t)filter->first_id;
        return id >= filter->first_id && bit < filter->bit_count && (filter->bits[bit / 8] >> (bit % 8) & 1);
    }
    case VECTOR_FILTER_IDS: {
        uint64_t low = 0;
        uint64_t high = filter->id_count;
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            if (filter->ids[middle] < id)
                low = middle + 1;
            else
                high = middle;
        }
        return low < filter->id_count && filter->ids[low] == id;
    }
    case VECTOR_FILTER_CALLBACK:
        return filter->passes(filter->context, id);
    case VECTOR_FILTER_NONE:
        return true;
    }
    return true;
}

static bool admit_node(const struct admit *admit, uint32_t node)
{
    const struct admission *a = (const struct admission *)admit;
    if (!a->g->first)
        return admission_row(a, node);
    uint32_t end = TN_MIN(a->g->first[node + 1], a->g->rows);
    for (uint32_t row = a->g->first[node]; row < end; row++)
        if (admission_row(a, row))
            return true;
    return false;
}

static uint64_t count_bits(const uint8_t *bits, uint64_t count)
{
    uint64_t sum = 0;
    uint64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        uint64_t word;
        memcpy(&word, bits + i / 8, 8);
        sum += (uint64_t)__builtin_popcountll(word);
    }
    for (; i < count; i++)
        sum += bits[i / 8] >> (i % 8) & 1;
    return sum;
}

#define PROBES 256U

static uint64_t estimate_matches(const struct admission *a)
{
    const struct vector_filter *f = a->filter;
    uint64_t rows = a->g->rows;
    if (!f)
        return rows;
    if (f->matches)
        return TN_MIN(f->matches, rows);
    if (f->kind == VECTOR_FILTER_BITMAP)
        return TN_MIN(count_bits(f->bits, f->bit_count), rows);
    if (f->kind == VECTOR_FILTER_IDS)
        return TN_MIN(f->id_count, rows);
    uint32_t passing = 0;
    for (uint32_t i = 0; i < PROBES; i++)
        passing += filter_passes(f, a->g->ids[space_mix64(i) % rows]);
    return (uint64_t)((double)rows * passing / PROBES);
}

void admission_init(struct admission *a, const struct generation *g, const struct delta *delta, uint32_t instant,
                    const struct vector_filter *filter)
{
    bool filtered = filter && filter->kind != VECTOR_FILTER_NONE;
    uint64_t dead = delta ? atomic_load_explicit(&delta->base_dead, memory_order_relaxed) : 0;
    *a = (struct admission){.admit = {admit_node},
                            .g = g,
                            .delta = delta,
                            .instant = instant,
                            .deletions = dead > 0,
                            .filter = filtered ? filter : NULL};
    double alive = 1 - (double)dead / (double)g->rows;
    a->matches = (uint64_t)ceil((double)estimate_matches(a) * alive);
    a->selectivity = (float)((double)a->matches / (double)g->rows);
}

const struct admit *admission_admit(const struct admission *a)
{
    return a->filter || a->deletions ? &a->admit : NULL;
}

bool admission_lists(const struct admission *a)
{
    return a->filter && (a->filter->kind == VECTOR_FILTER_BITMAP || a->filter->kind == VECTOR_FILTER_IDS);
}

static enum tn_code gather_row(const struct admission *a, struct scratch *s, int64_t id, size_t *count,
                               struct tn_error *err)
{
    uint32_t row = generation_find(a->g, id);
    if (row == UINT32_MAX || (a->deletions && !delta_base_alive(a->delta, row, a->instant)))
        return TN_OK;
    uint32_t node = generation_row_node(a->g, row);
    if (node >= a->g->nodes || !walk_mark(&s->walk, node))
        return TN_OK; /* a zero row, or the node of a row seen before */
    if (*count == s->gathered_capacity) {
        size_t capacity = s->gathered_capacity ? 2 * s->gathered_capacity : 8192;
        uint32_t *larger = realloc(s->gathered, capacity * sizeof *larger);
        if (!larger)
            return tn_fail(err, TN_ENOMEM, "not enough memory for %zu filtered rows", capacity);
        s->gathered = larger;
        s->gathered_capacity = capacity;
    }
    s->gathered[(*count)++] = node;
    return TN_OK;
}

enum tn_code admission_list(const struct admission *a, struct scratch *s, size_t *ret, struct tn_error *err)
{
    const struct vector_filter *f = a->filter;
    size_t count = 0;
    walk_begin(&s->walk, 0, 0);
    if (f->kind == VECTOR_FILTER_IDS) {
        for (uint64_t i = 0; i < f->id_count; i++)
            TN_TRY(gather_row(a, s, f->ids[i], &count, err));
    } else {
        for (uint64_t i = 0; i < f->bit_count; i += 64) {
            uint64_t word = 0;
            memcpy(&word, f->bits + i / 8, (size_t)(TN_MIN(f->bit_count - i, UINT64_C(64)) + 7) / 8);
            if (f->bit_count - i < 64)
                word &= (UINT64_C(1) << (f->bit_count - i)) - 1;
            for (; word; word &= word - 1) {
                uint64_t bit = i + (uint64_t)__builtin_ctzll(word);
                TN_TRY(gather_row(a, s, (int64_t)((uint64_t)f->first_id + bit), &count, err));
            }
        }
    }
    *ret = count;
    return TN_OK;
}

/* One passing id near a random place of the filter; false after a fair search. */
static bool random_id(const struct vector_filter *f, uint64_t random, int64_t *ret)
{
    if (f->kind == VECTOR_FILTER_IDS) {
        if (f->id_count == 0)
            return false;
        *ret = f->ids[random % f->id_count];
        return true;
    }
    uint64_t bytes = f->bit_count / 8;
    if (bytes == 0)
        return false;
    uint64_t at = random % bytes;
    for (uint64_t tries = 0; tries < 512; tries++, at = at + 1 == bytes ? 0 : at + 1)
        if (f->bits[at]) {
            *ret = (int64_t)((uint64_t)f->first_id + at * 8 + (uint64_t)__builtin_ctz(f->bits[at]));
            return true;
        }
    return false;
}

size_t admission_seeds(const struct admission *a, uint32_t *ret_nodes, size_t want)
{
    size_t count = 0;
    bool listed = admission_lists(a);
    size_t tries = listed ? 2 * want : 64 * want;
    for (size_t i = 0; i < tries && count < want; i++) {
        uint32_t node = (uint32_t)(space_mix64(i) % a->g->nodes);
        int64_t id;
        if (listed) {
            if (!random_id(a->filter, space_mix64(i), &id))
                continue;
            uint32_t row = generation_find(a->g, id);
            node = row == UINT32_MAX ? NODE_NONE : generation_row_node(a->g, row);
        }
        if (node < a->g->nodes && admit_node(&a->admit, node))
            ret_nodes[count++] = node;
    }
    return count;
}
