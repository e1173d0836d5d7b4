/* Where statements end. */
#include "cli/statement.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void ends(void **state)
{
    static const struct {
        const char *text;
        size_t end; /* 0: not complete */
        char open;
    } cases[] = {
        {"select 1;", 9, 0},
        {"select 1; select 2;", 9, 0},
        {"select 1", 0, 0},
        {"select ';' ;", 12, 0},
        {"select 'it''s;' ;", 17, 0},
        {"select 'open;", 0, '\''},
        {"select \"a;b\";", 13, 0},
        {"select \"a;b", 0, '"'},
        {"-- a; b\nselect 1;", 17, 0},
        {"-- a; b", 0, 0},
        {"/* ; /* ; */ ; */ select 1;", 27, 0},
        {"/* ;", 0, '*'},
        {"select $$;$$;", 13, 0},
        {"select $tag$ ; $$ ; $tag$;", 26, 0},
        {"select $tag$ ; $$", 0, '$'},
        {"select $1;", 10, 0},
        {"select a$b$c;", 13, 0},
        {"select e'\\';';", 14, 0},
        {"select name'\\';", 15, 0}, /* no E string: the backslash is a character */
        {"", 0, 0},
        {";", 1, 0},
        {"'", 0, '\''},
        {"select 1 - -1;", 14, 0},
        {"select 4 / 2;", 13, 0},
    };
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        assert_int_equal(statement_end(cases[i].text, strlen(cases[i].text)), cases[i].end);
        assert_int_equal(statement_open_quote(cases[i].text, strlen(cases[i].text)), cases[i].open);
    }
}

static void blanks(void **state)
{
    static const char *const blank[] = {"", " \t\r\n", ";;", "-- remark", "/* remark */ ;", "-- a\n;"};
    static const char *const full[] = {"select 1", "-- a\nx", "''", "$$$$", "/* */ 1"};
    (void)state;
    for (size_t i = 0; i < TN_COUNT(blank); i++)
        assert_true(statement_is_blank(blank[i], strlen(blank[i])));
    for (size_t i = 0; i < TN_COUNT(full); i++)
        assert_false(statement_is_blank(full[i], strlen(full[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends), cmocka_unit_test(blanks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
