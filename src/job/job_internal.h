/* Between the parts of the job service:
 *
 *   service.c    open and close; changes written and published
 *   submit.c     submit, cancel, pause, resume
 *   worker.c     threads: which job is next, its run, what follows from its end
 *   run.c        what a job's function may call
 *   look.c       jobs as JSON; waiting for them
 *   rate.c       how fast, how long still
 *   db.c, db_job.c   the file
 *
 * Two locks. `file` is held over every change of a job's state and every use of
 * the file, also while it is synced; `lock` guards what is in memory and is
 * never held over a system call. Order: file, then lock. So the fields that
 * say "file and lock" may be read under either one.
 *
 * A change of state is made in a copy, written, and only then published to the
 * job in memory: what the file refused did not happen.
 */
#ifndef TARN_JOB_JOB_INTERNAL_H
#define TARN_JOB_JOB_INTERNAL_H

#include "job/job.h"

#include <pthread.h>
#include <stdatomic.h>

#define JOB_ACTIVE_MOST 10000 /* that have not ended */
#define JOB_ENDED_MOST  10000 /* that have, and are kept */
#define JOB_LOG_LINES   200
#define JOB_LOG_TEXT    1000 /* bytes of one line */
#define JOB_DEATHS_MOST 3
#define JOB_UNIT_TEXT   24

/* ---- rate.c ---------------------------------------------------------------- */

/* An exponentially weighted mean of the last ten seconds or so. */
struct job_rate {
    uint64_t at_ns, done; /* of the last sample */
    double per_second;
    bool begun, known;
};
/* A run's first call only marks where it begins: what earlier runs did is no speed. */
void job_rate_note(struct job_rate *rate, uint64_t done, uint64_t now_ns);
/* 0 when not known. Falls while nothing is noted any more. */
double job_rate_now(const struct job_rate *rate, uint64_t now_ns);

/* ---- one job ------------------------------------------------------------------ */

enum job_wish { JOB_WISH_NONE, JOB_WISH_PAUSE, JOB_WISH_CANCEL };

struct job {
    char id[JOB_ID_TEXT];
    /* As submitted. */
    char *kind, *subject, *actor, *request_id;
    int priority;
    int64_t created_us;
    /* File and lock. */
    enum job_state state;
    enum job_wish wish;
    bool again;
    bool mine; /* submitted or asked for by this process; in memory alone */
    char *reason;
    unsigned deaths, waits; /* in a row */
    uint64_t attempts;
    int64_t not_before_ms; /* waiting: wall clock, for the file */
    int64_t started_us, ended_us;
    char *result, *error; /* JSON */
    /* Lock. */
    uint64_t not_before_ns; /* waiting: monotonic */
    uint64_t done, total;
    char unit[JOB_UNIT_TEXT];
    struct job_rate rate;
    uint64_t version;
    struct job_run *run; /* while it runs */
    struct job *next;
};
void job_free(struct job *job);
TN_DEFINE_CLEANUP(struct job, job_free)

/* ---- db.c, db_job.c: under the file lock ------------------------------------------- */

struct sqlite3;
struct job_db {
    struct sqlite3 *handle;
    char *path;
    bool full; /* the durability that is set */
};
/* Makes the file, or sets one aside that cannot be read. */
enum tn_code job_db_open(const char *folder, struct job_db **ret, struct tn_error *err) TN_CHECKED;
void job_db_close(struct job_db *db);
TN_DEFINE_CLEANUP(struct job_db, job_db_close)

enum tn_code job_db_insert(struct job_db *db, const struct job *job, const char *arguments,
                           struct tn_error *err) TN_CHECKED;
/* All that changes. Not `durable`: survives the process, maybe not the machine. */
enum tn_code job_db_update(struct job_db *db, const struct job *job, bool durable, struct tn_error *err) TN_CHECKED;
/* Durable; NULL removes it. */
enum tn_code job_db_checkpoint(struct job_db *db, const struct job *job, const char *checkpoint,
                               struct tn_error *err) TN_CHECKED;
/* Texts are the caller's to free; *ret_checkpoint NULL when there is none. */
enum tn_code job_db_body(struct job_db *db, const char *id, char **ret_arguments, char **ret_checkpoint,
                         struct tn_error *err) TN_CHECKED;
/* Calls `each` with a job that is its to keep. */
typedef void job_db_each(void *context, struct job *job);
enum tn_code job_db_active(struct job_db *db, job_db_each *each, void *context, struct tn_error *err) TN_CHECKED;
/* state -1: all. */
enum tn_code job_db_list(struct job_db *db, int state, const char *before_id, size_t limit, job_db_each *each,
                         void *context, struct tn_error *err) TN_CHECKED;
/* Fails with TN_ENOTFOUND: there is no job of this id, and what to do. */
enum tn_code job_unknown(const char *id, struct tn_error *err);
enum tn_code job_db_get(struct job_db *db, const char *id, struct job **ret, struct tn_error *err) TN_CHECKED;
enum tn_code job_db_log_add(struct job_db *db, const char *id, const char *text, struct tn_error *err) TN_CHECKED;
enum tn_code job_db_log(struct job_db *db, const char *id, struct tn_json *out, struct tn_error *err) TN_CHECKED;
enum tn_code job_db_forget(struct job_db *db, int64_t before_us, struct tn_error *err) TN_CHECKED;

/* ---- the service ---------------------------------------------------------------- */

struct job_kind {
    const char *name;
    job_function *function;
    void *context;
};

struct job_service {
    struct job_options options; /* defaults filled in */
    char *folder;
    struct job_kind *kinds; /* fixed once started */
    size_t kind_count, kind_capacity;
    pthread_t *threads;
    size_t thread_count;

    pthread_mutex_t file;
    struct job_db *db; /* NULL until it is needed */
    unsigned ends;     /* since old jobs were forgotten */

    pthread_mutex_t lock;
    pthread_cond_t wake;    /* workers: something may be begun, or the end has come */
    pthread_cond_t changed; /* waiters: some job has another version */
    bool closing;
    struct job *active;
    size_t active_count;
    uint64_t done, failed, cancelled;
    uint64_t reserved; /* bytes of the memory budget */
};

struct job_run {
    struct job_service *service;
    struct job *job;
    json_t *arguments, *checkpoint;
    char *result;
    atomic_bool stop;    /* now */
    atomic_bool stopped; /* ever in this run */
    uint64_t noted_ns;   /* when progress was last written; the lock's */
    uint64_t reserved;   /* bytes; the lock's */
};

const struct job_kind *job_kind_find(const struct job_service *service, const char *kind);
/* File lock held: the file is open, and what it holds is in memory. */
enum tn_code job_service_need_file(struct job_service *service, struct tn_error *err) TN_CHECKED;
/* The same, but only when there is one: it is not made for looking. */
enum tn_code job_service_need_left(struct job_service *service, struct tn_error *err) TN_CHECKED;
/* Lock held, or file: NULL when it has ended or never was. */
struct job *job_find(struct job_service *service, const char *id);

/* File lock held: the service's from here on; workers may begin it. */
void job_add_active(struct job_service *service, struct job *job);

/* File lock held: a copy to change, sharing its texts with the job. Then, by
 * job_commit, written and published; on failure nothing has changed. `reason`,
 * `result` and `error` that were put into the copy are the job's on success
 * and still the caller's on failure. An ended job is gone afterwards. */
struct job job_copy(struct job_service *service, const struct job *job);
enum tn_code job_commit(struct job_service *service, struct job *job, struct job *copy,
                        struct tn_error *err) TN_CHECKED;
/* The copy becomes a failed job. */
void job_copy_fail(struct job *copy, const struct tn_error *error);
void job_copy_end(struct job *copy, enum job_state state);
/* Lock held. */
void job_touch(struct job_service *service, struct job *job);
void job_wait_cond(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t timeout_ns);
/* Frees texts that the copy has and the job has not. */
void job_copy_drop(struct job *copy, const struct job *job);

void *job_worker(void *service);
/* Runs a job that is marked as running; worker thread. */
void job_run_execute(struct job_service *service, struct job *job);
/* With the lock held, or of a job that nobody else has. */
void job_write(const struct job *job, struct tn_json *out);
void job_error_json(const struct tn_error *error, struct tn_buf *out);

#endif
