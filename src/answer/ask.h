/* ask.h: from a question to one statement, its rows and a sentence.
 *
 *   ask_tables.c    the datasets that a question may see, as tables
 *   ask_values.c    what their columns hold, remembered by snapshot
 *   ask_rank.c      which of them a question is about
 *   ask_card.c      tables as text for a prompt, within a size
 *   ask_prompt.c    the messages
 *   ask_extract.c   what a model wrote, to a statement
 *   ask_run.c       the statement under the guard, to rows
 *   ask_sentence.c  rows to a sentence; a model's sentence held against them
 *   ask_again.c     the statement of a record run again
 *   ask_write.c     questions and answers as JSON
 *   ask.c           the way through
 */
#ifndef TARN_ANSWER_ASK_H
#define TARN_ANSWER_ASK_H

#include "answer/answer_internal.h"

/* Goes into every record: another text of the prompt is another version. */
#define ASK_PROMPT_VERSION "ask-1"

/* ---- tables --------------------------------------------------------------------- */

#define ASK_TABLES_MAX   2000
#define ASK_COLUMNS_MAX  300 /* of one table; more are not shown */
#define ASK_VALUES       12  /* distinct values of a column that are shown */
#define ASK_EXAMPLES     3   /* of a column with more */
#define ASK_VALUE_LENGTH 40  /* bytes of one */

/* What a column holds at a snapshot. */
struct ask_values {
    int32_t field_id;
    const char *const *values; /* the most frequent first */
    size_t count;
    bool all;              /* there are no others */
    const char *min, *max; /* of numbers, dates and times; NULL */
};

struct ask_column {
    const char *name, *type, *description; /* description: NULL when there is none */
    int32_t field_id;
    bool key;
    bool withheld;                   /* sensitive: nothing of what it holds is shown */
    const struct ask_values *values; /* NULL: nothing is known */
};

struct ask_table {
    const char *name, *description, *tags; /* tags: JSON, or NULL */
    int64_t rows;                          /* -1: unknown */
    struct ask_column *columns;
    size_t column_count;
    bool sensitive;    /* it is marked as a whole */
    bool any_withheld; /* it or one of its columns is */
    const char *index; /* a search index over it; NULL */
    double score;      /* ask_rank's */
};

/* What columns hold, kept by dataset and version so that a question reads no
 * rows: found out once by a bounded look at them. Thread-safe. */
struct ask_cache;
struct ask_cache *ask_cache_new(void) __attribute__((returns_nonnull));
void ask_cache_free(struct ask_cache *cache);
/* Sets rows and the columns' values of a table whose columns are there;
 * withheld columns are not looked at. What cannot be read leaves them unknown.
 * Values are the arena's. */
void ask_values_fill(struct ask_cache *cache, struct lake *lake, struct tn_arena *arena, struct ask_table *table);

/* The tables that a question may see: those that are named, else all datasets
 * but Tarn's own (vectors). No values yet. TN_EDATASET. */
enum tn_code ask_tables(struct lake *lake, struct index_service *indexes, const char *const *names, size_t name_count,
                        struct tn_arena *arena, struct ask_table **ret, size_t *ret_count,
                        struct tn_error *err) TN_CHECKED;

/* Better first; ties by name. A table that shares the name of a key column with
 * a good one is worth something too: joins go that way. */
void ask_rank(const char *question, struct ask_table *tables, size_t count);

/* Tables as text, in their order, until `most` bytes are used; *ret_shown of
 * them are in it. A table that does not fit whole is given with fewer values,
 * then with names and types alone; at least the first one is there in some form. */
void ask_card_write(const struct ask_table *tables, size_t count, size_t most, struct tn_buf *out, size_t *ret_shown);

/* ---- rows ---------------------------------------------------------------------------- */

struct ask_result {
    const char *columns; /* JSON: [{"name","type"}, ...] */
    const char *rows;    /* JSON: [[...], ...] */
    size_t rows_length;
    uint64_t row_count;
    bool truncated;
    const struct engine_used_table *tables;
    size_t table_count;
    char hash[TN_HASH_HEX]; /* of columns and rows, whatever their order */
};

/* ---- prompts ------------------------------------------------------------------------ */

struct ask_prompt {
    const char *card, *question, *nonce;
    uint64_t limit; /* rows that are shown */
    int64_t now_us;
};
/* Two messages; with a statement that failed two more. Texts are the arena's. */
#define ASK_MESSAGES 4
size_t ask_prompt_sql(const struct ask_prompt *prompt, const char *failed_sql, const char *why,
                      struct tn_arena *arena, struct model_message messages[ASK_MESSAGES]);
size_t ask_prompt_sentence(const struct ask_prompt *prompt, const char *sql, const struct ask_result *result,
                           struct tn_arena *arena, struct model_message messages[ASK_MESSAGES]);

/* ---- what a model wrote ------------------------------------------------------------ */

enum ask_said {
    ASK_SAID_SQL,    /* a statement, or several: the guard says what it thinks of them */
    ASK_SAID_CANNOT, /* "CANNOT: reason" */
    ASK_SAID_OTHER,  /* prose */
};
/* A fenced block (of several: the last with SQL), a bare statement, or one
 * behind a line of prose; thoughts in <think> do not count. *ret is the
 * statement without a last semicolon, the reason, or the prose, cut; the arena's. */
enum ask_said ask_extract(const char *text, size_t length, struct tn_arena *arena, const char **ret);

/* What a statement may read, and as of when. */
struct ask_sight {
    struct engine_resolver inner; /* the lake's */
    const struct ask_table *tables;
    size_t table_count;
    bool only;                               /* these tables, their changes and their indexes, and nothing else */
    const struct answer_snapshot *snapshots; /* tables that stand there are read at these; none: the newest */
    size_t snapshot_count;
};
struct ask_limits {
    uint64_t rows, timeout_ms;
    const atomic_bool *cancel; /* may be NULL */
};
/* Guarded, run, read. Texts are the arena's. */
enum tn_code ask_run(struct engine *engine, const struct ask_sight *sight, const struct ask_limits *limits,
                     const char *sql, struct tn_arena *arena, struct ask_result *ret,
                     struct tn_error *err) TN_CHECKED;
/* The rows of a JSON array of rows one by one; false at the end. */
bool ask_next_row(const char **at, const char *end, const char **ret_row, size_t *ret_length);
/* {"same", "then", "now", "came", "left", "came_rows", "left_rows"}: rows are
 * compared whatever their order; the lists hold some of them. */
void ask_compare(const struct ask_result *then, const struct ask_result *now, struct tn_json *out);

/* What a record keeps of a question, for asking it again. The arena's. */
const char *ask_request_json(const struct answer_ask *ask, struct tn_arena *arena);

/* ---- sentences ------------------------------------------------------------------------- */

/* Ours: what stands there, and nothing else. The arena's. */
const char *ask_plain_sentence(const struct ask_result *result, struct tn_arena *arena);

/* Whether each number of the sentence stands in the rows (also rounded to the
 * digits given), is their count, or stands in both the question and the
 * statement. `wrong` gets the first that does not. */
bool ask_numbers_hold(const char *sentence, const struct ask_result *result, const char *question, const char *sql,
                      char wrong[64]);

#endif
