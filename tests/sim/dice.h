/* Dice for the simulation: one seed decides everything. */
#ifndef TARN_TESTS_SIM_DICE_H
#define TARN_TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* splitmix64: small, and good enough to decide between outcomes. */
static inline uint64_t dice_next(struct dice *dice)
{
    uint64_t z = (dice->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Below `limit`, which is not 0. */
static inline uint64_t dice_below(struct dice *dice, uint64_t limit)
{
    return dice_next(dice) % limit;
}

/* Once in `n` throws; never for 0. */
static inline bool dice_one_in(struct dice *dice, unsigned n)
{
    return n > 0 && dice_next(dice) % n == 0;
}

#endif
