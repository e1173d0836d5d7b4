/* journal: who changed what, when, from what to what, and why.
 *
 * Every commit of a dataset carries its own evidence: a batch of events, an
 * object made durable in the same commit, named in the snapshot's summary
 * (JOURNAL_S_BATCH). No snapshot, no events; no events, no snapshot. Writes of
 * rows have one event for each changed field; ingest, replace, restore have one
 * for the whole commit, with counts and the content's hash. Commits of foreign engines are
 * journaled after the fact (source "iceberg client").
 *
 * Batches are rolled in the background into an Iceberg table of the journal's
 * own, journal/events, sorted by dataset, entity and sequence; rolling
 * drops nothing. The SQL table `journal` is that table and the batches that are
 * not rolled yet. docs/formats/journal.md tells what lies where.
 *
 * An event's place in the order of all changes of a dataset is (sequence,
 * ordinal): the sequence number of its snapshot and its place in the batch.
 * The journal outlives snapshots, and with an older snapshot it gives back the
 * rows of every later moment (dataset's replay).
 *
 * Threads: any. Ownership: as usual; texts of events are borrowed for the call.
 */
#ifndef TARN_JOURNAL_JOURNAL_H
#define TARN_JOURNAL_JOURNAL_H

#include "base/base.h"
#include "catalog/catalog.h"
#include "engine/engine.h"

struct journal;

#define JOURNAL_S_BATCH  "tarn.journal"        /* key of the batch in the bucket */
#define JOURNAL_S_EVENTS "tarn.journal-events" /* how many events it has */
#define JOURNAL_S_ROWS                                                                                               \
    "tarn.journal-rows" /* "1": every changed row has its events, so the commit can be replayed                      \
                         */

/* Operations: "insert" (new_value: the row as JSON), "update" (one for each
 * field: old_value and new_value as JSON), "delete" (old_value: the row), for
 * rows; "ingest", "replace", "restore", "schema", "compact" for whole commits
 * (new_value: JSON with counts, hash and source); "drop", "expire", "describe",
 * "rename", "create", "alter", "rollback", "namespace.create", "namespace.update",
 * "namespace.drop", "index.create", "index.drop", "tag.set" and "tag.drop" for what is no commit of rows
 * (journal_note). A "rollback" made an older state the current one (new_value: its snapshot_id and sequence). */
struct journal_event {
    const char *entity; /* the key as text; several columns: a JSON array; NULL: no key, or the whole dataset */
    size_t entity_length;
    const char *operation;
    const char *field;     /* update: the column; of a tag: its name */
    const char *old_value; /* JSON text or NULL */
    size_t old_length;
    const char *new_value;
    size_t new_length;
    uint64_t rows; /* for whole commits: how many rows it concerns */
    /* Of the request that did it. */
    const char *actor, *source, *reason, *workspace, *request_id;
};

/* A batch in the making, for one commit of one dataset. */
struct journal_batch;
struct journal_batch *journal_batch_new(const char *dataset) __attribute__((returns_nonnull));
void journal_batch_free(struct journal_batch *batch);
TN_DEFINE_CLEANUP(struct journal_batch, journal_batch_free)
/* Copies. Gives the event an id and the time of the commit. */
void journal_batch_add(struct journal_batch *batch, const struct journal_event *event);
size_t journal_batch_count(const struct journal_batch *batch);
/* Puts the batch's object into the transaction's store batch and its name into
 * the summary. `replayable`: every row that the commit changes has its events.
 * Once per attempt (a rebase keeps it). An empty batch does nothing. */
enum tn_code journal_batch_attach(struct journal_batch *batch, struct iceberg_tx *tx, bool replayable,
                                  struct tn_error *err) TN_CHECKED;
/* After the commit and still under the dataset's lock, so that batches come in
 * the order of their snapshots: the events become part of `journal` at once.
 * NULL for `committed`: the commit failed, perhaps only in telling that it came
 * to be, so the journal looks for itself. Never fails; `journal` may be NULL. */
void journal_batch_committed(struct journal *journal, struct journal_batch *batch,
                             const struct iceberg_metadata *committed);

/* ---- the lake's journal ---------------------------------------------------- */

enum tn_code journal_open(struct store *store, struct catalog *catalog, struct engine *engine, struct journal **ret,
                          struct tn_error *err) TN_CHECKED;
void journal_close(struct journal *journal);
/* For how long an object that nothing names any more stays (a query may still
 * read it): 10 minutes, or less if told so before other threads come. */
void journal_shorten_grace(struct journal *journal, int64_t grace_ms);
TN_DEFINE_CLEANUP(struct journal, journal_close)

/* The relation behind `FROM journal` in a query of `reader`, the journal's own
 * engine or another one, which then gets files alone: the columns of
 * docs/formats/journal.md. Predicates leave out files. Reads of other engines' commits that are not
 * journaled yet are the caller's concern. */
enum tn_code journal_relation(struct journal *journal, struct engine *reader, const struct engine_table_ref *ref,
                              struct tn_arena *arena, struct engine_relation *ret, struct tn_error *err) TN_CHECKED;
/* The engine that it works with: where work belongs that is not a query's own. */
struct engine *journal_engine(const struct journal *journal) __attribute__((returns_nonnull));

/* The events of one dataset with from < sequence <= to, ordered by (sequence,
 * ordinal), for replay; by the table's uuid, which a new name does not change.
 * TN_ESNAPSHOT when somebody went back to an older state in between and stayed
 * there: the commits do not follow from each other then. */
struct journal_row {
    int64_t sequence;
    const char *entity, *operation, *field, *old_value, *new_value; /* NULL where there is none */
    size_t entity_length; /* U+0000 may be in it; the others are JSON, or words */
};
typedef enum tn_code journal_row_fn(void *context, const struct journal_row *row, struct tn_error *err);
enum tn_code journal_events(struct journal *journal, const char *table_uuid, int64_t from, int64_t to,
                            journal_row_fn *each, void *context, struct tn_error *err) TN_CHECKED;

/* Of events of commits that another engine made on a branch other than main: they
 * are no part of the dataset's own past. */
#define JOURNAL_BRANCH "iceberg branch"

/* What the journal knows of a moment of a table: its newest event on main at or before
 * a time, or, with a snapshot id, the events of that snapshot (then the time is
 * not looked at). TN_ENOTFOUND when there is none. */
struct journal_place {
    int64_t sequence; /* of the state that was current then */
    bool back;        /* somebody had made an older state the current one again ("rollback") */
};
enum tn_code journal_moment(struct journal *journal, const char *table_uuid, int64_t time_us, int64_t snapshot_id,
                            struct journal_place *ret, struct tn_error *err) TN_CHECKED;

/* Journals a commit that somebody else made: `batch` holds its events. Durable
 * on return; a second call for the same snapshot does nothing. */
enum tn_code journal_add_foreign(struct journal *journal, struct journal_batch *batch,
                                 const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot,
                                 struct tn_error *err) TN_CHECKED;
/* Journals what is no commit of rows, all events with one place: `sequence` is
 * that of the table's newest commit. `dataset` may be a namespace, then without
 * a uuid. Durable on return. Without a journal nothing happens. */
enum tn_code journal_note(struct journal *journal, const char *dataset, const char *table_uuid, int64_t sequence,
                          const struct journal_event *events, size_t count, struct tn_error *err) TN_CHECKED;
/* Journals as "rollback" where main was pointed at a snapshot without a commit,
 * as the table's log shows it and with the log's time. Each such entry once, so
 * it may be called by whoever moved it (`by`: actor, request_id; NULL: nobody
 * knows) and again before entries leave the log, which makes up for a note
 * that a crash lost. Durable on return. */
enum tn_code journal_note_moves(struct journal *journal, const char *dataset, const struct iceberg_metadata *metadata,
                                const struct journal_event *by, struct tn_error *err) TN_CHECKED;
/* Whoever is about to move main says so before, and that it is over after it noted it: upkeep, which may come in
 * between, then knows who it was. What the mover names stays until then. */
struct journal_mover {
    const char *dataset;
    int64_t snapshot_id;     /* where to */
    struct journal_event by; /* actor, request_id */
    struct journal_mover *next;
};
void journal_moving(struct journal *journal, struct journal_mover *mover);
void journal_moved(struct journal *journal, const struct journal_mover *mover);
/* The same for a change that a crash must not leave without its note: say it
 * before (durable on return), then make the change, then note it. What a process
 * that died between left behind is settled by journal_resume: the note is
 * written when the state of the dataset shows that the change was made. For
 * "drop", "rename" (then under the old name), and "describe", "tag.set" and "tag.drop", whose events
 * have `field` and old_value, and get their new_value from the dataset. */
struct journal_intent {
    char uuid[TN_UUID_TEXT];
    int64_t sequence, number; /* number 0: nothing is intended */
};
enum tn_code journal_intend(struct journal *journal, const char *dataset, const char *table_uuid, int64_t sequence,
                            const struct journal_event *events, size_t count, struct journal_intent *ret,
                            struct tn_error *err) TN_CHECKED;
/* After the change, or, with count 0, when it was not made. Durable on return. */
enum tn_code journal_note_intended(struct journal *journal, const char *dataset, const struct journal_intent *intent,
                                   const struct journal_event *events, size_t count, struct tn_error *err) TN_CHECKED;
/* Once, by the process that writes, before anybody changes anything. An intent that
 * cannot be read is logged and stays. */
enum tn_code journal_resume(struct journal *journal, struct tn_error *err) TN_CHECKED;
/* A note of people's about a dataset (the property "tarn.<member>") as JSON. */
void journal_put_described(struct tn_buf *out, const struct iceberg_metadata *metadata, const char *member);
/* The snapshot that a tag or branch points to as JSON, null where there is none. */
void journal_put_tag(struct tn_buf *out, const struct iceberg_metadata *metadata, const char *name);
/* Whether a snapshot of a dataset has its events: its own batch, or journal_add_foreign's. */
bool journal_has(struct journal *journal, const struct iceberg_metadata *metadata,
                 const struct iceberg_snapshot *snapshot);

/* Up to which sequence number somebody has looked for foreign commits of a
 * table; kept in memory, so that nobody looks twice. Setting never lowers it. */
int64_t journal_looked_to(struct journal *journal, const char *table_uuid);
void journal_set_looked(struct journal *journal, const char *table_uuid, int64_t sequence);

/* Whether all events up to that sequence number are rolled: only then may their
 * snapshots be forgotten. */
int64_t journal_rolled_to(struct journal *journal, const char *table_uuid);
/* Rolls what is unrolled when there is enough of it, or all with `force`;
 * removes batch objects that were rolled a grace time ago. For upkeep. */
enum tn_code journal_roll(struct journal *journal, bool force, struct tn_error *err) TN_CHECKED;

struct journal_state {
    uint64_t batches, events; /* not rolled yet */
    uint64_t rolled_events, rolled_files;
};
struct journal_state journal_state(struct journal *journal);

#endif
