/* Dot commands of the SQL shell. */
#include "cli/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef enum tn_code dot_fn(struct shell *shell, const char *argument, struct tn_error *err);
struct dot {
    const char *name, *argument, *help;
    dot_fn *run;
};

static dot_fn dot_help;

static enum tn_code dot_tables(struct shell *shell, const char *argument, struct tn_error *err)
{
    (void)argument;
    return cmd_datasets(shell->cli, &(struct cli_args){0}, err);
}

static enum tn_code dot_schema(struct shell *shell, const char *argument, struct tn_error *err)
{
    if (!*argument) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, ".schema needs the name of a dataset");
        tn_error_hint(err, ".tables lists them");
        return code;
    }
    const char *words[] = {argument};
    return cmd_describe(shell->cli, &(struct cli_args){.words = words, .word_count = 1}, err);
}

static enum tn_code dot_timing(struct shell *shell, const char *argument, struct tn_error *err)
{
    bool on = !shell->output.timing;
    if (*argument && !tn_parse_bool(argument, &on))
        return tn_fail(err, TN_EUSAGE, ".timing is on or off");
    shell->output.timing = on;
    cli_note(shell->cli, "timing is %s", on ? "on" : "off");
    return TN_OK;
}

static enum tn_code dot_mode(struct shell *shell, const char *argument, struct tn_error *err)
{
    if (*argument)
        TN_TRY(query_mode_parse(argument, &shell->output.mode, err));
    cli_note(shell->cli, "mode is %s", query_mode_name(shell->output.mode));
    return TN_OK;
}

static enum tn_code dot_output(struct shell *shell, const char *argument, struct tn_error *err)
{
    int file = -1;
    if (*argument) {
        file = open(argument, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (file < 0)
            return tn_fail_errno(err, errno, "%s", argument);
    }
    if (shell->file >= 0)
        (void)close(shell->file);
    else
        shell->terminal_mode = shell->output.mode;
    shell->file = file;
    shell->output.fd = file >= 0 ? file : STDOUT_FILENO;
    shell->output.terminal = file < 0 && shell->cli->term.out_tty;
    if (file < 0)
        shell->output.mode = shell->terminal_mode;
    else if (shell->output.mode == QUERY_TABLE)
        shell->output.mode = QUERY_CSV;
    cli_note(shell->cli, "results go to %s as %s", file < 0 ? "standard output" : argument,
             query_mode_name(shell->output.mode));
    return TN_OK;
}

static enum tn_code dot_limit(struct shell *shell, const char *argument, struct tn_error *err)
{
    int64_t limit = 0;
    if (*argument && (!tn_parse_i64(argument, &limit) || limit < 0))
        return tn_fail(err, TN_EUSAGE, ".limit takes a number of rows; 0 for the usual %d", QUERY_PAGE);
    shell->output.limit = limit;
    return TN_OK;
}

static enum tn_code dot_quit(struct shell *shell, const char *argument, struct tn_error *err)
{
    (void)argument;
    (void)err;
    shell->quit = true;
    return TN_OK;
}

static const struct dot dots[] = {
    {".help", "", "this list", dot_help},
    {".tables", "", "the datasets of the lake", dot_tables},
    {".schema", "DATASET", "its columns, size and lineage", dot_schema},
    {".mode", "table|csv|ndjson|json", "how results look", dot_mode},
    {".limit", "N", "rows of a table to show", dot_limit},
    {".timing", "on|off", "rows and time below each result", dot_timing},
    {".output", "[FILE]", "results into FILE; without one, here again", dot_output},
    {".quit", "", "leave (Ctrl-D too)", dot_quit},
    {".exit", "", "the same", dot_quit},
};

static enum tn_code dot_help(struct shell *shell, const char *argument, struct tn_error *err)
{
    (void)argument;
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < TN_COUNT(dots); i++)
        tn_buf_printf(&text, "  %-8s %-22s %s\n", dots[i].name, dots[i].argument, dots[i].help);
    tn_buf_puts(&text, "\nA statement ends in ; and may take several lines. Tab completes names, the up\n"
                       "arrow recalls, Ctrl-C cancels the query that runs.\n");
    return cli_print(shell->cli, &text, err);
}

const char *const *shell_dot_names(void)
{
    static const char *names[TN_COUNT(dots) + 1];
    for (size_t i = 0; i < TN_COUNT(dots); i++)
        names[i] = dots[i].name;
    return names;
}

enum tn_code shell_dot(struct shell *shell, const char *line, struct tn_error *err)
{
    size_t length = strcspn(line, " \t;\n");
    const char *rest = line + length + strspn(line + length, " \t");
    size_t rest_length = strlen(rest);
    while (rest_length > 0 && strchr(" \t;\n", rest[rest_length - 1]))
        rest_length--;
    TN_AUTO_FREE char *name = tn_strndup(line, length), *argument = tn_strndup(rest, rest_length);
    for (size_t i = 0; i < TN_COUNT(dots); i++)
        if (tn_streq(dots[i].name, name))
            return dots[i].run(shell, argument, err);
    enum tn_code code = tn_fail(err, TN_EUSAGE, "there is no command %s", name);
    const char *near = tn_suggest(name, shell_dot_names(), TN_COUNT(dots));
    if (near)
        tn_error_hint(err, "did you mean %s?", near);
    else
        tn_error_hint(err, ".help lists them");
    return code;
}
