/* Shares, their intervals, and whether two of them differ. */
#include "outcome/stats.h"

#include <math.h>
#include <stdbool.h>

static void wilson(int64_t successes, int64_t trials, double z, double *ret_lower, double *ret_upper)
{
    *ret_lower = 0;
    *ret_upper = 1;
    if (trials <= 0)
        return;
    double n = (double)trials, p = (double)successes / n, zz = z * z;
    double middle = p + zz / (2 * n);
    double reach = z * sqrt(p * (1 - p) / n + zz / (4 * n * n));
    *ret_lower = fmax(0, (middle - reach) / (1 + zz / n));
    *ret_upper = fmin(1, (middle + reach) / (1 + zz / n));
}

double stats_wilson_lower(int64_t successes, int64_t trials, double z)
{
    double lower, upper;
    wilson(successes, trials, z, &lower, &upper);
    return lower;
}

double stats_wilson_upper(int64_t successes, int64_t trials, double z)
{
    double lower, upper;
    wilson(successes, trials, z, &lower, &upper);
    return upper;
}

double stats_z_test(int64_t wins_a, int64_t trials_a, int64_t wins_b, int64_t trials_b)
{
    if (trials_a <= 0 || trials_b <= 0)
        return 1;
    double a = (double)trials_a, b = (double)trials_b;
    double pooled = (double)(wins_a + wins_b) / (a + b);
    double deviation = sqrt(pooled * (1 - pooled) * (1 / a + 1 / b));
    if (deviation <= 0) /* all won, or all lost: no difference to see */
        return 1;
    double z = ((double)wins_a / a - (double)wins_b / b) / deviation;
    return erfc(fabs(z) / sqrt(2));
}

static double log_factorial(int64_t n)
{
    int sign; /* lgamma keeps it in a global, which threads would share */
    return lgamma_r((double)n + 1, &sign);
}

static double log_choose(int64_t n, int64_t k)
{
    return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

/* The hypergeometric probabilities of all tables with the same margins that are
 * no likelier than the one that was seen. */
double stats_fisher(int64_t wins_a, int64_t trials_a, int64_t wins_b, int64_t trials_b)
{
    if (trials_a <= 0 || trials_b <= 0)
        return 1;
    int64_t wins = wins_a + wins_b, all = trials_a + trials_b;
    int64_t lowest = wins > trials_b ? wins - trials_b : 0, highest = wins < trials_a ? wins : trials_a;
    double whole = log_choose(all, wins), sum = 0;
    double seen = log_choose(trials_a, wins_a) + log_choose(trials_b, wins_b) - whole;
    for (int64_t k = lowest; k <= highest; k++) {
        double one = log_choose(trials_a, k) + log_choose(trials_b, wins - k) - whole;
        if (one <= seen + 1e-7) /* equal ones count, also when the logarithms are rounded */
            sum += exp(one);
    }
    return fmin(1, sum);
}

bool stats_is_small(int64_t wins_a, int64_t trials_a, int64_t wins_b, int64_t trials_b)
{
    double all = (double)(trials_a + trials_b), wins = (double)(wins_a + wins_b);
    double fewer_trials = (double)(trials_a < trials_b ? trials_a : trials_b);
    double fewer = wins < all - wins ? wins : all - wins;
    return all > 0 && fewer_trials * fewer / all < 5;
}
