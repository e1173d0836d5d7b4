/* Inside journal. */
#ifndef TARN_JOURNAL_JOURNAL_INTERNAL_H
#define TARN_JOURNAL_JOURNAL_INTERNAL_H

#include "journal/journal.h"

#include <pthread.h>

/* schema.c: the columns of an event, in the order of enum journal_column. */
enum journal_column {
    COLUMN_EVENT_ID,
    COLUMN_TS,
    COLUMN_DATASET,
    COLUMN_ENTITY,
    COLUMN_OPERATION,
    COLUMN_FIELD,
    COLUMN_OLD_VALUE,
    COLUMN_NEW_VALUE,
    COLUMN_ACTOR,
    COLUMN_SOURCE,
    COLUMN_REASON,
    COLUMN_WORKSPACE,
    COLUMN_REQUEST_ID,
    COLUMN_SNAPSHOT_ID,
    COLUMN_SEQUENCE,
    COLUMN_ORDINAL,
    COLUMN_ROWS,
    COLUMN_TABLE_UUID,
    JOURNAL_COLUMNS,
};
const struct iceberg_schema *journal_schema(void) __attribute__((returns_nonnull));
/* "event_id, ts, ...", each with the prefix. */
void journal_put_columns(struct tn_buf *out, const char *prefix);
/* The same as whoever asks the journal sees them. */
void journal_put_answer(struct tn_buf *out);

#define JOURNAL_BATCHES  "journal/batches/"  /* <dataset>/<snapshot id>-<uuid>.parquet */
#define JOURNAL_FOREIGN  "journal/foreign/"  /* <table uuid>/<sequence>-<snapshot id>.parquet */
#define JOURNAL_INTENDED "journal/intended/" /* the same, of notes to be */
#define JOURNAL_TABLE    "journal/events"
#define TAIL_TABLE       "tarn_journal_tail"

/* batch.c: the events of a batch as a Parquet file. `sequence` is 0 in a batch
 * that commits with its snapshot, and its time is only nearly right: readers
 * take both from the snapshot, so that a moment means the same to the journal
 * and to the table. */
enum tn_code journal_batch_encode(const struct journal_batch *batch, const char *table_uuid, int64_t snapshot_id,
                                  int64_t sequence, int64_t time_us, struct tn_buf *out,
                                  struct tn_error *err) TN_CHECKED;
const char *journal_batch_key(const struct journal_batch *batch);

/* One batch that is not rolled yet. */
struct tail_batch {
    char *key;
    char uuid[TN_UUID_TEXT];
    int64_t sequence, snapshot_id;
    int64_t timestamp_ms; /* of the snapshot; 0: the file says it */
    uint64_t events;
    int64_t number;            /* its place in the tail table; 0: not there yet */
    struct journal_kept *kept; /* its events, while they are not there; or NULL */
};

/* kept.c: events in memory until they are in the tail table. */
#define JOURNAL_KEPT_BYTES ((size_t)16 << 20) /* of all batches together */
/* A copy of a batch's cells with what `entry` says of all of them; NULL when they are too many. */
struct journal_kept *journal_kept_new(const struct iceberg_bytes *cells, size_t count,
                                      const struct tail_batch *entry);
void journal_kept_free(struct journal_kept *kept);
size_t journal_kept_bytes(const struct journal_kept *kept);
/* Puts batches, all of them kept and numbered, into the tail table: all or none. */
enum tn_code journal_kept_insert(struct journal *journal, const struct tail_batch *batches, size_t count,
                                 struct tn_arena *arena, struct tn_error *err) TN_CHECKED;

/* What is rolled of one table. */
struct rolled_mark {
    char uuid[TN_UUID_TEXT];
    int64_t sequence;
    int64_t moved_ms; /* of `looked`: the newest move of main that is known to be noted */
};

/* A commit only appends to `tail`, so it waits for nothing but `mutex`, which
 * is never held while the engine or the store work. */
struct journal {
    struct store *store;
    struct catalog *catalog;
    struct engine *engine;
    struct iceberg_table table;
    int64_t grace_ms;        /* for how long what nothing names stays */
    pthread_mutex_t moving;  /* noting moves of main: who comes second finds them told; before `working` */
    pthread_rwlock_t noting; /* read: a note is made and listed; written: one that is not listed is swept */
    pthread_mutex_t telling; /* of foreign commits: who comes second finds them told; before `working` */
    pthread_mutex_t working; /* loading and rolling, one at a time; before `mutex` */
    bool scanned, tail_made;
    struct iceberg_metadata *events; /* the table's newest version; NULL: nothing was ever rolled */
    int64_t last_number;             /* the newest batch in the tail table */
    int64_t rolled_number;           /* batches up to it are in the events table */
    int64_t dropped_number;          /* and up to it not in the tail table any more */
    int64_t doubted_snapshot;        /* of a roll whose commit failed, perhaps only in telling; 0: none */
    int64_t doubted_number;          /* and up to which batch it went */
    pthread_mutex_t mutex;           /* everything below */
    struct tail_batch *tail;         /* in the order of their coming */
    size_t tail_count, tail_capacity;
    size_t kept_bytes;
    struct rolled_mark *marks;
    size_t mark_count, mark_capacity;
    struct rolled_mark *looked; /* how far foreign commits were looked for */
    size_t looked_count, looked_capacity;
    struct journal_mover *movers;
    char **doubts; /* datasets with commits that `tail` may lack */
    size_t doubt_count, doubt_capacity;
};

/* journal.c: how far was looked in a table; `mutex` held. */
struct rolled_mark *journal_looked_mark(struct journal *journal, const char *table_uuid);

/* tail.c */
/* "<uuid>/<sequence>-<snapshot id>.parquet" */
bool journal_parse_note(const char *name, struct tail_batch *ret);
/* Takes the entry's key and events over; an entry that is there already is ignored. */
void journal_tail_add(struct journal *journal, const struct tail_batch *entry);
bool journal_tail_has(struct journal *journal, const char *uuid, int64_t snapshot_id);
bool journal_tail_has_key(struct journal *journal, const char *key);
/* A commit of that dataset may have come to be without journal_batch_committed:
 * looked for before the journal is read or rolled the next time. */
void journal_tail_doubt(struct journal *journal, const char *dataset);
/* After a roll: what it brought leaves the list. */
void journal_tail_forget(struct journal *journal, int64_t number);
/* `working` held: finds what earlier processes left unrolled (once), and puts
 * the batches that are not there yet into the engine's table. */
enum tn_code journal_tail_load(struct journal *journal, struct tn_error *err) TN_CHECKED;

/* events.c: the table of rolled events. `working` held. */
#define JOURNAL_P_ROLLED "tarn.rolled." /* + table uuid: sequence number */
int64_t journal_mark(struct journal *journal, const char *uuid);
/* Takes the version and the marks in its properties. */
void journal_set_events(struct journal *journal, struct iceberg_metadata *metadata);
enum tn_code journal_plan(struct journal *journal, struct iceberg_plan **ret, struct tn_error *err) TN_CHECKED;
/* "['<path>', ...]" of all files of a plan. */
enum tn_code journal_put_files(struct journal *journal, const struct iceberg_plan *plan, struct tn_buf *out,
                               struct tn_error *err) TN_CHECKED;
/* Whether rolled events tell of that snapshot. */
enum tn_code journal_events_tell(struct journal *journal, const char *uuid, int64_t snapshot_id, bool *ret,
                                 struct tn_error *err) TN_CHECKED;

#endif
