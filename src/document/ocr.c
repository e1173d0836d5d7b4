/* OCR in the child (see ocr.h): pdftoppm draws the page of a PDF, tesseract reads it, or an image as it is. */
#include "document/ocr.h"

#include "document/image.h"
#include "document/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)64 << 20)
#define DPI        300
#define SIDE_MAX   10000 /* pixels; a poster is drawn coarser */
#define DPI_MIN    20
#define TSV_FIELDS 12

/* ---- tesseract's table ------------------------------------------------------------------ */

struct tsv_row {
    const char *fields[TSV_FIELDS];
    size_t lengths[TSV_FIELDS];
};

static bool split_row(const char *line, size_t length, struct tsv_row *ret)
{
    const char *end = line + length;
    for (size_t i = 0; i < TSV_FIELDS; i++) {
        const char *tab = i + 1 < TSV_FIELDS ? memchr(line, '\t', (size_t)(end - line)) : end;
        if (!tab)
            return false;
        ret->fields[i] = line;
        ret->lengths[i] = (size_t)(tab - line);
        line = tab < end ? tab + 1 : end;
    }
    return true;
}

static bool same(const struct tsv_row *a, const struct tsv_row *b, size_t field)
{
    return a->lengths[field] == b->lengths[field] &&
           memcmp(a->fields[field], b->fields[field], a->lengths[field]) == 0;
}

/* level page block paragraph line word left top width height confidence text */
static const char *space_between(const struct tsv_row *before, const struct tsv_row *row)
{
    if (!same(before, row, 1) || !same(before, row, 2) || !same(before, row, 3))
        return "\n\n";
    return same(before, row, 4) ? " " : "\n";
}

static bool is_word(const struct tsv_row *row)
{
    const char *text = row->fields[11];
    size_t blank = 0;
    while (blank < row->lengths[11] && strchr(" \t\r", text[blank]) && text[blank])
        blank++;
    return row->lengths[0] == 1 && row->fields[0][0] == '5' && blank < row->lengths[11];
}

static double confidence_of(const struct tsv_row *row)
{
    char number[32];
    size_t length = TN_MIN(row->lengths[10], sizeof number - 1);
    memcpy(number, row->fields[10], length);
    number[length] = '\0';
    double value = strtod(number, NULL);
    return isfinite(value) ? TN_MIN(TN_MAX(value, 0.0), 100.0) : 0;
}

void ocr_take_tsv(const char *tsv, size_t length, struct tn_buf *text, unsigned *ret_confidence)
{
    const char *end = tsv + length;
    struct tsv_row row, before = {0};
    double sum = 0, words = 0;
    while (tsv < end) {
        const char *newline = memchr(tsv, '\n', (size_t)(end - tsv));
        const char *stop = newline ? newline : end;
        if (split_row(tsv, (size_t)(stop - tsv), &row) && is_word(&row)) {
            tn_buf_puts(text, before.fields[0] ? space_between(&before, &row) : "");
            tn_buf_append(text, row.fields[11], row.lengths[11]);
            sum += confidence_of(&row);
            words++;
            before = row;
        }
        tsv = newline ? newline + 1 : end;
    }
    *ret_confidence = words > 0 ? (unsigned)lround(sum / words) : 0;
}

/* ---- the programs ------------------------------------------------------------------------ */

static void read_output(struct tool *tool, struct tn_buf *ret)
{
    char piece[16384];
    for (size_t got; (got = tool_read(tool, piece, sizeof piece)) > 0;)
        if (ret->len < OUTPUT_MAX)
            tn_buf_append(ret, piece, got);
}

static enum tn_code judge_tesseract(struct tool *tool, const char *languages, struct tn_error *err)
{
    enum tool_outcome outcome = tool_wait(tool);
    const char *said = tool->complaint.data ? tool->complaint.data : "";
    if (outcome == TOOL_FINE)
        return TN_OK;
    if (outcome == TOOL_MISSING) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "tesseract is not installed, and OCR needs it");
        tn_error_hint(err, "apt install tesseract-ocr poppler-utils");
        return TN_EUNSUPPORTED;
    }
    if (strstr(said, "Failed loading language")) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "tesseract has no data for the languages %s", languages);
        tn_error_hint(err, "apt install tesseract-ocr-deu, -fra, ...; documents.ocr_languages says which are used");
        return TN_EUNSUPPORTED;
    }
    size_t line = strcspn(said, "\n");
    return tn_fail(err, TN_EUNREADABLE, "tesseract gave up on the page%s%.*s%s", *said ? " (" : "",
                   (int)TN_MIN(line, (size_t)200), said, *said ? ")" : "");
}

/* How fine the page is drawn, by its size in points. */
static unsigned choose_dpi(const char *info)
{
    const char *size = strstr(info, " size:");
    double width = 0, height = 0;
    if (!size || sscanf(size, " size: %lf x %lf", &width, &height) != 2)
        return DPI;
    double inches = TN_MAX(width, height) / 72;
    if (!(inches * DPI > SIDE_MAX))
        return DPI;
    return (unsigned)TN_MAX(SIDE_MAX / inches, (double)DPI_MIN);
}

static enum tn_code page_dpi(int fd, char *page, unsigned *ret, struct tn_error *err)
{
    char *argv[] = {(char[]){"pdfinfo"}, (char[]){"-f"}, page, (char[]){"-l"}, page, (char[]){"-"}, NULL};
    TN_CLEANUP(tool_release) struct tool tool = {0};
    TN_AUTO_BUF info = {0};
    TN_TRY(tool_start(argv, fd, &tool, err));
    read_output(&tool, &info);
    TN_TRY(tool_end(&tool, "pdfinfo", err));
    *ret = choose_dpi(info.data ? info.data : "");
    return TN_OK;
}

static enum tn_code draw_and_recognise(int fd, char *page, char *dpi, char *languages, struct tn_buf *tsv,
                                       struct tn_error *err)
{
    char *draw[] = {(char[]){"pdftoppm"},
                    (char[]){"-q"},
                    (char[]){"-r"},
                    dpi,
                    (char[]){"-f"},
                    page,
                    (char[]){"-l"},
                    page,
                    (char[]){"-gray"},
                    (char[]){"-"},
                    NULL};
    char *read[] = {(char[]){"tesseract"},
                    (char[]){"stdin"},
                    (char[]){"stdout"},
                    (char[]){"-l"},
                    languages,
                    (char[]){"--dpi"},
                    dpi,
                    (char[]){"-c"},
                    (char[]){"tessedit_create_tsv=1"},
                    (char[]){"-c"},
                    (char[]){"tessedit_create_txt=0"},
                    NULL};
    TN_CLEANUP(tool_release) struct tool drawer = {0};
    TN_CLEANUP(tool_release) struct tool reader = {0};
    TN_TRY(tool_start(draw, fd, &drawer, err));
    TN_TRY(tool_start(read, drawer.out, &reader, err));
    tool_pass_on(&drawer);
    read_output(&reader, tsv);
    enum tn_code read_code = judge_tesseract(&reader, languages, err);
    struct tn_error why = {0};
    enum tn_code draw_code = tool_end(&drawer, "pdftoppm", &why);
    /* Without a page there is nothing to read: the first error is the one that tells. */
    if (draw_code != TN_OK && read_code != TN_EUNSUPPORTED) {
        if (err)
            *err = why;
        return draw_code;
    }
    return read_code;
}

static enum tn_code read_of_pdf(int fd, uint32_t page, char *languages, struct tn_buf *tsv, struct tn_error *err)
{
    char number[16], resolution[16];
    unsigned dpi;
    (void)snprintf(number, sizeof number, "%u", page);
    TN_TRY(page_dpi(fd, number, &dpi, err));
    (void)snprintf(resolution, sizeof resolution, "%u", dpi);
    return draw_and_recognise(fd, number, resolution, languages, tsv, err);
}

static enum tn_code look_at_image(int fd, const struct document_limits *limits, struct image *ret,
                                  struct tn_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || info.st_size <= 0 || (uint64_t)info.st_size > limits->file_bytes)
        return tn_fail(err, TN_EUNREADABLE, "the image cannot be looked at");
    size_t size = (size_t)info.st_size;
    char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return tn_fail_errno(err, errno, "the image");
    enum tn_code code = image_look(bytes, size, limits, ret, err);
    (void)munmap(bytes, size);
    return code;
}

static enum tn_code read_of_image(int fd, uint32_t page, char *languages, const struct document_limits *limits,
                                  struct tn_buf *tsv, struct tn_error *err)
{
    struct image image;
    char number[48];
    TN_TRY(look_at_image(fd, limits, &image, err));
    if (page < 1 || page > image.pages)
        return tn_fail(err, TN_EUNREADABLE, "the image has no page %u", page);
    (void)snprintf(number, sizeof number, "tessedit_page_number=%u", page - 1);
    char *argv[] = {(char[]){"tesseract"},
                    (char[]){"stdin"},
                    (char[]){"stdout"},
                    (char[]){"-l"},
                    languages,
                    (char[]){"-c"},
                    number,
                    (char[]){"-c"},
                    (char[]){"tessedit_create_tsv=1"},
                    (char[]){"-c"},
                    (char[]){"tessedit_create_txt=0"},
                    NULL};
    TN_CLEANUP(tool_release) struct tool reader = {0};
    TN_TRY(tool_start(argv, fd, &reader, err));
    read_output(&reader, tsv);
    return judge_tesseract(&reader, languages, err);
}

static bool is_image(int fd)
{
    char head[64];
    ssize_t got = pread(fd, head, sizeof head, 0);
    return got > 0 && image_sniff(head, (size_t)got) != IMAGE_NONE;
}

enum tn_code ocr_read_page(int fd, uint32_t page, const char *languages, const struct document_limits *limits,
                           struct outline *outline, struct tn_error *err)
{
    char words[OCR_LANGUAGES_MAX], share[8];
    TN_AUTO_BUF tsv = {0}, text = {0};
    unsigned confidence;
    /* One page, one thread: the job decides how many run. */
    (void)setenv("OMP_THREAD_LIMIT", "1", 1);
    (void)snprintf(words, sizeof words, "%s", languages);
    TN_TRY(is_image(fd) ? read_of_image(fd, page, words, limits, &tsv, err)
                        : read_of_pdf(fd, page, words, &tsv, err));
    ocr_take_tsv(tsv.data ? tsv.data : "", tsv.len, &text, &confidence);
    outline->document->pages = 1;
    outline_page(outline, page, text.data ? text.data : "", text.len);
    outline_field(outline, "confidence", share, (size_t)snprintf(share, sizeof share, "%u", confidence));
    return TN_OK;
}

static enum tn_code ask(const char *option, struct tn_buf *ret, struct tn_error *err)
{
    char word[32];
    char *argv[] = {(char[]){"tesseract"}, word, NULL};
    TN_CLEANUP(tool_release) struct tool tool = {0};
    (void)snprintf(word, sizeof word, "%s", option);
    int ends[2];
    if (pipe(ends) != 0)
        return tn_fail(err, TN_EIO, "no pipe for tesseract");
    (void)close(ends[1]);
    enum tn_code code = tool_start(argv, ends[0], &tool, err);
    (void)close(ends[0]);
    TN_TRY(code);
    read_output(&tool, ret);
    code = judge_tesseract(&tool, "asked for", err);
    if (code != TN_EUNREADABLE)
        return code;
    (void)tn_fail(err, TN_EUNSUPPORTED, "tesseract does not run here: %.200s",
                  tool.complaint.data ? tool.complaint.data : "it says nothing");
    tn_error_hint(err, "it may have documents.memory, and half of jobs.memory at most: 256 MB will do");
    return TN_EUNSUPPORTED;
}

static bool has_line(const char *text, const char *word, size_t length)
{
    for (const char *line = text; *line; line += *line == '\n') {
        size_t here = strcspn(line, "\r\n");
        if (here == length && memcmp(line, word, length) == 0)
            return true;
        line += strcspn(line, "\n");
    }
    return false;
}

enum tn_code ocr_look(const char *languages, struct outline *outline, struct tn_error *err)
{
    TN_AUTO_BUF version = {0}, list = {0};
    TN_TRY(ask("--version", &version, err));
    TN_TRY(ask("--list-langs", &list, err));
    tn_buf_append(&list, "", 1);
    for (const char *word = languages; *word; word += *word == '+') {
        size_t length = strcspn(word, "+");
        if (!has_line(list.data, word, length)) {
            (void)tn_fail(err, TN_EUNSUPPORTED, "tesseract has no data for the language %.*s", (int)length, word);
            tn_error_hint(err, "apt install tesseract-ocr-%.*s; `tesseract --list-langs` shows what is there",
                          (int)length, word);
            return TN_EUNSUPPORTED;
        }
        word += length;
    }
    const char *line = version.data ? version.data : "tesseract";
    outline_field(outline, "engine", line, strcspn(line, "\n"));
    return TN_OK;
}
