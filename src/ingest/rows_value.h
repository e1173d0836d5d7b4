/* rows_value.h: one value of a request into one cell.
 *
 * Strict: what a column holds is written as answers write it. Numbers for
 * number columns (or a string of digits, as numbers beyond 2^53 and decimals
 * come back), "NaN", "Infinity" and "-Infinity" for DOUBLE and FLOAT, true and
 * false, strings for text, dates, times, timestamps and UUIDs, base64 for
 * bytes, arrays and objects for lists, structs and maps.
 */
#ifndef TARN_INGEST_ROWS_VALUE_H
#define TARN_INGEST_ROWS_VALUE_H

#include "catalog/catalog.h"
#include "engine/engine.h"

/* `text` is one JSON value that json_take_value has passed. Texts of the cell
 * are the arena's or lie in `text`. On failure *ret_why is a reason, static or
 * the arena's, to stand behind "is". */
bool rows_value_json(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                     struct engine_cell *ret, const char **ret_why);
/* The bare text of a value, as it stands in a path: a key. */
bool rows_value_text(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                     struct engine_cell *ret, const char **ret_why);

#endif
