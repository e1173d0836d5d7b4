/* Old numbered objects go behind whoever made a new one (store_trim_soon).
 *
 * One thread, so that of a folder one removal is under way at a time and the
 * lowest number always goes first. What is asked for again while it waits is
 * merged: a folder waits once, with the highest number asked for. The thread is
 * not one of those that wait for fsyncs: freeing a file may take as long as they
 * do, and a round must not find them busy with it.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "store/local_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { MOST_FOLDERS = 256, MOST_AT_ONCE = 64 };
#define WARN_EVERY_NS UINT64_C(10000000000)

struct trim {
    char *folder;
    int64_t last; /* 0: nothing waits */
    bool busy;    /* being removed, without the mutex */
    struct trim *next;
};

struct local_trimmer {
    struct local_store *local;
    pthread_mutex_t mutex;
    pthread_cond_t wanted, finished;
    struct trim *trims; /* of several the first that waits is next */
    size_t count;
    bool closing;
    pthread_t thread;
};

/* ---- one folder -------------------------------------------------------------- */

static char *numbered_key(const char *folder, int64_t number)
{
    return tn_asprintf("%s/%" PRId64, folder, number);
}

/* What cannot be looked at is neither there nor gone, and nothing may be concluded from it. */
static enum tn_code look(struct local_store *local, const char *folder, int64_t number, bool *ret,
                         struct tn_error *err)
{
    *ret = false;
    if (number <= 0)
        return TN_OK;
    TN_AUTO_FREE char *key = numbered_key(folder, number);
    return store_exists(&local->base, key, ret, err);
}

/* The lowest of the run that `last` stands in: looked for in growing steps, since
 * mostly it is `last` itself. */
static enum tn_code find_first(struct local_store *local, const char *folder, int64_t last, int64_t *ret,
                               struct tn_error *err)
{
    int64_t there = last, missing = last - 1;
    for (int64_t step = 1;; step *= 2) {
        bool found;
        missing = there - step;
        TN_TRY(look(local, folder, missing, &found, err));
        if (!found)
            break;
        there = missing;
    }
    while (there - missing > 1) {
        int64_t middle = missing + (there - missing) / 2;
        bool found;
        TN_TRY(look(local, folder, middle, &found, err));
        *(found ? &there : &missing) = middle;
    }
    *ret = there;
    return TN_OK;
}

/* Each failure is counted, and told at most every ten seconds. */
static void say_failed(struct local_store *local, const char *folder, const char *why)
{
    uint64_t now = tn_mono_ns(), last = atomic_load(&local->trim_warned_ns);
    STORE_COUNT(&local->base, trim_failures, 1);
    if (last && now - last < WARN_EVERY_NS)
        return;
    atomic_store(&local->trim_warned_ns, now);
    TN_LOG(TN_LOG_WARN, "an old object cannot be removed, and those behind it stay with it", TN_FS("folder", folder),
           TN_FS("error", why));
}

static enum tn_code trim_some(struct local_store *local, const char *folder, int64_t last, bool *ret_more,
                              struct tn_error *err)
{
    bool above, there;
    int64_t first;
    TN_TRY(look(local, folder, last + 1, &above, err));
    TN_TRY(look(local, folder, last, &there, err));
    if (!above || !there)
        return TN_OK;
    TN_TRY(find_first(local, folder, last, &first, err));
    int64_t end = TN_MIN(last, first + MOST_AT_ONCE - 1);
    for (int64_t number = first; number <= end; number++) {
        TN_AUTO_FREE char *key = numbered_key(folder, number);
        TN_FAULT("store.trim.before_remove");
        TN_TRY(local_unlink(local, key, err));
        STORE_COUNT(&local->base, deletes, 1);
    }
    *ret_more = end < last;
    return TN_OK;
}

/* True when some are left because there were many. */
static bool trim_folder(struct local_store *local, const char *folder, int64_t last)
{
    struct tn_error err = {0};
    bool more = false;
    if (trim_some(local, folder, last, &more, &err) != TN_OK)
        say_failed(local, folder, err.detail);
    return more;
}

/* ---- the thread -------------------------------------------------------------- */

static struct trim *trim_of(struct local_trimmer *trimmer, const char *folder)
{
    struct trim *trim = trimmer->trims;
    while (trim && !tn_streq(trim->folder, folder))
        trim = trim->next;
    return trim;
}

static struct trim *trim_add(struct local_trimmer *trimmer, const char *folder)
{
    struct trim **end = &trimmer->trims;
    while (*end)
        end = &(*end)->next;
    *end = tn_calloc(1, sizeof **end);
    (*end)->folder = tn_strdup(folder);
    trimmer->count++;
    return *end;
}

static void forget(struct local_trimmer *trimmer, struct trim *trim)
{
    struct trim **link = &trimmer->trims;
    while (*link != trim)
        link = &(*link)->next;
    *link = trim->next;
    trimmer->count--;
    free(trim->folder);
    free(trim);
}

static void *work(void *argument)
{
    struct local_trimmer *trimmer = argument;
    pthread_mutex_lock(&trimmer->mutex);
    for (;;) {
        struct trim *trim = trimmer->trims;
        if (!trim && trimmer->closing)
            break;
        if (!trim) {
            (void)pthread_cond_wait(&trimmer->wanted, &trimmer->mutex);
            continue;
        }
        TN_AUTO_FREE char *folder = tn_strdup(trim->folder);
        int64_t last = trim->last;
        trim->last = 0;
        trim->busy = true;
        pthread_mutex_unlock(&trimmer->mutex);
        bool more = trim_folder(trimmer->local, folder, last);
        pthread_mutex_lock(&trimmer->mutex);
        trim->busy = false;
        last = more ? TN_MAX(last, trim->last) : trim->last;
        forget(trimmer, trim);
        if (last) /* the rest, or asked for meanwhile: behind the others */
            trim_add(trimmer, folder)->last = last;
        (void)pthread_cond_broadcast(&trimmer->finished);
    }
    pthread_mutex_unlock(&trimmer->mutex);
    return NULL;
}

static void trimmer_release(struct local_trimmer **trimmer)
{
    (void)pthread_cond_destroy(&(*trimmer)->wanted);
    (void)pthread_cond_destroy(&(*trimmer)->finished);
    (void)pthread_mutex_destroy(&(*trimmer)->mutex);
    free(*trimmer);
    *trimmer = NULL;
}

void local_trim_start(struct local_store *local)
{
    sigset_t all, before;
    struct local_trimmer *trimmer = tn_calloc(1, sizeof *trimmer);
    trimmer->local = local;
    (void)pthread_mutex_init(&trimmer->mutex, NULL);
    (void)pthread_cond_init(&trimmer->wanted, NULL);
    (void)pthread_cond_init(&trimmer->finished, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&trimmer->thread, NULL, work, trimmer) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        (void)pthread_setname_np(trimmer->thread, "tarn-trim");
    else
        trimmer_release(&trimmer); /* whoever asks does it then */
    local->trimmer = trimmer;
}

void local_trim_free(struct local_store *local)
{
    struct local_trimmer *trimmer = local->trimmer;
    if (!trimmer)
        return;
    pthread_mutex_lock(&trimmer->mutex);
    trimmer->closing = true;
    (void)pthread_cond_broadcast(&trimmer->wanted);
    pthread_mutex_unlock(&trimmer->mutex);
    (void)pthread_join(trimmer->thread, NULL);
    trimmer_release(&local->trimmer);
}

/* ---- who asks ---------------------------------------------------------------- */

/* False when too many folders wait. */
static bool leave_it(struct local_trimmer *trimmer, const char *folder, int64_t last)
{
    pthread_mutex_lock(&trimmer->mutex);
    struct trim *trim = trim_of(trimmer, folder);
    if (!trim && trimmer->count < MOST_FOLDERS)
        trim = trim_add(trimmer, folder);
    if (trim)
        trim->last = TN_MAX(trim->last, last);
    (void)pthread_cond_signal(&trimmer->wanted);
    pthread_mutex_unlock(&trimmer->mutex);
    return trim != NULL;
}

void local_trim_soon(struct store *store, const char *folder, int64_t last)
{
    struct local_store *local = local_of(store);
    if (!local->trimmer || !leave_it(local->trimmer, folder, last))
        (void)trim_folder(local, folder, last);
}

void local_trim_stop(struct store *store, const char *folder)
{
    struct local_trimmer *trimmer = local_of(store)->trimmer;
    if (!trimmer)
        return;
    pthread_mutex_lock(&trimmer->mutex);
    struct trim *trim = trim_of(trimmer, folder);
    while (trim && trim->busy) {
        trim->last = 0;
        (void)pthread_cond_wait(&trimmer->finished, &trimmer->mutex);
        trim = trim_of(trimmer, folder);
    }
    if (trim)
        forget(trimmer, trim);
    pthread_mutex_unlock(&trimmer->mutex);
}
