/* Errors: a small stable set of codes, and text that a person can act on.
 *
 * Every fallible function returns enum tn_code and takes an optional
 * struct tn_error as its last argument. On failure the outputs (named ret_*)
 * are untouched and the error says what went wrong, where, and, in `hint`,
 * what to do about it. Passing NULL for the error is always allowed.
 *
 * The table below is the only place where a code meets its public word, its
 * HTTP status and its exit status; the gateway and the command line read it.
 * The words are part of the API: they never change once released.
 */
#ifndef TARN_BASE_ERROR_H
#define TARN_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

/* clang-format off */
/*    code                    word                       http exit title */
#define TN_CODES(X)                                                                               \
    X(TN_OK,                 "ok",                       200, 0, "OK")                            \
    X(TN_EUSAGE,             "wrong_usage",              400, 2, "Wrong usage")                   \
    X(TN_ECONFIG,            "bad_configuration",        500, 2, "Bad configuration")             \
    X(TN_EREQUEST,           "bad_request",              400, 1, "Malformed request")             \
    X(TN_EJSON,              "bad_json",                 400, 1, "Malformed JSON")                \
    X(TN_EFIELD,             "unknown_field",            400, 1, "Unknown field")                 \
    X(TN_ESQL,               "sql_error",                400, 1, "SQL error")                     \
    X(TN_EUNAUTHORIZED,      "unauthorized",             401, 1, "Token missing or wrong")        \
    X(TN_EFORBIDDEN,         "forbidden",                403, 1, "Forbidden")                     \
    X(TN_ENOTFOUND,          "not_found",                404, 1, "Not found")                     \
    X(TN_EDATASET,           "dataset_not_found",        404, 1, "No such dataset")               \
    X(TN_ESNAPSHOT,          "snapshot_not_found",       404, 1, "No such snapshot")              \
    X(TN_EMETHOD,            "method_not_allowed",       405, 1, "Method not allowed")            \
    X(TN_EACCEPT,            "not_acceptable",           406, 1, "No such representation")        \
    X(TN_ECONFLICT,          "conflict",                 409, 1, "Conflict")                      \
    X(TN_EEXISTS,            "already_exists",           409, 1, "Already exists")                \
    X(TN_ELOCKED,            "lake_in_use",              409, 1, "Lake in use")                   \
    X(TN_EPRECONDITION,      "precondition_failed",      412, 1, "Precondition failed")           \
    X(TN_ETOOLARGE,          "too_large",                413, 1, "Too large")                     \
    X(TN_EHEADERS,           "headers_too_large",        431, 1, "Headers too large")             \
    X(TN_EMEDIA,             "unsupported_media_type",   415, 1, "Unsupported media type")        \
    X(TN_EREFUSED,           "refused",                  422, 1, "Refused")                       \
    X(TN_ESQLREFUSED,        "sql_refused",              422, 1, "SQL refused")                   \
    X(TN_ESCHEMA,            "schema_mismatch",          422, 1, "Schema does not fit")           \
    X(TN_EREJECTS,           "rows_rejected",            422, 1, "Rows rejected")                 \
    X(TN_EUNREADABLE,        "unreadable_file",          422, 1, "File cannot be read")           \
    X(TN_EUNSUPPORTED,       "unsupported",              422, 1, "Not supported")                 \
    X(TN_EBUSY,              "busy",                     429, 1, "Busy")                          \
    X(TN_ECANCELLED,         "cancelled",                499, 1, "Cancelled")                     \
    X(TN_EINTERNAL,          "internal_error",           500, 1, "Internal error")                \
    X(TN_EIO,                "io_error",                 500, 1, "Input or output failed")        \
    X(TN_ECORRUPT,           "corrupt",                  500, 1, "Corrupt data")                  \
    X(TN_EUPSTREAM,          "upstream_failed",          502, 1, "Provider failed")               \
    X(TN_ENOMEM,             "out_of_memory",            503, 1, "Out of memory")                 \
    X(TN_EUNAVAILABLE,       "unavailable",              503, 1, "Unavailable")                   \
    X(TN_EUNREACHABLE,       "server_unreachable",       503, 3, "Server not reachable")          \
    X(TN_EREADONLY,          "read_only",                503, 1, "Storage is read-only")          \
    X(TN_ETIMEOUT,           "timed_out",                504, 1, "Timed out")                     \
    X(TN_EDISKFULL,          "disk_full",                507, 1, "Disk full")
/* clang-format on */

enum tn_code {
#define X(code, word, http, exit, title) code,
    TN_CODES(X)
#undef X
};

#define TN_CHECKED                         __attribute__((warn_unused_result))
#define TN_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))

/* Caller-owned, usually on the stack; `= {0}` is an error that says nothing.
 * line and column are 1-based and 0 where they mean nothing. */
struct tn_error {
    enum tn_code code;
    int line;
    int column;
    char detail[1200];
    char hint[500];
};

/* Returns the enclosing function with the code when expr fails. */
#define TN_TRY(expr)                                                                                                 \
    do {                                                                                                             \
        enum tn_code tn_try_code_ = (expr);                                                                          \
        if (tn_try_code_ != TN_OK)                                                                                   \
            return tn_try_code_;                                                                                     \
    } while (0)

/* Sets code and detail, clears hint and position; returns code, so that a
 * failing function ends in `return tn_fail(err, ...)`. Text that does not fit
 * is cut at a UTF-8 boundary and ends in "...". */
enum tn_code tn_fail(struct tn_error *err, enum tn_code code, const char *format, ...) TN_PRINTF(3, 4);
enum tn_code tn_vfail(struct tn_error *err, enum tn_code code, const char *format, va_list args) TN_PRINTF(3, 0);

/* Fails with the meaning of errno_value: ENOSPC and EDQUOT become
 * TN_EDISKFULL, EROFS TN_EREADONLY, ENOENT TN_ENOTFOUND, ENOMEM TN_ENOMEM, the
 * rest TN_EIO, each with a hint. The detail is "<formatted text>: <strerror>". */
enum tn_code tn_fail_errno(struct tn_error *err, int errno_value, const char *format, ...) TN_PRINTF(3, 4);

/* Adds what to do. Replaces an earlier hint. */
void tn_error_hint(struct tn_error *err, const char *format, ...) TN_PRINTF(2, 3);

/* Puts "text: " before the detail: the place, added on the way up. */
void tn_error_context(struct tn_error *err, const char *format, ...) TN_PRINTF(2, 3);

/* The one table, read. Never NULL. */
const char *tn_code_word(enum tn_code code);
const char *tn_code_title(enum tn_code code);
int tn_code_http_status(enum tn_code code);
int tn_code_exit_status(enum tn_code code);
/* The code of a public word; TN_EINTERNAL for an unknown one. */
enum tn_code tn_code_from_word(const char *word);

#endif
