/* The SQLite side: schema, statements, and log entries applied in one
 * transaction each time. */
#include "outcome/db.h"
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <string.h>

/* model_outcomes and model_stats as the requirement has them. The others are
 * ours: keys, what was imported, and how far the log is applied. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS model_stats ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, task_type TEXT NOT NULL, model_id TEXT NOT NULL,"
    " successes INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
    " timeouts INTEGER NOT NULL DEFAULT 0, total_tokens INTEGER NOT NULL DEFAULT 0,"
    " total_cost REAL NOT NULL DEFAULT 0.0, last_used TEXT, UNIQUE(task_type, model_id));"
    "CREATE INDEX IF NOT EXISTS idx_stats_task_model ON model_stats(task_type, model_id);"
    "CREATE TABLE IF NOT EXISTS model_outcomes ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, task_type TEXT NOT NULL, model_id TEXT NOT NULL,"
    " success INTEGER NOT NULL, timeout INTEGER NOT NULL DEFAULT 0,"
    " tokens_used INTEGER NOT NULL DEFAULT 0, cost_usd REAL NOT NULL DEFAULT 0.0, timestamp TEXT NOT NULL,"
    " FOREIGN KEY (task_type, model_id) REFERENCES model_stats(task_type, model_id));"
    "CREATE INDEX IF NOT EXISTS idx_outcomes_task_model ON model_outcomes(task_type, model_id);"
    "CREATE INDEX IF NOT EXISTS idx_outcomes_timestamp ON model_outcomes(timestamp DESC);"
    "CREATE TABLE IF NOT EXISTS outcome_keys (key TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS outcome_imports ("
    " source TEXT NOT NULL, task_type TEXT NOT NULL, model_id TEXT NOT NULL, successes INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, timeouts INTEGER NOT NULL, total_tokens INTEGER NOT NULL,"
    " total_cost REAL NOT NULL, last_used TEXT, PRIMARY KEY (source, task_type, model_id)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS idx_imports_task_model ON outcome_imports(task_type, model_id);"
    "CREATE TABLE IF NOT EXISTS outcome_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO outcome_state VALUES ('applied', 0);";

/* An aggregate from scratch: events and the newest import of each source. */
#define RECOUNT                                                                                                      \
    "SELECT sum(s) AS successes, sum(f) AS failures, sum(t) AS timeouts, sum(k) AS total_tokens, "                   \
    "sum(c) AS total_cost, max(u) AS last_used"
#define OF_EVENTS                                                                                                    \
    "total(success) AS s, count(*) - total(success) AS f, total(timeout) AS t, total(tokens_used) AS k, "            \
    "total(cost_usd) AS c, max(timestamp) AS u FROM model_outcomes"
#define OF_IMPORTS                                                                                                   \
    "total(successes), total(failures), total(timeouts), total(total_tokens), total(total_cost), max(last_used) "    \
    "FROM outcome_imports"

static const char *const texts[DB_STATEMENTS] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_APPLIED] = "SELECT value FROM outcome_state WHERE name = 'applied'",
    [DB_SET_APPLIED] = "UPDATE outcome_state SET value = ?1 WHERE name = 'applied'",
    [DB_ADD_STATS] = "INSERT INTO model_stats (task_type, model_id, successes, failures, timeouts, total_tokens, "
                     "total_cost, last_used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
                     "ON CONFLICT (task_type, model_id) DO UPDATE SET successes = successes + ?3, "
                     "failures = failures + ?4, timeouts = timeouts + ?5, total_tokens = total_tokens + ?6, "
                     "total_cost = total_cost + ?7, "
                     "last_used = CASE WHEN last_used IS NULL OR last_used < ?8 THEN ?8 ELSE last_used END",
    [DB_ADD_EVENT] = "INSERT INTO model_outcomes (id, task_type, model_id, success, timeout, tokens_used, cost_usd, "
                     "timestamp) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [DB_ADD_KEY] = "INSERT INTO outcome_keys (key, id) VALUES (?1, ?2)",
    [DB_FIND_KEY] = "SELECT o.id, o.task_type, o.model_id, o.success, o.timeout, o.tokens_used, o.cost_usd, "
                    "o.timestamp FROM outcome_keys k JOIN model_outcomes o ON o.id = k.id WHERE k.key = ?1",
    [DB_FIND_IMPORT] = "SELECT successes, failures, timeouts, total_tokens, total_cost, last_used "
                       "FROM outcome_imports WHERE source = ?1 AND task_type = ?2 AND model_id = ?3",
    [DB_SET_IMPORT] = "INSERT OR REPLACE INTO outcome_imports (source, task_type, model_id, successes, failures, "
                      "timeouts, total_tokens, total_cost, last_used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [DB_RECOUNT_PAIR] =
        "INSERT INTO model_stats (task_type, model_id, successes, failures, timeouts, total_tokens, total_cost, "
        "last_used) SELECT ?1, ?2, x.* FROM (" RECOUNT " FROM (SELECT " OF_EVENTS
        " WHERE task_type = ?1 AND model_id = ?2 UNION ALL SELECT " OF_IMPORTS
        " WHERE task_type = ?1 AND model_id = ?2)) x WHERE true "
        "ON CONFLICT (task_type, model_id) DO UPDATE SET successes = excluded.successes, "
        "failures = excluded.failures, timeouts = excluded.timeouts, total_tokens = excluded.total_tokens, "
        "total_cost = excluded.total_cost, last_used = excluded.last_used",
};

/* ---- small things ------------------------------------------------------------- */

enum tn_code db_fail(struct outcome_db *db, const char *what, struct tn_error *err)
{
    int status = db->handle ? sqlite3_errcode(db->handle) : SQLITE_NOMEM;
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : "out of memory";
    enum tn_code code = status == SQLITE_FULL                                 ? TN_EDISKFULL
                        : status == SQLITE_CORRUPT || status == SQLITE_NOTADB ? TN_ECORRUPT
                        : status == SQLITE_BUSY || status == SQLITE_LOCKED    ? TN_EBUSY
                        : status == SQLITE_READONLY                           ? TN_EREADONLY
                                                                              : TN_EIO;
    return tn_fail(err, code, "outcomes.sqlite: %s: %s", what, text);
}

static enum tn_code run(struct outcome_db *db, const char *sql, struct tn_error *err)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? TN_OK : db_fail(db, "cannot run", err);
}

enum tn_code db_prepare(struct outcome_db *db, const char *sql, sqlite3_stmt **ret, struct tn_error *err)
{
    return sqlite3_prepare_v2(db->handle, sql, -1, ret, NULL) == SQLITE_OK ? TN_OK
                                                                           : db_fail(db, "cannot prepare", err);
}

enum tn_code db_step(struct outcome_db *db, sqlite3_stmt *statement, bool *ret_row, struct tn_error *err)
{
    int status = sqlite3_step(statement);
    if (status != SQLITE_ROW && status != SQLITE_DONE)
        return db_fail(db, "cannot read or write", err);
    *ret_row = status == SQLITE_ROW;
    return TN_OK;
}

void db_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text)
        (void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, at);
}

const char *db_text(sqlite3_stmt *statement, int column, struct tn_arena *arena)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? tn_arena_strdup(arena, (const char *)text) : NULL;
}

/* Runs a prepared statement to its first row; the caller resets it. */
static enum tn_code step_once(struct outcome_db *db, enum db_statement which, bool *ret_row, struct tn_error *err)
{
    return db_step(db, db->statements[which], ret_row, err);
}

static enum tn_code finish(struct outcome_db *db, enum db_statement which, struct tn_error *err)
{
    bool row = false;
    enum tn_code code = step_once(db, which, &row, err);
    (void)sqlite3_reset(db->statements[which]);
    return code;
}

/* ---- open --------------------------------------------------------------------- */

static enum tn_code open_handle(const char *path, int flags, const char *pragmas, struct outcome_db **ret,
                                struct tn_error *err)
{
    TN_CLEANUP(db_close_p) struct outcome_db *db = tn_calloc(1, sizeof *db);
    if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return db_fail(db, "cannot open", err);
    (void)sqlite3_extended_result_codes(db->handle, 0);
    (void)sqlite3_busy_timeout(db->handle, 20000);
    TN_TRY(run(db, pragmas, err));
    *ret = TN_TAKE(db);
    return TN_OK;
}

/* synchronous=NORMAL: a transaction is not fsynced. What a power cut takes from
 * the file is in the log, and is applied again. */
enum tn_code db_open(const char *path, struct outcome_db **ret, struct tn_error *err)
{
    struct outcome_db *opened = NULL;
    TN_TRY(open_handle(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
                       "PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=8000;",
                       &opened, err));
    TN_CLEANUP(db_close_p) struct outcome_db *db = opened;
    TN_TRY(run(db, schema, err));
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        if (sqlite3_prepare_v3(db->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL) !=
            SQLITE_OK)
            return db_fail(db, "cannot prepare", err);
    *ret = TN_TAKE(db);
    return TN_OK;
}

enum tn_code db_open_reader(const char *path, struct outcome_db **ret, struct tn_error *err)
{
    return open_handle(path, SQLITE_OPEN_READWRITE, "PRAGMA query_only=ON; PRAGMA cache_size=-8192;", ret, err);
}

void db_close(struct outcome_db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        (void)sqlite3_finalize(db->statements[i]);
    (void)sqlite3_close_v2(db->handle);
    free(db);
}

enum tn_code db_applied(struct outcome_db *db, int64_t *ret, struct tn_error *err)
{
    bool row = false;
    enum tn_code code = step_once(db, DB_APPLIED, &row, err);
    if (code == TN_OK && !row)
        code = tn_fail(err, TN_ECORRUPT, "outcomes.sqlite does not say how far it is");
    if (code == TN_OK)
        *ret = sqlite3_column_int64(db->statements[DB_APPLIED], 0);
    (void)sqlite3_reset(db->statements[DB_APPLIED]);
    return code;
}

/* ---- applying ----------------------------------------------------------------- */

/* What a group of entries adds to one aggregate. */
struct sum {
    const char *task_type, *model_id;
    int64_t successes, failures, timeouts, tokens, time_us;
    double cost;
};
#define SUMS_MAX 64

static enum tn_code put_sums(struct outcome_db *db, const struct sum *sums, size_t count, struct tn_error *err)
{
    sqlite3_stmt *statement = db->statements[DB_ADD_STATS];
    for (size_t i = 0; i < count; i++) {
        char time[TN_TIME_TEXT];
        db_bind_text(statement, 1, sums[i].task_type);
        db_bind_text(statement, 2, sums[i].model_id);
        (void)sqlite3_bind_int64(statement, 3, sums[i].successes);
        (void)sqlite3_bind_int64(statement, 4, sums[i].failures);
        (void)sqlite3_bind_int64(statement, 5, sums[i].timeouts);
        (void)sqlite3_bind_int64(statement, 6, sums[i].tokens);
        (void)sqlite3_bind_double(statement, 7, sums[i].cost);
        db_bind_text(statement, 8, outcome_time_text(sums[i].time_us, time));
        TN_TRY(finish(db, DB_ADD_STATS, err));
    }
    return TN_OK;
}

/* The aggregates first: the events refer to them. */
static enum tn_code add_stats(struct outcome_db *db, const struct outcome_entry *entries, size_t count,
                              struct tn_error *err)
{
    struct sum sums[SUMS_MAX];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct outcome_entry *entry = &entries[i];
        size_t at = 0;
        if (entry->import)
            continue;
        while (at < used &&
               !(tn_streq(sums[at].model_id, entry->model_id) && tn_streq(sums[at].task_type, entry->task_type)))
            at++;
        if (at == SUMS_MAX) {
            TN_TRY(put_sums(db, sums, used, err));
            at = used = 0;
        }
        if (at == used)
            sums[used++] = (struct sum){.task_type = entry->task_type, .model_id = entry->model_id};
        sums[at].successes += entry->successes;
        sums[at].failures += entry->failures;
        sums[at].timeouts += entry->timeouts;
        sums[at].tokens += entry->tokens;
        sums[at].cost += entry->cost;
        sums[at].time_us = TN_MAX(sums[at].time_us, entry->time_us);
    }
    return put_sums(db, sums, used, err);
}

static enum tn_code add_event(struct outcome_db *db, const struct outcome_entry *entry, struct tn_error *err)
{
    sqlite3_stmt *statement = db->statements[DB_ADD_EVENT];
    char time[TN_TIME_TEXT];
    (void)sqlite3_bind_int64(statement, 1, entry->id);
    db_bind_text(statement, 2, entry->task_type);
    db_bind_text(statement, 3, entry->model_id);
    (void)sqlite3_bind_int64(statement, 4, entry->successes);
    (void)sqlite3_bind_int64(statement, 5, entry->timeouts);
    (void)sqlite3_bind_int64(statement, 6, entry->tokens);
    (void)sqlite3_bind_double(statement, 7, entry->cost);
    db_bind_text(statement, 8, outcome_time_text(entry->time_us, time));
    TN_TRY(finish(db, DB_ADD_EVENT, err));
    if (!entry->key)
        return TN_OK;
    db_bind_text(db->statements[DB_ADD_KEY], 1, entry->key);
    (void)sqlite3_bind_int64(db->statements[DB_ADD_KEY], 2, entry->id);
    return finish(db, DB_ADD_KEY, err);
}

static enum tn_code set_import(struct outcome_db *db, const struct outcome_entry *entry, struct tn_error *err)
{
    sqlite3_stmt *statement = db->statements[DB_SET_IMPORT];
    char time[TN_TIME_TEXT];
    db_bind_text(statement, 1, entry->source);
    db_bind_text(statement, 2, entry->task_type);
    db_bind_text(statement, 3, entry->model_id);
    (void)sqlite3_bind_int64(statement, 4, entry->successes);
    (void)sqlite3_bind_int64(statement, 5, entry->failures);
    (void)sqlite3_bind_int64(statement, 6, entry->timeouts);
    (void)sqlite3_bind_int64(statement, 7, entry->tokens);
    (void)sqlite3_bind_double(statement, 8, entry->cost);
    db_bind_text(statement, 9, entry->time_us == LOG_NO_TIME ? NULL : outcome_time_text(entry->time_us, time));
    TN_TRY(finish(db, DB_SET_IMPORT, err));
    db_bind_text(db->statements[DB_RECOUNT_PAIR], 1, entry->task_type);
    db_bind_text(db->statements[DB_RECOUNT_PAIR], 2, entry->model_id);
    return finish(db, DB_RECOUNT_PAIR, err);
}

static enum tn_code apply_inside(struct outcome_db *db, const struct outcome_entry *entries, size_t count,
                                 struct tn_error *err)
{
    int64_t applied;
    size_t from = 0;
    TN_TRY(db_applied(db, &applied, err));
    while (from < count && entries[from].id <= applied)
        from++;
    if (from == count)
        return TN_OK;
    if (entries[from].id != applied + 1)
        return tn_fail(err, TN_EPRECONDITION, "entries %" PRId64 " to %" PRId64 " are not applied yet", applied + 1,
                       entries[from].id - 1);
    TN_TRY(add_stats(db, entries + from, count - from, err));
    TN_FAULT("outcome.between");
    for (size_t i = from; i < count; i++)
        TN_TRY(entries[i].import ? set_import(db, &entries[i], err) : add_event(db, &entries[i], err));
    (void)sqlite3_bind_int64(db->statements[DB_SET_APPLIED], 1, entries[count - 1].id);
    return finish(db, DB_SET_APPLIED, err);
}

enum tn_code db_apply(struct outcome_db *db, const struct outcome_entry *entries, size_t count, struct tn_error *err)
{
    TN_TRY(finish(db, DB_BEGIN, err));
    enum tn_code code = apply_inside(db, entries, count, err);
    TN_FAULT("outcome.before_commit");
    if (code == TN_OK)
        code = finish(db, DB_COMMIT, err);
    if (code != TN_OK)
        (void)finish(db, DB_ROLLBACK, NULL);
    return code;
}

/* ---- looking up ------------------------------------------------------------------ */

enum tn_code db_find_key(struct outcome_db *db, const char *key, struct tn_arena *arena, struct outcome_entry *ret,
                         bool *ret_found, struct tn_error *err)
{
    sqlite3_stmt *statement = db->statements[DB_FIND_KEY];
    db_bind_text(statement, 1, key);
    enum tn_code code = step_once(db, DB_FIND_KEY, ret_found, err);
    if (code == TN_OK && *ret_found) {
        const unsigned char *time = sqlite3_column_text(statement, 7);
        *ret = (struct outcome_entry){
            .id = sqlite3_column_int64(statement, 0),
            .task_type = db_text(statement, 1, arena),
            .model_id = db_text(statement, 2, arena),
            .successes = sqlite3_column_int64(statement, 3),
            .failures = 1 - sqlite3_column_int64(statement, 3),
            .timeouts = sqlite3_column_int64(statement, 4),
            .tokens = sqlite3_column_int64(statement, 5),
            .cost = sqlite3_column_double(statement, 6),
        };
        if (!time || !tn_time_parse((const char *)time, &ret->time_us))
            ret->time_us = LOG_NO_TIME;
    }
    (void)sqlite3_reset(statement);
    return code;
}

enum tn_code db_find_import(struct outcome_db *db, const struct outcome_entry *like, struct outcome_entry *ret,
                            bool *ret_found, struct tn_error *err)
{
    sqlite3_stmt *statement = db->statements[DB_FIND_IMPORT];
    db_bind_text(statement, 1, like->source);
    db_bind_text(statement, 2, like->task_type);
    db_bind_text(statement, 3, like->model_id);
    enum tn_code code = step_once(db, DB_FIND_IMPORT, ret_found, err);
    if (code == TN_OK && *ret_found) {
        const unsigned char *time = sqlite3_column_text(statement, 5);
        *ret = *like;
        ret->successes = sqlite3_column_int64(statement, 0);
        ret->failures = sqlite3_column_int64(statement, 1);
        ret->timeouts = sqlite3_column_int64(statement, 2);
        ret->tokens = sqlite3_column_int64(statement, 3);
        ret->cost = sqlite3_column_double(statement, 4);
        if (!time || !tn_time_parse((const char *)time, &ret->time_us))
            ret->time_us = LOG_NO_TIME;
    }
    (void)sqlite3_reset(statement);
    return code;
}

/* ---- checking --------------------------------------------------------------------- */

enum tn_code db_clear(struct outcome_db *db, struct tn_error *err)
{
    enum tn_code code = run(db,
                            "BEGIN IMMEDIATE; DELETE FROM model_outcomes; DELETE FROM model_stats; "
                            "DELETE FROM outcome_keys; DELETE FROM outcome_imports; "
                            "UPDATE outcome_state SET value = 0; COMMIT",
                            err);
    if (code != TN_OK)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

/* Costs are sums of doubles in another order: equal to nine digits is equal. */
#define RECOUNTED                                                                                                    \
    "CREATE TEMP TABLE recounted AS SELECT task_type, model_id, sum(s) AS s, sum(f) AS f, sum(t) AS t, sum(k) AS "   \
    "k, "                                                                                                            \
    "sum(c) AS c, max(u) AS u FROM (SELECT task_type, model_id, " OF_EVENTS " GROUP BY 1, 2 UNION ALL "              \
    "SELECT task_type, model_id, " OF_IMPORTS " GROUP BY 1, 2) GROUP BY 1, 2"
#define DIFFERENT                                                                                                    \
    "SELECT count(*) FROM (SELECT 1 FROM recounted r LEFT JOIN model_stats m USING (task_type, model_id) "           \
    "WHERE m.id IS NULL OR m.successes <> r.s OR m.failures <> r.f OR m.timeouts <> r.t OR m.total_tokens <> r.k "   \
    "OR abs(m.total_cost - r.c) > 1e-9 * max(1, abs(r.c)) OR m.last_used IS NOT r.u "                                \
    "UNION ALL SELECT 1 FROM model_stats m LEFT JOIN recounted r USING (task_type, model_id) WHERE r.s IS NULL)"
#define MAKE_RIGHT                                                                                                   \
    "DELETE FROM model_stats WHERE (task_type, model_id) NOT IN (SELECT task_type, model_id FROM recounted);"        \
    "INSERT INTO model_stats (task_type, model_id, successes, failures, timeouts, total_tokens, total_cost, "        \
    "last_used) SELECT task_type, model_id, s, f, t, k, c, u FROM recounted WHERE true ON CONFLICT (task_type, "     \
    "model_id) DO UPDATE SET successes = excluded.successes, failures = excluded.failures, "                         \
    "timeouts = excluded.timeouts, total_tokens = excluded.total_tokens, total_cost = excluded.total_cost, "         \
    "last_used = excluded.last_used"

static enum tn_code count_of(struct outcome_db *db, const char *sql, int64_t *ret, struct tn_error *err)
{
    TN_CLEANUP(db_finalize_p) sqlite3_stmt *statement = NULL;
    bool row = false;
    TN_TRY(db_prepare(db, sql, &statement, err));
    TN_TRY(db_step(db, statement, &row, err));
    *ret = row ? sqlite3_column_int64(statement, 0) : 0;
    return TN_OK;
}

enum tn_code db_recount(struct outcome_db *db, bool repair, int64_t *ret_wrong, struct tn_error *err)
{
    TN_TRY(finish(db, DB_BEGIN, err));
    enum tn_code code = run(db, RECOUNTED, err);
    if (code == TN_OK)
        code = count_of(db, DIFFERENT, ret_wrong, err);
    if (code == TN_OK && repair && *ret_wrong > 0)
        code = run(db, MAKE_RIGHT, err);
    if (code == TN_OK)
        code = run(db, "DROP TABLE recounted", err);
    if (code == TN_OK)
        code = finish(db, DB_COMMIT, err);
    if (code != TN_OK)
        (void)finish(db, DB_ROLLBACK, NULL);
    return code;
}

enum tn_code db_examine(struct outcome_db *db, struct tn_arena *arena, const char **ret_text, struct tn_error *err)
{
    TN_CLEANUP(db_finalize_p) sqlite3_stmt *statement = NULL;
    bool row = false;
    TN_TRY(db_prepare(db, "PRAGMA quick_check(1)", &statement, err));
    TN_TRY(db_step(db, statement, &row, err));
    const char *text = row ? db_text(statement, 0, arena) : "no answer";
    *ret_text = text && tn_streq(text, "ok") ? "" : text;
    return TN_OK;
}
