/* Holds nothing yet: every question is answered from the files. */
#include "dataset/hot.h"

struct dataset_hot {
    uint64_t budget;
};

struct dataset_hot *dataset_hot_new(uint64_t memory_bytes)
{
    struct dataset_hot *hot = tn_calloc(1, sizeof *hot);
    hot->budget = memory_bytes;
    return hot;
}

void dataset_hot_free(struct dataset_hot *hot)
{
    free(hot);
}

enum tn_code dataset_hot_pin(struct lake *lake, const char *name, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    return catalog_load(lake->catalog, name, &metadata, err);
}

void dataset_hot_evict(struct lake *lake, const char *name)
{
    (void)lake, (void)name;
}

struct dataset_hot_state dataset_hot_state(struct dataset_hot *hot)
{
    return (struct dataset_hot_state){.budget = hot ? hot->budget : 0};
}

void dataset_hot_follow(struct lake *lake, const char *name, const struct iceberg_metadata *before,
                        const struct iceberg_metadata *after, const struct dataset_change *change)
{
    (void)lake, (void)name, (void)before, (void)after, (void)change;
}

const char *dataset_hot_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                            const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema, bool placed,
                            struct tn_arena *arena)
{
    (void)lake, (void)name, (void)metadata, (void)snapshot, (void)schema, (void)placed, (void)arena;
    return NULL;
}
