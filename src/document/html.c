/* HTML by libxml2's forgiving parser: no network, no entities of its own
 * making, a bounded depth. The tree is walked without recursion. */
#include "document/readers.h"
#include "document/text.h"

#include <libxml/HTMLparser.h>
#include <string.h>

enum element_kind {
    INLINE,
    BLOCK, /* a line of its own */
    PARAGRAPH,
    SKIP,
    BREAK,
    CELL,
    ITEM,
    CODE,
    HEADING
};

static const struct {
    const char *name;
    enum element_kind kind;
} elements[] = {
    {"address", PARAGRAPH}, {"article", PARAGRAPH}, {"aside", PARAGRAPH},  {"blockquote", PARAGRAPH},
    {"br", BREAK},          {"caption", BLOCK},     {"dd", BLOCK},         {"div", BLOCK},
    {"dl", PARAGRAPH},      {"dt", BLOCK},          {"fieldset", BLOCK},   {"figcaption", BLOCK},
    {"figure", PARAGRAPH},  {"footer", PARAGRAPH},  {"form", BLOCK},       {"h1", HEADING},
    {"h2", HEADING},        {"h3", HEADING},        {"h4", HEADING},       {"h5", HEADING},
    {"h6", HEADING},        {"head", SKIP},         {"header", PARAGRAPH}, {"hr", PARAGRAPH},
    {"iframe", SKIP},       {"li", ITEM},           {"main", PARAGRAPH},   {"nav", PARAGRAPH},
    {"noscript", SKIP},     {"object", SKIP},       {"ol", PARAGRAPH},     {"option", BLOCK},
    {"p", PARAGRAPH},       {"pre", CODE},          {"script", SKIP},      {"section", PARAGRAPH},
    {"style", SKIP},        {"svg", SKIP},          {"table", PARAGRAPH},  {"td", CELL},
    {"template", SKIP},     {"th", CELL},           {"title", SKIP},       {"tr", BLOCK},
    {"ul", PARAGRAPH},
};

static enum element_kind kind_of(const xmlNode *node)
{
    size_t low = 0, high = TN_COUNT(elements);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp((const char *)node->name, elements[mid].name);
        if (order == 0)
            return elements[mid].kind;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return INLINE;
}

struct walk {
    struct outline *outline;
    struct tn_buf heading; /* the text of the heading that is open */
    const xmlNode *in_heading;
    unsigned code; /* <pre> that are open */
    bool space;    /* white space waits for a word */
    bool fresh;    /* nothing stands on this line yet */
};

static void put(struct walk *walk, const char *text, size_t length)
{
    if (walk->in_heading)
        tn_buf_append(&walk->heading, text, TN_MIN(length, (size_t)4096));
    else
        outline_text(walk->outline, text, length);
}

static bool is_html_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Runs of white space are one space, none at the beginning of a line. */
static void put_flowing(struct walk *walk, const char *text)
{
    for (const char *p = text; *p;) {
        if (is_html_space(*p)) {
            walk->space = true;
            p++;
            continue;
        }
        const char *word = p;
        while (*p && !is_html_space(*p))
            p++;
        if (walk->space && !walk->fresh)
            put(walk, " ", 1);
        put(walk, word, (size_t)(p - word));
        walk->space = walk->fresh = false;
    }
}

static void new_line(struct walk *walk, bool paragraph)
{
    if (walk->in_heading) {
        walk->space = true;
        return;
    }
    if (paragraph)
        outline_paragraph(walk->outline);
    else
        outline_line(walk->outline);
    walk->space = false;
    walk->fresh = true;
}

static void open_heading(struct walk *walk, const xmlNode *node)
{
    new_line(walk, true);
    if (walk->in_heading)
        return;
    walk->in_heading = node;
    tn_buf_clear(&walk->heading);
}

static void enter(struct walk *walk, const xmlNode *node)
{
    switch (kind_of(node)) {
    case HEADING:
        open_heading(walk, node);
        break;
    case PARAGRAPH:
        new_line(walk, true);
        break;
    case BLOCK:
        new_line(walk, false);
        break;
    case BREAK:
        new_line(walk, false);
        break;
    case ITEM:
        new_line(walk, false);
        put(walk, "- ", 2);
        walk->fresh = true;
        break;
    case CELL:
        if (!walk->fresh && !walk->in_heading)
            put(walk, "\t", 1);
        walk->space = false;
        break;
    case CODE:
        new_line(walk, true);
        if (walk->code++ == 0 && !walk->in_heading)
            put(walk, "```\n", 4);
        break;
    case SKIP:
    case INLINE:
        break;
    }
}

static void leave(struct walk *walk, const xmlNode *node)
{
    switch (kind_of(node)) {
    case HEADING:
        if (walk->in_heading == node) {
            walk->in_heading = NULL;
            outline_heading(walk->outline, (unsigned)(node->name[1] - '0'), walk->heading.data, walk->heading.len);
            walk->space = false;
            walk->fresh = true;
        }
        break;
    case PARAGRAPH:
        new_line(walk, true);
        break;
    case BLOCK:
    case ITEM:
        new_line(walk, false);
        break;
    case CODE:
        new_line(walk, false);
        if (--walk->code == 0 && !walk->in_heading)
            put(walk, "```\n", 4);
        new_line(walk, true);
        break;
    case CELL:
    case BREAK:
    case SKIP:
    case INLINE:
        break;
    }
}

static void visit_text(struct walk *walk, const xmlNode *node)
{
    const char *text = (const char *)node->content;
    if (!text)
        return;
    if (walk->code && !walk->in_heading) {
        put(walk, text, strlen(text));
        walk->fresh = false;
    } else {
        put_flowing(walk, text);
    }
}

static void walk_tree(struct walk *walk, const xmlNode *root)
{
    const xmlNode *node = root;
    while (node && !walk->outline->full) {
        bool element = node->type == XML_ELEMENT_NODE, skip = element && kind_of(node) == SKIP;
        if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
            visit_text(walk, node);
        if (element && !skip)
            enter(walk, node);
        if (element && !skip && node->children) {
            node = node->children;
            continue;
        }
        for (;;) {
            if (node->type == XML_ELEMENT_NODE && kind_of(node) != SKIP)
                leave(walk, node);
            if (node == root || !node->parent)
                return;
            if (node->next)
                break;
            node = node->parent;
        }
        node = node->next;
    }
}

/* ---- <title> and <meta> ---------------------------------------------------------------- */

static void take_meta(struct outline *outline, const xmlNode *node)
{
    TN_CLEANUP(tn_free_p) xmlChar *name = xmlGetProp(node, (const xmlChar *)"name");
    TN_CLEANUP(tn_free_p) xmlChar *content = xmlGetProp(node, (const xmlChar *)"content");
    if (!name)
        name = xmlGetProp(node, (const xmlChar *)"property");
    if (!name || !content)
        return;
    const char *key = (const char *)name, *value = (const char *)content;
    static const char *const dates[] = {"date", "dcterms.created", "dc.date", "article:published_time",
                                        "creationdate"};
    struct tn_arena *arena = outline->document->arena;
    if (tn_str_equal_nocase(key, "author") || tn_str_equal_nocase(key, "dc.creator"))
        outline->document->author = tn_arena_strndup(arena, value, tn_utf8_floor(value, strlen(value), 300));
    for (size_t i = 0; i < TN_COUNT(dates); i++)
        if (tn_str_equal_nocase(key, dates[i]) && !outline->document->created)
            outline->document->created = reader_time(arena, value, strlen(value));
    outline_field(outline, key, value, strlen(value));
}

static void take_head(struct outline *outline, const xmlNode *root)
{
    const xmlNode *head = root->children;
    while (head && (head->type != XML_ELEMENT_NODE || strcmp((const char *)head->name, "head") != 0))
        head = head->next;
    for (const xmlNode *node = head ? head->children : NULL; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (strcmp((const char *)node->name, "meta") == 0)
            take_meta(outline, node);
        if (strcmp((const char *)node->name, "title") == 0 && node->children && node->children->content)
            outline_title(outline, (const char *)node->children->content,
                          strlen((const char *)node->children->content));
    }
}

/* ---- encoding ---------------------------------------------------------------------------- */

/* What charset= says within the first bytes; "" when nothing. */
static void find_charset(const char *bytes, size_t count, char out[40])
{
    size_t look = TN_MIN(count, (size_t)2048);
    out[0] = '\0';
    for (size_t i = 0; i + 8 < look; i++) {
        if ((bytes[i] | 32) != 'c' || strncasecmp(bytes + i, "charset=", 8) != 0)
            continue;
        size_t at = i + 8, length = 0;
        if (bytes[at] == '"' || bytes[at] == '\'')
            at++;
        while (at + length < look && length < 39 &&
               (bytes[at + length] == '-' || bytes[at + length] == '_' ||
                (bytes[at + length] >= '0' && bytes[at + length] <= '9') ||
                ((bytes[at + length] | 32) >= 'a' && (bytes[at + length] | 32) <= 'z')))
            length++;
        memcpy(out, bytes + at, length);
        out[length] = '\0';
        return;
    }
}

static void free_doc(xmlDoc **doc)
{
    xmlFreeDoc(*doc);
}

/* Its parser stops where elements lie too deep in each other; what it has until then is given. */
static xmlDoc *parse(const struct tn_buf *text, bool *ret_deep)
{
    htmlParserCtxt *parser = htmlNewParserCtxt();
    if (!parser)
        return NULL;
    xmlDoc *doc = htmlCtxtReadMemory(parser, text->data, (int)text->len, NULL, "UTF-8",
                                     HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
                                         HTML_PARSE_NOWARNING | HTML_PARSE_COMPACT);
    const xmlError *last = xmlCtxtGetLastError(parser);
    *ret_deep = last && last->message && strstr(last->message, "depth");
    htmlFreeParserCtxt(parser);
    return doc;
}

enum tn_code reader_html_body(const char *bytes, size_t count, const char *charset, struct outline *outline,
                              struct tn_error *err)
{
    TN_AUTO_BUF text = {0}, clean = {0};
    text_to_utf8(bytes, count, charset, &text);
    text_put_clean(&clean, text.data ? text.data : "", text.len);
    tn_buf_release(&text);
    if (clean.len > INT32_MAX / 2)
        return tn_fail(err, TN_ETOOLARGE, "the HTML is larger than 1 GB");
    if (clean.len == 0)
        return TN_OK;
    bool deep = false;
    size_t before = outline->document->text.len;
    TN_CLEANUP(free_doc) xmlDoc *doc = parse(&clean, &deep);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!root)
        return TN_OK; /* comments alone, or nothing */
    struct walk walk = {.outline = outline, .fresh = true};
    if (!outline->document->title)
        take_head(outline, root);
    walk_tree(&walk, root);
    tn_buf_release(&walk.heading);
    if (deep && outline->document->text.len == before)
        return tn_fail(err, TN_EUNREADABLE, "the HTML's elements lie deeper in each other than can be read");
    if (deep)
        outline_warn(outline, "the HTML's elements lie too deep in each other; what follows there is left out");
    return TN_OK;
}

enum tn_code reader_html(const struct document_input *input, struct outline *outline, struct tn_error *err)
{
    char charset[40];
    find_charset(input->bytes, input->count, charset);
    return reader_html_body(input->bytes, input->count, charset[0] ? charset : NULL, outline, err);
}
