/* Schemas: JSON in and out, copies, look-up, fresh ids. */
#include "iceberg/schema.h"

#include "base/str.h"

#include <string.h>

/* --- JSON in --- */

static const char *schema_raw(struct tn_arena *arena, const struct doc_node *node)
{
    return tn_arena_strndup(arena, node->raw, node->raw_length);
}

/* v3 writes defaults of columns; we keep the members as they stand. */
static const char *schema_defaults(struct tn_arena *arena, const struct doc_node *node)
{
    const struct doc_node *initial = doc_get(node, "initial-default"), *write = doc_get(node, "write-default");
    if (!initial && !write)
        return NULL;
    TN_AUTO_BUF text = {0};
    if (initial) {
        tn_buf_puts(&text, "\"initial-default\":");
        tn_buf_append(&text, initial->raw, initial->raw_length);
    }
    if (write) {
        tn_buf_puts(&text, initial ? ",\"write-default\":" : "\"write-default\":");
        tn_buf_append(&text, write->raw, write->raw_length);
    }
    return tn_arena_strndup(arena, text.data, text.len);
}

static enum tn_code schema_need_bool(const struct doc_node *node, const char *key, const char *what, bool *ret,
                                     struct tn_error *err)
{
    const struct doc_node *flag = doc_get(node, key);
    if (!flag || (flag->kind != DOC_TRUE && flag->kind != DOC_FALSE))
        return tn_fail(err, TN_ECORRUPT, "%s: \"%s\" is missing or not a boolean", what, key);
    *ret = flag->kind == DOC_TRUE;
    return TN_OK;
}

static enum tn_code schema_fields_of_doc(struct tn_arena *arena, const struct doc_node *node, const char *what,
                                         int depth, const struct iceberg_field **ret, size_t *ret_count,
                                         struct tn_error *err)
{
    const struct doc_node *list = NULL;
    TN_TRY(doc_need(node, "fields", DOC_ARRAY, what, &list, err));
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, list->count);
    size_t n = 0;
    for (const struct doc_node *item = list->first; item; item = item->next, n++) {
        struct iceberg_field *field = &fields[n];
        const char *name = NULL, *doc = NULL;
        TN_TRY(doc_need_i32(item, "id", what, &field->id, err));
        TN_TRY(doc_need_text(item, "name", what, &name, err));
        TN_TRY(schema_need_bool(item, "required", what, &field->required, err));
        TN_TRY(doc_take_text(item, "doc", what, &doc, err));
        TN_TRY(schema_type_of_doc(arena, doc_get(item, "type"), what, depth + 1, &field->type, err));
        field->name = tn_arena_strdup(arena, name);
        field->doc = doc ? tn_arena_strdup(arena, doc) : NULL;
        field->defaults = schema_defaults(arena, item);
    }
    *ret = fields;
    *ret_count = n;
    return TN_OK;
}

/* A list's element or a map's key or value. */
static enum tn_code schema_part_of_doc(struct tn_arena *arena, const struct doc_node *node, const char *part,
                                       const char *what, int depth, struct iceberg_field *field, struct tn_error *err)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s-id", part);
    TN_TRY(doc_need_i32(node, key, what, &field->id, err));
    field->required = true;
    if (!tn_streq(part, "key")) {
        (void)snprintf(key, sizeof key, "%s-required", part);
        TN_TRY(schema_need_bool(node, key, what, &field->required, err));
    }
    field->name = part;
    return schema_type_of_doc(arena, doc_get(node, part), what, depth + 1, &field->type, err);
}

enum tn_code schema_type_of_doc(struct tn_arena *arena, const struct doc_node *node, const char *what, int depth,
                                const struct iceberg_type **ret, struct tn_error *err)
{
    if (depth > SCHEMA_MAX_DEPTH)
        return tn_fail(err, TN_EUNSUPPORTED, "%s: a type is nested more than %d levels deep", what, SCHEMA_MAX_DEPTH);
    if (node && node->kind == DOC_STRING) {
        *ret = iceberg_type_parse(arena, node->text);
        return TN_OK;
    }
    const char *word = NULL;
    if (!node || node->kind != DOC_OBJECT)
        return tn_fail(err, TN_ECORRUPT, "%s: a field's \"type\" is missing or neither text nor object", what);
    TN_TRY(doc_need_text(node, "type", what, &word, err));
    struct iceberg_type *type = tn_arena_alloc(arena, sizeof *type);
    if (tn_streq(word, "struct")) {
        type->kind = ICEBERG_STRUCT;
        TN_TRY(schema_fields_of_doc(arena, node, what, depth, &type->fields, &type->field_count, err));
    } else if (tn_streq(word, "list")) {
        struct iceberg_field *parts = TN_ARENA_ARRAY(arena, struct iceberg_field, 1);
        *type = (struct iceberg_type){.kind = ICEBERG_LIST, .fields = parts, .field_count = 1};
        TN_TRY(schema_part_of_doc(arena, node, "element", what, depth, &parts[0], err));
    } else if (tn_streq(word, "map")) {
        struct iceberg_field *parts = TN_ARENA_ARRAY(arena, struct iceberg_field, 2);
        *type = (struct iceberg_type){.kind = ICEBERG_MAP, .fields = parts, .field_count = 2};
        TN_TRY(schema_part_of_doc(arena, node, "key", what, depth, &parts[0], err));
        TN_TRY(schema_part_of_doc(arena, node, "value", what, depth, &parts[1], err));
    } else {
        *type = (struct iceberg_type){.kind = ICEBERG_UNSUPPORTED, .text = schema_raw(arena, node)};
    }
    *ret = type;
    return TN_OK;
}

enum tn_code schema_of_doc(struct tn_arena *arena, const struct doc_node *node, const char *what,
                           const struct iceberg_schema **ret, struct tn_error *err)
{
    if (!node || node->kind != DOC_OBJECT)
        return tn_fail(err, TN_ECORRUPT, "%s: a schema is missing or not an object", what);
    struct iceberg_schema *schema = tn_arena_alloc(arena, sizeof *schema);
    TN_TRY(doc_take_i32(node, "schema-id", what, &schema->id, err));
    TN_TRY(schema_fields_of_doc(arena, node, what, 0, &schema->fields, &schema->field_count, err));
    const struct doc_node *ids = doc_get(node, "identifier-field-ids");
    if (!doc_is_null(ids)) {
        TN_TRY(doc_need(node, "identifier-field-ids", DOC_ARRAY, what, &ids, err));
        int32_t *list = TN_ARENA_ARRAY(arena, int32_t, ids->count);
        for (const struct doc_node *id = ids->first; id; id = id->next) {
            if (id->kind != DOC_INT || id->integer < 0 || id->integer > INT32_MAX)
                return tn_fail(err, TN_ECORRUPT, "%s: identifier-field-ids must be column ids", what);
            list[schema->identifier_count++] = (int32_t)id->integer;
        }
        schema->identifier_ids = list;
    }
    TN_TRY(schema_validate(schema, what, err));
    *ret = schema;
    return TN_OK;
}

enum tn_code iceberg_schema_parse(struct tn_arena *arena, const char *json, size_t length,
                                  const struct iceberg_schema **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    const struct doc_node *root = NULL;
    TN_TRY(doc_parse(scratch, json, length, "schema", &root, err));
    return schema_of_doc(arena, root, "schema", ret, err);
}

/* --- Checks --- */

static size_t schema_count_fields(const struct iceberg_field *fields, size_t count)
{
    size_t total = count;
    for (size_t i = 0; i < count; i++)
        total += schema_count_fields(fields[i].type->fields, fields[i].type->field_count);
    return total;
}

static size_t schema_collect_ids(const struct iceberg_field *fields, size_t count, int32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        out[n++] = fields[i].id;
        n += schema_collect_ids(fields[i].type->fields, fields[i].type->field_count, out + n);
    }
    return n;
}

static int schema_id_order(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

enum tn_code schema_validate(const struct iceberg_schema *schema, const char *what, struct tn_error *err)
{
    size_t count = schema_count_fields(schema->fields, schema->field_count);
    TN_AUTO_FREE int32_t *ids = tn_calloc(count + 1, sizeof *ids);
    (void)schema_collect_ids(schema->fields, schema->field_count, ids);
    qsort(ids, count, sizeof *ids, schema_id_order);
    if (count && ids[0] < 0)
        return tn_fail(err, TN_ECORRUPT, "%s: column id %d is negative", what, ids[0]);
    for (size_t i = 1; i < count; i++)
        if (ids[i] == ids[i - 1])
            return tn_fail(err, TN_ECORRUPT, "%s: two columns have the id %d", what, ids[i]);
    for (size_t i = 0; i < schema->identifier_count; i++)
        if (!bsearch(&schema->identifier_ids[i], ids, count, sizeof *ids, schema_id_order))
            return tn_fail(err, TN_ECORRUPT, "%s: identifier column %d is not in the schema", what,
                           schema->identifier_ids[i]);
    return TN_OK;
}

/* --- JSON out --- */

static void schema_write_fields(const struct iceberg_field *fields, size_t count, struct tn_json *json)
{
    tn_json_key(json, "fields");
    tn_json_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        tn_json_open(json, '{');
        tn_json_key(json, "id");
        tn_json_int(json, fields[i].id);
        tn_json_kstr(json, "name", fields[i].name);
        tn_json_kbool(json, "required", fields[i].required);
        tn_json_key(json, "type");
        schema_write_type(fields[i].type, json);
        if (fields[i].doc)
            tn_json_kstr(json, "doc", fields[i].doc);
        if (fields[i].defaults)
            tn_json_raw(json, fields[i].defaults, strlen(fields[i].defaults));
        tn_json_close(json, '}');
    }
    tn_json_close(json, ']');
}

static void schema_write_part(const struct iceberg_field *field, struct tn_json *json)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s-id", field->name);
    tn_json_key(json, key);
    tn_json_int(json, field->id);
    tn_json_key(json, field->name);
    schema_write_type(field->type, json);
    if (tn_streq(field->name, "key"))
        return;
    (void)snprintf(key, sizeof key, "%s-required", field->name);
    tn_json_kbool(json, key, field->required);
}

void schema_write_type(const struct iceberg_type *type, struct tn_json *json)
{
    if (type->kind == ICEBERG_UNSUPPORTED && type->text) {
        tn_json_raw(json, type->text, strlen(type->text));
        return;
    }
    if (!iceberg_kind_nested(type->kind)) {
        TN_AUTO_BUF word = {0};
        iceberg_type_format(type, &word);
        tn_json_str(json, word.data);
        return;
    }
    tn_json_open(json, '{');
    tn_json_kstr(json, "type", iceberg_kind_word(type->kind));
    if (type->kind == ICEBERG_STRUCT)
        schema_write_fields(type->fields, type->field_count, json);
    else
        for (size_t i = 0; i < type->field_count; i++)
            schema_write_part(&type->fields[i], json);
    tn_json_close(json, '}');
}

void schema_write(const struct iceberg_schema *schema, struct tn_json *json)
{
    tn_json_open(json, '{');
    tn_json_kstr(json, "type", "struct");
    tn_json_key(json, "schema-id");
    tn_json_int(json, schema->id);
    if (schema->identifier_count) {
        tn_json_key(json, "identifier-field-ids");
        tn_json_open(json, '[');
        for (size_t i = 0; i < schema->identifier_count; i++)
            tn_json_int(json, schema->identifier_ids[i]);
        tn_json_close(json, ']');
    }
    schema_write_fields(schema->fields, schema->field_count, json);
    tn_json_close(json, '}');
}

void iceberg_schema_json(const struct iceberg_schema *schema, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    schema_write(schema, &json);
}

/* --- Copies --- */

static const struct iceberg_field *schema_copy_fields(struct tn_arena *arena, const struct iceberg_field *fields,
                                                      size_t count)
{
    struct iceberg_field *copy = TN_ARENA_ARRAY(arena, struct iceberg_field, count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = fields[i];
        copy[i].name = tn_arena_strdup(arena, fields[i].name);
        copy[i].doc = fields[i].doc ? tn_arena_strdup(arena, fields[i].doc) : NULL;
        copy[i].defaults = fields[i].defaults ? tn_arena_strdup(arena, fields[i].defaults) : NULL;
        copy[i].type = schema_copy_type(arena, fields[i].type);
    }
    return copy;
}

const struct iceberg_type *schema_copy_type(struct tn_arena *arena, const struct iceberg_type *type)
{
    struct iceberg_type *copy = tn_arena_alloc(arena, sizeof *copy);
    *copy = *type;
    copy->text = type->text ? tn_arena_strdup(arena, type->text) : NULL;
    copy->fields = schema_copy_fields(arena, type->fields, type->field_count);
    return copy;
}

const struct iceberg_schema *schema_with_id(struct tn_arena *arena, const struct iceberg_schema *schema, int32_t id)
{
    struct iceberg_schema *copy = tn_arena_alloc(arena, sizeof *copy);
    *copy = *schema;
    copy->id = id;
    copy->fields = schema_copy_fields(arena, schema->fields, schema->field_count);
    int32_t *ids = TN_ARENA_ARRAY(arena, int32_t, schema->identifier_count);
    if (schema->identifier_count)
        memcpy(ids, schema->identifier_ids, schema->identifier_count * sizeof *ids);
    copy->identifier_ids = ids;
    return copy;
}

const struct iceberg_schema *iceberg_schema_copy(struct tn_arena *arena, const struct iceberg_schema *schema)
{
    return schema_with_id(arena, schema, schema->id);
}

/* --- Look-up --- */

const struct iceberg_field *iceberg_schema_find(const struct iceberg_schema *schema, const char *name, bool any_case)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (tn_streq(schema->fields[i].name, name))
            return &schema->fields[i];
    for (size_t i = 0; any_case && i < schema->field_count; i++)
        if (tn_str_equal_nocase(schema->fields[i].name, name))
            return &schema->fields[i];
    return NULL;
}

static const struct iceberg_field *schema_field_in(const struct iceberg_field *fields, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].id == id)
            return &fields[i];
        const struct iceberg_field *inner = schema_field_in(fields[i].type->fields, fields[i].type->field_count, id);
        if (inner)
            return inner;
    }
    return NULL;
}

const struct iceberg_field *iceberg_schema_field(const struct iceberg_schema *schema, int32_t id)
{
    return schema_field_in(schema->fields, schema->field_count, id);
}

static int32_t schema_highest_in(const struct iceberg_field *fields, size_t count)
{
    int32_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t inner = schema_highest_in(fields[i].type->fields, fields[i].type->field_count);
        highest = TN_MAX(highest, TN_MAX(fields[i].id, inner));
    }
    return highest;
}

int32_t iceberg_schema_highest_id(const struct iceberg_schema *schema)
{
    return schema_highest_in(schema->fields, schema->field_count);
}
