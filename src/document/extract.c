/* The asking side: a helper process, a pipe per file, and frames that are
 * believed only after they were checked. */
#include "document/outline.h"
#include "document/wire.h"
#include "document/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_LOOK_MS 100

struct document_extractor {
    struct document_limits limits;
    char *program;
    pid_t pid;  /* 0: none runs */
    int socket; /* -1 */
    bool (*stopping)(void *context);
    void *stopping_context;
};

enum tn_code document_extractor_new(const struct document_limits *limits, const char *program,
                                    struct document_extractor **ret, struct tn_error *err)
{
    (void)err;
    struct document_extractor *extractor = tn_calloc(1, sizeof *extractor);
    extractor->limits = *limits;
    extractor->program = tn_strdup(program ? program : "/proc/self/exe");
    extractor->socket = -1;
    *ret = extractor;
    return TN_OK;
}

void document_extractor_stop_when(struct document_extractor *extractor, bool (*stopping)(void *context),
                                  void *context)
{
    extractor->stopping = stopping;
    extractor->stopping_context = context;
}

/* Hanging up ends the helper and what it runs. */
static void stop_helper(struct document_extractor *extractor)
{
    if (extractor->socket >= 0)
        (void)close(extractor->socket);
    extractor->socket = -1;
    while (extractor->pid > 0 && waitpid(extractor->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    extractor->pid = 0;
}

void document_extractor_free(struct document_extractor *extractor)
{
    if (!extractor)
        return;
    stop_helper(extractor);
    free(extractor->program);
    free(extractor);
}

/* Nothing of this process goes along but the socket: no descriptor, no environment. */
static int spawn_helper(const char *program, int socket, pid_t *ret_pid)
{
    static char name[] = "tarn", word[] = DOCUMENT_WORKER, path[] = "PATH=/usr/local/bin:/usr/bin:/bin",
                locale[] = "LC_ALL=C.UTF-8";
    char *const argv[] = {name, word, NULL}, *const environment[] = {path, locale, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    (void)sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    code = code ? code : posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    code = code ? code : posix_spawn_file_actions_adddup2(&actions, socket, WORKER_FD);
    code = code ? code : posix_spawn_file_actions_addclosefrom_np(&actions, WORKER_FD + 1);
    code = code ? code : posix_spawnattr_setsigmask(&attributes, &none);
    code = code ? code : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    code = code ? code : posix_spawn(ret_pid, program, &actions, &attributes, argv, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

static enum tn_code start_helper(struct document_extractor *extractor, struct tn_error *err)
{
    int pair[2];
    if (extractor->pid)
        return TN_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return tn_fail_errno(err, errno, "no socket for the reader of documents");
    TN_AUTO_CLOSE int mine = pair[0];
    TN_AUTO_CLOSE int helpers = pair[1];
    /* dup2 onto itself would leave close-on-exec set. */
    if (helpers == WORKER_FD && (helpers = fcntl(pair[1], F_DUPFD_CLOEXEC, WORKER_FD + 1)) < 0)
        return tn_fail_errno(err, errno, "no socket for the reader of documents");
    if (helpers != pair[1])
        (void)close(pair[1]);
    int code = spawn_helper(extractor->program, helpers, &extractor->pid);
    if (code) {
        extractor->pid = 0;
        return tn_fail_errno(err, code, "cannot start the reader of documents (%s)", extractor->program);
    }
    extractor->socket = mine;
    mine = -1;
    return TN_OK;
}

/* ---- one file ----------------------------------------------------------------------------- */

struct extraction {
    struct document_extractor *extractor;
    const struct document_sink *sink;
    int pipe;
    uint64_t left_ns; /* of the time that may be spent waiting */
    struct document *document;
    bool head_seen, in_file, ended, killed, timed_out;
    uint64_t files, file_bytes;
    struct tn_error said; /* by the child */
    struct tn_buf frame;
};

static enum tn_code send_request(const struct document_extractor *extractor, struct worker_request *request, int fd,
                                 int out, struct tn_error *err)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec piece = {.iov_base = request, .iov_len = sizeof *request};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    const int fds[2] = {fd, out};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    if (sendmsg(extractor->socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof *request)
        return tn_fail(err, TN_EUNAVAILABLE, "the reader of documents is gone");
    return TN_OK;
}

static void kill_child(struct extraction *extraction)
{
    if (!extraction->killed)
        (void)send(extraction->extractor->socket, (char[]){WORKER_KILL}, 1, MSG_NOSIGNAL);
    extraction->killed = true;
}

/* Fills `out`; *ret_end when the pipe ended before the first byte. Only waiting
 * counts against the time: what the sink does in between is its own. */
static enum tn_code read_exactly(struct extraction *extraction, void *out, size_t count, bool *ret_end,
                                 struct tn_error *err)
{
    size_t have = 0;
    *ret_end = false;
    while (have < count) {
        struct pollfd wait = {.fd = extraction->pipe, .events = POLLIN};
        const struct document_extractor *extractor = extraction->extractor;
        uint64_t before = tn_mono_ns(), most = extraction->left_ns / 1000000 + 1;
        if (extractor->stopping && extractor->stopping(extractor->stopping_context))
            return tn_fail(err, TN_ECANCELLED, "cancelled");
        (void)poll(&wait, 1, (int)(extractor->stopping ? TN_MIN(most, (uint64_t)STOP_LOOK_MS) : most));
        uint64_t spent = tn_mono_ns() - before;
        extraction->left_ns -= TN_MIN(spent, extraction->left_ns);
        if (!wait.revents && extraction->left_ns == 0) {
            extraction->timed_out = true;
            return tn_fail(err, TN_ETIMEOUT, "time is up");
        }
        ssize_t got = wait.revents ? read(extraction->pipe, (char *)out + have, count - have) : -1;
        if (got < 0 && (!wait.revents || errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return tn_fail_errno(err, errno, "pipe of the reader of documents");
        if (got == 0 && have == 0) {
            *ret_end = true;
            return TN_OK;
        }
        if (got == 0)
            return tn_fail(err, TN_ECORRUPT, "cut off");
        have += (size_t)got;
    }
    return TN_OK;
}

/* What the child may say, in which order and how much of it. */
static bool fits_protocol(const struct extraction *extraction, char kind, uint32_t length)
{
    const struct document_limits *limits = &extraction->extractor->limits;
    size_t text = extraction->document ? extraction->document->text.len : 0;
    switch (kind) {
    case WIRE_HEAD:
        return !extraction->head_seen && !extraction->in_file && length <= WIRE_HEAD_MAX;
    case WIRE_TEXT: /* cleaning may make three bytes of one */
        return extraction->document && length <= WIRE_PIECE_MAX && text + length <= 3 * limits->text_bytes + 65536;
    case WIRE_WHOLE:
        return extraction->document && length == 0;
    case WIRE_FILE:
        return !extraction->in_file && length < 4096 && extraction->files < limits->archive_files;
    case WIRE_DATA:
        return extraction->in_file && length <= WIRE_PIECE_MAX &&
               extraction->file_bytes + length <= limits->archive_bytes + limits->file_bytes;
    case WIRE_END:
        return extraction->in_file && length == 0;
    case WIRE_BAD:
    case WIRE_ERROR:
        return length <= WIRE_PIECE_MAX;
    case WIRE_DONE:
        return length == 0 && !extraction->in_file && !extraction->document;
    default:
        return false;
    }
}

static enum tn_code deliver_document(struct extraction *extraction, struct tn_error *err)
{
    TN_CLEANUP(document_free_p) struct document *document = TN_TAKE(extraction->document);
    if (!wire_document_is_sound(document))
        return tn_fail(err, TN_ECORRUPT, "the text is not what it says");
    if (extraction->sink->keep)
        return extraction->sink->keep(extraction->sink->context, TN_TAKE(document), err);
    return extraction->sink->document ? extraction->sink->document(extraction->sink->context, document, err) : TN_OK;
}

static enum tn_code deliver_file(struct extraction *extraction, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *name = document_clean_path(arena, extraction->frame.data ? extraction->frame.data : "");
    extraction->in_file = true;
    extraction->files++;
    return extraction->sink->file_begin(extraction->sink->context, name ? name : "unnamed", err);
}

static enum tn_code deliver_bad(struct extraction *extraction, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error why;
    char raw[4096];
    wire_take_error(extraction->frame.data, extraction->frame.len, &why, raw, sizeof raw);
    const char *name = document_clean_path(arena, raw);
    extraction->in_file = false;
    if (!extraction->sink->file_failed)
        return TN_OK;
    return extraction->sink->file_failed(extraction->sink->context, name ? name : "unnamed", &why, err);
}

static enum tn_code deliver(struct extraction *extraction, char kind, struct tn_error *err)
{
    const struct document_sink *sink = extraction->sink;
    const struct tn_buf *frame = &extraction->frame;
    switch (kind) {
    case WIRE_HEAD:
        extraction->head_seen = true;
        return wire_take_head(frame->data ? frame->data : "", frame->len, &extraction->document, err);
    case WIRE_TEXT:
        tn_buf_append(&extraction->document->text, frame->data, frame->len);
        return TN_OK;
    case WIRE_WHOLE:
        return deliver_document(extraction, err);
    case WIRE_FILE:
        return sink->file_begin ? deliver_file(extraction, err) : tn_fail(err, TN_ECORRUPT, "a file");
    case WIRE_DATA:
        extraction->file_bytes += frame->len;
        return sink->file_data(sink->context, frame->data, frame->len, err);
    case WIRE_END:
        extraction->in_file = false;
        return sink->file_end(sink->context, err);
    case WIRE_BAD:
        return deliver_bad(extraction, err);
    case WIRE_ERROR:
        extraction->ended = true;
        wire_take_error(frame->data ? frame->data : "", frame->len, &extraction->said, NULL, 0);
        return TN_OK;
    default:
        extraction->ended = true;
        return TN_OK;
    }
}

static enum tn_code take_frames(struct extraction *extraction, struct tn_error *err)
{
    while (!extraction->ended) {
        char header[WIRE_HEADER];
        uint32_t length;
        bool end;
        TN_TRY(read_exactly(extraction, header, sizeof header, &end, err));
        if (end)
            return TN_OK; /* without a last word: its status tells why */
        memcpy(&length, header + 1, sizeof length);
        if (!fits_protocol(extraction, header[0], length))
            return tn_fail(err, TN_ECORRUPT, "frame %d of %u bytes", header[0], length);
        tn_buf_clear(&extraction->frame);
        char *room = tn_buf_reserve(&extraction->frame, length);
        if (length)
            TN_TRY(read_exactly(extraction, room, length, &end, err));
        if (end)
            return tn_fail(err, TN_ECORRUPT, "cut off");
        extraction->frame.len = length;
        room[length] = '\0';
        TN_TRY(deliver(extraction, header[0], err));
    }
    return TN_OK;
}

/* ---- how it ended ------------------------------------------------------------------------------ */

static enum tn_code judge(const struct extraction *extraction, int status, struct tn_error *err)
{
    char memory[32];
    const struct document_limits *limits = &extraction->extractor->limits;
    if (extraction->ended && extraction->said.code == TN_OK)
        return TN_OK;
    if (extraction->ended) {
        if (err)
            *err = extraction->said;
        return extraction->said.code;
    }
    int number = status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (extraction->timed_out || number == SIGXCPU) {
        (void)tn_fail(err, TN_ETIMEOUT, "reading it took longer than %u s", limits->seconds);
        tn_error_hint(err, "if the file is sound, raise the setting documents.timeout");
        return TN_ETIMEOUT;
    }
    (void)tn_format_size(limits->memory_bytes, memory);
    if (number == SIGABRT || number == SIGKILL) {
        (void)tn_fail(err, TN_EUNREADABLE, "reading it needed more than %s of memory", memory);
        tn_error_hint(err, "if the file is sound, raise the setting documents.memory");
        return TN_EUNREADABLE;
    }
    return tn_fail(err, TN_EUNREADABLE, "its reader broke down (signal %d): the file is damaged or hostile", number);
}

static enum tn_code finish(struct extraction *extraction, enum tn_code code, struct tn_error *error,
                           struct tn_error *err)
{
    struct worker_status answer = {.status = -1};
    ssize_t got;
    if (code != TN_OK)
        kill_child(extraction);
    do
        got = recv(extraction->extractor->socket, &answer, sizeof answer, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof answer) { /* the helper itself is gone: the next file gets a new one */
        stop_helper(extraction->extractor);
        answer.status = SIGKILL;
    }
    bool childs_fault = code == TN_ECORRUPT || extraction->timed_out;
    if (code == TN_OK || childs_fault)
        return judge(extraction, answer.status, err);
    if (err)
        *err = *error;
    return code;
}

static enum tn_code run(struct document_extractor *extractor, struct worker_request *request, int fd,
                        const struct document_sink *sink, struct tn_error *err)
{
    int ends[2];
    struct tn_error error = {0};
    TN_TRY(start_helper(extractor, err));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return tn_fail_errno(err, errno, "no pipe for the reader of documents");
    TN_AUTO_CLOSE int from = ends[0];
    request->limits = extractor->limits;
    enum tn_code code = send_request(extractor, request, fd, ends[1], err);
    (void)close(ends[1]);
    if (code != TN_OK) {
        stop_helper(extractor);
        return code;
    }
    struct extraction extraction = {.extractor = extractor,
                                    .sink = sink,
                                    .pipe = from,
                                    .left_ns = ((uint64_t)extractor->limits.seconds + 1) * 1000000000u};
    code = take_frames(&extraction, &error);
    code = finish(&extraction, code, &error, err);
    document_free(extraction.document);
    tn_buf_release(&extraction.frame);
    return code;
}

enum tn_code document_extract(struct document_extractor *extractor, int fd, const char *name,
                              const struct document_sink *sink, struct tn_error *err)
{
    struct worker_request request = {.task = WORKER_READ};
    size_t keep = tn_utf8_floor(name, strlen(name), TN_MIN(strlen(name), sizeof request.name - 1));
    /* The ending tells the type: of a long name the end is kept. */
    memcpy(request.name, name + strlen(name) - keep, keep);
    return run(extractor, &request, fd, sink, err);
}

/* ---- OCR --------------------------------------------------------------------------------------- */

static bool is_program(const char *name)
{
    static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin"}; /* PATH of the helper */
    char path[64];
    for (size_t i = 0; i < TN_COUNT(folders); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

bool document_ocr_installed(void)
{
    return is_program("tesseract") && is_program("pdftoppm");
}

static enum tn_code set_languages(struct worker_request *request, const char *languages, struct tn_error *err)
{
    size_t fine = strspn(languages, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+");
    if (!fine || languages[fine] || fine >= sizeof request->languages || languages[0] == '+')
        return tn_fail(err, TN_EREQUEST, "languages are tesseract's words with + between, as eng+deu, not \"%.40s\"",
                       languages);
    memcpy(request->languages, languages, fine);
    return TN_OK;
}

struct ocr_seen {
    struct tn_buf *text; /* may be NULL */
    char value[64];      /* of the first field */
};

static enum tn_code take_ocr(void *context, const struct document *document, struct tn_error *err)
{
    struct ocr_seen *seen = context;
    (void)err;
    if (seen->text && document->section_count)
        tn_buf_append(seen->text, document->text.data + document->sections[0].start, document->sections[0].length);
    if (document->field_count)
        (void)snprintf(seen->value, sizeof seen->value, "%s", document->fields[0].value);
    return TN_OK;
}

enum tn_code document_ocr_look(struct document_extractor *extractor, const char *languages, char ret_engine[64],
                               struct tn_error *err)
{
    struct worker_request request = {.task = WORKER_OCR_LOOK};
    struct ocr_seen seen = {0};
    const struct document_sink sink = {.context = &seen, .document = take_ocr};
    TN_TRY(set_languages(&request, languages, err));
    TN_AUTO_CLOSE int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0)
        return tn_fail_errno(err, errno, "/dev/null");
    TN_TRY(run(extractor, &request, nothing, &sink, err));
    memcpy(ret_engine, seen.value, sizeof seen.value);
    return TN_OK;
}

enum tn_code document_ocr_page(struct document_extractor *extractor, int fd, uint32_t page, const char *languages,
                               struct tn_buf *ret_text, unsigned *ret_confidence, struct tn_error *err)
{
    struct worker_request request = {.task = WORKER_OCR_PAGE, .page = page};
    struct ocr_seen seen = {.text = ret_text};
    const struct document_sink sink = {.context = &seen, .document = take_ocr};
    uint64_t confidence = 0;
    TN_TRY(set_languages(&request, languages, err));
    TN_TRY(run(extractor, &request, fd, &sink, err));
    (void)tn_parse_u64(seen.value, &confidence);
    *ret_confidence = (unsigned)TN_MIN(confidence, (uint64_t)100);
    return TN_OK;
}
