/* One value as JSON, as a CSV field, as bare text. */
#include "engine/vec.h"

#include <math.h>

/* How a type's bare text becomes JSON. */
enum cell_form {
    FORM_NUMBER, /* as it is */
    FORM_PLAIN,  /* between quotes; holds nothing to escape */
    FORM_STRING, /* escaped */
    FORM_NESTED,
};

static enum cell_form form_of(const struct vec *vec)
{
    switch (vec->type) {
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_SQLNULL:
        return FORM_NUMBER;
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_ENUM:
        return FORM_STRING;
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_MAP:
    case DUCKDB_TYPE_UNION:
        return FORM_NESTED;
    default:
        return FORM_PLAIN;
    }
}

static void put_double(double value, struct tn_buf *out)
{
    if (isfinite(value))
        tn_format_f64(out, value);
    else
        tn_buf_puts(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

static void put_bytes(const struct vec *vec, size_t row, struct tn_buf *out)
{
    size_t length;
    const char *bytes = vec_string(vec, row, &length);
    switch (vec->type) {
    case DUCKDB_TYPE_BLOB:
        text_put_base64(out, bytes, length);
        return;
    case DUCKDB_TYPE_BIT:
        text_put_bits(out, bytes, length);
        return;
    case DUCKDB_TYPE_BIGNUM:
        text_put_bignum(out, bytes, length);
        return;
    default:
        tn_buf_append(out, bytes, length);
    }
}

static void put_moment(const struct vec *vec, size_t row, struct tn_buf *out)
{
    int64_t value = vec->type == DUCKDB_TYPE_DATE ? 0 : ((const int64_t *)vec->data)[row];
    switch (vec->type) {
    case DUCKDB_TYPE_DATE:
        text_put_date(out, ((const int32_t *)vec->data)[row]);
        return;
    case DUCKDB_TYPE_TIME:
        text_put_time(out, value, 1000000);
        return;
    case DUCKDB_TYPE_TIME_NS:
        text_put_time(out, value, 1000000000);
        return;
    case DUCKDB_TYPE_TIME_TZ:
        text_put_time_tz(out, (uint64_t)value);
        return;
    case DUCKDB_TYPE_TIMESTAMP_S:
        text_put_timestamp(out, value, 1, "");
        return;
    case DUCKDB_TYPE_TIMESTAMP_MS:
        text_put_timestamp(out, value, 1000, "");
        return;
    case DUCKDB_TYPE_TIMESTAMP_NS:
        text_put_timestamp(out, value, 1000000000, "");
        return;
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        text_put_timestamp(out, value, 1000000, "Z");
        return;
    default:
        text_put_timestamp(out, value, 1000000, "");
    }
}

void cell_put_text(const struct vec *vec, size_t row, struct tn_buf *out)
{
    switch (vec->type) {
    case DUCKDB_TYPE_BOOLEAN:
        tn_buf_puts(out, ((const uint8_t *)vec->data)[row] ? "true" : "false");
        return;
    case DUCKDB_TYPE_FLOAT: {
        float value = ((const float *)vec->data)[row];
        if (isfinite(value))
            text_put_float(out, value);
        else
            put_double((double)value, out);
        return;
    }
    case DUCKDB_TYPE_DOUBLE:
        put_double(((const double *)vec->data)[row], out);
        return;
    case DUCKDB_TYPE_DECIMAL:
        text_put_decimal(out, vec_integer(vec, row), vec->scale);
        return;
    case DUCKDB_TYPE_UHUGEINT: {
        const duckdb_uhugeint *value = (const duckdb_uhugeint *)vec->data + row;
        text_put_uint128(out, (engine_uint128)value->upper << 64 | value->lower);
        return;
    }
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
    case DUCKDB_TYPE_BIT:
    case DUCKDB_TYPE_BIGNUM:
        put_bytes(vec, row, out);
        return;
    case DUCKDB_TYPE_ENUM:
        tn_buf_puts(out, vec->words[vec_word(vec, row)]);
        return;
    case DUCKDB_TYPE_UUID:
        text_put_uuid(out, ((const duckdb_hugeint *)vec->data)[row]);
        return;
    case DUCKDB_TYPE_INTERVAL:
        text_put_interval(out, ((const duckdb_interval *)vec->data)[row]);
        return;
    case DUCKDB_TYPE_DATE:
    case DUCKDB_TYPE_TIME:
    case DUCKDB_TYPE_TIME_NS:
    case DUCKDB_TYPE_TIME_TZ:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        put_moment(vec, row, out);
        return;
    default:
        if (form_of(vec) == FORM_NESTED)
            cell_put_json(vec, row, out);
        else
            text_put_int128(out, vec_integer(vec, row));
    }
}

/* ---- JSON --------------------------------------------------------------- */

/* Whether a number may stand bare: readers that hold numbers as doubles must
 * get the digits that are there. */
static bool safe_number(const struct vec *vec, size_t row)
{
    switch (vec->type) {
    case DUCKDB_TYPE_FLOAT:
        return isfinite(((const float *)vec->data)[row]);
    case DUCKDB_TYPE_DOUBLE:
        return isfinite(((const double *)vec->data)[row]);
    case DUCKDB_TYPE_DECIMAL: {
        engine_int128 value = vec_integer(vec, row);
        return value < INT64_C(1000000000000000) && value > -INT64_C(1000000000000000);
    }
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT: {
        engine_int128 value = vec_integer(vec, row);
        return value <= TN_JSON_MAX_SAFE && value >= -TN_JSON_MAX_SAFE;
    }
    case DUCKDB_TYPE_UHUGEINT: {
        const duckdb_uhugeint *value = (const duckdb_uhugeint *)vec->data + row;
        return !value->upper && value->lower <= (uint64_t)TN_JSON_MAX_SAFE;
    }
    default:
        return false;
    }
}

static void put_elements(const struct vec *child, uint64_t offset, uint64_t length, struct tn_buf *out)
{
    tn_buf_putc(out, '[');
    for (uint64_t i = 0; i < length; i++) {
        if (i)
            tn_buf_putc(out, ',');
        cell_put_json(child, (size_t)(offset + i), out);
    }
    tn_buf_putc(out, ']');
}

static void put_struct(const struct vec *vec, size_t row, struct tn_buf *out)
{
    bool named = vec->child_count == 0 || *vec->names[0]; /* ROW(1, 2) has no names */
    tn_buf_putc(out, named ? '{' : '[');
    for (size_t i = 0; i < vec->child_count; i++) {
        if (i)
            tn_buf_putc(out, ',');
        if (named) {
            tn_json_quote(out, vec->names[i], strlen(vec->names[i]));
            tn_buf_putc(out, ':');
        }
        cell_put_json(vec->children[i], row, out);
    }
    tn_buf_putc(out, named ? '}' : ']');
}

/* An object; a key that is not text is written as its text. */
static void put_map(const struct vec *vec, size_t row, struct tn_buf *out)
{
    const duckdb_list_entry *entry = (const duckdb_list_entry *)vec->data + row;
    TN_AUTO_BUF key = {0};
    tn_buf_putc(out, '{');
    for (uint64_t i = 0; i < entry->length; i++) {
        size_t at = (size_t)(entry->offset + i);
        tn_buf_clear(&key);
        if (vec_valid(vec->children[0], at))
            cell_put_text(vec->children[0], at, &key);
        if (i)
            tn_buf_putc(out, ',');
        tn_json_quote(out, key.data ? key.data : "", key.len);
        tn_buf_putc(out, ':');
        cell_put_json(vec->children[1], at, out);
    }
    tn_buf_putc(out, '}');
}

static void put_nested(const struct vec *vec, size_t row, struct tn_buf *out)
{
    switch (vec->type) {
    case DUCKDB_TYPE_LIST: {
        const duckdb_list_entry *entry = (const duckdb_list_entry *)vec->data + row;
        put_elements(vec->children[0], entry->offset, entry->length, out);
        return;
    }
    case DUCKDB_TYPE_ARRAY:
        put_elements(vec->children[0], (uint64_t)row * vec->array_size, vec->array_size, out);
        return;
    case DUCKDB_TYPE_MAP:
        put_map(vec, row, out);
        return;
    case DUCKDB_TYPE_UNION: {
        size_t tag = ((const uint8_t *)vec->tags)[row];
        if (tag < vec->child_count)
            cell_put_json(vec->children[tag], row, out);
        else
            tn_buf_puts(out, "null");
        return;
    }
    default:
        put_struct(vec, row, out);
    }
}

/* JSON values stand as they are. A line break in one lies between tokens, and
 * would end an NDJSON line. */
static void put_json_text(const char *text, size_t length, struct tn_buf *out)
{
    size_t start = out->len;
    tn_buf_append(out, text, length);
    for (char *c = out->data + start; (c = memchr(c, '\n', (size_t)(out->data + out->len - c))); c++)
        *c = ' ';
}

void cell_put_json(const struct vec *vec, size_t row, struct tn_buf *out)
{
    if (!vec_valid(vec, row) || vec->type == DUCKDB_TYPE_SQLNULL) {
        tn_buf_append(out, "null", 4);
        return;
    }
    switch (form_of(vec)) {
    case FORM_NUMBER:
        cell_put_text(vec, row, out);
        return;
    case FORM_STRING: {
        size_t length;
        const char *text;
        if (vec->type == DUCKDB_TYPE_ENUM) {
            text = vec->words[vec_word(vec, row)];
            length = strlen(text);
        } else {
            text = vec_string(vec, row, &length);
        }
        if (vec->json && length)
            put_json_text(text, length, out);
        else
            tn_json_quote(out, text, length);
        return;
    }
    case FORM_NESTED:
        put_nested(vec, row, out);
        return;
    case FORM_PLAIN:
        break;
    }
    bool bare = safe_number(vec, row);
    if (!bare)
        tn_buf_putc(out, '"');
    cell_put_text(vec, row, out);
    if (!bare)
        tn_buf_putc(out, '"');
}

/* ---- CSV ---------------------------------------------------------------- */

void cell_put_csv_text(const char *text, size_t length, struct tn_buf *out)
{
    bool quote = length == 0 || text[0] == ' ' || text[length - 1] == ' ';
    for (size_t i = 0; !quote && i < length; i++)
        quote = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    if (!quote) {
        tn_buf_append(out, text, length);
        return;
    }
    tn_buf_putc(out, '"');
    while (length) {
        const char *inner = memchr(text, '"', length);
        size_t run = inner ? (size_t)(inner - text) + 1 : length;
        tn_buf_append(out, text, run);
        if (inner)
            tn_buf_putc(out, '"');
        text += run;
        length -= run;
    }
    tn_buf_putc(out, '"');
}

/* NULL is an empty field, an empty string is "". */
void cell_put_csv(const struct vec *vec, size_t row, struct tn_buf *scratch, struct tn_buf *out)
{
    if (!vec_valid(vec, row) || vec->type == DUCKDB_TYPE_SQLNULL)
        return;
    if (vec->type == DUCKDB_TYPE_VARCHAR) {
        size_t length;
        const char *text = vec_string(vec, row, &length);
        cell_put_csv_text(text, length, out);
        return;
    }
    enum cell_form form = form_of(vec);
    if (form == FORM_NUMBER || form == FORM_PLAIN) {
        cell_put_text(vec, row, out);
        return;
    }
    tn_buf_clear(scratch);
    cell_put_text(vec, row, scratch);
    cell_put_csv_text(scratch->data ? scratch->data : "", scratch->len, out);
}
