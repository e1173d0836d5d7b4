#include "vector/tool/tool.h"

#include <sys/stat.h>
#include <unistd.h>

static enum tn_code open_index(const char *path, bool read_only, struct vector_index **ret, struct tn_error *err)
{
    struct vector_open_options options = {.read_only = read_only, .no_warm = true};
    return vector_index_open(path, &options, ret, err);
}

static void report_fold(struct report *r, const struct vector_build_report *b)
{
    report_int(r, "folded_rows", b->rows);
    report_real(r, "fold_seconds", b->seconds);
}

static enum tn_code fold(struct vector_index *index, const struct arguments *a, struct report *r,
                         struct tn_error *err)
{
    struct vector_build_options options = {.threads = (uint32_t)a->threads, .memory_budget = a->memory};
    struct vector_build_report built;
    TN_TRY(vector_index_fold(index, &options, &built, err));
    report_fold(r, &built);
    return vector_index_prune(index, err);
}

/* Rows of one log record: what becomes visible together. */
#define BATCH 256U

static enum tn_code insert_all(struct vector_index *index, const struct input *input, const char *name,
                               const int64_t *ids, int64_t first, struct tn_error *err)
{
    TN_AUTO_FREE float *rows = NULL;
    TN_TRY(input_floats(input, name, 0, &rows, err));
    int64_t numbered[BATCH];
    for (uint64_t i = 0; i < input->rows; i += BATCH) {
        uint64_t n = TN_MIN(input->rows - i, (uint64_t)BATCH);
        for (uint64_t j = 0; j < n; j++)
            numbered[j] = ids ? ids[i + j] : (int64_t)((uint64_t)first + i + j);
        TN_TRY(vector_index_insert(index, numbered, rows + i * input->columns, n, err));
    }
    return TN_OK;
}

enum tn_code command_insert(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input input = {0};
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    TN_AUTO_FREE int64_t *ids = NULL;
    struct vector_index_info info;
    TN_TRY(open_index(a->files[0], false, &index, err));
    vector_index_info(index, &info);
    TN_TRY(input_open(a->files[1], &input, err));
    if (input.columns != info.dims)
        return tn_fail(err, TN_EUNREADABLE, "%s has %llu dimensions, the index %u", a->files[1],
                       (unsigned long long)input.columns, info.dims);
    uint64_t id_count = 0;
    if (a->ids) {
        TN_TRY(input_ids(a->ids, &ids, &id_count, err));
        if (id_count < input.rows)
            return tn_fail(err, TN_EUNREADABLE, "%s has fewer ids than %s has rows", a->ids, a->files[1]);
    }
    uint64_t start = tn_mono_ns();
    TN_TRY(insert_all(index, &input, a->files[1], ids, vector_index_largest_id(index) + 1, err));
    double seconds = (double)(tn_mono_ns() - start) * 1e-9;
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "inserted", input.rows);
    report_real(&r, "rows_per_second", (double)input.rows / seconds);
    enum tn_code code = a->fold ? fold(index, a, &r, err) : TN_OK;
    report_end(&r);
    return code;
}

enum tn_code command_delete(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    TN_AUTO_FREE int64_t *ids = NULL;
    uint64_t count;
    TN_TRY(open_index(a->files[0], false, &index, err));
    TN_TRY(input_ids(a->files[1], &ids, &count, err));
    size_t deleted = 0;
    for (uint64_t i = 0; i < count; i += 65536) {
        size_t part;
        TN_TRY(vector_index_delete(index, ids + i, TN_MIN(count - i, UINT64_C(65536)), &part, err));
        deleted += part;
    }
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "deleted", deleted);
    report_int(&r, "unknown", count - deleted);
    enum tn_code code = a->fold ? fold(index, a, &r, err) : TN_OK;
    report_end(&r);
    return code;
}

enum tn_code command_fold(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    TN_TRY(open_index(a->files[0], false, &index, err));
    struct report r;
    report_begin(&r, a->json);
    enum tn_code code = fold(index, a, &r, err);
    report_end(&r);
    return code;
}

enum tn_code command_rollback(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    TN_TRY(open_index(a->files[0], false, &index, err));
    TN_TRY(vector_index_rollback(index, err));
    struct vector_index_info info;
    vector_index_info(index, &info);
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "generation", info.generation);
    report_int(&r, "live", info.live);
    report_end(&r);
    return TN_OK;
}

enum tn_code command_info(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    uint64_t start = tn_mono_ns();
    TN_TRY(open_index(a->files[0], true, &index, err));
    double seconds = (double)(tn_mono_ns() - start) * 1e-9;
    struct vector_index_info info;
    vector_index_info(index, &info);
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "generation", info.generation);
    report_text(&r, "metric", vector_metric_word(info.metric));
    report_int(&r, "dimensions", info.dims);
    report_text(&r, "raw", info.raw == VECTOR_F16 ? "f16" : "f32");
    report_int(&r, "code_bits", info.code_bits);
    report_int(&r, "degree", info.degree);
    report_int(&r, "ef_construction", info.ef_construction);
    report_int(&r, "seed", info.seed);
    report_int(&r, "rows", info.rows);
    report_int(&r, "nodes", info.nodes);
    report_int(&r, "zeros", info.zeros);
    report_int(&r, "live", info.live);
    report_int(&r, "delta_rows", info.delta_rows);
    report_int(&r, "deleted", info.deleted);
    report_int(&r, "last_change", info.last_change);
    report_int(&r, "bytes_on_disk", info.bytes_on_disk);
    report_int(&r, "bytes_of_raw", info.bytes_of_raw);
    report_real(&r, "resident_per_row", (double)info.bytes_resident / (double)info.rows);
    report_int(&r, "window_for_95", vector_index_window(index, 10, 0.95F));
    report_int(&r, "window_for_99", vector_index_window(index, 10, 0.99F));
    report_real(&r, "open_seconds", seconds);
    report_text(&r, "instructions", vector_instruction_set());
    report_end(&r);
    return TN_OK;
}

enum tn_code command_verify(const struct arguments *a, struct tn_error *err)
{
    TN_AUTO_FREE char *path = tn_strdup(a->files[0]);
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        /* The log is checked by opening. */
        TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
        struct vector_index_info info;
        TN_TRY(open_index(path, true, &index, err));
        vector_index_info(index, &info);
        char *file = tn_asprintf("%s/generation-%06llu.tvg", path, (unsigned long long)info.generation);
        free(path);
        path = file;
    }
    struct vector_verify_report v;
    TN_TRY(vector_verify_file(path, &v, err));
    struct report r;
    report_begin(&r, a->json);
    report_text(&r, "file", path);
    report_int(&r, "blocks", v.blocks);
    report_int(&r, "nodes", v.nodes);
    report_int(&r, "links", v.links);
    report_real(&r, "mean_degree", v.mean_degree);
    report_int(&r, "unreachable", v.unreachable);
    report_int(&r, "self_links", v.self_links);
    report_int(&r, "double_links", v.double_links);
    report_end(&r);
    return v.unreachable || v.self_links || v.double_links
               ? tn_fail(err, TN_ECORRUPT, "the graph is sound to read but not as a build leaves it")
               : TN_OK;
}
