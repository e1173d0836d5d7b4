/* The file's statements, for db.c and db_job.c. */
#ifndef TARN_JOB_DB_H
#define TARN_JOB_DB_H

#include "job/job_internal.h"

#include <sqlite3.h>

enum tn_code job_db_fail(const struct job_db *db, int rc, const char *what, struct tn_error *err);
enum tn_code job_db_exec(struct job_db *db, const char *sql, const char *what, struct tn_error *err) TN_CHECKED;
/* Whether the next change waits for the disk. */
enum tn_code job_db_durable(struct job_db *db, bool durable, struct tn_error *err) TN_CHECKED;
void job_stmt_end(sqlite3_stmt **stmt); /* for TN_CLEANUP */
enum tn_code job_stmt_new(struct job_db *db, const char *sql, sqlite3_stmt **ret, struct tn_error *err) TN_CHECKED;
enum tn_code job_stmt_step(struct job_db *db, sqlite3_stmt *stmt, bool *ret_row, const char *what,
                           struct tn_error *err) TN_CHECKED;
enum tn_code job_stmt_run(struct job_db *db, sqlite3_stmt *stmt, const char *what, struct tn_error *err) TN_CHECKED;
void job_bind_text(sqlite3_stmt *stmt, int at, const char *text); /* NULL binds NULL */

#endif
