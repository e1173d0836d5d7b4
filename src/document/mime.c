/* A mail's parts (see mime.h). */
#include "document/mime.h"

#include "document/text.h"

#include <string.h>

#define HEADER_MAX ((size_t)16 << 10)

/* ---- transfer encodings ------------------------------------------------------------------ */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void decode_quoted(const char *p, size_t count, bool header, struct tn_buf *out)
{
    const char *end = p + count;
    while (p < end) {
        if (*p == '=' && end - p >= 3 && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
            tn_buf_putc(out, (char)(hex_digit(p[1]) * 16 + hex_digit(p[2])));
            p += 3;
        } else if (*p == '=' && end - p >= 2 && p[1] == '\n') {
            p += 2;
        } else if (*p == '=' && end - p >= 3 && p[1] == '\r' && p[2] == '\n') {
            p += 3;
        } else {
            tn_buf_putc(out, header && *p == '_' ? ' ' : *p);
            p++;
        }
    }
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static void decode_base64(const char *p, size_t count, struct tn_buf *out)
{
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < count && p[i] != '='; i++) {
        int digit = base64_digit(p[i]);
        if (digit < 0)
            continue;
        bits = (bits << 6 | (unsigned)digit) & 0xFFFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            tn_buf_putc(out, (char)(bits >> have & 0xFF));
        }
    }
}

void mime_decode(const struct mime_part *part, struct tn_buf *ret)
{
    if (tn_str_equal_nocase(part->encoding, "base64"))
        decode_base64(part->body, part->body_length, ret);
    else if (tn_str_equal_nocase(part->encoding, "quoted-printable"))
        decode_quoted(part->body, part->body_length, false, ret);
    else
        tn_buf_append(ret, part->body, part->body_length);
}

/* ---- headers -------------------------------------------------------------------------------- */

/* "=?utf-8?Q?text?=" at p: bytes used, or 0. */
static size_t decode_word(const char *p, size_t left, struct tn_buf *out)
{
    if (left < 8 || p[0] != '=' || p[1] != '?')
        return 0;
    const char *end = p + left;
    const char *charset_end = memchr(p + 2, '?', left - 2);
    if (!charset_end || end - charset_end < 5 || charset_end[2] != '?' || charset_end - p > 42)
        return 0;
    const char *text = charset_end + 3;
    const char *stop = memmem(text, (size_t)(end - text), "?=", 2);
    char how = tn_ascii_lower(charset_end[1]), charset[48];
    if (!stop || (how != 'q' && how != 'b'))
        return 0;
    size_t name = strcspn(p + 2, "?*");
    memcpy(charset, p + 2, name);
    charset[name] = '\0';
    TN_AUTO_BUF bytes = {0}, utf8 = {0};
    if (how == 'q')
        decode_quoted(text, (size_t)(stop - text), true, &bytes);
    else
        decode_base64(text, (size_t)(stop - text), &bytes);
    if (bytes.len)
        text_to_utf8(bytes.data, bytes.len, charset, &utf8);
    text_put_clean(out, utf8.data ? utf8.data : "", utf8.len);
    return (size_t)(stop + 2 - p);
}

/* White space between two encoded words belongs to neither. */
static void decode_words(const char *p, size_t count, struct tn_buf *out)
{
    bool after_word = false;
    size_t kept = 0; /* length of out behind the last encoded word */
    for (size_t at = 0; at < count;) {
        size_t before = out->len;
        size_t blank = after_word ? strspn(out->data + kept, " \t") : 0;
        struct tn_buf word = {0};
        size_t used = decode_word(p + at, count - at, &word);
        if (used) {
            if (after_word && kept + blank == before)
                out->len = kept;
            tn_buf_append(out, word.data ? word.data : "", word.len);
            kept = out->len;
            after_word = out->data != NULL;
            at += used;
        } else {
            tn_buf_putc(out, p[at++]);
        }
        tn_buf_release(&word);
    }
}

/* The raw value, unfolded. */
static bool find_header(const struct mime_part *part, const char *name, struct tn_buf *ret)
{
    size_t length = strlen(name);
    const char *p = part->head, *end = part->head + part->head_length;
    while (p < end) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        const char *next = line ? line + 1 : end;
        if ((size_t)(next - p) <= length || strncasecmp(p, name, length) != 0 || p[length] != ':') {
            p = next;
            continue;
        }
        const char *value = p + length + 1;
        for (;;) {
            size_t size = (size_t)(next - value);
            while (size && strchr("\r\n", value[size - 1]))
                size--;
            tn_buf_append(ret, value, TN_MIN(size, HEADER_MAX));
            if (next >= end || (*next != ' ' && *next != '\t') || ret->len > HEADER_MAX)
                break;
            value = next;
            line = memchr(value, '\n', (size_t)(end - value));
            next = line ? line + 1 : end;
        }
        size_t lead = strspn(ret->data, " \t");
        tn_buf_consume(ret, lead);
        text_trim_end(ret);
        return true;
    }
    return false;
}

bool mime_header(const struct mime_part *part, const char *name, struct tn_buf *ret)
{
    TN_AUTO_BUF raw = {0}, utf8 = {0}, decoded = {0};
    if (!find_header(part, name, &raw) || !raw.len)
        return false;
    text_to_utf8(raw.data, raw.len, NULL, &utf8);
    decode_words(utf8.data ? utf8.data : "", utf8.len, &decoded);
    text_put_clean(ret, decoded.data ? decoded.data : "", decoded.len);
    return ret->len > 0;
}

/* "name=value" or "name*=charset''value" in a header's parameters. */
static bool parameter(const char *header, const char *name, char *out, size_t room)
{
    size_t length = strlen(name);
    for (const char *p = header; (p = strcasestr(p, name)) != NULL; p += length) {
        const char *q = p + length;
        bool starts = p == header || strchr("; \t\r\n\"", p[-1]);
        bool extended = *q == '*';
        while (*q == '*' || (*q >= '0' && *q <= '9' && extended))
            q++;
        q += strspn(q, " \t");
        if (!starts || *q != '=')
            continue;
        q += 1 + strspn(q + 1, " \t");
        bool quoted = *q == '"';
        size_t used = 0;
        for (q += quoted; *q && (quoted ? *q != '"' : !strchr("; \t\r\n", *q)) && used + 1 < room; q++) {
            if (quoted && *q == '\\' && q[1])
                q++;
            out[used++] = *q;
        }
        out[used] = '\0';
        char *mark = extended ? strstr(out, "''") : NULL;
        if (mark)
            memmove(out, mark + 2, strlen(mark + 2) + 1);
        if (extended && !tn_url_decode(out, false))
            out[0] = '\0';
        return out[0] != '\0';
    }
    return false;
}

static void copy_word(const char *text, const char *stops, char *out, size_t room)
{
    size_t length = TN_MIN(strcspn(text, stops), room - 1);
    memcpy(out, text, length);
    out[length] = '\0';
}

static void take_filename(const char *header, struct mime_part *part)
{
    char raw[sizeof part->filename];
    TN_AUTO_BUF utf8 = {0}, decoded = {0};
    if (!parameter(header, "filename", raw, sizeof raw) && !parameter(header, "name", raw, sizeof raw))
        return;
    text_to_utf8(raw, strlen(raw), NULL, &utf8);
    decode_words(utf8.data ? utf8.data : "", utf8.len, &decoded);
    size_t fit =
        tn_utf8_floor(decoded.data ? decoded.data : "", decoded.len, TN_MIN(decoded.len, sizeof part->filename - 1));
    memcpy(part->filename, decoded.data ? decoded.data : "", fit);
    part->filename[fit] = '\0';
}

void mime_parse(const char *bytes, size_t count, struct mime_part *ret)
{
    const char *p = bytes, *end = bytes + count;
    while (p < end && *p != '\n' && !(*p == '\r' && p + 1 < end && p[1] == '\n')) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        p = line ? line + 1 : end;
    }
    *ret = (struct mime_part){.head = bytes, .head_length = (size_t)(p - bytes), .type = "text/plain"};
    p += p < end && *p == '\r';
    p += p < end;
    ret->body = p;
    ret->body_length = (size_t)(end - p);
    TN_AUTO_BUF type = {0}, encoding = {0}, disposition = {0};
    if (find_header(ret, "Content-Type", &type) && type.len) {
        copy_word(type.data, "; \t", ret->type, sizeof ret->type);
        (void)parameter(type.data, "charset", ret->charset, sizeof ret->charset);
        (void)parameter(type.data, "boundary", ret->boundary, sizeof ret->boundary);
        take_filename(type.data, ret);
    }
    if (find_header(ret, "Content-Transfer-Encoding", &encoding) && encoding.len)
        copy_word(encoding.data, "; \t", ret->encoding, sizeof ret->encoding);
    if (find_header(ret, "Content-Disposition", &disposition) && disposition.len) {
        ret->attachment = strncasecmp(disposition.data, "attachment", 10) == 0;
        take_filename(disposition.data, ret);
    }
}

/* ---- multiparts ----------------------------------------------------------------------------------- */

struct mime_walk mime_children(const struct mime_part *part)
{
    return (struct mime_walk){.at = part->body, .end = part->body + part->body_length, .boundary = part->boundary};
}

/* The next line that is a boundary at or behind `p`, or the end. */
static const char *find_boundary(const struct mime_walk *walk, const char *p)
{
    size_t length = strlen(walk->boundary);
    while (p < walk->end) {
        if ((size_t)(walk->end - p) >= length + 2 && p[0] == '-' && p[1] == '-' &&
            memcmp(p + 2, walk->boundary, length) == 0)
            return p;
        const char *line = memchr(p, '\n', (size_t)(walk->end - p));
        p = line ? line + 1 : walk->end;
    }
    return walk->end;
}

/* Steps behind the boundary's line; a closing one ends the walk. */
static void pass_boundary(struct mime_walk *walk, const char *p)
{
    const char *behind = p + 2 + strlen(walk->boundary);
    walk->ended |= walk->end - behind >= 2 && behind[0] == '-' && behind[1] == '-';
    const char *line = memchr(behind, '\n', (size_t)(walk->end - behind));
    walk->at = line ? line + 1 : walk->end;
}

bool mime_next(struct mime_walk *walk, struct mime_part *ret)
{
    const char *p;
    if (!walk->begun) {
        walk->begun = true;
        p = find_boundary(walk, walk->at);
        if (p == walk->end)
            return false;
        pass_boundary(walk, p);
    }
    if (walk->ended || walk->at >= walk->end)
        return false;
    const char *start = walk->at;
    p = find_boundary(walk, start);
    const char *stop = p;
    if (stop > start && stop[-1] == '\n')
        stop--;
    if (stop > start && stop[-1] == '\r' && stop < p)
        stop--;
    mime_parse(start, (size_t)(stop - start), ret);
    if (p == walk->end)
        walk->ended = true;
    else
        pass_boundary(walk, p);
    return true;
}
