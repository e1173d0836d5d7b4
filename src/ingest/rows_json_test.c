/* Bodies of rows: what becomes a cell, and what is refused and how. */
#include "ingest/rows_json.h"
#include "ingest/rows_value.h"

#include "ingest/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct wanted {
    const char *type, *json;
    const char *back; /* as an answer shows it; NULL: refused */
};

static const struct wanted values[] = {
    {"BIGINT", "9007199254740993", "\"9007199254740993\""},
    {"BIGINT", "\"9007199254740993\"", "\"9007199254740993\""},
    {"BIGINT", "-5", "-5"},
    {"BIGINT", "5.0", NULL},
    {"BIGINT", "\"\"", NULL},
    {"BIGINT", "\" 5\"", NULL},
    {"BIGINT", "true", NULL},
    {"INTEGER", "2147483648", NULL},
    {"INTEGER", "2147483647", "2147483647"},
    {"DOUBLE", "0.1", "0.1"},
    {"DOUBLE", "1e300", "1e300"},
    {"DOUBLE", "\"NaN\"", "\"NaN\""},
    {"DOUBLE", "\"-Infinity\"", "\"-Infinity\""},
    {"DOUBLE", "\"0.1\"", NULL},
    {"DECIMAL(12,2)", "12.5", "12.50"},
    {"DECIMAL(12,2)", "\"12.50\"", "12.50"},
    {"DECIMAL(12,2)", "12.505", NULL},
    {"DECIMAL(38,2)", "\"123456789012345678901234567890.12\"", "\"123456789012345678901234567890.12\""},
    {"BOOLEAN", "true", "true"},
    {"BOOLEAN", "\"true\"", NULL},
    {"BOOLEAN", "1", NULL},
    {"VARCHAR", "\"a\\u00e9\\n\"", "\"a\xC3\xA9\\n\""},
    {"VARCHAR", "\"\"", "\"\""},
    {"VARCHAR", "5", NULL},
    {"VARCHAR", "{}", NULL},
    {"DATE", "\"2024-02-29\"", "\"2024-02-29\""},
    {"DATE", "\"2023-02-29\"", NULL},
    {"DATE", "\"29/02/2024\"", NULL},
    {"TIME", "\"14:30:05.25\"", "\"14:30:05.25\""},
    {"TIMESTAMP", "\"2024-01-31T14:30:00.000001\"", "\"2024-01-31T14:30:00.000001\""},
    {"TIMESTAMP", "\"2024-01-31T14:30:00Z\"", "\"2024-01-31T14:30:00\""},
    {"TIMESTAMP", "\"2024-01-31T14:30:00+01:00\"", NULL},
    {"TIMESTAMPTZ", "\"2024-01-31T14:30:00+01:00\"", "\"2024-01-31T13:30:00Z\""},
    {"TIMESTAMPTZ", "\"2024-01-31T14:30:00\"", NULL},
    {"UUID", "\"0190163d-8694-739b-aea5-966c26f8ad91\"", "\"0190163d-8694-739b-aea5-966c26f8ad91\""},
    {"BLOB", "\"AAH/\"", "\"AAH/\""},
    {"BLOB", "\"AAH\"", NULL},
    {"BIGINT[]", " [1, null ,3]", "[1,null,3]"},
    {"BIGINT[]", "[1,\"x\"]", NULL},
    {"BIGINT[]", "{}", NULL},
    {"STRUCT(a BIGINT, b VARCHAR[])", "{\"b\": [\"x\"], \"a\": 1}", "{\"a\":1,\"b\":[\"x\"]}"},
    {"STRUCT(a BIGINT, b VARCHAR[])", "{\"b\": []}", "{\"a\":null,\"b\":[]}"},
    {"STRUCT(a BIGINT, b VARCHAR[])", "{\"c\": 1}", NULL},
    {"STRUCT(a BIGINT, b VARCHAR[])", "{\"a\": 1, \"a\": 2}", NULL},
    {"MAP(VARCHAR, DOUBLE)", "{\"k\" : 0.5}", "{\"k\":0.5}"},
    {"MAP(VARCHAR, DOUBLE)", "{\"k\" : \"y\"}", NULL},
    {"BIGINT", "null", "null"},
    {"BIGINT[]", "null", "null"},
};

static const struct iceberg_schema *schema_of(struct tn_arena *arena, const char *const *types, size_t count,
                                              size_t keys)
{
    struct iceberg_schema *schema = tn_arena_alloc(arena, sizeof *schema);
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, count);
    int32_t *ids = TN_ARENA_ARRAY(arena, int32_t, count);
    struct tn_error err = {0};
    for (size_t i = 0; i < count; i++) {
        fields[i].id = ids[i] = (int32_t)i + 1;
        fields[i].name = tn_arena_printf(arena, "%c", (int)('a' + i));
        assert_int_equal(catalog_type_from_sql(arena, types[i], &fields[i].type, &err), TN_OK);
    }
    *schema = (struct iceberg_schema){
        .fields = fields, .field_count = count, .identifier_ids = ids, .identifier_count = keys};
    return schema;
}

static enum engine_kind kind_of(const struct iceberg_type *type)
{
    switch (type->kind) {
    case ICEBERG_BOOLEAN:
        return ENGINE_BOOLEAN;
    case ICEBERG_INT:
        return ENGINE_INTEGER;
    case ICEBERG_LONG:
        return ENGINE_BIGINT;
    case ICEBERG_DOUBLE:
        return ENGINE_DOUBLE;
    case ICEBERG_DECIMAL:
        return ENGINE_DECIMAL;
    case ICEBERG_DATE:
        return ENGINE_DATE;
    case ICEBERG_TIME:
        return ENGINE_TIME;
    case ICEBERG_TIMESTAMP:
        return ENGINE_TIMESTAMP;
    case ICEBERG_TIMESTAMPTZ:
        return ENGINE_TIMESTAMPTZ;
    case ICEBERG_STRING:
        return ENGINE_VARCHAR;
    case ICEBERG_UUID:
        return ENGINE_UUID;
    case ICEBERG_BINARY:
        return ENGINE_BLOB;
    default:
        return ENGINE_OTHER;
    }
}

static enum tn_code read_body(struct tn_arena *arena, const struct iceberg_schema *schema, const char *text,
                              struct rows_json *ret, struct tn_error *err)
{
    const struct rows_json_shape shape = {.schema = schema, .max_rows = 3};
    *err = (struct tn_error){0};
    return rows_json_read(arena, &shape, text, strlen(text), ret, err);
}

static void test_values_of_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(values); i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        TN_AUTO_BUF body = {0}, back = {0};
        struct rows_json rows;
        struct tn_error err;
        const struct iceberg_schema *schema = schema_of(arena, &values[i].type, 1, 1);
        tn_buf_printf(&body, "[{\"a\":%s}]", values[i].json);
        enum tn_code code = read_body(arena, schema, body.data, &rows, &err);
        if (!values[i].back) {
            if (code != TN_EREJECTS)
                fail_msg("%s took %s (%s)", values[i].type, values[i].json, tn_code_word(code));
            continue;
        }
        if (code != TN_OK)
            fail_msg("%s refused %s: %s", values[i].type, values[i].json, err.detail);
        const struct iceberg_type *type = schema->fields[0].type;
        const struct engine_column column = {.name = "a",
                                             .type = {kind_of(type), (uint8_t)type->precision, (uint8_t)type->scale}};
        engine_cell_json(&column, rows.cells, &back);
        assert_string_equal(back.data, values[i].back);
    }
}

static void refused(const char *body, enum tn_code code, const char *detail, const char *hint)
{
    static const char *const types[] = {"BIGINT", "VARCHAR", "DATE"};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct rows_json rows;
    struct tn_error err;
    enum tn_code got = read_body(arena, schema_of(arena, types, 3, 1), body, &rows, &err);
    if (got != code || !strstr(err.detail, detail) || (hint && !strstr(err.hint, hint)))
        fail_msg("%s: %s: %s (%s)", body, tn_code_word(got), err.detail, err.hint);
}

static void test_bodies_that_are_refused(void **state)
{
    (void)state;
    refused("[{\"a\":1},{\"a\":\"x\",\"c\":\"2024-13-01\"}]", TN_EREJECTS, "2 values do not fit", NULL);
    refused("[{\"a\":1},{\"a\":\"x\"}]", TN_EREJECTS, "row 2, column \"a\": \"x\" is not an integer", NULL);
    refused("[{\"a\":1},{\"b\":\"\\ud800\"}]", TN_EREJECTS, "row 2, column \"b\": ", NULL);
    refused("[{\"b\":\"x\\udc00\"}]", TN_EREJECTS, "surrogate", NULL);
    refused("[{\"b\":\"\\ud83d\\u0041\"}]", TN_EREJECTS, "surrogate", NULL);
    refused("[{\"b\":\"\\\\ud800\",\"a\":\"x\"}]", TN_EREJECTS, "column \"a\"", NULL);
    refused("[{\"b\":\"\\ud83d\\ude00 \\ufffd\",\"a\":\"x\"}]", TN_EREJECTS, "column \"a\"", NULL);
    refused("{\"aa\":1}", TN_EFIELD, "row 1: the dataset has no column \"aa\"", "\"a\"");
    refused("{\"x\":{\"y\":1}}", TN_EFIELD, "\"x.y\"", NULL);
    refused("{\"x\":{}}", TN_EFIELD, "\"x\"", NULL);
    refused("{\"a\":1,\"A\":2}", TN_EJSON, "gives column \"a\" twice", NULL);
    refused("[{\"a\":1}", TN_EJSON, "row 1: a comma or the array", NULL);
    refused("[{\"a\":1}]x", TN_EJSON, "behind the array", NULL);
    refused("[{\"a\":1},5]", TN_EJSON, "row 2: not an object", NULL);
    refused("{\"a\":1}\n{\"a\":", TN_EJSON, "row 2", NULL);
    refused("{\"a\":1}{\"a\":1}{\"a\":1}{\"a\":1}", TN_ETOOLARGE, "more than 3 rows", "mode=upsert");
    refused("{\"b\":\"\xFF\"}", TN_EJSON, "UTF-8", NULL);
}

static void test_bodies_that_are_read(void **state)
{
    (void)state;
    static const char *const types[] = {"BIGINT", "VARCHAR", "DATE"};
    static const char *const bodies[] = {"[{\"a\":1,\"b\":\"x\"},{\"B\":null,\"a\":2}]",
                                         "{\"a\":1,\"b\":\"x\"}\n{\"a\":2}\n", " {\"b\":\"x\",\"a\":1} {\"a\":2}"};
    for (size_t i = 0; i < TN_COUNT(bodies); i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct rows_json rows;
        struct tn_error err;
        assert_int_equal(read_body(arena, schema_of(arena, types, 3, 1), bodies[i], &rows, &err), TN_OK);
        assert_int_equal(rows.row_count, 2);
        assert_int_equal(rows.column_count, 2);
        size_t a = rows.field_ids[0] == 1 ? 0 : 1;
        assert_int_equal(rows.cells[a].integer, 1);
        assert_int_equal(rows.cells[2 + a].integer, 2);
        assert_true(rows.cells[2 + (1 - a)].null);
        assert_false(rows.cells[1 - a].null);
    }
}

static void test_keys_in_paths(void **state)
{
    (void)state;
    static const char *const types[] = {"VARCHAR", "BIGINT", "DATE"};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    struct engine_cell *key;
    const struct iceberg_schema *one = schema_of(arena, types, 3, 1), *three = schema_of(arena, types, 3, 3);
    assert_int_equal(ingest_rows_key(arena, one, "[a, b]", &key, &err), TN_OK);
    assert_int_equal(key[0].text.length, 6);
    assert_int_equal(ingest_rows_key(arena, three, "EU,-17,2024-02-29", &key, &err), TN_OK);
    assert_int_equal(key[1].integer, -17);
    assert_int_equal(ingest_rows_key(arena, three, "[\"E,U\", 17, \"1970-01-02\"]", &key, &err), TN_OK);
    assert_int_equal(key[0].text.length, 3);
    assert_int_equal(key[2].integer, 1);
    assert_int_equal(ingest_rows_key(arena, three, "E,U,17,2024-02-29", &key, &err), TN_EREQUEST);
    assert_int_equal(ingest_rows_key(arena, three, "EU,x,2024-02-29", &key, &err), TN_EREQUEST);
    assert_int_equal(ingest_rows_key(arena, three, "EU,1", &key, &err), TN_EREQUEST);
    assert_int_equal(ingest_rows_key(arena, three, "[\"EU\", 1]", &key, &err), TN_EREQUEST);
    assert_int_equal(ingest_rows_key(arena, schema_of(arena, types, 3, 0), "x", &key, &err), TN_EREFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_every_type),
        cmocka_unit_test(test_bodies_that_are_refused),
        cmocka_unit_test(test_bodies_that_are_read),
        cmocka_unit_test(test_keys_in_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
