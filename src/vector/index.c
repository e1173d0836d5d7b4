/* An index: made, opened, asked about, changed. Folding is in fold.c. */
#include "vector/index.h"

#include "base/fs.h"
#include "base/pool.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum tn_code vector_index_create(const char *path, const char *generation_file, struct tn_error *err)
{
    TN_CLEANUP(generation_close_p) struct generation *g = NULL;
    TN_TRY(generation_open(generation_file, false, &g, err));
    TN_AUTO_FREE char *active = tn_asprintf("%s/active", path);
    if (access(active, F_OK) == 0) {
        (void)tn_fail(err, TN_EEXISTS, "%s is an index already", path);
        tn_error_hint(err, "choose another folder or remove this one");
        return TN_EEXISTS;
    }
    TN_TRY(tn_mkdirs(path, 0755, err));
    TN_AUTO_FREE char *to = index_generation_path(path, 1);
    if (rename(generation_file, to) != 0)
        return tn_fail_errno(err, errno, "cannot move %s to %s", generation_file, to);
    TN_TRY(tn_fsync_dir(path, err));
    return index_active_write(path, 1, 0, err);
}

static enum tn_code open_folder(struct vector_index *index, struct tn_error *err)
{
    uint64_t number, previous;
    struct index_state *state;
    TN_TRY(index_active_read(index->path, &number, &previous, err));
    if (!index->read_only) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        TN_AUTO_FREE char *lock = tn_asprintf("%s/lock", index->path);
        TN_AUTO_FREE char *who = tn_asprintf("process %ld", (long)getpid());
        char *holder = NULL;
        enum tn_code code = tn_lock_file(lock, who, arena, &index->lock_fd, &holder, err);
        if (code == TN_ELOCKED)
            tn_error_hint(err, "%s changes this index; open it read-only, or stop that",
                          holder ? holder : "a process");
        TN_TRY(code);
        TN_TRY(index_active_read(index->path, &number, &previous, err));
    }
    TN_TRY(state_open(index, number, &state, err));
    atomic_store(&index->state, state);
    return TN_OK;
}

static enum tn_code open_file(struct vector_index *index, const char *path, struct tn_error *err)
{
    struct index_state *state = tn_calloc(1, sizeof *state);
    enum tn_code code = generation_open(path, false, &state->generation, err);
    if (code != TN_OK) {
        free(state);
        return code;
    }
    state->last_change = state->generation->header.last_change;
    atomic_store(&index->state, state);
    return TN_OK;
}

enum tn_code vector_index_open(const char *path, const struct vector_open_options *options, struct vector_index **ret,
                               struct tn_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = tn_calloc(1, sizeof *index);
    if (options)
        index->options = *options;
    index->lock_fd = -1;
    (void)pthread_mutex_init(&index->fold_lock, NULL);
    (void)pthread_mutex_init(&index->swap_lock, NULL);
    (void)pthread_mutex_init(&index->write_lock, NULL);
    (void)pthread_mutex_init(&index->look_lock, NULL);
    (void)pthread_mutex_init(&index->searchers_lock, NULL);
    (void)pthread_mutex_init(&index->health_lock, NULL);
    (void)pthread_cond_init(&index->health_changed, NULL);
    bool folder = S_ISDIR(st.st_mode);
    index->read_only = !folder || index->options.read_only;
    if (folder) {
        index->path = tn_strdup(path);
        TN_TRY(open_folder(index, err));
    } else {
        TN_TRY(open_file(index, path, err));
    }
    index_background_start(index);
    *ret = TN_TAKE(index);
    return TN_OK;
}

void vector_index_close(struct vector_index *index)
{
    if (!index)
        return;
    index_folder_stop(index);
    index_background_stop(index);
    state_free(atomic_load(&index->state));
    if (index->lock_fd >= 0)
        (void)close(index->lock_fd);
    (void)pthread_mutex_destroy(&index->fold_lock);
    (void)pthread_mutex_destroy(&index->swap_lock);
    (void)pthread_mutex_destroy(&index->write_lock);
    (void)pthread_mutex_destroy(&index->look_lock);
    (void)pthread_mutex_destroy(&index->searchers_lock);
    (void)pthread_cond_destroy(&index->health_changed);
    (void)pthread_mutex_destroy(&index->health_lock);
    free(index->path);
    free(index);
}

/* ---- searchers ---- */

enum tn_code vector_searcher_new(struct vector_index *index, struct vector_searcher **ret, struct tn_error *err)
{
    struct vector_searcher *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    if (!s)
        return tn_fail(err, TN_ENOMEM, "not enough memory for a searcher");
    memset(s, 0, sizeof *s);
    s->index = index;
    (void)pthread_mutex_lock(&index->searchers_lock);
    s->next = index->searchers;
    index->searchers = s;
    (void)pthread_mutex_unlock(&index->searchers_lock);
    *ret = s;
    return TN_OK;
}

void vector_searcher_free(struct vector_searcher *searcher)
{
    if (!searcher)
        return;
    struct vector_index *index = searcher->index;
    (void)pthread_mutex_lock(&index->searchers_lock);
    for (struct vector_searcher **at = &index->searchers; *at; at = &(*at)->next)
        if (*at == searcher) {
            *at = searcher->next;
            break;
        }
    (void)pthread_mutex_unlock(&index->searchers_lock);
    scratch_release(&searcher->scratch);
    free(searcher->hits);
    free(searcher);
}

/* ---- questions ---- */

static uint64_t resident_bytes(const struct generation *g)
{
    static const enum section parts[] = {SECTION_LINKS, SECTION_UPPER,  SECTION_CODES, SECTION_FACTORS,
                                         SECTION_IDS,   SECTION_CENTER, SECTION_FIRST};
    uint64_t sum = GENERATION_HEADER;
    for (size_t i = 0; i < TN_COUNT(parts); i++)
        sum += g->header.sections[parts[i]].bytes;
    return sum;
}

void vector_index_info(struct vector_index *index, struct vector_index_info *ret)
{
    /* The write lock keeps the state in place and the counts together. */
    (void)pthread_mutex_lock(&index->write_lock);
    const struct index_state *state = atomic_load(&index->state);
    const struct generation *g = state->generation;
    const struct delta *d = state->delta;
    const struct hot *hot = atomic_load(&g->hot);
    *ret = (struct vector_index_info){
        .generation = state->number,
        .metric = g->space.metric,
        .raw = (enum vector_type)g->header.raw_type,
        .dims = g->space.dims,
        .code_bits = g->space.code_bits,
        .degree = g->header.degree,
        .ef_construction = g->header.ef_construction,
        .seed = g->header.seed,
        .rows = g->rows,
        .nodes = g->nodes,
        .zeros = g->zeros,
        .delta_rows = d ? atomic_load(&d->live) : 0,
        .deleted = d ? atomic_load(&d->base_dead) : 0,
        .bytes_on_disk = g->header.file_bytes,
        .bytes_resident = resident_bytes(g),
        .bytes_of_raw = g->header.sections[SECTION_RAW].bytes,
        .folds = index->folds,
        .folded = index->folded,
        .warm = atomic_load(&index->warm),
        .expand = hot->expand,
        .ahead = hot->ahead,
    };
    ret->live = ret->rows - ret->deleted + ret->delta_rows;
    ret->last_change = state->last_change;
    (void)pthread_mutex_unlock(&index->write_lock);
}

uint64_t vector_index_mapped_bytes(struct vector_index *index)
{
    (void)pthread_mutex_lock(&index->write_lock);
    uint64_t bytes = generation_mapped_bytes(atomic_load(&index->state)->generation);
    (void)pthread_mutex_unlock(&index->write_lock);
    return bytes;
}

uint32_t vector_index_window(struct vector_index *index, uint32_t k, float recall)
{
    (void)pthread_mutex_lock(&index->write_lock);
    uint32_t window = calibration_window(&atomic_load(&index->state)->generation->calibration, k, recall);
    (void)pthread_mutex_unlock(&index->write_lock);
    return window;
}

int64_t vector_index_largest_id(struct vector_index *index)
{
    int64_t largest = -1;
    (void)pthread_mutex_lock(&index->write_lock);
    const struct index_state *state = atomic_load(&index->state);
    const struct generation *g = state->generation;
    uint32_t last = g->by_id[g->rows - 1];
    if (last < g->rows)
        largest = TN_MAX(largest, g->ids[last]);
    uint32_t count = state->delta ? atomic_load(&state->delta->count) : 0;
    for (uint32_t row = 0; row < count; row++)
        largest = TN_MAX(largest, delta_at(state->delta, row)->ids[row % DELTA_SEGMENT]);
    (void)pthread_mutex_unlock(&index->write_lock);
    return largest;
}

static enum tn_code get_row(const struct index_state *state, int64_t id, float *ret, struct tn_error *err)
{
    const struct generation *g = state->generation;
    uint32_t row = state->delta ? delta_find(state->delta, id) : UINT32_MAX;
    if (row != UINT32_MAX) {
        const float *from = delta_at(state->delta, row)->rows + row % DELTA_SEGMENT * state->delta->row_stride;
        memcpy(ret, from, g->space.dims * sizeof *ret);
        return TN_OK;
    }
    row = generation_find(g, id);
    if (row == UINT32_MAX || (state->delta && !delta_base_alive(state->delta, row, UINT32_MAX - 1)))
        return tn_fail(err, TN_ENOTFOUND, "no row has id %lld", (long long)id);
    generation_row_floats(g, row, ret);
    return TN_OK;
}

enum tn_code vector_index_get(struct vector_index *index, int64_t id, float *ret, struct tn_error *err)
{
    (void)pthread_mutex_lock(&index->look_lock);
    enum tn_code code = get_row(atomic_load(&index->state), id, ret, err);
    (void)pthread_mutex_unlock(&index->look_lock);
    return code;
}

/* ---- changes ---- */

static enum tn_code check_writable(const struct vector_index *index, struct tn_error *err)
{
    if (index->read_only) {
        (void)tn_fail(err, TN_EREADONLY, "the index is open read-only");
        tn_error_hint(err, "changes need a folder made by vector_index_create, not opened read-only");
        return TN_EREADONLY;
    }
    if (index->broken != TN_OK)
        return tn_fail(err, index->broken, "an earlier change could not be made durable; the index takes no more");
    return TN_OK;
}

/* Under the write lock: logs and applies one record of prepared rows. */
static enum tn_code change(struct vector_index *index, struct delta_record *record, const float *prepared,
                           const bool *zero, size_t *ret_touched, struct delta_log **ret_log, uint64_t *ret_end,
                           struct tn_error *err)
{
    TN_TRY(check_writable(index, err));
    struct index_state *state = atomic_load(&index->state);
    struct delta *d = state->delta;
    uint32_t at = atomic_load(&d->now) + 1;
    if (at == UINT32_MAX)
        return tn_fail(err, TN_EREFUSED, "too many changes since the last fold: fold the index");
    (void)pthread_mutex_lock(&index->look_lock);
    enum tn_code code = delta_reserve(d, prepared ? record->count : 0, err);
    (void)pthread_mutex_unlock(&index->look_lock);
    TN_TRY(code);
    record->change = state->last_change + 1;
    TN_TRY(delta_log_append(state->log, record, ret_end, err));
    size_t touched = 0;
    (void)pthread_mutex_lock(&index->look_lock);
    for (uint32_t i = 0; i < record->count; i++) {
        if (!prepared)
            touched += delta_remove(d, at, record->ids[i]);
        else
            delta_put(d, at, record->ids[i], prepared + (size_t)i * state->generation->space.dims, zero[i]);
    }
    state->last_change = record->change;
    delta_publish(d, at);
    (void)pthread_mutex_unlock(&index->look_lock);
    *ret_touched = touched;
    *ret_log = delta_log_ref(state->log);
    index_fold_if_due(index);
    return TN_OK;
}

/* Waits until the record is on disk; others may change meanwhile. */
static enum tn_code make_durable(struct vector_index *index, struct delta_log *log, uint64_t end,
                                 struct tn_error *err)
{
    enum tn_code code = delta_log_sync(log, end, err);
    delta_log_close(log);
    if (code != TN_OK) {
        (void)pthread_mutex_lock(&index->write_lock);
        index->broken = code;
        (void)pthread_mutex_unlock(&index->write_lock);
    }
    return code;
}

static enum tn_code prepare_rows(const struct space *space, const int64_t *ids, const float *rows, size_t count,
                                 float *prepared, bool *zero, struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        enum space_kind kind = space_prepare(space, rows + i * space->dims, prepared + i * space->dims);
        if (kind == SPACE_NOT_FINITE)
            return tn_fail(err, TN_EREFUSED, "row %zu (id %lld) is not finite or too large", i, (long long)ids[i]);
        zero[i] = kind == SPACE_ZERO;
        if (zero[i])
            memset(prepared + i * space->dims, 0, space->dims * sizeof *prepared);
    }
    return TN_OK;
}

#define CHANGE_ROWS_MAX 1000000U

enum tn_code vector_index_insert(struct vector_index *index, const int64_t *ids, const float *rows, size_t count,
                                 struct tn_error *err)
{
    if (count == 0)
        return TN_OK;
    if (count > CHANGE_ROWS_MAX)
        return tn_fail(err, TN_ETOOLARGE, "%zu rows in one call; at most %u are possible", count, CHANGE_ROWS_MAX);
    /* What a row must be depends on metric and dimensions only, which no fold changes. */
    struct space shape;
    (void)pthread_mutex_lock(&index->write_lock);
    enum tn_code code = check_writable(index, err);
    const struct space *now = &atomic_load(&index->state)->generation->space;
    space_init(&shape, now->metric, now->dims, now->code_bits, now->lifted, now->seed);
    (void)pthread_mutex_unlock(&index->write_lock);
    TN_TRY(code);
    TN_AUTO_FREE float *prepared = tn_try_malloc(count * shape.dims * sizeof *prepared);
    TN_AUTO_FREE bool *zero = tn_try_malloc(count);
    if (!prepared || !zero)
        return tn_fail(err, TN_ENOMEM, "not enough memory to insert %zu rows", count);
    TN_TRY(prepare_rows(&shape, ids, rows, count, prepared, zero, err));
    struct delta_record record = {.op = DELTA_INSERT, .count = (uint32_t)count, .ids = ids, .rows = rows};
    size_t touched = 0;
    struct delta_log *log = NULL;
    uint64_t end = 0;
    (void)pthread_mutex_lock(&index->write_lock);
    code = change(index, &record, prepared, zero, &touched, &log, &end, err);
    (void)pthread_mutex_unlock(&index->write_lock);
    TN_TRY(code);
    return make_durable(index, log, end, err);
}

enum tn_code vector_index_delete(struct vector_index *index, const int64_t *ids, size_t count, size_t *ret_deleted,
                                 struct tn_error *err)
{
    size_t touched = 0;
    if (count > CHANGE_ROWS_MAX)
        return tn_fail(err, TN_ETOOLARGE, "%zu ids in one call; at most %u are possible", count, CHANGE_ROWS_MAX);
    struct delta_record record = {.op = DELTA_DELETE, .count = (uint32_t)count, .ids = ids};
    struct delta_log *log = NULL;
    uint64_t end = 0;
    if (count > 0) {
        (void)pthread_mutex_lock(&index->write_lock);
        enum tn_code code = change(index, &record, NULL, NULL, &touched, &log, &end, err);
        (void)pthread_mutex_unlock(&index->write_lock);
        TN_TRY(code);
        TN_TRY(make_durable(index, log, end, err));
    }
    if (ret_deleted)
        *ret_deleted = touched;
    return TN_OK;
}
