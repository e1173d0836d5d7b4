/* rows_json.h: a body of rows into cells: a JSON array of objects, one object,
 * or objects one after another (NDJSON). Pure: it knows a schema and nothing of
 * a lake.
 *
 * A member names a column (exactly, by its name in the source, or in another
 * case, in this order). Members of an object that is no column itself are
 * columns named by their path with dots, as ingest names them.
 */
#ifndef TARN_INGEST_ROWS_JSON_H
#define TARN_INGEST_ROWS_JSON_H

#include "catalog/catalog.h"
#include "engine/engine.h"

#define ROWS_JSON_CELLS_MAX 4000000 /* of one body: rows x columns that are given */

struct rows_json_shape {
    const struct iceberg_schema *schema;
    const char *const *originals; /* of the schema's columns, NULL where it is the name; or NULL */
    size_t max_rows;
    bool same_columns; /* every row must give the same ones: a column left out would mean NULL */
};
struct rows_json {
    int32_t *field_ids;
    size_t column_count;
    struct engine_cell *cells; /* rows x columns; NULL where a row does not give one */
    size_t row_count;
};
/* Texts of the cells lie in `text` or the arena. TN_EJSON, TN_EFIELD (with the
 * nearest column), TN_EREJECTS (up to ten bad values), TN_ETOOLARGE. */
enum tn_code rows_json_read(struct tn_arena *arena, const struct rows_json_shape *shape, const char *text,
                            size_t length, struct rows_json *ret, struct tn_error *err) TN_CHECKED;

/* The column that a member means, or SIZE_MAX. */
size_t rows_json_column(const struct rows_json_shape *shape, const char *name, size_t length);

#endif
