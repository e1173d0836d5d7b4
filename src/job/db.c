/* The file: opened, judged, set aside when it cannot be read.
 *
 * SQLite in WAL mode, locked by this process. A durable change syncs the log
 * (synchronous=FULL); others only write it, which outlives the process. */
#include "job/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x5461726a /* "Tarj" */

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE job(id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT, actor TEXT, request_id TEXT,"
    " priority INTEGER NOT NULL, created INTEGER NOT NULL, arguments TEXT NOT NULL, checkpoint TEXT,"
    " state INTEGER NOT NULL, wish INTEGER NOT NULL, again INTEGER NOT NULL, reason TEXT, deaths INTEGER NOT NULL,"
    " waits INTEGER NOT NULL, attempts INTEGER NOT NULL, not_before INTEGER NOT NULL, started INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, unit TEXT NOT NULL, result TEXT,"
    " error TEXT, version INTEGER NOT NULL);"
    "CREATE INDEX job_state ON job(state, id);"
    "CREATE TABLE log(job TEXT NOT NULL REFERENCES job(id) ON DELETE CASCADE, number INTEGER NOT NULL,"
    " time INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY(job, number)) WITHOUT ROWID;"
    "PRAGMA application_id=1415672426; PRAGMA user_version=1;"
    "COMMIT;";
_Static_assert(APPLICATION_ID == 1415672426 && SCHEMA_VERSION == 1, "the numbers in the schema's text");

enum tn_code job_db_fail(const struct job_db *db, int rc, const char *what, struct tn_error *err)
{
    int error = db->handle ? sqlite3_system_errno(db->handle) : 0;
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return tn_fail_errno(err, ENOSPC, "%s: cannot %s", db->path, what);
    case SQLITE_READONLY:
        return tn_fail_errno(err, EROFS, "%s: cannot %s", db->path, what);
    case SQLITE_ERROR: /* our statements are in order: the tables are not */
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        (void)tn_fail(err, TN_ECORRUPT, "%s: cannot %s: %s", db->path, what, text);
        tn_error_hint(err, "start the server again: it sets a damaged file of jobs aside and begins a new one");
        return TN_ECORRUPT;
    case SQLITE_BUSY:
        (void)tn_fail(err, TN_ELOCKED, "%s: cannot %s: another program has the file open", db->path, what);
        tn_error_hint(err, "close that program");
        return TN_ELOCKED;
    case SQLITE_NOMEM:
        return tn_fail(err, TN_ENOMEM, "%s: cannot %s: out of memory", db->path, what);
    default:
        if (error == ENOSPC || error == EDQUOT || error == EROFS)
            return tn_fail_errno(err, error, "%s: cannot %s", db->path, what);
        (void)tn_fail(err, TN_EIO, "%s: cannot %s: %s%s%s", db->path, what, text, error ? ": " : "",
                      error ? strerror(error) : "");
        tn_error_hint(err, "is the disk in order, and the lake's state folder writable?");
        return TN_EIO;
    }
}

enum tn_code job_db_exec(struct job_db *db, const char *sql, const char *what, struct tn_error *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TN_OK : job_db_fail(db, rc, what, err);
}

enum tn_code job_db_durable(struct job_db *db, bool durable, struct tn_error *err)
{
    if (db->full == durable)
        return TN_OK;
    TN_TRY(job_db_exec(db, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", "set it up", err));
    db->full = durable;
    return TN_OK;
}

/* The first column of the first row as a number. */
static enum tn_code ask_number(struct job_db *db, const char *sql, int64_t *ret, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_stmt_new(db, sql, &stmt, err));
    bool row = false;
    TN_TRY(job_stmt_step(db, stmt, &row, "read it", err));
    *ret = row ? sqlite3_column_int64(stmt, 0) : 0;
    return TN_OK;
}

static enum tn_code check_pages(struct job_db *db, struct tn_error *err)
{
    TN_CLEANUP(job_stmt_end) sqlite3_stmt *stmt = NULL;
    TN_TRY(job_stmt_new(db, "PRAGMA quick_check(1)", &stmt, err));
    bool row = false;
    TN_TRY(job_stmt_step(db, stmt, &row, "check it", err));
    const char *verdict = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (verdict && tn_streq(verdict, "ok"))
        return TN_OK;
    return tn_fail(err, TN_ECORRUPT, "%s: %.200s", db->path, verdict ? verdict : "no answer to the check");
}

static enum tn_code check_schema(struct job_db *db, struct tn_error *err)
{
    int64_t version = 0, tables = 0, application = 0;
    TN_TRY(ask_number(db, "PRAGMA user_version", &version, err));
    TN_TRY(ask_number(db, "PRAGMA application_id", &application, err));
    TN_TRY(ask_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err));
    if (tables == 0)
        return job_db_exec(db, schema, "make its tables", err);
    if (application != APPLICATION_ID)
        return tn_fail(err, TN_ECORRUPT, "%s: not a file of jobs", db->path);
    if (version != SCHEMA_VERSION)
        return tn_fail(err, TN_ECORRUPT, "%s: written by another version of Tarn (format %lld, here %d)", db->path,
                       (long long)version, SCHEMA_VERSION);
    int64_t columns = 0;
    return ask_number(db,
                      "SELECT count(id || kind || state || wish || checkpoint || version) + (SELECT count(number) "
                      "FROM log) FROM job LIMIT 1",
                      &columns, err);
}

static enum tn_code open_file(struct job_db *db, struct tn_error *err)
{
    /* Made here, so that it is the owner's alone; SQLite's log takes its mode. */
    TN_AUTO_CLOSE int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "%s: cannot open the file of jobs", db->path);
    int rc = sqlite3_open_v2(db->path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return job_db_fail(db, rc, "open it", err);
    (void)sqlite3_busy_timeout(db->handle, 2000);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    TN_TRY(job_db_exec(db,
                       "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                       "PRAGMA mmap_size=0; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;"
                       "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=4194304; PRAGMA foreign_keys=ON;"
                       "PRAGMA synchronous=FULL",
                       "set it up", err));
    db->full = true;
    TN_TRY(check_pages(db, err));
    return check_schema(db, err);
}

static void close_handle(struct job_db *db)
{
    if (db->handle)
        (void)sqlite3_close(db->handle);
    db->handle = NULL;
}

/* One damaged file is kept, for whoever wants to look at it. */
static enum tn_code set_aside(struct job_db *db, const struct tn_error *why, struct tn_error *err)
{
    static const char *const endings[] = {"", "-wal"};
    for (size_t i = 0; i < TN_COUNT(endings); i++) {
        TN_AUTO_FREE char *from = tn_asprintf("%s%s", db->path, endings[i]);
        TN_AUTO_FREE char *to = tn_asprintf("%s.damaged%s", db->path, endings[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return tn_fail_errno(err, errno, "%s: cannot set the damaged file of jobs aside", from);
    }
    TN_LOG(TN_LOG_WARN, "jobs.set_aside", TN_FS("file", db->path), TN_FS("why", why->detail),
           TN_FS("kept_as", "jobs.db.damaged"));
    return TN_OK;
}

enum tn_code job_db_open(const char *folder, struct job_db **ret, struct tn_error *err)
{
    TN_CLEANUP(job_db_close_p) struct job_db *db = tn_calloc(1, sizeof *db);
    struct tn_error why = {0};
    db->path = tn_asprintf("%s/jobs.db", folder);
    enum tn_code code = open_file(db, &why);
    if (code == TN_ECORRUPT) {
        close_handle(db);
        TN_TRY(set_aside(db, &why, err));
        code = open_file(db, &why);
    }
    if (code != TN_OK) {
        if (err)
            *err = why;
        return code;
    }
    *ret = TN_TAKE(db);
    return TN_OK;
}

void job_db_close(struct job_db *db)
{
    if (!db)
        return;
    close_handle(db);
    free(db->path);
    free(db);
}

/* ---- statements ---------------------------------------------------------------- */

void job_stmt_end(sqlite3_stmt **stmt)
{
    (void)sqlite3_finalize(*stmt);
}

enum tn_code job_stmt_new(struct job_db *db, const char *sql, sqlite3_stmt **ret, struct tn_error *err)
{
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, ret, NULL);
    return rc == SQLITE_OK ? TN_OK : job_db_fail(db, rc, "read it", err);
}

enum tn_code job_stmt_step(struct job_db *db, sqlite3_stmt *stmt, bool *ret_row, const char *what,
                           struct tn_error *err)
{
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return job_db_fail(db, rc, what, err);
    *ret_row = rc == SQLITE_ROW;
    return TN_OK;
}

/* For statements that give no rows. */
enum tn_code job_stmt_run(struct job_db *db, sqlite3_stmt *stmt, const char *what, struct tn_error *err)
{
    bool row;
    return job_stmt_step(db, stmt, &row, what, err);
}

void job_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    /* Texts outlive the statement; a failure for want of memory leaves NULL,
     * which the schema or the next reader refuses. */
    (void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}
