/* Times dataset_rows_write alone: single-row updates of a keyed dataset by 1, 8
 * and 32 threads, durable and journaled; then a file upserted by key.
 *
 *     dataset_rows_bench [ROWS [SECONDS [FOLDER]]]
 *
 * The lake is made in a new folder below FOLDER and removed at the end.
 */
#include "dataset/dataset.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 32
#define TIMES_MAX   200000

static struct lake lake;
static uint64_t table_rows = 100000;
static double seconds = 4;
static atomic_bool stop;

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void must(enum tn_code code, const struct tn_error *err)
{
    if (code == TN_OK)
        return;
    (void)fprintf(stderr, "%s: %s (%s)\n", tn_code_word(code), err->detail, err->hint);
    exit(1);
}

static void open_lake(const char *folder)
{
    struct tn_error err = {0};
    must(tn_random_init(&err), &err);
    must(store_open_local(folder, &lake.store, &err), &err);
    store_sync_threads(lake.store, 12);
    must(catalog_open(lake.store, &lake.catalog, &err), &err);
    const char *folders[] = {folder};
    char spill[600];
    snprintf(spill, sizeof spill, "%s/.spill", folder);
    const struct engine_options options = {
        .memory_bytes = UINT64_C(800) << 20, .temp_folder = spill, .readable_folders = folders, .readable_count = 1};
    must(engine_open(&options, &lake.engine, &err), &err);
    must(tn_pool_new(2, &lake.pool, &err), &err);
    must(journal_open(lake.store, lake.catalog, lake.engine, &lake.journal, &err), &err);
    lake.relations = dataset_relations_new();
    lake.queues = dataset_rows_queues_new();
    lake.hot = dataset_hot_new(UINT64_C(1) << 30);
}

static void close_lake(void)
{
    dataset_hot_free(lake.hot);
    dataset_rows_queues_free(lake.queues);
    dataset_relations_free(lake.relations);
    journal_close(lake.journal);
    tn_pool_free(lake.pool);
    engine_close(lake.engine);
    catalog_close(lake.catalog);
    store_close(lake.store);
}

static const struct dataset_column columns[] = {
    {.name = "id", .sql_type = "BIGINT"},    {.name = "name", .sql_type = "VARCHAR"},
    {.name = "city", .sql_type = "VARCHAR"}, {.name = "score", .sql_type = "DOUBLE"},
    {.name = "hired", .sql_type = "DATE"},   {.name = "n", .sql_type = "BIGINT"}};

static struct dataset_commit load(const char *name, enum dataset_mode mode, uint64_t from, uint64_t to, uint64_t n)
{
    struct tn_error err = {0};
    struct dataset_commit commit;
    struct dataset_write *write;
    char sql[500];
    snprintf(
        sql, sizeof sql,
        "SELECT i AS id, 'name ' || i AS name, 'city ' || (i %% 97) AS city, i / 7.0 AS score, DATE '2020-01-01' + "
        "(i %% 1000)::INTEGER AS hired, %" PRIu64 " AS n FROM range(%" PRIu64 ", %" PRIu64 ") r(i)",
        n, from, to);
    must(dataset_write_begin(&lake, name, mode, columns, TN_COUNT(columns), &write, &err), &err);
    must(dataset_write_set_key(write, "id", &err), &err);
    must(dataset_write_file(write, 0, NULL, sql, NULL, NULL, &err), &err);
    const struct dataset_lineage lineage = {.source = "bench", .actor = "bench"};
    must(dataset_write_commit(write, &lineage, &commit, &err), &err);
    dataset_write_free(write);
    return commit;
}

struct worker {
    pthread_t thread;
    uint64_t seed;
    double *times;
    size_t count;
};

static struct engine_cell text(const char *value)
{
    struct engine_cell cell = {0};
    cell.text.data = value;
    cell.text.length = strlen(value);
    return cell;
}

static void *work(void *context)
{
    struct worker *worker = context;
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6};
    while (!atomic_load(&stop) && worker->count < TIMES_MAX) {
        worker->seed = worker->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const struct engine_cell cells[] = {{.integer = (int64_t)((worker->seed >> 33) % table_rows)},
                                            text("somebody"),
                                            text("somewhere"),
                                            {.real = 0.5},
                                            {.integer = 20000},
                                            {.integer = (int64_t)(worker->seed >> 40)}};
        const struct dataset_rows rows = {.op = DATASET_ROWS_UPSERT,
                                          .field_ids = ids,
                                          .column_count = 6,
                                          .cells = cells,
                                          .row_count = 1,
                                          .actor = "bench",
                                          .source = "api"};
        struct dataset_commit commit;
        struct tn_error err = {0};
        double start = now_ms();
        must(dataset_rows_write(&lake, "t", &rows, &commit, &err), &err);
        worker->times[worker->count++] = now_ms() - start;
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(size_t threads)
{
    static uint64_t seed; /* no run writes the rows of another again: they would be unchanged */
    struct worker workers[THREADS_MAX];
    atomic_store(&stop, false);
    double start = now_ms(), cpu = cpu_ms();
    uint64_t fsyncs = store_counters(lake.store).fsyncs;
    for (size_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.seed = ++seed, .times = tn_malloc(TIMES_MAX * sizeof(double))};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&stop, true);
    size_t count = 0;
    double *all = tn_malloc(THREADS_MAX * TIMES_MAX * sizeof *all);
    for (size_t i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        memcpy(all + count, workers[i].times, workers[i].count * sizeof *all);
        count += workers[i].count;
        free(workers[i].times);
    }
    double took = now_ms() - start;
    cpu = cpu_ms() - cpu;
    fsyncs = store_counters(lake.store).fsyncs - fsyncs;
    qsort(all, count, sizeof *all, by_value);
    printf("%2zu threads: %6.0f rows/s  p50 %6.2f ms  p99 %6.2f ms  cpu %.2f ms/row  fsyncs %.2f/row\n", threads,
           (double)count * 1e3 / took, all[count / 2], all[count * 99 / 100], cpu / (double)count,
           (double)fsyncs / (double)count);
    (void)fflush(stdout);
    free(all);
}

static void run_file(uint64_t base, uint64_t file)
{
    char name[32];
    snprintf(name, sizeof name, "f%" PRIu64, file);
    (void)load(name, DATASET_APPEND, 0, base, 0);
    double start = now_ms();
    struct dataset_commit commit = load(name, DATASET_UPSERT, base - file / 2, base + file / 2, 1);
    printf("file of %" PRIu64 " into %" PRIu64 ": %.2f s (%" PRIu64 " inserted, %" PRIu64 " updated)\n", file, base,
           (now_ms() - start) / 1e3, commit.counts.inserted, commit.counts.updated);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char folder[512];
    struct tn_error err = {0};
    if (argc > 1 && !tn_parse_u64(argv[1], &table_rows))
        return 2;
    if (argc > 2 && !tn_parse_double(argv[2], &seconds))
        return 2;
    snprintf(folder, sizeof folder, "%s/tarn-rows-XXXXXX", argc > 3 ? argv[3] : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    open_lake(folder);
    (void)load("t", DATASET_APPEND, 0, table_rows, 0);
    printf("cold\n");
    run(1);
    must(dataset_hot_pin(&lake, "t", &err), &err);
    printf("hot\n");
    static const size_t threads[] = {1, 8, 32};
    for (size_t i = 0; i < TN_COUNT(threads); i++)
        run(threads[i]);
    run_file(1000000, 100000);
    run_file(1000000, 1000000);
    close_lake();
    must(tn_remove_tree(folder, &err), &err);
    return 0;
}
