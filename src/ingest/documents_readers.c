/* Several readers of documents at once (see documents_readers.h). */
#include "ingest/documents_readers.h"

#include <pthread.h>
#include <stdatomic.h>

#define HELD_MAX ((uint64_t)64 << 20)

enum state { WAITING, READING, READ };
struct place {
    struct reading *reading;
    enum state state;
};

struct readers {
    struct document_limits limits;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t *threads;
    size_t count, started, idle;
    struct place *places; /* a ring */
    size_t room, first, used;
    uint64_t held; /* bytes of text that was read and not taken */
    size_t busy;   /* threads that read */
    bool alone;    /* none may begin to */
    bool ending;
    atomic_bool cancelled;
    bool (*stopping)(void *context);
    void *stopping_context;
};

struct readers *readers_new(const struct document_limits *limits, size_t count)
{
    struct readers *readers = tn_calloc(1, sizeof *readers);
    readers->limits = *limits;
    readers->count = count;
    readers->room = 2 * count;
    readers->places = tn_calloc(readers->room, sizeof *readers->places);
    readers->threads = tn_calloc(count, sizeof *readers->threads);
    (void)pthread_mutex_init(&readers->lock, NULL);
    (void)pthread_cond_init(&readers->work, NULL);
    (void)pthread_cond_init(&readers->done, NULL);
    return readers;
}

size_t readers_room(const struct readers *readers)
{
    return readers->room;
}

static bool is_cancelled(void *context)
{
    struct readers *readers = context;
    return atomic_load(&readers->cancelled) || (readers->stopping && readers->stopping(readers->stopping_context));
}

void readers_stop_when(struct readers *readers, bool (*stopping)(void *context), void *context)
{
    readers->stopping = stopping;
    readers->stopping_context = context;
}

void readers_cancel(struct readers *readers)
{
    atomic_store(&readers->cancelled, true);
}

/* ---- one file ------------------------------------------------------------------------------- */

static enum tn_code keep_document(void *context, struct document *document, struct tn_error *err)
{
    (void)err;
    ((struct reading *)context)->document = document;
    return TN_OK;
}

static enum tn_code see_file(void *context, const char *name, struct tn_error *err)
{
    (void)name;
    ((struct reading *)context)->has_files = true;
    return tn_fail(err, TN_ECONFLICT, "it holds files");
}

static enum tn_code see_bad_file(void *context, const char *name, const struct tn_error *why, struct tn_error *err)
{
    (void)why;
    return see_file(context, name, err);
}

static void read_one(struct document_extractor *extractor, struct reading *reading)
{
    const struct document_sink sink = {
        .context = reading, .keep = keep_document, .file_begin = see_file, .file_failed = see_bad_file};
    reading->document = NULL;
    reading->has_files = false;
    reading->error = (struct tn_error){0};
    tn_buf_clear(&reading->text);
    if (reading->page) {
        reading->code = document_ocr_page(extractor, reading->fd, reading->page, reading->languages, &reading->text,
                                          &reading->confidence, &reading->error);
        return;
    }
    reading->code = document_extract(extractor, reading->fd, reading->name, &sink, &reading->error);
    if (reading->has_files || reading->code != TN_OK) {
        document_free(reading->document);
        reading->document = NULL;
    }
}

static uint64_t text_of(const struct reading *reading)
{
    return reading->text.len + (reading->document ? reading->document->text.len : 0);
}

/* ---- the threads ----------------------------------------------------------------------------- */

/* The oldest that waits; while much text waits to be taken, only when everybody waits for it. */
static struct place *next_place(struct readers *readers)
{
    for (size_t i = 0; i < readers->used; i++) {
        struct place *place = &readers->places[(readers->first + i) % readers->room];
        if (place->state == WAITING)
            return i == 0 || readers->held < HELD_MAX ? place : NULL;
    }
    return NULL;
}

static struct place *wait_for_work(struct readers *readers)
{
    struct place *place = NULL;
    readers->idle++;
    while (!readers->ending && (readers->alone || !(place = next_place(readers))))
        (void)pthread_cond_wait(&readers->work, &readers->lock);
    readers->idle--;
    return readers->ending ? NULL : place;
}

static void *run(void *context)
{
    struct readers *readers = context;
    TN_CLEANUP(document_extractor_free_p) struct document_extractor *extractor = NULL;
    struct tn_error error = {0};
    enum tn_code code = document_extractor_new(&readers->limits, NULL, &extractor, &error);
    if (code == TN_OK)
        document_extractor_stop_when(extractor, is_cancelled, readers);
    (void)pthread_mutex_lock(&readers->lock);
    for (struct place *place; (place = wait_for_work(readers)) != NULL;) {
        struct reading *reading = place->reading;
        place->state = READING;
        readers->busy++;
        (void)pthread_mutex_unlock(&readers->lock);
        if (code == TN_OK) {
            read_one(extractor, reading);
        } else {
            reading->code = code;
            reading->error = error;
        }
        (void)pthread_mutex_lock(&readers->lock);
        place->state = READ;
        readers->busy--;
        readers->held += text_of(reading);
        (void)pthread_cond_signal(&readers->done);
    }
    (void)pthread_mutex_unlock(&readers->lock);
    return NULL;
}

/* ---- put and take ------------------------------------------------------------------------------- */

void readers_put(struct readers *readers, struct reading *reading)
{
    (void)pthread_mutex_lock(&readers->lock);
    readers->places[(readers->first + readers->used) % readers->room] =
        (struct place){.reading = reading, .state = WAITING};
    readers->used++;
    size_t started = readers->started;
    if (readers->idle == 0 && started < readers->count &&
        pthread_create(&readers->threads[started], NULL, run, readers) == 0)
        readers->started++;
    (void)pthread_cond_signal(&readers->work);
    (void)pthread_mutex_unlock(&readers->lock);
}

/* The machine has no thread to give: then this one reads. */
static void read_here(struct readers *readers, const struct document_limits *limits, struct reading *reading)
{
    TN_CLEANUP(document_extractor_free_p) struct document_extractor *extractor = NULL;
    reading->code = document_extractor_new(limits, NULL, &extractor, &reading->error);
    if (reading->code != TN_OK)
        return;
    document_extractor_stop_when(extractor, is_cancelled, readers);
    read_one(extractor, reading);
}

void readers_read_alone(struct readers *readers, const struct document_limits *limits, struct reading *reading)
{
    (void)pthread_mutex_lock(&readers->lock);
    readers->alone = true;
    while (readers->busy > 0)
        (void)pthread_cond_wait(&readers->done, &readers->lock);
    read_here(readers, limits, reading);
    readers->alone = false;
    (void)pthread_cond_broadcast(&readers->work);
    (void)pthread_mutex_unlock(&readers->lock);
}

struct reading *readers_take(struct readers *readers)
{
    (void)pthread_mutex_lock(&readers->lock);
    struct place *place = &readers->places[readers->first];
    struct reading *reading = place->reading;
    if (readers->started == 0)
        read_here(readers, &readers->limits, reading);
    else
        while (place->state != READ)
            (void)pthread_cond_wait(&readers->done, &readers->lock);
    if (place->state == READ)
        readers->held -= text_of(reading);
    readers->first = (readers->first + 1) % readers->room;
    readers->used--;
    (void)pthread_cond_broadcast(&readers->work);
    (void)pthread_mutex_unlock(&readers->lock);
    return reading;
}

void readers_free(struct readers *readers)
{
    if (!readers)
        return;
    readers_cancel(readers);
    (void)pthread_mutex_lock(&readers->lock);
    readers->ending = true;
    (void)pthread_cond_broadcast(&readers->work);
    (void)pthread_mutex_unlock(&readers->lock);
    for (size_t i = 0; i < readers->started; i++)
        (void)pthread_join(readers->threads[i], NULL);
    (void)pthread_cond_destroy(&readers->work);
    (void)pthread_cond_destroy(&readers->done);
    (void)pthread_mutex_destroy(&readers->lock);
    free(readers->threads);
    free(readers->places);
    free(readers);
}
