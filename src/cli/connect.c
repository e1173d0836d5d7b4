/* Which lake, which configuration, which server. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_FOR_LAKE_MS = 15000, STEP_MS = 50 };

bool cli_is_lake(const char *folder)
{
    struct stat info;
    TN_AUTO_FREE char *buckets = tn_asprintf("%s/buckets", folder);
    return stat(buckets, &info) == 0 && S_ISDIR(info.st_mode);
}

const char *cli_lake(struct cli *cli)
{
    if (!cli->lake)
        cli->lake = cli->lake_flag ? cli->lake_flag : cli_is_lake(".") ? "." : "lake";
    return cli->lake;
}

void cli_set(struct cli *cli, const char *format, ...)
{
    const char **longer = TN_ARENA_ARRAY(cli->arena, const char *, cli->set_count + 1);
    for (size_t i = 0; i < cli->set_count; i++)
        longer[i] = cli->sets[i];
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    longer[cli->set_count++] = tn_arena_strdup(cli->arena, text.data);
    cli->sets = longer;
}

enum tn_code cli_config(struct cli *cli, const struct tn_config **ret, struct tn_error *err)
{
    if (!cli->config) {
        const char *path = tn_path_join(cli->arena, cli_lake(cli), "tarn.yaml");
        TN_TRY(tn_config_load(gateway_config_table(), path, cli->sets, cli->set_count, &cli->config, err));
    }
    *ret = cli->config;
    return TN_OK;
}

/* The server named by flag or environment. Its token: TARN_TOKEN, else the
 * local one when it is the server of our own lake. */
static enum tn_code connect_named(struct cli *cli, struct tn_error *err)
{
    const char *token = cli->token;
    char *url = NULL, *local = NULL;
    if (!token && gateway_find(cli_lake(cli), cli->arena, &url, &local, NULL) == TN_OK && tn_streq(url, cli->server))
        token = local;
    return client_new(cli->server, token, &cli->client, err);
}

static enum tn_code connect_running(struct cli *cli, struct tn_error *err)
{
    char *url = NULL, *token = NULL;
    TN_TRY(gateway_find(cli_lake(cli), cli->arena, &url, &token, err));
    return client_new(url, cli->token ? cli->token : token, &cli->client, err);
}

/* One command's remarks, not a service's diary: unless somebody asked. */
static void quiet_log(const struct tn_config *config)
{
    enum tn_log_level level = TN_LOG_WARN;
    if (!tn_streq(tn_config_origin(config, "log.level"), "default"))
        (void)tn_log_level_parse(tn_config_string(config, "log.level"), &level);
    tn_log_configure(level, tn_streq(tn_config_string(config, "log.format"), "json"));
}

static enum tn_code connect_embedded(struct cli *cli, bool create, struct tn_error *err)
{
    const struct tn_config *config = NULL;
    TN_TRY(cli_config(cli, &config, err));
    quiet_log(config);
    struct gateway_options options = {.lake = cli_lake(cli), .config = config, .create = create, .embedded = true};
    TN_TRY(gateway_open(&options, &cli->gateway, err));
    return client_new(gateway_url(cli->gateway), gateway_token(cli->gateway), &cli->client, err);
}

/* Another command may hold the lake for a moment, or a server be about to
 * answer: both pass. The error names the holder: of many commands each has its
 * moment. */
static enum tn_code connect_local(struct cli *cli, bool create, struct tn_error *err)
{
    bool told = false;
    struct tn_error error = {0}, before = {0};
    for (int total = 0, waited = 0;; total += STEP_MS, waited += STEP_MS) {
        if (connect_running(cli, NULL) == TN_OK)
            return TN_OK;
        enum tn_code code = connect_embedded(cli, create, &error);
        if (!tn_streq(error.detail, before.detail))
            waited = 0;
        if (code != TN_ELOCKED || waited >= WAIT_FOR_LAKE_MS) {
            if (code != TN_OK && err)
                *err = error;
            return code;
        }
        if (total >= 1000 && !told)
            cli_note(cli, "waiting for the lake: another command is at work in it");
        told |= total >= 1000;
        before = error;
        (void)nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
}

enum tn_code cli_connect(struct cli *cli, bool create, struct client **ret, struct tn_error *err)
{
    if (!cli->client) {
        if (cli->server) {
            TN_TRY(connect_named(cli, err));
        } else {
            bool fresh = create && !cli_is_lake(cli_lake(cli));
            enum tn_code code = connect_local(cli, create, err);
            if (code == TN_ENOTFOUND && !cli_is_lake(cli_lake(cli)))
                tn_error_hint(err, "make one with `tarn --lake %s init`, or name another with --lake or TARN_LAKE",
                              cli_lake(cli));
            TN_TRY(code);
            if (fresh)
                cli_note(cli, "made a new lake in %s", cli_lake(cli));
        }
    }
    *ret = cli->client;
    return TN_OK;
}

enum tn_code cli_connect_or_scratch(struct cli *cli, struct client **ret, struct tn_error *err)
{
    if (cli->client || cli->server || cli->lake_flag || cli_is_lake(cli_lake(cli)))
        return cli_connect(cli, false, ret, err);
    const char *folder = getenv("TMPDIR");
    char *path = tn_arena_printf(cli->arena, "%s/tarn-XXXXXX", folder && *folder ? folder : "/tmp");
    if (!mkdtemp(path))
        return tn_fail_errno(err, errno, "%s", path);
    cli->scratch = cli->lake = path;
    bool quiet = cli->quiet;
    cli->quiet = true;
    enum tn_code code = cli_connect(cli, true, ret, err);
    cli->quiet = quiet;
    return code;
}

void cli_release(struct cli *cli)
{
    client_free(cli->client);
    cli->client = NULL;
    gateway_close(cli->gateway);
    cli->gateway = NULL;
    tn_config_free(cli->config);
    cli->config = NULL;
    struct tn_error error = {0};
    if (cli->scratch && tn_remove_tree(cli->scratch, &error) != TN_OK)
        cli_note(cli, "left behind: %s", error.detail);
    cli->scratch = NULL;
}

void cli_add_query(struct cli *cli, char **path, const char *name, const char *value)
{
    if (!value)
        return;
    const char *join = strchr(*path, '?') ? "&" : "?";
    *path = client_path(cli->arena, tn_arena_printf(cli->arena, "%s%s%s=", *path, join, name), value, NULL);
}

enum tn_code cli_fetch_some(struct client *client, struct cli *cli, const char *path, int64_t limit, json_t **ret,
                            struct tn_error *err)
{
    char *some = tn_arena_strdup(cli->arena, path);
    TN_AUTO_JSON *page = NULL;
    if (limit == 0)
        return cli_fetch_items(client, cli->arena, path, ret, err);
    cli_add_query(cli, &some, "limit", tn_arena_printf(cli->arena, "%" PRId64, limit));
    TN_TRY(client_json(client, "GET", some, NULL, &page, err));
    json_t *items = json_object_get(page, "items");
    if (!json_is_array(items))
        return tn_fail(err, TN_EINTERNAL, "%s: the answer is no list", some);
    *ret = json_incref(items);
    return TN_OK;
}
