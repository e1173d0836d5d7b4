/* One file in the process that may read it: which reader, and what goes to
 * the sink. */
#include "document/read.h"

#include "document/readers.h"
#include "document/zip.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_BYTES ((size_t)8192)

struct document_limits document_limits_default(void)
{
    return (struct document_limits){
        .file_bytes = (uint64_t)256 << 20,
        .text_bytes = (uint64_t)32 << 20,
        .memory_bytes = (uint64_t)768 << 20,
        .seconds = 60,
        .pages = 5000,
        .archive_files = 50000,
        .archive_bytes = (uint64_t)8 << 30,
    };
}

bool document_error_is_of_file(enum tn_code code)
{
    return code == TN_EUNREADABLE || code == TN_EUNSUPPORTED || code == TN_ETOOLARGE || code == TN_ETIMEOUT;
}

/* ---- archives ------------------------------------------------------------------------------ */

/* What systems and editors leave lying about is nobody's document. */
static bool is_litter(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    return *base == '\0' || *base == '.' || tn_str_starts_with(name, "__MACOSX/") || tn_streq(base, "Thumbs.db") ||
           tn_streq(base, "desktop.ini");
}

struct total {
    const struct document_sink *sink;
    uint64_t bytes, most;
    const char *name; /* of the member that begins with its first bytes; NULL once it has begun */
};

static enum tn_code begin_member(struct total *total, struct tn_error *err)
{
    const char *name = total->name;
    total->name = NULL;
    return name ? total->sink->file_begin(total->sink->context, name, err) : TN_OK;
}

static enum tn_code take_member(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct total *total = context;
    char size[32];
    TN_TRY(begin_member(total, err));
    total->bytes += count;
    if (total->bytes > total->most) {
        (void)tn_fail(err, TN_ETOOLARGE, "the archive unpacks to more than %s", tn_format_size(total->most, size));
        tn_error_hint(err, "send it as several archives, or raise the setting documents.max_archive");
        return TN_ETOOLARGE;
    }
    return total->sink->file_data(total->sink->context, bytes, count, err);
}

static enum tn_code read_member(const struct document_limits *limits, const struct zip *zip,
                                const struct zip_entry *entry, const char *name, struct total *total,
                                struct tn_error *err)
{
    const struct document_sink *sink = total->sink;
    struct tn_error why = {0};
    total->name = name;
    enum tn_code code =
        zip_unpack(zip, entry, TN_MAX(limits->file_bytes, limits->archive_bytes / 8), take_member, total, &why);
    if (code == TN_OK)
        code = begin_member(total, &why); /* an empty one */
    if (code == TN_OK)
        return sink->file_end(sink->context, err);
    bool member_alone = code == TN_EUNREADABLE || (code == TN_ETOOLARGE && total->bytes <= total->most);
    if (!member_alone || !sink->file_failed) {
        if (err)
            *err = why;
        return code;
    }
    return sink->file_failed(sink->context, name, &why, err);
}

static enum tn_code read_archive(const struct document_limits *limits, const struct zip *zip,
                                 const struct document_sink *sink, struct tn_error *err)
{
    struct total total = {.sink = sink, .most = limits->archive_bytes};
    if (!sink->file_begin)
        return tn_fail(err, TN_EUNSUPPORTED, "archives within archives are not unpacked this deep");
    for (size_t i = 0; i < zip->count; i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        const struct zip_entry *entry = &zip->entries[i];
        char *name = is_litter(entry->name) ? NULL : document_clean_path(arena, entry->name);
        if (name)
            TN_TRY(read_member(limits, zip, entry, name, &total, err));
    }
    return TN_OK;
}

/* ---- documents -------------------------------------------------------------------------------- */

static enum tn_code read_all(int fd, uint64_t size, struct tn_buf *ret, struct tn_error *err)
{
    char *out = tn_buf_reserve(ret, (size_t)size);
    TN_TRY(tn_pread_all(fd, out, (size_t)size, 0, "file", err));
    ret->len = (size_t)size;
    out[size] = '\0';
    return TN_OK;
}

static enum tn_code read_document(const struct read_job *job, enum document_type type, uint64_t size,
                                  struct tn_error *err)
{
    TN_CLEANUP(document_free_p) struct document *document = document_new(type);
    TN_AUTO_BUF bytes = {0};
    struct outline outline;
    outline_init(&outline, document, job->limits->text_bytes);
    if (type == DOCUMENT_PDF) {
        if (!job->pdf)
            return tn_fail(err, TN_EUNSUPPORTED, "PDF is read by programs of the distribution, in a cage");
        TN_TRY(job->pdf(job->limits, job->fd, &outline, err));
    } else {
        TN_TRY(read_all(job->fd, size, &bytes, err));
        const struct document_input input = {
            .bytes = bytes.data, .count = bytes.len, .name = job->name, .limits = job->limits, .sink = job->sink};
        static enum tn_code (*const readers[])(const struct document_input *, struct outline *, struct tn_error *) = {
            [DOCUMENT_DOCX] = reader_docx,         [DOCUMENT_HTML] = reader_html, [DOCUMENT_EML] = reader_eml,
            [DOCUMENT_MARKDOWN] = reader_markdown, [DOCUMENT_TEXT] = reader_text, [DOCUMENT_IMAGE] = reader_image,
        };
        TN_TRY(readers[type](&input, &outline, err));
    }
    TN_TRY(outline_finish(&outline, err));
    return job->sink->document ? job->sink->document(job->sink->context, document, err) : TN_OK;
}

static enum tn_code read_zip(const struct read_job *job, uint64_t size, struct tn_error *err)
{
    TN_CLEANUP(zip_release) struct zip zip = {.fd = -1};
    TN_TRY(zip_open_fd(job->fd, size, job->limits->archive_files, &zip, err));
    if (zip_find(&zip, "word/document.xml"))
        return size > job->limits->file_bytes
                   ? tn_fail(err, TN_ETOOLARGE, "the file is larger than the setting documents.max_file")
                   : read_document(job, DOCUMENT_DOCX, size, err);
    static const struct {
        const char *member, *what;
    } others[] = {{"xl/workbook.xml", "an Excel workbook"},
                  {"ppt/presentation.xml", "a PowerPoint presentation"},
                  {"content.xml", "an OpenDocument file"},
                  {"META-INF/container.xml", "an EPUB"}};
    for (size_t i = 0; i < TN_COUNT(others); i++)
        if (zip_find(&zip, others[i].member)) {
            (void)tn_fail(err, TN_EUNSUPPORTED, "this is %s, which cannot be read yet", others[i].what);
            tn_error_hint(err, "save it as PDF or .docx; tables as .csv go to POST /ingest/file");
            return TN_EUNSUPPORTED;
        }
    return read_archive(job->limits, &zip, job->sink, err);
}

enum tn_code read_file(const struct read_job *job, struct tn_error *err)
{
    struct stat info;
    char head[LOOK_BYTES], most[32];
    if (fstat(job->fd, &info) != 0 || info.st_size < 0)
        return tn_fail_errno(err, errno, "%s", job->name);
    uint64_t size = (uint64_t)info.st_size;
    size_t look = (size_t)TN_MIN(size, (uint64_t)LOOK_BYTES);
    TN_TRY(tn_pread_all(job->fd, head, look, 0, job->name, err));
    if (size == 0)
        return tn_fail(err, TN_EUNREADABLE, "the file is empty");
    enum document_type type = detect_type(head, look, job->name);
    if (type == DOCUMENT_ZIP)
        return read_zip(job, size, err);
    if (type == DOCUMENT_NONE)
        return detect_refuse(head, look, err);
    if (size > job->limits->file_bytes) {
        (void)tn_fail(err, TN_ETOOLARGE, "the file is larger than %s", tn_format_size(job->limits->file_bytes, most));
        tn_error_hint(err, "split it, or raise the setting documents.max_file");
        return TN_ETOOLARGE;
    }
    return read_document(job, type, size, err);
}

enum tn_code document_read(const struct document_limits *limits, int fd, const char *name,
                           const struct document_sink *sink, struct tn_error *err)
{
    const struct read_job job = {.limits = limits, .fd = fd, .name = name, .sink = sink};
    return read_file(&job, err);
}
