/* Are keys unique? Asked of the engine, set-wise, in bounded memory.
 *
 * A file that is appended is compared with those files of the table alone whose
 * bounds overlap its own: keys that rise, as most do, cost nothing.
 */
#include "dataset/write_internal.h"

#include <inttypes.h>
#include <string.h>

static enum tn_code key_fields(const struct iceberg_schema *schema, const struct iceberg_field **fields,
                               struct tn_error *err)
{
    for (size_t i = 0; i < schema->identifier_count; i++) {
        fields[i] = NULL;
        for (size_t k = 0; k < schema->field_count; k++)
            if (schema->fields[k].id == schema->identifier_ids[i])
                fields[i] = &schema->fields[k];
        if (!fields[i] || i == CELLS_KEY_MAX)
            return tn_fail(err, TN_EUNSUPPORTED, "the key lies inside of a nested column or has too many columns");
    }
    return TN_OK;
}

static void put_names(const struct iceberg_field *const *fields, size_t count, const char *prefix, struct tn_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        tn_buf_printf(out, "%s%s", i ? ", " : "", prefix);
        tn_buf_put_sql_name(out, fields[i]->name);
    }
}

struct twice {
    const struct iceberg_schema *schema;
    struct tn_buf key; /* the first one, for people */
    uint64_t count;
};

static bool take_twice(void *context, size_t column_count, const char *const *values)
{
    struct twice *twice = context;
    uint64_t count;
    if (tn_parse_u64(values[0], &count))
        twice->count = count;
    for (size_t i = 1; i < column_count; i++) {
        const char *text = values[i] ? values[i] : "NULL";
        size_t length = tn_utf8_floor(text, strlen(text), 100);
        tn_buf_printf(&twice->key, "%s%.*s%s", i > 1 ? ", " : "", (int)length, text, text[length] ? "..." : "");
    }
    return true;
}

/* `twice` is a SELECT of the keys that are there twice. */
static enum tn_code find_twice(struct lake *lake, const struct iceberg_field *const *fields, size_t count,
                               const char *select, struct twice *ret, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "WITH twice AS MATERIALIZED (%s) SELECT (SELECT count(*) FROM twice), ", select);
    put_names(fields, count, "", &sql);
    tn_buf_puts(&sql, " FROM twice ORDER BY ");
    put_names(fields, count, "", &sql);
    tn_buf_puts(&sql, " LIMIT 1");
    return engine_run(lake->engine, sql.data, take_twice, ret, err);
}

static enum tn_code refuse(const struct twice *twice, const char *what, const char *hint, struct tn_error *err)
{
    if (twice->count == 1)
        tn_fail(err, TN_EREFUSED, "the key %s is %s", twice->key.data, what);
    else
        tn_fail(err, TN_EREFUSED, "%" PRIu64 " keys are %s, the first is %s", twice->count, what, twice->key.data);
    tn_error_hint(err, "%s", hint);
    return TN_EREFUSED;
}

enum tn_code dataset_check_unique(struct lake *lake, const struct iceberg_schema *schema, const char *rows,
                                  struct tn_error *err)
{
    const struct iceberg_field *fields[CELLS_KEY_MAX];
    size_t count = schema->identifier_count;
    TN_TRY(key_fields(schema, fields, err));
    TN_AUTO_BUF select = {0};
    tn_buf_puts(&select, "SELECT ");
    put_names(fields, count, "", &select);
    tn_buf_printf(&select, " FROM %s GROUP BY ", rows);
    put_names(fields, count, "", &select);
    tn_buf_puts(&select, " HAVING count(*) > 1");
    struct twice twice = {.schema = schema};
    enum tn_code code = find_twice(lake, fields, count, select.data, &twice, err);
    if (code == TN_OK && twice.count > 0)
        code = refuse(&twice, "there more than once",
                      "a key tells rows apart: remove the duplicates, or choose another key", err);
    tn_buf_release(&twice.key);
    return code;
}

/* ---- against what is there --------------------------------------------------------- */

/* The range of the key's first column over all staged files, as far as their
 * statistics tell. */
static size_t range_of(const struct dataset_write *write, const struct iceberg_field *field,
                       struct iceberg_bytes bounds[2], struct iceberg_predicate predicates[2])
{
    for (size_t i = 0; i < write->file_count; i++) {
        const struct iceberg_stats *stats = iceberg_file_stats(&write->files[i].file, field->id);
        if (!stats || !stats->lower.data || !stats->upper.data || !iceberg_value_valid(field->type, stats->lower) ||
            !iceberg_value_valid(field->type, stats->upper))
            return 0;
        if (i == 0 || iceberg_value_compare(field->type, stats->lower, bounds[0]) < 0)
            bounds[0] = stats->lower;
        if (i == 0 || iceberg_value_compare(field->type, stats->upper, bounds[1]) > 0)
            bounds[1] = stats->upper;
    }
    predicates[0] = (struct iceberg_predicate){field->id, ICEBERG_GE, &bounds[0], 1};
    predicates[1] = (struct iceberg_predicate){field->id, ICEBERG_LE, &bounds[1], 1};
    return write->file_count ? 2 : 0;
}

static enum tn_code put_existing(struct dataset_write *write, const struct iceberg_metadata *newest,
                                 const struct iceberg_field *first, struct tn_buf *out, bool *ret_any,
                                 struct tn_error *err)
{
    struct iceberg_bytes bounds[2];
    struct iceberg_predicate predicates[2];
    const struct iceberg_table table = catalog_table(write->lake->catalog, write->arena, write->name);
    size_t count = range_of(write, first, bounds, predicates);
    ICEBERG_AUTO_PLAN *plan = NULL;
    TN_TRY(iceberg_plan_new(&table, newest, newest->current, predicates, count, &plan, err));
    *ret_any = plan->file_count > 0;
    return *ret_any ? dataset_read_sql(write->lake, plan, newest->schema, out, err) : TN_OK;
}

enum tn_code write_check_new(struct dataset_write *write, const struct iceberg_metadata *newest,
                             const struct iceberg_schema *target, struct tn_error *err)
{
    const struct iceberg_field *fields[CELLS_KEY_MAX];
    size_t count = target->identifier_count;
    bool any = false;
    if (!newest->current || write->file_count == 0)
        return TN_OK;
    TN_TRY(key_fields(target, fields, err));
    TN_AUTO_BUF existing = {0}, select = {0};
    TN_TRY(put_existing(write, newest, fields[0], &existing, &any, err));
    if (!any)
        return TN_OK;
    tn_buf_puts(&select, "SELECT ");
    put_names(fields, count, "s.", &select);
    tn_buf_puts(&select, " FROM ");
    write_put_staged(write, &select);
    tn_buf_printf(&select, " s SEMI JOIN (%s) c ON ", existing.data);
    for (size_t i = 0; i < count; i++) {
        tn_buf_puts(&select, i ? " AND s." : "s.");
        tn_buf_put_sql_name(&select, fields[i]->name);
        tn_buf_puts(&select, " = c.");
        tn_buf_put_sql_name(&select, fields[i]->name);
    }
    struct twice twice = {.schema = target};
    enum tn_code code = find_twice(write->lake, fields, count, select.data, &twice, err);
    if (code == TN_OK && twice.count > 0)
        code = refuse(&twice, "there already", "mode=upsert replaces rows by key, mode=replace replaces everything",
                      err);
    tn_buf_release(&twice.key);
    return code;
}
