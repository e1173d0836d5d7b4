/* Mails (RFC 5322, MIME): the readable body as text, the rest as files. Of
 * alternatives the plain text is taken, and HTML where there is none. */
#include "document/mime.h"
#include "document/readers.h"
#include "document/text.h"

#include <string.h>

#define DEPTH_MAX 10

struct mail {
    const struct document_input *input;
    struct outline *outline;
    uint32_t parts, files;
};

static bool is_blank(const struct tn_buf *text)
{
    return !text->len || strspn(text->data, " \t\r\n") >= text->len;
}

static enum tn_code put_body(struct mail *mail, const struct mime_part *part, bool html, struct tn_error *err)
{
    TN_AUTO_BUF bytes = {0}, text = {0};
    mime_decode(part, &bytes);
    if (is_blank(&bytes))
        return TN_OK;
    const char *charset = part->charset[0] ? part->charset : NULL;
    outline_paragraph(mail->outline);
    if (html)
        return reader_html_body(bytes.data, bytes.len, charset, mail->outline, err);
    text_to_utf8(bytes.data, bytes.len, charset, &text);
    outline_text(mail->outline, text.data ? text.data : "", text.len);
    outline_line(mail->outline);
    return TN_OK;
}

static enum tn_code put_file(struct mail *mail, const struct mime_part *part, struct tn_error *err)
{
    const struct document_sink *sink = mail->input->sink;
    char name[24];
    if (++mail->files > mail->input->limits->archive_files)
        return tn_fail(err, TN_ETOOLARGE, "the mail has more than %u attachments",
                       mail->input->limits->archive_files);
    if (!sink->file_begin)
        return TN_OK;
    TN_AUTO_BUF bytes = {0};
    mime_decode(part, &bytes);
    if (!bytes.len)
        return TN_OK;
    (void)snprintf(name, sizeof name, "part-%u%s", mail->files,
                   tn_str_equal_nocase(part->type, "message/rfc822") ? ".eml"
                   : tn_str_equal_nocase(part->type, "text/html")    ? ".html"
                   : strncasecmp(part->type, "text/", 5) == 0        ? ".txt"
                                                                     : "");
    char *clean = document_clean_path(mail->outline->document->arena, part->filename);
    TN_TRY(sink->file_begin(sink->context, clean ? clean : name, err));
    TN_TRY(sink->file_data(sink->context, bytes.data, bytes.len, err));
    return sink->file_end(sink->context, err);
}

static bool is_inline_image(const struct mime_part *part)
{
    return strncasecmp(part->type, "image/", 6) == 0 && !part->attachment;
}

static enum tn_code read_part(struct mail *mail, const struct mime_part *part, unsigned depth, struct tn_error *err);

/* The last alternative is the richest; plain text is the one we can do best with. */
static enum tn_code read_alternative(struct mail *mail, const struct mime_part *part, unsigned depth,
                                     struct tn_error *err)
{
    struct mime_walk walk = mime_children(part);
    struct mime_part child, best = {0};
    bool found = false, plain = false;
    while (mime_next(&walk, &child) && ++mail->parts <= MIME_PARTS_MAX) {
        bool is_plain = tn_str_equal_nocase(child.type, "text/plain");
        if (plain && !is_plain)
            continue;
        TN_AUTO_BUF bytes = {0};
        if (is_plain)
            mime_decode(&child, &bytes);
        if (is_plain && is_blank(&bytes))
            continue;
        best = child;
        found = true;
        plain |= is_plain;
    }
    return found ? read_part(mail, &best, depth + 1, err) : TN_OK;
}

static enum tn_code read_multipart(struct mail *mail, const struct mime_part *part, unsigned depth,
                                   struct tn_error *err)
{
    if (tn_str_equal_nocase(part->type, "multipart/alternative"))
        return read_alternative(mail, part, depth, err);
    struct mime_walk walk = mime_children(part);
    struct mime_part child;
    while (mime_next(&walk, &child)) {
        if (++mail->parts > MIME_PARTS_MAX)
            return tn_fail(err, TN_ETOOLARGE, "the mail has more than %d parts", MIME_PARTS_MAX);
        TN_TRY(read_part(mail, &child, depth + 1, err));
    }
    return TN_OK;
}

static enum tn_code read_part(struct mail *mail, const struct mime_part *part, unsigned depth, struct tn_error *err)
{
    if (depth > DEPTH_MAX)
        return tn_fail(err, TN_EUNREADABLE, "the mail's parts are nested deeper than %d", DEPTH_MAX);
    if (strncasecmp(part->type, "multipart/", 10) == 0 && part->boundary[0])
        return read_multipart(mail, part, depth, err);
    bool html = tn_str_equal_nocase(part->type, "text/html");
    if (!part->attachment && (html || tn_str_equal_nocase(part->type, "text/plain")))
        return put_body(mail, part, html, err);
    return is_inline_image(part) ? TN_OK : put_file(mail, part, err);
}

static void take_headers(struct outline *outline, const struct mime_part *part)
{
    static const char *const kept[] = {"To", "Cc", "Reply-To", "Message-ID", "In-Reply-To", "List-Id"};
    struct document *document = outline->document;
    TN_AUTO_BUF value = {0};
    if (mime_header(part, "Subject", &value))
        outline_title(outline, value.data, value.len);
    tn_buf_clear(&value);
    if (mime_header(part, "From", &value))
        document->author = tn_arena_strndup(document->arena, value.data,
                                            tn_utf8_floor(value.data, value.len, TN_MIN(value.len, (size_t)300)));
    tn_buf_clear(&value);
    if (mime_header(part, "Date", &value))
        document->created = reader_time(document->arena, value.data, value.len);
    for (size_t i = 0; i < TN_COUNT(kept); i++) {
        tn_buf_clear(&value);
        if (mime_header(part, kept[i], &value))
            outline_field(outline, kept[i], value.data, value.len);
    }
}

enum tn_code reader_eml(const struct document_input *input, struct outline *outline, struct tn_error *err)
{
    struct mail mail = {.input = input, .outline = outline};
    struct mime_part part;
    mime_parse(input->bytes, input->count, &part);
    take_headers(outline, &part);
    return read_part(&mail, &part, 0, err);
}
