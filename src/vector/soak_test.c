/* All at once: searchers, inserters, a deleter, somebody who asks, and folds,
 * swaps and rollbacks, over one index. TARN_SOAK_SECONDS=600 is the long run. */
#include "vector/test_support.h"

#include "base/clock.h"
#include "base/fault.h"

#include <pthread.h>

/* Ids below STABLE never change. The next MOVING are replaced as a set; each
 * inserter has a set of COMING ids of its own that it inserts and deletes. */
enum { DIMS = 12, STABLE = 200, MOVING = 100, COMING = 50, COMERS = 2, ALL = STABLE + MOVING + COMERS * COMING };

struct soak {
    struct vector_index *index;
    atomic_bool stop;
    atomic_int failures;
    atomic_uint searches, changes;
};

struct comer {
    struct soak *soak;
    int64_t first;
};

static bool below_stable(void *context, int64_t id)
{
    (void)context;
    return id < STABLE;
}

static bool counts_are_whole(const struct vector_hit *hits, size_t count)
{
    size_t stable = 0, moving = 0, coming[COMERS] = {0};
    for (size_t i = 0; i < count; i++) {
        if (hits[i].id < STABLE)
            stable++;
        else if (hits[i].id < STABLE + MOVING)
            moving++;
        else
            coming[(hits[i].id - STABLE - MOVING) / COMING]++;
    }
    bool whole = stable == STABLE && moving == MOVING;
    for (size_t c = 0; c < COMERS; c++)
        whole = whole && (coming[c] == 0 || coming[c] == COMING);
    return whole;
}

/* One search of each kind; false when an answer is not of one instant. */
static bool search_all_kinds(struct soak *s, struct vector_searcher *searcher, uint64_t n)
{
    static const struct vector_filter stable_only = {.kind = VECTOR_FILTER_CALLBACK, .passes = below_stable};
    float q[DIMS] = {(float)(n % 17), 1, 2};
    struct vector_hit hits[ALL];
    size_t count = 0;
    bool more = false;
    struct vector_params all = {.k = ALL};
    bool good = vector_search(searcher, q, &all, hits, &count, NULL, NULL) == TN_OK && counts_are_whole(hits, count);
    struct vector_params walk = {.k = 10, .window = 32, .mode = VECTOR_MODE_GRAPH};
    good = good && vector_search(searcher, q, &walk, hits, &count, NULL, NULL) == TN_OK && count == 10;
    struct vector_params filtered = {.k = STABLE, .filter = &stable_only};
    good = good && vector_search(searcher, q, &filtered, hits, &count, NULL, NULL) == TN_OK && count == STABLE;
    good = good && vector_search_range(searcher, q, 1e6F, &all, hits, ALL, &count, &more, NULL, NULL) == TN_OK &&
           !more && counts_are_whole(hits, count);
    if (n % 16 == 0) {
        size_t counts[3];
        float queries[3 * DIMS] = {1, 2, 3};
        good = good && vector_search_batch(s->index, queries, 3, &walk, 2, hits, counts, NULL, NULL, NULL) == TN_OK;
    }
    return good;
}

static void *soak_search(void *argument)
{
    struct soak *s = argument;
    struct vector_searcher *searcher = NULL;
    if (vector_searcher_new(s->index, &searcher, NULL) != TN_OK)
        return NULL;
    uint64_t n = 0;
    do { /* once at least, however late it begins */
        if (!search_all_kinds(s, searcher, n++))
            atomic_fetch_add(&s->failures, 1);
        atomic_fetch_add(&s->searches, 1);
    } while (!atomic_load(&s->stop));
    vector_searcher_free(searcher);
    return NULL;
}

static void fill(float *rows, int64_t *ids, int64_t first, int64_t count, uint64_t version)
{
    for (int64_t i = 0; i < count; i++) {
        ids[i] = first + i;
        for (int64_t d = 0; d < DIMS; d++)
            rows[i * DIMS + d] = (float)(space_mix64(version * 1000003 + (uint64_t)((first + i) * DIMS + d)) % 100);
    }
}

/* Replaces the moving set, again and again. */
static void *soak_replace(void *argument)
{
    struct soak *s = argument;
    float rows[MOVING * DIMS];
    int64_t ids[MOVING];
    uint64_t version = 1;
    do {
        fill(rows, ids, STABLE, MOVING, version++);
        if (vector_index_insert(s->index, ids, rows, MOVING, NULL) != TN_OK)
            atomic_fetch_add(&s->failures, 1);
        atomic_fetch_add(&s->changes, 1);
    } while (!atomic_load(&s->stop));
    return NULL;
}

/* Inserts its set, reads a row of it back, deletes it. */
static void *soak_come_and_go(void *argument)
{
    struct comer *c = argument;
    struct soak *s = c->soak;
    float rows[COMING * DIMS], got[DIMS];
    int64_t ids[COMING];
    size_t deleted = 0;
    for (uint64_t version = 1; !atomic_load(&s->stop); version++) {
        fill(rows, ids, c->first, COMING, version);
        bool good = vector_index_insert(s->index, ids, rows, COMING, NULL) == TN_OK &&
                    vector_index_get(s->index, ids[7], got, NULL) == TN_OK &&
                    memcmp(got, rows + (size_t)7 * DIMS, sizeof got) == 0 &&
                    vector_index_delete(s->index, ids, COMING, &deleted, NULL) == TN_OK && deleted == COMING &&
                    vector_index_get(s->index, ids[7], got, NULL) == TN_ENOTFOUND;
        if (!good)
            atomic_fetch_add(&s->failures, 1);
        atomic_fetch_add(&s->changes, 1);
    }
    return NULL;
}

static void *soak_ask(void *argument)
{
    struct soak *s = argument;
    while (!atomic_load(&s->stop)) {
        struct vector_index_info info;
        vector_index_info(s->index, &info);
        if (info.live < STABLE + MOVING || info.live > ALL ||
            vector_index_largest_id(s->index) < STABLE + MOVING - 1 || vector_index_window(s->index, 10, 0.9F) < 10 ||
            vector_index_health(s->index, NULL) != TN_OK)
            atomic_fetch_add(&s->failures, 1);
    }
    return NULL;
}

static char *soak_folder(const char *folder)
{
    float *rows = random_rows(STABLE + MOVING, DIMS, 0.7F);
    char *file = tn_asprintf("%s/first.tvg", folder);
    char *path = tn_asprintf("%s/index", folder);
    struct vector_rows source = {.count = STABLE + MOVING, .dims = DIMS, .data = rows};
    struct vector_build_options options = {.threads = 2, .ef_construction = 60, .metric = VECTOR_L2};
    must(vector_build(&source, &options, file, NULL, &test_error));
    must(vector_index_create(path, file, &test_error));
    free(file);
    free(rows);
    return path;
}

static void fold_until(struct vector_index *index, uint64_t until)
{
    int folds = 0;
    while (tn_mono_ns() < until || folds < 3) {
        struct vector_build_options options = {.threads = 3};
        must(vector_index_fold(index, &options, NULL, &test_error));
        if (folds++ % 3 == 2)
            must(vector_index_rollback(index, &test_error));
        must(vector_index_prune(index, &test_error));
    }
}

static void test_searches_see_whole_changes_while_all_moves(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    char *path = soak_folder(folder);
    struct soak s = {0};
    must(vector_index_open(path, NULL, &s.index, &test_error));
    struct comer comers[COMERS];
    pthread_t threads[4 + COMERS];
    assert_int_equal(pthread_create(&threads[0], NULL, soak_search, &s), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, soak_search, &s), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, soak_replace, &s), 0);
    assert_int_equal(pthread_create(&threads[3], NULL, soak_ask, &s), 0);
    for (int i = 0; i < COMERS; i++) {
        comers[i] = (struct comer){&s, STABLE + MOVING + (int64_t)i * COMING};
        assert_int_equal(pthread_create(&threads[4 + i], NULL, soak_come_and_go, &comers[i]), 0);
    }
    const char *seconds = getenv("TARN_SOAK_SECONDS");
    fold_until(s.index, tn_mono_ns() + (seconds ? strtoull(seconds, NULL, 10) : 2) * UINT64_C(1000000000));
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < TN_COUNT(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_true(atomic_load(&s.searches) > 0 && atomic_load(&s.changes) > 0);
    must(vector_index_health(s.index, &test_error));
    vector_index_close(s.index);
    free(path);
    temporary_remove(folder);
}

/* ---- the way from the mapping to large pages ---- */

struct warming {
    struct vector_index *index;
    const float *rows;
    size_t count;
    atomic_int failures;
};

/* Every row finds itself, whatever the memory behind the graph is by then. */
static void *search_until_warm(void *argument)
{
    struct warming *w = argument;
    struct vector_searcher *searcher = NULL;
    if (vector_searcher_new(w->index, &searcher, NULL) != TN_OK)
        return NULL;
    struct vector_index_info info = {0};
    struct vector_params p = {.k = 1, .window = 48};
    for (size_t i = 0; !info.warm || i < 200; i++) {
        struct vector_hit hit = {0};
        size_t count = 0;
        size_t row = space_mix64(i) % w->count;
        if (vector_search(searcher, w->rows + row * 8, &p, &hit, &count, NULL, NULL) != TN_OK || count != 1)
            atomic_fetch_add(&w->failures, 1);
        vector_index_info(w->index, &info);
    }
    vector_searcher_free(searcher);
    return NULL;
}

static void test_searching_while_the_background_warms_and_tunes(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    char *file = tn_asprintf("%s/x.tvg", folder);
    /* Fewer than 20,000 are warmed, but not tuned: enough for an emulator. */
    struct warming w = {.count = test_size(20500, TEST_UNDER_TSAN ? 20500 : 3000)};
    float *rows = random_rows(w.count, 8, 0.7F);
    w.rows = rows;
    struct vector_rows source = {.count = w.count, .dims = 8, .data = rows};
    struct vector_build_options options = {.threads = 3, .ef_construction = 12, .degree = 6, .metric = VECTOR_L2};
    must(vector_build(&source, &options, file, NULL, &test_error));
    must(vector_index_open(file, NULL, &w.index, &test_error));
    pthread_t threads[2];
    for (size_t i = 0; i < TN_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_until_warm, &w), 0);
    for (size_t i = 0; i < TN_COUNT(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&w.failures), 0);
    must(vector_index_health(w.index, &test_error));
    vector_index_close(w.index);
    free(rows);
    free(file);
    temporary_remove(folder);
}

int main(void)
{
    tn_fault_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searching_while_the_background_warms_and_tunes),
        cmocka_unit_test(test_searches_see_whole_changes_while_all_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
