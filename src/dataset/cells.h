/* cells.h: rows of cells: copying, comparing, saying and writing them. Private
 * to dataset.
 *
 * A row has one cell for each column of a schema, in its order. The columns are
 * those of dataset_cell_columns (find.h).
 */
#ifndef TARN_DATASET_CELLS_H
#define TARN_DATASET_CELLS_H

#include "dataset/find.h"

#define CELLS_KEY_MAX 32 /* columns of a key */

/* Rows of one schema. The key's columns are its identifier fields, as places
 * in the row. */
struct cells_shape {
    const struct iceberg_schema *schema;
    const struct engine_column *columns;
    size_t width;
    const size_t *key;
    size_t key_count;
};
/* In the arena; borrows the schema. */
enum tn_code cells_shape_init(struct cells_shape *shape, struct tn_arena *arena, const struct iceberg_schema *schema,
                              struct tn_error *err) TN_CHECKED;

/* Texts are copied too. */
struct engine_cell *cells_copy(const struct cells_shape *shape, struct tn_arena *arena, const struct engine_cell *row)
    __attribute__((returns_nonnull));
/* Keys one behind the other, texts too. */
struct engine_cell *cells_copy_keys(const struct cells_shape *shape, struct tn_arena *arena,
                                    const struct engine_cell *keys, size_t count) __attribute__((returns_nonnull));
bool cells_equal(const struct cells_shape *shape, const struct engine_cell *a, const struct engine_cell *b);
/* The key's cells of a row, in the key's order, into `key`. */
void cells_key_of(const struct cells_shape *shape, const struct engine_cell *row, struct engine_cell *key);
bool cells_key_equal(const struct cells_shape *shape, const struct engine_cell *a, const struct engine_cell *b);
uint64_t cells_key_hash(const struct cells_shape *shape, const struct engine_cell *key, uint64_t seed);

/* A key as the journal names it: one column's value as plain text, several as
 * a JSON array. */
void cells_put_entity(const struct cells_shape *shape, const struct engine_cell *key, struct tn_buf *out);
/* {"name": value, ...} */
void cells_put_object(const struct cells_shape *shape, const struct engine_cell *row, struct tn_buf *out);

/* The single-value form of a cell; {NULL} for NULL. False for what has none
 * (lists, structs, maps). Texts are borrowed, the rest is the arena's. */
bool cells_bytes(struct tn_arena *arena, const struct iceberg_type *type, const struct engine_column *column,
                 const struct engine_cell *cell, struct iceberg_bytes *ret);

/* Rows as a table for the engine: a source and the SELECT that turns it into
 * the schema's types. Serves one statement. */
struct cells_source {
    struct engine_source source;
    const struct cells_shape *shape;
    const struct engine_cell *const *rows;
    size_t count, next;
};
void cells_source_init(struct cells_source *source, struct tn_arena *arena, const struct cells_shape *shape,
                       const struct engine_cell *const *rows, size_t count);
const char *cells_source_select(struct tn_arena *arena, const struct cells_shape *shape)
    __attribute__((returns_nonnull));

#endif
