/* An index against an exact model: random changes, folds, rollbacks, reopens;
 * a writer killed at any moment. All at once is in soak_test.c. */
#include "vector/test_support.h"

#include "base/fault.h"

#include <signal.h>
#include <sys/wait.h>

enum { DIMS = 12, IDS = 400, K = 10 };

/* The exact model: a row per id or none. */
struct model {
    bool alive[IDS];
    float rows[IDS * DIMS];
    size_t live;
};

static void model_put(struct model *m, int64_t id, const float *row)
{
    m->live += !m->alive[id];
    m->alive[id] = true;
    memcpy(m->rows + id * DIMS, row, DIMS * sizeof *row);
}

static void model_remove(struct model *m, int64_t id)
{
    m->live -= m->alive[id];
    m->alive[id] = false;
}

static char *make_index(const char *folder, const float *rows, size_t count, enum vector_metric metric)
{
    char *file = tn_asprintf("%s/first.tvg", folder);
    char *path = tn_asprintf("%s/index", folder);
    struct vector_rows source = {.count = count, .dims = DIMS, .data = rows};
    struct vector_build_options options = {.threads = 1, .ef_construction = 60, .metric = metric};
    must(vector_build(&source, &options, file, NULL, &test_error));
    must(vector_index_create(path, file, &test_error));
    free(file);
    return path;
}

static void check_against(struct vector_index *index, const struct model *m, enum vector_metric metric)
{
    struct vector_searcher *searcher = NULL;
    must(vector_searcher_new(index, &searcher, &test_error));
    struct vector_hit hits[IDS];
    struct vector_index_info info;
    size_t count;
    vector_index_info(index, &info);
    assert_int_equal(info.live, m->live);
    float *q = random_rows(1, DIMS, 0.7F);
    for (int mode = VECTOR_MODE_AUTO; mode <= VECTOR_MODE_EXACT; mode++) {
        struct vector_params p = {.k = K, .mode = (enum vector_mode)mode, .window = 64};
        must(vector_search(searcher, q, &p, hits, &count, NULL, &test_error));
        size_t want = TN_MIN(m->live, (size_t)K);
        if (count != want)
            fail_msg("mode %d: %zu hits, %zu rows live", mode, count, m->live);
        assert_hits_sound(hits, count);
        double kth = want ? true_kth(metric, m->rows, IDS, DIMS, q, want, m->alive) : 0;
        if (mode == VECTOR_MODE_EXACT && want)
            assert_true(hits_recall(hits, count, kth, want) >= 1);
        for (size_t i = 0; i < count; i++) {
            assert_true(m->alive[hits[i].id]);
            double d = true_distance(metric, m->rows + hits[i].id * DIMS, q, DIMS);
            assert_true(fabs(d - (double)hits[i].distance) < 1e-4 * (1 + fabs(d)));
        }
    }
    /* All of them: nothing lost, nothing twice. */
    struct vector_params all = {.k = IDS};
    must(vector_search(searcher, q, &all, hits, &count, NULL, &test_error));
    assert_int_equal(count, m->live);
    assert_hits_sound(hits, count);
    free(q);
    vector_searcher_free(searcher);
}

static void some_changes(struct vector_index *index, struct model *m)
{
    int64_t ids[8];
    size_t n = 1 + random_u64() % 8;
    for (size_t i = 0; i < n; i++)
        ids[i] = (int64_t)(random_u64() % IDS);
    if (random_u64() % 3 == 0) {
        size_t deleted, want = 0;
        for (size_t i = 0; i < n; i++) {
            want += m->alive[ids[i]];
            model_remove(m, ids[i]);
        }
        must(vector_index_delete(index, ids, n, &deleted, &test_error));
        assert_int_equal(deleted, want);
        return;
    }
    float *rows = random_rows(n, DIMS, 0.7F);
    if (random_u64() % 4 == 0) /* a copy of a row that is there, or a zero */
        memcpy(rows, m->rows + random_u64() % IDS * DIMS, DIMS * sizeof *rows);
    must(vector_index_insert(index, ids, rows, n, &test_error));
    for (size_t i = 0; i < n; i++)
        model_put(m, ids[i], rows + i * DIMS);
    free(rows);
}

static void run_model(enum vector_metric metric, uint64_t seed, int steps)
{
    test_random = seed;
    struct model *m = calloc(1, sizeof *m);
    char *folder = temporary_folder();
    float *rows = random_rows(150, DIMS, 0.7F);
    for (int64_t i = 0; i < 150; i++)
        model_put(m, i, rows + i * DIMS);
    char *path = make_index(folder, rows, 150, metric);
    free(rows);
    struct vector_index *index = open_warm(path);
    bool folded = false;
    for (int step = 0; step < steps; step++) {
        switch (random_u64() % 40) {
        case 0:
            if (m->live) {
                must(vector_index_fold(index, NULL, NULL, &test_error));
                must(vector_index_prune(index, &test_error));
                folded = true;
            }
            break;
        case 1:
            if (folded)
                must(vector_index_rollback(index, &test_error));
            break;
        case 2:
        case 3:
            vector_index_close(index);
            index = open_warm(path);
            break;
        default:
            some_changes(index, m);
            break;
        }
        if (step % 5 == 0)
            check_against(index, m, metric);
    }
    check_against(index, m, metric);
    must(vector_index_health(index, &test_error));
    vector_index_close(index);
    free(path);
    free(m);
    temporary_remove(folder);
}

static void test_random_changes_match_the_model(void **state)
{
    (void)state;
    int steps = (int)test_size(300, 120);
    for (uint64_t seed = 1; seed <= test_size(4, 1); seed++) {
        run_model(VECTOR_COSINE, seed, steps);
        run_model(VECTOR_L2, seed + 100, steps);
        run_model(VECTOR_INNER_PRODUCT, seed + 200, steps / 2);
    }
}

static void test_a_replaced_row_reads_back(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    float *rows = random_rows(20, DIMS, 0.7F);
    char *path = make_index(folder, rows, 20, VECTOR_L2);
    struct vector_index *index = open_warm(path);
    float got[DIMS];
    int64_t id = 7;
    must(vector_index_get(index, id, got, &test_error));
    assert_memory_equal(got, rows + 7 * DIMS, sizeof got);
    must(vector_index_insert(index, &id, rows, 1, &test_error));
    must(vector_index_get(index, id, got, &test_error));
    assert_memory_equal(got, rows, sizeof got);
    assert_int_equal(vector_index_largest_id(index), 19);
    size_t deleted;
    must(vector_index_delete(index, &id, 1, &deleted, &test_error));
    assert_int_equal(vector_index_get(index, id, got, &test_error), TN_ENOTFOUND);
    rows[5] = NAN;
    assert_int_equal(vector_index_insert(index, &id, rows, 1, &test_error), TN_EREFUSED);
    struct vector_index *other = NULL;
    assert_int_equal(vector_index_open(path, NULL, &other, &test_error), TN_ELOCKED);
    struct vector_open_options reading = {.read_only = true};
    must(vector_index_open(path, &reading, &other, &test_error));
    assert_int_equal(vector_index_delete(other, &id, 1, &deleted, &test_error), TN_EREADONLY);
    assert_int_equal(vector_index_fold(other, NULL, NULL, &test_error), TN_EREADONLY);
    vector_index_close(other);
    assert_int_equal(vector_index_rollback(index, &test_error), TN_ENOTFOUND);
    vector_index_close(index);
    free(path);
    free(rows);
    temporary_remove(folder);
}

static void test_an_index_folds_by_itself(void **state)
{
    (void)state;
    struct model *m = calloc(1, sizeof *m);
    char *folder = temporary_folder();
    float *rows = random_rows(150, DIMS, 0.7F);
    for (int64_t i = 0; i < 150; i++)
        model_put(m, i, rows + i * DIMS);
    char *path = make_index(folder, rows, 150, VECTOR_L2);
    free(rows);
    struct vector_open_options options = {.fold_rows = 40};
    struct vector_index *index = NULL;
    must(vector_index_open(path, &options, &index, &test_error));
    struct vector_index_info info = {0};
    while (info.folds < 3) {
        some_changes(index, m);
        vector_index_info(index, &info);
    }
    check_against(index, m, VECTOR_L2);
    vector_index_close(index); /* perhaps in the middle of a fold */
    index = open_warm(path);
    check_against(index, m, VECTOR_L2);
    vector_index_info(index, &info);
    assert_true(info.generation >= 3);
    vector_index_close(index);
    free(path);
    free(m);
    temporary_remove(folder);
}

/* ---- a writer that dies ---- */

/* Inserts rows whose vector says their id, one acknowledged byte each. */
static void write_until_killed(const char *path, int acks)
{
    struct vector_index *index = NULL;
    struct vector_open_options options = {.no_warm = true};
    if (vector_index_open(path, &options, &index, NULL) != TN_OK)
        _exit(9);
    for (int64_t id = 1000;; id++) {
        float row[DIMS] = {(float)id, 1};
        if (vector_index_insert(index, &id, row, 1, NULL) != TN_OK || write(acks, "x", 1) != 1)
            _exit(8);
        if (id % 50 == 0 && vector_index_fold(index, NULL, NULL, NULL) != TN_OK)
            _exit(7);
    }
}

static void test_what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    for (size_t round = 0; round < 12; round += test_size(1, 5)) {
        char *folder = temporary_folder();
        float *rows = random_rows(30, DIMS, 0.7F);
        char *path = make_index(folder, rows, 30, VECTOR_L2);
        int acks[2];
        assert_int_equal(pipe(acks), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(acks[0]);
            write_until_killed(path, acks[1]);
        }
        (void)close(acks[1]);
        size_t acknowledged = 0;
        char c;
        size_t enough = 1 + round * 23;
        while (acknowledged < enough && read(acks[0], &c, 1) == 1)
            acknowledged++;
        (void)kill(child, SIGKILL);
        while (read(acks[0], &c, 1) == 1)
            acknowledged++;
        int status;
        (void)waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        (void)close(acks[0]);
        struct vector_index *index = open_warm(path);
        for (size_t i = 0; i < acknowledged; i++) {
            float got[DIMS];
            must(vector_index_get(index, 1000 + (int64_t)i, got, &test_error));
            assert_true(got[0] == (float)(1000 + i));
        }
        struct vector_index_info info;
        vector_index_info(index, &info);
        assert_in_range(info.live, 30 + acknowledged, 31 + acknowledged);
        must(vector_index_health(index, &test_error));
        vector_index_close(index);
        free(path);
        free(rows);
        temporary_remove(folder);
    }
}

/* An argument is a pattern of test names: one of them under a slow tool. */
int main(int argc, char **argv)
{
    tn_fault_init();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replaced_row_reads_back),
        cmocka_unit_test(test_random_changes_match_the_model),
        cmocka_unit_test(test_an_index_folds_by_itself),
        cmocka_unit_test(test_what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
