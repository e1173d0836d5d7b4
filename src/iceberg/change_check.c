/* What a change adds, held against what every reader takes.
 *
 * Other engines check a table's metadata when they load it, and refuse the
 * whole table for one column, partition field or statistics file that cannot
 * be. So such a thing is refused when it comes, and the table stays as it was.
 */
#include "iceberg/change_internal.h"

#include "base/str.h"
#include "iceberg/schema.h"

#include <string.h>

/* --- Schemas --- */

/* Types that came with format 3; some have parameters. */
static bool is_of_format_3(const char *word)
{
    static const char *const names[] = {"timestamp_ns", "timestamptz_ns", "unknown", "variant"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (tn_streq(word, names[i]))
            return true;
    return tn_str_starts_with(word, "geometry") || tn_str_starts_with(word, "geography");
}

/* Types of which other engines know, and Tarn does not read. */
static bool is_held_only(const char *word)
{
    return tn_str_starts_with(word, "fixed[") || tn_str_starts_with(word, "decimal(");
}

static enum tn_code check_unread_type(const struct iceberg_field *field, int32_t format_version, struct tn_error *err)
{
    char word[64] = "";
    const char *text = field->type->text ? field->type->text : "";
    size_t length = strlen(text);
    if (length >= 2 && length - 2 < sizeof word && text[0] == '"') {
        memcpy(word, text + 1, length - 2);
        word[length - 2] = '\0';
    }
    if (is_held_only(word))
        return TN_OK;
    if (!is_of_format_3(word))
        return tn_fail(err, TN_EREQUEST, "Cannot parse type of column \"%.100s\": %.100s", field->name, text);
    return format_version >= 3
               ? TN_OK
               : tn_fail(err, TN_EREQUEST, "Invalid type for column \"%.100s\": %s is not supported until v3",
                         field->name, word);
}

static bool has_initial_default(const struct iceberg_field *field)
{
    static const char key[] = "\"initial-default\":";
    const char *found = field->defaults ? strstr(field->defaults, key) : NULL;
    return found && !tn_str_starts_with(found + strlen(key), "null");
}

static enum tn_code check_fields(const struct iceberg_type *type, int32_t format_version, struct tn_error *err)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        for (size_t j = 0; j < i; j++)
            if (tn_streq(type->fields[j].name, field->name))
                return tn_fail(err, TN_EREQUEST, "Invalid schema: two columns have the name \"%.100s\"", field->name);
        if (field->type->kind == ICEBERG_UNSUPPORTED)
            TN_TRY(check_unread_type(field, format_version, err));
        if (format_version < 3 && has_initial_default(field))
            return tn_fail(err, TN_EREQUEST,
                           "Invalid initial default for \"%.100s\": a default is not supported until v3",
                           field->name);
        TN_TRY(check_fields(field->type, format_version, err));
    }
    return TN_OK;
}

/* A column of the key, found below structs alone, all of them required. */
static enum tn_code check_key(const struct iceberg_field *fields, size_t count, int32_t id, bool *ret_found,
                              struct tn_error *err)
{
    for (size_t i = 0; i < count && !*ret_found; i++) {
        const struct iceberg_field *field = &fields[i];
        bool below = false;
        if (field->id != id && field->type->kind == ICEBERG_STRUCT)
            TN_TRY(check_key(field->type->fields, field->type->field_count, id, &below, err));
        if (field->id != id && !below)
            continue;
        *ret_found = true;
        if (!field->required)
            return tn_fail(err, TN_EREQUEST, "Cannot add field %.100s as an identifier field: not a required field",
                           field->name);
        if (field->id == id && (iceberg_kind_nested(field->type->kind) || field->type->kind == ICEBERG_FLOAT ||
                                field->type->kind == ICEBERG_DOUBLE))
            return tn_fail(err, TN_EREQUEST, "Cannot add field %.100s as an identifier field: its type is %s",
                           field->name, iceberg_kind_word(field->type->kind));
    }
    return TN_OK;
}

enum tn_code change_check_schema(const struct iceberg_schema *schema, int32_t format_version, struct tn_error *err)
{
    const struct iceberg_type whole = {
        .kind = ICEBERG_STRUCT, .fields = schema->fields, .field_count = schema->field_count};
    TN_TRY(check_fields(&whole, format_version, err));
    for (size_t i = 0; i < schema->identifier_count; i++) {
        bool found = false;
        TN_TRY(check_key(schema->fields, schema->field_count, schema->identifier_ids[i], &found, err));
        if (!found)
            return tn_fail(err, TN_EREQUEST, "Cannot add field %d as an identifier field: it lies in a list or a map",
                           schema->identifier_ids[i]);
    }
    return TN_OK;
}

/* --- Partition fields and sort fields --- */

enum tn_code change_check_transform(const struct iceberg_schema *schema, int32_t source, const char *transform,
                                    const char *what, struct tn_error *err)
{
    if (tn_streq(transform, "void"))
        return TN_OK;
    const struct iceberg_field *field = iceberg_schema_field(schema, source);
    if (!field)
        return tn_fail(err, TN_EREQUEST, "Cannot find source column for %s: %d", what, source);
    if (!iceberg_transform_fits(transform, field->type))
        return tn_fail(err, TN_EREQUEST, "Invalid source type %s for transform \"%.60s\" of column \"%.100s\"",
                       iceberg_kind_word(field->type->kind), transform, field->name);
    return TN_OK;
}

static enum tn_code check_word(const struct doc_node *field, const char *key, const char *one, const char *other,
                               struct tn_error *err)
{
    const char *text = NULL;
    TN_TRY(doc_need_text(field, key, "a sort field", &text, err));
    if (!tn_str_equal_nocase(text, one) && !tn_str_equal_nocase(text, other))
        return tn_fail(err, TN_EREQUEST, "a sort field's \"%s\" is \"%s\" or \"%s\", not \"%.60s\"", key, one, other,
                       text);
    return TN_OK;
}

enum tn_code change_check_order_field(const struct iceberg_schema *schema, const struct doc_node *field,
                                      struct tn_error *err)
{
    const char *transform = NULL;
    int32_t source = ICEBERG_NONE;
    if (field->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "a sort field must be an object");
    TN_TRY(doc_need_text(field, "transform", "a sort field", &transform, err));
    TN_TRY(check_word(field, "direction", "asc", "desc", err));
    TN_TRY(check_word(field, "null-order", "nulls-first", "nulls-last", err));
    if (doc_get(field, "source-ids") && !doc_get(field, "source-id"))
        return TN_OK; /* of several columns: format 3 */
    TN_TRY(doc_need_i32(field, "source-id", "a sort field", &source, err));
    return schema ? change_check_transform(schema, source, transform, "sort field", err) : TN_OK;
}

/* --- Statistics --- */

static enum tn_code check_blob(const struct doc_node *blob, struct tn_error *err)
{
    static const char what[] = "a blob of the statistics";
    const struct doc_node *fields = NULL;
    const char *type = NULL;
    int64_t number = 0;
    if (blob->kind != DOC_OBJECT)
        return tn_fail(err, TN_EREQUEST, "%s must be an object", what);
    TN_TRY(doc_need_text(blob, "type", what, &type, err));
    TN_TRY(doc_need_i64(blob, "snapshot-id", what, &number, err));
    TN_TRY(doc_need_i64(blob, "sequence-number", what, &number, err));
    return doc_need(blob, "fields", DOC_ARRAY, what, &fields, err);
}

enum tn_code change_check_statistics(const struct doc_node *file, bool of_partitions, struct tn_error *err)
{
    static const char what[] = "a statistics file";
    const struct doc_node *blobs = NULL;
    int64_t size = 0;
    TN_TRY(doc_need_i64(file, "file-size-in-bytes", what, &size, err));
    if (of_partitions)
        return TN_OK;
    TN_TRY(doc_need_i64(file, "file-footer-size-in-bytes", what, &size, err));
    TN_TRY(doc_need(file, "blob-metadata", DOC_ARRAY, what, &blobs, err));
    for (const struct doc_node *blob = blobs->first; blob; blob = blob->next)
        TN_TRY(check_blob(blob, err));
    return TN_OK;
}
