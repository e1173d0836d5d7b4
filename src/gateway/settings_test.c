#include "gateway/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_defaults(void **state)
{
    (void)state;
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
    struct tn_error err = {0};
    if (tn_config_load_text(gateway_config_table(), "", 0, "tarn.yaml", &config, &err) != TN_OK)
        fail_msg("%s", err.detail);
    assert_string_equal(tn_config_string(config, "server.bind"), "127.0.0.1");
    assert_int_equal(tn_config_int(config, "server.port"), 7341);
    assert_true(tn_config_size(config, "sql.memory") > 0);
    assert_false(tn_config_bool(config, "server.insecure_remote"));
}

static void test_every_key_is_explained(void **state)
{
    (void)state;
    struct tn_config_table table = gateway_config_table();
    for (size_t i = 0; i < table.count; i++) {
        size_t length = strlen(table.keys[i].help);
        assert_true(length > 10);
        assert_int_equal(table.keys[i].help[length - 1], '.');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(table.keys[k].name, table.keys[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_every_key_is_explained)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
