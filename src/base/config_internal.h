/* Between the table of keys (config.c) and the YAML reader (config_yaml.c). */
#ifndef TARN_BASE_CONFIG_INTERNAL_H
#define TARN_BASE_CONFIG_INTERNAL_H

#include "base/config.h"

/* Where a value stands: in a file (line and column, 1-based) or, with line 0,
 * in what `source` names. */
struct config_place {
    const char *source; /* for errors: "lake/tarn.yaml", "TARN_SERVER_PORT" */
    const char *origin; /* for tn_config_origin: "tarn.yaml", "TARN_SERVER_PORT" */
    int line, column;
};

/* Checks and stores one value; unknown keys and bad values are refused. */
enum tn_code config_set(struct tn_config *config, const char *key, const char *value, struct config_place place,
                        struct tn_error *err) TN_CHECKED;
bool config_has_key(const struct tn_config *config, const char *key);
/* Whether keys begin with "section.". */
bool config_has_section(const struct tn_config *config, const char *section);
/* TN_ECONFIG with "source:line: text", position set. */
enum tn_code config_fail(struct tn_error *err, struct config_place place, const char *format, ...) TN_PRINTF(3, 4);
enum tn_code config_fail_unknown(const struct tn_config *config, const char *key, struct config_place place,
                                 struct tn_error *err);

/* Reads the text and calls config_set for each value in it. */
enum tn_code config_read_yaml(struct tn_config *config, const char *yaml, size_t length, struct config_place place,
                              struct tn_error *err) TN_CHECKED;

#endif
