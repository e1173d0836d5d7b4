/* evidence.h: journals what a request did that was no commit of rows. Private to
 * gateway.
 *
 * The change is made by then and is answered as made; evidence that cannot be
 * written is logged as an error, for whoever looks after the lake.
 */
#ifndef TARN_GATEWAY_EVIDENCE_H
#define TARN_GATEWAY_EVIDENCE_H

#include "gateway/gateway_internal.h"
#include "journal/journal.h"

/* One event about a dataset; `metadata` is a version of it, NULL for a
 * namespace. Values are borrowed, may be NULL and then say nothing. */
void evidence_note(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                   const char *operation, const json_t *old_value, const json_t *new_value, const char *reason);
/* A PATCH of a dataset's notes: one event for each member of `patch`, with what
 * stood there before. */
void evidence_describe(struct request *request, const char *dataset, const struct iceberg_metadata *before,
                       const struct iceberg_metadata *after, const json_t *patch, const char *reason);

/* Before a dataset goes, or another engine forgets snapshots of it: all that
 * happened is told and rolled, for the snapshots name what is not. */
enum tn_code evidence_settle(struct request *request, const char *dataset, struct tn_error *err) TN_CHECKED;

/* What another engine changed besides rows: the schema, properties, refs, which
 * state is the current one. `change` is committed, `after` what it made. */
void evidence_changed(struct request *request, const struct iceberg_change *change,
                      const struct iceberg_metadata *after);
/* Does it forget snapshots? */
bool evidence_forgets(const struct iceberg_change *change);

#endif
