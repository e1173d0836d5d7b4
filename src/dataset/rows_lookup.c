/* The rows of a group's keys: out of the hot copy when there is one of exactly
 * this version, else out of the files.
 *
 * A few keys are compared as parameters, so a busy dataset's look-up is a scan
 * of one column in memory; many are joined by the search in files. */
#include "dataset/rows_internal.h"

#include <string.h>

#define FEW_KEYS 64

static enum tn_code found(void *context, const struct dataset_place *place, const struct engine_cell *cells,
                          struct tn_error *err)
{
    (void)err;
    rows_overlay_found(context, place, cells);
    return TN_OK;
}

struct hot_search {
    struct rows_overlay *overlay;
    struct engine_hold *hold;
};

static enum tn_code found_hot(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct hot_search *search = context;
    (void)err;
    const struct dataset_place place = {dataset_hot_path(search->hold, (size_t)cells[0].integer), cells[1].integer};
    rows_overlay_found(search->overlay, &place, cells + 2);
    return TN_OK;
}

/* "a" IN ($1, $2), or ("a" = $1 AND "b" = $2) OR ... */
static void put_condition(const struct cells_shape *shape, size_t count, struct tn_buf *sql)
{
    if (shape->key_count == 1) {
        tn_buf_put_sql_name(sql, shape->columns[shape->key[0]].name);
        for (size_t i = 0; i < count; i++)
            tn_buf_printf(sql, "%s$%zu", i ? ", " : " IN (", i + 1);
        tn_buf_putc(sql, ')');
        return;
    }
    for (size_t i = 0; i < count; i++) {
        tn_buf_puts(sql, i ? ") OR (" : "(");
        for (size_t at = 0; at < shape->key_count; at++) {
            tn_buf_puts(sql, at ? " AND " : "");
            tn_buf_put_sql_name(sql, shape->columns[shape->key[at]].name);
            tn_buf_printf(sql, " = $%zu", i * shape->key_count + at + 1);
        }
    }
    tn_buf_putc(sql, ')');
}

static void put_part(const struct cells_shape *shape, const char *table, size_t set, size_t count, struct tn_buf *sql)
{
    tn_buf_puts(sql, "SELECT tarn_file, tarn_pos");
    for (size_t i = 0; i < shape->width; i++) {
        tn_buf_puts(sql, ", ");
        tn_buf_put_sql_name(sql, shape->columns[i].name);
    }
    tn_buf_printf(sql, " FROM %s WHERE (", table);
    put_condition(shape, count, sql);
    tn_buf_printf(sql, ") AND tarn_live($%zu, rowid)", set);
}

/* So many keys the text has: the last one again and again, so that there are
 * few texts, each compiled once. */
static size_t rounded(size_t count)
{
    size_t round = 1;
    while (round < count)
        round *= 2;
    return round;
}

static enum tn_code look_up_hot(struct lake *lake, struct rows_overlay *overlay, const struct engine_cell *keys,
                                size_t count, const struct dataset_hot_tables *hot, struct tn_error *err)
{
    const struct cells_shape *shape = overlay->shape;
    size_t width = shape->key_count, round = rounded(count), total = round * width + (hot->delta ? 2 : 1);
    struct engine_type *types = TN_ARENA_ARRAY(overlay->arena, struct engine_type, total);
    struct engine_cell *params = TN_ARENA_ARRAY(overlay->arena, struct engine_cell, total);
    for (size_t i = 0; i < round; i++)
        for (size_t at = 0; at < width; at++) {
            params[i * width + at] = keys[TN_MIN(i, count - 1) * width + at];
            types[i * width + at] = shape->columns[shape->key[at]].type;
        }
    TN_AUTO_BUF sql = {0};
    size_t sets = round * width;
    put_part(shape, hot->base, sets + 1, round, &sql);
    types[sets] = (struct engine_type){.kind = ENGINE_BIGINT};
    params[sets] = (struct engine_cell){.integer = hot->base_set};
    if (hot->delta) {
        tn_buf_puts(&sql, " UNION ALL ");
        put_part(shape, hot->delta, sets + 2, round, &sql);
        types[sets + 1] = types[sets];
        params[sets + 1] = (struct engine_cell){.integer = hot->delta_set};
    }
    struct hot_search search = {.overlay = overlay, .hold = hot->hold};
    const struct engine_select select = {
        .sql = sql.data, .params = params, .param_types = types, .param_count = total, .keep = true};
    return engine_select(lake->engine, &select, NULL, NULL, NULL, found_hot, &search, err);
}

enum tn_code rows_look_up(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                          struct rows_overlay *overlay, struct tn_error *err)
{
    size_t count;
    const struct engine_cell *keys = rows_overlay_keys(overlay, &count);
    struct dataset_hot_tables hot = {0};
    if (count == 0 || !newest->current)
        return TN_OK;
    if (!lake->hot || count > FEW_KEYS || !dataset_hot_tables(lake, name, newest, overlay->arena, &hot))
        return dataset_find_keys(lake, name, newest, keys, count, found, overlay, err);
    enum tn_code code = look_up_hot(lake, overlay, keys, count, &hot, err);
    engine_hold_unref(hot.hold);
    return code;
}
