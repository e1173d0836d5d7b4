/* Inside index.
 *
 *   service.c      which indexes there are; create, build
 *   drop.c         an index that goes; describe.c: one described
 *   definition.c   index.json: read, written, checked
 *   files.c        the working files of an index, opened when first needed
 *   docs.c         documents to chunks, in memory
 *   identity.c     which dataset that is, whatever it is called by now
 *   read.c         the dataset as documents: SQL texts
 *   recent.c       what small writes changed, out of memory
 *   table.c        the vectors table: rows in, rows out
 *   batch.c        chunks embedded and written, all places in step
 *   walk.c         build and catch-up: what changed, cut into chunks
 *   resync.c       working files brought in line with the vectors table
 *   changed.c      documents that changed since the snapshot that the index shows
 *   allow.c        which chunks a search may return: filter and freshness
 *   follow.c       a thread that commits wake; auto.c: and for datasets without an index
 *   ahead.c        lists of frequent words, made before they are asked for
 *   search.c       the legs, fused
 *   answer.c       hits with texts, as JSON
 *   trial.h        how an index is tuned: trials, promotion, generations
 *
 * Locks of an index: `work` is held by whoever changes it, one at a time;
 * `gate` is held for reading by every search, for writing while the working
 * files are replaced. Order: work, gate, then the small ones.
 */
#ifndef TARN_INDEX_INDEX_INTERNAL_H
#define TARN_INDEX_INDEX_INTERNAL_H

#include "document/document.h"
#include "index/chunk_file.h"
#include "index/index.h"
#include "index/keyword.h"
#include "vector/vector.h"

#include <pthread.h>
#include <stdatomic.h>

#define LISTS_BYTES         ((size_t)48 << 20) /* of words' lists, of each index */
#define LISTS_BYTES_ON_DISK ((size_t)4 << 20)
#define BACKEND_HNSW        "hnsw"
#define BACKEND_DISK        "disk" /* searched in its mapped files */
#define BATCH_CHUNKS        512
#define BATCH_BYTES         ((size_t)8 << 20)

/* ---- definition.c ------------------------------------------------------------ */

/* What was chosen for a generation, by a trial; 0: nothing, so as it comes. */
struct tuned {
    uint64_t generation, trial;
    uint32_t degree, ef_construction, ef, code_bits;
    bool half; /* raw vectors are kept as float16 */
    double recall_target, recall;
};

struct definition {
    struct tn_arena *arena;      /* all texts */
    const char *name, *table;    /* table: <name>__vectors */
    const char *_Atomic dataset; /* by the name that it has now; identity.c */
    const char *_Atomic uuid;    /* the dataset's; NULL: not known yet */
    const char *const *columns;
    size_t column_count;
    const char *vector_column;   /* or NULL */
    const char *model, *version; /* "" for given vectors */
    const char *document_prefix;
    uint32_t dimension, chunk_size, chunk_overlap;
    const char *backend, *actor;
    double recall_target;
    int64_t created_us;
    struct tuned tuned[2]; /* of the active generation, and of the one before */
};
/* Checks, fills in what was left open. The arena's. */
enum tn_code definition_make(struct index_service *service, const struct index_definition *wanted, const char *actor,
                             struct tn_arena *arena, struct definition *ret, struct tn_error *err) TN_CHECKED;
void definition_write(const struct definition *definition, struct tn_buf *out);
enum tn_code definition_read(const char *text, size_t length, const char *what, struct tn_arena *arena,
                             struct definition *ret, struct tn_error *err) TN_CHECKED;

/* ---- docs.c ---------------------------------------------------------------------- */

/* Documents by id and their chunks. Its own lock. */
struct docs;
struct docs *docs_new(void) __attribute__((returns_nonnull));
void docs_free(struct docs *docs);
TN_DEFINE_CLEANUP(struct docs, docs_free)
void docs_add(struct docs *docs, const char *doc_id, size_t length, int64_t chunk);
void docs_remove(struct docs *docs, const char *doc_id, size_t length, int64_t chunk);
/* Calls for each chunk of the document. */
void docs_each(struct docs *docs, const char *doc_id, void (*each)(void *context, int64_t chunk), void *context);
uint64_t docs_count(struct docs *docs);  /* documents with a chunk */
uint64_t docs_chunks(struct docs *docs); /* chunks */

/* ---- an index ----------------------------------------------------------------------- */

#define READERS_KEPT 64
struct reader {
    struct keyword_reader *words;     /* NULL until they are asked for */
    struct vector_searcher *searcher; /* NULL until there are vectors */
};

/* allow.c: chunks that may be returned, one bit each. */
struct allowed {
    atomic_size_t references;
    uint64_t matches, bit_count;
    uint8_t bits[];
};
void allowed_unref(struct allowed *allowed);
TN_DEFINE_CLEANUP(struct allowed, allowed_unref)

#define ALLOWED_KEPT 32
struct allowed_entry {
    char *predicate;
    int64_t applied, current;
    int32_t schema_id;
    uint64_t epoch, used;
    struct allowed *allowed;
};
struct allowed_kept {
    struct allowed_entry entries[ALLOWED_KEPT];
    size_t count;
    uint64_t clock;
};

struct logical {
    struct index_service *service;
    atomic_size_t references;
    atomic_bool dropped;
    volatile bool halted; /* what the model is asked when it is dropped or the service stops: see model_call.cancel */
    struct definition definition;
    char *folder;
    struct tuning *tuning; /* trial.h */

    pthread_mutex_t work;
    struct keyword_writer *words; /* under work */
    pthread_mutex_t problem_lock;
    char problem[400]; /* under it: why the last try to catch up failed; empty: it did not */

    pthread_rwlock_t gate;
    atomic_bool open;
    atomic_bool synced;          /* the files show the table */
    pthread_mutex_t opened_lock; /* with the next: who opens them tells of its end */
    pthread_cond_t opened;
    struct chunk_file *chunks;
    bool texts_stay; /* under work: chunks could not be written anew */
    struct keyword_lists *lists;
    struct vector_index *_Atomic vectors; /* NULL until the first chunk */
    struct docs *_Atomic docs;            /* filled when first needed */
    pthread_mutex_t docs_lock;            /* of that filling */
    _Atomic int64_t applied;              /* the dataset's snapshot that the index shows; 0: none */
    _Atomic int64_t begun; /* the dataset's snapshot when the first walk of an empty index began; 0: not known */
    _Atomic int64_t next_chunk;
    _Atomic int64_t looked_ahead; /* what it was when lists of words were made last; ahead.c */
    _Atomic uint64_t epoch; /* grows when other chunks are there of rows that did not change, and with `applied` */
    atomic_bool working;
    _Atomic int64_t walked_to; /* the snapshot that the last walk, or the one under way, is about; 0: none was yet */
    _Atomic uint64_t missing_at; /* changes of the catalog, plus 1, when its dataset was looked for in vain */
    int64_t ordered_for;         /* the follower's: the snapshot that it has asked for a job for */
    bool fold_looked;            /* the follower's: whether an earlier process left a fold over */
    uint64_t rest_until_ns;

    pthread_mutex_t readers_lock;
    struct reader *readers[READERS_KEPT];
    size_t reader_count;

    pthread_mutex_t allowed_lock;
    struct allowed_kept standing, allowed; /* of predicates; of predicates and snapshots */
    struct changed *changed;               /* changed.c */
};

#define QUERIES_KEPT 512
struct kept_query {
    uint64_t key, used;
    char *text;
    float *vector;
    uint32_t dimension;
};

struct index_service {
    struct lake *lake;
    struct lake quiet; /* the same, without a journal: rows of vectors are no events */
    struct index_embedder embedder;
    struct job_service *jobs;
    char *folder;

    pthread_mutex_t making;   /* held while one is made; before lock */
    pthread_mutex_t dropping; /* held while what dropped ones leave is removed; before lock and an index's */
    pthread_mutex_t lock;
    struct logical **items;
    size_t count, capacity;
    struct logical **leaving; /* drop.c: dropped, and still worked on */
    size_t leaving_count, leaving_capacity;
    struct hold *holds; /* hold.c */
    size_t hold_count, hold_capacity;
    struct versions **versions; /* version.c */
    size_t versions_count, versions_capacity;

    pthread_mutex_t queries_lock;
    struct kept_query queries[QUERIES_KEPT];
    uint64_t queries_clock;

    size_t keep_generations, keep_trials;
    int64_t trial_age_us;
    bool auto_embed;
    uint64_t *tried; /* auto.c: datasets and snapshots that were looked at */
    size_t tried_count, tried_capacity;

    bool following;
    pthread_t follower;
    atomic_bool ending; /* the follower ends; logical_stopping() of every index */
    bool woken;         /* the follower's: a commit ended its rest */
    struct ahead {
        pthread_t thread;
        bool started;
        atomic_bool done;
    } ahead; /* the follower's */
    struct {
        _Atomic uint64_t catch_ups, woken, from_memory, embedded, reused, filters, changes_read;
    } counts; /* as struct index_totals has them */
};

#define DEFINITION_MAX ((size_t)1 << 20)
/* Whether it stays on its mapped files. */
static inline bool logical_on_disk(const struct logical *logical)
{
    return tn_streq(logical->definition.backend, BACKEND_DISK);
}
/* service.c. It takes the definition's arena. */
struct logical *logical_new(struct index_service *service, const struct definition *definition)
    __attribute__((returns_nonnull));
const char *definition_key(struct tn_arena *arena, const char *name);
/* A reference, or TN_ENOTFOUND. */
enum tn_code logical_find(struct index_service *service, const char *name, struct logical **ret,
                          struct tn_error *err) TN_CHECKED;
/* hold.c: TN_EUNAVAILABLE while searches of the dataset are held back. */
enum tn_code hold_check(struct index_service *service, const char *dataset, struct tn_error *err) TN_CHECKED;
void holds_free(struct index_service *service);
/* version.c: the one that searches of a name go to. */
enum tn_code logical_serving(struct index_service *service, const char *name, struct logical **ret,
                             struct tn_error *err) TN_CHECKED;
enum tn_code versions_load(struct index_service *service, const char *base, struct tn_error *err) TN_CHECKED;
void versions_free_all(struct index_service *service);
/* Under service->lock: a version of another index. */
bool version_hidden(struct index_service *service, const char *name);
/* So too: what finds this very index, whichever version serves. The caller's. */
char *version_exact_name(struct index_service *service, const char *name);
enum tn_code versions_drop(struct index_service *service, const char *name, struct tn_error *err) TN_CHECKED;
/* What index_show() tells as `problem`; TN_OK takes it back. */
void logical_note_problem(struct logical *logical, enum tn_code code, const struct tn_error *err);
/* Whether long work on it is to end: the service stops, it was dropped, or its job (may be NULL) was asked to. */
bool logical_stopping(const struct logical *logical, const struct job_run *run);
void logical_halt(struct logical *logical); /* ends a wait for the model */
enum tn_code logical_stopped(const struct logical *logical, struct tn_error *err) TN_CHECKED; /* says that */
struct logical *logical_ref(struct logical *logical);
void logical_unref(struct logical *logical);
TN_DEFINE_CLEANUP(struct logical, logical_unref)
/* References to all; the arena's. */
size_t logical_all(struct index_service *service, struct tn_arena *arena, struct logical ***ret);

/* files.c. Opened, and in line with the table: for who works on them. It waits for whoever holds work. */
enum tn_code files_open(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* For who only looks: waits for no work, and at most so long for an opening.
 * With `synced`, so long for files that are in line with the table too: those
 * that are not show less than it holds, which a search can live with. Jobs are
 * what reads the table then; without any it is read here. TN_EUNAVAILABLE: they
 * are not open yet. */
#define FILES_PATIENCE_MS 1000
enum tn_code files_look(struct logical *logical, bool synced, uint64_t patience_ms, struct tn_error *err) TN_CHECKED;
void files_close(struct logical *logical); /* the gate is held for writing, or nobody is there */
/* Under gate (read): a reader from the pool and back. */
enum tn_code files_reader(struct logical *logical, struct reader **ret, struct tn_error *err) TN_CHECKED;
/* Its words, opened when they are first asked for. */
enum tn_code files_words(struct logical *logical, struct reader *reader, struct keyword_reader **ret,
                         struct tn_error *err) TN_CHECKED;
void files_reader_back(struct logical *logical, struct reader *reader);
enum tn_code files_docs(struct logical *logical, struct docs **ret, struct tn_error *err) TN_CHECKED;
/* Under work: the first rows make the vector index. */
enum tn_code files_insert_vectors(struct logical *logical, const int64_t *ids, const float *rows, size_t count,
                                  struct tn_error *err) TN_CHECKED;

/* ---- texts.c, under work ------------------------------------------------------------------ */

enum tn_code texts_open(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* When more of the log is gone than there. Not within a transaction of the words. */
void texts_fold_if_due(struct logical *logical);

/* ---- drop.c ---------------------------------------------------------------------------- */

/* The working files go; what reads or writes them is waited for. */
enum tn_code files_forget(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* What dropped indexes leave goes, where no work on them is under way; with `wait`, when that has ended. */
void drop_finish(struct index_service *service, bool wait);
/* Of that name, so long as that takes a moment; TN_ECONFLICT. */
enum tn_code drop_wait(struct index_service *service, const char *name, struct tn_error *err) TN_CHECKED;
/* At the start: one that was cut short. */
enum tn_code drop_go_on(struct index_service *service, const char *name, struct tn_error *err) TN_CHECKED;

/* ---- read.c --------------------------------------------------------------------------- */

/* One snapshot of a dataset as a relation. */
struct relation {
    struct engine_relation made;
    struct iceberg_metadata *metadata;
    const char *doc_id; /* SQL: the document's id */
    bool keyed;
};
void relation_release(struct relation *relation);
#define AUTO_RELATION TN_CLEANUP(relation_release) struct relation
/* snapshot 0: the newest. */
enum tn_code relation_open(struct logical *logical, int64_t snapshot, struct tn_arena *arena, struct relation *ret,
                           struct tn_error *err) TN_CHECKED;
/* identity.c: the index's dataset as it is. TN_EDATASET says what became of it. */
enum tn_code dataset_open(struct logical *logical, struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
/* Of all indexes, so that they know the names of today. */
void dataset_look_for_renames(struct index_service *service);
/* TN_ESCHEMA when a column that the index is of is gone. */
enum tn_code dataset_check_columns(const struct logical *logical, const struct iceberg_metadata *metadata,
                                   struct tn_error *err) TN_CHECKED;
/* The newest snapshot's id; 0 for a dataset without any. */
enum tn_code dataset_snapshot(struct logical *logical, int64_t *ret, struct tn_error *err) TN_CHECKED;
/* The rows that differ between two snapshots, `change` first; the definition is
 * NULL when `from` can no longer be told. The hold is the caller's. */
enum tn_code relation_changes(struct logical *logical, int64_t from, int64_t to, struct tn_arena *arena,
                              struct engine_relation *ret, struct tn_error *err) TN_CHECKED;

/* ---- recent.c -------------------------------------------------------------------------- */

#define RECENT_ROWS 65536 /* of a walk, or between two searches; they are in memory anyway */

struct recent {
    struct {
        size_t place;
        enum engine_kind kind;
    } key[8];
    size_t key_count;
    size_t columns[INDEX_COLUMNS_MAX]; /* places of the text columns in a row */
    struct dataset_recent_row *rows;   /* oldest first */
    size_t count;
    struct dataset_recent_hold *hold;
};
/* False, and nothing to release, when the engine has to be asked. */
bool recent_open(struct logical *logical, const struct iceberg_metadata *metadata, int64_t from, int64_t to,
                 struct recent *ret);
void recent_release(struct recent *recent);
#define AUTO_RECENT TN_CLEANUP(recent_release) struct recent
void recent_doc_id(const struct recent *recent, const struct engine_cell *cells, struct tn_buf *out);

/* ---- table.c ----------------------------------------------------------------------------- */

struct piece {
    int64_t id;
    const char *doc_id, *column, *text, *heading;
    size_t text_length;
    uint32_t number;
    uint64_t begin, end;
    unsigned char hash[KEYWORD_HASH_BYTES];
    const float *given; /* a vector that came with the row */
};
enum tn_code table_append(struct logical *logical, const struct piece *pieces, size_t count, const float *vectors,
                          struct tn_error *err) TN_CHECKED;
enum tn_code table_delete(struct logical *logical, const int64_t *ids, size_t count, struct tn_error *err) TN_CHECKED;
/* Its newest snapshot; 0 when there is none. */
int64_t table_snapshot(struct logical *logical);
typedef enum tn_code table_id_fn(void *context, int64_t id, struct tn_error *err);
enum tn_code table_ids(struct logical *logical, table_id_fn *each, void *context, struct tn_error *err) TN_CHECKED;
/* Rows with an id of at least `from`. The piece lives during the call. */
typedef enum tn_code table_row_fn(void *context, const struct piece *piece, const float *vector,
                                  struct tn_error *err);
enum tn_code table_rows(struct logical *logical, int64_t from, table_row_fn *each, void *context,
                        struct tn_error *err) TN_CHECKED;

/* ---- batch.c ------------------------------------------------------------------------------ */

struct batch {
    struct logical *logical;
    struct job_run *run; /* or NULL */
    struct index_report *report;
    struct tn_arena *arena; /* of the pieces' texts */
    struct piece *pieces;
    size_t count, capacity, bytes;
    int64_t *gone; /* chunks to be deleted */
    size_t gone_count, gone_capacity;
    float *vectors; /* of the pieces, between show and keep */
};
void batch_release(struct batch *batch);
/* Embedded, in the table, in the working files. */
enum tn_code batch_flush(struct batch *batch, struct tn_error *err) TN_CHECKED;
/* The same the other way round, in two steps: in the working files, so that
 * searches find it, and then in the table. Between the two the files say that
 * they do not show the table; a batch that is not kept is taken out again by
 * resync. */
enum tn_code batch_show(struct batch *batch, struct tn_error *err) TN_CHECKED;
enum tn_code batch_keep(struct batch *batch, struct tn_error *err) TN_CHECKED;
/* Puts chunks into the working files, and takes others out; they show that
 * snapshot of the table then, or BATCH_AHEAD of it. */
#define BATCH_AHEAD ((int64_t)-1)
enum tn_code batch_apply(struct logical *logical, const struct piece *pieces, size_t count, const float *vectors,
                         const int64_t *gone, size_t gone_count, int64_t shown, struct tn_error *err) TN_CHECKED;

/* resync.c, under work: the working files show what the table holds. Idle: they do, nothing will be read. */
bool resync_is_idle(struct logical *logical);
enum tn_code resync(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* walk.c, under work. `most`: stop after so many documents (0: none); *ret_more. */
enum tn_code walk_changes(struct logical *logical, struct job_run *run, uint64_t most, struct index_report *ret,
                          bool *ret_more, struct tn_error *err) TN_CHECKED;
/* Whether a walk's end would fold. */
bool walk_fold_is_due(struct logical *logical);
/* The same with its locks; *ret_busy instead of waiting for another one. */
enum tn_code walk_locked(struct logical *logical, struct job_run *run, uint64_t most, bool wait,
                         struct index_report *ret, bool *ret_more, bool *ret_busy, struct tn_error *err) TN_CHECKED;

/* ---- changed.c --------------------------------------------------------------------------- */

struct changed;
struct changed *changed_new(void) __attribute__((returns_nonnull));
void changed_free(struct changed *changed);
/* Calls for each document that changed or went between two snapshots of the
 * dataset, perhaps for some that did so later; not for new ones. *ret_known
 * false: the first one cannot be told any more. */
typedef void changed_fn(void *context, const char *doc_id);
enum tn_code changed_each(struct logical *logical, const struct iceberg_metadata *metadata, int64_t shown,
                          int64_t current, changed_fn *each, void *context, bool *ret_known,
                          struct tn_error *err) TN_CHECKED;
/* A walk to `current` begins: when it is there, searches go on from that. */
void changed_point(struct logical *logical, const struct iceberg_metadata *metadata, int64_t shown, int64_t current);
void changed_forget(struct logical *logical);

/* ---- allow.c ----------------------------------------------------------------------------- */

/* *ret NULL: all chunks may be returned. *ret_behind: the index is not at `current` yet. */
enum tn_code allow(struct logical *logical, const char *predicate, struct allowed **ret, int64_t *ret_current,
                   bool *ret_behind, struct tn_error *err) TN_CHECKED;
/* Of those (NULL: of all) the ones whose texts are there still. */
void allow_there(struct logical *logical, struct allowed **allowed);
void allow_forget(struct logical *logical);
static inline bool allowed_has(const struct allowed *allowed, int64_t id)
{
    return id >= 0 && (uint64_t)id < allowed->bit_count && (allowed->bits[id / 8] >> (id % 8) & 1);
}

/* auto.c, on the follower's thread */
void auto_look(struct index_service *service);
/* An index was dropped: do not make it again. */
enum tn_code auto_decline(struct index_service *service, const char *dataset, struct tn_error *err) TN_CHECKED;

/* follow.c */
enum tn_code follow_start(struct index_service *service, struct tn_error *err) TN_CHECKED;
void follow_stop(struct index_service *service);

/* ahead.c, on the follower's thread: where an index was opened, or has grown, a
 * thread makes the lists of frequent words. */
void ahead_look(struct index_service *service);
void ahead_stop(struct index_service *service); /* the service is ending */

#endif
