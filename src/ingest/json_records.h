/* json_records.h: JSON records: an array of objects, objects one a line, or
 * objects one after another. A nested object's members become columns of their
 * own, named by their path with dots; arrays stay one value.
 *
 * Parsing is strict RFC 8259 (bounded depth); documents are never built: a
 * record is a row of cells that point into the text.
 */
#ifndef TARN_INGEST_JSON_RECORDS_H
#define TARN_INGEST_JSON_RECORDS_H

#include "ingest/record.h"

#include "base/buf.h"

#define JSON_RECORDS_DEPTH 100

enum json_layout {
    LAYOUT_LINES, /* a record is a line: a broken one spoils only itself */
    LAYOUT_ARRAY,
    LAYOUT_STREAM, /* objects over several lines */
};

/* Whether text begins as JSON records do: '{' or '[' and what may follow. */
bool json_sniff(const char *text, size_t length);
/* *ret_body: where the records begin. */
enum json_layout json_detect(const char *text, size_t length, size_t *ret_body);

/* Offset behind the last complete record; 0 when none is complete. Text begins
 * where a record or a separator may stand. */
size_t json_scan_end(enum json_layout layout, const char *text, size_t length);

/* Paths of leaf values, numbered in the order of their first appearance. */
struct json_paths;
struct json_paths *json_paths_new(void) __attribute__((returns_nonnull));
void json_paths_free(struct json_paths *paths);
TN_DEFINE_CLEANUP(struct json_paths, json_paths_free)
/* The path's number, added when new; SIZE_MAX beyond RECORD_MAX_COLUMNS. */
size_t json_paths_add(struct json_paths *paths, const char *path, size_t length);
/* The path's number or SIZE_MAX. */
size_t json_paths_find(const struct json_paths *paths, const char *path, size_t length);
size_t json_paths_count(const struct json_paths *paths);
const char *json_paths_text(const struct json_paths *paths, size_t number);

struct json_node;
struct json_reader {
    enum json_layout layout;
    const char *begin, *at, *end;
    bool first;                     /* no separator is due before the next record */
    bool closed;                    /* the array's end was seen */
    struct json_paths *grow;        /* learns new paths */
    const struct json_paths *fixed; /* or knows them all */
    struct json_node *nodes;        /* keys by parent, with a guess at the next key */
    size_t node_count, node_capacity;
    uint32_t *table;
    size_t table_size;
    struct cell *cells;
    size_t cell_capacity;
    struct tn_buf scratch;
    uint64_t blank;
    struct record record; /* count: the number of paths known so far */
};

/* Exactly one of grow and fixed is given; both are borrowed. The reader may be
 * pointed at one block after another. */
void json_reader_init(struct json_reader *reader, enum json_layout layout, struct json_paths *grow,
                      const struct json_paths *fixed);
void json_reader_release(struct json_reader *reader);
void json_reader_block(struct json_reader *reader, const char *text, size_t length, bool first);
bool json_reader_next(struct json_reader *reader);

/* The string's text with its escapes undone into `out` (length bytes are
 * enough); a lone surrogate becomes U+FFFD. Returns the length. */
size_t json_unescape(const char *text, size_t length, char *out);
/* Whether an escape of the string (checked before) is one half of a surrogate
 * pair without the other. */
bool json_has_lone_surrogate(const char *text, size_t length);

#endif
