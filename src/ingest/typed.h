/* typed.h: from the text of a value to the value.
 *
 * All parsers take the whole text or nothing, return false without touching
 * *ret otherwise, never read a locale, and never allocate.
 */
#ifndef TARN_INGEST_TYPED_H
#define TARN_INGEST_TYPED_H

#include "engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 typed_wide;

/* Optional minus, digits, no more than 64 bits. */
bool typed_int(const char *text, size_t length, int64_t *ret);
/* What profiling accepts as a floating point number: digits with a point, or
 * with an exponent that has a point or a sign before it (1e5 may be a part
 * number). Exact: the double nearest to the decimal. */
bool typed_double_plain(const char *text, size_t length, double *ret);
/* The same plus any integer and any exponent: for columns known to be numbers. */
bool typed_double(const char *text, size_t length, double *ret);
/* Scaled by 10^scale. Refuses more digits than width allows and, rather than
 * round, more fraction digits than scale. */
bool typed_decimal(const char *text, size_t length, unsigned width, unsigned scale, typed_wide *ret);
/* true/false t/f yes/no y/n 1/0, any case. */
bool typed_bool(const char *text, size_t length, bool *ret);
bool typed_uuid(const char *text, size_t length, unsigned char ret[16]);
/* "14:30", "14:30:05.25"; microseconds. */
bool typed_time(const char *text, size_t length, int64_t *ret);

enum typed_order { TYPED_YMD, TYPED_DMY, TYPED_MDY };

/* A date, perhaps with a time, as its numbers stand in the text. */
struct typed_moment {
    int first, second, third; /* in the order of the text */
    char separator;           /* - / . */
    bool year_first, short_year, has_time, has_zone;
    int64_t time_us; /* since midnight */
    int32_t zone_s;  /* east of UTC */
};
/* Reads the shape; says nothing about whether such a day exists, except that a
 * year that stands first makes it checkable at once. Fractions finer than a
 * microsecond are refused rather than cut. */
bool typed_scan_moment(const char *text, size_t length, struct typed_moment *ret);
/* Whether it is a day of the calendar in that order. */
bool typed_moment_valid(const struct typed_moment *moment, enum typed_order order);
int32_t typed_moment_days(const struct typed_moment *moment, enum typed_order order);

bool typed_date(const char *text, size_t length, enum typed_order order, int32_t *ret_days);
/* `zoned`: a zone must be there and is applied; else none may be. */
bool typed_timestamp(const char *text, size_t length, enum typed_order order, bool zoned, int64_t *ret_us);

/* strptime-like formats of type overrides: %Y %y %m %d %j %b %B %H %I %M %S %f
 * %p %z %a %A %n(space) %%; other characters stand for themselves, a space for
 * any run of spaces, also none at the ends. */
bool typed_format_check(const char *format, const char **ret_why);
bool typed_format_parse(const char *format, const char *text, size_t length, bool *ret_zoned, int64_t *ret_us);

/* A column's target. */
struct typed_target {
    struct engine_type type;
    const char *sql_type;   /* of the dataset's column; engine type VARCHAR stands for lists too */
    enum typed_order order; /* for dates and timestamps without a format */
    const char *format;     /* from an override; may be NULL */
    bool list;              /* VARCHAR[], BIGINT[], ...: text for the engine to cast */
    bool json;              /* JSON text: any JSON value as it stands */
    bool null_words;        /* NA, null, ... are NULL */
};
union typed_value {
    bool boolean;
    int64_t integer; /* INTEGER BIGINT TIME TIMESTAMP TIMESTAMPTZ */
    int32_t days;
    double real;
    typed_wide decimal;
    unsigned char uuid[16];
};
/* Parses for any kind but VARCHAR. On failure *ret_why is a static reason
 * ("not an integer"). */
bool typed_parse(const struct typed_target *target, const char *text, size_t length, union typed_value *ret,
                 const char **ret_why);

#endif
