/* sim: seeded histories of commits, crashes and recoveries.
 *
 * A history opens a store on the simulated disk (disk.h), as two processes
 * would, and lets them create, append, upsert, replace, compact, race, restore,
 * tag, forget, drop and clean up two tables. Some calls fail; at a random one
 * the machine stops. Then it boots: the disk decides what was lost, the real
 * code recovers, and check.c compares what is there with what was promised:
 *
 *   - what was acknowledged is there and whole, to the byte; what was not is
 *     there wholly or not at all;
 *   - pointers have no gap, the version hint misleads nobody, the strict
 *     validator finds nothing fatal, time does not go backwards;
 *   - what a snapshot's summary names exists (a journal batch, in the lake);
 *   - the removal of orphans removes nothing that is reachable, and leaves
 *     nothing unreachable that is old enough.
 *
 * Everything follows from the seed: the same seed is the same history.
 *
 * How later code joins: whatever writes through src/store or src/base/fs.c
 * runs on the disk as it is. Add what it does to the table `acts` in history.c,
 * what it promises to check.c, and its module to CMakeLists.txt. Code that
 * needs the SQL engine has files of its own and is killed in the real binary
 * instead (tests/system/test_faults_kill.py).
 */
#ifndef TARN_TESTS_SIM_SIM_H
#define TARN_TESTS_SIM_SIM_H

#include "base/base.h"
#include "iceberg/iceberg.h"
#include "store/store.h"
#include "tests/sim/dice.h"
#include "tests/sim/disk.h"

enum { SIM_TABLES = 2, SIM_PROCESSES = 2 };

#define SIM_LAKE   DISK_ROOT "/lake/buckets/primary"
#define SIM_NUMBER "sim.number" /* names the attempt: in the summary, or a property where there is none */
#define SIM_EXTRA  "sim.extra"  /* the summary's key of the object in the batch */

struct sim_file {
    const char *path;
    enum iceberg_content content;
    int64_t rows;
    const char *target; /* of a delete file */
};

struct sim_snapshot {
    int64_t id;
    const struct sim_file *files;
    size_t file_count;
    const char *extra; /* key, or NULL */
};

struct sim_tag {
    char name[8];
    int64_t id;
};

/* What a table is after an attempt to change it, should that come to be. */
struct sim_version {
    const struct sim_version *base; /* NULL: the beginning */
    int number;                     /* in the property; an undrop has the old one */
    int64_t version;                /* of the pointer */
    bool exists;
    const struct sim_snapshot *current; /* or NULL */
    const struct sim_snapshot **snapshots;
    size_t snapshot_count;
    struct sim_tag *tags;
    size_t tag_count;
};

struct sim_table {
    const char *prefix;
    /* On the disk whatever happens; what was seen last; what is under way. */
    const struct sim_version *acknowledged, *seen, *trying;
    /* Of the second process, from some time ago. */
    struct iceberg_metadata *stale;
    const struct sim_version *stale_version;
};

struct sim {
    struct dice dice;
    struct tn_arena *arena;
    struct store *stores[SIM_PROCESSES];
    struct iceberg_cache *caches[SIM_PROCESSES];
    struct sim_table tables[SIM_TABLES];
    const struct sim_version *together[SIM_TABLES]; /* of one transaction, not judged yet */
    /* Namespaces: on the disk for sure, seen last; is one more under way? */
    unsigned names_sure, names_seen;
    bool naming;
    struct disk_faults faults;
    bool faulty, log, failed;
    int attempts;
    unsigned acts, crashes, acknowledged;
    char why[1400];
    struct tn_error err; /* of the last call */
};

/* A change, described once for the transaction and for the model. */
struct sim_change {
    const struct sim_file *added;
    size_t added_count;
    const char *removed[8];
    size_t removed_count;
    bool remove_all, rewrite;
    const struct sim_snapshot *start; /* restore */
    struct sim_tag tag;               /* name "" for none */
    int64_t forgotten;                /* or 0 */
    const char *extra;
};

static inline bool sim_makes_snapshot(const struct sim_change *change)
{
    return change->added_count || change->removed_count || change->remove_all || change->start || change->extra;
}

/* The first violation stays. Returns false. */
bool sim_violation(struct sim *sim, const char *format, ...) TN_PRINTF(2, 3);
void sim_say(const struct sim *sim, const char *format, ...) TN_PRINTF(2, 3);
static inline struct iceberg_table sim_at(struct sim *sim, const struct sim_table *table, int process)
{
    return (struct iceberg_table){sim->stores[process], table->prefix, sim->caches[process]};
}

/* history.c: one history; false when something broke (sim->why). */
bool sim_run(struct sim *sim, uint64_t seed, bool log);

/* model.c */
/* The bytes of the object under a key: decided by the key. */
void sim_bytes(const char *key, unsigned char *out, size_t count);
size_t sim_size(const char *key);
const struct sim_version *sim_apply(struct sim *sim, const struct sim_version *base, const struct sim_change *change,
                                    int number, int64_t snapshot_id);
const struct sim_version *sim_vanish(struct sim *sim, const struct sim_version *base);
const struct sim_version *sim_return(struct sim *sim, const struct sim_version *base);
/* The one of those that the table may be now; NULL when it may not. */
const struct sim_version *sim_allowed(const struct sim_table *table, bool exists, int64_t version, int number);

/* check.c: without faults. */
/* Loads the table and finds it in the model; `seen` is what it is now. */
bool sim_settle(struct sim *sim, struct sim_table *table);
/* The same, and everything below it, to the byte. */
bool sim_verify(struct sim *sim, struct sim_table *table);
/* After a removal of orphans: nothing old is left. */
bool sim_verify_tidy(struct sim *sim, struct sim_table *table, int64_t grace_ms);

#endif
