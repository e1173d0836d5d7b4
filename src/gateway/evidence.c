/* The journal of what is no commit of rows. */
#include "gateway/evidence.h"

#include <inttypes.h>

#define FIELDS_MAX  16
#define UPDATES_MAX ((size_t)16 << 10) /* of JSON in one event; more is told by its actions alone */

struct said {
    const char *field;
    struct tn_buf old_value, new_value;
};

static void put(struct tn_buf *out, const json_t *value)
{
    if (value)
        tn_json_dump(value, out);
}

static void fill_events(struct request *request, const char *operation, const char *source, const struct said *said,
                        size_t count, const char *reason, struct journal_event *events)
{
    for (size_t i = 0; i < count; i++)
        events[i] = (struct journal_event){
            .operation = operation,
            .field = said[i].field,
            .old_value = said[i].old_value.data,
            .old_length = said[i].old_value.len,
            .new_value = said[i].new_value.data,
            .new_length = said[i].new_value.len,
            .actor = request->actor.name,
            .source = source,
            .reason = reason,
            .request_id = request->id,
        };
}

/* intent: NULL for what was not announced. */
static void write_events(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                         const char *operation, const char *source, const struct said *said, size_t count,
                         const char *reason, const struct journal_intent *intent)
{
    struct journal_event events[FIELDS_MAX];
    struct tn_error error = {0};
    struct journal *journal = request->gateway->lake.journal;
    fill_events(request, operation, source, said, count, reason, events);
    enum tn_code code = intent ? journal_note_intended(journal, dataset, intent, events, count, &error)
                               : journal_note(journal, dataset, metadata ? metadata->uuid : NULL,
                                              metadata ? metadata->last_sequence_number : 0, events, count, &error);
    if (code != TN_OK)
        TN_LOG(TN_LOG_ERROR, "journal.note_lost", TN_FS("dataset", dataset), TN_FS("operation", operation),
               TN_FS("error", error.detail));
}

static void note_one(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                     const char *operation, const char *source, const json_t *old_value, const json_t *new_value,
                     const char *reason, const struct journal_intent *intent)
{
    struct said said = {0};
    put(&said.old_value, old_value);
    put(&said.new_value, new_value);
    write_events(request, dataset, metadata, operation, source, &said, 1, reason, intent);
    tn_buf_release(&said.old_value);
    tn_buf_release(&said.new_value);
}

void evidence_note(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                   const char *operation, const json_t *old_value, const json_t *new_value, const char *reason)
{
    note_one(request, dataset, metadata, operation, request_source(request), old_value, new_value, reason, NULL);
}

/* ---- notes of people ------------------------------------------------------------ */

/* What a patch says, by field: of those that it changes, or, without `after`, of
 * all that it names, as they are now. */
static size_t describe_fields(const json_t *patch, const struct iceberg_metadata *before,
                              const struct iceberg_metadata *after, struct said said[FIELDS_MAX])
{
    size_t count = 0;
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, member, value)
    {
        if (count == FIELDS_MAX)
            break;
        struct said *one = &said[count];
        one->field = member;
        journal_put_described(&one->old_value, before, member);
        if (after)
            journal_put_described(&one->new_value, after, member);
        if (!after || !tn_streq(one->old_value.data, one->new_value.data)) {
            count++;
            continue;
        }
        tn_buf_release(&one->old_value);
        tn_buf_release(&one->new_value);
    }
    return count;
}

static void release_fields(struct said *said, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tn_buf_release(&said[i].old_value);
        tn_buf_release(&said[i].new_value);
    }
}

void evidence_describe(struct request *request, const char *dataset, const struct iceberg_metadata *before,
                       const struct iceberg_metadata *after, const json_t *patch, const char *reason,
                       const struct journal_intent *intent)
{
    struct said said[FIELDS_MAX] = {0};
    size_t count = describe_fields(patch, before, after, said);
    write_events(request, dataset, after, "describe", request_source(request), said, count, reason, intent);
    release_fields(said, count);
}

/* ---- what is about to be done ------------------------------------------------------ */

static enum tn_code intend(struct request *request, const char *dataset, const struct iceberg_metadata *now,
                           const char *operation, const struct said *said, size_t count, const char *reason,
                           struct journal_intent *ret, struct tn_error *err)
{
    struct journal_event events[FIELDS_MAX];
    fill_events(request, operation, request_source(request), said, count, reason, events);
    return journal_intend(request->gateway->lake.journal, dataset, now->uuid, now->last_sequence_number, events,
                          count, ret, err);
}

enum tn_code evidence_intend_drop(struct request *request, const char *dataset, const struct iceberg_metadata *now,
                                  const char *reason, struct journal_intent *ret, struct tn_error *err)
{
    const struct said said = {0};
    return intend(request, dataset, now, "drop", &said, 1, reason, ret, err);
}

enum tn_code evidence_intend_rename(struct request *request, const char *dataset, const struct iceberg_metadata *now,
                                    const json_t *old_name, const json_t *new_name, struct journal_intent *ret,
                                    struct tn_error *err)
{
    struct said said = {0};
    put(&said.old_value, old_name);
    put(&said.new_value, new_name);
    enum tn_code code = intend(request, dataset, now, "rename", &said, 1, NULL, ret, err);
    tn_buf_release(&said.old_value);
    tn_buf_release(&said.new_value);
    return code;
}

enum tn_code evidence_intend_describe(struct request *request, const char *dataset,
                                      const struct iceberg_metadata *now, const json_t *patch, const char *reason,
                                      struct journal_intent *ret, struct tn_error *err)
{
    struct said said[FIELDS_MAX] = {0};
    size_t count = describe_fields(patch, now, NULL, said);
    enum tn_code code = intend(request, dataset, now, "describe", said, count, reason, ret, err);
    release_fields(said, count);
    return code;
}

void evidence_renamed(struct request *request, const char *dataset, const struct journal_intent *intent,
                      const json_t *old_name, const json_t *new_name)
{
    note_one(request, dataset, NULL, "rename", request_source(request), old_name, new_name, NULL, intent);
}

void evidence_dropped(struct request *request, const char *dataset, const struct journal_intent *intent,
                      const char *reason)
{
    note_one(request, dataset, NULL, "drop", request_source(request), NULL, NULL, reason, intent);
}

void evidence_take_back(struct request *request, const char *dataset, const struct journal_intent *intent,
                        enum tn_code why)
{
    struct tn_error error = {0};
    if (why == TN_EIO) /* it may have been done: who opens the lake next sees */
        return;
    if (journal_note_intended(request->gateway->lake.journal, dataset, intent, NULL, 0, &error) != TN_OK)
        TN_LOG(TN_LOG_WARN, "journal.intent_stays", TN_FS("dataset", dataset), TN_FS("error", error.detail));
}

enum tn_code evidence_settle(struct request *request, const char *dataset, struct tn_error *err)
{
    struct lake *lake = &request->gateway->lake;
    struct tn_error unread = {0};
    if (!lake->journal)
        return TN_OK;
    /* A table that we cannot read can be dropped all the same. */
    if (dataset_journal_foreign(lake, dataset, &unread) != TN_OK)
        TN_LOG(TN_LOG_WARN, "journal.not_told", TN_FS("dataset", dataset), TN_FS("error", unread.detail));
    ICEBERG_AUTO_METADATA *now = NULL;
    if (catalog_load(lake->catalog, dataset, &now, &unread) == TN_OK)
        TN_TRY(journal_note_moves(lake->journal, dataset, now, NULL, err));
    return journal_roll(lake->journal, true, err);
}

/* ---- what other engines change ----------------------------------------------------- */

static json_t *updates_of(const struct iceberg_change *change)
{
    json_t *updates = NULL;
    if (!change->updates || tn_json_parse(change->updates, change->updates_length, change->updates_length, "updates",
                                          &updates, NULL) != TN_OK)
        return json_array();
    return updates;
}

static bool is_action(const json_t *update, const char *action)
{
    const char *text = json_string_value(json_object_get(update, "action"));
    return text && tn_streq(text, action);
}

static bool has_action(const json_t *updates, const char *action)
{
    size_t i;
    const json_t *update;
    json_array_foreach(updates, i, update)
    {
        if (is_action(update, action))
            return true;
    }
    return false;
}

bool evidence_forgets(const struct iceberg_change *change)
{
    TN_AUTO_JSON *updates = updates_of(change);
    return has_action(updates, "remove-snapshots");
}

static bool moves_main(const json_t *update)
{
    const char *name = json_string_value(json_object_get(update, "ref-name"));
    return is_action(update, "set-snapshot-ref") && name && tn_streq(name, "main");
}

struct journal_mover *evidence_moving(struct request *request, const struct iceberg_change *change)
{
    TN_AUTO_JSON *updates = updates_of(change);
    const char *dataset = NULL;
    struct journal_mover *mover = NULL;
    size_t i;
    const json_t *update;
    if (catalog_dataset_named(request->gateway->lake.catalog, change->space, change->table, request->arena, &dataset,
                              NULL) != TN_OK)
        return NULL;
    json_array_foreach(updates, i, update)
    {
        if (!moves_main(update))
            continue;
        mover = mover ? mover : TN_ARENA_ARRAY(request->arena, struct journal_mover, 1);
        mover->dataset = dataset;
        mover->snapshot_id = json_integer_value(json_object_get(update, "snapshot-id"));
        mover->by = (struct journal_event){.actor = request->actor.name, .request_id = request->id};
    }
    if (mover)
        journal_moving(request->gateway->lake.journal, mover);
    return mover;
}

void evidence_moved(struct request *request, const struct journal_mover *mover)
{
    if (mover)
        journal_moved(request->gateway->lake.journal, mover);
}

/* Another state became the current one, if it did. */
static void note_rollback(struct request *request, const char *dataset, const struct iceberg_metadata *after)
{
    struct tn_error error = {0};
    const struct journal_event by = {.actor = request->actor.name, .request_id = request->id};
    if (journal_note_moves(request->gateway->lake.journal, dataset, after, &by, &error) != TN_OK)
        TN_LOG(TN_LOG_ERROR, "journal.note_lost", TN_FS("dataset", dataset), TN_FS("operation", "rollback"),
               TN_FS("error", error.detail));
}

/* Commits of rows have their events already. */
static json_t *keep_told(const json_t *updates, bool adds_rows)
{
    json_t *kept = json_array();
    size_t i;
    json_t *update;
    json_array_foreach(updates, i, update)
    {
        if (!is_action(update, "add-snapshot") && !moves_main(update) &&
            !(adds_rows && is_action(update, "remove-snapshot-ref")))
            json_array_append(kept, update);
    }
    TN_AUTO_BUF text = {0};
    tn_json_dump(kept, &text);
    if (text.len > UPDATES_MAX) {
        json_array_foreach(kept, i, update)
        {
            const json_t *action = json_object_get(update, "action");
            json_array_set_new(kept, i, json_pack("{s:O}", "action", action));
        }
    }
    return kept;
}

void evidence_changed(struct request *request, const struct iceberg_change *change,
                      const struct iceberg_metadata *after)
{
    TN_AUTO_JSON *updates = updates_of(change);
    const char *dataset = NULL;
    if (catalog_dataset_named(request->gateway->lake.catalog, change->space, change->table, request->arena, &dataset,
                              NULL) != TN_OK)
        return;
    bool adds_rows = has_action(updates, "add-snapshot"), moves = false;
    TN_AUTO_JSON *kept = keep_told(updates, adds_rows);
    size_t i;
    const json_t *update;
    json_array_foreach(updates, i, update)
    {
        moves |= moves_main(update);
    }
    if (iceberg_change_creates(change))
        note_one(request, dataset, after, "create", "iceberg client", NULL, kept, NULL, NULL);
    else if (json_array_size(kept) > 0)
        note_one(request, dataset, after, "alter", "iceberg client", NULL, kept, NULL, NULL);
    if (moves && after->current)
        note_rollback(request, dataset, after);
}
