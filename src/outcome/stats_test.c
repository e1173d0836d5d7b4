/* The statistics against values known from elsewhere. */
#include "base/test_support.h"
#include "outcome/stats.h"

#include <math.h>

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.12g is not %.12g", got, want);
}

/* Wilson (1927), as tables and statsmodels' proportion_confint(method="wilson") have it. */
static void test_wilson(void **state)
{
    (void)state;
    near(stats_wilson_lower(42, 45, STATS_Z95), 0.821434, 1e-5);
    near(stats_wilson_upper(42, 45, STATS_Z95), 0.977068, 1e-5);
    near(stats_wilson_lower(3, 3, STATS_Z95), 0.438503, 1e-5);
    near(stats_wilson_upper(3, 3, STATS_Z95), 1, 1e-12);
    near(stats_wilson_lower(0, 10, STATS_Z95), 0, 1e-12);
    near(stats_wilson_upper(0, 10, STATS_Z95), 0.277533, 1e-5);
    near(stats_wilson_lower(50, 100, STATS_Z95), 0.403832, 1e-5);
    near(stats_wilson_upper(50, 100, STATS_Z95), 0.596168, 1e-5);
    near(stats_wilson_lower(0, 0, STATS_Z95), 0, 0);
    near(stats_wilson_upper(0, 0, STATS_Z95), 1, 0);
}

static void test_wilson_holds_the_share_and_narrows(void **state)
{
    (void)state;
    double before = 1;
    for (int64_t n = 10; n <= 10000000; n *= 10) {
        double lower = stats_wilson_lower(n * 7 / 10, n, STATS_Z95),
               upper = stats_wilson_upper(n * 7 / 10, n, STATS_Z95);
        assert_true(lower < 0.7 && 0.7 < upper);
        assert_true(upper - lower < before);
        before = upper - lower;
    }
}

/* Fisher's tea (3 of 4 against 1 of 4), and R's fisher.test. */
static void test_fisher(void **state)
{
    (void)state;
    near(stats_fisher(3, 4, 1, 4), 0.485714285714, 1e-9);
    near(stats_fisher(1, 10, 11, 14), 0.002759456185, 1e-9);
    near(stats_fisher(5, 5, 0, 5), 0.007936507937, 1e-9);
    near(stats_fisher(5, 5, 5, 5), 1, 1e-9);
    near(stats_fisher(0, 0, 5, 5), 1, 0);
    near(stats_fisher(11, 14, 1, 10), stats_fisher(1, 10, 11, 14), 1e-12);
}

/* Two shares, pooled: z = 1.5916... for 30/50 against 22/50; 4.0825 for 100/200 against 60/200. */
static void test_z(void **state)
{
    (void)state;
    near(stats_z_test(30, 50, 22, 50), erfc(1.6012815 / sqrt(2)), 1e-6);
    near(stats_z_test(100, 200, 60, 200), erfc(4.0824829 / sqrt(2)), 1e-9);
    near(stats_z_test(100, 200, 100, 200), 1, 1e-12);
    near(stats_z_test(10, 10, 20, 20), 1, 0);
    near(stats_z_test(0, 0, 20, 20), 1, 0);
}

static void test_which_test(void **state)
{
    (void)state;
    assert_true(stats_is_small(3, 4, 1, 4));
    assert_true(stats_is_small(198, 200, 199, 200));
    assert_false(stats_is_small(100, 200, 60, 200));
    /* Where both may be used they nearly agree. */
    near(stats_fisher(510, 1000, 460, 1000), stats_z_test(510, 1000, 460, 1000), 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),     cmocka_unit_test(test_wilson_holds_the_share_and_narrows),
        cmocka_unit_test(test_fisher),     cmocka_unit_test(test_z),
        cmocka_unit_test(test_which_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
