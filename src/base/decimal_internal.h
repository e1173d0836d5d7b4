/* The shortest decimal of a binary floating-point number. */
#ifndef TARN_BASE_DECIMAL_INTERNAL_H
#define TARN_BASE_DECIMAL_INTERNAL_H

#include <stdint.h>

/* digits * 10^exponent; the digits may end in zeros. */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* Positive and finite. Of all decimals that read back as `value` one with the
 * fewest digits, and of those the nearest. */
struct decimal decimal_of_double(double value);
struct decimal decimal_of_float(float value);

#endif
