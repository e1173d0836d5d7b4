/* Schemas: JSON both ways, what is refused, ids, and the matrix of evolution. */
#include "iceberg/test_support.h"

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

#define ARENA_TEST(function) cmocka_unit_test_setup_teardown(function, open_arena, close_arena)

static const char nested_schema[] =
    "{\"type\":\"struct\",\"schema-id\":3,\"identifier-field-ids\":[1],\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\",\"doc\":\"the \\\"key\\\"\"},"
    "{\"id\":2,\"name\":\"price\",\"required\":false,\"type\":\"decimal(10, 2)\"},"
    "{\"id\":3,\"name\":\"tags\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":7,\"element\":"
    "\"string\","
    "\"element-required\":false}},"
    "{\"id\":4,\"name\":\"at\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":8,\"name\":\"x\",\"required\":true,\"type\":\"double\"}]}},"
    "{\"id\":5,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":9,\"key\":\"string\","
    "\"value-id\":10,\"value\":\"fixed[16]\",\"value-required\":true}},"
    "{\"id\":6,\"name\":\"later\",\"required\":false,\"type\":\"timestamp_ns\",\"initial-default\":\"x\","
    "\"write-default\":[1]}]}";

static const struct iceberg_schema *parse(struct tn_arena *arena, const char *json)
{
    const struct iceberg_schema *schema = NULL;
    assert_ok(iceberg_schema_parse(arena, json, strlen(json), &schema, &test_err));
    return schema;
}

static void json_both_ways(void **state)
{
    struct tn_arena *arena = *state;
    const struct iceberg_schema *schema = parse(arena, nested_schema);
    TN_AUTO_BUF out = {0};
    iceberg_schema_json(schema, &out);
    assert_string_equal(out.data, nested_schema);
    assert_int_equal(schema->fields[5].type->kind, ICEBERG_UNSUPPORTED);
    assert_int_equal(iceberg_schema_highest_id(schema), 10);
    assert_string_equal(iceberg_schema_field(schema, 8)->name, "x");
    assert_null(iceberg_schema_field(schema, 11));
    assert_ptr_equal(iceberg_schema_find(schema, "PRICE", true), &schema->fields[1]);
    assert_null(iceberg_schema_find(schema, "PRICE", false));
    const struct iceberg_schema *copy = iceberg_schema_copy(arena, schema);
    TN_AUTO_BUF again = {0};
    iceberg_schema_json(copy, &again);
    assert_string_equal(again.data, nested_schema);
    TN_AUTO_BUF text = {0};
    iceberg_type_format(schema->fields[3].type, &text);
    iceberg_type_format(schema->fields[4].type, &text);
    assert_string_equal(text.data, "struct<x: double>map<string, fixed[16]>");
}

static const char *const bad_schemas[] = {
    "",
    "[]",
    "{}",
    "{\"fields\":{}}",
    "{\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false}]}",
    "{\"fields\":[{\"id\":1,\"name\":\"a\",\"type\":\"int\"}]}",
    "{\"fields\":[{\"id\":\"1\",\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}",
    "{\"fields\":[{\"id\":1,\"name\":null,\"required\":false,\"type\":\"int\"}]}",
    "{\"fields\":[{\"id\":-1,\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}",
    ("{\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\"},"
     "{\"id\":1,\"name\":\"b\",\"required\":false,\"type\":\"int\"}]}"),
    "{\"identifier-field-ids\":[2],\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}",
    "{\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":{\"type\":\"list\",\"element\":\"int\"}}]}",
    "{\"fields\":[],\"fields\":[]}",
    "{\"fields\":[]} x",
    "{\"fields\":[{\"id\":99999999999,\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}",
};

static void refuses(void **state)
{
    struct tn_arena *arena = *state;
    for (size_t i = 0; i < TN_COUNT(bad_schemas); i++) {
        const struct iceberg_schema *schema = NULL;
        if (iceberg_schema_parse(arena, bad_schemas[i], strlen(bad_schemas[i]), &schema, &test_err) == TN_OK)
            fail_msg("accepted %s", bad_schemas[i]);
        assert_null(schema);
    }
    TN_AUTO_BUF deep = {0};
    const struct iceberg_schema *schema = NULL;
    tn_buf_puts(&deep, "{\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":");
    for (int i = 0; i < 40; i++)
        tn_buf_printf(&deep, "{\"type\":\"list\",\"element-id\":%d,\"element-required\":true,\"element\":", i + 2);
    tn_buf_puts(&deep, "\"int\"");
    for (int i = 0; i < 40; i++)
        tn_buf_putc(&deep, '}');
    tn_buf_puts(&deep, "}]}");
    assert_code(iceberg_schema_parse(arena, deep.data, deep.len, &schema, &test_err), TN_EUNSUPPORTED);
}

static const struct {
    const char *word;
    enum iceberg_kind kind;
} words[] = {
    {"int", ICEBERG_INT},
    {"decimal(38,10)", ICEBERG_DECIMAL},
    {"decimal( 9 , 2 )", ICEBERG_DECIMAL},
    {"decimal(39, 0)", ICEBERG_UNSUPPORTED},
    {"decimal(2, 3)", ICEBERG_UNSUPPORTED},
    {"decimal(9,2)x", ICEBERG_UNSUPPORTED},
    {"decimal", ICEBERG_UNSUPPORTED},
    {"fixed[4]", ICEBERG_FIXED},
    {"fixed[0]", ICEBERG_UNSUPPORTED},
    {"fixed[99999999999]", ICEBERG_UNSUPPORTED},
    {"struct", ICEBERG_UNSUPPORTED},
    {"unsupported", ICEBERG_UNSUPPORTED},
    {"variant", ICEBERG_UNSUPPORTED},
    {"INT", ICEBERG_UNSUPPORTED},
};

static void type_words(void **state)
{
    for (size_t i = 0; i < TN_COUNT(words); i++)
        assert_int_equal(iceberg_type_parse(*state, words[i].word)->kind, words[i].kind);
}

static void assigns_ids_by_level(void **state)
{
    struct tn_arena *arena = *state;
    const struct iceberg_schema *schema = parse(arena, nested_schema), *numbered = NULL;
    int32_t last = 0;
    assert_ok(iceberg_schema_assign_ids(arena, schema, 100, &numbered, &last, &test_err));
    assert_int_equal(last, 109);
    assert_int_equal(numbered->fields[5].id, 105);
    assert_int_equal(numbered->fields[2].type->fields[0].id, 106);
    assert_int_equal(numbered->fields[4].type->fields[1].id, 109);
    assert_int_equal(numbered->identifier_ids[0], 100);
}

/* have -> incoming: what the column becomes, or NULL for a difference. */
static const struct {
    const char *have, *incoming, *becomes;
} evolutions[] = {
    {"int", "int", "int"},
    {"int", "long", "long"},
    {"long", "int", "long"},
    {"float", "double", "double"},
    {"double", "float", "double"},
    {"double", "int", "double"},
    {"int", "double", NULL},
    {"double", "long", NULL},
    {"long", "double", NULL},
    {"decimal(9, 2)", "decimal(12, 2)", "decimal(12, 2)"},
    {"decimal(12, 2)", "decimal(9, 2)", "decimal(12, 2)"},
    {"decimal(9, 2)", "decimal(9, 3)", NULL},
    {"int", "decimal(9, 0)", NULL},
    {"string", "string", "string"},
    {"string", "int", NULL},
    {"int", "string", NULL},
    {"date", "timestamp", NULL},
    {"timestamp", "date", NULL},
    {"timestamp", "timestamptz", NULL},
    {"uuid", "string", NULL},
    {"fixed[4]", "fixed[5]", NULL},
    {"binary", "string", NULL},
    {"boolean", "int", NULL},
    {"variant", "variant", NULL},
};

static void evolution_matrix(void **state)
{
    struct tn_arena *arena = *state;
    for (size_t i = 0; i < TN_COUNT(evolutions); i++) {
        for (int list = 0; list < 2; list++) { /* the same inside a list */
            const struct iceberg_type *have_type = iceberg_type_parse(arena, evolutions[i].have);
            const struct iceberg_type *got_type = iceberg_type_parse(arena, evolutions[i].incoming);
            struct iceberg_field have = {.id = 1, .name = "c", .type = have_type};
            struct iceberg_field got = {.id = 9, .name = "C", .type = got_type};
            if (list) {
                have.type = iceberg_type_list(arena, 2, false, have_type);
                got.type = iceberg_type_list(arena, 5, false, got_type);
            }
            const struct iceberg_schema a = {.id = 4, .fields = &have, .field_count = 1};
            const struct iceberg_schema b = {.fields = &got, .field_count = 1}, *grown = NULL;
            enum tn_code code = iceberg_schema_evolve(arena, &a, &b, 2, &grown, &test_err);
            if (!evolutions[i].becomes) {
                if (code != TN_ESCHEMA || grown)
                    fail_msg("%s takes %s", evolutions[i].have, evolutions[i].incoming);
                assert_non_null(strstr(test_err.detail, "\"c"));
                continue;
            }
            TN_AUTO_BUF text = {0};
            if (code != TN_OK)
                fail_msg("%s: %s", evolutions[i].have, test_err.detail);
            assert_int_equal(grown->fields[0].id, 1);
            assert_string_equal(grown->fields[0].name, "c");
            assert_int_equal(grown == &a, tn_streq(evolutions[i].have, evolutions[i].becomes));
            const struct iceberg_type *type = grown->fields[0].type;
            if (list)
                assert_int_equal(type->fields[0].id, 2);
            iceberg_type_format(list ? type->fields[0].type : type, &text);
            assert_string_equal(text.data, evolutions[i].becomes);
        }
    }
}

static void evolution_of_columns(void **state)
{
    struct tn_arena *arena = *state;
    const struct iceberg_schema *have = parse(arena, nested_schema), *grown = NULL;
    /* New columns go to the end, also inside a struct; ids are fresh. */
    const struct iceberg_schema *more = parse(
        arena,
        "{\"fields\":[{\"id\":1,\"name\":\"new\",\"required\":true,\"type\":{\"type\":\"list\",\"element-id\":2,"
        "\"element\":\"int\",\"element-required\":false}},"
        "{\"id\":3,\"name\":\"ID\",\"required\":true,\"type\":\"long\"},"
        "{\"id\":4,\"name\":\"at\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
        "{\"id\":5,\"name\":\"y\",\"required\":false,\"type\":\"int\"}]}}]}");
    assert_ok(iceberg_schema_evolve(arena, have, more, 20, &grown, &test_err));
    assert_int_equal(grown->field_count, 7);
    assert_string_equal(grown->fields[6].name, "new");
    assert_false(grown->fields[6].required);
    assert_true(grown->fields[0].required); /* of the key, and there */
    const struct iceberg_type *at = grown->fields[3].type;
    assert_int_equal(at->field_count, 2);
    assert_string_equal(at->fields[1].name, "y");
    assert_false(at->fields[0].required); /* "x" is missing in the new rows */
    int32_t ids[] = {grown->fields[6].id, grown->fields[6].type->fields[0].id, at->fields[1].id};
    for (size_t i = 0; i < TN_COUNT(ids); i++) {
        assert_true(ids[i] > 20 && ids[i] <= 23);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(ids[i], ids[k]);
    }
    /* Every difference is listed; a missing key column is one. */
    const struct iceberg_schema *bad =
        parse(arena, "{\"fields\":[{\"id\":2,\"name\":\"price\",\"required\":false,\"type\":\"string\"},"
                     "{\"id\":4,\"name\":\"at\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
                     "{\"id\":5,\"name\":\"x\",\"required\":false,\"type\":\"date\"}]}}]}");
    assert_code(iceberg_schema_evolve(arena, have, bad, 20, &grown, &test_err), TN_ESCHEMA);
    assert_non_null(strstr(test_err.detail, "\"price\" is DECIMAL(10,2) and the new rows have VARCHAR"));
    assert_non_null(strstr(test_err.detail, "\"at.x\" is DOUBLE"));
    assert_non_null(strstr(test_err.detail, "\"id\" is part of the key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(json_both_ways),       ARENA_TEST(refuses),          ARENA_TEST(type_words),
        ARENA_TEST(assigns_ids_by_level), ARENA_TEST(evolution_matrix), ARENA_TEST(evolution_of_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
