/* Addresses and passwords: what is shown, what is not, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/test_support.h"
#include "postgres/postgres_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *url, *label, *password;
    } cases[] = {
        {"postgresql://ann:s3cret@db.example:5433/shop", "db.example:5433/shop", "s3cret"},
        {"postgres://ann@db/shop?sslmode=require", "db:5432/shop", NULL},
        {"postgresql://ann:p%40ss%2Fw@db/shop", "db:5432/shop", "p@ss/w"},
        {"postgresql://db/shop?user=ann&password=s3cret", "db:5432/shop", "s3cret"},
        {"host=db dbname=shop user=ann password='s3 cret'", "db:5432/shop", "s3 cret"},
        {"postgresql://ann@[::1]:5432/shop", "::1:5432/shop", NULL},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        char *label = NULL, *clean = NULL, *password = NULL;
        assert_ok(postgres_url_split(cases[i].url, &label, &clean, &password, &test_err));
        assert_string_equal(label, cases[i].label);
        if (cases[i].password)
            assert_string_equal(password, cases[i].password);
        else
            assert_null(password);
        assert_null(strstr(clean, "s3"));
        assert_null(strstr(clean, "pass"));
        /* The clean one means the same place. */
        char *again = NULL, *clean_again = NULL;
        assert_ok(postgres_url_split(clean, &again, &clean_again, NULL, &test_err));
        assert_string_equal(again, label);
        assert_string_equal(clean_again, clean);
        free(label);
        free(clean);
        free(password);
        free(again);
        free(clean_again);
    }
}

static void test_refused_without_repeating(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "postgresql://ann:s3cret@db:port/shop?x",
        "ann:s3cret@db",
        "password=s3cret s3cret",
        "",
        "mysql://ann:s3cret@db/x",
        "service=s3cret",
        "postgresql://db/shop?passfile=s3cret",
        "postgresql://ann:s3cret%@db/shop",
    };
    for (size_t i = 0; i < TN_COUNT(urls); i++) {
        char *label = NULL, *clean = NULL;
        assert_int_equal(postgres_url_split(urls[i], &label, &clean, NULL, &test_err), TN_EREQUEST);
        assert_null(label);
        assert_null(strstr(test_err.detail, "s3cret"));
        assert_null(strstr(test_err.hint, "s3cret"));
    }
}

static void test_scrub(void **state)
{
    (void)state;
    char text[] = "s3cret: role \"s3cret\" has s3cre";
    postgres_scrub(text, "s3cret");
    assert_string_equal(text, "***: role \"***\" has s3cre");
    char shorter[] = "a b a";
    postgres_scrub(shorter, "a");
    assert_string_equal(shorter, "* b *");
    postgres_scrub(shorter, "");
    postgres_scrub(shorter, NULL);
    assert_string_equal(shorter, "* b *");
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void test_password_file(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/password", (char *)*state);
    char *password = NULL;
    write_file(path, "s3cret\r\nmore\n", 0600);
    assert_ok(postgres_password_read(path, &password, &test_err));
    assert_string_equal(password, "s3cret");
    postgres_forget(&password);
    write_file(path, "s3cret\n", 0640);
    assert_int_equal(postgres_password_read(path, &password, &test_err), TN_EREFUSED);
    write_file(path, "\n", 0600);
    assert_int_equal(postgres_password_read(path, &password, &test_err), TN_EREFUSED);
    assert_int_equal(postgres_password_read("/nowhere/at/all", &password, &test_err), TN_ENOTFOUND);
    assert_null(password);
}

static void test_passfile(void **state)
{
    static const struct {
        const char *url, *password;
    } cases[] = {
        {"postgresql://ann@db/shop", "first"},   {"postgresql://ann@db:5433/shop", "any port"},
        {"postgresql://bob@db/shop", "co:lon"},  {"postgresql://eve@elsewhere/shop", NULL},
        {"postgresql://ann:own@db/shop", "own"},
    };
    TN_AUTO_FREE char *path = tn_asprintf("%s/passes", (char *)*state);
    (void)unsetenv("PGPASSWORD");
    (void)setenv("PGPASSFILE", path, 1);
    const char *text = "# comment\ndb:5432:shop:ann:first\ndb:*:*:ann:any port\n*:*:shop:bob:co\\:lon\n";
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        char *password = NULL;
        write_file(path, text, 0600);
        assert_ok(postgres_password_local(cases[i].url, &password, &test_err));
        if (cases[i].password)
            assert_string_equal(password, cases[i].password);
        else
            assert_null(password);
        postgres_forget(&password);
    }
    char *password = NULL;
    write_file(path, text, 0644);
    assert_ok(postgres_password_local(cases[0].url, &password, &test_err));
    assert_null(password);
    (void)unsetenv("PGPASSFILE");
}

static void test_codes(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        bool cancelled;
        enum tn_code code;
    } cases[] = {
        {"28P01", false, TN_EFORBIDDEN},   {"42501", false, TN_EFORBIDDEN},   {"42P01", false, TN_ENOTFOUND},
        {"3D000", false, TN_ENOTFOUND},    {"42601", false, TN_ESQL},         {"55P03", false, TN_EBUSY},
        {"57014", true, TN_ECANCELLED},    {"57014", false, TN_ETIMEOUT},     {"57P01", false, TN_EUNREACHABLE},
        {"57P03", false, TN_EUNAVAILABLE}, {"53300", false, TN_EUNAVAILABLE}, {"53100", false, TN_EDISKFULL},
        {"40001", false, TN_ECONFLICT},    {"23505", false, TN_ECONFLICT},    {"22000", false, TN_EREFUSED},
        {"25006", false, TN_EREFUSED},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++)
        assert_int_equal(postgres_code_of(cases[i].sqlstate, cases[i].cancelled), cases[i].code);
}

static void test_quoting(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    assert_string_equal(postgres_quote_name(arena, "a\"; DROP TABLE t; --"), "\"a\"\"; DROP TABLE t; --\"");
    assert_string_equal(postgres_quote_table(arena, "My s", "t.x"), "\"My s\".\"t.x\"");
    assert_string_equal(postgres_quote_text(arena, "it's"), "'it''s'");
    assert_string_equal(postgres_quote_text(arena, "a\\'b"), "E'a\\\\''b'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),   cmocka_unit_test(test_refused_without_repeating),
        cmocka_unit_test(test_scrub),   FOLDER_TEST(test_password_file),
        FOLDER_TEST(test_passfile),     cmocka_unit_test(test_codes),
        cmocka_unit_test(test_quoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
