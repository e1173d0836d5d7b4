/* decode.h: the binary forms of PostgreSQL's values, read and never trusted.
 *
 * Bytes come from a server that may be anything: every reader checks lengths
 * and ranges before it looks, and nothing is allocated here. Readers return
 * false, and leave *ret untouched, for bytes that are not such a value.
 */
#ifndef TARN_POSTGRES_DECODE_H
#define TARN_POSTGRES_DECODE_H

#include "base/base.h"

/* OIDs of built-in types: the same on every server. */
enum postgres_type {
    POSTGRES_BOOL = 16,
    POSTGRES_BYTEA = 17,
    POSTGRES_CHAR = 18, /* "char", one byte */
    POSTGRES_NAME = 19,
    POSTGRES_INT8 = 20,
    POSTGRES_INT2 = 21,
    POSTGRES_INT4 = 23,
    POSTGRES_TEXT_TYPE = 25,
    POSTGRES_OID = 26,
    POSTGRES_JSON = 114,
    POSTGRES_XML = 142,
    POSTGRES_FLOAT4 = 700,
    POSTGRES_FLOAT8 = 701,
    POSTGRES_INET = 869,
    POSTGRES_CIDR = 650,
    POSTGRES_BPCHAR = 1042,
    POSTGRES_VARCHAR = 1043,
    POSTGRES_DATE = 1082,
    POSTGRES_TIME = 1083,
    POSTGRES_TIMESTAMP = 1114,
    POSTGRES_TIMESTAMPTZ = 1184,
    POSTGRES_INTERVAL = 1186,
    POSTGRES_TIMETZ = 1266,
    POSTGRES_NUMERIC = 1700,
    POSTGRES_UUID = 2950,
    POSTGRES_JSONB = 3802,
};

static inline uint16_t postgres_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t postgres_u32(const unsigned char *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return __builtin_bswap32(value);
}
static inline uint64_t postgres_u64(const unsigned char *p)
{
    uint64_t value;
    memcpy(&value, p, 8);
    return __builtin_bswap64(value);
}

/* ---- binary COPY --------------------------------------------------------------- */

struct postgres_field {
    const unsigned char *data;
    int32_t length; /* -1: NULL */
};

/* Cuts the stream into rows. Messages may be cut anywhere; a row that lies in
 * one message is not copied. `= {0}`. */
struct postgres_copy_reader {
    struct tn_buf rest; /* of messages before, while a row is not whole */
    const unsigned char *at, *end;
    bool header_read, ended;
    size_t max_row_bytes; /* a row above it is refused; 0: 1 GB + 64 KB, more than a server sends */
};
/* The bytes of the next message: valid until all their rows are taken. */
void postgres_copy_feed(struct postgres_copy_reader *reader, const void *bytes, size_t length);
/* Fills `fields`, all of them: a row of another width is an error. *ret_row is
 * false when more bytes are needed, or after the trailer (reader->ended). The
 * fields are valid until the next feed. TN_ECORRUPT. */
enum tn_code postgres_copy_row(struct postgres_copy_reader *reader, struct postgres_field *fields, size_t count,
                               bool *ret_row, struct tn_error *err) TN_CHECKED;
void postgres_copy_release(struct postgres_copy_reader *reader);

/* ---- values ----------------------------------------------------------------------- */

/* Scaled by 10^scale. POSTGRES_INEXACT: digits behind scale that are not 0,
 * more than 38 digits; POSTGRES_SPECIAL: NaN, Infinity, -Infinity. */
__extension__ typedef __int128 postgres_wide;
enum postgres_numeric { POSTGRES_EXACT, POSTGRES_INEXACT, POSTGRES_SPECIAL, POSTGRES_MALFORMED };
enum postgres_numeric postgres_read_numeric(const unsigned char *data, size_t length, unsigned scale,
                                            postgres_wide *ret);
/* As the server writes it: "-12.3400", "NaN", "Infinity". Appends. */
bool postgres_numeric_text(const unsigned char *data, size_t length, struct tn_buf *out);

/* int16 count, int16 0, float4...: values[0..*ret_count). At most `capacity`. */
bool postgres_read_vector(const unsigned char *data, size_t length, float *values, size_t capacity,
                          size_t *ret_count);
bool postgres_read_halfvec(const unsigned char *data, size_t length, float *values, size_t capacity,
                           size_t *ret_count);
float postgres_half_to_float(uint16_t half);
uint16_t postgres_float_to_half(float value);

/* An array of up to six dimensions, its elements in order. */
#define POSTGRES_ARRAY_DIMENSIONS 6
struct postgres_elements {
    uint32_t type;
    unsigned dimensions; /* 0: {} */
    uint32_t extent[POSTGRES_ARRAY_DIMENSIONS];
    uint64_t count;
    const unsigned char *at, *end;
};
bool postgres_read_array(const unsigned char *data, size_t length, struct postgres_elements *ret);
/* The next of `count` elements. */
bool postgres_read_element(struct postgres_elements *elements, struct postgres_field *ret);

#endif
