/* Recall by window, measured; and the window for a recall, looked up.
 *
 * Truth comes from a scan of all codes that keeps four times as many as are
 * wanted and ranks those by raw vectors: on the sample queries that is as good
 * as a scan of raw vectors and reads an eighth of it.
 */
#include "vector/build.h"
#include "vector/search.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

static const uint32_t windows[CALIBRATION_WINDOWS] = {10,  14,  20,  28,  40,  56,  80,   112,
                                                      160, 224, 320, 448, 640, 896, 1280, 1792};
static const uint32_t ks[CALIBRATION_KS] = {1, 10, 100};
#define TRUTH_MAX 100U

struct calibrating {
    struct generation *g;
    const float *samples;
    uint32_t count;
    struct builder *asked; /* whether to go on; or NULL */
    struct calibration *out;
    atomic_uint next;
    atomic_int failure;
    double sum[CALIBRATION_KS][CALIBRATION_WINDOWS];
    double squares[CALIBRATION_KS][CALIBRATION_WINDOWS];
    pthread_mutex_t lock;
};

/* Share of the first k of truth (by distance: ties are as good) that was found. */
static double recall_of(const struct ranked *truth, uint32_t k, const struct ranked *found, size_t count)
{
    float limit = truth[k - 1].distance * (1 + 1e-6F) + 1e-7F;
    uint32_t hits = 0;
    for (size_t i = 0; i < count && i < k; i++)
        hits += found[i].distance <= limit;
    return (double)hits / k;
}

static void measure(struct calibrating *c, struct scratch *s, uint32_t query)
{
    struct generation *g = c->g;
    if (space_query_set(&g->space, c->samples + (size_t)query * g->space.dims, &s->query) != SPACE_FINE)
        return;
    struct vector_stats stats = {0};
    uint32_t top = TN_MIN(TRUTH_MAX, g->nodes);
    search_codes(s, g, NULL, 0, NULL, TN_MIN((size_t)4 * top + 64, (size_t)g->nodes), &stats);
    search_rerank(s, g, top, 0, 4, NULL, &stats);
    struct ranked truth[TRUTH_MAX];
    memcpy(truth, s->ranked, top * sizeof *truth);
    double recall[CALIBRATION_KS][CALIBRATION_WINDOWS] = {{0}};
    for (int i = 0; i < CALIBRATION_KS; i++) {
        if (ks[i] > top)
            continue;
        bool perfect = false; /* wider windows only find more */
        for (int w = 0; w < CALIBRATION_WINDOWS; w++) {
            if (!perfect) {
                struct walk_plan plan = {.window = TN_MAX(windows[w], ks[i]), .k = ks[i]};
                plan.capacity = search_capacity(plan.window, ks[i]);
                search_walk(s, g, &plan, &stats);
                search_rerank(s, g, ks[i], 0, RERANK_SIGMAS, NULL, &stats);
            }
            recall[i][w] = perfect ? 1 : recall_of(truth, ks[i], s->ranked, s->ranked_count);
            perfect = perfect || (recall[i][w] >= 1 && w > 0 && recall[i][w - 1] >= 1);
        }
    }
    (void)pthread_mutex_lock(&c->lock);
    for (int i = 0; i < CALIBRATION_KS; i++)
        for (int w = 0; w < CALIBRATION_WINDOWS; w++) {
            c->sum[i][w] += recall[i][w];
            c->squares[i][w] += recall[i][w] * recall[i][w];
        }
    c->out->queries++;
    (void)pthread_mutex_unlock(&c->lock);
}

static void calibrate_worker(void *context, uint32_t worker)
{
    struct calibrating *c = context;
    struct scratch *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    if (!s) {
        atomic_store(&c->failure, TN_ENOMEM);
        return;
    }
    memset(s, 0, sizeof *s);
    if (scratch_fit(s, c->g, 4096, TRUTH_MAX, NULL) == TN_OK)
        for (uint32_t q;
             (!c->asked || build_goes_on(c->asked, worker)) && (q = atomic_fetch_add(&c->next, 1)) < c->count;)
            measure(c, s, q);
    else
        atomic_store(&c->failure, TN_ENOMEM);
    scratch_release(s);
    free(s);
}

enum tn_code calibrate(struct generation *g, const float *samples, uint32_t count, uint32_t threads,
                       struct builder *asked, struct calibration *ret, struct tn_error *err)
{
    struct calibration out = {.expand = g->cold.expand, .ahead = g->cold.ahead};
    struct calibrating c = {.g = g, .samples = samples, .count = count, .asked = asked, .out = &out};
    (void)pthread_mutex_init(&c.lock, NULL);
    parallel_run(threads, false, calibrate_worker, &c);
    (void)pthread_mutex_destroy(&c.lock);
    if (atomic_load(&c.failure) != TN_OK)
        return tn_fail(err, TN_ENOMEM, "not enough memory to calibrate");
    if (asked)
        TN_TRY(build_outcome(asked, err));
    for (int i = 0; i < CALIBRATION_KS; i++) {
        out.ks[i] = ks[i] <= TN_MIN(TRUTH_MAX, g->nodes) && out.queries ? ks[i] : 0;
        for (int w = 0; w < CALIBRATION_WINDOWS && out.queries; w++) {
            double n = out.queries;
            double mean = c.sum[i][w] / n;
            out.windows[w] = windows[w];
            out.recall[i][w] = (float)mean;
            out.error[i][w] = (float)sqrt(fmax(0, c.squares[i][w] / n - mean * mean) / n);
        }
    }
    *ret = out;
    return TN_OK;
}

/* One error below the mean is taken: half of all queries are not enough. */
static double window_at(const struct calibration *c, int row, double recall)
{
    double before_recall = 0;
    double before_window = 1;
    for (int w = 0; w < CALIBRATION_WINDOWS; w++) {
        double r = (double)(c->recall[row][w] - c->error[row][w]);
        if (r >= recall) {
            if (w == 0 || !(r > before_recall))
                return c->windows[w];
            /* Misses fall geometrically with the window: interpolate their logarithm. */
            double a = log(1.0005 - before_recall), b = log(1.0005 - fmin(r, 1)), x = log(1.0005 - recall);
            double t = a > b ? (a - x) / (a - b) : 1;
            return before_window + t * (c->windows[w] - before_window);
        }
        before_recall = fmax(r, before_recall);
        before_window = c->windows[w];
    }
    return 2.0 * c->windows[CALIBRATION_WINDOWS - 1];
}

uint32_t calibration_window(const struct calibration *c, uint32_t k, float recall)
{
    double window = 0;
    for (int i = 0; i < CALIBRATION_KS; i++) {
        if (c->ks[i] == 0)
            continue;
        window = window_at(c, i, (double)recall);
        if (c->ks[i] >= k)
            break;
        if (i == CALIBRATION_KS - 1 || c->ks[i + 1] == 0) /* beyond what was measured */
            window *= (double)k / c->ks[i];
    }
    if (c->queries == 0 || c->ks[0] == 0)
        window = 64.0 + 2.0 * k;
    return (uint32_t)fmin(fmax(ceil(window), k), VECTOR_WINDOW_MAX);
}
