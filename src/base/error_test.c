/* Error texts: cutting, hints, the code table. */
#include "base/test_support.h"

#include <errno.h>
#include <string.h>

static void fail_fills_and_clears(void **state)
{
    (void)state;
    struct tn_error err = {.line = 7, .column = 3};
    tn_error_hint(&err, "old %s", "hint");
    assert_string_equal(err.hint, "old hint");
    assert_int_equal(tn_fail(&err, TN_ECONFLICT, "%d of %s", 2, "them"), TN_ECONFLICT);
    assert_int_equal(err.code, TN_ECONFLICT);
    assert_string_equal(err.detail, "2 of them");
    assert_string_equal(err.hint, "");
    assert_int_equal(err.line, 0);
    assert_int_equal(err.column, 0);
    /* The text may be made of itself. */
    (void)tn_fail(&err, TN_EIO, "again: %s", err.detail);
    assert_string_equal(err.detail, "again: 2 of them");
    tn_error_context(&err, "row %d", 9);
    assert_string_equal(err.detail, "row 9: again: 2 of them");
    assert_int_equal(err.code, TN_EIO);
}

static void null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(tn_fail(NULL, TN_EIO, "x"), TN_EIO);
    assert_int_equal(tn_fail_errno(NULL, ENOSPC, "x"), TN_EDISKFULL);
    tn_error_hint(NULL, "x");
    tn_error_context(NULL, "x");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[3000];
    /* Every alignment of a two-byte character against the end. */
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xC3\xA4", 3);
        struct tn_error err = {0};
        (void)tn_fail(&err, TN_EIO, "%s", text);
        size_t length = strlen(err.detail);
        assert_true(length >= sizeof err.detail - 6 && length < sizeof err.detail);
        assert_true(tn_str_ends_with(err.detail, "\xC3\xA4..."));
        assert_int_equal(tn_utf8_valid_prefix(err.detail, length), length);
        tn_error_context(&err, "%s", text);
        assert_true(tn_str_ends_with(err.detail, "..."));
        tn_error_hint(&err, "%s", text);
        assert_true(tn_str_ends_with(err.hint, "..."));
    }
    struct tn_error err = {0};
    memset(text, 'b', sizeof text);
    text[sizeof err.detail - 1] = '\0';
    (void)tn_fail(&err, TN_EIO, "%s", text); /* fits exactly */
    assert_string_equal(err.detail, text);
}

static void errno_meanings(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum tn_code code;
    } cases[] = {{ENOSPC, TN_EDISKFULL}, {EDQUOT, TN_EDISKFULL}, {EROFS, TN_EREADONLY}, {ENOENT, TN_ENOTFOUND},
                 {ENOMEM, TN_ENOMEM},    {EACCES, TN_EIO},       {EIO, TN_EIO},         {EMFILE, TN_EIO},
                 {EFBIG, TN_EIO},        {ELOOP, TN_EIO},        {99999, TN_EIO}};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct tn_error err = {0};
        assert_int_equal(tn_fail_errno(&err, cases[i].number, "cannot open %s", "/x"), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_true(tn_str_starts_with(err.detail, "cannot open /x: "));
        assert_true(err.hint[0] != '\0');
    }
}

static void table(void **state)
{
    (void)state;
    assert_string_equal(tn_code_word(TN_EDATASET), "dataset_not_found");
    assert_string_equal(tn_code_title(TN_EBUSY), "Busy");
    assert_int_equal(tn_code_http_status(TN_EDISKFULL), 507);
    assert_int_equal(tn_code_exit_status(TN_EUNREACHABLE), 3);
    for (enum tn_code code = TN_OK; code <= TN_EDISKFULL; code++) {
        assert_int_equal(tn_code_from_word(tn_code_word(code)), code);
        assert_int_equal(tn_code_exit_status(code) == 0, code == TN_OK);
        assert_in_range(tn_code_http_status(code), 200, 599);
    }
    assert_int_equal(tn_code_from_word("no_such_word"), TN_EINTERNAL);
    assert_int_equal(tn_code_from_word(NULL), TN_EINTERNAL);
    assert_string_equal(tn_code_word((enum tn_code)999), "internal_error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_and_clears),
        cmocka_unit_test(null_is_allowed),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(errno_meanings),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
