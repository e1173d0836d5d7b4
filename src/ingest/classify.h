/* classify.h: what one value could be.
 *
 * A column's type follows from how many of its values fell into each class, so
 * the order of values, and which thread saw them, cannot matter.
 */
#ifndef TARN_INGEST_CLASSIFY_H
#define TARN_INGEST_CLASSIFY_H

#include "ingest/record.h"

enum cell_class {
    CLASS_EMPTY,        /* nothing between the delimiters; absent; JSON null */
    CLASS_EMPTY_QUOTED, /* "" */
    CLASS_NULL_WORD,    /* NA, N/A, null, \N, ... */
    CLASS_INT,          /* at most 15 digits: exact in a double too */
    CLASS_LONG_INT,     /* 16 to 18 digits; in JSON, what fits 64 bits */
    CLASS_DOUBLE,
    CLASS_BOOL,
    CLASS_DATE,
    CLASS_TIMESTAMP,
    CLASS_TIMESTAMPTZ,
    CLASS_LEADING_ZERO, /* 02134, 007, -0 */
    CLASS_LONG_DIGITS,  /* more digits than a 64-bit integer holds for sure */
    CLASS_PHONE,        /* digits behind a plus */
    CLASS_FORMATTED,    /* 1,234 or 12% or $5: a number dressed up */
    CLASS_TIME,         /* 14:30 */
    CLASS_TEXT,
    CLASS_LIST_INT, /* JSON arrays */
    CLASS_LIST_DOUBLE,
    CLASS_LIST_BOOL,
    CLASS_LIST_TEXT,
    CLASS_LIST_EMPTY,
    CLASS_JSON, /* arrays of mixed things or of objects; {} */
    CLASS_COUNT
};

/* What the values of one class had in common; a union over all of them. */
enum {
    MARK_TRUE_FALSE = 1 << 0, /* the spelling of booleans; the next bit: false seen */
    MARK_T_F = 1 << 2,
    MARK_YES_NO = 1 << 4,
    MARK_Y_N = 1 << 6,
    MARK_ISO = 1 << 8,     /* yyyy-mm-dd */
    MARK_YMD = 1 << 9,     /* yyyy/mm/dd, yyyy.mm.dd */
    MARK_DMY = 1 << 10,    /* proves day first: 25/03/2024 */
    MARK_MDY = 1 << 11,    /* proves month first: 03/25/2024 */
    MARK_EITHER = 1 << 12, /* 03/04/2024 */
    MARK_SHORT_YEAR = 1 << 13,
    MARK_SLASH = 1 << 14,
    MARK_DASH = 1 << 15,
    MARK_DOT = 1 << 16,
    MARK_WIDE = 1 << 17,   /* an integer that 32 bits may not hold */
    MARK_SPACED = 1 << 18, /* spaces around it */
    MARK_HUGE = 1 << 19,   /* a JSON integer beyond 64 bits */
};
#define MARK_BOOLS 0xFFU
#define MARK_DATES (MARK_ISO | MARK_YMD | MARK_DMY | MARK_MDY | MARK_EITHER | MARK_SHORT_YEAR)

/* Adds to *marks. Text is looked at only as far as needed. */
enum cell_class classify_text(const char *text, size_t length, uint32_t *marks);
enum cell_class classify_cell(const struct cell *cell, uint32_t *marks);

/* Whether it spells "no value" where a column's other values are not text. */
bool classify_is_null_word(const char *text, size_t length);

#endif
