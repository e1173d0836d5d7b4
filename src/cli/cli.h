/* cli: the `tarn` command, inside.
 *
 * Every command talks HTTP: to the server that --server or TARN_SERVER names,
 * to the one that serves the lake, or to a gateway that it opens inside
 * itself. Results go to standard output, everything else to standard error.
 */
#ifndef TARN_CLI_CLI_H
#define TARN_CLI_CLI_H

#include "base/base.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/term.h"
#include "gateway/gateway.h"

struct cli {
    struct tn_arena *arena; /* lives as long as the command */
    struct term term;
    const char *lake_flag; /* --lake or TARN_LAKE; NULL when not given */
    const char *lake;      /* resolved by cli_lake */
    const char *server;    /* --server or TARN_SERVER; NULL when not given */
    bool server_by_flag;
    const char *token; /* TARN_TOKEN */
    bool json, quiet;
    const char **sets; /* "key=value", flags of the configuration */
    size_t set_count;
    struct tn_config *config;
    struct gateway *gateway; /* the embedded one, if any */
    struct client *client;
    const char *scratch; /* a lake of this command's own, removed in the end */
    int exit_status;     /* for commands that end well and still report trouble (doctor) */
    const char *excerpt; /* where in the SQL an error points; shown below it */
    bool pipe_closed;    /* the reader of standard output went away: no error to report */
};

struct cli_command {
    const char *name;
    const char *arguments; /* "FILE... [DATASET]" */
    size_t min, max;       /* how many arguments */
    const char *summary;   /* one line */
    const char *help;      /* paragraphs and examples */
    struct cli_options options;
    enum tn_code (*run)(struct cli *cli, const struct cli_args *args, struct tn_error *err);
};

/* ---- the table (commands.c) ------------------------------------------------ */

const struct cli_command *cli_commands(size_t *ret_count);
const struct cli_command *cli_command_find(const char *name);
extern const struct cli_options cli_global_options;

/* ---- help (help.c) ----------------------------------------------------------- */

void cli_help_overview(const struct cli *cli, struct tn_buf *out);
void cli_help_command(const struct cli *cli, const struct cli_command *command, struct tn_buf *out);
/* The same as roff, for the man page. */
void cli_help_man(struct tn_buf *out);

/* ---- surroundings (connect.c) -------------------------------------------------- */

/* --lake, TARN_LAKE, the current folder when it is a lake, else "lake". */
const char *cli_lake(struct cli *cli);
bool cli_is_lake(const char *folder);
/* tarn.yaml of the lake, the environment and --set; borrowed. */
enum tn_code cli_config(struct cli *cli, const struct tn_config **ret, struct tn_error *err) TN_CHECKED;
/* Adds a flag of the configuration; before cli_config only. */
void cli_set(struct cli *cli, const char *format, ...) TN_PRINTF(2, 3);
/* The connection, borrowed. With `create`, a lake that is none yet is made. */
enum tn_code cli_connect(struct cli *cli, bool create, struct client **ret, struct tn_error *err) TN_CHECKED;
/* The same, or with no lake in sight a lake of the command's own that goes with
 * it: for what writes nothing anyway. */
enum tn_code cli_connect_or_scratch(struct cli *cli, struct client **ret, struct tn_error *err) TN_CHECKED;
/* Ends what cli_connect and cli_config opened. */
void cli_release(struct cli *cli);

/* ---- output (output.c) ------------------------------------------------------------ */

enum tn_code cli_write(struct cli *cli, int fd, const char *bytes, size_t count, struct tn_error *err) TN_CHECKED;
enum tn_code cli_print(struct cli *cli, const struct tn_buf *text, struct tn_error *err) TN_CHECKED;
/* A remark on standard error, unless --quiet. */
void cli_note(const struct cli *cli, const char *format, ...) TN_PRINTF(2, 3);
void cli_error_print(const struct cli *cli, const struct tn_error *error);

enum cli_look { CLI_TEXT, CLI_COUNT, CLI_BYTES, CLI_TIME };
struct cli_column {
    const char *title;
    const char *key; /* of the item; "a.b" goes into an object */
    enum cli_look look;
};
/* Items (a JSON array of objects) as an aligned table on a terminal, as CSV
 * when piped, as one JSON object a line with --json. */
enum tn_code cli_print_items(struct cli *cli, const json_t *items, const struct cli_column *columns, size_t count,
                             const char *nothing, struct tn_error *err) TN_CHECKED;
enum tn_code cli_print_json(struct cli *cli, const json_t *value, struct tn_error *err) TN_CHECKED;
const json_t *cli_json_at(const json_t *object, const char *path);
/* "1,234,567" */
const char *tn_format_count(int64_t value, char out[32]);
void cli_put_csv(struct tn_buf *out, const char *text, size_t length);

/* ---- the commands --------------------------------------------------------------------- */

typedef enum tn_code cli_run_fn(struct cli *cli, const struct cli_args *args, struct tn_error *err);
cli_run_fn cmd_init, cmd_serve, cmd_ingest, cmd_preview, cmd_sql, cmd_datasets, cmd_describe, cmd_sample,
    cmd_snapshots, cmd_drop, cmd_rejects, cmd_rows, cmd_history, cmd_journal, cmd_compact, cmd_ocr, cmd_jobs,
    cmd_restore, cmd_tag, cmd_expire, cmd_pin, cmd_unpin, cmd_index, cmd_outcomes, cmd_reembed, cmd_search, cmd_rag,
    cmd_answers, cmd_answer, cmd_replay, cmd_ask, cmd_doctor, cmd_config, cmd_token, cmd_embed, cmd_model, cmd_demo,
    cmd_version, cmd_help, cmd_complete;

/* cmd_trials.c: verbs of `tarn index`. */
cli_run_fn cli_index_trial, cli_index_trials, cli_index_promote, cli_index_rollback, cli_index_generations;

/* cmd_documents.c: sends the words that name documents, archives or folders of
 * them; *ret_taken says whether they were any. */
enum tn_code cli_ingest_documents(struct cli *cli, const struct cli_args *args, const char *const *words,
                                  size_t count, const char *dataset, bool *ret_taken,
                                  struct tn_error *err) TN_CHECKED;

/* cmd_postgres.c: when the words are "postgres" and the address of a database. */
enum tn_code cli_ingest_postgres(struct cli *cli, const struct cli_args *args, bool *ret_taken,
                                 struct tn_error *err) TN_CHECKED;

/* cmd_reembed_index.c: `tarn reembed --index`. */
cli_run_fn cli_reembed_index;

/* Appends ?name=value or &name=value to a path; nothing for NULL. */
void cli_add_query(struct cli *cli, char **path, const char *name, const char *value);
/* Answers GET requests of several commands: all pages of a list; the caller's. */
enum tn_code cli_fetch_items(struct client *client, struct tn_arena *arena, const char *path, json_t **ret,
                             struct tn_error *err) TN_CHECKED;
/* Its first `limit` items, which one page can have; 0: all. */
enum tn_code cli_fetch_some(struct client *client, struct cli *cli, const char *path, int64_t limit, json_t **ret,
                            struct tn_error *err) TN_CHECKED;
/* "a,b" as an array of names; the caller's. */
json_t *cli_names(const char *words);

#endif
