/* overrides.h: the text behind types=: "zip:text,hired:date:%d/%m/%Y".
 *
 * A list of name:type[:format], parted by commas. A backslash takes the next
 * character as it is, so names and formats may hold commas and colons; commas
 * between parentheses (decimal(12,2)) and colons in a format need none.
 */
#ifndef TARN_INGEST_OVERRIDES_H
#define TARN_INGEST_OVERRIDES_H

#include "ingest/typed.h"

struct override {
    const char *name; /* as the user wrote it: a name or an original name */
    struct typed_target target;
};

/* The result lives in the arena. TN_EREQUEST says which entry and why. */
enum tn_code overrides_parse(struct tn_arena *arena, const char *text, struct override **ret, size_t *ret_count,
                             struct tn_error *err) TN_CHECKED;

/* The target of a type by its SQL name ("DECIMAL(12,2)", "timestamptz"); false
 * when values cannot be read into it. sql_type is the arena's. */
bool overrides_target(struct tn_arena *arena, const char *sql_type, struct typed_target *ret);

#endif
