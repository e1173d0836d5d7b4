/* Strict parsing, dumping, and reading of request objects. */
#include "base/json_floats.h"
#include "base/test_support.h"

#include <stdlib.h>
#include <string.h>

static enum tn_code parse(const char *text, json_t **ret, struct tn_error *err)
{
    return tn_json_parse(text, strlen(text), 1 << 20, "body", ret, err);
}

static void accepts_and_dumps(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{}", "{}"},
        {" [ 1 , 2.50 , \"a\" , null , true , false ] ", "[1,2.5,\"a\",null,true,false]"},
        {"{\"b\":1,\"a\":{\"c\":[]}}", "{\"b\":1,\"a\":{\"c\":[]}}"},
        {"\"\\u00e4\\n\\/\"", "\"\xC3\xA4\\n/\""},
        {"0.1", "0.1"},
        {"1.0", "1.0"},
        {"1e2", "100.0"},
        {"1e300", "1e300"},
        {"-0.0", "-0.0"},
        {"9223372036854775807", "9223372036854775807"},
        {"null", "null"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_JSON *json = NULL;
        TN_AUTO_BUF out = {0};
        assert_ok(parse(cases[i].in, &json, &test_err));
        tn_json_dump(json, &out);
        assert_string_equal(out.data, cases[i].out);
    }
}

/* The same floats as the document has, and a text that is a document as before. */
static void cuts_floats_out(void **state)
{
    (void)state;
    static const char *const lists[] = {"0", "-0.0", "1, 2.5 ,-3e2,4E-2\n,5e+1",
                                        "0.045213591307401657, -0.00012345678901234567",
                                        "0.1,0.2,0.3,1e-20,123456789012345678"};
    for (size_t i = 0; i < TN_COUNT(lists); i++) {
        TN_AUTO_FREE char *text = tn_asprintf("{\"a\": {\"vector\":[9]}, \"vector\" : [%s], \"k\":3}", lists[i]);
        TN_AUTO_JSON *whole = NULL;
        TN_AUTO_JSON *rest = NULL;
        struct tn_json_floats found;
        float out[8];
        assert_ok(parse(text, &whole, &test_err));
        assert_true(tn_json_cut_floats(text, strlen(text), "vector", out, TN_COUNT(out), &found));
        const json_t *list = json_object_get(whole, "vector");
        assert_int_equal(found.count, json_array_size(list));
        for (size_t n = 0; n < found.count; n++) {
            float wanted = (float)json_number_value(json_array_get(list, n));
            assert_memory_equal(&out[n], &wanted, sizeof wanted);
        }
        memmove(text + found.begin, text + found.end, strlen(text + found.end) + 1);
        assert_ok(parse(text, &rest, &test_err));
        assert_int_equal(json_array_size(json_object_get(rest, "vector")), 0);
        assert_int_equal(json_integer_value(json_object_get(rest, "k")), 3);
    }
}

static void leaves_other_lists_to_the_document(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "[1]",
                                        "{\"vector\":[]}",
                                        "{\"vector\":[01]}",
                                        "{\"vector\":[1,]}",
                                        "{\"vector\":[1,null]}",
                                        "{\"vector\":[.5]}",
                                        "{\"vector\":[1.]}",
                                        "{\"vector\":[+1]}",
                                        "{\"vector\":[1e]}",
                                        "{\"vector\":[1e39]}",
                                        "{\"vector\":[1e99999999999]}",
                                        "{\"vector\":[-]}",
                                        "{\"vector\":[1",
                                        "{\"vector\":[1 2]}",
                                        "{\"vector\":[[1]]}",
                                        "{\"vector\":\"[1]\"}",
                                        "{\"a\":\"vector\",\"b\":[1]}",
                                        "{\"a\":{\"vector\":[1]}}",
                                        "{\"a\":\"\\\"vector\\\":[1]\"}",
                                        "{\"vector\":[1,2,3,4,5]}",
                                        "{\"vector\":[12345678901234567890]}"};
    float out[4];
    struct tn_json_floats found;
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        assert_false(tn_json_cut_floats(texts[i], strlen(texts[i]), "vector", out, TN_COUNT(out), &found));
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int line, column; /* 0: not checked */
    } cases[] = {
        {"", 1, 0},
        {"{", 1, 1},
        {"{\"a\":1,}", 1, 8},
        {"{\n\"a\": 1,\n  \"a\": 2}", 3, 5},
        {"[1] [2]", 1, 0},
        {"\"\xFF\"", 1, 0},
        {"\"\\ud800\"", 1, 0},
        {"\"a\\u0000b\"", 1, 0},
        {"{\"\\u0000\":1}", 1, 0},
        {"{a:1}", 1, 2},
        {"'a'", 1, 0},
        {"01", 1, 0},
        {"1.", 1, 0},
        {"NaN", 1, 0},
        {"1e999", 1, 0},
        {"9223372036854775808", 1, 0},
        {"\xEF\xBB\xBF{}", 1, 0},
        {"\"tab\there\"", 1, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        json_t *json = NULL;
        struct tn_error err = {0};
        if (parse(cases[i].in, &json, &err) != TN_EJSON)
            fail_msg("accepted: %s", cases[i].in);
        assert_null(json);
        assert_true(tn_str_starts_with(err.detail, "body is not valid JSON (line "));
        assert_int_equal(err.line, cases[i].line);
        if (cases[i].column && err.column != cases[i].column)
            fail_msg("%s: column %d", cases[i].in, err.column);
    }
    json_t *json = NULL;
    assert_int_equal(tn_json_parse("[1,2]", 5, 4, "body", &json, NULL), TN_ETOOLARGE);
    assert_int_equal(tn_json_parse("\"a\\u0000b\"", 10, 40, "body", &json, NULL), TN_EJSON);
    assert_null(json);
    TN_AUTO_JSON *zeros = NULL;
    TN_AUTO_BUF dumped = {0};
    assert_int_equal(tn_json_parse_zeros("\"a\\u0000b\"", 10, 40, "answer", &zeros, NULL), TN_OK);
    assert_int_equal(json_string_length(zeros), 3);
    tn_json_dump(zeros, &dumped);
    assert_string_equal(dumped.data, "\"a\\u0000b\"");
    /* Jansson alone would take these. */
    assert_int_equal(tn_json_parse("1\0", 2, 4, "body", &json, NULL), TN_EJSON);
    assert_int_equal(tn_json_parse("{}\0]", 4, 4, "body", &json, NULL), TN_EJSON);
    assert_int_equal(tn_json_parse(NULL, 0, 4, "body", &json, NULL), TN_EJSON);
    assert_null(json);
}

static void bounds_depth(void **state)
{
    (void)state;
    for (size_t depth = TN_JSON_MAX_DEPTH; depth <= TN_JSON_MAX_DEPTH + 1; depth++) {
        TN_AUTO_BUF text = {0};
        tn_buf_puts(&text, "[\"[[[[\\\"[[\",\n");
        for (size_t i = 1; i < depth; i++)
            tn_buf_putc(&text, '[');
        for (size_t i = 1; i < depth; i++)
            tn_buf_putc(&text, ']');
        tn_buf_puts(&text, "]");
        json_t *json = NULL;
        struct tn_error err = {0};
        enum tn_code code = parse(text.data, &json, &err);
        assert_int_equal(code, depth <= TN_JSON_MAX_DEPTH ? TN_OK : TN_EJSON);
        if (code != TN_OK) {
            assert_int_equal(err.line, 2);
            assert_int_equal(err.column, TN_JSON_MAX_DEPTH);
        }
        json_decref(json);
    }
}

struct request {
    const char *name;
    int64_t limit;
    double score;
    bool flag;
    json_t *any, *list, *object;
};

static enum tn_code read_request(const char *text, struct request *r, json_t **ret_json, struct tn_error *err)
{
    const struct tn_json_field fields[] = {
        {.name = "name", .kind = TN_JSON_STRING, .ret = &r->name, .required = true},
        {.name = "limit", .kind = TN_JSON_INT, .ret = &r->limit, .min = 1, .max = 100},
        {.name = "score", .kind = TN_JSON_DOUBLE, .ret = &r->score},
        {.name = "flag", .kind = TN_JSON_BOOL, .ret = &r->flag},
        {.name = "any", .kind = TN_JSON_ANY, .ret = &r->any},
        {.name = "list", .kind = TN_JSON_ARRAY, .ret = &r->list},
        {.name = "object", .kind = TN_JSON_OBJECT, .ret = &r->object},
    };
    assert_ok(parse(text, ret_json, &test_err));
    return tn_json_read(*ret_json, "request", fields, TN_COUNT(fields), err);
}

static void reads_fields(void **state)
{
    (void)state;
    struct request r = {.limit = 10, .score = 0.5, .flag = true};
    TN_AUTO_JSON *json = NULL;
    assert_ok(read_request("{\"name\":\"x\"}", &r, &json, &test_err));
    assert_string_equal(r.name, "x");
    assert_true(r.limit == 10 && r.score == 0.5 && r.flag && !r.any && !r.list && !r.object);
    TN_AUTO_JSON *full = NULL;
    assert_ok(
        read_request("{\"object\":{\"k\":1},\"list\":[1,2],\"any\":null,\"flag\":false,\"score\":3,\"limit\":100,"
                     "\"name\":\"\"}",
                     &r, &full, &test_err));
    assert_string_equal(r.name, "");
    assert_true(r.limit == 100 && r.score == 3.0 && !r.flag && json_is_null(r.any));
    assert_int_equal(json_array_size(r.list), 2);
    assert_int_equal(json_object_size(r.object), 1);
    /* null where a value is optional means that it was not given. */
    TN_AUTO_JSON *nulls = NULL;
    assert_ok(read_request("{\"name\":\"y\",\"limit\":null,\"list\":null}", &r, &nulls, &test_err));
    assert_true(r.limit == 100 && r.list);
}

static void refuses_fields(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum tn_code code;
        const char *part, *hint;
    } cases[] = {
        {"[]", TN_EREQUEST, "must be a JSON object, not an array", ""},
        {"null", TN_EREQUEST, "must be a JSON object, not null", ""},
        {"{}", TN_EREQUEST, "\"name\" is missing", ""},
        {"{\"name\":null}", TN_EREQUEST, "must be a text, not null", ""},
        {"{\"name\":1}", TN_EREQUEST, "\"name\" must be a text, not a whole number", ""},
        {"{\"name\":\"x\",\"limt\":1}", TN_EFIELD, "unknown field \"limt\"", "did you mean \"limit\"?"},
        {"{\"name\":\"x\",\"zzzzz\":1}", TN_EFIELD, "unknown field \"zzzzz\"", "the fields are: name, limit"},
        {"{\"name\":\"x\",\"limit\":0}", TN_EREQUEST, "between 1 and 100, not 0", ""},
        {"{\"name\":\"x\",\"limit\":101}", TN_EREQUEST, "between 1 and 100, not 101", ""},
        {"{\"name\":\"x\",\"limit\":1.5}", TN_EREQUEST, "must be a whole number, not a number", ""},
        {"{\"name\":\"x\",\"score\":\"1\"}", TN_EREQUEST, "must be a number, not a text", ""},
        {"{\"name\":\"x\",\"flag\":1}", TN_EREQUEST, "must be true or false", ""},
        {"{\"name\":\"x\",\"list\":{}}", TN_EREQUEST, "must be an array, not an object", ""},
        {"{\"name\":\"x\",\"object\":[]}", TN_EREQUEST, "must be an object, not an array", ""},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct request r = {.name = "unset", .limit = 10};
        struct tn_error err = {0};
        TN_AUTO_JSON *json = NULL;
        if (read_request(cases[i].in, &r, &json, &err) != cases[i].code)
            fail_msg("%s: %s", cases[i].in, tn_code_word(err.code));
        if (!strstr(err.detail, cases[i].part))
            fail_msg("%s: %s", cases[i].in, err.detail);
        assert_true(tn_str_starts_with(err.hint, cases[i].hint));
        assert_string_equal(r.name, "unset");
        assert_int_equal(r.limit, 10);
    }
    assert_int_equal(tn_json_read(NULL, "request", NULL, 0, NULL), TN_EREQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_dumps),
        cmocka_unit_test(cuts_floats_out),
        cmocka_unit_test(leaves_other_lists_to_the_document),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(reads_fields),
        cmocka_unit_test(refuses_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
