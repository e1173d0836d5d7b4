/* job: long work that outlives the request, and the process, that began it.
 *
 * A job has a kind, arguments (JSON), a state, progress, a log and a
 * checkpoint. All of it is kept in one SQLite file below the lake's state
 * folder. After a crash or a stop, a job that was running is queued again and
 * begins at its last checkpoint: what a kind does between two checkpoints it
 * must be able to do twice without harm (its results lie in commits that say
 * how far they go). A job under which the process died three times in a row,
 * without a checkpoint between, is failed instead of begun again. The file is a
 * cache like all of state/: when it is gone, work that is still due is found
 * again by those that ordered it. It is made by the first job; one that cannot
 * be read is set aside, with a line in the log, and begun anew.
 *
 *   job_service_open()   the file, and the threads that run jobs
 *   job_kind_add()       which function runs jobs of a kind
 *   job_service_start()  from here on jobs run, those left over first
 *   job_submit()         queue one; its id
 *   job_cancel()         ask it to end; job_pause/job_resume hold and release
 *   job_get(), job_list(), job_log()   look, as JSON
 *   job_peek()           its state and version, without waiting (Server-Sent Events)
 *   job_wait()           until it changes or ends
 *   job_outcome()        what a job that ended came to
 *
 * States: queued, running, waiting (something it needs is away: `reason` says
 * what, and when it tries again), paused (by a person), done, failed,
 * cancelled. A running job that was asked to end or to pause stays "running"
 * until its function has returned; `reason` says so. Ended jobs are kept for
 * `keep_ended`, the newest ten thousand of them, and then forgotten.
 *
 * Ownership: the service owns everything; JSON goes to the caller's writer.
 * Threads: any function from any thread, except open, start, close. A kind's
 * function runs on a thread of the service, `running_most` at once, the
 * highest priority first, oldest first within one. Its threads, and those that
 * it starts, run at low scheduling priority and on `cpus` CPUs at most, so that
 * queries go before jobs. What it gives to a pool runs as the pool's threads do.
 * Errors: TN_ENOTFOUND for an id that is not there; TN_ECONFLICT for a step
 * that the state does not allow; TN_EIO, TN_EREADONLY and TN_EDISKFULL from the
 * file. A file that cannot be opened is tried again with the next call.
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
    uint64_t memory_bytes;  /* of all running jobs together (job_run_memory); 0: 1 GB */
    unsigned cpus;          /* that jobs may run on; 0, or more than there are: all */
    bool idle;              /* none runs; they are taken, kept and steered */
    /* Jobs of earlier processes rest until they are asked for again (job_resume,
     * or job_submit with `once`): for commands that open a lake for a moment. */
    bool only_new;
    uint64_t wait_first_ms, wait_most_ms; /* pauses of waiting jobs; 0: a second, five minutes */
};

/* Reads what earlier processes left; a file that cannot be opened now is a line
 * in the log, and the error of whoever wants something of it. */
enum tn_code job_service_open(const struct job_options *options, struct job_service **ret,
                              struct tn_error *err) TN_CHECKED;
/* Asks running jobs to stop at their next checkpoint (they are queued, not
 * cancelled) and begins no other; waits for none. What is submitted is kept for
 * the next start. */
void job_service_stop(struct job_service *service);
/* The same, waits for them, closes. */
void job_service_close(struct job_service *service);
TN_DEFINE_CLEANUP(struct job_service, job_service_close)

/* --- Kinds ------------------------------------------------------------------ */

/* Does the work. Returns TN_OK when all is done; TN_ECANCELLED as soon as
 * job_run_stopping() says so; TN_EUNAVAILABLE when something it needs is away,
 * or TN_EBUSY (the job waits, tries again with growing pauses, and begins at
 * its checkpoint); anything else fails the job with that text. */
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
/* The same for interfaces that take a callback: `run` is a struct job_run. */
bool job_run_stopping_fn(void *run);
/* Durable when it returns. Borrows `state`, at most JOB_JSON_MAX bytes. */
#define JOB_JSON_MAX ((size_t)1 << 20)
enum tn_code job_run_save(struct job_run *run, const json_t *state, struct tn_error *err) TN_CHECKED;
/* How far: rate and time left are computed from it. `unit` is a static word
 * ("chunks"); total 0: not known. Cheap: call it for every batch. */
void job_run_progress(struct job_run *run, uint64_t done, uint64_t total, const char *unit);
/* A line of the job's log (kept, the last 200). */
void job_run_log(struct job_run *run, const char *format, ...) TN_PRINTF(2, 3);
/* What the job came to, shown as "result" once it is done. Borrows. */
void job_run_result(struct job_run *run, const json_t *result);
/* This run's part of the budgets: bytes that it may take, threads that it may
 * keep busy (at least one). A kind sizes its batches by them. */
uint64_t job_run_memory(const struct job_run *run);
unsigned job_run_threads(const struct job_run *run);
/* Takes that many bytes of the budget of all jobs, in the place of what this run
 * had taken before; 0 gives them back, as the run's end does. For whoever needs
 * more than a few megabytes: before the work, so that the budget is never
 * passed. TN_EBUSY while others have too much of it (returned by a kind's
 * function, the job waits and tries again); TN_ETOOLARGE when all of it would not do. */
enum tn_code job_run_reserve(struct job_run *run, uint64_t bytes, struct tn_error *err) TN_CHECKED;

/* --- From outside ------------------------------------------------------------ */

struct job_request {
    const char *kind;
    const char *subject;     /* what it works on, for people: "index résumés"; and with `once` */
    const json_t *arguments; /* borrowed; NULL: {} */
    int priority;            /* higher goes first; 0 is usual */
    bool once;               /* a job of this kind and subject that has not ended is answered instead of a second */
    /* With `once`: when that job runs already, and so may have passed by what is
     * asked for now, it is begun once more after it is done, without checkpoint. */
    bool again;
    const char *actor, *request_id; /* may be NULL */
};
#define JOB_ID_TEXT TN_UUID_TEXT
/* Queued durably when it returns. TN_EUNSUPPORTED: nobody runs this kind here;
 * TN_EBUSY: ten thousand jobs have not ended. */
enum tn_code job_submit(struct job_service *service, const struct job_request *request, char ret_id[JOB_ID_TEXT],
                        struct tn_error *err) TN_CHECKED;
/* Durable: a cancelled job stays cancelled when the process dies before its
 * function has returned. Each is fine with a job that is there already. */
enum tn_code job_cancel(struct job_service *service, const char *id, struct tn_error *err) TN_CHECKED;
enum tn_code job_pause(struct job_service *service, const char *id, struct tn_error *err) TN_CHECKED;
/* Of a paused job, of a waiting one (it tries at once), of a failed one (again,
 * from its checkpoint). */
enum tn_code job_resume(struct job_service *service, const char *id, struct tn_error *err) TN_CHECKED;

#define JOB_PRIORITY_MOST 1000
/* From -JOB_PRIORITY_MOST to it. Of one that waits for its turn; one that runs goes on, and
 * keeps it for when it is held and released. TN_ECONFLICT when it has ended. */
enum tn_code job_prioritise(struct job_service *service, const char *id, int priority,
                            struct tn_error *err) TN_CHECKED;

/* {"id","kind","subject","state","reason","priority","progress":{"done","total",
 * "unit","rate","seconds_left"},"created","started","ended","attempts",
 * "memory_reserved_bytes","result","error":{"code","detail","hint"},"actor","request_id"}; what is not
 * known is null. */
enum tn_code job_get(struct job_service *service, const char *id, struct tn_json *out,
                     struct tn_error *err) TN_CHECKED;
/* The array of the newest `limit`, those before `before_id` when not NULL, of
 * one state when not NULL. `ret_last`, when not NULL: the last one's id when
 * there are more, else "". */
enum tn_code job_list(struct job_service *service, const char *state, const char *before_id, size_t limit,
                      struct tn_json *out, char ret_last[JOB_ID_TEXT], struct tn_error *err) TN_CHECKED;
/* The array of {"time","text"}, oldest first. */
enum tn_code job_log(struct job_service *service, const char *id, struct tn_json *out,
                     struct tn_error *err) TN_CHECKED;
/* The state and the version (a number that grows with every change) of this moment. */
enum tn_code job_peek(struct job_service *service, const char *id, enum job_state *ret_state, uint64_t *ret_version,
                      struct tn_error *err) TN_CHECKED;
/* Returns when the job's version is above `version`, when it has ended, when
 * the service closes, or after timeout_ms: the state and the version of that moment. */
enum tn_code job_wait(struct job_service *service, const char *id, uint64_t version, uint64_t timeout_ms,
                      enum job_state *ret_state, uint64_t *ret_version, struct tn_error *err) TN_CHECKED;

/* Of a job that has ended: *ret_result is its result (the caller's; NULL when it
 * said none), or *ret_error why it failed or that it was cancelled, and the
 * function still returns TN_OK. TN_ECONFLICT when it has not ended. */
enum tn_code job_outcome(struct job_service *service, const char *id, enum job_state *ret_state, json_t **ret_result,
                         struct tn_error *ret_error, struct tn_error *err) TN_CHECKED;

/* Without reading the file. */
struct job_totals {
    uint64_t queued, running, waiting, paused; /* now */
    uint64_t done, failed, cancelled;          /* since the service was opened */
    unsigned running_most, cpus;
    uint64_t memory_bytes, reserved_bytes; /* the budget; taken of it now */
};
void job_totals(struct job_service *service, struct job_totals *ret);
/* The array of {"id","kind","subject","memory_reserved_bytes"} of those that run. */
void job_running(struct job_service *service, struct tn_json *out);
const char *job_state_word(enum job_state state);
bool job_state_parse(const char *word, enum job_state *ret);
static inline bool job_state_ended(enum job_state state)
{
    return state >= JOB_DONE;
}

#endif
