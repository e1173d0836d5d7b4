/* JSON values bound to the parameters of a compiled statement.
 *
 * Integers arrive as BIGINT, other numbers as DOUBLE, strings as VARCHAR,
 * arrays as lists of what their elements have in common; DuckDB casts them to
 * the type that the place in the statement asks for. Never pasted into text.
 */
#include "engine/engine_internal.h"

#define MAX_LIST_DEPTH 8

static enum tn_code make_value(const json_t *json, const char *name, size_t depth, duckdb_value *ret,
                               struct tn_error *err);

static enum tn_code mixed(const char *name, struct tn_error *err)
{
    tn_fail(err, TN_EREQUEST, "parameter %s: the values of the array are of different kinds", name);
    tn_error_hint(err, "Make them all numbers, all strings or all booleans; null is allowed anywhere.");
    return TN_EREQUEST;
}

static enum duckdb_type_tag { TAG_NONE, TAG_BOOL, TAG_INT, TAG_REAL, TAG_TEXT, TAG_LIST } tag_of(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return TAG_BOOL;
    case JSON_INTEGER:
        return TAG_INT;
    case JSON_REAL:
        return TAG_REAL;
    case JSON_ARRAY:
        return TAG_LIST;
    case JSON_NULL:
        return TAG_NONE;
    default:
        return TAG_TEXT;
    }
}

static enum tn_code common_type(const json_t *array, const char *name, size_t depth, duckdb_logical_type *ret,
                                struct tn_error *err);

static enum tn_code list_type(const json_t *array, const char *name, size_t depth, duckdb_logical_type *ret,
                              struct tn_error *err)
{
    duckdb_logical_type element = NULL;
    TN_TRY(common_type(array, name, depth, &element, err));
    *ret = duckdb_create_list_type(element);
    duckdb_destroy_logical_type(&element);
    return TN_OK;
}

/* What the elements of an array have in common. */
static enum tn_code common_type(const json_t *array, const char *name, size_t depth, duckdb_logical_type *ret,
                                struct tn_error *err)
{
    enum duckdb_type_tag tag = TAG_NONE;
    const json_t *first_list = NULL;
    if (depth > MAX_LIST_DEPTH)
        return tn_fail(err, TN_EREQUEST, "parameter %s: arrays are nested too deeply", name);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        enum duckdb_type_tag next = tag_of(item);
        if (next == TAG_LIST && (!first_list || json_array_size(first_list) == 0))
            first_list = item;
        if (tag == TAG_NONE || next == TAG_NONE || tag == next)
            tag = tag == TAG_NONE ? next : tag;
        else if ((tag == TAG_INT || tag == TAG_REAL) && (next == TAG_INT || next == TAG_REAL))
            tag = TAG_REAL;
        else
            return mixed(name, err);
    }
    if (tag == TAG_LIST)
        return list_type(first_list, name, depth + 1, ret, err);
    static const duckdb_type types[] = {DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_BOOLEAN, DUCKDB_TYPE_BIGINT,
                                        DUCKDB_TYPE_DOUBLE, DUCKDB_TYPE_VARCHAR};
    *ret = duckdb_create_logical_type(types[tag]);
    return TN_OK;
}

static void destroy_values(duckdb_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i])
            duckdb_destroy_value(&values[i]);
    }
    free(values);
}

static enum tn_code make_list(const json_t *array, const char *name, size_t depth, duckdb_value *ret,
                              struct tn_error *err)
{
    size_t count = json_array_size(array);
    duckdb_logical_type element = NULL;
    TN_TRY(common_type(array, name, depth, &element, err));
    duckdb_value *values = tn_calloc(count + 1, sizeof *values);
    bool real = duckdb_get_type_id(element) == DUCKDB_TYPE_DOUBLE;
    enum tn_code code = TN_OK;
    for (size_t i = 0; code == TN_OK && i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (real && json_is_number(item))
            values[i] = duckdb_create_double(json_number_value(item));
        else
            code = make_value(item, name, depth + 1, &values[i], err);
    }
    if (code == TN_OK) {
        duckdb_value list = duckdb_create_list_value(element, values, count);
        if (list)
            *ret = list;
        else
            code = mixed(name, err);
    }
    destroy_values(values, count);
    duckdb_destroy_logical_type(&element);
    return code;
}

static duckdb_value text_value(const json_t *json)
{
    TN_AUTO_BUF text = {0};
    tn_json_dump(json, &text);
    return duckdb_create_varchar_length(text.data ? text.data : "", text.len);
}

static enum tn_code make_value(const json_t *json, const char *name, size_t depth, duckdb_value *ret,
                               struct tn_error *err)
{
    switch (json_typeof(json)) {
    case JSON_TRUE:
    case JSON_FALSE:
        *ret = duckdb_create_bool(json_is_true(json));
        return TN_OK;
    case JSON_INTEGER:
        *ret = duckdb_create_int64((int64_t)json_integer_value(json));
        return TN_OK;
    case JSON_REAL:
        *ret = duckdb_create_double(json_real_value(json));
        return TN_OK;
    case JSON_STRING:
        *ret = duckdb_create_varchar_length(json_string_value(json), json_string_length(json));
        return TN_OK;
    case JSON_ARRAY:
        return make_list(json, name, depth, ret, err);
    case JSON_OBJECT:
        *ret = text_value(json); /* as JSON text */
        return TN_OK;
    default:
        *ret = duckdb_create_null_value();
        return TN_OK;
    }
}

static enum tn_code wrong_count(size_t wanted, size_t given, struct tn_error *err)
{
    tn_fail(err, TN_EREQUEST, "the statement has %zu parameter%s, params has %zu value%s", wanted,
            wanted == 1 ? "" : "s", given, given == 1 ? "" : "s");
    tn_error_hint(
        err, wanted ? "Give params one value for each of $1, $2, ... or ?, or an object for names such as $since."
                    : "Mark the places for values with $1, $2, ... or ?.");
    return TN_EREQUEST;
}

static enum tn_code bind_one(duckdb_prepared_statement prepared, idx_t index, const json_t *json, const char *name,
                             struct tn_error *err)
{
    duckdb_value value = NULL;
    TN_TRY(make_value(json, name, 0, &value, err));
    duckdb_state state = duckdb_bind_value(prepared, index, value);
    duckdb_destroy_value(&value);
    if (state == DuckDBSuccess)
        return TN_OK;
    return tn_fail(err, TN_EREQUEST, "parameter %s cannot be bound", name);
}

/* The value of a parameter by the name that DuckDB gives it ("1", "since"). */
static const json_t *find_param(const json_t *params, const char *name, size_t *ret_position)
{
    uint64_t number = 0;
    if (json_is_object(params))
        return json_object_get(params, name);
    if (!tn_parse_u64(name, &number) || number == 0)
        return NULL;
    *ret_position = (size_t)number;
    return json_array_get(params, (size_t)number - 1);
}

enum tn_code engine_bind_params(duckdb_prepared_statement prepared, const json_t *params, struct tn_error *err)
{
    size_t wanted = (size_t)duckdb_nparams(prepared);
    bool object = json_is_object(params);
    size_t given = !params || json_is_null(params) ? 0 : object ? json_object_size(params) : json_array_size(params);
    if (given && !object && !json_is_array(params))
        return tn_fail(err, TN_EREQUEST, "params must be an array or an object");
    size_t highest = 0;
    for (idx_t i = 1; i <= wanted; i++) {
        const char *name = duckdb_parameter_name(prepared, i);
        TN_AUTO_FREE char *label = tn_asprintf("$%s", name ? name : "?");
        size_t position = 0;
        const json_t *value = name && given ? find_param(params, name, &position) : NULL;
        duckdb_free((void *)(uintptr_t)name);
        highest = TN_MAX(highest, position);
        if (!value && !object)
            return wrong_count(wanted, given, err);
        if (!value) {
            tn_fail(err, TN_EREQUEST, "params has no value for %s", label);
            return TN_EREQUEST;
        }
        TN_TRY(bind_one(prepared, i, value, label, err));
    }
    if (object ? given != wanted : given > highest)
        return wrong_count(wanted, given, err);
    return TN_OK;
}
