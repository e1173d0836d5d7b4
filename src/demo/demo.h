/* demo: synthetic workloads, written fast and the same everywhere.
 *
 * The staffing workload is seven tables of a staffing company at a given
 * scale; scale 1 is 2,467,000 rows:
 *
 *     candidates   100,000  CSV     candidate_id
 *     clients        2,000  CSV     client_id
 *     job_orders    15,000  CSV     job_id        -> clients
 *     placements    50,000  CSV     placement_id  -> job_orders, candidates
 *     timesheets 1,000,000  CSV     timesheet_id  -> placements
 *     call_log     800,000  CSV     call_id       -> candidates
 *     email_log    500,000  NDJSON  email_id      -> candidates
 *
 * Keys join; a placement's candidate has the profession of its job and, where
 * there is one, lives in its city; popular clients, cities and candidates are
 * far more popular than others; two candidates in five are never placed
 * however often they are called. A row is a function of (seed, scale, table,
 * row number) in integer arithmetic alone, so the bytes depend neither on the
 * machine nor on the number of threads.
 *
 * Threads: a struct demo_staffing is immutable once made; any number of
 * threads may render from it.
 */
#ifndef TARN_DEMO_DEMO_H
#define TARN_DEMO_DEMO_H

#include "base/base.h"

enum demo_table {
    DEMO_CANDIDATES,
    DEMO_CLIENTS,
    DEMO_JOB_ORDERS,
    DEMO_PLACEMENTS,
    DEMO_TIMESHEETS,
    DEMO_CALL_LOG,
    DEMO_EMAIL_LOG,
    DEMO_TABLES
};
enum demo_format { DEMO_CSV, DEMO_NDJSON };

#define DEMO_DEFAULT_SEED 1
#define DEMO_MAX_SCALE    100.0

/* "candidates"; also the dataset's name. */
const char *demo_table_name(enum demo_table table);
/* The column that names a row: "candidate_id". */
const char *demo_table_key(enum demo_table table);
/* The form in which such a company's system would export the table. */
enum demo_format demo_table_format(enum demo_table table);
/* "candidates.csv", "email_log.ndjson". */
const char *demo_table_file(enum demo_table table);

/* The company: a few MB at scale 1, ready in milliseconds. TN_EUSAGE unless
 * 0 < scale <= DEMO_MAX_SCALE. */
struct demo_staffing;
enum tn_code demo_staffing_new(double scale, uint64_t seed, struct demo_staffing **ret,
                               struct tn_error *err) TN_CHECKED;
void demo_staffing_free(struct demo_staffing *staffing);
TN_DEFINE_CLEANUP(struct demo_staffing, demo_staffing_free)

uint64_t demo_staffing_rows(const struct demo_staffing *staffing, enum demo_table table);

/* Appends `count` rows from row `first` to `buf`, for callers that pull.
 * A CSV header comes before row 0. first + count must not exceed the rows. */
void demo_staffing_render(const struct demo_staffing *staffing, enum demo_table table, enum demo_format format,
                          uint64_t first, uint64_t count, struct tn_buf *buf);

/* Takes the next bytes, always whole rows; `rows` tells how many, for progress.
 * The bytes are the callee's to read until it returns. Failing stops the write
 * with that code. */
typedef enum tn_code demo_sink_fn(void *context, const void *bytes, size_t count, uint64_t rows,
                                  struct tn_error *err);

/* Pushes the whole table through `sink`, in order, from the calling thread.
 * With a pool the rows are made by its threads, a few chunks ahead. */
enum tn_code demo_staffing_write(const struct demo_staffing *staffing, enum demo_table table, enum demo_format format,
                                 struct tn_pool *pool, demo_sink_fn *sink, void *context,
                                 struct tn_error *err) TN_CHECKED;
/* The same into a file, made or overwritten. */
enum tn_code demo_staffing_write_file(const struct demo_staffing *staffing, enum demo_table table,
                                      enum demo_format format, struct tn_pool *pool, const char *path,
                                      struct tn_error *err) TN_CHECKED;

#endif
