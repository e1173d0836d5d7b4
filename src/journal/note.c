/* Events of what is no commit of rows: a dataset is dropped, described, renamed.
 *
 * They lie beside foreign commits' batches and are rolled with them. A number
 * below zero, which no snapshot has, stands for the snapshot and makes the key
 * unique; whoever reads the journal is shown none.
 */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <string.h>

#define NO_TABLE "00000000-0000-0000-0000-000000000000"
#define TRIES    16

static int64_t new_number(void)
{
    char uuid[TN_UUID_TEXT];
    return -(int64_t)(tn_hash64(tn_uuid7(uuid), TN_UUID_TEXT - 1, 0) >> 2) - 1;
}

static enum tn_code put_note(struct journal *journal, struct journal_batch *batch, struct tail_batch *entry,
                             struct tn_error *err)
{
    TN_AUTO_BUF object = {0};
    entry->snapshot_id = new_number();
    TN_TRY(journal_batch_encode(batch, entry->uuid, entry->snapshot_id, entry->sequence, tn_now_us(), &object, err));
    TN_AUTO_FREE char *key = tn_asprintf(JOURNAL_FOREIGN "%s/%" PRId64 "-%" PRId64 ".parquet", entry->uuid,
                                         entry->sequence, entry->snapshot_id);
    TN_TRY(store_create(journal->store, key, object.data, object.len, err));
    entry->key = TN_TAKE(key);
    return TN_OK;
}

enum tn_code journal_note(struct journal *journal, const char *dataset, const char *table_uuid, int64_t sequence,
                          const struct journal_event *events, size_t count, struct tn_error *err)
{
    if (!journal || count == 0)
        return TN_OK;
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(dataset);
    struct tail_batch entry = {.sequence = sequence, .events = count};
    enum tn_code code = TN_EEXISTS;
    snprintf(entry.uuid, sizeof entry.uuid, "%s", table_uuid ? table_uuid : NO_TABLE);
    for (size_t i = 0; i < count; i++)
        journal_batch_add(batch, &events[i]);
    for (int left = TRIES; code == TN_EEXISTS && left > 0; left--)
        code = put_note(journal, batch, &entry, err);
    TN_TRY(code);
    journal_tail_add(journal, &entry);
    return TN_OK;
}
