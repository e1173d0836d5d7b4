/* tarn reembed --with-service: while the vectors of a table are made anew, the
 * lake's server does not search what was ingested from that table. The server
 * forgets that half a minute after this command was last heard of. */
#include "cli/reembed_hold.h"

#include "cli/client.h"

#include <signal.h>

#define HOLD_SECONDS 30
#define RENEW_NS     UINT64_C(10000000000)

/* Whether the dataset came from that table, by its lineage. */
static enum tn_code came_from(struct client *client, struct cli *cli, const char *dataset, const char *source,
                              bool *ret, struct tn_error *err)
{
    TN_AUTO_JSON *about = NULL;
    TN_TRY(
        client_json(client, "GET", client_path(cli->arena, "/catalog/datasets/", dataset, NULL), NULL, &about, err));
    const json_t *lineage = json_object_get(about, "lineage"), *item;
    size_t i;
    *ret = false;
    json_array_foreach(lineage, i, item)
    {
        const char *from = json_string_value(json_object_get(item, "source"));
        *ret |= from && tn_streq(from, source);
    }
    return TN_OK;
}

static enum tn_code find_datasets(struct reembed_hold *hold, const char *source, struct tn_error *err)
{
    TN_AUTO_JSON *indexes = NULL, *seen = json_object();
    size_t i;
    const json_t *item;
    TN_TRY(cli_fetch_items(hold->client, hold->cli->arena, "/vectors/indexes", &indexes, err));
    json_array_foreach(indexes, i, item)
    {
        const char *dataset = json_string_value(json_object_get(item, "dataset"));
        bool from = false;
        if (!dataset || json_object_get(seen, dataset))
            continue;
        (void)json_object_set_new(seen, dataset, json_true());
        TN_TRY(came_from(hold->client, hold->cli, dataset, source, &from, err));
        if (from)
            (void)json_array_append_new(hold->datasets, json_string(dataset));
    }
    return TN_OK;
}

static enum tn_code say(struct reembed_hold *hold, int seconds, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL, *body = json_pack("{s:O,s:s,s:i}", "datasets", hold->datasets, "reason",
                                                   hold->reason, "seconds", seconds);
    return client_json(hold->client, "POST", "/vectors/hold", body, &answer, err);
}

/* ---- said again ------------------------------------------------------------------- */

/* False: it is the end. */
static bool rest(struct reembed_hold *hold)
{
    uint64_t until = tn_mono_ns() + RENEW_NS;
    pthread_mutex_lock(&hold->lock);
    while (!hold->ending && tn_cond_wait_until(&hold->wake, &hold->lock, until)) {
    }
    bool ending = hold->ending;
    pthread_mutex_unlock(&hold->lock);
    return !ending;
}

static void *keep(void *argument)
{
    struct reembed_hold *hold = argument;
    while (rest(hold))
        if (!client_interrupted() && say(hold, HOLD_SECONDS, NULL) != TN_OK && !client_interrupted())
            cli_note(hold->cli, "WARN: the server does not answer; searches are held back no longer");
    return NULL;
}

/* Ctrl-C is for the thread that works. */
static enum tn_code begin_keeping(struct reembed_hold *hold, struct tn_error *err)
{
    sigset_t all, before;
    pthread_mutex_init(&hold->lock, NULL);
    tn_cond_init(&hold->wake);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&hold->thread, NULL, keep, hold);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    hold->keeping = failed == 0;
    return failed ? tn_fail_errno(err, failed, "cannot start a thread") : TN_OK;
}

static void end_keeping(struct reembed_hold *hold)
{
    if (!hold->keeping)
        return;
    pthread_mutex_lock(&hold->lock);
    hold->ending = true;
    pthread_cond_signal(&hold->wake);
    pthread_mutex_unlock(&hold->lock);
    (void)pthread_join(hold->thread, NULL);
    pthread_cond_destroy(&hold->wake);
    pthread_mutex_destroy(&hold->lock);
    hold->keeping = false;
}

/* ---- begin, end ---------------------------------------------------------------------- */

enum tn_code reembed_hold_begin(struct reembed_hold *hold, struct cli *cli, const char *label, const char *table,
                                struct tn_error *err)
{
    char *url = NULL, *token = NULL;
    TN_AUTO_BUF plain = {0}; /* lineage has names without quotes */
    for (const char *p = table; *p; p++)
        if (*p != '"')
            tn_buf_putc(&plain, *p);
    hold->cli = cli;
    hold->datasets = json_array();
    if (!cli->server && gateway_find(cli_lake(cli), cli->arena, &url, &token, NULL) != TN_OK) {
        cli_note(cli, "no server of this lake runs: there are no searches to hold back");
        return TN_OK;
    }
    TN_TRY(cli_connect(cli, false, &hold->client, err));
    hold->reason = tn_arena_printf(cli->arena, "the vectors of %s in %s are being made anew", table, label);
    TN_TRY(find_datasets(hold, tn_arena_printf(cli->arena, "postgresql://%s %s", label, plain.data), err));
    if (json_array_size(hold->datasets) == 0) {
        cli_note(cli, "no index of this lake is of rows from %s: there are no searches to hold back", table);
        return TN_OK;
    }
    cli_note(cli, "searches of %zu datasets from %s are held back until the end", json_array_size(hold->datasets),
             table);
    TN_TRY(say(hold, HOLD_SECONDS, err));
    return begin_keeping(hold, err);
}

void reembed_hold_end(struct reembed_hold *hold)
{
    end_keeping(hold);
    client_interrupt_clear(); /* the last word is said even after Ctrl-C */
    if (hold->datasets && json_array_size(hold->datasets) > 0 && say(hold, 0, NULL) != TN_OK)
        cli_note(hold->cli, "the server does not answer; it searches again in %d seconds", HOLD_SECONDS);
    json_decref(hold->datasets);
    hold->datasets = NULL;
}
