/* The routes of an index's versions. */
#include "gateway/gateway_internal.h"

#define STRING "{\"type\":\"string\"}"

#define VERSIONS_RESPONSE                                                                                            \
    "{\"type\":\"object\",\"required\":[\"index\",\"serving\",\"previous\",\"versions\"],\"properties\":{"           \
    "\"index\":" STRING ",\"serving\":" STRING                                                                       \
    ",\"previous\":{\"type\":[\"string\",\"null\"]},\"versions\":{\"type\":\"array\","                               \
    "\"items\":{\"type\":\"object\"}}}}"
#define ADD_REQUEST                                                                                                  \
    "{\"type\":\"object\",\"required\":[\"model\"],\"additionalProperties\":false,\"properties\":{\"model\":{"       \
    "\"type\":\"string\",\"description\":\"PROVIDER/NAME.\"},\"reason\":" STRING "}}"
#define ADD_RESPONSE                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"documents\",\"chunks\",\"embedded\"],\"properties\":{\"documents\":{"      \
    "\"type\":\"integer\"},\"chunks\":{\"type\":\"integer\"},\"embedded\":{\"type\":\"integer\"}}}"
#define SERVE_REQUEST                                                                                                \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"string\","          \
    "\"description\":\"As listed; the one that served before when left out.\"},\"reason\":" STRING "}}"

#define HOLD_REQUEST                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"datasets\",\"reason\",\"seconds\"],\"additionalProperties\":false,"        \
    "\"properties\":{\"datasets\":{\"type\":\"array\",\"items\":" STRING "},\"reason\":" STRING                      \
    ",\"seconds\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600}}}"
#define HOLD_RESPONSE "{\"type\":\"object\",\"required\":[\"held\"],\"properties\":{\"held\":{\"type\":\"integer\"}}}"

static const struct route routes[] = {
    {.method = "GET",
     .path = "/vectors/indexes/{index}/versions",
     .id = "indexVersions",
     .tag = "search",
     .summary = "The versions of an index, and which one serves",
     .response = VERSIONS_RESPONSE,
     .handler = h_versions},
    {.method = "POST",
     .path = "/vectors/indexes/{index}/versions",
     .id = "indexVersionAdd",
     .tag = "search",
     .summary = "Build the index by another model, beside the one that serves",
     .description = "A job. It is named INDEX__v2, __v3, ..., may be searched by that name, and serves when told to.",
     PARAMS(route_wait_params),
     .request = ADD_REQUEST,
     .response = ADD_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON | ROUTE_JOB,
     .handler = h_version_add},
    {.method = "POST",
     .path = "/vectors/indexes/{index}/serve",
     .id = "indexVersionServe",
     .tag = "search",
     .summary = "Let a version serve the index's searches",
     .description = "All versions stay and are kept fresh; the same without a version goes back.",
     .request = SERVE_REQUEST,
     .response = VERSIONS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_version_serve},
    {.method = "POST",
     .path = "/vectors/hold",
     .id = "searchHold",
     .tag = "search",
     .summary = "Hold back searches of datasets for a while",
     .description =
         "They are answered 503 with the reason: while the vectors of the table that they came from are made "
         "anew. Said again before the time is over by whoever does that; 0 seconds ends it.",
     .request = HOLD_REQUEST,
     .response = HOLD_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_search_hold},
};

struct route_table gateway_version_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
