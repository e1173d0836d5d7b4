/* The datasets that a question may see. */
#include "answer/ask.h"

#include "dataset/dataset.h"
#include "index/index.h"

#include <inttypes.h>
#include <string.h>

/* Public columns show what they hold, and unmarked ones; "internal" and up do not:
 * a prompt may leave the machine. */
static bool is_sensitive(const char *mark)
{
    return mark && !tn_streq(mark, "public");
}

static bool is_key(const struct iceberg_schema *schema, int32_t field_id)
{
    for (size_t i = 0; i < schema->identifier_count; i++)
        if (schema->identifier_ids[i] == field_id)
            return true;
    return false;
}

static const char *note_of(const json_t *notes, int32_t field_id, const char *what)
{
    char id[16];
    snprintf(id, sizeof id, "%d", field_id);
    return json_string_value(json_object_get(json_object_get(notes, id), what));
}

static const char *copy(struct tn_arena *arena, const char *text)
{
    return text && *text ? tn_arena_strdup(arena, text) : NULL;
}

static void take_columns(const struct iceberg_metadata *metadata, struct tn_arena *arena, struct ask_table *ret)
{
    TN_AUTO_JSON *notes = catalog_column_notes(metadata);
    const struct iceberg_schema *schema = metadata->schema;
    ret->column_count = TN_MIN(schema->field_count, ASK_COLUMNS_MAX);
    ret->columns = TN_ARENA_ARRAY(arena, struct ask_column, ret->column_count + 1);
    for (size_t i = 0; i < ret->column_count; i++) {
        const struct iceberg_field *field = &schema->fields[i];
        const char *description = note_of(notes, field->id, "description");
        bool marked = is_sensitive(note_of(notes, field->id, "sensitivity"));
        ret->columns[i] = (struct ask_column){.name = tn_arena_strdup(arena, field->name),
                                              .type = catalog_sql_type(arena, field->type),
                                              .description = copy(arena, description ? description : field->doc),
                                              .field_id = field->id,
                                              .key = is_key(schema, field->id),
                                              .withheld = marked || ret->sensitive};
        ret->any_withheld = ret->any_withheld || ret->columns[i].withheld;
    }
}

static enum tn_code take_table(struct lake *lake, const char *name, struct tn_arena *arena, struct ask_table *ret,
                               struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char exact[CATALOG_NAME_MAX + 1];
    TN_TRY(catalog_load(lake->catalog, name, &metadata, err));
    catalog_exact_name(name, exact);
    *ret = (struct ask_table){.name = tn_arena_strdup(arena, exact),
                              .description = copy(arena, iceberg_metadata_property(metadata, CATALOG_P_DESCRIPTION)),
                              .tags = copy(arena, iceberg_metadata_property(metadata, CATALOG_P_TAGS)),
                              .rows = -1,
                              .sensitive = is_sensitive(iceberg_metadata_property(metadata, CATALOG_P_SENSITIVITY))};
    take_columns(metadata, arena, ret);
    return TN_OK;
}

static void find_index(struct index_service *indexes, struct tn_arena *arena, struct ask_table *table)
{
    char *name = NULL;
    if (indexes && index_of_dataset(indexes, table->name, &name, NULL) == TN_OK)
        table->index = tn_arena_strdup(arena, name);
    free(name);
}

enum tn_code ask_tables(struct lake *lake, struct index_service *indexes, const char *const *names, size_t name_count,
                        struct tn_arena *arena, struct ask_table **ret, size_t *ret_count, struct tn_error *err)
{
    bool named = name_count > 0;
    if (!named)
        TN_TRY(catalog_list(lake->catalog, arena, &names, &name_count, err));
    struct ask_table *tables = TN_ARENA_ARRAY(arena, struct ask_table, name_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < name_count && count < ASK_TABLES_MAX; i++) {
        if (!named && tn_str_ends_with(names[i], INDEX_VECTORS_SUFFIX))
            continue;
        enum tn_code code = take_table(lake, names[i], arena, &tables[count], err);
        if (code == TN_EDATASET && !named) /* dropped meanwhile */
            continue;
        TN_TRY(code);
        find_index(indexes, arena, &tables[count++]);
    }
    *ret = tables;
    *ret_count = count;
    return TN_OK;
}
