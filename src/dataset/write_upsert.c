/* A file of rows against the rows that are there, by key.
 *
 * One join, done by the engine, which spills when it must: it says for every
 * staged row whose key is there where the old row lies and whether the two are
 * equal. Its answer is a file of a few numbers a row. Everything else follows
 * from that: what was replaced, what need not be written, and how many of each.
 */
#include "dataset/write_internal.h"

#include <string.h>
#include <unistd.h>

void write_matches_release(struct write_matches *matches)
{
    if (matches->path)
        (void)unlink(matches->path);
    free(matches->path);
    matches->path = NULL;
}

static bool is_key(const struct iceberg_schema *schema, int32_t id)
{
    for (size_t i = 0; i < schema->identifier_count; i++)
        if (schema->identifier_ids[i] == id)
            return true;
    return false;
}

static const struct iceberg_field *top_field(const struct iceberg_schema *schema, int32_t id)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].id == id)
            return &schema->fields[i];
    return NULL;
}

/* Equal in every column; one that the version does not have yet must be NULL. */
static void put_same(struct tn_arena *arena, const struct iceberg_schema *target, const struct iceberg_schema *now,
                     struct tn_buf *sql)
{
    tn_buf_puts(sql, "(true");
    for (size_t i = 0; i < target->field_count; i++) {
        const struct iceberg_field *field = &target->fields[i], *there = top_field(now, field->id);
        if (is_key(target, field->id))
            continue;
        tn_buf_puts(sql, " AND s.");
        tn_buf_put_sql_name(sql, dataset_staged_name(arena, field));
        tn_buf_puts(sql, there ? " IS NOT DISTINCT FROM c." : " IS NULL");
        if (there)
            tn_buf_put_sql_name(sql, there->name);
    }
    tn_buf_putc(sql, ')');
}

static enum tn_code put_keys_equal(struct tn_arena *arena, const struct iceberg_schema *target,
                                   const struct iceberg_schema *now, struct tn_buf *sql, struct tn_error *err)
{
    for (size_t i = 0; i < target->identifier_count; i++) {
        const struct iceberg_field *field = top_field(target, target->identifier_ids[i]);
        const struct iceberg_field *there = top_field(now, target->identifier_ids[i]);
        if (!field || !there)
            return tn_fail(err, TN_ECONFLICT, "the key's columns were changed by somebody else meanwhile");
        tn_buf_puts(sql, i ? " AND s." : "s.");
        tn_buf_put_sql_name(sql, dataset_staged_name(arena, field));
        tn_buf_puts(sql, " = c.");
        tn_buf_put_sql_name(sql, there->name);
    }
    return TN_OK;
}

/* By the ids of the columns where a name of one is that of a place. */
static void put_staged(const struct dataset_write *write, const struct iceberg_schema *target, struct tn_buf *sql)
{
    bool renamed = false;
    for (size_t i = 0; i < target->field_count; i++)
        renamed = renamed || dataset_staged_name(write->arena, &target->fields[i]) != target->fields[i].name;
    write_put_staged(write, sql);
    if (!renamed)
        return;
    sql->len--; /* the bracket */
    dataset_put_mapping(write->arena, target, sql);
    tn_buf_putc(sql, ')');
}

static enum tn_code match_sql(struct dataset_write *write, const struct iceberg_metadata *newest,
                              const struct iceberg_schema *target, struct tn_buf *sql, struct tn_error *err)
{
    tn_buf_puts(sql, "SELECT s.file_index::INTEGER AS s_file, s.file_row_number::BIGINT AS s_row, c.tarn_path, "
                     "c.tarn_pos, ");
    put_same(write->arena, target, newest->schema, sql);
    tn_buf_puts(sql, " AS same FROM ");
    put_staged(write, target, sql);
    tn_buf_puts(sql, " s JOIN (");
    TN_TRY(dataset_placed_sql(write->lake, write->name, newest, newest->current, sql, err));
    tn_buf_puts(sql, ") c ON ");
    TN_TRY(put_keys_equal(write->arena, target, newest->schema, sql, err));
    tn_buf_puts(sql, " ORDER BY c.tarn_path, c.tarn_pos");
    return TN_OK;
}

static bool take_counts(void *context, size_t column_count, const char *const *values)
{
    struct dataset_counts *counts = context;
    (void)column_count;
    if (!tn_parse_u64(values[0], &counts->updated) || !tn_parse_u64(values[1], &counts->unchanged))
        *counts = (struct dataset_counts){0};
    return true;
}

/* Of staged rows, each counted once, whatever the table holds of its key. */
static enum tn_code count_matches(struct dataset_write *write, struct write_matches *matches, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    struct dataset_counts found = {0};
    tn_buf_puts(&sql, "SELECT count(*) FILTER (NOT same), count(*) FILTER (same) FROM (SELECT bool_or(same) AS same "
                      "FROM read_parquet(");
    tn_buf_put_sql_string(&sql, matches->path);
    tn_buf_puts(&sql, ") GROUP BY s_file, s_row)");
    TN_TRY(engine_run(write->lake->engine, sql.data, take_counts, &found, err));
    if (found.updated + found.unchanged > write->rows)
        return tn_fail(err, TN_EINTERNAL, "more rows of \"%s\" were matched than there are", write->name);
    found.inserted = write->rows - found.updated - found.unchanged;
    matches->counts = found;
    return TN_OK;
}

enum tn_code write_match(struct dataset_write *write, const struct iceberg_metadata *newest,
                         const struct iceberg_schema *target, struct write_matches *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_file_stats written = {0};
    TN_AUTO_BUF sql = {0};
    char *staged;
    if (!newest->current || write->file_count == 0)
        return TN_OK;
    TN_TRY(match_sql(write, newest, target, &sql, err));
    TN_TRY(store_stage_path(write->lake->store, arena, ".parquet", &staged, err));
    const struct engine_copy copy = {.select = sql.data, .local_path = staged};
    TN_TRY(engine_copy_parquet(write->lake->engine, &copy, arena, &written, err));
    ret->path = tn_strdup(staged);
    TN_FAULT("dataset.rows_matched");
    return written.rows ? count_matches(write, ret, err) : TN_OK;
}

/* ---- the file without them ----------------------------------------------------------- */

static void put_changed(const struct dataset_write *write, const struct write_matches *matches, struct tn_buf *sql)
{
    const struct iceberg_schema *target = write->plan.target;
    tn_buf_puts(sql, "SELECT ");
    for (size_t i = 0; i < target->field_count; i++) {
        tn_buf_puts(sql, i ? ", s." : "s.");
        tn_buf_put_sql_name(sql, dataset_staged_name(write->arena, &target->fields[i]));
        tn_buf_puts(sql, " AS ");
        tn_buf_put_sql_name(sql, target->fields[i].name);
    }
    tn_buf_puts(sql, " FROM ");
    put_staged(write, target, sql);
    tn_buf_puts(sql, " s ANTI JOIN (SELECT s_file, s_row FROM read_parquet(");
    tn_buf_put_sql_string(sql, matches->path);
    tn_buf_puts(sql, ") WHERE same) u ON s.file_index = u.s_file AND s.file_row_number = u.s_row");
}

static void forget_files(struct dataset_write *write)
{
    while (write->file_count > 0) {
        struct staged_file *file = &write->files[--write->file_count];
        (void)unlink(file->path);
        free(file->path);
    }
}

enum tn_code write_drop_unchanged(struct dataset_write *write, const struct write_matches *matches,
                                  struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    put_changed(write, matches, &sql);
    struct staged_file made = {0};
    uint64_t rows = 0;
    TN_TRY(write_stage(write, NULL, sql.data, NULL, NULL, &made, &rows, err));
    forget_files(write);
    write->rows = rows;
    if (!made.path)
        return TN_OK;
    TN_GROW(write->files, write->file_count, write->file_capacity);
    write->files[write->file_count++] = made;
    return TN_OK;
}
