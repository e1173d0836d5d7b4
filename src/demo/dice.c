/* Chance that any machine repeats: 64-bit integer mixing (Weyl sequence with a
 * finalizer), no floating point except sqrt, whose result IEEE 754 fixes.
 */
#include "demo/demo_internal.h"

#include <math.h>

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct demo_dice demo_dice_for(uint64_t seed, uint64_t stream, uint64_t row)
{
    uint64_t base = mix(seed * UINT64_C(0x9e3779b97f4a7c15) + stream + 1);
    return (struct demo_dice){.state = mix(base + row * UINT64_C(0xd1342543de82ef95))};
}

uint64_t demo_dice_roll(struct demo_dice *dice)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(dice->state);
}

static uint64_t roll32(struct demo_dice *dice)
{
    return demo_dice_roll(dice) >> 32;
}

uint64_t demo_dice_below(struct demo_dice *dice, uint64_t n)
{
    return (roll32(dice) * n) >> 32;
}

bool demo_dice_percent(struct demo_dice *dice, unsigned percent)
{
    return demo_dice_below(dice, 100) < percent;
}

uint64_t demo_dice_mild(struct demo_dice *dice, uint64_t n)
{
    uint64_t u = roll32(dice);
    uint64_t root = (uint64_t)sqrt((double)u);
    return (((u * root) >> 16) * n) >> 32;
}

uint64_t demo_dice_steep(struct demo_dice *dice, uint64_t n)
{
    uint64_t u = roll32(dice);
    return (((u * u) >> 32) * n) >> 32;
}
