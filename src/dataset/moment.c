/* Which state a moment means. */
#include "dataset/moment.h"

#include "journal/journal.h"

#include <inttypes.h>

bool moment_parse(const char *text, struct moment *ret)
{
    int64_t number;
    if (tn_parse_i64(text, &number)) {
        *ret = (struct moment){.kind = number == 0 ? MOMENT_START : MOMENT_VERSION, .snapshot_id = number};
        return true;
    }
    if (!tn_time_parse(text, &number))
        return false;
    *ret = (struct moment){.kind = MOMENT_TIME, .time_us = number};
    return true;
}

struct moment moment_of(const struct engine_table_ref *ref)
{
    switch (ref->at) {
    case ENGINE_AT_VERSION:
        return (struct moment){.kind = MOMENT_VERSION, .snapshot_id = ref->at_version};
    case ENGINE_AT_TIMESTAMP:
        return (struct moment){.kind = MOMENT_TIME, .time_us = ref->at_timestamp_us};
    case ENGINE_AT_NOW:
        break;
    }
    return (struct moment){.kind = MOMENT_NOW};
}

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

/* The oldest one that is kept with a greater sequence number. */
static const struct iceberg_snapshot *kept_after(const struct iceberg_metadata *metadata, int64_t sequence)
{
    const struct iceberg_snapshot *found = NULL;
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        if (metadata->snapshots[i]->sequence_number > sequence &&
            (!found || metadata->snapshots[i]->sequence_number < found->sequence_number))
            found = metadata->snapshots[i];
    return found;
}

/* `before`: the newest kept state before the moment; NULL: there is none. */
static enum tn_code not_kept(const char *name, const struct iceberg_metadata *metadata, int64_t sequence,
                             const struct iceberg_snapshot *before, struct tn_error *err)
{
    char time[TN_TIME_TEXT], older[TN_TIME_TEXT];
    const struct iceberg_snapshot *after = kept_after(metadata, sequence);
    tn_fail(err, TN_ESNAPSHOT, "that moment of dataset \"%s\" is not kept any more: its snapshots were expired",
            name);
    if (before && after)
        tn_error_hint(err,
                      "the states next to it that are there are those of %s and %s; the journal still tells what "
                      "happened between",
                      tn_time_format(before->timestamp_ms * 1000, older),
                      tn_time_format(after->timestamp_ms * 1000, time));
    else if (after)
        tn_error_hint(err,
                      "the oldest state that is there is that of %s; the journal still tells what happened before",
                      tn_time_format(after->timestamp_ms * 1000, time));
    return TN_ESNAPSHOT;
}

/* What the journal says, TN_ENOTFOUND without leaving an error. */
static enum tn_code ask_journal(struct lake *lake, const struct iceberg_metadata *metadata,
                                const struct moment *moment, struct journal_place *ret, struct tn_error *err)
{
    struct tn_error mine = {0};
    if (!lake->journal)
        return TN_ENOTFOUND;
    enum tn_code code = journal_moment(lake->journal, metadata->uuid, moment->time_us,
                                       moment->kind == MOMENT_VERSION ? moment->snapshot_id : 0, ret, &mine);
    if (code != TN_OK && code != TN_ENOTFOUND && err)
        *err = mine;
    return code;
}

/* The state right after the commit with that sequence number. */
static enum tn_code state_at(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                             int64_t sequence, struct moment_state *ret, struct tn_error *err)
{
    const struct iceberg_snapshot *from = kept_at(metadata, sequence);
    TN_CLEANUP(moment_order_release) struct moment_order order;
    moment_order_init(&order, metadata);
    if (!from || !lake->replays || moment_is_cut(&order, from->sequence_number, sequence))
        return not_kept(name, metadata, sequence, from, err);
    *ret = (struct moment_state){from, from->sequence_number == sequence ? 0 : sequence};
    return TN_OK;
}

static enum tn_code find_version(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                 const struct moment *moment, struct moment_state *ret, struct tn_error *err)
{
    struct journal_place place = {0};
    const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, moment->snapshot_id);
    if (snapshot) {
        *ret = (struct moment_state){.snapshot = snapshot};
        return TN_OK;
    }
    enum tn_code code = ask_journal(lake, metadata, moment, &place, err);
    if (code != TN_ENOTFOUND)
        return code == TN_OK ? state_at(lake, name, metadata, place.sequence, ret, err) : code;
    tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" has no snapshot %" PRId64, name, moment->snapshot_id);
    tn_error_hint(err, "`tarn snapshots %s` lists its versions", name);
    return TN_ESNAPSHOT;
}

/* The log of what was current when is complete from its first entry on: what is
 * forgotten takes everything before it out of the log. */
static const struct iceberg_snapshot *logged_at(const struct iceberg_metadata *metadata, int64_t time_ms)
{
    for (size_t i = metadata->snapshot_log_count; i-- > 0;)
        if (metadata->snapshot_log[i].timestamp_ms <= time_ms)
            return iceberg_metadata_snapshot(metadata, metadata->snapshot_log[i].snapshot_id);
    return NULL;
}

static bool has_forgotten_first(const struct iceberg_metadata *metadata)
{
    const struct iceberg_snapshot *oldest = metadata->snapshot_count ? metadata->snapshots[0] : NULL;
    return oldest && oldest->parent_id != ICEBERG_NONE;
}

/* Whether the journal has no word of a kept snapshot: it was made before there was a journal. */
static enum tn_code is_untold(struct lake *lake, const struct iceberg_metadata *metadata,
                              const struct iceberg_snapshot *snapshot, bool *ret, struct tn_error *err)
{
    struct journal_place place = {0};
    const struct moment moment = {.kind = MOMENT_VERSION, .snapshot_id = snapshot->id};
    enum tn_code code = ask_journal(lake, metadata, &moment, &place, err);
    *ret = code == TN_ENOTFOUND;
    return code == TN_ENOTFOUND ? TN_OK : code;
}

/* The table's log tells; for what it has no more, the journal does. */
static enum tn_code find_time(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                              const struct moment *moment, struct moment_state *ret, struct tn_error *err)
{
    struct journal_place place = {0};
    int64_t time_ms = moment->time_us / 1000;
    bool untold = true;
    *ret = (struct moment_state){.snapshot = logged_at(metadata, time_ms)};
    if (ret->snapshot)
        return TN_OK;
    const struct iceberg_snapshot *kept = iceberg_metadata_as_of(metadata, time_ms);
    ret->snapshot = kept;
    if (!kept && !has_forgotten_first(metadata))
        return TN_OK; /* before the first commit of all */
    enum tn_code code = ask_journal(lake, metadata, moment, &place, err);
    if (code == TN_ENOTFOUND)
        return TN_OK; /* nothing that was forgotten had happened by then */
    TN_TRY(code);
    if (!place.back && kept && place.sequence < kept->sequence_number)
        TN_TRY(is_untold(lake, metadata, kept, &untold, err));
    if (!place.back && kept && place.sequence <= kept->sequence_number && untold)
        return TN_OK; /* what came after the journal's newest word is kept */
    return state_at(lake, name, metadata, place.sequence, ret, err);
}

enum tn_code moment_find(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                         const struct moment *moment, struct moment_state *ret, struct tn_error *err)
{
    switch (moment->kind) {
    case MOMENT_NOW:
        *ret = (struct moment_state){.snapshot = metadata->current};
        break;
    case MOMENT_START:
        *ret = (struct moment_state){0};
        break;
    case MOMENT_VERSION:
        return find_version(lake, name, metadata, moment, ret, err);
    case MOMENT_TIME:
        return find_time(lake, name, metadata, moment, ret, err);
    }
    return TN_OK;
}
