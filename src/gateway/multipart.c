#include "gateway/multipart.h"

#include <strings.h>

#define HEADERS_MAX ((size_t)8 << 10)
#define PARTS_MAX   1000
#define PADDING_MAX ((size_t)100) /* spaces behind a boundary */

struct multipart {
    struct multipart_sink sink;
    char delimiter[80]; /* CR LF -- boundary */
    size_t delimiter_length;
    enum { AT_PREAMBLE, AT_BOUNDARY, AT_HEADERS, AT_START, AT_DATA, AT_END } state;
    struct tn_buf pending;
    unsigned parts;
};

/* A parameter of a header value: name="a \"b\".csv" or name=token; false when
 * it is not there. */
static bool header_param(const char *value, const char *name, struct tn_buf *ret)
{
    size_t name_length = strlen(name);
    for (const char *at = strchr(value, ';'); at; at = strchr(at, ';')) {
        at += 1 + strspn(at + 1, " \t");
        bool match = strncasecmp(at, name, name_length) == 0 && at[name_length] == '=';
        at += strcspn(at, "=;");
        if (*at != '=')
            continue;
        at++;
        tn_buf_clear(ret);
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++) {
                if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
                    at++;
                tn_buf_putc(ret, *at);
            }
        } else {
            size_t length = strcspn(at, "; \t");
            tn_buf_append(ret, at, length);
            at += length;
        }
        if (match)
            return true;
    }
    return false;
}

enum tn_code multipart_new(const char *content_type, const struct multipart_sink *sink, struct multipart **ret,
                           struct tn_error *err)
{
    TN_AUTO_BUF boundary = {0};
    if (!header_param(content_type, "boundary", &boundary) || boundary.len == 0 || boundary.len > 70)
        return tn_fail(err, TN_EREQUEST, "the multipart body names no boundary of 1 to 70 characters");
    struct multipart *multipart = tn_calloc(1, sizeof *multipart);
    multipart->sink = *sink;
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary.data, boundary.len);
    multipart->delimiter_length = boundary.len + 4;
    /* The first boundary stands at the very start or behind a line break: a
     * line break of our own in front makes these one case. */
    tn_buf_puts(&multipart->pending, "\r\n");
    *ret = multipart;
    return TN_OK;
}

void multipart_free(struct multipart *multipart)
{
    if (!multipart)
        return;
    tn_buf_release(&multipart->pending);
    free(multipart);
}

static enum tn_code part_begin(struct multipart *multipart, const char *headers, struct tn_error *err)
{
    TN_AUTO_BUF name = {0}, filename = {0};
    struct multipart_part part = {.name = ""};
    for (const char *line = headers; line; line = strstr(line, "\r\n")) {
        line += strncmp(line, "\r\n", 2) == 0 ? 2 : 0;
        if (strncasecmp(line, "Content-Disposition:", 20) != 0)
            continue;
        TN_AUTO_BUF value = {0};
        tn_buf_append(&value, line, strcspn(line, "\r\n"));
        if (header_param(value.data, "name", &name))
            part.name = name.data ? name.data : "";
        if (header_param(value.data, "filename", &filename))
            part.filename = filename.data ? filename.data : "";
        break;
    }
    if (tn_utf8_valid_prefix(part.name, strlen(part.name)) != strlen(part.name) ||
        (part.filename && tn_utf8_valid_prefix(part.filename, strlen(part.filename)) != strlen(part.filename)))
        return tn_fail(err, TN_EREQUEST, "the name of a part is not valid UTF-8");
    if (++multipart->parts > PARTS_MAX)
        return tn_fail(err, TN_EREQUEST, "more than %d parts in a multipart body", PARTS_MAX);
    return multipart->sink.begin(multipart->sink.context, &part, err);
}

/* Data up to the next delimiter, as far as it is here. */
static enum tn_code step_data(struct multipart *multipart, bool *ret_more, struct tn_error *err)
{
    struct tn_buf *pending = &multipart->pending;
    const char *found = memmem(pending->data, pending->len, multipart->delimiter, multipart->delimiter_length);
    size_t ready = found ? (size_t)(found - pending->data)
                         : pending->len - TN_MIN(pending->len, multipart->delimiter_length - 1);
    if (ready > 0 && multipart->state == AT_DATA)
        TN_TRY(multipart->sink.data(multipart->sink.context, pending->data, ready, err));
    tn_buf_consume(pending, ready + (found ? multipart->delimiter_length : 0));
    if (found) {
        if (multipart->state == AT_DATA)
            TN_TRY(multipart->sink.end(multipart->sink.context, err));
        multipart->state = AT_BOUNDARY;
    }
    *ret_more = found != NULL;
    return TN_OK;
}

/* Behind a delimiter: "--" ends the body, a line break begins a part. */
static enum tn_code step_boundary(struct multipart *multipart, bool *ret_more, struct tn_error *err)
{
    struct tn_buf *pending = &multipart->pending;
    size_t space = 0;
    while (space < pending->len && (pending->data[space] == ' ' || pending->data[space] == '\t'))
        space++;
    *ret_more = false;
    if (space > PADDING_MAX) /* however the bytes arrived */
        return tn_fail(err, TN_EREQUEST, "a malformed boundary in a multipart body");
    if (pending->len < space + 2)
        return TN_OK;
    bool last = memcmp(pending->data + space, "--", 2) == 0;
    if (!last && memcmp(pending->data + space, "\r\n", 2) != 0)
        return tn_fail(err, TN_EREQUEST, "a malformed boundary in a multipart body");
    /* The line break stays: headers are found by the empty line behind them,
     * and a part without headers begins with that empty line. */
    tn_buf_consume(pending, space + (last ? 2 : 0));
    multipart->state = last ? AT_END : AT_HEADERS;
    *ret_more = true;
    return TN_OK;
}

static enum tn_code step_headers(struct multipart *multipart, bool *ret_more, struct tn_error *err)
{
    struct tn_buf *pending = &multipart->pending;
    const char *found = memmem(pending->data, pending->len, "\r\n\r\n", 4);
    *ret_more = false;
    if (!found || (size_t)(found - pending->data) > HEADERS_MAX) {
        if (pending->len > HEADERS_MAX)
            return tn_fail(err, TN_EREQUEST, "the headers of a part are longer than %zu bytes", HEADERS_MAX);
        return TN_OK;
    }
    size_t length = (size_t)(found - pending->data);
    TN_AUTO_FREE char *headers = tn_strndup(pending->data, length);
    /* The last line break stays: the delimiter of an empty part begins with
     * it. step_start takes it away when data follows. */
    tn_buf_consume(pending, length + 2);
    multipart->state = AT_START;
    *ret_more = true;
    return part_begin(multipart, headers, err);
}

/* Between headers and data, with the line break that ends the headers still
 * there: it belongs to the delimiter when the part is empty, else to nobody. */
static enum tn_code step_start(struct multipart *multipart, bool *ret_more)
{
    struct tn_buf *pending = &multipart->pending;
    size_t have = TN_MIN(pending->len, multipart->delimiter_length);
    bool may_be_empty = memcmp(pending->data, multipart->delimiter, have) == 0;
    *ret_more = !may_be_empty || have == multipart->delimiter_length;
    if (!*ret_more)
        return TN_OK;
    if (!may_be_empty)
        tn_buf_consume(pending, 2);
    multipart->state = AT_DATA;
    return TN_OK;
}

enum tn_code multipart_feed(struct multipart *multipart, const void *bytes, size_t count, struct tn_error *err)
{
    if (multipart->state == AT_END)
        return TN_OK;
    tn_buf_append(&multipart->pending, bytes, count);
    for (bool more = true; more;) {
        more = false;
        switch (multipart->state) {
        case AT_PREAMBLE:
        case AT_DATA:
            TN_TRY(step_data(multipart, &more, err));
            break;
        case AT_BOUNDARY:
            TN_TRY(step_boundary(multipart, &more, err));
            break;
        case AT_HEADERS:
            TN_TRY(step_headers(multipart, &more, err));
            break;
        case AT_START:
            TN_TRY(step_start(multipart, &more));
            break;
        case AT_END:
            tn_buf_clear(&multipart->pending);
            break;
        }
    }
    return TN_OK;
}

enum tn_code multipart_finish(struct multipart *multipart, struct tn_error *err)
{
    if (multipart->state == AT_END)
        return TN_OK;
    (void)tn_fail(err, TN_EREQUEST, "the multipart body ends before its closing boundary");
    tn_error_hint(err, "the upload was cut off, or the boundary in the Content-Type is not the one in the body");
    return TN_EREQUEST;
}
