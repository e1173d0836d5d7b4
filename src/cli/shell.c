/* The interactive SQL shell on libedit.
 *
 * libedit reads and edits one line; a statement may take many, so lines gather
 * in `pending` until one ends in a semicolon. At the prompt Ctrl-C is a key like
 * others: as a signal it could come just before libedit's read, and wake nobody.
 * During a query it is a signal, and the client notices. */
#include "cli/shell.h"

#include "cli/statement.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_LENGTH = 2000, MAX_STATEMENT = 16 << 20, MOST_CANDIDATES = 120 };

struct session {
    struct shell shell;
    EditLine *edit;
    History *history;
    char *history_path; /* NULL: none can be kept */
    struct tn_buf pending;
    char prompt[16];
    bool abandoned; /* by Ctrl-C, the line that was being edited */
};

/* ---- history ----------------------------------------------------------------------- */

static char *history_folder(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && state[0] == '/')
        return tn_asprintf("%s/tarn", state);
    return home && home[0] == '/' ? tn_asprintf("%s/.local/state/tarn", home) : NULL;
}

static void history_open(struct session *session)
{
    HistEvent event;
    session->history = history_init();
    if (!session->history)
        return;
    (void)history(session->history, &event, H_SETSIZE, HISTORY_LENGTH);
    (void)history(session->history, &event, H_SETUNIQUE, 1);
    (void)el_set(session->edit, EL_HIST, history, session->history);
    TN_AUTO_FREE char *folder = history_folder();
    if (!folder || tn_mkdirs(folder, 0700, NULL) != TN_OK)
        return;
    session->history_path = tn_asprintf("%s/history", folder);
    (void)history(session->history, &event, H_LOAD, session->history_path);
}

/* Queries may hold personal data: the file is its owner's alone. */
static void history_add(struct session *session, const char *text)
{
    HistEvent event;
    if (!session->history)
        return;
    (void)history(session->history, &event, H_ENTER, text);
    if (!session->history_path)
        return;
    mode_t kept = umask(0077);
    (void)history(session->history, &event, H_SAVE, session->history_path);
    (void)umask(kept);
    (void)chmod(session->history_path, 0600);
}

/* ---- completion ------------------------------------------------------------------------ */

static void list_candidates(const char *const *candidates, size_t count)
{
    size_t width = 0, shown = TN_MIN(count, MOST_CANDIDATES);
    for (size_t i = 0; i < shown; i++)
        width = TN_MAX(width, strlen(candidates[i]) + 2);
    size_t per_line = TN_MAX(term_width() / width, 1);
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < shown; i++)
        tn_buf_printf(&text, "%s%-*s", i % per_line == 0 ? "\r\n" : "", (int)width, candidates[i]);
    if (shown < count)
        tn_buf_printf(&text, "\r\n(%zu more)", count - shown);
    tn_buf_puts(&text, "\r\n");
    (void)fputs(text.data, stdout);
    (void)fflush(stdout);
}

/* "SEL" completes to "SELECT", "sel" to "select". */
static bool is_shouting(const char *prefix)
{
    bool upper = false;
    for (; *prefix; prefix++) {
        if (*prefix >= 'a' && *prefix <= 'z')
            return false;
        upper |= *prefix >= 'A' && *prefix <= 'Z';
    }
    return upper;
}

static void insert_rest(EditLine *edit, const char *prefix, const char *word, size_t length, bool whole)
{
    size_t typed = strlen(prefix);
    TN_AUTO_BUF rest = {0};
    for (size_t i = typed; i < length; i++)
        tn_buf_putc(&rest, is_shouting(prefix) && word[i] >= 'a' && word[i] <= 'z' ? (char)(word[i] - 32) : word[i]);
    if (whole)
        tn_buf_putc(&rest, ' ');
    if (rest.len)
        (void)el_insertstr(edit, rest.data);
}

static unsigned char on_tab(EditLine *edit, int key)
{
    (void)key;
    struct session *session = NULL;
    if (el_get(edit, EL_CLIENTDATA, &session) != 0 || !session)
        return CC_ERROR;
    struct shell *shell = &session->shell;
    if (!shell->words) {
        shell->words = words_new();
        words_load(shell->words, shell->client);
    }
    const LineInfo *line = el_line(edit);
    size_t cursor = (size_t)(line->cursor - line->buffer), start = words_start(line->buffer, cursor), count = 0;
    TN_AUTO_FREE char *prefix = tn_strndup(line->buffer + start, cursor - start);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *candidates = words_match(shell->words, arena, prefix, &count);
    size_t common = words_common(candidates, count);
    if (count == 0)
        return CC_REFRESH_BEEP;
    if (count == 1 || common > strlen(prefix)) {
        insert_rest(edit, prefix, candidates[0], common, count == 1);
        return CC_REFRESH;
    }
    list_candidates(candidates, count);
    return CC_REDISPLAY;
}

/* Ends el_gets without a line. */
static unsigned char on_interrupt(EditLine *edit, int key)
{
    (void)key;
    struct session *session = NULL;
    if (el_get(edit, EL_CLIENTDATA, &session) != 0 || !session)
        return CC_ERROR;
    session->abandoned = true;
    return CC_EOF;
}

/* ---- lines ----------------------------------------------------------------------------- */

static char *on_prompt(EditLine *edit)
{
    static char plain[] = "tarn> ";
    struct session *session = NULL;
    return el_get(edit, EL_CLIENTDATA, &session) == 0 && session ? session->prompt : plain;
}

static void set_prompt(struct session *session)
{
    char open = statement_open_quote(session->pending.data ? session->pending.data : "", session->pending.len);
    if (session->pending.len == 0)
        (void)snprintf(session->prompt, sizeof session->prompt, "tarn> ");
    else
        (void)snprintf(session->prompt, sizeof session->prompt, "  %c-> ", open ? open : ' ');
}

/* Whether it said that an interrupt came. */
static bool report(struct shell *shell, enum tn_code code, const struct tn_error *error)
{
    bool cancelled = code == TN_ECANCELLED && client_interrupted();
    if (cancelled)
        (void)fputs("cancelled\n", stderr);
    else if (code != TN_OK)
        cli_error_print(shell->cli, error);
    shell->cli->excerpt = NULL;
    return cancelled;
}

static bool run_statement(struct session *session, const char *text, size_t length)
{
    if (statement_is_blank(text, length))
        return false;
    TN_AUTO_FREE char *statement = tn_strndup(text, length);
    struct tn_error error = {0};
    history_add(session, statement);
    /* Ctrl-C has been a signal since the line was taken. */
    enum tn_code code = client_interrupted() ? tn_fail(&error, TN_ECANCELLED, "interrupted")
                                             : query_run(session->shell.cli, session->shell.client, statement,
                                                         &session->shell.output, &error);
    return report(&session->shell, code, &error);
}

static void take_line(struct session *session, const char *line, size_t length)
{
    struct tn_buf *pending = &session->pending;
    struct tn_error error = {0};
    bool told = false;
    if (pending->len == 0 && line[0] == '.') {
        TN_AUTO_FREE char *command = tn_strndup(line, strcspn(line, "\n"));
        history_add(session, command);
        (void)report(&session->shell, shell_dot(&session->shell, command, &error), &error);
        return;
    }
    if (pending->len + length > MAX_STATEMENT) {
        (void)tn_fail(&error, TN_ETOOLARGE, "a statement of more than %d MB", MAX_STATEMENT >> 20);
        (void)report(&session->shell, TN_ETOOLARGE, &error);
        tn_buf_clear(pending);
        return;
    }
    tn_buf_append(pending, line, length);
    for (size_t end; (end = statement_end(pending->data, pending->len)) > 0 && !client_interrupted();) {
        TN_AUTO_FREE char *statement = tn_strndup(pending->data, end);
        tn_buf_consume(pending, end);
        while (pending->len > 0 && strchr(" \t\n", pending->data[0]))
            tn_buf_consume(pending, 1);
        told |= run_statement(session, statement, end);
    }
    if (statement_is_blank(pending->data, pending->len) && !statement_open_quote(pending->data, pending->len))
        tn_buf_clear(pending);
    if (client_interrupted() && pending->len > 0) { /* what is left of the line goes too */
        (void)fputs(told ? "" : "cancelled\n", stderr);
        tn_buf_clear(pending);
    }
}

static void read_lines(struct session *session)
{
    while (!session->shell.quit) {
        int count = 0;
        set_prompt(session);
        client_interrupt_clear();
        session->abandoned = false;
        errno = 0;
        const char *line = el_gets(session->edit, &count);
        if (line && count > 0) {
            take_line(session, line, (size_t)count);
        } else if (session->abandoned || client_interrupted() || errno == EINTR) {
            (void)fputs("^C\n", stdout);
            tn_buf_clear(&session->pending);
        } else {
            (void)fputs("\n", stdout); /* Ctrl-D */
            break;
        }
        (void)fflush(stdout);
    }
}

static enum tn_code edit_open(struct session *session, struct tn_error *err)
{
    session->edit = el_init("tarn", stdin, stdout, stderr);
    if (!session->edit)
        return tn_fail(err, TN_EINTERNAL, "the line editor does not start");
    (void)el_set(session->edit, EL_CLIENTDATA, session);
    (void)el_set(session->edit, EL_PROMPT, on_prompt);
    (void)el_set(session->edit, EL_EDITOR, "emacs");
    (void)el_set(session->edit, EL_SIGNAL, 0);
    (void)el_set(session->edit, EL_ADDFN, "tarn-complete", "complete names", on_tab);
    (void)el_set(session->edit, EL_BIND, "^I", "tarn-complete", NULL);
    (void)el_set(session->edit, EL_ADDFN, "tarn-interrupt", "abandon the line", on_interrupt);
    (void)el_set(session->edit, EL_SETTY, "-d", "-isig", NULL);
    (void)el_set(session->edit, EL_BIND, "^C", "tarn-interrupt", NULL);
    (void)el_set(session->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(session->edit, NULL);
    history_open(session);
    return TN_OK;
}

static void session_release(struct session *session)
{
    HistEvent event;
    if (session->history) {
        (void)history(session->history, &event, H_CLEAR);
        history_end(session->history);
    }
    if (session->edit)
        el_end(session->edit);
    if (session->shell.file >= 0)
        (void)close(session->shell.file);
    words_free(session->shell.words);
    free(session->history_path);
    tn_buf_release(&session->pending);
}

enum tn_code shell_run(struct cli *cli, struct client *client, const struct query_output *output,
                       struct tn_error *err)
{
    TN_CLEANUP(session_release)
    struct session session = {.shell = {.cli = cli, .client = client, .output = *output, .file = -1}};
    session.shell.output.timing = true;
    TN_TRY(edit_open(&session, err));
    query_catch_interrupts(false);
    cli_note(cli, "Tarn %s on %s. A statement ends in ; and .help explains the rest.", TARN_VERSION,
             cli->server ? cli->server : cli_lake(cli));
    read_lines(&session);
    return TN_OK;
}
