/* The key of a dataset: the columns that tell its records apart.
 *
 * It is kept as the table's identifier fields, which the format wants to be
 * required columns of plain types. A new or replaced dataset takes the key it
 * is given; an existing one keeps its own, because rows that are there already
 * were not held to another, unless dataset_set_key finds that they meet it. A
 * NULL in a key column refuses the whole write: the statistics of the files
 * that were just written tell.
 */
#include "dataset/write_internal.h"

#include <inttypes.h>
#include <string.h>

#define KEY_COLUMNS_MAX 32

static bool usable_type(const struct iceberg_type *type)
{
    return type->field_count == 0 && type->kind != ICEBERG_FLOAT && type->kind != ICEBERG_DOUBLE &&
           type->kind != ICEBERG_UNSUPPORTED;
}

static enum tn_code find_column(const struct iceberg_schema *schema, const char *name, size_t *ret,
                                struct tn_error *err)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (!tn_str_equal_nocase(schema->fields[i].name, name))
            continue;
        if (!usable_type(schema->fields[i].type)) {
            tn_fail(err, TN_EREQUEST, "column \"%s\" cannot be part of a key: it holds fractions or nested values",
                    schema->fields[i].name);
            tn_error_hint(err, "give it a type with types=, for example %s:text", schema->fields[i].name);
            return TN_EREQUEST;
        }
        *ret = i;
        return TN_OK;
    }
    return tn_fail(err, TN_EREQUEST, "the key names \"%.100s\", and there is no such column", name);
}

/* "id" or "a,b": the places of its columns, each once. */
static enum tn_code read_key(struct tn_arena *arena, const struct iceberg_schema *schema, const char *key,
                             size_t places[KEY_COLUMNS_MAX], size_t *ret_count, struct tn_error *err)
{
    *ret_count = 0;
    for (const char *at = key; *at;) {
        size_t length = strcspn(at, ",");
        const char *begin = at;
        at += length + (at[length] == ',');
        while (length > 0 && *begin == ' ')
            begin++, length--;
        while (length > 0 && begin[length - 1] == ' ')
            length--;
        size_t place = 0;
        if (*ret_count == KEY_COLUMNS_MAX)
            return tn_fail(err, TN_EREQUEST, "a key has at most %d columns", KEY_COLUMNS_MAX);
        TN_TRY(find_column(schema, tn_arena_strndup(arena, begin, length), &place, err));
        for (size_t i = 0; i < *ret_count; i++)
            if (places[i] == place)
                return tn_fail(err, TN_EREQUEST, "the key names \"%s\" twice", schema->fields[place].name);
        places[(*ret_count)++] = place;
    }
    return *ret_count > 0 ? TN_OK : tn_fail(err, TN_EREQUEST, "the key names no column");
}

static bool is_key_already(const struct iceberg_schema *schema, const size_t *places, size_t count)
{
    bool same = schema->identifier_count == count;
    for (size_t i = 0; same && i < count; i++)
        same = schema->identifier_ids[i] == schema->fields[places[i]].id;
    return same;
}

static enum tn_code refuse_other_key(const struct iceberg_schema *schema, struct tn_error *err)
{
    TN_AUTO_BUF names = {0};
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        tn_buf_printf(&names, "%s%s", i ? ", " : "", field ? field->name : "?");
    }
    if (names.len)
        tn_fail(err, TN_ESCHEMA, "the dataset's key is (%s) already", names.data);
    else
        tn_fail(err, TN_ESCHEMA, "the dataset has no key, and rows that were not held to one");
    tn_error_hint(err, "leave key= out, set it with PATCH /catalog/datasets/{d}, or load it anew with mode=replace");
    return TN_ESCHEMA;
}

enum tn_code dataset_plan_key(struct tn_arena *arena, bool keeps_rows, const char *key, struct schema_plan *plan,
                              struct tn_error *err)
{
    size_t places[KEY_COLUMNS_MAX], count;
    TN_TRY(read_key(arena, plan->target, key, places, &count, err));
    if (is_key_already(plan->target, places, count))
        return TN_OK;
    if (keeps_rows)
        return refuse_other_key(plan->target, err);
    struct iceberg_schema *keyed = tn_arena_alloc(arena, sizeof *keyed);
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, plan->target->field_count);
    int32_t *ids = TN_ARENA_ARRAY(arena, int32_t, count);
    memcpy(fields, plan->target->fields, plan->target->field_count * sizeof *fields);
    for (size_t i = 0; i < count; i++) {
        fields[places[i]].required = true;
        ids[i] = fields[places[i]].id;
    }
    *keyed = *plan->target;
    keyed->fields = fields;
    keyed->identifier_ids = ids;
    keyed->identifier_count = count;
    plan->target = keyed;
    return TN_OK;
}

enum tn_code dataset_check_key(const struct iceberg_schema *schema, const struct iceberg_file *file,
                               struct tn_error *err)
{
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_stats *stats = iceberg_file_stats(file, schema->identifier_ids[i]);
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        if (stats && stats->null_count == 0)
            continue;
        if (stats && stats->null_count > 0)
            tn_fail(err, TN_EREFUSED, "column \"%s\" is part of the key and is NULL in %" PRId64 " rows",
                    field ? field->name : "?", stats->null_count);
        else
            tn_fail(err, TN_EREFUSED, "column \"%s\" is part of the key and has no values",
                    field ? field->name : "?");
        tn_error_hint(err, "fill the column in the source, or choose another key");
        return TN_EREFUSED;
    }
    return TN_OK;
}

/* ---- a key for rows that are there ------------------------------------------------- */

static bool take_number(void *context, size_t column_count, const char *const *values)
{
    (void)column_count;
    return tn_parse_u64(values[0], context);
}

static enum tn_code refuse_nulls(struct lake *lake, const struct iceberg_schema *schema, const char *rows,
                                 struct tn_error *err)
{
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        TN_AUTO_BUF sql = {0};
        uint64_t count = 0;
        tn_buf_printf(&sql, "SELECT count(*) FROM %s WHERE ", rows);
        tn_buf_put_sql_name(&sql, field->name);
        tn_buf_puts(&sql, " IS NULL");
        TN_TRY(engine_run(lake->engine, sql.data, take_number, &count, err));
        if (count == 0)
            continue;
        tn_fail(err, TN_EREFUSED, "column \"%s\" is to be part of the key and is NULL in %" PRIu64 " rows",
                field->name, count);
        tn_error_hint(err, "fill the column, or choose another key");
        return TN_EREFUSED;
    }
    return TN_OK;
}

enum tn_code dataset_check_keyed_rows(struct lake *lake, const struct iceberg_schema *schema, const char *rows,
                                      struct tn_error *err)
{
    TN_TRY(refuse_nulls(lake, schema, rows, err));
    return dataset_check_unique(lake, schema, rows, err);
}

static enum tn_code check_rows(struct lake *lake, const char *name, const struct iceberg_metadata *newest,
                               const struct iceberg_schema *keyed, struct tn_error *err)
{
    if (!newest->current)
        return TN_OK;
    TN_AUTO_BUF rows = {0};
    tn_buf_putc(&rows, '(');
    TN_TRY(dataset_placed_sql(lake, name, newest, newest->current, &rows, err));
    tn_buf_putc(&rows, ')');
    return dataset_check_keyed_rows(lake, keyed, rows.data, err);
}

static void put_key_names(const struct iceberg_schema *schema, const char *member, struct tn_json *out)
{
    tn_json_key(out, member);
    tn_json_open(out, '[');
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        tn_json_str(out, field ? field->name : NULL);
    }
    tn_json_close(out, ']');
}

/* The journal's event of a new key. No row changes, so the rows can be told
 * across it. */
static enum tn_code attach_event(struct journal_batch *batch, struct iceberg_tx *tx,
                                 const struct iceberg_schema *before, const struct iceberg_schema *after,
                                 const struct dataset_who *who, struct tn_error *err)
{
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    tn_json_open(&json, '{');
    put_key_names(before, "old_key", &json);
    put_key_names(after, "key", &json);
    tn_json_close(&json, '}');
    const struct journal_event event = {
        .operation = "schema",
        .new_value = value.data,
        .new_length = value.len,
        .actor = who->actor,
        .source = who->source,
        .reason = who->reason,
        .workspace = who->workspace,
        .request_id = who->request_id,
    };
    journal_batch_add(batch, &event);
    return journal_batch_attach(batch, tx, true, err);
}

static enum tn_code commit_key(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                               const struct iceberg_schema *keyed, const struct dataset_who *who,
                               int64_t *ret_snapshot, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(name);
    iceberg_tx_set_schema(tx, keyed);
    if (lake->journal)
        TN_TRY(attach_event(batch, tx, newest->schema, keyed, who, err));
    ICEBERG_AUTO_METADATA *done = NULL;
    enum tn_code code = catalog_tx_commit(lake->catalog, name, tx, &done, err);
    if (code == TN_ECONFLICT)
        TN_TRY(rows_refresh(lake, name, newest, err));
    else if (code != TN_OK)
        journal_batch_committed(lake->journal, batch, NULL);
    TN_TRY(code);
    catalog_publish(lake->catalog, name, done);
    if (lake->hot)
        dataset_hot_follow(lake, name, newest, done, NULL);
    if (lake->journal)
        journal_batch_committed(lake->journal, batch, done);
    *ret_snapshot = done->current ? done->current->id : 0;
    return TN_OK;
}

/* What would refuse the rows whatever the dataset holds: before the key is
 * there, nothing may be. */
static enum tn_code try_rows(const struct iceberg_metadata *newest, const struct iceberg_schema *keyed,
                             const struct dataset_rows *rows, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(rows_overlay_release) struct rows_overlay overlay;
    struct cells_shape shape = {0};
    struct rows_request request = {.rows = rows};
    struct dataset_counts counts = {0};
    int64_t now = newest->current ? newest->current->id : 0;
    rows_overlay_init(&overlay, arena, &shape);
    if (rows->if_snapshot != 0 && rows->if_snapshot != now)
        return tn_fail(err, TN_EPRECONDITION, "the newest snapshot is %" PRId64 ", not %" PRId64, now,
                       rows->if_snapshot);
    TN_TRY(rows_check_writable(newest, err));
    TN_TRY(cells_shape_init(&shape, arena, keyed, err));
    TN_TRY(rows_overlay_prepare(&overlay, &request, err));
    return rows_overlay_apply(&overlay, &request, &counts, err);
}

static enum tn_code set_key(struct lake *lake, const char *name, const char *key, const struct dataset_rows *rows,
                            const struct dataset_who *who, int64_t *ret_snapshot, struct tn_error *err)
{
    char exact[CATALOG_NAME_MAX + 1];
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *known = NULL, *newest = NULL;
    TN_TRY(catalog_load(lake->catalog, name, &known, err));
    catalog_exact_name(name, exact);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, exact);
    TN_TRY(catalog_load_locked(lake->catalog, exact, &newest, err));
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\" any more", exact);
    struct schema_plan plan = {.target = newest->schema};
    TN_TRY(dataset_plan_key(arena, false, key, &plan, err));
    *ret_snapshot = newest->current ? newest->current->id : 0;
    if (rows)
        TN_TRY(try_rows(newest, plan.target, rows, err));
    if (plan.target == newest->schema)
        return TN_OK;
    TN_TRY(check_rows(lake, exact, newest, plan.target, err));
    return commit_key(lake, exact, newest, plan.target, who, ret_snapshot, err);
}

enum tn_code dataset_set_key(struct lake *lake, const char *name, const char *key, const struct dataset_who *who,
                             struct tn_error *err)
{
    int64_t snapshot;
    return set_key(lake, name, key, NULL, who, &snapshot, err);
}

enum tn_code dataset_set_key_for(struct lake *lake, const char *name, const char *key,
                                 const struct dataset_rows *rows, int64_t *ret_snapshot, struct tn_error *err)
{
    const struct dataset_who who = {rows->actor, rows->source, rows->reason, rows->workspace, rows->request_id};
    return set_key(lake, name, key, rows, &who, ret_snapshot, err);
}
