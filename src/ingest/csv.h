/* csv.h: delimited text: dialect, detection, scanning for record ends, reading.
 *
 * Three readers must agree on where a quote counts: one that opens a field, and
 * only there (RFC 4180). Inside, a doubled quote is one quote (or, in the
 * dialect that says so, a backslash protects the next character). What stands
 * between a closing quote and the next delimiter makes the whole field literal.
 */
#ifndef TARN_INGEST_CSV_H
#define TARN_INGEST_CSV_H

#include "ingest/record.h"

struct csv_dialect {
    char delimiter;
    char quote;    /* '"', '\'' or 0 for none */
    char escape;   /* equal to quote, or '\\' */
    char line_end; /* '\n' (a '\r' before it is dropped) or '\r' */
    bool has_header;
    bool sep_line;        /* the file said "sep=;" in its first line */
    uint32_t title_lines; /* records above the header, skipped */
    uint64_t body;        /* offset of the first record that is data */
    uint64_t header;      /* offset of the header record; meaningless without one */
    size_t width;         /* columns: the wider of the header and the usual record */
    double agreement;     /* share of the sample's records with the usual width */
};

/* What the caller fixes; 0 means: find out. */
struct csv_wish {
    char delimiter;
    int header; /* -1 unknown, 0 no, 1 yes */
};

/* From the start of the text; `whole` when the sample is all there is. Always
 * succeeds: text without any delimiter is one column. */
void csv_detect(const char *text, size_t length, bool whole, const struct csv_wish *wish, struct csv_dialect *ret);

/* Finds where records end without reading cells: memchr from quote to quote. */
struct csv_scan {
    const struct csv_dialect *dialect;
};
/* Offset behind the last complete record of text[0, length), which begins with
 * a record; 0 when none is complete. *ret_open is set to the offset of the
 * quote that is still open at the end, or to SIZE_MAX. */
size_t csv_scan_end(const struct csv_dialect *dialect, const char *text, size_t length, size_t *ret_open);

struct csv_reader {
    char delimiter, quote, escape, line_end;
    const char *at, *end;
    size_t width;     /* columns */
    size_t capacity;  /* cells in record.cells, at least width */
    uint64_t blank;   /* lines skipped because nothing stands on them */
    uint64_t literal; /* fields with text behind their closing quote */
    struct record record;
};
/* `cells` has room for `capacity` cells. The block's memory is padded. */
void csv_reader_init(struct csv_reader *reader, const struct csv_dialect *dialect, size_t width, struct cell *cells,
                     size_t capacity, const char *text, size_t length);
/* False at the end. Absent cells up to width are CELL_ABSENT. */
bool csv_reader_next(struct csv_reader *reader);

/* Undoes the escaping of a quoted cell into `out` (at least cell->length
 * bytes); returns the length. */
size_t csv_unescape(const struct cell *cell, char quote, char escape, char *out);

#endif
