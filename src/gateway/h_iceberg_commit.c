/* Commits of the Iceberg REST catalog.
 *
 * What is known not to be committed is answered by 4xx, never 5xx: after a 5xx
 * a client cannot know, and leaves its files behind. What is committed is
 * answered by 200 or 204, never an error: after a 400 a client deletes its
 * files, and would take the table's with them. */
#include "gateway/evidence.h"
#include "gateway/iceberg_rest.h"

static void add_ids(const json_t *updates, int64_t *ids, size_t *count)
{
    size_t i, k;
    const json_t *update, *id;
    json_array_foreach(updates, i, update)
    {
        json_array_foreach(json_object_get(update, "snapshot-ids"), k, id)
        {
            if (ids)
                ids[*count] = json_integer_value(id);
            (*count)++;
        }
    }
}

/* What is expired leaves a mark in the same commit, where moments between others could not be told without it. */
static void cut(struct request *request, const char *dataset, struct iceberg_change *change)
{
    TN_AUTO_JSON *updates = NULL;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_AUTO_BUF text = {0};
    size_t count = 0, filled = 0;
    struct lake *lake = &request->gateway->lake;
    if (tn_json_parse(change->updates, change->updates_length, change->updates_length, "updates", &updates, NULL) !=
            TN_OK ||
        catalog_load(lake->catalog, dataset, &metadata, NULL) != TN_OK)
        return; /* the commit says why, or we do not read such a table */
    add_ids(updates, NULL, &count);
    int64_t *ids = TN_ARENA_ARRAY(request->arena, int64_t, count + 1);
    add_ids(updates, ids, &filled);
    const char *cuts = dataset_cuts(lake, metadata, ids, count, request->arena);
    if (!cuts)
        return;
    json_array_append_new(updates,
                          json_pack("{s:s, s:{s:s}}", "action", "set-properties", "updates", DATASET_P_CUTS, cuts));
    tn_json_dump(updates, &text);
    change->updates = tn_arena_strndup(request->arena, text.data, text.len);
    change->updates_length = text.len;
}

/* Snapshots name the events that are not rolled yet. */
static enum tn_code settle(struct request *request, struct iceberg_change *change, struct tn_error *err)
{
    const char *dataset = NULL;
    if (!evidence_forgets(change) || catalog_dataset_named(request->gateway->lake.catalog, change->space,
                                                           change->table, request->arena, &dataset, NULL) != TN_OK)
        return TN_OK;
    TN_TRY(evidence_settle(request, dataset, err));
    cut(request, dataset, change);
    return TN_OK;
}

static enum tn_code run(struct request *request, struct iceberg_change *changes, size_t count,
                        struct iceberg_metadata **ret, struct tn_error *err)
{
    struct catalog_change *list = TN_ARENA_ARRAY(request->arena, struct catalog_change, count);
    struct journal_mover **movers = TN_ARENA_ARRAY(request->arena, struct journal_mover *, count);
    const struct iceberg_origin origin = rest_origin(request);
    for (size_t i = 0; i < count; i++) {
        list[i].id = (struct catalog_identifier){changes[i].space, changes[i].table};
        list[i].change = changes[i];
        TN_TRY(settle(request, &list[i].change, err));
    }
    for (size_t i = 0; i < count; i++)
        movers[i] = evidence_moving(request, &changes[i]);
    enum tn_code code = catalog_commit(request->gateway->lake.catalog, list, count, &origin, ret, err);
    for (size_t i = 0; i < count; i++) {
        if (code == TN_OK)
            evidence_changed(request, &changes[i], ret[i]);
        evidence_moved(request, movers[i]);
    }
    return code;
}

enum tn_code h_iceberg_commit(struct request *request, struct tn_error *err)
{
    struct iceberg_change *change = NULL;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    size_t count = 0;
    TN_TRY(iceberg_changes_read(request->arena, request->body.data ? request->body.data : "", request->body.len,
                                false, &change, &count, err));
    /* The path says which table; an identifier in the body may say the same. */
    change->space = request->match.captures[0];
    change->table = request->match.captures[1];
    TN_TRY(run(request, change, 1, &metadata, err));
    return rest_reply_table(request, metadata, false, false, err);
}

enum tn_code h_iceberg_transaction(struct request *request, struct tn_error *err)
{
    struct iceberg_change *changes = NULL;
    size_t count = 0;
    TN_TRY(iceberg_changes_read(request->arena, request->body.data ? request->body.data : "", request->body.len, true,
                                &changes, &count, err));
    struct iceberg_metadata **versions = TN_ARENA_ARRAY(request->arena, struct iceberg_metadata *, count);
    TN_TRY(run(request, changes, count, versions, err));
    for (size_t i = 0; i < count; i++)
        iceberg_metadata_unref(versions[i]);
    reply_status(request, 204, NULL);
    return TN_OK;
}
