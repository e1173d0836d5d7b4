/* The table of commands: what help, completion and the dispatcher read. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

static const struct cli_option global_items[] = {
    {.name = "lake",
     .letter = 'L',
     .value = "DIR",
     .help = "the lake's folder (default: TARN_LAKE, else ., else ./lake)"},
    {.name = "server",
     .letter = 'S',
     .value = "URL",
     .help = "talk to this server (default: TARN_SERVER, else the lake's)"},
    {.name = "json", .letter = 'j', .help = "results as JSON, one object a line; errors as JSON too"},
    {.name = "set", .value = "KEY=VALUE", .help = "set a configuration key for this run", .repeat = true},
    {.name = "quiet", .letter = 'q', .help = "no remarks and no progress"},
    {.name = "version", .letter = 'V', .help = "print the version"},
    {.name = "help", .letter = 'h', .help = "print help"},
};
const struct cli_options cli_global_options = CLI_OPTIONS(global_items);

static const struct cli_option serve_items[] = {
    {.name = "port", .letter = 'p', .value = "N", .help = "TCP port; 0 takes a free one (server.port)"},
    {.name = "bind", .letter = 'b', .value = "ADDRESS", .help = "address to listen on (server.bind)"},
    {.name = "ready-file", .value = "FILE", .help = "write {\"url\",\"token\",\"pid\"} there (0600) once it answers"},
};

#define FILE_OPTIONS                                                                                                 \
    {.name = "types", .letter = 't', .value = "LIST", .help = "column types: zip:text,hired:date:%d/%m/%Y"},         \
        {.name = "format", .letter = 'f', .value = "FORMAT", .help = "auto, csv, tsv, json, ndjson or parquet"},     \
        {.name = "delimiter", .letter = 'd', .value = "C", .help = "one character, or tab"},                         \
        {.name = "header", .value = "WHEN", .help = "auto, yes or no: whether the first line holds names"},          \
        {.name = "encoding", .value = "NAME", .help = "auto, utf-8, utf-16, latin-1 or windows-1252"},               \
    {                                                                                                                \
        .name = "source", .value = "NAME", .help = "name to remember as the source (default: the file's)"            \
    }

static const struct cli_option ingest_items[] = {
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "into this dataset (default: from the file's name)"},
    {.name = "mode", .letter = 'm', .value = "MODE", .help = "append (default) or replace"},
    {.name = "key", .letter = 'k', .value = "COLUMNS", .help = "the columns that identify a row: id or a,b"},
    {.name = "max-rejects", .value = "N", .help = "rows that may fail before the whole file does (default 0)"},
    {.name = "reason", .value = "TEXT", .help = "why, for the record"},
    FILE_OPTIONS,
};

static const struct cli_option preview_items[] = {
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "say what this dataset would make of it"},
    FILE_OPTIONS,
};

static const struct cli_option doctor_items[] = {
    {.name = "deep", .help = "read every file of the newest versions too, and hold it against its manifest"},
};

static const struct cli_option sql_items[] = {
    {.name = "command", .letter = 'c', .value = "SQL", .help = "run this and end"},
    {.name = "mode",
     .letter = 'm',
     .value = "MODE",
     .help = "table, csv, ndjson or json (default: table on a terminal, else csv)"},
    {.name = "output", .letter = 'o', .value = "FILE", .help = "write results to FILE"},
    {.name = "limit", .letter = 'n', .value = "N", .help = "at most N rows"},
    {.name = "param",
     .letter = 'p',
     .value = "VALUE",
     .help = "value for the next ? or $1 of the statement",
     .repeat = true},
    {.name = "as-of", .value = "TIME", .help = "read every dataset as it was then (or at a snapshot)"},
    {.name = "timeout", .value = "TIME", .help = "give up after this time: 30s, 5m"},
};

static const struct cli_option datasets_items[] = {
    {.name = "description", .value = "TEXT", .help = "with set: what it holds"},
    {.name = "owner", .value = "NAME", .help = "with set: who answers for it"},
    {.name = "tags", .value = "A,B", .help = "with set: comma separated words"},
    {.name = "sensitivity", .value = "LEVEL", .help = "with set: public, internal, financial, pii or phi"},
};

static const struct cli_option sample_items[] = {
    {.name = "limit", .letter = 'n', .value = "N", .help = "how many rows (default 10)"},
    {.name = "mode", .letter = 'm', .value = "MODE", .help = "table, csv, ndjson or json"},
};

static const struct cli_option drop_items[] = {
    {.name = "yes", .letter = 'y', .help = "do not ask"},
};

static const struct cli_option demo_items[] = {
    {.name = "scale", .letter = 's', .value = "S", .help = "1 is 2,467,000 rows (default 0.1)"},
    {.name = "seed", .value = "N", .help = "another company (default 1)"},
    {.name = "write-files", .value = "DIR", .help = "only write the CSV and JSON files there"},
    {.name = "no-serve", .help = "load, and do not serve"},
    {.name = "port", .letter = 'p', .value = "N", .help = "TCP port to try first (default server.port)"},
    {.name = "ready-file", .value = "FILE", .help = "write {\"url\",\"token\",\"pid\"} there (0600) once it answers"},
};

static const struct cli_option help_items[] = {
    {.name = "man", .help = "the whole manual as roff"},
};

static const struct cli_command commands[] = {
    {.name = "init",
     .arguments = "[DIR]",
     .max = 1,
     .run = cmd_init,
     .summary = "Make a new lake",
     .help = "Makes the folders of a lake in DIR (default: --lake, else ./lake) and a tarn.yaml that\n"
             "explains itself. A lake that is there already is left as it is.\n\n"
             "  tarn init\n  tarn init /data/lake\n"},
    {.name = "serve",
     .arguments = "",
     .run = cmd_serve,
     .summary = "Serve the lake over HTTP",
     .options = CLI_OPTIONS(serve_items),
     .help = "Answers on loopback until Ctrl-C or SIGTERM; running requests then have server.drain to\n"
             "end. The first start makes a token and prints a link with it; `tarn token new` makes more.\n"
             "Other commands find this server by themselves.\n\n"
             "  tarn serve\n  tarn serve --port 0 --ready-file ready.json   (for scripts)\n"},
    {.name = "ingest",
     .arguments = "FILE|FOLDER|-... [DATASET]",
     .min = 1,
     .max = 4096,
     .run = cmd_ingest,
     .summary = "Bring files into the lake",
     .options = CLI_OPTIONS(ingest_items),
     .help = "CSV, TSV, JSON (array or lines) and Parquet, also as .gz or .zst; - is standard input. A\n"
             "last argument that is no file is the dataset's name; of a folder, every data file goes in.\n"
             "The whole file is considered before a column gets a type other than text. The same bytes\n"
             "again are \"unchanged\" and write nothing. Rows that do not fit are never dropped in silence:\n"
             "see `tarn rejects`.\n\n"
             "  tarn ingest calls.csv\n  tarn ingest export-*.csv.gz calls --max-rejects 10\n"
             "  tarn ingest people.csv --types zip:text,hired:date:%d/%m/%Y --key id\n"
             "  pg_dump_rows | tarn ingest - orders --format csv\n"},
    {.name = "preview",
     .arguments = "FILE|-",
     .min = 1,
     .max = 1,
     .run = cmd_preview,
     .summary = "Show what ingest would make of a file",
     .options = CLI_OPTIONS(preview_items),
     .help = "Detected format, columns with types, the first rows, warnings. Writes nothing.\n\n"
             "  tarn preview export.csv\n"},
    {.name = "sql",
     .arguments = "[FILE|-]",
     .max = 1,
     .run = cmd_sql,
     .summary = "Ask questions in SQL",
     .options = CLI_OPTIONS(sql_items),
     .help = "One statement or several from -c, from a file, from standard input; on a terminal without\n"
             "either, a shell with history and completion (.help there). SELECT only, in DuckDB's\n"
             "dialect. On a terminal results are tables, otherwise CSV, or one JSON object a row with\n"
             "--json; large results stream.\n\n"
             "  tarn sql -c 'select city, count(*) from candidates group by all order by 2 desc'\n"
             "  tarn sql -c 'select * from calls where agent = ?' --param Ann\n"
             "  tarn sql report.sql > report.csv\n"},
    {.name = "datasets",
     .arguments = "[set DATASET]",
     .max = 2,
     .run = cmd_datasets,
     .summary = "List datasets, or describe one for others",
     .options = CLI_OPTIONS(datasets_items),
     .help = "`set` records who owns a dataset, what it holds, tags and sensitivity; \"\" removes.\n\n"
             "  tarn datasets\n  tarn datasets set calls --description 'phone system export' --tags phone,raw\n"},
    {.name = "describe",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_describe,
     .summary = "Columns, size, lineage of a dataset",
     .help = "  tarn describe calls\n"},
    {.name = "sample",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_sample,
     .summary = "Some rows of a dataset",
     .options = CLI_OPTIONS(sample_items),
     .help = "  tarn sample calls -n 3\n"},
    {.name = "snapshots",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_snapshots,
     .summary = "The versions of a dataset, newest first",
     .help = "  tarn snapshots calls\n"},
    {.name = "drop",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_drop,
     .summary = "Forget a dataset",
     .options = CLI_OPTIONS(drop_items),
     .help = "The dataset leaves the catalog; its files stay in the lake's folder. Asks first on a\n"
             "terminal; elsewhere --yes is needed.\n\n  tarn drop old_calls --yes\n"},
    {.name = "rejects",
     .arguments = "INGEST",
     .min = 1,
     .max = 1,
     .run = cmd_rejects,
     .summary = "The rows that an ingest refused, and why",
     .help = "INGEST is the id that `tarn ingest` printed.\n\n  tarn rejects 0193f0c4-... > refused.csv\n"},
    {.name = "doctor",
     .arguments = "",
     .run = cmd_doctor,
     .summary = "Examine the lake and say what to do",
     .help = "Disk space, permissions, the lock, configuration, every table's health, leftover files, the\n"
             "clock. Exit status 1 when something needs doing.\n\n  tarn doctor\n  tarn doctor --deep\n",
     .options = CLI_OPTIONS(doctor_items)},
    {.name = "config",
     .arguments = "show|check",
     .min = 1,
     .max = 1,
     .run = cmd_config,
     .summary = "Show or check the configuration",
     .help = "`show` prints each key, its value and where that came from. A key is set by tarn.yaml in the\n"
             "lake, by the environment (TARN_SERVER_PORT), by --set, in that order.\n\n"
             "  tarn config show\n  tarn config check --set sql.memory=4GB\n"},
    {.name = "token",
     .arguments = "new [NAME] | list | revoke ID",
     .min = 1,
     .max = 2,
     .run = cmd_token,
     .summary = "Make, list and revoke access tokens",
     .help = "A token is shown once, when it is made; the lake keeps a hash of it.\n\n"
             "  tarn token new laptop\n  tarn token list\n  tarn token revoke 3f9a0c21\n"},
    {.name = "demo",
     .arguments = "[staffing]",
     .max = 1,
     .run = cmd_demo,
     .summary = "A lake to play with",
     .options = CLI_OPTIONS(demo_items),
     .help = "Makes ./demo-lake (or --lake), loads the seven tables of a staffing company through the real\n"
             "ingest, serves, and prints a link and three commands to try. A second run finds the tables\n"
             "loaded.\n\n  tarn demo staffing\n  tarn demo staffing --scale 1 --no-serve\n"
             "  tarn demo staffing --write-files /tmp/csv\n"},
    {.name = "version", .arguments = "", .run = cmd_version, .summary = "Print the version"},
    {.name = "help",
     .arguments = "[COMMAND]",
     .max = 1,
     .run = cmd_help,
     .summary = "Explain a command",
     .options = CLI_OPTIONS(help_items)},
    {.name = "__complete", .arguments = "", .max = 4096, .run = cmd_complete},
};

const struct cli_command *cli_commands(size_t *ret_count)
{
    *ret_count = TN_COUNT(commands);
    return commands;
}

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(commands); i++)
        if (tn_streq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

enum tn_code cmd_version(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    (void)args;
    TN_AUTO_BUF text = {0};
    tn_buf_puts(&text, cli->json ? "{\"version\":\"" TARN_VERSION "\"}\n" : "tarn " TARN_VERSION "\n");
    return cli_print(cli, &text, err);
}

enum tn_code cmd_help(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    if (cli_args_has(args, "man")) {
        cli_help_man(&text);
    } else if (args->word_count == 0) {
        cli_help_overview(cli, &text);
    } else {
        const struct cli_command *command = cli_command_find(args->words[0]);
        if (!command)
            return tn_fail(err, TN_EUSAGE, "there is no command \"%s\"", args->words[0]);
        cli_help_command(cli, command, &text);
    }
    return cli_print(cli, &text, err);
}

/* ---- words for the shells' completion ---------------------------------------------- */

static void put_matching(struct tn_buf *out, const char *prefix, const char *word)
{
    if (tn_str_starts_with(word, prefix))
        tn_buf_printf(out, "%s\n", word);
}

static void put_options_matching(struct tn_buf *out, const char *prefix, const struct cli_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        TN_AUTO_FREE char *name = tn_asprintf("--%s", options->items[i].name);
        put_matching(out, prefix, name);
    }
}

/* Names of datasets, when a server runs that can be asked in no time. */
static void put_datasets_matching(struct cli *cli, struct tn_buf *out, const char *prefix)
{
    char *url = NULL, *token = NULL;
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    TN_AUTO_JSON *items = NULL;
    if (gateway_find(cli_lake(cli), cli->arena, &url, &token, NULL) != TN_OK ||
        client_new(url, cli->token ? cli->token : token, &client, NULL) != TN_OK ||
        cli_fetch_items(client, cli->arena, "/catalog/datasets", &items, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(items, i), "name"));
        put_matching(out, prefix, name ? name : "");
    }
}

static void put_words_matching(struct cli *cli, const struct cli_command *command, struct tn_buf *out,
                               const char *prefix)
{
    static const char *const fixed[][4] = {
        {"config", "show", "check"}, {"token", "new", "list", "revoke"}, {"demo", "staffing"}, {"datasets", "set"}};
    for (size_t i = 0; i < TN_COUNT(fixed); i++)
        for (size_t k = 1; k < 4 && tn_streq(command->name, fixed[i][0]) && fixed[i][k]; k++)
            put_matching(out, prefix, fixed[i][k]);
    static const char *const with_dataset[] = {"describe", "sample", "snapshots", "drop", "datasets"};
    for (size_t i = 0; i < TN_COUNT(with_dataset); i++)
        if (tn_streq(command->name, with_dataset[i]))
            put_datasets_matching(cli, out, prefix);
    size_t count;
    const struct cli_command *all = cli_commands(&count);
    for (size_t i = 0; tn_streq(command->name, "help") && i < count; i++)
        if (all[i].summary)
            put_matching(out, prefix, all[i].name);
}

/* `tarn __complete WORD...`: the words of the line so far, the last of them
 * unfinished; answers one candidate a line. */
enum tn_code cmd_complete(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *prefix = args->word_count ? args->words[args->word_count - 1] : "";
    const struct cli_command *command = NULL;
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i + 1 < args->word_count && !command; i++) {
        if (tn_streq(args->words[i], "--lake") && i + 2 < args->word_count)
            cli->lake_flag = args->words[i + 1];
        command = cli_command_find(args->words[i]);
    }
    if (prefix[0] == '-') {
        if (command)
            put_options_matching(&text, prefix, &command->options);
        put_options_matching(&text, prefix, &cli_global_options);
    } else if (command) {
        put_words_matching(cli, command, &text, prefix);
    } else {
        size_t count;
        const struct cli_command *all = cli_commands(&count);
        for (size_t i = 0; i < count; i++)
            if (all[i].summary)
                put_matching(&text, prefix, all[i].name);
    }
    return cli_print(cli, &text, err);
}
