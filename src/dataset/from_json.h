/* from_json.h: what turns the JSON of cells, of the journal and of requests back
 * into values, inside the engine. Private to dataset.
 *
 * The writers of JSON show bytes as base64, and years beyond 9999 with a sign
 * (+010031-01-02); the engine's own casts read neither, at any depth.
 */
#ifndef TARN_DATASET_FROM_JSON_H
#define TARN_DATASET_FROM_JSON_H

#include "dataset/dataset.h"

/* The expression of a plain type's value, from one that gives its text without
 * quotes; NULL stays NULL. */
void from_json_text(struct tn_arena *arena, const struct iceberg_type *type, const char *text, struct tn_buf *out);
/* The same of a list, struct or map, from an expression of type JSON. */
void from_json_nested(struct tn_arena *arena, const struct iceberg_type *type, const char *json, struct tn_buf *out);

#endif
