/* partition.h: new rows by the partitions of the table. Private to dataset.
 *
 * A table that another engine made may be partitioned; each data file then holds
 * rows of one partition. New rows are of the default spec; files keep the spec
 * that they were written with. One commit touches a bounded number of
 * partitions, and writes one file for each.
 */
#ifndef TARN_DATASET_PARTITION_H
#define TARN_DATASET_PARTITION_H

#include "dataset/cells.h"

#define PARTITIONS_MAX 1000 /* of one commit: each is a file */

/* Whether rows can be written into the table: TN_EUNSUPPORTED names the
 * partition field that stands in the way. */
enum tn_code partition_check(const struct iceberg_metadata *metadata, struct tn_error *err) TN_CHECKED;

/* Rows of one partition, in the order that they were given. */
struct partition_rows {
    const struct iceberg_bytes *values; /* one for each field of the spec */
    const struct engine_cell **rows;
    size_t count;
};
/* In the arena; the values borrow from the rows. TN_ETOOLARGE for more than
 * PARTITIONS_MAX, here and below. */
enum tn_code partition_rows(struct tn_arena *arena, const struct iceberg_spec *spec, const struct cells_shape *shape,
                            const struct engine_cell *const *rows, size_t count, struct partition_rows **ret,
                            size_t *ret_count, struct tn_error *err) TN_CHECKED;

/* The rows of a trusted SELECT of the schema's columns, however many, into one
 * staging file for each partition; `each` is handed them one after the other
 * and unlinks what it does not keep. `values` and `stats` live as long as the
 * arena. */
typedef enum tn_code partition_file_fn(void *context, const char *local_path, const struct iceberg_bytes *values,
                                       const struct engine_file_stats *stats, struct tn_error *err);
enum tn_code partition_select(struct lake *lake, struct tn_arena *arena, const struct iceberg_spec *spec,
                              const struct iceberg_schema *schema, const char *select, partition_file_fn *each,
                              void *context, struct tn_error *err) TN_CHECKED;

#endif
