/* Commits to several tables through the catalog: all of them or none, also
 * across a crash in any place, once the catalog has recovered. And the document
 * of names, which is replaced whole. */
#include "tests/sim/several.h"

#include "catalog/catalog.h"
#include "tests/sim/change.h"

#include <stdio.h>
#include <string.h>

enum tn_code several_recover(struct sim *sim)
{
    TN_CLEANUP(catalog_close_p) struct catalog *catalog = NULL;
    if (disk_omission() == DISK_OMITS_RECOVERY)
        return TN_OK;
    TN_TRY(catalog_open(sim->stores[0], &catalog, &sim->err));
    return catalog_recover(catalog, &sim->err);
}

static const char *name_of(const struct sim_table *table)
{
    return strrchr(table->prefix, '/') + 1;
}

/* In the words of the REST catalog. */
static struct catalog_change describe(struct sim *sim, const struct sim_table *table, int number)
{
    struct catalog_change change = {.id = {CATALOG_DEFAULT, name_of(table)}};
    change.change.updates = tn_arena_printf(
        sim->arena, "[{\"action\":\"set-properties\",\"updates\":{\"" SIM_NUMBER "\":\"%d\"}}]", number);
    change.change.updates_length = strlen(change.change.updates);
    return change;
}

static enum tn_code commit(struct sim *sim)
{
    const struct sim_change nothing = {0};
    const struct iceberg_origin origin = {.actor = "sim", .at_ms = tn_now_ms()};
    struct catalog_change changes[SIM_TABLES];
    struct iceberg_metadata *done[SIM_TABLES] = {NULL};
    TN_CLEANUP(catalog_close_p) struct catalog *catalog = NULL;
    TN_TRY(catalog_open(sim->stores[0], &catalog, &sim->err));
    for (int i = 0; i < SIM_TABLES; i++) {
        struct sim_table *table = &sim->tables[i];
        int number = ++sim->attempts;
        changes[i] = describe(sim, table, number);
        table->trying = sim_apply(sim, table->seen, &nothing, number, 0);
    }
    enum tn_code code = catalog_commit(catalog, changes, SIM_TABLES, &origin, done, &sim->err);
    for (int i = 0; i < SIM_TABLES; i++)
        iceberg_metadata_unref(done[i]);
    return code;
}

enum tn_code several_commit(struct sim *sim)
{
    sim_say(sim, "both tables in one transaction");
    for (int i = 0; i < SIM_TABLES; i++)
        sim->together[i] = NULL;
    enum tn_code code = commit(sim);
    for (int i = 0; i < SIM_TABLES; i++)
        sim->together[i] = sim->tables[i].trying;
    return code;
}

bool several_all_or_none(struct sim *sim)
{
    bool first = sim->tables[0].seen == sim->together[0];
    for (int i = 1; i < SIM_TABLES && sim->together[i]; i++)
        if ((sim->tables[i].seen == sim->together[i]) != first)
            return sim_violation(sim, "a transaction is there in one table and not in the other");
    for (int i = 0; i < SIM_TABLES; i++)
        sim->together[i] = NULL;
    return true;
}

/* --- Names --- */

enum tn_code several_name(struct sim *sim)
{
    char name[24];
    TN_CLEANUP(catalog_close_p) struct catalog *catalog = NULL;
    TN_TRY(catalog_open(sim->stores[0], &catalog, &sim->err));
    (void)snprintf(name, sizeof name, "space_%u", sim->names_seen);
    sim_say(sim, "namespace %s", name);
    sim->naming = true;
    return catalog_namespace_create(catalog, name, NULL, &sim->err);
}

static bool is_there(const char *const *spaces, size_t count, unsigned number)
{
    char name[24];
    (void)snprintf(name, sizeof name, "space_%u", number);
    for (size_t i = 0; i < count; i++)
        if (tn_streq(spaces[i], name))
            return true;
    return false;
}

bool several_verify_names(struct sim *sim)
{
    TN_CLEANUP(catalog_close_p) struct catalog *catalog = NULL;
    const char *const *spaces = NULL;
    size_t count = 0;
    unsigned there = 0;
    enum tn_code code = catalog_open(sim->stores[0], &catalog, &sim->err);
    if (code == TN_OK)
        code = catalog_namespace_list(catalog, "", sim->arena, &spaces, &count, &sim->err);
    if (code != TN_OK)
        return sim_violation(sim, "the names cannot be read: %s: %s", tn_code_word(code), sim->err.detail);
    while (is_there(spaces, count, there))
        there++;
    if (there < sim->names_sure || there > sim->names_seen + sim->naming || count > there + 1)
        return sim_violation(sim, "%u namespaces are there (%zu listed); %u were acknowledged, %u seen", there, count,
                             sim->names_sure, sim->names_seen);
    sim->names_seen = there;
    sim->naming = false;
    return true;
}
