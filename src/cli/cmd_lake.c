/* tarn init, tarn serve. */
#include "cli/cli.h"
#include "cli/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- init --------------------------------------------------------------------------- */

static void put_yaml(struct tn_buf *out)
{
    tn_buf_puts(out, "# Configuration of this lake. Every key has a default; `tarn config show` prints all\n"
                     "# keys with their values. Remove a # to change one.\n");
    struct tn_config_table table = gateway_config_table();
    const char *section = "";
    for (size_t i = 0; i < table.count; i++) {
        const struct tn_config_key *key = &table.keys[i];
        size_t dot = strcspn(key->name, ".");
        if (strncmp(section, key->name, dot + 1) != 0)
            tn_buf_printf(out, "\n#%.*s:\n", (int)dot, key->name);
        section = key->name;
        tn_buf_printf(out, "#  # %s\n#  %s: %s\n", key->help, key->name + dot + 1,
                      key->fallback[0] ? key->fallback : "\"\"");
    }
}

static enum tn_code write_yaml(struct cli *cli, const char *lake, struct tn_error *err)
{
    const char *path = tn_path_join(cli->arena, lake, "tarn.yaml");
    struct stat info;
    if (stat(path, &info) == 0 && info.st_size > 0)
        return TN_OK;
    TN_AUTO_BUF text = {0};
    put_yaml(&text);
    return tn_file_replace(path, text.data, text.len, 0644, err);
}

enum tn_code cmd_init(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    if (args->word_count == 1) {
        cli->lake_flag = args->words[0];
        cli->lake = NULL;
    }
    const char *lake = cli_lake(cli);
    bool there = cli_is_lake(lake);
    cli->server = NULL; /* a lake is made on this machine */
    struct client *client;
    bool quiet = cli->quiet;
    cli->quiet = true; /* a new lake is this command's result, not a remark */
    enum tn_code code = cli_connect(cli, true, &client, err);
    cli->quiet = quiet;
    TN_TRY(code);
    TN_TRY(write_yaml(cli, lake, err));
    char *real = NULL;
    TN_TRY(tn_path_real(cli->arena, lake, &real, err));
    TN_AUTO_BUF text = {0};
    if (cli->json) {
        struct tn_json json = tn_json_writer(&text);
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "lake", real);
        tn_json_kbool(&json, "created", !there);
        tn_json_close(&json, '}');
        tn_buf_putc(&text, '\n');
    } else {
        tn_buf_printf(&text, "%s %s\n", there ? "There is a lake already in" : "Made a lake in", real);
    }
    TN_TRY(cli_print(cli, &text, err));
    if (!there)
        cli_note(cli, "Next: tarn --lake %s ingest FILE, or tarn --lake %s serve", lake, lake);
    return TN_OK;
}

/* ---- serve --------------------------------------------------------------------------- */

static struct gateway *volatile serving;
static volatile sig_atomic_t stop_wanted; /* a signal may come before the gateway is open */

static void on_signal(int number)
{
    (void)number;
    int kept = errno;
    stop_wanted = 1;
    if (serving)
        gateway_request_stop(serving);
    errno = kept;
}

static void catch_signals(void)
{
    /* The second signal ends the process at once. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

void serve_until_signal(struct cli *cli, struct gateway *gateway)
{
    serving = gateway;
    if (stop_wanted)
        gateway_request_stop(gateway);
    gateway_wait(gateway);
    serving = NULL;
    if (cli->term.err_tty)
        cli_note(cli, "\nStopping: running requests may end. Ctrl-C again stops at once.");
}

void serve_put_link(struct tn_buf *out, const char *url, const char *token)
{
    if (token)
        tn_buf_printf(out, "%s/?token=%s\n", url, token);
    else
        tn_buf_printf(out, "%s\n", url);
}

static enum tn_code announce(struct cli *cli, struct gateway *gateway, struct tn_error *err)
{
    const char *url = gateway_url(gateway), *token = gateway_token(gateway);
    TN_AUTO_BUF text = {0};
    if (cli->json) {
        struct tn_json json = tn_json_writer(&text);
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "url", url);
        tn_json_kstr(&json, "token", token);
        tn_json_ki64(&json, "pid", getpid());
        tn_json_close(&json, '}');
        tn_buf_putc(&text, '\n');
    } else {
        tn_buf_printf(&text, "Tarn %s serves %s\n  ", TARN_VERSION, cli_lake(cli));
        serve_put_link(&text, url, token);
    }
    TN_TRY(cli_print(cli, &text, err));
    if (token && !cli->json)
        cli_note(cli, "That token is shown this once; `tarn token new` makes another. Ctrl-C stops.");
    else if (!cli->json)
        cli_note(cli, "Use the token that was shown at the first start, or make one: tarn token new. Ctrl-C stops.");
    return TN_OK;
}

enum tn_code serve_open(struct cli *cli, const char *ready_file, struct gateway **ret, struct tn_error *err)
{
    const struct tn_config *config = NULL;
    catch_signals();
    TN_TRY(cli_config(cli, &config, err));
    enum tn_log_level level = TN_LOG_INFO;
    (void)tn_log_level_parse(tn_config_string(config, "log.level"), &level);
    tn_log_configure(level, tn_streq(tn_config_string(config, "log.format"), "json"));
    struct gateway_options options = {
        .lake = cli_lake(cli), .config = config, .create = true, .ready_file = ready_file};
    return gateway_open(&options, ret, err);
}

enum tn_code cmd_serve(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    if (cli->server_by_flag) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "serve takes no --server: it is one");
        tn_error_hint(err, "choose where it listens by --port and --bind");
        return code;
    }
    const char *port = cli_args_text(args, "port", NULL), *bind = cli_args_text(args, "bind", NULL);
    if (port)
        cli_set(cli, "server.port=%s", port);
    if (bind)
        cli_set(cli, "server.bind=%s", bind);
    TN_TRY(serve_open(cli, cli_args_text(args, "ready-file", NULL), &cli->gateway, err));
    TN_TRY(announce(cli, cli->gateway, err));
    serve_until_signal(cli, cli->gateway);
    return TN_OK;
}
