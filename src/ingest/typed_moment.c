/* Dates and times: shapes that need no format, and strptime-like formats. */
#include "ingest/typed.h"

#include <string.h>
#include <strings.h>

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY    (INT64_C(86400) * US_PER_SECOND)

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Up to `most` digits at *p; false without any. */
static inline bool take_number(const char **p, const char *end, int least, int most, int *ret)
{
    int value = 0, count = 0;
    while (*p < end && count < most && is_digit(**p)) {
        value = value * 10 + (**p - '0');
        (*p)++;
        count++;
    }
    *ret = value;
    return count >= least;
}

/* ".123456" behind seconds; finer than a microsecond only when it is zero. */
static bool take_fraction(const char **p, const char *end, int64_t *us)
{
    int64_t unit = US_PER_SECOND / 10;
    const char *start = *p;
    for (; *p < end && is_digit(**p); (*p)++) {
        if (unit == 0 && **p != '0')
            return false;
        *us += unit * (**p - '0');
        unit /= 10;
    }
    return *p > start && *p - start <= 12;
}

/* hh:mm[:ss[.fraction]] */
static bool take_time(const char **p, const char *end, int64_t *ret_us)
{
    int hour, minute, second = 0;
    if (!take_number(p, end, 1, 2, &hour) || *p == end || *(*p)++ != ':' || !take_number(p, end, 2, 2, &minute))
        return false;
    int64_t fraction = 0;
    if (*p < end && **p == ':') {
        (*p)++;
        if (!take_number(p, end, 2, 2, &second))
            return false;
        if (*p < end && **p == '.') {
            (*p)++;
            if (!take_fraction(p, end, &fraction))
                return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ret_us = ((int64_t)hour * 3600 + minute * 60 + second) * US_PER_SECOND + fraction;
    return true;
}

/* Z, +02, +0200, +02:00 */
static bool take_zone(const char **p, const char *end, int32_t *ret_s)
{
    if (*p < end && (**p == 'Z' || **p == 'z')) {
        (*p)++;
        *ret_s = 0;
        return true;
    }
    if (*p == end || (**p != '+' && **p != '-'))
        return false;
    bool negative = **p == '-';
    (*p)++;
    int hour, minute = 0;
    if (!take_number(p, end, 2, 2, &hour))
        return false;
    if (*p < end) {
        if (**p == ':')
            (*p)++;
        if (!take_number(p, end, 2, 2, &minute))
            return false;
    }
    if (hour > 18 || minute > 59)
        return false;
    *ret_s = (negative ? -1 : 1) * (hour * 3600 + minute * 60);
    return true;
}

bool typed_time(const char *text, size_t length, int64_t *ret)
{
    const char *p = text, *end = text + length;
    int64_t us;
    if (!take_time(&p, end, &us) || p != end)
        return false;
    *ret = us;
    return true;
}

/* "2024-01-31", the usual case, without a loop. */
static inline bool scan_iso_date(const char *text, struct typed_moment *ret)
{
    unsigned digits[8], bad = 0;
    static const unsigned char places[8] = {0, 1, 2, 3, 5, 6, 8, 9};
    for (unsigned i = 0; i < 8; i++) {
        digits[i] = (unsigned)(unsigned char)text[places[i]] - '0';
        bad |= digits[i] > 9;
    }
    if (bad || text[4] != text[7] || (text[4] != '-' && text[4] != '/' && text[4] != '.'))
        return false;
    *ret = (struct typed_moment){.first = (int)(digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]),
                                 .second = (int)(digits[4] * 10 + digits[5]),
                                 .third = (int)(digits[6] * 10 + digits[7]),
                                 .separator = text[4],
                                 .year_first = true};
    return true;
}

/* yyyy-m-d, d/m/yyyy, m/d/yy with one separator; where the numbers stand is
 * taken as it is. */
static bool scan_loose_date(const char **p, const char *end, struct typed_moment *ret)
{
    const char *start = *p;
    struct typed_moment moment = {0};
    if (!take_number(p, end, 1, 4, &moment.first) || *p == end)
        return false;
    moment.year_first = *p - start == 4;
    if (!moment.year_first && *p - start > 2)
        return false;
    moment.separator = *(*p)++;
    if (moment.separator != '-' && moment.separator != '/' && moment.separator != '.')
        return false;
    if (!take_number(p, end, 1, 2, &moment.second) || *p == end || *(*p)++ != moment.separator)
        return false;
    start = *p;
    if (!take_number(p, end, 1, moment.year_first ? 2 : 4, &moment.third))
        return false;
    if (!moment.year_first && *p - start != 4) {
        if (*p - start != 2)
            return false;
        moment.short_year = true;
    }
    *ret = moment;
    return true;
}

bool typed_scan_moment(const char *text, size_t length, struct typed_moment *ret)
{
    struct typed_moment moment;
    const char *p = text, *end = text + length;
    if (length < 6 || length > 40)
        return false;
    if (length >= 10 && scan_iso_date(text, &moment))
        p += 10;
    else if (!scan_loose_date(&p, end, &moment))
        return false;
    /* An ISO date has two digits each: 2024-1-5 may be anything. */
    if (moment.year_first && p - text != 10)
        return false;
    if (moment.year_first && !typed_moment_valid(&moment, TYPED_YMD))
        return false;
    if (p < end) {
        if (*p != ' ' && *p != 'T' && *p != 't')
            return false;
        p++;
        if (!take_time(&p, end, &moment.time_us))
            return false;
        moment.has_time = true;
        if (p < end && *p == ' ')
            p++;
        if (p < end) {
            if (!take_zone(&p, end, &moment.zone_s) || p != end)
                return false;
            moment.has_zone = true;
        } else if (p[-1] == ' ') {
            return false;
        }
    }
    *ret = moment;
    return true;
}

static void moment_civil(const struct typed_moment *moment, enum typed_order order, int *year, int *month, int *day)
{
    if (moment->year_first) {
        *year = moment->first, *month = moment->second, *day = moment->third;
        return;
    }
    *year = moment->third;
    if (moment->short_year)
        *year += *year < 69 ? 2000 : 1900;
    *month = order == TYPED_DMY ? moment->second : moment->first;
    *day = order == TYPED_DMY ? moment->first : moment->second;
}

bool typed_moment_valid(const struct typed_moment *moment, enum typed_order order)
{
    if (!moment->year_first && order == TYPED_YMD)
        return false;
    int year, month, day;
    moment_civil(moment, order, &year, &month, &day);
    return year >= 1 && month >= 1 && day >= 1 && tn_civil_valid(year, (unsigned)month, (unsigned)day);
}

int32_t typed_moment_days(const struct typed_moment *moment, enum typed_order order)
{
    int year, month, day;
    moment_civil(moment, order, &year, &month, &day);
    return tn_days_from_civil(year, (unsigned)month, (unsigned)day);
}

bool typed_date(const char *text, size_t length, enum typed_order order, int32_t *ret_days)
{
    struct typed_moment moment;
    if (!typed_scan_moment(text, length, &moment) || moment.has_time)
        return false;
    if (moment.year_first != (order == TYPED_YMD) || !typed_moment_valid(&moment, order))
        return false;
    *ret_days = typed_moment_days(&moment, order);
    return true;
}

bool typed_timestamp(const char *text, size_t length, enum typed_order order, bool zoned, int64_t *ret_us)
{
    struct typed_moment moment;
    if (!typed_scan_moment(text, length, &moment) || moment.has_zone != zoned)
        return false;
    if (moment.year_first != (order == TYPED_YMD) || !typed_moment_valid(&moment, order))
        return false;
    int64_t us = typed_moment_days(&moment, order) * US_PER_DAY + moment.time_us - moment.zone_s * US_PER_SECOND;
    /* A zone must not carry it into a year that cannot be written. */
    if (us < tn_days_from_civil(1, 1, 1) * US_PER_DAY || us >= tn_days_from_civil(10000, 1, 1) * US_PER_DAY)
        return false;
    *ret_us = us;
    return true;
}

/* ---- formats ------------------------------------------------------------ */

static const char *const months[] = {"january", "february", "march",     "april",   "may",      "june",
                                     "july",    "august",   "september", "october", "november", "december"};
static const char *const weekdays[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

/* A full or three-letter name at *p; its index, or -1. */
static int take_name(const char **p, const char *end, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t full = strlen(names[i]), have = (size_t)(end - *p);
        size_t take = have >= full && strncasecmp(*p, names[i], full) == 0 ? full
                      : have >= 3 && strncasecmp(*p, names[i], 3) == 0     ? 3
                                                                           : 0;
        if (take) {
            *p += take;
            return (int)i;
        }
    }
    return -1;
}

bool typed_format_check(const char *format, const char **ret_why)
{
    bool any = false;
    for (const char *p = format; *p; p++) {
        if (*p != '%')
            continue;
        p++;
        if (*p == '-')
            p++;
        if (*p == '\0') {
            *ret_why = "ends in a lone %";
            return false;
        }
        if (!strchr("YymdjbBhHIMSfpzaAeFT%", *p)) {
            *ret_why = "has a letter behind % that is not one of Y y m d e j b B H I M S f p z a A F T";
            return false;
        }
        any |= *p != '%';
    }
    *ret_why = "has no % field, such as %d/%m/%Y";
    return any;
}

struct fields {
    int year, month, day, day_of_year, hour, minute, second;
    int afternoon; /* -1: not said */
    bool twelve, zoned;
    int32_t zone_s;
    int64_t fraction_us;
};

static bool take_field(char letter, const char **p, const char *end, struct fields *fields)
{
    int index;
    switch (letter) {
    case 'Y':
        return take_number(p, end, 4, 4, &fields->year);
    case 'y':
        if (!take_number(p, end, 2, 2, &fields->year))
            return false;
        fields->year += fields->year < 69 ? 2000 : 1900;
        return true;
    case 'm':
        return take_number(p, end, 1, 2, &fields->month);
    case 'd':
    case 'e':
        return take_number(p, end, 1, 2, &fields->day);
    case 'j':
        return take_number(p, end, 1, 3, &fields->day_of_year) && fields->day_of_year > 0;
    case 'b':
    case 'B':
    case 'h':
        index = take_name(p, end, months, 12);
        fields->month = index + 1;
        return index >= 0;
    case 'a':
    case 'A':
        return take_name(p, end, weekdays, 7) >= 0;
    case 'I':
        fields->twelve = true;
        return take_number(p, end, 1, 2, &fields->hour) && fields->hour >= 1 && fields->hour <= 12;
    case 'H':
        return take_number(p, end, 1, 2, &fields->hour);
    case 'M':
        return take_number(p, end, 1, 2, &fields->minute);
    case 'S':
        return take_number(p, end, 1, 2, &fields->second);
    case 'f':
        return take_fraction(p, end, &fields->fraction_us);
    case 'p':
        if (end - *p < 2 || ((*p)[1] | 0x20) != 'm' || (((*p)[0] | 0x20) != 'a' && ((*p)[0] | 0x20) != 'p'))
            return false;
        fields->afternoon = ((*p)[0] | 0x20) == 'p';
        *p += 2;
        return true;
    case 'z':
        fields->zoned = true;
        return take_zone(p, end, &fields->zone_s);
    default:
        return false;
    }
}

static bool take_format(const char *format, const char **p, const char *end, struct fields *fields)
{
    for (const char *f = format; *f; f++) {
        if (*f == ' ') {
            while (*p < end && (**p == ' ' || **p == '\t'))
                (*p)++;
            continue;
        }
        if (*f != '%') {
            if (*p == end || *(*p)++ != *f)
                return false;
            continue;
        }
        f++;
        if (*f == '-')
            f++;
        if (*f == '%') {
            if (*p == end || *(*p)++ != '%')
                return false;
        } else if (*f == 'F') {
            if (!take_format("%Y-%m-%d", p, end, fields))
                return false;
        } else if (*f == 'T') {
            if (!take_format("%H:%M:%S", p, end, fields))
                return false;
        } else if (!take_field(*f, p, end, fields)) {
            return false;
        }
    }
    return true;
}

bool typed_format_parse(const char *format, const char *text, size_t length, bool *ret_zoned, int64_t *ret_us)
{
    struct fields fields = {.year = 1970, .month = 1, .day = 1, .afternoon = -1};
    const char *p = text, *end = text + length;
    if (!take_format(format, &p, end, &fields) || p != end)
        return false;
    if (fields.twelve)
        fields.hour = fields.hour % 12 + (fields.afternoon == 1 ? 12 : 0);
    if (fields.hour > 23 || fields.minute > 59 || fields.second > 59 || fields.year < 1 || fields.month < 1 ||
        fields.day < 1 || !tn_civil_valid(fields.year, (unsigned)fields.month, (unsigned)fields.day))
        return false;
    int64_t days = tn_days_from_civil(fields.year, (unsigned)fields.month, (unsigned)fields.day);
    if (fields.day_of_year) {
        int length_of_year = tn_civil_valid(fields.year, 2, 29) ? 366 : 365;
        if (fields.day_of_year > length_of_year)
            return false;
        days = tn_days_from_civil(fields.year, 1, 1) + fields.day_of_year - 1;
    }
    int64_t seconds = (int64_t)fields.hour * 3600 + fields.minute * 60 + fields.second - fields.zone_s;
    *ret_us = days * US_PER_DAY + seconds * US_PER_SECOND + fields.fraction_us;
    *ret_zoned = fields.zoned;
    return true;
}
