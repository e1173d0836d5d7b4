/* changes.h: between changes.c and foreign.c. Private to dataset. */
#ifndef TARN_DATASET_CHANGES_H
#define TARN_DATASET_CHANGES_H

#include "dataset/dataset_internal.h"
#include "dataset/find.h"

/* A SELECT of what differs: change, then the columns' new values, then their
 * old ones. */
enum tn_code changes_wide_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                              const struct iceberg_snapshot *from, const struct iceberg_snapshot *to,
                              const struct iceberg_schema *schema, struct tn_buf *out,
                              struct tn_error *err) TN_CHECKED;

#endif
