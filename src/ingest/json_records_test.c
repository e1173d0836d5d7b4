/* JSON records: what is read, what is refused, and that cuts change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/json_records.h"

#include "ingest/classify.h"

/* Records as "path=text,path=text;...": '!' for a flawed one, '?' for one that
 * is no object. */
static void render(enum json_layout layout, struct json_paths *paths, const char *text, size_t length, bool first,
                   struct tn_buf *out)
{
    struct json_reader reader;
    json_reader_init(&reader, layout, paths, NULL);
    json_reader_block(&reader, text, length, first);
    while (json_reader_next(&reader)) {
        const struct record *record = &reader.record;
        if (record->flaw != RECORD_FINE) {
            tn_buf_puts(out, record->flaw == RECORD_NOT_OBJECT ? "?;" : "!;");
            continue;
        }
        for (size_t i = 0; i < record->count; i++) {
            if (record->cells[i].kind == CELL_ABSENT)
                continue;
            tn_buf_printf(out, "%s=%.*s,", json_paths_text(paths, i), (int)record->cells[i].length,
                          record->cells[i].text);
        }
        tn_buf_putc(out, ';');
    }
    json_reader_release(&reader);
}

static const struct {
    const char *name, *text;
    enum json_layout layout;
    const char *records;
} cases[] = {
    {"array", "[{\"a\":1},{\"a\":2}]", LAYOUT_ARRAY, "a=1,;a=2,;"},
    {"array over lines", "[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n", LAYOUT_ARRAY, "a=1,;a=2,;"},
    {"empty array", "[]", LAYOUT_ARRAY, ""},
    {"lines", "{\"a\":1}\n{\"b\":\"x\"}\n", LAYOUT_LINES, "a=1,;b=x,;"},
    {"lines without the last end", "{\"a\":1}\r\n\n{\"a\":2}", LAYOUT_LINES, "a=1,;a=2,;"},
    {"one object", "{\"a\":1}", LAYOUT_LINES, "a=1,;"},
    {"objects over lines", "{\n\"a\":1\n}\n{\n\"a\":2}\n", LAYOUT_STREAM, "a=1,;a=2,;"},
    {"nested", "{\"a\":{\"b\":{\"c\":1},\"d\":true}}", LAYOUT_LINES, "a.b.c=1,a.d=true,;"},
    {"arrays stay one value", "{\"a\":[1,2,{\"b\":[3]}]}", LAYOUT_LINES, "a=[1,2,{\"b\":[3]}],;"},
    {"null and empty object", "{\"a\":null,\"b\":{}}", LAYOUT_LINES, "a=null,b={},;"},
    {"empty record", "{}\n{\"a\":1}\n", LAYOUT_LINES, ";a=1,;"},
    {"a broken line spoils itself", "{\"a\":1}\n{\"a\":}\n{\"a\":3}\n", LAYOUT_LINES, "a=1,;!;a=3,;"},
    {"a broken record in an array", "[{\"a\":1},{\"a\" 2},{\"a\":3}]", LAYOUT_ARRAY, "a=1,;!;a=3,;"},
    {"no object", "{\"a\":1}\n5\n[1]\n\"x\"\n", LAYOUT_LINES, "a=1,;?;?;?;"},
    {"text behind", "{\"a\":1} x\n{\"a\":2}\n", LAYOUT_LINES, "!;a=2,;"},
    {"single quotes", "{\"a\":1}\n{'a':1}\n", LAYOUT_LINES, "a=1,;!;"},
    {"trailing comma", "{\"a\":1}\n{\"a\":1,}\n", LAYOUT_LINES, "a=1,;!;"},
    {"leading zero", "{\"a\":1}\n{\"a\":01}\n", LAYOUT_LINES, "a=1,;!;"},
    {"bare words", "{\"a\":1}\n{\"a\":NaN}\n", LAYOUT_LINES, "a=1,;!;"},
    {"control character", "{\"a\":1}\n{\"a\":\"x\ty\"}\n", LAYOUT_LINES, "a=1,;!;"},
    {"bad escape", "{\"a\":1}\n{\"a\":\"\\x\"}\n", LAYOUT_LINES, "a=1,;!;"},
    {"braces in strings", "[{\"a\":\"}]{[\\\"\"},{\"a\":2}]", LAYOUT_ARRAY, "a=}]{[\\\",;a=2,;"},
    {"escaped key", "{\"\\u0061\":1}", LAYOUT_LINES, "a=1,;"},
    {"numbers", "{\"a\":-1.5e+3,\"b\":0,\"c\":-0}", LAYOUT_LINES, "a=-1.5e+3,b=0,c=-0,;"},
};

static void test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        size_t length = strlen(cases[i].text), body;
        enum json_layout layout = json_detect(cases[i].text, length, &body);
        TN_CLEANUP(json_paths_free_p) struct json_paths *paths = json_paths_new();
        TN_AUTO_BUF got = {0};
        render(layout, paths, cases[i].text + body, length - body, true, &got);
        const char *records = got.data ? got.data : "";
        if (layout != cases[i].layout || strcmp(records, cases[i].records) != 0)
            fail_msg("%s: layout %d records \"%s\"", cases[i].name, (int)layout, records);
    }
}

static void test_cutting_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        size_t length = strlen(cases[i].text), body;
        const char *text = cases[i].text;
        enum json_layout layout = json_detect(text, length, &body);
        for (size_t cut = body + 1; cut < length; cut++) {
            size_t end = json_scan_end(layout, text + body, cut - body);
            assert_true(end <= cut - body);
            TN_CLEANUP(json_paths_free_p) struct json_paths *paths = json_paths_new();
            TN_AUTO_BUF got = {0};
            render(layout, paths, text + body, end, true, &got);
            render(layout, paths, text + body + end, length - body - end, end == 0, &got);
            if (strcmp(got.data ? got.data : "", cases[i].records) != 0)
                fail_msg("%s cut at %zu (end %zu): \"%s\"", cases[i].name, cut, end, got.data ? got.data : "");
        }
    }
}

static void test_list_classes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum cell_class class;
    } lists[] = {
        {"[1,2,null]", CLASS_LIST_INT},
        {"[1,2.5]", CLASS_LIST_DOUBLE},
        {"[true]", CLASS_LIST_BOOL},
        {"[\"a\",\"b\"]", CLASS_LIST_TEXT},
        {"[]", CLASS_LIST_EMPTY},
        {"[null]", CLASS_LIST_EMPTY},
        {"[1,\"a\"]", CLASS_JSON},
        {"[[1]]", CLASS_JSON},
        {"[{\"a\":1}]", CLASS_JSON},
        {"[ 1 , 2 ]", CLASS_LIST_INT},
        {"[99999999999999999999]", CLASS_JSON},
    };
    for (size_t i = 0; i < TN_COUNT(lists); i++) {
        TN_AUTO_BUF text = {0};
        tn_buf_printf(&text, "{\"a\":%s}", lists[i].text);
        TN_CLEANUP(json_paths_free_p) struct json_paths *paths = json_paths_new();
        struct json_reader reader;
        json_reader_init(&reader, LAYOUT_LINES, paths, NULL);
        json_reader_block(&reader, text.data, text.len, true);
        assert_true(json_reader_next(&reader));
        uint32_t marks = 0;
        enum cell_class class = classify_cell(&reader.record.cells[0], &marks);
        if (class != lists[i].class)
            fail_msg("%s: class %d", lists[i].text, (int)class);
        json_reader_release(&reader);
    }
}

static void test_unescape(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } texts[] = {
        {"a\\nb", "a\nb"},
        {"\\\"\\\\\\/", "\"\\/"},
        {"\\u00e9", "\xC3\xA9"},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80"},
        {"\\ud83dx", "\xEF\xBF\xBDx"},
        {"\\ude00", "\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        char out[64];
        size_t length = json_unescape(texts[i].in, strlen(texts[i].in), out);
        assert_int_equal(length, strlen(texts[i].out));
        assert_memory_equal(out, texts[i].out, length);
    }
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    TN_AUTO_BUF text = {0};
    for (int i = 0; i < 5000; i++)
        tn_buf_puts(&text, "{\"a\":");
    TN_CLEANUP(json_paths_free_p) struct json_paths *paths = json_paths_new();
    TN_AUTO_BUF got = {0};
    render(LAYOUT_LINES, paths, text.data, text.len, true, &got);
    assert_string_equal(got.data, "!;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),          cmocka_unit_test(test_cutting_changes_nothing),
        cmocka_unit_test(test_list_classes),     cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
