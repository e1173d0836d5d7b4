/* Any bytes as tarn.yaml: loaded or refused with a text, never anything else. */
#include "fuzz.h"

#include "base/base.h"

#include <string.h>

static const struct tn_config_key keys[] = {
    {"server.port", TN_CONFIG_INT, "7878", NULL, 1, 65535, "port"},
    {"server.host", TN_CONFIG_STRING, "127.0.0.1", NULL, 0, 0, "address"},
    {"server.tls.mode", TN_CONFIG_CHOICE, "off", "off|on|auto", 0, 0, "mode"},
    {"engine.memory", TN_CONFIG_SIZE, "25%", NULL, 1024, INT64_MAX, "memory"},
    {"engine.timeout", TN_CONFIG_DURATION, "30s", NULL, 0, 86400000, "timeout"},
    {"log.json", TN_CONFIG_BOOL, "false", NULL, 0, 0, "json"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tn_config_table table = {keys, TN_COUNT(keys)};
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
    struct tn_error err = {0};
    enum tn_code code = tn_config_load_text(table, (const char *)data, size, "lake/tarn.yaml", &config, &err);
    if (code != TN_OK) {
        FUZZ_CHECK(code == TN_ECONFIG && !config && err.detail[0] && err.line > 0);
        FUZZ_CHECK(tn_str_starts_with(err.detail, "lake/tarn.yaml:"));
        return 0;
    }
    int64_t port = tn_config_int(config, "server.port");
    FUZZ_CHECK(port >= 1 && port <= 65535);
    FUZZ_CHECK(tn_config_ms(config, "engine.timeout") <= 86400000);
    for (size_t i = 0; i < table.count; i++)
        FUZZ_CHECK(tn_config_text(config, keys[i].name) && tn_config_origin(config, keys[i].name));
    return 0;
}
