/* The walk over the tree: every object in it is judged by its type.
 *
 * Objects with a "class" are expressions, objects with a "type" alone are
 * query nodes, table references and modifiers, the rest (CASE branches, order
 * terms) is only walked through. A field that this file does not know is
 * walked like any other, so that nothing hides behind a new name.
 *
 * Names of common table expressions shadow tables, so the walk keeps the scope
 * that SQL defines: an entry sees those before it, and itself only when it is
 * recursive. Where DuckDB should see more than we do, the name is taken for a
 * dataset, which at worst refuses a text.
 */
#include "engine/engine_internal.h"

#define MAX_DEPTH        2000
#define MAX_NODES        400000
#define MAX_TABLES       400
#define MAX_NAME_PARTS   12
#define MAX_LAMBDA_DEPTH 6

struct scope {
    const char *name;
    bool recursive;
    const struct scope *outer;
};

struct walk {
    const char *sql;
    size_t length;
    struct tn_arena *arena;
    struct guard_table *tables;
    size_t table_count, table_capacity;
    size_t depth, nodes, refs, lambda_depth;
    bool constant;   /* inside AT (...) */
    bool expression; /* a predicate: no tables */
    bool varies;     /* for guard_analysis */
    const struct scope *scope;
    const json_t *select, *only_table; /* the SELECT being walked, when it reads one table */
    struct tn_error *err;
};

static enum tn_code walk_value(struct walk *walk, const json_t *value);

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* False when the tree does not say. */
static bool location_of(const struct walk *walk, const json_t *object, size_t *ret)
{
    const json_t *value = json_object_get(object, "query_location");
    if (!json_is_number(value))
        return false;
    double location = json_number_value(value);
    if (location < 0 || location > (double)walk->length)
        return false;
    *ret = (size_t)location;
    return true;
}

static void place(const struct walk *walk, const json_t *object)
{
    size_t location = 0;
    if (location_of(walk, object, &location))
        engine_error_place(walk->err, walk->sql, walk->length, location);
}

#define REFUSE(walk, object, ...)                                                                                    \
    do {                                                                                                             \
        (void)tn_fail((walk)->err, TN_ESQLREFUSED, __VA_ARGS__);                                                     \
        place((walk), (object));                                                                                     \
    } while (0)

static enum tn_code judge_function(struct walk *walk, const json_t *object, const json_t *positioned, bool table)
{
    const char *name = text_at(object, "function_name");
    if (table ? guard_table_function_allowed(name) : guard_function_allowed(name))
        return TN_OK;
    const char *why = guard_function_refusal(name);
    if (why) {
        REFUSE(walk, positioned, "the function %s() cannot be used in a query: it %s", name, why);
        if (strstr(why, "files"))
            tn_error_hint(walk->err, "Load the file first: tarn ingest FILE, then query the dataset by its name.");
        return TN_ESQLREFUSED;
    }
    if (table) {
        REFUSE(walk, positioned, "the table function %s() cannot be used in a query", name);
        tn_error_hint(walk->err, "These can: range, generate_series, unnest, repeat, json_each, json_tree.");
        return TN_ESQLREFUSED;
    }
    REFUSE(walk, positioned, "there is no function %s() for queries", name);
    tn_error_hint(walk->err, "Check its spelling; docs/guide/sql-safety.md lists the families that are there.");
    return TN_ESQLREFUSED;
}

/* A call that makes one huge value works within a single step of the engine:
 * not counted against its memory, not to be interrupted. The constant that
 * says so is refused; what is computed meets the bound of the process. */
#define MAX_CONSTANT_SIZE INT64_C(20000000)

static enum tn_code judge_size(struct walk *walk, const json_t *object)
{
    static const char *const sized[] = {"repeat", "range",       "generate_series", "lpad",  "rpad",
                                        "format", "list_resize", "array_resize",    "printf"};
    const char *name = text_at(object, "function_name");
    bool known = false;
    for (size_t i = 0; i < TN_COUNT(sized); i++)
        known = known || tn_str_equal_nocase(name, sized[i]);
    const json_t *arguments = json_object_get(object, "arguments");
    for (size_t i = 0; known && i < json_array_size(arguments); i++) {
        const json_t *expression = json_object_get(json_array_get(arguments, i), "expression");
        const json_t *literal = json_object_get(expression, "literal");
        int64_t value = 0;
        if (tn_streq(text_at(literal, "kind"), "INTEGER") && tn_parse_i64(text_at(literal, "text"), &value) &&
            value > MAX_CONSTANT_SIZE) {
            REFUSE(walk, object, "%s() of %lld makes one value that is too large", name, (long long)value);
            tn_error_hint(walk->err, "Rows have no such bound: SELECT ... FROM range(%lld).", (long long)value);
            return TN_ESQLREFUSED;
        }
    }
    return TN_OK;
}

static enum tn_code count_reference(struct walk *walk, const json_t *object)
{
    if (++walk->refs > MAX_TABLES) {
        REFUSE(walk, object, "the statement joins more than %d tables", MAX_TABLES);
        return TN_ESQLREFUSED;
    }
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------- */

static const struct scope *find_scope(const struct walk *walk, const char *name)
{
    const struct scope *scope = walk->scope;
    while (scope && !tn_str_equal_nocase(scope->name, name))
        scope = scope->outer;
    return scope;
}

static enum tn_code refuse_qualified(struct walk *walk, const json_t *object, const char *name)
{
    REFUSE(walk, object, "the table \"%s\" is named with a schema or a catalogue", name);
    tn_error_hint(walk->err, "A dataset has one name: write \"%s\" alone.", name);
    return TN_ESQLREFUSED;
}

static bool looks_like_file(const char *name)
{
    return strpbrk(name, "./\\*?:[") != NULL;
}

static enum tn_code read_at_clause(struct walk *walk, const json_t *object, const json_t *clause,
                                   struct guard_table *table)
{
    const char *unit = text_at(clause, "unit");
    if (tn_str_equal_nocase(unit, "VERSION")) {
        table->ref.at = ENGINE_AT_VERSION;
    } else if (tn_str_equal_nocase(unit, "TIMESTAMP")) {
        table->ref.at = ENGINE_AT_TIMESTAMP;
    } else {
        REFUSE(walk, object, "AT (%s => ...) is not known", unit);
        tn_error_hint(walk->err, "Write AT (VERSION => snapshot id or 'tag') or AT (TIMESTAMP => time).");
        return TN_ESQLREFUSED;
    }
    bool outer = walk->constant;
    walk->constant = true;
    enum tn_code code = walk_value(walk, json_object_get(clause, "expr"));
    walk->constant = outer;
    TN_TRY(code);
    const json_t *span = json_object_get(object, "query_location_length");
    size_t length = json_is_number(span) ? (size_t)TN_MAX(0.0, json_number_value(span)) : 0;
    if (!table->span || table->location + length > walk->length ||
        !guard_text_reference(walk->sql, table->location, length, table, walk->arena)) {
        REFUSE(walk, object, "this AT clause of \"%s\" cannot be read", table->ref.name);
        tn_error_hint(walk->err, "Write it behind the name and its alias: FROM %s AT (VERSION => ...).",
                      table->ref.name);
        return TN_ESQLREFUSED;
    }
    return TN_OK;
}

static void add_table(struct walk *walk, const struct guard_table *table)
{
    TN_GROW(walk->tables, walk->table_count, walk->table_capacity);
    walk->tables[walk->table_count++] = *table;
}

static enum tn_code judge_base_table(struct walk *walk, const json_t *object)
{
    const char *name = text_at(object, "table_name");
    const json_t *clause = json_object_get(object, "at_clause");
    const char *schema = text_at(object, "schema_name");
    const json_t *path = json_object_get(json_object_get(object, "qualified_name"), "path");
    TN_TRY(count_reference(walk, object));
    if (!*name) {
        REFUSE(walk, object, "a table without a name cannot be read");
        return TN_ESQLREFUSED;
    }
    const struct scope *scope = find_scope(walk, name);
    if (scope && clause) {
        REFUSE(walk, object, "\"%s\" is a part of this statement and has no versions", name);
        return TN_ESQLREFUSED;
    }
    if (scope && !*text_at(object, "catalog_name") &&
        (!*schema || (scope->recursive && tn_str_equal_nocase(schema, "recurring"))))
        return TN_OK;
    if (*schema || *text_at(object, "catalog_name") || json_array_size(path) > 1)
        return refuse_qualified(walk, object, name);
    if (walk->constant || walk->expression) {
        REFUSE(walk, object,
               walk->constant ? "AT (...) takes a constant, not a query" : "a condition cannot read the table \"%s\"",
               name);
        return TN_ESQLREFUSED;
    }
    if (looks_like_file(name)) {
        REFUSE(walk, object, "\"%s\" looks like a file; a query reads datasets only", name);
        tn_error_hint(walk->err, "Load the file first: tarn ingest FILE, then query the dataset by its name.");
        return TN_ESQLREFUSED;
    }
    struct guard_table table = {.aliased = *text_at(object, "alias") != '\0'};
    table.ref.name = tn_arena_strdup(walk->arena, name);
    table.key = tn_arena_strdup(walk->arena, name);
    for (char *c = table.key; *c; c++)
        *c = tn_ascii_lower(*c);
    table.span = location_of(walk, object, &table.location) ? 1 : 0;
    struct tn_error position = {0};
    if (table.span)
        engine_error_place(&position, walk->sql, walk->length, table.location);
    table.ref.line = position.line;
    table.ref.column = position.column;
    if (clause)
        TN_TRY(read_at_clause(walk, object, clause, &table));
    if (object == walk->only_table)
        guard_predicates(walk->select, object, walk->arena, &table.ref);
    add_table(walk, &table);
    return walk_value(walk, json_object_get(object, "sample"));
}

/* What it reads is the resolver's to say, as of a table. */
static enum tn_code judge_call(struct walk *walk, const json_t *function, const json_t *object)
{
    struct guard_table table = {0};
    const char *why = "wants constants";
    if (!guard_call_read(object, walk->sql, walk->length, walk->arena, &table, &why)) {
        const char *name = text_at(function, "function_name");
        REFUSE(walk, object, "%s() %s", name, why);
        tn_error_hint(walk->err,
                      tn_str_equal_nocase(name, "changes")
                          ? "Write changes('dataset', from, to), each a snapshot id, or a time or a tag in quotes."
                          : "Write it as hybrid_search('index', 'text', k := 10, filter := 'column = 1').");
        return TN_ESQLREFUSED;
    }
    struct tn_error position = {0};
    engine_error_place(&position, walk->sql, walk->length, table.location);
    table.ref.line = position.line;
    table.ref.column = position.column;
    table.aliased = *text_at(object, "alias") != '\0';
    add_table(walk, &table);
    return walk_value(walk, json_object_get(object, "sample"));
}

static enum tn_code judge_table_function(struct walk *walk, const json_t *object)
{
    const json_t *function = json_object_get(object, "function");
    TN_TRY(count_reference(walk, object));
    if (!tn_streq(text_at(function, "class"), "FUNCTION")) {
        REFUSE(walk, object, "this table function cannot be used in a query");
        return TN_ESQLREFUSED;
    }
    if (guard_call_is(function))
        return judge_call(walk, function, object);
    TN_TRY(judge_function(walk, function, object, true));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)function, key, value)
    {
        TN_TRY(walk_value(walk, value));
    }
    return walk_value(walk, json_object_get(object, "sample"));
}

/* DESCRIBE and SUMMARIZE of a query are queries themselves; the other forms
 * look into the catalogue. */
static enum tn_code judge_show(struct walk *walk, const json_t *object)
{
    const char *type = text_at(object, "show_type");
    const json_t *query = json_object_get(object, "query");
    bool known = tn_streq(type, "DESCRIBE") || tn_streq(type, "SUMMARY");
    if (known && json_is_object(query))
        return walk_value(walk, query);
    REFUSE(walk, object, "SHOW cannot be used in a query");
    tn_error_hint(
        walk->err,
        "DESCRIBE name and SUMMARIZE name can; .tables in the shell and GET /catalog/datasets list the datasets.");
    return TN_ESQLREFUSED;
}

/* ---- queries ------------------------------------------------------------ */

static enum tn_code walk_fields(struct walk *walk, const json_t *object, const char *except)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!except || !tn_streq(key, except))
            TN_TRY(walk_value(walk, value));
    }
    return TN_OK;
}

/* The right side of a recursive query sees the query itself. */
static enum tn_code walk_recursive(struct walk *walk, const json_t *object)
{
    const struct scope *outer = walk->scope;
    struct scope self = {.name = text_at(object, "cte_name"), .recursive = true, .outer = outer};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (tn_streq(key, "cte_map"))
            continue;
        walk->scope = tn_streq(key, "right") ? &self : outer;
        enum tn_code code = walk_value(walk, value);
        walk->scope = outer;
        TN_TRY(code);
    }
    return TN_OK;
}

static enum tn_code walk_query_body(struct walk *walk, const json_t *object)
{
    if (tn_streq(text_at(object, "type"), "RECURSIVE_CTE_NODE"))
        return walk_recursive(walk, object);
    const json_t *outer_select = walk->select, *outer_table = walk->only_table;
    const json_t *from = json_object_get(object, "from_table");
    walk->select = object;
    walk->only_table = tn_streq(text_at(from, "type"), "BASE_TABLE") ? from : NULL;
    enum tn_code code = walk_fields(walk, object, "cte_map");
    walk->select = outer_select;
    walk->only_table = outer_table;
    return code;
}

/* Each entry sees those before it; the body sees all. One C frame per entry
 * keeps the scopes on the stack, and the depth limit bounds them. */
static enum tn_code walk_entries(struct walk *walk, const json_t *object, const json_t *entries, size_t index)
{
    const json_t *entry = json_array_get(entries, index);
    if (!entry)
        return walk_query_body(walk, object);
    if (++walk->depth > MAX_DEPTH)
        return tn_fail(walk->err, TN_ESQLREFUSED, "the statement is nested too deeply");
    TN_TRY(walk_value(walk, json_object_get(entry, "value")));
    struct scope scope = {.name = text_at(entry, "key"), .outer = walk->scope};
    walk->scope = &scope;
    enum tn_code code = walk_entries(walk, object, entries, index + 1);
    walk->scope = scope.outer;
    walk->depth--;
    return code;
}

static enum tn_code walk_query(struct walk *walk, const json_t *object)
{
    const json_t *entries = json_object_get(json_object_get(object, "cte_map"), "map");
    return walk_entries(walk, object, entries, 0);
}

static enum tn_code walk_node(struct walk *walk, const json_t *object, const char *type)
{
    if (!guard_node_allowed(type)) {
        REFUSE(walk, object, "%s cannot be part of a query: only reading is allowed here", type);
        tn_error_hint(walk->err, "Rows are changed through the API (POST, PUT, DELETE under /datasets), not by SQL.");
        return TN_ESQLREFUSED;
    }
    if (tn_streq(type, "BASE_TABLE"))
        return judge_base_table(walk, object);
    if (tn_streq(type, "TABLE_FUNCTION"))
        return judge_table_function(walk, object);
    if (tn_streq(type, "SHOW_REF"))
        return judge_show(walk, object);
    if (tn_str_ends_with(type, "_NODE"))
        return walk_query(walk, object);
    if (tn_streq(type, "PIVOT") && *text_at(object, "pivot_enum")) {
        REFUSE(walk, object, "PIVOT over a type cannot be used in a query");
        return TN_ESQLREFUSED;
    }
    return walk_fields(walk, object, NULL);
}

/* ---- expressions -------------------------------------------------------- */

static enum tn_code judge_constant_only(struct walk *walk, const json_t *object, const char *class)
{
    static const char *const refused[] = {"COLUMN_REF", "SUBQUERY", "PARAMETER", "STAR", "POSITIONAL_REFERENCE"};
    for (size_t i = 0; walk->constant && i < TN_COUNT(refused); i++) {
        if (tn_streq(class, refused[i])) {
            REFUSE(walk, object, "AT (...) takes a constant");
            tn_error_hint(walk->err,
                          "Write the snapshot id, the tag or the time itself: AT (TIMESTAMP => '2026-01-31 12:00').");
            return TN_ESQLREFUSED;
        }
    }
    if (walk->expression && (tn_streq(class, "SUBQUERY") || tn_streq(class, "PARAMETER"))) {
        REFUSE(walk, object, "a condition may use the columns of its table only");
        return TN_ESQLREFUSED;
    }
    return TN_OK;
}

static enum tn_code walk_lambda(struct walk *walk, const json_t *object)
{
    if (++walk->lambda_depth > MAX_LAMBDA_DEPTH) {
        REFUSE(walk, object, "lambda functions are nested more than %d deep", MAX_LAMBDA_DEPTH);
        return TN_ESQLREFUSED;
    }
    enum tn_code code = walk_fields(walk, object, NULL);
    walk->lambda_depth--;
    return code;
}

static enum tn_code walk_expression(struct walk *walk, const json_t *object, const char *class)
{
    if (!guard_expression_allowed(class)) {
        REFUSE(walk, object, "%s cannot be part of a query", class);
        return TN_ESQLREFUSED;
    }
    TN_TRY(judge_constant_only(walk, object, class));
    if (tn_streq(class, "FUNCTION") || tn_streq(class, "WINDOW")) {
        TN_TRY(judge_function(walk, object, object, false));
        TN_TRY(judge_size(walk, object));
    }
    if (json_array_size(json_object_get(object, "column_names")) > MAX_NAME_PARTS) {
        REFUSE(walk, object, "a name has more than %d parts", MAX_NAME_PARTS);
        return TN_ESQLREFUSED;
    }
    if (tn_streq(class, "TYPE") &&
        json_array_size(json_object_get(json_object_get(object, "qualified_name"), "path")) > 1) {
        REFUSE(walk, object, "the type \"%s\" is named with a schema", text_at(object, "type_name"));
        return TN_ESQLREFUSED;
    }
    if (tn_streq(class, "LAMBDA"))
        return walk_lambda(walk, object);
    return walk_fields(walk, object, NULL);
}

/* Functions of time and chance; the first go without parentheses too, as a column would; samples. */
static bool varies(const json_t *object)
{
    const json_t *parts = json_object_get(object, "column_names");
    const char *word = json_array_size(parts) == 1 ? json_string_value(json_array_get(parts, 0)) : NULL;
    return guard_function_varies(text_at(object, "function_name")) || (word && guard_function_varies(word)) ||
           json_is_object(json_object_get(object, "sample"));
}

static enum tn_code walk_object(struct walk *walk, const json_t *object)
{
    walk->varies = walk->varies || varies(object);
    const json_t *class = json_object_get(object, "class");
    const json_t *type = json_object_get(object, "type");
    if (json_is_string(class))
        return walk_expression(walk, object, json_string_value(class));
    if (json_is_string(type))
        return walk_node(walk, object, json_string_value(type));
    return walk_fields(walk, object, NULL);
}

static enum tn_code walk_value(struct walk *walk, const json_t *value)
{
    if (!json_is_object(value) && !json_is_array(value))
        return TN_OK;
    if (++walk->depth > MAX_DEPTH)
        return tn_fail(walk->err, TN_ESQLREFUSED, "the statement is nested too deeply");
    if (++walk->nodes > MAX_NODES)
        return tn_fail(walk->err, TN_ESQLREFUSED, "the statement has more than %d parts", MAX_NODES);
    enum tn_code code = TN_OK;
    if (json_is_object(value)) {
        code = walk_object(walk, value);
    } else {
        for (size_t i = 0; code == TN_OK && i < json_array_size(value); i++)
            code = walk_value(walk, json_array_get(value, i));
    }
    walk->depth--;
    return code;
}

/* ---- entry -------------------------------------------------------------- */

static enum tn_code only_statement(const json_t *root, const json_t **ret, struct tn_error *err)
{
    const json_t *statements = json_object_get(root, "statements");
    size_t count = json_array_size(statements);
    if (count == 1 && json_is_object(json_object_get(json_array_get(statements, 0), "node"))) {
        *ret = json_array_get(statements, 0);
        return TN_OK;
    }
    if (count == 0) {
        tn_fail(err, TN_ESQL, "the statement is empty");
        tn_error_hint(err, "Begin it with SELECT, WITH, FROM, VALUES, DESCRIBE or SUMMARIZE.");
        return TN_ESQL;
    }
    tn_fail(err, TN_ESQLREFUSED, "there are %zu statements; one can be run at a time", count);
    tn_error_hint(err, "Send them one by one.");
    return TN_ESQLREFUSED;
}

enum tn_code guard_walk(const json_t *root, struct guard_analysis *analysis, struct tn_error *err)
{
    const json_t *statement = NULL;
    TN_TRY(only_statement(root, &statement, err));
    struct walk walk = {.sql = analysis->sql, .length = analysis->length, .arena = analysis->arena, .err = err};
    enum tn_code code = walk_value(&walk, statement);
    if (code == TN_OK) {
        analysis->tables = TN_ARENA_ARRAY(analysis->arena, struct guard_table, walk.table_count + 1);
        if (walk.table_count)
            memcpy(analysis->tables, walk.tables, walk.table_count * sizeof *walk.tables);
        analysis->table_count = walk.table_count;
        analysis->varies = walk.varies;
    }
    free(walk.tables);
    return code;
}

/* The engine takes 42 for true, and so would a delete of "the row 42" take all. */
static enum tn_code judge_truth(const json_t *item, struct tn_error *err)
{
    enum engine_literal kind;
    const char *text;
    if (!guard_constant(item, &kind, &text))
        return TN_OK;
    tn_fail(err, TN_ESQL, "the condition is a value and says of no row whether it is meant");
    tn_error_hint(err, "Compare it with a column: id = 42.");
    return TN_ESQL;
}

enum tn_code guard_walk_expression(const json_t *root, const char *sql, size_t length, bool *ret_varies,
                                   struct tn_error *err)
{
    static const char *const known[] = {"type", "cte_map", "select_list", "from_table", "aggregate_handling"};
    const json_t *statement = NULL;
    TN_TRY(only_statement(root, &statement, err));
    const json_t *node = json_object_get(statement, "node");
    const json_t *list = json_object_get(node, "select_list");
    const json_t *item = json_array_get(list, 0);
    bool alone = tn_streq(text_at(node, "type"), "SELECT_NODE") && json_array_size(list) == 1 &&
                 tn_streq(text_at(json_object_get(node, "from_table"), "type"), "EMPTY") &&
                 !*text_at(item, "alias") && !tn_streq(text_at(item, "class"), "STAR") &&
                 json_array_size(json_object_get(json_object_get(node, "cte_map"), "map")) == 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node, key, value)
    {
        bool expected = false;
        for (size_t i = 0; i < TN_COUNT(known); i++)
            expected = expected || tn_streq(key, known[i]);
        alone = alone && expected;
    }
    if (!alone) {
        tn_fail(err, TN_ESQLREFUSED, "the condition is not one expression");
        tn_error_hint(err, "Write it as behind WHERE: status = 'active' AND rate < 90.");
        return TN_ESQLREFUSED;
    }
    TN_TRY(judge_truth(item, err));
    struct tn_arena *arena = tn_arena_new();
    struct walk walk = {.sql = sql, .length = length, .arena = arena, .err = err, .expression = true};
    enum tn_code code = walk_value(&walk, item);
    free(walk.tables);
    tn_arena_free(arena);
    if (code == TN_OK)
        *ret_varies = walk.varies;
    return code;
}
