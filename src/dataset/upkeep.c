/* The thread that keeps debt small.
 *
 * It looks at what snapshots' summaries count, which costs nothing, and only
 * then at plans. One dataset at a time, one group of files at a time: a stop
 * waits for one group at most.
 */
#include "dataset/compact.h"
#include "dataset/dataset_internal.h"
#include "dataset/hot.h"
#include "dataset/moment.h"
#include "journal/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ORPHANS_EVERY_US INT64_C(3600000000)
#define ROLL_EVERY_US    INT64_C(10000000)
/* A dataset whose upkeep failed rests for so long. */
#define REST_US INT64_C(60000000)

struct upkeep_entry {
    char name[CATALOG_NAME_MAX + 1];
    int64_t looked_version; /* nothing to do in this one */
    int64_t rest_until_us;
    int64_t compact_after_us; /* compacting takes a share of the time, not all of it */
    int64_t orphans_us;       /* when they were last looked for */
};

struct dataset_upkeep {
    struct lake *lake;
    struct dataset_upkeep_options options;
    pthread_t thread;
    atomic_bool ending;
    pthread_mutex_t mutex; /* for the wait and `state` */
    pthread_cond_t wake;
    struct dataset_upkeep_state state;
    struct upkeep_entry *entries;
    size_t entry_count, entry_capacity;
    int64_t rolled_us;
};

static bool is_ending(void *context)
{
    return atomic_load(&((struct dataset_upkeep *)context)->ending);
}

static void now_doing(struct dataset_upkeep *upkeep, const char *what, const char *name)
{
    pthread_mutex_lock(&upkeep->mutex);
    snprintf(upkeep->state.running, sizeof upkeep->state.running, "%s%s%s", what, *what ? " " : "", name);
    pthread_mutex_unlock(&upkeep->mutex);
}

static struct upkeep_entry *entry_of(struct dataset_upkeep *upkeep, const char *name)
{
    for (size_t i = 0; i < upkeep->entry_count; i++)
        if (tn_streq(upkeep->entries[i].name, name))
            return &upkeep->entries[i];
    TN_GROW(upkeep->entries, upkeep->entry_count, upkeep->entry_capacity);
    struct upkeep_entry *entry = &upkeep->entries[upkeep->entry_count++];
    *entry = (struct upkeep_entry){.orphans_us = tn_now_us()}; /* not all at the start */
    snprintf(entry->name, sizeof entry->name, "%s", name);
    return entry;
}

/* ---- compaction ----------------------------------------------------------------- */

/* After a compaction a dataset rests so many times as long as it took. */
#define COMPACT_REST 15
#define DELETED_MIN  5000 /* fewer cost nobody anything, whatever their share */

/* By the summary alone: could there be enough to do? */
static bool may_have_debt(const struct dataset_upkeep *upkeep, const struct iceberg_metadata *metadata)
{
    const struct iceberg_snapshot *current = metadata->current;
    if (!current)
        return false;
    int64_t files = iceberg_snapshot_count(current, "total-data-files", 0) +
                    iceberg_snapshot_count(current, "total-delete-files", 0);
    return files >= (int64_t)upkeep->options.compact_files ||
           iceberg_snapshot_count(current, "total-position-deletes", 0) >= DELETED_MIN;
}

static struct compact_limits limits_of(const struct dataset_upkeep *upkeep)
{
    size_t many = TN_MIN((size_t)COMPACT_MANY, upkeep->options.compact_files / 2);
    return (struct compact_limits){TN_MAX(many, (size_t)2), upkeep->options.compact_deleted};
}

/* *ret_waits: there is debt, and it is not time yet. */
static enum tn_code compact_one(struct dataset_upkeep *upkeep, struct upkeep_entry *entry, bool *ret_waits,
                                struct tn_error *err)
{
    const char *name = entry->name;
    const struct compact_limits limits = limits_of(upkeep);
    struct dataset_debt debt;
    TN_TRY(compact_debt(upkeep->lake, name, &limits, &debt, err));
    if (debt.due_files < upkeep->options.compact_files && debt.tired_files == 0)
        return TN_OK;
    *ret_waits = tn_now_us() < entry->compact_after_us;
    if (*ret_waits)
        return TN_OK;
    int64_t started_us = tn_now_us();
    const struct dataset_compaction options = {.debt_only = true,
                                               .many = limits.many,
                                               .deleted_share = limits.deleted_share,
                                               .actor = "tarn",
                                               .cancelled = is_ending,
                                               .cancel_context = upkeep};
    struct dataset_compacted done = {0};
    now_doing(upkeep, "compact", name);
    enum tn_code code = dataset_compact(upkeep->lake, name, &options, &done, err);
    entry->compact_after_us = tn_now_us() + COMPACT_REST * (tn_now_us() - started_us);
    pthread_mutex_lock(&upkeep->mutex);
    upkeep->state.compactions += done.groups > 0;
    upkeep->state.lost_groups += done.lost_groups;
    pthread_mutex_unlock(&upkeep->mutex);
    return code;
}

/* ---- snapshots -------------------------------------------------------------------- */

#define THIN_SLACK 64 /* so that not every look is a commit */

struct thin_context {
    struct journal *journal;
    struct moment_order order;
};

static bool may_forget(void *context, const struct iceberg_snapshot *snapshot)
{
    const struct thin_context *thin = context;
    return moment_may_forget(thin->journal, &thin->order, snapshot);
}

static enum tn_code thin_locked(struct dataset_upkeep *upkeep, const char *name, size_t *ret_forgotten,
                                struct tn_error *err)
{
    struct lake *lake = upkeep->lake;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, name);
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_TRY(catalog_load_locked(lake->catalog, name, &newest, err));
    if (!newest)
        return TN_OK;
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    struct thin_context context = {.journal = lake->journal};
    moment_order_init(&context.order, newest);
    const struct iceberg_thinning thinning = {
        .keep_newest = upkeep->options.keep_snapshots,
        .hourly_ms = upkeep->options.keep_hourly_ms,
        .daily_ms = upkeep->options.keep_daily_ms,
        .slack = THIN_SLACK / 2,
        .may_forget = may_forget,
        .context = &context,
    };
    *ret_forgotten = iceberg_tx_thin(tx, &thinning);
    moment_order_release(&context.order);
    if (*ret_forgotten == 0)
        return TN_OK;
    TN_TRY(journal_note_moves(lake->journal, name, newest, NULL, err)); /* the log of them is cut */
    TN_TRY(catalog_tx_commit(lake->catalog, name, tx, &done, err));
    catalog_publish(lake->catalog, name, done);
    dataset_hot_follow(lake, name, newest, done, NULL);
    return TN_OK;
}

static enum tn_code thin_one(struct dataset_upkeep *upkeep, const char *name, const struct iceberg_metadata *metadata,
                             struct tn_error *err)
{
    size_t forgotten = 0;
    if (metadata->snapshot_count < upkeep->options.keep_snapshots + THIN_SLACK)
        return TN_OK;
    now_doing(upkeep, "thin", name);
    if (upkeep->lake->journal)
        TN_TRY(journal_roll(upkeep->lake->journal, true, err));
    TN_TRY(journal_note_moves(upkeep->lake->journal, name, metadata, NULL, err)); /* most of it without the lock */
    TN_TRY(thin_locked(upkeep, name, &forgotten, err));
    pthread_mutex_lock(&upkeep->mutex);
    upkeep->state.thinned_snapshots += forgotten;
    pthread_mutex_unlock(&upkeep->mutex);
    return TN_OK;
}

/* ---- orphans ------------------------------------------------------------------------ */

struct orphan_count {
    uint64_t files, bytes;
};

static void count_orphan(void *context, const char *key, int64_t size)
{
    struct orphan_count *count = context;
    (void)key;
    count->files++;
    count->bytes += size > 0 ? (uint64_t)size : 0;
}

/* A file that waits for its commit may look old (a slow writer, a clock that
 * jumped), so what is to go is decided under the writers' lock; only where a look
 * without it has found something. */
static enum tn_code sweep(struct dataset_upkeep *upkeep, const char *name, struct orphan_count *ret,
                          struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct iceberg_table table = catalog_table(upkeep->lake->catalog, arena, name);
    int64_t grace_ms = (int64_t)upkeep->options.orphan_grace_ms;
    struct orphan_count seen = {0};
    TN_TRY(iceberg_table_orphans(&table, grace_ms, false, count_orphan, &seen, err));
    if (seen.files == 0)
        return TN_OK;
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(upkeep->lake->catalog, name);
    return iceberg_table_orphans(&table, grace_ms, true, count_orphan, ret, err);
}

static enum tn_code orphans_one(struct dataset_upkeep *upkeep, struct upkeep_entry *entry, struct tn_error *err)
{
    int64_t every_us = TN_MIN(ORPHANS_EVERY_US, (int64_t)upkeep->options.orphan_grace_ms * 1000);
    if (tn_now_us() - entry->orphans_us < every_us)
        return TN_OK;
    entry->orphans_us = tn_now_us();
    now_doing(upkeep, "clean", entry->name);
    struct orphan_count found = {0};
    enum tn_code code = sweep(upkeep, entry->name, &found, err);
    pthread_mutex_lock(&upkeep->mutex);
    upkeep->state.orphans += found.files;
    upkeep->state.orphan_bytes += found.bytes;
    pthread_mutex_unlock(&upkeep->mutex);
    return code;
}

/* ---- the round ------------------------------------------------------------------------ */

static enum tn_code keep_one(struct dataset_upkeep *upkeep, struct upkeep_entry *entry, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(upkeep->lake->catalog, entry->name, &metadata, err));
    if (metadata->version != entry->looked_version) {
        TN_TRY(dataset_journal_foreign(upkeep->lake, entry->name, err));
        bool waits = false;
        if (may_have_debt(upkeep, metadata))
            TN_TRY(compact_one(upkeep, entry, &waits, err));
        TN_TRY(thin_one(upkeep, entry->name, metadata, err));
        if (!waits)
            entry->looked_version = metadata->version;
    }
    return orphans_one(upkeep, entry, err);
}

static void note_failure(struct dataset_upkeep *upkeep, struct upkeep_entry *entry, enum tn_code code,
                         const struct tn_error *err)
{
    if (code == TN_OK || code == TN_ECANCELLED || code == TN_EDATASET)
        return;
    if (entry)
        entry->rest_until_us = tn_now_us() + REST_US;
    pthread_mutex_lock(&upkeep->mutex);
    upkeep->state.failures++;
    pthread_mutex_unlock(&upkeep->mutex);
    TN_LOG(TN_LOG_WARN, "upkeep.failed", TN_FS("dataset", entry ? entry->name : "journal"),
           TN_FS("error", err->detail));
}

static void roll_journal(struct dataset_upkeep *upkeep)
{
    struct tn_error err = {0};
    if (!upkeep->lake->journal || tn_now_us() - upkeep->rolled_us < ROLL_EVERY_US)
        return;
    upkeep->rolled_us = tn_now_us();
    now_doing(upkeep, "roll", "journal");
    note_failure(upkeep, NULL, journal_roll(upkeep->lake->journal, false, &err), &err);
    pthread_mutex_lock(&upkeep->mutex);
    upkeep->state.rolls++;
    pthread_mutex_unlock(&upkeep->mutex);
}

static void keep_round(struct dataset_upkeep *upkeep)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names = NULL;
    size_t count = 0;
    struct tn_error listing = {0};
    note_failure(upkeep, NULL, catalog_list(upkeep->lake->catalog, arena, &names, &count, &listing), &listing);
    for (size_t i = 0; i < count && !atomic_load(&upkeep->ending); i++) {
        struct upkeep_entry *entry = entry_of(upkeep, names[i]);
        struct tn_error err = {0};
        if (tn_now_us() >= entry->rest_until_us)
            note_failure(upkeep, entry, keep_one(upkeep, entry, &err), &err);
    }
    roll_journal(upkeep);
    now_doing(upkeep, "", "");
    pthread_mutex_lock(&upkeep->mutex);
    upkeep->state.last_run_us = tn_now_us();
    pthread_mutex_unlock(&upkeep->mutex);
}

static void rest(struct dataset_upkeep *upkeep)
{
    uint64_t until = tn_mono_ns() + upkeep->options.interval_ms * 1000000U;
    pthread_mutex_lock(&upkeep->mutex);
    while (!atomic_load(&upkeep->ending) && tn_cond_wait_until(&upkeep->wake, &upkeep->mutex, until)) {
    }
    pthread_mutex_unlock(&upkeep->mutex);
}

static void *run(void *argument)
{
    struct dataset_upkeep *upkeep = argument;
    for (rest(upkeep); !atomic_load(&upkeep->ending); rest(upkeep))
        keep_round(upkeep);
    return NULL;
}

enum tn_code dataset_upkeep_start(struct lake *lake, const struct dataset_upkeep_options *options,
                                  struct dataset_upkeep **ret, struct tn_error *err)
{
    struct dataset_upkeep *upkeep = tn_calloc(1, sizeof *upkeep);
    upkeep->lake = lake;
    upkeep->options = *options;
    pthread_mutex_init(&upkeep->mutex, NULL);
    tn_cond_init(&upkeep->wake);
    int failed = pthread_create(&upkeep->thread, NULL, run, upkeep);
    if (failed) {
        pthread_cond_destroy(&upkeep->wake);
        pthread_mutex_destroy(&upkeep->mutex);
        free(upkeep);
        return tn_fail_errno(err, failed, "cannot start the thread for upkeep");
    }
    *ret = upkeep;
    return TN_OK;
}

void dataset_upkeep_stop(struct dataset_upkeep *upkeep)
{
    if (!upkeep)
        return;
    pthread_mutex_lock(&upkeep->mutex);
    atomic_store(&upkeep->ending, true);
    pthread_cond_signal(&upkeep->wake);
    pthread_mutex_unlock(&upkeep->mutex);
    pthread_join(upkeep->thread, NULL);
    pthread_cond_destroy(&upkeep->wake);
    pthread_mutex_destroy(&upkeep->mutex);
    free(upkeep->entries);
    free(upkeep);
}

struct dataset_upkeep_state dataset_upkeep_state(struct dataset_upkeep *upkeep)
{
    pthread_mutex_lock(&upkeep->mutex);
    struct dataset_upkeep_state state = upkeep->state;
    pthread_mutex_unlock(&upkeep->mutex);
    return state;
}
