/* find.h: rows of one version of a dataset, with where they lie. Private to
 * dataset. What writes by key and by predicate look up, and what time travel by
 * replay starts from.
 *
 * Keys are looked up in the hot copy when there is one of exactly this version,
 * else in the files; the answer is the same.
 */
#ifndef TARN_DATASET_FIND_H
#define TARN_DATASET_FIND_H

#include "dataset/dataset.h"

struct dataset_place {
    const char *path; /* of the data file, as the table has it */
    int64_t pos;      /* row in that file, from 0 */
};

/* `cells` are the columns of metadata->schema in its order. All borrowed for
 * the call. An error ends the search and comes back as it is. */
typedef enum tn_code dataset_found_fn(void *context, const struct dataset_place *place,
                                      const struct engine_cell *cells, struct tn_error *err);

/* The schema's columns as engine_cell wants them; the arena's. */
enum tn_code dataset_cell_columns(struct tn_arena *arena, const struct iceberg_schema *schema,
                                  const struct engine_column **ret, struct tn_error *err) TN_CHECKED;

/* Every live row of metadata->current whose key is one of `keys`: count times
 * as many cells as the schema has identifier columns, in their order. In no
 * order; a key without a row is simply not found. Each key stands there once.
 * Files whose bounds exclude all keys are not opened. Under the dataset's lock,
 * or while nobody writes. */
enum tn_code dataset_find_keys(struct lake *lake, const char *name, struct iceberg_metadata *metadata,
                               const struct engine_cell *keys, size_t count, dataset_found_fn *each, void *context,
                               struct tn_error *err) TN_CHECKED;
/* Every live row that meets the predicate: text from engine_guard_predicate,
 * or NULL for all rows. */
enum tn_code dataset_find_where(struct lake *lake, const char *name, struct iceberg_metadata *metadata,
                                const char *predicate, dataset_found_fn *each, void *context,
                                struct tn_error *err) TN_CHECKED;

/* A trusted SELECT of the version's rows with two more columns in front,
 * tarn_path VARCHAR and tarn_pos BIGINT: for set-wise work (upsert of a file,
 * compaction, changes between two versions). */
enum tn_code dataset_placed_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                const struct iceberg_snapshot *snapshot, struct tn_buf *out,
                                struct tn_error *err) TN_CHECKED;
/* The same of the files of a plan alone, or of a part of them: a copy of the
 * struct with fewer files will do. With the columns of `schema`. */
enum tn_code dataset_placed_files_sql(struct lake *lake, const struct iceberg_plan *plan,
                                      const struct iceberg_schema *schema, struct tn_buf *out,
                                      struct tn_error *err) TN_CHECKED;

/* What a column is called in staging files that are read by the places of their
 * rows: its name, or another one where the reader of files calls a place so. */
const char *dataset_staged_name(struct tn_arena *arena, const struct iceberg_field *field);
/* ", schema = MAP {...}" for read_parquet: the columns by their ids, under those names. */
void dataset_put_mapping(struct tn_arena *arena, const struct iceberg_schema *schema, struct tn_buf *out);

#endif
