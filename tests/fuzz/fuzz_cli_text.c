/* Data on its way to a terminal, SQL on its way to be cut, answers of a server
 * on their way to be explained: whatever the bytes, no control character gets
 * through, tables keep their width, and statements lie within the text. */
#include "fuzz.h"

#include "cli/client.h"
#include "cli/statement.h"
#include "cli/table.h"
#include "cli/term.h"

#include <string.h>

static void show(const char *text, size_t size)
{
    TN_AUTO_BUF safe = {0};
    term_put_safe(&safe, text, size);
    FUZZ_CHECK(tn_utf8_valid_prefix(safe.data ? safe.data : "", safe.len) == safe.len);
    for (size_t i = 0; i < safe.len; i++)
        FUZZ_CHECK((unsigned char)safe.data[i] >= 0x20 && safe.data[i] != 0x7F);
}

static void draw(const char *text, size_t size)
{
    size_t columns = 1 + size % 5, width = 1 + size % 97;
    TN_CLEANUP(table_free_p) struct table *table = table_new(columns);
    TN_AUTO_BUF out = {0};
    for (size_t c = 0; c < columns; c++)
        table_header(table, c, "column", c % 2);
    for (size_t c = 0; c < 2 * columns; c++) {
        size_t from = size * c / (2 * columns), to = size * (c + 1) / (2 * columns);
        table_cell_n(table, text + from, to - from);
    }
    table_draw(table, (struct table_style){.width = width, .utf8 = true}, &out);
    for (const char *line = out.data; *line && *line != '('; line += strcspn(line, "\n") + 1)
        FUZZ_CHECK(tn_utf8_width(line, strcspn(line, "\n")) <= width);
}

static void cut(const char *text, size_t size)
{
    for (size_t at = 0, end; (end = statement_end(text + at, size - at)) > 0; at += end) {
        FUZZ_CHECK(end <= size - at && text[at + end - 1] == ';');
        FUZZ_CHECK(statement_open_quote(text + at, end) == 0);
    }
    (void)statement_is_blank(text, size);
    (void)statement_open_quote(text, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_AUTO_FREE char *copy = tn_malloc(size + 1); /* exactly sized: reading behind it is found */
    memcpy(copy, data, size);
    copy[size] = '\0';
    struct tn_error error = {0};
    FUZZ_CHECK(client_problem(400 + (long)(size % 200), copy, size, &error) != TN_OK);
    show(copy, size);
    draw(copy, size);
    cut(copy, size);
    return 0;
}
