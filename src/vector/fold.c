/* Building the next generation from what the active one and its delta hold: to
 * take its place at once (a fold), or to stand beside it.
 *
 * The rows are those that a search at one instant would see. While the next
 * generation is built, changes go on into the old delta and log, and even the
 * active generation may be replaced: the state that is built from is pinned.
 * How the place is taken is in swap.c.
 */
#include "vector/index.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the rows to fold ---- */

#define IN_DELTA UINT64_C(0x100000000)

struct fold_rows {
    const struct index_state *state;
    uint64_t *from; /* row of the generation, or IN_DELTA | row of the delta */
    int64_t *ids;
    uint64_t count;
};

static void fetch_row(void *context, uint64_t i, float *out)
{
    const struct fold_rows *rows = context;
    const struct generation *g = rows->state->generation;
    uint32_t row = (uint32_t)rows->from[i];
    if (rows->from[i] & IN_DELTA)
        memcpy(out, delta_at(rows->state->delta, row)->rows + row % DELTA_SEGMENT * rows->state->delta->row_stride,
               g->space.dims * sizeof *out);
    else
        generation_row_floats(g, row, out);
}

static enum tn_code collect(struct fold_rows *rows, uint32_t instant, struct tn_error *err)
{
    const struct generation *g = rows->state->generation;
    const struct delta *d = rows->state->delta;
    uint32_t changed = atomic_load_explicit(&d->count, memory_order_acquire);
    uint64_t most = (uint64_t)g->rows + changed;
    rows->from = tn_try_malloc(most * sizeof *rows->from);
    rows->ids = tn_try_malloc(most * sizeof *rows->ids);
    if (!rows->from || !rows->ids)
        return tn_fail(err, TN_ENOMEM, "not enough memory to list %llu rows", (unsigned long long)most);
    /* In order of id, so that the same rows fold into the same generation. */
    for (uint32_t i = 0; i < g->rows; i++) {
        uint32_t row = g->by_id[i];
        if (row >= g->rows || !delta_base_alive(d, row, instant))
            continue;
        rows->from[rows->count] = row;
        rows->ids[rows->count++] = g->ids[row];
    }
    for (uint32_t row = 0; row < changed; row++) {
        const struct delta_segment *s = delta_at(d, row);
        if (!delta_seen(s, row % DELTA_SEGMENT, instant))
            continue;
        rows->from[rows->count] = IN_DELTA | row;
        rows->ids[rows->count++] = s->ids[row % DELTA_SEGMENT];
    }
    return TN_OK;
}

/* ---- fold ---- */

static void fill_options(struct vector_build_options *o, const struct vector_build_options *given,
                         const struct index_state *state)
{
    const struct generation_header *h = &state->generation->header;
    if (given)
        *o = *given;
    o->metric = (enum vector_metric)h->metric;
    o->raw = (enum vector_type)h->raw_type;
    o->degree = h->degree;
    o->code_bits = h->code_bits;
    o->seed = h->seed;
    if (!o->ef_construction)
        o->ef_construction = h->ef_construction;
    /* Made-up queries lie between neighbours: those of fewer rows lie too far
     * from all of the rows that there are now, and are made again. */
    if (!o->samples && h->samples && h->flags & GENERATION_SAMPLES_GIVEN) {
        o->samples = state->generation->samples;
        o->sample_count = h->samples;
    }
}

struct fold_job {
    const struct vector_rows *rows;
    const struct vector_build_options *options;
    const char *path;
    struct vector_build_report *report;
    struct tn_error *err;
    enum tn_code code;
};

static void fold_build(void *context, uint32_t worker)
{
    struct fold_job *job = context;
    (void)worker;
    job->code = vector_build(job->rows, job->options, job->path, job->report, job->err);
}

/* The active state, which stays until it is let go of. */
static struct index_state *pin(struct vector_index *index, uint32_t *ret_instant, uint64_t *ret_last_change)
{
    (void)pthread_mutex_lock(&index->write_lock);
    struct index_state *state = atomic_load(&index->state);
    state->pins++;
    *ret_instant = atomic_load(&state->delta->now);
    *ret_last_change = state->last_change;
    (void)pthread_mutex_unlock(&index->write_lock);
    return state;
}

static void unpin(struct vector_index *index, struct index_state *state)
{
    (void)pthread_mutex_lock(&index->write_lock);
    bool last = --state->pins == 0 && state->replaced;
    (void)pthread_mutex_unlock(&index->write_lock);
    if (last)
        state_free(state);
}

/* A number of its own, so that nobody takes the file for one that is left over. */
static enum tn_code claim(struct vector_index *index, uint64_t *ret, struct tn_error *err)
{
    (void)pthread_mutex_lock(&index->swap_lock);
    enum tn_code code = index_next_number(index, ret, err);
    if (code == TN_OK)
        index->building = *ret;
    (void)pthread_mutex_unlock(&index->swap_lock);
    return code;
}

static void release(struct vector_index *index)
{
    (void)pthread_mutex_lock(&index->swap_lock);
    index->building = 0;
    (void)pthread_mutex_unlock(&index->swap_lock);
}

/* The file of generation `number` from what a search of this instant would see. */
static enum tn_code build_from(struct vector_index *index, const struct index_state *state, uint32_t instant,
                               struct vector_build_options *options, uint64_t number,
                               struct vector_build_report *ret_report, struct tn_error *err)
{
    struct fold_rows rows = {.state = state};
    enum tn_code code = collect(&rows, instant, err);
    TN_AUTO_FREE uint64_t *from = rows.from;
    TN_AUTO_FREE int64_t *ids = rows.ids;
    TN_TRY(code);
    if (rows.count == 0)
        return tn_fail(err, TN_EREFUSED, "every row is deleted: there is nothing to fold");
    struct vector_rows source = {
        .count = rows.count, .dims = state->generation->space.dims, .fetch = fetch_row, .context = &rows, .ids = ids};
    TN_AUTO_FREE char *path = index_generation_path(index->path, number);
    /* Low priority is inherited: with it also what one thread does alone, as
     * writing the file, gives way. */
    struct fold_job job = {&source, options, path, ret_report, err, TN_OK};
    parallel_run(1, options->low_priority, fold_build, &job);
    return job.code;
}

/* What was built takes the place of what it was built from; where another has
 * that place by now, it is put away. */
static enum tn_code take_place(struct vector_index *index, const struct index_state *base, uint64_t number,
                               struct tn_error *err)
{
    TN_CLEANUP(state_free_p) struct index_state *next = NULL;
    TN_TRY(state_open(index, number, &next, err));
    if (!index->options.no_warm)
        generation_warm(next->generation, index->options.memory_budget);
    enum tn_code code;
    (void)pthread_mutex_lock(&index->swap_lock);
    if (atomic_load(&index->state) == base)
        code = index_promote_state(index, &next, err);
    else
        code = tn_fail(err, TN_EBUSY, "another generation took the active one's place during the fold");
    (void)pthread_mutex_unlock(&index->swap_lock);
    if (code == TN_EBUSY) {
        TN_AUTO_FREE char *path = index_generation_path(index->path, number);
        TN_AUTO_FREE char *log = index_log_path(index->path, number);
        (void)unlink(path);
        (void)unlink(log);
    }
    return code;
}

static enum tn_code fold_locked(struct vector_index *index, const struct vector_build_options *given,
                                struct vector_build_report *ret_report, struct tn_error *err)
{
    uint64_t number, last_change;
    uint32_t instant;
    TN_TRY(claim(index, &number, err));
    struct index_state *base = pin(index, &instant, &last_change);
    struct vector_build_options options = {0};
    fill_options(&options, given, base);
    options.last_change = last_change;
    enum tn_code code = build_from(index, base, instant, &options, number, ret_report, err);
    if (code == TN_OK)
        code = take_place(index, base, number, err);
    unpin(index, base);
    release(index);
    return code;
}

static enum tn_code one_at_a_time(struct vector_index *index, struct tn_error *err)
{
    if (index->read_only)
        return tn_fail(err, TN_EREADONLY, "the index is open read-only");
    if (pthread_mutex_trylock(&index->fold_lock) != 0)
        return tn_fail(err, TN_EBUSY, "a fold is running already");
    return TN_OK;
}

enum tn_code vector_index_fold(struct vector_index *index, const struct vector_build_options *options,
                               struct vector_build_report *ret_report, struct tn_error *err)
{
    TN_TRY(one_at_a_time(index, err));
    enum tn_code code = fold_locked(index, options, ret_report, err);
    (void)pthread_mutex_unlock(&index->fold_lock);
    return code;
}

static enum tn_code build_locked(struct vector_index *index, const struct vector_build_options *given,
                                 uint64_t *ret_number, struct vector_build_report *ret_report, struct tn_error *err)
{
    uint64_t number, last_change;
    uint32_t instant;
    TN_TRY(claim(index, &number, err));
    struct index_state *base = pin(index, &instant, &last_change);
    struct vector_build_options options = {0};
    fill_options(&options, given, base);
    options.last_change = last_change;
    options.raw = given->raw;
    if (given->degree)
        options.degree = given->degree;
    if (given->code_bits)
        options.code_bits = given->code_bits;
    if (given->seed)
        options.seed = given->seed;
    enum tn_code code = build_from(index, base, instant, &options, number, ret_report, err);
    unpin(index, base);
    release(index);
    if (code == TN_OK)
        *ret_number = number;
    return code;
}

enum tn_code vector_index_build(struct vector_index *index, const struct vector_build_options *options,
                                uint64_t *ret_number, struct vector_build_report *ret_report, struct tn_error *err)
{
    TN_TRY(one_at_a_time(index, err));
    enum tn_code code = build_locked(index, options, ret_number, ret_report, err);
    (void)pthread_mutex_unlock(&index->fold_lock);
    return code;
}

/* ---- folds that begin by themselves ---- */

static void *folder_main(void *argument)
{
    struct vector_index *index = argument;
    struct vector_build_options options = {
        .low_priority = true, .memory_budget = index->options.memory_budget, .control = &index->fold_control};
    enum tn_code code = vector_index_fold(index, &options, NULL, NULL);
    if (code == TN_OK)
        code = vector_index_prune(index, NULL);
    (void)pthread_mutex_lock(&index->write_lock);
    index->folding = false;
    index->folded = code;
    /* What failed once may fail again: not before as much has changed again. */
    const struct delta *d = atomic_load(&index->state)->delta;
    uint64_t changed = code == TN_OK ? 0 : atomic_load(&d->count) + atomic_load(&d->base_dead);
    index->fold_at = changed + index->options.fold_rows;
    (void)pthread_mutex_unlock(&index->write_lock);
    return NULL;
}

void index_fold_if_due(struct vector_index *index)
{
    const struct delta *d = atomic_load(&index->state)->delta;
    uint64_t changed = (uint64_t)atomic_load(&d->count) + atomic_load(&d->base_dead);
    if (index->options.fold_rows == 0 || index->folding || changed < TN_MAX(index->fold_at, index->options.fold_rows))
        return;
    if (index->folder_runs)
        (void)pthread_join(index->folder, NULL); /* it has nothing left to do but to return */
    index->folder_runs = pthread_create(&index->folder, NULL, folder_main, index) == 0;
    index->folding = index->folder_runs;
    index->folds += index->folder_runs;
}

void index_folder_stop(struct vector_index *index)
{
    atomic_store(&index->fold_control.command, VECTOR_CANCEL);
    if (index->folder_runs)
        (void)pthread_join(index->folder, NULL);
    index->folder_runs = false;
}
