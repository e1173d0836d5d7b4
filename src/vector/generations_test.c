/* Generations beside the active one: built, promoted after any changes, listed,
 * removed; and searched while one takes the other's place. */
#include "vector/test_support.h"

#include "vector/generation.h"

#include <pthread.h>

enum { DIMS = 16, IDS = 600, K = 10 };

/* What the index must hold: a row per id or none. */
struct lake {
    char *folder, *path;
    struct vector_index *index;
    bool alive[IDS];
    float rows[IDS * DIMS];
};

static void begin(struct lake *lake, size_t count)
{
    *lake = (struct lake){.folder = temporary_folder()};
    float *rows = random_rows(count, DIMS, 0.7F);
    memcpy(lake->rows, rows, count * DIMS * sizeof *rows);
    for (size_t i = 0; i < count; i++)
        lake->alive[i] = true;
    char *file = tn_asprintf("%s/first.tvg", lake->folder);
    lake->path = tn_asprintf("%s/index", lake->folder);
    struct vector_rows source = {.count = count, .dims = DIMS, .data = rows};
    struct vector_build_options options = {.threads = 1, .ef_construction = 60, .metric = VECTOR_COSINE};
    must(vector_build(&source, &options, file, NULL, &test_error));
    must(vector_index_create(lake->path, file, &test_error));
    must(vector_index_open(lake->path, NULL, &lake->index, &test_error));
    free(file);
    free(rows);
}

static void end(struct lake *lake)
{
    vector_index_close(lake->index);
    free(lake->path);
    temporary_remove(lake->folder);
}

static void change(struct lake *lake, size_t count)
{
    float *rows = random_rows(count, DIMS, 0.7F);
    for (size_t i = 0; i < count; i++) {
        int64_t id = (int64_t)(random_u64() % IDS);
        if (random_u64() % 4 == 0) {
            must(vector_index_delete(lake->index, &id, 1, NULL, &test_error));
            lake->alive[id] = false;
        } else {
            must(vector_index_insert(lake->index, &id, rows + i * DIMS, 1, &test_error));
            memcpy(lake->rows + id * DIMS, rows + i * DIMS, DIMS * sizeof *rows);
            lake->alive[id] = true;
        }
    }
    free(rows);
}

static void check(struct lake *lake)
{
    struct vector_searcher *searcher = NULL;
    struct vector_hit hits[IDS];
    struct vector_params params = {.k = IDS, .mode = VECTOR_MODE_EXACT};
    size_t count, live = 0;
    float *query = random_rows(1, DIMS, 0.7F);
    must(vector_searcher_new(lake->index, &searcher, &test_error));
    must(vector_search(searcher, query, &params, hits, &count, NULL, &test_error));
    for (size_t i = 0; i < IDS; i++)
        live += lake->alive[i];
    assert_int_equal(count, live);
    for (size_t i = 0; i < count; i++) {
        assert_true(lake->alive[hits[i].id]);
        double wanted = true_distance(VECTOR_COSINE, lake->rows + hits[i].id * DIMS, query, DIMS);
        assert_true(fabs((double)hits[i].distance - wanted) < 5e-3); /* raw vectors may be halves */
    }
    vector_searcher_free(searcher);
    free(query);
}

static uint64_t build(struct lake *lake, uint32_t degree, uint64_t seed)
{
    struct vector_build_report report = {0};
    uint64_t number = 0;
    const struct vector_build_options options = {
        .threads = 2, .degree = degree, .ef_construction = 40, .code_bits = 8, .raw = VECTOR_F16, .seed = seed};
    must(vector_index_build(lake->index, &options, &number, &report, &test_error));
    assert_true(report.cpu_seconds > 0);
    return number;
}

static struct vector_generation found(struct lake *lake, uint64_t number)
{
    struct vector_generation all[16];
    size_t count;
    must(vector_index_generations(lake->index, all, 16, &count, &test_error));
    for (size_t i = 0; i < count; i++)
        if (all[i].number == number)
            return all[i];
    return (struct vector_generation){0};
}

static void reopen(struct lake *lake)
{
    vector_index_close(lake->index);
    lake->index = NULL;
    must(vector_index_open(lake->path, NULL, &lake->index, &test_error));
}

/* The changes since it was built lie in the logs of three generations. */
static void test_promoted_after_folds_and_changes(void **state)
{
    struct lake lake;
    (void)state;
    begin(&lake, 300);
    change(&lake, 20);
    uint64_t number = build(&lake, 8, 77);
    for (int i = 0; i < 3; i++) {
        change(&lake, 30);
        must(vector_index_fold(lake.index, NULL, NULL, &test_error));
        must(vector_index_keep(lake.index, &number, 1, &test_error));
    }
    change(&lake, 10);
    check(&lake);
    struct vector_generation other = found(&lake, number);
    assert_int_equal(other.degree, 8);
    assert_int_equal(other.code_bits, 8);
    assert_int_equal(other.raw, VECTOR_F16);
    assert_int_equal(other.seed, 77);
    assert_false(other.active || other.previous);

    must(vector_index_promote(lake.index, number, &test_error));
    check(&lake);
    assert_true(found(&lake, number).active);
    change(&lake, 20);
    reopen(&lake);
    check(&lake);
    /* Later folds keep what was chosen. */
    must(vector_index_fold(lake.index, NULL, NULL, &test_error));
    struct vector_index_info info;
    vector_index_info(lake.index, &info);
    assert_int_equal(info.degree, 8);
    assert_int_equal(info.seed, 77);
    must(vector_index_rollback(lake.index, &test_error));
    check(&lake);
    end(&lake);
}

static void test_without_its_log_it_is_refused(void **state)
{
    struct lake lake;
    (void)state;
    begin(&lake, 200);
    uint64_t number = build(&lake, 8, 5);
    change(&lake, 10);
    must(vector_index_fold(lake.index, NULL, NULL, &test_error));
    char *log = tn_asprintf("%s/delta-000001.log", lake.path);
    assert_int_equal(unlink(log), 0);
    free(log);
    assert_int_equal(vector_index_promote(lake.index, number, &test_error), TN_ECONFLICT);
    assert_int_equal(vector_index_promote(lake.index, 99, &test_error), TN_ENOTFOUND);
    check(&lake);
    change(&lake, 10);
    check(&lake);
    end(&lake);
}

static void test_what_nobody_keeps_goes(void **state)
{
    struct lake lake;
    struct vector_generation all[16];
    size_t count;
    (void)state;
    begin(&lake, 200);
    uint64_t first = build(&lake, 8, 1), second = build(&lake, 12, 2);
    assert_true(second > first);
    must(vector_index_keep(lake.index, &second, 1, &test_error));
    must(vector_index_generations(lake.index, all, 16, &count, &test_error));
    assert_int_equal(count, 2);
    assert_int_equal(found(&lake, first).number, 0);
    must(vector_index_promote(lake.index, second, &test_error));
    must(vector_index_prune(lake.index, &test_error)); /* never the active one nor its previous */
    must(vector_index_generations(lake.index, all, 16, &count, &test_error));
    assert_int_equal(count, 2);
    /* An unreadable file is no generation and does not stay. */
    char *path = vector_index_generation_path(lake.index, 50);
    must(tn_file_replace(path, "rubbish", 7, 0644, &test_error));
    must(vector_index_generations(lake.index, all, 16, &count, &test_error));
    assert_int_equal(count, 2);
    must(vector_index_prune(lake.index, &test_error));
    assert_int_not_equal(access(path, F_OK), 0);
    free(path);
    check(&lake);
    end(&lake);
}

/* ---- under load ---- */

struct load {
    struct lake *lake;
    atomic_bool ending;
    atomic_ullong searches;
};

static void *search_on(void *argument)
{
    struct load *load = argument;
    struct vector_searcher *searcher = NULL;
    struct vector_hit hits[K];
    struct tn_error err = {0};
    float query[DIMS], row[DIMS];
    uint64_t seed = (uint64_t)(uintptr_t)&hits;
    if (vector_searcher_new(load->lake->index, &searcher, &err) != TN_OK)
        abort();
    do { /* once at least, however late it begins */
        for (size_t i = 0; i < DIMS; i++)
            query[i] = (float)((seed = space_mix64(seed)) % 1000) - 500.5F;
        struct vector_params params = {.k = K, .recall = 0.9F};
        size_t count = 0;
        if (vector_search(searcher, query, &params, hits, &count, NULL, &err) != TN_OK || count != K)
            abort();
        /* Rows that no change touches are there whatever the generation. */
        if (vector_index_get(load->lake->index, (int64_t)(seed % 100), row, &err) != TN_OK)
            abort();
        atomic_fetch_add(&load->searches, 1);
    } while (!atomic_load(&load->ending));
    vector_searcher_free(searcher);
    return NULL;
}

static void *fold_on(void *argument)
{
    struct load *load = argument;
    struct tn_error err = {0};
    const struct vector_build_options options = {.threads = 1, .low_priority = true};
    while (!atomic_load(&load->ending)) {
        enum tn_code code = vector_index_fold(load->lake->index, &options, NULL, &err);
        if (code != TN_OK && code != TN_EBUSY) /* that is: one that was promoted meanwhile stays */
            abort();
    }
    return NULL;
}

static void churn(struct lake *lake, int round)
{
    int64_t id = 100 + (int64_t)(random_u64() % 100);
    float *row = random_rows(1, DIMS, 0.7F);
    must(vector_index_insert(lake->index, &id, row, 1, &test_error));
    memcpy(lake->rows + id * DIMS, row, DIMS * sizeof *row);
    free(row);
    if (round % 3 == 0)
        must(vector_index_rollback(lake->index, &test_error));
}

/* Made-up queries of few rows say nothing about many: they are made anew. Given ones stay. */
static void test_a_fold_and_its_sample_queries(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        struct lake lake;
        begin(&lake, 100);
        float *queries = random_rows(64, DIMS, 0.7F), *first = NULL;
        const struct vector_build_options options = {.threads = 1, .samples = queries, .sample_count = 64};
        must(vector_index_fold(lake.index, given ? &options : NULL, NULL, &test_error));
        for (int fold = 0; fold < 2; fold++) {
            TN_CLEANUP(generation_close_p) struct generation *g = NULL;
            struct vector_index_info info;
            vector_index_info(lake.index, &info);
            TN_AUTO_FREE char *path = vector_index_generation_path(lake.index, info.generation);
            must(generation_open(path, false, &g, &test_error));
            assert_int_equal(g->header.samples, given ? 64 : 200);
            assert_int_equal(g->header.flags & GENERATION_SAMPLES_GIVEN, given ? GENERATION_SAMPLES_GIVEN : 0);
            size_t bytes = (size_t)g->header.samples * DIMS * sizeof *first;
            if (fold == 0) {
                first = tn_malloc(bytes);
                memcpy(first, g->samples, bytes);
                change(&lake, 500);
                must(vector_index_fold(lake.index, NULL, NULL, &test_error));
            } else {
                assert_int_equal(memcmp(first, g->samples, bytes) == 0, given);
            }
        }
        free(first);
        free(queries);
        end(&lake);
    }
}

/* Swaps of every kind while four threads search and one folds. */
static void test_searches_go_on_through_swaps(void **state)
{
    struct lake lake;
    struct load load = {.lake = &lake};
    pthread_t threads[5];
    (void)state;
    begin(&lake, 200);
    uint64_t kept = build(&lake, 8, 9);
    must(vector_index_promote(lake.index, kept, &test_error));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 4 ? search_on : fold_on, &load), 0);
    int rounds = (int)test_size(40, 20), swaps = 0;
    for (int round = 0; round < rounds || swaps < 10; round++) {
        churn(&lake, round);
        enum tn_code code = vector_index_promote(lake.index, kept, &test_error);
        if (code != TN_OK)
            fail_msg("promote: %s", test_error.detail);
        swaps++;
        must(vector_index_keep(lake.index, &kept, 1, &test_error));
    }
    atomic_store(&load.ending, true);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(atomic_load(&load.searches) > 0);
    check(&lake);
    reopen(&lake);
    check(&lake);
    end(&lake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promoted_after_folds_and_changes), cmocka_unit_test(test_without_its_log_it_is_refused),
        cmocka_unit_test(test_what_nobody_keeps_goes),           cmocka_unit_test(test_a_fold_and_its_sample_queries),
        cmocka_unit_test(test_searches_go_on_through_swaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
