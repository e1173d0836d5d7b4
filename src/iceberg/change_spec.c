/* Schemas, partition specs and sort orders that a change adds. One that is
 * there already, under whatever id, is used again. */
#include "iceberg/change_internal.h"

#include "base/str.h"
#include "iceberg/schema.h"

#include <string.h>

#define ID_HIGHEST (INT32_MAX - 1000)

enum tn_code change_add_schema(struct change_state *state, const struct doc_node *node, struct tn_error *err)
{
    const struct iceberg_schema *schema = NULL;
    if (node->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "a schema must be an object");
    TN_TRY(iceberg_schema_parse(state->arena, node->raw, node->raw_length, &schema, err));
    int32_t highest = iceberg_schema_highest_id(schema);
    if (highest > ID_HIGHEST)
        return tn_fail(err, TN_EREQUEST, "field id %d is reserved", highest);
    TN_TRY(change_check_schema(schema, state->format_version, err));
    state->last_column_id = TN_MAX(state->last_column_id, highest);
    for (size_t i = 0; i < state->schemas.count; i++) {
        const struct iceberg_schema *known = NULL;
        const struct change_piece *piece = &state->schemas.items[i];
        TN_TRY(iceberg_schema_parse(state->arena, piece->json, piece->length, &known, err));
        if (schema_same(known, schema)) {
            state->added_schema_id = (int32_t)piece->id;
            return TN_OK;
        }
    }
    size_t length = 0;
    int64_t id = change_next_id(&state->schemas);
    const char *json = change_with_id(state, node, "schema-id", id, &length);
    change_add(&state->schemas, id, json, length);
    state->added_schema_id = (int32_t)id;
    state->changed = true;
    return TN_OK;
}

/* --- Lists of fields, of specs and of orders --- */

static bool same_member(const struct doc_node *a, const struct doc_node *b, const char *key)
{
    const struct doc_node *x = doc_get(a, key), *y = doc_get(b, key);
    if (!x || !y)
        return x == y;
    if (x->kind != y->kind)
        return false;
    if (x->kind == DOC_STRING)
        return tn_streq(x->text, y->text);
    return x->raw_length == y->raw_length && memcmp(x->raw, y->raw, x->raw_length) == 0;
}

static bool same_fields(const struct doc_node *a, const struct doc_node *b, const char *const *keys)
{
    const struct doc_node *x = a ? a->first : NULL, *y = b ? b->first : NULL;
    for (; x && y; x = x->next, y = y->next)
        for (size_t i = 0; keys[i]; i++)
            if (!same_member(x, y, keys[i]))
                return false;
    return !x && !y;
}

/* The id of the piece with the same fields, or ICEBERG_NONE. */
static enum tn_code find_same(struct change_state *state, const struct change_pieces *pieces,
                              const struct doc_node *fields, const char *const *keys, int64_t *ret,
                              struct tn_error *err)
{
    *ret = ICEBERG_NONE;
    for (size_t i = 0; i < pieces->count && *ret == ICEBERG_NONE; i++) {
        const struct doc_node *root = NULL;
        TN_TRY(doc_parse(state->arena, pieces->items[i].json, pieces->items[i].length, "the table's metadata", &root,
                         err));
        const struct doc_node *known = doc_get(root, "fields");
        if (known && known->kind == DOC_ARRAY && same_fields(known, fields, keys))
            *ret = pieces->items[i].id;
    }
    return TN_OK;
}

/* --- Partition specs --- */

static enum tn_code check_spec_field(const struct change_state *state, const struct iceberg_schema *schema,
                                     const struct doc_node *field, struct tn_error *err)
{
    static const char what[] = "a partition field";
    const char *name = NULL, *transform = NULL;
    int32_t source = ICEBERG_NONE;
    TN_TRY(doc_need_text(field, "name", what, &name, err));
    TN_TRY(doc_need_text(field, "transform", what, &transform, err));
    if (state->format_version < 3 || doc_get(field, "source-id"))
        TN_TRY(doc_need_i32(field, "source-id", what, &source, err));
    if (!*name)
        return tn_fail(err, TN_EREQUEST, "a partition field has no name");
    if (source == ICEBERG_NONE || !schema || tn_streq(transform, "void"))
        return TN_OK;
    TN_TRY(change_check_transform(schema, source, transform, "partition field", err));
    /* Java refuses to load a table where these differ. */
    const struct iceberg_field *column = iceberg_schema_find(schema, name, false);
    if (column && (column->id != source || !tn_streq(transform, "identity")))
        return tn_fail(err, TN_EREQUEST, "Cannot create partition field \"%.100s\": a column has that name", name);
    return TN_OK;
}

static enum tn_code write_spec_fields(struct change_state *state, const struct doc_node *fields, struct tn_json *json,
                                      struct tn_error *err)
{
    const struct iceberg_schema *schema = NULL;
    int32_t current = state->schema_id != ICEBERG_NONE ? state->schema_id : state->added_schema_id;
    TN_TRY(change_schema(state, current, state->arena, &schema, err));
    tn_json_open(json, '[');
    for (const struct doc_node *field = fields->first; field; field = field->next) {
        int32_t id = state->last_partition_id + 1;
        if (field->kind != DOC_OBJECT)
            return tn_fail(err, TN_EREQUEST, "a partition field must be an object");
        TN_TRY(check_spec_field(state, schema, field, err));
        TN_TRY(doc_take_i32(field, "field-id", "a partition field", &id, err));
        if (id < 0 || id > ID_HIGHEST)
            return tn_fail(err, TN_EREQUEST, "partition field id %d is out of range", id);
        for (const struct doc_node *other = fields->first; other != field; other = other->next)
            if (same_member(other, field, "name"))
                return tn_fail(err, TN_EREQUEST, "two partition fields have the same name");
        state->last_partition_id = TN_MAX(state->last_partition_id, id);
        tn_json_open(json, '{');
        for (const struct doc_node *member = field->first; member; member = member->next) {
            if (tn_streq(member->key, "field-id"))
                continue;
            tn_json_key(json, member->key);
            tn_json_raw(json, member->raw, member->raw_length);
        }
        tn_json_key(json, "field-id");
        tn_json_int(json, id);
        tn_json_close(json, '}');
    }
    tn_json_close(json, ']');
    return TN_OK;
}

enum tn_code change_add_spec(struct change_state *state, const struct doc_node *spec, struct tn_error *err)
{
    static const char *const keys[] = {"source-id", "source-ids", "name", "transform", NULL};
    const struct doc_node *fields = NULL;
    int64_t id = ICEBERG_NONE;
    TN_TRY(doc_need(spec, "fields", DOC_ARRAY, "a partition spec", &fields, err));
    TN_TRY(find_same(state, &state->specs, fields, keys, &id, err));
    if (id != ICEBERG_NONE) {
        state->added_spec_id = (int32_t)id;
        return TN_OK;
    }
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    id = change_next_id(&state->specs);
    tn_json_open(&json, '{');
    tn_json_key(&json, "spec-id");
    tn_json_int(&json, id);
    tn_json_key(&json, "fields");
    TN_TRY(write_spec_fields(state, fields, &json, err));
    tn_json_close(&json, '}');
    change_add(&state->specs, id, tn_arena_strndup(state->arena, text.data, text.len), text.len);
    state->added_spec_id = (int32_t)id;
    state->changed = true;
    return TN_OK;
}

/* --- Sort orders --- */

enum tn_code change_add_order(struct change_state *state, const struct doc_node *order, struct tn_error *err)
{
    static const char *const keys[] = {"source-id", "source-ids", "transform", "direction", "null-order", NULL};
    const struct doc_node *fields = NULL;
    int64_t id = ICEBERG_NONE;
    TN_TRY(doc_need(order, "fields", DOC_ARRAY, "a sort order", &fields, err));
    const struct iceberg_schema *schema = NULL;
    int32_t current = state->schema_id != ICEBERG_NONE ? state->schema_id : state->added_schema_id;
    TN_TRY(change_schema(state, current, state->arena, &schema, err));
    for (const struct doc_node *field = fields->first; field; field = field->next)
        TN_TRY(change_check_order_field(schema, field, err));
    TN_TRY(find_same(state, &state->orders, fields, keys, &id, err));
    if (id != ICEBERG_NONE) {
        state->added_order_id = (int32_t)id;
        return TN_OK;
    }
    size_t length = 0;
    id = change_next_id(&state->orders);
    if (fields->count == 0)
        id = 0; /* 0 is the unsorted order, everywhere */
    else if (id == 0)
        id = 1;
    const char *json = change_with_id(state, order, "order-id", id, &length);
    change_add(&state->orders, id, json, length);
    state->added_order_id = (int32_t)id;
    state->changed = true;
    return TN_OK;
}
