/* The first question after a start should not pay for being the first.
 *
 * When the server answers already, one background task binds each dataset
 * once: its metadata, manifests and the footers of its files are then in
 * memory, and a compiled view waits on the connection that the next query
 * takes. Only metadata is read, no rows. Errors are left to the query that
 * meets them. A lake with more datasets than this warms the first ones. */
#include "gateway/gateway_internal.h"

#define WARM_DATASETS_MAX 200
#define WARM_MAX_NS       (UINT64_C(5) * 1000000000)
/* It takes one query slot; where there are few, the users have them all. */
#define WARM_MIN_QUERIES 4

static void warm_one(struct gateway *gateway, const char *name)
{
    TN_AUTO_BUF sql = {0};
    struct engine_query *query = NULL;
    tn_buf_puts(&sql, "SELECT * FROM ");
    tn_buf_put_sql_name(&sql, name);
    tn_buf_puts(&sql, " LIMIT 0"); /* without it the engine would begin to read */
    const struct engine_query_options options = {
        .sql = sql.data,
        .sql_length = sql.len,
        .cancel = &gateway->draining,
        .resolver = dataset_resolver(&gateway->lake),
    };
    if (engine_query_start(gateway->lake.engine, &options, &query, NULL) == TN_OK)
        engine_query_free(query);
}

static void warm(void *argument)
{
    struct gateway *gateway = argument;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names = NULL;
    size_t count = 0;
    uint64_t started = tn_mono_ns();
    if (catalog_list(gateway->lake.catalog, arena, &names, &count, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < TN_MIN(count, (size_t)WARM_DATASETS_MAX); i++) {
        if (atomic_load(&gateway->draining) || tn_mono_ns() - started > WARM_MAX_NS)
            return;
        warm_one(gateway, names[i]);
    }
}

void warm_start(struct gateway *gateway)
{
    if (!gateway->embedded && tn_config_int(gateway->lake.config, "sql.max_queries") >= WARM_MIN_QUERIES)
        tn_pool_submit(gateway->lake.pool, TN_BACKGROUND, warm, gateway);
}
