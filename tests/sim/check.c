/* What must hold after each step and after each reboot. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- Which version is it? --- */

struct pointers {
    size_t skip;
    int64_t highest;
    int64_t found[512];
    size_t count;
};

static enum tn_code see_pointer(void *context, const struct store_object *object, struct tn_error *err)
{
    struct pointers *pointers = context;
    int64_t version = 0;
    (void)err;
    if (tn_parse_i64(object->key + pointers->skip, &version) && pointers->count < TN_COUNT(pointers->found)) {
        pointers->found[pointers->count++] = version;
        pointers->highest = TN_MAX(pointers->highest, version);
    }
    return TN_OK;
}

static bool list_pointers(struct sim *sim, const struct sim_table *table, struct pointers *ret)
{
    char folder[64];
    (void)snprintf(folder, sizeof folder, "%s/commits/", table->prefix);
    *ret = (struct pointers){.skip = strlen(folder)};
    if (store_list(sim->stores[0], folder, see_pointer, ret, &sim->err) != TN_OK)
        return sim_violation(sim, "%s: the pointers cannot be listed: %s", table->prefix, sim->err.detail);
    return true;
}

static bool has_pointer(const struct pointers *pointers, int64_t version)
{
    for (size_t i = 0; i < pointers->count; i++)
        if (pointers->found[i] == version)
            return true;
    return false;
}

static int as_number(const char *text)
{
    int64_t number = 0;
    return text && tn_parse_i64(text, &number) ? (int)number : 0;
}

/* In the properties or in the newest summary: the later one. */
static int number_of(const struct iceberg_metadata *metadata)
{
    int number = as_number(iceberg_metadata_property(metadata, SIM_NUMBER));
    int newest = metadata->current ? as_number(iceberg_snapshot_summary(metadata->current, SIM_NUMBER)) : 0;
    return TN_MAX(number, newest);
}

/* *ret is NULL when there is no table. */
static bool load(struct sim *sim, struct sim_table *table, const struct iceberg_metadata *known, int process,
                 struct iceberg_metadata **ret)
{
    const struct iceberg_table place = sim_at(sim, table, process);
    *ret = NULL;
    enum tn_code code = iceberg_table_load(&place, known, ret, &sim->err);
    if (code == TN_OK || code == TN_ENOTFOUND)
        return true;
    return sim_violation(sim, "%s cannot be loaded: %s: %s", table->prefix, tn_code_word(code), sim->err.detail);
}

static bool find_version(struct sim *sim, struct sim_table *table, const struct iceberg_metadata *metadata,
                         int64_t highest)
{
    const struct sim_version *found = sim_allowed(table, metadata != NULL, metadata ? metadata->version : highest,
                                                  metadata ? number_of(metadata) : 0);
    if (metadata && metadata->version != highest)
        return sim_violation(sim, "%s: loaded version %" PRId64 ", and the newest pointer is %" PRId64, table->prefix,
                             metadata->version, highest);
    if (!found)
        return sim_violation(sim,
                             "%s is at version %" PRId64 " (%s, attempt %d); acknowledged was %" PRId64
                             " (attempt %d), seen %" PRId64 " (attempt %d)",
                             table->prefix, highest, metadata ? "there" : "absent",
                             metadata ? number_of(metadata) : 0, table->acknowledged->version,
                             table->acknowledged->number, table->seen->version, table->seen->number);
    table->seen = found;
    table->trying = NULL;
    return true;
}

/* Somebody who knew an old version finds the newest one all the same. */
static bool check_stale_reader(struct sim *sim, struct sim_table *table, const struct iceberg_metadata *metadata)
{
    ICEBERG_AUTO_METADATA *again = NULL;
    if (!table->stale)
        return true;
    if (!load(sim, table, table->stale, 1, &again))
        return false;
    if ((again ? again->version : 0) != (metadata ? metadata->version : 0))
        return sim_violation(sim, "%s: who knew version %" PRId64 " is led to %" PRId64 " instead of %" PRId64,
                             table->prefix, table->stale->version, again ? again->version : 0,
                             metadata ? metadata->version : 0);
    return true;
}

bool sim_settle(struct sim *sim, struct sim_table *table)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct pointers pointers;
    return load(sim, table, NULL, 0, &metadata) && list_pointers(sim, table, &pointers) &&
           find_version(sim, table, metadata, pointers.highest) && check_stale_reader(sim, table, metadata);
}

/* --- Is it whole? --- */

struct walk {
    struct sim *sim;
    struct sim_table *table;
    struct tn_arena *arena;
    const char **keys;
    size_t count, capacity;
};

static void walk_release(struct walk *walk)
{
    free((void *)walk->keys);
    tn_arena_free(walk->arena);
}

static bool object_is_whole(struct sim *sim, const char *key)
{
    const unsigned char *bytes = NULL;
    size_t count = 0, want = sim_size(key);
    unsigned char wanted[12008];
    TN_AUTO_FREE char *path = tn_asprintf(SIM_LAKE "/%s", key);
    if (!disk_peek(path, &bytes, &count))
        return sim_violation(sim, "%s is named and not there", key);
    sim_bytes(key, wanted, want);
    if (count != want || memcmp(bytes, wanted, want) != 0)
        return sim_violation(sim, "%s has %zu bytes, not the %zu that were written", key, count, want);
    return true;
}

static void see_reachable(void *context, const char *key, int64_t size)
{
    struct walk *walk = context;
    const unsigned char *bytes = NULL;
    size_t count = 0;
    (void)size;
    TN_GROW(walk->keys, walk->count, walk->capacity);
    walk->keys[walk->count++] = tn_arena_strdup(walk->arena, key);
    TN_AUTO_FREE char *path = tn_asprintf(SIM_LAKE "/%s", key);
    if (strstr(key, "/data/"))
        (void)object_is_whole(walk->sim, key);
    else if (!disk_peek(path, &bytes, &count))
        (void)sim_violation(walk->sim, "%s is reachable and not there", key);
}

static void see_finding(void *context, const struct iceberg_finding *finding)
{
    struct walk *walk = context;
    if (finding->fatal)
        (void)sim_violation(walk->sim, "%s: %s at %s: %s", walk->table->prefix, finding->rule, finding->where,
                            finding->text);
}

static const struct sim_file *find_file(const struct sim_snapshot *snapshot, const char *path)
{
    for (size_t i = 0; i < snapshot->file_count; i++)
        if (tn_streq(snapshot->files[i].path, path))
            return &snapshot->files[i];
    return NULL;
}

/* The plan is the model's files, each with the model's deletes. */
static bool check_snapshot(struct sim *sim, const struct iceberg_table *place,
                           const struct iceberg_metadata *metadata, const struct sim_snapshot *want)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, want->id);
    size_t data = 0, deletes = 0, planned = 0;
    if (!snapshot)
        return sim_violation(sim, "%s: snapshot %" PRId64 " is missing", place->prefix, want->id);
    if (iceberg_plan_new(place, metadata, snapshot, NULL, 0, &plan, &sim->err) != TN_OK)
        return sim_violation(sim, "%s: no plan: %s", place->prefix, sim->err.detail);
    for (size_t i = 0; i < want->file_count; i++)
        *(want->files[i].content == ICEBERG_DATA ? &data : &deletes) += 1;
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct sim_file *file = find_file(want, plan->files[i].file->path);
        if (!file || file->rows != plan->files[i].file->record_count)
            return sim_violation(sim, "%s: snapshot %" PRId64 " has the file %s, and should not", place->prefix,
                                 want->id, plan->files[i].file->path);
        planned += plan->files[i].delete_count;
    }
    if (plan->file_count != data || planned != deletes)
        return sim_violation(sim, "%s: snapshot %" PRId64 " has %zu files and %zu deletes; should be %zu and %zu",
                             place->prefix, want->id, plan->file_count, planned, data, deletes);
    const char *extra = iceberg_snapshot_summary(snapshot, SIM_EXTRA);
    if ((extra != NULL) != (want->extra != NULL) || (extra && !tn_streq(extra, want->extra)))
        return sim_violation(sim, "%s: snapshot %" PRId64 " names %s", place->prefix, want->id, extra ? extra : "-");
    return !extra || object_is_whole(sim, extra);
}

static bool check_content(struct sim *sim, struct sim_table *table, const struct iceberg_metadata *metadata)
{
    const struct iceberg_table place = {sim->stores[0], table->prefix, NULL};
    const struct sim_version *want = table->seen;
    int64_t current = metadata->current ? metadata->current->id : ICEBERG_NONE;
    if (current != (want->current ? want->current->id : ICEBERG_NONE) ||
        metadata->snapshot_count != want->snapshot_count)
        return sim_violation(sim, "%s: %zu snapshots, the newest %" PRId64 "; should be %zu", table->prefix,
                             metadata->snapshot_count, current, want->snapshot_count);
    for (size_t i = 0; i < want->snapshot_count; i++)
        if (!check_snapshot(sim, &place, metadata, want->snapshots[i]))
            return false;
    size_t tags = 0;
    for (size_t i = 0; i < metadata->ref_count; i++)
        tags += metadata->refs[i].is_tag;
    for (size_t i = 0; i < want->tag_count; i++) {
        const struct iceberg_ref *ref = iceberg_metadata_ref_named(metadata, want->tags[i].name);
        if (!ref || ref->snapshot_id != want->tags[i].id || tags != want->tag_count)
            return sim_violation(sim, "%s: the tag %s is not what it was", table->prefix, want->tags[i].name);
    }
    return true;
}

static bool check_times(struct sim *sim, const struct sim_table *table, const struct iceberg_metadata *metadata)
{
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        int64_t time = metadata->snapshots[i]->timestamp_ms;
        if ((i && time < metadata->snapshots[i - 1]->timestamp_ms) || time > metadata->last_updated_ms)
            return sim_violation(sim, "%s: the time of snapshot %zu goes back", table->prefix, i);
    }
    for (size_t i = 1; i < metadata->snapshot_log_count; i++)
        if (metadata->snapshot_log[i].timestamp_ms < metadata->snapshot_log[i - 1].timestamp_ms)
            return sim_violation(sim, "%s: the snapshot log goes back at %zu", table->prefix, i);
    return true;
}

static bool check_pointers(struct sim *sim, const struct sim_table *table, const struct iceberg_metadata *metadata)
{
    struct pointers pointers;
    if (!list_pointers(sim, table, &pointers))
        return false;
    for (int64_t version = metadata->version - (int64_t)metadata->metadata_log_count; version < pointers.highest;
         version++)
        if (version > 0 && !has_pointer(&pointers, version))
            return sim_violation(sim, "%s: pointer %" PRId64 " is missing below %" PRId64, table->prefix, version,
                                 pointers.highest);
    return true;
}

static bool check_reachable(struct walk *walk, const struct iceberg_metadata *metadata)
{
    const struct iceberg_table place = {walk->sim->stores[0], walk->table->prefix, NULL};
    if (iceberg_table_reachable(&place, metadata, see_reachable, walk, &walk->sim->err) != TN_OK)
        return sim_violation(walk->sim, "%s cannot be walked: %s", place.prefix, walk->sim->err.detail);
    return !walk->sim->failed;
}

bool sim_verify(struct sim *sim, struct sim_table *table)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_CLEANUP(walk_release) struct walk walk = {.sim = sim, .table = table, .arena = tn_arena_new()};
    if (!sim_settle(sim, table) || !load(sim, table, NULL, 0, &metadata))
        return false;
    if (!metadata)
        return true;
    const struct iceberg_table place = {sim->stores[0], table->prefix, NULL};
    if (!check_content(sim, table, metadata) || !check_times(sim, table, metadata) ||
        !check_pointers(sim, table, metadata) || !check_reachable(&walk, metadata))
        return false;
    if (iceberg_check(&place, metadata, see_finding, &walk, &sim->err) != TN_OK)
        return sim_violation(sim, "%s cannot be checked: %s", table->prefix, sim->err.detail);
    return !sim->failed;
}

/* --- Is it tidy? --- */

struct tidy {
    struct walk walk;
    struct tn_buf pointers; /* the texts of all that are there */
    int64_t oldest_ms, oldest_version;
};

static void tidy_release(struct tidy *tidy)
{
    walk_release(&tidy->walk);
    tn_buf_release(&tidy->pointers);
}

static bool is_needed(const struct tidy *tidy, const char *key)
{
    const char *name = strrchr(key, '/') + 1;
    int64_t version = 0;
    if (tn_streq(name, "version-hint.text"))
        return true;
    if (strstr(key, "/commits/"))
        return tn_parse_i64(name, &version) && version >= tidy->oldest_version;
    for (size_t i = 0; i < tidy->walk.count; i++)
        if (tn_streq(tidy->walk.keys[i], key))
            return true;
    return tidy->pointers.data && strstr(tidy->pointers.data, name);
}

static enum tn_code see_pointer_text(void *context, const struct store_object *object, struct tn_error *err)
{
    struct tidy *tidy = context;
    return store_get(tidy->walk.sim->stores[0], object->key, 1 << 16, &tidy->pointers, err);
}

static enum tn_code see_object(void *context, const struct store_object *object, struct tn_error *err)
{
    struct tidy *tidy = context;
    (void)err;
    if (object->modified_ms <= tidy->oldest_ms && !is_needed(tidy, object->key))
        (void)sim_violation(tidy->walk.sim, "%s is not reachable and was left", object->key);
    return TN_OK;
}

bool sim_verify_tidy(struct sim *sim, struct sim_table *table, int64_t grace_ms)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_CLEANUP(tidy_release)
    struct tidy tidy = {.walk = {.sim = sim, .table = table, .arena = tn_arena_new()},
                        .oldest_ms = tn_now_ms() - grace_ms - 1000};
    char folder[64];
    if (!load(sim, table, NULL, 0, &metadata) || !metadata)
        return !sim->failed;
    tidy.oldest_version = metadata->version - (int64_t)metadata->metadata_log_count;
    (void)snprintf(folder, sizeof folder, "%s/commits/", table->prefix);
    if (!check_reachable(&tidy.walk, metadata))
        return false;
    if (store_list(sim->stores[0], folder, see_pointer_text, &tidy, &sim->err) != TN_OK)
        return sim_violation(sim, "%s cannot be listed: %s", folder, sim->err.detail);
    (void)snprintf(folder, sizeof folder, "%s/", table->prefix);
    if (store_list(sim->stores[0], folder, see_object, &tidy, &sim->err) != TN_OK)
        return sim_violation(sim, "%s cannot be listed: %s", folder, sim->err.detail);
    return !sim->failed;
}
