/* What this process has in hand: transactions that may be about to commit, and
 * versions that somebody may be reading. The sweep for orphans leaves both
 * alone. */
#include "base/clock.h"
#include "base/str.h"
#include "iceberg/tx_internal.h"

#include <pthread.h>

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct iceberg_tx *held_txs; /* guarded by held_lock, as are the links of both */
static struct metadata *held_versions;

/* --- Transactions --- */

void held_add_tx(struct iceberg_tx *tx)
{
    tx->born_ms = tn_now_ms();
    (void)pthread_mutex_lock(&held_lock);
    tx->held_next = held_txs;
    if (held_txs)
        held_txs->held_link = &tx->held_next;
    tx->held_link = &held_txs;
    held_txs = tx;
    (void)pthread_mutex_unlock(&held_lock);
}

void held_drop_tx(struct iceberg_tx *tx)
{
    (void)pthread_mutex_lock(&held_lock);
    *tx->held_link = tx->held_next;
    if (tx->held_next)
        tx->held_next->held_link = tx->held_link;
    (void)pthread_mutex_unlock(&held_lock);
}

int64_t held_oldest_tx(const struct iceberg_table *table)
{
    int64_t oldest = INT64_MAX;
    (void)pthread_mutex_lock(&held_lock);
    for (const struct iceberg_tx *tx = held_txs; tx; tx = tx->held_next)
        if (tx->table.store == table->store && tn_streq(tx->table.prefix, table->prefix))
            oldest = TN_MIN(oldest, tx->born_ms);
    (void)pthread_mutex_unlock(&held_lock);
    return oldest;
}

bool iceberg_tx_is_open(int64_t snapshot_id)
{
    bool found = false;
    (void)pthread_mutex_lock(&held_lock);
    for (const struct iceberg_tx *tx = held_txs; tx && !found; tx = tx->held_next)
        found = tx->snapshot_id == snapshot_id;
    (void)pthread_mutex_unlock(&held_lock);
    return found;
}

/* --- Versions --- */

void held_add_version(const struct store *store, struct iceberg_metadata *version)
{
    struct metadata *inner = metadata_of(version);
    inner->held_store = store;
    (void)pthread_mutex_lock(&held_lock);
    inner->held_next = held_versions;
    if (held_versions)
        held_versions->held_link = &inner->held_next;
    inner->held_link = &held_versions;
    held_versions = inner;
    (void)pthread_mutex_unlock(&held_lock);
}

void held_drop_version(struct metadata *inner)
{
    (void)pthread_mutex_lock(&held_lock);
    *inner->held_link = inner->held_next;
    if (inner->held_next)
        inner->held_next->held_link = inner->held_link;
    (void)pthread_mutex_unlock(&held_lock);
}

/* One whose last reference has just gone waits for the lock to leave the list:
 * it must not get a new one. */
static bool held_try_ref(struct metadata *inner)
{
    size_t refs = atomic_load_explicit(&inner->refs, memory_order_relaxed);
    while (refs > 0)
        if (atomic_compare_exchange_weak_explicit(&inner->refs, &refs, refs + 1, memory_order_acq_rel,
                                                  memory_order_relaxed))
            return true;
    return false;
}

struct iceberg_metadata **held_list_versions(const struct store *store, const char *uuid, size_t *ret_count)
{
    struct iceberg_metadata **list = NULL;
    size_t count = 0, capacity = 0;
    (void)pthread_mutex_lock(&held_lock);
    for (struct metadata *inner = held_versions; inner; inner = inner->held_next) {
        if (inner->held_store != store || !tn_streq(inner->shown.uuid, uuid) || !held_try_ref(inner))
            continue;
        TN_GROW(list, count, capacity);
        list[count++] = &inner->shown;
    }
    (void)pthread_mutex_unlock(&held_lock);
    *ret_count = count;
    return list;
}
