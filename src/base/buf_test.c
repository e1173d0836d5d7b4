/* The growable buffer. */
#include "base/test_support.h"

#include <string.h>

static void grows_and_terminates(void **state)
{
    (void)state;
    TN_AUTO_BUF buf = {0};
    tn_buf_clear(&buf); /* of an empty one */
    for (int i = 0; i < 500; i++) {
        tn_buf_puts(&buf, "ab");
        tn_buf_putc(&buf, 'c');
        tn_buf_append(&buf, NULL, 0);
        tn_buf_printf(&buf, "%d", i % 10);
        assert_int_equal(buf.len, (size_t)(i + 1) * 4);
        assert_int_equal(buf.data[buf.len], '\0');
        assert_true(buf.cap > buf.len);
    }
    char *at = tn_buf_reserve(&buf, 10000);
    assert_ptr_equal(at, buf.data + buf.len);
    memset(at, 'z', 10000);
    assert_true(buf.cap > buf.len + 10000);
    tn_buf_clear(&buf);
    assert_string_equal(buf.data, "");
}

static void printf_of_any_length(void **state)
{
    (void)state;
    char text[2000];
    for (size_t length = 0; length < sizeof text; length += 37) {
        memset(text, 'p', length);
        text[length] = '\0';
        TN_AUTO_BUF buf = {0};
        tn_buf_printf(&buf, "%s|%s", text, text);
        assert_int_equal(buf.len, 2 * length + 1);
        assert_int_equal(buf.data[length], '|');
        assert_int_equal(strlen(buf.data), buf.len);
    }
}

static void consume_and_take(void **state)
{
    (void)state;
    TN_AUTO_BUF buf = {0};
    tn_buf_consume(&buf, 5);
    tn_buf_puts(&buf, "hello world");
    tn_buf_consume(&buf, 0);
    tn_buf_consume(&buf, 6);
    assert_string_equal(buf.data, "world");
    tn_buf_consume(&buf, 99);
    assert_int_equal(buf.len, 0);
    tn_buf_puts(&buf, "mine");
    TN_AUTO_FREE char *text = tn_buf_take(&buf);
    assert_string_equal(text, "mine");
    assert_null(buf.data);
    assert_int_equal(buf.len + buf.cap, 0);
    TN_AUTO_FREE char *empty = tn_buf_take(&buf);
    assert_string_equal(empty, "");
    tn_buf_release(&buf);
    tn_buf_release(&buf);
    tn_buf_release(NULL);
}

static void sql_quoting(void **state)
{
    (void)state;
    static const struct {
        const char *in, *string, *name;
    } cases[] = {
        {"", "''", "\"\""},
        {"plain", "'plain'", "\"plain\""},
        {"it's", "'it''s'", "\"it's\""},
        {"''", "''''''", "\"''\""},
        {"odd \"name\"", "'odd \"name\"'", "\"odd \"\"name\"\"\""},
        {"'; DROP TABLE x --", "'''; DROP TABLE x --'", "\"'; DROP TABLE x --\""},
        {"back\\slash", "'back\\slash'", "\"back\\slash\""},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF string = {0}, name = {0};
        tn_buf_put_sql_string(&string, cases[i].in);
        tn_buf_put_sql_name(&name, cases[i].in);
        assert_string_equal(string.data, cases[i].string);
        assert_string_equal(name.data, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_terminates),
        cmocka_unit_test(printf_of_any_length),
        cmocka_unit_test(consume_and_take),
        cmocka_unit_test(sql_quoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
