/* Rows of a request, in two walks over its text: the first checks the JSON,
 * counts rows and learns which columns are given, the second makes cells. */
#include "ingest/rows_json.h"

#include "ingest/json_parse.h"
#include "ingest/json_records.h"
#include "ingest/rows_value.h"

#include <string.h>

#define SHOWN_MAX   10
#define PATH_BYTES  1024
#define UNSEEN      SIZE_MAX
#define VALUE_SHOWN 40

struct walk {
    struct tn_arena *arena;
    const struct rows_json_shape *shape;
    const char *end;
    size_t row;       /* from 0 */
    size_t *columns;  /* place of a schema's column among the given ones, UNSEEN */
    size_t *last_row; /* row + 1 that gave the column last */
    size_t column_count;
    char path[PATH_BYTES];
    size_t guess; /* the next member is most often the next column */
    /* Second walk. */
    struct engine_cell *cells; /* of this row; NULL in the first walk */
    struct tn_buf bad;
    size_t bad_count;
    struct tn_error *err;
};

/* ---- names ---------------------------------------------------------------------- */

static bool same(const char *name, const char *text, size_t length)
{
    return name && strlen(name) == length && memcmp(name, text, length) == 0;
}

static bool same_nocase(const char *name, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!name[i] || tn_ascii_lower(name[i]) != tn_ascii_lower(text[i]))
            return false;
    return name[length] == '\0';
}

size_t rows_json_column(const struct rows_json_shape *shape, const char *name, size_t length)
{
    const struct iceberg_schema *schema = shape->schema;
    for (size_t i = 0; i < schema->field_count; i++)
        if (same(schema->fields[i].name, name, length))
            return i;
    for (size_t i = 0; shape->originals && i < schema->field_count; i++)
        if (same(shape->originals[i], name, length))
            return i;
    for (size_t i = 0; i < schema->field_count; i++)
        if (same_nocase(schema->fields[i].name, name, length))
            return i;
    return SIZE_MAX;
}

static size_t find_column(struct walk *walk, size_t length)
{
    const struct iceberg_schema *schema = walk->shape->schema;
    if (walk->guess < schema->field_count && same(schema->fields[walk->guess].name, walk->path, length))
        return walk->guess++;
    size_t found = rows_json_column(walk->shape, walk->path, length);
    if (found != SIZE_MAX)
        walk->guess = found + 1;
    return found;
}

static enum tn_code refuse_name(struct walk *walk, size_t length)
{
    const struct iceberg_schema *schema = walk->shape->schema;
    const char **names = TN_ARENA_ARRAY(walk->arena, const char *, schema->field_count + 1);
    for (size_t i = 0; i < schema->field_count; i++)
        names[i] = schema->fields[i].name;
    walk->path[length] = '\0';
    tn_fail(walk->err, TN_EFIELD, "row %zu: the dataset has no column \"%.100s\"", walk->row + 1, walk->path);
    const char *near = tn_suggest(walk->path, names, schema->field_count);
    if (near)
        tn_error_hint(walk->err, "did you mean \"%.100s\"?", near);
    else
        tn_error_hint(walk->err, "columns of rows must be there already; ingest adds new ones");
    return TN_EFIELD;
}

/* ---- values ---------------------------------------------------------------------- */

static void note_bad(struct walk *walk, size_t column, const char *text, size_t length, const char *why)
{
    if (walk->bad_count++ >= SHOWN_MAX)
        return;
    size_t shown = tn_utf8_floor(text, length, VALUE_SHOWN);
    tn_buf_printf(&walk->bad, "%srow %zu, column \"%.60s\": %.*s%s is %s", walk->bad.len ? "; " : "", walk->row + 1,
                  walk->shape->schema->fields[column].name, (int)shown, text, shown < length ? "..." : "", why);
}

static void take_value(struct walk *walk, size_t column, const char *text, size_t length)
{
    const char *why = "not a value of the column";
    struct engine_cell *cell = &walk->cells[walk->columns[column]];
    if (!rows_value_json(walk->arena, walk->shape->schema->fields[column].type, text, length, cell, &why))
        note_bad(walk, column, text, length, why);
}

static enum tn_code take_column(struct walk *walk, size_t column, const char *text, size_t length)
{
    if (walk->cells) {
        take_value(walk, column, text, length);
        return TN_OK;
    }
    if (walk->last_row[column] == walk->row + 1)
        return tn_fail(walk->err, TN_EJSON, "row %zu gives column \"%s\" twice", walk->row + 1,
                       walk->shape->schema->fields[column].name);
    walk->last_row[column] = walk->row + 1;
    if (walk->columns[column] == UNSEEN) {
        if (walk->shape->same_columns && walk->row > 0)
            return tn_fail(walk->err, TN_EREQUEST, "row %zu gives column \"%s\" and the rows before it do not",
                           walk->row + 1, walk->shape->schema->fields[column].name);
        walk->columns[column] = walk->column_count++;
    }
    return TN_OK;
}

/* The members of the object at p, whose JSON has been checked. `prefix` bytes
 * of the path are the way to it, its dot included. */
static enum tn_code walk_object(struct walk *walk, const char *p, size_t prefix, size_t *ret_given)
{
    for (p = json_skip_space(p + 1, walk->end); *p != '}';) {
        bool escaped;
        const char *stop = json_take_string(p + 1, walk->end, &escaped);
        size_t length = (size_t)(stop - p) - 2;
        if (prefix + length + 2 > sizeof walk->path)
            return tn_fail(walk->err, TN_EFIELD, "row %zu has a member with a name that no column can have",
                           walk->row + 1);
        length = prefix + json_unescape(p + 1, length, walk->path + prefix);
        const char *value = json_skip_space(json_skip_space(stop, walk->end) + 1, walk->end);
        const char *behind = json_take_value(value, walk->end, JSON_RECORDS_DEPTH);
        size_t column = find_column(walk, length);
        if (column != SIZE_MAX) {
            ++*ret_given;
            TN_TRY(take_column(walk, column, value, (size_t)(behind - value)));
        } else if (*value == '{' && *json_skip_space(value + 1, walk->end) != '}') {
            walk->path[length] = '.';
            TN_TRY(walk_object(walk, value, length + 1, ret_given));
        } else {
            return refuse_name(walk, length);
        }
        p = json_skip_space(behind, walk->end);
        if (*p == ',')
            p = json_skip_space(p + 1, walk->end);
    }
    return TN_OK;
}

/* ---- rows -------------------------------------------------------------------------- */

static enum tn_code refuse_json(const struct walk *walk, const char *text, const char *at, const char *what)
{
    size_t line = 1;
    for (const char *p = text; p < at; p++)
        line += *p == '\n';
    tn_fail(walk->err, TN_EJSON, "row %zu: %s", walk->row + 1, what);
    if (walk->err) {
        walk->err->line = (int)TN_MIN(line, (size_t)INT32_MAX);
        tn_error_hint(walk->err, "send a JSON array of objects, or one object a line");
    }
    return TN_EJSON;
}

static enum tn_code first_row(struct walk *walk, const char *text, const char *p, const char **ret_end)
{
    size_t given = 0;
    if (walk->row == walk->shape->max_rows) {
        tn_fail(walk->err, TN_ETOOLARGE, "more than %zu rows in one request", walk->shape->max_rows);
        tn_error_hint(walk->err, "send them as a file: POST /ingest/file with mode=upsert or mode=append");
        return TN_ETOOLARGE;
    }
    if (*p != '{')
        return refuse_json(walk, text, p, "not an object");
    *ret_end = json_take_value(p, walk->end, JSON_RECORDS_DEPTH);
    if (!*ret_end)
        return refuse_json(walk, text, p, "not well-formed JSON");
    TN_TRY(walk_object(walk, p, 0, &given));
    if (walk->shape->same_columns && given != walk->column_count)
        return tn_fail(walk->err, TN_EREQUEST, "row %zu gives %zu columns and the rows before it %zu", walk->row + 1,
                       given, walk->column_count);
    return TN_OK;
}

/* Each row through `walk`; in the first walk with all checks. */
static enum tn_code each_row(struct walk *walk, const char *text, struct engine_cell *cells)
{
    const char *p = json_skip_space(text, walk->end);
    bool array = p < walk->end && *p == '[', closed = false;
    if (array)
        p = json_skip_space(p + 1, walk->end);
    for (walk->row = 0; p < walk->end && !closed; walk->row++) {
        if (array && *p == ']' && walk->row == 0)
            break;
        const char *stop = NULL;
        size_t ignored = 0;
        walk->guess = 0;
        if (cells) {
            stop = json_take_value(p, walk->end, JSON_RECORDS_DEPTH);
            walk->cells = cells + walk->row * walk->column_count;
            TN_TRY(walk_object(walk, p, 0, &ignored));
        } else {
            TN_TRY(first_row(walk, text, p, &stop));
        }
        p = json_skip_space(stop, walk->end);
        if (!array)
            continue;
        if (p < walk->end && *p == ',')
            p = json_skip_space(p + 1, walk->end);
        else if (p < walk->end && *p == ']')
            closed = true;
        else
            return refuse_json(walk, text, p, "a comma or the array's end is missing behind it");
    }
    if (!array)
        return TN_OK;
    if (p >= walk->end || *p != ']')
        return refuse_json(walk, text, p, "the array does not end");
    if (json_skip_space(p + 1, walk->end) != walk->end)
        return refuse_json(walk, text, p, "something stands behind the array");
    return TN_OK;
}

static enum tn_code refuse_bad(struct walk *walk)
{
    tn_fail(walk->err, TN_EREJECTS, "%zu value%s do%s not fit, nothing was written: %s%s", walk->bad_count,
            walk->bad_count == 1 ? "" : "s", walk->bad_count == 1 ? "es" : "", walk->bad.data,
            walk->bad_count > SHOWN_MAX ? "; ..." : "");
    tn_error_hint(walk->err, "GET /catalog/datasets/{d} tells the columns' types");
    return TN_EREJECTS;
}

static enum tn_code make_cells(struct walk *walk, const char *text, size_t rows, struct rows_json *ret)
{
    const struct iceberg_schema *schema = walk->shape->schema;
    size_t count = rows * walk->column_count;
    if (count > ROWS_JSON_CELLS_MAX) {
        tn_fail(walk->err, TN_ETOOLARGE, "%zu rows of %zu columns are too many for one request", rows,
                walk->column_count);
        tn_error_hint(walk->err, "send them as a file: POST /ingest/file with mode=upsert or mode=append");
        return TN_ETOOLARGE;
    }
    ret->field_ids = TN_ARENA_ARRAY(walk->arena, int32_t, walk->column_count + 1);
    for (size_t i = 0; i < schema->field_count; i++)
        if (walk->columns[i] != UNSEEN)
            ret->field_ids[walk->columns[i]] = schema->fields[i].id;
    ret->cells = TN_ARENA_ARRAY(walk->arena, struct engine_cell, count + 1);
    for (size_t i = 0; i < count; i++)
        ret->cells[i].null = true;
    ret->column_count = walk->column_count;
    ret->row_count = rows;
    TN_TRY(each_row(walk, text, ret->cells));
    return walk->bad_count ? refuse_bad(walk) : TN_OK;
}

enum tn_code rows_json_read(struct tn_arena *arena, const struct rows_json_shape *shape, const char *text,
                            size_t length, struct rows_json *ret, struct tn_error *err)
{
    struct walk walk = {.arena = arena, .shape = shape, .end = text + length, .err = err};
    bool marked = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0; /* as some programs begin each file */
    text += marked ? 3 : 0;
    length -= marked ? 3 : 0;
    size_t valid = tn_utf8_valid_prefix(text, length);
    struct rows_json made = {0};
    if (valid != length)
        return tn_fail(err, TN_EJSON, "the rows are not valid UTF-8 at byte %zu", valid);
    walk.columns = TN_ARENA_ARRAY(arena, size_t, shape->schema->field_count + 1);
    walk.last_row = TN_ARENA_ARRAY(arena, size_t, shape->schema->field_count + 1);
    for (size_t i = 0; i < shape->schema->field_count; i++)
        walk.columns[i] = UNSEEN;
    TN_TRY(each_row(&walk, text, NULL));
    enum tn_code code = make_cells(&walk, text, walk.row, &made);
    tn_buf_release(&walk.bad);
    if (code == TN_OK)
        *ret = made;
    return code;
}
