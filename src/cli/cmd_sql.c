/* tarn sql: one-shot, from a file, from standard input, or the shell. */
#include "cli/query.h"
#include "cli/shell.h"
#include "cli/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SQL = 16 << 20 };

static enum tn_code read_stdin(struct tn_buf *ret, struct tn_error *err)
{
    for (;;) {
        char *room = tn_buf_reserve(ret, 1 << 16);
        ssize_t got = read(STDIN_FILENO, room, 1 << 16);
        if (got < 0)
            return tn_fail_errno(err, errno, "standard input");
        if (got == 0)
            return TN_OK;
        ret->len += (size_t)got;
        ret->data[ret->len] = '\0';
        if (ret->len > MAX_SQL)
            return tn_fail(err, TN_ETOOLARGE, "more than %d MB of SQL", MAX_SQL >> 20);
    }
}

static enum tn_code read_sql(const struct cli_args *args, struct tn_buf *ret, struct tn_error *err)
{
    const char *given = cli_args_text(args, "command", NULL), *path = args->word_count ? args->words[0] : "-";
    if (given && args->word_count)
        return tn_fail(err, TN_EUSAGE, "either -c or a file, not both");
    if (given) {
        tn_buf_puts(ret, given);
        return TN_OK;
    }
    if (tn_streq(path, "-"))
        return read_stdin(ret, err);
    enum tn_code code = tn_file_read(path, MAX_SQL, ret, err);
    if (code == TN_ENOTFOUND && strpbrk(path, " \t\n"))
        tn_error_hint(err, "to run SQL from the command line, say: tarn sql -c '...'");
    return code;
}

static enum tn_code run_all(struct cli *cli, struct client *client, const struct tn_buf *sql,
                            const struct query_output *output, struct tn_error *err)
{
    size_t at = 0, ran = 0;
    while (at < sql->len && !client_interrupted()) {
        size_t length = statement_end(sql->data + at, sql->len - at);
        length = length ? length : sql->len - at;
        if (!statement_is_blank(sql->data + at, length)) {
            TN_AUTO_FREE char *statement = tn_strndup(sql->data + at, length);
            TN_TRY(query_run(cli, client, statement, output, err));
            ran++;
        }
        at += length;
    }
    if (at < sql->len)
        return tn_fail(err, TN_ECANCELLED, "interrupted");
    return ran > 0 ? TN_OK : tn_fail(err, TN_EUSAGE, "there is no statement to run");
}

static enum tn_code read_options(struct cli *cli, const struct cli_args *args, struct query_output *output,
                                 struct tn_error *err)
{
    const char *mode = cli_args_text(args, "mode", NULL), *timeout = cli_args_text(args, "timeout", NULL);
    output->mode = cli->json ? QUERY_NDJSON : output->terminal ? QUERY_TABLE : QUERY_CSV;
    if (mode)
        TN_TRY(query_mode_parse(mode, &output->mode, err));
    TN_TRY(cli_args_i64(args, "limit", 1, INT64_MAX, 0, &output->limit, err));
    output->as_of = cli_args_text(args, "as-of", NULL);
    uint64_t ms = 0;
    if (timeout && (!tn_parse_duration_ms(timeout, &ms) || ms == 0 || ms > INT32_MAX))
        return tn_fail(err, TN_EUSAGE, "--timeout %s is no length of time; one looks like 30s or 5m", timeout);
    output->timeout_ms = (int64_t)ms;
    return TN_OK;
}

static json_t *read_params(struct cli *cli, const struct cli_args *args)
{
    size_t count;
    const char *const *texts = cli_args_all(args, cli->arena, "param", &count);
    json_t *params = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(params, query_param(texts[i]));
    return params;
}

enum tn_code cmd_sql(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *path = cli_args_text(args, "output", NULL);
    TN_AUTO_CLOSE int file = -1;
    TN_AUTO_JSON *params = read_params(cli, args);
    struct query_output output = {.fd = STDOUT_FILENO, .terminal = cli->term.out_tty && !path, .params = params};
    TN_TRY(read_options(cli, args, &output, err));
    if (path) {
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (file < 0)
            return tn_fail_errno(err, errno, "%s", path);
        output.fd = file;
    }
    struct client *client;
    bool interactive = !cli_args_has(args, "command") && args->word_count == 0 && isatty(STDIN_FILENO);
    if (interactive) {
        TN_TRY(cli_connect(cli, false, &client, err));
        return shell_run(cli, client, &output, err);
    }
    TN_AUTO_BUF sql = {0};
    TN_TRY(read_sql(args, &sql, err));
    TN_TRY(cli_connect(cli, false, &client, err));
    output.timing = output.terminal;
    query_catch_interrupts(true);
    return run_all(cli, client, &sql, &output, err);
}
