/* record.h: what the record readers hand on: cells, and why a record is bad.
 *
 * A reader walks over one block: a piece of the text that begins with a record
 * and ends with one. It is used twice over the same text, by the profile and by
 * the load, so both see the same cells. Text of a cell points into the block.
 */
#ifndef TARN_INGEST_RECORD_H
#define TARN_INGEST_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Readers look ahead of the end of a block by at most this many bytes: who
 * owns the block's memory provides them, zeroed. */
#define RECORD_PADDING 64
/* A longer record is refused: most likely a quote that was never closed. */
#define RECORD_MAX_BYTES (16U << 20)
/* Columns that a file may have. */
#define RECORD_MAX_COLUMNS 10000

enum cell_kind {
    CELL_ABSENT,      /* the record ends before, or has no such key */
    CELL_PLAIN,       /* as it stands */
    CELL_QUOTED,      /* CSV: the text between the quotes */
    CELL_JSON_STRING, /* the text between the quotes */
    CELL_JSON_NUMBER,
    CELL_JSON_TRUE,
    CELL_JSON_FALSE,
    CELL_JSON_NULL,
    CELL_JSON_ARRAY,  /* raw JSON */
    CELL_JSON_OBJECT, /* raw JSON; only the empty object */
};

struct cell {
    const char *text;
    uint32_t length;
    uint8_t kind;    /* enum cell_kind */
    uint8_t escaped; /* has doubled quotes or JSON escapes to undo; of an array: its class (classify.h) */
};

enum record_flaw {
    RECORD_FINE,
    RECORD_TOO_WIDE,   /* more cells than columns, and not all of those empty */
    RECORD_NOT_JSON,   /* does not parse */
    RECORD_NOT_OBJECT, /* a JSON value, but no object */
};

struct record {
    struct cell *cells;
    size_t count;      /* cells found; may exceed the capacity (see the reader) */
    const char *start; /* in the block */
    size_t length;     /* without the line's end */
    enum record_flaw flaw;
    const char *flaw_at;   /* where in the block, when known */
    const char *flaw_text; /* static, more about it; may be NULL */
};

#endif
