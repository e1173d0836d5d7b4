/* Addresses and refusals as text: the part of the client that needs no wire. */
#include "cli/client.h"

#include <stdarg.h>
#include <string.h>

static void put_escaped(struct tn_buf *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            tn_buf_putc(out, *text);
        else
            tn_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

char *client_path(struct tn_arena *arena, const char *piece, ...)
{
    TN_AUTO_BUF path = {0};
    va_list pieces;
    va_start(pieces, piece);
    for (bool escape = false; piece; escape = !escape) {
        if (escape)
            put_escaped(&path, piece);
        else
            tn_buf_puts(&path, piece);
        piece = va_arg(pieces, const char *);
    }
    va_end(pieces);
    return tn_arena_strndup(arena, path.len ? path.data : "", path.len);
}

static enum tn_code code_of_status(long status)
{
    switch (status) {
    case 401:
        return TN_EUNAUTHORIZED;
    case 403:
        return TN_EFORBIDDEN;
    case 404:
        return TN_ENOTFOUND;
    case 405:
        return TN_EMETHOD;
    case 413:
        return TN_ETOOLARGE;
    case 429:
        return TN_EBUSY;
    case 503:
        return TN_EUNAVAILABLE;
    default:
        return status >= 500 ? TN_EINTERNAL : TN_EREQUEST;
    }
}

enum tn_code client_problem(long status, const char *body, size_t length, struct tn_error *err)
{
    TN_AUTO_JSON *problem = NULL;
    const char *word = NULL, *detail = NULL, *hint = NULL;
    if (tn_json_parse(body, length, 1 << 20, "answer", &problem, NULL) == TN_OK && json_is_object(problem)) {
        word = json_string_value(json_object_get(problem, "code"));
        detail = json_string_value(json_object_get(problem, "detail"));
        hint = json_string_value(json_object_get(problem, "hint"));
    }
    if (!word || !detail) {
        enum tn_code code = tn_fail(err, code_of_status(status), "the server answered with status %ld", status);
        tn_error_hint(err, "is this the address of a Tarn server?");
        return code;
    }
    enum tn_code code = tn_code_from_word(word);
    if (code == TN_OK)
        code = code_of_status(status); /* a refusal is none the less one */
    (void)tn_fail(err, code, "%s", detail);
    if (hint && *hint)
        tn_error_hint(err, "%s", hint);
    else if (code == TN_EUNAUTHORIZED)
        tn_error_hint(err, "set TARN_TOKEN to a token of this server; `tarn token new` makes one");
    if (err) {
        err->line = (int)json_integer_value(json_object_get(problem, "line"));
        err->column = (int)json_integer_value(json_object_get(problem, "column"));
    }
    return code;
}
