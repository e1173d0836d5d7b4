/* Commits of the Iceberg REST catalog.
 *
 * What is known not to be committed is answered by 4xx, never 5xx: after a 5xx
 * a client cannot know, and leaves its files behind. What is committed is
 * answered by 200 or 204, never an error: after a 400 a client deletes its
 * files, and would take the table's with them. */
#include "gateway/evidence.h"
#include "gateway/iceberg_rest.h"

/* Snapshots name the events that are not rolled yet. */
static enum tn_code settle(struct request *request, const struct iceberg_change *change, struct tn_error *err)
{
    const char *dataset = NULL;
    if (!evidence_forgets(change) || catalog_dataset_named(request->gateway->lake.catalog, change->space,
                                                           change->table, request->arena, &dataset, NULL) != TN_OK)
        return TN_OK;
    return evidence_settle(request, dataset, err);
}

static enum tn_code run(struct request *request, struct iceberg_change *changes, size_t count,
                        struct iceberg_metadata **ret, struct tn_error *err)
{
    struct catalog_change *list = TN_ARENA_ARRAY(request->arena, struct catalog_change, count);
    const struct iceberg_origin origin = rest_origin(request);
    for (size_t i = 0; i < count; i++) {
        list[i].id = (struct catalog_identifier){changes[i].space, changes[i].table};
        list[i].change = changes[i];
        TN_TRY(settle(request, &changes[i], err));
    }
    TN_TRY(catalog_commit(request->gateway->lake.catalog, list, count, &origin, ret, err));
    for (size_t i = 0; i < count; i++)
        evidence_changed(request, &changes[i], ret[i]);
    return TN_OK;
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
