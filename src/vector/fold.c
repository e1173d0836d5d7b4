/* Folding the delta into the next generation, and going back.
 *
 * The rows are those that a search at one instant would see. While the next
 * generation is built, changes go on into the old delta and log; then they are
 * carried over to the new log, most of them without holding writers up, the
 * last few under the write lock. The order of durable steps is: generation
 * file, log, active pointer; a crash between any two leaves the old state.
 *
 * Every change has a number that is never reused, and a generation says the
 * last one that it includes; so going back is the same thing: the older
 * generation with its own log, plus the changes that only the newer log has.
 */
#include "vector/index.h"

#include "base/fault.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

TN_DEFINE_CLEANUP(struct index_state, state_free)

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

/* ---- carrying changes from one log to another ---- */

struct carrying {
    struct vector_index *index;
    struct index_state *to;
};

static enum tn_code carry_record(void *context, const struct delta_record *record, struct tn_error *err)
{
    struct carrying *c = context;
    if (record->change <= c->to->last_change)
        return TN_OK;
    uint64_t end;
    TN_TRY(delta_log_append(c->to->log, record, &end, err));
    return state_apply(c->to, record, err);
}

/* Every change of log `number` that `to` does not have. */
static enum tn_code carry(struct vector_index *index, uint64_t number, struct index_state *to, struct tn_error *err)
{
    TN_AUTO_FREE char *path = index_log_path(index->path, number);
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return tn_fail_errno(err, errno, "cannot read %s", path);
    if (st.st_size == 0)
        return TN_OK;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map %s", path);
    struct carrying c = {index, to};
    size_t whole;
    enum tn_code code =
        delta_log_replay(map, (size_t)st.st_size, path, to->generation->space.dims, carry_record, &c, &whole, err);
    (void)munmap(map, (size_t)st.st_size);
    return code;
}

/* `to` catches up with the active state and takes its place. */
static enum tn_code promote(struct vector_index *index, struct index_state **to, struct tn_error *err)
{
    struct index_state *from = atomic_load(&index->state);
    uint64_t end;
    TN_TRY(carry(index, from->number, *to, err)); /* most of it, unhurried */
    (void)pthread_mutex_lock(&index->write_lock);
    enum tn_code code = carry(index, from->number, *to, err);
    if (code == TN_OK) {
        end = delta_log_size((*to)->log);
        code = delta_log_sync((*to)->log, end, err);
    }
    TN_FAULT("vector.promote.before_pointer");
    if (code == TN_OK)
        code = index_active_write(index->path, (*to)->number, from->number, err);
    TN_FAULT("vector.promote.after_pointer");
    if (code == TN_OK)
        index_swap(index, TN_TAKE(*to));
    (void)pthread_mutex_unlock(&index->write_lock);
    return code;
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
    if (!o->samples && h->samples) {
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

static enum tn_code fold_locked(struct vector_index *index, const struct vector_build_options *given,
                                struct vector_build_report *ret_report, struct tn_error *err)
{
    if (index->read_only)
        return tn_fail(err, TN_EREADONLY, "the index is open read-only");
    uint64_t active, previous;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    (void)pthread_mutex_lock(&index->write_lock);
    struct index_state *state = atomic_load(&index->state); /* only this thread replaces it */
    uint32_t instant = atomic_load(&state->delta->now);
    uint64_t last_change = state->last_change;
    (void)pthread_mutex_unlock(&index->write_lock);

    struct fold_rows rows = {.state = state};
    enum tn_code code = collect(&rows, instant, err);
    TN_AUTO_FREE uint64_t *from = rows.from;
    TN_AUTO_FREE int64_t *ids = rows.ids;
    TN_TRY(code);
    if (rows.count == 0)
        return tn_fail(err, TN_EREFUSED, "every row is deleted: there is nothing to fold");
    struct vector_build_options options = {0};
    fill_options(&options, given, state);
    options.last_change = last_change;
    struct vector_rows source = {
        .count = rows.count, .dims = state->generation->space.dims, .fetch = fetch_row, .context = &rows, .ids = ids};
    uint64_t number = TN_MAX(active, previous) + 1;
    TN_AUTO_FREE char *path = index_generation_path(index->path, number);
    TN_AUTO_FREE char *log = index_log_path(index->path, number);
    if (unlink(log) != 0 && errno != ENOENT) /* of a fold that a crash ended */
        return tn_fail_errno(err, errno, "cannot remove %s", log);
    /* Low priority is inherited: with it also what one thread does alone, as
     * writing the file, gives way. */
    struct fold_job job = {&source, &options, path, ret_report, err, TN_OK};
    parallel_run(1, options.low_priority, fold_build, &job);
    TN_TRY(job.code);
    TN_CLEANUP(state_free_p) struct index_state *next = NULL;
    TN_TRY(state_open(index, number, &next, err));
    if (!index->options.no_warm)
        generation_warm(next->generation, index->options.memory_budget);
    return promote(index, &next, err);
}

enum tn_code vector_index_fold(struct vector_index *index, const struct vector_build_options *options,
                               struct vector_build_report *ret_report, struct tn_error *err)
{
    if (pthread_mutex_trylock(&index->fold_lock) != 0)
        return tn_fail(err, TN_EBUSY, "a fold is running already");
    enum tn_code code = fold_locked(index, options, ret_report, err);
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

static enum tn_code rollback_locked(struct vector_index *index, struct tn_error *err)
{
    if (index->read_only)
        return tn_fail(err, TN_EREADONLY, "the index is open read-only");
    uint64_t active, previous;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    if (previous == 0)
        return tn_fail(err, TN_ENOTFOUND, "there is no previous generation to go back to");
    TN_CLEANUP(state_free_p) struct index_state *state = NULL;
    TN_TRY(state_open(index, previous, &state, err));
    return promote(index, &state, err);
}

enum tn_code vector_index_rollback(struct vector_index *index, struct tn_error *err)
{
    if (pthread_mutex_trylock(&index->fold_lock) != 0)
        return tn_fail(err, TN_EBUSY, "a fold is running");
    enum tn_code code = rollback_locked(index, err);
    (void)pthread_mutex_unlock(&index->fold_lock);
    return code;
}

static bool file_number(const char *name, uint64_t *ret)
{
    unsigned long long number = 0;
    int used = 0;
    if ((sscanf(name, "generation-%llu.tvg%n", &number, &used) == 1 && used > 0 && name[used] == '\0') ||
        (sscanf(name, "generation-%llu.tvg.tmp%n", &number, &used) == 1 && used > 0 && name[used] == '\0') ||
        (sscanf(name, "delta-%llu.log%n", &number, &used) == 1 && used > 0 && name[used] == '\0')) {
        *ret = number;
        return true;
    }
    return false;
}

static enum tn_code prune_locked(struct vector_index *index, struct tn_error *err)
{
    if (index->read_only)
        return tn_fail(err, TN_EREADONLY, "the index is open read-only");
    uint64_t active, previous, number;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    DIR *folder = opendir(index->path);
    if (!folder)
        return tn_fail_errno(err, errno, "cannot list %s", index->path);
    enum tn_code code = TN_OK;
    for (struct dirent *entry; code == TN_OK && (entry = readdir(folder));) {
        if (!file_number(entry->d_name, &number) || number == active || number == previous)
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0 && errno != ENOENT)
            code = tn_fail_errno(err, errno, "cannot remove %s/%s", index->path, entry->d_name);
    }
    (void)closedir(folder);
    return code;
}

enum tn_code vector_index_prune(struct vector_index *index, struct tn_error *err)
{
    if (pthread_mutex_trylock(&index->fold_lock) != 0)
        return tn_fail(err, TN_EBUSY, "a fold is running");
    enum tn_code code = prune_locked(index, err);
    (void)pthread_mutex_unlock(&index->fold_lock);
    return code;
}
