/* Figures of the table format alone, without the SQL engine: commits of one
 * small file each, then loading and planning what they made.
 *
 *     iceberg_plan_bench FOLDER [COMMITS] [SNAPSHOTS KEPT]
 *
 * FOLDER must not exist and is left behind. One line of JSON; milliseconds,
 * medians. "cold" reads and decodes every manifest, "warm" has them in memory.
 */
#include "base/base.h"
#include "iceberg/iceberg.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 20, ROUNDS = 15, EDGE = 100 };

struct bench {
    struct iceberg_table table;
    struct tn_arena *arena;
    struct iceberg_field fields[COLUMNS];
    struct iceberg_metadata *metadata;
    size_t keep; /* snapshots; 0 = all */
};

static double milliseconds_since(uint64_t start)
{
    return (double)(tn_mono_ns() - start) / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
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

static enum tn_code append_one(struct bench *bench, struct tn_error *err)
{
    static const char bytes[500] = "not Parquet; nothing here looks inside";
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&bench->table, bench->metadata);
    struct iceberg_metadata *next = NULL;
    struct iceberg_stats stats[COLUMNS];
    struct iceberg_file file = {
        .record_count = 1, .size_bytes = sizeof bytes, .stats = stats, .stats_count = COLUMNS};
    const char *key = NULL;
    file.path = iceberg_tx_new_file(tx, bench->arena, ".parquet", &key);
    TN_TRY(store_batch_put(iceberg_tx_batch(tx), key, bytes, sizeof bytes, err));
    for (int i = 0; i < COLUMNS; i++) {
        stats[i] = (struct iceberg_stats){
            .field_id = i + 1, .column_size = 40, .value_count = 1, .null_count = 0, .nan_count = ICEBERG_NONE};
        TN_TRY(iceberg_value_parse(bench->arena, bench->fields[i].type, "12345", 5, &stats[i].lower, err));
        stats[i].upper = stats[i].lower;
    }
    TN_TRY(iceberg_tx_add_file(tx, &file, err));
    if (bench->keep && bench->metadata->snapshot_count >= bench->keep)
        iceberg_tx_forget_snapshot(tx, bench->metadata->snapshots[0]->id);
    TN_TRY(iceberg_tx_commit(tx, &next, err));
    iceberg_metadata_unref(bench->metadata);
    bench->metadata = next;
    return TN_OK;
}

static enum tn_code commit_all(struct bench *bench, size_t commits, struct tn_json *json, struct tn_error *err)
{
    TN_AUTO_FREE double *times = tn_calloc(commits, sizeof *times);
    size_t edge = TN_MIN((size_t)EDGE, commits);
    for (size_t i = 0; i < commits; i++) {
        tn_arena_reset(bench->arena);
        uint64_t start = tn_mono_ns();
        TN_TRY(append_one(bench, err));
        times[i] = milliseconds_since(start);
    }
    size_t length = 0;
    (void)iceberg_metadata_json(bench->metadata, &length);
    tn_json_ki64(json, "commits", (int64_t)commits);
    tn_json_ki64(json, "metadata_bytes", (int64_t)length);
    tn_json_kf64(json, "commit_last_ms", median(times + commits - edge, edge));
    tn_json_kf64(json, "commit_first_ms", median(times, edge));
    return TN_OK;
}

static enum tn_code plan_all(struct bench *bench, struct tn_json *json, struct tn_error *err)
{
    double load[ROUNDS], cold[ROUNDS], warm[ROUNDS];
    struct iceberg_table uncached = bench->table;
    uncached.cache = NULL;
    for (int i = 0; i < ROUNDS; i++) {
        ICEBERG_AUTO_METADATA *metadata = NULL;
        ICEBERG_AUTO_PLAN *first = NULL;
        ICEBERG_AUTO_PLAN *second = NULL;
        uint64_t start = tn_mono_ns();
        TN_TRY(iceberg_table_load(&uncached, NULL, &metadata, err));
        load[i] = milliseconds_since(start);
        start = tn_mono_ns();
        TN_TRY(iceberg_plan_new(&uncached, metadata, NULL, NULL, 0, &first, err));
        cold[i] = milliseconds_since(start);
        start = tn_mono_ns();
        TN_TRY(iceberg_plan_new(&bench->table, metadata, NULL, NULL, 0, &second, err));
        warm[i] = milliseconds_since(start);
    }
    tn_json_kf64(json, "load_ms", median(load, ROUNDS));
    tn_json_kf64(json, "plan_cold_ms", median(cold, ROUNDS));
    tn_json_kf64(json, "plan_warm_ms", median(warm, ROUNDS));
    return TN_OK;
}

static enum tn_code run(struct bench *bench, const char *folder, size_t commits, struct tn_error *err)
{
    TN_CLEANUP(store_close_p) struct store *store = NULL;
    TN_CLEANUP(iceberg_cache_free_p) struct iceberg_cache *cache = iceberg_cache_new((size_t)64 << 20);
    TN_AUTO_BUF out = {0};
    struct tn_json json = tn_json_writer(&out);
    TN_TRY(tn_random_init(err));
    TN_TRY(store_open_local(folder, &store, err));
    bench->table = (struct iceberg_table){store, "table", cache};
    TN_TRY(make_table(bench, err));
    tn_json_open(&json, '{');
    TN_TRY(commit_all(bench, commits, &json, err));
    TN_TRY(plan_all(bench, &json, err));
    tn_json_close(&json, '}');
    (void)puts(out.data);
    iceberg_metadata_unref(bench->metadata);
    return TN_OK;
}

int main(int argc, char **argv)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct bench bench = {.arena = arena};
    struct tn_error err = {0};
    uint64_t commits = 1000, keep = 0;
    if (argc < 2 || argc > 4 || (argc > 2 && (!tn_parse_u64(argv[2], &commits) || commits == 0)) ||
        (argc > 3 && !tn_parse_u64(argv[3], &keep))) {
        (void)fputs("usage: iceberg_plan_bench FOLDER [COMMITS] [SNAPSHOTS KEPT]\n", stderr);
        return 2;
    }
    bench.keep = (size_t)keep;
    if (run(&bench, argv[1], (size_t)commits, &err) != TN_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        return 1;
    }
    return 0;
}
