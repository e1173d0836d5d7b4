/* changes.h: between changes.c, changes_call.c and foreign.c. Private to dataset. */
#ifndef TARN_DATASET_CHANGES_H
#define TARN_DATASET_CHANGES_H

#include "dataset/dataset_internal.h"
#include "dataset/find.h"
#include "dataset/moment.h"

/* A SELECT of what differs between two states: change, then the columns' new
 * values, then their old ones. *ret_hold, the caller's, holds what it reads;
 * NULL when neither state was told from the journal. */
enum tn_code changes_wide_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                              const struct moment_state *from, const struct moment_state *to,
                              const struct iceberg_schema *schema, struct tn_buf *out, struct engine_hold **ret_hold,
                              struct tn_error *err) TN_CHECKED;

/* The same as a table: `change` (insert, update, delete), the columns with their
 * new values (of a delete the old ones), `before` with the old values as a struct
 * (NULL for an insert). Files that both states have are not read; rows that were
 * only moved do not show. Without a key, an update is a delete and an insert. The
 * arena's. */
enum tn_code changes_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                         const struct moment_state *from, const struct moment_state *to, struct tn_arena *arena,
                         const char **ret, struct engine_hold **ret_hold, struct tn_error *err) TN_CHECKED;

#endif
