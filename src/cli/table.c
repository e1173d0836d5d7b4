/* Tables for people (see table.h). */
#include "cli/table.h"

#include "cli/term.h"

#include <stdio.h>
#include <string.h>

#define DIM    "\033[2m"
#define BOLD   "\033[1m"
#define NORMAL "\033[0m"

struct cell {
    const char *text; /* NULL: SQL's NULL */
    size_t length;
    size_t width;
};

struct column {
    struct cell name;
    bool right;
    size_t natural; /* the widest cell */
};

struct table {
    struct tn_arena *arena;
    struct column *columns;
    size_t column_count;
    struct cell *cells;
    size_t cell_count, cell_capacity;
};

struct table *table_new(size_t columns)
{
    struct table *table = tn_calloc(1, sizeof *table);
    table->arena = tn_arena_new();
    table->columns = tn_calloc(columns + 1, sizeof *table->columns);
    table->column_count = columns;
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    tn_arena_free(table->arena);
    free(table->columns);
    free(table->cells);
    free(table);
}

static struct cell make_cell(struct table *table, const char *text, size_t length)
{
    if (!text)
        return (struct cell){.width = 4};
    TN_AUTO_BUF safe = {0};
    term_put_safe(&safe, text, length);
    char *copy = tn_arena_strndup(table->arena, safe.len ? safe.data : "", safe.len);
    return (struct cell){.text = copy, .length = safe.len, .width = tn_utf8_width(copy, safe.len)};
}

void table_header(struct table *table, size_t column, const char *name, bool right)
{
    struct column *c = &table->columns[column];
    c->name = make_cell(table, name, strlen(name));
    c->right = right;
    c->natural = TN_MAX(c->natural, c->name.width);
}

void table_cell_n(struct table *table, const char *text, size_t length)
{
    struct column *column = &table->columns[table->cell_count % table->column_count];
    TN_GROW(table->cells, table->cell_count, table->cell_capacity);
    struct cell cell = make_cell(table, text, length);
    table->cells[table->cell_count++] = cell;
    column->natural = TN_MAX(column->natural, cell.width);
}

void table_cell(struct table *table, const char *text)
{
    table_cell_n(table, text, text ? strlen(text) : 0);
}

bool table_type_is_number(const char *sql_type)
{
    static const char *const numbers[] = {"TINYINT",   "SMALLINT", "INTEGER", "BIGINT",   "HUGEINT", "UTINYINT",
                                          "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT",   "DOUBLE"};
    if (!sql_type || tn_str_ends_with(sql_type, "]"))
        return false;
    if (tn_str_starts_with(sql_type, "DECIMAL"))
        return true;
    for (size_t i = 0; i < TN_COUNT(numbers); i++)
        if (tn_streq(sql_type, numbers[i]))
            return true;
    return false;
}

/* "DECIMAL(12,2)" has 2 digits behind the point; -1 for other types. */
static int decimal_places(const char *sql_type)
{
    int width, places;
    if (sql_type && !tn_str_ends_with(sql_type, "]") && sscanf(sql_type, "DECIMAL(%d,%d)", &width, &places) == 2 &&
        places >= 0 && places <= 38)
        return places;
    return -1;
}

bool table_json_text(const json_t *value, const char *sql_type, struct tn_buf *out)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return false;
    case JSON_TRUE:
    case JSON_FALSE:
        tn_buf_puts(out, json_is_true(value) ? "true" : "false");
        return true;
    case JSON_INTEGER:
    case JSON_REAL: {
        int places = decimal_places(sql_type);
        if (places >= 0)
            tn_buf_printf(out, "%.*f", places, json_number_value(value));
        else if (json_is_integer(value))
            tn_format_i64(out, json_integer_value(value));
        else
            tn_format_f64(out, json_real_value(value));
        return true;
    }
    case JSON_STRING:
        tn_buf_append(out, json_string_value(value), json_string_length(value));
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    tn_json_dump(value, out);
    return true;
}

void table_cell_json(struct table *table, const json_t *value, const char *sql_type)
{
    TN_AUTO_BUF text = {0};
    if (table_json_text(value, sql_type, &text))
        table_cell_n(table, text.len ? text.data : "", text.len);
    else
        table_cell(table, NULL);
}

/* ---- fitting -------------------------------------------------------------- */

enum { GAP = 3, NARROWEST = 6 }; /* " | " between columns */

struct fit {
    size_t *widths;
    size_t shown; /* columns drawn */
    bool cut;     /* a value was shortened */
};

static void fit_release(struct fit *fit)
{
    free(fit->widths);
}

static size_t total_width(const struct fit *fit)
{
    size_t total = fit->shown > 0 ? (fit->shown - 1) * GAP : 0;
    for (size_t i = 0; i < fit->shown; i++)
        total += fit->widths[i];
    return total;
}

/* Lowers the widest column to the second widest, and so on, until all fit or
 * none may give. */
static void shrink_widest(struct fit *fit, size_t width)
{
    size_t total;
    while ((total = total_width(fit)) > width) {
        size_t widest = 0, next = NARROWEST, how_many = 0;
        for (size_t i = 0; i < fit->shown; i++)
            widest = TN_MAX(widest, fit->widths[i]);
        if (widest <= NARROWEST)
            return;
        for (size_t i = 0; i < fit->shown; i++) {
            if (fit->widths[i] == widest)
                how_many++;
            else
                next = TN_MAX(next, fit->widths[i]);
        }
        size_t excess = total - width, step = TN_MIN(widest - next, (excess + how_many - 1) / how_many);
        for (size_t i = 0; i < fit->shown; i++)
            if (fit->widths[i] == widest)
                fit->widths[i] -= TN_MAX(step, 1);
    }
}

static struct fit fit_columns(const struct table *table, size_t width)
{
    struct fit fit = {.widths = tn_calloc(table->column_count + 1, sizeof *fit.widths), .shown = table->column_count};
    for (size_t i = 0; i < table->column_count; i++)
        fit.widths[i] = table->columns[i].natural;
    if (width == 0)
        return fit;
    shrink_widest(&fit, width);
    while (fit.shown > 1 && total_width(&fit) > width)
        fit.shown--;
    if (fit.shown == 1 && fit.widths[0] > width)
        fit.widths[0] = width;
    /* Columns that went leave room for the rest. */
    for (size_t i = 0; i < fit.shown && fit.shown < table->column_count; i++) {
        size_t used = total_width(&fit), want = table->columns[i].natural - fit.widths[i];
        if (used < width)
            fit.widths[i] += TN_MIN(want, width - used);
    }
    for (size_t i = 0; i < fit.shown; i++)
        fit.cut |= fit.widths[i] < table->columns[i].natural;
    return fit;
}

/* ---- drawing ------------------------------------------------------------------ */

static size_t first_columns(const char *text, size_t length, size_t width)
{
    size_t used = 0, at = 0;
    while (at < length) {
        size_t next = at + 1;
        while (next < length && ((unsigned char)text[next] & 0xC0) == 0x80)
            next++;
        size_t columns = tn_utf8_width(text + at, next - at);
        if (used + columns > width)
            break;
        used += columns;
        at = next;
    }
    return at;
}

static void put_spaces(struct tn_buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tn_buf_putc(out, ' ');
}

static void put_cell(struct tn_buf *out, const struct cell *cell, size_t width, bool right, const char *look,
                     struct table_style style, bool last)
{
    const char *text = cell->text ? cell->text : "NULL";
    size_t length = cell->text ? cell->length : 4, used = cell->width;
    const char *tail = "";
    if (used > width) {
        tail = style.utf8 ? "\u2026" : "~";
        length = first_columns(text, length, width - 1);
        used = tn_utf8_width(text, length) + 1;
    }
    if (right)
        put_spaces(out, width - used);
    if (!cell->text)
        look = DIM;
    tn_buf_puts(out, style.colour && look ? look : "");
    tn_buf_append(out, text, length);
    tn_buf_puts(out, tail);
    tn_buf_puts(out, style.colour && look ? NORMAL : "");
    if (!right && !last)
        put_spaces(out, width - used);
}

static void put_row(struct tn_buf *out, const struct table *table, const struct fit *fit, const struct cell *cells,
                    struct table_style style)
{
    for (size_t i = 0; i < fit->shown; i++) {
        const struct column *column = &table->columns[i];
        if (i > 0)
            tn_buf_puts(out, style.utf8 ? " \u2502 " : " | ");
        put_cell(out, cells ? &cells[i] : &column->name, fit->widths[i], column->right, cells ? NULL : BOLD, style,
                 i + 1 == fit->shown);
    }
    tn_buf_putc(out, '\n');
}

static void put_rule(struct tn_buf *out, const struct fit *fit, struct table_style style)
{
    for (size_t i = 0; i < fit->shown; i++) {
        if (i > 0)
            tn_buf_puts(out, style.utf8 ? "\u2500\u253c\u2500" : "-+-");
        for (size_t k = 0; k < fit->widths[i]; k++)
            tn_buf_puts(out, style.utf8 ? "\u2500" : "-");
    }
    tn_buf_putc(out, '\n');
}

static void put_note(struct tn_buf *out, const struct table *table, const struct fit *fit, struct table_style style)
{
    if (!fit->cut && fit->shown == table->column_count)
        return;
    tn_buf_puts(out, style.colour ? DIM : "");
    if (fit->shown < table->column_count)
        tn_buf_printf(out, "(%zu of %zu columns fit the terminal's width; select fewer, or pipe for all)", fit->shown,
                      table->column_count);
    else
        tn_buf_puts(out, "(long values are cut to the terminal's width; pipe for all of them)");
    tn_buf_puts(out, style.colour ? NORMAL "\n" : "\n");
}

void table_draw(const struct table *table, struct table_style style, struct tn_buf *out)
{
    if (table->column_count == 0)
        return;
    TN_CLEANUP(fit_release) struct fit fit = fit_columns(table, style.width);
    put_row(out, table, &fit, NULL, style);
    put_rule(out, &fit, style);
    for (size_t at = 0; at + table->column_count <= table->cell_count; at += table->column_count)
        put_row(out, table, &fit, table->cells + at, style);
    put_note(out, table, &fit, style);
}
