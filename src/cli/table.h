/* cli: tables for people.
 *
 * Cells are gathered, then drawn at once: numbers to the right, NULL dim, wide
 * characters counted as the terminal shows them. What does not fit the width
 * is cut where it hurts least: the widest columns first, then whole columns
 * from the right, and a note says so.
 */
#ifndef TARN_CLI_TABLE_H
#define TARN_CLI_TABLE_H

#include "base/base.h"

struct table_style {
    size_t width; /* columns of the terminal; 0 = as wide as it gets */
    bool colour;
    bool utf8; /* line-drawing characters and an ellipsis */
};

struct table;
struct table *table_new(size_t columns) __attribute__((returns_nonnull));
void table_free(struct table *table);
TN_DEFINE_CLEANUP(struct table, table_free)

/* Copied; made safe for a terminal. */
void table_header(struct table *table, size_t column, const char *name, bool right);
/* Cells come row by row, left to right. NULL is SQL's NULL. */
void table_cell(struct table *table, const char *text);
void table_cell_n(struct table *table, const char *text, size_t length);
/* A cell from a JSON value; `sql_type` (may be NULL) tells how many decimals. */
void table_cell_json(struct table *table, const json_t *value, const char *sql_type);

/* Appends the drawing, and a note when values or columns did not fit. */
void table_draw(const struct table *table, struct table_style style, struct tn_buf *out);

/* Whether values of this SQL type stand to the right. */
bool table_type_is_number(const char *sql_type);
/* A cell's text from JSON, unescaped; appended to out. False for null. */
bool table_json_text(const json_t *value, const char *sql_type, struct tn_buf *out);

#endif
