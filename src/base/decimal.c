/* Shortest decimals by Raffaele Giulietti's Schubfach ("the pigeonhole way",
 * 2020): everything that rounds to the value lies between two bounds half a
 * step away; choose the power of ten k with 10^k just below the width of that
 * interval, and at most two multiples of 10^k lie near the value, and at most
 * one of 10^(k+1). All that is needed is the value and both bounds times
 * 10^-k, rounded to odd, which keeps every later comparison exact.
 *
 * Rejected: trying 15, 16 and 17 digits with printf and strtod, which takes
 * about 1.5 microseconds for a number with 17 digits (every float of a vector)
 * where this takes some 30 nanoseconds.
 *
 * The powers of ten are 128-bit numbers with the top bit set, rounded up. They
 * are computed once from exact big integers: 20 microseconds, and nobody has
 * to trust a table of 617 constants.
 */
#include "base/decimal_internal.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

enum { LEAST_POWER = -292, GREATEST_POWER = 324 };

static struct power {
    uint64_t high, low;
} powers[GREATEST_POWER - LEAST_POWER + 1];

/* 10^324 has 1077 bits; 2^1216 / 10^292 still has more than 128. */
enum { BIG_WORDS = 20 };
struct big {
    uint64_t words[BIG_WORDS]; /* least significant first */
};

static void big_times_ten(struct big *big)
{
    u128 carry = 0;
    for (size_t i = 0; i < BIG_WORDS; i++) {
        carry += (u128)big->words[i] * 10;
        big->words[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void big_by_ten(struct big *big)
{
    u128 rest = 0;
    for (size_t i = BIG_WORDS; i-- > 0;) {
        rest = rest << 64 | big->words[i];
        big->words[i] = (uint64_t)(rest / 10);
        rest %= 10;
    }
}

/* The top 128 bits, rounded up when anything was cut off. */
static struct power big_top(const struct big *big, bool inexact)
{
    size_t top = BIG_WORDS - 1;
    while (big->words[top] == 0)
        top--;
    int shift = __builtin_clzll(big->words[top]);
    uint64_t parts[3] = {0};
    for (size_t i = 0; i < 3 && i <= top; i++)
        parts[i] = big->words[top - i];
    u128 value = (u128)parts[0] << 64 | parts[1];
    if (shift)
        value = value << shift | parts[2] >> (64 - shift);
    inexact = inexact || (shift ? parts[2] << shift : parts[2]) != 0;
    for (size_t i = 3; i <= top && !inexact; i++)
        inexact = big->words[top - i] != 0;
    value += inexact;
    return (struct power){(uint64_t)(value >> 64), (uint64_t)value};
}

static void make_powers(void)
{
    struct big big = {{1}};
    for (int k = 0; k <= GREATEST_POWER; k++) {
        powers[k - LEAST_POWER] = big_top(&big, false);
        big_times_ten(&big);
    }
    big = (struct big){{0}};
    big.words[BIG_WORDS - 1] = 1; /* 2^1216, divided by ten again and again */
    for (int k = -1; k >= LEAST_POWER; k--) {
        big_by_ten(&big);
        powers[k - LEAST_POWER] = big_top(&big, true);
    }
}

static struct power power_of_ten(int k)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_powers);
    return powers[k - LEAST_POWER];
}

/* floor(log2(10^k)), floor(log10(2^q)), floor(log10(3/4 * 2^q)); exact in the
 * ranges that occur. */
static int log2_of_power(int k)
{
    return (k * 1741647) >> 19;
}
static int log10_of_two(int q)
{
    return (q * 1262611) >> 22;
}
static int log10_of_three_quarters(int q)
{
    return (q * 1262611 - 524031) >> 22;
}

/* power * factor / 2^128, the last bit set when the result is not exact. */
static uint64_t scaled(struct power power, uint64_t factor)
{
    u128 low = (u128)power.low * factor;
    u128 high = (u128)power.high * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* significand * 2^exponent; at a power of two the numbers below lie closer. */
static struct decimal shortest(uint64_t significand, int exponent, bool closer_below)
{
    int k = closer_below ? log10_of_three_quarters(exponent) : log10_of_two(exponent);
    int shift = exponent + log2_of_power(-k) + 1;
    struct power power = power_of_ten(-k);
    uint64_t odd = significand & 1; /* a bound reads back as the even neighbour */
    uint64_t four = significand * 4;
    uint64_t lower = scaled(power, (four - 2 + closer_below) << shift) + odd;
    uint64_t middle = scaled(power, four << shift);
    uint64_t upper = scaled(power, (four + 2) << shift) - odd;

    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up)
            return (struct decimal){tens + up, k + 1};
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down != up)
        return (struct decimal){s + up, k};
    uint64_t half = 4 * s + 2;
    return (struct decimal){s + (middle > half || (middle == half && (s & 1))), k};
}

struct decimal decimal_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7FF);
    if (exponent == 0)
        return shortest(fraction, -1074, false);
    return shortest(fraction | UINT64_C(1) << 52, exponent - 1075, fraction == 0 && exponent > 1);
}

struct decimal decimal_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t fraction = bits & ((UINT32_C(1) << 23) - 1);
    int exponent = (int)(bits >> 23 & 0xFF);
    if (exponent == 0)
        return shortest(fraction, -149, false);
    return shortest(fraction | UINT32_C(1) << 23, exponent - 150, fraction == 0 && exponent > 1);
}
