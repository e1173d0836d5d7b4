/* job: long work that outlives the request, and the process, that began it.
 *
 * A job has a kind, arguments (JSON), a state, progress, a log and a
 * checkpoint. All of it is kept in one SQLite file below the lake's state
 * folder. After a crash or a stop, a job that was running is queued again and
 * begins at its last checkpoint: what a kind does between two checkpoints it
 * must be able to do twice without harm (its results lie in commits that say
 * how far they go). The file is a cache like all of state/: when it is gone,
 * work that is still due is found again by those that ordered it.
 *
 *   job_service_open()   the file, and the threads that run jobs
 *   job_kind_add()       which function runs jobs of a kind
 *   job_service_start()  from here on jobs run, those left over first
 *   job_submit()         queue one; its id
 *   job_cancel()         ask it to end; job_pause/job_resume hold and release
 *   job_get(), job_list(), job_log()   look, as JSON
 *   job_wait()           until it changes (Server-Sent Events) or ends
 *
 * States: queued, running, waiting (something it needs is away: `reason` says
 * what, and when it tries again), paused (by a person), done, failed,
 * cancelled. Ended jobs are kept for `keep_ended` and then forgotten.
 *
 * Ownership: the service owns everything; JSON goes to the caller's writer.
 * Threads: any function from any thread, except open, start, close. A kind's
 * function runs on a thread of the service, `running_most` at once, the
 * highest priority first, oldest first within one. Its threads run at low
 * scheduling priority, so that queries go before jobs.
 * Errors: TN_ENOTFOUND for an id that is not there; TN_ECONFLICT for a step
 * that the state does not allow; TN_EIO and TN_EDISKFULL from the file.
 */
#ifndef TARN_JOB_JOB_H
#define TARN_JOB_JOB_H

#include "base/base.h"

struct job_service;
struct job_run; /* one job while it runs, seen by its function */

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_WAITING, JOB_PAUSED, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct job_options {
    const char *folder;     /* state folder of the lake; "jobs.db" is made in it */
    unsigned running_most;  /* 0: 1 */
    uint64_t keep_ended_ms; /* 0: a week */
};

enum tn_code job_service_open(const struct job_options *options, struct job_service **ret,
                              struct tn_error *err) TN_CHECKED;
/* Asks running jobs to stop at their next checkpoint (they are queued, not
 * cancelled), waits for them, closes. */
void job_service_close(struct job_service *service);
TN_DEFINE_CLEANUP(struct job_service, job_service_close)

/* --- Kinds ------------------------------------------------------------------ */

/* Does the work. Returns TN_OK when all is done; TN_ECANCELLED as soon as
 * job_run_stopping() says so; TN_EUNAVAILABLE when something it needs is away
 * (the job waits, tries again with growing pauses, and begins at its
 * checkpoint); anything else fails the job with that text. */
typedef enum tn_code job_function(struct job_run *run, void *context, struct tn_error *err);

/* Before job_service_start. `kind` and `context` outlive the service. */
void job_kind_add(struct job_service *service, const char *kind, job_function *function, void *context);
enum tn_code job_service_start(struct job_service *service, struct tn_error *err) TN_CHECKED;

/* --- Inside a job ------------------------------------------------------------ */

const char *job_run_id(const struct job_run *run);
const json_t *job_run_arguments(const struct job_run *run);
/* The last checkpoint, or NULL at the first beginning. */
const json_t *job_run_checkpoint(const struct job_run *run);
/* True once it was cancelled or paused or the service closes: look often. */
bool job_run_stopping(const struct job_run *run);
/* Durable when it returns. Borrows `state`. */
enum tn_code job_run_save(struct job_run *run, const json_t *state, struct tn_error *err) TN_CHECKED;
/* How far: rate and time left are computed from it. `unit` is a static word
 * ("chunks"); total 0: not known. Cheap: call it for every batch. */
void job_run_progress(struct job_run *run, uint64_t done, uint64_t total, const char *unit);
/* A line of the job's log (kept, the last 200). */
void job_run_log(struct job_run *run, const char *format, ...) TN_PRINTF(2, 3);
/* What the job came to, shown as "result" once it is done. Borrows. */
void job_run_result(struct job_run *run, const json_t *result);

/* --- From outside ------------------------------------------------------------ */

struct job_request {
    const char *kind;
    const char *subject;     /* what it works on, for people: "index résumés"; and with `once` */
    const json_t *arguments; /* borrowed; NULL: {} */
    int priority;            /* higher goes first; 0 is usual */
    bool once;               /* a queued or running job of this kind and subject is answered instead of a second */
    const char *actor, *request_id; /* may be NULL */
};
#define JOB_ID_TEXT TN_UUID_TEXT
/* Queued durably when it returns. */
enum tn_code job_submit(struct job_service *service, const struct job_request *request, char ret_id[JOB_ID_TEXT],
                        struct tn_error *err) TN_CHECKED;
enum tn_code job_cancel(struct job_service *service, const char *id, struct tn_error *err) TN_CHECKED;
enum tn_code job_pause(struct job_service *service, const char *id, struct tn_error *err) TN_CHECKED;
enum tn_code job_resume(struct job_service *service, const char *id, struct tn_error *err) TN_CHECKED;

/* {"id","kind","subject","state","reason","priority","progress":{"done","total",
 * "unit","rate","seconds_left"},"created","started","ended","attempts",
 * "result","error","actor","request_id"} */
enum tn_code job_get(struct job_service *service, const char *id, struct tn_json *out,
                     struct tn_error *err) TN_CHECKED;
/* The array of the newest `limit`, those before `before_id` when not NULL, of one state when not NULL. */
enum tn_code job_list(struct job_service *service, const char *state, const char *before_id, size_t limit,
                      struct tn_json *out, struct tn_error *err) TN_CHECKED;
/* The array of {"time","text"}, oldest first. */
enum tn_code job_log(struct job_service *service, const char *id, struct tn_json *out,
                     struct tn_error *err) TN_CHECKED;
/* Returns when the job's version (a number that grows with every change) is
 * above `version`, when it has ended, or after timeout_ms: the state and the
 * version of that moment. */
enum tn_code job_wait(struct job_service *service, const char *id, uint64_t version, uint64_t timeout_ms,
                      enum job_state *ret_state, uint64_t *ret_version, struct tn_error *err) TN_CHECKED;

struct job_totals {
    uint64_t queued, running, waiting, paused, done, failed, cancelled;
};
void job_totals(struct job_service *service, struct job_totals *ret);
const char *job_state_word(enum job_state state);

#endif
