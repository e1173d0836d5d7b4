/* Cells in and out of the engine's vectors and statements. Private to the
 * engine. */
#ifndef TARN_ENGINE_CELL_H
#define TARN_ENGINE_CELL_H

#include "engine/vec.h"

/* False for a type that a cell holds as JSON: the caller renders it. Texts lie
 * in the vector. */
bool cell_read(const struct vec *vec, size_t row, struct engine_cell *ret);
/* Binds $1, $2, ... */
enum tn_code cell_bind(duckdb_prepared_statement prepared, const struct engine_type *types,
                       const struct engine_cell *cells, size_t count, struct tn_error *err) TN_CHECKED;

#endif
