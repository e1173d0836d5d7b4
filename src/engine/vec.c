/* Type trees, and pointing them at chunks. */
#include "engine/vec.h"

#define MAX_TYPE_DEPTH 64

static enum tn_code build(duckdb_logical_type type, struct tn_arena *arena, size_t depth, struct vec **ret,
                          struct tn_error *err);

static enum tn_code add_child(struct vec *vec, size_t index, duckdb_logical_type type, char *name,
                              struct tn_arena *arena, size_t depth, struct tn_error *err)
{
    enum tn_code code = build(type, arena, depth + 1, &vec->children[index], err);
    vec->names[index] = name ? tn_arena_strdup(arena, name) : "";
    duckdb_free(name);
    duckdb_destroy_logical_type(&type);
    return code;
}

static enum tn_code add_children(struct vec *vec, duckdb_logical_type type, struct tn_arena *arena, size_t depth,
                                 struct tn_error *err)
{
    bool fields = vec->type == DUCKDB_TYPE_STRUCT;
    bool members = vec->type == DUCKDB_TYPE_UNION;
    bool map = vec->type == DUCKDB_TYPE_MAP;
    vec->child_count = fields    ? (size_t)duckdb_struct_type_child_count(type)
                       : members ? (size_t)duckdb_union_type_member_count(type)
                       : map     ? 2
                                 : 1;
    vec->children = TN_ARENA_ARRAY(arena, struct vec *, vec->child_count);
    vec->names = TN_ARENA_ARRAY(arena, const char *, vec->child_count);
    for (size_t i = 0; i < vec->child_count; i++) {
        duckdb_logical_type child;
        char *name = NULL;
        if (fields) {
            child = duckdb_struct_type_child_type(type, i);
            name = duckdb_struct_type_child_name(type, i);
        } else if (members) {
            child = duckdb_union_type_member_type(type, i);
            name = duckdb_union_type_member_name(type, i);
        } else if (map) {
            child = i ? duckdb_map_type_value_type(type) : duckdb_map_type_key_type(type);
        } else if (vec->type == DUCKDB_TYPE_ARRAY) {
            child = duckdb_array_type_child_type(type);
            vec->array_size = duckdb_array_type_array_size(type);
        } else {
            child = duckdb_list_type_child_type(type);
        }
        TN_TRY(add_child(vec, i, child, name, arena, depth, err));
    }
    return TN_OK;
}

static void add_words(struct vec *vec, duckdb_logical_type type, struct tn_arena *arena)
{
    vec->physical = duckdb_enum_internal_type(type);
    vec->word_count = duckdb_enum_dictionary_size(type);
    vec->words = TN_ARENA_ARRAY(arena, const char *, vec->word_count + 1);
    for (size_t i = 0; i < vec->word_count; i++) {
        char *word = duckdb_enum_dictionary_value(type, i);
        vec->words[i] = tn_arena_strdup(arena, word);
        duckdb_free(word);
    }
}

static enum tn_code unsupported(duckdb_logical_type type, struct tn_error *err)
{
    TN_AUTO_BUF name = {0};
    engine_type_text(type, &name);
    tn_fail(err, TN_EUNSUPPORTED, "values of type %s cannot be written out", name.data);
    tn_error_hint(err, "Cast it: CAST(x AS VARCHAR).");
    return TN_EUNSUPPORTED;
}

static enum tn_code build(duckdb_logical_type type, struct tn_arena *arena, size_t depth, struct vec **ret,
                          struct tn_error *err)
{
    if (depth > MAX_TYPE_DEPTH)
        return tn_fail(err, TN_EUNSUPPORTED, "the type is nested more than %d deep", MAX_TYPE_DEPTH);
    struct vec *vec = tn_arena_alloc(arena, sizeof *vec);
    vec->type = duckdb_get_type_id(type);
    *ret = vec;
    switch (vec->type) {
    case DUCKDB_TYPE_DECIMAL:
        vec->physical = duckdb_decimal_internal_type(type);
        vec->width = duckdb_decimal_width(type);
        vec->scale = duckdb_decimal_scale(type);
        return TN_OK;
    case DUCKDB_TYPE_ENUM:
        add_words(vec, type, arena);
        return TN_OK;
    case DUCKDB_TYPE_VARCHAR: {
        char *alias = duckdb_logical_type_get_alias(type);
        vec->json = alias && tn_str_equal_nocase(alias, "JSON");
        duckdb_free(alias);
        return TN_OK;
    }
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_MAP:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_UNION:
        return add_children(vec, type, arena, depth, err);
    case DUCKDB_TYPE_INVALID:
    case DUCKDB_TYPE_ANY:
    case DUCKDB_TYPE_STRING_LITERAL:
    case DUCKDB_TYPE_INTEGER_LITERAL:
        return unsupported(type, err);
    default:
        return vec->type <= DUCKDB_TYPE_TIME_NS ? TN_OK : unsupported(type, err);
    }
}

enum tn_code vec_new(duckdb_logical_type type, struct tn_arena *arena, struct vec **ret, struct tn_error *err)
{
    return build(type, arena, 0, ret, err);
}

void vec_point(struct vec *vec, duckdb_vector vector)
{
    vec->validity = duckdb_vector_get_validity(vector);
    switch (vec->type) {
    case DUCKDB_TYPE_LIST:
        vec->data = duckdb_vector_get_data(vector);
        vec_point(vec->children[0], duckdb_list_vector_get_child(vector));
        return;
    case DUCKDB_TYPE_MAP: {
        vec->data = duckdb_vector_get_data(vector);
        duckdb_vector entries = duckdb_list_vector_get_child(vector);
        vec_point(vec->children[0], duckdb_struct_vector_get_child(entries, 0));
        vec_point(vec->children[1], duckdb_struct_vector_get_child(entries, 1));
        return;
    }
    case DUCKDB_TYPE_ARRAY:
        vec_point(vec->children[0], duckdb_array_vector_get_child(vector));
        return;
    case DUCKDB_TYPE_STRUCT:
        for (size_t i = 0; i < vec->child_count; i++)
            vec_point(vec->children[i], duckdb_struct_vector_get_child(vector, i));
        return;
    case DUCKDB_TYPE_UNION:
        vec->tags = duckdb_vector_get_data(duckdb_struct_vector_get_child(vector, 0));
        for (size_t i = 0; i < vec->child_count; i++)
            vec_point(vec->children[i], duckdb_struct_vector_get_child(vector, i + 1));
        return;
    default:
        vec->data = duckdb_vector_get_data(vector);
    }
}

engine_int128 vec_integer(const struct vec *vec, size_t row)
{
    switch (vec->type == DUCKDB_TYPE_DECIMAL ? vec->physical : vec->type) {
    case DUCKDB_TYPE_TINYINT:
        return ((const int8_t *)vec->data)[row];
    case DUCKDB_TYPE_SMALLINT:
        return ((const int16_t *)vec->data)[row];
    case DUCKDB_TYPE_INTEGER:
        return ((const int32_t *)vec->data)[row];
    case DUCKDB_TYPE_BIGINT:
        return ((const int64_t *)vec->data)[row];
    case DUCKDB_TYPE_UTINYINT:
        return ((const uint8_t *)vec->data)[row];
    case DUCKDB_TYPE_USMALLINT:
        return ((const uint16_t *)vec->data)[row];
    case DUCKDB_TYPE_UINTEGER:
        return ((const uint32_t *)vec->data)[row];
    case DUCKDB_TYPE_UBIGINT:
        return ((const uint64_t *)vec->data)[row];
    default: { /* HUGEINT and wide DECIMAL */
        const duckdb_hugeint *value = (const duckdb_hugeint *)vec->data + row;
        return (engine_int128)(((engine_uint128)(uint64_t)value->upper << 64) | value->lower);
    }
    }
}

size_t vec_word(const struct vec *vec, size_t row)
{
    switch (vec->physical) {
    case DUCKDB_TYPE_UTINYINT:
        return ((const uint8_t *)vec->data)[row];
    case DUCKDB_TYPE_USMALLINT:
        return ((const uint16_t *)vec->data)[row];
    default:
        return ((const uint32_t *)vec->data)[row];
    }
}
