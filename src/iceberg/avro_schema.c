/* Avro schemas: the JSON of a file's header as a tree. */
#include "base/str.h"
#include "iceberg/avro.h"
#include "iceberg/doc.h"

#include <string.h>

#define AVRO_MAX_NAMES 256
#define AVRO_MAX_DEPTH 32
/* A type may be used by name many times, also inside others that are: without
 * this limit one record could stand for 2^100 empty ones. */
#define AVRO_MAX_WEIGHT 4096

struct avro_schema_reader {
    struct tn_arena *arena;
    const char *what;
    struct tn_error *err;
    const struct avro_type *named[AVRO_MAX_NAMES];
    size_t named_count;
};

static enum tn_code avro_type_of_doc(struct avro_schema_reader *in, const struct doc_node *node, int depth,
                                     const struct avro_type **ret);

static const struct avro_type avro_primitives[] = {
    {.kind = AVRO_NULL, .name = "null"},   {.kind = AVRO_BOOLEAN, .name = "boolean"},
    {.kind = AVRO_INT, .name = "int"},     {.kind = AVRO_LONG, .name = "long"},
    {.kind = AVRO_FLOAT, .name = "float"}, {.kind = AVRO_DOUBLE, .name = "double"},
    {.kind = AVRO_BYTES, .name = "bytes"}, {.kind = AVRO_STRING, .name = "string"},
};

static enum tn_code avro_add_weight(struct avro_schema_reader *in, struct avro_type *type,
                                    const struct avro_type *part)
{
    type->weight += part->weight + 1;
    if (type->weight > AVRO_MAX_WEIGHT)
        return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema is too large", in->what);
    return TN_OK;
}

static enum tn_code avro_type_of_word(struct avro_schema_reader *in, const char *word, const struct avro_type **ret)
{
    for (size_t i = 0; i < TN_COUNT(avro_primitives); i++) {
        if (tn_streq(avro_primitives[i].name, word)) {
            *ret = &avro_primitives[i];
            return TN_OK;
        }
    }
    /* Types that are still being read are not in the list yet: a type that
     * contains itself is refused here, and decoding needs no depth limit. */
    for (size_t i = 0; i < in->named_count; i++) {
        if (tn_streq(in->named[i]->name, word)) {
            *ret = in->named[i];
            return TN_OK;
        }
    }
    return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema uses an unknown type \"%.80s\"", in->what, word);
}

static enum tn_code avro_remember(struct avro_schema_reader *in, const struct doc_node *node, struct avro_type *type)
{
    TN_TRY(doc_need_text(node, "name", in->what, &type->name, in->err));
    if (in->named_count == AVRO_MAX_NAMES)
        return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema has too many named types", in->what);
    in->named[in->named_count++] = type;
    return TN_OK;
}

static enum tn_code avro_record_of_doc(struct avro_schema_reader *in, const struct doc_node *node, int depth,
                                       struct avro_type *type)
{
    const struct doc_node *list = NULL;
    TN_TRY(doc_need(node, "fields", DOC_ARRAY, in->what, &list, in->err));
    type->fields = TN_ARENA_ARRAY(in->arena, struct avro_field, list->count);
    for (const struct doc_node *item = list->first; item; item = item->next) {
        struct avro_field *field = &type->fields[type->count++];
        const struct doc_node *preset = doc_get(item, "default");
        field->id = ICEBERG_NONE;
        field->null_default = preset && preset->kind == DOC_NULL;
        TN_TRY(doc_need_text(item, "name", in->what, &field->name, in->err));
        TN_TRY(doc_take_i32(item, "field-id", in->what, &field->id, in->err));
        TN_TRY(avro_type_of_doc(in, doc_get(item, "type"), depth + 1, &field->type));
        TN_TRY(avro_add_weight(in, type, field->type));
    }
    return avro_remember(in, node, type);
}

static enum tn_code avro_union_of_doc(struct avro_schema_reader *in, const struct doc_node *node, int depth,
                                      struct avro_type *type)
{
    type->kind = AVRO_UNION;
    type->parts = TN_ARENA_ARRAY(in->arena, const struct avro_type *, node->count);
    for (const struct doc_node *item = node->first; item; item = item->next) {
        TN_TRY(avro_type_of_doc(in, item, depth + 1, &type->parts[type->count]));
        TN_TRY(avro_add_weight(in, type, type->parts[type->count++]));
    }
    if (type->count == 0)
        return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema has an empty union", in->what);
    return TN_OK;
}

static enum tn_code avro_complex_of_doc(struct avro_schema_reader *in, const struct doc_node *node, const char *word,
                                        int depth, struct avro_type *type)
{
    type->element_id = ICEBERG_NONE;
    TN_TRY(doc_take_text(node, "logicalType", in->what, &type->logical, in->err));
    if (tn_streq(word, "record")) {
        type->kind = AVRO_RECORD;
        return avro_record_of_doc(in, node, depth, type);
    }
    if (tn_streq(word, "array") || tn_streq(word, "map")) {
        type->kind = word[0] == 'a' ? AVRO_ARRAY : AVRO_MAP;
        type->parts = TN_ARENA_ARRAY(in->arena, const struct avro_type *, 1);
        type->count = 1;
        TN_TRY(doc_take_i32(node, "element-id", in->what, &type->element_id, in->err));
        TN_TRY(avro_type_of_doc(in, doc_get(node, type->kind == AVRO_ARRAY ? "items" : "values"), depth + 1,
                                &type->parts[0]));
        return avro_add_weight(in, type, type->parts[0]);
    }
    if (tn_streq(word, "fixed")) {
        type->kind = AVRO_FIXED;
        TN_TRY(doc_need_i64(node, "size", in->what, &type->size, in->err));
        if (type->size < 0)
            return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema has a fixed of negative size", in->what);
        return avro_remember(in, node, type);
    }
    if (tn_streq(word, "enum")) {
        type->kind = AVRO_ENUM;
        return avro_remember(in, node, type);
    }
    const struct avro_type *plain = NULL;
    TN_TRY(avro_type_of_word(in, word, &plain));
    const char *logical = type->logical;
    *type = *plain;
    type->logical = logical;
    return TN_OK;
}

static enum tn_code avro_type_of_doc(struct avro_schema_reader *in, const struct doc_node *node, int depth,
                                     const struct avro_type **ret)
{
    if (depth > AVRO_MAX_DEPTH)
        return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema is nested too deeply", in->what);
    if (node && node->kind == DOC_STRING)
        return avro_type_of_word(in, node->text, ret);
    struct avro_type *type = tn_arena_alloc(in->arena, sizeof *type);
    if (node && node->kind == DOC_ARRAY) {
        TN_TRY(avro_union_of_doc(in, node, depth, type));
    } else if (node && node->kind == DOC_OBJECT) {
        const struct doc_node *word = doc_get(node, "type");
        if (word && word->kind != DOC_STRING)
            return avro_type_of_doc(in, word, depth + 1, ret);
        const char *text = NULL;
        TN_TRY(doc_need_text(node, "type", in->what, &text, in->err));
        TN_TRY(avro_complex_of_doc(in, node, text, depth, type));
    } else {
        return tn_fail(in->err, TN_ECORRUPT, "%s: the Avro schema lacks a type", in->what);
    }
    *ret = type;
    return TN_OK;
}

enum tn_code avro_schema_parse(struct tn_arena *arena, const char *json, size_t length, const char *what,
                               const struct avro_type **ret, struct tn_error *err)
{
    struct avro_schema_reader in = {.arena = arena, .what = what, .err = err};
    const struct doc_node *root = NULL;
    TN_TRY(doc_parse(arena, json, length, what, &root, err));
    return avro_type_of_doc(&in, root, 0, ret);
}

void avro_resolve_names(const struct avro_type *record, const struct avro_name *names, size_t count)
{
    for (size_t i = 0; record && record->kind == AVRO_RECORD && i < record->count; i++) {
        struct avro_field *field = &record->fields[i];
        for (size_t k = 0; field->id == ICEBERG_NONE && k < count; k++) {
            if (tn_streq(field->name, names[k].name)) {
                field->id = names[k].id;
                field->id_by_name = true;
            }
        }
    }
}

const struct avro_field *avro_field_by_id(const struct avro_type *record, int32_t id)
{
    for (size_t i = 0; record && record->kind == AVRO_RECORD && i < record->count; i++)
        if (record->fields[i].id == id)
            return &record->fields[i];
    return NULL;
}

const struct avro_type *avro_unwrap(const struct avro_type *type)
{
    if (!type || type->kind != AVRO_UNION)
        return type;
    if (type->count == 1)
        return type->parts[0];
    if (type->count == 2 && type->parts[0]->kind == AVRO_NULL)
        return type->parts[1];
    return type->count == 2 && type->parts[1]->kind == AVRO_NULL ? type->parts[0] : NULL;
}
