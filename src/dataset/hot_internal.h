/* hot_internal.h: what the parts of the hot cache share. Private to dataset.
 *
 *   hot.c        which copies there are, who reads them, how much they take
 *   hot_fill.c   from files to tables
 *   hot_tables.c how their rows lie in the engine
 *   hot_places.c where the rows of files lie in a table
 *   hot_queue.c  commits wait, until a reader wants their version
 *   hot_follow.c changes become rows of the delta and bits
 *   hot_keys.c   rows by key, for writers
 *
 * Locks: hot->mutex guards the list of copies, their state, queues and versions,
 * the figures, and the lists of files in tables. A table that is shown grows
 * only under its `growing`; its keys change only under the dataset's lock.
 * hot->fill_mutex lets one filling run at a time. Order: fill_mutex, then the
 * dataset's lock, then growing, then mutex; no SQL runs under mutex.
 */
#ifndef TARN_DATASET_HOT_INTERNAL_H
#define TARN_DATASET_HOT_INTERNAL_H

#include "dataset/cells.h"
#include "dataset/dataset_internal.h"
#include "dataset/hot.h"
#include "dataset/hot_keys.h"

#include <pthread.h>

#define HOT_VERSIONS 16

/* A data file whose rows are in a table: row `pos` of it is row pos + offset
 * of the table, unless rows were deleted from it before it was read or a
 * compaction wrote it: then it has runs (hot_places.c). */
struct hot_file {
    const char *path;
    int64_t offset;
    bool dense, delta;
    size_t first_run, run_count;
};

/* Two tables of the engine, counted: the base, in a database of its own, and the delta. */
struct hot_table {
    atomic_size_t references;
    bool made; /* they may be there */
    struct dataset_hot *hot;
    struct engine *engine;
    uint64_t serial, bytes, rows, delta_rows, gone_rows;
    uint64_t row_bytes;  /* of a row of the delta; 0: not known */
    uint64_t *different; /* by field: how many texts its dictionary in the base has, about; 0: it has none */
    int32_t schema_id;
    struct tn_arena *arena;
    const struct iceberg_schema *schema; /* a copy; the arena's */
    struct hot_file *files;
    size_t file_count, file_capacity;
    uint32_t *slots; /* of files by path; file + 1, 0: free */
    size_t slot_count;
    struct hot_run *runs; /* of files with gaps, file by file */
    size_t run_count, run_capacity;
    size_t moved_runs; /* of files that came from compactions since the filling */
    pthread_mutex_t growing;
    struct hot_keys *keys; /* NULL: none */
    int64_t keys_snapshot; /* whose rows they are */
    uint64_t keys_bytes;   /* of `bytes` */
};

/* One version, in numbers; what readers hold. */
struct hot_version {
    struct engine_hold hold;
    struct hot_table *table;
    int64_t snapshot_id;
    uint64_t number;
    struct engine_bitmap *gone, *gone_delta; /* NULL: nothing is gone; no delta */
    uint64_t gone_id, delta_id;              /* 0: none */
    uint64_t delta_rows;
};

/* A change that is to be done to a table; immutable once it is queued. */
struct hot_pending {
    int64_t before_id, after_id;
    bool followable;
    struct tn_arena *arena;
    struct dataset_change change;
    struct hot_pending *next;
};

struct hot_queue {
    struct hot_pending *first, *last;
    size_t count, rows;
};

struct hot_copy {
    char *name, *uuid;
    bool pinned, filling;
    bool let_go;              /* evicted since a filling was asked for last */
    bool wants_keys, no_room; /* a writer asked for keys; there was no room for them */
    bool catching_up;         /* a job for it is under way */
    uint64_t used;            /* the clock at its last use */
    uint64_t window_ns;       /* when counting of uses began */
    uint64_t retry_ns;        /* not before then is it filled in the background */
    size_t uses;              /* in the window */
    struct hot_table *table;
    struct hot_version *versions[HOT_VERSIONS]; /* newest last */
    size_t version_count;
    struct hot_queue queued;  /* behind the newest version, in their order */
    struct hot_queue pending; /* since the filling under way began */
    struct hot_copy *next;
};

struct dataset_hot {
    pthread_mutex_t mutex, fill_mutex;
    pthread_cond_t idle;
    size_t running; /* fillings, queued ones too */
    bool closing;
    uint64_t clock, serial;
    struct hot_copy *copies;
    struct dataset_hot_state state;
};

/* hot.c; the first four under the mutex. */
struct hot_copy *hot_find(struct dataset_hot *hot, const char *name);
/* The newest version, or NULL. */
struct hot_version *hot_newest(const struct hot_copy *copy);
/* Takes the version over. */
void hot_publish(struct hot_copy *copy, struct hot_version *version);
/* Takes the copy's table and versions out: to be let go without the mutex. */
struct hot_dropped {
    struct hot_table *table;
    struct hot_queue queued;
    struct hot_version *versions[HOT_VERSIONS];
    size_t count;
};
struct hot_dropped hot_take_out(struct hot_copy *copy);
void hot_let_go(struct hot_dropped *dropped);
/* Frees room for `bytes`, others' copies first; false when there is not enough. */
bool hot_make_room(struct dataset_hot *hot, const struct hot_copy *keep, uint64_t bytes);
/* Fills in the background unless that is under way already. */
void hot_start_filling(struct lake *lake, const char *name);
/* Under the mutex: does in the background what is queued. */
void hot_start_catching_up(struct lake *lake, struct hot_copy *copy);
/* Corrects what the table is said to take. Not under the mutex. */
void hot_count_keys(struct hot_table *table);

struct hot_table *hot_table_new(struct dataset_hot *hot, struct engine *engine, const struct iceberg_schema *schema)
    __attribute__((returns_nonnull));
void hot_table_unref(struct hot_table *table);
TN_DEFINE_CLEANUP(struct hot_table, hot_table_unref)
/* Under the mutex. Returns its number. */
size_t hot_table_add_file(struct hot_table *table, const char *path, int64_t offset, bool dense, bool delta);
/* The file's number, or SIZE_MAX. */
size_t hot_table_find_file(const struct hot_table *table, const char *path);
/* Numbers the bitmaps, which it takes over; holds the table. */
struct hot_version *hot_version_new(struct hot_table *table, int64_t snapshot_id, struct engine_bitmap *gone,
                                    struct engine_bitmap *gone_delta, uint64_t delta_rows)
    __attribute__((returns_nonnull));

/* The names of the tables, quoted and qualified. The base lies in a database of its own. */
#define HOT_DATABASE "\"hot:%llu\""
#define HOT_BASE     HOT_DATABASE ".main.base"
#define HOT_DELTA    "memory.main.\"hot:%llu+\""

/* Of a table however few its rows are. */
#define HOT_TABLE_BYTES 65536

/* hot_tables.c: makes and fills the tables. `select` gives the schema's columns,
 * tarn_file and tarn_pos in front; it is read up to three times. `rows` is how
 * many it will be at most. */
enum tn_code hot_tables_create(struct hot_table *table, const char *select, uint64_t rows,
                               struct tn_error *err) TN_CHECKED;
void hot_tables_drop(const struct hot_table *table);
/* What the filled base takes, counted by its values, and a row of the delta (table->row_bytes).
 * `rows` as above. *bytes stays as it is where values are nested too deep for that. */
enum tn_code hot_tables_measure(struct hot_table *table, uint64_t rows, uint64_t *bytes,
                                struct tn_error *err) TN_CHECKED;

/* The version as a reader holds it; NULL when it is not there. Unlike
 * dataset_hot_version it gives no text. */
struct hot_version *hot_hold(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                             const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema);
/* hot_fill.c: fills now, on this thread. */
enum tn_code hot_fill(struct lake *lake, const char *name, struct tn_error *err) TN_CHECKED;

/* hot_places.c: reads from the filled table where the rows of its files lie, and how many there are. */
enum tn_code hot_places_read(struct hot_table *table, struct tn_error *err) TN_CHECKED;
/* What that takes in memory. */
uint64_t hot_places_bytes(const struct hot_table *table);
/* Which row of which table. */
struct hot_row {
    int64_t number;
    bool delta;
};
/* The row that holds row `pos` of a file; false: it had been deleted before the table was filled. */
bool hot_places_find(const struct hot_table *table, const struct hot_file *file, int64_t pos,
                     struct hot_row *ret) TN_CHECKED;
/* The rows at `from` lie in the file `to` now, in this order. */
void hot_places_move(struct hot_table *table, const struct dataset_place *from, size_t count, const char *to);

/* hot_follow.c: does the changes from `first` to `last` to the table of `from`; the
 * versions behind the newest of them, at most HOT_VERSIONS, oldest first. Alone
 * with the table, or under its `growing`. */
enum tn_code hot_apply(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                       const struct hot_version *from, const struct hot_pending *first,
                       const struct hot_pending *last, struct hot_version *versions[HOT_VERSIONS], size_t *ret_count,
                       struct tn_error *err) TN_CHECKED;
/* Whether so much has changed that the table should be filled anew. */
bool hot_is_worn(const struct hot_table *table);

/* hot_queue.c. The first three under the mutex. Appends a copy of the change, which may be NULL. */
void hot_queue_add(struct hot_queue *queue, const struct iceberg_metadata *before,
                   const struct iceberg_metadata *after, const struct dataset_change *change);
/* Whether tables learn where a compaction moved rows; else they must be filled anew. */
bool hot_follows_move(const struct dataset_change *change);
/* Whether the newest version can become that of a snapshot. */
bool hot_is_queued(const struct hot_copy *copy, const struct iceberg_metadata *metadata, int64_t snapshot_id);
void hot_queue_clear(struct hot_queue *queue);
/* Does to the copy's table what is queued, up to a snapshot, which the metadata
 * has. Returns when that is done, whoever did it. */
void hot_catch_up(struct lake *lake, const char *name, const struct iceberg_metadata *metadata, int64_t snapshot_id);

#endif
