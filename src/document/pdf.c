/* PDF: what poppler's programs print. pdfinfo says whether the file opens and
 * how many pages it has, pdftotext gives the pages' text, and pdfimages, asked
 * only when a page has none, tells a scan from an empty page. */
#include "document/read.h"
#include "document/readers.h"
#include "document/text.h"
#include "document/tool.h"

#include <string.h>

#define INFO_MAX ((size_t)1 << 20)

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
