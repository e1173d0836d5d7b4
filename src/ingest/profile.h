/* profile.h: what a file's values are: counted per block by any thread, merged
 * in any order, turned into types when the last block is in.
 */
#ifndef TARN_INGEST_PROFILE_H
#define TARN_INGEST_PROFILE_H

#include "ingest/classify.h"
#include "ingest/typed.h"

#define PROFILE_VALUE_BYTES 60

/* Where something was seen first. */
struct profile_place {
    uint64_t block;
    uint64_t line; /* in the block, from 0 */
    char value[PROFILE_VALUE_BYTES + 4];
};

struct profile_column {
    uint64_t count[CLASS_COUNT];
    struct profile_place *first[CLASS_COUNT];
    uint32_t marks;
};

struct profile {
    struct profile_column *columns;
    size_t column_count, column_capacity;
    uint64_t rows;       /* records without a flaw */
    uint64_t short_rows; /* with too few cells */
    uint64_t flawed;
    uint64_t blank, literal;
    struct profile_place *first_short, *first_flaw;
    const char *flaw_text; /* static */
    /* The block being profiled. */
    uint64_t block;
    const char *text;
    char line_end;
};

void profile_init(struct profile *profile, size_t columns);
void profile_release(struct profile *profile);
/* One record of the current block; `width` cells of it are columns. */
void profile_record(struct profile *profile, const struct record *record, size_t width);
/* Adds another profile; column_map says which of ours each of its columns is
 * (NULL: the same number). */
void profile_merge(struct profile *into, struct profile *from, const size_t *column_map);

/* Lines that end in text[0, length). */
uint64_t profile_count_lines(const char *text, size_t length, char line_end);
/* In words, for errors and rejects. */
const char *profile_flaw_reason(enum record_flaw flaw);

/* ---- types ---------------------------------------------------------------- */

enum infer_doubt {
    INFER_SURE,
    INFER_MIXED,      /* most values are of one family, but not all */
    INFER_DATE_ORDER, /* day or month first: no value decides */
    INFER_DATE_BOTH,  /* both orders occur */
    INFER_SHORT_YEAR,
    INFER_BY_NAME, /* numbers, but the name says they are none */
    INFER_DIGITS,  /* a double would lose digits */
};
struct infer_result {
    struct typed_target target;
    enum infer_doubt doubt;
    const char *family; /* "integers", for a mixed column */
    uint64_t family_count, value_count;
    const struct profile_place *place; /* the first odd value; may be NULL */
};
/* `name` may turn numbers into text (zip, phone); NULL where types are said. */
void infer_column(const struct profile_column *column, const char *name, struct infer_result *ret);
/* How many values (not NULL) could be read as this target, judged by class. */
uint64_t infer_fitting(const struct profile_column *column, const struct typed_target *target, uint64_t *ret_values);

#endif
