/* Transactions: what lands in the snapshot, and who may commit after whom. */
#include "iceberg/table_internal.h"
#include "iceberg/test_support.h"

#include <pthread.h>

static struct iceberg_metadata *commit(struct iceberg_tx *tx, struct iceberg_metadata *base)
{
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_tx_free(tx);
    iceberg_metadata_unref(base);
    return next;
}

static void assert_totals(const struct iceberg_metadata *metadata, int64_t records, int64_t files, int64_t deletes,
                          int64_t deleted_rows, int64_t bytes)
{
    assert_int_equal(test_total(metadata, "total-records"), records);
    assert_int_equal(test_total(metadata, "total-data-files"), files);
    assert_int_equal(test_total(metadata, "total-delete-files"), deletes);
    assert_int_equal(test_total(metadata, "total-position-deletes"), deleted_rows);
    assert_int_equal(test_total(metadata, "total-equality-deletes"), 0);
    assert_int_equal(test_total(metadata, "total-files-size"), bytes);
}

static size_t count_files(struct fixture *f, const struct iceberg_metadata *metadata)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    return plan->file_count;
}

static void appends(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    metadata = test_append(f, metadata, 0, 10);
    assert_string_equal(metadata->current->operation, "append");
    assert_int_equal(metadata->current->parent_id, ICEBERG_NONE);
    assert_int_equal(metadata->current->sequence_number, 1);
    assert_null(strstr(metadata->current->json, "parent-snapshot-id"));
    int64_t first = metadata->current->id;
    metadata = test_append(f, metadata, 10, 5);
    assert_int_equal(metadata->current->parent_id, first);
    assert_int_equal(metadata->current->sequence_number, 2);
    assert_int_equal(test_total(metadata, "added-records"), 5);
    assert_int_equal(test_total(metadata, "added-data-files"), 1);
    assert_totals(metadata, 15, 2, 0, 0, 200);
    assert_int_equal(metadata->metadata_log_count, 2);
    assert_int_equal(metadata->snapshot_log_count, 2);
    assert_string_equal(metadata->refs[0].name, "main");
    assert_int_equal(metadata->refs[0].snapshot_id, metadata->current->id);
    assert_int_equal(count_files(f, metadata), 2);

    ICEBERG_AUTO_METADATA *loaded = NULL; /* what was written says the same */
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_int_equal(loaded->version, 3);
    assert_totals(loaded, 15, 2, 0, 0, 200);
    assert_int_equal(loaded->current->id, metadata->current->id);
    assert_int_equal(loaded->last_sequence_number, 2);
}

static void replaces_all(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    for (int i = 0; i < 3; i++)
        metadata = test_append(f, metadata, i * 10, 10);
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_remove_all(tx);
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, metadata, 100, 4), &test_err));
    iceberg_tx_set_summary(tx, "tarn.source", "again.csv");
    metadata = commit(tx, metadata);
    assert_string_equal(metadata->current->operation, "overwrite");
    assert_string_equal(iceberg_snapshot_summary(metadata->current, "tarn.source"), "again.csv");
    assert_int_equal(test_total(metadata, "deleted-records"), 30);
    assert_int_equal(test_total(metadata, "deleted-data-files"), 3);
    assert_totals(metadata, 4, 1, 0, 0, 100);
    assert_int_equal(count_files(f, metadata), 1);
    /* The next list carries nothing of what was removed. */
    metadata = test_append(f, metadata, 200, 1);
    struct manifest_object *list = NULL;
    assert_ok(table_open_list(&f->table, metadata, metadata->current, &list, &test_err));
    assert_int_equal(list->count, 2);
    manifest_object_unref(list);
    /* Emptying without adding is a delete. */
    tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_remove_all(tx);
    metadata = commit(tx, metadata);
    assert_string_equal(metadata->current->operation, "delete");
    assert_totals(metadata, 0, 0, 0, 0, 0);
    assert_int_equal(count_files(f, metadata), 0);
}

static void deletes_rows_and_compacts(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    struct iceberg_file *a = test_data_file(f, metadata, 0, 10), *b = test_data_file(f, metadata, 10, 10);
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    assert_ok(iceberg_tx_add_file(tx, a, &test_err));
    assert_ok(iceberg_tx_add_file(tx, b, &test_err));
    metadata = commit(tx, metadata);
    tx = iceberg_tx_new(&f->table, metadata);
    assert_ok(iceberg_tx_add_file(tx, test_delete_file(f, metadata, a->path, 3), &test_err));
    metadata = commit(tx, metadata);
    assert_string_equal(metadata->current->operation, "delete");
    assert_totals(metadata, 20, 2, 1, 3, 300);
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->deleted_file_count, 1);

    /* Compaction of a alone: its delete file goes with it, b stays. */
    struct iceberg_file *merged = test_data_file(f, metadata, 0, 7);
    tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_mark_rewrite(tx);
    iceberg_tx_remove_file(tx, a->path);
    merged->sequence_number = 1;
    assert_ok(iceberg_tx_add_file(tx, merged, &test_err));
    metadata = commit(tx, metadata);
    assert_string_equal(metadata->current->operation, "replace");
    assert_totals(metadata, 17, 2, 0, 0, 200);
    assert_int_equal(test_total(metadata, "removed-delete-files"), 1);
    assert_int_equal(test_total(metadata, "removed-position-deletes"), 3);
    ICEBERG_AUTO_PLAN *after = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &after, &test_err));
    assert_int_equal(after->file_count, 2);
    assert_int_equal(after->deleted_file_count, 0);
    assert_int_equal(after->files[0].file->sequence_number, 1);
    assert_int_equal(after->files[1].file->sequence_number, 1);

    /* What is no longer there cannot be removed. */
    tx = iceberg_tx_new(&f->table, metadata);
    struct iceberg_metadata *none = NULL;
    iceberg_tx_remove_file(tx, a->path);
    assert_code(iceberg_tx_commit(tx, &none, &test_err), TN_ECONFLICT);
    assert_non_null(strstr(test_err.detail, a->path));
    iceberg_tx_free(tx);
}

static void refuses_bad_files(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    struct iceberg_metadata *none = NULL;
    struct iceberg_file *file = test_data_file(f, metadata, 0, 1);
    file->record_count = 0;
    assert_code(iceberg_tx_add_file(tx, file, &test_err), TN_EINTERNAL);
    file->record_count = 1;
    file->content = ICEBERG_EQUALITY_DELETES;
    assert_code(iceberg_tx_add_file(tx, file, &test_err), TN_EUNSUPPORTED);
    file->content = ICEBERG_DATA;
    assert_ok(iceberg_tx_add_file(tx, file, &test_err));
    assert_ok(iceberg_tx_add_file(tx, file, &test_err));
    assert_code(iceberg_tx_commit(tx, &none, &test_err), TN_EINTERNAL); /* twice */
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *other = iceberg_tx_new(&f->table, metadata);
    struct iceberg_stats wrong = {.field_id = 1, .lower = {(const uint8_t *)"abc", 3}};
    file->stats = &wrong;
    assert_ok(iceberg_tx_add_file(other, file, &test_err));
    assert_code(iceberg_tx_commit(other, &none, &test_err), TN_EINTERNAL);
    wrong = (struct iceberg_stats){.field_id = 99};
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *third = iceberg_tx_new(&f->table, metadata);
    assert_ok(iceberg_tx_add_file(third, file, &test_err));
    assert_code(iceberg_tx_commit(third, &none, &test_err), TN_EINTERNAL);
}

static void changes_without_rows(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 1);
    int64_t snapshot = metadata->current->id;
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_property(tx, "tarn.title", "Calls \"2024\"");
    iceberg_tx_set_tag(tx, "first", snapshot);
    metadata = commit(tx, metadata);
    assert_int_equal(metadata->version, 3);
    assert_int_equal(metadata->snapshot_count, 1);
    assert_string_equal(iceberg_metadata_property(metadata, "tarn.title"), "Calls \"2024\"");
    assert_true(iceberg_metadata_ref_named(metadata, "first")->is_tag);
    /* A tagged snapshot cannot be forgotten, nor the current one. */
    metadata = test_append(f, metadata, 1, 1);
    struct iceberg_metadata *none = NULL;
    const int64_t held[] = {snapshot, metadata->current->id};
    for (size_t i = 0; i < TN_COUNT(held); i++) {
        tx = iceberg_tx_new(&f->table, metadata);
        iceberg_tx_forget_snapshot(tx, held[i]);
        assert_code(iceberg_tx_commit(tx, &none, &test_err), TN_EREFUSED);
        iceberg_tx_free(tx);
    }
    tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_tag(tx, "first", ICEBERG_NONE);
    iceberg_tx_set_property(tx, "tarn.title", NULL);
    iceberg_tx_forget_snapshot(tx, snapshot);
    metadata = commit(tx, metadata);
    assert_null(iceberg_metadata_property(metadata, "tarn.title"));
    assert_null(iceberg_metadata_ref_named(metadata, "first"));
    assert_null(iceberg_metadata_snapshot(metadata, snapshot));
    assert_int_equal(metadata->snapshot_log_count, 1);
    assert_int_equal(count_files(f, metadata), 2); /* its data lives on */
    /* Nothing asked for: nothing done. */
    tx = iceberg_tx_new(&f->table, metadata);
    struct iceberg_metadata *same = NULL;
    assert_ok(iceberg_tx_commit(tx, &same, &test_err));
    assert_ptr_equal(same, metadata);
    iceberg_metadata_unref(same);
    iceberg_tx_free(tx);
}

static void evolves(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 1);
    struct iceberg_field fields[] = {{.id = 0, .name = "name", .type = iceberg_type_of(ICEBERG_STRING)},
                                     {.id = 0, .name = "hired", .type = iceberg_type_of(ICEBERG_DATE)}};
    const struct iceberg_schema incoming = {.fields = fields, .field_count = 2}, *grown = NULL;
    assert_ok(
        iceberg_schema_evolve(f->arena, metadata->schema, &incoming, metadata->last_column_id, &grown, &test_err));
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_schema(tx, grown);
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, metadata, 1, 1), &test_err));
    metadata = commit(tx, metadata);
    assert_int_equal(metadata->schema->id, 1);
    assert_int_equal(metadata->schema->field_count, 5);
    assert_int_equal(metadata->last_column_id, 5);
    assert_int_equal(metadata->current->schema_id, 1);
    const struct iceberg_snapshot *old = metadata->snapshots[0];
    assert_int_equal(iceberg_metadata_schema_at(metadata, old)->field_count, 4);
    /* Setting an equal schema again makes no third one. */
    tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_schema(tx, metadata->schemas[0]);
    metadata = commit(tx, metadata);
    assert_int_equal(metadata->schema_count, 2);
    assert_int_equal(metadata->schema->id, 0);
    assert_int_equal(metadata->last_column_id, 5); /* never goes back */
}

static void restores(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 5);
    int64_t past = metadata->current->id, first = metadata->current->timestamp_ms;
    metadata = test_append(f, metadata, 5, 5);
    int64_t before = metadata->current->timestamp_ms; /* of the last that took its time from the clock */
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_remove_all(tx);
    iceberg_tx_set_time(tx, before + 1000);
    metadata = commit(tx, metadata);
    tx = iceberg_tx_new(&f->table, metadata);
    assert_code(iceberg_tx_start_from(tx, 12345, &test_err), TN_ESNAPSHOT);
    assert_ok(iceberg_tx_start_from(tx, past, &test_err));
    iceberg_tx_set_time(tx, before + 2000);
    metadata = commit(tx, metadata);
    assert_totals(metadata, 5, 1, 0, 0, 100);
    assert_int_equal(count_files(f, metadata), 1);
    assert_int_equal(iceberg_metadata_as_of(metadata, before + 1500)->id, metadata->snapshots[2]->id);
    assert_int_equal(iceberg_metadata_as_of(metadata, before + 2000)->id, metadata->current->id);
    assert_null(iceberg_metadata_as_of(metadata, first - 1));
    /* The clock may go back; the log may not. */
    tx = iceberg_tx_new(&f->table, metadata);
    iceberg_tx_set_time(tx, 5);
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, metadata, 9, 1), &test_err));
    metadata = commit(tx, metadata);
    assert_true(metadata->current->timestamp_ms >= before + 2000);
}

/* Many small commits: few manifests, right totals, all files. */
static void merges_manifests(void **state)
{
    struct fixture *f = *state;
    enum { COMMITS = 300 };
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    const char *first_path = NULL;
    for (int i = 0; i < COMMITS; i++) {
        struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
        struct iceberg_file *file = test_data_file(f, metadata, i, 1);
        if (i == 0)
            first_path = file->path;
        assert_ok(iceberg_tx_add_file(tx, file, &test_err));
        assert_ok(iceberg_tx_add_file(tx, test_delete_file(f, metadata, first_path, 1), &test_err));
        metadata = commit(tx, metadata);
    }
    assert_totals(metadata, COMMITS, COMMITS, COMMITS, COMMITS, 2 * 100 * COMMITS);
    struct manifest_object *list = NULL;
    assert_ok(table_open_list(&f->table, metadata, metadata->current, &list, &test_err));
    assert_true(list->count < 2 * 64);
    int64_t live = 0;
    for (size_t i = 0; i < list->count; i++)
        live += list->rows[i].added_files + list->rows[i].existing_files;
    assert_int_equal(live, 2 * COMMITS);
    manifest_object_unref(list);
    f->table.cache = NULL; /* from the files, not from memory */
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->file_count, COMMITS);
    for (int i = 0; i < COMMITS; i++)
        assert_int_equal(plan->files[i].file->sequence_number, i + 1);
    assert_int_equal(plan->files[0].delete_count, COMMITS);
    assert_int_equal(plan->files[1].delete_count, 0);
}

/* --- Two writers --- */

static void lost_races_rebase(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = test_append(f, test_create(f), 0, 10);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
    struct iceberg_metadata *none = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, base, 10, 10), &test_err));
    ICEBERG_AUTO_METADATA *theirs = test_append(f, iceberg_metadata_ref(base), 20, 10);
    assert_code(iceberg_tx_commit(tx, &none, &test_err), TN_ECONFLICT);
    ICEBERG_AUTO_METADATA *newest = NULL;
    assert_ok(iceberg_table_load(&f->table, base, &newest, &test_err));
    assert_int_equal(newest->current->id, theirs->current->id);
    assert_ok(iceberg_tx_rebase(tx, newest, &test_err));
    assert_ok(iceberg_tx_commit(tx, &done, &test_err));
    assert_totals(done, 30, 3, 0, 0, 300);
    assert_int_equal(done->current->sequence_number, 3);
    assert_int_equal(count_files(f, done), 3);
}

static void rebase_sees_what_is_in_the_way(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = test_create(f);
    struct iceberg_file *a = test_data_file(f, base, 0, 10);
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
    assert_ok(iceberg_tx_add_file(tx, a, &test_err));
    base = commit(tx, base);
    ICEBERG_AUTO_METADATA *newest = NULL;

    /* A compaction of a, and rows of a deleted meanwhile. */
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *compaction = iceberg_tx_new(&f->table, base);
    iceberg_tx_remove_file(compaction, a->path);
    assert_ok(iceberg_tx_add_file(compaction, test_data_file(f, base, 0, 10), &test_err));
    tx = iceberg_tx_new(&f->table, base);
    assert_ok(iceberg_tx_add_file(tx, test_delete_file(f, base, a->path, 1), &test_err));
    newest = commit(tx, iceberg_metadata_ref(base));
    assert_code(iceberg_tx_rebase(compaction, newest, &test_err), TN_ECONFLICT);

    /* Deleting rows of a, and a removed meanwhile. */
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *upsert = iceberg_tx_new(&f->table, newest);
    assert_ok(iceberg_tx_add_file(upsert, test_delete_file(f, newest, a->path, 2), &test_err));
    assert_ok(iceberg_tx_add_file(upsert, test_data_file(f, newest, 50, 2), &test_err));
    newest = test_append(f, newest, 100, 1); /* an append is not in the way */
    assert_ok(iceberg_tx_rebase(upsert, newest, &test_err));
    tx = iceberg_tx_new(&f->table, newest);
    iceberg_tx_remove_file(tx, a->path);
    newest = commit(tx, newest);
    assert_code(iceberg_tx_rebase(upsert, newest, &test_err), TN_ECONFLICT);

    /* Two changes of the columns. */
    struct iceberg_field field = {.name = "extra", .type = iceberg_type_of(ICEBERG_INT)};
    const struct iceberg_schema more = {.fields = &field, .field_count = 1}, *grown = NULL;
    assert_ok(iceberg_schema_evolve(f->arena, newest->schema, &more, newest->last_column_id, &grown, &test_err));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *mine = iceberg_tx_new(&f->table, newest);
    iceberg_tx_set_schema(mine, grown);
    tx = iceberg_tx_new(&f->table, newest);
    iceberg_tx_set_schema(tx, grown);
    newest = commit(tx, newest);
    assert_code(iceberg_tx_rebase(mine, newest, &test_err), TN_ECONFLICT);
}

static void two_tables_prepare_then_publish(void **state)
{
    struct fixture *f = *state;
    struct iceberg_table other = f->table;
    other.prefix = "datasets/u";
    ICEBERG_AUTO_METADATA *a = test_create(f);
    ICEBERG_AUTO_METADATA *b = NULL;
    assert_ok(iceberg_table_create(&other, test_schema(f->arena), NULL, 0, &b, &test_err));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *x = iceberg_tx_new(&f->table, a);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *y = iceberg_tx_new(&other, b);
    assert_ok(iceberg_tx_add_file(x, test_data_file(f, a, 0, 1), &test_err));
    iceberg_tx_set_property(y, "k", "v");
    assert_ok(iceberg_tx_prepare(x, &test_err));
    assert_ok(iceberg_tx_prepare(y, &test_err));
    ICEBERG_AUTO_METADATA *seen = NULL;
    assert_ok(iceberg_table_load(&f->table, a, &seen, &test_err));
    assert_ptr_equal(seen, a); /* not yet */
    ICEBERG_AUTO_METADATA *p = NULL;
    ICEBERG_AUTO_METADATA *q = NULL;
    assert_ok(iceberg_tx_publish(x, &p, &test_err));
    assert_ok(iceberg_tx_publish(y, &q, &test_err));
    assert_int_equal(p->version, 2);
    assert_string_equal(iceberg_metadata_property(q, "k"), "v");
}

struct racer {
    struct fixture *f;
    struct iceberg_metadata *base;
    int index, commits, conflicts;
    char error[200];
};

static enum tn_code race_commit(struct racer *racer, struct tn_arena *arena, struct iceberg_metadata **base,
                                int round, struct tn_error *err)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&racer->f->table, *base);
    const struct iceberg_file file = {
        .path = tn_arena_printf(arena, "%s/data/%d-%d.parquet", (*base)->location, racer->index, round),
        .record_count = 1,
        .size_bytes = 1};
    struct iceberg_metadata *next = NULL;
    TN_TRY(iceberg_tx_add_file(tx, &file, err));
    enum tn_code code;
    while ((code = iceberg_tx_commit(tx, &next, err)) == TN_ECONFLICT) {
        racer->conflicts++;
        ICEBERG_AUTO_METADATA *newest = NULL;
        TN_TRY(iceberg_table_load(&racer->f->table, *base, &newest, err));
        TN_TRY(iceberg_tx_rebase(tx, newest, err));
    }
    TN_TRY(code);
    iceberg_metadata_unref(*base);
    *base = next;
    racer->commits++;
    return TN_OK;
}

static void *race_run(void *argument)
{
    struct racer *racer = argument;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *base = iceberg_metadata_ref(racer->base);
    struct tn_error err = {0};
    for (int round = 0; round < 15; round++)
        if (race_commit(racer, arena, &base, round, &err) != TN_OK)
            (void)snprintf(racer->error, sizeof racer->error, "%.190s", err.detail);
    return NULL;
}

/* Eight writers, fifteen appends each: all are there, once, in a row. */
static void races_have_one_winner_each(void **state)
{
    struct fixture *f = *state;
    enum { WRITERS = 8 };
    struct racer racers[WRITERS];
    pthread_t threads[WRITERS];
    ICEBERG_AUTO_METADATA *base = test_create(f);
    int commits = 0;
    for (int i = 0; i < WRITERS; i++) {
        racers[i] = (struct racer){.f = f, .base = base, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, race_run, &racers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(racers[i].error, "");
        commits += racers[i].commits;
    }
    ICEBERG_AUTO_METADATA *last = NULL;
    assert_ok(iceberg_table_load(&f->table, base, &last, &test_err));
    assert_int_equal(commits, WRITERS * 15);
    assert_int_equal(last->version, 1 + commits);
    assert_int_equal(last->snapshot_count, commits);
    assert_int_equal(test_total(last, "total-records"), commits);
    for (size_t i = 1; i < last->snapshot_count; i++)
        assert_int_equal(last->snapshots[i]->parent_id, last->snapshots[i - 1]->id);
    assert_int_equal(count_files(f, last), commits);
}

static void ids_are_all_told_as_texts(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = test_create(f);
    for (int i = 0; i < 20000; i++) {
        struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
        assert_true(iceberg_tx_snapshot_id(tx) > TN_JSON_MAX_SAFE);
        iceberg_tx_free(tx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(appends),
        TABLE_TEST(replaces_all),
        TABLE_TEST(deletes_rows_and_compacts),
        TABLE_TEST(refuses_bad_files),
        TABLE_TEST(changes_without_rows),
        TABLE_TEST(evolves),
        TABLE_TEST(restores),
        TABLE_TEST(merges_manifests),
        TABLE_TEST(lost_races_rebase),
        TABLE_TEST(rebase_sees_what_is_in_the_way),
        TABLE_TEST(two_tables_prepare_then_publish),
        TABLE_TEST(races_have_one_winner_each),
        TABLE_TEST(ids_are_all_told_as_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
