#include "vector/tool/tool.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static bool show_progress(void *context, enum vector_phase phase, uint64_t done, uint64_t total)
{
    (void)context;
    (void)fprintf(stderr, "\r%-10s %3.0f %%", vector_phase_word(phase),
                  total ? 100.0 * (double)done / (double)total : 0);
    return true;
}

static void fill_options(const struct arguments *a, struct vector_build_options *o)
{
    o->metric = a->metric;
    o->raw = a->raw;
    o->degree = (uint32_t)a->degree;
    o->ef_construction = (uint32_t)a->ef_construction;
    o->code_bits = (uint32_t)a->bits;
    o->threads = (uint32_t)a->threads;
    o->seed = a->seed;
    o->memory_budget = a->memory;
    o->progress = !a->json && isatty(2) ? show_progress : NULL;
}

static void print_report(const struct arguments *a, const struct vector_build_report *b)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "rows", b->rows);
    report_int(&r, "nodes", b->nodes);
    report_int(&r, "duplicates", b->duplicates);
    report_int(&r, "zeros", b->zeros);
    report_int(&r, "repaired", b->repaired);
    report_real(&r, "build_seconds", b->seconds);
    report_real(&r, "read_seconds", b->read_seconds);
    report_real(&r, "graph_seconds", b->graph_seconds);
    report_real(&r, "calibrate_seconds", b->calibrate_seconds);
    report_real(&r, "write_seconds", b->write_seconds);
    report_real(&r, "cpu_seconds",
                (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
                    (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6);
    report_int(&r, "bytes_on_disk", b->bytes_on_disk);
    report_int(&r, "bytes_of_raw", b->bytes_of_raw);
    report_int(&r, "build_memory", b->peak_memory);
    report_int(&r, "peak_resident", (uint64_t)usage.ru_maxrss * 1024);
    report_text(&r, "instructions", vector_instruction_set());
    report_end(&r);
}

enum tn_code command_build(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input input = {0};
    TN_CLEANUP(input_release) struct input samples = {0};
    TN_AUTO_FREE int64_t *ids = NULL;
    TN_AUTO_FREE float *queries = NULL;
    struct vector_rows rows = {0};
    struct vector_build_options options = {0};
    struct vector_build_report report;
    TN_TRY(input_open(a->files[0], &input, err));
    TN_TRY(input_rows(&input, a->files[0], &rows, err));
    if (a->limit)
        rows.count = TN_MIN(rows.count, a->limit);
    fill_options(a, &options);
    if (a->ids) {
        uint64_t count;
        TN_TRY(input_ids(a->ids, &ids, &count, err));
        if (count < rows.count)
            return tn_fail(err, TN_EUNREADABLE, "%s has %llu ids for %llu rows", a->ids, (unsigned long long)count,
                           (unsigned long long)rows.count);
        rows.ids = ids;
    }
    if (a->samples) {
        TN_TRY(input_open(a->samples, &samples, err));
        if (samples.columns != rows.dims)
            return tn_fail(err, TN_EUNREADABLE, "%s has other dimensions than %s", a->samples, a->files[0]);
        TN_TRY(input_floats(&samples, a->samples, VECTOR_SAMPLES_MAX, &queries, err));
        options.samples = queries;
        options.sample_count = (uint32_t)TN_MIN(samples.rows, (uint64_t)VECTOR_SAMPLES_MAX);
    }
    bool lone = tn_str_ends_with(a->files[1], ".tvg");
    TN_AUTO_FREE char *path = lone ? tn_strdup(a->files[1]) : tn_asprintf("%s.building", a->files[1]);
    TN_TRY(vector_build(&rows, &options, path, &report, err));
    if (options.progress)
        (void)fprintf(stderr, "\r%20s\r", "");
    if (!lone) {
        enum tn_code code = vector_index_create(a->files[1], path, err);
        if (code != TN_OK) {
            (void)unlink(path);
            return code;
        }
    }
    print_report(a, &report);
    return TN_OK;
}
