#include "gateway/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Writes what it hears: "[name|filename]data." */
static enum tn_code on_begin(void *context, const struct multipart_part *part, struct tn_error *err)
{
    (void)err;
    tn_buf_printf(context, "[%s|%s]", part->name, part->filename ? part->filename : "-");
    return TN_OK;
}
static enum tn_code on_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    (void)err;
    tn_buf_append(context, bytes, count);
    return TN_OK;
}
static enum tn_code on_end(void *context, struct tn_error *err)
{
    (void)err;
    tn_buf_putc(context, '.');
    return TN_OK;
}

static enum tn_code cut(const char *body, size_t step, struct tn_buf *heard)
{
    TN_CLEANUP(multipart_free_p) struct multipart *multipart = NULL;
    struct tn_error err = {0};
    const struct multipart_sink sink = {.context = heard, .begin = on_begin, .data = on_data, .end = on_end};
    assert_int_equal(multipart_new("multipart/form-data; boundary=\"XX\"", &sink, &multipart, &err), TN_OK);
    size_t length = strlen(body);
    for (size_t at = 0; at < length; at += step)
        TN_TRY(multipart_feed(multipart, body + at, TN_MIN(step, length - at), &err));
    return multipart_finish(multipart, &err);
}

static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum tn_code want;
        const char *heard;
    } cases[] = {
        {"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\nX: "
         "y\r\n\r\na,b\r\n1,2\r\n--XX--\r\n",
         TN_OK, "[f|a.csv]a,b\r\n1,2."},
        {"preamble\r\n--XX\r\ncontent-disposition: form-data; name=k\r\n\r\nv\r\n--XX\r\n"
         "Content-Disposition: form-data; filename=\"q\\\"x\"; name=\"f\"\r\n\r\n\r\n--XY\r\n--XX-- trailing",
         TN_OK, "[k|-]v.[f|q\"x]\r\n--XY."},
        {"--XX\r\nContent-Disposition: form-data; name=e\r\n\r\n\r\n--XX--", TN_OK, "[e|-]."},
        {"--XX\r\n\r\nbare\r\n--XX--", TN_OK, "[|-]bare."},
        {"--XX--", TN_OK, ""},
        {"", TN_EREQUEST, ""},
        {"--XX\r\nContent-Disposition: form-data; name=f\r\n\r\ncut", TN_EREQUEST, NULL},
        {"--XXjunk\r\n", TN_EREQUEST, ""},
        {"no boundary at all", TN_EREQUEST, ""},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++)
        for (size_t step = 1; step < 90; step++) {
            TN_AUTO_BUF heard = {0};
            tn_buf_puts(&heard, "");
            assert_int_equal(cut(cases[i].body, step, &heard), cases[i].want);
            if (cases[i].heard)
                assert_string_equal(heard.data ? heard.data : "", cases[i].heard);
        }
}

static void test_boundary(void **state)
{
    (void)state;
    struct multipart *multipart = NULL;
    struct tn_error err = {0};
    const struct multipart_sink sink = {.begin = on_begin, .data = on_data, .end = on_end};
    assert_int_equal(multipart_new("multipart/form-data", &sink, &multipart, &err), TN_EREQUEST);
    assert_int_equal(multipart_new("multipart/form-data; boundary=", &sink, &multipart, &err), TN_EREQUEST);
    assert_null(multipart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut), cmocka_unit_test(test_boundary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
