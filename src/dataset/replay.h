/* replay.h: between the two files of replay. Private to dataset. */
#ifndef TARN_DATASET_REPLAY_H
#define TARN_DATASET_REPLAY_H

#include "dataset/dataset_internal.h"
#include "journal/journal.h"

/* Makes the table of what changed after `from` up to that sequence number, and
 * appends the SELECT that applies it. */
enum tn_code replay_build(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                          const struct iceberg_snapshot *from, int64_t to_sequence, const char *table,
                          struct tn_buf *out, struct tn_error *err) TN_CHECKED;

#endif
