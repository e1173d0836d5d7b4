/* outcome: which model did well at what, remembered.
 *
 * An outcome is one try of a model at a task: did it succeed, did it time out,
 * how many tokens and how much money it took. From them come rankings, the
 * advice to demote, comparisons of two models, trends, and the choice of a
 * model for the next task.
 *
 * Two places, one truth. `folder` (<bucket>/outcomes) holds
 *
 *     log/<first id>.log   frames of JSON lines, appended and fsynced: the truth
 *     events/              an Iceberg table, into which the log is rolled
 *     outcomes.sqlite      model_outcomes, model_stats and their indexes (WAL)
 *
 * What was acknowledged is in the log, durably. The SQLite file is made of the
 * log: events, aggregate and "applied up to this id" change in one transaction
 * right after the append, so a reader of SQLite sees all of an outcome or
 * nothing, and a crash between append and transaction is healed by the next
 * open, which applies what is missing. The file may be deleted: it is made
 * again, with the same ids. docs/formats/outcomes.md tells what lies where.
 *
 * Degraded. When the SQLite file cannot be opened (a line outcome.degraded says
 * why), a temporary database is filled from the log and everything goes on with
 * the same functions; the file is tried again every few seconds, and catches
 * up from the log when it is there again. A file that is no database, or a broken one,
 * is put aside and made again.
 *
 * Threads and processes: any thread may call anything. Several processes may
 * record at once (a file lock orders them); rolling belongs to the one that
 * owns the lake. Requests that arrive together share one fsync and one
 * transaction.
 *
 * Errors: TN_EREQUEST for an outcome that cannot be (names the field, and in a
 * batch the place), TN_ECONFLICT for a key that was used for another outcome,
 * TN_ETOOLARGE, and those of files. A request is all or nothing.
 */
#ifndef TARN_OUTCOME_OUTCOME_H
#define TARN_OUTCOME_OUTCOME_H

#include "base/base.h"
#include "dataset/dataset.h"

struct outcome_store;

struct outcome_options {
    const char *folder; /* <bucket>/outcomes; made at the first record */
    struct lake *lake;  /* for rolling and SQL; NULL: the log alone (tests, tools). Outlives the store. */
};

/* Cheap when nothing was ever recorded. Applies what a crash left unapplied and
 * imports folder/model-performance.json, when it lies there, once. A damaged log
 * does not fail it: a lake must open; it is logged, and every call says it. */
enum tn_code outcome_open(const struct outcome_options *options, struct outcome_store **ret,
                          struct tn_error *err) TN_CHECKED;
/* No call may be under way; after the lake's pool, before its engine. */
void outcome_close(struct outcome_store *store);
TN_DEFINE_CLEANUP(struct outcome_store, outcome_close)

/* ---- recording -------------------------------------------------------------- */

#define OUTCOME_TEXT_MAX  200 /* bytes of a task type, a model id, a key, a source */
#define OUTCOME_BATCH_MAX 100000

struct outcome_event {
    const char *task_type, *model_id; /* "execute-task", "gpt-4o" */
    bool success, timeout;            /* a timeout is a failure */
    int64_t tokens_used;
    double cost_usd;
    int64_t time_us;    /* 0: now */
    const char *key;    /* the same key again is the same outcome, not another one; may be NULL */
    const char *source; /* who says so: "api", "ask"; may be NULL */
};

struct outcome_recorded {
    uint64_t recorded, duplicates;
    int64_t last_id; /* of the newest one of this request; 0: none was new */
    bool degraded;   /* SQLite is away; the outcomes are safe in the log */
};

/* One or a batch. Returns when it is durable and every reader sees it. */
enum tn_code outcome_record(struct outcome_store *store, const struct outcome_event *events, size_t count,
                            struct outcome_recorded *ret, struct tn_error *err) TN_CHECKED;
/* The same from JSON: an object, an array of them, or {"outcomes": [...]}.
 * Fields: task_type, model_id, success, timeout, tokens_used, cost_usd, timestamp, key. */
enum tn_code outcome_record_json(struct outcome_store *store, const json_t *body, const char *source,
                                 struct outcome_recorded *ret, struct tn_error *err) TN_CHECKED;

/* ---- ranking ---------------------------------------------------------------- */

struct outcome_model {
    const char *task_type, *model_id;
    int64_t successes, failures, timeouts, total_tokens;
    double total_cost;
    const char *last_used;           /* RFC 3339 or NULL */
    int64_t trials;                  /* successes + failures */
    double success_rate;             /* NAN without trials */
    double lower_bound, upper_bound; /* Wilson, 95 % */
    double average_tokens, average_cost;
    double cost_per_success; /* NAN without a success */
};

/* Ties go to the higher lower bound, then to the lower cost, then to fewer
 * tokens, then by name. */
enum outcome_order {
    OUTCOME_BY_RATE,  /* the plain success rate */
    OUTCOME_BY_BOUND, /* the lower bound: few trials count for less */
    OUTCOME_BY_COST,  /* the cost of one success */
    OUTCOME_BY_TOKENS /* the average tokens */
};
bool outcome_order_parse(const char *word, enum outcome_order *ret); /* rate, bound, cost, tokens */

#define OUTCOME_MIN_SAMPLES        3
#define OUTCOME_EXPORT_MIN_SAMPLES 10

/* Models of a task type (NULL: of every one, by task type first: the dashboard)
 * with at least min_samples trials, best first. All in the arena. */
enum tn_code outcome_rank(struct outcome_store *store, const char *task_type, int64_t min_samples,
                          enum outcome_order order, struct tn_arena *arena, struct outcome_model **ret,
                          size_t *ret_count, struct tn_error *err) TN_CHECKED;
void outcome_model_json(const struct outcome_model *model, struct tn_json *out);

/* Whether a model should no longer be asked: at least min_samples trials and a
 * success rate below the threshold. `certain`: its upper bound is below as well. */
struct outcome_demotion {
    struct outcome_model model;
    bool demote, certain;
    const char *why; /* a sentence, the arena's */
};
#define OUTCOME_DEMOTE_THRESHOLD 0.5
enum tn_code outcome_should_demote(struct outcome_store *store, const char *task_type, const char *model_id,
                                   double threshold, int64_t min_samples, struct tn_arena *arena,
                                   struct outcome_demotion *ret, struct tn_error *err) TN_CHECKED;

/* ---- comparing -------------------------------------------------------------- */

/* Incumbent: the best by lower bound among those with min_samples trials;
 * challenger: the other one that may be the best (highest upper bound). Either
 * may be named instead. TN_ENOTFOUND when there are not two. */
struct outcome_ab_options {
    const char *task_type, *incumbent, *challenger; /* the last two may be NULL */
    int64_t since_us;                               /* 0: all, with what was imported */
    int64_t min_samples;
    double alpha; /* 0: 0.05 */
};
struct outcome_ab {
    struct outcome_model incumbent, challenger;
    double p_value;   /* two-sided: Fisher's exact test for small counts, else the z test of two shares */
    const char *test; /* "fisher" or "z" */
    bool significant;
    const char *verdict; /* "challenger_better", "incumbent_better", "not_significant" */
};
enum tn_code outcome_ab(struct outcome_store *store, const struct outcome_ab_options *options, struct tn_arena *arena,
                        struct outcome_ab *ret, struct tn_error *err) TN_CHECKED;

struct outcome_day {
    const char *day; /* "2026-11-21", UTC */
    const char *model_id;
    int64_t attempts, wins, timeouts, tokens;
    double success_rate, cost;
};
/* Newest day first; recorded outcomes alone (imports have no days). */
enum tn_code outcome_trends(struct outcome_store *store, const char *task_type, const char *model_id,
                            int64_t since_us, struct tn_arena *arena, struct outcome_day **ret, size_t *ret_count,
                            struct tn_error *err) TN_CHECKED;

/* ---- choosing --------------------------------------------------------------- */

/* Which of the candidates to ask. With the probability `exploration` one of
 * those that are not the best, so that what is known about them grows; else the
 * best lower bound, a model without outcomes counting as 0. The same seed and
 * the same outcomes give the same choice. */
struct outcome_choice {
    size_t index;      /* into candidates */
    const char *model; /* candidates[index] */
    bool explored;
    int64_t trials;
    double success_rate, lower_bound; /* of the chosen one */
    char why[200];
};
enum tn_code outcome_choose(struct outcome_store *store, const char *task_type, const char *const *candidates,
                            size_t count, double exploration, uint64_t seed, struct outcome_choice *ret,
                            struct tn_error *err) TN_CHECKED;

/* ---- from elsewhere and to elsewhere ------------------------------------------ */

/* Aggregates that others made: kept beside the events under (source, task type, model)
 * and part of model_stats. What a source says later replaces what it said before, so
 * that importing the same again changes nothing. One transaction. */
struct outcome_imported {
    uint64_t taken, unchanged, refused;
    json_t *problems; /* array of {task_type, model_id, field, problem, refused}; the caller's, may be empty */
};
void outcome_imported_release(struct outcome_imported *imported);
/* The old model-performance.json ({task type: {model: {successes, failures, ...}}})
 * or what outcome_export_json wrote. Wrong entries are reported and left out. */
enum tn_code outcome_import_json(struct outcome_store *store, const json_t *document, const char *source,
                                 struct outcome_imported *ret, struct tn_error *err) TN_CHECKED;
/* A dataset with the columns task_type, model_id, success and, where it has them,
 * timeout, tokens_used, cost_usd, timestamp: aggregated as the view
 * model_performance of a foreign llm_task_outcomes would. */
enum tn_code outcome_import_dataset(struct outcome_store *store, const char *dataset, struct outcome_imported *ret,
                                    struct tn_error *err) TN_CHECKED;
/* {"format": "tarn-outcomes-1", "exported": ..., "items": [...]} */
enum tn_code outcome_export_json(struct outcome_store *store, int64_t min_samples, struct tn_json *out,
                                 struct tn_error *err) TN_CHECKED;

/* ---- SQL, upkeep, health ------------------------------------------------------ */

/* model_outcomes and model_stats for queries, over log and Iceberg table alone;
 * for struct lake. Borrowed until outcome_close. */
const struct dataset_extra *outcome_tables(struct outcome_store *store) __attribute__((returns_nonnull));

/* Rolls the log into the Iceberg table when there is enough of it, or all with
 * `force`; recording starts it on the lake's pool by itself. */
enum tn_code outcome_roll(struct outcome_store *store, bool force, struct tn_error *err) TN_CHECKED;

/* Holds the aggregate against a recount, SQLite against the log and the table. With
 * `repair`, what is wrong is counted again, or the file made again. */
struct outcome_check {
    int64_t events, models; /* as SQLite has them */
    int64_t wrong;          /* aggregates that differed from the recount */
    bool sound;             /* everything agreed, before any repair */
    bool repaired;
    char text[400]; /* what was wrong; "" when sound */
};
enum tn_code outcome_check(struct outcome_store *store, bool repair, struct outcome_check *ret,
                           struct tn_error *err) TN_CHECKED;

struct outcome_state {
    bool exists, degraded;
    int64_t last_id, rolled_id;
};
struct outcome_state outcome_state(struct outcome_store *store);

#endif
