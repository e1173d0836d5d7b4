/* Figures for docs/benchmarks: outcomes in batches, one by one, and rankings
 * as the log grows. outcome_bench FOLDER [OUTCOMES] prints one JSON object a line. */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BATCH = 5000, TASKS = 20, MODELS = 12, THREADS = 16 };

static struct outcome_store *store;

static void must(enum tn_code code, const struct tn_error *err)
{
    if (code == TN_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", tn_code_word(code), err->detail);
    exit(1);
}

static double seconds_since(uint64_t from_ns)
{
    return (double)(tn_mono_ns() - from_ns) / 1e9;
}

/* Of all threads: does not count what others on the machine take. */
static double cpu_seconds(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

static struct outcome_event event_of(uint64_t number)
{
    static const char *const tasks[TASKS] = {"t0",  "t1",  "t2",  "t3",  "t4",  "t5",  "t6",  "t7",  "t8",  "t9",
                                             "t10", "t11", "t12", "t13", "t14", "t15", "t16", "t17", "t18", "t19"};
    static const char *const models[MODELS] = {"m0", "m1", "m2", "m3", "m4",  "m5",
                                               "m6", "m7", "m8", "m9", "m10", "m11"};
    uint64_t mixed = tn_hash64(&number, sizeof number, 0);
    return (struct outcome_event){.task_type = tasks[mixed % TASKS],
                                  .model_id = models[mixed / TASKS % MODELS],
                                  .success = mixed % 7 < 5,
                                  .tokens_used = (int64_t)(mixed % 4000),
                                  .cost_usd = (double)(mixed % 1000) / 1e4,
                                  .source = "bench"};
}

static void record_batches(uint64_t from, uint64_t to)
{
    struct outcome_event events[BATCH];
    struct outcome_recorded done;
    struct tn_error err = {0};
    for (uint64_t at = from; at < to; at += BATCH) {
        size_t count = (size_t)TN_MIN((uint64_t)BATCH, to - at);
        for (uint64_t i = 0; i < count; i++)
            events[i] = event_of(at + i);
        must(outcome_record(store, events, count, &done, &err), &err);
    }
}

static void *record_singles(void *argument)
{
    uint64_t count = *(const uint64_t *)argument;
    for (uint64_t i = 0; i < count; i++) {
        struct outcome_event event = event_of(i);
        struct outcome_recorded done;
        struct tn_error err = {0};
        must(outcome_record(store, &event, 1, &done, &err), &err);
    }
    return NULL;
}

/* Outcomes a second, each acknowledged when it is durable. */
static double singles(size_t threads, uint64_t each)
{
    pthread_t handles[THREADS];
    uint64_t started = tn_mono_ns();
    for (size_t i = 0; i < threads; i++)
        if (pthread_create(&handles[i], NULL, record_singles, &each) != 0)
            abort();
    for (size_t i = 0; i < threads; i++)
        (void)pthread_join(handles[i], NULL);
    return (double)(threads * each) / seconds_since(started);
}

static double rank_us(void)
{
    struct tn_error err = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    uint64_t started = tn_mono_ns();
    for (int i = 0; i < 1000; i++) {
        struct outcome_model *models;
        size_t count;
        tn_arena_reset(arena);
        must(outcome_rank(store, "t7", 3, OUTCOME_BY_BOUND, arena, &models, &count, &err), &err);
    }
    return seconds_since(started) * 1e6 / 1000;
}

int main(int argc, char **argv)
{
    uint64_t most = 1000000, done = 0;
    struct tn_error err = {0};
    if (argc < 2 || (argc > 2 && !tn_parse_u64(argv[2], &most)))
        return 2;
    must(tn_random_init(&err), &err);
    const struct outcome_options options = {.folder = argv[1]};
    must(outcome_open(&options, &store, &err), &err);
    for (uint64_t target = 1000; target <= most; target *= 10) {
        uint64_t started = tn_mono_ns(), from = done;
        double cpu = cpu_seconds();
        record_batches(done, target);
        done = target;
        cpu = (cpu_seconds() - cpu) * 1e6 / (double)(target - from);
        double rate = (double)(target - from) / seconds_since(started);
        double one = singles(1, 100), many = singles(THREADS, 50);
        (void)printf("{\"outcomes\": %" PRIu64
                     ", \"batched_per_s\": %.0f, \"cpu_us_each\": %.2f, \"one_caller_per_s\": %.0f, "
                     "\"sixteen_callers_per_s\": %.0f, \"rank_us\": %.1f}\n",
                     target, rate, cpu, one, many, rank_us());
        (void)fflush(stdout);
    }
    uint64_t started = tn_mono_ns();
    struct outcome_check check;
    must(outcome_check(store, false, &check, &err), &err);
    (void)printf("{\"recount_s\": %.2f, \"sound\": %s, \"events\": %" PRId64 "}\n", seconds_since(started),
                 check.sound ? "true" : "false", check.events);
    outcome_close(store);
    return 0;
}
