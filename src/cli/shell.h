/* cli: the interactive SQL shell. */
#ifndef TARN_CLI_SHELL_H
#define TARN_CLI_SHELL_H

#include "cli/query.h"

struct shell {
    struct cli *cli;
    struct client *client;
    struct query_output output;    /* .mode .timing .output .limit change it */
    int file;                      /* of .output; -1 */
    enum query_mode terminal_mode; /* to return to when .output ends */
    bool quit;
    struct words *words; /* for completion; loaded at the first Tab */
};

/* Reads statements until .quit or the end of input. Ctrl-C clears a line or
 * cancels a query, never the shell. */
enum tn_code shell_run(struct cli *cli, struct client *client, const struct query_output *output,
                       struct tn_error *err) TN_CHECKED;

/* A line that begins with a dot (shell_dot.c). */
enum tn_code shell_dot(struct shell *shell, const char *line, struct tn_error *err) TN_CHECKED;
/* Names of dot commands, NULL-terminated. */
const char *const *shell_dot_names(void);

/* ---- completion (shell_words.c) ------------------------------------------------------ */

struct words *words_new(void) __attribute__((returns_nonnull));
void words_free(struct words *words);
TN_DEFINE_CLEANUP(struct words, words_free)
void words_add(struct words *words, const char *word);
/* SQL's keywords, the dot commands, and the lake's datasets and columns. */
void words_load(struct words *words, struct client *client);
/* Candidates that begin with prefix (any case), sorted, without doubles. The
 * array is the arena's, the texts are borrowed from `words`. */
const char *const *words_match(struct words *words, struct tn_arena *arena, const char *prefix, size_t *ret_count);
/* How many bytes all candidates share, in any case, from the start. */
size_t words_common(const char *const *candidates, size_t count);
/* Where the word that ends at `length` begins. */
size_t words_start(const char *text, size_t length);

#endif
