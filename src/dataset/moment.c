/* Which state a moment means. */
#include "dataset/moment.h"

#include "journal/journal.h"

#include <inttypes.h>
#include <string.h>

#define REPLAY "replay-"

/* ---- texts -------------------------------------------------------------------------- */

char *moment_replay_name(struct tn_arena *arena, int64_t sequence)
{
    return tn_arena_printf(arena, REPLAY "%" PRId64, sequence);
}

/* A number that is too large is that of no commit, and no name either. */
static bool is_replay(const char *text, int64_t *ret_sequence)
{
    if (strncmp(text, REPLAY, strlen(REPLAY)) != 0)
        return false;
    const char *digits = text + strlen(REPLAY);
    if (!*digits || digits[strspn(digits, "0123456789")])
        return false;
    if (!tn_parse_i64(digits, ret_sequence))
        *ret_sequence = INT64_MAX;
    return true;
}

enum tn_code moment_parse(const char *text, struct moment *ret, struct tn_error *err)
{
    struct engine_table_ref ref = {0};
    TN_TRY(engine_at_read(text, &ref, err));
    *ret = moment_of(&ref);
    if (ret->kind == MOMENT_VERSION && ret->snapshot_id == 0)
        ret->kind = MOMENT_START;
    return TN_OK;
}

bool moment_is_reserved(const char *text)
{
    struct moment moment;
    return moment_parse(text, &moment, NULL) != TN_OK || moment.kind != MOMENT_NAME;
}

static struct moment named(const char *name)
{
    int64_t sequence;
    if (is_replay(name, &sequence))
        return (struct moment){.kind = MOMENT_COMMIT, .sequence = sequence, .name = name};
    return (struct moment){.kind = MOMENT_NAME, .name = name};
}

struct moment moment_of(const struct engine_table_ref *ref)
{
    switch (ref->at) {
    case ENGINE_AT_VERSION:
        return (struct moment){.kind = MOMENT_VERSION, .snapshot_id = ref->at_version};
    case ENGINE_AT_TIMESTAMP:
        return (struct moment){.kind = MOMENT_TIME, .time_us = ref->at_timestamp_us};
    case ENGINE_AT_NAME:
        return named(ref->at_name);
    case ENGINE_AT_NOW:
        break;
    }
    return (struct moment){.kind = MOMENT_NOW};
}

/* ---- states ------------------------------------------------------------------------- */

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
    bool kept = from && from->sequence_number == sequence, told = from && lake->replays && lake->journal;
    if (!kept && (!told || moment_is_cut(&order, from->sequence_number, sequence)))
        return not_kept(name, metadata, sequence, from, err);
    *ret = (struct moment_state){.snapshot = from, .replay_to = kept ? 0 : sequence};
    return TN_OK;
}

/* Named by the number of its commit: those that there will be have no state yet. */
static enum tn_code find_commit(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                const struct moment *moment, struct moment_state *ret, struct tn_error *err)
{
    if (moment->sequence > 0 && moment->sequence <= metadata->last_sequence_number)
        return state_at(lake, name, metadata, moment->sequence, ret, err);
    tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" has no state %.60s", name, moment->name);
    tn_error_hint(err, "the number behind " REPLAY " counts its commits, and the newest one is %" PRId64,
                  metadata->last_sequence_number);
    return TN_ESNAPSHOT;
}

/* ---- names -------------------------------------------------------------------------- */

#define NAMES_SHOWN 6
#define NAME_SHOWN  40 /* bytes of one */

/* What there is to be named, as far as a hint has room. */
static void put_names(const struct iceberg_metadata *metadata, struct tn_buf *out)
{
    size_t shown = TN_MIN(metadata->ref_count, (size_t)NAMES_SHOWN);
    for (size_t i = 0; i < shown; i++) {
        const char *name = metadata->refs[i].name;
        size_t length = strlen(name), cut = tn_utf8_floor(name, length, NAME_SHOWN);
        tn_buf_printf(out, "%s\"%.*s%s\"", i ? ", " : "", (int)cut, name, cut < length ? "..." : "");
    }
    if (metadata->ref_count > shown)
        tn_buf_printf(out, " and %zu more", metadata->ref_count - shown);
    if (metadata->ref_count == 0)
        tn_buf_puts(out, "none");
}

static enum tn_code not_named(const char *name, const struct iceberg_metadata *metadata, const char *text,
                              struct tn_error *err)
{
    TN_AUTO_BUF names = {0};
    put_names(metadata, &names);
    tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" has no tag or branch \"%.*s\"", name,
            (int)tn_utf8_floor(text, strlen(text), 255), text);
    tn_error_hint(
        err,
        "a moment is a snapshot id, a time such as 2026-01-31T12:00:00Z, or the name of a tag or branch; it "
        "has %s",
        names.data);
    return TN_ESNAPSHOT;
}

static enum tn_code find_name(const char *name, const struct iceberg_metadata *metadata, const char *text,
                              struct moment_state *ret, struct tn_error *err)
{
    if (tn_streq(text, "main")) { /* every table has it, also one without rows */
        *ret = (struct moment_state){.snapshot = metadata->current, .is_branch = true};
        return TN_OK;
    }
    const struct iceberg_ref *ref = iceberg_metadata_ref_named(metadata, text);
    const struct iceberg_snapshot *snapshot = ref ? iceberg_metadata_snapshot(metadata, ref->snapshot_id) : NULL;
    if (!snapshot)
        return not_named(name, metadata, text, err);
    *ret = (struct moment_state){.snapshot = snapshot, .is_branch = !ref->is_tag};
    return TN_OK;
}

/* ---- numbers and times -------------------------------------------------------------- */

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
        *ret = (struct moment_state){.snapshot = metadata->current, .is_branch = true};
        break;
    case MOMENT_START:
        *ret = (struct moment_state){0};
        break;
    case MOMENT_VERSION:
        return find_version(lake, name, metadata, moment, ret, err);
    case MOMENT_TIME:
        return find_time(lake, name, metadata, moment, ret, err);
    case MOMENT_COMMIT:
        return find_commit(lake, name, metadata, moment, ret, err);
    case MOMENT_NAME:
        return find_name(name, metadata, moment->name, ret, err);
    }
    return TN_OK;
}
