/* The table of rolled events: an Iceberg table beside the datasets. */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int64_t journal_mark(struct journal *journal, const char *uuid)
{
    int64_t sequence = 0;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->mark_count; i++)
        if (tn_streq(journal->marks[i].uuid, uuid))
            sequence = journal->marks[i].sequence;
    pthread_mutex_unlock(&journal->mutex);
    return sequence;
}

static void read_marks(struct journal *journal)
{
    size_t prefix = strlen(JOURNAL_P_ROLLED);
    journal->mark_count = 0;
    for (size_t i = 0; i < journal->events->property_count; i++) {
        const struct iceberg_pair *pair = &journal->events->properties[i];
        if (strncmp(pair->key, JOURNAL_P_ROLLED, prefix) != 0)
            continue;
        TN_GROW(journal->marks, journal->mark_count, journal->mark_capacity);
        struct rolled_mark *mark = &journal->marks[journal->mark_count++];
        snprintf(mark->uuid, sizeof mark->uuid, "%s", pair->key + prefix);
        mark->sequence = strtoll(pair->value, NULL, 10);
    }
}

void journal_set_events(struct journal *journal, struct iceberg_metadata *metadata)
{
    pthread_mutex_lock(&journal->mutex);
    iceberg_metadata_unref(journal->events);
    journal->events = metadata;
    read_marks(journal);
    pthread_mutex_unlock(&journal->mutex);
}

enum tn_code journal_plan(struct journal *journal, struct iceberg_plan **ret, struct tn_error *err)
{
    return iceberg_plan_new(&journal->table, journal->events, NULL, NULL, 0, ret, err);
}

enum tn_code journal_put_files(struct journal *journal, const struct iceberg_plan *plan, struct tn_buf *out,
                               struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    tn_buf_putc(out, '[');
    for (size_t i = 0; i < plan->file_count; i++) {
        char *path;
        TN_TRY(store_needed_path(journal->store, arena, plan->files[i].key, &path, err));
        tn_buf_puts(out, i ? ", " : "");
        tn_buf_put_sql_string(out, path);
    }
    tn_buf_putc(out, ']');
    return TN_OK;
}

static bool any_row(void *context, size_t count, const char *const *values)
{
    (void)count, (void)values;
    *(bool *)context = true;
    return false;
}

enum tn_code journal_events_tell(struct journal *journal, const char *uuid, int64_t snapshot_id, bool *ret,
                                 struct tn_error *err)
{
    *ret = false;
    if (!journal->events)
        return TN_OK;
    ICEBERG_AUTO_PLAN *plan = NULL;
    TN_AUTO_BUF sql = {0};
    TN_TRY(journal_plan(journal, &plan, err));
    if (plan->file_count == 0)
        return TN_OK;
    tn_buf_puts(&sql, "SELECT 1 FROM read_parquet(");
    TN_TRY(journal_put_files(journal, plan, &sql, err));
    tn_buf_printf(&sql, ") WHERE snapshot_id = %" PRId64 " AND table_uuid = ", snapshot_id);
    tn_buf_put_sql_string(&sql, uuid);
    tn_buf_puts(&sql, " LIMIT 1");
    return engine_run(journal->engine, sql.data, any_row, ret, err);
}
