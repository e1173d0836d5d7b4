/* named.h: data files that tell their columns by name alone. Private to dataset. Threads: any. */
#ifndef TARN_DATASET_NAMED_H
#define TARN_DATASET_NAMED_H

#include "dataset/dataset.h"

/* Engines may take Parquet files into a table as they lie (PyIceberg's add_files,
 * Spark's migrate): such files have no field ids. The table's property
 * schema.name-mapping.default says which column a name in them means. What a
 * file's columns are called is remembered, because files never change. */
struct dataset_named;
struct dataset_named *dataset_named_new(void) __attribute__((returns_nonnull));
void dataset_named_free(struct dataset_named *named);

/* For each file of the plan what read_parquet has to be told to find the columns of
 * `schema` by their names, ", schema = MAP {...}", or NULL for a file with field
 * ids. Equal texts are one pointer; the arena's. *ret is NULL when no file
 * needs one: always where the table has no such property. A column that is not
 * in a file has the value of the file's partition, or none. */
enum tn_code dataset_named_mappings(struct lake *lake, const struct iceberg_plan *plan,
                                    const struct iceberg_schema *schema, struct tn_arena *arena, const char ***ret,
                                    struct tn_error *err) TN_CHECKED;

/* TN_EUNSUPPORTED, naming the file, when columns of the plan's files can be told neither by
 * ids nor by a mapping. Such columns read as NULL, as the format says; who
 * would write them down anew asks here first. */
enum tn_code dataset_named_require(struct lake *lake, const char *dataset, const struct iceberg_plan *plan,
                                   struct tn_error *err) TN_CHECKED;

#endif
