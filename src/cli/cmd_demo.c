/* tarn demo staffing: a lake to play with, loaded through the real ingest. */
#include "cli/serve.h"

#include "demo/demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_ROWS = 4096, PORTS_TRIED = 50 };

struct demo {
    struct cli *cli;
    struct client *client;
    struct demo_staffing *staffing;
    const char *reason;       /* "tarn demo staffing --scale 0.1 --seed 1": recognises the data */
    struct progress progress; /* over all tables, in rows */
    uint64_t rows_before;
};

/* ---- one table ------------------------------------------------------------------------ */

struct table_source {
    struct demo *demo;
    enum demo_table table;
    uint64_t next; /* row */
    struct tn_buf bytes;
    size_t taken; /* of bytes */
};

static enum tn_code pull_rows(void *context, char *out, size_t room, size_t *ret_count, struct tn_error *err)
{
    struct table_source *source = context;
    const struct demo_staffing *staffing = source->demo->staffing;
    (void)err;
    if (source->taken == source->bytes.len) {
        uint64_t rows = demo_staffing_rows(staffing, source->table);
        uint64_t count = TN_MIN(rows - source->next, (uint64_t)CHUNK_ROWS);
        tn_buf_clear(&source->bytes);
        source->taken = 0;
        if (count > 0)
            demo_staffing_render(staffing, source->table, demo_table_format(source->table), source->next, count,
                                 &source->bytes);
        source->next += count;
        progress_update(&source->demo->progress, source->demo->rows_before + source->next, NULL);
    }
    size_t count = TN_MIN(room, source->bytes.len - source->taken);
    memcpy(out, source->bytes.data + source->taken, count);
    source->taken += count;
    *ret_count = count;
    return TN_OK;
}

static void show_writing(void *context, uint64_t sent, bool all_sent)
{
    struct table_source *source = context;
    (void)sent;
    (void)all_sent;
    progress_update(&source->demo->progress, source->demo->rows_before + source->next, NULL);
}

static enum tn_code load_table(struct demo *demo, enum demo_table table, bool replace, struct tn_error *err)
{
    struct table_source source = {.demo = demo, .table = table};
    CLIENT_AUTO_REPLY reply = {0};
    const char *path = client_path(demo->cli->arena, "/ingest/file?dataset=", demo_table_name(table),
                                   "&key=", demo_table_key(table), "&source=", demo_table_file(table),
                                   "&mode=", replace ? "replace" : "append", "&reason=", demo->reason, NULL);
    struct client_request request = {.method = "POST",
                                     .path = path,
                                     .content_type = "application/octet-stream",
                                     .source = pull_rows,
                                     .source_context = &source,
                                     .source_size = -1,
                                     .progress = show_writing,
                                     .progress_context = &source};
    enum tn_code code = client_send(demo->client, &request, &reply, err);
    tn_buf_release(&source.bytes);
    return code;
}

/* What is there of a table: nothing, ours, or something else. */
enum presence { ABSENT, OURS, OTHER };

static enum tn_code look(struct demo *demo, enum demo_table table, enum presence *ret, struct tn_error *err)
{
    TN_AUTO_JSON *about = NULL;
    const char *path = client_path(demo->cli->arena, "/catalog/datasets/", demo_table_name(table), NULL);
    enum tn_code code = client_json(demo->client, "GET", path, NULL, &about, err);
    if (code == TN_EDATASET || code == TN_ENOTFOUND) {
        *ret = ABSENT;
        return TN_OK;
    }
    TN_TRY(code);
    const json_t *newest = json_array_get(json_object_get(about, "lineage"), 0);
    const char *reason = json_string_value(json_object_get(newest, "reason"));
    int64_t rows = json_integer_value(json_object_get(about, "rows"));
    bool ours =
        reason && tn_streq(reason, demo->reason) && rows == (int64_t)demo_staffing_rows(demo->staffing, table);
    *ret = ours ? OURS : OTHER;
    return TN_OK;
}

static enum tn_code load_all(struct demo *demo, struct tn_error *err)
{
    uint64_t total = 0, loaded = 0, started = tn_mono_ns();
    char count[32], took[32];
    for (int t = 0; t < DEMO_TABLES; t++)
        total += demo_staffing_rows(demo->staffing, (enum demo_table)t);
    progress_begin(&demo->progress, &demo->cli->term, demo->cli->quiet || demo->cli->json, "", total);
    demo->progress.unit = "rows";
    for (int t = 0; t < DEMO_TABLES; t++) {
        enum presence presence = ABSENT;
        enum demo_table table = (enum demo_table)t;
        demo->progress.label = demo_table_name(table);
        enum tn_code code = look(demo, table, &presence, err);
        if (code == TN_OK && presence != OURS) {
            code = load_table(demo, table, presence == OTHER, err);
            loaded += demo_staffing_rows(demo->staffing, table);
        }
        if (code != TN_OK) {
            progress_end(&demo->progress);
            tn_error_context(err, "loading %s", demo_table_name(table));
            return code;
        }
        demo->rows_before += demo_staffing_rows(demo->staffing, table);
    }
    progress_end(&demo->progress);
    if (loaded > 0)
        cli_note(demo->cli, "Loaded %s rows in %s.", tn_format_count((int64_t)loaded, count),
                 tn_format_duration((tn_mono_ns() - started) / 1000000u, took));
    else
        cli_note(demo->cli, "The tables are loaded: %s rows.", tn_format_count((int64_t)total, count));
    return TN_OK;
}

/* ---- files ------------------------------------------------------------------------------ */

static enum tn_code write_files(struct cli *cli, const struct demo_staffing *staffing, const char *folder,
                                struct tn_error *err)
{
    TN_CLEANUP(tn_pool_free_p) struct tn_pool *pool = NULL;
    TN_TRY(tn_mkdirs(folder, 0755, err));
    TN_TRY(tn_pool_new(0, &pool, err));
    for (int t = 0; t < DEMO_TABLES; t++) {
        enum demo_table table = (enum demo_table)t;
        char count[32];
        const char *path = tn_path_join(cli->arena, folder, demo_table_file(table));
        TN_TRY(demo_staffing_write_file(staffing, table, demo_table_format(table), pool, path, err));
        cli_note(cli, "%s: %s rows", path, tn_format_count((int64_t)demo_staffing_rows(staffing, table), count));
    }
    return TN_OK;
}

/* ---- serving ------------------------------------------------------------------------------ */

static bool port_is_free(const char *address, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        return true; /* the gateway will say what is wrong with it */
    TN_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return true;
    return bind(fd, (const struct sockaddr *)&name, sizeof name) == 0 || errno != EADDRINUSE;
}

/* A busy port must not stop a demonstration: the next free one will do. */
static enum tn_code choose_port(struct cli *cli, struct tn_error *err)
{
    const struct tn_config *config = NULL;
    TN_TRY(cli_config(cli, &config, err));
    int64_t wanted = tn_config_int(config, "server.port"), port = wanted;
    if (wanted == 0)
        return TN_OK;
    const char *address = tn_arena_strdup(cli->arena, tn_config_string(config, "server.bind"));
    while (port < wanted + PORTS_TRIED && port <= UINT16_MAX && !port_is_free(address, (uint16_t)port))
        port++;
    if (port == wanted)
        return TN_OK;
    if (port >= wanted + PORTS_TRIED || port > UINT16_MAX)
        port = 0;
    cli_note(cli, "Port %" PRId64 " is taken.", wanted);
    tn_config_free(cli->config);
    cli->config = NULL;
    cli_set(cli, "server.port=%" PRId64, port);
    return TN_OK;
}

static void put_commands(struct cli *cli, const char *url, const char *token, struct tn_buf *out)
{
    const char *tarn = program_invocation_name, *lake = cli_lake(cli);
    tn_buf_printf(out,
                  "\nThree commands to try in another terminal:\n"
                  "  %s --lake %s sql -c \"select title, count(*) as jobs, round(avg(bill_rate), 2) as rate"
                  " from job_orders group by title order by jobs desc limit 10\"\n"
                  "  %s --lake %s sql\n"
                  "  curl -s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \\\n"
                  "       -d '{\"sql\":\"select count(*) from timesheets\"}' %s/query/sql\n",
                  tarn, lake, tarn, lake, token ? token : "TOKEN", url);
}

static enum tn_code announce_demo(struct cli *cli, const char *url, const char *token, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    if (cli->json) {
        struct tn_json json = tn_json_writer(&text);
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "url", url);
        tn_json_kstr(&json, "token", token);
        tn_json_close(&json, '}');
        tn_buf_putc(&text, '\n');
    } else {
        tn_buf_puts(&text, "\nThe staffing lake is served at\n  ");
        serve_put_link(&text, url, token);
        put_commands(cli, url, token, &text);
    }
    return cli_print(cli, &text, err);
}

static enum tn_code serve_demo(struct cli *cli, struct demo *demo, const char *ready_file, struct tn_error *err)
{
    char *url = NULL, *token = NULL;
    bool running = gateway_find(cli_lake(cli), cli->arena, &url, &token, NULL) == TN_OK;
    if (!running) {
        TN_TRY(choose_port(cli, err));
        TN_TRY(serve_open(cli, ready_file, &cli->gateway, err));
        TN_TRY(gateway_find(cli_lake(cli), cli->arena, &url, &token, err));
    }
    TN_TRY(client_new(url, token, &cli->client, err));
    demo->client = cli->client;
    TN_TRY(load_all(demo, err));
    const char *shown = cli->gateway && gateway_token(cli->gateway) ? gateway_token(cli->gateway) : token;
    TN_TRY(announce_demo(cli, url, shown, err));
    if (running) {
        cli_note(cli, "\nA server runs already; nothing more to do here.");
        return TN_OK;
    }
    cli_note(cli, "\nCtrl-C stops.");
    serve_until_signal(cli, cli->gateway);
    return TN_OK;
}

/* Lines about each request would hide the link. */
static void quiet_unless_asked(struct cli *cli)
{
    bool asked = getenv("TARN_LOG_LEVEL") != NULL;
    for (size_t i = 0; i < cli->set_count; i++)
        asked |= tn_str_starts_with(cli->sets[i], "log.level");
    if (!asked)
        cli_set(cli, "log.level=warn");
}

enum tn_code cmd_demo(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    if (args->word_count == 1 && !tn_streq(args->words[0], "staffing"))
        return tn_fail(err, TN_EUSAGE, "there is no demo \"%s\"; there is staffing", args->words[0]);
    double scale = 0.1;
    int64_t seed;
    const char *text = cli_args_text(args, "scale", NULL), *port = cli_args_text(args, "port", NULL);
    if (text && !tn_parse_double(text, &scale))
        return tn_fail(err, TN_EUSAGE, "--scale %s is no number", text);
    TN_TRY(cli_args_i64(args, "seed", 0, INT64_MAX, DEMO_DEFAULT_SEED, &seed, err));
    TN_CLEANUP(demo_staffing_free_p) struct demo_staffing *staffing = NULL;
    TN_TRY(demo_staffing_new(scale, (uint64_t)seed, &staffing, err));
    if (cli_args_has(args, "write-files"))
        return write_files(cli, staffing, cli_args_text(args, "write-files", NULL), err);
    struct demo demo = {
        .cli = cli,
        .staffing = staffing,
        .reason = tn_arena_printf(cli->arena, "tarn demo staffing --scale %g --seed %" PRId64, scale, seed)};
    if (port)
        cli_set(cli, "server.port=%s", port);
    quiet_unless_asked(cli);
    if (!cli->lake_flag && !cli->server_by_flag)
        cli->lake_flag = "demo-lake";
    if (!cli_args_has(args, "no-serve") && !cli->server)
        return serve_demo(cli, &demo, cli_args_text(args, "ready-file", NULL), err);
    TN_TRY(cli_connect(cli, true, &demo.client, err));
    return load_all(&demo, err);
}
