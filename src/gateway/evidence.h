/* evidence.h: journals what a request did that was no commit of rows. Private to
 * gateway.
 *
 * The change is made by then and is answered as made; evidence that cannot be
 * written is logged as an error, for whoever looks after the lake. A drop, a
 * rename and a description are announced before, so that a crash between loses no
 * note: what is announced is noted or taken back.
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
                       const struct iceberg_metadata *after, const json_t *patch, const char *reason,
                       const struct journal_intent *intent);
void evidence_dropped(struct request *request, const char *dataset, const struct journal_intent *intent,
                      const char *reason);
/* `dataset` is its new name. */
void evidence_renamed(struct request *request, const char *dataset, const struct journal_intent *intent,
                      const json_t *old_name, const json_t *new_name);

/* Before the change; durable on return. `now` is the dataset as it is. */
enum tn_code evidence_intend_drop(struct request *request, const char *dataset, const struct iceberg_metadata *now,
                                  const char *reason, struct journal_intent *ret, struct tn_error *err) TN_CHECKED;
enum tn_code evidence_intend_describe(struct request *request, const char *dataset,
                                      const struct iceberg_metadata *now, const json_t *patch, const char *reason,
                                      struct journal_intent *ret, struct tn_error *err) TN_CHECKED;
/* `dataset` is its old name. */
enum tn_code evidence_intend_rename(struct request *request, const char *dataset, const struct iceberg_metadata *now,
                                    const json_t *old_name, const json_t *new_name, struct journal_intent *ret,
                                    struct tn_error *err) TN_CHECKED;
/* The change failed, and why. */
void evidence_take_back(struct request *request, const char *dataset, const struct journal_intent *intent,
                        enum tn_code why);

/* Before a dataset goes, or another engine forgets snapshots of it: all that
 * happened is told and rolled, for the snapshots name what is not. */
enum tn_code evidence_settle(struct request *request, const char *dataset, struct tn_error *err) TN_CHECKED;

/* What another engine changed besides rows: the schema, properties, refs, which
 * state is the current one. `change` is committed, `after` what it made. */
void evidence_changed(struct request *request, const struct iceberg_change *change,
                      const struct iceberg_metadata *after);
/* Before it is committed: does it move main? Then whoever notes that first knows who did. The end of it: NULL is
 * fine. */
struct journal_mover *evidence_moving(struct request *request, const struct iceberg_change *change);
void evidence_moved(struct request *request, const struct journal_mover *mover);
/* Does it forget snapshots? */
bool evidence_forgets(const struct iceberg_change *change);

#endif
