/* json_parse.h: single JSON values in memory; shared by scanning and reading. */
#ifndef TARN_INGEST_JSON_PARSE_H
#define TARN_INGEST_JSON_PARSE_H

#include "ingest/record.h"

static inline const char *json_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}
/* Behind the string whose text begins at p, or NULL when it is broken or does
 * not end; the closing quote is at result - 1. */
const char *json_take_string(const char *p, const char *end, bool *ret_escaped);
/* Behind the number at p, or NULL. */
const char *json_take_number(const char *p, const char *end);
/* Behind any scalar at p, with the cell that it is. */
const char *json_take_scalar(const char *p, const char *end, struct cell *ret);
/* Behind any value at p, checked fully. `depth` is what is left. */
const char *json_take_value(const char *p, const char *end, unsigned depth);
/* Behind the array at p, with its class (classify.h). */
const char *json_take_array(const char *p, const char *end, unsigned depth, uint8_t *ret_class);
/* Behind the value at p by its brackets alone, unchecked; NULL when it does
 * not end. */
const char *json_skip_value(const char *p, const char *end);

#endif
