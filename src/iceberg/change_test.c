/* Updates and requirements of the REST catalog on small tables. */
#include "iceberg/test_support.h"

#include "iceberg/metadata_internal.h"

static const char base_json[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"file:///t\","
    "\"last-sequence-number\":2,\"last-updated-ms\":2000,\"last-column-id\":2,\"current-schema-id\":0,\"schemas\":["
    "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"s\",\"required\":false,\"type\":\"string\"}]}],\"default-spec-id\":0,\"partition-specs\":["
    "{\"spec-id\":0,\"fields\":[]}],\"last-partition-id\":999,\"default-sort-order-id\":0,\"sort-orders\":["
    "{\"order-id\":0,\"fields\":[]}],\"properties\":{\"k\":\"v\"},\"current-snapshot-id\":11,\"refs\":{\"main\":"
    "{\"snapshot-id\":11,\"type\":\"branch\"}},\"snapshots\":["
    "{\"snapshot-id\":10,\"sequence-number\":1,\"timestamp-ms\":1000,\"manifest-list\":\"file:/t/a\",\"summary\":"
    "{\"operation\":\"append\"},\"schema-id\":0},{\"snapshot-id\":11,\"parent-snapshot-id\":10,\"sequence-number\":2,"
    "\"timestamp-ms\":2000,\"manifest-list\":\"file:/t/b\",\"summary\":{\"operation\":\"append\"},\"schema-id\":0}],"
    "\"snapshot-log\":[{\"timestamp-ms\":1000,\"snapshot-id\":10},{\"timestamp-ms\":2000,\"snapshot-id\":11}],"
    "\"metadata-log\":[],\"x-unknown\":{\"kept\": [1.50, 1e400]}}";

static struct iceberg_metadata *base_version(void)
{
    struct iceberg_metadata *base = NULL;
    assert_ok(iceberg_metadata_parse(base_json, sizeof base_json - 1, "base", &base, &test_err));
    base->version = 1;
    return base;
}

static enum tn_code apply(struct fixture *f, const struct iceberg_metadata *base, const char *requirements,
                          const char *updates, struct iceberg_metadata **ret)
{
    const struct iceberg_change change = {.requirements = requirements,
                                          .requirements_length = strlen(requirements),
                                          .updates = updates,
                                          .updates_length = strlen(updates)};
    return iceberg_change_apply(&f->table, base, 2, &change, ret, &test_err);
}

static bool json_has(const struct iceberg_metadata *metadata, const char *text)
{
    size_t length = 0;
    const char *json = iceberg_metadata_json(metadata, &length);
    return memmem(json, length, text, strlen(text)) != NULL;
}

static void test_unknown_members_and_paths_stay_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = base_version();
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(apply(f, base, "[]", "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"b\"}}]", &next));
    assert_true(json_has(next, "\"x-unknown\":{\"kept\": [1.50, 1e400]}"));
    assert_true(json_has(next, "\"manifest-list\":\"file:/t/a\""));
    assert_string_equal(iceberg_metadata_property(next, "a"), "b");
    assert_int_equal(next->version, 2);
    assert_int_equal(next->snapshot_count, 2);
}

static void test_nothing_to_change_is_the_base(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = base_version();
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(apply(f, base, "[]", "[]", &next));
    assert_ptr_equal(next, base);
}

#define SNAPSHOT(id, parent, sequence)                                                                               \
    "{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":" #id ",\"parent-snapshot-id\":" #parent             \
    ",\"sequence-number\":" #sequence ",\"timestamp-ms\":4102444800000,\"manifest-list\":\"file:///elsewhere\","     \
    "\"summary\":{\"operation\":\"append\"},\"schema-id\":0}}"
#define MAIN(id) "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\",\"snapshot-id\":" #id "}"

/* PyIceberg's upsert is one commit of three snapshots: only the last one was
 * ever anybody's current one. */
static void test_snapshots_between_are_no_history(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = base_version();
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(
        apply(f, base, "[]", "[" SNAPSHOT(12, 11, 3) "," MAIN(12) "," SNAPSHOT(13, 12, 4) "," MAIN(13) "]", &next));
    assert_int_equal(next->snapshot_count, 4);
    assert_int_equal(next->last_sequence_number, 4);
    assert_int_equal(next->current->id, 13);
    assert_int_equal(next->snapshot_log_count, 3);
    assert_int_equal(next->snapshot_log[2].snapshot_id, 13);
}

static void test_a_stale_sequence_number_is_a_lost_race(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = base_version();
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_code(apply(f, base, "[]", "[" SNAPSHOT(12, 11, 2) "]", &next), TN_ECONFLICT);
    assert_null(next);
    assert_ok(apply(f, base, "[]", "[" SNAPSHOT(12, null, 2) "]", &next)); /* a replaced table starts over */
    assert_false(json_has(next, "null"));                                  /* which Java could not load */
}

static void test_forgotten_snapshots_take_their_refs_and_history(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = base_version();
    ICEBERG_AUTO_METADATA *tagged = NULL;
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(apply(f, base, "[]",
                    "[{\"action\":\"set-snapshot-ref\",\"ref-name\":\"old\",\"type\":\"tag\",\"snapshot-id\":10}]",
                    &tagged));
    assert_int_equal(tagged->ref_count, 2);
    assert_ok(apply(f, tagged, "[]", "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[10]}]", &next));
    assert_int_equal(next->ref_count, 1);
    assert_int_equal(next->snapshot_count, 1);
    assert_int_equal(next->snapshot_log_count, 1);
}

static void test_equal_schemas_and_specs_are_used_again(void **state)
{
    static const char same[] =
        "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":9,\"fields\":["
        "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
        "{\"id\":2,\"name\":\"s\",\"required\":false,\"type\":\"string\"}]}},"
        "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
        "{\"action\":\"add-spec\",\"spec\":{\"spec-id\":4,\"fields\":[]}},"
        "{\"action\":\"set-default-spec\",\"spec-id\":-1}]";
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *base = base_version();
    ICEBERG_AUTO_METADATA *next = NULL;
    ICEBERG_AUTO_METADATA *parted = NULL;
    assert_ok(apply(f, base, "[]", same, &next));
    assert_ptr_equal(next, base);
    assert_ok(apply(f, base, "[]",
                    "[{\"action\":\"add-spec\",\"spec\":{\"fields\":[{\"name\":\"b\",\"transform\":\"bucket[4]\","
                    "\"source-id\":1}]}},{\"action\":\"set-default-spec\",\"spec-id\":-1}]",
                    &parted));
    assert_int_equal(parted->default_spec_id, 1);
    assert_int_equal(iceberg_metadata_spec(parted, 1)->fields[0].field_id, 1000);
    assert_int_equal(metadata_of(parted)->last_partition_id, 1000);
}

static void test_format_one_has_what_its_readers_look_for(void **state)
{
    static const char request[] =
        "{\"name\":\"t\",\"location\":\"file:///x/\",\"properties\":{\"format-version\":\"1\",\"p\":\"q\"},"
        "\"schema\":{\"type\":\"struct\",\"fields\":[{\"id\":5,\"name\":\"day\",\"required\":true,\"type\":\"date\"}]"
        "},"
        "\"partition-spec\":{\"fields\":[{\"name\":\"d\",\"transform\":\"month\",\"source-id\":5,\"field-id\":77}]}}";
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *made = NULL;
    assert_ok(iceberg_change_create(&f->table, 1, request, sizeof request - 1, &made, &test_err));
    assert_int_equal(made->format_version, 1);
    assert_string_equal(made->location, "file:///x");
    assert_null(iceberg_metadata_property(made, "format-version"));
    assert_int_equal(made->specs[0]->fields[0].source_id, 1);
    assert_int_equal(made->specs[0]->fields[0].field_id, 1000);
    assert_true(json_has(made, "\"schema\":{") && json_has(made, "\"partition-spec\":["));
    assert_false(json_has(made, "last-sequence-number"));
}

/* A published version can be loaded, says who asked for it, and cannot be
 * published again. */
static void test_publish(void **state)
{
    static const char request[] = "{\"name\":\"t\",\"schema\":{\"type\":\"struct\",\"fields\":["
                                  "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"}]}}";
    const struct iceberg_origin origin = {.actor = "jane", .agent = "Engine/1", .request_id = "r", .at_ms = 7};
    struct fixture *f = *state;
    struct iceberg_origin found = {0};
    int64_t version = 0;
    ICEBERG_AUTO_METADATA *made = NULL;
    ICEBERG_AUTO_METADATA *next = NULL;
    ICEBERG_AUTO_METADATA *loaded = NULL;
    assert_ok(iceberg_table_next_version(&f->table, &version, &test_err));
    assert_int_equal(version, 1);
    assert_ok(iceberg_change_create(&f->table, version, request, sizeof request - 1, &made, &test_err));
    assert_ok(iceberg_version_publish(&f->table, NULL, made, false, &origin, &test_err));
    assert_code(iceberg_version_publish(&f->table, NULL, made, false, &origin, &test_err), TN_ECONFLICT);
    assert_ok(apply(f, made, "[]", "[" SNAPSHOT(12, null, 1) "," MAIN(12) "]", &next));
    assert_ok(iceberg_version_publish(&f->table, made, next, false, &origin, &test_err));
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_int_equal(loaded->version, 2);
    assert_int_equal(loaded->current->id, 12);
    assert_ok(iceberg_snapshot_origin(&f->table, loaded, 12, f->arena, &found, &test_err));
    assert_string_equal(found.actor, "jane");
    assert_string_equal(found.agent, "Engine/1");
    assert_int_equal(found.at_ms, 7);
    assert_code(iceberg_snapshot_origin(&f->table, loaded, 13, f->arena, &found, &test_err), TN_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unknown_members_and_paths_stay_byte_for_byte, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_nothing_to_change_is_the_base, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_snapshots_between_are_no_history, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_a_stale_sequence_number_is_a_lost_race, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_forgotten_snapshots_take_their_refs_and_history, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_equal_schemas_and_specs_are_used_again, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_format_one_has_what_its_readers_look_for, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_publish, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
