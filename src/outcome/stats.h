/* Inside outcome: the statistics. Pure functions. */
#ifndef TARN_OUTCOME_STATS_H
#define TARN_OUTCOME_STATS_H

#include <stdint.h>

#define STATS_Z95 1.959963984540054

/* Wilson's score interval of a share; 0 and 1 without trials. */
double stats_wilson_lower(int64_t successes, int64_t trials, double z);
double stats_wilson_upper(int64_t successes, int64_t trials, double z);
/* Two-sided p of "both shares are the same". 1 when either side has no trials. */
double stats_z_test(int64_t wins_a, int64_t trials_a, int64_t wins_b, int64_t trials_b);
double stats_fisher(int64_t wins_a, int64_t trials_a, int64_t wins_b, int64_t trials_b);
/* Whether the counts are too small for the z test (an expected cell below 5). */
_Bool stats_is_small(int64_t wins_a, int64_t trials_a, int64_t wins_b, int64_t trials_b);

#endif
