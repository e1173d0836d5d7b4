/* The helper and its children (see worker.h). */
#include "document/worker.h"

#include "document/cage.h"
#include "document/read.h"
#include "document/text.h"
#include "document/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the child ------------------------------------------------------------------------------ */

/* A PDF is known by a word near its beginning; anything else is for our own
 * readers. No more of the file is looked at before the cage is shut. */
static bool is_pdf(int fd)
{
    char head[1024];
    ssize_t got = pread(fd, head, sizeof head, 0);
    return got >= 5 && memmem(head, (size_t)got, "%PDF-", 5) != NULL;
}

static void hush(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDERR_FILENO);
        (void)close(null);
    }
}

/* Gives a document as other files do: its text is the page's. */
static enum tn_code ocr_caged(const struct worker_request *request, int in, const struct document_sink *sink,
                              struct tn_error *err)
{
    TN_CLEANUP(document_free_p) struct document *document = document_new(DOCUMENT_PDF);
    struct outline outline;
    outline_init(&outline, document, request->limits.text_bytes);
    TN_TRY(cage_enter(CAGE_TOOLS, &request->limits, err));
    if (request->task == WORKER_OCR_LOOK)
        TN_TRY(ocr_look(request->languages, &outline, err));
    else
        TN_TRY(ocr_read_page(in, request->page, request->languages, &request->limits, &outline, err));
    TN_TRY(outline_finish(&outline, err));
    return sink->document(sink->context, document, err);
}

static enum tn_code read_caged(const struct worker_request *request, int in, int out, struct tn_error *err)
{
    struct wire_out wire = {.fd = out};
    const struct document_sink sink = wire_sink(&wire);
    if (request->task != WORKER_READ)
        return ocr_caged(request, in, &sink, err);
    const struct read_job job = {
        .limits = &request->limits, .fd = in, .name = request->name, .sink = &sink, .pdf = pdf_read};
    TN_TRY(cage_enter(is_pdf(in) ? CAGE_TOOLS : CAGE_PARSE, &request->limits, err));
    return read_file(&job, err);
}

static _Noreturn void child_main(const struct worker_request *request, int in, int out)
{
    struct tn_error error = {0}, ignored;
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_DFL);
    hush();
    enum tn_code code = read_caged(request, in, out, &error);
    if (code == TN_OK)
        code = wire_put_done(out, &ignored);
    else
        code = wire_put_error(out, &error, &ignored);
    _exit(code == TN_OK ? 0 : 1);
}

/* ---- the helper ------------------------------------------------------------------------------- */

struct helper {
    int socket, signals;
    sigset_t before;
};

/* The request and its two descriptors; false when the asking process is gone. */
static bool take_request(int socket, struct worker_request *ret, int fds[2])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec piece = {.iov_base = ret, .iov_len = sizeof *ret};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do {
        message.msg_controllen = sizeof control.bytes;
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while ((got < 0 && errno == EINTR) || got == 1); /* an order to kill that came too late */
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got != (ssize_t)sizeof *ret || !header || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return false;
    memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
    ret->name[WORKER_NAME_MAX - 1] = '\0';
    ret->languages[OCR_LANGUAGES_MAX - 1] = '\0';
    return true;
}

/* Waits for the child's end or for word from above. False when there is nobody above any more. */
static bool watch_child(const struct helper *helper, pid_t pid, int *ret_status)
{
    bool wanted = true;
    for (;;) {
        struct pollfd polls[2] = {{.fd = helper->signals, .events = POLLIN},
                                  {.fd = wanted ? helper->socket : -1, .events = POLLIN}};
        siginfo_t info = {0};
        struct signalfd_siginfo seen;
        char order;
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
            break;
        (void)poll(polls, 2, -1);
        if (polls[0].revents)
            (void)!read(helper->signals, &seen, sizeof seen);
        if (polls[1].revents) {
            wanted = recv(helper->socket, &order, 1, MSG_DONTWAIT) > 0;
            (void)kill(-pid, SIGKILL);
        }
    }
    (void)kill(-pid, SIGKILL); /* what it started; before its number is free again */
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    return wanted;
}

static bool serve_one(const struct helper *helper)
{
    struct worker_request request;
    struct worker_status answer = {.status = -1};
    int fds[2];
    bool wanted = true;
    if (!take_request(helper->socket, &request, fds))
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(helper->socket);
        (void)close(helper->signals);
        (void)sigprocmask(SIG_SETMASK, &helper->before, NULL);
        child_main(&request, fds[0], fds[1]);
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
    if (pid > 0) {
        (void)setpgid(pid, pid); /* whoever of the two is first */
        wanted = watch_child(helper, pid, &answer.status);
    }
    return wanted && send(helper->socket, &answer, sizeof answer, MSG_NOSIGNAL) == (ssize_t)sizeof answer;
}

int document_worker_main(void)
{
    struct helper helper = {.socket = WORKER_FD};
    sigset_t child;
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* the terminal's Ctrl-C is for the asking process */
    if (sigprocmask(SIG_BLOCK, &child, &helper.before) != 0 || fcntl(WORKER_FD, F_SETFD, FD_CLOEXEC) != 0)
        return 2; /* started by hand: there is nobody to talk to */
    helper.signals = signalfd(-1, &child, SFD_CLOEXEC);
    if (helper.signals < 0)
        return 2;
    (void)prctl(PR_SET_NAME, "tarn-documents");
    cage_leave_network();
    (void)text_preload_charsets();
    xmlInitParser();
    while (serve_one(&helper))
        continue;
    return 0;
}
