/* A growable byte buffer that doubles as a string builder.
 *
 * `= {0}` is an empty buffer; data is NUL-terminated whenever it is not NULL
 * (the terminator is not counted). Owned by one thread at a time.
 */
#ifndef TARN_BASE_BUF_H
#define TARN_BASE_BUF_H

#include "base/mem.h"

#include <string.h>

struct tn_buf {
    char *data;
    size_t len;
    size_t cap;
};

void tn_buf_release(struct tn_buf *buf); /* leaves it empty and usable */
#define TN_AUTO_BUF TN_CLEANUP(tn_buf_release) struct tn_buf

static inline void tn_buf_clear(struct tn_buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Room for `more` bytes behind len and a terminator; returns where they start.
 * Whoever writes there adds to len and ends in '\0' himself. */
char *tn_buf_reserve(struct tn_buf *buf, size_t more) __attribute__((returns_nonnull));
void tn_buf_append(struct tn_buf *buf, const void *bytes, size_t count);
void tn_buf_puts(struct tn_buf *buf, const char *text);
void tn_buf_putc(struct tn_buf *buf, char c);
void tn_buf_printf(struct tn_buf *buf, const char *format, ...) TN_PRINTF(2, 3);
void tn_buf_vprintf(struct tn_buf *buf, const char *format, va_list args) TN_PRINTF(2, 0);
/* Removes `count` bytes from the front (at most len). */
void tn_buf_consume(struct tn_buf *buf, size_t count);
/* The text, now the caller's to free(); "" when empty. Leaves buf empty. */
char *tn_buf_take(struct tn_buf *buf) __attribute__((returns_nonnull));

/* SQL quoting: 'it''s' and "odd ""name""". Bytes must not contain NUL. */
void tn_buf_put_sql_string(struct tn_buf *buf, const char *text);
void tn_buf_put_sql_name(struct tn_buf *buf, const char *name);

#endif
