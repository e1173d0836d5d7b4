/* Group commit: callers of dataset_rows_write for one dataset work together.
 *
 * There is no thread for it. Who comes to an idle dataset leads: it takes what
 * is queued, works, commits, gives everybody their answer and hands on to the
 * first of those who came meanwhile. So a lonely writer pays nothing, and many
 * share the fsyncs of one commit.
 *
 * Clients that were just answered come back within microseconds. A leader that
 * began at once would take the half that is queued and make the other half
 * wait for the next commit, for ever out of step; so it waits a moment, but
 * only for as many as were there a moment ago.
 */
#include "dataset/rows_internal.h"

#include <pthread.h>
#include <string.h>

#define GROUP_ROWS  20000 /* taken into a group while there are no more; one request always is */
#define GROUP_CALLS 1024
/* A leader waits at most a quarter of what the last commit took, within these. */
#define GATHER_LEAST_NS 300000
#define GATHER_MOST_NS  2500000

struct rows_queue {
    char name[CATALOG_NAME_MAX + 1];
    struct rows_call *first, *last;
    size_t waiting;
    size_t expected;  /* callers of the last round */
    uint64_t took_ns; /* its work */
    bool busy, gathering;
    pthread_cond_t arrived;
    struct rows_queue *next;
};

struct dataset_rows_queues {
    pthread_mutex_t mutex;
    struct rows_queue *queues;
};

struct dataset_rows_queues *dataset_rows_queues_new(void)
{
    struct dataset_rows_queues *queues = tn_calloc(1, sizeof *queues);
    pthread_mutex_init(&queues->mutex, NULL);
    return queues;
}

void dataset_rows_queues_free(struct dataset_rows_queues *queues)
{
    if (!queues)
        return;
    while (queues->queues) {
        struct rows_queue *queue = queues->queues;
        queues->queues = queue->next;
        pthread_cond_destroy(&queue->arrived);
        free(queue);
    }
    pthread_mutex_destroy(&queues->mutex);
    free(queues);
}

/* The dataset's queue; it stays, there are no more of them than datasets. */
static struct rows_queue *queue_of(struct dataset_rows_queues *queues, const char *name)
{
    struct rows_queue *queue = queues->queues;
    while (queue && !tn_streq(queue->name, name))
        queue = queue->next;
    if (queue)
        return queue;
    queue = tn_calloc(1, sizeof *queue);
    snprintf(queue->name, sizeof queue->name, "%s", name);
    tn_cond_init(&queue->arrived);
    queue->next = queues->queues;
    queues->queues = queue;
    return queue;
}

static void enqueue(struct rows_queue *queue, struct rows_call *call)
{
    if (queue->last)
        queue->last->next = call;
    else
        queue->first = call;
    queue->last = call;
    queue->waiting++;
    if (queue->gathering && queue->waiting >= queue->expected)
        pthread_cond_signal(&queue->arrived); /* of those before it nobody has to hear */
}

static void gather(struct dataset_rows_queues *queues, struct rows_queue *queue)
{
    uint64_t until = tn_mono_ns() + TN_MIN(TN_MAX(queue->took_ns / 4, GATHER_LEAST_NS), GATHER_MOST_NS);
    queue->gathering = true;
    while (queue->waiting < queue->expected && tn_cond_wait_until(&queue->arrived, &queues->mutex, until)) {
    }
    queue->gathering = false;
}

/* From the front of the queue: what one group may hold. */
static size_t take(struct rows_queue *queue, struct rows_call **calls)
{
    size_t count = 0, rows = 0;
    while (queue->first && count < GROUP_CALLS) {
        struct rows_call *call = queue->first;
        if (count > 0 && rows + call->request.rows->row_count > GROUP_ROWS)
            break;
        rows += call->request.rows->row_count;
        calls[count++] = call;
        queue->first = call->next;
        queue->waiting--;
    }
    if (!queue->first)
        queue->last = NULL;
    return count;
}

static void put_back(struct rows_queue *queue, struct rows_call *const *calls, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        calls[i]->next = queue->first;
        queue->first = calls[i];
        if (!queue->last)
            queue->last = calls[i];
        queue->waiting++;
    }
}

static void work(struct lake *lake, const char *name, struct rows_call *const *calls, size_t count, size_t *ret_done)
{
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, name);
    rows_do(lake, name, calls, count, ret_done);
}

/* One group. Whoever is woken needs no mutex, so all of them run at once: woken
 * with the mutex held, each would wait for it behind the others. */
static void lead(struct lake *lake, struct rows_queue *queue)
{
    struct dataset_rows_queues *queues = lake->queues;
    struct rows_call *calls[GROUP_CALLS];
    size_t done = 0;
    pthread_mutex_lock(&queues->mutex);
    gather(queues, queue);
    size_t count = take(queue, calls);
    pthread_mutex_unlock(&queues->mutex);
    const uint64_t began = tn_mono_ns();
    work(lake, queue->name, calls, count, &done);
    pthread_mutex_lock(&queues->mutex);
    queue->took_ns = tn_mono_ns() - began;
    put_back(queue, calls + done, count - done);
    queue->expected = TN_MIN(done + queue->waiting, (size_t)GROUP_CALLS);
    struct rows_call *next = queue->first;
    queue->busy = next != NULL;
    pthread_mutex_unlock(&queues->mutex);
    for (size_t i = 0; i < done; i++) {
        calls[i]->done = true;
        (void)sem_post(&calls[i]->woken); /* from here on it may be gone */
    }
    if (next)
        (void)sem_post(&next->woken);
}

static void wait_for(struct rows_call *call)
{
    while (sem_wait(&call->woken) != 0) /* a signal came between */
        continue;
}

/* A caller is woken once for its answer, or before that to lead: then it is
 * the first in the queue. */
static void write_in_group(struct lake *lake, const char *name, struct rows_call *call)
{
    struct dataset_rows_queues *queues = lake->queues;
    (void)sem_init(&call->woken, 0, 0);
    pthread_mutex_lock(&queues->mutex);
    struct rows_queue *queue = queue_of(queues, name);
    enqueue(queue, call);
    bool leads = !queue->busy;
    queue->busy = true;
    pthread_mutex_unlock(&queues->mutex);
    if (!leads)
        wait_for(call);
    while (!call->done) {
        lead(lake, queue);
        wait_for(call);
    }
    (void)sem_destroy(&call->woken);
}

static enum tn_code check_request(const struct dataset_rows *rows, struct tn_error *err)
{
    if (rows->op == DATASET_ROWS_WHERE && !rows->predicate)
        return tn_fail(err, TN_EREQUEST, "a delete by predicate needs one");
    if (rows->row_count <= DATASET_ROWS_MAX)
        return TN_OK;
    tn_fail(err, TN_ETOOLARGE, "%zu rows in one request; at most %d are taken", rows->row_count, DATASET_ROWS_MAX);
    tn_error_hint(err, "send them as a file: POST /ingest/file with mode=upsert or mode=append");
    return TN_ETOOLARGE;
}

enum tn_code dataset_rows_write(struct lake *lake, const char *name, const struct dataset_rows *rows,
                                struct dataset_commit *ret, struct tn_error *err)
{
    char exact[CATALOG_NAME_MAX + 1];
    struct rows_call call = {.request.rows = rows}, *self = &call;
    size_t done;
    TN_TRY(check_request(rows, err));
    ICEBERG_AUTO_METADATA *known = NULL; /* an unknown name is refused before it gets a queue */
    TN_TRY(catalog_load(lake->catalog, name, &known, err));
    catalog_exact_name(name, exact);
    if (lake->queues)
        write_in_group(lake, exact, &call);
    else
        work(lake, exact, &self, 1, &done);
    if (call.code != TN_OK) {
        if (err)
            *err = call.error;
        return call.code;
    }
    *ret = call.commit;
    return TN_OK;
}
