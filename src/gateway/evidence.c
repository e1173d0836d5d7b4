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

static void write_events(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                         const char *operation, const char *source, const struct said *said, size_t count,
                         const char *reason)
{
    struct journal_event events[FIELDS_MAX];
    struct tn_error error = {0};
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
    if (journal_note(request->gateway->lake.journal, dataset, metadata ? metadata->uuid : NULL,
                     metadata ? metadata->last_sequence_number : 0, events, count, &error) != TN_OK)
        TN_LOG(TN_LOG_ERROR, "journal.note_lost", TN_FS("dataset", dataset), TN_FS("operation", operation),
               TN_FS("error", error.detail));
}

static void note_one(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                     const char *operation, const char *source, const json_t *old_value, const json_t *new_value,
                     const char *reason)
{
    struct said said = {0};
    put(&said.old_value, old_value);
    put(&said.new_value, new_value);
    write_events(request, dataset, metadata, operation, source, &said, 1, reason);
    tn_buf_release(&said.old_value);
    tn_buf_release(&said.new_value);
}

void evidence_note(struct request *request, const char *dataset, const struct iceberg_metadata *metadata,
                   const char *operation, const json_t *old_value, const json_t *new_value, const char *reason)
{
    note_one(request, dataset, metadata, operation, "api", old_value, new_value, reason);
}

/* ---- notes of people ------------------------------------------------------------ */

static void put_property(struct tn_buf *out, const struct iceberg_metadata *metadata, const char *member)
{
    TN_AUTO_FREE char *key = tn_asprintf("tarn.%s", member);
    const char *text = iceberg_metadata_property(metadata, key);
    bool json = tn_streq(key, CATALOG_P_TAGS) || tn_streq(key, CATALOG_P_COLUMNS);
    if (!text)
        tn_buf_puts(out, "null");
    else if (json)
        tn_buf_puts(out, text);
    else
        tn_json_quote(out, text, strlen(text));
}

void evidence_describe(struct request *request, const char *dataset, const struct iceberg_metadata *before,
                       const struct iceberg_metadata *after, const json_t *patch, const char *reason)
{
    struct said said[FIELDS_MAX] = {0};
    size_t count = 0;
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, member, value)
    {
        if (count == FIELDS_MAX)
            break;
        struct said *one = &said[count];
        one->field = member;
        put_property(&one->old_value, before, member);
        put_property(&one->new_value, after, member);
        if (!tn_streq(one->old_value.data, one->new_value.data)) {
            count++;
            continue;
        }
        tn_buf_release(&one->old_value);
        tn_buf_release(&one->new_value);
    }
    if (count > 0)
        write_events(request, dataset, after, "describe", "api", said, count, reason);
    for (size_t i = 0; i < count; i++) {
        tn_buf_release(&said[i].old_value);
        tn_buf_release(&said[i].new_value);
    }
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

/* An older state became the current one. */
static void note_rollback(struct request *request, const char *dataset, const struct iceberg_metadata *after)
{
    TN_AUTO_JSON *value = json_object();
    json_object_set_new(value, "snapshot_id", json_integer(after->current->id));
    json_object_set_new(value, "sequence", json_integer(after->current->sequence_number));
    note_one(request, dataset, after, "rollback", "iceberg client", NULL, value, NULL);
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
        note_one(request, dataset, after, "create", "iceberg client", NULL, kept, NULL);
    else if (json_array_size(kept) > 0)
        note_one(request, dataset, after, "alter", "iceberg client", NULL, kept, NULL);
    if (moves && !adds_rows && after->current)
        note_rollback(request, dataset, after);
}
