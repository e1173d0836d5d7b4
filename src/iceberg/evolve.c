/* Schemas that grow: fresh ids for new columns, and what an existing schema
 * must become so that new rows fit. */
#include "base/str.h"
#include "iceberg/schema.h"

#include <string.h>

/* --- Fresh ids --- */

static const struct iceberg_type *evolve_number_type(struct tn_arena *arena, const struct iceberg_type *type,
                                                     int32_t *next);

static const struct iceberg_field *evolve_number_fields(struct tn_arena *arena, const struct iceberg_field *fields,
                                                        size_t count, int32_t *next)
{
    struct iceberg_field *out = TN_ARENA_ARRAY(arena, struct iceberg_field, count);
    for (size_t i = 0; i < count; i++) {
        out[i] = fields[i];
        out[i].name = tn_arena_strdup(arena, fields[i].name);
        out[i].doc = fields[i].doc ? tn_arena_strdup(arena, fields[i].doc) : NULL;
        out[i].id = (*next)++;
    }
    for (size_t i = 0; i < count; i++)
        out[i].type = evolve_number_type(arena, fields[i].type, next);
    return out;
}

static const struct iceberg_type *evolve_number_type(struct tn_arena *arena, const struct iceberg_type *type,
                                                     int32_t *next)
{
    struct iceberg_type *out = tn_arena_alloc(arena, sizeof *out);
    *out = *type;
    out->text = type->text ? tn_arena_strdup(arena, type->text) : NULL;
    out->fields = evolve_number_fields(arena, type->fields, type->field_count, next);
    return out;
}

static enum tn_code evolve_check_names(const struct iceberg_field *fields, size_t count, struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name[0] == '\0')
            return tn_fail(err, TN_ESCHEMA, "column %zu has no name", i + 1);
        for (size_t k = 0; k < i; k++)
            if (tn_str_equal_nocase(fields[i].name, fields[k].name))
                return tn_fail(err, TN_ESCHEMA, "two columns are called \"%s\" (upper and lower case count as equal)",
                               fields[i].name);
        if (fields[i].type->kind == ICEBERG_STRUCT)
            TN_TRY(evolve_check_names(fields[i].type->fields, fields[i].type->field_count, err));
    }
    return TN_OK;
}

enum tn_code iceberg_schema_assign_ids(struct tn_arena *arena, const struct iceberg_schema *schema, int32_t first_id,
                                       const struct iceberg_schema **ret, int32_t *ret_last_id, struct tn_error *err)
{
    TN_TRY(evolve_check_names(schema->fields, schema->field_count, err));
    struct iceberg_schema *out = tn_arena_alloc(arena, sizeof *out);
    int32_t next = first_id;
    *out = *schema;
    out->fields = evolve_number_fields(arena, schema->fields, schema->field_count, &next);
    int32_t *ids = TN_ARENA_ARRAY(arena, int32_t, schema->identifier_count);
    for (size_t i = 0; i < schema->identifier_count; i++) {
        size_t k = 0;
        while (k < schema->field_count && schema->fields[k].id != schema->identifier_ids[i])
            k++;
        if (k == schema->field_count)
            return tn_fail(err, TN_ESCHEMA, "identifier column %d is not a column of the schema",
                           schema->identifier_ids[i]);
        ids[i] = out->fields[k].id;
    }
    out->identifier_ids = ids;
    *ret = out;
    *ret_last_id = next - 1;
    return TN_OK;
}

/* --- Evolution --- */

struct evolution {
    struct tn_arena *arena;
    const struct iceberg_schema *current;
    int32_t next_id;
    bool changed;
    struct tn_buf differences; /* text of TN_ESCHEMA; empty while all fits */
};

static void evolve_differ(struct evolution *evolution, const char *path, const struct iceberg_type *have,
                          const struct iceberg_type *got)
{
    tn_buf_puts(&evolution->differences, evolution->differences.len ? "; " : "");
    TN_AUTO_BUF is = {0};
    TN_AUTO_BUF has = {0};
    iceberg_type_put_sql(have, &is);
    iceberg_type_put_sql(got, &has);
    if (tn_streq(is.data, has.data)) { /* types that are one to SQL: BLOBs of several lengths */
        tn_buf_clear(&is);
        tn_buf_clear(&has);
        iceberg_type_format(have, &is);
        iceberg_type_format(got, &has);
    }
    tn_buf_printf(&evolution->differences, "\"%s\" is %s and the new rows have %s", path, is.data, has.data);
}

/* Values of `from` are values of `to` without loss. */
static bool evolve_fits(const struct iceberg_type *from, const struct iceberg_type *to)
{
    if (from->kind == ICEBERG_DECIMAL && to->kind == ICEBERG_DECIMAL)
        return from->scale == to->scale && from->precision <= to->precision;
    if (from->kind == to->kind)
        return from->length == to->length && from->kind != ICEBERG_UNSUPPORTED;
    return (from->kind == ICEBERG_INT && (to->kind == ICEBERG_LONG || to->kind == ICEBERG_DOUBLE)) ||
           (from->kind == ICEBERG_FLOAT && to->kind == ICEBERG_DOUBLE);
}

/* The promotions that the format allows for a column with data in it. */
static bool evolve_widens(const struct iceberg_type *from, const struct iceberg_type *to)
{
    return evolve_fits(from, to) && !(from->kind == ICEBERG_INT && to->kind == ICEBERG_DOUBLE);
}

static bool evolve_is_identifier(const struct evolution *evolution, int32_t id)
{
    for (size_t i = 0; i < evolution->current->identifier_count; i++)
        if (evolution->current->identifier_ids[i] == id)
            return true;
    return false;
}

static void evolve_fields(struct evolution *evolution, const char *path, const struct iceberg_type *have,
                          const struct iceberg_type *got, struct iceberg_type *ret);

static const struct iceberg_type *evolve_type(struct evolution *evolution, const char *path,
                                              const struct iceberg_type *have, const struct iceberg_type *got)
{
    if (have->kind == got->kind && iceberg_kind_nested(have->kind)) {
        struct iceberg_type *out = tn_arena_alloc(evolution->arena, sizeof *out);
        *out = *have;
        evolve_fields(evolution, path, have, got, out);
        return out;
    }
    if (evolve_fits(got, have))
        return have;
    if (evolve_widens(have, got)) {
        evolution->changed = true;
        return schema_copy_type(evolution->arena, got);
    }
    evolve_differ(evolution, path, have, got);
    return have;
}

static const struct iceberg_field *evolve_match(const struct iceberg_type *type, size_t position, const char *name)
{
    if (type->kind != ICEBERG_STRUCT)
        return position < type->field_count ? &type->fields[position] : NULL;
    const struct iceberg_schema as_schema = {.fields = type->fields, .field_count = type->field_count};
    return iceberg_schema_find(&as_schema, name, true);
}

static char *evolve_path(struct evolution *evolution, const char *path, const char *name)
{
    return tn_arena_printf(evolution->arena, "%s%s%s", path, path[0] ? "." : "", name);
}

/* The columns that are there, each as the new rows need it. */
static void evolve_existing(struct evolution *evolution, const char *path, const struct iceberg_type *have,
                            const struct iceberg_type *got, struct iceberg_field *out)
{
    for (size_t i = 0; i < have->field_count; i++) {
        const struct iceberg_field *field = &have->fields[i];
        const struct iceberg_field *match = evolve_match(got, i, field->name);
        char *where = evolve_path(evolution, path, field->name);
        out[i] = *field;
        if (match)
            out[i].type = evolve_type(evolution, where, field->type, match->type);
        if (!field->required || (match && match->required))
            continue;
        if (evolve_is_identifier(evolution, field->id)) {
            if (!match) {
                tn_buf_puts(&evolution->differences, evolution->differences.len ? "; " : "");
                tn_buf_printf(&evolution->differences, "\"%s\" is part of the key and the new rows do not have it",
                              where);
            }
        } else if (have->kind != ICEBERG_MAP || i != 0) {
            out[i].required = false;
            evolution->changed = true;
        }
    }
}

static void evolve_fields(struct evolution *evolution, const char *path, const struct iceberg_type *have,
                          const struct iceberg_type *got, struct iceberg_type *ret)
{
    struct iceberg_field *out =
        TN_ARENA_ARRAY(evolution->arena, struct iceberg_field, have->field_count + got->field_count);
    evolve_existing(evolution, path, have, got, out);
    size_t count = have->field_count, added = count;
    for (size_t i = 0; have->kind == ICEBERG_STRUCT && i < got->field_count; i++) {
        if (evolve_match(have, i, got->fields[i].name))
            continue;
        out[count] = got->fields[i];
        out[count].required = false;
        out[count++].id = evolution->next_id++;
        evolution->changed = true;
    }
    for (; added < count; added++) {
        out[added].name = tn_arena_strdup(evolution->arena, out[added].name);
        out[added].doc = out[added].doc ? tn_arena_strdup(evolution->arena, out[added].doc) : NULL;
        out[added].type = evolve_number_type(evolution->arena, out[added].type, &evolution->next_id);
    }
    ret->fields = out;
    ret->field_count = count;
}

enum tn_code iceberg_schema_evolve(struct tn_arena *arena, const struct iceberg_schema *current,
                                   const struct iceberg_schema *incoming, int32_t last_column_id,
                                   const struct iceberg_schema **ret, struct tn_error *err)
{
    TN_TRY(evolve_check_names(incoming->fields, incoming->field_count, err));
    int32_t highest = iceberg_schema_highest_id(current);
    struct evolution evolution = {.arena = arena, .current = current, .next_id = TN_MAX(highest, last_column_id) + 1};
    struct iceberg_type have = {
        .kind = ICEBERG_STRUCT, .fields = current->fields, .field_count = current->field_count};
    struct iceberg_type got = {
        .kind = ICEBERG_STRUCT, .fields = incoming->fields, .field_count = incoming->field_count};
    struct iceberg_type grown = {0};
    evolve_fields(&evolution, "", &have, &got, &grown);
    enum tn_code code = TN_OK;
    if (evolution.differences.len) {
        code = tn_fail(err, TN_ESCHEMA, "the new rows do not fit: %s", evolution.differences.data);
        tn_error_hint(err, "give the columns the table's types (types=...), or load the rows into another dataset");
    } else if (!evolution.changed) {
        *ret = current;
    } else {
        struct iceberg_schema *out = tn_arena_alloc(arena, sizeof *out);
        *out = *current;
        out->fields = grown.fields;
        out->field_count = grown.field_count;
        *ret = out;
    }
    tn_buf_release(&evolution.differences);
    return code;
}
