/* Orphans and the validator: what a sound table shows, and each kind of harm. */
#include "iceberg/table_internal.h"
#include "iceberg/test_support.h"

struct findings {
    int fatal, untidy;
    char rules[2000];
};

static void collect(void *context, const struct iceberg_finding *finding)
{
    struct findings *findings = context;
    finding->fatal ? findings->fatal++ : findings->untidy++;
    size_t used = strlen(findings->rules);
    (void)snprintf(findings->rules + used, sizeof findings->rules - used, "%s ", finding->rule);
}

static struct findings check(struct fixture *f, const struct iceberg_metadata *metadata)
{
    struct findings findings = {0};
    assert_ok(iceberg_check(&f->table, metadata, collect, &findings, &test_err));
    return findings;
}

static struct iceberg_metadata *rich_table(struct fixture *f)
{
    struct iceberg_metadata *metadata = test_create(f);
    for (int i = 0; i < 40; i++)
        metadata = test_append(f, metadata, i * 10, 10);
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    assert_ok(iceberg_tx_add_file(tx, test_delete_file(f, metadata, plan->files[3].file->path, 2), &test_err));
    iceberg_tx_remove_file(tx, plan->files[5].file->path);
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(metadata);
    return next;
}

static void a_sound_table_shows_nothing(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = rich_table(f);
    struct findings findings = check(f, metadata);
    assert_string_equal(findings.rules, "");
    metadata = test_append(f, metadata, 0, 1);
    findings = check(f, metadata);
    assert_string_equal(findings.rules, "");
}

static void finds_harm_to_files(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = rich_table(f);
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    assert_ok(store_put(f->store, plan->files[0].key, "short", 5, &test_err));
    struct findings findings = check(f, metadata);
    assert_string_equal(findings.rules, "length ");
    assert_ok(store_delete(f->store, plan->files[1].key, &test_err));
    findings = check(f, metadata);
    assert_non_null(strstr(findings.rules, "missing "));
    assert_int_equal(findings.fatal, 2);
    const char *key = NULL;
    assert_ok(iceberg_resolve(f->arena, &f->table, metadata, metadata->current->manifest_list, &key, &test_err));
    assert_ok(store_put(f->store, key, "", 0, &test_err));
    findings = check(f, metadata);
    assert_non_null(strstr(findings.rules, "manifest-list "));
    f->table.cache = NULL;
    ICEBERG_AUTO_PLAN *none = NULL;
    assert_code(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &none, &test_err), TN_ECORRUPT);
}

/* The metadata's own text changed: wrong totals, no main, and so on. */
static struct findings check_edited(struct fixture *f, const struct iceberg_metadata *metadata, const char *from,
                                    const char *to)
{
    size_t length = 0;
    const char *json = iceberg_metadata_json(metadata, &length), *at = json, *last = NULL;
    TN_AUTO_BUF edited = {0};
    ICEBERG_AUTO_METADATA *parsed = NULL;
    for (; (at = strstr(at, from)); at++)
        last = at;
    assert_non_null(last);
    tn_buf_append(&edited, json, (size_t)(last - json));
    tn_buf_puts(&edited, to);
    tn_buf_puts(&edited, last + strlen(from));
    assert_ok(iceberg_metadata_parse(edited.data, edited.len, "edited", &parsed, &test_err));
    return check(f, parsed);
}

static void finds_harm_to_metadata(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = rich_table(f);
    assert_string_equal(check_edited(f, metadata, "\"total-records\":\"390\"", "\"total-records\":\"391\"").rules,
                        "totals ");
    assert_string_equal(check_edited(f, metadata, ",\"total-files-size\":\"4000\"", "").rules, "totals ");
    assert_string_equal(check_edited(f, metadata, "\"operation\":\"delete\",", "").rules, "summary-operation ");
    assert_string_equal(check_edited(f, metadata, "\"last-column-id\":4", "\"last-column-id\":3").rules,
                        "last-column-id ");
    assert_string_equal(check_edited(f, metadata, "\"schema-id\":0}", "\"schema-id\":7}").rules,
                        "snapshot-schema-id ");
}

struct seen {
    int count;
    char keys[4000];
};

static void see(void *context, const char *key, int64_t size)
{
    struct seen *seen = context;
    (void)size;
    seen->count++;
    size_t used = strlen(seen->keys);
    (void)snprintf(seen->keys + used, sizeof seen->keys - used, "%s ", key);
}

static void finds_and_removes_orphans(void **state)
{
    struct fixture *f = *state;
    static const char *const stray[] = {"datasets/t/data/stray.parquet", "datasets/t/metadata/stray-m0.avro",
                                        "datasets/t/metadata/00099-x.metadata.json"};
    ICEBERG_AUTO_METADATA *metadata = rich_table(f);
    struct seen seen = {0};
    assert_ok(iceberg_table_orphans(&f->table, 0, true, see, &seen, &test_err));
    assert_int_equal(seen.count, 0);
    for (size_t i = 0; i < TN_COUNT(stray); i++)
        assert_ok(store_put(f->store, stray[i], "x", 1, &test_err));
    assert_ok(store_put(f->store, "datasets/t/notes.txt", "x", 1, &test_err)); /* not ours to judge */
    assert_ok(iceberg_table_orphans(&f->table, 3600 * 1000, true, see, &seen, &test_err));
    assert_int_equal(seen.count, 0); /* too young */
    struct findings findings = check(f, metadata);
    assert_int_equal(findings.untidy, 3);
    assert_int_equal(findings.fatal, 0);
    assert_ok(iceberg_table_orphans(&f->table, 0, true, see, &seen, &test_err));
    assert_int_equal(seen.count, 3);
    bool there = true;
    for (size_t i = 0; i < TN_COUNT(stray); i++) {
        assert_non_null(strstr(seen.keys, stray[i]));
        assert_ok(store_exists(f->store, stray[i], &there, &test_err));
        assert_false(there);
    }
    assert_ok(store_exists(f->store, "datasets/t/notes.txt", &there, &test_err));
    assert_true(there);
    /* Files of a forgotten snapshot become orphans, others not. */
    struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    for (size_t i = 0; i + 1 < metadata->snapshot_count; i++)
        iceberg_tx_forget_snapshot(tx, metadata->snapshots[i]->id);
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_tx_free(tx); /* and nobody reads the old version any more */
    iceberg_metadata_unref(TN_TAKE(metadata));
    seen = (struct seen){0};
    assert_ok(iceberg_table_orphans(&f->table, 0, true, see, &seen, &test_err));
    assert_true(seen.count >= 41); /* 40 lists and the file that was removed, and merged manifests */
    findings = check(f, next);
    assert_string_equal(findings.rules, "");
    f->table.cache = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, next, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->file_count, 39);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(a_sound_table_shows_nothing),
        TABLE_TEST(finds_harm_to_files),
        TABLE_TEST(finds_harm_to_metadata),
        TABLE_TEST(finds_and_removes_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
