/* The route of tables of PostgreSQL. */
#include "gateway/gateway_internal.h"

#define STRING "{\"type\":\"string\"}"
#define NUMBER "{\"type\":[\"integer\",\"string\"]}"
#define ID     "{\"type\":[\"integer\",\"string\",\"null\"]}"
#define TEXT   "{\"type\":[\"string\",\"null\"]}"

#define POSTGRES_REQUEST                                                                                             \
    "{\"type\":\"object\",\"required\":[\"url\"],\"additionalProperties\":false,\"properties\":{\"url\":{\"type\":"  \
    "\"string\",\"description\":\"postgresql://USER@HOST:PORT/DATABASE?sslmode=require\"},\"password\":{"            \
    "\"type\":\"string\",\"description\":\"Kept in memory for this job alone.\"},\"secret\":{\"type\":\"string\","   \
    "\"description\":\"A file of the lake's folder secrets (mode 0600) whose first line is the password.\"},"        \
    "\"tables\":{\"type\":\"array\",\"items\":" STRING                                                               \
    ",\"maxItems\":10000},\"schema\":{\"type\":\"string\",\"description\":\"Of the tables; alone: all "              \
    "its tables.\"},\"query\":{\"type\":\"string\",\"description\":\"One SELECT, instead of tables.\"},\"dataset\":" \
    "{\"type\":\"string\",\"description\":\"For one table (default: its name) or the query.\"},\"key\":{\"type\":"   \
    "\"string\",\"description\":\"Columns, by commas; default the primary key; none: no key.\"},\"incremental\":{"   \
    "\"type\":\"string\",\"description\":\"Only rows whose column is beyond where the last run came.\"},"            \
    "\"numeric\":{\"type\":\"string\",\"description\":\"numeric without a scale: auto, text, double, or 18,4.\"},"   \
    "\"mode\":{\"type\":\"string\",\"enum\":[\"append\",\"replace\",\"upsert\"]},\"compare\":{\"type\":"             \
    "\"boolean\",\"description\":\"Delete rows whose key is not there any more.\"},\"reason\":" STRING "}}"

#define POSTGRES_RESPONSE                                                                                            \
    "{\"type\":\"object\",\"required\":[\"source\",\"server_version\",\"snapshot\",\"ingest_id\",\"tables\"],"       \
    "\"properties\":{\"source\":" STRING ",\"server_version\":" STRING ",\"snapshot\":" STRING                       \
    ",\"ingest_id\":" STRING                                                                                         \
    ",\"tables\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"table\",\"dataset\",\"status\"," \
    "\"mode\",\"rows\",\"schema\",\"warnings\"],\"properties\":{\"table\":" STRING ",\"dataset\":" STRING            \
    ",\"status\":{\"enum\":[\"ingested\",\"unchanged\"]},\"mode\":" STRING ",\"rows\":" NUMBER                       \
    ",\"inserted\":" NUMBER ",\"updated\":" NUMBER ",\"unchanged\":" NUMBER ",\"deleted\":" NUMBER                   \
    ",\"bytes\":" NUMBER ",\"snapshot_id\":" ID ",\"key\":" TEXT ",\"watermark\":" TEXT                              \
    ",\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"warnings\":{\"type\":\"array\","             \
    "\"items\":" STRING "}}}}}}"

static const struct route routes[] = {
    {.method = "POST",
     .path = "/ingest/postgres",
     .id = "ingestPostgres",
     .tag = "ingest",
     .summary = "Load tables, a schema or a query of a PostgreSQL database",
     .description = "A job. Everything is read in one snapshot of the database, streamed, with exact types; nothing "
                    "is committed before all of it has arrived. No password is kept on disk or shown anywhere.",
     PARAMS(route_wait_params),
     .request = POSTGRES_REQUEST,
     .response = POSTGRES_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON | ROUTE_JOB,
     .handler = h_ingest_postgres},
};

struct route_table gateway_postgres_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
