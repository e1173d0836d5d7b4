/* Which files a compaction takes, that it ends, and that it changes no answer. */
#include "dataset/compact.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

static uint64_t dice_state = 7;

static size_t dice(size_t below)
{
    return throw_dice(&dice_state, below);
}

/* ---- the policy, on plans that are made up --------------------------------------- */

#define FILES_MAX 4000

struct made_up {
    struct tn_arena *arena;
    struct iceberg_plan_file files[FILES_MAX];
    struct iceberg_plan plan;
};

static const struct iceberg_metadata any_table = {.format_version = 2};
static const struct compact_limits limits = {.many = 8, .deleted_share = 0.2};

static struct made_up *made_up_new(void)
{
    struct made_up *made = tn_calloc(1, sizeof *made);
    made->arena = tn_arena_new();
    made->plan.files = made->files;
    return made;
}

static void made_up_free(struct made_up *made)
{
    tn_arena_free(made->arena);
    free(made);
}

/* `deletes` delete files of its own, with `deleted` rows together. */
static void add_file(struct made_up *made, int64_t rows, size_t deletes, int64_t deleted)
{
    size_t at = made->plan.file_count++;
    assert_true(at < FILES_MAX);
    struct iceberg_file *file = TN_ARENA_ARRAY(made->arena, struct iceberg_file, 1);
    struct iceberg_file *gone = TN_ARENA_ARRAY(made->arena, struct iceberg_file, deletes + 1);
    const struct iceberg_file **list = TN_ARENA_ARRAY(made->arena, const struct iceberg_file *, deletes + 1);
    file->path = tn_arena_printf(made->arena, "f%zu-%" PRId64, at, rows);
    file->record_count = rows;
    file->size_bytes = 500 + rows * 20;
    for (size_t i = 0; i < deletes; i++) {
        gone[i].referenced_data_file = file->path;
        gone[i].record_count = i ? 0 : deleted;
        list[i] = &gone[i];
    }
    made->files[at] = (struct iceberg_plan_file){.file = file, .deletes = list, .delete_count = deletes};
}

static struct compact_choice choose(struct made_up *made)
{
    struct compact_choice choice;
    compact_choose_debt(&any_table, &made->plan, &limits, made->arena, &choice);
    return choice;
}

/* The plan after what was chosen is done; returns the rows that were written. */
static int64_t carry_out(struct made_up *made, const struct compact_choice *choice)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = made->arena;
    struct iceberg_plan_file *old = tn_malloc(sizeof made->files);
    memcpy(old, made->files, sizeof made->files);
    size_t count = made->plan.file_count;
    int64_t written = 0;
    made->arena = tn_arena_new();
    made->plan.file_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool grouped = false, merged = false;
        for (size_t g = 0; g < choice->group_count; g++)
            for (size_t k = 0; k < choice->groups[g].count; k++)
                grouped = grouped || choice->groups[g].files[k].file == old[i].file;
        for (size_t m = 0; m < choice->merge_count; m++)
            merged = merged || choice->merges[m]->file == old[i].file;
        if (!grouped)
            add_file(made, old[i].file->record_count, merged ? 1 : old[i].delete_count,
                     compact_deleted_rows(&old[i]));
    }
    for (size_t g = 0; g < choice->group_count; g++) {
        int64_t rows = 0;
        for (size_t k = 0; k < choice->groups[g].count; k++)
            rows += choice->groups[g].files[k].file->record_count - compact_deleted_rows(&choice->groups[g].files[k]);
        if (rows > 0)
            add_file(made, rows, 0, 0);
        written += rows;
    }
    free(old);
    return written;
}

static void test_small_files_leave_the_base_alone(void **state)
{
    (void)state;
    struct made_up *made = made_up_new();
    add_file(made, 100000, 3, 60);
    for (size_t i = 0; i < 60; i++)
        add_file(made, 1, 0, 0);
    struct compact_choice choice = choose(made);
    assert_int_equal(choice.group_count, 1);
    assert_int_equal(choice.groups[0].count, 60);
    assert_int_equal(choice.merge_count, 0);
    assert_int_equal(choice.files, 60);
    assert_int_equal(choice.tired, 0);
    assert_int_equal(carry_out(made, &choice), 60);
    assert_int_equal(choose(made).files, 0);
    made_up_free(made);
}

static void test_many_deletes_become_one_and_tired_files_are_written_anew(void **state)
{
    (void)state;
    struct made_up *made = made_up_new();
    add_file(made, 100000, 8, 60);
    add_file(made, 100000, 2, 20001);
    add_file(made, 20000, 2, 4999); /* a quarter, but not enough to cost anything */
    struct compact_choice choice = choose(made);
    assert_int_equal(choice.merge_count, 1);
    assert_ptr_equal(choice.merges[0]->file, made->files[0].file);
    assert_int_equal(choice.group_count, 1);
    assert_ptr_equal(choice.groups[0].files[0].file, made->files[1].file);
    assert_int_equal(choice.tired, 1);
    assert_int_equal(choice.files, 8 + 3);
    (void)carry_out(made, &choice);
    assert_int_equal(choose(made).files, 0);
    made_up_free(made);
}

/* Of delete files that name several data files, only the data file can go. */
static void test_shared_deletes_tire_a_file(void **state)
{
    (void)state;
    struct made_up *made = made_up_new();
    add_file(made, 100000, 8, 10);
    for (size_t i = 0; i < 8; i++)
        ((struct iceberg_file *)(uintptr_t)made->files[0].deletes[i])->referenced_data_file = NULL;
    struct compact_choice choice = choose(made);
    assert_int_equal(choice.merge_count, 0);
    assert_int_equal(choice.group_count, 1);
    made_up_free(made);
}

static void test_what_cannot_be_written_is_left_alone(void **state)
{
    (void)state;
    static const struct iceberg_partition_field field = {.source_id = 1, .name = "day", .transform = "zorder"};
    static const struct iceberg_spec spec = {.fields = &field, .field_count = 1};
    static const struct iceberg_spec *const specs[] = {&spec};
    static const struct iceberg_schema schema = {0};
    const struct iceberg_metadata table = {.format_version = 2, .specs = specs, .spec_count = 1, .schema = &schema};
    struct made_up *made = made_up_new();
    struct compact_choice choice;
    for (size_t i = 0; i < 60; i++)
        add_file(made, 1, 0, 0);
    compact_choose_debt(&table, &made->plan, &limits, made->arena, &choice);
    assert_int_equal(choice.files, 0);
    made_up_free(made);
}

/* However their files came one after the other, and whether chosen by debt or whole. */
static void test_groups_stay_in_their_partition(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {'a', 'b', 'c'};
    struct made_up *made = made_up_new();
    for (size_t i = 0; i < 300; i++) {
        add_file(made, 1 + (int64_t)dice(20), dice(2), 0);
        struct iceberg_file *file = (struct iceberg_file *)(uintptr_t)made->files[i].file;
        struct iceberg_bytes *value = TN_ARENA_ARRAY(made->arena, struct iceberg_bytes, 1);
        size_t which = dice(4);
        if (which < 3)
            *value = (struct iceberg_bytes){&bytes[which], 1}; /* else NULL */
        file->spec_id = 5 + (int32_t)dice(2);
        file->partition = value;
        file->partition_count = 1;
    }
    for (int whole = 0; whole < 2; whole++) {
        struct compact_choice choice = {0};
        size_t files = 0;
        if (whole)
            compact_choose_all(&made->plan, made->arena, &choice);
        else
            choice = choose(made);
        for (size_t g = 0; g < choice.group_count; g++) {
            const struct iceberg_file *first = choice.groups[g].files[0].file;
            files += choice.groups[g].count;
            for (size_t i = 1; i < choice.groups[g].count; i++) {
                const struct iceberg_file *file = choice.groups[g].files[i].file;
                assert_int_equal(file->spec_id, first->spec_id);
                assert_int_equal(iceberg_partition_compare(NULL, file->partition, first->partition, 1), 0);
            }
        }
        assert_int_equal(choice.group_count, 8); /* one for each of two specs and four values */
        assert_int_equal(files, 300);
    }
    made_up_free(made);
}

/* Many thousand small writes, compacted whenever 100 files are due: the files
 * stay few, what is left has no debt, and each row is written a few times. */
static void test_files_stay_few_and_rows_are_not_written_again_and_again(void **state)
{
    (void)state;
    struct made_up *made = made_up_new();
    int64_t rows = 0, written = 0;
    size_t most = 0;
    for (size_t step = 0; step < 30000; step++) {
        int64_t added = dice(50) ? 1 : 1 + (int64_t)dice(20000);
        add_file(made, added, dice(2), 0);
        rows += added;
        most = TN_MAX(most, made->plan.file_count);
        struct compact_choice choice = {0};
        if (made->plan.file_count >= 100)
            choice = choose(made);
        if (choice.files < 100)
            continue;
        written += carry_out(made, &choice);
        assert_int_equal(choose(made).files, 0);
    }
    assert_in_range(most, 100, 400);
    assert_in_range(written, rows, 30 * rows);
    made_up_free(made);
}

/* ---- real tables -------------------------------------------------------------------- */

static void make_table(struct fixture *f, const char *sql)
{
    static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                    {.name = "name", .sql_type = "VARCHAR"}};
    append_rows(f, "t", columns, 2, "id", sql);
}

static void note_finding(void *context, const struct iceberg_finding *finding)
{
    (void)context;
    if (finding->fatal)
        fail_msg("%s at %s: %s", finding->rule, finding->where, finding->text);
}

static void check_table(struct fixture *f)
{
    struct tn_error err = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    const struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(iceberg_check(&table, metadata, note_finding, NULL, &err), &err);
}

static struct dataset_compacted compact_by(struct fixture *f, bool debt_only)
{
    struct tn_error err = {0};
    struct dataset_compacted done;
    const struct dataset_compaction options = {.debt_only = debt_only};
    must(dataset_compact(&f->lake, "t", &options, &done, &err), &err);
    return done;
}

static struct dataset_compacted compact(struct fixture *f)
{
    return compact_by(f, true);
}

static struct dataset_debt debt(struct fixture *f)
{
    struct tn_error err = {0};
    struct dataset_debt found;
    must(dataset_debt(&f->lake, "t", &found, &err), &err);
    return found;
}

#define SUM "SELECT count(*), sum(id), count(DISTINCT name), min(name), max(name) FROM t"

static void test_debt_of_one_row_writes_is_paid_without_the_base(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    TN_AUTO_BUF before = {0};
    make_table(f, "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(1000) t(i)");
    for (int64_t i = 0; i < 20; i++)
        upsert_name(f, i * 37, i % 2 ? "odd" : "even");
    struct dataset_debt due = debt(f);
    assert_int_equal(due.data_files, 21);
    assert_int_equal(due.due_files, 40); /* the new data files, and the base's delete files */
    must(ask(&f->lake, SUM, NULL, &before, &err), &err);
    struct dataset_compacted done = compact(f);
    assert_int_equal(done.groups, 2);
    assert_int_equal(done.files_before, 40);
    assert_int_equal(done.files_after, 2);
    assert_int_equal(done.rows, 20);
    expect(f, SUM, before.data);
    due = debt(f);
    assert_int_equal(due.data_files, 2);
    assert_int_equal(due.delete_files, 1);
    assert_int_equal(due.due_files, 0);
    check_table(f);
    assert_int_equal(compact(f).groups, 0);
    /* Nothing changed, and the change log says so. */
    ICEBERG_AUTO_METADATA *metadata = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    int64_t from = metadata->snapshots[metadata->snapshot_count - 3]->id;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    expect(f,
           tn_arena_printf(arena, "SELECT count(*) FROM changes('t', %" PRId64 ", %" PRId64 ")", from,
                           metadata->current->id),
           "[0]");
}

/* Rows that were written, replaced and deleted again, with compactions between. */
static void test_random_writes_with_compactions_between(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    enum { KEYS = 40 };
    size_t names[KEYS] = {0};
    make_table(f, "SELECT i::BIGINT AS id, 'n0' AS name FROM range(40) t(i)");
    for (size_t step = 0; step < 160; step++) {
        size_t key = dice(KEYS);
        names[key] = dice(90);
        char name[16];
        snprintf(name, sizeof name, "n%zu", names[key]);
        upsert_name(f, (int64_t)key, name);
        if (dice(12))
            continue;
        struct dataset_relations *kept = f->lake.relations;
        switch (dice(4)) {
        case 0: /* what is in memory may be lost */
            dataset_relations_free(f->lake.relations);
            f->lake.relations = dataset_relations_new();
            break;
        case 1: /* or there is no memory for it: through files */
            f->lake.relations = NULL;
            break;
        default:
            break;
        }
        (void)compact(f);
        if (!f->lake.relations)
            f->lake.relations = kept;
        TN_AUTO_BUF got = {0}, want = {0};
        for (size_t i = 0; i < KEYS; i++)
            tn_buf_printf(&want, "%s[%zu,\"n%zu\"]", i ? "," : "", i, names[i]);
        must(ask(&f->lake, "SELECT id, name FROM t ORDER BY id", NULL, &got, &err), &err);
        assert_string_equal(got.data, want.data);
        assert_in_range(debt(f).due_files, 0, 0);
    }
    check_table(f);
}

/* Of the files that a dataset's folder has in `data`, those that `call` takes. */
static size_t each_data_file(struct fixture *f, bool (*call)(const char *path))
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    struct tn_error err = {0};
    size_t count = 0;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(iceberg_plan_new(&table, metadata, NULL, NULL, 0, &plan, &err), &err);
    for (size_t i = 0; i < plan->file_count; i++) {
        char *path;
        if (plan->files[i].file->record_count > 10)
            continue; /* the base */
        must(store_local_path(f->lake.store, arena, plan->files[i].key, &path, &err), &err);
        count += call(path);
        for (size_t d = 0; d < plan->files[i].delete_count; d++) {
            must(store_local_path(f->lake.store, arena, plan->files[i].delete_keys[d], &path, &err), &err);
            (void)call(path);
        }
    }
    return count;
}

static bool break_file(const char *path)
{
    return truncate(path, 0) == 0;
}

/* Were one of the files read, the compaction would fail. */
static void test_what_was_just_written_is_not_read_again(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    TN_AUTO_BUF before = {0};
    make_table(f, "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(1000) t(i)");
    for (int64_t i = 0; i < 40; i++)
        upsert_name(f, i % 30, i % 2 ? "odd" : "even");
    must(ask(&f->lake, SUM, NULL, &before, &err), &err);
    assert_int_equal(each_data_file(f, break_file), 30); /* ten have lost their row, and went */
    struct dataset_compacted done = compact(f);
    assert_int_equal(done.rows, 30);
    assert_int_equal(debt(f).data_files, 2);
    expect(f, SUM, before.data);
    /* The merged file is in memory as well, and the next tier is made of it. */
    for (int64_t i = 30; i < 50; i++)
        upsert_name(f, i, "more");
    (void)each_data_file(f, break_file);
    done = compact(f);
    assert_true(done.groups > 0);
    assert_int_equal(debt(f).data_files, 2 + (done.rows == 20)); /* by their sizes: together, or beside each other */
    expect(f, "SELECT count(*), count(*) FILTER (name = 'more') FROM t", "[1000,20]");
}

/* Compactions of one dataset by one thread while another writes to it: no write is lost. */
struct writing {
    struct fixture *f;
    size_t steps;
    atomic_bool done;
    size_t names[60];
};

static void *write_on(void *context)
{
    struct writing *writing = context;
    uint64_t state = 99;
    for (size_t step = 1; step <= writing->steps; step++) {
        size_t key = throw_dice(&state, 60);
        char name[16];
        snprintf(name, sizeof name, "w%zu", step);
        writing->names[key] = step;
        upsert_name(writing->f, (int64_t)key, name);
    }
    atomic_store(&writing->done, true);
    return NULL;
}

static void race_writers(struct fixture *f, size_t rows, size_t steps, bool debt_only)
{
    struct writing writing = {.f = f, .steps = steps};
    pthread_t thread;
    struct tn_error err = {0};
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT i::BIGINT AS id, 'w0' AS name FROM range(%zu) t(i)", rows);
    make_table(f, sql);
    f->lake.hot = dataset_hot_new((uint64_t)16 << 20);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    uint64_t groups = 0;
    while (!atomic_load(&writing.done))
        groups += compact_by(f, debt_only).groups;
    assert_int_equal(pthread_join(thread, NULL), 0);
    groups += compact_by(f, debt_only).groups;
    assert_true(groups > 0);
    TN_AUTO_BUF got = {0}, want = {0};
    for (size_t i = 0; i < 60; i++)
        tn_buf_printf(&want, "%s[%zu,\"w%zu\"]", i ? "," : "", i, writing.names[i]);
    must(ask(&f->lake, "SELECT id, name FROM t WHERE id < 60 ORDER BY id", NULL, &got, &err), &err);
    assert_string_equal(got.data, want.data);
    snprintf(sql, sizeof sql, "[%zu,%zu]", rows, rows - 60);
    expect(f, "SELECT count(*), count(*) FILTER (id >= 60 AND name = 'w0') FROM t", sql);
    check_table(f);
    dataset_hot_free(f->lake.hot);
    f->lake.hot = NULL;
}

static void test_writers_win_against_compactions(void **state)
{
    race_writers(*state, 60, 400, true);
}

/* More rows than are rewritten in memory: where each went is known before the lock, and looked up under it. */
static void test_writers_win_against_large_compactions(void **state)
{
    race_writers(*state, 30000, 80, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_files_leave_the_base_alone),
        cmocka_unit_test(test_many_deletes_become_one_and_tired_files_are_written_anew),
        cmocka_unit_test(test_shared_deletes_tire_a_file),
        cmocka_unit_test(test_what_cannot_be_written_is_left_alone),
        cmocka_unit_test(test_groups_stay_in_their_partition),
        cmocka_unit_test(test_files_stay_few_and_rows_are_not_written_again_and_again),
        cmocka_unit_test_setup_teardown(test_debt_of_one_row_writes_is_paid_without_the_base, set_up_for_rows,
                                        tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_what_was_just_written_is_not_read_again, set_up_for_rows,
                                        tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_writers_win_against_compactions, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_writers_win_against_large_compactions, set_up_for_rows,
                                        tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_random_writes_with_compactions_between, set_up_for_rows,
                                        tear_down_for_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
