/* Table functions that stand for relations of the resolver: changes(...), vector_search(...).
 *
 * They are not the engine's. A call is read here, its arguments are constants,
 * and in the text that runs a view takes its place, as with AT.
 */
#include "engine/engine_internal.h"

#include <inttypes.h>
#include <math.h>

#define ARGUMENTS_MAX 9
#define NUMBERS_MAX   16384 /* of a list; an index says how many it wants */

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

/* Tells calls apart that read other things: each value with its kind and its
 * length before it, so that no text passes for two arguments or for a list. */
static char *key_of(struct tn_arena *arena, const char *name, const struct engine_value *values, size_t count)
{
    TN_AUTO_BUF key = {0};
    for (const char *c = name; *c; c++)
        tn_buf_putc(&key, tn_ascii_lower(*c));
    for (size_t i = 0; i < count; i++) {
        const struct engine_value *value = &values[i];
        tn_buf_printf(&key, "%c%s%s", i ? ',' : '(', value->name ? value->name : "", value->name ? ":=" : "");
        if (value->kind == ENGINE_LITERAL_NUMBERS)
            tn_buf_printf(&key, "%zu numbers:%016" PRIx64 "-%016" PRIx64, value->number_count,
                          tn_hash64(value->numbers, value->number_count * sizeof *value->numbers, 1),
                          tn_hash64(value->numbers, value->number_count * sizeof *value->numbers, 2));
        else
            tn_buf_printf(&key, "%d.%zu:%s", (int)value->kind, strlen(value->text), value->text);
    }
    tn_buf_putc(&key, ')');
    return tn_arena_strdup(arena, key.data);
}

/* ---- a list of numbers ----------------------------------------------------------- */

static bool is_real_type(const json_t *type)
{
    static const char *const reals[] = {"FLOAT", "REAL", "FLOAT4", "FLOAT8", "DOUBLE"};
    for (size_t i = 0; i < TN_COUNT(reals); i++)
        if (tn_str_equal_nocase(text_of(type, "type_name"), reals[i]))
            return true;
    return false;
}

/* What stands under ::FLOAT, ::FLOAT[], ::FLOAT[384]; *ret_length: of the last, else empty. */
static const json_t *under_cast(const json_t *expression, bool list, const char **ret_length)
{
    if (!tn_streq(text_of(expression, "class"), "CAST") || json_is_true(json_object_get(expression, "try_cast")))
        return expression;
    const json_t *type = json_object_get(expression, "type_expr"), *inner = json_object_get(type, "children");
    bool array = tn_str_equal_nocase(text_of(type, "type_name"), "array");
    if (list ? !array && !tn_str_equal_nocase(text_of(type, "type_name"), "list") : !is_real_type(type))
        return expression;
    if (list && !is_real_type(json_array_get(inner, 0)))
        return expression;
    if (array)
        *ret_length = text_of(json_object_get(json_array_get(inner, 1), "literal"), "text");
    return json_object_get(expression, "child");
}

/* The items of [...], array[...] and array_value(...), NULL where there are none; false: no list. */
static bool list_items(const json_t *expression, const json_t **ret)
{
    const char *function = text_of(expression, "function_name");
    bool constructor = tn_streq(text_of(expression, "type"), "ARRAY_CONSTRUCTOR");
    if (!constructor &&
        (!tn_streq(text_of(expression, "class"), "FUNCTION") ||
         (!tn_str_equal_nocase(function, "list_value") && !tn_str_equal_nocase(function, "array_value"))))
        return false;
    *ret = json_object_get(expression, constructor ? "children" : "arguments");
    return true;
}

static bool read_number(const json_t *item, double *ret)
{
    enum engine_literal kind;
    const char *text, *length = "";
    const json_t *inner = json_object_get(item, "expression");
    return guard_constant(under_cast(inner ? inner : item, false, &length), &kind, &text) &&
           (kind == ENGINE_LITERAL_INTEGER || kind == ENGINE_LITERAL_NUMBER) && tn_parse_double(text, ret) &&
           isfinite(*ret);
}

static bool read_list(const json_t *expression, struct tn_arena *arena, struct engine_value *ret,
                      const char **ret_why)
{
    const char *length = "";
    const json_t *items = NULL;
    if (!list_items(under_cast(expression, true, &length), &items))
        return false;
    size_t count = json_array_size(items);
    if (count > NUMBERS_MAX) {
        *ret_why = tn_arena_printf(arena, "takes %d numbers in a list at most, not %zu", NUMBERS_MAX, count);
        return false;
    }
    if (*length && !tn_streq(length, tn_arena_printf(arena, "%zu", count))) {
        *ret_why = tn_arena_printf(arena, "has a list of %zu numbers cast to %s", count, length);
        return false;
    }
    double *numbers = TN_ARENA_ARRAY(arena, double, count + 1);
    for (size_t i = 0; i < count; i++)
        if (!read_number(json_array_get(items, i), &numbers[i])) {
            *ret_why = tn_arena_printf(arena, "takes a list of numbers; item %zu of it is none", i + 1);
            return false;
        }
    *ret = (struct engine_value){.kind = ENGINE_LITERAL_NUMBERS, .numbers = numbers, .number_count = count};
    return true;
}

static bool read_value(const json_t *expression, bool lists, struct tn_arena *arena, struct engine_value *ret,
                       const char **ret_why)
{
    struct engine_value value = {0};
    const char *text;
    if (guard_constant(expression, &value.kind, &text))
        value.text = tn_arena_strdup(arena, text);
    else if (!lists || !read_list(expression, arena, &value, ret_why))
        return false;
    *ret = value;
    return true;
}

bool guard_call_read(const json_t *table, const char *sql, size_t length, struct tn_arena *arena,
                     struct guard_table *ret, const char **ret_why)
{
    const json_t *function = json_object_get(table, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    const json_t *location = json_object_get(table, "query_location");
    const char *name = text_of(function, "function_name");
    size_t count = json_array_size(arguments);
    if (count == 0 || count > ARGUMENTS_MAX || !json_is_number(location) || json_number_value(location) < 0 ||
        json_number_value(location) > (double)length)
        return false;
    bool lists = !tn_str_equal_nocase(name, names[0]); /* of the searches: a vector */
    struct engine_value *values = TN_ARENA_ARRAY(arena, struct engine_value, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *argument = json_array_get(arguments, i);
        const char *named = text_of(argument, "name");
        if ((!*named && i > 0 && values[i - 1].name) ||
            !read_value(json_object_get(argument, "expression"), lists, arena, &values[i], ret_why))
            return false;
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
