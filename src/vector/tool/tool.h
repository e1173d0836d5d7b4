/* The program tarn-vector: commands over the library. */
#ifndef TARN_VECTOR_TOOL_TOOL_H
#define TARN_VECTOR_TOOL_TOOL_H

#include "base/base.h"
#include "vector/tool/input.h"

/* What a command line says. Commands take what they name in their own mask of
 * options; others are refused. */
struct arguments {
    const char *files[4];
    int file_count;
    bool json;
    enum vector_metric metric;
    enum vector_type raw;
    uint64_t threads, ef_construction, seed, degree, k, ef, limit, rounds, rows, dims, queries, bits, memory, batch;
    double recall, noise, ood, fraction, seconds;
    const char *ids, *out, *filter, *samples, *truth, *windows, *distances_out;
    bool exact, scan, cold, fold, quiet;
};

struct command {
    const char *name;
    const char *usage;
    const char *help;
    int files_min, files_max;
    enum tn_code (*run)(const struct arguments *a, struct tn_error *err);
};

enum tn_code command_build(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_search(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_eval(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_insert(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_delete(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_fold(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_rollback(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_verify(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_info(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_measure_insert(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_measure_fold(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_measure_churn(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_generate(const struct arguments *a, struct tn_error *err) TN_CHECKED;
enum tn_code command_truth(const struct arguments *a, struct tn_error *err) TN_CHECKED;

/* Exact k nearest rows of each query by brute force, four queries a pass. */
enum tn_code truth_find(const struct vector_rows *base, enum vector_metric metric, const float *queries,
                        uint64_t query_count, uint32_t k, uint32_t threads, int64_t *ret_rows, float *ret_distances,
                        struct tn_error *err) TN_CHECKED;

/* A result: one line of JSON, or "key  value" lines. */
struct report {
    struct tn_buf text;
    struct tn_json json;
    bool as_json;
};
void report_begin(struct report *r, bool as_json);
void report_text(struct report *r, const char *key, const char *value);
void report_int(struct report *r, const char *key, uint64_t value);
void report_real(struct report *r, const char *key, double value);
void report_end(struct report *r);

#endif
