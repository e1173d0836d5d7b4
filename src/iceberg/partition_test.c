/* Commits into partitioned tables: where deletes lie, specs that changed, columns that went. */
#include "iceberg/test_support.h"

static struct iceberg_metadata *change(struct fixture *f, struct iceberg_metadata *base, const char *updates)
{
    const struct iceberg_change asked = {
        .requirements = "[]", .requirements_length = 2, .updates = updates, .updates_length = strlen(updates)};
    const struct iceberg_origin nobody = {0};
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_change_apply(&f->table, base, base->version + 1, &asked, &next, &test_err));
    assert_ok(iceberg_version_publish(&f->table, base, next, false, &nobody, &test_err));
    iceberg_metadata_unref(base);
    return next;
}

/* By the identity of `name`, as spec 1. */
static struct iceberg_metadata *by_name(struct fixture *f, struct iceberg_metadata *base)
{
    return change(f, base,
                  "[{\"action\":\"add-spec\",\"spec\":{\"spec-id\":1,\"fields\":[{\"source-id\":2,\"field-id\":1000,"
                  "\"name\":\"name_part\",\"transform\":\"identity\"}]}},"
                  "{\"action\":\"set-default-spec\",\"spec-id\":-1}]");
}

static const struct iceberg_file *data_file(struct fixture *f, const struct iceberg_metadata *metadata,
                                            const char *name)
{
    struct iceberg_file *file = test_data_file(f, metadata, 0, 10);
    struct iceberg_bytes *value = TN_ARENA_ARRAY(f->arena, struct iceberg_bytes, 1);
    if (name)
        *value = (struct iceberg_bytes){(const uint8_t *)name, strlen(name)};
    file->spec_id = 1;
    file->partition = value;
    file->partition_count = 1;
    return file;
}

static struct iceberg_metadata *commit(struct fixture *f, struct iceberg_metadata *base,
                                       const struct iceberg_file *const *files, size_t count)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
    struct iceberg_metadata *next = NULL;
    for (size_t i = 0; i < count; i++)
        assert_ok(iceberg_tx_add_file(tx, files[i], &test_err));
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(base);
    return next;
}

static void fail_on_fatal(void *context, const struct iceberg_finding *finding)
{
    (void)context;
    if (finding->fatal)
        fail_msg("%s: %s: %s", finding->rule, finding->where, finding->text);
}

/* Every data file has `deletes` delete files, in its own place. */
static void expect_deletes(struct fixture *f, const struct iceberg_metadata *metadata, size_t files, size_t deletes)
{
    ICEBERG_AUTO_METADATA *loaded = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_int_equal(loaded->version, metadata->version);
    assert_ok(iceberg_plan_new(&f->table, loaded, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->file_count, files);
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_file *data = plan->files[i].file;
        assert_int_equal(plan->files[i].delete_count, deletes);
        for (size_t d = 0; d < deletes; d++) {
            const struct iceberg_file *file = plan->files[i].deletes[d];
            assert_int_equal(file->spec_id, data->spec_id);
            assert_int_equal(file->partition_count, data->partition_count);
            assert_int_equal(iceberg_partition_compare(NULL, file->partition, data->partition, data->partition_count),
                             0);
        }
    }
    assert_ok(iceberg_check(&f->table, loaded, fail_on_fatal, NULL, &test_err));
}

static void test_deletes_lie_where_their_data_lies(void **state)
{
    struct fixture *f = *state;
    struct iceberg_metadata *metadata = test_create(f);
    const struct iceberg_file *first[] = {test_data_file(f, metadata, 0, 10)};
    metadata = by_name(f, commit(f, metadata, first, 1)); /* a file from before */
    const struct iceberg_file *more[] = {data_file(f, metadata, "a"), data_file(f, metadata, "b"),
                                         data_file(f, metadata, NULL)};
    metadata = commit(f, metadata, more, 3);
    const struct iceberg_file *fresh = data_file(f, metadata, "c"); /* deleted from in its own commit */
    const struct iceberg_file *deletes[] = {test_delete_file(f, metadata, more[1]->path, 2),
                                            test_delete_file(f, metadata, first[0]->path, 1),
                                            test_delete_file(f, metadata, more[2]->path, 1),
                                            test_delete_file(f, metadata, fresh->path, 1),
                                            fresh,
                                            test_delete_file(f, metadata, more[0]->path, 1)};
    metadata = commit(f, metadata, deletes, TN_COUNT(deletes));
    expect_deletes(f, metadata, 5, 1);

    const struct iceberg_file *lost[] = {test_delete_file(f, metadata, "file:///nowhere", 1)};
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    assert_ok(iceberg_tx_add_file(tx, lost[0], &test_err));
    assert_code(iceberg_tx_prepare(tx, &test_err), TN_ECONFLICT);
    iceberg_metadata_unref(metadata);
}

static void test_a_file_without_its_values_is_refused(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = by_name(f, test_create(f));
    struct iceberg_file *file = test_data_file(f, metadata, 0, 10);
    file->spec_id = iceberg_metadata_spec(metadata, metadata->default_spec_id)->id;
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    assert_int_equal(iceberg_tx_spec(tx)->id, 1);
    assert_ok(iceberg_tx_add_file(tx, file, &test_err));
    assert_code(iceberg_tx_prepare(tx, &test_err), TN_EINTERNAL);
}

/* Files of a spec whose column is gone stay, are deleted from, and their manifests merged. */
static void test_a_column_that_went(void **state)
{
    struct fixture *f = *state;
    struct iceberg_metadata *metadata = by_name(f, test_create(f));
    const struct iceberg_file *files[40];
    for (size_t i = 0; i < TN_COUNT(files); i++) {
        files[i] = data_file(f, metadata, "a");
        metadata = commit(f, metadata, &files[i], 1); /* 32 manifests become one */
    }
    metadata = change(f, metadata,
                      "[{\"action\":\"set-default-spec\",\"spec-id\":0},"
                      "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":1,\"fields\":["
                      "{\"id\":1,\"name\":\"id\",\"required\":false,\"type\":\"long\"}]}},"
                      "{\"action\":\"set-current-schema\",\"schema-id\":-1}]");
    assert_int_equal(metadata->schema->field_count, 1);
    assert_ptr_not_equal(
        iceberg_spec_schema(f->arena, metadata, iceberg_metadata_spec(metadata, 1), metadata->schema),
        metadata->schema);
    for (size_t i = 0; i < TN_COUNT(files); i++) {
        const struct iceberg_file *deletes = test_delete_file(f, metadata, files[i]->path, 1);
        metadata = commit(f, metadata, &deletes, 1);
    }
    expect_deletes(f, metadata, TN_COUNT(files), 1);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    ICEBERG_AUTO_METADATA *next = NULL;
    iceberg_tx_remove_file(tx, files[7]->path);
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    expect_deletes(f, next, TN_COUNT(files) - 1, 1);
    iceberg_metadata_unref(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_deletes_lie_where_their_data_lies),
        TABLE_TEST(test_a_file_without_its_values_is_refused),
        TABLE_TEST(test_a_column_that_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
