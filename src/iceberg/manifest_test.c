/* Manifests and lists: all fields round, golden bytes, partitions, files of
 * writers that left things out. */
#include "base/hash.h"
#include "iceberg/manifest.h"
#include "iceberg/test_support.h"

/* CRC-32C of the constant parts: a change here changes what other engines read. */
#define GOLDEN_MANIFEST_HEADER 0x39841463
#define GOLDEN_LIST_SCHEMA     0xcfb02013

static const uint8_t sync_marker[AVRO_SYNC_BYTES] = "0123456789abcdef";

static int open_arena(void **state)
{
    *state = tn_arena_new();
    return tn_random_init(&test_err) == TN_OK ? 0 : -1;
}

static int close_arena(void **state)
{
    tn_arena_free(*state);
    return 0;
}

#define ARENA_TEST(function) cmocka_unit_test_setup_teardown(function, open_arena, close_arena)

static const struct iceberg_spec no_spec = {0};

static struct iceberg_file full_file(void)
{
    static const struct iceberg_stats stats[] = {
        {1,
         100,
         10,
         0,
         ICEBERG_NONE,
         {(const uint8_t *)"\0\0\0\0\0\0\0\0", 8},
         {(const uint8_t *)"\x09\0\0\0\0\0\0\0", 8}},
        {2, ICEBERG_NONE, 10, 3, ICEBERG_NONE, {(const uint8_t *)"", 0}, {NULL, 0}},
        {4, 50, 10, 0, 2, {NULL, 0}, {NULL, 0}},
    };
    static const int64_t splits[] = {4, 5000000000};
    return (struct iceberg_file){.path = "file:///lake/data/a.parquet",
                                 .format = "PARQUET",
                                 .record_count = 10,
                                 .size_bytes = 6000000000,
                                 .stats = stats,
                                 .stats_count = 3,
                                 .split_offsets = splits,
                                 .split_count = 2,
                                 .sort_order_id = 0,
                                 .snapshot_id = 77};
}

static void build(struct tn_arena *arena, struct manifest_build *out, enum manifest_content content,
                  const struct iceberg_spec *spec)
{
    const struct iceberg_schema *schema = test_schema(arena);
    TN_AUTO_BUF json = {0};
    iceberg_schema_json(schema, &json);
    assert_ok(manifest_build_open(out, arena, content, schema, json.data, spec, sync_marker, &test_err));
}

static void entries_round_trip(void **state)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build b;
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *object = NULL;
    struct iceberg_file file = full_file();
    build(*state, &b, MANIFEST_DATA, &no_spec);
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    file.path = "file:///lake/data/b.parquet";
    file.sequence_number = 3;
    file.file_sequence_number = 5;
    file.snapshot_id = 66;
    assert_ok(manifest_build_add(&b, MANIFEST_EXISTING, &file, &test_err));
    file.path = "file:///lake/data/c.parquet";
    file.sequence_number = 1;
    assert_ok(manifest_build_add(&b, MANIFEST_DELETED, &file, &test_err));
    assert_ok(manifest_build_finish(&b, &test_err));
    assert_int_equal(b.row.added_files, 1);
    assert_int_equal(b.row.existing_rows, 10);
    assert_int_equal(b.row.deleted_files, 1);
    assert_int_equal(b.row.min_sequence_number, 3); /* deleted ones do not count */
    assert_int_equal(b.row.length, b.writer.out.len);
    b.row.sequence_number = 9;
    b.row.added_snapshot_id = 77;
    assert_ok(manifest_decode(b.writer.out.data, b.writer.out.len, "m", &b.row, &no_spec, &object, &test_err));
    assert_int_equal(object->count, 3);
    const struct iceberg_file *got = &object->entries[0].file;
    assert_int_equal(object->entries[0].status, MANIFEST_ADDED);
    assert_int_equal(got->sequence_number, 9); /* inherited */
    assert_int_equal(got->file_sequence_number, 9);
    assert_int_equal(got->snapshot_id, 77);
    assert_int_equal(got->size_bytes, 6000000000);
    assert_int_equal(got->stats_count, 3);
    assert_int_equal(got->split_offsets[1], 5000000000);
    assert_int_equal(got->sort_order_id, 0);
    const struct iceberg_stats *stats = iceberg_file_stats(got, 2);
    assert_int_equal(stats->column_size, ICEBERG_NONE);
    assert_int_equal(stats->null_count, 3);
    assert_non_null(stats->lower.data); /* the empty text is a bound */
    assert_int_equal(stats->lower.length, 0);
    assert_null(stats->upper.data);
    assert_int_equal(iceberg_file_stats(got, 4)->nan_count, 2);
    assert_null(iceberg_file_stats(got, 3));
    got = &object->entries[1].file;
    assert_int_equal(got->sequence_number, 3);
    assert_int_equal(got->file_sequence_number, 5);
    assert_int_equal(got->snapshot_id, 66);
    /* What a client would complain about is not there. */
    assert_string_equal(object->form.codec, "deflate");
    assert_false(object->form.ids_by_name);
    assert_false(object->form.null_not_first);
    assert_string_equal(object->form.header_content, "data");
    assert_string_equal(object->form.header_format_version, "2");
}

/* The bytes themselves are pinned: schemas, order of fields, encodings. The
 * block is stored uncompressed here so that they do not depend on zlib. */
static void golden_bytes(void **state)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build b;
    struct iceberg_file file = full_file();
    TN_AUTO_BUF list = {0};
    build(*state, &b, MANIFEST_DATA, &no_spec);
    b.writer.deflate = false;
    size_t header = b.writer.out.len;
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    static const char want[] = "02"
                               "029a01"
                               "00"
                               "00" /* added, snapshot 77, inherited */
                               "00"
                               "36"
                               "66696c653a2f2f2f6c616b652f646174612f612e70617271756574"
                               "0e"
                               "50415251554554"
                               "14"
                               "80f085da2c"
                               "02"
                               "04"
                               "02c801"
                               "0864"
                               "00" /* column sizes */
                               "02"
                               "06"
                               "0214"
                               "0414"
                               "0814"
                               "00" /* value counts */
                               "02"
                               "06"
                               "0200"
                               "0406"
                               "0800"
                               "00" /* null counts */
                               "02"
                               "02"
                               "0804"
                               "00" /* NaN counts */
                               "02"
                               "04"
                               "02"
                               "10"
                               "0000000000000000"
                               "04"
                               "00"
                               "00"
                               "02"
                               "02"
                               "02"
                               "10"
                               "0900000000000000"
                               "00"
                               "00"
                               "02"
                               "04"
                               "08"
                               "80c8afa025"
                               "00"
                               "00"
                               "02"
                               "00"
                               "00";
    TN_AUTO_FREE char *hex = tn_malloc(2 * b.writer.block.len + 1);
    tn_hex_encode(b.writer.block.data, b.writer.block.len, hex);
    assert_string_equal(hex, want);
    assert_ok(manifest_build_finish(&b, &test_err));
    assert_int_equal(tn_crc32c(0, b.writer.out.data, header), GOLDEN_MANIFEST_HEADER);
    const struct manifest_row row = {.path = "m",
                                     .length = 5,
                                     .sequence_number = 2,
                                     .min_sequence_number = 1,
                                     .added_snapshot_id = 77,
                                     .added_files = 1,
                                     .added_rows = 10};
    assert_ok(manifest_list_encode(&row, 1, 77, ICEBERG_NONE, 2, sync_marker, &list, &test_err));
    const char *schema_end = memmem(list.data, list.len, "avro.codec", 10);
    assert_int_equal(tn_crc32c(0, list.data, (size_t)(schema_end - list.data)), GOLDEN_LIST_SCHEMA);
}

static void lists_round_trip(void **state)
{
    static const struct manifest_field_summary summaries[] = {
        {true, -1, {(const uint8_t *)"a", 1}, {(const uint8_t *)"z", 1}},
        {false, 1, {NULL, 0}, {NULL, 0}},
    };
    const struct manifest_row rows[] = {
        {.path = "file:///m1",
         .length = 1234,
         .sequence_number = 7,
         .min_sequence_number = 3,
         .added_snapshot_id = 99,
         .added_files = 1,
         .existing_files = 2,
         .deleted_files = 3,
         .added_rows = 4,
         .existing_rows = 5,
         .deleted_rows = 6,
         .spec_id = 1,
         .partitions = summaries,
         .partition_count = 2},
        {.path = "file:///m2", .length = 1, .content = MANIFEST_DELETES, .key_metadata = {(const uint8_t *)"k", 1}},
    };
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *object = NULL;
    TN_AUTO_BUF bytes = {0};
    (void)state;
    assert_ok(manifest_list_encode(rows, 2, 99, 98, 7, NULL, &bytes, &test_err));
    assert_ok(manifest_list_decode(bytes.data, bytes.len, "l", &object, &test_err));
    assert_int_equal(object->count, 2);
    const struct manifest_row *got = &object->rows[0];
    assert_string_equal(got->path, "file:///m1");
    assert_int_equal(got->length, 1234);
    assert_int_equal(got->spec_id, 1);
    assert_int_equal(got->min_sequence_number, 3);
    assert_int_equal(got->deleted_rows, 6);
    assert_int_equal(got->partition_count, 2);
    assert_true(got->partitions[0].contains_null);
    assert_int_equal(got->partitions[0].contains_nan, -1);
    assert_int_equal(got->partitions[1].contains_nan, 1);
    assert_memory_equal(got->partitions[0].upper.data, "z", 1);
    assert_null(got->partitions[1].lower.data);
    assert_int_equal(object->rows[1].content, MANIFEST_DELETES);
    assert_memory_equal(object->rows[1].key_metadata.data, "k", 1);
    assert_false(object->form.ids_by_name);
    assert_false(object->form.null_not_first);
}

static const struct {
    enum iceberg_kind kind;
    const char *transform, *value;
} partitions[] = {
    {ICEBERG_LONG, "identity", "-5"},
    {ICEBERG_STRING, "truncate[3]", "abc"},
    {ICEBERG_DATE, "identity", "2024-01-31"},
    {ICEBERG_TIMESTAMP, "identity", "2024-01-31 01:02:03"},
    {ICEBERG_TIMESTAMPTZ, "identity", "2024-01-31 01:02:03"},
    {ICEBERG_TIME, "identity", "01:02:03"},
    {ICEBERG_DOUBLE, "identity", "1.5"},
    {ICEBERG_FLOAT, "identity", "1.5"},
    {ICEBERG_BOOLEAN, "identity", "true"},
    {ICEBERG_UUID, "identity", "f79c3e09-677c-4bbd-a479-3f349cb785e7"},
    {ICEBERG_BINARY, "identity", "00ff"},
    {ICEBERG_DECIMAL, "identity", "-12.34"},
    {ICEBERG_STRING, "bucket[16]", "7"},
    {ICEBERG_TIMESTAMP, "day", "2024-01-31"},
    {ICEBERG_TIMESTAMP, "hour", "455000"},
    {ICEBERG_DATE, "year", "54"},
};

static void partition_values_round_trip(void **state)
{
    struct tn_arena *arena = *state;
    enum { N = TN_COUNT(partitions) };
    struct iceberg_field fields[N] = {0};
    struct iceberg_partition_field parts[N] = {0};
    struct iceberg_bytes values[N], nulls[N] = {0};
    for (size_t i = 0; i < N; i++) {
        const struct iceberg_type *type = partitions[i].kind == ICEBERG_DECIMAL ? iceberg_type_decimal(arena, 9, 2)
                                                                                : iceberg_type_of(partitions[i].kind);
        fields[i] = (struct iceberg_field){.id = (int32_t)i + 1, .name = "c", .type = type};
        parts[i] = (struct iceberg_partition_field){(int32_t)i + 1, (int32_t)i + 1000,
                                                    tn_arena_printf(arena, "p %zu", i), partitions[i].transform};
    }
    const struct iceberg_schema schema = {.fields = fields, .field_count = N};
    const struct iceberg_spec spec = {.id = 3, .fields = parts, .field_count = N};
    const struct iceberg_type **types = manifest_partition_types(arena, &spec, &schema);
    for (size_t i = 0; i < N; i++)
        values[i] = test_value(arena, types[i], partitions[i].value);
    TN_CLEANUP(manifest_build_release) struct manifest_build b;
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *object = NULL;
    assert_ok(manifest_build_open(&b, arena, MANIFEST_DATA, &schema, "{}", &spec, NULL, &test_err));
    struct iceberg_file file = full_file();
    assert_code(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err), TN_EINTERNAL); /* no tuple */
    file.partition = values;
    file.partition_count = N;
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    file.partition = nulls;
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    assert_ok(manifest_build_finish(&b, &test_err));
    assert_ok(manifest_decode(b.writer.out.data, b.writer.out.len, "m", &b.row, &spec, &object, &test_err));
    for (size_t i = 0; i < N; i++) {
        const struct iceberg_bytes got = object->entries[0].file.partition[i];
        assert_int_equal(got.length, values[i].length);
        assert_memory_equal(got.data, values[i].data, got.length);
        assert_null(object->entries[1].file.partition[i].data);
        assert_true(b.row.partitions[i].contains_null);
        assert_memory_equal(b.row.partitions[i].lower.data, values[i].data, values[i].length);
    }
    assert_false(object->form.ids_by_name);
    /* A transform of a later version can be read, and not written. */
    parts[0].transform = "zorder";
    struct manifest_build other = {0};
    assert_code(manifest_build_open(&other, arena, MANIFEST_DATA, &schema, "{}", &spec, NULL, &test_err),
                TN_EUNSUPPORTED);
}

/* Every "field-id" taken out of the schema: names must do, and it is noticed. */
static void files_without_ids(void **state)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build b;
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *object = NULL;
    struct iceberg_file file = full_file();
    build(*state, &b, MANIFEST_DATA, &no_spec);
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    assert_ok(manifest_build_finish(&b, &test_err));
    const char *end = b.writer.out.data + b.writer.out.len;
    for (char *at = b.writer.out.data; (at = memmem(at, (size_t)(end - at), "field-id", 8));)
        memcpy(at, "fieldoid", 8);
    assert_ok(manifest_decode(b.writer.out.data, b.writer.out.len, "m", &b.row, &no_spec, &object, &test_err));
    assert_true(object->form.ids_by_name);
    assert_string_equal(object->entries[0].file.path, file.path);
    assert_int_equal(iceberg_file_stats(&object->entries[0].file, 2)->null_count, 3);
}

static void contradictions_are_refused(void **state)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build b;
    struct manifest_object *object = NULL;
    struct iceberg_file file = full_file();
    build(*state, &b, MANIFEST_DATA, &no_spec);
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    assert_ok(manifest_build_finish(&b, &test_err));
    b.row.content = MANIFEST_DELETES; /* the list says deletes, the manifest has data */
    assert_code(manifest_decode(b.writer.out.data, b.writer.out.len, "m", &b.row, &no_spec, &object, &test_err),
                TN_ECORRUPT);
    TN_CLEANUP(manifest_build_release) struct manifest_build c;
    file.sequence_number = ICEBERG_NONE;
    build(*state, &c, MANIFEST_DATA, &no_spec);
    assert_ok(manifest_build_add(&c, MANIFEST_EXISTING, &file, &test_err));
    assert_ok(manifest_build_finish(&c, &test_err));
    c.row.sequence_number = 4;
    assert_code(manifest_decode(c.writer.out.data, c.writer.out.len, "m", &c.row, &no_spec, &object, &test_err),
                TN_ECORRUPT);
    c.row.sequence_number = 0; /* format 1: everything is 0 */
    assert_ok(manifest_decode(c.writer.out.data, c.writer.out.len, "m", &c.row, &no_spec, &object, &test_err));
    assert_int_equal(object->entries[0].file.sequence_number, 0);
    manifest_object_unref(object);
    object = NULL;
    assert_code(manifest_list_decode(b.writer.out.data, b.writer.out.len, "l", &object, &test_err), TN_ECORRUPT);
    assert_code(manifest_decode("", 0, "m", &b.row, &no_spec, &object, &test_err), TN_ECORRUPT);
    assert_null(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(entries_round_trip), ARENA_TEST(golden_bytes),
        ARENA_TEST(lists_round_trip),   ARENA_TEST(partition_values_round_trip),
        ARENA_TEST(files_without_ids),  ARENA_TEST(contradictions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
