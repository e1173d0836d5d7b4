/* The rows of a moment whose snapshot is gone: the nearest older snapshot, and
 * the journal's events since.
 *
 * Events are folded per key into what became of it: gone, a whole row (from an
 * insert), and changed fields. The fold becomes a file that is joined with the
 * snapshot's rows. Values are the journal's JSON, cast back to the column's
 * type; the writer of the journal and this reader agree on their text.
 */
#include "dataset/find.h"
#include "dataset/from_json.h"
#include "dataset/moment.h"
#include "journal/journal.h"

#include <stdio.h>
#include <string.h>

#define FOLD_MAX_BYTES ((size_t)256 << 20)

struct field_value {
    const char *name, *value;
};

struct folded {
    const char *entity; /* NULL: a row without a key */
    size_t entity_length;
    bool gone;
    const char *row; /* JSON; NULL: as in the snapshot. Without a key: the row that came or went */
    struct field_value *fields;
    size_t field_count, field_capacity;
};

struct fold {
    struct tn_arena *arena;
    json_t *index; /* entity -> place in items */
    struct folded *items;
    size_t count, capacity;
    bool removes; /* rows without a key */
    bool rekeyed; /* from here on events name rows by another key than the snapshot's */
};

static struct folded *fold_entry(struct fold *fold, const struct journal_row *event)
{
    const char *entity = event->entity;
    size_t length = event->entity_length;
    const json_t *known = entity ? json_object_getn(fold->index, entity, length) : NULL;
    if (known)
        return &fold->items[json_integer_value(known)];
    TN_GROW(fold->items, fold->count, fold->capacity);
    struct folded *item = &fold->items[fold->count];
    *item = (struct folded){.entity = entity ? tn_arena_memdup(fold->arena, entity, length) : NULL,
                            .entity_length = length};
    if (entity)
        json_object_setn_new(fold->index, entity, length, json_integer((json_int_t)fold->count));
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

static enum tn_code not_told(const char *what, struct tn_error *err)
{
    tn_fail(err, TN_ESNAPSHOT, "that moment is not kept, and %s before it is not told row by row", what);
    tn_error_hint(err, "ask for a moment whose snapshot is kept");
    return TN_ESNAPSHOT;
}

static enum tn_code fold_event(void *context, const struct journal_row *row, struct tn_error *err)
{
    struct fold *fold = context;
    if (tn_streq(row->operation, "schema")) {
        fold->rekeyed = true;
        return TN_OK;
    }
    if (tn_streq(row->operation, "compact"))
        return TN_OK;
    if (fold->rekeyed)
        return not_told("a change behind another key", err);
    if (tn_arena_used(fold->arena) > FOLD_MAX_BYTES) {
        tn_fail(err, TN_ETOOLARGE, "more changed between the nearest snapshot and that moment than fits in memory");
        tn_error_hint(err, "ask for a moment nearer to a snapshot that is kept");
        return TN_ETOOLARGE;
    }
    if (tn_streq(row->operation, "insert")) {
        struct folded *item = fold_entry(fold, row);
        item->gone = false;
        item->field_count = 0;
        item->row = tn_arena_strdup(fold->arena, row->new_value ? row->new_value : "{}");
    } else if (tn_streq(row->operation, "update") && row->entity && row->field) {
        set_field(fold, fold_entry(fold, row), row->field, row->new_value ? row->new_value : "null");
    } else if (tn_streq(row->operation, "delete") && (row->entity || row->old_value)) {
        struct folded *item = fold_entry(fold, row);
        item->gone = true;
        item->row = row->entity ? NULL : tn_arena_strdup(fold->arena, row->old_value);
        item->field_count = 0;
        fold->removes |= !row->entity;
    } else {
        char what[64];
        snprintf(what, sizeof what, "\"%.50s\"", row->operation);
        return not_told(what, err);
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

/* ---- the file ------------------------------------------------------------------- */

struct fold_source {
    const struct fold *fold;
    size_t next;
};

static void put_fields(struct engine_vector *vector, size_t row, const struct folded *item)
{
    TN_AUTO_BUF fields = {0};
    struct tn_json json = tn_json_writer(&fields);
    tn_json_open(&json, '{');
    for (size_t i = 0; i < item->field_count; i++) {
        tn_json_key(&json, item->fields[i].name);
        tn_json_raw(&json, item->fields[i].value, strlen(item->fields[i].value));
    }
    tn_json_close(&json, '}');
    engine_vector_put_text(vector, row, item->field_count > 0 ? fields.data : NULL);
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct fold_source *source = context;
    (void)err;
    size_t rows = TN_MIN(batch->capacity, source->fold->count - source->next);
    for (size_t row = 0; row < rows; row++) {
        const struct folded *item = &source->fold->items[source->next + row];
        if (item->entity)
            engine_vector_put_string(&batch->columns[0], row, item->entity, item->entity_length);
        else
            engine_vector_put_null(&batch->columns[0], row);
        ((uint8_t *)batch->columns[1].data)[row] = item->gone;
        engine_vector_put_text(&batch->columns[2], row, item->row);
        put_fields(&batch->columns[3], row, item);
    }
    source->next += rows;
    batch->rows = rows;
    return TN_OK;
}

/* Written by the journal's engine: a query's own may be small, and is busy. */
static enum tn_code write_fold(struct lake *lake, const struct fold *fold, struct moment_told *told,
                               struct tn_error *err)
{
    static const struct engine_column columns[] = {
        {.name = "entity", .type = {.kind = ENGINE_VARCHAR}},
        {.name = "gone", .type = {.kind = ENGINE_BOOLEAN}},
        {.name = "row_json", .type = {.kind = ENGINE_VARCHAR}},
        {.name = "fields", .type = {.kind = ENGINE_VARCHAR}},
    };
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *path;
    TN_TRY(store_stage_path(lake->store, arena, ".parquet", &path, err));
    struct fold_source rows = {.fold = fold};
    const struct engine_source source = {columns, TN_COUNT(columns), &rows, fill};
    const struct engine_copy copy = {
        .select = "SELECT entity, gone, row_json, fields FROM tarn_source()", .source = &source, .local_path = path};
    struct engine_file_stats written = {0};
    TN_TRY(engine_copy_parquet(journal_engine(lake->journal), &copy, arena, &written, err));
    told->path = tn_strdup(path);
    told->removes = fold->removes;
    return TN_OK;
}

enum tn_code moment_fold(struct lake *lake, const struct iceberg_metadata *metadata, struct moment_told *told,
                         struct tn_error *err)
{
    struct fold fold = {.arena = tn_arena_new(), .index = json_object()};
    enum tn_code code = journal_events(lake->journal, metadata->uuid, told->from, told->to, fold_event, &fold, err);
    if (code == TN_OK && fold.count > 0)
        code = write_fold(lake, &fold, told, err);
    fold_release(&fold);
    return code;
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
static void put_member(struct tn_arena *arena, struct tn_buf *out, const char *json,
                       const struct iceberg_field *field)
{
    TN_AUTO_BUF member = {0};
    bool nested = field->type->field_count > 0;
    tn_buf_printf(&member, "%s(%s, ", nested ? "json_extract" : "json_extract_string", json);
    put_pointer(&member, field->name);
    tn_buf_putc(&member, ')');
    if (nested)
        from_json_nested(arena, field->type, member.data, out);
    else
        from_json_text(arena, field->type, member.data, out);
}

static const struct iceberg_field *top_field(const struct iceberg_schema *schema, int32_t id)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].id == id)
            return &schema->fields[i];
    return NULL;
}

/* What a SELECT is made of. */
struct telling {
    struct tn_arena *arena;
    const struct iceberg_schema *then; /* the names in the events and in the snapshot's rows */
    const struct iceberg_schema *schema;
    const struct moment_told *told;
    const char *rows; /* of the snapshot, as a SELECT */
    struct tn_buf *out;
};

/* A column of the answer, from the events where they tell it. */
static void put_column(const struct telling *telling, const struct iceberg_field *field, bool from_row)
{
    struct tn_buf *out = telling->out;
    const struct iceberg_field *then = top_field(telling->then, field->id);
    const char *type = catalog_sql_type(telling->arena, field->type);
    if (!then) {
        tn_buf_printf(out, "CAST(NULL AS %s) AS ", type);
        tn_buf_put_sql_name(out, field->name);
        return;
    }
    tn_buf_puts(out, "CAST(CASE WHEN t.fields IS NOT NULL AND json_exists(t.fields, ");
    put_pointer(out, then->name);
    tn_buf_puts(out, ") THEN ");
    put_member(telling->arena, out, "t.fields", then);
    tn_buf_puts(out, " WHEN t.row_json IS NOT NULL THEN ");
    put_member(telling->arena, out, "t.row_json", then);
    if (from_row) {
        tn_buf_puts(out, " ELSE r.");
        tn_buf_put_sql_name(out, then->name);
    }
    tn_buf_printf(out, " END AS %s) AS ", type);
    tn_buf_put_sql_name(out, field->name);
}

static void put_columns(const struct telling *telling, bool from_row)
{
    for (size_t i = 0; i < telling->schema->field_count; i++) {
        tn_buf_puts(telling->out, i ? ", " : "");
        put_column(telling, &telling->schema->fields[i], from_row);
    }
}

static void put_key(const struct telling *telling)
{
    const struct iceberg_schema *schema = telling->then;
    struct tn_buf *out = telling->out;
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        const char *text = schema->identifier_count == 1
                               ? "t.entity"
                               : tn_arena_printf(telling->arena, "json_extract_string(t.entity, '/%zu')", i);
        tn_buf_puts(out, i ? " AND r." : "r.");
        tn_buf_put_sql_name(out, field->name);
        tn_buf_puts(out, " = ");
        from_json_text(telling->arena, field->type, text, out);
    }
}

static void put_told(const struct telling *telling)
{
    tn_buf_puts(telling->out, "(SELECT true AS told, * FROM read_parquet(");
    tn_buf_put_sql_string(telling->out, telling->told->path);
    tn_buf_puts(telling->out, ")) t");
}

static void put_keyed(const struct telling *telling, enum moment_part part, bool placed)
{
    struct tn_buf *out = telling->out;
    tn_buf_puts(out, "SELECT ");
    if (placed && part == MOMENT_REPLACED)
        tn_buf_puts(out, "r.tarn_path, r.tarn_pos, ");
    else if (placed)
        tn_buf_puts(out, "CASE WHEN t.told IS NULL THEN r.tarn_path ELSE '' END AS tarn_path, "
                         "CASE WHEN t.told IS NULL THEN r.tarn_pos END AS tarn_pos, ");
    put_columns(telling, true);
    tn_buf_printf(out, " FROM (%s) r %s JOIN ", telling->rows,
                  part == MOMENT_ALL ? "FULL" : (part == MOMENT_CHANGED ? "RIGHT" : ""));
    put_told(telling);
    tn_buf_puts(out, " ON ");
    put_key(telling);
    if (part == MOMENT_ALL)
        tn_buf_puts(out, " WHERE t.told IS NULL OR NOT t.gone");
    else if (part == MOMENT_CHANGED)
        tn_buf_puts(out, " WHERE NOT t.gone");
}

/* A row that has no key is known by its values: as many equal ones go as went. */
static void put_keyless(const struct telling *telling, enum moment_part part, bool placed)
{
    struct tn_buf *out = telling->out;
    tn_buf_puts(out,
                placed ? "SELECT '' AS tarn_path, CAST(NULL AS BIGINT) AS tarn_pos, * FROM (" : "SELECT * FROM (");
    if (part == MOMENT_ALL) {
        tn_buf_puts(out, "SELECT ");
        for (size_t i = 0; i < telling->schema->field_count; i++) {
            const struct iceberg_field *field = &telling->schema->fields[i];
            const struct iceberg_field *then = top_field(telling->then, field->id);
            tn_buf_puts(out, i ? ", CAST(" : "CAST(");
            if (then)
                tn_buf_put_sql_name(out, then->name);
            else
                tn_buf_puts(out, "NULL");
            tn_buf_printf(out, " AS %s) AS ", catalog_sql_type(telling->arena, field->type));
            tn_buf_put_sql_name(out, field->name);
        }
        tn_buf_printf(out, " FROM (%s) UNION ALL ", telling->rows);
    }
    tn_buf_puts(out, "SELECT ");
    put_columns(telling, false);
    tn_buf_puts(out, " FROM ");
    put_told(telling);
    tn_buf_puts(out, " WHERE NOT t.gone");
    if (telling->told->removes) {
        tn_buf_puts(out, " EXCEPT ALL SELECT ");
        put_columns(telling, false);
        tn_buf_puts(out, " FROM ");
        put_told(telling);
        tn_buf_puts(out, " WHERE t.gone");
    }
    tn_buf_putc(out, ')');
}

enum tn_code moment_told_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                             const struct moment_state *state, const struct moment_told *told,
                             const struct iceberg_schema *schema, enum moment_part part, bool placed,
                             struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_PLAN *plan = NULL;
    const struct iceberg_schema *then = iceberg_metadata_schema_at(metadata, state->snapshot);
    struct iceberg_table where = catalog_table(lake->catalog, arena, name);
    TN_TRY(iceberg_plan_new(&where, metadata, state->snapshot, NULL, 0, &plan, err));
    if (!told->path)
        return placed ? dataset_placed_files_sql(lake, plan, schema, out, err)
                      : dataset_read_sql(lake, plan, schema, out, err);
    TN_AUTO_BUF rows = {0};
    bool keyed = then->identifier_count > 0;
    if (keyed && placed)
        TN_TRY(dataset_placed_files_sql(lake, plan, then, &rows, err));
    else
        TN_TRY(dataset_read_sql(lake, plan, then, &rows, err));
    const struct telling telling = {arena, then, schema, told, rows.data, out};
    if (keyed)
        put_keyed(&telling, part, placed);
    else
        put_keyless(&telling, part, placed);
    return TN_OK;
}
