/* How far an incremental run came: a property of the dataset, written by the
 * commit that brings the rows. */
#include "ingest/postgres_load.h"

/* What the run before left, or NULL in *ret_value. */
static enum tn_code read_property(struct pg_load *load, const struct pg_table *table, json_t **ret, bool *ret_exists,
                                  struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct tn_error why = {0};
    *ret_exists = false;
    enum tn_code code = catalog_load(load->lake->catalog, table->name, &metadata, &why);
    if (code == TN_EDATASET)
        return TN_OK;
    if (code != TN_OK) {
        if (err)
            *err = why;
        return code;
    }
    *ret_exists = metadata->current != NULL;
    const char *text = iceberg_metadata_property(metadata, PG_WATERMARK);
    return text ? tn_json_parse(text, strlen(text), 1 << 20, "the dataset's watermark", ret, err) : TN_OK;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Of the run's snapshot. */
static enum tn_code find_high(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT max(c%zu)::text", table->watermark_column + 1);
    pg_put_from(table, &sql);
    return postgres_get(load->pg, sql.data, NULL, 0, load->arena, &table->watermark, err);
}

/* A literal of the column's own type. */
static enum tn_code put_condition(struct pg_load *load, struct pg_table *table, const char *value,
                                  struct tn_error *err)
{
    const struct pg_column *column = &table->columns[table->watermark_column];
    const char *type;
    unsigned char storage[8];
    struct postgres_param param = postgres_i64(column->oid, storage);
    TN_TRY(
        postgres_get(load->pg, "SELECT pg_catalog.format_type($1::oid, NULL)", &param, 1, load->arena, &type, err));
    table->where = tn_arena_printf(load->arena, "c%zu %s %s::%s", table->watermark_column + 1,
                                   table->key ? ">=" : ">", postgres_quote_text(load->arena, value), type);
    return TN_OK;
}

static enum tn_code refuse_other(const struct pg_table *table, const json_t *before, struct tn_error *err)
{
    tn_fail(err, TN_EREFUSED, "the dataset \"%s\" was filled from %s by %s: its watermark says nothing of %s",
            table->dataset, text_of(before, "table"), text_of(before, "column"), table->shown);
    tn_error_hint(err, "name another dataset, or begin again with mode=replace");
    return TN_EREFUSED;
}

enum tn_code pg_plan_increment(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    const char *name = load->options->incremental;
    if (!name)
        return TN_OK;
    TN_AUTO_JSON *before = NULL;
    bool exists;
    table->watermark_column = pg_column_find(table, name);
    if (table->watermark_column == table->column_count) {
        tn_fail(err, TN_ENOTFOUND, "%s has no column \"%s\"", table->shown, name);
        const char **names = TN_ARENA_ARRAY(load->arena, const char *, table->column_count + 1);
        for (size_t i = 0; i < table->column_count; i++)
            names[i] = table->columns[i].original;
        const char *nearest = tn_suggest(name, names, table->column_count);
        if (nearest)
            tn_error_hint(err, "did you mean \"%s\"?", nearest);
        return TN_ENOTFOUND;
    }
    TN_TRY(read_property(load, table, &before, &exists, err));
    if (before && table->mode != DATASET_REPLACE) {
        const char *column = table->columns[table->watermark_column].original;
        if (!tn_streq(text_of(before, "column"), column) || !tn_streq(text_of(before, "table"), table->shown))
            return refuse_other(table, before, err);
        table->watermark_before = tn_arena_strdup(load->arena, text_of(before, "value"));
        TN_TRY(put_condition(load, table, table->watermark_before, err));
    } else if (exists && table->mode == DATASET_APPEND) {
        tn_fail(err, TN_EREFUSED, "the dataset \"%s\" holds rows and no watermark: which rows are new cannot be told",
                table->dataset);
        tn_error_hint(err,
                      "mode=replace begins again; with a key, mode=upsert brings all rows and goes on from there");
        return TN_EREFUSED;
    }
    TN_TRY(find_high(load, table, err));
    if (!table->watermark) {
        table->watermark = table->watermark_before;
        table->skipped = exists && table->mode != DATASET_REPLACE;
    }
    return TN_OK;
}

const char *pg_watermark_text(const struct pg_load *load, const struct pg_table *table)
{
    if (!load->options->incremental || !table->watermark)
        return NULL;
    TN_AUTO_BUF out = {0};
    struct tn_json json = tn_json_writer(&out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "server", postgres_label(load->pg));
    tn_json_kstr(&json, "table", table->shown);
    tn_json_kstr(&json, "column", table->columns[table->watermark_column].original);
    tn_json_kstr(&json, "value", table->watermark);
    tn_json_close(&json, '}');
    return tn_arena_strdup(load->arena, out.data);
}
