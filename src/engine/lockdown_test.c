/* The second wall, tried through the trusted door, and the allow-lists held
 * against the engine's own catalogue. */
#include "engine/engine_internal.h"
#include "engine/engine_test_support.h"

#include <sys/stat.h>

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    return fixture_open(&fixture, UINT64_C(256) << 20, 4);
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

/* Nothing of this may work even for text that the guard never saw. */
static void test_breakouts(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/proc/self/environ')",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('file:///etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/tarn-broke-out.csv'",
        "COPY (SELECT 1) TO '/etc/tarn-broke-out.csv'",
        "ATTACH '/tmp/tarn-broke-out.db' AS x",
        "EXPORT DATABASE '/tmp/tarn-broke-out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '/tmp/x.duckdb_extension'",
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SET memory_limit = '100GB'",
        "SET GLOBAL memory_limit = '100GB'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET GLOBAL lock_configuration = false",
        "RESET lock_configuration",
        "SET allowed_directories = ['/']",
        "SET temp_directory = '/etc'",
        "SET threads = 64",
        "SET TimeZone = 'Europe/Berlin'",
        "SET allow_community_extensions = true",
        "SET autoload_known_extensions = true",
        "SET home_directory = '/'",
        "SET profiling_output = '/tmp/tarn-broke-out.json'",
        "SET log_query_path = '/tmp/tarn-broke-out.log'",
        "SELECT getenv('HOME')",
        "CALL enable_logging(storage := 'file', storage_path := '/tmp/tarn-broke-out')",
    };
    for (size_t i = 0; i < TN_COUNT(statements); i++) {
        struct tn_error err = {0};
        if (engine_run(fixture.engine, statements[i], NULL, NULL, &err) == TN_OK)
            fail_msg("%s works", statements[i]);
    }
    assert_int_equal(access("/tmp/tarn-broke-out.csv", F_OK), -1);
    assert_int_equal(access("/tmp/tarn-broke-out.db", F_OK), -1);
}

/* A folder's name with ".." or a link in it leads nowhere else. */
static void test_ways_around(void **state)
{
    (void)state;
    TN_AUTO_BUF sql = {0};
    struct tn_error err = {0};
    tn_buf_printf(&sql, "SELECT * FROM read_text('%s/../../etc/hostname')", fixture.folder);
    assert_int_not_equal(engine_run(fixture.engine, sql.data, NULL, NULL, &err), TN_OK);
    tn_buf_clear(&sql);
    tn_buf_printf(&sql, "SELECT * FROM read_text('%s-other/x')", fixture.folder);
    assert_int_not_equal(engine_run(fixture.engine, sql.data, NULL, NULL, &err), TN_OK);
    /* The folder itself is open, which is what it is for. */
    tn_buf_clear(&sql);
    tn_buf_printf(&sql, "COPY (SELECT 1 AS a) TO '%s/x.parquet'; SELECT * FROM read_parquet('%s/x.parquet')",
                  fixture.folder, fixture.folder);
    if (engine_run(fixture.engine, sql.data, NULL, NULL, &err) != TN_OK)
        fail_msg("%s", err.detail);
}

struct catalogue {
    unsigned seen, unknown, both;
};

static bool check_function(void *context, size_t count, const char *const *values)
{
    struct catalogue *catalogue = context;
    (void)count;
    const char *name = values[0];
    bool table = tn_streq(values[1], "table") || tn_streq(values[1], "table_macro");
    bool allowed = table ? guard_table_function_allowed(name) : guard_function_allowed(name);
    bool refused = guard_function_refusal(name) != NULL;
    catalogue->seen++;
    if (!allowed && !refused && !table) {
        print_error("in neither list: %s\n", name);
        catalogue->unknown++;
    }
    if (allowed && refused) {
        print_error("in both lists: %s\n", name);
        catalogue->both++;
    }
    return true;
}

/* A new engine brings new functions: each wants a decision. */
static void test_catalogue(void **state)
{
    (void)state;
    struct catalogue catalogue = {0};
    struct tn_error err = {0};
    enum tn_code code = engine_run(fixture.engine,
                                   "SELECT DISTINCT function_name, function_type FROM duckdb_functions() "
                                   "WHERE function_type <> 'pragma' ORDER BY ALL",
                                   check_function, &catalogue, &err);
    assert_int_equal(code, TN_OK);
    assert_true(catalogue.seen > 900);
    assert_int_equal(catalogue.unknown, 0);
    assert_int_equal(catalogue.both, 0);
}

static bool check_effect(void *context, size_t count, const char *const *values)
{
    static const char *const harmless[] = {"error", "gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7"};
    unsigned *bad = context;
    (void)count;
    bool known = false;
    for (size_t i = 0; i < TN_COUNT(harmless); i++)
        known = known || tn_streq(harmless[i], values[0]);
    if (!known && guard_function_allowed(values[0])) {
        print_error("allowed, and has side effects: %s\n", values[0]);
        (*bad)++;
    }
    return true;
}

static void test_side_effects(void **state)
{
    (void)state;
    unsigned bad = 0;
    assert_int_equal(engine_run(fixture.engine,
                                "SELECT DISTINCT function_name FROM duckdb_functions() WHERE has_side_effects",
                                check_effect, &bad, NULL),
                     TN_OK);
    assert_int_equal(bad, 0);
}

static bool keep_text(void *context, size_t count, const char *const *values)
{
    (void)count;
    tn_buf_printf(context, "%s=%s;", values[0], values[1]);
    return true;
}

static void test_settings(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    assert_int_equal(
        engine_run(fixture.engine,
                   "SELECT name, value FROM duckdb_settings() WHERE name IN ('TimeZone', 'enable_external_access', "
                   "'lock_configuration', 'autoload_known_extensions', 'autoinstall_known_extensions', "
                   "'allow_community_extensions', 'errors_as_json', 'threads') ORDER BY lower(name)",
                   keep_text, &out, NULL),
        TN_OK);
    assert_string_equal(out.data, "allow_community_extensions=false;autoinstall_known_extensions=false;"
                                  "autoload_known_extensions=false;enable_external_access=false;errors_as_json=true;"
                                  "lock_configuration=true;threads=2;TimeZone=UTC;");
    assert_int_equal(strncmp(engine_version(), "2.", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breakouts),    cmocka_unit_test(test_ways_around), cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_side_effects), cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
