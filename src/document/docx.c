/* DOCX: the paragraphs of word/document.xml in their order. Headings by the
 * styles' names ("heading 1") or outline levels, lists as "- " lines, tables as
 * lines with tabs; what was deleted under change tracking, field codes and
 * the fallback copies of drawings are left out. */
#include "document/readers.h"
#include "document/text.h"
#include "document/zip.h"

#include <libxml/xmlreader.h>
#include <string.h>

#define PART_MAX ((uint64_t)128 << 20)
#define XML_OPTIONS                                                                                                  \
    (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT | XML_PARSE_NOCDATA)

static void free_reader(xmlTextReader **reader)
{
    xmlFreeTextReader(*reader);
}
#define AUTO_READER TN_CLEANUP(free_reader) xmlTextReader

/* Calls `each` for every node of a part. A part that is not there is fine. */
typedef void node_fn(void *context, xmlTextReader *reader);
static enum tn_code read_part(const struct zip *zip, const char *name, node_fn *each, void *context,
                              struct tn_error *err)
{
    TN_AUTO_BUF xml = {0};
    const struct zip_entry *entry = zip_find(zip, name);
    if (!entry)
        return TN_OK;
    TN_TRY(zip_unpack_all(zip, entry, PART_MAX, &xml, err));
    AUTO_READER *reader = xmlReaderForMemory(xml.data ? xml.data : "", (int)xml.len, NULL, NULL, XML_OPTIONS);
    int more = reader ? xmlTextReaderRead(reader) : -1;
    while (more == 1) {
        /* Word writes no document type; with one come entities that grow. */
        if (xmlTextReaderNodeType(reader) == XML_READER_TYPE_DOCUMENT_TYPE)
            return tn_fail(err, TN_EUNREADABLE, "%s holds a document type definition, which no DOCX has", name);
        bool skip = tn_streq((const char *)xmlTextReaderConstLocalName(reader), "Fallback");
        if (!skip)
            each(context, reader);
        more = skip ? xmlTextReaderNext(reader) : xmlTextReaderRead(reader);
    }
    return more == 0 ? TN_OK : tn_fail(err, TN_EUNREADABLE, "%s is not well-formed XML", name);
}

/* The attribute by local name, whatever its prefix; the caller's. */
static char *attribute(xmlTextReader *reader, const char *name)
{
    char *value = NULL;
    while (!value && xmlTextReaderMoveToNextAttribute(reader) == 1)
        if (tn_streq((const char *)xmlTextReaderConstLocalName(reader), name))
            value = tn_strdup((const char *)xmlTextReaderConstValue(reader));
    (void)xmlTextReaderMoveToElement(reader);
    return value;
}

/* ---- styles -------------------------------------------------------------------------------- */

struct style {
    char *id;
    unsigned level;
};
struct styles {
    struct style *items;
    size_t count, capacity;
};

static void styles_release(struct styles *styles)
{
    for (size_t i = 0; i < styles->count; i++)
        free(styles->items[i].id);
    free(styles->items);
}

static unsigned outline_level(const char *value)
{
    uint64_t level;
    return value && tn_parse_u64(value, &level) && level < DOCUMENT_HEADING_LEVELS ? (unsigned)level + 1 : 0;
}

static unsigned name_level(const char *name)
{
    if (tn_str_equal_nocase(name, "title"))
        return 1;
    if (strncasecmp(name, "heading ", 8) == 0 && name[8] >= '1' && name[8] <= '6' && name[9] == '\0')
        return (unsigned)(name[8] - '0');
    return 0;
}

static void visit_style(void *context, xmlTextReader *reader)
{
    struct styles *styles = context;
    const char *name = (const char *)xmlTextReaderConstLocalName(reader);
    if (xmlTextReaderNodeType(reader) != XML_READER_TYPE_ELEMENT)
        return;
    if (tn_streq(name, "style")) {
        TN_GROW(styles->items, styles->count, styles->capacity);
        styles->items[styles->count++] = (struct style){.id = attribute(reader, "styleId")};
        return;
    }
    if (!styles->count || (!tn_streq(name, "name") && !tn_streq(name, "outlineLvl")))
        return;
    struct style *style = &styles->items[styles->count - 1];
    TN_AUTO_FREE char *value = attribute(reader, "val");
    unsigned level = !value ? 0 : tn_streq(name, "name") ? name_level(value) : outline_level(value);
    if (level && !style->level)
        style->level = level;
}

static unsigned style_level(const struct styles *styles, const char *id)
{
    for (size_t i = 0; id && i < styles->count; i++)
        if (styles->items[i].id && tn_streq(styles->items[i].id, id))
            return styles->items[i].level;
    return 0;
}

/* ---- the body ---------------------------------------------------------------------------------- */

struct body {
    struct outline *outline;
    const struct styles *styles;
    struct tn_buf paragraph;
    unsigned level, tables;
    bool item, text, row_begun;
};

static void end_paragraph(struct body *body)
{
    struct tn_buf *paragraph = &body->paragraph;
    text_trim_end(paragraph);
    const char *text = paragraph->data ? paragraph->data : "";
    if (body->tables) {
        for (size_t i = 0; i < paragraph->len; i++)
            if (paragraph->data[i] == '\n')
                paragraph->data[i] = ' ';
        if (paragraph->len) {
            outline_text(body->outline, text, paragraph->len);
            outline_text(body->outline, " ", 1);
        }
    } else if (body->level) {
        outline_heading(body->outline, body->level, text, paragraph->len);
    } else if (paragraph->len) {
        if (body->item)
            outline_text(body->outline, "- ", 2);
        outline_text(body->outline, text, paragraph->len);
        outline_text(body->outline, body->item ? "\n" : "\n\n", body->item ? 1 : 2);
    }
    tn_buf_clear(paragraph);
    body->level = 0;
    body->item = false;
}

static void begin_element(struct body *body, xmlTextReader *reader, const char *name)
{
    if (tn_streq(name, "pStyle") || tn_streq(name, "outlineLvl")) {
        TN_AUTO_FREE char *value = attribute(reader, "val");
        unsigned level = name[0] == 'p' ? style_level(body->styles, value) : outline_level(value);
        body->level = level ? level : body->level;
    } else if (tn_streq(name, "numPr")) {
        body->item = true;
    } else if (tn_streq(name, "tab")) {
        tn_buf_putc(&body->paragraph, body->tables ? ' ' : '\t');
    } else if (tn_streq(name, "br") || tn_streq(name, "cr")) {
        tn_buf_putc(&body->paragraph, '\n');
    } else if (tn_streq(name, "noBreakHyphen")) {
        tn_buf_putc(&body->paragraph, '-');
    } else if (tn_streq(name, "tbl")) {
        if (body->tables++ == 0)
            outline_paragraph(body->outline);
    } else if (tn_streq(name, "tr")) {
        body->row_begun = false;
    } else if (tn_streq(name, "tc")) {
        if (body->row_begun)
            outline_text(body->outline, "\t", 1);
        body->row_begun = true;
    } else if (tn_streq(name, "t")) {
        body->text = true;
    } else if (tn_streq(name, "p") && body->paragraph.len) {
        tn_buf_putc(&body->paragraph, '\n'); /* a text box inside a paragraph */
    }
}

static void end_element(struct body *body, const char *name)
{
    if (tn_streq(name, "p")) {
        end_paragraph(body);
    } else if (tn_streq(name, "tr")) {
        outline_line(body->outline);
    } else if (tn_streq(name, "tbl") && body->tables) {
        if (--body->tables == 0)
            outline_paragraph(body->outline);
    } else if (tn_streq(name, "t")) {
        body->text = false;
    }
}

static void visit_body(void *context, xmlTextReader *reader)
{
    struct body *body = context;
    const char *name = (const char *)xmlTextReaderConstLocalName(reader);
    switch (xmlTextReaderNodeType(reader)) {
    case XML_READER_TYPE_ELEMENT: {
        bool empty = xmlTextReaderIsEmptyElement(reader) == 1; /* before its attributes move the reader */
        begin_element(body, reader, name);
        if (empty)
            end_element(body, name);
        break;
    }
    case XML_READER_TYPE_END_ELEMENT:
        end_element(body, name);
        break;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
    case XML_READER_TYPE_WHITESPACE:
        if (body->text && body->paragraph.len <= body->outline->limit)
            tn_buf_puts(&body->paragraph, (const char *)xmlTextReaderConstValue(reader));
        break;
    default:
        break;
    }
}

/* ---- properties ---------------------------------------------------------------------------------- */

struct properties {
    struct outline *outline;
    char element[40];
};

static void visit_property(void *context, xmlTextReader *reader)
{
    struct properties *properties = context;
    struct outline *outline = properties->outline;
    int type = xmlTextReaderNodeType(reader);
    if (type == XML_READER_TYPE_ELEMENT)
        (void)snprintf(properties->element, sizeof properties->element, "%s",
                       (const char *)xmlTextReaderConstLocalName(reader));
    if (type != XML_READER_TYPE_TEXT)
        return;
    const char *value = (const char *)xmlTextReaderConstValue(reader), *name = properties->element;
    size_t length = strlen(value);
    if (tn_streq(name, "title"))
        outline_title(outline, value, length);
    else if (tn_streq(name, "creator"))
        outline->document->author = tn_arena_strndup(outline->document->arena, value,
                                                     tn_utf8_floor(value, length, TN_MIN(length, (size_t)300)));
    else if (tn_streq(name, "created"))
        outline->document->created = reader_time(outline->document->arena, value, length);
    else
        outline_field(outline, name, value, length);
}

enum tn_code reader_docx(const struct document_input *input, struct outline *outline, struct tn_error *err)
{
    TN_CLEANUP(zip_release) struct zip zip = {.fd = -1};
    TN_CLEANUP(styles_release) struct styles styles = {0};
    TN_TRY(zip_open_bytes(input->bytes, input->count, input->limits->archive_files, &zip, err));
    if (!zip_find(&zip, "word/document.xml"))
        return tn_fail(err, TN_EUNREADABLE, "the archive holds no word/document.xml");
    struct properties properties = {.outline = outline};
    TN_TRY(read_part(&zip, "docProps/core.xml", visit_property, &properties, err));
    TN_TRY(read_part(&zip, "word/styles.xml", visit_style, &styles, err));
    struct body body = {.outline = outline, .styles = &styles};
    enum tn_code code = read_part(&zip, "word/document.xml", visit_body, &body, err);
    if (code == TN_OK)
        code = read_part(&zip, "word/footnotes.xml", visit_body, &body, err);
    tn_buf_release(&body.paragraph);
    return code;
}
