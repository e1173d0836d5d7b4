/* The contract of k under filters: shares times correlations, every strategy. */
#include "vector/index.h"
#include "vector/test_support.h"

enum { ROWS_MAX = 30000, DIMS = 32, K = 10, QUERIES_MAX = 12 };

static size_t row_count, query_count;

static float *rows;
static char *folder;
static struct vector_index *index_;
static struct vector_searcher *searcher;

static int set_up(void **state)
{
    (void)state;
    row_count = test_size(ROWS_MAX, 9000);
    query_count = test_size(QUERIES_MAX, 3);
    rows = random_rows(row_count, DIMS, 0.6F);
    folder = temporary_folder();
    char *path = tn_asprintf("%s/x.tvg", folder);
    struct vector_rows source = {.count = row_count, .dims = DIMS, .data = rows};
    struct vector_build_options options = {
        .threads = 2, .ef_construction = (uint32_t)test_size(100, 60), .metric = VECTOR_L2};
    must(vector_build(&source, &options, path, NULL, &test_error));
    index_ = open_warm(path);
    must(vector_searcher_new(index_, &searcher, &test_error));
    free(path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vector_searcher_free(searcher);
    vector_index_close(index_);
    temporary_remove(folder);
    free(rows);
    return 0;
}

struct ordered {
    double distance;
    size_t row;
};

static int by_distance(const void *a, const void *b)
{
    const struct ordered *x = a;
    const struct ordered *y = b;
    return x->distance < y->distance ? -1 : x->distance > y->distance;
}

/* Which rows pass: at random, or drawn from the half that is near the query
 * (1) or far from it (-1). */
static size_t choose(const float *query, double share, int correlation, bool *pass)
{
    static struct ordered all[ROWS_MAX];
    for (size_t i = 0; i < row_count; i++)
        all[i] = (struct ordered){true_distance(VECTOR_L2, rows + i * DIMS, query, DIMS), i};
    qsort(all, row_count, sizeof *all, by_distance);
    size_t count = 0;
    memset(pass, 0, row_count * sizeof *pass);
    for (size_t i = 0; i < row_count; i++) {
        double chance = correlation == 0                           ? share
                        : (correlation > 0) == (i < row_count / 2) ? TN_MIN(1.0, 2 * share)
                                                                   : 0;
        if ((double)random_unit() < chance) {
            pass[all[i].row] = true;
            count++;
        }
    }
    return count;
}

static bool callback(void *context, int64_t id)
{
    return ((const bool *)context)[id];
}

static void cell(double share, int correlation, int kind)
{
    static bool pass[ROWS_MAX];
    static uint8_t bits[ROWS_MAX / 8];
    static int64_t ids[ROWS_MAX];
    float *queries = random_rows(query_count, DIMS, 0.6F);
    double recall = 0;
    for (size_t i = 0; i < query_count; i++) {
        const float *q = queries + i * DIMS;
        size_t matches = choose(q, share, correlation, pass);
        struct vector_filter filter = {.kind = (enum vector_filter_kind)kind,
                                       .bits = bits,
                                       .bit_count = row_count,
                                       .ids = ids,
                                       .passes = callback,
                                       .context = pass};
        memset(bits, 0, sizeof bits);
        for (size_t r = 0; r < row_count; r++)
            if (pass[r]) {
                bits[r / 8] |= (uint8_t)(1U << (r % 8));
                ids[filter.id_count++] = (int64_t)r;
            }
        struct vector_params p = {.k = K, .recall = 0.98F, .filter = &filter};
        struct vector_hit hits[K];
        struct vector_stats stats;
        size_t count;
        must(vector_search(searcher, q, &p, hits, &count, &stats, &test_error));
        size_t want = TN_MIN(matches, (size_t)K);
        if (count != want)
            fail_msg("share %g correlation %d kind %d: %zu hits of %zu (%s)", share, correlation, kind, count, want,
                     vector_strategy_word(stats.strategy));
        assert_hits_sound(hits, count);
        for (size_t h = 0; h < count; h++)
            assert_true(pass[hits[h].id]);
        recall +=
            want ? hits_recall(hits, count, true_kth(VECTOR_L2, rows, row_count, DIMS, q, want, pass), want) : 1;
    }
    if (recall / (double)query_count < 0.95)
        fail_msg("share %g correlation %d kind %d: recall %.3f", share, correlation, kind,
                 recall / (double)query_count);
    free(queries);
}

static void test_always_k_with_recall(void **state)
{
    (void)state;
    static const double shares[] = {0.5, 0.3, 0.25, 0.22, 0.1, 0.01, 0.001, 0.0001, 0};
    for (size_t s = 0; s < TN_COUNT(shares); s++)
        for (int correlation = -1; correlation <= 1; correlation++)
            for (int kind = VECTOR_FILTER_BITMAP; kind <= VECTOR_FILTER_CALLBACK; kind++)
                cell(shares[s], correlation, kind);
}

/* The walk for shares too small to filter late and too many rows to gather:
 * sets that large are no unit test, so it is called by itself. */
static void test_two_hop_walk_stays_among_passing_rows(void **state)
{
    (void)state;
    static bool pass[ROWS_MAX];
    const struct generation *g = atomic_load(&index_->state)->generation;
    struct scratch *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    memset(s, 0, sizeof *s);
    must(scratch_fit(s, g, 256, K, &test_error));
    float *queries = random_rows(query_count, DIMS, 0.6F);
    double recall = 0;
    for (size_t i = 0; i < query_count; i++) {
        const float *q = queries + i * DIMS;
        (void)choose(q, 0.04, 0, pass);
        struct vector_filter filter = {.kind = VECTOR_FILTER_CALLBACK, .passes = callback, .context = pass};
        struct admission admission;
        admission_init(&admission, g, NULL, 0, &filter);
        assert_true(fabsf(admission.selectivity - 0.04F) < 0.04F);
        uint32_t seeds[32];
        size_t seed_count = admission_seeds(&admission, seeds, 32);
        assert_int_equal(seed_count, 32);
        struct walk_plan plan = {.window = 128,
                                 .capacity = 160,
                                 .k = K,
                                 .admit = admission_admit(&admission),
                                 .seeds = seeds,
                                 .seed_count = seed_count};
        struct vector_stats stats = {0};
        assert_int_equal(space_query_set(&g->space, q, &s->query), SPACE_FINE);
        search_two_hop(s, g, &plan, &stats);
        search_rerank(s, g, K, 0, 3, plan.admit, &stats);
        double kth = true_kth(VECTOR_L2, rows, row_count, DIMS, q, K, pass);
        assert_int_equal(s->ranked_count, K);
        for (size_t r = 0; r < K; r++) {
            assert_true(pass[g->ids[s->ranked[r].node]]);
            if (sqrt((double)s->ranked[r].distance) <= kth * 1.0001)
                recall += 1.0 / K;
        }
    }
    assert_true(recall / (double)query_count >= 0.95);
    free(queries);
    scratch_release(s);
    free(s);
}

static bool is_odd(void *context, int64_t id)
{
    (void)context;
    return id % 2;
}

static uint64_t seventh(void *context, int64_t id)
{
    (void)context;
    return (uint64_t)id % 7;
}

static void test_groups_are_cut(void **state)
{
    (void)state;
    float *q = random_rows(1, DIMS, 0.6F);
    struct vector_filter odd = {.kind = VECTOR_FILTER_CALLBACK, .passes = is_odd};
    struct vector_params p = {.k = 14, .max_per_group = 2, .group_of = seventh, .filter = &odd};
    struct vector_hit hits[20];
    size_t count;
    must(vector_search(searcher, q, &p, hits, &count, NULL, &test_error));
    assert_int_equal(count, 14);
    assert_hits_sound(hits, count);
    int often[7] = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hits[i].id % 2, 1);
        often[hits[i].id % 7]++;
    }
    for (int g = 0; g < 7; g++)
        assert_int_equal(often[g], 2);
    p.k = 20; /* more than seven groups of two can give */
    must(vector_search(searcher, q, &p, hits, &count, NULL, &test_error));
    assert_int_equal(count, 14);
    free(q);
}

static void test_range(void **state)
{
    (void)state;
    static struct vector_hit hits[3000];
    float *queries = random_rows(query_count, DIMS, 0.6F);
    struct vector_params p = {.recall = 0.99F};
    for (size_t i = 0; i < query_count; i++) {
        const float *q = queries + i * DIMS;
        for (size_t want = 1; want <= 1000; want *= 10) {
            float radius = (float)true_kth(VECTOR_L2, rows, row_count, DIMS, q, want, NULL) * 1.00001F;
            size_t count;
            bool more;
            must(vector_search_range(searcher, q, radius, &p, hits, 3000, &count, &more, NULL, &test_error));
            assert_false(more);
            assert_in_range(count, want * 95 / 100, want + 1);
            assert_hits_sound(hits, count);
            for (size_t h = 0; h < count; h++)
                assert_true(hits[h].distance <= radius);
            if (want >= 10) {
                must(vector_search_range(searcher, q, radius, &p, hits, want / 2, &count, &more, NULL, &test_error));
                assert_int_equal(count, want / 2);
                assert_true(more);
            }
        }
        size_t count;
        bool more;
        must(vector_search_range(searcher, q, 0.0F, &p, hits, 10, &count, &more, NULL, &test_error));
        assert_int_equal(count, 0);
    }
    free(queries);
}

static void test_statistics_say_what_happened(void **state)
{
    (void)state;
    float *q = random_rows(1, DIMS, 0.6F);
    struct vector_params p = {.k = 10, .window = 40};
    struct vector_hit hits[10];
    struct vector_stats stats;
    size_t count;
    must(vector_search(searcher, q, &p, hits, &count, &stats, &test_error));
    assert_int_equal(stats.strategy, VECTOR_STRATEGY_GRAPH);
    assert_int_equal(stats.stop, VECTOR_STOP_WINDOW);
    assert_true(stats.hops >= 40 && stats.distances > stats.hops && stats.reranked >= 10);
    assert_true(stats.probe_first <= stats.probe_tenth && stats.probe_tenth <= stats.probe_sixteenth);
    p.patience = 1;
    must(vector_search(searcher, q, &p, hits, &count, &stats, &test_error));
    assert_int_equal(count, 10);
    p.patience = 0;
    p.k = 0;
    assert_int_equal(vector_search(searcher, q, &p, hits, &count, &stats, &test_error), TN_EREQUEST);
    p.k = 10;
    p.recall = 1.5F;
    assert_int_equal(vector_search(searcher, q, &p, hits, &count, &stats, &test_error), TN_EREQUEST);
    p.recall = 0;
    q[3] = NAN;
    assert_int_equal(vector_search(searcher, q, &p, hits, &count, &stats, &test_error), TN_EREQUEST);
    free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always_k_with_recall),
        cmocka_unit_test(test_two_hop_walk_stays_among_passing_rows),
        cmocka_unit_test(test_groups_are_cut),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_statistics_say_what_happened),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
