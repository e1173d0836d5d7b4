/* What a file is, by its bytes; the name decides between kinds of text. */
#include "document/image.h"
#include "document/readers.h"
#include "document/text.h"

#include <string.h>

#define LOOK_BYTES ((size_t)2048)

static const char *const names[] = {
    [DOCUMENT_NONE] = "unknown", [DOCUMENT_PDF] = "pdf",           [DOCUMENT_DOCX] = "docx",
    [DOCUMENT_HTML] = "html",    [DOCUMENT_MARKDOWN] = "markdown", [DOCUMENT_TEXT] = "text",
    [DOCUMENT_EML] = "eml",      [DOCUMENT_ZIP] = "zip",           [DOCUMENT_IMAGE] = "image",
};

const char *document_type_name(enum document_type type)
{
    return names[type];
}

bool document_type_parse(const char *word, enum document_type *ret)
{
    for (size_t i = 1; i < TN_COUNT(names); i++)
        if (tn_str_equal_nocase(word, names[i])) {
            *ret = (enum document_type)i;
            return true;
        }
    return false;
}

static const char *skip_blank(const char *p, const char *end)
{
    if (end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        p += 3;
    while (p < end && strchr(" \t\r\n", *p) && *p)
        p++;
    return p;
}

static bool begins(const char *p, const char *end, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(end - p) < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (tn_ascii_lower(p[i]) != word[i])
            return false;
    return true;
}

static bool looks_like_html(const char *p, const char *end)
{
    static const char *const starts[] = {"<!doctype html", "<html", "<head", "<body", "<title", "<meta "};
    p = skip_blank(p, end);
    while (begins(p, end, "<!--") || begins(p, end, "<?xml")) {
        const char *close = memchr(p + 1, '>', (size_t)(end - p - 1));
        if (!close)
            return false;
        p = skip_blank(close + 1, end);
    }
    for (size_t i = 0; i < TN_COUNT(starts); i++)
        if (begins(p, end, starts[i]))
            return true;
    return false;
}

/* Lines of a mail's header at the very beginning, two of which only mails have. */
static bool looks_like_mail(const char *p, const char *end)
{
    static const char *const telling[] = {"received:", "from:",         "message-id:",   "date:", "return-path:",
                                          "subject:",  "mime-version:", "delivered-to:", "to:",   "x-mailer:"};
    unsigned told = 0;
    if (begins(p, end, "from ")) /* the line before each mail of a mailbox */
        p = memchr(p, '\n', (size_t)(end - p)) ? (const char *)memchr(p, '\n', (size_t)(end - p)) + 1 : end;
    while (p < end && *p != '\n' && *p != '\r') {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        const char *stop = line ? line : end;
        if (*p != ' ' && *p != '\t') {
            size_t name = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
            if (line && (p + name >= stop || p[name] != ':'))
                return false;
            for (size_t i = 0; i < TN_COUNT(telling); i++)
                told += begins(p, stop, telling[i]);
        }
        p = line ? line + 1 : end;
    }
    return told >= 3;
}

/* Text has few control characters; UTF-16 is told by its mark or its zeros. */
static bool looks_like_text(const char *bytes, size_t count)
{
    size_t odd = 0, seen = TN_MIN(count, LOOK_BYTES * 4);
    TN_AUTO_BUF text = {0};
    text_to_utf8(bytes, seen, NULL, &text);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char b = (unsigned char)text.data[i];
        odd += b < 0x20 && !strchr("\t\n\r\f\x1B", b);
        odd += b == 0 ? 20 : 0;
    }
    return odd * 50 <= text.len + 100;
}

/* What is no document, by its first bytes. */
static const struct other {
    const char *magic;
    size_t length;
    const char *what, *hint;
} others[] = {
    {"\xD0\xCF\x11\xE0", 4, "an old Office file (.doc, .xls, .ppt) or one with a password",
     "save it as .docx or PDF, without a password"},
    {"\x89PNG", 4, "a damaged image (PNG)", NULL},
    {"GIF8", 4, "a damaged image (GIF)", NULL},
    {"II+\0", 4, "an image (BigTIFF)", "save it as an ordinary TIFF"},
    {"MM\0+", 4, "an image (BigTIFF)", "save it as an ordinary TIFF"},
    {"\0\0\0\x0CjP  ", 8, "an image (JPEG 2000)", "save it as JPEG or PNG"},
    {"8BPS", 4, "an image (Photoshop)", "save it as JPEG or PNG"},
    {"\x1F\x8B", 2, "a gzip file", "unpack it first, or send a zip archive"},
    {"7z\xBC\xAF", 4, "a 7-Zip archive", "send a zip archive"},
    {"Rar!", 4, "a RAR archive", "send a zip archive"},
    {"{\\rtf", 5, "an RTF file", "save it as .docx or PDF"},
    {"\x7F"
     "ELF",
     4, "a program", NULL},
    {"PAR1", 4, "a Parquet file", "tables go to POST /ingest/file"},
    {"SQLite format 3", 15, "a SQLite database", NULL},
};

static const struct other *find_other(const char *bytes, size_t count)
{
    for (size_t i = 0; i < TN_COUNT(others); i++)
        if (count >= others[i].length && memcmp(bytes, others[i].magic, others[i].length) == 0)
            return &others[i];
    return NULL;
}

enum document_type detect_type(const char *bytes, size_t count, const char *name)
{
    static const char *const html[] = {".html", ".htm", ".xhtml", NULL}, *const mail[] = {".eml", NULL};
    static const char *const markdown[] = {".md", ".markdown", ".mdown", ".mkd", NULL};
    size_t look = TN_MIN(count, LOOK_BYTES);
    if (look >= 5 && memmem(bytes, TN_MIN(look, (size_t)1024), "%PDF-", 5))
        return DOCUMENT_PDF;
    if (look >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0))
        return DOCUMENT_ZIP; /* the archive's reader knows a DOCX by its members */
    if (image_sniff(bytes, look) != IMAGE_NONE)
        return DOCUMENT_IMAGE;
    if (find_other(bytes, count) || !looks_like_text(bytes, count))
        return DOCUMENT_NONE;
    /* strspn above stops at the end of `head` at the latest. */
    TN_AUTO_BUF head = {0};
    text_to_utf8(bytes, look, NULL, &head);
    tn_buf_append(&head, "", 0);
    const char *start = head.data ? head.data : "", *end = start + head.len;
    if (tn_name_has_ending(name, markdown))
        return DOCUMENT_MARKDOWN;
    if (looks_like_html(start, end) || tn_name_has_ending(name, html))
        return DOCUMENT_HTML;
    if (looks_like_mail(start, end) || tn_name_has_ending(name, mail))
        return DOCUMENT_EML;
    return DOCUMENT_TEXT;
}

enum document_type document_sniff(const char *bytes, size_t count)
{
    enum document_type type = detect_type(bytes, count, "");
    return type == DOCUMENT_TEXT || type == DOCUMENT_MARKDOWN ? DOCUMENT_NONE : type;
}

enum tn_code detect_refuse(const char *bytes, size_t count, struct tn_error *err)
{
    const struct other *other = find_other(bytes, count);
    if (other) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "this is %s, not a document that can be read", other->what);
        if (other->hint)
            tn_error_hint(err, "%s", other->hint);
        return TN_EUNSUPPORTED;
    }
    (void)tn_fail(err, TN_EUNSUPPORTED, "the bytes are neither text nor a known kind of document");
    tn_error_hint(err, "PDF, DOCX, HTML, Markdown, plain text, EML and zip archives of them can be read");
    return TN_EUNSUPPORTED;
}

/* ---- paths and times ------------------------------------------------------------------ */

char *document_clean_path(struct tn_arena *arena, const char *path)
{
    TN_AUTO_BUF valid = {0}, out = {0};
    text_put_clean(&valid, path, strlen(path));
    for (char *rest = valid.data, *part; (part = rest ? strtok_r(rest, "/\\\n\t", &rest) : NULL);) {
        if (tn_streq(part, ".") || tn_streq(part, ".."))
            continue;
        if (out.len)
            tn_buf_putc(&out, '/');
        tn_buf_puts(&out, part);
    }
    if (!out.len)
        return NULL;
    return tn_arena_strndup(arena, out.data, tn_utf8_floor(out.data, out.len, TN_MIN(out.len, (size_t)1000)));
}

/* "[Wed, ]31 Jan 2024 12:00[:00] [+0100]" */
static bool mail_time(const char *text, int64_t *ret_us)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    char month[4] = "", zone[8] = "";
    int day, year, hour, minute, second = 0, used = 0;
    const char *comma = strchr(text, ',');
    text = comma ? comma + 1 : text;
    if (sscanf(text, " %2d %3[A-Za-z] %4d %2d:%2d%n", &day, month, &year, &hour, &minute, &used) != 5)
        return false;
    text += used;
    if (*text == ':' && sscanf(text, ":%2d%n", &second, &used) == 1)
        text += used;
    (void)sscanf(text, " %7[-+0-9]", zone);
    for (char *p = month; *p; p++)
        *p = tn_ascii_lower(*p);
    const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
    year += year < 50 ? 2000 : year < 100 ? 1900 : 0;
    if (!at || (at - months) % 3 || hour > 23 || minute > 59 || second > 60 || hour < 0 || minute < 0 || second < 0)
        return false;
    unsigned number = (unsigned)(at - months) / 3 + 1;
    if (day < 1 || !tn_civil_valid(year, number, (unsigned)day))
        return false;
    int offset = 0;
    if ((zone[0] == '+' || zone[0] == '-') && strlen(zone) == 5 && strspn(zone + 1, "0123456789") == 4)
        offset = ((zone[1] - '0') * 600 + (zone[2] - '0') * 60 + (zone[3] - '0') * 10 + zone[4] - '0') *
                 (zone[0] == '-' ? -1 : 1);
    int64_t seconds = (int64_t)tn_days_from_civil(year, number, (unsigned)day) * 86400 + hour * 3600 + minute * 60 +
                      second - (int64_t)offset * 60;
    *ret_us = seconds * 1000000;
    return true;
}

const char *reader_time(struct tn_arena *arena, const char *text, size_t length)
{
    char copy[64], out[TN_TIME_TEXT];
    int64_t us;
    while (length && strchr(" \t\n", *text))
        text++, length--;
    while (length && strchr(" \t\n", text[length - 1]))
        length--;
    if (length == 0 || length >= sizeof copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (!tn_time_parse(copy, &us) && !mail_time(copy, &us))
        return NULL;
    return tn_arena_strdup(arena, tn_time_format(us, out));
}
