/* The rows of a group's keys: out of the hot copy when there is one of exactly
 * this version, else out of the files.
 *
 * A few keys are compared as parameters, so a busy dataset's look-up is a scan
 * of one column in memory; many are joined by the search in files. */
#include "dataset/rows_internal.h"

#include <string.h>

#define FEW_KEYS     64
#define HOT_TEXT_MAX 65536 /* the copy's text names every file since it was filled: parsing more costs more */

static enum tn_code found(void *context, const struct dataset_place *place, const struct engine_cell *cells,
                          struct tn_error *err)
{
    (void)err;
    rows_overlay_found(context, place, cells);
    return TN_OK;
}

struct hot_search {
    struct rows_overlay *overlay;
    struct tn_buf path; /* of the row at hand, with its NUL */
};

static enum tn_code found_hot(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct hot_search *search = context;
    (void)err;
    tn_buf_clear(&search->path);
    tn_buf_append(&search->path, cells[0].text.data, cells[0].text.length);
    const struct dataset_place place = {search->path.data, cells[1].integer};
    rows_overlay_found(search->overlay, &place, cells + 2);
    return TN_OK;
}

/* ("a" = $1 AND "b" = $2) OR ... */
static void put_condition(const struct cells_shape *shape, size_t count, struct engine_type *types,
                          struct tn_buf *sql)
{
    for (size_t i = 0; i < count; i++) {
        tn_buf_puts(sql, i ? ") OR (" : "(");
        for (size_t at = 0; at < shape->key_count; at++) {
            const struct engine_column *column = &shape->columns[shape->key[at]];
            size_t number = i * shape->key_count + at;
            types[number] = column->type;
            tn_buf_puts(sql, at ? " AND " : "");
            tn_buf_put_sql_name(sql, column->name);
            tn_buf_printf(sql, " = $%zu", number + 1);
        }
    }
    tn_buf_putc(sql, ')');
}

static enum tn_code look_up_hot(struct lake *lake, struct rows_overlay *overlay, const struct engine_cell *keys,
                                size_t count, const char *placed, struct tn_error *err)
{
    const struct cells_shape *shape = overlay->shape;
    struct engine_type *types = TN_ARENA_ARRAY(overlay->arena, struct engine_type, count * shape->key_count);
    struct hot_search search = {.overlay = overlay};
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT * FROM (%s) WHERE ", placed);
    put_condition(shape, count, types, &sql);
    const struct engine_select select = {
        .sql = sql.data, .params = keys, .param_types = types, .param_count = count * shape->key_count};
    enum tn_code code = engine_select(lake->engine, &select, NULL, NULL, NULL, found_hot, &search, err);
    tn_buf_release(&search.path);
    return code;
}

enum tn_code rows_look_up(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                          struct rows_overlay *overlay, struct tn_error *err)
{
    size_t count;
    const struct engine_cell *keys = rows_overlay_keys(overlay, &count);
    struct dataset_hot_version hot = {0};
    if (count == 0 || !newest->current)
        return TN_OK;
    if (lake->hot && count <= FEW_KEYS &&
        dataset_hot_version(lake, name, newest, newest->current, newest->schema, true, overlay->arena, &hot)) {
        bool brief = strlen(hot.sql) <= HOT_TEXT_MAX;
        enum tn_code code = brief ? look_up_hot(lake, overlay, keys, count, hot.sql, err) : TN_OK;
        engine_hold_unref(hot.hold);
        if (brief)
            return code;
    }
    return dataset_find_keys(lake, name, newest, keys, count, found, overlay, err);
}
