/* The lists of frequent words made before anybody asks for them.
 *
 * A thread that stands behind all others: when an index was opened, or has
 * grown, it looks at some of its texts and has the lists of the words made that
 * many of them have, one after the other. A search that comes first makes the
 * list itself, and waits for nobody here. What is made counts with all lists, and
 * is given up as they are.
 */
#include "index/index_internal.h"
#include "index/keyword_sample.h"

#define TEXTS      256 /* that are looked at */
#define NEIGHBOURS 64  /* ids that are tried for one of them: some were deleted */
#define WORDS      64
#define SHARE      0.02 /* of the texts: a word that fewer have costs a search less than a millisecond */
#define FILLED     0.5  /* of the room for lists; the rest is for what is asked */
#define LEAST      1000 /* chunks; with fewer no list costs anything */
#define GROWN      4    /* an index that has grown by one in so many is looked at again */

static bool is_due(struct logical *logical)
{
    int64_t next = atomic_load(&logical->next_chunk), warmed = atomic_load(&logical->looked_ahead);
    return atomic_load(&logical->synced) && next - warmed >= TN_MAX(LEAST, warmed / GROWN);
}

/* The gate is held by those who come in. */
static bool enter(struct logical *logical)
{
    if (logical_stopping(logical, NULL))
        return false;
    pthread_rwlock_rdlock(&logical->gate);
    if (atomic_load(&logical->open) && atomic_load(&logical->synced))
        return true;
    pthread_rwlock_unlock(&logical->gate);
    return false;
}

static void leave(struct logical *logical)
{
    pthread_rwlock_unlock(&logical->gate);
}

static bool look_at_text(struct logical *logical, size_t number, struct keyword_sample *sample)
{
    struct chunk_record record;
    if (!enter(logical))
        return false;
    int64_t limit = chunk_file_limit(logical->chunks), id = limit * (int64_t)number / TEXTS, end = id + NEIGHBOURS;
    for (; id < TN_MIN(limit, end); id++)
        if (chunk_file_get(logical->chunks, id, &record, NULL) == TN_OK) {
            keyword_sample_add(sample, record.text, record.text_length);
            break;
        }
    leave(logical);
    return true;
}

static uint32_t length_of(void *context, int64_t id)
{
    const struct logical *logical = context;
    return chunk_file_length(logical->chunks, id);
}

static bool stopping(void *context)
{
    return logical_stopping(context, NULL);
}

static enum tn_code learn(struct logical *logical, const char *expression, struct tn_error *err)
{
    const struct keyword_search search = {
        .expression = expression, .lists = logical->lists, .length_of = length_of, .context = logical};
    struct reader *reader;
    struct keyword_reader *words;
    TN_TRY(files_reader(logical, &reader, err));
    enum tn_code code = files_words(logical, reader, &words, err);
    if (code == TN_OK)
        code = keyword_learn(words, &search, stopping, err);
    files_reader_back(logical, reader);
    return code;
}

static bool make_list(struct logical *logical, const char *expression)
{
    struct tn_error err = {0};
    if (!enter(logical))
        return false;
    bool room = keyword_lists_filled(logical->lists) < FILLED;
    enum tn_code code = room ? learn(logical, expression, &err) : TN_OK;
    leave(logical);
    if (code != TN_OK && code != TN_ECANCELLED)
        TN_LOG(TN_LOG_DEBUG, "index.not_ahead", TN_FS("index", logical->definition.name), TN_FS("why", err.detail));
    return room && code == TN_OK;
}

static void look_ahead(struct logical *logical)
{
    TN_CLEANUP(keyword_sample_free_p) struct keyword_sample *sample = NULL;
    const char *words[WORDS];
    uint64_t started = tn_mono_ns();
    if (!enter(logical))
        return;
    atomic_store(&logical->looked_ahead, atomic_load(&logical->next_chunk)); /* once, however it ends */
    leave(logical);
    if (keyword_sample_new(&sample, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < TEXTS; i++)
        if (!look_at_text(logical, i, sample))
            return;
    size_t count = keyword_sample_words(sample, SHARE, WORDS, words), made = 0;
    while (made < count && make_list(logical, words[made]))
        made++;
    TN_LOG(TN_LOG_DEBUG, "index.ahead", TN_FS("index", logical->definition.name), TN_FI("lists", made),
           TN_FD("ms", (double)(tn_mono_ns() - started) / 1e6));
}

/* ---- the thread ---------------------------------------------------------------------- */

static void *run(void *argument)
{
    struct index_service *service = argument;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    tn_thread_stand_behind(0);
    size_t count = logical_all(service, arena, &all);
    for (size_t i = 0; i < count; i++) {
        if (is_due(all[i]))
            look_ahead(all[i]);
        logical_unref(all[i]);
    }
    atomic_store(&service->ahead.done, true);
    return NULL;
}

static bool any_is_due(struct index_service *service)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    bool any = false;
    size_t count = logical_all(service, arena, &all);
    for (size_t i = 0; i < count; i++) {
        any = any || is_due(all[i]);
        logical_unref(all[i]);
    }
    return any;
}

static void join(struct ahead *ahead)
{
    if (ahead->started)
        (void)pthread_join(ahead->thread, NULL);
    ahead->started = false;
}

/* There is a thread only while there is something to do: one that stands behind
 * all others would be waited for on a busy machine when the service ends. */
void ahead_look(struct index_service *service)
{
    struct ahead *ahead = &service->ahead;
    if (ahead->started && !atomic_load(&ahead->done))
        return; /* the next look is soon */
    join(ahead);
    if (!any_is_due(service))
        return;
    atomic_store(&ahead->done, false);
    ahead->started = pthread_create(&ahead->thread, NULL, run, service) == 0; /* or the next look tries again */
}

void ahead_stop(struct index_service *service)
{
    join(&service->ahead);
}
