/* Folds that were made. The least recently used one goes first; its file goes
 * with the last query that reads it. */
#include "dataset/moment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define REPLAYS_MAX 32

struct dataset_replays {
    pthread_mutex_t mutex;
    struct moment_told *items[REPLAYS_MAX];
    size_t count;
    uint64_t clock;
    atomic_uint_least64_t last_number;
};

struct dataset_replays *dataset_replays_new(void)
{
    struct dataset_replays *replays = tn_calloc(1, sizeof *replays);
    pthread_mutex_init(&replays->mutex, NULL);
    return replays;
}

void dataset_replays_free(struct dataset_replays *replays)
{
    if (!replays)
        return;
    for (size_t i = 0; i < replays->count; i++)
        engine_hold_unref(&replays->items[i]->hold);
    pthread_mutex_destroy(&replays->mutex);
    free(replays);
}

static void free_told(struct engine_hold *hold)
{
    struct moment_told *told = (struct moment_told *)hold;
    if (told->path)
        (void)unlink(told->path);
    free(told->path);
    free(told);
}

void moment_told_unref(struct moment_told **told)
{
    if (*told)
        engine_hold_unref(&(*told)->hold);
}

static struct moment_told *recall_locked(struct dataset_replays *replays, const char *uuid, int64_t from, int64_t to)
{
    for (size_t i = 0; i < replays->count; i++) {
        struct moment_told *told = replays->items[i];
        if (told->from == from && told->to == to && tn_streq(told->uuid, uuid)) {
            told->used = ++replays->clock;
            (void)engine_hold_ref(&told->hold);
            return told;
        }
    }
    return NULL;
}

static void remember_locked(struct dataset_replays *replays, struct moment_told *told)
{
    size_t at = replays->count;
    if (at == REPLAYS_MAX) {
        at = 0;
        for (size_t i = 1; i < replays->count; i++)
            if (replays->items[i]->used < replays->items[at]->used)
                at = i;
        engine_hold_unref(&replays->items[at]->hold);
    } else {
        replays->count++;
    }
    told->used = ++replays->clock;
    (void)engine_hold_ref(&told->hold);
    replays->items[at] = told;
}

static struct moment_told *recall(struct dataset_replays *replays, const char *uuid, int64_t from, int64_t to)
{
    pthread_mutex_lock(&replays->mutex);
    struct moment_told *told = recall_locked(replays, uuid, from, to);
    pthread_mutex_unlock(&replays->mutex);
    return told;
}

enum tn_code moment_tell(struct lake *lake, const struct iceberg_metadata *metadata, const struct moment_state *state,
                         struct moment_told **ret, struct tn_error *err)
{
    struct dataset_replays *replays = lake->replays;
    int64_t from = state->snapshot->sequence_number;
    *ret = recall(replays, metadata->uuid, from, state->replay_to);
    if (*ret)
        return TN_OK;
    TN_CLEANUP(moment_told_unref) struct moment_told *told = tn_calloc(1, sizeof *told);
    *told = (struct moment_told){.hold = {1, free_told},
                                 .number = atomic_fetch_add(&replays->last_number, 1) + 1,
                                 .from = from,
                                 .to = state->replay_to};
    snprintf(told->uuid, sizeof told->uuid, "%s", metadata->uuid);
    TN_TRY(moment_fold(lake, metadata, told, err));
    pthread_mutex_lock(&replays->mutex);
    struct moment_told *other = recall_locked(replays, metadata->uuid, from, state->replay_to);
    if (!other)
        remember_locked(replays, told);
    pthread_mutex_unlock(&replays->mutex);
    *ret = other ? other : TN_TAKE(told);
    return TN_OK;
}

/* ---- several things ------------------------------------------------------------- */

struct both {
    struct engine_hold hold;
    struct engine_hold *a, *b;
};

static void free_both(struct engine_hold *hold)
{
    struct both *both = (struct both *)hold;
    engine_hold_unref(both->a);
    engine_hold_unref(both->b);
    free(both);
}

struct engine_hold *moment_hold_both(struct engine_hold *a, struct engine_hold *b)
{
    if (!a || !b)
        return a ? a : b;
    struct both *both = tn_calloc(1, sizeof *both);
    *both = (struct both){.hold = {1, free_both}, .a = a, .b = b};
    return &both->hold;
}
