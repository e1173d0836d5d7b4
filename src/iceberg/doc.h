/* Private: a JSON document as a tree of views into its text.
 *
 * Table metadata is rewritten on every commit, and what other writers put into
 * it must come out again byte for byte (paths above all: one slash less and
 * another client deletes its own files). So every node here remembers the text
 * it was read from, and writers copy that text. It also parses a metadata file
 * with 1,000 snapshots several times faster than a document of hash tables.
 *
 * Strict RFC 8259: valid UTF-8, no duplicate keys, no NUL in strings, nothing
 * behind the value, a bounded depth and number of nodes. Nodes and decoded
 * strings are the arena's; raw text is borrowed from the input.
 */
#ifndef TARN_ICEBERG_DOC_H
#define TARN_ICEBERG_DOC_H

#include "base/error.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum doc_kind { DOC_NULL, DOC_FALSE, DOC_TRUE, DOC_INT, DOC_NUMBER, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

struct doc_node {
    enum doc_kind kind;
    uint32_t key_length;
    uint32_t text_length;
    uint32_t count;  /* of children */
    const char *key; /* decoded; NULL outside objects */
    const char *raw; /* the value's text */
    size_t raw_length;
    union {
        const char *text;       /* DOC_STRING, decoded */
        int64_t integer;        /* DOC_INT */
        struct doc_node *first; /* DOC_ARRAY, DOC_OBJECT */
    };
    struct doc_node *next;
};

/* `what` names the document in errors, which carry line and column. */
enum tn_code doc_parse(struct tn_arena *arena, const char *text, size_t length, const char *what,
                       const struct doc_node **ret, struct tn_error *err) TN_CHECKED;

/* The member, or NULL (also when `object` is NULL or no object). */
const struct doc_node *doc_get(const struct doc_node *object, const char *key);
bool doc_is_null(const struct doc_node *node); /* absent or null */

/* Required members of the right type; TN_ECORRUPT naming `what` and the key. */
enum tn_code doc_need(const struct doc_node *object, const char *key, enum doc_kind kind, const char *what,
                      const struct doc_node **ret, struct tn_error *err) TN_CHECKED;
enum tn_code doc_need_i64(const struct doc_node *object, const char *key, const char *what, int64_t *ret,
                          struct tn_error *err) TN_CHECKED;
enum tn_code doc_need_i32(const struct doc_node *object, const char *key, const char *what, int32_t *ret,
                          struct tn_error *err) TN_CHECKED;
enum tn_code doc_need_text(const struct doc_node *object, const char *key, const char *what, const char **ret,
                           struct tn_error *err) TN_CHECKED;
/* Optional ones: absent or null leaves *ret as it is; a wrong type fails. */
enum tn_code doc_take_i64(const struct doc_node *object, const char *key, const char *what, int64_t *ret,
                          struct tn_error *err) TN_CHECKED;
enum tn_code doc_take_i32(const struct doc_node *object, const char *key, const char *what, int32_t *ret,
                          struct tn_error *err) TN_CHECKED;
enum tn_code doc_take_text(const struct doc_node *object, const char *key, const char *what, const char **ret,
                           struct tn_error *err) TN_CHECKED;

#endif
