/* Figures for docs/benchmarks/reembed.md: what the driver itself costs, with a
 * model that answers at once. reembed_bench URL ROWS FROM TO [MODE...] makes the
 * table tarn_bench with ROWS rows of FROM dimensions, gives it vectors of TO, and
 * prints one JSON object a run. With ROWS 0 the table is taken as it is. The
 * mode "bare" is the yardstick: batches that were made before are written one
 * after the other, by the same statement, without reading or encoding. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

struct instant {
    uint32_t dimension;
    uint64_t salt;
};

static void must(enum tn_code code, const struct tn_error *err)
{
    if (code == TN_OK)
        return;
    (void)fprintf(stderr, "%s: %s (%s)\n", tn_code_word(code), err->detail, err->hint);
    exit(1);
}

/* Numbers that follow from the text: 64 bits of hash, mixed again for each. */
static enum tn_code answer(void *context, const struct model_text *texts, size_t count, float *out, size_t *ret_cut,
                           struct tn_error *err)
{
    const struct instant *instant = context;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        uint64_t state = tn_hash64(texts[i].data, texts[i].length, instant->salt) | 1;
        for (uint32_t k = 0; k < instant->dimension; k++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            out[i * instant->dimension + k] = (float)(int32_t)(state >> 32) * 0x1p-31F;
        }
    }
    *ret_cut = 0;
    return TN_OK;
}

/* Of this program alone: what its parent took before exec does not count. */
static long peak_kb(void)
{
    TN_AUTO_BUF text = {0};
    if (tn_file_read("/proc/self/status", 1 << 16, &text, NULL) != TN_OK)
        return 0;
    const char *line = strstr(text.data, "VmHWM:");
    return line ? strtol(line + 6, NULL, 10) : 0;
}

static void make_table(const char *url, const char *rows, const char *dimension)
{
    struct tn_error err = {0};
    TN_CLEANUP(postgres_close_p) struct postgres *pg = NULL;
    must(postgres_open(&(struct postgres_options){.url = url}, &pg, &err), &err);
    must(postgres_runf(
             pg, &err,
             "DROP TABLE IF EXISTS tarn_bench, tarn_bench_model; CREATE TABLE tarn_bench (id uuid PRIMARY KEY,"
             " content text NOT NULL, embedding vector(%s)); INSERT INTO tarn_bench SELECT md5(i::text)::uuid,"
             " 'passage ' || i || repeat(' of some words', 20), NULL FROM generate_series(1, %s) i",
             dimension, rows),
         &err);
    must(postgres_run(pg, "VACUUM ANALYZE tarn_bench", &err), &err);
    must(postgres_run(pg, "CHECKPOINT", &err), &err);
}

/* The statement alone: what a server on this machine takes now. */
static void bare(const char *url, uint32_t dimension)
{
    enum { ROWS = 128 };
    TN_CLEANUP(postgres_close_p) struct postgres *pg = NULL;
    TN_CLEANUP(postgres_array_release) struct postgres_array ids = {0}, vectors = {0};
    TN_AUTO_FREE float *made = tn_calloc((size_t)ROWS * dimension, sizeof *made);
    struct tn_error err = {0};
    uint32_t vector_oid = 0;
    uint64_t rows = 0, spent = 0;
    must(postgres_open(&(struct postgres_options){.url = url}, &pg, &err), &err);
    must(postgres_type_oid(pg, "vector", &vector_oid, &err), &err);
    must(postgres_run(pg, "SET synchronous_commit = off", &err), &err);
    must(postgres_prepare(
             pg, "bare",
             "UPDATE tarn_bench AS t SET embedding = v.embedding FROM unnest($1::uuid[], $2::vector[]) AS v"
             " (id, embedding) WHERE t.id = v.id",
             NULL, 0, &err),
         &err);
    for (uint64_t offset = 0;; offset += ROWS) {
        TN_CLEANUP(postgres_result_free_p) struct postgres_result *page = NULL;
        TN_AUTO_BUF sql = {0};
        tn_buf_printf(&sql, "SELECT id FROM tarn_bench ORDER BY id LIMIT %d OFFSET %" PRIu64, ROWS, offset);
        must(postgres_query(pg, sql.data, NULL, 0, POSTGRES_BINARY, &page, &err), &err);
        if (postgres_rows(page) == 0)
            break;
        postgres_array_begin(&ids, POSTGRES_UUID);
        postgres_array_begin(&vectors, vector_oid);
        for (size_t i = 0; i < postgres_rows(page); i++) {
            made[i * dimension] = (float)(offset + i);
            postgres_array_add_bytes(&ids, postgres_value(page, i, 0), postgres_value_length(page, i, 0));
            postgres_array_add_vector(&vectors, made + i * dimension, dimension);
        }
        const struct postgres_param params[] = {postgres_array_param(&ids), postgres_array_param(&vectors)};
        uint64_t began = tn_mono_ns();
        must(postgres_execute(pg, "bare", params, 2, POSTGRES_BINARY, NULL, &err), &err);
        spent += tn_mono_ns() - began;
        rows += postgres_rows(page);
    }
    (void)printf("{\"bare_rows_per_second\":%.0f}\n", (double)rows * 1e9 / (double)spent);
    (void)fflush(stdout);
}

static void note(void *context, const struct reembed_event *event)
{
    (void)context;
    if (event->kind == REEMBED_NOTE || event->kind == REEMBED_WARNING)
        (void)fprintf(stderr, "%s\n", event->text);
}

static void run(const char *url, uint32_t dimension, const char *mode, uint64_t salt, bool index)
{
    struct instant instant = {.dimension = dimension, .salt = salt};
    struct reembed_embedder embedder = {.context = &instant, .embed = answer};
    struct reembed_plan plan;
    struct tn_error err = {0};
    struct rusage usage, before;
    TN_AUTO_BUF line = {0};
    char version[32];
    (void)snprintf(version, sizeof version, "%" PRIu64, salt);
    embedder.model =
        (struct model_info){.name = "instant", .version = version, .dimension = dimension, .max_tokens = 512};
    reembed_plan_defaults(&plan);
    plan.url = url;
    plan.table = "tarn_bench";
    plan.registry_table = "tarn_bench_model";
    plan.index_name = index ? "tarn_bench_hnsw" : "";
    if (!reembed_mode_parse(mode, &plan.mode))
        exit(2);
    const struct reembed_observer observer = {.event = note};
    TN_CLEANUP(reembed_report_release) struct reembed_report report = {0};
    (void)getrusage(RUSAGE_SELF, &before);
    must(reembed_run(&plan, &embedder, &observer, &report, &err), &err);
    (void)getrusage(RUSAGE_SELF, &usage);
    struct tn_json json = tn_json_writer(&line);
    reembed_report_json(&report, &json);
    double own = report.duration_secs - report.embed_secs;
    (void)printf(
        "{\"rows_per_second\":%.0f,\"without_switch\":%.0f,\"cpu_seconds\":%.2f,\"peak_kb\":%ld,\"report\":%s}\n",
        (double)report.rows_updated / own,
        (double)report.rows_updated / (own - (report.locked_secs - report.index_rebuild_secs)),
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec - before.ru_utime.tv_usec -
                     before.ru_stime.tv_usec) /
                1e6,
        peak_kb(), line.data);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    int64_t dimension = 0;
    struct tn_error err = {0};
    if (argc < 5 || !tn_parse_i64(argv[4], &dimension) || dimension < 1 || dimension > HNSW_VECTOR_MOST) {
        (void)fprintf(stderr, "reembed_bench URL ROWS FROM TO [staged|in-place...]\n");
        return 2;
    }
    tn_fault_init();
    must(tn_random_init(&err), &err);
    if (!tn_streq(argv[2], "0"))
        make_table(argv[1], argv[2], argv[3]);
    for (int i = 5; i < argc; i++) {
        if (tn_streq(argv[i], "bare")) {
            bare(argv[1], (uint32_t)dimension);
            continue;
        }
        run(argv[1], (uint32_t)dimension, argv[i], tn_random_u64(), getenv("BENCH_INDEX") != NULL);
    }
    return 0;
}
