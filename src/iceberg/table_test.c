/* Tables: creation, the newest version by every way, drop and undrop. */
#include "iceberg/test_support.h"

static void creates_and_loads(void **state)
{
    struct fixture *f = *state;
    bool exists = true;
    ICEBERG_AUTO_METADATA *created = NULL;
    ICEBERG_AUTO_METADATA *loaded = NULL;
    ICEBERG_AUTO_METADATA *again = NULL;
    assert_code(iceberg_table_load(&f->table, NULL, &loaded, &test_err), TN_ENOTFOUND);
    assert_ok(iceberg_table_exists(&f->table, &exists, &test_err));
    assert_false(exists);
    created = test_create(f);
    assert_int_equal(created->version, 1);
    assert_null(created->current);
    assert_int_equal(created->last_column_id, 4);
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_string_equal(loaded->uuid, created->uuid);
    assert_string_equal(loaded->uri, created->uri);
    size_t a = 0, b = 0;
    const char *x = iceberg_metadata_json(created, &a), *y = iceberg_metadata_json(loaded, &b);
    assert_int_equal(a, b);
    assert_memory_equal(x, y, a);
    assert_ok(iceberg_table_load(&f->table, loaded, &again, &test_err));
    assert_ptr_equal(again, loaded);
    assert_ok(iceberg_table_exists(&f->table, &exists, &test_err));
    assert_true(exists);
    struct iceberg_metadata *other = NULL;
    assert_code(iceberg_table_create(&f->table, test_schema(f->arena), NULL, 0, &other, &test_err), TN_EEXISTS);
    assert_null(other);
}

static void refuses_bad_schemas(void **state)
{
    struct fixture *f = *state;
    struct iceberg_metadata *metadata = NULL;
    struct iceberg_field fields[2] = {{.id = 1, .name = "a", .type = iceberg_type_of(ICEBERG_INT)},
                                      {.id = 2, .name = "A", .type = iceberg_type_of(ICEBERG_INT)}};
    struct iceberg_schema schema = {.fields = fields, .field_count = 2};
    assert_code(iceberg_table_create(&f->table, &schema, NULL, 0, &metadata, &test_err), TN_ESCHEMA);
    fields[1].name = "";
    assert_code(iceberg_table_create(&f->table, &schema, NULL, 0, &metadata, &test_err), TN_ESCHEMA);
}

/* Schema and first rows in one commit; also where a table was dropped. */
static void first_commit_makes_the_table(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 2; round++) {
        TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
        TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *late = NULL;
        ICEBERG_AUTO_METADATA *made = NULL;
        ICEBERG_AUTO_METADATA *loaded = NULL;
        struct iceberg_metadata *none = NULL;
        struct iceberg_tx *refused = NULL;
        const char *key = NULL;
        bool exists = true;
        assert_ok(iceberg_tx_new_table(&f->table, test_schema(f->arena), &tx, &test_err));
        assert_ok(iceberg_tx_new_table(&f->table, test_schema(f->arena), &late, &test_err));
        const struct iceberg_file file = {
            .path = iceberg_tx_new_file(tx, f->arena, ".parquet", &key), .record_count = 3, .size_bytes = 4};
        assert_ok(store_batch_put(iceberg_tx_batch(tx), key, "data", 4, &test_err));
        assert_ok(iceberg_tx_add_file(tx, &file, &test_err));
        assert_ok(iceberg_table_exists(&f->table, &exists, &test_err));
        assert_false(exists);
        assert_ok(iceberg_tx_commit(tx, &made, &test_err));
        assert_int_equal(made->version, 1 + 2 * round);
        assert_int_equal(made->metadata_log_count, 0);
        assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
        assert_int_equal(test_total(loaded, "total-records"), 3);
        iceberg_tx_set_property(late, "k", "v");
        assert_code(iceberg_tx_commit(late, &none, &test_err), TN_ECONFLICT);
        assert_code(iceberg_tx_rebase(late, loaded, &test_err), TN_ECONFLICT);
        assert_code(iceberg_tx_new_table(&f->table, test_schema(f->arena), &refused, &test_err), TN_EEXISTS);
        assert_ok(iceberg_table_drop(&f->table, loaded, &test_err));
    }
}

/* Without the hint, and with a wrong or a torn one, the newest is still found. */
static void finds_newest_without_hint(void **state)
{
    struct fixture *f = *state;
    static const char *const hints[] = {NULL, "", "garbage", "00002-x", "99999-x", "99999999999999999999999"};
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    for (int i = 0; i < 12; i++)
        metadata = test_append(f, metadata, i, 1);
    for (size_t i = 0; i < TN_COUNT(hints); i++) {
        ICEBERG_AUTO_METADATA *loaded = NULL;
        const char *key = "datasets/t/metadata/version-hint.text";
        if (hints[i])
            assert_ok(store_put(f->store, key, hints[i], strlen(hints[i]), &test_err));
        else
            assert_ok(store_delete(f->store, key, &test_err));
        assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
        assert_int_equal(loaded->version, 13);
    }
}

static void loads_from_a_stale_version(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *old = test_create(f);
    ICEBERG_AUTO_METADATA *metadata = iceberg_metadata_ref(old);
    for (int i = 0; i < 5; i++)
        metadata = test_append(f, metadata, i, 1);
    ICEBERG_AUTO_METADATA *loaded = NULL;
    struct store_counters before = store_counters(f->store);
    assert_ok(iceberg_table_load(&f->table, old, &loaded, &test_err));
    assert_int_equal(loaded->version, 6);
    assert_int_equal(store_counters(f->store).lists, before.lists); /* probed, not listed */
}

/* Old pointers and metadata files go, and a writer from so long ago loses. */
static void prunes_and_refuses_the_stale(void **state)
{
    struct fixture *f = *state;
    struct iceberg_pair small[] = {{"write.metadata.previous-versions-max", "3"}};
    ICEBERG_AUTO_METADATA *old = NULL;
    assert_ok(iceberg_table_create(&f->table, test_schema(f->arena), small, 1, &old, &test_err));
    ICEBERG_AUTO_METADATA *metadata = iceberg_metadata_ref(old);
    for (int i = 0; i < 9; i++)
        metadata = test_append(f, metadata, i, 1);
    assert_int_equal(metadata->version, 10);
    assert_int_equal(metadata->metadata_log_count, 3);
    bool there = true;
    for (int version = 1; version <= 10; version++) {
        char key[64];
        (void)snprintf(key, sizeof key, "datasets/t/commits/%d", version);
        assert_ok(store_exists(f->store, key, &there, &test_err));
        assert_int_equal(there, version >= 7);
    }
    assert_ok(store_exists(f->store, old->key, &there, &test_err));
    assert_false(there);

    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, old);
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, old, 0, 1), &test_err));
    assert_code(iceberg_tx_commit(tx, &next, &test_err), TN_ECONFLICT);
    assert_ok(store_exists(f->store, "datasets/t/commits/2", &there, &test_err));
    assert_false(there);
    ICEBERG_AUTO_METADATA *loaded = NULL;
    assert_ok(iceberg_table_load(&f->table, old, &loaded, &test_err));
    assert_int_equal(loaded->version, 10);
    assert_ok(iceberg_tx_rebase(tx, loaded, &test_err));
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    assert_int_equal(next->version, 11);
    iceberg_metadata_unref(next);
}

static void drops_and_brings_back(void **state)
{
    struct fixture *f = *state;
    bool exists = true;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 7);
    ICEBERG_AUTO_METADATA *back = NULL;
    ICEBERG_AUTO_METADATA *fresh = NULL;
    struct iceberg_metadata *none = NULL;
    assert_code(iceberg_table_undrop(&f->table, &none, &test_err), TN_ENOTFOUND);
    assert_ok(iceberg_table_drop(&f->table, metadata, &test_err));
    assert_ok(iceberg_table_exists(&f->table, &exists, &test_err));
    assert_false(exists);
    assert_code(iceberg_table_load(&f->table, metadata, &none, &test_err), TN_ENOTFOUND);
    assert_code(iceberg_table_drop(&f->table, metadata, &test_err), TN_ECONFLICT);
    assert_ok(iceberg_table_undrop(&f->table, &back, &test_err));
    assert_int_equal(back->version, 4);
    assert_int_equal(test_total(back, "total-records"), 7);
    back = test_append(f, back, 7, 3);
    assert_int_equal(test_total(back, "total-records"), 10);
    assert_ok(iceberg_table_drop(&f->table, back, &test_err));
    fresh = test_create(f); /* another table in the same place */
    assert_int_equal(fresh->version, 7);
    assert_string_not_equal(fresh->uuid, back->uuid);
    assert_null(fresh->current);
}

static void reports_damage(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 7);
    struct iceberg_metadata *none = NULL;
    TN_AUTO_BUF json = {0};
    assert_ok(store_get(f->store, metadata->key, 1 << 20, &json, &test_err));
    json.data[100] ^= 1;
    assert_ok(store_put(f->store, metadata->key, json.data, json.len, &test_err));
    assert_code(iceberg_table_load(&f->table, NULL, &none, &test_err), TN_ECORRUPT);
    assert_ok(store_delete(f->store, metadata->key, &test_err));
    assert_code(iceberg_table_load(&f->table, NULL, &none, &test_err), TN_ECORRUPT);
    assert_non_null(strstr(test_err.detail, metadata->key));
    assert_ok(store_put(f->store, "datasets/t/commits/2", "{", 1, &test_err));
    assert_code(iceberg_table_load(&f->table, NULL, &none, &test_err), TN_ECORRUPT);
    assert_null(none);
}

/* A lake whose folder was moved: the paths inside are the old ones. */
static void survives_a_move(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 7);
    char moved[80];
    (void)snprintf(moved, sizeof moved, "%s-moved", f->folder);
    store_close(f->store);
    assert_int_equal(rename(f->folder, moved), 0);
    (void)snprintf(f->folder, sizeof f->folder, "%.60s", moved);
    assert_ok(store_open_local(f->folder, &f->store, &test_err));
    f->table.store = f->store;
    f->table.cache = NULL;
    ICEBERG_AUTO_METADATA *loaded = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_ok(iceberg_plan_new(&f->table, loaded, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->file_count, 1);
    uint64_t size = 0;
    assert_ok(store_head(f->store, plan->files[0].key, &size, &test_err));
    loaded = test_append(f, loaded, 7, 1);
    ICEBERG_AUTO_PLAN *both = NULL;
    assert_ok(iceberg_plan_new(&f->table, loaded, NULL, NULL, 0, &both, &test_err));
    assert_int_equal(both->file_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(creates_and_loads),
        TABLE_TEST(refuses_bad_schemas),
        TABLE_TEST(first_commit_makes_the_table),
        TABLE_TEST(finds_newest_without_hint),
        TABLE_TEST(loads_from_a_stale_version),
        TABLE_TEST(prunes_and_refuses_the_stale),
        TABLE_TEST(drops_and_brings_back),
        TABLE_TEST(reports_damage),
        TABLE_TEST(survives_a_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
