/* Private: pruning, shared by planning and its tests. */
#ifndef TARN_ICEBERG_PLAN_INTERNAL_H
#define TARN_ICEBERG_PLAN_INTERNAL_H

#include "iceberg/table_internal.h"

/* True when no row of the file can satisfy all predicates. */
bool prune_file(const struct iceberg_schema *schema, const struct iceberg_predicate *predicates, size_t count,
                const struct iceberg_file *file);

#endif
