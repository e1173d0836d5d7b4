/* Metadata: what is kept byte for byte, what is refused, and a thousand
 * snapshots. */
#include "iceberg/metadata_internal.h"
#include "iceberg/test_support.h"

#define SCHEMA                                                                                                       \
    "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\"}" \
    "]}"

/* A foreign table: odd spacing, escapes, members we do not know. */
static const char foreign[] =
    "{ \"format-version\" : 2,\n \"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","
    "\"location\":\"file:\\/x\\/t\",\"last-sequence-number\":34,\"last-updated-ms\":1602638573590,"
    "\"last-column-id\":3,\"current-schema-id\":0,\"schemas\":[ " SCHEMA " ],"
    "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":\"a_bucket\",\"transform\":"
    "\"bucket[4]\",\"source-id\":1,\"field-id\":1000}],\"x-spec\":1}],\"last-partition-id\":1000,"
    "\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],"
    "\"properties\":{\"read.split.target.size\":\"134217728\"},\"current-snapshot-id\":3055729675574597004,"
    "\"snapshots\":[{\"snapshot-id\":3051729675574597004,\"timestamp-ms\":1515100955770,\"sequence-number\":0,"
    "\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"file:\\/x\\/1.avro\"},"
    "{\"snapshot-id\":3055729675574597004,\"parent-snapshot-id\":3051729675574597004,\"timestamp-ms\":1555100955770,"
    "\"sequence-number\":1,\"summary\":{\"operation\":\"append\",\"odd\\u0020key\":\"v\\u00e9\"},"
    "\"manifest-list\":\"file:/x/2.avro\",\"schema-id\":0,\"x-unknown\":{\"deep\":[1,2.50,1e5]}}],"
    "\"snapshot-log\":[{\"snapshot-id\":3051729675574597004,\"timestamp-ms\":1515100955770},"
    "{\"snapshot-id\":3055729675574597004,\"timestamp-ms\":1555100955770}],"
    "\"metadata-log\":[{\"metadata-file\":\"file:\\/x\\/v1.json\",\"timestamp-ms\":1515100}],"
    "\"refs\":{\"main\":{\"snapshot-id\":3055729675574597004,\"type\":\"branch\",\"max-ref-age-ms\":10},"
    "\"t\":{\"type\":\"tag\",\"snapshot-id\":3051729675574597004}},"
    "\"statistics\":[{\"snapshot-id\":1,\"statistics-path\":\"file:\\/x\\/s\"}],\"x-top\" : { \"k\" : 1.0 } }";

static struct iceberg_metadata *parse(const char *json)
{
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_metadata_parse(json, strlen(json), "file:/x/meta.json", &metadata, &test_err));
    return metadata;
}

static void reads_a_foreign_table(void **state)
{
    (void)state;
    ICEBERG_AUTO_METADATA *metadata = parse(foreign);
    size_t length = 0;
    assert_string_equal(iceberg_metadata_json(metadata, &length), foreign);
    assert_string_equal(metadata->location, "file:/x/t");
    assert_int_equal(metadata->snapshot_count, 2);
    assert_int_equal(metadata->current->id, INT64_C(3055729675574597004));
    assert_string_equal(metadata->snapshots[0]->manifest_list, "file:/x/1.avro");
    assert_int_equal(metadata->snapshots[0]->schema_id, ICEBERG_NONE);
    assert_string_equal(iceberg_snapshot_summary(metadata->current, "odd key"), "v\xc3\xa9");
    assert_string_equal(metadata->current->operation, "append");
    assert_int_equal(metadata->specs[0]->fields[0].field_id, 1000);
    assert_string_equal(metadata->metadata_log[0].file, "file:/x/v1.json");
    assert_true(iceberg_metadata_ref_named(metadata, "t")->is_tag);
    assert_int_equal(iceberg_metadata_as_of(metadata, 1515100955770)->id, INT64_C(3051729675574597004));
    assert_int_equal(iceberg_metadata_as_of(metadata, 1600000000000)->id, INT64_C(3055729675574597004));
    assert_null(iceberg_metadata_as_of(metadata, 1515100955769));
}

/* One more snapshot: everything else stands in the new file as it stood. */
static void keeps_what_it_does_not_know(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        SCHEMA,
        ("{\"spec-id\":0,\"fields\":[{\"name\":\"a_bucket\",\"transform\":\"bucket[4]\",\"source-id\":1,"
         "\"field-id\":1000}],\"x-spec\":1}"),
        "\"x-unknown\":{\"deep\":[1,2.50,1e5]}}",
        "\"manifest-list\":\"file:\\/x\\/1.avro\"",
        "\"odd\\u0020key\":\"v\\u00e9\"",
        "\"statistics\":[{\"snapshot-id\":1,\"statistics-path\":\"file:\\/x\\/s\"}]",
        "\"x-top\":{ \"k\" : 1.0 }",
        "\"main\":{\"snapshot-id\":5,\"type\":\"branch\",\"max-ref-age-ms\":10}",
        "\"last-partition-id\":1000",
        "\"last-sequence-number\":35",
        "\"current-snapshot-id\":5",
        "\"metadata-file\":\"file:/x/meta.json\""};
    ICEBERG_AUTO_METADATA *base = parse(foreign);
    ICEBERG_AUTO_METADATA *next = NULL;
    ICEBERG_AUTO_METADATA *again = NULL;
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(base);
    static const char snapshot[] = "{\"snapshot-id\":5,\"sequence-number\":35,\"timestamp-ms\":1602638573591,"
                                   "\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"m\",\"schema-id\":0}";
    assert_ok(metadata_draft_add_snapshot(draft, snapshot, sizeof snapshot - 1, &test_err));
    assert_ok(metadata_draft_finish(draft, 8, "k", "file:/x/8.json", 1602638573591, &next, &test_err));
    size_t length = 0;
    const char *json = iceberg_metadata_json(next, &length);
    for (size_t i = 0; i < TN_COUNT(pieces); i++)
        if (!strstr(json, pieces[i]))
            fail_msg("lost: %s", pieces[i]);
    again = parse(json); /* and what it shows is what the file says */
    assert_int_equal(again->snapshot_count, 3);
    assert_int_equal(again->current->id, next->current->id);
    assert_int_equal(again->metadata_log_count, next->metadata_log_count);
    assert_int_equal(again->snapshot_log_count, 3);
    assert_int_equal(again->last_updated_ms, next->last_updated_ms);
}

static const struct {
    const char *from, *to;
    enum tn_code code;
} edits[] = {
    {"\"format-version\" : 2", "\"format-version\" : 4", TN_EUNSUPPORTED},
    {"\"format-version\" : 2", "\"format-version\" : \"2\"", TN_ECORRUPT},
    {"\"table-uuid\"", "\"table-uuix\"", TN_ECORRUPT},
    {"\"location\"", "\"locatiom\"", TN_ECORRUPT},
    {"\"last-sequence-number\":34", "\"last-sequence-number\":0", TN_ECORRUPT},
    {"\"last-sequence-number\":34", "\"last-sequence-number\":3.5", TN_ECORRUPT},
    {"\"last-updated-ms\"", "\"last-updated\"", TN_ECORRUPT},
    {"\"last-column-id\":3", "\"last-column-id\":-3", TN_ECORRUPT},
    {"\"current-schema-id\":0", "\"current-schema-id\":1", TN_ECORRUPT},
    {"\"schemas\":[ " SCHEMA " ]", "\"schemas\":[]", TN_ECORRUPT},
    {"\"default-spec-id\":0", "\"default-spec-id\":9", TN_ECORRUPT},
    {"\"default-sort-order-id\":0", "\"default-sort-order-id\":9", TN_ECORRUPT},
    {"\"sort-orders\":[{\"order-id\":0,\"fields\":[]}]", "\"sort-orders\":[]", TN_ECORRUPT},
    {"\"134217728\"", "134217728", TN_ECORRUPT},
    {"\"current-snapshot-id\":3055729675574597004", "\"current-snapshot-id\":7", TN_ECORRUPT},
    {"\"current-snapshot-id\":3055729675574597004", "\"current-snapshot-id\":3051729675574597004", TN_ECORRUPT},
    {"\"current-snapshot-id\":3055729675574597004", "\"current-snapshot-id\":-1", TN_ECORRUPT},
    {"\"snapshots\":[{\"snapshot-id\":3051729675574597004", "\"snapshots\":[{\"snapshot-id\":3055729675574597004",
     TN_ECORRUPT},
    {"\"summary\":{\"operation\":\"append\"}", "\"summary\":{\"operation\":1}", TN_ECORRUPT},
    {"\"summary\":{\"operation\":\"append\"}", "\"summary\":[]", TN_ECORRUPT},
    {"\"t\":{\"type\":\"tag\",\"snapshot-id\":3051729675574597004}", "\"t\":{\"type\":\"tag\",\"snapshot-id\":1}",
     TN_ECORRUPT},
    {"\"metadata-file\"", "\"metadata-fine\"", TN_ECORRUPT},
    {"\"x-top\"", "\"refs\"", TN_ECORRUPT}, /* the same key twice */
    {"1.0 }", "01.0 }", TN_ECORRUPT},
    {"\"9c12", "\"\\ud8009c12", TN_ECORRUPT},
    {"\"9c12", "\"\\u00009c12", TN_ECORRUPT},
    {"\"9c12", "\"\xff", TN_ECORRUPT},
    {" { \"k\" : 1.0 } }", " { \"k\" : 1.0 } } x", TN_ECORRUPT},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(edits); i++) {
        TN_AUTO_BUF text = {0};
        struct iceberg_metadata *metadata = NULL;
        const char *at = strstr(foreign, edits[i].from);
        assert_non_null(at);
        tn_buf_append(&text, foreign, (size_t)(at - foreign));
        tn_buf_puts(&text, edits[i].to);
        tn_buf_puts(&text, at + strlen(edits[i].from));
        enum tn_code code = iceberg_metadata_parse(text.data, text.len, "edited", &metadata, &test_err);
        if (code != edits[i].code)
            fail_msg("%s -> %s: %s", edits[i].from, edits[i].to, tn_code_word(code));
        assert_null(metadata);
        assert_non_null(strstr(test_err.detail, "edited"));
    }
    for (size_t cut = 0; cut < sizeof foreign - 1; cut++) {
        struct iceberg_metadata *metadata = NULL;
        TN_AUTO_FREE char *copy = tn_strndup(foreign, cut); /* exactly that many bytes for the sanitizer */
        assert_code(iceberg_metadata_parse(copy, cut, NULL, &metadata, &test_err), TN_ECORRUPT);
    }
}

static void reads_format_1(void **state)
{
    (void)state;
    ICEBERG_AUTO_METADATA *metadata = parse(
        "{\"format-version\":1,\"location\":\"l\",\"last-updated-ms\":5,\"last-column-id\":1,\"schema\":" SCHEMA ","
        "\"partition-spec\":[{\"name\":\"p\",\"transform\":\"identity\",\"source-id\":1}],\"current-snapshot-id\":-"
        "1}");
    assert_int_equal(metadata->format_version, 1);
    assert_int_equal(metadata->schema->field_count, 1);
    assert_int_equal(metadata->specs[0]->fields[0].field_id, 1000);
    assert_null(metadata->current);
}

/* What the table writes at a thousand snapshots is parsed to the same, and the
 * log of metadata files stays at its bound. */
static void a_thousand_snapshots(void **state)
{
    (void)state;
    ICEBERG_AUTO_METADATA *metadata =
        parse("{\"format-version\":2,\"table-uuid\":\"u\",\"location\":\"l\",\"last-sequence-number\":0,"
              "\"last-updated-ms\":5,\"last-column-id\":1,\"current-schema-id\":0,\"schemas\":[" SCHEMA "],"
              "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"last-partition-id\":999,"
              "\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}]}");
    for (int i = 1; i <= 1000; i++) {
        TN_AUTO_BUF snapshot = {0};
        tn_buf_printf(&snapshot,
                      "{\"snapshot-id\":%d,\"sequence-number\":%d,\"timestamp-ms\":%d,\"manifest-list\":\"m%d\","
                      "\"summary\":{\"operation\":\"append\",\"total-records\":\"%d\"},\"schema-id\":0}",
                      i, i, i * 10, i, i);
        TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(metadata);
        struct iceberg_metadata *next = NULL;
        assert_ok(metadata_draft_add_snapshot(draft, snapshot.data, snapshot.len, &test_err));
        assert_ok(metadata_draft_finish(draft, i, "k", "uri", i * 10, &next, &test_err));
        iceberg_metadata_unref(metadata);
        metadata = next;
    }
    assert_int_equal(metadata->metadata_log_count, 100);
    size_t length = 0;
    const char *json = iceberg_metadata_json(metadata, &length);
    ICEBERG_AUTO_METADATA *parsed = parse(json);
    assert_int_equal(parsed->snapshot_count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(parsed->snapshots[i]->id, metadata->snapshots[i]->id);
        assert_string_equal(parsed->snapshots[i]->json, metadata->snapshots[i]->json);
    }
    assert_int_equal(iceberg_metadata_as_of(parsed, 4567)->id, 456);
    assert_int_equal(iceberg_snapshot_count(parsed->current, "total-records", -1), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_foreign_table),
        cmocka_unit_test(keeps_what_it_does_not_know),
        cmocka_unit_test(refuses),
        cmocka_unit_test(reads_format_1),
        cmocka_unit_test(a_thousand_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
