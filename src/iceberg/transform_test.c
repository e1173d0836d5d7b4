/* Partition transforms against the values of the specification, and of other engines. */
#include "iceberg/test_support.h"

#include <string.h>

static int open_arena(void **state)
{
    *state = tn_arena_new();
    return 0;
}

static int close_arena(void **state)
{
    tn_arena_free(*state);
    return 0;
}

static struct iceberg_bytes parse(struct tn_arena *arena, const struct iceberg_type *type, const char *text)
{
    struct iceberg_bytes value = {0};
    struct tn_error err = {0};
    if (text && iceberg_value_parse(arena, type, text, strlen(text), &value, &err) != TN_OK)
        fail_msg("%s: %s", text, err.detail);
    return value;
}

/* The specification's Appendix B, "32-bit hash requirements". */
static void test_hashes(void **state)
{
    static const struct {
        const char *type, *text;
        int32_t hash;
    } known[] = {
        {"int", "34", 2017239379},
        {"long", "34", 2017239379},
        {"decimal(9, 2)", "14.20", -500754589},
        {"decimal(38, 2)", "14.20", -500754589},
        {"date", "2017-11-16", -653330422},
        {"time", "22:31:08", -662762989},
        {"timestamp", "2017-11-16T22:31:08", -2047944441},
        {"timestamp", "2017-11-16T22:31:08.000001", -1207196810},
        {"timestamptz", "2017-11-16T14:31:08-08:00", -2047944441},
        {"timestamptz", "2017-11-16T14:31:08.000001-08:00", -1207196810},
        {"string", "iceberg", 1210000089},
        {"uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", 1488055340},
        {"fixed[4]", "00010203", -188683207},
        {"binary", "00010203", -188683207},
        {"string", "", 0},
    };
    for (size_t i = 0; i < TN_COUNT(known); i++) {
        const struct iceberg_type *type = iceberg_type_parse(*state, known[i].type);
        assert_int_equal(iceberg_hash(type, parse(*state, type, known[i].text)), known[i].hash);
    }
    /* As the table has it: with bytes in front that a decimal's size wants. */
    const uint8_t wide[] = {0, 0, 0x05, 0x8c}, negative[] = {0xFF, 0xFF, 0x80};
    assert_int_equal(iceberg_hash(iceberg_type_decimal(*state, 9, 2), (struct iceberg_bytes){wide, 4}), -500754589);
    assert_int_equal(iceberg_hash(iceberg_type_decimal(*state, 9, 2), (struct iceberg_bytes){negative, 3}),
                     iceberg_hash(iceberg_type_of(ICEBERG_BINARY), (struct iceberg_bytes){negative + 2, 1}));
}

static enum tn_code one_field(struct tn_arena *arena, const char *type, const char *transform,
                              struct iceberg_partitioner *ret, struct tn_error *err)
{
    struct iceberg_field *field = TN_ARENA_ARRAY(arena, struct iceberg_field, 1);
    struct iceberg_schema *schema = TN_ARENA_ARRAY(arena, struct iceberg_schema, 1);
    struct iceberg_partition_field *part = TN_ARENA_ARRAY(arena, struct iceberg_partition_field, 1);
    struct iceberg_spec *spec = TN_ARENA_ARRAY(arena, struct iceberg_spec, 1);
    *field = (struct iceberg_field){.id = 7, .name = "c", .type = iceberg_type_parse(arena, type)};
    *schema = (struct iceberg_schema){.fields = field, .field_count = 1};
    *part = (struct iceberg_partition_field){.source_id = 7, .field_id = 1000, .name = "c_p", .transform = transform};
    *spec = (struct iceberg_spec){.id = 3, .fields = part, .field_count = 1};
    return iceberg_partitioner_init(arena, spec, schema, ret, err);
}

static void test_transforms(void **state)
{
    static const struct {
        const char *type, *transform, *text, *want; /* of the result's type; NULL: NULL */
    } known[] = {
        {"string", "identity", "a", "a"},
        {"string", "identity", NULL, NULL},
        {"string", "void", "a", NULL},
        {"int", "bucket[16]", "34", "3"},
        {"long", "bucket[16]", "34", "3"},
        {"string", "bucket[16]", "iceberg", "9"},
        {"decimal(9, 2)", "bucket[10]", "14.20", "9"},
        {"string", "bucket[16]", NULL, NULL},
        {"int", "truncate[10]", "1", "0"},
        {"int", "truncate[10]", "-1", "-10"},
        {"int", "truncate[10]", "-10", "-10"},
        {"int", "truncate[10]", "-2147483648", "2147483646"}, /* round the end, as elsewhere */
        {"long", "truncate[10]", "-11", "-20"},
        {"decimal(9, 2)", "truncate[50]", "10.65", "10.50"},
        {"decimal(9, 2)", "truncate[50]", "-0.01", "-0.50"},
        {"string", "truncate[3]", "iceberg", "ice"},
        {"string", "truncate[3]", "ic", "ic"},
        {"string", "truncate[3]", "grüße", "grü"},
        {"binary", "truncate[3]", "0102030405", "010203"},
        {"date", "year", "1969-12-31", "-1"},
        {"date", "year", "2017-11-16", "47"},
        {"date", "month", "1969-12-31", "-1"},
        {"date", "month", "2017-11-16", "574"},
        {"date", "day", "2017-11-16", "2017-11-16"},
        {"timestamp", "year", "2017-11-16 22:31:08", "47"},
        {"timestamp", "month", "1969-12-31 23:59:59.999999", "-1"},
        {"timestamp", "day", "1969-12-31 23:59:59.999999", "1969-12-31"},
        {"timestamp", "day", "1970-01-01 00:00:00", "1970-01-01"},
        {"timestamptz", "day", "2017-11-16 14:31:08-10:00", "2017-11-17"},
        {"timestamptz", "hour", "2017-11-16 22:31:08", "419686"},
        {"timestamp", "hour", "1969-12-31 23:00:00.000001", "-1"},
    };
    for (size_t i = 0; i < TN_COUNT(known); i++) {
        struct iceberg_partitioner partitioner;
        struct tn_error err = {0};
        struct iceberg_bytes got = {0};
        if (one_field(*state, known[i].type, known[i].transform, &partitioner, &err) != TN_OK)
            fail_msg("%s of %s: %s", known[i].transform, known[i].type, err.detail);
        struct iceberg_bytes value = parse(*state, partitioner.fields[0].source, known[i].text);
        iceberg_partition_of(&partitioner, *state, &value, &got);
        struct iceberg_bytes want = parse(*state, partitioner.types[0], known[i].want);
        TN_AUTO_BUF text = {0};
        if (got.data)
            iceberg_value_format(partitioner.types[0], got, &text);
        if (iceberg_partition_compare(partitioner.types, &got, &want, 1) != 0 || got.length != want.length)
            fail_msg("%s of %s is %s", known[i].transform, known[i].text ? known[i].text : "NULL",
                     text.data ? text.data : "NULL");
        assert_true(!got.data || iceberg_value_valid(partitioner.types[0], got));
    }
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *type, *transform, *why;
    } refused[] = {
        {"string", "zorder", "does not compute"},
        {"int", "bucket[0]", "does not compute"},
        {"int", "bucket[]", "does not compute"},
        {"int", "bucket[-4]", "does not compute"},
        {"int", "bucket[4", "does not compute"},
        {"int", "truncate[99999999999]", "does not compute"},
        {"double", "bucket[4]", "not defined"},
        {"date", "truncate[4]", "not defined"},
        {"date", "hour", "not defined"},
        {"string", "day", "not defined"},
        {"timestamp_ns", "identity", "not defined"},
    };
    for (size_t i = 0; i < TN_COUNT(refused); i++) {
        struct iceberg_partitioner partitioner;
        struct tn_error err = {0};
        assert_int_equal(one_field(*state, refused[i].type, refused[i].transform, &partitioner, &err),
                         TN_EUNSUPPORTED);
        if (!strstr(err.detail, refused[i].why) || !strstr(err.detail, "c_p"))
            fail_msg("%s: %s", refused[i].transform, err.detail);
    }
}

static void test_same_partition(void **state)
{
    (void)state;
    const uint8_t narrow[] = {5, 0, 0, 0}, wide[] = {5, 0, 0, 0, 0, 0, 0, 0}, other[] = {6, 0, 0, 0};
    const struct iceberg_type *const types[] = {iceberg_type_of(ICEBERG_LONG)};
    const struct iceberg_bytes a = {narrow, 4}, b = {wide, 8}, c = {other, 4}, none = {0};
    assert_int_equal(iceberg_partition_compare(types, &a, &b, 1), 0);
    assert_int_equal(iceberg_partition_compare(types, &none, &none, 1), 0);
    assert_true(iceberg_partition_compare(types, &a, &c, 1) < 0);
    assert_true(iceberg_partition_compare(types, &none, &a, 1) < 0);
    assert_true(iceberg_partition_compare(types, &a, &none, 1) > 0);
    assert_true(iceberg_partition_compare(NULL, &a, &b, 1) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hashes, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_transforms, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_what_is_refused, open_arena, close_arena),
        cmocka_unit_test(test_same_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
