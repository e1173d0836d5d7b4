/* The state of an index: opened, entered by readers, swapped, checked and
 * warmed in the background. */
#include "vector/index.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct index_state *state_enter(struct vector_searcher *searcher)
{
    struct vector_index *index = searcher->index;
    struct index_state *state = atomic_load(&index->state);
    for (;;) {
        atomic_store(&searcher->reading, state);
        struct index_state *again = atomic_load(&index->state);
        if (again == state)
            return state;
        state = again;
    }
}

void state_leave(struct vector_searcher *searcher)
{
    atomic_store_explicit(&searcher->reading, NULL, memory_order_release);
}

void state_free(struct index_state *state)
{
    if (!state)
        return;
    delta_log_close(state->log);
    delta_free(state->delta);
    generation_close(state->generation);
    free(state);
}

static bool is_read(struct vector_index *index, const struct index_state *state)
{
    bool read = false;
    (void)pthread_mutex_lock(&index->searchers_lock);
    for (struct vector_searcher *s = index->searchers; s && !read; s = s->next)
        read = atomic_load(&s->reading) == state;
    (void)pthread_mutex_unlock(&index->searchers_lock);
    return read;
}

void index_swap(struct vector_index *index, struct index_state *state)
{
    index_background_stop(index);
    (void)pthread_mutex_lock(&index->look_lock);
    struct index_state *old = atomic_exchange(&index->state, state);
    (void)pthread_mutex_unlock(&index->look_lock);
    while (is_read(index, old))
        (void)usleep(200);
    old->replaced = true;
    if (old->pins == 0)
        state_free(old);
    index_background_start(index);
}

char *index_generation_path(const char *folder, uint64_t number)
{
    return tn_asprintf("%s/generation-%06llu.tvg", folder, (unsigned long long)number);
}

char *index_log_path(const char *folder, uint64_t number)
{
    return tn_asprintf("%s/delta-%06llu.log", folder, (unsigned long long)number);
}

static bool number_after(const char **text, const char *word, uint64_t *ret)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0)
        return false;
    const char *start = *text + length;
    const char *end = strchr(start, '\n');
    if (!end)
        return false;
    TN_AUTO_FREE char *digits = tn_strndup(start, (size_t)(end - start));
    *text = end + 1;
    return tn_parse_u64(digits, ret);
}

enum tn_code index_active_read(const char *folder, uint64_t *ret_number, uint64_t *ret_previous, struct tn_error *err)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/active", folder);
    TN_AUTO_BUF text = {0};
    TN_TRY(tn_file_read(path, 4096, &text, err));
    const char *p = text.data ? text.data : "";
    uint64_t version = 0, number = 0, previous = 0;
    if (!number_after(&p, "tarn-vector-index ", &version) || version != 1 || !number_after(&p, "active ", &number) ||
        !number_after(&p, "previous ", &previous) || *p || number == 0)
        return tn_fail(err, TN_ECORRUPT, "%s does not say which generation is active", path);
    *ret_number = number;
    *ret_previous = previous;
    return TN_OK;
}

enum tn_code index_active_write(const char *folder, uint64_t number, uint64_t previous, struct tn_error *err)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/active", folder);
    TN_AUTO_FREE char *text = tn_asprintf("tarn-vector-index 1\nactive %llu\nprevious %llu\n",
                                          (unsigned long long)number, (unsigned long long)previous);
    return tn_file_replace(path, text, strlen(text), 0644, err);
}

enum tn_code state_apply(struct index_state *state, const struct delta_record *record, struct tn_error *err)
{
    if (record->change <= state->last_change)
        return TN_OK; /* the generation has it */
    TN_TRY(delta_reserve(state->delta, record->count, err));
    const struct space *space = &state->generation->space;
    uint32_t at = atomic_load(&state->delta->now) + 1;
    TN_AUTO_FREE float *row = tn_calloc(space->dims, sizeof *row);
    for (uint32_t i = 0; i < record->count; i++) {
        if (record->op == DELTA_DELETE) {
            (void)delta_remove(state->delta, at, record->ids[i]);
            continue;
        }
        memcpy(row, record->rows + (size_t)i * space->dims, space->dims * sizeof *row);
        enum space_kind kind = space_prepare(space, row, row);
        if (kind == SPACE_NOT_FINITE)
            return tn_fail(err, TN_ECORRUPT, "the log's row with id %lld is not finite", (long long)record->ids[i]);
        delta_put(state->delta, at, record->ids[i], row, kind == SPACE_ZERO);
    }
    delta_publish(state->delta, at);
    state->last_change = record->change;
    return TN_OK;
}

static enum tn_code apply_record(void *context, const struct delta_record *record, struct tn_error *err)
{
    return state_apply(context, record, err);
}

enum tn_code state_open(struct vector_index *index, uint64_t number, struct index_state **ret, struct tn_error *err)
{
    TN_CLEANUP(state_free_p) struct index_state *state = tn_calloc(1, sizeof *state);
    TN_AUTO_FREE char *path = index_generation_path(index->path, number);
    state->number = number;
    TN_TRY(generation_open(path, false, &state->generation, err));
    TN_TRY(delta_new(state->generation, index->options.memory_budget, &state->delta, err));
    state->last_change = state->generation->header.last_change;
    TN_AUTO_FREE char *log = index_log_path(index->path, number);
    TN_TRY(delta_log_open(log, state->generation->space.dims, number, index->read_only, apply_record, state,
                          &state->log, err));
    *ret = TN_TAKE(state);
    return TN_OK;
}

/* ---- background ---- */

/* Reading the whole file would keep the disk from the first answer, which
 * needs a thousandth of it: that one goes first, if it comes soon. */
#define FIRST_ANSWER_NS UINT64_C(100000000)

static void let_first_answer_pass(struct vector_index *index)
{
    uint64_t end = tn_mono_ns() + FIRST_ANSWER_NS;
    while (!atomic_load(&index->answered) && !atomic_load(&index->background_stop) && tn_mono_ns() < end)
        (void)usleep(500);
}

static void *background_main(void *argument)
{
    struct vector_index *index = argument;
    struct generation *g = atomic_load(&index->state)->generation;
    struct tn_error error = {0};
    uint64_t blocks;
    if (!index->options.warm_now)
        let_first_answer_pass(index);
    if (!index->options.no_warm && atomic_load(&g->hot) == &g->cold)
        generation_warm(g, index->options.memory_budget);
    if (!index->options.no_warm)
        generation_tune(g, &index->background_stop);
    atomic_store(&index->warm, true);
    enum tn_code code = generation_check_blocks(g, &index->background_stop, &blocks, &error);
    if (code == TN_OK)
        code = generation_check_structure(g, &index->background_stop, &error);
    if (index->options.no_warm)
        generation_let_go(g);
    if (code == TN_ECANCELLED)
        return NULL; /* for a swap or a close: there is no verdict */
    (void)pthread_mutex_lock(&index->health_lock);
    index->health = code;
    index->health_error = error;
    index->health_known = true;
    (void)pthread_cond_broadcast(&index->health_changed);
    (void)pthread_mutex_unlock(&index->health_lock);
    return NULL;
}

void index_background_start(struct vector_index *index)
{
    atomic_store(&index->background_stop, false);
    atomic_store(&index->warm, false);
    (void)pthread_mutex_lock(&index->health_lock);
    index->health_known = false;
    (void)pthread_mutex_unlock(&index->health_lock);
    index->background_runs =
        !index->options.warm_now && pthread_create(&index->background, NULL, background_main, index) == 0;
    if (!index->background_runs)
        (void)background_main(index);
}

void index_background_stop(struct vector_index *index)
{
    if (!index->background_runs)
        return;
    atomic_store(&index->background_stop, true);
    (void)pthread_join(index->background, NULL);
    index->background_runs = false;
}

enum tn_code vector_index_health(struct vector_index *index, struct tn_error *err)
{
    atomic_store(&index->answered, true); /* nobody may be searching: do not wait for it */
    (void)pthread_mutex_lock(&index->health_lock);
    while (!index->health_known) /* a swap meanwhile starts it anew */
        (void)pthread_cond_wait(&index->health_changed, &index->health_lock);
    enum tn_code code = index->health;
    if (code != TN_OK && err)
        *err = index->health_error;
    (void)pthread_mutex_unlock(&index->health_lock);
    return code;
}
