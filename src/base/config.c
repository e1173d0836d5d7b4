/* The table of configuration keys, their values and where they came from. */
#include "base/config.h"

#include "base/config_internal.h"
#include "base/fs.h"
#include "base/machine.h"
#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_MAX_BYTES = 1 << 20 };

struct value {
    const char *text;   /* the arena's */
    const char *origin; /* the arena's */
    int64_t number;     /* of every kind but text; booleans 0 and 1 */
};

struct tn_config {
    struct tn_config_table table;
    struct tn_arena *arena;
    struct value *values; /* one per key of the table */
};

enum tn_code config_fail(struct tn_error *err, struct config_place place, const char *format, ...)
{
    char text[800];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (place.line == 0)
        return tn_fail(err, TN_ECONFIG, "%s: %s", place.source, text);
    (void)tn_fail(err, TN_ECONFIG, "%s:%d: %s", place.source, place.line, text);
    if (err) {
        err->line = place.line;
        err->column = place.column;
    }
    return TN_ECONFIG;
}

static const struct tn_config_key *find_key(const struct tn_config *config, const char *name)
{
    for (size_t i = 0; i < config->table.count; i++) {
        if (tn_streq(config->table.keys[i].name, name))
            return &config->table.keys[i];
    }
    return NULL;
}

bool config_has_key(const struct tn_config *config, const char *key)
{
    return find_key(config, key) != NULL;
}

bool config_has_section(const struct tn_config *config, const char *section)
{
    size_t length = strlen(section);
    for (size_t i = 0; i < config->table.count; i++) {
        const char *name = config->table.keys[i].name;
        if (strncmp(name, section, length) == 0 && name[length] == '.')
            return true;
    }
    return false;
}

enum tn_code config_fail_unknown(const struct tn_config *config, const char *key, struct config_place place,
                                 struct tn_error *err)
{
    (void)config_fail(err, place, "unknown key \"%s\"", key);
    size_t count = config->table.count;
    TN_AUTO_FREE const char **names = tn_calloc(count, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = config->table.keys[i].name;
    const char *near = tn_suggest(key, names, count);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"?", near);
    else
        tn_error_hint(err, "`tarn config show` lists every key");
    return TN_ECONFIG;
}

/* "64MB", or "25%" of this machine's memory. */
static bool parse_config_size(const char *text, int64_t *ret)
{
    uint64_t bytes;
    size_t length = strlen(text);
    if (length > 1 && length <= 4 && text[length - 1] == '%') {
        char digits[4] = {0};
        uint64_t percent;
        memcpy(digits, text, length - 1);
        if (!tn_parse_u64(digits, &percent) || percent > 100)
            return false;
        bytes = tn_machine_memory() / 100 * percent;
    } else if (!tn_parse_size(text, &bytes)) {
        return false;
    }
    if (bytes > INT64_MAX)
        return false;
    *ret = (int64_t)bytes;
    return true;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *p = choices; p;) {
        const char *end = strchrnul(p, '|');
        if ((size_t)(end - p) == length && memcmp(p, text, length) == 0)
            return length > 0;
        p = *end ? end + 1 : NULL;
    }
    return false;
}

/* The value as a number; on failure says what was expected. */
static bool parse_value(const struct tn_config_key *key, const char *text, int64_t *ret, const char **ret_expected)
{
    switch (key->kind) {
    case TN_CONFIG_STRING:
        *ret = 0;
        return true;
    case TN_CONFIG_INT:
        *ret_expected = "a whole number";
        return tn_parse_i64(text, ret);
    case TN_CONFIG_SIZE:
        *ret_expected = "a size such as 512MB, 4GB or 25%";
        return parse_config_size(text, ret);
    case TN_CONFIG_DURATION: {
        *ret_expected = "a duration such as 250ms, 30s or 5m";
        uint64_t ms;
        if (!tn_parse_duration_ms(text, &ms) || ms > INT64_MAX)
            return false;
        *ret = (int64_t)ms;
        return true;
    }
    case TN_CONFIG_BOOL: {
        *ret_expected = "true or false";
        bool value;
        if (!tn_parse_bool(text, &value))
            return false;
        *ret = value;
        return true;
    }
    case TN_CONFIG_CHOICE:
        *ret = 0;
        *ret_expected = key->choices;
        return is_choice(key->choices, text);
    }
    return false;
}

static void put_bound(struct tn_buf *out, const struct tn_config_key *key, int64_t bound)
{
    char text[32];
    if (key->kind == TN_CONFIG_SIZE && bound >= 0)
        tn_buf_puts(out, tn_format_size((uint64_t)bound, text));
    else if (key->kind == TN_CONFIG_DURATION && bound >= 0)
        tn_buf_puts(out, tn_format_duration((uint64_t)bound, text));
    else
        tn_buf_printf(out, "%lld", (long long)bound);
}

static enum tn_code check_value(const struct tn_config_key *key, const char *text, struct config_place place,
                                int64_t *ret, struct tn_error *err)
{
    int64_t number = 0;
    const char *expected = "";
    if (!parse_value(key, text, &number, &expected)) {
        TN_AUTO_BUF wanted = {0};
        for (const char *p = expected; *p; p++) {
            if (*p == '|')
                tn_buf_puts(&wanted, " or ");
            else
                tn_buf_putc(&wanted, *p);
        }
        return config_fail(err, place, "%s must be %s, not \"%.100s\"", key->name, wanted.data, text);
    }
    bool numeric = key->kind == TN_CONFIG_INT || key->kind == TN_CONFIG_SIZE || key->kind == TN_CONFIG_DURATION;
    if (numeric && key->min != key->max && (number < key->min || number > key->max)) {
        TN_AUTO_BUF low = {0}, high = {0};
        put_bound(&low, key, key->min);
        put_bound(&high, key, key->max);
        return config_fail(err, place, "%s must be between %s and %s, not %.100s", key->name, low.data, high.data,
                           text);
    }
    *ret = number;
    return TN_OK;
}

enum tn_code config_set(struct tn_config *config, const char *key, const char *value, struct config_place place,
                        struct tn_error *err)
{
    const struct tn_config_key *known = find_key(config, key);
    if (!known)
        return config_fail_unknown(config, key, place, err);
    int64_t number = 0;
    TN_TRY(check_value(known, value, place, &number, err));
    struct value *slot = &config->values[known - config->table.keys];
    slot->text = tn_arena_strdup(config->arena, value);
    slot->origin = place.line ? tn_arena_printf(config->arena, "%s:%d", place.origin, place.line)
                              : tn_arena_strdup(config->arena, place.origin);
    slot->number = number;
    return TN_OK;
}

static enum tn_code config_new(struct tn_config_table table, struct tn_config **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = tn_calloc(1, sizeof *config);
    config->table = table;
    config->arena = tn_arena_new();
    config->values = TN_ARENA_ARRAY(config->arena, struct value, table.count);
    for (size_t i = 0; i < table.count; i++) {
        const char *fallback = table.keys[i].fallback ? table.keys[i].fallback : "";
        TN_TRY(config_set(config, table.keys[i].name, fallback,
                          (struct config_place){.source = "default", .origin = "default"}, err));
    }
    *ret = TN_TAKE(config);
    return TN_OK;
}

void tn_config_free(struct tn_config *config)
{
    if (!config)
        return;
    tn_arena_free(config->arena);
    free(config);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum tn_code tn_config_load_text(struct tn_config_table table, const char *yaml, size_t length, const char *name,
                                 struct tn_config **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
    TN_TRY(config_new(table, &config, err));
    struct config_place place = {.source = name, .origin = file_name(name)};
    TN_TRY(config_read_yaml(config, yaml, length, place, err));
    *ret = TN_TAKE(config);
    return TN_OK;
}

static enum tn_code read_environment(struct tn_config *config, struct tn_error *err)
{
    for (size_t i = 0; i < config->table.count; i++) {
        const char *key = config->table.keys[i].name;
        char *variable = tn_arena_printf(config->arena, "TARN_%s", key);
        for (char *p = variable; *p; p++)
            *p = *p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        const char *value = getenv(variable);
        if (value)
            TN_TRY(
                config_set(config, key, value, (struct config_place){.source = variable, .origin = variable}, err));
    }
    return TN_OK;
}

static enum tn_code read_flags(struct tn_config *config, const char *const *flags, size_t count, struct tn_error *err)
{
    struct config_place place = {.source = "--set", .origin = "--set"};
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(flags[i], '=');
        if (!equals)
            return config_fail(err, place, "\"%s\" is not key=value", flags[i]);
        char *key = tn_arena_strndup(config->arena, flags[i], (size_t)(equals - flags[i]));
        TN_TRY(config_set(config, key, equals + 1, place, err));
    }
    return TN_OK;
}

static enum tn_code read_file(struct tn_config *config, const char *path, struct tn_error *err)
{
    TN_AUTO_BUF yaml = {0};
    struct tn_error problem = {0};
    enum tn_code code = tn_file_read(path, CONFIG_MAX_BYTES, &yaml, &problem);
    if (code == TN_ENOTFOUND)
        return TN_OK;
    if (code != TN_OK) {
        if (err)
            *err = problem;
        return code;
    }
    struct config_place place = {.source = path, .origin = file_name(path)};
    return config_read_yaml(config, yaml.data ? yaml.data : "", yaml.len, place, err);
}

enum tn_code tn_config_load(struct tn_config_table table, const char *yaml_path, const char *const *flags,
                            size_t flag_count, struct tn_config **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_config_free_p) struct tn_config *config = NULL;
    TN_TRY(config_new(table, &config, err));
    if (yaml_path)
        TN_TRY(read_file(config, yaml_path, err));
    TN_TRY(read_environment(config, err));
    TN_TRY(read_flags(config, flags, flag_count, err));
    *ret = TN_TAKE(config);
    return TN_OK;
}

/* A key that is not in the table is a mistake in our own code. */
static const struct value *value_of(const struct tn_config *config, const char *key)
{
    const struct tn_config_key *known = find_key(config, key);
    if (!known) {
        (void)fprintf(stderr, "tarn: no configuration key \"%s\"\n", key);
        abort();
    }
    return &config->values[known - config->table.keys];
}

const char *tn_config_string(const struct tn_config *config, const char *key)
{
    return value_of(config, key)->text;
}

int64_t tn_config_int(const struct tn_config *config, const char *key)
{
    assert(find_key(config, key)->kind == TN_CONFIG_INT);
    return value_of(config, key)->number;
}

uint64_t tn_config_size(const struct tn_config *config, const char *key)
{
    assert(find_key(config, key)->kind == TN_CONFIG_SIZE);
    return (uint64_t)value_of(config, key)->number;
}

uint64_t tn_config_ms(const struct tn_config *config, const char *key)
{
    assert(find_key(config, key)->kind == TN_CONFIG_DURATION);
    return (uint64_t)value_of(config, key)->number;
}

bool tn_config_bool(const struct tn_config *config, const char *key)
{
    assert(find_key(config, key)->kind == TN_CONFIG_BOOL);
    return value_of(config, key)->number != 0;
}

struct tn_config_table tn_config_table(const struct tn_config *config)
{
    return config->table;
}
const char *tn_config_origin(const struct tn_config *config, const char *key)
{
    return value_of(config, key)->origin;
}
const char *tn_config_text(const struct tn_config *config, const char *key)
{
    return value_of(config, key)->text;
}
