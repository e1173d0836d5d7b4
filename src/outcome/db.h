/* Inside outcome: the SQLite database, made of the log. The only part that
 * includes sqlite3.h besides the readers. */
#ifndef TARN_OUTCOME_DB_H
#define TARN_OUTCOME_DB_H

#include "outcome/log.h"

#include <sqlite3.h>

enum db_statement {
    DB_BEGIN,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_APPLIED,
    DB_SET_APPLIED,
    DB_ADD_STATS,
    DB_ADD_EVENT,
    DB_ADD_KEY,
    DB_FIND_KEY,
    DB_FIND_IMPORT,
    DB_SET_IMPORT,
    DB_RECOUNT_PAIR,
    DB_STATEMENTS
};

/* One connection with its prepared statements; one thread at a time. */
struct outcome_db {
    sqlite3 *handle;
    sqlite3_stmt *statements[DB_STATEMENTS];
    struct outcome_db *next; /* in a list of idle readers */
};

/* Opens the file, making tables that are missing; "" is a temporary database.
 * TN_ECORRUPT when it is no database or a broken one. */
enum tn_code db_open(const char *path, struct outcome_db **ret, struct tn_error *err) TN_CHECKED;
/* A second connection to the same file, which writes nothing. */
enum tn_code db_open_reader(const char *path, struct outcome_db **ret, struct tn_error *err) TN_CHECKED;
void db_close(struct outcome_db *db);
TN_DEFINE_CLEANUP(struct outcome_db, db_close)

/* Up to which id everything is in. */
enum tn_code db_applied(struct outcome_db *db, int64_t *ret, struct tn_error *err) TN_CHECKED;
/* Events and aggregate in one transaction. Entries that are in already are
 * passed over; TN_EPRECONDITION when there is a gap before the first. */
enum tn_code db_apply(struct outcome_db *db, const struct outcome_entry *entries, size_t count,
                      struct tn_error *err) TN_CHECKED;
/* What stands under a key; *ret_found. Texts are the arena's. */
enum tn_code db_find_key(struct outcome_db *db, const char *key, struct tn_arena *arena, struct outcome_entry *ret,
                         bool *ret_found, struct tn_error *err) TN_CHECKED;
/* What a source said last of that pair. */
enum tn_code db_find_import(struct outcome_db *db, const struct outcome_entry *like, struct outcome_entry *ret,
                            bool *ret_found, struct tn_error *err) TN_CHECKED;
/* Empties it: everything is to be applied again. */
enum tn_code db_clear(struct outcome_db *db, struct tn_error *err) TN_CHECKED;
/* Aggregates that differ from a recount; with `repair` they are made right. */
enum tn_code db_recount(struct outcome_db *db, bool repair, int64_t *ret_wrong, struct tn_error *err) TN_CHECKED;
/* SQLite's own look at the file; *ret_text ("" when fine) is the arena's. */
enum tn_code db_examine(struct outcome_db *db, struct tn_arena *arena, const char **ret_text,
                        struct tn_error *err) TN_CHECKED;

/* For readers. db_prepare: a statement of the caller's own (sqlite3_finalize). */
enum tn_code db_prepare(struct outcome_db *db, const char *sql, sqlite3_stmt **ret, struct tn_error *err) TN_CHECKED;
static inline void db_finalize_p(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement);
}
/* Steps; *ret_row says whether there is a row. */
enum tn_code db_step(struct outcome_db *db, sqlite3_stmt *statement, bool *ret_row, struct tn_error *err) TN_CHECKED;
void db_bind_text(sqlite3_stmt *statement, int at, const char *text);             /* NULL binds NULL; borrowed */
const char *db_text(sqlite3_stmt *statement, int column, struct tn_arena *arena); /* NULL for NULL */
enum tn_code db_fail(struct outcome_db *db, const char *what, struct tn_error *err);

#endif
