/* Which moments must be replayed, and those that were: each a table of the
 * engine, made once, dropped when it was not asked for in a long time. */
#include "dataset/replay.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define REPLAYS_MAX 32
/* Longer than any query that may still read it. */
#define REPLAY_KEEP_NS (UINT64_C(600) * 1000000000)

struct replayed {
    char uuid[TN_UUID_TEXT];
    int64_t sequence;
    uint64_t number; /* of its table */
    char *sql;
    uint64_t used_ns;
};

struct dataset_replays {
    pthread_mutex_t mutex;
    struct replayed items[REPLAYS_MAX];
    size_t count;
    uint64_t last_number;
};

struct dataset_replays *dataset_replays_new(void)
{
    struct dataset_replays *replays = tn_calloc(1, sizeof *replays);
    pthread_mutex_init(&replays->mutex, NULL);
    return replays;
}

void dataset_replays_free(struct dataset_replays *replays)
{
    if (!replays)
        return;
    for (size_t i = 0; i < replays->count; i++)
        free(replays->items[i].sql);
    pthread_mutex_destroy(&replays->mutex);
    free(replays);
}

/* ---- which moment -------------------------------------------------------------- */

/* The newest kept snapshot with a sequence number of at most `sequence`. */
static const struct iceberg_snapshot *kept_at(const struct iceberg_metadata *metadata, int64_t sequence)
{
    const struct iceberg_snapshot *found = NULL;
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        if (metadata->snapshots[i]->sequence_number <= sequence &&
            (!found || metadata->snapshots[i]->sequence_number > found->sequence_number))
            found = metadata->snapshots[i];
    return found;
}

enum tn_code dataset_replay_find(struct lake *lake, const struct iceberg_metadata *metadata,
                                 const struct engine_table_ref *ref, const struct iceberg_snapshot **ret_from,
                                 int64_t *ret_sequence, struct tn_error *err)
{
    *ret_from = NULL;
    if (!lake->journal || !lake->replays || ref->at == ENGINE_AT_NOW)
        return TN_OK;
    int64_t sequence = 0;
    const struct iceberg_snapshot *from = NULL;
    if (ref->at == ENGINE_AT_TIMESTAMP) {
        from = iceberg_metadata_as_of(metadata, ref->at_timestamp_us / 1000);
        if (!from || !iceberg_metadata_thinned_after(metadata, from))
            return TN_OK;
    } else if (iceberg_metadata_snapshot(metadata, ref->at_version)) {
        return TN_OK;
    }
    enum tn_code code = journal_moment(lake->journal, metadata->uuid, ref->at_timestamp_us,
                                       ref->at == ENGINE_AT_VERSION ? ref->at_version : 0, &sequence, err);
    if (code == TN_ENOTFOUND) {
        if (err)
            *err = (struct tn_error){0};
        return TN_OK;
    }
    TN_TRY(code);
    from = kept_at(metadata, sequence);
    if (!from || from->sequence_number == sequence)
        return TN_OK;
    *ret_from = from;
    *ret_sequence = sequence;
    return TN_OK;
}

/* ---- remembered ------------------------------------------------------------------ */

static struct replayed *recall(struct dataset_replays *replays, const char *uuid, int64_t sequence)
{
    for (size_t i = 0; i < replays->count; i++)
        if (replays->items[i].sequence == sequence && tn_streq(replays->items[i].uuid, uuid))
            return &replays->items[i];
    return NULL;
}

static enum tn_code drop_table(struct lake *lake, uint64_t number, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "DROP TABLE IF EXISTS tarn_replay_%" PRIu64, number);
    return engine_run(lake->engine, sql.data, NULL, NULL, err);
}

/* A free place; TN_EBUSY when all are in use. */
static enum tn_code make_room(struct lake *lake, struct tn_error *err)
{
    struct dataset_replays *replays = lake->replays;
    if (replays->count < REPLAYS_MAX)
        return TN_OK;
    size_t oldest = 0;
    for (size_t i = 1; i < replays->count; i++)
        if (replays->items[i].used_ns < replays->items[oldest].used_ns)
            oldest = i;
    struct replayed *item = &replays->items[oldest];
    if (tn_mono_ns() - item->used_ns < REPLAY_KEEP_NS) {
        tn_fail(err, TN_EBUSY, "%d moments are being told from the journal already", REPLAYS_MAX);
        tn_error_hint(err, "try again in some minutes, or ask for moments that are kept as snapshots");
        return TN_EBUSY;
    }
    TN_TRY(drop_table(lake, item->number, err));
    free(item->sql);
    *item = replays->items[--replays->count];
    return TN_OK;
}

static enum tn_code replay_locked(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                  const struct iceberg_snapshot *from, int64_t to_sequence, struct tn_arena *arena,
                                  const char **ret, struct tn_error *err)
{
    struct dataset_replays *replays = lake->replays;
    struct replayed *known = recall(replays, metadata->uuid, to_sequence);
    if (!known) {
        TN_AUTO_BUF sql = {0};
        char table[48];
        TN_TRY(make_room(lake, err));
        uint64_t number = ++replays->last_number;
        snprintf(table, sizeof table, "tarn_replay_%" PRIu64, number);
        enum tn_code code = replay_build(lake, name, metadata, from, to_sequence, table, &sql, err);
        if (code != TN_OK) {
            (void)drop_table(lake, number, NULL);
            return code;
        }
        known = &replays->items[replays->count++];
        *known = (struct replayed){.sequence = to_sequence, .number = number, .sql = tn_buf_take(&sql)};
        snprintf(known->uuid, sizeof known->uuid, "%s", metadata->uuid);
    }
    known->used_ns = tn_mono_ns();
    *ret = tn_arena_strdup(arena, known->sql);
    return TN_OK;
}

enum tn_code dataset_replay_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                const struct iceberg_snapshot *from, int64_t to_sequence, struct tn_arena *arena,
                                const char **ret, struct tn_error *err)
{
    pthread_mutex_lock(&lake->replays->mutex);
    enum tn_code code = replay_locked(lake, name, metadata, from, to_sequence, arena, ret, err);
    pthread_mutex_unlock(&lake->replays->mutex);
    return code;
}
