/* Tables as text for a prompt.
 *
 * Descriptions and values are quoted as JSON texts: a line of the card is a line
 * of ours, whatever stands in the data. The best tables are told in full, the
 * others shorter, as far as the size goes.
 */
#include "answer/ask.h"

#include <inttypes.h>
#include <string.h>

enum detail { DETAIL_NAMES, DETAIL_SOME, DETAIL_FULL, DETAILS };

#define TEXT_SHOWN 200 /* bytes of a description */
#define SOME       3   /* values where there is little room */

static void put_quoted(struct tn_buf *out, const char *text, size_t most)
{
    size_t length = strlen(text);
    tn_json_quote(out, text, length > most ? tn_utf8_floor(text, length, most) : length);
}

static void put_name(struct tn_buf *out, const char *name)
{
    bool plain = *name && !(*name >= '0' && *name <= '9');
    TN_AUTO_BUF clean = {0};
    for (const char *c = name; *c; c++) {
        plain = plain && ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_');
        tn_buf_putc(&clean, (unsigned char)*c < ' ' ? '?' : *c);
    }
    if (plain)
        tn_buf_puts(out, name);
    else
        tn_buf_put_sql_name(out, clean.data ? clean.data : "");
}

static void put_values(struct tn_buf *out, const struct ask_values *values, enum detail detail)
{
    size_t shown = TN_MIN(values->count, detail == DETAIL_FULL ? (size_t)ASK_VALUES : SOME);
    if (values->min && values->max)
        tn_buf_printf(out, "; %s to %s", values->min, values->max);
    for (size_t i = 0; i < shown; i++) {
        const char *before = values->all && shown == values->count ? "; one of " : "; such as ";
        tn_buf_puts(out, i ? ", " : before);
        put_quoted(out, values->values[i], SIZE_MAX);
    }
}

static void put_column(struct tn_buf *out, const struct ask_column *column, enum detail detail)
{
    tn_buf_puts(out, detail == DETAIL_NAMES ? " " : "  ");
    put_name(out, column->name);
    tn_buf_printf(out, " %s", column->type);
    if (detail == DETAIL_NAMES)
        return;
    if (column->key)
        tn_buf_puts(out, " key");
    if (column->description) {
        tn_buf_puts(out, "; ");
        put_quoted(out, column->description, detail == DETAIL_FULL ? TEXT_SHOWN : TEXT_SHOWN / 4);
    }
    if (column->values && !column->withheld)
        put_values(out, column->values, detail);
    tn_buf_putc(out, '\n');
}

/* `most`: of bytes, 0 for no end; columns that do not fit are left out. */
static void put_table(struct tn_buf *out, const struct ask_table *table, enum detail detail, size_t most)
{
    size_t begin = out->len, left = 0;
    tn_buf_puts(out, "table ");
    put_name(out, table->name);
    if (table->rows >= 0)
        tn_buf_printf(out, ", %" PRId64 " rows", table->rows);
    if (table->index) {
        tn_buf_puts(out, ", search index ");
        put_quoted(out, table->index, SIZE_MAX);
    }
    if (table->description && detail != DETAIL_NAMES) {
        tn_buf_puts(out, ": ");
        put_quoted(out, table->description, TEXT_SHOWN);
    }
    tn_buf_putc(out, detail == DETAIL_NAMES ? ':' : '\n');
    for (size_t i = 0; i < table->column_count; i++) {
        TN_AUTO_BUF line = {0};
        if (i > 0 && detail == DETAIL_NAMES)
            tn_buf_putc(&line, ',');
        put_column(&line, &table->columns[i], detail);
        if (most > 0 && out->len - begin + line.len + 32 > most)
            left++;
        else
            tn_buf_append(out, line.data, line.len);
    }
    if (left > 0)
        tn_buf_printf(out, " and %zu more columns", left);
    if (detail == DETAIL_NAMES || left > 0)
        tn_buf_putc(out, '\n');
}

static size_t size_of(const struct ask_table *table, enum detail detail)
{
    TN_AUTO_BUF text = {0};
    put_table(&text, table, detail, 0);
    return text.len;
}

/* As many tables as fit by name, then from the best on as much of each as
 * fits. */
void ask_card_write(const struct ask_table *tables, size_t count, size_t most, struct tn_buf *out, size_t *ret_shown)
{
    size_t used = 0, shown = 0;
    TN_AUTO_FREE enum detail *details = tn_calloc(count + 1, sizeof *details);
    TN_AUTO_FREE size_t *sizes = tn_calloc(count + 1, sizeof *sizes);
    for (; shown < count; shown++) {
        sizes[shown] = size_of(&tables[shown], DETAIL_NAMES);
        if (used + sizes[shown] > most)
            break;
        used += sizes[shown];
    }
    if (shown == 0 && count > 0) {
        put_table(out, &tables[0], DETAIL_NAMES, most);
        *ret_shown = 1;
        return;
    }
    for (enum detail detail = DETAIL_SOME; detail < DETAILS; detail++)
        for (size_t i = 0; i < shown; i++) {
            size_t size = size_of(&tables[i], detail);
            if (used - sizes[i] + size > most)
                continue;
            used = used - sizes[i] + size;
            sizes[i] = size;
            details[i] = detail;
        }
    for (size_t i = 0; i < shown; i++)
        put_table(out, &tables[i], details[i], 0);
    *ret_shown = shown;
}
