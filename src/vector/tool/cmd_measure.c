/* What a running index costs: inserting, folding beside searches, and rounds of
 * replacement. Each command changes the index that it is given. */
#include "vector/tool/tool.h"

#include "vector/memory.h"
#include "vector/space.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- times, in buckets one hundredth wide ---- */

#define BUCKETS 2400

struct times {
    uint64_t buckets[BUCKETS];
    uint64_t count;
    double sum;
};

static void times_add(struct times *t, uint64_t nanoseconds)
{
    double at = log(fmax(1, (double)nanoseconds)) / log(1.01);
    t->buckets[TN_MIN((size_t)at, (size_t)BUCKETS - 1)]++;
    t->count++;
    t->sum += (double)nanoseconds;
}

static void times_merge(struct times *into, const struct times *from)
{
    for (size_t i = 0; i < BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum += from->sum;
}

/* Microseconds below which `share` of the times lie. */
static double times_at(const struct times *t, double share)
{
    double left = share * (double)t->count;
    for (size_t i = 0; i < BUCKETS; i++) {
        left -= (double)t->buckets[i];
        if (left < 0)
            return exp(((double)i + 0.5) * log(1.01)) * 1e-3;
    }
    return NAN;
}

static enum tn_code open_for_changes(const char *path, struct vector_index **ret, struct tn_error *err)
{
    struct vector_open_options options = {.warm_now = true};
    return vector_index_open(path, &options, ret, err);
}

static enum tn_code read_floats(const char *path, uint32_t dims, float **ret, uint64_t *ret_count,
                                struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input input = {0};
    TN_TRY(input_open(path, &input, err));
    if (input.columns != dims || input.rows == 0)
        return tn_fail(err, TN_EUNREADABLE, "%s has %llu rows of %llu dimensions, the index %u dimensions", path,
                       (unsigned long long)input.rows, (unsigned long long)input.columns, dims);
    *ret_count = input.rows;
    return input_floats(&input, path, 0, ret, err);
}

/* ---- inserting ---- */

struct inserting {
    struct vector_index *index;
    const float *rows;
    uint64_t row_count, per_thread, batch;
    uint32_t dims;
    int64_t first_id;
    pthread_mutex_t lock;
    struct times calls;
    double slowest_rate; /* rows a second of the slowest thread */
    uint64_t unseen;
    enum tn_code failure;
    struct tn_error error;
};

/* Inserts the thread's share; after each call the last row must be found. */
static enum tn_code insert_share(struct inserting *n, uint32_t worker, struct times *calls, uint64_t *unseen,
                                 struct tn_error *err)
{
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    TN_TRY(vector_searcher_new(n->index, &searcher, err));
    TN_AUTO_FREE int64_t *ids = tn_realloc_array(NULL, n->batch, sizeof *ids);
    for (uint64_t done = 0; done < n->per_thread;) {
        uint64_t at = (worker * n->per_thread + done) % n->row_count;
        uint64_t count = TN_MIN(TN_MIN(n->batch, n->per_thread - done), n->row_count - at);
        for (uint64_t i = 0; i < count; i++)
            ids[i] = n->first_id + (int64_t)(worker * n->per_thread + done + i);
        const float *rows = n->rows + at * n->dims;
        uint64_t start = tn_mono_ns();
        TN_TRY(vector_index_insert(n->index, ids, rows, count, err));
        times_add(calls, tn_mono_ns() - start);
        /* Rows repeat when the file is short: the newest copy must be among the nearest. */
        struct vector_params p = {.k = 64, .window = 64};
        struct vector_hit hits[64];
        size_t found = 0;
        bool seen = false;
        TN_TRY(vector_search(searcher, rows + (count - 1) * n->dims, &p, hits, &found, NULL, err));
        for (size_t i = 0; i < found; i++)
            seen = seen || hits[i].id == ids[count - 1];
        *unseen += !seen;
        done += count;
    }
    return TN_OK;
}

static void insert_worker(void *context, uint32_t worker)
{
    struct inserting *n = context;
    struct tn_error error = {0};
    struct times *calls = tn_calloc(1, sizeof *calls);
    uint64_t unseen = 0;
    enum tn_code code = insert_share(n, worker, calls, &unseen, &error);
    (void)pthread_mutex_lock(&n->lock);
    times_merge(&n->calls, calls);
    n->unseen += unseen;
    n->slowest_rate = fmin(n->slowest_rate, (double)n->per_thread / (calls->sum * 1e-9));
    if (code != TN_OK && n->failure == TN_OK) {
        n->failure = code;
        n->error = error;
    }
    (void)pthread_mutex_unlock(&n->lock);
    free(calls);
}

/* Median search in microseconds. */
static enum tn_code median_search(struct vector_index *index, const float *queries, uint64_t count, double *ret,
                                  struct tn_error *err)
{
    struct vector_index_info info;
    vector_index_info(index, &info);
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    TN_TRY(vector_searcher_new(index, &searcher, err));
    struct times times = {0};
    struct vector_params p = {.k = 10};
    struct vector_hit hits[10];
    size_t found;
    for (uint64_t i = 0; i < TN_MAX(count, UINT64_C(500)); i++) {
        uint64_t start = tn_mono_ns();
        TN_TRY(vector_search(searcher, queries + i % count * info.dims, &p, hits, &found, NULL, err));
        times_add(&times, tn_mono_ns() - start);
    }
    *ret = times_at(&times, 0.5);
    return TN_OK;
}

enum tn_code command_measure_insert(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    struct vector_index_info before, after;
    TN_TRY(open_for_changes(a->files[0], &index, err));
    vector_index_info(index, &before);
    TN_AUTO_FREE float *rows = NULL;
    uint64_t row_count;
    TN_TRY(read_floats(a->files[1], before.dims, &rows, &row_count, err));
    uint64_t threads = TN_MAX(a->threads, UINT64_C(1));
    struct inserting n = {.index = index,
                          .rows = rows,
                          .row_count = row_count,
                          .dims = before.dims,
                          .batch = a->batch ? a->batch : 256,
                          .per_thread = (a->limit ? a->limit : 10000) / threads,
                          .first_id = vector_index_largest_id(index) + 1,
                          .slowest_rate = INFINITY};
    double search_before, search_after;
    uint64_t queries = TN_MIN(row_count, UINT64_C(500));
    TN_TRY(median_search(index, rows, queries, &search_before, err));
    (void)pthread_mutex_init(&n.lock, NULL);
    uint64_t start = tn_mono_ns();
    parallel_run((uint32_t)threads, false, insert_worker, &n);
    double seconds = (double)(tn_mono_ns() - start) * 1e-9;
    (void)pthread_mutex_destroy(&n.lock);
    if (n.failure != TN_OK) {
        *err = n.error;
        return n.failure;
    }
    if (n.unseen)
        return tn_fail(err, TN_EINTERNAL, "%llu of %llu calls returned before their last row was found",
                       (unsigned long long)n.unseen, (unsigned long long)n.calls.count);
    TN_TRY(median_search(index, rows, queries, &search_after, err));
    vector_index_info(index, &after);
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "threads", threads);
    report_int(&r, "rows_per_call", n.batch);
    report_int(&r, "inserted", n.per_thread * threads);
    report_real(&r, "rows_per_second_of_a_thread", n.slowest_rate);
    report_real(&r, "rows_per_second_with_checks", (double)(n.per_thread * threads) / seconds);
    report_real(&r, "call_p50_us", times_at(&n.calls, 0.5));
    report_real(&r, "call_p99_us", times_at(&n.calls, 0.99));
    report_int(&r, "seen_at_once", n.calls.count);
    report_int(&r, "delta_rows", after.delta_rows);
    report_real(&r, "search_p50_us_before", search_before);
    report_real(&r, "search_p50_us_after", search_after);
    report_real(&r, "scan_ns_per_delta_row",
                (search_after - search_before) * 1e3 / (double)(after.delta_rows - before.delta_rows));
    report_end(&r);
    return TN_OK;
}

/* ---- folding beside searches ---- */

enum phase { PHASE_QUIET, PHASE_FOLD, PHASE_AFTER, PHASE_END };

struct beside {
    struct vector_index *index;
    const float *queries;
    uint64_t query_count;
    uint32_t dims;
    float recall;
    atomic_int phase;
    pthread_mutex_t lock;
    struct times times[PHASE_END];
    enum tn_code failure;
    struct tn_error error;
};

static enum tn_code search_phases(struct beside *b, uint32_t worker, struct times *times, struct tn_error *err)
{
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    TN_TRY(vector_searcher_new(b->index, &searcher, err));
    struct vector_params p = {.k = 10, .recall = b->recall};
    struct vector_hit hits[10];
    size_t found;
    int phase;
    for (uint64_t i = worker * 37; (phase = atomic_load(&b->phase)) != PHASE_END; i++) {
        uint64_t start = tn_mono_ns();
        TN_TRY(vector_search(searcher, b->queries + i % b->query_count * b->dims, &p, hits, &found, NULL, err));
        times_add(&times[phase], tn_mono_ns() - start);
    }
    return TN_OK;
}

static void beside_worker(void *context, uint32_t worker)
{
    struct beside *b = context;
    struct tn_error error = {0};
    struct times *times = tn_calloc(PHASE_END, sizeof *times);
    enum tn_code code = search_phases(b, worker, times, &error);
    (void)pthread_mutex_lock(&b->lock);
    for (int p = 0; p < PHASE_END; p++)
        times_merge(&b->times[p], &times[p]);
    if (code != TN_OK && b->failure == TN_OK) {
        b->failure = code;
        b->error = error;
    }
    (void)pthread_mutex_unlock(&b->lock);
    free(times);
}

struct driving {
    struct beside *b;
    const struct arguments *a;
    uint32_t searchers;
    struct vector_build_report built;
    enum tn_code code;
    struct tn_error error;
};

/* Worker 0 changes phases and folds; the others search. */
static void drive(void *context, uint32_t worker)
{
    struct driving *d = context;
    if (worker > 0) {
        beside_worker(d->b, worker);
        return;
    }
    useconds_t pause = (useconds_t)(fmax(0.2, d->a->seconds) * 1e6);
    struct vector_build_options options = {.low_priority = true, .ef_construction = (uint32_t)d->a->ef_construction};
    (void)usleep(pause);
    atomic_store(&d->b->phase, PHASE_FOLD);
    d->code = vector_index_fold(d->b->index, &options, &d->built, &d->error);
    atomic_store(&d->b->phase, PHASE_AFTER);
    (void)usleep(pause);
    atomic_store(&d->b->phase, PHASE_END);
}

static void report_phase(struct report *r, const char *name, const struct times *t)
{
    static const struct {
        const char *name;
        double share;
    } marks[] = {{"p50_us", 0.5}, {"p95_us", 0.95}, {"p99_us", 0.99}, {"p999_us", 0.999}};
    for (size_t i = 0; i < TN_COUNT(marks); i++) {
        TN_AUTO_FREE char *key = tn_asprintf("%s_%s", name, marks[i].name);
        report_real(r, key, times_at(t, marks[i].share));
    }
    TN_AUTO_FREE char *key = tn_asprintf("%s_searches", name);
    report_int(r, key, t->count);
}

enum tn_code command_measure_fold(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    struct vector_index_info info;
    TN_TRY(open_for_changes(a->files[0], &index, err));
    vector_index_info(index, &info);
    TN_AUTO_FREE float *rows = NULL, *queries = NULL;
    uint64_t row_count;
    struct beside b = {.index = index, .dims = info.dims, .recall = a->recall > 0 ? (float)a->recall : 0.95F};
    TN_TRY(read_floats(a->files[1], info.dims, &rows, &row_count, err));
    TN_TRY(read_floats(a->files[2], info.dims, &queries, &b.query_count, err));
    b.queries = queries;
    int64_t ids[256];
    int64_t id = vector_index_largest_id(index) + 1;
    for (uint64_t i = 0, n; i < (a->limit ? TN_MIN(a->limit, row_count) : row_count); i += n) {
        n = TN_MIN(TN_COUNT(ids), (a->limit ? TN_MIN(a->limit, row_count) : row_count) - i);
        for (uint64_t j = 0; j < n; j++)
            ids[j] = id++;
        TN_TRY(vector_index_insert(index, ids, rows + i * info.dims, n, err));
    }
    struct driving d = {.b = &b, .a = a, .searchers = (uint32_t)TN_MAX(a->threads, UINT64_C(1))};
    (void)pthread_mutex_init(&b.lock, NULL);
    parallel_run(d.searchers + 1, false, drive, &d);
    (void)pthread_mutex_destroy(&b.lock);
    if (d.code != TN_OK || b.failure != TN_OK) {
        *err = d.code != TN_OK ? d.error : b.error;
        return d.code != TN_OK ? d.code : b.failure;
    }
    vector_index_info(index, &info);
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "rows", info.rows);
    report_int(&r, "searching_threads", d.searchers);
    report_real(&r, "fold_seconds", d.built.seconds);
    report_phase(&r, "quiet", &b.times[PHASE_QUIET]);
    report_phase(&r, "fold", &b.times[PHASE_FOLD]);
    report_phase(&r, "after", &b.times[PHASE_AFTER]);
    report_real(&r, "p99_ratio", times_at(&b.times[PHASE_FOLD], 0.99) / times_at(&b.times[PHASE_QUIET], 0.99));
    report_end(&r);
    return vector_index_prune(index, err);
}

/* ---- rounds of replacement ---- */

struct churn {
    struct vector_index *index;
    struct vector_index_info info;
    const float *rows, *queries;
    uint64_t row_count, query_count;
    uint64_t *inside, *outside; /* rows of the file: in the index and not */
    int64_t *id_of;             /* of the rows inside */
    uint64_t inside_count, outside_count;
    uint64_t random;
    int64_t next_id;
};

static uint64_t churn_random(struct churn *c, uint64_t below)
{
    c->random = space_mix64(c->random);
    return c->random % below;
}

/* One call of deletes and one of inserts: `count` rows change places. */
static enum tn_code churn_swap(struct churn *c, uint64_t count, struct tn_error *err)
{
    int64_t gone[256], come[256];
    TN_AUTO_FREE float *rows = tn_realloc_array(NULL, count * c->info.dims, sizeof *rows);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from = churn_random(c, c->inside_count);
        uint64_t to = churn_random(c, c->outside_count);
        uint64_t row = c->outside[to];
        gone[i] = c->id_of[from];
        c->outside[to] = c->inside[from];
        c->inside[from] = row;
        come[i] = c->id_of[from] = c->next_id++;
        memcpy(rows + i * c->info.dims, c->rows + row * c->info.dims, c->info.dims * sizeof *rows);
    }
    /* Inserted first: what this very call brings may be what it takes away again. */
    size_t deleted = 0;
    TN_TRY(vector_index_insert(c->index, come, rows, count, err));
    TN_TRY(vector_index_delete(c->index, gone, count, &deleted, err));
    return deleted == count ? TN_OK
                            : tn_fail(err, TN_EINTERNAL, "%zu of %llu rows were there to delete", deleted,
                                      (unsigned long long)count);
}

/* Recall against exact search over the same rows, and times. */
static enum tn_code churn_judge(struct churn *c, float recall, uint32_t k, struct times *times, double *ret_recall,
                                struct tn_error *err)
{
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    TN_TRY(vector_searcher_new(c->index, &searcher, err));
    TN_AUTO_FREE struct vector_hit *hits = tn_realloc_array(NULL, 2 * (size_t)k, sizeof *hits);
    uint64_t good = 0, wanted = 0;
    for (uint64_t q = 0; q < c->query_count; q++) {
        struct vector_params fast = {.k = k, .recall = recall};
        struct vector_params exact = {.k = k, .mode = VECTOR_MODE_EXACT};
        const float *query = c->queries + q * c->info.dims;
        size_t found, truth;
        uint64_t start = tn_mono_ns();
        TN_TRY(vector_search(searcher, query, &fast, hits, &found, NULL, err));
        times_add(times, tn_mono_ns() - start);
        TN_TRY(vector_search(searcher, query, &exact, hits + k, &truth, NULL, err));
        if (found != truth)
            return tn_fail(err, TN_EINTERNAL, "%zu hits where %zu rows qualify", found, truth);
        for (size_t i = 0; i < found; i++)
            good += hits[i].distance <= hits[k + truth - 1].distance;
        wanted += truth;
    }
    *ret_recall = (double)good / (double)wanted;
    return TN_OK;
}

static enum tn_code churn_round(struct churn *c, const struct arguments *a, uint64_t round, struct tn_error *err)
{
    uint64_t change = (uint64_t)((double)c->inside_count * (a->fraction > 0 ? a->fraction : 0.1));
    uint64_t start = tn_mono_ns();
    for (uint64_t done = 0, n; round && done < change; done += n) {
        n = TN_MIN(change - done, UINT64_C(256));
        TN_TRY(churn_swap(c, n, err));
    }
    double change_seconds = (double)(tn_mono_ns() - start) * 1e-9;
    struct times *before = tn_calloc(2, sizeof *before);
    TN_AUTO_FREE struct times *owned = before;
    double recall_before = NAN, recall_after;
    float recall = a->recall > 0 ? (float)a->recall : 0.95F;
    struct vector_build_report built = {0};
    vector_index_info(c->index, &c->info);
    uint64_t delta = c->info.delta_rows;
    if (round) {
        TN_TRY(churn_judge(c, recall, (uint32_t)a->k, before, &recall_before, err));
        struct vector_build_options options = {.threads = (uint32_t)a->threads};
        TN_TRY(vector_index_fold(c->index, &options, &built, err));
        TN_TRY(vector_index_prune(c->index, err));
        vector_index_info(c->index, &c->info);
    }
    TN_TRY(churn_judge(c, recall, (uint32_t)a->k, before + 1, &recall_after, err));
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "round", round);
    report_int(&r, "live", c->info.live);
    report_int(&r, "replaced", round ? change : 0);
    if (round) {
        report_real(&r, "change_seconds", change_seconds);
        report_int(&r, "delta_rows", delta);
        report_real(&r, "delta_recall", recall_before);
        report_real(&r, "delta_p50_us", times_at(before, 0.5));
        report_real(&r, "delta_p99_us", times_at(before, 0.99));
        report_real(&r, "fold_seconds", built.seconds);
    }
    report_real(&r, "recall", recall_after);
    report_real(&r, "p50_us", times_at(before + 1, 0.5));
    report_real(&r, "p99_us", times_at(before + 1, 0.99));
    report_end(&r);
    return TN_OK;
}

static void churn_release(struct churn *c)
{
    vector_index_close(c->index);
    free((void *)(uintptr_t)c->rows);
    free((void *)(uintptr_t)c->queries);
    free(c->inside);
    free(c->outside);
    free(c->id_of);
}

/* The index must hold the first rows of the file under their numbers as ids:
 * what `build ROWS INDEX --limit N` makes of a file of more rows. */
enum tn_code command_measure_churn(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(churn_release) struct churn c = {.random = a->seed};
    float *rows = NULL, *queries = NULL;
    TN_TRY(open_for_changes(a->files[0], &c.index, err));
    vector_index_info(c.index, &c.info);
    TN_TRY(read_floats(a->files[1], c.info.dims, &rows, &c.row_count, err));
    c.rows = rows;
    TN_TRY(read_floats(a->files[2], c.info.dims, &queries, &c.query_count, err));
    c.queries = queries;
    if (a->queries)
        c.query_count = TN_MIN(c.query_count, a->queries);
    c.inside_count = c.info.live;
    if (c.info.delta_rows || c.info.deleted || c.row_count <= c.inside_count ||
        vector_index_largest_id(c.index) + 1 != (int64_t)c.inside_count)
        return tn_fail(err, TN_EREQUEST, "%s must hold the first rows of %s, which must have more", a->files[0],
                       a->files[1]);
    c.outside_count = c.row_count - c.inside_count;
    c.inside = tn_realloc_array(NULL, c.inside_count, sizeof *c.inside);
    c.outside = tn_realloc_array(NULL, c.outside_count, sizeof *c.outside);
    c.id_of = tn_realloc_array(NULL, c.inside_count, sizeof *c.id_of);
    for (uint64_t i = 0; i < c.inside_count; i++)
        c.id_of[i] = (int64_t)(c.inside[i] = i);
    for (uint64_t i = 0; i < c.outside_count; i++)
        c.outside[i] = c.inside_count + i;
    c.next_id = (int64_t)c.inside_count;
    uint64_t rounds = a->rounds > 1 ? a->rounds : 20;
    for (uint64_t round = 0; round <= rounds; round++)
        TN_TRY(churn_round(&c, a, round, err));
    return TN_OK;
}
