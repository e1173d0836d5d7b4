/* Delimited text: what the detector decides and what the reader then cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/csv.h"

#include "base/buf.h"

#include <stdlib.h>

/* Records as "a|b;c|d": cells joined by '|', records by ';', absent cells '~',
 * quoted cells in <>. A record that is too wide ends in '!'. */
static void render(const struct csv_dialect *dialect, size_t width, const char *text, size_t length,
                   struct tn_buf *out)
{
    struct cell cells[64];
    struct csv_reader reader;
    csv_reader_init(&reader, dialect, width, cells, 64, text, length);
    while (csv_reader_next(&reader)) {
        if (out->len)
            tn_buf_putc(out, ';');
        size_t count = reader.record.count > width ? reader.record.count : width;
        for (size_t i = 0; i < count; i++) {
            if (i)
                tn_buf_putc(out, '|');
            char plain[256];
            size_t plain_length = cells[i].length;
            if (cells[i].escaped)
                plain_length = csv_unescape(&cells[i], dialect->quote, dialect->escape, plain);
            else if (plain_length)
                memcpy(plain, cells[i].text, plain_length);
            if (cells[i].kind == CELL_ABSENT)
                tn_buf_putc(out, '~');
            if (cells[i].kind == CELL_QUOTED)
                tn_buf_putc(out, '<');
            tn_buf_append(out, plain, plain_length);
            if (cells[i].kind == CELL_QUOTED)
                tn_buf_putc(out, '>');
        }
        if (reader.record.flaw == RECORD_TOO_WIDE)
            tn_buf_putc(out, '!');
    }
}

static const struct {
    const char *name, *text;
    char delimiter;
    bool header;
    uint32_t titles;
    const char *body;
} cases[] = {
    {"plain", "a,b\n1,2\n3,4\n", ',', true, 0, "1|2;3|4"},
    {"no last newline", "a,b\n1,2\n3,4", ',', true, 0, "1|2;3|4"},
    {"crlf", "a,b\r\n1,2\r\n3,4\r\n", ',', true, 0, "1|2;3|4"},
    {"old mac", "a,b\r1,2\r3,4\r", ',', true, 0, "1|2;3|4"},
    {"tab", "a\tb\n1\t2\n", '\t', true, 0, "1|2"},
    {"semicolon", "a;b\n1;2\n", ';', true, 0, "1|2"},
    {"pipe", "a|b\n1|2\n", '|', true, 0, "1|2"},
    {"decimal commas", "a;b;c\n1,5;2,5;x\n3,25;4,5;y\n", ';', true, 0, "1,5|2,5|x;3,25|4,5|y"},
    {"decimal commas without header", "1,5;2,5\n3,5;4,5\n", ';', false, 0, "1,5|2,5;3,5|4,5"},
    {"commas in text of a tab file", "name\tnote\nSmith, John\tx, y\nDoe, Jane\tz\n", '\t', true, 0,
     "Smith, John|x, y;Doe, Jane|z"},
    {"lists inside cells", "id,skills\n1,java;go;c\n2,sql;r;c\n", ',', true, 0, "1|java;go;c;2|sql;r;c"},
    {"no header", "1,x\n2,y\n", ',', false, 0, "1|x;2|y"},
    {"text only is a header", "name,city\nann,bonn\n", ',', true, 0, "ann|bonn"},
    {"header only", "a,b,c\n", ',', true, 0, ""},
    {"header only without newline", "a,b,c", ',', true, 0, ""},
    {"quoted line break", "a,b\n\"x\ny\",2\n", ',', true, 0, "<x\ny>|2"},
    {"doubled quotes", "a,b\n\"say \"\"hi\"\"\",2\n", ',', true, 0, "<say \"hi\">|2"},
    {"quoted empty", "a,b\n\"\",\n", ',', true, 0, "<>|"},
    {"quote inside a field is text", "a,b\n5\" pipe,2\n", ',', true, 0, "5\" pipe|2"},
    {"text behind a closing quote", "a,b\n\"x\"y,2\n3,4\n", ',', true, 0, "\"x\"y|2;3|4"},
    {"delimiter in quotes", "a,b\n\"x,y\",2\n", ',', true, 0, "<x,y>|2"},
    {"short record", "a,b,c\n1,2\n3,4,5\n", ',', true, 0, "1|2|~;3|4|5"},
    {"long record with nothing in it", "a,b\n1,2,,\n3,4\n5,6\n", ',', true, 0, "1|2||;3|4;5|6"},
    {"long record", "a,b\n1,2,3\n3,4\n5,6\n", ',', true, 0, "1|2|3!;3|4;5|6"},
    {"trailing delimiters", "a,b,\n1,2,\n3,4,\n", ',', true, 0, "1|2|;3|4|"},
    {"title line", "Timesheets of March\na,b,c\n1,2,3\n4,5,6\n", ',', true, 1, "1|2|3;4|5|6"},
    {"padded title", "Report,,\n,,\na,b,c\n1,2,3\n4,5,6\n", ',', true, 2, "1|2|3;4|5|6"},
    {"title and blank line", "Report\n\na,b\n1,2\n3,4\n", ',', true, 1, "1|2;3|4"},
    {"title with comma", "Report, made today\na,b,c,d\n1,2,3,4\n5,6,7,8\n", ',', true, 1, "1|2|3|4;5|6|7|8"},
    {"blank lines", "a,b\n\n1,2\n\r\n3,4\n\n", ',', true, 0, "1|2;3|4"},
    {"one column", "name\nann\nbob\n", ',', true, 0, "ann;bob"},
    {"one column, an empty value", "n\n1\n\n3\n", ',', true, 0, "1;;3"},
    {"years as names", "region,2022,2023\nnorth,1.5,2.5\n", ',', true, 0, "north|1.5|2.5"},
    {"years as values", "a,2022\nb,2023\n", ',', false, 0, "a|2022;b|2023"},
    {"sep line", "sep=;\na;b\n1;2\n", ';', true, 0, "1|2"},
    {"duplicate names", "a,a,\n1,2,3\n", ',', true, 0, "1|2|3"},
    {"backslash escapes", "a,b\n\"say \\\"hi\\\", ok\",2\n\"x\",3\n", ',', true, 0, "<say \"hi\", ok>|2;<x>|3"},
    {"single quotes", "a,b\n'x,y',2\n'z',3\n'u','4'\n", ',', true, 0, "<x,y>|2;<z>|3;<u>|<4>"},
    {"apostrophes", "a,b\nO'Neil,2\n'tis,3\n", ',', true, 0, "O'Neil|2;'tis|3"},
    {"empty", "", ',', false, 0, ""},
    {"quoted header", "\"a\",\"b\"\n\"1\",\"2\"\n", ',', true, 0, "<1>|<2>"},
    {"bools are no names", "true,1\nfalse,2\n", ',', false, 0, "true|1;false|2"},
    {"short names like n and y", "y,n\n1,2\n3,4\n", ',', true, 0, "1|2;3|4"},
};

static void test_detect_and_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        size_t length = strlen(cases[i].text);
        char *padded = tn_calloc(1, length + RECORD_PADDING);
        memcpy(padded, cases[i].text, length);
        struct csv_wish wish = {.header = -1};
        struct csv_dialect dialect;
        csv_detect(padded, length, true, &wish, &dialect);
        TN_AUTO_BUF got = {0};
        render(&dialect, dialect.width, padded + dialect.body, length - dialect.body, &got);
        const char *body = got.data ? got.data : "";
        if (dialect.delimiter != cases[i].delimiter || dialect.has_header != cases[i].header ||
            dialect.title_lines != cases[i].titles || strcmp(body, cases[i].body) != 0)
            fail_msg("%s: delimiter '%c' header %d titles %u body \"%s\"", cases[i].name, dialect.delimiter,
                     dialect.has_header, dialect.title_lines, body);
        free(padded);
    }
}

/* Wherever a block is cut, the records are those of the whole text. */
static void test_cutting_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        size_t length = strlen(cases[i].text);
        char *padded = tn_calloc(1, length + RECORD_PADDING);
        memcpy(padded, cases[i].text, length);
        struct csv_wish wish = {.header = -1};
        struct csv_dialect dialect;
        csv_detect(padded, length, true, &wish, &dialect);
        TN_AUTO_BUF whole = {0};
        render(&dialect, dialect.width, padded + dialect.body, length - dialect.body, &whole);
        for (size_t cut = dialect.body + 1; cut < length; cut++) {
            size_t open;
            size_t end = csv_scan_end(&dialect, padded + dialect.body, cut - dialect.body, &open);
            char *first = tn_calloc(1, end + RECORD_PADDING);
            memcpy(first, padded + dialect.body, end);
            TN_AUTO_BUF pieces = {0};
            render(&dialect, dialect.width, first, end, &pieces);
            render(&dialect, dialect.width, padded + dialect.body + end, length - dialect.body - end, &pieces);
            if (whole.len != pieces.len || (whole.len && strcmp(whole.data, pieces.data) != 0))
                fail_msg("%s cut at %zu (end %zu): \"%s\"", cases[i].name, cut, end, pieces.data ? pieces.data : "");
            free(first);
        }
        free(padded);
    }
}

static void test_open_quote_is_found(void **state)
{
    (void)state;
    struct csv_dialect dialect = {.delimiter = ',', .quote = '"', .escape = '"', .line_end = '\n'};
    size_t open;
    assert_int_equal(csv_scan_end(&dialect, "a,b\nc,\"d\ne,f\n", 13, &open), 4);
    assert_int_equal(open, 6);
    assert_int_equal(csv_scan_end(&dialect, "a,b\nc,\"d\"\ne", 11, &open), 10);
    assert_true(open == SIZE_MAX);
}

static void test_wishes_win(void **state)
{
    (void)state;
    static const char text[64] = "a,b;c\n1,2;3\n";
    struct csv_wish wish = {.delimiter = ';', .header = 0};
    struct csv_dialect dialect;
    csv_detect(text, strlen(text), true, &wish, &dialect);
    assert_int_equal(dialect.delimiter, ';');
    assert_false(dialect.has_header);
    assert_int_equal(dialect.width, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detect_and_read),
        cmocka_unit_test(test_cutting_changes_nothing),
        cmocka_unit_test(test_open_quote_is_found),
        cmocka_unit_test(test_wishes_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
