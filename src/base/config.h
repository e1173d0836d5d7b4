/* Configuration: one table of keys, three sources, and where each came from.
 *
 * A key is dotted ("server.port"). Its value is the default, unless
 * `tarn.yaml` sets it, unless the environment does (TARN_SERVER_PORT), unless
 * a flag does. Unknown keys and bad values are refused with file, line and a
 * suggestion. The table is the caller's (gateway/settings.c holds Tarn's), with
 * the sentence that `tarn config show` and the guide print for each key; it
 * must outlive the configuration.
 *
 * A loaded configuration is immutable and may be read by any thread.
 */
#ifndef TARN_BASE_CONFIG_H
#define TARN_BASE_CONFIG_H

#include "base/buf.h"

enum tn_config_kind {
    TN_CONFIG_STRING,
    TN_CONFIG_INT,
    TN_CONFIG_SIZE,     /* bytes; "25%" means of this machine's memory */
    TN_CONFIG_DURATION, /* milliseconds */
    TN_CONFIG_BOOL,
    TN_CONFIG_CHOICE,
};

struct tn_config_key {
    const char *name;
    enum tn_config_kind kind;
    const char *fallback; /* the default, as text */
    const char *choices;  /* for TN_CONFIG_CHOICE: "a|b|c" */
    int64_t min, max;     /* numbers, sizes, durations; ignored when equal */
    const char *help;
};

struct tn_config;

struct tn_config_table {
    const struct tn_config_key *keys;
    size_t count;
};

/* Reads `yaml_path` (may be NULL or absent: then all defaults) and the
 * environment. Flags are "key=value" texts from the command line. */
enum tn_code tn_config_load(struct tn_config_table table, const char *yaml_path, const char *const *flags,
                            size_t flag_count, struct tn_config **ret, struct tn_error *err) TN_CHECKED;
/* The same from text alone; `name` stands for the file in errors. For tests
 * and the fuzzer. */
enum tn_code tn_config_load_text(struct tn_config_table table, const char *yaml, size_t length, const char *name,
                                 struct tn_config **ret, struct tn_error *err) TN_CHECKED;
void tn_config_free(struct tn_config *config);
TN_DEFINE_CLEANUP(struct tn_config, tn_config_free)

/* The key must be in the table (a typo in our code is an assertion). */
const char *tn_config_string(const struct tn_config *config, const char *key);
int64_t tn_config_int(const struct tn_config *config, const char *key);
uint64_t tn_config_size(const struct tn_config *config, const char *key);
uint64_t tn_config_ms(const struct tn_config *config, const char *key);
bool tn_config_bool(const struct tn_config *config, const char *key);

struct tn_config_table tn_config_table(const struct tn_config *config);
/* "default", "tarn.yaml:12", "TARN_SERVER_PORT", "--set". */
const char *tn_config_origin(const struct tn_config *config, const char *key);
/* The value as text; secrets (none today) would print ***. */
const char *tn_config_text(const struct tn_config *config, const char *key);

#endif
