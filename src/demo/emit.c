/* Rows into bytes. Cells are formatted by hand: a million rows of seven cells
 * leave no room for a printf each. CSV follows RFC 4180, with "\n" as the line
 * end as most exporters write it.
 */
#include "demo/demo_internal.h"

static void put_cell_start(struct demo_emit *emit)
{
    if (emit->format == DEMO_CSV) {
        if (emit->column > 0)
            tn_buf_putc(emit->buf, ',');
    } else {
        tn_buf_puts(emit->buf, emit->column > 0 ? ",\"" : "{\"");
        tn_buf_puts(emit->buf, emit->columns[emit->column]);
        tn_buf_puts(emit->buf, "\":");
    }
    emit->column++;
}

void demo_emit_header(struct demo_emit *emit)
{
    if (emit->format != DEMO_CSV)
        return;
    for (size_t i = 0; emit->columns[i]; i++) {
        if (i > 0)
            tn_buf_putc(emit->buf, ',');
        tn_buf_puts(emit->buf, emit->columns[i]);
    }
    tn_buf_putc(emit->buf, '\n');
}

void demo_emit_begin(struct demo_emit *emit)
{
    emit->column = 0;
}

void demo_emit_end(struct demo_emit *emit)
{
    tn_buf_puts(emit->buf, emit->format == DEMO_CSV ? "\n" : "}\n");
}

static void put_csv_text(struct tn_buf *buf, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        tn_buf_puts(buf, text);
        return;
    }
    tn_buf_putc(buf, '"');
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        tn_buf_append(buf, text, (size_t)(quote - text));
        tn_buf_puts(buf, "\"\"");
    }
    tn_buf_puts(buf, text);
    tn_buf_putc(buf, '"');
}

static void put_json_text(struct tn_buf *buf, const char *text)
{
    tn_buf_putc(buf, '"');
    for (;;) {
        size_t plain = strcspn(text, "\"\\\n");
        tn_buf_append(buf, text, plain);
        text += plain;
        if (!*text)
            break;
        tn_buf_putc(buf, '\\');
        tn_buf_putc(buf, *text == '\n' ? 'n' : *text);
        text++;
    }
    tn_buf_putc(buf, '"');
}

void demo_emit_text(struct demo_emit *emit, const char *text)
{
    put_cell_start(emit);
    if (emit->format == DEMO_CSV)
        put_csv_text(emit->buf, text);
    else
        put_json_text(emit->buf, text);
}

void demo_emit_null(struct demo_emit *emit)
{
    put_cell_start(emit);
    if (emit->format == DEMO_NDJSON)
        tn_buf_puts(emit->buf, "null");
}

void demo_emit_bool(struct demo_emit *emit, bool value)
{
    put_cell_start(emit);
    tn_buf_puts(emit->buf, value ? "true" : "false");
}

void demo_put_uint(struct tn_buf *buf, uint64_t value, unsigned min_digits)
{
    char digits[24];
    size_t at = sizeof digits;
    unsigned written = 0;
    while (value > 0 || written < min_digits) {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
        written++;
    }
    tn_buf_append(buf, digits + at, written);
}

void demo_emit_uint(struct demo_emit *emit, uint64_t value)
{
    put_cell_start(emit);
    demo_put_uint(emit->buf, value, 1);
}

void demo_emit_cents(struct demo_emit *emit, uint64_t cents)
{
    put_cell_start(emit);
    demo_put_uint(emit->buf, cents / 100, 1);
    tn_buf_putc(emit->buf, '.');
    demo_put_uint(emit->buf, cents % 100, 2);
}

void demo_emit_tenths(struct demo_emit *emit, uint64_t tenths)
{
    put_cell_start(emit);
    demo_put_uint(emit->buf, tenths / 10, 1);
    tn_buf_putc(emit->buf, '.');
    demo_put_uint(emit->buf, tenths % 10, 1);
}

static void put_quote(struct demo_emit *emit)
{
    if (emit->format == DEMO_NDJSON)
        tn_buf_putc(emit->buf, '"');
}

void demo_emit_id(struct demo_emit *emit, const char *prefix, uint64_t number, unsigned digits)
{
    put_cell_start(emit);
    put_quote(emit);
    tn_buf_puts(emit->buf, prefix);
    demo_put_uint(emit->buf, number, digits);
    put_quote(emit);
}

static void put_date(struct tn_buf *buf, int32_t day)
{
    int year;
    unsigned month, mday;
    tn_civil_from_days(day, &year, &month, &mday);
    demo_put_uint(buf, (uint64_t)year, 4);
    tn_buf_putc(buf, '-');
    demo_put_uint(buf, month, 2);
    tn_buf_putc(buf, '-');
    demo_put_uint(buf, mday, 2);
}

void demo_emit_date(struct demo_emit *emit, int32_t day)
{
    put_cell_start(emit);
    put_quote(emit);
    put_date(emit->buf, day);
    put_quote(emit);
}

/* CSV exports write "2024-03-05 14:22:10", JSON ones "2024-03-05T14:22:10Z". */
void demo_emit_time(struct demo_emit *emit, int32_t day, uint32_t second)
{
    put_cell_start(emit);
    put_quote(emit);
    put_date(emit->buf, day);
    tn_buf_putc(emit->buf, emit->format == DEMO_CSV ? ' ' : 'T');
    demo_put_uint(emit->buf, second / 3600, 2);
    tn_buf_putc(emit->buf, ':');
    demo_put_uint(emit->buf, second / 60 % 60, 2);
    tn_buf_putc(emit->buf, ':');
    demo_put_uint(emit->buf, second % 60, 2);
    if (emit->format == DEMO_NDJSON)
        tn_buf_putc(emit->buf, 'Z');
    put_quote(emit);
}
