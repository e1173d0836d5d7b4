/* Engines for single queries with a memory limit of their own. */
#include "gateway/gateway_internal.h"

#define SMALL_ENGINES_MAX 4

struct small_engine {
    struct gateway *gateway;
    struct engine *engine;
    char *temp; /* where it spills; its own, since engines do not share */
};

struct engine *small_engine_of(const struct small_engine *small)
{
    return small->engine;
}

void small_engine_close(struct small_engine *small)
{
    if (!small)
        return;
    engine_close(small->engine);
    enum tn_code ignored = tn_remove_tree(small->temp, NULL);
    (void)ignored; /* what stays is removed at the next start */
    atomic_fetch_sub(&small->gateway->small_engines, 1);
    free(small->temp);
    free(small);
}

enum tn_code small_engine_open(struct gateway *gateway, uint64_t memory_bytes, struct small_engine **ret,
                               struct tn_error *err)
{
    if (atomic_fetch_add(&gateway->small_engines, 1) >= SMALL_ENGINES_MAX) {
        atomic_fetch_sub(&gateway->small_engines, 1);
        (void)tn_fail(err, TN_EBUSY, "%d queries with memory_bytes of their own are running", SMALL_ENGINES_MAX);
        tn_error_hint(err, "try again soon, or leave memory_bytes out");
        return TN_EBUSY;
    }
    char name[TN_UUID_TEXT];
    TN_CLEANUP(small_engine_close_p) struct small_engine *small = tn_calloc(1, sizeof *small);
    small->gateway = gateway;
    small->temp = tn_asprintf("%s/state/tmp/%s", gateway->folder, tn_uuid7(name));
    TN_TRY(tn_mkdirs(small->temp, 0700, err));
    TN_AUTO_FREE char *buckets = tn_asprintf("%s/buckets", gateway->folder);
    const char *readable[] = {buckets};
    const struct engine_options options = {
        .memory_bytes = memory_bytes,
        .temp_folder = small->temp,
        .temp_bytes = tn_config_size(gateway->lake.config, "sql.temp"),
        .threads = (size_t)tn_config_int(gateway->lake.config, "sql.threads"),
        .max_queries = 1,
        .readable_folders = readable,
        .readable_count = TN_COUNT(readable),
    };
    TN_TRY(engine_open(&options, &small->engine, err));
    *ret = TN_TAKE(small);
    return TN_OK;
}
