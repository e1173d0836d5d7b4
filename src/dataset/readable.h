/* What of a table's schemas the reader of files cannot give back, told by name
 * before anything is read. Pure: no I/O, any thread.
 */
#ifndef TARN_DATASET_READABLE_H
#define TARN_DATASET_READABLE_H

#include "iceberg/iceberg.h"

/* Tarn wrote the file with exactly that schema: its columns need no mapping. */
bool dataset_file_is_as_is(const struct iceberg_file *file, int32_t schema_id);

/* TN_EUNSUPPORTED: a type that Tarn does not read, a column without a name, or a
 * field inside of a struct that files of the plan know by another name. */
enum tn_code dataset_check_readable(const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                                    struct tn_error *err) TN_CHECKED;

#endif
