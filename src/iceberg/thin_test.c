/* Thinning: what stays, what it costs, and what can still be known of what was
 * forgotten. And the sweep beside commits and readers. */
#include "iceberg/metadata_internal.h"
#include "iceberg/test_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#define MINUTE  (INT64_C(60) * 1000)
#define HOUR    (60 * MINUTE)
#define DAY     (24 * HOUR)
#define MORNING (INT64_C(20000) * DAY) /* midnight of some day */

static const struct iceberg_thinning few = {
    .keep_newest = 20, .slack = 10, .hourly_ms = 2 * DAY, .daily_ms = INT64_MAX};

static struct iceberg_metadata *commit_at(struct fixture *f, struct iceberg_metadata *base, int64_t time,
                                          const struct iceberg_thinning *thinning)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
    struct iceberg_metadata *next = NULL;
    iceberg_tx_set_time(tx, time);
    iceberg_tx_set_summary(tx, "tarn.n", "1");
    if (thinning)
        (void)iceberg_tx_thin(tx, thinning);
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(base);
    return next;
}

/* A table whose creation does not lie in the future of its commits. */
static struct iceberg_metadata *create_at(struct fixture *f, int64_t time)
{
    struct iceberg_metadata *metadata = test_create(f);
    metadata_of(metadata)->shown.last_updated_ms = time;
    return metadata;
}

static bool has_sequence(const struct iceberg_metadata *metadata, int64_t sequence)
{
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        if (metadata->snapshots[i]->sequence_number == sequence)
            return true;
    return false;
}

/* A commit every ten minutes for six days: snapshot n of time n * 10 minutes. */
static void keeps_hours_and_days(void **state)
{
    struct fixture *f = *state;
    enum { COMMITS = 6 * 24 * 6 };
    ICEBERG_AUTO_METADATA *metadata = create_at(f, MORNING);
    size_t thinned = 0;
    for (int n = 1; n <= COMMITS; n++) {
        size_t before = metadata->snapshot_count;
        metadata = commit_at(f, metadata, MORNING + n * 10 * MINUTE, &few);
        thinned += metadata->snapshot_count <= before;
        assert_true(metadata->snapshot_count <= 20 + 1 + 10 + 2 * 24 + 6);
    }
    /* One commit in eleven or so does the work. */
    assert_true(thinned > COMMITS / 30);
    assert_true(thinned < COMMITS / 9);
    size_t loose = 0;
    for (int n = 1; n <= COMMITS; n++) {
        int64_t age = (COMMITS - n) * 10 * MINUTE;
        bool newest = n > COMMITS - 20, last_of_hour = n % 6 == 5, last_of_day = n % 144 == 143;
        bool there = has_sequence(metadata, n);
        if (newest || last_of_day || (last_of_hour && age <= few.hourly_ms))
            assert_true(there);
        else
            loose += there;
    }
    assert_true(loose <= few.slack); /* waiting for the next round */
    assert_int_equal(metadata->snapshot_log[metadata->snapshot_log_count - 1].snapshot_id, metadata->current->id);
}

static void gives_up_days_in_the_end(void **state)
{
    struct fixture *f = *state;
    struct iceberg_thinning short_time = {.keep_newest = 2, .slack = 0, .hourly_ms = 3 * HOUR, .daily_ms = 10 * HOUR};
    ICEBERG_AUTO_METADATA *metadata = create_at(f, MORNING);
    for (int n = 1; n <= 100; n++)
        metadata = commit_at(f, metadata, MORNING + n * 30 * MINUTE, &short_time);
    assert_true(metadata->snapshots[0]->timestamp_ms + 11 * HOUR > metadata->current->timestamp_ms);
    size_t before = metadata->snapshot_count;
    short_time.keep_newest = 0; /* off */
    metadata = commit_at(f, metadata, MORNING + 1000 * HOUR, &short_time);
    assert_int_equal(metadata->snapshot_count, before + 1);
}

static bool only_odd(void *context, const struct iceberg_snapshot *snapshot)
{
    ++*(int *)context;
    return snapshot->sequence_number % 2 == 1;
}

static void keeps_what_is_held(void **state)
{
    struct fixture *f = *state;
    int asked = 0;
    const struct iceberg_thinning thinning = {
        .keep_newest = 2, .slack = 0, .hourly_ms = 0, .daily_ms = 0, .may_forget = only_odd, .context = &asked};
    ICEBERG_AUTO_METADATA *metadata = create_at(f, MORNING);
    for (int n = 1; n <= 10; n++)
        metadata = commit_at(f, metadata, MORNING + n, NULL);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_time(tx, MORNING + DAY);
    iceberg_tx_set_tag(tx, "kept", metadata->snapshots[2]->id);                  /* 3 */
    iceberg_tx_forget_snapshot(tx, metadata->snapshots[3]->id);                  /* 4, whatever the callback says */
    iceberg_tx_forget_snapshot(tx, metadata->snapshots[4]->id);                  /* 5, not twice */
    assert_ok(iceberg_tx_start_from(tx, metadata->snapshots[6]->id, &test_err)); /* 7 */
    assert_int_equal(iceberg_tx_thin(tx, &thinning), 1);
    assert_int_equal(iceberg_tx_thin(tx, &thinning), 1); /* the same again, not more */
    assert_true(asked > 0);
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    static const int64_t kept[] = {2, 3, 6, 7, 8, 9, 10, 11};
    assert_int_equal(next->snapshot_count, TN_COUNT(kept));
    for (size_t i = 0; i < TN_COUNT(kept); i++)
        assert_int_equal(next->snapshots[i]->sequence_number, kept[i]);
}

/* Somebody else commits, and tags what was to go: no conflict comes of it. */
static void a_rebase_takes_it_back(void **state)
{
    struct fixture *f = *state;
    const struct iceberg_thinning thinning = {.keep_newest = 2};
    ICEBERG_AUTO_METADATA *metadata = create_at(f, MORNING);
    ICEBERG_AUTO_METADATA *theirs = NULL;
    ICEBERG_AUTO_METADATA *ours = NULL;
    for (int n = 1; n <= 6; n++)
        metadata = commit_at(f, metadata, MORNING + n, NULL);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *other = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_summary(tx, "tarn.n", "1");
    assert_int_equal(iceberg_tx_thin(tx, &thinning), 4);
    iceberg_tx_set_tag(other, "kept", metadata->snapshots[0]->id);
    iceberg_tx_forget_snapshot(other, metadata->snapshots[1]->id);
    assert_ok(iceberg_tx_commit(other, &theirs, &test_err));
    assert_code(iceberg_tx_commit(tx, &ours, &test_err), TN_ECONFLICT);
    assert_ok(iceberg_tx_rebase(tx, theirs, &test_err));
    assert_ok(iceberg_tx_commit(tx, &ours, &test_err));
    assert_int_equal(ours->snapshot_count, 6);
}

static void the_past_says_what_is_missing(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = create_at(f, MORNING);
    for (int n = 1; n <= 10; n++)
        metadata = commit_at(f, metadata, MORNING + n * 100, NULL);
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        assert_false(iceberg_metadata_thinned_after(metadata, metadata->snapshots[i]));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    static const size_t gone[] = {0, 3, 4};
    for (size_t i = 0; i < TN_COUNT(gone); i++)
        iceberg_tx_forget_snapshot(tx, metadata->snapshots[gone[i]]->id);
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    for (int64_t n = 1; n <= 10; n++) { /* snapshot n was current from n * 100 to n * 100 + 99 */
        const struct iceberg_snapshot *early = iceberg_metadata_as_of(next, MORNING + n * 100);
        const struct iceberg_snapshot *late = iceberg_metadata_as_of(next, MORNING + n * 100 + 99);
        assert_ptr_equal(early, late);
        if (n == 1) { /* nothing kept is as old */
            assert_null(early);
            continue;
        }
        assert_int_equal(early->sequence_number, n == 4 || n == 5 ? 3 : n);
        assert_int_equal(iceberg_metadata_thinned_after(next, early), n >= 3 && n <= 5);
    }
    /* The log does not say more than it knows: other engines go by it. */
    assert_int_equal(next->snapshot_log_count, 5);
    assert_int_equal(next->snapshot_log[0].snapshot_id, next->snapshots[2]->id);
}

static void format_1_goes_by_parents(void **state)
{
    (void)state;
    static const char json[] =
        "{\"format-version\":1,\"location\":\"file:///x\",\"last-updated-ms\":9,\"last-column-id\":1,\"schema\":"
        "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\"}]},"
        "\"partition-spec\":[],\"current-snapshot-id\":4,\"snapshots\":["
        "{\"snapshot-id\":1,\"timestamp-ms\":1,\"manifest-list\":\"a\"},"
        "{\"snapshot-id\":2,\"parent-snapshot-id\":1,\"timestamp-ms\":2,\"manifest-list\":\"b\"},"
        "{\"snapshot-id\":4,\"parent-snapshot-id\":3,\"timestamp-ms\":4,\"manifest-list\":\"c\"}]}";
    ICEBERG_AUTO_METADATA *metadata = NULL;
    assert_ok(iceberg_metadata_parse(json, sizeof json - 1, "v1", &metadata, &test_err));
    assert_false(iceberg_metadata_thinned_after(metadata, metadata->snapshots[0]));
    assert_true(iceberg_metadata_thinned_after(metadata, metadata->snapshots[1]));
    assert_false(iceberg_metadata_thinned_after(metadata, metadata->snapshots[2]));
    assert_int_equal(iceberg_metadata_as_of(metadata, 3)->id, 2);
}

/* --- The sweep --- */

static void count_key(void *context, const char *key, int64_t size)
{
    (void)key;
    (void)size;
    ++*(int *)context;
}

static int sweep(struct fixture *f)
{
    int count = 0;
    assert_ok(iceberg_table_orphans(&f->table, 0, true, count_key, &count, &test_err));
    return count;
}

static void report(void *context, const struct iceberg_finding *finding)
{
    print_message("%s %s: %s\n", finding->rule, finding->where, finding->text);
    ++*(int *)context;
}

static void assert_sound(struct fixture *f, const struct iceberg_metadata *metadata)
{
    int findings = 0;
    assert_ok(iceberg_check(&f->table, metadata, report, &findings, &test_err));
    assert_int_equal(findings, 0);
}

/* A file that the engine wrote hours ago, put into the transaction's batch. */
static void add_old_file(struct fixture *f, struct iceberg_tx *tx)
{
    char *path = NULL, bytes[100] = "data";
    const char *key = NULL;
    assert_ok(store_stage_path(f->store, f->arena, ".parquet", &path, &test_err));
    assert_ok(tn_file_replace(path, bytes, sizeof bytes, 0644, &test_err));
    const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    struct iceberg_file file = {.record_count = 1, .size_bytes = sizeof bytes, .sort_order_id = 0};
    file.path = iceberg_tx_new_file(tx, f->arena, ".parquet", &key);
    assert_ok(store_batch_put_file(iceberg_tx_batch(tx), key, path, &test_err));
    assert_ok(iceberg_tx_add_file(tx, &file, &test_err));
}

static void a_commit_under_way_is_left_alone(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 1);
    ICEBERG_AUTO_METADATA *next = NULL;
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    add_old_file(f, tx);
    assert_ok(iceberg_tx_prepare(tx, &test_err)); /* its files have their names now */
    assert_int_equal(sweep(f), 0);
    assert_ok(iceberg_tx_publish(tx, &next, &test_err));
    iceberg_tx_free(tx);
    assert_int_equal(sweep(f), 0);
    f->table.cache = NULL;
    assert_sound(f, next);
    /* One that was given up leaves its data file, and that goes now. */
    tx = iceberg_tx_new(&f->table, next);
    add_old_file(f, tx);
    assert_ok(iceberg_tx_prepare(tx, &test_err));
    assert_int_equal(sweep(f), 0);
    iceberg_tx_free(tx);
    assert_int_equal(sweep(f), 1);
}

static void readers_keep_what_they_read(void **state)
{
    struct fixture *f = *state;
    struct iceberg_metadata *old = test_append(f, test_append(f, test_create(f), 0, 1), 1, 1);
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, old);
    struct iceberg_metadata *replaced = NULL;
    ICEBERG_AUTO_METADATA *newest = NULL;
    iceberg_tx_remove_all(tx);
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, old, 9, 9), &test_err));
    assert_ok(iceberg_tx_commit(tx, &replaced, &test_err));
    iceberg_tx_free(tx);
    tx = iceberg_tx_new(&f->table, replaced);
    for (size_t i = 0; i < 2; i++)
        iceberg_tx_forget_snapshot(tx, replaced->snapshots[i]->id);
    assert_ok(iceberg_tx_commit(tx, &newest, &test_err));
    iceberg_tx_free(tx);
    iceberg_metadata_unref(replaced);
    f->table.cache = NULL;
    assert_int_equal(sweep(f), 0);
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, old, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->file_count, 2);
    uint64_t size = 0;
    assert_ok(store_head(f->store, plan->files[0].key, &size, &test_err));
    iceberg_metadata_unref(old); /* the plan holds it */
    assert_int_equal(sweep(f), 0);
    iceberg_plan_free(TN_TAKE(plan));
    assert_int_equal(sweep(f), 6); /* two data files, their manifests and lists */
    assert_sound(f, newest);
}

/* A version that another engine's commit made is held like one of ours. */
static void readers_keep_what_a_client_made(void **state)
{
    struct fixture *f = *state;
    struct iceberg_metadata *old = test_append(f, test_append(f, test_create(f), 0, 1), 1, 1);
    struct iceberg_metadata *made = NULL, *replaced = NULL, *newest = NULL;
    const struct iceberg_origin origin = {.agent = "a client", .at_ms = 1};
    const char updates[] = "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"b\"}}]";
    const struct iceberg_change change = {
        .requirements = "[]", .requirements_length = 2, .updates = updates, .updates_length = sizeof updates - 1};
    assert_ok(iceberg_change_apply(&f->table, old, old->version + 1, &change, &made, &test_err));
    assert_ok(iceberg_version_publish(&f->table, old, made, false, &origin, &test_err));
    iceberg_metadata_unref(old);
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, made);
    iceberg_tx_remove_all(tx);
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, made, 9, 9), &test_err));
    assert_ok(iceberg_tx_commit(tx, &replaced, &test_err));
    iceberg_tx_free(tx);
    tx = iceberg_tx_new(&f->table, replaced);
    for (size_t i = 0; i < 2; i++)
        iceberg_tx_forget_snapshot(tx, replaced->snapshots[i]->id);
    assert_ok(iceberg_tx_commit(tx, &newest, &test_err));
    iceberg_tx_free(tx);
    iceberg_metadata_unref(replaced);
    f->table.cache = NULL;
    assert_int_equal(sweep(f), 0);
    iceberg_metadata_unref(made);
    assert_int_equal(sweep(f), 6); /* two data files, their manifests and lists */
    assert_sound(f, newest);
    iceberg_metadata_unref(newest);
}

struct sweeper {
    struct fixture *f;
    atomic_bool stop;
    int removed;
};

static void *sweep_on(void *context)
{
    struct sweeper *sweeper = context;
    while (!atomic_load(&sweeper->stop)) {
        int count = 0;
        assert_ok(iceberg_table_orphans(&sweeper->f->table, 0, true, count_key, &count, &test_err));
        sweeper->removed += count;
    }
    return NULL;
}

/* The sweep without any grace, again and again, while commits with old files
 * come and snapshots go. */
static void sweeps_beside_commits(void **state)
{
    struct fixture *f = *state;
    struct sweeper sweeper = {.f = f};
    const struct iceberg_thinning thinning = {.keep_newest = 5, .slack = 3};
    struct iceberg_metadata *metadata = test_create(f);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, sweep_on, &sweeper), 0);
    const struct timespec pause = {.tv_nsec = 1500000};
    for (int n = 0; n < 300; n++) {
        if (n % 2) /* sweeps begin while a commit is under way, and while none is */
            (void)nanosleep(&pause, NULL);
        struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
        struct iceberg_metadata *next = NULL;
        add_old_file(f, tx);
        if (n % 10 == 9)
            iceberg_tx_remove_all(tx);
        (void)iceberg_tx_thin(tx, &thinning);
        assert_ok(iceberg_tx_commit(tx, &next, &test_err));
        iceberg_tx_free(tx);
        iceberg_metadata_unref(metadata);
        metadata = next;
    }
    atomic_store(&sweeper.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    f->table.cache = NULL;
    sweeper.removed += sweep(f); /* whatever the other thread got round to */
    assert_sound(f, metadata);
    assert_true(sweeper.removed > 0);
    iceberg_metadata_unref(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(keeps_hours_and_days),
        TABLE_TEST(gives_up_days_in_the_end),
        TABLE_TEST(keeps_what_is_held),
        TABLE_TEST(a_rebase_takes_it_back),
        TABLE_TEST(the_past_says_what_is_missing),
        cmocka_unit_test(format_1_goes_by_parents),
        TABLE_TEST(a_commit_under_way_is_left_alone),
        TABLE_TEST(readers_keep_what_they_read),
        TABLE_TEST(readers_keep_what_a_client_made),
        TABLE_TEST(sweeps_beside_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
