/* From a table's name in a query to the SELECT of one snapshot.
 *
 * Planning reads manifests and the text names every file, so the result is
 * remembered by dataset and version. A version never changes what it means,
 * so nothing here goes stale; the least recently used are forgotten.
 */
#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"
#include "dataset/fresh.h"
#include "dataset/hot.h"
#include "dataset/moment.h"
#include "dataset/named.h"
#include "dataset/small.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define RELATIONS_MAX       512
#define RELATIONS_MAX_BYTES ((size_t)32 << 20)

struct remembered {
    char *name, *version, *sql;
    struct engine_hold *hold; /* of what the text names, or NULL */
    size_t bytes;
    uint64_t used; /* the clock at its last use */
};

struct dataset_relations {
    pthread_mutex_t mutex;
    struct remembered items[RELATIONS_MAX];
    size_t count, bytes;
    uint64_t clock;
    struct dataset_deletes *deletes;
    struct dataset_smalls *smalls;
    struct dataset_fresh *fresh;
    struct dataset_named *named;
};

struct dataset_relations *dataset_relations_new(void)
{
    struct dataset_relations *relations = tn_calloc(1, sizeof *relations);
    pthread_mutex_init(&relations->mutex, NULL);
    relations->deletes = dataset_deletes_new();
    relations->smalls = dataset_smalls_new();
    relations->fresh = dataset_fresh_new();
    relations->named = dataset_named_new();
    return relations;
}

size_t dataset_relations_bytes(struct dataset_relations *relations)
{
    return dataset_deletes_state(relations->deletes).bytes;
}

uint64_t dataset_relations_small_bytes(struct dataset_relations *relations)
{
    return dataset_smalls_bytes(relations->smalls);
}

struct dataset_deletes *dataset_relations_deletes(struct dataset_relations *relations)
{
    return relations ? relations->deletes : NULL;
}

struct dataset_smalls *dataset_relations_smalls(struct dataset_relations *relations)
{
    return relations ? relations->smalls : NULL;
}

struct dataset_fresh *dataset_relations_fresh(struct dataset_relations *relations)
{
    return relations ? relations->fresh : NULL;
}

struct dataset_named *dataset_relations_named(struct dataset_relations *relations)
{
    return relations ? relations->named : NULL;
}

static void forget(struct dataset_relations *relations, size_t at)
{
    struct remembered *item = &relations->items[at];
    relations->bytes -= item->bytes;
    free(item->name);
    free(item->version);
    free(item->sql);
    engine_hold_unref(item->hold);
    *item = relations->items[--relations->count];
}

void dataset_relations_free(struct dataset_relations *relations)
{
    if (!relations)
        return;
    while (relations->count > 0)
        forget(relations, relations->count - 1);
    dataset_smalls_free(relations->smalls);
    dataset_deletes_free(relations->deletes);
    dataset_fresh_free(relations->fresh);
    dataset_named_free(relations->named);
    pthread_mutex_destroy(&relations->mutex);
    free(relations);
}

/* A copy in the arena, or NULL; *ret_hold is the caller's. */
static const char *recall(struct dataset_relations *relations, const char *name, const char *version,
                          struct tn_arena *arena, struct engine_hold **ret_hold)
{
    if (!relations)
        return NULL;
    const char *sql = NULL;
    pthread_mutex_lock(&relations->mutex);
    for (size_t i = 0; i < relations->count && !sql; i++) {
        struct remembered *item = &relations->items[i];
        if (tn_streq(item->name, name) && tn_streq(item->version, version)) {
            item->used = ++relations->clock;
            sql = tn_arena_strdup(arena, item->sql);
            *ret_hold = engine_hold_ref(item->hold);
        }
    }
    pthread_mutex_unlock(&relations->mutex);
    return sql;
}

static void remember(struct dataset_relations *relations, const char *name, const char *version, const char *sql,
                     struct engine_hold *hold)
{
    size_t bytes = strlen(sql);
    if (!relations || bytes > RELATIONS_MAX_BYTES / 4)
        return;
    pthread_mutex_lock(&relations->mutex);
    while (relations->count == RELATIONS_MAX ||
           (relations->count > 0 && relations->bytes + bytes > RELATIONS_MAX_BYTES)) {
        size_t oldest = 0;
        for (size_t i = 1; i < relations->count; i++)
            if (relations->items[i].used < relations->items[oldest].used)
                oldest = i;
        forget(relations, oldest);
    }
    relations->items[relations->count++] = (struct remembered){.name = tn_strdup(name),
                                                               .version = tn_strdup(version),
                                                               .sql = tn_strdup(sql),
                                                               .hold = engine_hold_ref(hold),
                                                               .bytes = bytes,
                                                               .used = ++relations->clock};
    relations->bytes += bytes;
    pthread_mutex_unlock(&relations->mutex);
}

static enum tn_code find_state(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                               const struct engine_table_ref *ref, struct moment_state *ret, struct tn_error *err)
{
    char time[TN_TIME_TEXT];
    const struct moment moment = moment_of(ref);
    TN_TRY(moment_find(lake, name, metadata, &moment, ret, err));
    if (ret->snapshot || ret->is_branch)
        return TN_OK;
    tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" did not exist yet at %s", ref->name,
            tn_time_format(ref->at_timestamp_us, time));
    tn_error_hint(err, "`tarn snapshots %s` lists its versions", ref->name);
    return TN_ESNAPSHOT;
}

/* The snapshot's id; with the schema's where it is not the snapshot's own. */
static const char *version_text(struct tn_arena *arena, const struct iceberg_snapshot *snapshot,
                                const struct iceberg_schema *schema)
{
    if (!snapshot)
        return tn_arena_printf(arena, "0+%d", schema->id);
    if (snapshot->schema_id == schema->id || snapshot->schema_id == ICEBERG_NONE)
        return tn_arena_printf(arena, "%" PRId64, snapshot->id);
    return tn_arena_printf(arena, "%" PRId64 "+%d", snapshot->id, schema->id);
}

/* A table of few files is read whole under one definition, which stays
 * compiled; of one with many, a query gets those that its conditions leave. */
#define PRUNE_FROM_FILES 9

static bool worth_pruning(const struct engine_table_ref *ref, const struct iceberg_snapshot *snapshot)
{
    return ref->predicate_count > 0 && snapshot &&
           iceberg_snapshot_count(snapshot, "total-data-files", 0) >= PRUNE_FROM_FILES;
}

/* TN_OK without a definition when the conditions leave all files in. */
static enum tn_code resolve_pruned(struct lake *lake, const struct iceberg_table *table,
                                   const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot,
                                   const struct iceberg_schema *schema, const struct engine_table_ref *ref,
                                   struct tn_arena *arena, struct engine_relation *ret, struct tn_error *err)
{
    const struct iceberg_predicate *predicates;
    size_t count = dataset_predicates(arena, schema, ref, &predicates);
    if (count == 0)
        return TN_OK;
    ICEBERG_AUTO_PLAN *plan = NULL;
    TN_TRY(iceberg_plan_new(table, metadata, snapshot, predicates, count, &plan, err));
    if (plan->pruned_count == 0)
        return TN_OK;
    TN_AUTO_BUF text = {0};
    TN_TRY(dataset_files_sql(lake, plan, schema, DATASET_UNPLACED, &text, &ret->hold, err));
    ret->definition = tn_arena_strndup(arena, text.data, text.len);
    ret->variant = tn_arena_printf(arena, "%016" PRIx64, tn_hash64(text.data, text.len, 0));
    return TN_OK;
}

static enum tn_code resolve_whole(struct lake *lake, const struct iceberg_table *table,
                                  const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot,
                                  const struct iceberg_schema *schema, struct tn_buf *out,
                                  struct engine_hold **ret_hold, struct tn_error *err)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    TN_TRY(iceberg_plan_new(table, metadata, snapshot, NULL, 0, &plan, err));
    return dataset_files_sql(lake, plan, schema, DATASET_UNPLACED, out, ret_hold, err);
}

static bool resolve_hot(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                        const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema,
                        struct tn_arena *arena, struct engine_relation *ret)
{
    struct dataset_hot_version hot;
    if (!dataset_hot_version(lake, name, metadata, snapshot, schema, arena, &hot))
        return false;
    ret->definition = hot.sql;
    ret->variant = hot.variant;
    ret->hold = hot.hold;
    ret->cached = true;
    return true;
}

/* A dropped and remade table may meet the same number again: the uuid tells
 * them apart. The schema's id stands in some versions and not in others. */
static const char *identity_text(struct tn_arena *arena, const struct iceberg_metadata *metadata, const char *version,
                                 const struct iceberg_schema *schema)
{
    if (!metadata->uuid)
        return NULL; /* formats of old need not have one */
    return tn_arena_printf(arena, "%s@%s/%d", metadata->uuid, version, schema->id);
}

/* A moment whose snapshot was thinned, told again from the journal. */
static enum tn_code resolve_told(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                 const struct moment_state *state, struct tn_arena *arena,
                                 struct engine_relation *ret, struct tn_error *err)
{
    TN_CLEANUP(moment_told_unref) struct moment_told *told = NULL;
    TN_AUTO_BUF text = {0};
    const struct iceberg_schema *schema = iceberg_metadata_schema_at(metadata, state->snapshot);
    const char *version = moment_replay_name(arena, state->replay_to);
    TN_TRY(moment_tell(lake, metadata, state, &told, err));
    TN_TRY(moment_told_sql(lake, name, metadata, state, told, schema, MOMENT_ALL, false, &text, err));
    *ret = (struct engine_relation){
        .version = version,
        .identity = identity_text(arena, metadata, version, schema),
        .variant = tn_arena_printf(arena, "%" PRIu64, told->number),
        .definition = tn_arena_strndup(arena, text.data, text.len),
        .hold = engine_hold_ref(&told->hold),
    };
    return TN_OK;
}

static const struct dataset_extra *extra_of(const struct dataset_extra *extra, const char *name)
{
    for (; extra; extra = extra->next)
        for (size_t i = 0; i < extra->name_count; i++)
            if (tn_str_equal_nocase(extra->names[i], name))
                return extra;
    return NULL;
}

static enum tn_code resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err)
{
    struct lake *lake = context;
    const struct dataset_extra *extra = extra_of(ref->argument_count > 0 ? lake->calls : lake->extra, ref->name);
    if (ref->argument_count > 0 && extra)
        return extra->resolve(extra->context, ref, arena, ret, err);
    if (ref->argument_count > 0)
        return dataset_resolve_changes(lake, ref, arena, ret, err);
    if (lake->journal && tn_str_equal_nocase(ref->name, "journal"))
        return journal_relation(lake->journal, lake->engine, ref, arena, ret, err);
    if (extra)
        return extra->resolve(extra->context, ref, arena, ret, err);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct moment_state state;
    char name[CATALOG_NAME_MAX + 1];
    TN_TRY(catalog_load(lake->catalog, ref->name, &metadata, err));
    catalog_exact_name(ref->name, name);
    TN_TRY(find_state(lake, name, metadata, ref, &state, err));
    if (state.replay_to) {
        enum tn_code told = resolve_told(lake, name, metadata, &state, arena, ret, err);
        if (told != TN_OK)
            tn_error_context(err, "dataset \"%s\"", name);
        return told;
    }
    const struct iceberg_snapshot *snapshot = state.snapshot;
    const struct iceberg_schema *schema =
        state.is_branch ? metadata->schema : iceberg_metadata_schema_at(metadata, snapshot);
    const char *version = version_text(arena, snapshot, schema);
    /* A dropped and remade table may meet the same number again: the uuid tells them apart. */
    const char *key = tn_arena_printf(arena, "%s@%s", metadata->uuid, version);
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    *ret = (struct engine_relation){.version = version, .identity = identity_text(arena, metadata, version, schema)};
    if (resolve_hot(lake, name, metadata, snapshot, schema, arena, ret))
        return TN_OK;
    enum tn_code code = TN_OK;
    if (worth_pruning(ref, snapshot))
        code = resolve_pruned(lake, &table, metadata, snapshot, schema, ref, arena, ret, err);
    const char *sql = ret->definition ? ret->definition : recall(lake->relations, name, key, arena, &ret->hold);
    if (code == TN_OK && !sql) {
        TN_AUTO_BUF text = {0};
        code = resolve_whole(lake, &table, metadata, snapshot, schema, &text, &ret->hold, err);
        if (code == TN_OK) {
            sql = tn_arena_strndup(arena, text.data, text.len);
            remember(lake->relations, name, key, sql, ret->hold);
        }
    }
    if (code != TN_OK)
        tn_error_context(err, "dataset \"%s\"", name);
    /* A text that names what is held is not the one that was forgotten and made again. The version of
     * a table without rows is no number that no other has: one of the same name may have other columns. */
    if (code == TN_OK && (ret->hold || !snapshot) && !ret->variant)
        ret->variant = tn_arena_printf(arena, "%016" PRIx64, tn_hash64(sql, strlen(sql), 0));
    ret->definition = sql;
    return code;
}

static size_t list_names(void *context, struct tn_arena *arena, const char *const **ret)
{
    struct lake *lake = context;
    size_t count = 0;
    if (catalog_list(lake->catalog, arena, ret, &count, NULL) != TN_OK)
        return 0;
    return count;
}

struct engine_resolver dataset_resolver(struct lake *lake)
{
    return (struct engine_resolver){.context = lake, .resolve = resolve, .names = list_names};
}

enum tn_code dataset_columns(struct lake *lake, const char *name, struct tn_arena *arena, struct dataset_column **ret,
                             size_t *ret_count, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(lake->catalog, name, &metadata, err));
    const struct iceberg_schema *schema = metadata->schema;
    struct dataset_column *columns = TN_ARENA_ARRAY(arena, struct dataset_column, schema->field_count + 1);
    for (size_t i = 0; i < schema->field_count; i++) {
        columns[i].name = tn_arena_strdup(arena, schema->fields[i].name);
        columns[i].original_name = columns[i].name;
        columns[i].sql_type = catalog_sql_type(arena, schema->fields[i].type);
    }
    *ret = columns;
    *ret_count = schema->field_count;
    return TN_OK;
}
