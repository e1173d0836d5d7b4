/* The growable buffer (see buf.h). */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>

void tn_buf_release(struct tn_buf *buf)
{
    if (!buf)
        return;
    free(buf->data);
    *buf = (struct tn_buf){0};
}

char *tn_buf_reserve(struct tn_buf *buf, size_t more)
{
    /* One byte beyond is always there for the terminator. */
    if (!buf->data || buf->cap - buf->len <= more) {
        size_t needed;
        if (__builtin_add_overflow(buf->len, more, &needed) || needed >= SIZE_MAX / 2)
            needed = SIZE_MAX - 1; /* cannot be had: tn_realloc says so */
        size_t cap = TN_MAX(needed + 1, (size_t)64);
        if (cap < SIZE_MAX / 2)
            cap = TN_MAX(cap, buf->cap + buf->cap / 2);
        buf->data = tn_realloc(buf->data, cap);
        buf->cap = cap;
        buf->data[buf->len] = '\0';
    }
    return buf->data + buf->len;
}

void tn_buf_append(struct tn_buf *buf, const void *bytes, size_t count)
{
    char *at = tn_buf_reserve(buf, count);
    if (count)
        memcpy(at, bytes, count);
    buf->len += count;
    at[count] = '\0';
}

void tn_buf_puts(struct tn_buf *buf, const char *text)
{
    tn_buf_append(buf, text, strlen(text));
}

void tn_buf_putc(struct tn_buf *buf, char c)
{
    char *at = tn_buf_reserve(buf, 1);
    at[0] = c;
    at[1] = '\0';
    buf->len++;
}

void tn_buf_vprintf(struct tn_buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    (void)tn_buf_reserve(buf, 64);
    size_t room = buf->cap - buf->len;
    int length = vsnprintf(buf->data + buf->len, room, format, args);
    if (length >= 0 && (size_t)length >= room) {
        char *at = tn_buf_reserve(buf, (size_t)length);
        length = vsnprintf(at, (size_t)length + 1, format, again);
    }
    va_end(again);
    assert(length >= 0);
    if (length > 0)
        buf->len += (size_t)length;
    buf->data[buf->len] = '\0';
}

void tn_buf_printf(struct tn_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(buf, format, args);
    va_end(args);
}

void tn_buf_consume(struct tn_buf *buf, size_t count)
{
    count = TN_MIN(count, buf->len);
    if (count == 0)
        return;
    buf->len -= count;
    memmove(buf->data, buf->data + count, buf->len);
    buf->data[buf->len] = '\0';
}

char *tn_buf_take(struct tn_buf *buf)
{
    (void)tn_buf_reserve(buf, 0);
    char *text = buf->data;
    *buf = (struct tn_buf){0};
    return text;
}

/* The text between two quotes, each quote in it doubled. */
static void put_quoted(struct tn_buf *buf, const char *text, char quote)
{
    tn_buf_putc(buf, quote);
    for (;;) {
        const char *stop = strchrnul(text, quote);
        tn_buf_append(buf, text, (size_t)(stop - text));
        if (!*stop)
            break;
        const char pair[2] = {quote, quote};
        tn_buf_append(buf, pair, sizeof pair);
        text = stop + 1;
    }
    tn_buf_putc(buf, quote);
}

void tn_buf_put_sql_string(struct tn_buf *buf, const char *text)
{
    put_quoted(buf, text, '\'');
}
void tn_buf_put_sql_name(struct tn_buf *buf, const char *name)
{
    put_quoted(buf, name, '"');
}
