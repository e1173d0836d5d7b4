/* One history: acts by two processes, crashes, reboots. */
#include "tests/sim/change.h"
#include "tests/sim/several.h"
#include "tests/sim/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { GRACE_MS = 3600000 };

enum tn_code change_write_plain(const char *path, const void *bytes, size_t count, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot create %s", path);
    return tn_write_all(fd, bytes, count, path, err);
}

/* --- Judging an act --- */

/* Without faults nothing may fail but a race, and no fault may ever look like
 * damage or a mistake of ours. */
static bool judge(struct sim *sim, const char *what, enum tn_code code, bool race)
{
    if (code == TN_OK)
        return true;
    sim_say(sim, "-> %s: %s", tn_code_word(code), sim->err.detail);
    bool excused = sim->faulty || disk_is_dead();
    if (code == TN_ECONFLICT && (race || excused))
        return true;
    if (code == TN_ECORRUPT || code == TN_EINTERNAL || code == TN_ECONFLICT || !excused)
        return sim_violation(sim, "%s failed: %s: %s", what, tn_code_word(code), sim->err.detail);
    return true;
}

/* After an act on one table: what it is now, and that an answer of "done"
 * was true. */
static bool conclude(struct sim *sim, struct sim_table *table, enum tn_code code)
{
    const struct sim_version *tried = table->trying;
    if (code == TN_OK && tried) {
        table->acknowledged = table->seen = tried;
        table->trying = NULL;
        sim->acknowledged++;
        sim_say(sim, "-> version %" PRId64 " acknowledged", tried->version);
    }
    if (disk_is_dead())
        return true;
    disk_set_faults(NULL);
    bool fine = sim_settle(sim, table);
    if (fine && code == TN_ECONFLICT && tried && table->seen == tried)
        fine = sim_violation(sim, "%s: a lost race is visible", table->prefix);
    disk_set_faults(&sim->faults);
    return fine;
}

static struct sim_table *draw_table(struct sim *sim)
{
    return &sim->tables[dice_below(&sim->dice, SIM_TABLES)];
}

static enum tn_code load(struct sim *sim, struct sim_table *table, int process, struct iceberg_metadata **ret)
{
    const struct iceberg_table place = sim_at(sim, table, process);
    return iceberg_table_load(&place, NULL, ret, &sim->err);
}

/* --- Acts --- */

static const struct iceberg_schema *schema(struct sim *sim)
{
    struct iceberg_field *fields = TN_ARENA_ARRAY(sim->arena, struct iceberg_field, 2);
    fields[0] = (struct iceberg_field){.id = 1, .name = "id", .type = iceberg_type_of(ICEBERG_LONG)};
    fields[1] = (struct iceberg_field){.id = 2, .name = "name", .type = iceberg_type_of(ICEBERG_STRING)};
    struct iceberg_schema *made = tn_arena_alloc(sim->arena, sizeof *made);
    *made = (struct iceberg_schema){.fields = fields, .field_count = 2};
    return made;
}

/* A short log of versions, so that pointers and metadata files go soon. */
#define SHORT_LOG "write.metadata.previous-versions-max"

static enum tn_code create_empty(struct sim *sim, struct sim_table *table)
{
    const struct iceberg_table place = sim_at(sim, table, 0);
    const struct sim_change nothing = {0};
    ICEBERG_AUTO_METADATA *made = NULL;
    char number[16];
    int attempt = ++sim->attempts;
    (void)snprintf(number, sizeof number, "%d", attempt);
    const struct iceberg_pair properties[] = {{SIM_NUMBER, number}, {SHORT_LOG, "3"}};
    table->trying = sim_apply(sim, table->seen, &nothing, attempt, 0);
    return iceberg_table_create(&place, schema(sim), properties, TN_COUNT(properties), &made, &sim->err);
}

static enum tn_code create_filled(struct sim *sim, struct sim_table *table)
{
    const struct iceberg_table place = sim_at(sim, table, 0);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    ICEBERG_AUTO_METADATA *made = NULL;
    struct sim_change change;
    TN_TRY(iceberg_tx_new_table(&place, schema(sim), &tx, &sim->err));
    change_draw_append(sim, &change);
    iceberg_tx_set_property(tx, SHORT_LOG, "3");
    TN_TRY(change_fill(sim, 0, tx, &change));
    table->trying = change_try(sim, tx, table->seen, &change);
    return iceberg_tx_commit(tx, &made, &sim->err);
}

static bool act_create(struct sim *sim, struct sim_table *table)
{
    bool filled = dice_one_in(&sim->dice, 2);
    sim_say(sim, "create %s%s", table->prefix, filled ? " with rows" : "");
    enum tn_code code = filled ? create_filled(sim, table) : create_empty(sim, table);
    return judge(sim, "create", code, false) && conclude(sim, table, code);
}

static enum tn_code commit(struct sim *sim, struct sim_table *table, struct iceberg_tx *tx, const char **ret_what)
{
    ICEBERG_AUTO_METADATA *done = NULL;
    struct sim_change change;
    *ret_what = change_draw(sim, table->seen, &change);
    sim_say(sim, "%s %s", *ret_what, table->prefix);
    TN_TRY(change_fill(sim, 0, tx, &change));
    table->trying = change_try(sim, tx, table->seen, &change);
    return iceberg_tx_commit(tx, &done, &sim->err);
}

static bool act_commit(struct sim *sim, struct sim_table *table)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    ICEBERG_AUTO_METADATA *base = NULL;
    const struct iceberg_table place = sim_at(sim, table, 0);
    const char *what = "load";
    enum tn_code code = load(sim, table, 0, &base);
    if (code == TN_OK) {
        tx = iceberg_tx_new(&place, base);
        code = commit(sim, table, tx, &what);
    }
    if (!judge(sim, what, code, false))
        return false;
    iceberg_tx_free(TN_TAKE(tx)); /* its clean-up is part of the act */
    return conclude(sim, table, code);
}

/* The second writer: rebases until it is in, or somebody is in the way. */
static enum tn_code commit_second(struct sim *sim, struct sim_table *table, struct iceberg_tx *tx,
                                  struct sim_change *change, bool *ret_fine)
{
    enum tn_code code = TN_ECONFLICT;
    *ret_fine = true;
    for (int tries = 0; code == TN_ECONFLICT && tries < 3; tries++) {
        ICEBERG_AUTO_METADATA *newest = NULL;
        ICEBERG_AUTO_METADATA *done = NULL;
        if (tries) {
            TN_TRY(load(sim, table, 1, &newest));
            TN_TRY(iceberg_tx_rebase(tx, newest, &sim->err));
        }
        table->trying = change_try(sim, tx, tries ? table->seen : table->seen->base, change);
        code = iceberg_tx_commit(tx, &done, &sim->err);
        if (code == TN_ECONFLICT)
            *ret_fine = conclude(sim, table, code);
        if (!*ret_fine)
            return code;
    }
    return code;
}

static bool act_race(struct sim *sim, struct sim_table *table)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    ICEBERG_AUTO_METADATA *base = NULL;
    const struct iceberg_table place = sim_at(sim, table, 1);
    const struct sim_version *before = table->seen;
    struct sim_change change;
    enum tn_code code = load(sim, table, 1, &base);
    if (code != TN_OK)
        return judge(sim, "load", code, false);
    tx = iceberg_tx_new(&place, base);
    sim_say(sim, "the second process: %s %s", change_draw(sim, before, &change), table->prefix);
    code = change_fill(sim, 1, tx, &change);
    if (!judge(sim, "second", code, false) || code != TN_OK || disk_is_dead())
        return !sim->failed;
    sim_say(sim, "and the first is faster:");
    if (!act_commit(sim, table) || disk_is_dead())
        return !sim->failed;
    if (table->seen->base != before) /* it failed, and there is no race */
        return true;
    sim_say(sim, "the second commits");
    bool fine = true;
    code = commit_second(sim, table, tx, &change, &fine);
    if (!fine || sim->failed)
        return false;
    /* What it wanted to forget, tag or start from may be gone by now. */
    bool outrun = code == TN_EREFUSED || code == TN_ESNAPSHOT || code == TN_ENOTFOUND;
    if (!outrun && !judge(sim, "second", code, true))
        return false;
    iceberg_tx_free(TN_TAKE(tx));
    return conclude(sim, table, code);
}

/* Both are prepared before either is published. */
static bool act_pair(struct sim *sim, struct sim_table *unused)
{
    struct iceberg_tx *tx[SIM_TABLES] = {NULL};
    enum tn_code code = TN_OK;
    bool fine = true;
    (void)unused;
    sim_say(sim, "both tables:");
    for (int i = 0; i < SIM_TABLES && code == TN_OK; i++) {
        struct sim_table *table = &sim->tables[i];
        const struct iceberg_table place = sim_at(sim, table, 0);
        ICEBERG_AUTO_METADATA *base = NULL;
        struct sim_change change;
        if (!table->seen->exists || (code = load(sim, table, 0, &base)) != TN_OK)
            break;
        tx[i] = iceberg_tx_new(&place, base);
        sim_say(sim, "prepare %s %s", change_draw(sim, table->seen, &change), table->prefix);
        if ((code = change_fill(sim, 0, tx[i], &change)) != TN_OK)
            break;
        table->trying = change_try(sim, tx[i], table->seen, &change);
        code = iceberg_tx_prepare(tx[i], &sim->err);
    }
    bool prepared = code == TN_OK;
    for (int i = 0; i < SIM_TABLES; i++) {
        struct sim_table *table = &sim->tables[i];
        ICEBERG_AUTO_METADATA *done = NULL;
        if (prepared && tx[i])
            code = iceberg_tx_publish(tx[i], &done, &sim->err);
        fine = fine && judge(sim, "pair", code, false);
        iceberg_tx_free(tx[i]);
        if (!prepared && !disk_is_dead())
            table->trying = NULL;
        fine = fine && conclude(sim, table, prepared && tx[i] ? code : TN_EBUSY);
    }
    return fine;
}

/* The same by the catalog, which keeps a record: all or none. */
static bool act_transaction(struct sim *sim, struct sim_table *unused)
{
    (void)unused;
    for (int i = 0; i < SIM_TABLES; i++)
        if (!sim->tables[i].seen->exists)
            return true;
    enum tn_code code = several_commit(sim);
    if (!judge(sim, "transaction", code, false))
        return false;
    if (disk_is_dead())
        return true;
    disk_set_faults(NULL);
    enum tn_code recovered = code == TN_OK ? TN_OK : several_recover(sim);
    disk_set_faults(&sim->faults);
    if (disk_is_dead())
        return true;
    if (recovered != TN_OK)
        return sim_violation(sim, "a transaction cannot be settled: %s", sim->err.detail);
    for (int i = 0; i < SIM_TABLES; i++)
        if (!conclude(sim, &sim->tables[i], code == TN_OK ? TN_OK : TN_EBUSY))
            return false;
    return disk_is_dead() || several_all_or_none(sim);
}

static bool act_name(struct sim *sim, struct sim_table *unused)
{
    (void)unused;
    enum tn_code code = several_name(sim);
    if (!judge(sim, "namespace", code, false))
        return false;
    if (code == TN_OK) {
        sim->names_sure = ++sim->names_seen;
        sim->naming = false;
    }
    if (disk_is_dead())
        return true;
    disk_set_faults(NULL);
    bool fine = several_verify_names(sim);
    disk_set_faults(&sim->faults);
    return fine;
}

/* A process that slept commits on what it knew: never merged in silence. */
static bool act_stale(struct sim *sim, struct sim_table *table)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    const struct iceberg_table place = sim_at(sim, table, 1);
    struct sim_change change;
    if (!table->stale) {
        enum tn_code code = load(sim, table, 1, &table->stale);
        table->stale_version = table->seen;
        sim_say(sim, "the second process looks at %s and falls asleep", table->prefix);
        return judge(sim, "load", code, false);
    }
    const struct sim_version *base = table->stale_version;
    bool outrun = base != table->seen;
    sim_say(sim, "the second process wakes up and appends to version %" PRId64 " of %s", base->version,
            table->prefix);
    change_draw_append(sim, &change);
    tx = iceberg_tx_new(&place, table->stale);
    iceberg_metadata_unref(TN_TAKE(table->stale));
    enum tn_code code = change_fill(sim, 1, tx, &change);
    if (code == TN_OK) {
        table->trying = change_try(sim, tx, base, &change);
        code = iceberg_tx_commit(tx, &done, &sim->err);
    }
    if (outrun && code == TN_OK)
        return sim_violation(sim, "%s: a stale commit went through", table->prefix);
    if (!judge(sim, "stale", code, outrun))
        return false;
    iceberg_tx_free(TN_TAKE(tx));
    return conclude(sim, table, code);
}

static bool act_drop(struct sim *sim, struct sim_table *table)
{
    const struct iceberg_table place = sim_at(sim, table, 0);
    ICEBERG_AUTO_METADATA *base = NULL;
    sim_say(sim, "drop %s", table->prefix);
    enum tn_code code = load(sim, table, 0, &base);
    if (code == TN_OK) {
        table->trying = sim_vanish(sim, table->seen);
        code = iceberg_table_drop(&place, base, &sim->err);
    }
    return judge(sim, "drop", code, false) && conclude(sim, table, code);
}

static bool act_undrop(struct sim *sim, struct sim_table *table)
{
    const struct iceberg_table place = sim_at(sim, table, 0);
    ICEBERG_AUTO_METADATA *back = NULL;
    sim_say(sim, "undrop %s", table->prefix);
    table->trying = sim_return(sim, table->seen);
    enum tn_code code = iceberg_table_undrop(&place, &back, &sim->err);
    return judge(sim, "undrop", code, false) && conclude(sim, table, code);
}

static bool act_orphans(struct sim *sim, struct sim_table *table)
{
    const struct iceberg_table place = sim_at(sim, table, 0);
    sim_say(sim, "remove the orphans of %s", table->prefix);
    enum tn_code code = iceberg_table_orphans(&place, GRACE_MS, true, NULL, NULL, &sim->err);
    if (!judge(sim, "orphans", code, false) || !conclude(sim, table, TN_EBUSY))
        return false;
    if (disk_is_dead())
        return true;
    disk_set_faults(NULL);
    bool fine = sim_verify(sim, table) && (code != TN_OK || sim_verify_tidy(sim, table, GRACE_MS));
    disk_set_faults(&sim->faults);
    return fine;
}

static bool act_clock(struct sim *sim, struct sim_table *unused)
{
    static const int64_t steps[] = {1, 60000, 3 * GRACE_MS, 86400000, -1000, -600000, -86400000};
    int64_t step = steps[dice_below(&sim->dice, TN_COUNT(steps))];
    (void)unused;
    sim_say(sim, "the clock moves by %" PRId64 " ms", step);
    disk_move_clock(step);
    return true;
}

/* --- Boots --- */

static void shut_down(struct sim *sim)
{
    for (int i = 0; i < SIM_PROCESSES; i++) {
        iceberg_cache_free(sim->caches[i]);
        store_close(sim->stores[i]);
        sim->caches[i] = NULL;
        sim->stores[i] = NULL;
    }
    for (int i = 0; i < SIM_TABLES; i++)
        iceberg_metadata_unref(TN_TAKE(sim->tables[i].stale));
}

static enum tn_code start_up(struct sim *sim)
{
    uint64_t removed = 0;
    for (int i = 0; i < SIM_PROCESSES; i++) {
        TN_TRY(store_open_local(SIM_LAKE, &sim->stores[i], &sim->err));
        sim->caches[i] = iceberg_cache_new((size_t)1 << 20);
    }
    TN_TRY(store_clean_staging(sim->stores[0], 0, &removed, &sim->err));
    return several_recover(sim);
}

/* The recovery may itself be cut short. */
static bool reboot(struct sim *sim)
{
    bool power_failed = true, steady = true;
    do {
        sim->crashes++;
        power_failed = !dice_one_in(&sim->dice, 4);
        shut_down(sim);
        sim_say(sim, "== %s, boot %u", power_failed ? "power failure" : "kill", sim->crashes);
        disk_set_faults(NULL);
        disk_reboot(power_failed);
        if (dice_one_in(&sim->dice, 8))
            disk_die_after(1 + (unsigned)dice_below(&sim->dice, 12));
        enum tn_code code = start_up(sim);
        steady = !disk_is_dead();
        if (code != TN_OK && steady)
            return sim_violation(sim, "no start after a crash: %s: %s", tn_code_word(code), sim->err.detail);
    } while (!steady);
    disk_die_after(0);
    for (int i = 0; i < SIM_TABLES; i++) {
        struct sim_table *table = &sim->tables[i];
        if (!sim_verify(sim, table))
            return false;
        if (power_failed) /* what is left is on the disk */
            table->acknowledged = table->seen;
        sim_say(sim, "%s is at version %" PRId64 ", and whole", table->prefix, table->seen->version);
    }
    if (!several_all_or_none(sim) || !several_verify_names(sim))
        return false;
    if (power_failed)
        sim->names_sure = sim->names_seen;
    disk_set_faults(&sim->faults);
    return true;
}

/* --- The whole --- */

static const struct {
    bool (*act)(struct sim *sim, struct sim_table *table);
    unsigned weight;
} acts[] = {{act_commit, 20}, {act_race, 6}, {act_pair, 4},    {act_transaction, 4}, {act_name, 2},
            {act_stale, 4},   {act_drop, 1}, {act_orphans, 3}, {act_clock, 3}};

static bool act(struct sim *sim)
{
    struct sim_table *table = draw_table(sim);
    unsigned total = 0, at = 0;
    if (!table->seen->exists) {
        bool back = table->seen->version > 0 && dice_one_in(&sim->dice, 2);
        return back ? act_undrop(sim, table) : act_create(sim, table);
    }
    for (size_t i = 0; i < TN_COUNT(acts); i++)
        total += acts[i].weight;
    unsigned draw = (unsigned)dice_below(&sim->dice, total);
    while (draw >= acts[at].weight)
        draw -= acts[at++].weight;
    return acts[at].act(sim, table);
}

static void draw_faults(struct sim *sim)
{
    struct dice *dice = &sim->dice;
    unsigned rate = 20 + (unsigned)dice_below(dice, 400);
    sim->faults = (struct disk_faults){.short_write = 5, .interrupted = 10, .no_links = dice_one_in(dice, 5)};
    sim->faulty = dice_one_in(dice, 2);
    if (!sim->faulty)
        return;
    unsigned *const kinds[] = {&sim->faults.read_error, &sim->faults.write_error, &sim->faults.late_error,
                               &sim->faults.full, &sim->faults.fsync_error};
    for (size_t i = 0; i < TN_COUNT(kinds); i++)
        *kinds[i] = dice_one_in(dice, 2) ? rate : 0;
    sim->faults.late_error /= 8;
    sim->faults.fsync_error /= 4;
}

static bool live(struct sim *sim)
{
    unsigned count = 5 + (unsigned)dice_below(&sim->dice, 36);
    unsigned crash_at = (unsigned)dice_below(&sim->dice, count);
    if (start_up(sim) != TN_OK)
        return sim_violation(sim, "no start: %s", sim->err.detail);
    disk_set_faults(&sim->faults);
    for (; sim->acts < count; sim->acts++) {
        if (sim->acts == crash_at)
            disk_die_after(1 + (unsigned)dice_below(&sim->dice, 70));
        if (!act(sim))
            return false;
        if (disk_is_dead()) {
            if (!reboot(sim))
                return false;
            crash_at = sim->acts + 1 + (unsigned)dice_below(&sim->dice, 20);
        }
    }
    return reboot(sim);
}

bool sim_run(struct sim *sim, uint64_t seed, bool log)
{
    static const struct sim_version nothing = {0};
    static const char *const prefixes[SIM_TABLES] = {"datasets/accounts", "datasets/events"};
    *sim = (struct sim){.dice = {seed}, .arena = tn_arena_new(), .log = log};
    /* Later seeds live later, so that identifiers, which sort by time, do not
     * depend on the histories before. */
    disk_begin(seed, INT64_C(1790000000000) + (int64_t)(seed % 50000) * 40 * 86400000);
    disk_set_log(log);
    wrap_running = true;
    for (int i = 0; i < SIM_TABLES; i++)
        sim->tables[i] =
            (struct sim_table){.prefix = prefixes[i], .acknowledged = &nothing, .seen = &nothing, .trying = NULL};
    draw_faults(sim);
    bool fine = live(sim) && !sim->failed;
    shut_down(sim);
    wrap_running = false;
    return fine;
}
