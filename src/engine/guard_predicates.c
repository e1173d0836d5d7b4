/* Conditions that decide which files of a table can matter.
 *
 * Read off `SELECT ... FROM one_table WHERE a AND b AND ...`: the terms that
 * compare a column with constants. They are hints for leaving files out, so a
 * term that is not understood is skipped and nothing is ever added: the query
 * still filters by its own WHERE.
 */
#include "engine/engine_internal.h"

#define MAX_PREDICATES 16
#define MAX_IN_VALUES  64

struct collector {
    struct tn_arena *arena;
    const char *table, *alias; /* the two names a column may be qualified by */
    struct engine_predicate *found;
    size_t count;
};

static const char *word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The column's name when this is a column of the table, else NULL. */
static const char *column_of(const struct collector *collector, const json_t *expression)
{
    const json_t *names = json_object_get(expression, "column_names");
    size_t count = json_array_size(names);
    if (!tn_streq(word(expression, "class"), "COLUMN_REF") || count < 1 || count > 2)
        return NULL;
    const char *last = json_string_value(json_array_get(names, count - 1));
    const char *qualifier = count == 2 ? json_string_value(json_array_get(names, 0)) : NULL;
    if (qualifier && !tn_str_equal_nocase(qualifier, *collector->alias ? collector->alias : collector->table))
        return NULL;
    return last;
}

static bool literal_kind(const json_t *literal, enum engine_literal *ret)
{
    static const struct {
        const char *kind;
        enum engine_literal literal;
    } kinds[] = {
        {"INTEGER", ENGINE_LITERAL_INTEGER}, {"NUMERIC", ENGINE_LITERAL_NUMBER}, {"STRING", ENGINE_LITERAL_TEXT}};
    for (size_t i = 0; i < TN_COUNT(kinds); i++) {
        if (tn_streq(word(literal, "kind"), kinds[i].kind)) {
            *ret = kinds[i].literal;
            return true;
        }
    }
    return false;
}

/* 5, 'x', DATE '2024-01-31', TIMESTAMP '...'. */
bool guard_constant(const json_t *expression, enum engine_literal *ret_kind, const char **ret_text)
{
    enum engine_literal cast = ENGINE_LITERAL_TEXT;
    bool is_cast = tn_streq(word(expression, "class"), "CAST");
    if (is_cast) {
        const char *type = word(json_object_get(expression, "type_expr"), "type_name");
        if (json_is_true(json_object_get(expression, "try_cast")))
            return false;
        if (tn_str_equal_nocase(type, "DATE"))
            cast = ENGINE_LITERAL_DATE;
        else if (tn_str_equal_nocase(type, "TIMESTAMP"))
            cast = ENGINE_LITERAL_TIMESTAMP;
        else
            return false;
        expression = json_object_get(expression, "child");
    }
    const json_t *literal = json_object_get(expression, "literal");
    if (!tn_streq(word(expression, "class"), "CONSTANT") || !literal_kind(literal, ret_kind) ||
        (is_cast && *ret_kind != ENGINE_LITERAL_TEXT))
        return false;
    if (is_cast)
        *ret_kind = cast;
    *ret_text = word(literal, "text");
    return true;
}

static void add(struct collector *collector, const char *column, enum engine_compare compare,
                const json_t *const *values, size_t count)
{
    if (collector->count == MAX_PREDICATES || !column || count == 0)
        return;
    struct engine_value *copies = TN_ARENA_ARRAY(collector->arena, struct engine_value, count);
    for (size_t i = 0; i < count; i++) {
        const char *text;
        if (!guard_constant(values[i], &copies[i].kind, &text))
            return;
        copies[i].text = tn_arena_strdup(collector->arena, text);
    }
    collector->found[collector->count++] =
        (struct engine_predicate){.column = tn_arena_strdup(collector->arena, column),
                                  .compare = compare,
                                  .values = copies,
                                  .value_count = count};
}

static const struct {
    const char *type;
    enum engine_compare compare, mirrored;
} comparisons[] = {
    {"COMPARE_EQUAL", ENGINE_EQUAL, ENGINE_EQUAL},
    {"COMPARE_LESSTHAN", ENGINE_LESS, ENGINE_GREATER},
    {"COMPARE_LESSTHANOREQUALTO", ENGINE_LESS_EQUAL, ENGINE_GREATER_EQUAL},
    {"COMPARE_GREATERTHAN", ENGINE_GREATER, ENGINE_LESS},
    {"COMPARE_GREATERTHANOREQUALTO", ENGINE_GREATER_EQUAL, ENGINE_LESS_EQUAL},
};

static void collect_comparison(struct collector *collector, const json_t *term)
{
    const json_t *left = json_object_get(term, "left"), *right = json_object_get(term, "right");
    const char *column = column_of(collector, left);
    bool mirrored = !column;
    if (mirrored)
        column = column_of(collector, right);
    const json_t *value = mirrored ? left : right;
    for (size_t i = 0; i < TN_COUNT(comparisons); i++)
        if (tn_streq(word(term, "type"), comparisons[i].type))
            add(collector, column, mirrored ? comparisons[i].mirrored : comparisons[i].compare, &value, 1);
}

static void collect_in(struct collector *collector, const json_t *term)
{
    const json_t *children = json_object_get(term, "children");
    size_t count = json_array_size(children);
    const json_t *values[MAX_IN_VALUES];
    if (count < 2 || count > MAX_IN_VALUES)
        return;
    for (size_t i = 1; i < count; i++)
        values[i - 1] = json_array_get(children, i);
    add(collector, column_of(collector, json_array_get(children, 0)), ENGINE_IN, values, count - 1);
}

static void collect(struct collector *collector, const json_t *term, unsigned depth)
{
    const char *class = word(term, "class"), *type = word(term, "type");
    if (tn_streq(class, "CONJUNCTION") && tn_streq(type, "CONJUNCTION_AND") && depth < 100) {
        const json_t *children = json_object_get(term, "children");
        for (size_t i = 0; i < json_array_size(children); i++)
            collect(collector, json_array_get(children, i), depth + 1);
    } else if (tn_streq(class, "COMPARISON")) {
        collect_comparison(collector, term);
    } else if (tn_streq(class, "BETWEEN") && tn_streq(type, "COMPARE_BETWEEN")) {
        const char *column = column_of(collector, json_object_get(term, "input"));
        const json_t *lower = json_object_get(term, "lower"), *upper = json_object_get(term, "upper");
        add(collector, column, ENGINE_GREATER_EQUAL, &lower, 1);
        add(collector, column, ENGINE_LESS_EQUAL, &upper, 1);
    } else if (tn_streq(class, "OPERATOR") && tn_streq(type, "COMPARE_IN")) {
        collect_in(collector, term);
    }
}

void guard_predicates(const json_t *select, const json_t *table, struct tn_arena *arena, struct engine_table_ref *ref)
{
    /* A sample is drawn from all rows, before they are filtered. */
    if (json_is_object(json_object_get(table, "sample")) || json_is_object(json_object_get(select, "sample")))
        return;
    /* FROM t AS x(a, b) gives the columns other names. */
    if (json_array_size(json_object_get(table, "column_name_alias")))
        return;
    struct collector collector = {.arena = arena, .table = word(table, "table_name"), .alias = word(table, "alias")};
    collector.found = TN_ARENA_ARRAY(arena, struct engine_predicate, MAX_PREDICATES);
    collect(&collector, json_object_get(select, "where_clause"), 0);
    ref->predicates = collector.found;
    ref->predicate_count = collector.count;
}
