/* Which snapshots may be thinned: those whose moments can still be told exactly
 * from what stays.
 *
 * A moment is told from the newest kept snapshot before it and the events of
 * every commit in between. So those commits must follow from each other (nobody
 * went back to an older state there, no branch lies between), must all have
 * their events, and the schema must be the one of the snapshot that stays.
 */
#include "dataset/moment.h"
#include "journal/journal.h"

/* The nearest neighbours in the order of commits; NULL at the ends. */
static void neighbours(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot,
                       const struct iceberg_snapshot **ret_before, const struct iceberg_snapshot **ret_after)
{
    *ret_before = *ret_after = NULL;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *other = metadata->snapshots[i];
        if (other->sequence_number < snapshot->sequence_number &&
            (!*ret_before || other->sequence_number > (*ret_before)->sequence_number))
            *ret_before = other;
        if (other->sequence_number > snapshot->sequence_number &&
            (!*ret_after || other->sequence_number < (*ret_after)->sequence_number))
            *ret_after = other;
    }
}

/* Where one of them was forgotten already, it followed: else it had stayed. */
static bool follows(const struct iceberg_snapshot *before, const struct iceberg_snapshot *after)
{
    return after->sequence_number != before->sequence_number + 1 || after->parent_id == before->id;
}

/* The journal's text of a value inside of a nested column does not say that it
 * was bytes. */
static bool has_nested_bytes(const struct iceberg_type *type)
{
    for (size_t i = 0; i < type->field_count; i++) {
        enum iceberg_kind kind = type->fields[i].type->kind;
        if (kind == ICEBERG_BINARY || kind == ICEBERG_FIXED || has_nested_bytes(type->fields[i].type))
            return true;
    }
    return false;
}

static bool is_told_exactly(const struct iceberg_schema *schema)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (has_nested_bytes(schema->fields[i].type))
            return false;
    return true;
}

/* Events that are a part of the commit must be rolled: the snapshot names them.
 * Those of rewrites came after it, as objects of their own. */
static bool is_told(struct journal *journal, const struct iceberg_metadata *metadata,
                    const struct iceberg_snapshot *snapshot)
{
    const char *rows = iceberg_snapshot_summary(snapshot, JOURNAL_S_ROWS);
    if (rows && tn_streq(rows, "1"))
        return snapshot->sequence_number <= journal_rolled_to(journal, metadata->uuid);
    return tn_streq(snapshot->operation, "replace") &&
           snapshot->sequence_number <= journal_looked_to(journal, metadata->uuid);
}

bool moment_may_forget(struct journal *journal, const struct iceberg_metadata *metadata,
                       const struct iceberg_snapshot *snapshot)
{
    const struct iceberg_snapshot *before, *after;
    if (!journal || !is_told(journal, metadata, snapshot))
        return false;
    neighbours(metadata, snapshot, &before, &after);
    return before && after && follows(before, snapshot) && follows(snapshot, after) &&
           before->schema_id == snapshot->schema_id &&
           is_told_exactly(iceberg_metadata_schema_at(metadata, snapshot));
}
