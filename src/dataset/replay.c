/* The rows of a moment whose snapshot is gone: the nearest older snapshot, and
 * the journal's events since.
 *
 * Events are folded per key into what became of it: gone, a whole row (from an
 * insert), and changed fields. The fold becomes a table of the engine, joined
 * with the snapshot's rows. Values are the journal's JSON, cast back to the
 * column's type; the writer of the journal and this reader agree on their text.
 */
#include "dataset/replay.h"

#include <inttypes.h>
#include <string.h>

#define FOLD_MAX_BYTES ((size_t)256 << 20)

struct field_value {
    const char *name, *value;
};

struct folded {
    const char *entity; /* NULL: a row without a key */
    bool gone;
    const char *row; /* JSON; NULL: as in the snapshot */
    struct field_value *fields;
    size_t field_count, field_capacity;
};

struct fold {
    struct tn_arena *arena;
    json_t *index; /* entity -> place in items */
    struct folded *items;
    size_t count, capacity;
};

static struct folded *fold_entry(struct fold *fold, const char *entity)
{
    const json_t *known = entity ? json_object_get(fold->index, entity) : NULL;
    if (known)
        return &fold->items[json_integer_value(known)];
    TN_GROW(fold->items, fold->count, fold->capacity);
    struct folded *item = &fold->items[fold->count];
    *item = (struct folded){.entity = entity ? tn_arena_strdup(fold->arena, entity) : NULL};
    if (entity)
        json_object_set_new(fold->index, entity, json_integer((json_int_t)fold->count));
    fold->count++;
    return item;
}

static void set_field(struct fold *fold, struct folded *item, const char *name, const char *value)
{
    for (size_t i = 0; i < item->field_count; i++)
        if (tn_streq(item->fields[i].name, name)) {
            item->fields[i].value = tn_arena_strdup(fold->arena, value);
            return;
        }
    TN_GROW(item->fields, item->field_count, item->field_capacity);
    item->fields[item->field_count++] =
        (struct field_value){tn_arena_strdup(fold->arena, name), tn_arena_strdup(fold->arena, value)};
}

static enum tn_code fold_event(void *context, const struct journal_row *row, struct tn_error *err)
{
    struct fold *fold = context;
    if (tn_arena_used(fold->arena) > FOLD_MAX_BYTES) {
        tn_fail(err, TN_ETOOLARGE, "more changed between the nearest snapshot and that moment than fits in memory");
        tn_error_hint(err, "ask for a moment nearer to a snapshot that is kept");
        return TN_ETOOLARGE;
    }
    if (tn_streq(row->operation, "insert")) {
        struct folded *item = fold_entry(fold, row->entity);
        item->gone = false;
        item->field_count = 0;
        item->row = tn_arena_strdup(fold->arena, row->new_value ? row->new_value : "{}");
    } else if (tn_streq(row->operation, "update") && row->entity && row->field) {
        set_field(fold, fold_entry(fold, row->entity), row->field, row->new_value ? row->new_value : "null");
    } else if (tn_streq(row->operation, "delete") && row->entity) {
        struct folded *item = fold_entry(fold, row->entity);
        item->gone = true;
        item->row = NULL;
        item->field_count = 0;
    } else {
        return tn_fail(err, TN_ESNAPSHOT, "that moment is not kept, and an event \"%s\" since cannot be replayed",
                       row->operation);
    }
    return TN_OK;
}

static void fold_release(struct fold *fold)
{
    for (size_t i = 0; i < fold->count; i++)
        free(fold->items[i].fields);
    free(fold->items);
    json_decref(fold->index);
    tn_arena_free(fold->arena);
}

/* ---- the table ------------------------------------------------------------------ */

static void put_text(struct tn_buf *out, const char *text)
{
    if (text)
        tn_buf_put_sql_string(out, text);
    else
        tn_buf_puts(out, "NULL");
}

static void put_folded(const struct folded *item, struct tn_buf *sql)
{
    TN_AUTO_BUF fields = {0};
    struct tn_json json = tn_json_writer(&fields);
    tn_json_open(&json, '{');
    for (size_t i = 0; i < item->field_count; i++) {
        tn_json_key(&json, item->fields[i].name);
        tn_json_raw(&json, item->fields[i].value, strlen(item->fields[i].value));
    }
    tn_json_close(&json, '}');
    tn_buf_puts(sql, "(true, ");
    put_text(sql, item->entity);
    tn_buf_puts(sql, item->gone ? ", true, " : ", false, ");
    put_text(sql, item->row);
    tn_buf_puts(sql, ", ");
    put_text(sql, item->field_count > 0 ? fields.data : NULL);
    tn_buf_putc(sql, ')');
}

#define ROWS_AT_ONCE 500

static enum tn_code fill_table(struct lake *lake, const char *table, const struct fold *fold, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(
        &sql, "CREATE TABLE %s(told BOOLEAN, entity VARCHAR, gone BOOLEAN, row_json VARCHAR, fields VARCHAR)", table);
    TN_TRY(engine_run(lake->engine, sql.data, NULL, NULL, err));
    for (size_t i = 0; i < fold->count; i += ROWS_AT_ONCE) {
        tn_buf_clear(&sql);
        tn_buf_printf(&sql, "INSERT INTO %s VALUES ", table);
        for (size_t k = i; k < TN_MIN(fold->count, i + ROWS_AT_ONCE); k++) {
            tn_buf_puts(&sql, k > i ? ", " : "");
            put_folded(&fold->items[k], &sql);
        }
        TN_TRY(engine_run(lake->engine, sql.data, NULL, NULL, err));
    }
    return TN_OK;
}

/* ---- the text --------------------------------------------------------------------- */

/* '/name', the JSON pointer of a member. */
static void put_pointer(struct tn_buf *out, const char *name)
{
    TN_AUTO_BUF pointer = {0};
    tn_buf_putc(&pointer, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            tn_buf_puts(&pointer, *name == '~' ? "~0" : "~1");
        else
            tn_buf_putc(&pointer, *name);
    }
    tn_buf_put_sql_string(out, pointer.data);
}

/* The member of a JSON text as a value of the type. */
static void put_member(struct tn_buf *out, const char *json, const struct iceberg_field *field, const char *type)
{
    bool nested = field->type->field_count > 0;
    bool bytes = field->type->kind == ICEBERG_BINARY || field->type->kind == ICEBERG_FIXED;
    tn_buf_puts(out, bytes ? "from_base64(" : "CAST(");
    tn_buf_puts(out, nested ? "json_extract(" : "json_extract_string(");
    tn_buf_printf(out, "%s, ", json);
    put_pointer(out, field->name);
    tn_buf_putc(out, ')');
    if (!bytes)
        tn_buf_printf(out, " AS %s", type);
    tn_buf_putc(out, ')');
}

static void put_column(struct tn_buf *out, const struct iceberg_field *field, const char *type)
{
    tn_buf_puts(out, "CASE WHEN t.fields IS NOT NULL AND json_exists(t.fields, ");
    put_pointer(out, field->name);
    tn_buf_puts(out, ") THEN ");
    put_member(out, "t.fields", field, type);
    tn_buf_puts(out, " WHEN t.row_json IS NOT NULL THEN ");
    put_member(out, "t.row_json", field, type);
    tn_buf_puts(out, " ELSE r.");
    tn_buf_put_sql_name(out, field->name);
    tn_buf_puts(out, " END AS ");
    tn_buf_put_sql_name(out, field->name);
}

static void put_key(struct tn_buf *out, struct tn_arena *arena, const struct iceberg_schema *schema)
{
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        tn_buf_puts(out, i ? " AND r." : "r.");
        tn_buf_put_sql_name(out, field->name);
        if (schema->identifier_count == 1)
            tn_buf_printf(out, " = CAST(t.entity AS %s)", catalog_sql_type(arena, field->type));
        else
            tn_buf_printf(out, " = CAST(json_extract_string(t.entity, '/%zu') AS %s)", i,
                          catalog_sql_type(arena, field->type));
    }
    if (schema->identifier_count == 0)
        tn_buf_puts(out, "false");
}

static enum tn_code put_select(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                               const struct iceberg_snapshot *from, const char *table, struct tn_buf *out,
                               struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_PLAN *plan = NULL;
    const struct iceberg_schema *schema = iceberg_metadata_schema_at(metadata, from);
    struct iceberg_table where = catalog_table(lake->catalog, arena, name);
    TN_TRY(iceberg_plan_new(&where, metadata, from, NULL, 0, &plan, err));
    tn_buf_puts(out, "SELECT ");
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_puts(out, i ? ", " : "");
        put_column(out, &schema->fields[i], catalog_sql_type(arena, schema->fields[i].type));
    }
    tn_buf_puts(out, " FROM (");
    TN_TRY(dataset_read_sql(lake, plan, schema, out, err));
    tn_buf_printf(out, ") r FULL JOIN %s t ON ", table);
    put_key(out, arena, schema);
    tn_buf_puts(out, " WHERE t.told IS NULL OR NOT t.gone");
    return TN_OK;
}

enum tn_code replay_build(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                          const struct iceberg_snapshot *from, int64_t to_sequence, const char *table,
                          struct tn_buf *out, struct tn_error *err)
{
    struct fold fold = {.arena = tn_arena_new(), .index = json_object()};
    enum tn_code code =
        journal_events(lake->journal, metadata->uuid, from->sequence_number, to_sequence, fold_event, &fold, err);
    if (code == TN_OK)
        code = fill_table(lake, table, &fold, err);
    fold_release(&fold);
    return code == TN_OK ? put_select(lake, name, metadata, from, table, out, err) : code;
}
