/* Ingest from PostgreSQL: connect, read everything in one snapshot, commit. */
#include "ingest/names.h"
#include "ingest/postgres_load.h"

#include <inttypes.h>

static const char *const mode_words[] = {
    [DATASET_APPEND] = "append", [DATASET_REPLACE] = "replace", [DATASET_UPSERT] = "upsert"};

void pg_warn(struct pg_table *table, const char *format, ...)
{
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    if (table->warnings.len)
        tn_buf_putc(&table->warnings, ',');
    tn_json_quote(&table->warnings, text.data, text.len);
}

void pg_log(const struct pg_load *load, const char *format, ...)
{
    if (!load->options->log)
        return;
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    load->options->log(load->options->context, text.data);
}

void pg_progress(struct pg_load *load, uint64_t more)
{
    load->rows_done += more;
    if (load->options->progress)
        load->options->progress(load->options->context, load->rows_done,
                                TN_MAX(load->rows_expected, load->rows_done) * (load->rows_expected > 0));
}

/* ---- options --------------------------------------------------------------------------- */

static enum tn_code check_numeric(const char *numeric, struct tn_error *err)
{
    static const char *const words[] = {"auto", "text", "double"};
    unsigned width, scale;
    int used = 0;
    if (!numeric)
        return TN_OK;
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (tn_streq(numeric, words[i]))
            return TN_OK;
    if (sscanf(numeric, "%2u,%2u%n", &width, &scale, &used) == 2 && numeric[used] == '\0' && width >= 1 &&
        width <= 38 && scale <= width)
        return TN_OK;
    return tn_fail(err, TN_EREQUEST,
                   "numeric must be auto, text, double, or a width and a scale like 18,4 (at most 38)");
}

static enum tn_code check_options(const struct ingest_postgres_options *options, struct tn_error *err)
{
    bool query = options->query != NULL, tables = options->table_count > 0;
    if (query && (tables || options->schema))
        return tn_fail(err, TN_EREQUEST, "a query and tables exclude each other");
    if (!query && !tables && !options->schema) {
        tn_fail(err, TN_EREQUEST, "neither a table nor a query nor a schema is named");
        tn_error_hint(err, "--table orders, --query \"SELECT ...\" --dataset NAME, or --schema public for all of it");
        return TN_EREQUEST;
    }
    if (query && !options->dataset)
        return tn_fail(err, TN_EREQUEST, "a query has no name: say which dataset its rows are for");
    bool several = options->table_count > 1 || (!tables && options->schema);
    if (several && (options->dataset || options->key))
        return tn_fail(err, TN_EREQUEST, "dataset and key are for one table: of several each has its own");
    if (options->mode == INGEST_POSTGRES_REPLACE && options->compare)
        return tn_fail(err, TN_EREQUEST, "compare is for rows that stay: replace has none of them left");
    return check_numeric(options->numeric, err);
}

enum tn_code ingest_postgres_check(const struct ingest_postgres_options *options, char **ret_label,
                                   char **ret_clean_url, char **ret_password, struct tn_error *err)
{
    TN_TRY(check_options(options, err));
    return postgres_url_split(options->url, ret_label, ret_clean_url, ret_password, err);
}

/* ---- what each table becomes --------------------------------------------------------------- */

static enum tn_code name_dataset(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    const char *original = table->table;
    table->dataset = load->options->dataset;
    if (!table->dataset) {
        char *lower = tn_arena_strdup(load->arena, names_clean(load->arena, &original, 1, false)[0]);
        for (char *c = lower; *c; c++)
            *c = tn_ascii_lower(*c);
        table->dataset = lower;
    }
    enum tn_code code = catalog_check_name(table->dataset, err);
    if (code != TN_OK) {
        tn_error_context(err, "%s", table->shown);
        return code;
    }
    catalog_exact_name(table->dataset, table->name);
    for (struct pg_table *other = load->tables; other < table; other++)
        if (tn_streq(other->name, table->name))
            return tn_fail(err, TN_EREQUEST, "%s and %s would both become the dataset \"%s\": load one of them alone",
                           other->shown, table->shown, table->name);
    return TN_OK;
}

/* The key by the dataset's names, from those of the server. */
static enum tn_code set_key(struct pg_load *load, struct pg_table *table, const char *const *names, size_t count,
                            struct tn_error *err)
{
    TN_AUTO_BUF key = {0};
    for (size_t i = 0; i < count; i++) {
        size_t column = pg_column_find(table, names[i]);
        if (column == table->column_count)
            return tn_fail(err, TN_ENOTFOUND, "the key names \"%s\", and %s has no such column", names[i],
                           table->shown);
        tn_buf_printf(&key, "%s%s", i ? "," : "", table->columns[column].name);
    }
    table->key = tn_arena_strdup(load->arena, key.data);
    return TN_OK;
}

static enum tn_code choose_key(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    const char *given = load->options->key;
    const char *const *names;
    size_t count = 0;
    if (given && tn_streq(given, "none"))
        return TN_OK;
    if (!given && table->table) {
        TN_TRY(pg_primary_key(load, table, &names, &count, err));
        return count ? set_key(load, table, names, count, err) : TN_OK;
    }
    if (!given)
        return TN_OK;
    const char **parts = TN_ARENA_ARRAY(load->arena, const char *, strlen(given) + 1);
    char *rest = tn_arena_strdup(load->arena, given);
    if (pg_column_find(table, given) < table->column_count) /* a name with a comma in it */
        return set_key(load, table, &given, 1, err);
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        while (*part == ' ')
            part++;
        size_t length = strlen(part);
        while (length && part[length - 1] == ' ')
            part[--length] = '\0';
        parts[count++] = part;
    }
    return set_key(load, table, parts, count, err);
}

static enum tn_code choose_mode(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    const struct ingest_postgres_options *options = load->options;
    switch (options->mode) {
    case INGEST_POSTGRES_APPEND:
        table->mode = DATASET_APPEND;
        break;
    case INGEST_POSTGRES_REPLACE:
        table->mode = DATASET_REPLACE;
        break;
    case INGEST_POSTGRES_UPSERT:
        table->mode = DATASET_UPSERT;
        break;
    default:
        if (options->compare || (options->incremental && table->key))
            table->mode = DATASET_UPSERT;
        else
            table->mode = options->incremental ? DATASET_APPEND : DATASET_REPLACE;
    }
    if ((table->mode == DATASET_UPSERT || options->compare) && !table->key) {
        tn_fail(err, TN_EREQUEST, "%s has no primary key: rows cannot be told apart", table->shown);
        tn_error_hint(err, "name the columns that tell them apart with key=");
        return TN_EREQUEST;
    }
    return TN_OK;
}

static enum tn_code begin_write(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    struct dataset_column *columns = TN_ARENA_ARRAY(load->arena, struct dataset_column, table->column_count);
    for (size_t i = 0; i < table->column_count; i++)
        columns[i] =
            (struct dataset_column){table->columns[i].name, table->columns[i].original, table->columns[i].sql_type};
    enum tn_code code =
        dataset_write_begin(load->lake, table->name, table->mode, columns, table->column_count, &table->write, err);
    struct dataset_column *there;
    size_t count;
    bool exists =
        code == TN_OK && dataset_columns(load->lake, table->name, load->arena, &there, &count, NULL) == TN_OK;
    /* A dataset that only takes more rows keeps the key it has, or none. */
    bool wants_key = table->key && (table->mode != DATASET_APPEND || load->options->key || !exists);
    if (code == TN_OK && wants_key)
        code = dataset_write_set_key(table->write, table->key, err);
    if (code != TN_OK)
        tn_error_context(err, "%s", table->shown);
    return code;
}

static enum tn_code plan_table(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    TN_TRY(pg_find_columns(load, table, err));
    TN_TRY(name_dataset(load, table, err));
    TN_TRY(choose_key(load, table, err));
    TN_TRY(choose_mode(load, table, err));
    TN_TRY(pg_plan_increment(load, table, err));
    if (!table->where)
        load->rows_expected += table->estimate;
    return TN_OK;
}

static enum tn_code stage_table(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    if (table->skipped)
        return TN_OK;
    TN_TRY(pg_measure(load, table, err));
    TN_TRY(begin_write(load, table, err));
    TN_TRY(pg_stage(load, table, err));
    pg_log(load, "%s: %" PRIu64 " rows", table->shown, table->rows);
    return TN_OK;
}

/* ---- commit ------------------------------------------------------------------------------------ */

static void hash_options(struct pg_load *load, const struct pg_table *table)
{
    struct tn_hash hash;
    tn_hash_init(&hash);
    tn_hash_update(&hash, table->shown, strlen(table->shown) + 1);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *name = table->columns[i].original, *type = table->columns[i].sql_type;
        tn_hash_update(&hash, name, strlen(name) + 1);
        tn_hash_update(&hash, type, strlen(type) + 1);
    }
    tn_hash_final_hex(&hash, load->options_hash);
}

static enum tn_code commit_table(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    const struct ingest_postgres_options *options = load->options;
    if (table->skipped) {
        table->commit.unchanged = true;
        return TN_OK;
    }
    hash_options(load, table);
    bool moved =
        table->watermark && !(table->watermark_before && tn_streq(table->watermark, table->watermark_before));
    const char *source = tn_arena_printf(load->arena, "postgresql://%s %s", postgres_label(load->pg), table->shown);
    const char *watermark = moved ? pg_watermark_text(load, table) : NULL;
    const struct dataset_lineage lineage = {
        .ingest_id = load->ingest_id,
        .source = source,
        /* Rows that are upserted may have been others between: there the rows decide, not the bytes. */
        .content_hash = table->mode == DATASET_UPSERT ? NULL : table->content_hash,
        .options_hash = load->options_hash,
        .actor = options->actor,
        .reason = options->reason,
        .request_id = options->request_id,
        .source_bytes = table->bytes,
        .started_us = load->started_us,
        .property = watermark ? PG_WATERMARK : NULL,
        .property_value = watermark,
    };
    TN_FAULT("ingest.postgres_before_commit");
    enum tn_code code = dataset_write_commit(table->write, &lineage, &table->commit, err);
    if (code != TN_OK)
        tn_error_context(err, "%s", table->shown);
    return code;
}

/* ---- the answer -------------------------------------------------------------------------------- */

static void put_table(const struct pg_load *load, const struct pg_table *table, struct tn_json *out)
{
    const struct dataset_counts *counts = &table->commit.counts;
    bool unchanged = table->commit.unchanged && table->deleted == 0;
    tn_json_open(out, '{');
    tn_json_kstr(out, "table", table->shown);
    tn_json_kstr(out, "dataset", table->dataset);
    tn_json_kstr(out, "status", unchanged ? "unchanged" : "ingested");
    tn_json_kstr(out, "mode", mode_words[table->mode]);
    tn_json_ki64(out, "rows", (int64_t)table->rows);
    if (table->mode == DATASET_UPSERT) {
        tn_json_ki64(out, "inserted", (int64_t)counts->inserted);
        tn_json_ki64(out, "updated", (int64_t)counts->updated);
        tn_json_ki64(out, "unchanged", (int64_t)counts->unchanged);
    }
    if (load->options->compare)
        tn_json_ki64(out, "deleted", (int64_t)table->deleted);
    tn_json_ki64(out, "bytes", (int64_t)table->bytes);
    tn_json_key(out, "snapshot_id");
    if (table->commit.snapshot_id)
        tn_json_i64(out, table->commit.snapshot_id);
    else
        tn_json_null(out);
    tn_json_kstr(out, "key", table->key);
    tn_json_kstr(out, "watermark", table->watermark);
    tn_json_key(out, "schema");
    tn_json_open(out, '[');
    for (size_t i = 0; i < table->column_count; i++) {
        tn_json_open(out, '{');
        tn_json_kstr(out, "name", table->columns[i].name);
        tn_json_kstr(out, "type", table->columns[i].sql_type);
        tn_json_kstr(out, "original_name", table->columns[i].original);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
    tn_json_key(out, "warnings");
    tn_json_open(out, '[');
    if (table->warnings.len)
        tn_json_raw(out, table->warnings.data, table->warnings.len);
    tn_json_close(out, ']');
    tn_json_close(out, '}');
}

static void put_answer(const struct pg_load *load, struct tn_json *out)
{
    int version = postgres_server_version(load->pg);
    char text[32];
    (void)snprintf(text, sizeof text, "%d.%d", version / 10000, version % 10000);
    tn_json_open(out, '{');
    tn_json_kstr(out, "source", tn_arena_printf(load->arena, "postgresql://%s", postgres_label(load->pg)));
    tn_json_kstr(out, "server_version", text);
    tn_json_kstr(out, "snapshot", load->snapshot);
    tn_json_kstr(out, "ingest_id", load->ingest_id);
    tn_json_key(out, "tables");
    tn_json_open(out, '[');
    for (size_t i = 0; i < load->table_count; i++)
        put_table(load, &load->tables[i], out);
    tn_json_close(out, ']');
    tn_json_close(out, '}');
}

/* ---- the call ------------------------------------------------------------------------------------- */

static void load_release(struct pg_load *load)
{
    for (size_t i = 0; i < load->table_count; i++) {
        dataset_write_free(load->tables[i].write);
        tn_buf_release(&load->tables[i].warnings);
    }
    postgres_close(load->pg);
    tn_arena_free(load->arena);
}

static enum tn_code open_snapshot(struct pg_load *load, struct tn_error *err)
{
    TN_TRY(postgres_run(load->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err));
    /* The first statement takes the snapshot. */
    return postgres_get(load->pg, "SELECT pg_catalog.txid_current_snapshot()::text", NULL, 0, load->arena,
                        &load->snapshot, err);
}

static enum tn_code read_all(struct pg_load *load, struct tn_error *err)
{
    TN_TRY(open_snapshot(load, err));
    TN_TRY(pg_find_tables(load, err));
    for (size_t i = 0; i < load->table_count; i++)
        TN_TRY(plan_table(load, &load->tables[i], err));
    pg_progress(load, 0);
    for (size_t i = 0; i < load->table_count; i++)
        TN_TRY(stage_table(load, &load->tables[i], err));
    return TN_OK;
}

enum tn_code ingest_postgres(struct lake *lake, const struct ingest_postgres_options *options, struct tn_json *out,
                             struct tn_error *err)
{
    TN_TRY(check_options(options, err));
    TN_CLEANUP(load_release)
    struct pg_load load = {.lake = lake, .options = options, .arena = tn_arena_new(), .started_us = tn_now_us()};
    (void)tn_uuid7(load.ingest_id);
    const struct postgres_options server = {.url = options->url,
                                            .password = options->password,
                                            .password_file = options->password_file,
                                            .stopping = options->stopping,
                                            .context = options->context};
    TN_TRY(postgres_open(&server, &load.pg, err));
    pg_log(&load, "connected to %s%s", postgres_label(load.pg), postgres_uses_tls(load.pg) ? " by TLS" : "");
    TN_TRY(read_all(&load, err));
    for (size_t i = 0; i < load.table_count; i++)
        TN_TRY(commit_table(&load, &load.tables[i], err));
    for (size_t i = 0; options->compare && i < load.table_count; i++) {
        TN_TRY(pg_compare(&load, &load.tables[i], err));
        pg_log(&load, "%s: %" PRIu64 " rows were gone there", load.tables[i].shown, load.tables[i].deleted);
    }
    put_answer(&load, out);
    return TN_OK;
}
