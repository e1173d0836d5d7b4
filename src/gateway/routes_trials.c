/* The routes of trials and generations. */
#include "gateway/gateway_internal.h"

#define STRING   "{\"type\":\"string\"}"
#define INTEGER  "{\"type\":\"integer\"}"
#define NUMBER   "{\"type\":\"number\"}"
#define NULLABLE "{\"type\":[\"string\",\"null\"]}"

#define TRIAL_REQUEST                                                                                                \
    "{\"type\":\"object\",\"required\":[\"index\"],\"additionalProperties\":false,\"properties\":{\"index\":" STRING \
    ",\"params\":{\"type\":\"object\",\"additionalProperties\":false,\"description\":\"What is left out is as with " \
    "the active generation.\",\"properties\":{\"M\":{\"type\":\"integer\",\"minimum\":4,\"maximum\":64},"            \
    "\"ef_construction\":{\"type\":\"integer\",\"minimum\":8,\"maximum\":2000},\"ef\":{\"type\":\"integer\","        \
    "\"minimum\":1,\"maximum\":4096,\"description\":\"Candidates of a search; or\"},\"recall_target\":" NUMBER       \
    ",\"code_bits\":{\"enum\":[4,8]},\"raw\":{\"enum\":[\"f32\",\"f16\"]}}},\"samples\":{\"type\":\"integer\","      \
    "\"minimum\":1,\"maximum\":1000,\"description\":\"Queries to measure with; 200.\"},\"reason\":" STRING "}}"
#define TRIAL_RESPONSE                                                                                               \
    "{\"type\":\"object\",\"required\":[\"trial\",\"recall_at_10\"],\"properties\":{\"trial\":" INTEGER              \
    ",\"generation\":" INTEGER ",\"build_seconds\":" NUMBER ",\"recall_at_1\":" NUMBER ",\"recall_at_10\":" NUMBER   \
    ",\"p50_us\":" NUMBER ",\"p95_us\":" NUMBER ",\"p99_us\":" NUMBER ",\"bytes_resident\":" INTEGER "}}"
#define TRIALS_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"items\",\"aggregates\",\"next_cursor\"],\"properties\":{\"items\":{"       \
    "\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"aggregates\":{\"type\":\"array\",\"items\":{\"type\":"    \
    "\"object\",\"description\":\"How many trials, and of each measure the least, the mean and the most.\"}},"       \
    "\"next_cursor\":" NULLABLE "}}"
#define COMPACT_RESPONSE                                                                                             \
    "{\"type\":\"object\",\"required\":[\"index\",\"records\"],\"properties\":{\"index\":" STRING                    \
    ",\"records\":" INTEGER ",\"objects_before\":" INTEGER ",\"objects_after\":" INTEGER "}}"
#define PROMOTE_REQUEST                                                                                              \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"force\":{\"type\":\"boolean\","           \
    "\"description\":\"Whatever its recall is.\"},\"reason\":{\"type\":\"string\",\"description\":\"Recorded; "      \
    "needed with force.\"}}}"
#define ROLLBACK_REQUEST                                                                                             \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"reason\":{\"type\":\"string\","           \
    "\"description\":\"Recorded.\"}}}"
#define CHANGE_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"index\",\"status\",\"generation\"],\"properties\":{\"index\":" STRING      \
    ",\"status\":{\"enum\":[\"promoted\",\"rolled_back\"]},\"generation\":" INTEGER ",\"before\":" INTEGER           \
    ",\"swap_ms\":" NUMBER "}}"
#define GENERATIONS_RESPONSE                                                                                         \
    "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":{\"type\":\"array\",\"items\":{"        \
    "\"type\":\"object\",\"required\":[\"generation\",\"state\"],\"properties\":{\"generation\":" INTEGER            \
    ",\"state\":{\"enum\":[\"active\",\"previous\",\"trial\",\"kept\"]}}}},\"next_cursor\":" NULLABLE "}}"

static const struct route_param list_params[] = {
    {.name = "filter", .schema = STRING, .help = "A predicate over the columns of the SQL table trials."},
    {.name = "sort", .schema = STRING, .help = "Columns, the first one first; -column from the largest."},
    {.name = "by", .schema = STRING, .help = "Columns whose values the aggregates are told apart by."},
    {.name = "limit",
     .schema = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000}",
     .help = "At most so many; 100."},
    {.name = "cursor", .schema = STRING, .help = "The next_cursor of the page before."}};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/hnsw/trial",
     .id = "trialStart",
     .tag = "search",
     .summary = "Build a generation with other parameters and measure it",
     .description = "It stands beside the one that serves. A job; its result is the record.",
     PARAMS(route_wait_params),
     .request = TRIAL_REQUEST,
     .response = TRIAL_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON | ROUTE_JOB,
     .handler = h_trial_start},
    {.method = "GET",
     .path = "/hnsw/trials/{index}",
     .id = "trials",
     .tag = "search",
     .summary = "Trials, promotions and rollbacks of an index",
     .description =
         "The newest first, with aggregates of the trials among them. The same rows are the SQL table trials.",
     PARAMS(list_params),
     .response = TRIALS_RESPONSE,
     .handler = h_trials},
    {.method = "POST",
     .path = "/hnsw/trials/{index}/compact",
     .id = "trialsCompact",
     .tag = "search",
     .summary = "Put the records of an index into one object",
     .response = COMPACT_RESPONSE,
     .flags = ROUTE_WRITE,
     .handler = h_trials_compact},
    {.method = "POST",
     .path = "/hnsw/promote/{index}/{trial}",
     .id = "trialPromote",
     .tag = "search",
     .summary = "Let a trial's generation serve",
     .description = "Refused when it finds less than 0.9 of the true nearest ten, or less than the active one on the "
                    "same queries, unless forced with a reason.",
     .request = PROMOTE_REQUEST,
     .response = CHANGE_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_promote},
    {.method = "POST",
     .path = "/hnsw/rollback/{index}",
     .id = "indexRollback",
     .tag = "search",
     .summary = "Put the previous generation back",
     .description = "Changes made since stay.",
     .request = ROLLBACK_REQUEST,
     .response = CHANGE_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_rollback},
    {.method = "GET",
     .path = "/vectors/indexes/{index}/generations",
     .id = "indexGenerations",
     .tag = "search",
     .summary = "The generations of an index",
     .response = GENERATIONS_RESPONSE,
     .handler = h_generations},
};

struct route_table gateway_trials_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
