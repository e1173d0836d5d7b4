/* Writing a document down (see outline.h). */
#include "document/outline.h"

#include "document/text.h"

#include <string.h>

#define SECTIONS_MAX    100000 /* beyond, headings are text */
#define FIELDS_MAX      200
#define WARNINGS_MAX    20
#define FIELD_BYTES_MAX ((size_t)4000)
#define HEADING_MAX     ((size_t)300)

struct document *document_new(enum document_type type)
{
    struct document *document = tn_calloc(1, sizeof *document);
    document->arena = tn_arena_new();
    document->type = type;
    return document;
}

void document_free(struct document *document)
{
    if (!document)
        return;
    tn_buf_release(&document->text);
    free(document->sections);
    free(document->fields);
    free(document->warnings);
    tn_arena_free(document->arena);
    free(document);
}

void outline_init(struct outline *outline, struct document *document, uint64_t limit)
{
    *outline = (struct outline){.document = document, .limit = limit, .section_heading = ""};
}

void outline_text(struct outline *outline, const char *bytes, size_t count)
{
    struct tn_buf *text = &outline->document->text;
    if (outline->full || count > outline->limit || text->len > outline->limit - count) {
        outline->full |= count > 0;
        return;
    }
    text_put_clean(text, bytes, count);
}

void outline_line(struct outline *outline)
{
    struct tn_buf *text = &outline->document->text;
    if (text->len > outline->section_start && text->data[text->len - 1] != '\n')
        tn_buf_putc(text, '\n');
}

void outline_paragraph(struct outline *outline)
{
    struct tn_buf *text = &outline->document->text;
    outline_line(outline);
    if (text->len > outline->section_start + 1 && text->data[text->len - 2] != '\n')
        tn_buf_putc(text, '\n');
}

static struct document_section *add_section(struct outline *outline)
{
    struct document *document = outline->document;
    TN_GROW(document->sections, document->section_count, outline->capacity);
    struct document_section *section = &document->sections[document->section_count++];
    *section = (struct document_section){.number = (uint32_t)document->section_count, .heading = ""};
    return section;
}

static bool is_blank(const char *text, size_t length)
{
    return strspn(text, " \t\n") >= length;
}

/* What was written since the last section began is a section, unless blank. */
static void close_section(struct outline *outline)
{
    struct document *document = outline->document;
    size_t start = outline->section_start, end = document->text.len;
    outline->section_start = end;
    if (start == end || is_blank(document->text.data + start, end - start))
        return;
    struct document_section *section = add_section(outline);
    section->heading = outline->section_heading;
    section->start = start;
    section->length = end - start;
    while (section->length && strchr(" \t\n", document->text.data[start + section->length - 1]))
        section->length--;
}

static const char *heading_path(struct outline *outline)
{
    TN_AUTO_BUF path = {0};
    for (size_t i = 0; i < DOCUMENT_HEADING_LEVELS; i++)
        if (outline->headings[i])
            tn_buf_printf(&path, "%s%s", path.len ? " > " : "", outline->headings[i]);
    return tn_arena_strdup(outline->document->arena, path.data ? path.data : "");
}

/* One line, cleaned: what headings, titles and fields are. The caller's. */
static char *one_line(const char *text, size_t length, size_t most)
{
    struct tn_buf clean = {0}, line = {0};
    text_put_clean(&clean, text, TN_MIN(length, 8 * most));
    for (size_t i = 0; i < clean.len; i++) {
        bool space = strchr(" \t\n", clean.data[i]) != NULL;
        if (!space || (line.len && line.data[line.len - 1] != ' '))
            tn_buf_putc(&line, space ? ' ' : clean.data[i]);
    }
    tn_buf_release(&clean);
    text_trim_end(&line);
    if (line.len > most) {
        line.len = tn_utf8_floor(line.data, line.len, most);
        line.data[line.len] = '\0';
    }
    return tn_buf_take(&line);
}

void outline_heading(struct outline *outline, unsigned level, const char *text, size_t length)
{
    TN_AUTO_FREE char *line = one_line(text, length, HEADING_MAX);
    level = level < 1 ? 1 : TN_MIN(level, (unsigned)DOCUMENT_HEADING_LEVELS);
    if (!*line)
        return;
    outline_paragraph(outline);
    if (outline->document->section_count < SECTIONS_MAX) {
        close_section(outline);
        for (size_t i = level - 1; i < DOCUMENT_HEADING_LEVELS; i++)
            outline->headings[i] = NULL;
        outline->headings[level - 1] = tn_arena_strdup(outline->document->arena, line);
        outline->section_heading = heading_path(outline);
        if (!outline->document->title)
            outline->document->title = outline->headings[level - 1];
    }
    outline_text(outline, "######", level);
    outline_text(outline, " ", 1);
    outline_text(outline, line, strlen(line));
    outline_text(outline, "\n\n", 2);
}

void outline_page(struct outline *outline, uint32_t number, const char *text, size_t length)
{
    struct document *document = outline->document;
    struct tn_buf *all = &document->text;
    size_t start = all->len;
    outline_text(outline, text, length);
    while (all->len > start && strchr(" \t\n", all->data[all->len - 1]))
        all->len--;
    struct document_section *section = add_section(outline);
    section->number = number;
    section->start = start;
    section->length = all->len - start;
    tn_buf_puts(all, "\n\f");
    outline->section_start = all->len;
}

void outline_title(struct outline *outline, const char *text, size_t length)
{
    TN_AUTO_FREE char *line = one_line(text, length, HEADING_MAX);
    if (*line)
        outline->document->title = tn_arena_strdup(outline->document->arena, line);
}

void outline_field(struct outline *outline, const char *name, const char *value, size_t length)
{
    struct document *document = outline->document;
    TN_AUTO_FREE char *line = one_line(value, length, FIELD_BYTES_MAX);
    TN_AUTO_FREE char *key = one_line(name, strlen(name), 80);
    if (!*line || !*key || document->field_count == FIELDS_MAX)
        return;
    for (size_t i = 0; i < document->field_count; i++)
        if (tn_streq(document->fields[i].name, key))
            return;
    TN_GROW(document->fields, document->field_count, outline->field_capacity);
    document->fields[document->field_count++] =
        (struct document_field){tn_arena_strdup(document->arena, key), tn_arena_strdup(document->arena, line)};
}

void outline_warn(struct outline *outline, const char *format, ...)
{
    struct document *document = outline->document;
    if (document->warning_count == WARNINGS_MAX)
        return;
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    TN_AUTO_FREE char *line = one_line(text.data, text.len, 400);
    TN_GROW(document->warnings, document->warning_count, outline->warning_capacity);
    document->warnings[document->warning_count++] = tn_arena_strdup(document->arena, line);
}

enum tn_code outline_finish(struct outline *outline, struct tn_error *err)
{
    char size[32];
    if (outline->full) {
        (void)tn_fail(err, TN_ETOOLARGE, "it has more than %s of text", tn_format_size(outline->limit, size));
        tn_error_hint(err, "split it, or raise the setting documents.max_text");
        return TN_ETOOLARGE;
    }
    close_section(outline);
    struct document *document = outline->document;
    text_trim_end(&document->text);
    for (size_t i = 0; i < document->section_count; i++) /* empty pages at the end */
        document->sections[i].start = TN_MIN(document->sections[i].start, document->text.len);
    return TN_OK;
}
