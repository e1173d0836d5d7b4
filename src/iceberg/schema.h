/* Private: schemas as parts of larger JSON documents. */
#ifndef TARN_ICEBERG_SCHEMA_H
#define TARN_ICEBERG_SCHEMA_H

#include "base/json.h"
#include "iceberg/doc.h"
#include "iceberg/iceberg.h"

#define SCHEMA_MAX_DEPTH 32

/* `what` names the document in errors. Raw texts are copied to the arena. */
enum tn_code schema_of_doc(struct tn_arena *arena, const struct doc_node *node, const char *what,
                           const struct iceberg_schema **ret, struct tn_error *err) TN_CHECKED;
enum tn_code schema_type_of_doc(struct tn_arena *arena, const struct doc_node *node, const char *what, int depth,
                                const struct iceberg_type **ret, struct tn_error *err) TN_CHECKED;
void schema_write(const struct iceberg_schema *schema, struct tn_json *json);
void schema_write_type(const struct iceberg_type *type, struct tn_json *json);
/* Field ids distinct (TN_ECORRUPT), identifier ids present. */
enum tn_code schema_validate(const struct iceberg_schema *schema, const char *what, struct tn_error *err) TN_CHECKED;
/* Equal but for the schema's own id. */
bool schema_same(const struct iceberg_schema *a, const struct iceberg_schema *b);
/* A copy whose own id is `id`. */
const struct iceberg_schema *schema_with_id(struct tn_arena *arena, const struct iceberg_schema *schema, int32_t id);
const struct iceberg_type *schema_copy_type(struct tn_arena *arena, const struct iceberg_type *type);
bool iceberg_kind_nested(enum iceberg_kind kind);
const char *iceberg_kind_word(enum iceberg_kind kind);

#endif
