/* Several fsyncs at once; what is done soon.
 *
 * A journaling file system writes what all callers wait for in one transaction
 * of its journal; one after another each of them waits for a flush of its own.
 * Threads wait here for rounds of files; who brings a round works on it too.
 * Without threads (the default) a round is done in its order.
 */
#include "base/clock.h"
#include "base/cond.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "store/local_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct round {
    struct local_sync *syncs;
    size_t count, taken, done;
    struct round *next;
};

/* An object that goes when there is time. */
struct removal {
    char *key;
    struct removal *next;
};
#define REMOVALS_MAX 256 /* beyond it whoever brings one does it */

/* An object of which the newest bytes are wanted soon, not each of them. */
struct hint {
    char *key;
    void *bytes; /* NULL: nothing waits */
    size_t count;
    uint64_t next_us; /* not before */
    bool busy;        /* being written, without the mutex */
    struct hint *next;
};
#define HINT_EVERY_US 100000

struct local_syncers {
    struct local_store *local;
    pthread_mutex_t mutex;
    pthread_cond_t wanted, finished;
    struct round *first; /* with something to take */
    struct removal *removals;
    size_t removal_count;
    struct hint *hints;
    bool closing;
    size_t count;
    pthread_t threads[LOCAL_SYNCERS_MAX];
};

static enum tn_code sync_file(struct local_store *local, const struct local_sync *sync, struct tn_error *err)
{
    TN_AUTO_CLOSE int reopened = -1;
    int fd = sync->fd;
    if (fd < 0) {
        fd = reopened = open(sync->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return tn_fail_errno(err, errno, "cannot open %s", sync->path);
    }
    STORE_COUNT(&local->base, fsyncs, 1);
    int injected = local_injected(local, LOCAL_FSYNC, sync->key);
    if (injected)
        return tn_fail_errno(err, injected, "cannot make %s durable", sync->path);
    return tn_fsync_fd(fd, sync->path, err);
}

static void do_one(struct local_store *local, struct local_sync *sync)
{
    if (sync->instead)
        sync->code = sync->instead(local, sync->context, &sync->error);
    else
        sync->code = sync->folder ? local_fsync_folder(local, sync->path, sync->key, &sync->error)
                                  : sync_file(local, sync, &sync->error);
}

/* With the mutex held, which it gives up meanwhile. */
static void do_next(struct local_syncers *syncers, struct round *round)
{
    struct local_sync *sync = &round->syncs[round->taken++];
    if (round->taken == round->count) {
        struct round **link = &syncers->first;
        while (*link != round)
            link = &(*link)->next;
        *link = round->next;
    }
    pthread_mutex_unlock(&syncers->mutex);
    do_one(syncers->local, sync);
    pthread_mutex_lock(&syncers->mutex);
    if (++round->done == round->count)
        pthread_cond_broadcast(&syncers->finished);
}

static void remove_one(struct local_store *local, const char *key)
{
    struct tn_error err = {0};
    if (local_remove(&local->base, key, &err) != TN_OK)
        TN_LOG(TN_LOG_DEBUG, "an object that was to go stays for clean-up", TN_FS("error", err.detail));
}

/* With the mutex held, which it gives up meanwhile. */
static void remove_next(struct local_syncers *syncers)
{
    struct removal *removal = syncers->removals;
    syncers->removals = removal->next;
    syncers->removal_count--;
    pthread_mutex_unlock(&syncers->mutex);
    remove_one(syncers->local, removal->key);
    free(removal->key);
    free(removal);
    pthread_mutex_lock(&syncers->mutex);
}

/* ---- hints ------------------------------------------------------------------- */

static void write_hint(struct local_store *local, const char *key, const void *bytes, size_t count)
{
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(&local->base);
    struct tn_error err = {0};
    batch->hint = true;
    enum tn_code code = local_batch_put(batch, key, bytes, count, &err);
    if (code == TN_OK)
        code = local_batch_finish(batch, NULL, NULL, 0, &err);
    if (code != TN_OK)
        TN_LOG(TN_LOG_DEBUG, "a hint was not written", TN_FS("error", err.detail));
}

/* With the mutex held, which it gives up meanwhile. */
static void write_waiting(struct local_syncers *syncers, struct hint *hint)
{
    TN_AUTO_FREE void *bytes = hint->bytes;
    size_t count = hint->count;
    hint->bytes = NULL;
    hint->busy = true;
    pthread_mutex_unlock(&syncers->mutex);
    write_hint(syncers->local, hint->key, bytes, count);
    pthread_mutex_lock(&syncers->mutex);
    hint->busy = false;
    hint->next_us = tn_mono_ns() / 1000 + HINT_EVERY_US;
    pthread_cond_broadcast(&syncers->finished);
}

/* The hint that waits and whose time comes first, or NULL. What waits for
 * nothing and has had its pause is forgotten. */
static struct hint *next_hint(struct local_syncers *syncers)
{
    struct hint *found = NULL;
    uint64_t now = tn_mono_ns() / 1000;
    for (struct hint **link = &syncers->hints; *link;) {
        struct hint *hint = *link;
        if (!hint->bytes && !hint->busy && hint->next_us <= now) {
            *link = hint->next;
            free(hint->key);
            free(hint);
            continue;
        }
        if (hint->bytes && !hint->busy && (!found || hint->next_us < found->next_us))
            found = hint;
        link = &hint->next;
    }
    return found;
}

static struct hint *hint_of(struct local_syncers *syncers, const char *key)
{
    struct hint *hint = syncers->hints;
    while (hint && !tn_streq(hint->key, key))
        hint = hint->next;
    return hint;
}

void local_hint_soon(struct store *store, const char *key, const void *bytes, size_t count)
{
    struct local_store *local = local_of(store);
    struct local_syncers *syncers = local->syncers;
    if (!syncers || syncers->count == 0) {
        write_hint(local, key, bytes, count);
        return;
    }
    pthread_mutex_lock(&syncers->mutex);
    (void)next_hint(syncers);
    struct hint *hint = hint_of(syncers, key);
    bool waits = hint != NULL;
    if (!hint) {
        hint = tn_calloc(1, sizeof *hint);
        hint->key = tn_strdup(key);
        hint->next = syncers->hints;
        syncers->hints = hint;
    }
    free(hint->bytes);
    hint->bytes = tn_malloc(count + 1);
    memcpy(hint->bytes, bytes, count);
    hint->count = count;
    if (waits)
        pthread_cond_signal(&syncers->wanted);
    else
        write_waiting(syncers, hint); /* a lonely one is there at once */
    pthread_mutex_unlock(&syncers->mutex);
}

void local_hint_drop(struct local_store *local, const char *key)
{
    struct local_syncers *syncers = local->syncers;
    if (!syncers)
        return;
    pthread_mutex_lock(&syncers->mutex);
    struct hint *hint = hint_of(syncers, key);
    while (hint && hint->busy) {
        pthread_cond_wait(&syncers->finished, &syncers->mutex);
        hint = hint_of(syncers, key);
    }
    if (hint) {
        free(hint->bytes);
        hint->bytes = NULL;
    }
    pthread_mutex_unlock(&syncers->mutex);
}

/* With the mutex held: until there is something to do, or a hint's time comes. */
static void wait_for_work(struct local_syncers *syncers, const struct hint *hint)
{
    (void)tn_cond_wait_until(&syncers->wanted, &syncers->mutex, hint ? hint->next_us * 1000 : UINT64_MAX);
}

static void *work(void *argument)
{
    struct local_syncers *syncers = argument;
    pthread_mutex_lock(&syncers->mutex);
    while (!syncers->closing) {
        struct hint *hint = NULL;
        if (syncers->first)
            do_next(syncers, syncers->first);
        else if (syncers->removals)
            remove_next(syncers);
        else if ((hint = next_hint(syncers)) && hint->next_us <= tn_mono_ns() / 1000)
            write_waiting(syncers, hint);
        else
            wait_for_work(syncers, hint);
    }
    pthread_mutex_unlock(&syncers->mutex);
    return NULL;
}

/* ---- life ------------------------------------------------------------------ */

void local_sync_threads(struct store *store, size_t threads)
{
    struct local_store *local = local_of(store);
    sigset_t all, before;
    local_trim_free(local);
    local_syncers_free(local);
    if (threads <= 1)
        return;
    struct local_syncers *syncers = tn_calloc(1, sizeof *syncers);
    syncers->local = local;
    (void)pthread_mutex_init(&syncers->mutex, NULL);
    tn_cond_init(&syncers->wanted);
    (void)pthread_cond_init(&syncers->finished, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    /* The caller is one of them. Where threads are short, fewer do. */
    while (syncers->count + 1 < TN_MIN(threads, (size_t)LOCAL_SYNCERS_MAX) &&
           pthread_create(&syncers->threads[syncers->count], NULL, work, syncers) == 0)
        (void)pthread_setname_np(syncers->threads[syncers->count++], "tarn-sync");
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    local->syncers = syncers;
    local_trim_start(local);
}

void local_syncers_free(struct local_store *local)
{
    struct local_syncers *syncers = local->syncers;
    if (!syncers)
        return;
    pthread_mutex_lock(&syncers->mutex);
    syncers->closing = true;
    pthread_cond_broadcast(&syncers->wanted);
    pthread_mutex_unlock(&syncers->mutex);
    for (size_t i = 0; i < syncers->count; i++)
        (void)pthread_join(syncers->threads[i], NULL);
    pthread_mutex_lock(&syncers->mutex);
    while (syncers->removals)
        remove_next(syncers);
    for (struct hint *hint = syncers->hints; hint; hint = hint->next)
        if (hint->bytes)
            write_waiting(syncers, hint);
    while (syncers->hints) {
        struct hint *hint = syncers->hints;
        syncers->hints = hint->next;
        free(hint->key);
        free(hint);
    }
    pthread_mutex_unlock(&syncers->mutex);
    (void)pthread_cond_destroy(&syncers->wanted);
    (void)pthread_cond_destroy(&syncers->finished);
    (void)pthread_mutex_destroy(&syncers->mutex);
    free(syncers);
    local->syncers = NULL;
}

/* ---- removals ---------------------------------------------------------------- */

void local_remove_soon(struct store *store, const char *key)
{
    struct local_store *local = local_of(store);
    struct local_syncers *syncers = local->syncers;
    struct removal *removal = syncers ? tn_calloc(1, sizeof *removal) : NULL;
    bool taken = false;
    if (removal) {
        removal->key = tn_strdup(key);
        pthread_mutex_lock(&syncers->mutex);
        taken = syncers->count > 0 && syncers->removal_count < REMOVALS_MAX;
        if (taken) {
            struct removal **end = &syncers->removals; /* in the order of their arrival */
            while (*end)
                end = &(*end)->next;
            *end = removal;
            syncers->removal_count++;
            pthread_cond_signal(&syncers->wanted);
        }
        pthread_mutex_unlock(&syncers->mutex);
    }
    if (taken)
        return;
    remove_one(local, key);
    if (removal)
        free(removal->key);
    free(removal);
}

/* ---- a round ----------------------------------------------------------------- */

static void run_together(struct local_syncers *syncers, struct local_sync *syncs, size_t count)
{
    struct round round = {.syncs = syncs, .count = count};
    pthread_mutex_lock(&syncers->mutex);
    struct round **end = &syncers->first;
    while (*end)
        end = &(*end)->next;
    *end = &round;
    for (size_t i = 1; i < count && i <= syncers->count; i++)
        pthread_cond_signal(&syncers->wanted);
    while (round.taken < round.count)
        do_next(syncers, &round);
    while (round.done < round.count)
        pthread_cond_wait(&syncers->finished, &syncers->mutex);
    pthread_mutex_unlock(&syncers->mutex);
}

enum tn_code local_sync_all(struct local_store *local, struct local_sync *syncs, size_t count, struct tn_error *err)
{
    bool together = local->syncers && count > 1;
    if (together)
        run_together(local->syncers, syncs, count);
    for (size_t i = 0; i < count; i++) {
        if (!together)
            do_one(local, &syncs[i]);
        if (syncs[i].code != TN_OK) {
            if (err)
                *err = syncs[i].error;
            return syncs[i].code;
        }
    }
    return TN_OK;
}
