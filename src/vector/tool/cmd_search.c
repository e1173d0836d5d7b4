/* search and eval: the same measured run, once or once per window. */
#include "vector/tool/tool.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

struct run {
    struct vector_index *index;
    struct vector_index_info info;
    float *queries;
    uint64_t count;
    uint32_t k;
    uint32_t threads;
    struct vector_params params;
    struct vector_filter filter;
    struct vector_hit *hits;
    size_t *counts;
    struct vector_stats *stats;
    uint64_t *nanoseconds;
    double seconds;
    double cpu_seconds; /* of the round that took least */
};

static void run_release(struct run *r)
{
    vector_index_close(r->index);
    free(r->queries);
    free(r->hits);
    free(r->counts);
    free(r->stats);
    free(r->nanoseconds);
}

static enum tn_code run_open(struct run *r, const struct arguments *a, struct input *filter, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input input = {0};
    struct vector_open_options options = {.read_only = true, .warm_now = !a->cold, .no_warm = a->cold};
    TN_TRY(vector_index_open(a->files[0], &options, &r->index, err));
    vector_index_info(r->index, &r->info);
    TN_TRY(input_open(a->files[1], &input, err));
    if (input.columns != r->info.dims)
        return tn_fail(err, TN_EUNREADABLE, "%s has %llu dimensions, the index %u", a->files[1],
                       (unsigned long long)input.columns, r->info.dims);
    TN_TRY(input_floats(&input, a->files[1], a->limit, &r->queries, err));
    r->count = a->limit ? TN_MIN(a->limit, input.rows) : input.rows;
    r->k = (uint32_t)a->k;
    r->threads = a->threads ? (uint32_t)a->threads : 1;
    r->params = (struct vector_params){.k = r->k,
                                       .recall = (float)a->recall,
                                       .window = (uint32_t)a->ef,
                                       .mode = a->exact  ? VECTOR_MODE_EXACT
                                               : a->scan ? VECTOR_MODE_SCAN
                                                         : VECTOR_MODE_AUTO};
    r->hits = tn_realloc_array(NULL, r->count * r->k, sizeof *r->hits);
    r->counts = tn_calloc(r->count, sizeof *r->counts);
    r->stats = tn_calloc(r->count, sizeof *r->stats);
    r->nanoseconds = tn_calloc(r->count, sizeof *r->nanoseconds);
    if (a->filter) {
        TN_TRY(input_open(a->filter, filter, err));
        if (filter->element != INPUT_U8)
            return tn_fail(err, TN_EUNREADABLE, "%s: a bitmap is a .npy of uint8, eight rows a byte", a->filter);
        r->filter = (struct vector_filter){
            .kind = VECTOR_FILTER_BITMAP, .bits = filter->data, .bit_count = filter->rows * filter->columns * 8};
        for (uint64_t i = 0; i < r->filter.bit_count / 8; i++)
            r->filter.matches += (uint64_t)__builtin_popcount(filter->data[i]);
        r->params.filter = &r->filter;
    }
    return TN_OK;
}

static double cpu_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of `rounds` runs: what else the machine did is not our figure. */
static enum tn_code run_once(struct run *r, uint64_t rounds, struct tn_error *err)
{
    r->seconds = r->cpu_seconds = INFINITY;
    TN_AUTO_FREE uint64_t *nanoseconds = tn_calloc(r->count, sizeof *nanoseconds);
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t start = tn_mono_ns();
        double cpu = cpu_now();
        TN_TRY(vector_search_batch(r->index, r->queries, r->count, &r->params, r->threads, r->hits, r->counts,
                                   r->stats, nanoseconds, err));
        double seconds = (double)(tn_mono_ns() - start) * 1e-9;
        r->cpu_seconds = fmin(r->cpu_seconds, cpu_now() - cpu);
        if (seconds < r->seconds) {
            r->seconds = seconds;
            memcpy(r->nanoseconds, nanoseconds, r->count * sizeof *nanoseconds);
        }
    }
    return TN_OK;
}

static void report_run(struct report *out, struct run *r)
{
    double distances = 0, hops = 0, reranked = 0, window = 0;
    uint64_t fell_back = 0;
    uint64_t strategies[6] = {0};
    for (uint64_t i = 0; i < r->count; i++) {
        distances += r->stats[i].distances;
        hops += r->stats[i].hops;
        reranked += r->stats[i].reranked;
        window += r->stats[i].window;
        fell_back += r->stats[i].fell_back;
        strategies[r->stats[i].strategy]++;
    }
    size_t common = 0;
    for (size_t s = 1; s < TN_COUNT(strategies); s++)
        if (strategies[s] > strategies[common])
            common = s;
    qsort(r->nanoseconds, r->count, sizeof *r->nanoseconds, tn_order_u64);
    double n = (double)r->count;
    report_real(out, "window", window / n);
    report_real(out, "qps", n / r->seconds);
    report_real(out, "qps_of_processor", n / r->cpu_seconds);
    report_real(out, "p50_us", (double)r->nanoseconds[r->count / 2] * 1e-3);
    report_real(out, "p95_us", (double)r->nanoseconds[r->count * 95 / 100] * 1e-3);
    report_real(out, "p99_us", (double)r->nanoseconds[r->count * 99 / 100] * 1e-3);
    report_real(out, "p999_us", (double)r->nanoseconds[r->count * 999 / 1000] * 1e-3);
    report_real(out, "distances", distances / n);
    report_real(out, "hops", hops / n);
    report_real(out, "reranked", reranked / n);
    report_text(out, "strategy", vector_strategy_word((enum vector_strategy)common));
    report_int(out, "fell_back", fell_back);
}

static enum tn_code write_hits(const struct run *r, const struct arguments *a, struct tn_error *err)
{
    TN_AUTO_FREE int64_t *ids = tn_realloc_array(NULL, r->count * r->k, sizeof *ids);
    TN_AUTO_FREE float *distances = tn_realloc_array(NULL, r->count * r->k, sizeof *distances);
    for (uint64_t i = 0; i < r->count * r->k; i++) {
        bool there = i % r->k < r->counts[i / r->k];
        ids[i] = there ? r->hits[i].id : -1;
        distances[i] = there ? r->hits[i].distance : INFINITY;
    }
    if (a->out)
        TN_TRY(output_write(a->out, ids, INPUT_I64, r->count, r->k, err));
    if (a->distances_out)
        TN_TRY(output_write(a->distances_out, distances, INPUT_F32, r->count, r->k, err));
    return TN_OK;
}

enum tn_code command_search(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input filter = {0};
    TN_CLEANUP(run_release) struct run r = {0};
    uint64_t start = tn_mono_ns();
    TN_TRY(run_open(&r, a, &filter, err));
    double open_seconds = (double)(tn_mono_ns() - start) * 1e-9;
    if (a->cold) { /* from nothing to the first answer */
        struct vector_hit *hits = r.hits;
        size_t count;
        TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
        TN_TRY(vector_searcher_new(r.index, &searcher, err));
        TN_TRY(vector_search(searcher, r.queries, &r.params, hits, &count, NULL, err));
    }
    double first_seconds = (double)(tn_mono_ns() - start) * 1e-9;
    TN_TRY(run_once(&r, TN_MAX(a->rounds, UINT64_C(1)), err));
    TN_TRY(write_hits(&r, a, err));
    struct report out;
    report_begin(&out, a->json);
    report_int(&out, "queries", r.count);
    report_real(&out, "open_seconds", open_seconds);
    if (a->cold)
        report_real(&out, "first_answer_seconds", first_seconds);
    report_run(&out, &r);
    report_end(&out);
    return TN_OK;
}

/* Mean share of the true k that was found, by distance: ties are as good. */
static enum tn_code recall_of(struct run *r, const struct input *truth, double *ret_mean, double *ret_low,
                              struct tn_error *err)
{
    TN_AUTO_FREE float *row = tn_calloc(r->info.dims, sizeof *row);
    double sum = 0;
    uint64_t low = 0;
    for (uint64_t i = 0; i < r->count; i++) {
        uint32_t found = 0;
        for (size_t j = 0; j < r->counts[i]; j++)
            for (uint32_t t = 0; t < r->k; t++)
                if (input_integer(truth, i, t) == r->hits[i * r->k + j].id) {
                    found++;
                    break;
                }
        sum += (double)found / r->k;
        low += found < 0.8 * r->k;
    }
    (void)err;
    *ret_mean = sum / (double)r->count;
    *ret_low = (double)low / (double)r->count;
    return TN_OK;
}

static enum tn_code eval_window(struct run *r, const struct arguments *a, const struct input *truth, uint32_t window,
                                struct tn_error *err)
{
    double recall, low;
    r->params.window = window;
    TN_TRY(run_once(r, TN_MAX(a->rounds, UINT64_C(1)), err));
    TN_TRY(recall_of(r, truth, &recall, &low, err));
    struct report out;
    report_begin(&out, a->json);
    report_real(&out, "recall", recall);
    report_real(&out, "share_below_80", low);
    report_run(&out, r);
    report_end(&out);
    return TN_OK;
}

enum tn_code command_eval(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input filter = {0};
    TN_CLEANUP(input_release) struct input truth = {0};
    TN_CLEANUP(run_release) struct run r = {0};
    if (!a->truth)
        return tn_fail(err, TN_EUSAGE, "eval needs --truth FILE (tarn-vector truth makes it)");
    TN_TRY(run_open(&r, a, &filter, err));
    TN_TRY(input_open(a->truth, &truth, err));
    if (truth.rows < r.count || truth.columns < r.k || (truth.element != INPUT_I64 && truth.element != INPUT_I32))
        return tn_fail(err, TN_EUNREADABLE, "%s must hold %u ids for each of %llu queries", a->truth, r.k,
                       (unsigned long long)r.count);
    if (a->recall > 0 || a->exact || a->scan)
        return eval_window(&r, a, &truth, 0, err);
    const char *windows = a->windows ? a->windows : "10,16,24,32,48,64,96,128,192,256,384,512";
    for (const char *p = windows; *p;) {
        size_t length = strcspn(p, ",");
        TN_AUTO_FREE char *word = tn_strndup(p, length);
        uint64_t window;
        if (!tn_parse_u64(word, &window) || window == 0 || window > VECTOR_WINDOW_MAX)
            return tn_fail(err, TN_EUSAGE, "--windows: \"%s\" is not a window", word);
        TN_TRY(eval_window(&r, a, &truth, (uint32_t)window, err));
        p += length + (p[length] == ',');
    }
    return TN_OK;
}
