/* What a commit costs as a table grows: single-row commits of one data file and
 * one position-delete file each, as an update of a row makes them.
 *
 *     iceberg_commit_bench FOLDER [COMMITS] [SNAPSHOTS KEPT]
 *
 * FOLDER must not exist and is left behind; on a disk it measures the whole
 * commit, in a memory file system the processor's share alone. One line of
 * JSON for each window of 100 commits: milliseconds (also of
 * the processor: the committing thread's and everybody's), and what the commit adds.
 * SNAPSHOTS KEPT of 0 never thins.
 */
#include "base/base.h"
#include "iceberg/iceberg.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { COLUMNS = 8, WINDOW = 100, SYNC_THREADS = 12 /* as the server has */ };

struct bench {
    struct iceberg_table table;
    struct tn_arena *arena;
    struct iceberg_field fields[COLUMNS];
    struct iceberg_metadata *metadata;
    const char *target; /* the base file whose rows are replaced */
    struct iceberg_thinning thinning;
};

static double milliseconds_since(uint64_t start)
{
    return (double)(tn_mono_ns() - start) / 1e6;
}

static double cpu_ms(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum tn_code make_table(struct bench *bench, struct tn_error *err)
{
    static char names[COLUMNS][16];
    for (int i = 0; i < COLUMNS; i++) {
        (void)snprintf(names[i], sizeof names[i], "column_%d", i);
        bench->fields[i] = (struct iceberg_field){
            .id = i + 1, .name = names[i], .type = iceberg_type_of(i % 2 ? ICEBERG_STRING : ICEBERG_LONG)};
    }
    const struct iceberg_schema schema = {.fields = bench->fields, .field_count = COLUMNS};
    return iceberg_table_create(&bench->table, &schema, NULL, 0, &bench->metadata, err);
}

static enum tn_code put_data(struct bench *bench, struct iceberg_tx *tx, int64_t rows, const char **ret_path,
                             struct tn_error *err)
{
    static const char bytes[2000] = "not Parquet; nothing here looks inside";
    struct iceberg_stats stats[COLUMNS];
    struct iceberg_file file = {
        .record_count = rows, .size_bytes = sizeof bytes, .stats = stats, .stats_count = COLUMNS};
    const char *key = NULL;
    *ret_path = file.path = iceberg_tx_new_file(tx, bench->arena, ".parquet", &key);
    TN_TRY(store_batch_put(iceberg_tx_batch(tx), key, bytes, sizeof bytes, err));
    for (int i = 0; i < COLUMNS; i++) {
        stats[i] = (struct iceberg_stats){
            .field_id = i + 1, .column_size = 40, .value_count = rows, .null_count = 0, .nan_count = ICEBERG_NONE};
        TN_TRY(iceberg_value_parse(bench->arena, bench->fields[i].type, "12345", 5, &stats[i].lower, err));
        stats[i].upper = stats[i].lower;
    }
    return iceberg_tx_add_file(tx, &file, err);
}

static enum tn_code put_deletes(struct bench *bench, struct iceberg_tx *tx, struct tn_error *err)
{
    static const char bytes[900] = "not Parquet either";
    struct iceberg_file file = {.content = ICEBERG_POSITION_DELETES,
                                .record_count = 1,
                                .size_bytes = sizeof bytes,
                                .referenced_data_file = bench->target};
    const char *key = NULL;
    file.path = iceberg_tx_new_file(tx, bench->arena, "-deletes.parquet", &key);
    TN_TRY(store_batch_put(iceberg_tx_batch(tx), key, bytes, sizeof bytes, err));
    return iceberg_tx_add_file(tx, &file, err);
}

/* The row's files and the commit; *ret_ms is the commit's share. */
static enum tn_code commit_one(struct bench *bench, bool first, double *ret_ms, double *ret_cpu_ms,
                               struct tn_error *err)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&bench->table, bench->metadata);
    struct iceberg_metadata *next = NULL;
    const char *path = NULL;
    TN_TRY(put_data(bench, tx, first ? 1000000 : 1, &path, err));
    if (first)
        bench->target = tn_strdup(path);
    else
        TN_TRY(put_deletes(bench, tx, err));
    iceberg_tx_set_summary(tx, "tarn.source", "api");
    iceberg_tx_set_summary(tx, "tarn.request-id", "0193a5b2-7f10-7c41-9b1e-4a3a5f1f0c55");
    iceberg_tx_set_summary(tx, "tarn.journal", "journal/0193a5b2-7f10-7c41-9b1e-4a3a5f1f0c55.bin");
    uint64_t start = tn_mono_ns();
    double used = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
    if (bench->thinning.keep_newest)
        (void)iceberg_tx_thin(tx, &bench->thinning);
    TN_TRY(iceberg_tx_commit(tx, &next, err));
    iceberg_metadata_unref(bench->metadata);
    bench->metadata = next;
    *ret_ms = milliseconds_since(start);
    *ret_cpu_ms = cpu_ms(CLOCK_THREAD_CPUTIME_ID) - used;
    return TN_OK;
}

static void report(const struct bench *bench, size_t commits, double *commit, double *cpu, double all_cpu,
                   const struct store_counters *before, const struct store_counters *after)
{
    TN_AUTO_BUF out = {0};
    struct tn_json json = tn_json_writer(&out);
    size_t length = 0;
    (void)iceberg_metadata_json(bench->metadata, &length);
    qsort(commit, WINDOW, sizeof *commit, by_size);
    qsort(cpu, WINDOW, sizeof *cpu, by_size);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "commits", (int64_t)commits);
    tn_json_ki64(&json, "snapshots", (int64_t)bench->metadata->snapshot_count);
    tn_json_ki64(&json, "metadata_bytes", (int64_t)length);
    tn_json_kf64(&json, "commit_p50_ms", commit[WINDOW / 2]);
    tn_json_kf64(&json, "commit_p99_ms", commit[WINDOW - 2]);
    tn_json_kf64(&json, "own_cpu_p50_ms", cpu[WINDOW / 2]);
    tn_json_kf64(&json, "all_cpu_ms", all_cpu / WINDOW);
    tn_json_kf64(&json, "fsyncs", (double)(after->fsyncs - before->fsyncs) / WINDOW);
    tn_json_kf64(&json, "bytes_written", (double)(after->bytes_written - before->bytes_written) / WINDOW);
    tn_json_kf64(&json, "reads", (double)(after->gets - before->gets) / WINDOW);
    tn_json_close(&json, '}');
    (void)puts(out.data);
    (void)fflush(stdout);
}

static bool is_shown(size_t done)
{
    return done <= 500 || done % 1000 == 0;
}

static enum tn_code commit_all(struct bench *bench, size_t commits, struct tn_error *err)
{
    double commit[WINDOW], cpu[WINDOW];
    TN_TRY(commit_one(bench, true, &commit[0], &cpu[0], err));
    for (size_t done = 0; done < commits;) {
        struct store_counters before = store_counters(bench->table.store);
        double all_cpu = cpu_ms(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t i = 0; i < WINDOW; i++, done++) {
            tn_arena_reset(bench->arena);
            TN_TRY(commit_one(bench, false, &commit[i], &cpu[i], err));
        }
        struct store_counters after = store_counters(bench->table.store);
        if (is_shown(done))
            report(bench, done, commit, cpu, cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - all_cpu, &before, &after);
    }
    return TN_OK;
}

static enum tn_code run(struct bench *bench, const char *folder, size_t commits, struct tn_error *err)
{
    TN_CLEANUP(store_close_p) struct store *store = NULL;
    TN_CLEANUP(iceberg_cache_free_p) struct iceberg_cache *cache = iceberg_cache_new((size_t)64 << 20);
    TN_TRY(tn_random_init(err));
    TN_TRY(store_open_local(folder, &store, err));
    store_sync_threads(store, SYNC_THREADS);
    bench->table = (struct iceberg_table){store, "table", cache};
    TN_TRY(make_table(bench, err));
    enum tn_code code = commit_all(bench, commits, err);
    iceberg_metadata_unref(bench->metadata);
    return code;
}

int main(int argc, char **argv)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct bench bench = {.arena = arena, .thinning = ICEBERG_THINNING_DEFAULT};
    struct tn_error err = {0};
    uint64_t commits = 1000, keep = bench.thinning.keep_newest;
    if (argc < 2 || argc > 4 || (argc > 2 && (!tn_parse_u64(argv[2], &commits) || commits == 0)) ||
        (argc > 3 && !tn_parse_u64(argv[3], &keep))) {
        (void)fputs("usage: iceberg_commit_bench FOLDER [COMMITS] [SNAPSHOTS KEPT]\n", stderr);
        return 2;
    }
    bench.thinning.keep_newest = (size_t)keep;
    if (run(&bench, argv[1], (size_t)commits, &err) != TN_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        return 1;
    }
    return 0;
}
