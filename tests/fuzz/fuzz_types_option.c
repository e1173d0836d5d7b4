/* The text of types=, and each parser behind it on the rest of the input. */
#include "ingest/overrides.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    /* Up to the first line end: the option; behind it: a value. */
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t option_length = newline ? (size_t)(newline - data) : size;
    char *option = malloc(option_length + 1);
    if (option_length)
        memcpy(option, data, option_length);
    option[option_length] = '\0';
    size_t value_length = newline ? size - option_length - 1 : 0;
    char *value = malloc(value_length + 1);
    if (value_length)
        memcpy(value, newline + 1, value_length);
    struct tn_arena *arena = tn_arena_new();
    struct override *list = NULL;
    size_t count = 0;
    struct tn_error err = {0};
    if (overrides_parse(arena, option, &list, &count, &err) == TN_OK) {
        for (size_t i = 0; i < count; i++) {
            union typed_value parsed;
            const char *why = NULL;
            if (!typed_parse(&list[i].target, value, value_length, &parsed, &why) && !why)
                abort();
        }
    } else if (err.detail[0] == '\0') {
        abort();
    }
    tn_arena_free(arena);
    free(value);
    free(option);
    return 0;
}
