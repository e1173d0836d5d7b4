/* Configuration: sources, their order, and what is refused where. */
#include "base/test_support.h"

#include <string.h>
#include <unistd.h>

static const struct tn_config_key keys[] = {
    {"server.port", TN_CONFIG_INT, "7878", NULL, 1, 65535, "port"},
    {"server.host", TN_CONFIG_STRING, "127.0.0.1", NULL, 0, 0, "address"},
    {"server.tls.mode", TN_CONFIG_CHOICE, "off", "off|on|auto", 0, 0, "mode"},
    {"engine.memory", TN_CONFIG_SIZE, "25%", NULL, 1024, INT64_MAX, "memory"},
    {"engine.timeout", TN_CONFIG_DURATION, "30s", NULL, 100, 3600000, "timeout"},
    {"log.json", TN_CONFIG_BOOL, "false", NULL, 0, 0, "json"},
    {"name", TN_CONFIG_STRING, NULL, NULL, 0, 0, "no default"},
};
static const struct tn_config_table table = {keys, TN_COUNT(keys)};

static enum tn_code load_text(const char *yaml, struct tn_config **ret, struct tn_error *err)
{
    return tn_config_load_text(table, yaml, strlen(yaml), "lake/tarn.yaml", ret, err);
}

static void defaults(void **state)
{
    (void)state;
    static const char *const empty[] = {"",   "# only a comment\n", "---\n", "~\n", "server:\nengine: ~\n",
                                        "{}", "server: {}\n"};
    for (size_t i = 0; i < TN_COUNT(empty); i++) {
        TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
        assert_ok(load_text(empty[i], &config, &test_err));
        assert_int_equal(tn_config_int(config, "server.port"), 7878);
        assert_string_equal(tn_config_string(config, "server.host"), "127.0.0.1");
        assert_string_equal(tn_config_string(config, "server.tls.mode"), "off");
        assert_true(tn_config_size(config, "engine.memory") == tn_machine_memory() / 100 * 25);
        assert_true(tn_config_ms(config, "engine.timeout") == 30000);
        assert_false(tn_config_bool(config, "log.json"));
        assert_string_equal(tn_config_string(config, "name"), "");
        assert_string_equal(tn_config_origin(config, "server.port"), "default");
        assert_string_equal(tn_config_text(config, "engine.memory"), "25%");
        assert_ptr_equal(tn_config_table(config).keys, keys);
    }
    tn_config_free(NULL);
}

static void yaml_values(void **state)
{
    (void)state;
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
    assert_ok(load_text("# lake\n"
                        "server:\n"
                        "  port: 80\n"
                        "  host: \"::1\"\n"
                        "  tls:\n"
                        "    mode: auto\n"
                        "engine: {memory: 64MB, timeout: 1m}\n"
                        "log.json: yes\n"
                        "name: 'null'\n",
                        &config, &test_err));
    assert_int_equal(tn_config_int(config, "server.port"), 80);
    assert_string_equal(tn_config_origin(config, "server.port"), "tarn.yaml:3");
    assert_string_equal(tn_config_string(config, "server.host"), "::1");
    assert_string_equal(tn_config_string(config, "server.tls.mode"), "auto");
    assert_true(tn_config_size(config, "engine.memory") == 64 << 20);
    assert_true(tn_config_ms(config, "engine.timeout") == 60000);
    assert_true(tn_config_bool(config, "log.json"));
    assert_string_equal(tn_config_origin(config, "log.json"), "tarn.yaml:8");
    assert_string_equal(tn_config_string(config, "name"), "null"); /* quoted: a text */
}

static void yaml_refused(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        int line;
        const char *part, *hint;
    } cases[] = {
        {"server:\n  prot: 1\n", 2, "unknown key \"server.prot\"", "did you mean \"server.port\"?"},
        {"\n\nsever:\n  port: 1\n", 3, "unknown key \"sever\"", ""},
        {"port: 1\n", 1, "unknown key \"port\"", "did you mean \"server.port\"?"},
        {"server.port: http\n", 1, "server.port must be a whole number, not \"http\"", ""},
        {"server.port: 0\n", 1, "server.port must be between 1 and 65535, not 0", ""},
        {"server.port: 65536\n", 1, "between 1 and 65535", ""},
        {"server:\n  port: [1]\n", 2, "a list is not expected", ""},
        {"- a\n", 1, "a list is not expected", ""},
        {"just text\n", 1, "expected keys and values", ""},
        {"server:\n  tls.mode: never\n", 2, "must be off or on or auto, not \"never\"", ""},
        {"engine.memory: 101%\n", 1, "must be a size such as", ""},
        {"engine.memory: 10B\n", 1, "between 1.0 KB and", ""},
        {"engine.memory: -1%\n", 1, "must be a size such as", ""},
        {"engine.timeout: 2h\n", 1, "between 100ms and 1h 0m, not 2h", ""},
        {"engine.timeout: soon\n", 1, "must be a duration such as", ""},
        {"log.json: maybe\n", 1, "must be true or false", ""},
        {"server.port: 1\nserver.port: 2\n", 2, "\"server.port\" stands here a second time", ""},
        {"server: {port: 1}\nserver: {host: x}\n", 2, "\"server\" stands here a second time", ""},
        {"server: {port: 1}\nserver.port: 2\n", 2, "a second time", ""},
        {"server: &a {port: 1}\n", 1, "anchors", ""},
        {"name: &a x\n", 1, "anchors", ""},
        {"name: *a\n", 1, "aliases", ""},
        {"name: !secret x\n", 1, "tags", ""},
        {"server: 5\n", 1, "\"server\" is a section", ""},
        {"name: {a: b}\n", 1, "nothing can stand below it", ""},
        {"? [a]\n: b\n", 1, "a list is not expected", ""},
        {"? {a: b}\n: c\n", 1, "a key must be a plain word", ""},
        {"name: a\n---\nname: b\n", 2, "only one YAML document", ""},
        {"name: \"a\\0b\"\n", 1, "NUL", ""},
        {"name: 'open\n", 2, "not valid YAML", ""},
        {"server:\n\tport: 1\n", 2, "not valid YAML", ""},
        {"name: \xFF\n", 1, "not valid YAML", ""},
        {"name: a: b\n", 1, "not valid YAML", ""},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct tn_config *config = NULL;
        struct tn_error err = {0};
        if (load_text(cases[i].yaml, &config, &err) != TN_ECONFIG)
            fail_msg("accepted: %s", cases[i].yaml);
        assert_null(config);
        if (!strstr(err.detail, cases[i].part) || err.line != cases[i].line ||
            !tn_str_starts_with(err.hint, cases[i].hint))
            fail_msg("%s%d: %s (%s)", cases[i].yaml, err.line, err.detail, err.hint);
        TN_AUTO_FREE char *place = tn_asprintf("lake/tarn.yaml:%d: ", cases[i].line);
        assert_true(tn_str_starts_with(err.detail, place));
    }
}

static void order_of_sources(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/tarn.yaml", (char *)*state);
    static const char yaml[] = "server: {port: 1, host: file}\nname: file\n";
    assert_ok(tn_file_replace(path, yaml, sizeof yaml - 1, 0600, &test_err));
    static const char *const flags[] = {"server.port=3", "name=a=b", "name=c=d"};
    (void)setenv("TARN_SERVER_PORT", "2", 1);
    (void)setenv("TARN_SERVER_TLS_MODE", "on", 1);
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
    enum tn_code code = tn_config_load(table, path, flags, TN_COUNT(flags), &config, &test_err);
    TN_CLEANUP(tn_config_free_p) struct tn_config *plain = NULL;
    enum tn_code second = tn_config_load(table, path, NULL, 0, &plain, &test_err);
    (void)unsetenv("TARN_SERVER_PORT");
    (void)unsetenv("TARN_SERVER_TLS_MODE");
    assert_ok(code);
    assert_ok(second);
    assert_int_equal(tn_config_int(config, "server.port"), 3);
    assert_string_equal(tn_config_origin(config, "server.port"), "--set");
    assert_string_equal(tn_config_origin(config, "server.host"), "tarn.yaml:1");
    assert_string_equal(tn_config_string(config, "server.tls.mode"), "on");
    assert_string_equal(tn_config_origin(config, "server.tls.mode"), "TARN_SERVER_TLS_MODE");
    assert_string_equal(tn_config_string(config, "name"), "c=d");
    assert_int_equal(tn_config_int(plain, "server.port"), 2);
    assert_string_equal(tn_config_string(plain, "name"), "file");
}

static void sources_refused(void **state)
{
    struct tn_config *config = NULL;
    struct tn_error err = {0};
    (void)setenv("TARN_SERVER_PORT", "many", 1);
    enum tn_code code = tn_config_load(table, NULL, NULL, 0, &config, &err);
    (void)unsetenv("TARN_SERVER_PORT");
    assert_int_equal(code, TN_ECONFIG);
    assert_string_equal(err.detail, "TARN_SERVER_PORT: server.port must be a whole number, not \"many\"");
    static const char *const bad[] = {"server.port", "server.port=x", "sever.port=1", "=1"};
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        assert_int_equal(tn_config_load(table, NULL, &bad[i], 1, &config, &err), TN_ECONFIG);
        assert_true(tn_str_starts_with(err.detail, "--set: "));
    }
    /* A folder where the file should be is not "absent". */
    assert_int_equal(tn_config_load(table, *state, NULL, 0, &config, &err), TN_EIO);
    assert_null(config);
    TN_AUTO_FREE char *absent = tn_asprintf("%s/tarn.yaml", (char *)*state);
    assert_ok(tn_config_load(table, absent, NULL, 0, &config, &test_err));
    tn_config_free(config);
}

static void bad_default_is_an_error(void **state)
{
    (void)state;
    static const struct tn_config_key wrong[] = {{"a", TN_CONFIG_INT, "x", NULL, 0, 0, ""}};
    struct tn_config *config = NULL;
    assert_int_equal(tn_config_load((struct tn_config_table){wrong, 1}, NULL, NULL, 0, &config, NULL), TN_ECONFIG);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),    cmocka_unit_test(yaml_values), cmocka_unit_test(yaml_refused),
        FOLDER_TEST(order_of_sources), FOLDER_TEST(sources_refused),  cmocka_unit_test(bad_default_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
