/* Commits that are journaled after the fact: those of other engines, and
 * compactions. */
#include "dataset/changes.h"
#include "dataset/rows_internal.h"

#include <inttypes.h>
#include <string.h>

/* More changed rows than this are told as one event with their counts. */
#define FOREIGN_ROWS_MAX 10000

struct telling {
    struct cells_shape shape;
    struct journal_batch *batch;
    struct journal_event common;
    uint64_t inserted, updated, deleted;
    bool rows; /* tell each row; else only count */
};

static enum tn_code tell_one(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct telling *telling = context;
    (void)err;
    const struct engine_cell *now = cells + 1, *was = cells + 1 + telling->shape.width;
    bool insert = cells[0].text.data[0] == 'i', delete = cells[0].text.data[0] == 'd';
    telling->inserted += insert;
    telling->deleted += delete;
    telling->updated += !insert && !delete;
    if (telling->rows)
        rows_tell(&telling->shape, insert ? NULL : was, delete ? NULL : now, &telling->common, telling->batch);
    return TN_OK;
}

static uint64_t rows_touched(const struct iceberg_snapshot *snapshot)
{
    return (uint64_t)(iceberg_snapshot_count(snapshot, "added-records", 0) +
                      iceberg_snapshot_count(snapshot, "deleted-records", 0) +
                      iceberg_snapshot_count(snapshot, "added-position-deletes", 0));
}

static void tell_counts(struct telling *telling, const struct iceberg_snapshot *snapshot)
{
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "operation", snapshot->operation);
    tn_json_ki64(&json, "added_rows", iceberg_snapshot_count(snapshot, "added-records", 0));
    tn_json_ki64(&json, "removed_rows", iceberg_snapshot_count(snapshot, "deleted-records", 0));
    tn_json_ki64(&json, "total_rows", iceberg_snapshot_count(snapshot, "total-records", 0));
    tn_json_close(&json, '}');
    telling->common.operation = tn_streq(snapshot->operation, "append") ? "ingest" : "replace";
    telling->common.new_value = value.data;
    telling->common.new_length = value.len;
    telling->common.rows = rows_touched(snapshot);
    journal_batch_add(telling->batch, &telling->common);
}

/* A rewrite changes no row; its version can be asked for all the same. */
static void tell_rewrite(struct telling *telling, const struct iceberg_snapshot *snapshot)
{
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    const char *actor = iceberg_snapshot_summary(snapshot, CATALOG_S_ACTOR);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "files_before", iceberg_snapshot_count(snapshot, "deleted-data-files", 0));
    tn_json_ki64(&json, "files_after", iceberg_snapshot_count(snapshot, "added-data-files", 0));
    tn_json_close(&json, '}');
    telling->common.operation = "compact";
    telling->common.new_value = value.data;
    telling->common.new_length = value.len;
    if (actor) { /* it was Tarn */
        telling->common.actor = actor;
        telling->common.source = "compaction";
        telling->common.reason = iceberg_snapshot_summary(snapshot, CATALOG_S_REASON);
        telling->common.request_id = iceberg_snapshot_summary(snapshot, CATALOG_S_REQUEST);
    }
    journal_batch_add(telling->batch, &telling->common);
}

static bool is_logged(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    for (size_t i = metadata->snapshot_log_count; i-- > 0;)
        if (metadata->snapshot_log[i].snapshot_id == snapshot->id &&
            metadata->snapshot_log[i].timestamp_ms == snapshot->timestamp_ms)
            return true;
    return false;
}

/* What main came to when a snapshot was made: itself where the log has it with its own
 * time, or one that the same commit made on top of it. NULL: it was made on
 * another branch; who moves main there later does so at another time. */
static const struct iceberg_snapshot *mains(const struct iceberg_metadata *metadata,
                                            const struct iceberg_snapshot *snapshot)
{
    if (metadata->snapshot_log_count == 0 || snapshot->timestamp_ms < metadata->snapshot_log[0].timestamp_ms ||
        is_logged(metadata, snapshot))
        return snapshot; /* or nobody can say */
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *top = metadata->snapshots[i], *one = top;
        if (top->sequence_number <= snapshot->sequence_number || !is_logged(metadata, top))
            continue;
        do
            one = one->parent_id == ICEBERG_NONE ? NULL : iceberg_metadata_snapshot(metadata, one->parent_id);
        while (one && one != snapshot && !is_logged(metadata, one));
        if (one == snapshot)
            return top;
    }
    return NULL;
}

/* Whose token it was, as long as the pointer of the commit is there; else nothing is known. */
static void find_origin(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                        const struct iceberg_snapshot *snapshot, struct tn_arena *arena, struct iceberg_origin *ret)
{
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    *ret = (struct iceberg_origin){0};
    if (iceberg_snapshot_origin(&table, metadata, snapshot->id, arena, ret, NULL) != TN_OK)
        *ret = (struct iceberg_origin){0};
}

static enum tn_code tell_snapshot(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                  const struct iceberg_snapshot *before, const struct iceberg_snapshot *snapshot,
                                  struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(name);
    const char *engine = iceberg_snapshot_summary(snapshot, "engine-name");
    struct iceberg_origin origin;
    find_origin(lake, name, metadata, snapshot, arena, &origin);
    const struct iceberg_schema *schema = iceberg_metadata_schema_at(metadata, snapshot);
    /* One below another of the same commit was never seen alone: it has the time of that one. */
    const struct iceberg_snapshot *seen = mains(metadata, snapshot);
    struct iceberg_snapshot timed = *snapshot;
    timed.timestamp_ms = seen ? seen->timestamp_ms : snapshot->timestamp_ms;
    /* What it changed cannot be told any more where the one before it is gone. */
    bool lost = snapshot->parent_id != ICEBERG_NONE && !before;
    struct telling telling = {
        .batch = batch,
        .common = {.actor = origin.actor ? origin.actor
                            : engine     ? engine
                                         : "iceberg client",
                   .source = seen ? "iceberg client" : JOURNAL_BRANCH,
                   .request_id = origin.request_id},
        .rows = !lost && rows_touched(snapshot) <= FOREIGN_ROWS_MAX,
    };
    TN_TRY(cells_shape_init(&telling.shape, arena, schema, err));
    if (tn_streq(snapshot->operation, "replace")) {
        tell_rewrite(&telling, snapshot);
        return journal_add_foreign(lake->journal, batch, metadata, &timed, err);
    }
    if (!telling.rows) {
        tell_counts(&telling, snapshot);
        return journal_add_foreign(lake->journal, batch, metadata, &timed, err);
    }
    TN_AUTO_BUF sql = {0};
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *none = NULL; /* both are kept */
    const struct moment_state from = {.snapshot = before}, to = {.snapshot = snapshot};
    TN_TRY(changes_wide_sql(lake, name, metadata, &from, &to, schema, &sql, &none, err));
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(lake->engine, &select, arena, NULL, NULL, tell_one, &telling, err));
    if (telling.inserted + telling.updated + telling.deleted == 0)
        tell_counts(&telling, snapshot);
    return journal_add_foreign(lake->journal, batch, metadata, &timed, err);
}

/* Ours carry their batch, but for rewrites: they are told here too. */
static bool wants_telling(struct lake *lake, const struct iceberg_metadata *metadata,
                          const struct iceberg_snapshot *snapshot)
{
    return !iceberg_snapshot_summary(snapshot, JOURNAL_S_BATCH) &&
           !iceberg_snapshot_summary(snapshot, CATALOG_S_INGEST) && !journal_has(lake->journal, metadata, snapshot);
}

enum tn_code dataset_journal_foreign(struct lake *lake, const char *name, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (!lake->journal)
        return TN_OK;
    TN_TRY(catalog_load(lake->catalog, name, &metadata, err));
    int64_t looked = journal_looked_to(lake->journal, metadata->uuid);
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i], *before = NULL;
        if (snapshot->sequence_number <= looked || !wants_telling(lake, metadata, snapshot))
            continue;
        if (snapshot->parent_id != ICEBERG_NONE)
            before = iceberg_metadata_snapshot(metadata, snapshot->parent_id);
        TN_TRY(tell_snapshot(lake, name, metadata, before, snapshot, err));
    }
    journal_set_looked(lake->journal, metadata->uuid, metadata->last_sequence_number);
    return TN_OK;
}
