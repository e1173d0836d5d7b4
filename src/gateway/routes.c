/* Every path, once. The router, /openapi.json and the command line's help are
 * made of this table. To add a route: a row here, a handler in an h_ file, a
 * test in tests/system. */
#include "gateway/gateway_internal.h"

#include <assert.h>
#include <pthread.h>

#define ROUTES_MAX 128

#define STRING  "{\"type\":\"string\"}"
#define INTEGER "{\"type\":\"integer\",\"minimum\":0}"
#define OBJECT  "{\"type\":\"object\"}"
#define LIST_OF(item)                                                                                                \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":" item "},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"

#define SQL_REQUEST                                                                                                  \
    "{\"type\":\"object\",\"required\":[\"sql\"],\"additionalProperties\":false,\"properties\":{"                    \
    "\"sql\":{\"type\":\"string\",\"description\":\"One SELECT in DuckDB's dialect.\"},"                             \
    "\"params\":{\"type\":[\"array\",\"object\",\"null\"],\"description\":\"Values for $1, ? or $name.\"},"          \
    "\"as_of\":{\"type\":[\"string\",\"integer\",\"null\"],\"description\":\"A snapshot id, a time or a tag: the "   \
    "lake as it was.\"},"                                                                                            \
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"Most rows; a longer result is truncated.\"},"   \
    "\"timeout_ms\":{\"type\":\"integer\",\"minimum\":1},"                                                           \
    "\"memory_bytes\":{\"type\":\"integer\",\"minimum\":16777216,\"description\":\"Less memory than sql.memory for " \
    "this query.\"}}}"

#define SQL_RESPONSE                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"columns\",\"rows\",\"row_count\",\"truncated\",\"elapsed_ms\","            \
    "\"snapshots\",\"source\"],\"properties\":{\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"object\","      \
    "\"required\":[\"name\",\"type\"],\"properties\":{\"name\":{\"type\":\"string\"},\"type\":{\"type\":\"string\"}" \
    "}}},"                                                                                                           \
    "\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"array\"}},\"row_count\":{\"type\":[\"integer\",\"string\"]}" \
    ","                                                                                                              \
    "\"truncated\":{\"type\":\"boolean\"},\"elapsed_ms\":{\"type\":\"number\"},\"snapshots\":{\"type\":\"object\"}," \
    "\"source\":{\"type\":\"object\"},\"kept\":{\"const\":true,\"description\":\"The answer was kept from an equal " \
    "query of the same snapshots; ask with Cache-Control: no-cache to have it computed.\"}}}"

#define SQL_MEDIA                                                                                                    \
    "application/json,application/x-ndjson,text/csv,application/vnd.apache.parquet,application/"                     \
    "vnd.apache.arrow.stream"

#define INGEST_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"dataset\",\"status\",\"rows\",\"rejected_rows\",\"content_hash\","         \
    "\"schema\"],\"properties\":{\"dataset\":{\"type\":\"string\"},\"status\":{\"enum\":[\"ingested\","              \
    "\"unchanged\"]},"                                                                                               \
    "\"rows\":{\"type\":[\"integer\",\"string\"]},\"rejected_rows\":{\"type\":[\"integer\",\"string\"]},"            \
    "\"snapshot_id\":{\"type\":[\"integer\",\"string\",\"null\"]},\"content_hash\":{\"type\":\"string\"},"           \
    "\"schema\":{\"type\":\"array\"},\"warnings\":{\"type\":\"array\"}}}"

#define PATCH_REQUEST                                                                                                \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"owner\":{\"type\":[\"string\",\"null\"]}" \
    ","                                                                                                              \
    "\"description\":{\"type\":[\"string\",\"null\"]},\"auto_embed\":{\"type\":[\"boolean\",\"null\"]},\"tags\":{"   \
    "\"type\":[\"array\",\"null\"],\"items\":{\"type\":"                                                             \
    "\"string\"}},\"sensitivity\":{\"enum\":[\"public\",\"internal\",\"financial\",\"pii\",\"phi\",null]},"          \
    "\"columns\":{\"type\":\"object\"},\"key\":{\"type\":[\"string\",\"array\"]},\"reason\":{\"type\":\"string\"}}}"

#define TOKEN_ITEM                                                                                                   \
    "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"created\"],\"properties\":{\"id\":{\"type\":\"string\"},"  \
    "\"name\":{\"type\":\"string\"},\"created\":{\"type\":\"string\"},\"last_used\":{\"type\":[\"string\",\"null\"]" \
    "}}}"

const struct route_param route_wait_params[1] = {
    {.name = "wait",
     .schema = "{\"type\":\"integer\",\"minimum\":0}",
     .help = "Seconds to wait for the job's end; then its result is the answer."}};
const struct route_param route_reason_params[1] = {
    {.name = "reason", .schema = STRING, .help = "Why; kept in the journal."}};

static const struct route_param login_params[] = {
    {.name = "token", .schema = STRING, .help = "A token, to be exchanged for a cookie."}};
static const struct route_param list_params[] = {
    {.name = "limit", .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}", .help = "Most items; 100."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};
static const struct route_param snapshots_params[] = {
    {.name = "limit",
     .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000}",
     .help = "Most items; 1000."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};
static const struct route_param sample_params[] = {
    {.name = "limit", .schema = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":10000}", .help = "Rows; 20."},
    {.name = "as_of", .schema = STRING, .help = "A snapshot id, a time or a tag."}};
static const struct route_param ingest_params[] = {
    {.name = "dataset", .schema = STRING, .help = "Into which dataset; default: from the source's name."},
    {.name = "source", .schema = STRING, .help = "The file's name, for lineage and the defaults."},
    {.name = "format",
     .schema = "{\"enum\":[\"auto\",\"csv\",\"tsv\",\"json\",\"ndjson\",\"parquet\"]}",
     .help = "Default: found out."},
    {.name = "types",
     .schema = STRING,
     .help = "Types to take instead of those found: zip:text,hired:date:%d/%m/%Y."},
    {.name = "delimiter", .schema = STRING, .help = "One character, or tab."},
    {.name = "header",
     .schema = "{\"enum\":[\"auto\",\"yes\",\"no\"]}",
     .help = "Whether the first line names columns."},
    {.name = "auto_embed",
     .schema = "{\"enum\":[\"true\",\"false\"]}",
     .help = "Whether the dataset's prose is to be searchable by itself, from now on."},
    {.name = "encoding", .schema = STRING, .help = "utf-8, utf-16, latin-1 or windows-1252; default: found out."},
    {.name = "key", .schema = STRING, .help = "The column or columns (a,b) that name a record."},
    {.name = "mode",
     .schema = "{\"enum\":[\"append\",\"replace\",\"upsert\"]}",
     .help = "Default: append. upsert inserts or replaces by key."},
    {.name = "max_rejects", .schema = INTEGER, .help = "Rows that may be rejected before the ingest fails whole."},
    {.name = "reason", .schema = STRING, .help = "Why; kept with the snapshot."},
    {.name = "workspace", .schema = STRING, .help = "For whose work; kept in the journal."}};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/",
     .id = "page",
     .tag = "system",
     .summary = "A page for browsers",
     PARAMS(login_params),
     .media = "text/html",
     .flags = ROUTE_OPEN,
     .handler = h_page},
    {.method = "GET",
     .path = "/login",
     .id = "login",
     .tag = "system",
     .summary = "Exchange the printed link for a cookie",
     .description = "Answers 303 to / with an HttpOnly, SameSite=Strict cookie.",
     PARAMS(login_params),
     .media = "text/html",
     .flags = ROUTE_OPEN,
     .handler = h_login},
    {.method = "GET",
     .path = "/health",
     .id = "health",
     .tag = "system",
     .summary = "Whether the server answers",
     .response = "{\"type\":\"object\",\"required\":[\"status\",\"version\",\"lake\"],\"properties\":{\"status\":"
                 "{\"const\":\"ok\"},\"version\":{\"type\":\"string\"},\"lake\":{\"type\":\"string\"}}}",
     .flags = ROUTE_OPEN | ROUTE_INLINE,
     .handler = h_health},
    {.method = "GET",
     .path = "/metrics",
     .id = "metrics",
     .tag = "system",
     .summary = "Figures for Prometheus",
     .media = "text/plain",
     .handler = h_metrics},
    {.method = "GET",
     .path = "/openapi.json",
     .id = "openapi",
     .tag = "system",
     .summary = "This description",
     .response = OBJECT,
     .flags = ROUTE_OPEN | ROUTE_INLINE,
     .handler = h_openapi},
    {.method = "GET",
     .path = "/system",
     .id = "system",
     .tag = "system",
     .summary = "Memory, disk, and what is running",
     .response = OBJECT,
     .handler = h_system},

    {.method = "POST",
     .path = "/ingest/file",
     .id = "ingestFile",
     .tag = "ingest",
     .summary = "Load a file into a dataset",
     .description = "The body is the file, of any length, or a form with one file. The same bytes with the same "
                    "options into the same dataset change nothing.",
     PARAMS(ingest_params),
     .response = INGEST_RESPONSE,
     .flags = ROUTE_UPLOAD | ROUTE_WRITE,
     .handler = h_ingest_file,
     .start = h_ingest_start},
    {.method = "POST",
     .path = "/ingest/preview",
     .id = "ingestPreview",
     .tag = "ingest",
     .summary = "What loading a file would do",
     .description = "The same input as /ingest/file; writes nothing.",
     PARAMS(ingest_params),
     .response = OBJECT,
     .flags = ROUTE_UPLOAD,
     .handler = h_ingest_preview,
     .start = h_ingest_start},
    {.method = "GET",
     .path = "/ingest/{job}/rejects",
     .id = "ingestRejects",
     .tag = "ingest",
     .summary = "The rows that an ingest rejected",
     .media = "application/x-ndjson",
     .handler = h_ingest_rejects},

    {.method = "POST",
     .path = "/query/sql",
     .id = "querySql",
     .tag = "query",
     .summary = "Ask in SQL",
     .description = "Rows are streamed. When computing them fails after the first byte, JSON ends in a member "
                    "\"error\" and NDJSON in a line with it, and the transfer is cut short.",
     .request = SQL_REQUEST,
     .response = SQL_RESPONSE,
     .media = SQL_MEDIA,
     .flags = ROUTE_JSON | ROUTE_QUERY,
     .handler = h_query_sql},
    {.method = "POST",
     .path = "/query/explain",
     .id = "queryExplain",
     .tag = "query",
     .summary = "The plan of a query",
     .request = SQL_REQUEST,
     .response = "{\"type\":\"object\",\"required\":[\"plan\"],\"properties\":{\"plan\":{\"type\":\"string\"}}}",
     .flags = ROUTE_JSON | ROUTE_QUERY,
     .handler = h_query_explain},
    {.method = "DELETE",
     .path = "/query/{request_id}",
     .id = "queryCancel",
     .tag = "query",
     .summary = "Cancel a running query",
     .description = "By the X-Request-Id of its request.",
     .response = OBJECT,
     .handler = h_query_cancel},

    {.method = "GET",
     .path = "/catalog/datasets",
     .id = "datasetList",
     .tag = "catalog",
     .summary = "All datasets",
     PARAMS(list_params),
     .response = LIST_OF(OBJECT),
     .handler = h_dataset_list},
    {.method = "GET",
     .path = "/catalog/datasets/{dataset}",
     .id = "datasetGet",
     .tag = "catalog",
     .summary = "Everything known about a dataset",
     .response = OBJECT,
     .handler = h_dataset_get},
    {.method = "PATCH",
     .path = "/catalog/datasets/{dataset}",
     .id = "datasetPatch",
     .tag = "catalog",
     .summary = "Describe a dataset",
     .request = PATCH_REQUEST,
     .response = OBJECT,
     .flags = ROUTE_JSON | ROUTE_WRITE,
     .handler = h_dataset_patch},
    {.method = "DELETE",
     .path = "/catalog/datasets/{dataset}",
     .id = "datasetDrop",
     .tag = "catalog",
     .summary = "Drop a dataset",
     .description = "Its files stay in the store.",
     PARAMS(route_reason_params),
     .request = ROUTE_REASON_REQUEST,
     .response = OBJECT,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_dataset_delete},
    {.method = "GET",
     .path = "/catalog/datasets/{dataset}/snapshots",
     .id = "datasetSnapshots",
     .tag = "catalog",
     .summary = "The versions of a dataset, newest first",
     PARAMS(snapshots_params),
     .response = LIST_OF(OBJECT),
     .handler = h_dataset_snapshots},
    {.method = "GET",
     .path = "/catalog/datasets/{dataset}/sample",
     .id = "datasetSample",
     .tag = "catalog",
     .summary = "Some rows of a dataset",
     PARAMS(sample_params),
     .response = SQL_RESPONSE,
     .media = SQL_MEDIA,
     .flags = ROUTE_QUERY,
     .handler = h_dataset_sample},

    {.method = "GET",
     .path = "/tokens",
     .id = "tokenList",
     .tag = "access",
     .summary = "The tokens of the lake",
     .response = LIST_OF(TOKEN_ITEM),
     .handler = h_token_list},
    {.method = "POST",
     .path = "/tokens",
     .id = "tokenNew",
     .tag = "access",
     .summary = "Make a token",
     .description = "The answer holds the token; nothing will show it again.",
     .request = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":\"string\","
                "\"minLength\":1,\"maxLength\":64},\"reason\":{\"type\":\"string\"}}}",
     .response = "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"token\"],\"properties\":{\"id\":{\"type\":"
                 "\"string\"},\"name\":{\"type\":\"string\"},\"token\":{\"type\":\"string\"}}}",
     .flags = ROUTE_JSON,
     .handler = h_token_add},
    {.method = "DELETE",
     .path = "/tokens/{id}",
     .id = "tokenRevoke",
     .tag = "access",
     .summary = "Revoke a token",
     .response = OBJECT,
     .flags = ROUTE_WRITE,
     .handler = h_token_revoke},

};

/* The parts in one array; made once. */
static struct route all_routes[ROUTES_MAX];
static size_t all_count;
static pthread_once_t all_once = PTHREAD_ONCE_INIT;

static void add_routes(struct route_table part)
{
    assert(all_count + part.count <= ROUTES_MAX);
    memcpy(all_routes + all_count, part.routes, part.count * sizeof *part.routes);
    all_count += part.count;
}

static void join_routes(void)
{
    add_routes((struct route_table){.routes = routes, .count = TN_COUNT(routes)});
    add_routes(gateway_write_routes());
    add_routes(gateway_outcome_routes());
    add_routes(gateway_job_routes());
    add_routes(gateway_document_routes());
    add_routes(gateway_postgres_routes());
    add_routes(gateway_ai_routes());
    add_routes(gateway_search_routes());
    add_routes(gateway_trials_routes());
    add_routes(gateway_version_routes());
    add_routes(gateway_answer_routes());
    add_routes(gateway_ask_routes());
    add_routes(gateway_iceberg_routes());
}

struct route_table gateway_routes(void)
{
    pthread_once(&all_once, join_routes);
    return (struct route_table){.routes = all_routes, .count = all_count};
}

const struct gateway_route_help *gateway_routes_help(struct tn_arena *arena, size_t *ret_count)
{
    const struct route_table all = gateway_routes();
    struct gateway_route_help *help = TN_ARENA_ARRAY(arena, struct gateway_route_help, all.count);
    for (size_t i = 0; i < all.count; i++)
        help[i] = (struct gateway_route_help){all.routes[i].method, all.routes[i].path, all.routes[i].summary};
    *ret_count = all.count;
    return help;
}
