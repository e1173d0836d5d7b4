/* cli: options by table.
 *
 * A command states its options once; parsing, help and shell completion read
 * the same table. `--name value`, `--name=value`, `-x value` and `-xvalue` all
 * work, options and arguments may be mixed, `--` ends the options and `-`
 * alone is an argument (standard input).
 */
#ifndef TARN_CLI_OPTIONS_H
#define TARN_CLI_OPTIONS_H

#include "base/base.h"

struct cli_option {
    const char *name;  /* "delimiter", without dashes */
    char letter;       /* 0 for none */
    const char *value; /* what help calls its value; NULL for a switch */
    const char *help;  /* one line */
    bool repeat;       /* may be given several times */
    bool optional;     /* the value may be left out, and else stands behind = */
};

struct cli_options {
    const struct cli_option *items;
    size_t count;
};
#define CLI_OPTIONS(array)                                                                                           \
    {                                                                                                                \
        (array), TN_COUNT(array)                                                                                     \
    }

struct cli_given {
    const struct cli_option *option;
    const char *value; /* NULL for a switch, and for an optional value that was left out */
};

/* What a command line said. Texts are borrowed from argv. */
struct cli_args {
    const struct cli_options *tables[2]; /* the command's and the global ones; either may be NULL */
    struct cli_given *given;
    size_t given_count;
    const char **words; /* the arguments that are no options */
    size_t word_count;
};

/* Reads argv[0 .. argc-1] (without the program's name). With `until_word`,
 * stops behind the first argument that is no option: *ret_used tells how many
 * were read. Memory is the arena's. TN_EUSAGE names the option and the nearest
 * known one. */
enum tn_code cli_args_parse(struct tn_arena *arena, const struct cli_options *first, const struct cli_options *second,
                            int argc, char *const *argv, bool until_word, struct cli_args *ret, int *ret_used,
                            struct tn_error *err) TN_CHECKED;

/* The option must be in a table (a typo of ours is an assertion). The last one
 * given wins. */
bool cli_args_has(const struct cli_args *args, const char *name);
const char *cli_args_text(const struct cli_args *args, const char *name, const char *fallback);
/* An option with an optional value: --name and --name=true, --name=false. */
enum tn_code cli_args_bool(const struct cli_args *args, const char *name, bool fallback, bool *ret,
                           struct tn_error *err) TN_CHECKED;
enum tn_code cli_args_i64(const struct cli_args *args, const char *name, int64_t min, int64_t max, int64_t fallback,
                          int64_t *ret, struct tn_error *err) TN_CHECKED;
/* All values of a repeatable option; the arena's. */
const char *const *cli_args_all(const struct cli_args *args, struct tn_arena *arena, const char *name,
                                size_t *ret_count);

#endif
