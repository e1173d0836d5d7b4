/* Table functions that stand for relations of the resolver: changes(...), vector_search(...).
 *
 * They are not the engine's. A call is read here, its arguments are constants,
 * and in the text that runs a view takes its place, as with AT.
 */
#include "engine/engine_internal.h"

#define ARGUMENTS_MAX 8

static const char *const names[] = {"changes", "vector_search", "keyword_search", "hybrid_search"};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool guard_call_is(const json_t *function)
{
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (tn_str_equal_nocase(text_of(function, "function_name"), names[i]))
            return !*text_of(function, "schema") && !*text_of(function, "catalog");
    return false;
}

/* changes(people,12,17): tells calls apart that read other things. */
static char *key_of(struct tn_arena *arena, const char *name, const struct engine_value *values, size_t count)
{
    TN_AUTO_BUF key = {0};
    for (const char *c = name; *c; c++)
        tn_buf_putc(&key, tn_ascii_lower(*c));
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(&key, "%c%s%s%s", i ? ',' : '(', values[i].name ? values[i].name : "",
                      values[i].name ? ":=" : "", values[i].text);
    tn_buf_putc(&key, ')');
    return tn_arena_strdup(arena, key.data);
}

bool guard_call_read(const json_t *table, const char *sql, size_t length, struct tn_arena *arena,
                     struct guard_table *ret)
{
    const json_t *function = json_object_get(table, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    const json_t *location = json_object_get(table, "query_location");
    const char *name = text_of(function, "function_name");
    size_t count = json_array_size(arguments);
    if (count == 0 || count > ARGUMENTS_MAX || !json_is_number(location) || json_number_value(location) < 0 ||
        json_number_value(location) > (double)length)
        return false;
    struct engine_value *values = TN_ARENA_ARRAY(arena, struct engine_value, count);
    for (size_t i = 0; i < count; i++) {
        const char *text;
        const json_t *argument = json_array_get(arguments, i);
        const char *named = text_of(argument, "name");
        if ((!*named && i > 0 && values[i - 1].name) ||
            !guard_constant(json_object_get(argument, "expression"), &values[i].kind, &text))
            return false;
        values[i].text = tn_arena_strdup(arena, text);
        values[i].name = *named ? tn_arena_strdup(arena, named) : NULL;
    }
    ret->location = (size_t)json_number_value(location);
    ret->name_span = guard_text_call(sql, length, ret->location, name);
    ret->call = true;
    ret->key = key_of(arena, name, values, count);
    ret->ref =
        (struct engine_table_ref){.name = tn_arena_strdup(arena, name), .arguments = values, .argument_count = count};
    return ret->name_span > 0;
}
