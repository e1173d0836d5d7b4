/* One UTF-8 sequence, for the validators inside base. */
#ifndef TARN_BASE_UTF8_INTERNAL_H
#define TARN_BASE_UTF8_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* Length (1 to 4) of the valid sequence at p with `left` >= 1 bytes, else 0:
 * no surrogates, no overlong forms, nothing above U+10FFFF. */
static inline size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned lead = p[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    if (lead < 0xE0)
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (lead < 0xF0) {
        if (left < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80)
            return 0;
        if ((lead == 0xE0 && p[1] < 0xA0) || (lead == 0xED && p[1] >= 0xA0))
            return 0;
        return 3;
    }
    if (lead > 0xF4 || left < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80)
        return 0;
    if ((lead == 0xF0 && p[1] < 0x90) || (lead == 0xF4 && p[1] >= 0x90))
        return 0;
    return 4;
}

#endif
