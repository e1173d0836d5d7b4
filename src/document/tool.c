/* Programs of the distribution (see tool.h). */
#include "document/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STDERR_MAX ((size_t)4000)
#define NOT_THERE  127

static void start_child(char *const *argv, int in, int out, int complain)
{
    bool begun = lseek(in, 0, SEEK_SET) == 0 || errno == ESPIPE;
    if (begun && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(complain, STDERR_FILENO) >= 0)
        execvp(argv[0], argv);
    _exit(NOT_THERE);
}

enum tn_code tool_start(char *const *argv, int in, struct tool *ret, struct tn_error *err)
{
    int out[2], complain[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        return tn_fail_errno(err, errno, "no pipe for %s", argv[0]);
    if (pipe2(complain, O_CLOEXEC) != 0) {
        (void)close(out[0]);
        (void)close(out[1]);
        return tn_fail_errno(err, errno, "no pipe for %s", argv[0]);
    }
    pid_t pid = fork();
    if (pid == 0)
        start_child(argv, in, out[1], complain[1]);
    (void)close(out[1]);
    (void)close(complain[1]);
    *ret = (struct tool){.pid = pid, .out = out[0], .err = complain[0]};
    return pid < 0 ? tn_fail_errno(err, errno, "cannot start %s", argv[0]) : TN_OK;
}

void tool_release(struct tool *tool)
{
    if (tool->pid > 0) {
        (void)close(tool->out); /* whoever still writes gets SIGPIPE */
        (void)close(tool->err);
        while (waitpid(tool->pid, &tool->status, 0) < 0 && errno == EINTR)
            continue;
        tool->pid = 0;
    }
    tn_buf_release(&tool->complaint);
}

static void hear_complaint(struct tool *tool)
{
    char piece[1024];
    ssize_t got = read(tool->err, piece, sizeof piece);
    if (got > 0 && tool->complaint.len < STDERR_MAX)
        tn_buf_append(&tool->complaint, piece, (size_t)got);
    if (got <= 0) {
        (void)close(tool->err);
        tool->err = -1;
    }
}

size_t tool_read(struct tool *tool, char *out, size_t room)
{
    for (;;) {
        struct pollfd polls[2] = {{.fd = tool->out, .events = POLLIN}, {.fd = tool->err, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            return 0;
        if (polls[1].revents)
            hear_complaint(tool);
        if (!polls[0].revents)
            continue;
        ssize_t got = read(tool->out, out, room);
        if (got >= 0 || errno != EINTR)
            return got > 0 ? (size_t)got : 0;
    }
}

enum tool_outcome tool_wait(struct tool *tool)
{
    while (tool->err >= 0)
        hear_complaint(tool);
    while (waitpid(tool->pid, &tool->status, 0) < 0 && errno == EINTR)
        continue;
    tool->pid = 0;
    (void)close(tool->out);
    if (WIFEXITED(tool->status) && WEXITSTATUS(tool->status) == 0)
        return TOOL_FINE;
    bool silent = tool->complaint.len == 0;
    return WIFEXITED(tool->status) && WEXITSTATUS(tool->status) == NOT_THERE && silent ? TOOL_MISSING : TOOL_FAILED;
}

enum tn_code tool_end(struct tool *tool, const char *name, struct tn_error *err)
{
    enum tool_outcome outcome = tool_wait(tool);
    if (outcome == TOOL_FINE)
        return TN_OK;
    if (outcome == TOOL_MISSING) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "%s is not installed, and PDF needs it", name);
        tn_error_hint(err, "apt install poppler-utils");
        return TN_EUNSUPPORTED;
    }
    const char *said = tool->complaint.data ? tool->complaint.data : "";
    if (strstr(said, "Incorrect password"))
        return tn_fail(err, TN_EUNREADABLE, "the PDF is protected by a password");
    if (WIFEXITED(tool->status) && WEXITSTATUS(tool->status) == 3)
        return tn_fail(err, TN_EUNREADABLE, "the PDF forbids copying its text");
    if (WIFSIGNALED(tool->status) && WTERMSIG(tool->status) == SIGXCPU)
        return tn_fail(err, TN_ETIMEOUT, "reading the PDF takes too long");
    if (WIFSIGNALED(tool->status) || strstr(said, "bad_alloc") || strstr(said, "Out of memory"))
        return tn_fail(err, TN_EUNREADABLE, "%s gave up on the PDF: it is damaged or needs too much memory", name);
    size_t line = strcspn(said, "\n");
    return tn_fail(err, TN_EUNREADABLE, "the PDF is damaged%s%.*s%s", *said ? " (" : "",
                   (int)TN_MIN(line, (size_t)200), said, *said ? ")" : "");
}

void tool_pass_on(struct tool *tool)
{
    (void)close(tool->out);
    tool->out = -1;
}
