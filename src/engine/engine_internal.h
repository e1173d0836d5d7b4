/* What the parts of the engine share. Never included outside this folder.
 *
 * Locks: engine->lock guards the free list of sessions and the counters;
 * watchdog->lock guards its list of watches; cache->lock the analyses. They
 * are never held two at a time.
 */
#ifndef TARN_ENGINE_INTERNAL_H
#define TARN_ENGINE_INTERNAL_H

#include "engine/engine.h"

#include <duckdb.h>
#include <pthread.h>

struct guard_cache;
struct watchdog;
struct live;
struct numbers;

struct engine {
    duckdb_database database;
    pthread_mutex_t lock;
    struct engine_session *idle; /* most recently used first: its caches are warm */
    size_t session_count;        /* open, idle or not */
    size_t session_idle;
    size_t running; /* queries */
    size_t max_queries;
    uint64_t memory_bytes;
    struct guard_cache *cache;
    struct watchdog *watchdog;
    struct live *live;
    struct numbers *numbers;
};

/* ---- errors.c ----------------------------------------------------------- */

/* Where the text that DuckDB saw differs from what the user wrote: an edit
 * replaced `old_length` bytes at `at` (in the user's text) by `new_length`.
 * Sorted by position. */
struct engine_edit {
    size_t at, old_length, new_length;
};
struct engine_text {
    const char *sql; /* what the user wrote; NULL for Tarn's own statements */
    size_t length;
    const struct engine_edit *edits;
    size_t edit_count;
};
/* Translates DuckDB's error text (JSON, see errors_as_json) into ours. */
enum tn_code engine_fail(struct tn_error *err, const char *message, const struct engine_text *text);
/* Sets line and column of byte `offset` of the text. */
void engine_error_place(struct tn_error *err, const char *sql, size_t length, size_t offset);

/* ---- lockdown.c --------------------------------------------------------- */

/* The settings that make the second wall; the last of them locks the rest. */
enum tn_code engine_lockdown(duckdb_connection connection, const struct engine_options *options,
                             uint64_t memory_bytes, struct tn_error *err) TN_CHECKED;

/* ---- watchdog.c --------------------------------------------------------- */

enum engine_stop { ENGINE_RUNNING, ENGINE_STOP_TIMEOUT, ENGINE_STOP_CANCEL };

/* A statement that may have to be stopped. A watch is armed while the
 * statement lives and busy while a thread is inside DuckDB for it; only then
 * is it interrupted, and as often as needed, since DuckDB forgets an interrupt
 * that arrives between two phases. */
struct engine_watch {
    duckdb_connection connection;
    uint64_t deadline_ns; /* monotonic; 0: none */
    uint64_t timeout_ms;
    const atomic_bool *cancel; /* the caller's; may be NULL */
    bool (*cancelled)(void *context);
    void *cancel_context;
    atomic_int stop;
    atomic_bool busy;
    struct engine_watch *previous, *next;
};
enum tn_code watchdog_new(struct watchdog **ret, struct tn_error *err) TN_CHECKED;
void watchdog_free(struct watchdog *watchdog);
void watchdog_arm(struct watchdog *watchdog, struct engine_watch *watch);
void watchdog_disarm(struct watchdog *watchdog, struct engine_watch *watch);
void watchdog_stop(struct watchdog *watchdog, struct engine_watch *watch, enum engine_stop reason);
/* Around each stretch inside DuckDB. `enter` refuses when already stopped. */
enum tn_code engine_watch_enter(struct engine_watch *watch, struct tn_error *err) TN_CHECKED;
void engine_watch_leave(struct engine_watch *watch);
/* TN_ETIMEOUT or TN_ECANCELLED when stopped, else TN_OK. */
enum tn_code engine_watch_check(struct engine_watch *watch, struct tn_error *err) TN_CHECKED;

/* ---- session.c ---------------------------------------------------------- */

#define SESSION_PLANS    12
#define SESSION_AT_VIEWS 64
#define SESSION_SELECTS  24

struct session_view {
    char *name;  /* lower case; the view's name */
    char *stamp; /* version and variant of what it shows */
    bool at;     /* spliced by us: may be dropped when there are many */
    uint64_t used;
};
struct session_plan {
    char *sql;
    size_t length;
    duckdb_prepared_statement prepared;
    uint64_t used;
};
/* A pooled connection and what is compiled on it. One thread at a time. */
struct engine_session {
    struct engine *engine;
    duckdb_connection connection;
    duckdb_prepared_statement serialize; /* the guard's parser */
    struct session_view *views;
    size_t view_count, view_capacity;
    struct session_plan plans[SESSION_PLANS];
    struct session_select *selects[SESSION_SELECTS]; /* select.c: statements of Tarn's own that are kept */
    uint64_t tick;
    struct engine_session *next;
};
enum tn_code engine_session_take(struct engine *engine, struct engine_session **ret, struct tn_error *err) TN_CHECKED;
void engine_session_give(struct engine_session *session);
TN_DEFINE_CLEANUP(struct engine_session, engine_session_give)
void engine_session_close(struct engine_session *session);

/* Makes `name` (lower case) mean this version on this connection. */
enum tn_code engine_session_view(struct engine_session *session, const char *name, bool at,
                                 const struct engine_relation *relation, struct tn_error *err) TN_CHECKED;
/* The compiled text, from the session's plans when it is there. Borrowed from
 * the session until the next call. */
enum tn_code engine_session_plan(struct engine_session *session, const char *sql, size_t length,
                                 const struct engine_text *text, duckdb_prepared_statement *ret,
                                 struct tn_error *err) TN_CHECKED;
/* select.c: forgets the kept statements. */
void engine_session_drop_selects(struct engine_session *session);
/* Runs a text of ours for its effect. */
enum tn_code engine_session_exec(struct engine_session *session, const char *sql, struct tn_error *err) TN_CHECKED;

/* ---- guard -------------------------------------------------------------- */

/* One table reference of a judged text. */
struct guard_table {
    struct engine_table_ref ref; /* what `at` means is unset when at_expression is set */
    char *key;                   /* lower-case name */
    size_t location, span;       /* bytes of the text */
    size_t name_span;            /* how many of them are the name, or the whole of a call */
    bool call;                   /* a call: stands for a view of its own, at its place */
    size_t at_location, at_span; /* the AT (...) clause; span 0: none */
    char *at_expression;         /* its expression, to be evaluated; NULL: none */
    bool aliased;
};
/* What the guard found out about a text; immutable, shared, counted. */
struct guard_analysis {
    atomic_size_t references;
    struct tn_arena *arena;
    const char *sql;
    size_t length;
    struct guard_table *tables;
    size_t table_count;
    bool varies; /* the same rows may give another answer: time, chance */
};
void guard_analysis_free(struct guard_analysis *analysis);
TN_DEFINE_CLEANUP(struct guard_analysis, guard_analysis_free)
/* Parses and judges on the session, or finds it in the cache. */
enum tn_code guard_analyse(struct engine_session *session, const char *sql, size_t length,
                           struct guard_analysis **ret, struct tn_error *err) TN_CHECKED;

/* guard_predicates.c: the WHERE's terms over the only table of a SELECT. */
void guard_predicates(const json_t *select, const json_t *table, struct tn_arena *arena,
                      struct engine_table_ref *ref);
/* Whether an expression is a plain constant, and its text; borrowed. */
bool guard_constant(const json_t *expression, enum engine_literal *ret_kind, const char **ret_text);
/* guard_call.c: a table function that stands for relations of the resolver. */
bool guard_call_is(const json_t *function);
/* False when an argument is no constant, or the text does not say it plainly;
 * *ret_why says what is wrong inside a list, and is left alone otherwise. */
bool guard_call_read(const json_t *table, const char *sql, size_t length, struct tn_arena *arena,
                     struct guard_table *ret, const char **ret_why);
/* guard_walk.c: judges the tree of a whole text, fills the tables. */
enum tn_code guard_walk(const json_t *root, struct guard_analysis *analysis, struct tn_error *err) TN_CHECKED;
/* As an expression alone: nothing but one item behind SELECT, no tables. */
enum tn_code guard_walk_expression(const json_t *root, const char *sql, size_t length, bool *ret_varies,
                                   struct tn_error *err) TN_CHECKED;

/* guard_text.c: the little that is read from the text itself. */
enum tn_code guard_text_bounds(const char *sql, size_t length, struct tn_error *err) TN_CHECKED;
/* Finds name and AT clause of a reference that starts at `location`. */
bool guard_text_reference(const char *sql, size_t location, size_t span, struct guard_table *table,
                          struct tn_arena *arena);
/* How long the call `word(...)` at `location` is; 0: it is none. */
size_t guard_text_call(const char *sql, size_t length, size_t location, const char *word);
/* A hint for a statement that is not a SELECT, by its first word. */
const char *guard_text_hint(const char *sql, size_t length);
/* Copies the text without the semicolons that end it. */
void guard_text_strip(const char *sql, size_t length, struct tn_buf *out);

/* guard_names.c: the allow-lists. */
bool guard_function_allowed(const char *name);
bool guard_table_function_allowed(const char *name);
/* Whether an allowed function says something else at another time. */
bool guard_function_varies(const char *name);
bool guard_node_allowed(const char *type);
bool guard_expression_allowed(const char *expression_class);
/* Known and refused on purpose; says why. NULL: not known. */
const char *guard_function_refusal(const char *name);

/* guard_cache.c */
struct guard_cache *guard_cache_new(size_t max_entries, size_t max_bytes) __attribute__((returns_nonnull));
void guard_cache_free(struct guard_cache *cache);
struct guard_analysis *guard_cache_get(struct guard_cache *cache, const char *sql, size_t length);
size_t guard_cache_bytes(struct guard_cache *cache);
void guard_cache_put(struct guard_cache *cache, struct guard_analysis *analysis);

/* ---- query.c, resolve.c, params.c --------------------------------------- */

/* The text to run with everything resolved. */
struct engine_bound {
    const char *sql;
    size_t length;
    struct engine_text text;
    struct engine_used_table *used;
    size_t used_count;
    const char *identity;       /* of what all its tables hold, one after the other; NULL: one of them has none */
    struct engine_hold **holds; /* of the relations; engine_query_free lets them go */
    size_t hold_count;
};
/* On failure too `ret` has the holds taken so far. */
enum tn_code engine_resolve(struct engine_session *session, const struct guard_analysis *analysis,
                            const struct engine_query_options *options, struct tn_arena *arena,
                            struct engine_bound *ret, struct tn_error *err) TN_CHECKED;
/* Puts `prefix` before and `suffix` behind a resolved text. */
void engine_bound_wrap(struct engine_bound *bound, const char *prefix, const char *suffix, struct tn_arena *arena);
enum tn_code engine_bind_params(duckdb_prepared_statement prepared, const json_t *params,
                                struct tn_error *err) TN_CHECKED;

struct engine_query {
    struct engine *engine;
    struct engine_session *session;
    struct engine_watch watch;
    struct tn_arena *arena;
    struct guard_analysis *analysis;
    struct engine_bound bound;
    duckdb_result result;
    bool has_result, ended, truncated, counted;
    struct engine_column *columns;
    struct vec **shapes; /* one per column */
    size_t column_count;
    uint64_t rows, row_limit;
};
/* The next chunk, cut at the row limit; NULL at the end. The caller destroys
 * it. */
enum tn_code engine_query_chunk(struct engine_query *query, duckdb_data_chunk *ret, size_t *ret_rows,
                                struct tn_error *err) TN_CHECKED;
/* Compiles bound.sql, binds parameters, executes, fills columns. */
enum tn_code engine_query_execute(struct engine_query *query, const json_t *params, bool keep_plan,
                                  struct tn_error *err) TN_CHECKED;

/* ---- types.c ------------------------------------------------------------ */

/* DuckDB's spelling: "DECIMAL(12,2)", "STRUCT(a INTEGER)". */
void engine_type_text(duckdb_logical_type type, struct tn_buf *out);
struct engine_type engine_type_of(duckdb_logical_type type);
duckdb_logical_type engine_type_make(struct engine_type type);

/* ---- live.c -------------------------------------------------------------- */

struct live *live_new(void) __attribute__((returns_nonnull));
/* Behind the database, whose functions point to it. */
void live_free(struct live *live);
enum tn_code live_register(duckdb_connection connection, struct live *live, struct tn_error *err) TN_CHECKED;

/* ---- number.c ------------------------------------------------------------ */

struct numbers *numbers_new(void) __attribute__((returns_nonnull));
/* Behind the database, whose function points to it. */
void numbers_free(struct numbers *numbers);
enum tn_code numbers_register(duckdb_connection connection, struct numbers *numbers, struct tn_error *err) TN_CHECKED;

/* ---- source.c ----------------------------------------------------------- */

enum tn_code engine_source_register(duckdb_connection connection, struct tn_error *err) TN_CHECKED;
/* What tarn_source() means on this thread while a statement is compiled. */
struct engine_source_run {
    const struct engine_source *source;
    uint64_t rows; /* about how many it has; 0: not known */
    struct engine_batch batch;
    struct tn_error error;
    enum tn_code code;
    bool ended;
};
/* A statement that is run again begins the same run again. */
void engine_source_begin(struct engine_source_run *run, const struct engine_source *source, uint64_t rows);
void engine_source_end(struct engine_source_run *run);

/* ---- copy_stats.c ------------------------------------------------------- */

enum tn_code engine_stats_read(duckdb_data_chunk chunk, struct tn_arena *arena, struct engine_file_stats *ret,
                               struct tn_error *err) TN_CHECKED;

#endif
