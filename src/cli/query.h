/* cli: one query to the server and its result to a person, a pipe or a file. */
#ifndef TARN_CLI_QUERY_H
#define TARN_CLI_QUERY_H

#include "cli/cli.h"

enum query_mode { QUERY_TABLE, QUERY_CSV, QUERY_NDJSON, QUERY_JSON };

/* Rows of a table when nobody says how many. */
#define QUERY_PAGE 200

struct query_output {
    enum query_mode mode;
    int fd;               /* where the result goes */
    bool terminal;        /* fd is one: width, colour */
    bool timing;          /* "3 rows in 4.1 ms" */
    int64_t limit;        /* 0: none given */
    const char *as_of;    /* NULL: now */
    int64_t timeout_ms;   /* 0: the server's */
    const json_t *params; /* NULL: none */
};

/* "table", "csv", "ndjson", "json" */
enum tn_code query_mode_parse(const char *word, enum query_mode *ret, struct tn_error *err) TN_CHECKED;
const char *query_mode_name(enum query_mode mode);

/* Rows stream in constant memory, except for tables, which are paged. Ctrl-C
 * (client_interrupt) cancels the query on the server: TN_ECANCELLED. On an SQL
 * error cli->excerpt shows the place. */
enum tn_code query_run(struct cli *cli, struct client *client, const char *sql, const struct query_output *output,
                       struct tn_error *err) TN_CHECKED;
/* Ctrl-C interrupts the request that runs; with `second_ends`, a second one
 * while the first is being obeyed ends the process. */
void query_catch_interrupts(bool second_ends);

/* The line of `sql` with a mark below `column` (1-based, in characters). */
void query_excerpt(const char *sql, int line, int column, struct tn_buf *out);
/* A parameter from the command line: JSON numbers, true, false and null are
 * themselves, "quoted" JSON text loses its quotes, anything else is text. */
json_t *query_param(const char *text);

#endif
