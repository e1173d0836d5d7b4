/* Log lines, read back from a pipe that stands for standard error. */
#include "base/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static int saved_stderr = -1, reader = -1;

static int capture(void **state)
{
    (void)state;
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    reader = ends[0];
    (void)dup2(ends[1], STDERR_FILENO);
    (void)close(ends[1]);
    return 0;
}

static int uncapture(void **state)
{
    (void)state;
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(reader);
    tn_log_configure(TN_LOG_INFO, false);
    tn_log_set_request(NULL);
    return 0;
}

/* What was logged since the last call; each read is one write as long as it
 * fits the pipe. */
static const char *logged(void)
{
    static char text[65536];
    ssize_t got = read(reader, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void text_lines(void **state)
{
    (void)state;
    tn_log_configure(TN_LOG_DEBUG, false);
    tn_log_set_request("req-1");
    TN_LOG(TN_LOG_WARN, "test.event", TN_FS("plain", "word"), TN_FS("spaced", "two words"), TN_FS("null", NULL),
           TN_FS("empty", ""), TN_FS("lines", "a\nb=\"c\""), TN_FI("int", -5), TN_FD("double", 0.5),
           TN_FD("nan", (double)NAN), TN_FB("yes", true), TN_FSECRET("token"), TN_FS("bad", "\xFF"));
    const char *line = logged();
    assert_int_equal(line[4], '-');
    assert_int_equal(line[19], '.');
    assert_int_equal(line[23], 'Z');
    int64_t us;
    char time[25] = {0};
    memcpy(time, line, 24);
    assert_true(tn_time_parse(time, &us) && tn_now_us() - us < INT64_C(60000000));
    assert_string_equal(line + 24, " warn test.event request=req-1 plain=word spaced=\"two words\" null=- empty=\"\" "
                                   "lines=\"a\\nb=\\\"c\\\"\" int=-5 double=0.5 nan=nan yes=true token=*** "
                                   "bad=\"\xEF\xBF\xBD\"\n");
}

static void json_lines(void **state)
{
    (void)state;
    tn_log_configure(TN_LOG_INFO, true);
    TN_LOG(TN_LOG_ERROR, "test.event", TN_FS("text", "a\n\"b\""), TN_FS("null", NULL), TN_FI("int", 7),
           TN_FD("double", INFINITY), TN_FB("no", false), TN_FSECRET("token"));
    const char *line = logged();
    TN_AUTO_JSON *json = NULL;
    assert_ok(tn_json_parse(line, strlen(line), 10000, "line", &json, &test_err));
    assert_string_equal(json_string_value(json_object_get(json, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(json, "event")), "test.event");
    assert_string_equal(json_string_value(json_object_get(json, "text")), "a\n\"b\"");
    assert_string_equal(json_string_value(json_object_get(json, "double")), "Infinity");
    assert_string_equal(json_string_value(json_object_get(json, "token")), "***");
    assert_true(json_is_null(json_object_get(json, "null")) && json_is_false(json_object_get(json, "no")));
    assert_null(json_object_get(json, "request"));
    assert_int_equal(json_integer_value(json_object_get(json, "int")), 7);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void levels(void **state)
{
    (void)state;
    tn_log_configure(TN_LOG_WARN, false);
    TN_LOG(TN_LOG_INFO, "quiet", TN_FI("n", 1));
    assert_string_equal(logged(), "");
    TN_LOG(TN_LOG_ERROR, "loud", TN_FI("n", 1));
    assert_non_null(strstr(logged(), "loud"));
    tn_log_configure(TN_LOG_OFF, false);
    TN_LOG(TN_LOG_ERROR, "off", TN_FI("n", 1));
    assert_string_equal(logged(), "");
    assert_false(tn_log_enabled(TN_LOG_OFF));
    enum tn_log_level level = TN_LOG_ERROR;
    assert_false(tn_log_level_parse("loud", &level));
    assert_int_equal(level, TN_LOG_ERROR);
    assert_true(tn_log_level_parse("debug", &level));
    assert_int_equal(level, TN_LOG_DEBUG);
}

static void request_ids(void **state)
{
    (void)state;
    assert_null(tn_log_request());
    char longer[100];
    memset(longer, 'r', sizeof longer);
    longer[99] = '\0';
    tn_log_set_request(longer);
    assert_int_equal(strlen(tn_log_request()), 63);
    tn_log_set_request(NULL);
    assert_null(tn_log_request());
}

static void log_some(void *argument)
{
    char id[16];
    (void)snprintf(id, sizeof id, "t%d", *(int *)argument);
    tn_log_set_request(id);
    for (int i = 0; i < 50; i++)
        TN_LOG(TN_LOG_INFO, "many", TN_FS("id", id), TN_FS("padding", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
}

static void lines_do_not_mix(void **state)
{
    (void)state;
    tn_log_configure(TN_LOG_INFO, false);
    struct tn_pool *pool = NULL;
    int numbers[4] = {1, 2, 3, 4};
    assert_ok(tn_pool_new(4, &pool, &test_err));
    for (int i = 0; i < 4; i++)
        tn_pool_submit(pool, TN_FOREGROUND, log_some, &numbers[i]);
    tn_pool_free(pool);
    size_t lines = 0;
    for (const char *p = logged(), *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        assert_non_null(end);
        TN_AUTO_FREE char *line = tn_strndup(p, (size_t)(end - p));
        char *request = strstr(line, "request="), *id = strstr(line, "id=t");
        assert_true(request && id && request[9] == id[4]);
        assert_true(tn_str_ends_with(line, "xxxx"));
        lines++;
    }
    assert_int_equal(lines, 200);
}

static void errno_survives(void **state)
{
    (void)state;
    errno = E2BIG;
    TN_LOG(TN_LOG_ERROR, "x", TN_FI("n", 1));
    assert_int_equal(errno, E2BIG);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, capture, uncapture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(text_lines),  LOG_TEST(json_lines),       LOG_TEST(levels),
        LOG_TEST(request_ids), LOG_TEST(lines_do_not_mix), LOG_TEST(errno_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
