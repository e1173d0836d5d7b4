/* trial.h: how an index is tuned. Private to index.
 *
 *   samples.c      queries that a generation is calibrated with
 *   tuning.c       what is chosen for the active generation; generations listed, kept, removed
 *   evaluate.c     recall and latency on made and on recorded queries
 *   trial_log.c    the records of an index, in the lake's store
 *   trial.c        a job: a generation with other parameters, built and measured
 *   promote.c      it takes the active one's place; and back
 *   trial_table.c  the SQL table `trials`
 *
 * Locks: `users` is held for reading by whoever works with the vectors outside
 * of `work` and `gate` (a build, a measurement), for writing by whoever takes
 * the files away, who first tells the others to end. It comes before `work`.
 * `lock` (behind `work`) is of the log in memory, of what is chosen, and of
 * which generation serves and which files stay; searches do not take it.
 */
#ifndef TARN_INDEX_TRIAL_H
#define TARN_INDEX_TRIAL_H

#include "index/asked.h"
#include "index/index_internal.h"
#include "index/trial_record.h"

#define TRIAL_RECALL_LEAST 0.9   /* of a promotion that is not forced */
#define TRIAL_TOLERANCE    0.005 /* by so much it may find less than the active one: a difference of chance */
#define TRIAL_SAMPLES      200
#define TRIAL_SAMPLES_MAX  1000
#define TRIAL_K            10

struct trial_log {
    bool loaded;
    struct tn_arena *arena; /* texts of the records */
    struct trial_record *items;
    size_t count, capacity, objects, damaged;
};

/* The true nearest of each query. */
struct truth {
    uint64_t queries, last_change; /* a hash of the queries; of the data */
    uint32_t count, k;
    int64_t *ids;  /* count * k, -1 behind the last */
    double *least; /* count: the distance of the k-th */
};

struct tuning {
    pthread_rwlock_t users;
    atomic_uint stopping; /* users are to end */
    pthread_mutex_t lock;
    struct tuned tuned[2]; /* under lock: of the active generation, and of the one before */
    struct trial_log log;  /* under lock */
    unsigned trying;       /* under lock: trials whose generations are not recorded yet */
    pthread_mutex_t truth_lock;
    struct truth truth;
    struct asked *asked;
    _Atomic uint32_t ef; /* what searches use; 0: by recall */
    _Atomic double recall_target, recall;
};

/* ---- tuning.c ------------------------------------------------------------------- */

struct tuning *tuning_new(const struct definition *definition) __attribute__((returns_nonnull));
void tuning_free(struct tuning *tuning);
/* The vectors were opened, or another generation serves: searches go by what was chosen for it. */
void tuning_apply(struct logical *logical);
/* The options that a first generation is built with. */
void tuning_build_options(const struct logical *logical, struct vector_build_options *options);
/* Writes both into index.json. Under lock. */
enum tn_code tuning_store(struct logical *logical, const struct tuned *now, const struct tuned *before,
                          struct tn_error *err) TN_CHECKED;
/* The definition with what is chosen now. Under lock. */
enum tn_code tuning_keep(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* What is chosen for a generation that serves or served. Under lock. */
struct tuned tuning_of(const struct logical *logical, uint64_t generation);
/* Under the gate where it is open. */
void tuning_put(struct logical *logical, bool open, struct tn_json *out);
/* Removes generations that nobody goes back to. */
enum tn_code generations_keep(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* The files are open and stay so until users_leave. */
enum tn_code users_enter(struct logical *logical, struct vector_index **ret, struct tn_error *err) TN_CHECKED;
void users_leave(struct logical *logical);
/* Ends users, waits for them, lets none in until users_back. */
void users_out(struct logical *logical);
bool users_out_if_idle(struct logical *logical); /* the same, false instead of a wait */
void users_back(struct logical *logical);

/* ---- evaluate.c ------------------------------------------------------------------- */

struct queries {
    float *rows;
    uint32_t count, made, recorded;
    uint64_t hash;
};
struct measured {
    uint32_t window;
    double recall_at_1, recall_at_k, p50_us, p95_us, p99_us, mean_distances;
};
/* Half of them recorded ones, where there are that many. To be freed: rows. */
enum tn_code queries_choose(struct logical *logical, struct vector_index *vectors, uint32_t samples,
                            struct queries *ret, struct tn_error *err) TN_CHECKED;
/* `subject` is searched; whoever runs it is inside users_enter. `exact` tells how far a row truly is. */
enum tn_code measure(struct logical *logical, struct vector_index *subject, struct vector_index *exact,
                     const struct queries *queries, uint32_t k, uint32_t ef, double recall, struct measured *ret,
                     struct tn_error *err) TN_CHECKED;
void truth_release(struct truth *truth);

/* ---- samples.c ------------------------------------------------------------------------ */

struct samples {
    float *rows; /* NULL: there are too few, the builder makes some up */
    uint32_t count;
};
/* Whoever calls keeps the files where they are. The job may be NULL. */
void samples_choose(struct logical *logical, const struct job_run *run, struct samples *ret);
void samples_release(struct samples *samples);

/* ---- trial_log.c -------------------------------------------------------------------- */

/* Under lock. */
enum tn_code trial_log_load(struct logical *logical, struct tn_error *err) TN_CHECKED;
/* Gives it its number and makes it durable; its texts are copied. Under lock. */
enum tn_code trial_log_add(struct logical *logical, struct trial_record *record, struct tn_error *err) TN_CHECKED;
enum tn_code trial_log_compact(struct logical *logical, size_t *ret_objects, struct tn_error *err) TN_CHECKED;
enum tn_code trial_log_drop(struct logical *logical, struct tn_error *err) TN_CHECKED;
void trial_log_release(struct trial_log *log);

/* trial.c */
enum tn_code trial_run_job(struct job_run *run, void *context, struct tn_error *err) TN_CHECKED;

#endif
