/* Help from the tables, for terminals and as a man page. */
#include "cli/cli.h"

#include <string.h>

static const char *bold(const struct cli *cli)
{
    return cli->term.colour_out ? "\033[1m" : "";
}

static const char *normal(const struct cli *cli)
{
    return cli->term.colour_out ? "\033[0m" : "";
}

static void put_options(const struct cli_options *options, struct tn_buf *out)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct cli_option *option = &options->items[i];
        size_t at = out->len;
        if (option->letter)
            tn_buf_printf(out, "  -%c, --%s", option->letter, option->name);
        else
            tn_buf_printf(out, "      --%s", option->name);
        if (option->value)
            tn_buf_printf(out, option->optional ? "[=%s]" : " %s", option->value);
        size_t width = out->len - at;
        tn_buf_printf(out, "%*s%s\n", width < 28 ? (int)(28 - width) : 2, "", option->help);
    }
}

void cli_help_overview(const struct cli *cli, struct tn_buf *out)
{
    size_t count;
    const struct cli_command *commands = cli_commands(&count);
    tn_buf_printf(out,
                  "Tarn %s: a lakehouse in one binary.\n\n"
                  "%starn%s [OPTIONS] COMMAND [ARGUMENTS]\n\n"
                  "%sCommands%s\n",
                  TARN_VERSION, bold(cli), normal(cli), bold(cli), normal(cli));
    for (size_t i = 0; i < count; i++)
        if (commands[i].summary)
            tn_buf_printf(out, "  %s%-10s%s %s\n", bold(cli), commands[i].name, normal(cli), commands[i].summary);
    tn_buf_printf(out, "\n%sOptions of every command%s\n", bold(cli), normal(cli));
    put_options(&cli_global_options, out);
    tn_buf_printf(out,
                  "\n%sStart here%s\n"
                  "  tarn demo staffing              a lake with seven tables to play with\n"
                  "  tarn init && tarn ingest FILE   a lake of your own\n"
                  "  tarn sql                        questions\n"
                  "  tarn help COMMAND               more about one command\n\n"
                  "Environment: TARN_LAKE, TARN_SERVER, TARN_TOKEN, NO_COLOR, and TARN_<KEY> for each key of\n"
                  "`tarn config show`. Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no server\n"
                  "reachable.\n",
                  bold(cli), normal(cli));
}

/* What a command does over HTTP, for those who want to do it themselves: the
 * first words of a route; the gateway's table has the rest. */
static const struct {
    const char *command, *method, *path;
} doors[] = {
    {"ingest", "POST", "/ingest/file"},        {"preview", "POST", "/ingest/preview"},
    {"rejects", "GET", "/ingest/{"},           {"sql", "POST", "/query/sql"},
    {"datasets", "GET", "/catalog/datasets"},  {"describe", "GET", "/catalog/datasets/{"},
    {"sample", "GET", "/catalog/datasets/{"},  {"snapshots", "GET", "/catalog/datasets/{"},
    {"drop", "DELETE", "/catalog/datasets/{"}, {"token", "POST", "/tokens"},
};

/* "/catalog/datasets/{" means the template itself for describe and drop, and
 * the one that ends in the command's name for the others. */
static bool is_door(size_t at, const struct gateway_route_help *route)
{
    size_t length = strlen(doors[at].path);
    if (!tn_streq(route->method, doors[at].method) || !tn_str_starts_with(route->path, doors[at].path))
        return false;
    if (doors[at].path[length - 1] != '{')
        return route->path[length] == '\0';
    const char *rest = strchr(route->path + length, '/');
    return rest ? tn_streq(rest + 1, doors[at].command)
                : route->path[strlen(route->path) - 1] == '}' &&
                      (tn_streq(doors[at].command, "describe") || tn_streq(doors[at].command, "drop"));
}

static void put_doors(const struct cli *cli, const struct cli_command *command, struct tn_buf *out)
{
    size_t count;
    const struct gateway_route_help *routes = gateway_routes_help(cli->arena, &count);
    for (size_t i = 0; i < TN_COUNT(doors); i++)
        for (size_t r = 0; tn_streq(doors[i].command, command->name) && r < count; r++)
            if (is_door(i, &routes[r]))
                tn_buf_printf(out, "\nOver HTTP: %s %s (%s; /openapi.json of a server has all)\n", routes[r].method,
                              routes[r].path, routes[r].summary);
}

void cli_help_command(const struct cli *cli, const struct cli_command *command, struct tn_buf *out)
{
    tn_buf_printf(out, "%starn %s%s%s%s\n%s\n", bold(cli), command->name, normal(cli),
                  command->arguments[0] ? " " : "", command->arguments, command->summary ? command->summary : "");
    if (command->help)
        tn_buf_printf(out, "\n%s", command->help);
    if (command->options.count > 0) {
        tn_buf_printf(out, "\n%sOptions%s\n", bold(cli), normal(cli));
        put_options(&command->options, out);
    }
    tn_buf_printf(out, "\n%sOptions of every command%s\n", bold(cli), normal(cli));
    put_options(&cli_global_options, out);
    put_doors(cli, command, out);
}

/* ---- man page -------------------------------------------------------------------- */

static void put_roff(struct tn_buf *out, const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            tn_buf_puts(out, "\\&");
        line_start = *text == '\n';
        if (*text == '\\')
            tn_buf_puts(out, "\\e");
        else if (*text == '-')
            tn_buf_puts(out, "\\-");
        else
            tn_buf_putc(out, *text);
    }
}

static void put_roff_options(struct tn_buf *out, const struct cli_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct cli_option *option = &options->items[i];
        tn_buf_puts(out, ".TP\n.B ");
        if (option->letter)
            tn_buf_printf(out, "\\-%c, ", option->letter);
        tn_buf_puts(out, "\\-\\-");
        put_roff(out, option->name);
        if (option->value) {
            tn_buf_puts(out, option->optional ? "\\fR=\\fI" : "\\fR \\fI");
            put_roff(out, option->value);
            tn_buf_puts(out, "\\fR");
        }
        tn_buf_putc(out, '\n');
        put_roff(out, option->help);
        tn_buf_putc(out, '\n');
    }
}

static void put_roff_command(struct tn_buf *out, const struct cli_command *command)
{
    tn_buf_printf(out, ".SS \"tarn %s", command->name);
    if (command->arguments[0]) {
        tn_buf_putc(out, ' ');
        put_roff(out, command->arguments);
    }
    tn_buf_puts(out, "\"\n");
    put_roff(out, command->summary);
    tn_buf_puts(out, ".\n");
    if (command->help) {
        tn_buf_puts(out, ".PP\n.nf\n");
        put_roff(out, command->help);
        tn_buf_puts(out, ".fi\n");
    }
    put_roff_options(out, &command->options);
}

void cli_help_man(struct tn_buf *out)
{
    size_t count;
    const struct cli_command *commands = cli_commands(&count);
    tn_buf_printf(out,
                  ".\\\" Written by `tarn help --man` from the table of commands.\n"
                  ".TH TARN 1 \"\" \"tarn %s\" \"Tarn\"\n"
                  ".SH NAME\ntarn \\- a lakehouse in one binary\n"
                  ".SH SYNOPSIS\n.B tarn\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n"
                  ".SH DESCRIPTION\n"
                  "Takes messy files, keeps them as Apache Iceberg tables that other engines read as they lie,\n"
                  "and answers SQL over HTTP and from the command line. Every command talks to the server of\n"
                  "the lake, or works without one.\n"
                  ".SH OPTIONS OF EVERY COMMAND\n",
                  TARN_VERSION);
    put_roff_options(out, &cli_global_options);
    tn_buf_puts(out, ".SH COMMANDS\n");
    for (size_t i = 0; i < count; i++)
        if (commands[i].summary)
            put_roff_command(out, &commands[i]);
    tn_buf_puts(
        out,
        ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nRefused or failed.\n.TP\n2\nWrong usage or configuration.\n"
        ".TP\n3\nThe server is not reachable.\n"
        ".SH ENVIRONMENT\n.TP\n.B TARN_LAKE\nThe lake's folder.\n.TP\n.B TARN_SERVER\nThe server's address.\n"
        ".TP\n.B TARN_TOKEN\nThe token to show to it.\n.TP\n.B TARN_CA_FILE\nCertificates that vouch for a\n"
        "server with TLS.\n.TP\n.B NO_COLOR\nNo colours when set.\n.TP\n.B XDG_STATE_HOME\nWhere the shell keeps\n"
        "its history.\n"
        ".SH FILES\n.TP\n.I tarn.yaml\nIn the lake: its configuration.\n");
}
