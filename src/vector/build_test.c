/* Building and searching: recall floors, odd rows, files that are the same. */
#include "vector/test_support.h"

struct setup {
    char *folder, *path;
    float *rows;
    size_t count;
    uint32_t dims;
    struct vector_build_options options;
    struct vector_build_report report;
};

static void build(struct setup *s)
{
    struct vector_rows rows = {.count = s->count, .dims = s->dims, .data = s->rows};
    s->folder = temporary_folder();
    s->path = tn_asprintf("%s/x.tvg", s->folder);
    must(vector_build(&rows, &s->options, s->path, &s->report, &test_error));
    struct vector_verify_report v;
    must(vector_verify_file(s->path, &v, &test_error));
    assert_int_equal(v.unreachable, 0);
    assert_int_equal(v.self_links, 0);
    assert_int_equal(v.double_links, 0);
}

static void tear_down(struct setup *s)
{
    free(s->path);
    free(s->rows);
    temporary_remove(s->folder);
}

static double mean_recall(const struct setup *s, const struct vector_params *params, size_t queries, float spread)
{
    struct vector_index *index = open_warm(s->path);
    struct vector_searcher *searcher = NULL;
    must(vector_searcher_new(index, &searcher, &test_error));
    float *q = random_rows(queries, s->dims, spread);
    struct vector_hit *hits = calloc(params->k, sizeof *hits);
    double sum = 0;
    for (size_t i = 0; i < queries; i++) {
        size_t count;
        struct vector_stats stats;
        must(vector_search(searcher, q + i * s->dims, params, hits, &count, &stats, &test_error));
        assert_int_equal(count, TN_MIN((size_t)params->k, s->count));
        assert_hits_sound(hits, count);
        double kth = true_kth(s->options.metric, s->rows, s->count, s->dims, q + i * s->dims, count, NULL);
        sum += hits_recall(hits, count, kth, count);
    }
    free(hits);
    free(q);
    vector_searcher_free(searcher);
    vector_index_close(index);
    return sum / (double)queries;
}

static void floor_case(enum vector_metric metric, uint32_t dims, enum vector_type raw, uint32_t bits, float spread)
{
    size_t count = test_size(6000, 1200);
    struct setup s = {.count = count, .dims = dims, .rows = random_rows(count, dims, spread)};
    s.options = (struct vector_build_options){
        .metric = metric, .raw = raw, .code_bits = bits, .threads = 2, .ef_construction = 100, .seed = 7};
    build(&s);
    struct vector_params graph = {.k = 10, .window = 128, .mode = VECTOR_MODE_GRAPH};
    struct vector_params exact = {.k = 10, .mode = VECTOR_MODE_EXACT};
    struct vector_params scan = {.k = 10, .mode = VECTOR_MODE_SCAN};
    double by_graph = mean_recall(&s, &graph, test_size(60, 30), spread);
    double by_exact = mean_recall(&s, &exact, 20, spread);
    double by_scan = mean_recall(&s, &scan, 20, spread);
    if (by_graph < 0.95 || by_exact < (raw == VECTOR_F16 ? 0.95 : 0.999) || by_scan < 0.95)
        fail_msg("%s %u dims: graph %.3f exact %.3f scan %.3f", vector_metric_word(metric), dims, by_graph, by_exact,
                 by_scan);
    tear_down(&s);
}

static void test_recall_floors(void **state)
{
    (void)state;
    floor_case(VECTOR_COSINE, 96, VECTOR_F32, 0, 0.5F);
    floor_case(VECTOR_COSINE, 384, VECTOR_F16, 0, 0.5F);
    floor_case(VECTOR_L2, 30, VECTOR_F32, 8, 1);
    floor_case(VECTOR_L2, 200, VECTOR_F32, 4, 0.4F);
    floor_case(VECTOR_INNER_PRODUCT, 100, VECTOR_F32, 0, 0.6F);
    floor_case(VECTOR_L2, 2, VECTOR_F32, 0, 0.5F);
}

static void test_wanted_recall_is_kept(void **state)
{
    (void)state;
    size_t count = test_size(20000, 4000);
    struct setup s = {.count = count, .dims = 64, .rows = random_rows(count, 64, 0.6F)};
    s.options = (struct vector_build_options){.threads = 2, .ef_construction = (uint32_t)test_size(100, 50)};
    build(&s);
    struct vector_params p = {.k = 10, .recall = 0.9F};
    double low = mean_recall(&s, &p, test_size(200, 100), 0.6F);
    p.recall = 0.98F;
    double high = mean_recall(&s, &p, test_size(200, 100), 0.6F);
    if (low < 0.88 || high < 0.965)
        fail_msg("wanted .90 and .98, got %.4f and %.4f", low, high);
    tear_down(&s);
}

static void test_few_rows(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 40; n += n < 6 ? 1 : 17) {
        struct setup s = {.count = n, .dims = 5, .rows = random_rows(n, 5, 1)};
        s.options = (struct vector_build_options){.metric = VECTOR_L2};
        build(&s);
        struct vector_params p = {.k = 10};
        assert_true(mean_recall(&s, &p, 10, 1) >= 0.999);
        p.mode = VECTOR_MODE_GRAPH;
        (void)mean_recall(&s, &p, 10, 1); /* counts are asserted inside */
        tear_down(&s);
    }
}

/* Equal rows share a node, keep their ids, and do not become a sink. */
static void test_equal_rows(void **state)
{
    (void)state;
    struct setup s = {.count = 3000, .dims = 16, .rows = random_rows(3000, 16, 0.7F)};
    for (size_t i = 500; i < 1600; i++)
        memcpy(s.rows + i * 16, s.rows + 499 * 16, 16 * sizeof(float));
    s.options = (struct vector_build_options){.ef_construction = 60};
    build(&s);
    assert_int_equal(s.report.nodes, 3000 - 1100);
    assert_int_equal(s.report.duplicates, 1100);
    struct vector_params p = {.k = 20};
    assert_true(mean_recall(&s, &p, 60, 0.7F) >= 0.95);
    struct vector_index *index = open_warm(s.path);
    struct vector_searcher *searcher = NULL;
    must(vector_searcher_new(index, &searcher, &test_error));
    static struct vector_hit hits[1200];
    size_t count;
    p.k = 1200;
    must(vector_search(searcher, s.rows + 499 * 16, &p, hits, &count, NULL, &test_error));
    assert_int_equal(count, 1200);
    assert_hits_sound(hits, count);
    for (size_t i = 0; i < 1101; i++)
        assert_in_range(hits[i].id, 499, 1599);
    vector_searcher_free(searcher);
    vector_index_close(index);
    tear_down(&s);
}

static void test_zero_rows_are_found_at_distance_one(void **state)
{
    (void)state;
    struct setup s = {.count = 50, .dims = 8, .rows = random_rows(50, 8, 0.5F)};
    memset(s.rows + 3 * 8, 0, 8 * sizeof(float));
    memset(s.rows + 44 * 8, 0, 8 * sizeof(float));
    build(&s);
    assert_int_equal(s.report.zeros, 2);
    struct vector_index *index = open_warm(s.path);
    struct vector_searcher *searcher = NULL;
    must(vector_searcher_new(index, &searcher, &test_error));
    struct vector_hit hits[50];
    size_t count;
    for (int mode = VECTOR_MODE_AUTO; mode <= VECTOR_MODE_EXACT; mode++) {
        struct vector_params p = {.k = 50, .mode = (enum vector_mode)mode};
        must(vector_search(searcher, s.rows, &p, hits, &count, NULL, &test_error));
        assert_int_equal(count, 50);
        assert_hits_sound(hits, count);
        for (size_t i = 0; i < count; i++)
            if (hits[i].id == 3 || hits[i].id == 44)
                assert_true(hits[i].distance == 1.0F);
    }
    float zero[8] = {0};
    struct vector_params p = {.k = 5};
    assert_int_equal(vector_search(searcher, zero, &p, hits, &count, NULL, &test_error), TN_EREQUEST);
    vector_searcher_free(searcher);
    vector_index_close(index);
    tear_down(&s);
}

static void test_only_zero_rows(void **state)
{
    (void)state;
    struct setup s = {.count = 3, .dims = 4, .rows = calloc(12, sizeof(float))};
    build(&s);
    struct vector_index *index = open_warm(s.path);
    struct vector_searcher *searcher = NULL;
    must(vector_searcher_new(index, &searcher, &test_error));
    struct vector_hit hits[5];
    size_t count;
    float q[4] = {1, 2, 3, 4};
    struct vector_params p = {.k = 5};
    must(vector_search(searcher, q, &p, hits, &count, NULL, &test_error));
    assert_int_equal(count, 3);
    vector_searcher_free(searcher);
    vector_index_close(index);
    tear_down(&s);
}

static void test_refusals(void **state)
{
    (void)state;
    float rows[4][3] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {1, 0, 0}};
    int64_t ids[4] = {10, 20, 30, 20};
    char *folder = temporary_folder();
    char *path = tn_asprintf("%s/x.tvg", folder);
    struct vector_rows source = {.count = 4, .dims = 3, .data = rows, .ids = ids};
    struct vector_build_options options = {0};
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_EREFUSED);
    assert_non_null(strstr(test_error.detail, "20"));
    ids[3] = 40;
    rows[2][1] = NAN;
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_EREFUSED);
    assert_non_null(strstr(test_error.detail, "30"));
    rows[2][1] = INFINITY;
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_EREFUSED);
    rows[2][1] = 1e30F;
    must(vector_build(&source, &options, path, NULL, &test_error)); /* cosine: large is fine */
    options.metric = VECTOR_L2;
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_EREFUSED);
    rows[2][1] = 1e-42F;
    must(vector_build(&source, &options, path, NULL, &test_error)); /* denormals too */
    options.memory_budget = 1000;
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_ENOMEM);
    options.memory_budget = 0;
    struct vector_control control = {VECTOR_CANCEL};
    options.control = &control;
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_ECANCELLED);
    source.dims = 1;
    assert_int_equal(vector_build(&source, &options, path, NULL, &test_error), TN_EREQUEST);
    free(path);
    temporary_remove(folder);
}

static bool until_calibration(void *context, enum vector_phase phase, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return phase != VECTOR_PHASE_CALIBRATE;
}

static void test_calibration_can_be_cancelled(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    float *data = random_rows(VECTOR_SAMPLES_MAX, 40, 0.6F);
    char *path = tn_asprintf("%s/g", folder);
    struct vector_rows rows = {.count = 2000, .dims = 40, .data = data};
    struct vector_build_options options = {.threads = 1,
                                           .ef_construction = 20,
                                           .samples = data,
                                           .sample_count = VECTOR_SAMPLES_MAX,
                                           .progress = until_calibration};
    assert_int_equal(vector_build(&rows, &options, path, NULL, &test_error), TN_ECANCELLED);
    assert_int_equal(access(path, F_OK), -1);
    TN_AUTO_FREE char *temporary = tn_asprintf("%s.tmp", path);
    assert_int_equal(access(temporary, F_OK), -1);
    free(path);
    free(data);
    temporary_remove(folder);
}

static void test_one_thread_and_a_seed_decide_the_graph(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    float *data = random_rows(2000, 40, 0.6F);
    struct vector_rows rows = {.count = 2000, .dims = 40, .data = data};
    struct vector_build_options options = {.threads = 1, .seed = 5, .ef_construction = 50};
    TN_AUTO_BUF a = {0};
    TN_AUTO_BUF b = {0};
    TN_AUTO_BUF c = {0};
    struct tn_buf *bufs[3] = {&a, &b, &c};
    for (int i = 0; i < 3; i++) {
        char *path = tn_asprintf("%s/%d.tvg", folder, i);
        options.seed = i == 2 ? 6 : 5;
        must(vector_build(&rows, &options, path, NULL, &test_error));
        must(tn_file_read(path, 100000000, bufs[i], &test_error));
        free(path);
    }
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_true(c.len != a.len || memcmp(a.data, c.data, a.len) != 0);
    free(data);
    temporary_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall_floors),
        cmocka_unit_test(test_wanted_recall_is_kept),
        cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_equal_rows),
        cmocka_unit_test(test_zero_rows_are_found_at_distance_one),
        cmocka_unit_test(test_only_zero_rows),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_calibration_can_be_cancelled),
        cmocka_unit_test(test_one_thread_and_a_seed_decide_the_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
