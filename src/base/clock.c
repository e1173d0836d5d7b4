/* UTC time and the Gregorian calendar. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t tn_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t tn_now_ms(void)
{
    return tn_now_us() / 1000;
}

uint64_t tn_mono_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The calendar in eras of 400 years that begin on 1 March: leap days then
 * fall on the end of a year, and every era has the same 146097 days. */
enum { ERA_DAYS = 146097, DAYS_TO_1970 = 719468 };

int32_t tn_days_from_civil(int year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int32_t)(era * ERA_DAYS + day_of_era - DAYS_TO_1970);
}

void tn_civil_from_days(int32_t days, int *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    int64_t shifted = (int64_t)days + DAYS_TO_1970;
    int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    unsigned month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *ret_year = (int)(year_of_era + era * 400 + (month <= 2));
    *ret_month = month;
    *ret_day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
}

bool tn_civil_valid(int year, unsigned month, unsigned day)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= lengths[month - 1] + (month == 2 && leap ? 1U : 0U);
}

const char *tn_time_format(int64_t us, char out[TN_TIME_TEXT])
{
    const int64_t day_us = INT64_C(86400000000);
    int64_t days = us / day_us, rest = us % day_us;
    if (rest < 0) {
        rest += day_us;
        days--;
    }
    int year;
    unsigned month, day;
    tn_civil_from_days((int32_t)days, &year, &month, &day);
    unsigned seconds = (unsigned)(rest / 1000000), fraction = (unsigned)(rest % 1000000);
    int length = snprintf(out, TN_TIME_TEXT, "%04d-%02u-%02uT%02u:%02u:%02u", year, month, day, seconds / 3600,
                          seconds / 60 % 60, seconds % 60);
    if (fraction)
        (void)snprintf(out + length, (size_t)(TN_TIME_TEXT - length), ".%06uZ", fraction);
    else
        (void)snprintf(out + length, (size_t)(TN_TIME_TEXT - length), "Z");
    return out;
}

/* Exactly `digits` digits; moves on. */
static bool scan_digits(const char **p, unsigned digits, unsigned *ret)
{
    unsigned value = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (unsigned)(c - '0');
    }
    *p += digits;
    *ret = value;
    return true;
}

static bool scan_char(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

/* HH:MM[:SS[.fraction]] as microseconds; digits beyond the sixth are dropped. */
static bool scan_clock(const char **p, int64_t *ret_us)
{
    unsigned hour, minute, second = 0, micros = 0;
    if (!scan_digits(p, 2, &hour) || !scan_char(p, ':') || !scan_digits(p, 2, &minute))
        return false;
    if (scan_char(p, ':')) {
        if (!scan_digits(p, 2, &second))
            return false;
        if (scan_char(p, '.')) {
            unsigned digit, scale = 100000;
            if (!scan_digits(p, 1, &digit))
                return false;
            do {
                micros += digit * scale;
                scale /= 10;
            } while (scan_digits(p, 1, &digit));
        }
    }
    /* RFC 3339 knows leap seconds: :60 is the first second of the next minute. */
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    *ret_us = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000 + micros;
    return true;
}

/* "", "Z", "+02:00"; minutes east of Greenwich. */
static bool scan_offset(const char **p, int *ret_minutes)
{
    if (scan_char(p, 'Z') || scan_char(p, 'z') || **p == '\0') {
        *ret_minutes = 0;
        return true;
    }
    bool west = **p == '-';
    unsigned hour, minute;
    if (!west && **p != '+')
        return false;
    (*p)++;
    if (!scan_digits(p, 2, &hour) || !scan_char(p, ':') || !scan_digits(p, 2, &minute) || hour > 23 || minute > 59)
        return false;
    int minutes = (int)(hour * 60 + minute);
    *ret_minutes = west ? -minutes : minutes;
    return true;
}

bool tn_time_parse(const char *text, int64_t *ret_us)
{
    const char *p = text;
    unsigned year, month, day;
    int64_t clock_us = 0;
    int offset = 0;
    if (!scan_digits(&p, 4, &year) || !scan_char(&p, '-') || !scan_digits(&p, 2, &month) || !scan_char(&p, '-') ||
        !scan_digits(&p, 2, &day) || !tn_civil_valid((int)year, month, day))
        return false;
    if (*p) {
        if (*p != 'T' && *p != 't' && *p != ' ')
            return false;
        p++;
        if (!scan_clock(&p, &clock_us) || !scan_offset(&p, &offset))
            return false;
    }
    if (*p)
        return false;
    int64_t days = tn_days_from_civil((int)year, month, day);
    *ret_us = days * INT64_C(86400000000) + clock_us - (int64_t)offset * 60 * 1000000;
    return true;
}
