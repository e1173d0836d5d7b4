/* Named crash points, in children. */
#include "base/test_support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Passes "a" three times and "b" once; the status of the process, and how many
 * points it had left behind, told through a pipe. */
static int run_with(const char *spec, size_t *ret_passed, char *text, size_t size)
{
    int passed[2], errors[2];
    assert_int_equal(pipe(passed) | pipe(errors), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static const char *const names[] = {"a", "a", "b", "a"};
        (void)setenv("TARN_FAULT", spec, 1);
        (void)dup2(errors[1], STDERR_FILENO);
        tn_fault_init();
        for (size_t i = 0; i < TN_COUNT(names); i++) {
            TN_FAULT(names[i]);
            if (write(passed[1], "x", 1) != 1)
                _exit(9);
        }
        _exit(0);
    }
    (void)close(passed[1]);
    (void)close(errors[1]);
    char marks[8];
    ssize_t got;
    *ret_passed = 0;
    while ((got = read(passed[0], marks, sizeof marks)) > 0)
        *ret_passed += (size_t)got;
    got = read(errors[0], text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    (void)close(passed[0]);
    (void)close(errors[0]);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void kills_at_the_nth_pass(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        size_t passed;
        bool killed;
    } cases[] = {{"a", 0, true}, {"a:1", 0, true}, {"a:2", 1, true}, {"a:3", 3, true},  {"a:4", 4, false},
                 {"b", 2, true}, {"c", 4, false},  {"", 4, false},   {"a:0", 4, false}, {"a:x", 4, false}};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        size_t passed = 0;
        char text[200];
        int status = run_with(cases[i].spec, &passed, text, sizeof text);
        assert_int_equal(passed, cases[i].passed);
        assert_int_equal(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, cases[i].killed);
    }
}

static void lists_points(void **state)
{
    (void)state;
    size_t passed = 0;
    char text[200];
    assert_int_equal(run_with("list", &passed, text, sizeof text), 0);
    assert_int_equal(passed, 4);
    assert_true(tn_str_starts_with(text, "fault a\n"));
}

static void a_bad_text_is_said_so(void **state)
{
    (void)state;
    size_t passed = 0;
    char text[200];
    assert_int_equal(run_with("a:many", &passed, text, sizeof text), 0);
    assert_non_null(strstr(text, "TARN_FAULT=a:many"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_at_the_nth_pass),
        cmocka_unit_test(lists_points),
        cmocka_unit_test(a_bad_text_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
