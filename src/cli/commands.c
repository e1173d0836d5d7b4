/* The table of commands: what help, completion and the dispatcher read. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

enum { TEXTS_MAX = 2048 };

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

#define REASON_OPTION                                                                                                \
    {                                                                                                                \
        .name = "reason", .value = "TEXT", .help = "why, for the journal"                                            \
    }

#define WORKSPACE_OPTION                                                                                             \
    {                                                                                                                \
        .name = "workspace", .value = "NAME", .help = "for whose work, for the journal"                              \
    }

static const struct cli_option ingest_items[] = {
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "into this dataset (default: from the file's name)"},
    {.name = "mode", .letter = 'm', .value = "MODE", .help = "append (default), replace or upsert"},
    {.name = "key", .letter = 'k', .value = "COLUMNS", .help = "the columns that identify a row: id or a,b"},
    {.name = "max-rejects", .value = "N", .help = "rows that may fail before the whole file does (default 0)"},
    {.name = "auto-embed",
     .value = "BOOL",
     .help = "true: its prose is to be searchable by itself from now on; or false"},
    {.name = "reason", .value = "TEXT", .help = "why, for the record"},
    WORKSPACE_OPTION,
    {.name = "table", .value = "NAME", .help = "of postgres: this table; may be given again", .repeat = true},
    {.name = "schema", .value = "NAME", .help = "of postgres: the tables' schema; alone: all its tables"},
    {.name = "query", .value = "SELECT", .help = "of postgres: its rows, instead of a table's"},
    {.name = "incremental", .value = "COLUMN", .help = "of postgres: rows beyond where the last run came"},
    {.name = "compare", .help = "of postgres: delete rows that are gone there"},
    {.name = "numeric", .value = "HOW", .help = "of postgres, without a scale: auto, text, double or 18,4"},
    {.name = "password-file", .value = "FILE", .help = "of postgres: its first line; mode 0600"},
    {.name = "background", .help = "of postgres: do not wait for its end"},
    FILE_OPTIONS,
};

static const struct cli_option preview_items[] = {
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "say what this dataset would make of it"},
    FILE_OPTIONS,
};

static const struct cli_option doctor_items[] = {
    {.name = "deep", .help = "read every file of the newest versions too, and hold it against its manifest"},
};

static const struct cli_option index_items[] = {
    {.name = "name", .value = "NAME", .help = "with create: its name (default: the dataset's)"},
    {.name = "columns",
     .letter = 'c',
     .value = "A,B",
     .help = "with create: texts to search (default: those with prose)"},
    {.name = "vector-column", .value = "NAME", .help = "with create: a column of vectors instead of texts"},
    {.name = "model",
     .letter = 'm',
     .value = "NAME",
     .help = "with create: PROVIDER/NAME (default: the default model)"},
    {.name = "chunk", .value = "N", .help = "with create: tokens of a chunk (default: at most 256)"},
    {.name = "overlap", .value = "N", .help = "with create: tokens that chunks share (default: an eighth)"},
    {.name = "backend",
     .value = "NAME",
     .help = "with create: hnsw (in memory) or disk (in its files: little memory)"},
    {.name = "background", .help = "with create: do not wait for its building"},
    {.name = "samples", .value = "N", .help = "with eval: how many queries (default 100); with trial (default 200)"},
    {.name = "k", .letter = 'k', .value = "N", .help = "with eval: how many neighbours (default 10)"},
    {.name = "m", .letter = 'M', .value = "N", .help = "with trial: links of a node (default: as now)"},
    {.name = "ef-construction", .value = "N", .help = "with trial: candidates when building (default: as now)"},
    {.name = "ef", .value = "N", .help = "with trial: candidates when searching; or"},
    {.name = "recall", .value = "SHARE", .help = "with trial: as wide as this recall asks for, as in 0.97"},
    {.name = "code-bits", .value = "N", .help = "with trial: 4 or 8 bits of a number (default: as now)"},
    {.name = "raw", .value = "TYPE", .help = "with trial: f32 or f16 (default: as now)"},
    {.name = "filter", .value = "SQL", .help = "with trials: only those that meet this predicate"},
    {.name = "sort", .value = "COLUMNS", .help = "with trials: as in -recall_at_10,p95_us (default: newest first)"},
    {.name = "force", .help = "with promote: whatever its recall is; needs --reason"},
    {.name = "reason", .value = "TEXT", .help = "with promote and rollback: why, for the record"},
};

static const struct cli_option search_items[] = {
    {.name = "index", .letter = 'i', .value = "NAME", .help = "search this index (default: the only one)"},
    {.name = "dataset", .letter = 'D', .value = "NAMES", .help = "search the newest index of each dataset (a,b)"},
    {.name = "model", .value = "NAME", .help = "search the newest index built with this model"},
    {.name = "count", .letter = 'n', .value = "N", .help = "how many hits (default 10)"},
    {.name = "mode", .letter = 'm', .value = "MODE", .help = "hybrid (default), vector or keyword"},
    {.name = "filter", .letter = 'f', .value = "SQL", .help = "only rows that meet this predicate"},
    {.name = "fusion", .value = "HOW", .help = "blend (default) or rrf"},
    {.name = "per-doc", .help = "one hit of a document at most"},
    {.name = "rows", .help = "print the dataset's rows too"},
    {.name = "explain", .help = "print how it was found, as JSON"},
};

static const struct cli_option rag_items[] = {
    {.name = "index", .letter = 'i', .value = "NAME", .help = "look into this index (default: the only one)"},
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "look into the newest index of this dataset"},
    {.name = "k", .letter = 'k', .value = "N", .help = "how many passages (default 8)"},
    {.name = "model", .letter = 'm', .value = "NAME", .help = "a language model, auto or none"},
    {.name = "filter", .letter = 'f', .value = "SQL", .help = "only rows that meet this predicate"},
    {.name = "rerank", .help = "let the language model order the passages first"},
    {.name = "stream", .help = "print words as they come"},
};
static const struct cli_option answers_items[] = {
    {.name = "limit", .letter = 'n', .value = "N", .help = "the newest so many (default 20)"},
};
static const struct cli_option answer_items[] = {
    {.name = "good", .help = "say that it was a good answer"},
    {.name = "bad", .help = "say that it was not"},
};
static const struct cli_option replay_items[] = {
    {.name = "then", .help = "over the data as they were when it was answered"},
    {.name = "model", .letter = 'm', .value = "NAME", .help = "by another model"},
};

static const struct cli_option ask_items[] = {
    {.name = "model", .value = "NAME", .help = "ask this language model, or auto"},
    {.name = "dataset", .letter = 'D', .value = "NAMES", .help = "read these datasets alone (a,b)"},
    {.name = "limit", .letter = 'n', .value = "N", .help = "most rows (default 100)"},
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
    {.name = "as-of", .value = "MOMENT", .help = "read every dataset as it was: at a time, a snapshot id, a tag"},
    {.name = "timeout", .value = "TIME", .help = "give up after this time: 30s, 5m"},
};

static const struct cli_option datasets_items[] = {
    {.name = "description", .value = "TEXT", .help = "with set: what it holds"},
    {.name = "owner", .value = "NAME", .help = "with set: who answers for it"},
    {.name = "tags", .value = "A,B", .help = "with set: comma separated words"},
    {.name = "sensitivity", .value = "LEVEL", .help = "with set: public, internal, financial, pii or phi"},
    {.name = "auto-embed", .value = "BOOL", .help = "with set: true, false, or \"\" for what the lake says"},
    {.name = "reason", .value = "TEXT", .help = "with set: why, for the journal"},
};

static const struct cli_option rows_items[] = {
    {.name = "key", .letter = 'k', .value = "COLUMNS", .help = "upsert: the key of a dataset that has none yet"},
    {.name = "where", .letter = 'w', .value = "CONDITION", .help = "delete: the rows that meet it"},
    WORKSPACE_OPTION,
    REASON_OPTION,
};

static const struct cli_option journal_items[] = {
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "events of this dataset"},
    {.name = "entity", .letter = 'e', .value = "KEY", .help = "events of the record with this key"},
    {.name = "actor", .value = "NAME", .help = "events by this token's owner"},
    {.name = "operation",
     .value = "WORD",
     .help = "insert, update, delete, ingest, replace, restore, compact, drop, expire, ..."},
    {.name = "since", .value = "TIME", .help = "at this time or later"},
    {.name = "until", .value = "TIME", .help = "before this time"},
    {.name = "limit", .letter = 'n', .value = "N", .help = "how many events (default 50)"},
};

static const struct cli_option ocr_items[] = {
    {.name = "languages", .value = "WORDS", .help = "tesseract's, as eng+deu (default: documents.ocr_languages)"},
    {.name = "wait", .letter = 'w', .help = "until it is done"},
    REASON_OPTION,
};

static const struct cli_option compact_items[] = {
    {.name = "background", .letter = 'b', .help = "as a job: do not wait for its end"},
    REASON_OPTION,
};

static const struct cli_option jobs_items[] = {
    {.name = "state", .value = "STATE", .help = "queued, running, waiting, paused, done, failed or cancelled"},
    {.name = "limit", .letter = 'n', .value = "N", .help = "how many (default 20)"},
    {.name = "priority", .value = "N", .help = "move: from -1000 to 1000; the highest begins first, 0 is usual"},
};

static const struct cli_option outcomes_items[] = {
    {.name = "success", .help = "record: it did well"},
    {.name = "failure", .help = "record: it did not"},
    {.name = "timeout", .help = "record: it took too long (a failure)"},
    {.name = "tokens", .value = "N", .help = "record: tokens that it took"},
    {.name = "cost", .value = "USD", .help = "record: what it cost"},
    {.name = "key", .letter = 'k', .value = "KEY", .help = "record: the same key again is the same outcome"},
    {.name = "at", .value = "TIME", .help = "record: when (default now)"},
    {.name = "min-samples", .value = "N", .help = "leave out models with fewer trials"},
    {.name = "by", .value = "ORDER", .help = "rank: rate (default), bound, cost or tokens"},
    {.name = "threshold", .value = "SHARE", .help = "demote: below this success rate (default 0.5)"},
    {.name = "incumbent", .value = "MODEL", .help = "ab: instead of the best one"},
    {.name = "challenger", .value = "MODEL", .help = "ab: instead of the most promising one"},
    {.name = "since", .value = "TIME", .help = "ab: outcomes from this time on"},
    {.name = "alpha", .value = "P", .help = "ab: significant below this p value (default 0.05)"},
    {.name = "model", .value = "MODEL", .help = "trends: only this one"},
    {.name = "days", .value = "N", .help = "trends: how far back (default 30)"},
    {.name = "output", .letter = 'o', .value = "FILE", .help = "export: write there"},
    {.name = "source", .value = "NAME", .help = "import: whose numbers they are (default: the file's name)"},
    {.name = "dataset", .letter = 'D', .value = "NAME", .help = "import: from this dataset's rows"},
};

static const struct cli_option restore_items[] = {
    {.name = "as-of", .value = "MOMENT", .help = "a time, a snapshot id or a tag"},
    WORKSPACE_OPTION,
    REASON_OPTION,
};

static const struct cli_option tag_items[] = {
    {.name = "as-of", .value = "MOMENT", .help = "which state: a time, a snapshot id or another tag (default: now)"},
    {.name = "move", .help = "a tag that is there already names that state from now on"},
    {.name = "delete", .letter = 'd', .help = "forget the tag"},
    WORKSPACE_OPTION,
    REASON_OPTION,
};

static const struct cli_option expire_items[] = {
    {.name = "older-than", .value = "TIME", .help = "snapshots from before this time"},
    {.name = "keep", .value = "N", .help = "the newest so many stay whatever their age (default 1)"},
    {.name = "preview", .help = "only say what would go"},
    REASON_OPTION,
};

static const struct cli_option sample_items[] = {
    {.name = "limit", .letter = 'n', .value = "N", .help = "how many rows (default 10)"},
    {.name = "mode", .letter = 'm', .value = "MODE", .help = "table, csv, ndjson or json"},
};

static const struct cli_option some_items[] = {
    {.name = "limit", .letter = 'n', .value = "N", .help = "how many at most (default: all)"},
};

static const struct cli_option drop_items[] = {
    {.name = "yes", .letter = 'y', .help = "do not ask"},
    REASON_OPTION,
};

static const struct cli_option demo_items[] = {
    {.name = "scale", .letter = 's', .value = "S", .help = "1 is 2,467,000 rows (default 0.1)"},
    {.name = "seed", .value = "N", .help = "another company (default 1)"},
    {.name = "write-files", .value = "DIR", .help = "only write the CSV and JSON files there"},
    {.name = "no-serve", .help = "load, and do not serve"},
    {.name = "port", .letter = 'p', .value = "N", .help = "TCP port to try first (default server.port)"},
    {.name = "ready-file", .value = "FILE", .help = "write {\"url\",\"token\",\"pid\"} there (0600) once it answers"},
};

static const struct cli_option embed_items[] = {
    {.name = "model",
     .letter = 'm',
     .value = "NAME",
     .help = "PROVIDER/NAME (default: ai.embed.model, else built-in)"},
    {.name = "use", .letter = 'u', .value = "USE", .help = "plain (default), query or document: the model's prefix"},
};

static const struct cli_option reembed_items[] = {
    {.name = "postgres-url", .value = "URL", .help = "postgresql://user@host:5432/db?sslmode=require"},
    {.name = "model", .letter = 'm', .value = "NAME", .help = "PROVIDER/NAME: who makes the new vectors"},
    {.name = "dimension", .value = "N", .help = "what it makes; anything else is refused"},
    {.name = "mode", .value = "MODE", .help = "staged (default): searches go on; in-place: they must not"},
    {.name = "dry-run", .help = "say what would be done; writes and embeds nothing"},
    {.name = "probe", .help = "with --dry-run: measure the model with three texts"},
    {.name = "no-confirm", .help = "do not wait five seconds before the start"},
    {.name = "batch-size", .value = "N", .help = "rows of one call of the model and one write (default 128)"},
    {.name = "drop-hnsw-first",
     .value = "BOOL",
     .help = "drop the index before writing (default true)",
     .optional = true},
    {.name = "concurrent-index",
     .value = "BOOL",
     .help = "build it by CREATE INDEX CONCURRENTLY (default false)",
     .optional = true},
    {.name = "maintenance-work-mem", .value = "SIZE", .help = "of the server's session that builds it: 2GB"},
    {.name = "lock-timeout", .value = "TIME", .help = "of each of six tries for the table's lock (default 10s)"},
    {.name = "with-service", .help = "the lake's server does not search rows from that table meanwhile"},
    {.name = "table", .value = "NAME", .help = "default knowledge_nodes; also SCHEMA.NAME"},
    {.name = "id-column", .value = "NAME", .help = "default id"},
    {.name = "text-column", .value = "NAME", .help = "default content"},
    {.name = "vector-column", .value = "NAME", .help = "default embedding"},
    {.name = "index-name", .value = "NAME", .help = "where there is none yet (idx_knowledge_nodes_embedding_hnsw)"},
    {.name = "registry-table", .value = "NAME", .help = "default embedding_model; made when it is not there"},
    {.name = "password-file", .value = "FILE", .help = "the server's password (chmod 600)"},
    {.name = "index", .value = "NAME", .help = "instead of a table: a version of this index by --model; with that:"},
    {.name = "compare", .help = "the newest version against the one that serves, query by query"},
    {.name = "queries",
     .value = "FILE",
     .help = "with --compare, instead of what was asked: one a line, or {\"query\", \"relevant\": [ids]}"},
    {.name = "k", .letter = 'k', .value = "N", .help = "with --compare: how many hits (default 10)"},
    {.name = "switch",
     .value = "VERSION",
     .help = "searches of the index go to the newest, or this one",
     .optional = true},
    {.name = "rollback", .help = "searches go to the version before"},
};

static const struct cli_option model_items[] = {
    {.name = "name", .value = "NAME", .help = "with import: call it so (default: the folder's name)"},
    {.name = "chat", .help = "with default: the model for answers, not for vectors"},
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
     .arguments = "FILE|FOLDER|ZIP|-... [DATASET] | postgres URL",
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
             "Documents (PDF, DOCX, HTML, Markdown, text, EML, images), zip archives and folders of them become a\n"
             "dataset with one row each, and NAME__pages with one row per page or section.\n\n"
             "`tarn ingest postgres URL` reads tables of a PostgreSQL database, all in one snapshot. The\n"
             "key is the primary key. The password is that of the URL, of --password-file, of PGPASSWORD\n"
             "or of PGPASSFILE; it is kept nowhere. --incremental goes on from where the last run came.\n\n"
             "  tarn ingest resumes/ resumes\n  tarn ingest calls.csv\n  tarn ingest export-*.csv.gz calls "
             "--max-rejects 10\n"
             "  tarn ingest people.csv --types zip:text,hired:date:%d/%m/%Y --key id\n"
             "  pg_dump_rows | tarn ingest - orders --format csv\n"
             "  tarn ingest postgres postgresql://me@db/shop --table orders --incremental updated_at\n"},
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
     .options = CLI_OPTIONS(some_items),
     .help = "  tarn snapshots calls -n 5\n"},
    {.name = "rows",
     .arguments = "append|upsert|patch|delete DATASET [KEY] [ROWS]",
     .min = 1,
     .max = 4,
     .run = cmd_rows,
     .summary = "Append, upsert, change and delete rows",
     .options = CLI_OPTIONS(rows_items),
     .help = "ROWS is JSON: an object, an array of objects, or a file with them (one a line will do);\n"
             "without it they are read from standard input. All rows of a command are written, or none.\n\n"
             "  tarn rows upsert candidates '{\"id\": \"CAND-001\", \"city\": \"Chicago\"}' --key id\n"
             "  tarn rows patch candidates CAND-001 '{\"city\": \"Austin\"}' --reason 'moved'\n"
             "  tarn rows delete candidates CAND-001\n"
             "  tarn rows delete calls --where \"called_at < '2020-01-01'\"\n"},
    {.name = "history",
     .arguments = "DATASET KEY",
     .min = 2,
     .max = 2,
     .run = cmd_history,
     .summary = "Every change of one record, oldest first",
     .options = CLI_OPTIONS(some_items),
     .help = "  tarn history candidates CAND-001\n"},
    {.name = "journal",
     .arguments = "",
     .run = cmd_journal,
     .summary = "Who changed what, newest first",
     .options = CLI_OPTIONS(journal_items),
     .help = "The same events are the SQL table journal.\n\n"
             "  tarn journal --dataset candidates --since 2026-01-31T00:00:00Z\n"
             "  tarn sql -c \"select actor, count(*) from journal group by all\"\n"},
    {.name = "outcomes",
     .arguments = "ACTION [TASK] [MODEL|FILE]",
     .min = 1,
     .max = 3,
     .run = cmd_outcomes,
     .summary = "Remember how models did, and ask who is best",
     .options = CLI_OPTIONS(outcomes_items),
     .help = "Actions: record, rank, demote, ab, trends, dashboard, export, import. The outcomes are also the\n"
             "SQL tables model_outcomes and model_stats.\n\n"
             "  tarn outcomes record execute-task gpt-4o --success --tokens 812 --cost 0.011 --key run-17\n"
             "  tarn outcomes record outcomes.ndjson         (one JSON object a line; - reads stdin)\n"
             "  tarn outcomes rank execute-task --by bound\n"
             "  tarn outcomes ab execute-task --challenger claude-opus --since 2026-11-01T00:00:00Z\n"
             "  tarn outcomes import model-performance.json\n  tarn outcomes import --dataset llm_task_outcomes\n"},
    {.name = "restore",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_restore,
     .summary = "Make a past state the newest one",
     .options = CLI_OPTIONS(restore_items),
     .help = "A new snapshot with the old rows; nothing is destroyed.\n\n"
             "  tarn restore candidates --as-of 2026-01-31T12:00:00Z --reason 'bad import'\n"},
    {.name = "tag",
     .arguments = "DATASET [NAME]",
     .min = 1,
     .max = 2,
     .run = cmd_tag,
     .summary = "Name a state and keep it; list the names",
     .options = CLI_OPTIONS(tag_items),
     .help = "Wherever a moment is asked for, a tag will do: --as-of, AT (VERSION => 'q3'), changes(), restore.\n"
             "Its snapshot is neither thinned nor expired. Without NAME: the tags that there are, and branches.\n\n"
             "  tarn tag candidates q3 --reason 'as reported'\n"
             "  tarn tag candidates before-import --as-of 2026-01-31T12:00:00Z\n"
             "  tarn sql --as-of q3 -c \"select count(*) from candidates\"\n"
             "  tarn tag candidates\n  tarn tag candidates q3 --delete\n"},
    {.name = "ocr",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_ocr,
     .summary = "Read the scanned pages of documents",
     .options = CLI_OPTIONS(ocr_items),
     .help = "A job. Pages that are images (needs_ocr) get the text that tesseract reads in them; an ingest\n"
             "orders it by itself (documents.ocr in tarn.yaml). Needs tesseract-ocr and poppler-utils.\n\n"
             "  tarn ocr resumes --wait\n  tarn ocr letters --languages eng+deu\n"},
    {.name = "compact",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_compact,
     .summary = "Merge small files and applied deletes",
     .options = CLI_OPTIONS(compact_items),
     .help = "The server does it by itself when there is much to merge (upkeep.* in tarn.yaml).\n\n"
             "  tarn compact calls\n  tarn compact calls --background\n"},
    {.name = "jobs",
     .arguments = "[watch|move|pause|resume|cancel|log JOB]",
     .max = 2,
     .run = cmd_jobs,
     .summary = "Long work: list, follow, hold, end it",
     .options = CLI_OPTIONS(jobs_items),
     .help = "A job goes on where it was after a restart of the server. `watch` shows a bar on a terminal,\n"
             "else one JSON object for each change, and ends with it: status 0 when the job is done.\n\n"
             "  tarn jobs\n  tarn jobs watch 0193f0c4-...\n  tarn jobs move 0193f0c4-... --priority 10\n"
             "  tarn jobs cancel 0193f0c4-...\n"},
    {.name = "expire",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_expire,
     .summary = "Forget old snapshots",
     .options = CLI_OPTIONS(expire_items),
     .help = "Their events stay in the journal; a tag keeps a snapshot for ever.\n\n"
             "  tarn expire calls --older-than 2026-01-01T00:00:00Z --keep 10 --preview\n"},
    {.name = "pin",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_pin,
     .summary = "Hold a dataset in memory",
     .help = "Answers are the same, sooner. Needs a running server: tarn serve.\n\n  tarn pin candidates\n"},
    {.name = "unpin",
     .arguments = "DATASET",
     .min = 1,
     .max = 1,
     .run = cmd_unpin,
     .summary = "Let a dataset's copy in memory go",
     .help = "  tarn unpin candidates\n"},
    {.name = "index",
     .arguments =
         "create DATASET | list | show|drop|eval|fold|trial|trials|rollback|generations NAME | promote NAME TRIAL",
     .min = 1,
     .max = 3,
     .run = cmd_index,
     .summary = "Indexes: a dataset's texts, to be searched",
     .options = CLI_OPTIONS(index_items),
     .help = "`create` cuts texts into chunks, embeds them and follows the dataset from then on. `eval`\n"
             "measures recall against exact search. `trial` builds a generation with other parameters beside\n"
             "the one that serves and measures both; `promote` lets it serve, unless it finds less; `rollback`\n"
             "puts the generation before back.\n\n"
             "  tarn index create candidates --columns summary,skills\n  tarn index list\n"
             "  tarn index eval candidates --samples 200\n"
             "  tarn index trial candidates --m 24 --ef-construction 300 --recall 0.97\n"
             "  tarn index trials candidates --sort=-recall_at_10,p95_us\n  tarn index promote candidates 3\n"},
    {.name = "search",
     .arguments = "TEXT",
     .min = 1,
     .max = 1,
     .run = cmd_search,
     .summary = "Search by words and meaning",
     .options = CLI_OPTIONS(search_items),
     .help = "Words are joined by OR; \"a phrase\", begin*, AND, OR, NOT mean what they say.\n\n"
             "  tarn search 'somebody for a Kubernetes migration' --filter \"city = 'Chicago'\"\n"
             "  tarn search 'java AND spring NOT junior' --mode keyword --rows\n"},
    {.name = "rag",
     .arguments = "QUESTION",
     .min = 1,
     .max = 1,
     .run = cmd_rag,
     .summary = "Answer a question from texts, with citations",
     .options = CLI_OPTIONS(rag_items),
     .help = "The best passages of an index go to a language model; what it cites is held against them.\n"
             "Without a language model the passages' own sentences are the answer. When nothing found\n"
             "supports an answer, there is none and the reason is told.\n\n"
             "  tarn rag 'Who has moved services to Kubernetes?' --dataset candidates --stream\n"
             "  tarn rag 'What is the notice period?' --index contracts --model none\n"},
    {.name = "answers",
     .arguments = "",
     .run = cmd_answers,
     .summary = "List the answers that were given",
     .options = CLI_OPTIONS(answers_items),
     .help = "Each answer of rag and ask is kept with what made it.\n\n  tarn answers --limit 5\n"},
    {.name = "answer",
     .arguments = "ID",
     .min = 1,
     .max = 1,
     .run = cmd_answer,
     .summary = "Show one answer with all that made it, or judge it",
     .options = CLI_OPTIONS(answer_items),
     .help = "What you say of it counts as one trial more of its model.\n\n"
             "  tarn answer 0193f0c4-...\n  tarn answer 0193f0c4-... --good\n"},
    {.name = "replay",
     .arguments = "ID",
     .min = 1,
     .max = 1,
     .run = cmd_replay,
     .summary = "Ask the same again and say what changed",
     .options = CLI_OPTIONS(replay_items),
     .help = "Over the data as they are now, or with --then as they were, so that only the model differs.\n\n"
             "  tarn replay 0193f0c4-...\n  tarn replay 0193f0c4-... --then --model ollama/qwen2.5:7b\n"},
    {.name = "ask",
     .arguments = "QUESTION",
     .min = 1,
     .max = 1,
     .run = cmd_ask,
     .summary = "Answer a question from tables, by SQL",
     .options = CLI_OPTIONS(ask_items),
     .help = "A language model writes one SELECT; it is judged as any query is, run, and shown with\n"
             "its rows and a sentence. SQL that does more than read is refused and shown.\n\n"
             "  tarn ask 'Which recruiters made the most calls last month?'\n"
             "  tarn ask 'How many placements run now?' --dataset placements --model auto\n"},
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
    {.name = "embed",
     .arguments = "[TEXT...|-]",
     .max = TEXTS_MAX,
     .run = cmd_embed,
     .summary = "Texts to vectors",
     .options = CLI_OPTIONS(embed_items),
     .help = "One JSON array a text, in their order; without a text, the lines of standard input. The\n"
             "built-in model needs no network.\n\n"
             "  tarn embed 'a tarn is a lake in the mountains'\n"
             "  tarn embed --use query --model ollama/nomic-embed-text < questions.txt > questions.ndjson\n"},
    {.name = "reembed",
     .arguments = "",
     .run = cmd_reembed,
     .summary = "Vectors of a pgvector table, or of an index, by another model",
     .options = CLI_OPTIONS(reembed_items),
     .help = "Encodes every text of a table of PostgreSQL with another model, and builds its HNSW index again.\n"
             "Staged, searches go on in the old vectors until one transaction switches to the new ones; in\n"
             "place, the table holds both for as long as it takes: do not serve searches then. When it is\n"
             "interrupted, run it again: it goes on where it was. reembed.* in tarn.yaml name the table.\n\n"
             "With --index, an index of the lake is built by another model beside the one that serves, compared\n"
             "with it, switched to, and switched back.\n\n"
             "  tarn reembed --postgres-url postgresql://localhost/app --model builtin/all-MiniLM-L6-v2 \\\n"
             "       --dimension 384 --dry-run\n"
             "  tarn reembed --postgres-url postgresql://localhost/app --model ollama/nomic-embed-text \\\n"
             "       --dimension 768 --table docs --text-column body --registry-table docs_model\n"},
    {.name = "model",
     .arguments = "list | providers | import DIR | default NAME | accept NAME",
     .min = 1,
     .max = 2,
     .run = cmd_model,
     .summary = "Models: what is there, imports, the default",
     .options = CLI_OPTIONS(model_items),
     .help = "`import` makes a built-in model of a downloaded folder of the BERT family (MiniLM, bge, e5,\n"
             "gte): config.json, vocab.txt, model.safetensors. `accept` takes a model that changed behind\n"
             "its name as it is now. ai.* keys in tarn.yaml name model servers.\n\n"
             "  tarn model list\n  tarn model import bge-small-en-v1.5\n"
             "  tarn model default ollama/nomic-embed-text\n"
             "  tarn model default ollama/qwen2.5:7b --chat\n"},
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
