/* Options by table (see options.h). */
#include "cli/options.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct reading {
    struct cli_args *args;
    struct tn_arena *arena;
    int argc;
    char *const *argv;
    int at;
};

static const struct cli_option *find_long(const struct cli_args *args, const char *name, size_t length)
{
    for (size_t t = 0; t < TN_COUNT(args->tables); t++)
        for (size_t i = 0; args->tables[t] && i < args->tables[t]->count; i++) {
            const struct cli_option *option = &args->tables[t]->items[i];
            if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
                return option;
        }
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_args *args, char letter)
{
    for (size_t t = 0; t < TN_COUNT(args->tables); t++)
        for (size_t i = 0; args->tables[t] && i < args->tables[t]->count; i++)
            if (args->tables[t]->items[i].letter == letter)
                return &args->tables[t]->items[i];
    return NULL;
}

static enum tn_code unknown_option(const struct cli_args *args, struct tn_arena *arena, const char *text,
                                   struct tn_error *err)
{
    size_t count = 0, total = 0;
    for (size_t t = 0; t < TN_COUNT(args->tables); t++)
        total += args->tables[t] ? args->tables[t]->count : 0;
    const char **names = TN_ARENA_ARRAY(arena, const char *, total + 1);
    for (size_t t = 0; t < TN_COUNT(args->tables); t++)
        for (size_t i = 0; args->tables[t] && i < args->tables[t]->count; i++)
            names[count++] = args->tables[t]->items[i].name;
    enum tn_code code = tn_fail(err, TN_EUSAGE, "unknown option %s", text);
    const char *word = text + strspn(text, "-");
    const char *near = tn_suggest(tn_arena_strndup(arena, word, strcspn(word, "=")), names, count);
    if (near)
        tn_error_hint(err, "did you mean --%s? A word that begins with - stands behind --", near);
    else
        tn_error_hint(err, "a word that begins with - stands behind --, as in: -- %s", text);
    return code;
}

static enum tn_code take(struct reading *reading, const struct cli_option *option, const char *value,
                         struct tn_error *err)
{
    struct cli_args *args = reading->args;
    if (!option->value && value)
        return tn_fail(err, TN_EUSAGE, "--%s takes no value", option->name);
    if (option->value && !value && !option->optional) {
        if (reading->at + 1 >= reading->argc) {
            enum tn_code code = tn_fail(err, TN_EUSAGE, "--%s needs a value", option->name);
            tn_error_hint(err, "--%s %s: %s", option->name, option->value, option->help);
            return code;
        }
        value = reading->argv[++reading->at];
    }
    args->given[args->given_count++] = (struct cli_given){.option = option, .value = value};
    return TN_OK;
}

static enum tn_code take_long(struct reading *reading, const char *text, struct tn_error *err)
{
    const char *name = text + 2;
    size_t length = strcspn(name, "=");
    const struct cli_option *option = find_long(reading->args, name, length);
    if (!option)
        return unknown_option(reading->args, reading->arena, text, err);
    return take(reading, option, name[length] == '=' ? name + length + 1 : NULL, err);
}

/* "-q", "-c TEXT", "-cTEXT", and switches in one bundle: "-qj". */
static enum tn_code take_short(struct reading *reading, const char *text, struct tn_error *err)
{
    for (const char *p = text + 1; *p; p++) {
        const struct cli_option *option = find_letter(reading->args, *p);
        if (!option)
            return unknown_option(reading->args, reading->arena, text, err);
        if (option->value)
            return take(reading, option, p[1] ? p + 1 : NULL, err);
        TN_TRY(take(reading, option, NULL, err));
    }
    return TN_OK;
}

enum tn_code cli_args_parse(struct tn_arena *arena, const struct cli_options *first, const struct cli_options *second,
                            int argc, char *const *argv, bool until_word, struct cli_args *ret, int *ret_used,
                            struct tn_error *err)
{
    size_t characters = 1;
    for (int i = 0; i < argc; i++)
        characters += strlen(argv[i]) + 1;
    struct cli_args args = {
        .tables = {first, second},
        .given = TN_ARENA_ARRAY(arena, struct cli_given, characters), /* a bundle gives one each letter */
        .words = TN_ARENA_ARRAY(arena, const char *, (size_t)argc + 1),
    };
    struct reading reading = {.args = &args, .arena = arena, .argc = argc, .argv = argv};
    bool options_end = false;
    for (; reading.at < argc; reading.at++) {
        const char *text = argv[reading.at];
        if (options_end || text[0] != '-' || text[1] == '\0') {
            args.words[args.word_count++] = text;
            if (until_word) {
                reading.at++;
                break;
            }
        } else if (tn_streq(text, "--")) {
            options_end = true;
        } else if (text[1] == '-') {
            TN_TRY(take_long(&reading, text, err));
        } else {
            TN_TRY(take_short(&reading, text, err));
        }
    }
    *ret = args;
    *ret_used = reading.at;
    return TN_OK;
}

static const char *last_value(const struct cli_args *args, const char *name, bool *ret_found)
{
    assert(find_long(args, name, strlen(name)));
    *ret_found = false;
    for (size_t i = args->given_count; i > 0; i--)
        if (tn_streq(args->given[i - 1].option->name, name)) {
            *ret_found = true;
            return args->given[i - 1].value;
        }
    return NULL;
}

bool cli_args_has(const struct cli_args *args, const char *name)
{
    bool found;
    (void)last_value(args, name, &found);
    return found;
}

const char *cli_args_text(const struct cli_args *args, const char *name, const char *fallback)
{
    bool found;
    const char *value = last_value(args, name, &found);
    return found ? value : fallback;
}

enum tn_code cli_args_i64(const struct cli_args *args, const char *name, int64_t min, int64_t max, int64_t fallback,
                          int64_t *ret, struct tn_error *err)
{
    const char *text = cli_args_text(args, name, NULL);
    int64_t value = fallback;
    if (text && (!tn_parse_i64(text, &value) || value < min || value > max))
        return tn_fail(err, TN_EUSAGE, "--%s %s: not a whole number from %" PRId64 " to %" PRId64, name, text, min,
                       max);
    *ret = value;
    return TN_OK;
}

enum tn_code cli_args_bool(const struct cli_args *args, const char *name, bool fallback, bool *ret,
                           struct tn_error *err)
{
    bool found, value = true;
    const char *text = last_value(args, name, &found);
    if (text && !tn_parse_bool(text, &value))
        return tn_fail(err, TN_EUSAGE, "--%s=%s: neither true nor false", name, text);
    *ret = found ? value : fallback;
    return TN_OK;
}

const char *const *cli_args_all(const struct cli_args *args, struct tn_arena *arena, const char *name,
                                size_t *ret_count)
{
    const char **values = TN_ARENA_ARRAY(arena, const char *, args->given_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < args->given_count; i++)
        if (tn_streq(args->given[i].option->name, name))
            values[count++] = args->given[i].value;
    *ret_count = count;
    return values;
}
