/* Jobs and their logs in the file. */
#include "job/db.h"

#define COLUMNS                                                                                                      \
    "id, kind, subject, actor, request_id, priority, created, state, wish, again, reason, deaths, waits, attempts, " \
    "not_before, started, ended, done, total, unit, result, error, version"

static int64_t bounded(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* ---- writing ------------------------------------------------------------------- */

/* From parameter 2 on; 1 is the id. */
static void bind_changes(sqlite3_stmt *stmt, const struct job *job)
{
    int at = 2;
    (void)sqlite3_bind_int(stmt, at++, (int)job->state);
    (void)sqlite3_bind_int(stmt, at++, (int)job->wish);
    (void)sqlite3_bind_int(stmt, at++, job->again);
    job_bind_text(stmt, at++, job->reason);
    (void)sqlite3_bind_int64(stmt, at++, job->deaths);
    (void)sqlite3_bind_int64(stmt, at++, job->waits);
    (void)sqlite3_bind_int64(stmt, at++, bounded(job->attempts));
    (void)sqlite3_bind_int64(stmt, at++, job->not_before_ms);
    (void)sqlite3_bind_int64(stmt, at++, job->started_us);
    (void)sqlite3_bind_int64(stmt, at++, job->ended_us);
    (void)sqlite3_bind_int64(stmt, at++, bounded(job->done));
    (void)sqlite3_bind_int64(stmt, at++, bounded(job->total));
    job_bind_text(stmt, at++, job->unit);
    job_bind_text(stmt, at++, job->result);
    job_bind_text(stmt, at++, job->error);
    (void)sqlite3_bind_int64(stmt, at++, bounded(job->version));
    (void)sqlite3_bind_int(stmt, at, job->priority);
}

enum tn_code job_db_insert(struct job_db *db, const struct job *job, const char *arguments, struct tn_error *err)
{
    static const char sql[] =
        "INSERT INTO job(id, state, wish, again, reason, deaths, waits, attempts, not_before, started, ended, done, "
        "total, unit, result, error, version, priority, kind, subject, actor, request_id, created, arguments) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24)";
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_db_durable(db, true, err));
    TN_TRY(job_stmt_new(db, sql, &stmt, err));
    job_bind_text(stmt, 1, job->id);
    bind_changes(stmt, job);
    job_bind_text(stmt, 19, job->kind);
    job_bind_text(stmt, 20, job->subject);
    job_bind_text(stmt, 21, job->actor);
    job_bind_text(stmt, 22, job->request_id);
    (void)sqlite3_bind_int64(stmt, 23, job->created_us);
    job_bind_text(stmt, 24, arguments);
    return job_stmt_run(db, stmt, "add a job", err);
}

#define SET_CHANGES                                                                                                  \
    "state=?2, wish=?3, again=?4, reason=?5, deaths=?6, waits=?7, attempts=?8, not_before=?9, started=?10, "         \
    "ended=?11, done=?12, total=?13, unit=?14, result=?15, error=?16, version=?17, priority=?18"

enum tn_code job_db_update(struct job_db *db, const struct job *job, bool durable, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_db_durable(db, durable, err));
    TN_TRY(job_stmt_new(db, "UPDATE job SET " SET_CHANGES " WHERE id=?1", &stmt, err));
    job_bind_text(stmt, 1, job->id);
    bind_changes(stmt, job);
    return job_stmt_run(db, stmt, "write a job's state", err);
}

enum tn_code job_db_checkpoint(struct job_db *db, const struct job *job, const char *checkpoint, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_db_durable(db, true, err));
    TN_TRY(job_stmt_new(db, "UPDATE job SET " SET_CHANGES ", checkpoint=?19 WHERE id=?1", &stmt, err));
    job_bind_text(stmt, 1, job->id);
    bind_changes(stmt, job);
    job_bind_text(stmt, 19, checkpoint);
    return job_stmt_run(db, stmt, "write a job's checkpoint", err);
}

/* ---- reading ------------------------------------------------------------------- */

static char *text_of(sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    return text ? tn_strdup((const char *)text) : NULL;
}

/* Numbers of a file that others may have touched are brought into their range. */
static int64_t number_of(sqlite3_stmt *stmt, int column, int64_t most)
{
    int64_t value = sqlite3_column_int64(stmt, column);
    return TN_MAX(INT64_C(0), TN_MIN(value, most));
}

static struct job *job_of(sqlite3_stmt *stmt)
{
    struct job *job = tn_calloc(1, sizeof *job);
    const unsigned char *id = sqlite3_column_text(stmt, 0), *unit = sqlite3_column_text(stmt, 19);
    (void)snprintf(job->id, sizeof job->id, "%s", id ? (const char *)id : "");
    job->kind = text_of(stmt, 1);
    if (!job->kind)
        job->kind = tn_strdup("");
    job->subject = text_of(stmt, 2);
    job->actor = text_of(stmt, 3);
    job->request_id = text_of(stmt, 4);
    job->priority = sqlite3_column_int(stmt, 5);
    job->created_us = number_of(stmt, 6, INT64_MAX);
    job->state = (enum job_state)number_of(stmt, 7, JOB_CANCELLED);
    job->wish = (enum job_wish)number_of(stmt, 8, JOB_WISH_CANCEL);
    job->again = sqlite3_column_int(stmt, 9) != 0;
    job->reason = text_of(stmt, 10);
    job->deaths = (unsigned)number_of(stmt, 11, 1000);
    job->waits = (unsigned)number_of(stmt, 12, 1000);
    job->attempts = (uint64_t)number_of(stmt, 13, INT64_MAX);
    job->not_before_ms = number_of(stmt, 14, INT64_MAX);
    job->started_us = number_of(stmt, 15, INT64_MAX);
    job->ended_us = number_of(stmt, 16, INT64_MAX);
    job->done = (uint64_t)number_of(stmt, 17, INT64_MAX);
    job->total = (uint64_t)number_of(stmt, 18, INT64_MAX);
    (void)snprintf(job->unit, sizeof job->unit, "%s", unit ? (const char *)unit : "");
    job->result = text_of(stmt, 20);
    job->error = text_of(stmt, 21);
    job->version = (uint64_t)number_of(stmt, 22, INT64_MAX);
    return job;
}

static enum tn_code each_row(struct job_db *db, sqlite3_stmt *stmt, job_db_each *each, void *context,
                             struct tn_error *err)
{
    for (bool row = true;;) {
        TN_TRY(job_stmt_step(db, stmt, &row, "read it", err));
        if (!row)
            return TN_OK;
        each(context, job_of(stmt));
    }
}

enum tn_code job_db_active(struct job_db *db, job_db_each *each, void *context, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_stmt_new(db, "SELECT " COLUMNS " FROM job WHERE state < ?1 ORDER BY id LIMIT ?2", &stmt, err));
    (void)sqlite3_bind_int(stmt, 1, JOB_DONE);
    (void)sqlite3_bind_int(stmt, 2, JOB_ACTIVE_MOST);
    return each_row(db, stmt, each, context, err);
}

enum tn_code job_db_list(struct job_db *db, int state, const char *before_id, size_t limit, job_db_each *each,
                         void *context, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    const char *sql = state < 0 ? "SELECT " COLUMNS " FROM job WHERE id < ?2 ORDER BY id DESC LIMIT ?3"
                                : "SELECT " COLUMNS " FROM job WHERE state=?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    TN_TRY(job_stmt_new(db, sql, &stmt, err));
    (void)sqlite3_bind_int(stmt, 1, state);
    job_bind_text(stmt, 2, before_id ? before_id : "~"); /* behind every id */
    (void)sqlite3_bind_int64(stmt, 3, bounded(limit));
    return each_row(db, stmt, each, context, err);
}

enum tn_code job_unknown(const char *id, struct tn_error *err)
{
    tn_fail(err, TN_ENOTFOUND, "there is no job %.60s", id);
    tn_error_hint(err, "GET /jobs and tarn jobs list those there are; jobs that ended long ago are forgotten.");
    return TN_ENOTFOUND;
}

enum tn_code job_db_get(struct job_db *db, const char *id, struct job **ret, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    bool row = false;
    TN_TRY(job_stmt_new(db, "SELECT " COLUMNS " FROM job WHERE id=?1", &stmt, err));
    job_bind_text(stmt, 1, id);
    TN_TRY(job_stmt_step(db, stmt, &row, "read it", err));
    if (!row)
        return job_unknown(id, err);
    *ret = job_of(stmt);
    return TN_OK;
}

enum tn_code job_db_body(struct job_db *db, const char *id, char **ret_arguments, char **ret_checkpoint,
                         struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    bool row = false;
    TN_TRY(job_stmt_new(db, "SELECT arguments, checkpoint FROM job WHERE id=?1", &stmt, err));
    job_bind_text(stmt, 1, id);
    TN_TRY(job_stmt_step(db, stmt, &row, "read it", err));
    if (!row)
        return job_unknown(id, err);
    *ret_arguments = text_of(stmt, 0);
    *ret_checkpoint = text_of(stmt, 1);
    return TN_OK;
}

/* ---- the log --------------------------------------------------------------------- */

static enum tn_code trim_log(struct job_db *db, const char *id, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_stmt_new(db,
                        "DELETE FROM log WHERE job=?1 AND number <= (SELECT max(number) FROM log WHERE job=?1) - ?2",
                        &stmt, err));
    job_bind_text(stmt, 1, id);
    (void)sqlite3_bind_int(stmt, 2, JOB_LOG_LINES);
    return job_stmt_run(db, stmt, "write a job's log", err);
}

enum tn_code job_db_log_add(struct job_db *db, const char *id, const char *text, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_db_durable(db, false, err));
    TN_TRY(job_stmt_new(db,
                        "INSERT INTO log(job, number, time, text) VALUES(?1, "
                        "(SELECT coalesce(max(number), 0) + 1 FROM log WHERE job=?1), ?2, ?3)",
                        &stmt, err));
    job_bind_text(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, tn_now_us());
    job_bind_text(stmt, 3, text);
    TN_TRY(job_stmt_run(db, stmt, "write a job's log", err));
    return trim_log(db, id, err);
}

enum tn_code job_db_log(struct job_db *db, const char *id, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    char time[TN_TIME_TEXT];
    TN_TRY(job_stmt_new(db, "SELECT time, text FROM log WHERE job=?1 ORDER BY number LIMIT ?2", &stmt, err));
    job_bind_text(stmt, 1, id);
    (void)sqlite3_bind_int(stmt, 2, JOB_LOG_LINES);
    tn_json_open(out, '[');
    for (bool row = true;;) {
        TN_TRY(job_stmt_step(db, stmt, &row, "read it", err));
        if (!row)
            break;
        tn_json_open(out, '{');
        tn_json_kstr(out, "time", tn_time_format(sqlite3_column_int64(stmt, 0), time));
        tn_json_kstr(out, "text", (const char *)sqlite3_column_text(stmt, 1));
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
    return TN_OK;
}

enum tn_code job_db_forget(struct job_db *db, int64_t before_us, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_db_durable(db, false, err));
    TN_TRY(job_stmt_new(db,
                        "DELETE FROM job WHERE state >= ?1 AND (ended < ?2 OR id <= (SELECT id FROM job "
                        "WHERE state >= ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3))",
                        &stmt, err));
    (void)sqlite3_bind_int(stmt, 1, JOB_DONE);
    (void)sqlite3_bind_int64(stmt, 2, before_us);
    (void)sqlite3_bind_int(stmt, 3, JOB_ENDED_MOST);
    return job_stmt_run(db, stmt, "forget old jobs", err);
}
