/* Private: Avro object container files, as Iceberg's manifests use them.
 *
 * Reading is driven by the schema that the file carries, and fields are found
 * by their field-id, with the name as a fallback for files without ids. Writing
 * takes the schema as constant text: Iceberg's attributes (field-id,
 * element-id, logicalType, default) must stand in it exactly, and general Avro
 * libraries are known to drop them, which is why this is our own.
 *
 * All sizes come from outside and are checked before they are believed: a
 * block's items against its bytes, decompressed sizes against limits.
 */
#ifndef TARN_ICEBERG_AVRO_H
#define TARN_ICEBERG_AVRO_H

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "iceberg/iceberg.h"

enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
    AVRO_RECORD,
};

struct avro_field {
    int32_t id;      /* ICEBERG_NONE = none in the file */
    bool id_by_name; /* the file has none; it was found by the name */
    bool null_default;
    const char *name;
    const struct avro_type *type;
};

struct avro_type {
    enum avro_kind kind;
    int64_t size;                   /* fixed */
    int32_t element_id;             /* array; ICEBERG_NONE = none */
    const char *logical;            /* logicalType or NULL */
    const char *name;               /* record, fixed, enum */
    struct avro_field *fields;      /* record */
    const struct avro_type **parts; /* union: branches; array, map: the items */
    size_t count;                   /* of fields or parts */
    size_t weight;                  /* fields below, types used twice counted twice */
};

/* --- Schemas --- */

enum tn_code avro_schema_parse(struct tn_arena *arena, const char *json, size_t length, const char *what,
                               const struct avro_type **ret, struct tn_error *err) TN_CHECKED;
struct avro_name {
    const char *name;
    int32_t id;
};
/* Gives fields without an id the one that the table has for their name. */
void avro_resolve_names(const struct avro_type *record, const struct avro_name *names, size_t count);
const struct avro_field *avro_field_by_id(const struct avro_type *record, int32_t id);
/* The type behind ["null", T] or T itself; NULL for other unions. */
const struct avro_type *avro_unwrap(const struct avro_type *type);

/* --- Decoding --- */

struct avro_in {
    const uint8_t *at, *end;
    const char *what;
    struct tn_error *err;
};

enum tn_code avro_fail(struct avro_in *in, const char *message) TN_CHECKED;
enum tn_code avro_read_varint(struct avro_in *in, int64_t *ret) TN_CHECKED;
/* Reads a union's branch number; *ret is the branch, or `type` when it is no
 * union. kind AVRO_NULL then means NULL. */
enum tn_code avro_enter(struct avro_in *in, const struct avro_type *type, const struct avro_type **ret) TN_CHECKED;
enum tn_code avro_skip(struct avro_in *in, const struct avro_type *type) TN_CHECKED;
/* Values of int or long; bytes or string or fixed; boolean. A NULL leaves *ret. */
enum tn_code avro_get_i64(struct avro_in *in, const struct avro_type *type, int64_t *ret) TN_CHECKED;
enum tn_code avro_get_i32(struct avro_in *in, const struct avro_type *type, int32_t *ret) TN_CHECKED;
enum tn_code avro_get_bool(struct avro_in *in, const struct avro_type *type, bool *ret) TN_CHECKED;
/* Borrowed from the input. */
enum tn_code avro_get_bytes(struct avro_in *in, const struct avro_type *type, struct iceberg_bytes *ret) TN_CHECKED;
/* NUL-terminated copy in the arena; bytes with NUL inside are refused. */
enum tn_code avro_get_text(struct avro_in *in, const struct avro_type *type, struct tn_arena *arena,
                           const char **ret) TN_CHECKED;

/* Arrays and maps: `struct avro_items items = {0}; while (avro_items_next())`. */
struct avro_items {
    int64_t left;
    bool done;
};
/* *ret_more false at the end. */
enum tn_code avro_items_next(struct avro_in *in, struct avro_items *items, bool *ret_more) TN_CHECKED;

/* --- Files --- */

#define AVRO_SYNC_BYTES 16

struct avro_reader {
    struct tn_arena *arena; /* the caller's: schema and header */
    const char *what;
    const struct avro_type *type;
    const struct iceberg_pair *pairs; /* the header's key-values, text */
    size_t pair_count;
    const char *codec; /* "null" when absent */
    bool codec_missing;
    struct avro_in in; /* the current block */
    const uint8_t *at, *end;
    const uint8_t *sync;
    struct tn_buf block;
    int64_t left; /* records of the current block */
    uint64_t total_bytes;
};

/* `bytes` and `what` stay the caller's and must outlive the reader. */
enum tn_code avro_reader_open(struct avro_reader *reader, struct tn_arena *arena, const void *bytes, size_t length,
                              const char *what, struct tn_error *err) TN_CHECKED;
void avro_reader_release(struct avro_reader *reader);
/* Puts reader->in at the next record, which the caller must decode whole.
 * *ret_more is false at a proper end of file. */
enum tn_code avro_reader_next(struct avro_reader *reader, bool *ret_more) TN_CHECKED;
const char *avro_reader_pair(const struct avro_reader *reader, const char *key);

struct avro_writer {
    struct tn_buf out;   /* the file so far */
    struct tn_buf block; /* records that are not in `out` yet */
    int64_t count;
    bool deflate;
    uint8_t sync[AVRO_SYNC_BYTES];
};

/* codec "null" or "deflate". sync NULL: a random marker. */
void avro_writer_open(struct avro_writer *writer, const char *schema, const struct iceberg_pair *pairs, size_t count,
                      bool deflate, const uint8_t *sync);
/* Call behind each record put into writer->block. */
enum tn_code avro_writer_end_record(struct avro_writer *writer, struct tn_error *err) TN_CHECKED;
enum tn_code avro_writer_finish(struct avro_writer *writer, struct tn_error *err) TN_CHECKED;
void avro_writer_release(struct avro_writer *writer);

void avro_put_varint(struct tn_buf *out, int64_t value);
void avro_put_bytes(struct tn_buf *out, const void *bytes, size_t length);
void avro_put_text(struct tn_buf *out, const char *text);
void avro_put_bool(struct tn_buf *out, bool value);
/* Branch 1 and the value of ["null", T]; branch 0 is avro_put_null. */
void avro_put_null(struct tn_buf *out);
void avro_put_some(struct tn_buf *out);

/* --- Codecs (codec.c) --- */

#define AVRO_BLOCK_MAX_BYTES ((size_t)128 << 20)
#define AVRO_FILE_MAX_BYTES  ((uint64_t)512 << 20)

/* Decompresses one block, replacing what `out` holds. */
enum tn_code avro_decompress(const char *codec, const uint8_t *bytes, size_t length, const char *what,
                             struct tn_buf *out, struct tn_error *err) TN_CHECKED;
enum tn_code avro_deflate(const void *bytes, size_t length, struct tn_buf *out, struct tn_error *err) TN_CHECKED;

#endif
