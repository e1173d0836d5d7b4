/* JSON: strict documents in, streamed text out.
 *
 * Documents are Jansson's json_t (reference counted; TN_AUTO_JSON for locals).
 * Parsing is strict RFC 8259: valid UTF-8, no duplicate keys, nothing behind
 * the value, at most `max_bytes` bytes and TN_JSON_MAX_DEPTH levels.
 *
 * Rows do not become documents: they go straight through struct tn_json, a
 * writer that appends to a tn_buf and puts commas where they belong.
 */
#ifndef TARN_BASE_JSON_H
#define TARN_BASE_JSON_H

#include "base/buf.h"

#include <jansson.h>

#define TN_JSON_MAX_DEPTH 100
/* 2^53: beyond it a number is written as a string (see API conventions). */
#define TN_JSON_MAX_SAFE INT64_C(9007199254740992)

static inline void tn_json_decref_p(json_t **json)
{
    json_decref(*json);
}
#define TN_AUTO_JSON TN_CLEANUP(tn_json_decref_p) json_t

/* *ret is the caller's (json_decref). Errors carry line and column; `what`
 * names the document in them ("request body", "metadata.json"). */
enum tn_code tn_json_parse(const char *text, size_t length, size_t max_bytes, const char *what, json_t **ret,
                           struct tn_error *err) TN_CHECKED;
/* The same, but a text (no key) may contain U+0000: for what Tarn itself wrote,
 * whose data may come from elsewhere. json_string_length() tells all of it. */
enum tn_code tn_json_parse_zeros(const char *text, size_t length, size_t max_bytes, const char *what, json_t **ret,
                                 struct tn_error *err) TN_CHECKED;
/* Compact text of a document, keys in their order; appended to out. */
void tn_json_dump(const json_t *json, struct tn_buf *out);

/* Reading a request object: every field by table, unknown ones refused by
 * name with a suggestion, wrong types refused. Outputs of absent fields keep
 * their value, and null for an optional field (other than TN_JSON_ANY) counts
 * as absent; a whole number fits TN_JSON_DOUBLE. On failure no output is
 * touched. Strings are borrowed from the document. */
enum tn_json_kind {
    TN_JSON_STRING,
    TN_JSON_INT,
    TN_JSON_DOUBLE,
    TN_JSON_BOOL,
    TN_JSON_ANY,
    TN_JSON_ARRAY,
    TN_JSON_OBJECT
};
struct tn_json_field {
    const char *name;
    enum tn_json_kind kind;
    void *ret; /* const char **, int64_t *, double *, bool *, json_t ** (borrowed) */
    bool required;
    int64_t min, max; /* for TN_JSON_INT when min < max */
};
enum tn_code tn_json_read(const json_t *object, const char *what, const struct tn_json_field *fields, size_t count,
                          struct tn_error *err) TN_CHECKED;

struct tn_json {
    struct tn_buf *out; /* borrowed */
    unsigned depth;
    bool comma; /* the next value needs one before it */
};
static inline struct tn_json tn_json_writer(struct tn_buf *out)
{
    return (struct tn_json){.out = out};
}
void tn_json_open(struct tn_json *json, char bracket);  /* '{' or '[' */
void tn_json_close(struct tn_json *json, char bracket); /* '}' or ']' */
void tn_json_key(struct tn_json *json, const char *key);
void tn_json_str(struct tn_json *json, const char *text);                 /* NULL writes null */
void tn_json_strn(struct tn_json *json, const char *text, size_t length); /* bad UTF-8 becomes U+FFFD */
void tn_json_i64(struct tn_json *json, int64_t value);                    /* beyond 2^53: a string */
void tn_json_u64(struct tn_json *json, uint64_t value);                   /* beyond 2^53: a string */
void tn_json_int(struct tn_json *json, int64_t value);                    /* always a number (Iceberg's documents) */
void tn_json_f64(struct tn_json *json, double value); /* shortest that reads back; non-finite: a string */
void tn_json_bool(struct tn_json *json, bool value);
void tn_json_null(struct tn_json *json);
void tn_json_raw(struct tn_json *json, const char *text, size_t length); /* already JSON */
/* key and value in one call */
void tn_json_kstr(struct tn_json *json, const char *key, const char *value);
void tn_json_ki64(struct tn_json *json, const char *key, int64_t value);
void tn_json_kbool(struct tn_json *json, const char *key, bool value);
void tn_json_kf64(struct tn_json *json, const char *key, double value);
void tn_json_kreal(struct tn_json *json, const char *key, double value); /* non-finite: null, for what is unknown */
void tn_json_kstrs(struct tn_json *json, const char *key, const char *const *values, size_t count); /* an array */

/* The quoted, escaped form alone, for writers that manage commas themselves. */
void tn_json_quote(struct tn_buf *out, const char *text, size_t length);
/* The shortest decimal that reads back as `value` ("0.1", "1e300"); finite. */
void tn_format_f64(struct tn_buf *out, double value);
/* The same for a float: "0.1", where its double would be 0.10000000149011612. */
void tn_format_f32(struct tn_buf *out, float value);
void tn_format_i64(struct tn_buf *out, int64_t value);

#endif
