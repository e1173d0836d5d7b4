/* PDF: what poppler's programs print. pdfinfo says whether the file opens and
 * how many pages it has, pdftotext gives the pages' text, and pdfimages, asked
 * only when a page has none, tells a scan from an empty page. */
#include "document/read.h"
#include "document/readers.h"
#include "document/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INFO_MAX   ((size_t)1 << 20)
#define STDERR_MAX ((size_t)4000)
#define NOT_THERE  127

struct tool {
    pid_t pid;
    int out, err;
    struct tn_buf complaint;
    int status;
};

static void start_child(char *const *argv, int in, int out, int complain)
{
    if (lseek(in, 0, SEEK_SET) == 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(complain, STDERR_FILENO) >= 0)
        execvp(argv[0], argv);
    _exit(NOT_THERE);
}

static enum tn_code tool_start(char *const *argv, int in, struct tool *ret, struct tn_error *err)
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

static void tool_release(struct tool *tool)
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

/* The next bytes of its output; 0 at the end. */
static size_t tool_read(struct tool *tool, char *out, size_t room)
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

static enum tn_code tool_end(struct tool *tool, const char *name, struct tn_error *err)
{
    while (tool->err >= 0)
        hear_complaint(tool);
    while (waitpid(tool->pid, &tool->status, 0) < 0 && errno == EINTR)
        continue;
    tool->pid = 0;
    (void)close(tool->out);
    if (WIFEXITED(tool->status) && WEXITSTATUS(tool->status) == 0)
        return TN_OK;
    const char *said = tool->complaint.data ? tool->complaint.data : "";
    if (WIFEXITED(tool->status) && WEXITSTATUS(tool->status) == NOT_THERE && !*said) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "%s is not installed, and PDF needs it", name);
        tn_error_hint(err, "apt install poppler-utils");
        return TN_EUNSUPPORTED;
    }
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

/* ---- pdfinfo ---------------------------------------------------------------------------- */

static void take_info_line(struct outline *outline, const char *line, size_t length, uint64_t *pages)
{
    const char *colon = memchr(line, ':', length);
    if (!colon)
        return;
    static const char *const kept[] = {"Subject", "Keywords", "Creator", "Producer", "PDF version"};
    struct document *document = outline->document;
    TN_AUTO_FREE char *name = tn_strndup(line, (size_t)(colon - line));
    const char *value = colon + 1 + strspn(colon + 1, " ");
    if (value > line + length)
        return;
    size_t left = (size_t)(line + length - value);
    TN_AUTO_FREE char *text = tn_strndup(value, left);
    if (tn_streq(name, "Title"))
        outline_title(outline, value, left);
    else if (tn_streq(name, "Author") && left)
        document->author =
            tn_arena_strndup(document->arena, text, tn_utf8_floor(text, left, TN_MIN(left, (size_t)300)));
    else if (tn_streq(name, "CreationDate"))
        document->created = reader_time(document->arena, value, left);
    else if (tn_streq(name, "Pages"))
        (void)tn_parse_u64(text, pages);
    for (size_t i = 0; i < TN_COUNT(kept); i++)
        if (tn_streq(name, kept[i]))
            outline_field(outline, kept[i], value, left);
}

static enum tn_code read_info(int fd, struct outline *outline, uint64_t *ret_pages, struct tn_error *err)
{
    char *argv[] = {(char[]){"pdfinfo"}, (char[]){"-isodates"}, (char[]){"-enc"},
                    (char[]){"UTF-8"},   (char[]){"-"},         NULL};
    TN_CLEANUP(tool_release) struct tool tool = {0};
    TN_AUTO_BUF raw = {0}, info = {0};
    char piece[4096];
    TN_TRY(tool_start(argv, fd, &tool, err));
    for (size_t got; (got = tool_read(&tool, piece, sizeof piece)) > 0;)
        if (raw.len < INFO_MAX)
            tn_buf_append(&raw, piece, got);
    TN_TRY(tool_end(&tool, "pdfinfo", err));
    text_put_clean(&info, raw.data ? raw.data : "", raw.len);
    for (size_t at = 0; at < info.len;) {
        size_t length = strcspn(info.data + at, "\n");
        take_info_line(outline, info.data + at, length, ret_pages);
        at += length + 1;
    }
    return TN_OK;
}

/* ---- pdftotext ----------------------------------------------------------------------------- */

struct pages {
    struct outline *outline;
    struct tn_buf page;
    uint32_t done, most;
};

static void end_page(struct pages *pages)
{
    if (pages->done < pages->most)
        outline_page(pages->outline, ++pages->done, pages->page.data ? pages->page.data : "", pages->page.len);
    tn_buf_clear(&pages->page);
}

/* A form feed stands behind each page. */
static void take_text(struct pages *pages, const char *bytes, size_t count)
{
    while (count) {
        const char *feed = memchr(bytes, '\f', count);
        size_t length = feed ? (size_t)(feed - bytes) : count;
        tn_buf_append(&pages->page, bytes, length);
        if (feed)
            end_page(pages);
        bytes += length + (feed != NULL);
        count -= length + (feed != NULL);
    }
}

static enum tn_code read_pages(int fd, struct pages *pages, struct tn_error *err)
{
    char last[16];
    (void)snprintf(last, sizeof last, "%u", pages->most);
    char *argv[] = {(char[]){"pdftotext"},
                    (char[]){"-q"},
                    (char[]){"-enc"},
                    (char[]){"UTF-8"},
                    (char[]){"-eol"},
                    (char[]){"unix"},
                    (char[]){"-l"},
                    last,
                    (char[]){"-"},
                    (char[]){"-"},
                    NULL};
    TN_CLEANUP(tool_release) struct tool tool = {0};
    TN_AUTO_FREE char *piece = tn_malloc(65536);
    TN_TRY(tool_start(argv, fd, &tool, err));
    for (size_t got; (got = tool_read(&tool, piece, 65536)) > 0;) {
        take_text(pages, piece, got);
        if (pages->outline->full || pages->page.len > pages->outline->limit) {
            pages->outline->full = true;
            return TN_OK; /* outline_finish says it */
        }
    }
    TN_TRY(tool_end(&tool, "pdftotext", err));
    if (pages->done == 0)
        return tn_fail(err, TN_EUNREADABLE, "the PDF is damaged: none of its %u pages can be read", pages->most);
    if (pages->done < pages->most)
        outline_warn(pages->outline, "only %u of %u pages can be read", pages->done, pages->most);
    return TN_OK;
}

/* ---- scans ------------------------------------------------------------------------------------- */

/* Lines of "page num type width ...", behind two of headings: marks the pages
 * without text that have an image. */
static void take_images(struct document *document, char *list)
{
    char *rest = list;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        uint64_t page;
        char *word = line + strspn(line, " ");
        word[strcspn(word, " ")] = '\0';
        if (!tn_parse_u64(word, &page) || page < 1 || page > document->section_count)
            continue;
        struct document_section *section = &document->sections[page - 1];
        section->needs_ocr |= section->length == 0;
    }
}

static enum tn_code find_scans(int fd, struct outline *outline, struct tn_error *err)
{
    struct document *document = outline->document;
    char *argv[] = {(char[]){"pdfimages"}, (char[]){"-list"}, (char[]){"-"}, NULL};
    TN_CLEANUP(tool_release) struct tool tool = {0};
    TN_AUTO_BUF list = {0};
    char piece[4096];
    size_t empty = 0;
    for (size_t i = 0; i < document->section_count; i++)
        empty += document->sections[i].length == 0;
    if (!empty)
        return TN_OK;
    TN_TRY(tool_start(argv, fd, &tool, err));
    for (size_t got; (got = tool_read(&tool, piece, sizeof piece)) > 0;)
        if (list.len < 16 * INFO_MAX)
            tn_buf_append(&list, piece, got);
    /* One that cannot be listed may well be a scan. */
    bool listed = tool_end(&tool, "pdfimages", NULL) == TN_OK;
    if (listed && list.len)
        take_images(document, list.data);
    for (size_t i = 0; i < document->section_count; i++) {
        document->sections[i].needs_ocr |= !listed && document->sections[i].length == 0;
        document->needs_ocr |= document->sections[i].needs_ocr;
    }
    if (empty == document->section_count && !document->needs_ocr)
        outline_warn(outline, "no page has text or an image");
    return TN_OK;
}

enum tn_code pdf_read(const struct document_limits *limits, int fd, struct outline *outline, struct tn_error *err)
{
    uint64_t count = 0;
    TN_TRY(read_info(fd, outline, &count, err));
    if (count == 0)
        return tn_fail(err, TN_EUNREADABLE, "the PDF has no pages");
    if (count > limits->pages) {
        (void)tn_fail(err, TN_ETOOLARGE, "the PDF has %llu pages; at most %u are read", (unsigned long long)count,
                      limits->pages);
        tn_error_hint(err, "split it, or raise the setting documents.max_pages");
        return TN_ETOOLARGE;
    }
    outline->document->pages = (uint32_t)count;
    struct pages pages = {.outline = outline, .most = (uint32_t)count};
    enum tn_code code = read_pages(fd, &pages, err);
    tn_buf_release(&pages.page);
    return code == TN_OK && !outline->full ? find_scans(fd, outline, err) : code;
}
