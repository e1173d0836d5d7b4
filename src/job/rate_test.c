/* How fast, and how long still: with a clock of our own. */
#include "base/test_support.h"
#include "job/job_internal.h"

#include <math.h>

#define SECOND UINT64_C(1000000000)

static void test_steady(void **state)
{
    (void)state;
    struct job_rate rate = {0};
    for (uint64_t s = 0; s <= 60; s++)
        job_rate_note(&rate, s * 250, (100 + s) * SECOND);
    assert_true(fabs(job_rate_now(&rate, 160 * SECOND) - 250) < 0.001);
}

/* A job that begins at 5,000 of 10,000 has not done 5,000 in its first second. */
static void test_resumed(void **state)
{
    (void)state;
    struct job_rate rate = {0};
    job_rate_note(&rate, 5000, 7 * SECOND);
    assert_true(job_rate_now(&rate, 7 * SECOND) == 0);
    job_rate_note(&rate, 5100, 8 * SECOND);
    assert_true(fabs(job_rate_now(&rate, 8 * SECOND) - 100) < 0.001);
}

static void test_smoothed(void **state)
{
    (void)state;
    struct job_rate rate = {0};
    uint64_t done = 0;
    for (uint64_t s = 0; s <= 20; s++, done += 100)
        job_rate_note(&rate, done, s * SECOND);
    job_rate_note(&rate, done + 900, 21 * SECOND); /* one second at ten times the speed */
    double once = job_rate_now(&rate, 21 * SECOND);
    assert_true(once > 110 && once < 250);
    /* Many calls a second are samples of a fifth of one, and none is lost. */
    struct job_rate fine = {0};
    for (uint64_t ms = 0; ms <= 10000; ms++)
        job_rate_note(&fine, ms, ms * (SECOND / 1000));
    assert_true(fabs(job_rate_now(&fine, 10 * SECOND) - 1000) < 1);
}

static void test_silence_and_steps_back(void **state)
{
    (void)state;
    struct job_rate rate = {0};
    job_rate_note(&rate, 0, 0);
    job_rate_note(&rate, 100, SECOND);
    assert_true(job_rate_now(&rate, 5 * SECOND) == 100);
    assert_true(job_rate_now(&rate, 60 * SECOND) < 1);
    job_rate_note(&rate, 10, 61 * SECOND); /* it began anew */
    assert_true(job_rate_now(&rate, 61 * SECOND) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_smoothed),
        cmocka_unit_test(test_silence_and_steps_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
