/* Several pages at once (see ocr_pages.h). */
#include "ingest/ocr_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct ocr_pages {
    struct lake *lake;
    const struct ingest_ocr_options *options;
    struct readers *readers;
    struct ocr_page *ring;
    size_t room, first, used;
    struct ocr_scan *last; /* of the page that was put last */
};

static const char *text_at(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

struct ocr_scan *ocr_scan_new(const json_t *row)
{
    struct ocr_scan *scan = tn_calloc(1, sizeof *scan);
    (void)snprintf(scan->doc_id, sizeof scan->doc_id, "%s", text_at(row, "doc_id"));
    (void)snprintf(scan->hash, sizeof scan->hash, "%s", text_at(row, "hash"));
    scan->path = tn_strdup(text_at(row, "path"));
    scan->fd = -1;
    scan->users = 1;
    return scan;
}

void ocr_scan_unref(struct ocr_scan *scan)
{
    if (!scan || --scan->users > 0)
        return;
    if (scan->fd >= 0)
        (void)close(scan->fd);
    free(scan->path);
    free(scan);
}

struct ocr_pages *ocr_pages_new(struct lake *lake, const struct ingest_ocr_options *options)
{
    struct ocr_pages *pages = tn_calloc(1, sizeof *pages);
    pages->lake = lake;
    pages->options = options;
    pages->readers = readers_new(&options->limits, TN_MAX(options->readers, (size_t)1));
    readers_stop_when(pages->readers, options->stopping, options->context);
    pages->room = readers_room(pages->readers);
    pages->ring = tn_calloc(pages->room, sizeof *pages->ring);
    return pages;
}

static void page_release(struct ocr_page *page)
{
    ocr_scan_unref(page->scan);
    if (page->reading.fd >= 0)
        (void)close(page->reading.fd);
    tn_buf_release(&page->reading.text);
    *page = (struct ocr_page){0};
}

void ocr_pages_free(struct ocr_pages *pages)
{
    if (!pages)
        return;
    readers_free(pages->readers); /* from here on nobody writes to the ring */
    for (size_t i = 0; i < pages->used; i++)
        page_release(&pages->ring[(pages->first + i) % pages->room]);
    ocr_scan_unref(pages->last);
    free(pages->ring);
    free(pages);
}

bool ocr_pages_is_full(const struct ocr_pages *pages)
{
    return pages->used == pages->room;
}

bool ocr_pages_is_empty(const struct ocr_pages *pages)
{
    return pages->used == 0;
}

static enum tn_code begin_scan(struct ocr_pages *pages, const json_t *row, struct tn_error *err)
{
    ocr_scan_unref(pages->last);
    struct ocr_scan *scan = pages->last = ocr_scan_new(row);
    enum tn_code code =
        scans_open(pages->lake, pages->options->dataset, scan->doc_id, scan->hash, &scan->fd, &scan->why);
    if (code == TN_OK || code == TN_ENOTFOUND)
        return TN_OK;
    if (err)
        *err = scan->why;
    return code;
}

/* Programs share the position of a descriptor that they share; each page has its own. */
static enum tn_code open_again(int fd, int *ret, struct tn_error *err)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *ret = open(path, O_RDONLY | O_CLOEXEC);
    return *ret < 0 ? tn_fail_errno(err, errno, "the kept file of a scan") : TN_OK;
}

enum tn_code ocr_pages_put(struct ocr_pages *pages, const json_t *row, struct tn_error *err)
{
    if (!pages->last || !tn_streq(pages->last->doc_id, text_at(row, "doc_id")))
        TN_TRY(begin_scan(pages, row, err));
    struct ocr_scan *scan = pages->last;
    int fd = -1;
    if (scan->fd >= 0)
        TN_TRY(open_again(scan->fd, &fd, err));
    struct ocr_page *page = &pages->ring[(pages->first + pages->used++) % pages->room];
    *page = (struct ocr_page){.scan = scan, .number = json_integer_value(json_object_get(row, "page"))};
    page->reading = (struct reading){
        .fd = fd, .name = scan->path, .page = (uint32_t)page->number, .languages = pages->options->languages};
    scan->users++;
    if (fd >= 0)
        readers_put(pages->readers, &page->reading);
    return TN_OK;
}

struct ocr_page *ocr_pages_take(struct ocr_pages *pages)
{
    struct ocr_page *page = &pages->ring[pages->first];
    const struct ingest_ocr_options *options = pages->options;
    if (page->reading.fd < 0)
        return page;
    (void)readers_take(pages->readers);
    if (document_error_is_of_file(page->reading.code) && options->memory_alone > options->limits.memory_bytes) {
        struct document_limits limits = options->limits;
        limits.memory_bytes = options->memory_alone;
        readers_read_alone(pages->readers, &limits, &page->reading);
    }
    return page;
}

void ocr_pages_drop(struct ocr_pages *pages)
{
    page_release(&pages->ring[pages->first]);
    pages->first = (pages->first + 1) % pages->room;
    pages->used--;
}
