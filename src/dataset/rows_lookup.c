/* The rows of a group's keys, into the overlay. */
#include "dataset/rows_internal.h"

static enum tn_code found(void *context, const struct dataset_place *place, const struct engine_cell *cells,
                          struct tn_error *err)
{
    (void)err;
    rows_overlay_found(context, place, cells);
    return TN_OK;
}

enum tn_code rows_look_up(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                          struct rows_overlay *overlay, struct tn_error *err)
{
    size_t count;
    const struct engine_cell *keys = rows_overlay_keys(overlay, &count);
    return dataset_find_keys(lake, name, newest, keys, count, found, overlay, err);
}
