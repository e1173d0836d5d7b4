/* The routes of indexes and searches. */
#include "gateway/gateway_internal.h"

#define STRING  "{\"type\":\"string\"}"
#define BOOLEAN "{\"type\":\"boolean\"}"
#define K       "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"description\":\"How many; 10.\"}"

#define INDEX_REQUEST                                                                                                \
    "{\"type\":\"object\",\"required\":[\"dataset\"],\"additionalProperties\":false,\"properties\":{\"name\":{"      \
    "\"type\":\"string\",\"description\":\"The dataset's name when left out.\"},\"dataset\":" STRING                 \
    ",\"text_columns\":{\"type\":\"array\",\"items\":" STRING                                                        \
    ",\"description\":\"Chosen by what stands in them when left out.\"},\"vector_column\":{\"type\":\"string\","     \
    "\"description\":\"A column of vectors, instead of embedding texts.\"},\"model\":{\"type\":\"string\","          \
    "\"description\":\"PROVIDER/NAME; the default model when left out.\"},\"chunk\":{\"type\":\"object\","           \
    "\"additionalProperties\":false,\"properties\":{\"size\":{\"type\":\"integer\",\"description\":\"Tokens.\"},"    \
    "\"overlap\":{\"type\":\"integer\"}}},\"backend\":{\"enum\":[\"auto\",\"hnsw\",\"disk\"],\"description\":"       \
    "\"disk: searched in its files, in little memory; auto: hnsw.\"},\"recall_target\":{"                            \
    "\"type\":\"number\"},\"reason\":" STRING "}}"
#define INDEX_RESPONSE                                                                                               \
    "{\"type\":\"object\",\"required\":[\"name\",\"dataset\",\"text_columns\",\"state\"],\"properties\":{"           \
    "\"name\":" STRING ",\"dataset\":" STRING ",\"vectors\":" STRING                                                 \
    ",\"text_columns\":{\"type\":\"array\",\"items\":" STRING "},\"model\":" STRING ",\"model_version\":" STRING     \
    ",\"backend\":{\"enum\":[\"hnsw\",\"disk\"]},\"state\":{\"enum\":[\"empty\",\"building\",\"behind\",\"ready\","  \
    "\"failed\",\"opening\",\"damaged\"]},\"problem\":{\"type\":[\"string\",\"null\"],\"description\":\"Why the "    \
    "last "                                                                                                          \
    "try to build or to catch up failed.\"}}}"
#define LIST_RESPONSE                                                                                                \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":" INDEX_RESPONSE "},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"
#define STATUS_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"index\",\"status\"],\"properties\":{\"index\":" STRING                     \
    ",\"status\":" STRING "}}"
#define REPORT_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"documents\",\"chunks\",\"embedded\"],\"properties\":{\"documents\":{"      \
    "\"type\":\"integer\"},\"chunks\":{\"type\":\"integer\"},\"embedded\":{\"type\":\"integer\"}}}"
#define COMMON_OPTIONS                                                                                               \
    "\"k\":" K ",\"filter\":{\"type\":\"string\",\"description\":\"A predicate over the dataset's columns.\"},"      \
    "\"recall_target\":{\"type\":\"number\"},\"per_doc\":{\"type\":\"boolean\",\"description\":\"One hit of a "      \
    "document at most.\"},\"rows\":{\"type\":\"boolean\",\"description\":\"Fetch the dataset's rows too.\"},"        \
    "\"explain\":" BOOLEAN
#define VECTOR_REQUEST                                                                                               \
    "{\"type\":\"object\",\"required\":[\"index\"],\"additionalProperties\":false,\"properties\":{\"index\":" STRING \
    ",\"query\":{\"type\":\"string\",\"description\":\"A text, to be embedded; or\"},\"vector\":{\"type\":"          \
    "\"array\",\"items\":{\"type\":\"number\"}},\"model_version\":{\"type\":\"string\",\"description\":\"Refuse "    \
    "(409) an index of another version.\"}," COMMON_OPTIONS "}}"
#define SEARCH_REQUEST                                                                                               \
    "{\"type\":\"object\",\"required\":[\"query\"],\"additionalProperties\":false,\"properties\":{\"query\":" STRING \
    ",\"index\":" STRING ",\"datasets\":{\"type\":\"array\",\"maxItems\":16,\"items\":" STRING                       \
    ",\"description\":\"Whose newest indexes to search, when no index is named; of several the hits are one "        \
    "list.\"},\"mode\":{\"enum\":[\"hybrid\","                                                                       \
    "\"vector\",\"keyword\"]},\"fusion\":{\"enum\":[\"blend\",\"rrf\"]},\"weight\":{\"type\":\"number\","            \
    "\"minimum\":0,\"maximum\":1,\"description\":\"The vectors' share of a blend.\"}," COMMON_OPTIONS "}}"
#define ANSWER_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"query_id\",\"hits\",\"generation\",\"model\",\"plan\",\"elapsed_ms\"],"    \
    "\"properties\":{\"query_id\":" STRING ",\"index\":" STRING ",\"dataset\":" STRING                               \
    ",\"hits\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"doc_id\",\"chunk_no\",\"score\","  \
    "\"text\",\"row\"],\"properties\":{\"doc_id\":" STRING                                                           \
    ",\"chunk_no\":{\"type\":\"integer\"},\"score\":{\"type\":\"number\"},\"text\":" STRING                          \
    ",\"row\":{\"type\":[\"object\",\"null\"]}}}},\"generation\":{\"type\":\"integer\"},\"model\":" STRING           \
    ",\"plan\":{\"type\":\"object\"},\"behind\":" BOOLEAN ",\"elapsed_ms\":{\"type\":\"number\"}}}"
#define SEARCH_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"query_id\",\"hits\",\"model\",\"behind\",\"elapsed_ms\"],"                 \
    "\"properties\":{\"query_id\":" STRING ",\"index\":" STRING ",\"dataset\":" STRING                               \
    ",\"hits\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"doc_id\",\"chunk_no\",\"score\","  \
    "\"text\",\"row\"],\"properties\":{\"dataset\":" STRING ",\"index\":" STRING ",\"doc_id\":" STRING               \
    ",\"chunk_no\":{\"type\":\"integer\"},\"score\":{\"type\":\"number\"},\"text\":" STRING                          \
    ",\"row\":{\"type\":[\"object\",\"null\"]}}}},\"searched\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}," \
    "\"description\":\"Of several datasets: what each index did.\"},\"generation\":{\"type\":\"integer\"},"          \
    "\"model\":{\"type\":[\"string\",\"null\"]},\"plan\":{\"type\":\"object\"},\"behind\":" BOOLEAN                  \
    ",\"elapsed_ms\":{\"type\":\"number\"}}}"
#define EVALUATE_REQUEST                                                                                             \
    "{\"type\":[\"object\",\"null\"],\"additionalProperties\":false,\"properties\":{\"samples\":{\"type\":"          \
    "\"integer\",\"minimum\":1,\"maximum\":1000},\"k\":" K "}}"
#define EVALUATE_RESPONSE                                                                                            \
    "{\"type\":\"object\",\"required\":[\"index\",\"samples\",\"k\",\"recall\",\"latency_us\"],\"properties\":{"     \
    "\"index\":" STRING ",\"samples\":{\"type\":\"integer\"},\"k\":{\"type\":\"integer\"},\"recall\":{\"type\":"     \
    "\"number\"},\"latency_us\":{\"type\":\"object\"}}}"

static const struct route_param search_params[] = {
    {.name = "model",
     .schema = STRING,
     .help = "Search the newest index that was built with this model, where no index is named."}};
static const struct route routes[] = {
    {.method = "POST",
     .path = "/vectors/indexes",
     .id = "indexCreate",
     .tag = "search",
     .summary = "Make an index of a dataset's texts or vectors",
     .description = "Its building is a job.",
     PARAMS(route_wait_params),
     .request = INDEX_REQUEST,
     .response = REPORT_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON | ROUTE_JOB,
     .handler = h_index_create},
    {.method = "GET",
     .path = "/vectors/indexes",
     .id = "indexList",
     .tag = "search",
     .summary = "All indexes",
     .response = LIST_RESPONSE,
     .handler = h_index_list},
    {.method = "GET",
     .path = "/vectors/indexes/{index}",
     .id = "indexGet",
     .tag = "search",
     .summary = "One index",
     .response = INDEX_RESPONSE,
     .handler = h_index_get},
    {.method = "DELETE",
     .path = "/vectors/indexes/{index}",
     .id = "indexDrop",
     .tag = "search",
     .summary = "Drop an index and its vectors",
     PARAMS(route_reason_params),
     .request = ROUTE_REASON_REQUEST,
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_index_drop},
    {.method = "POST",
     .path = "/vectors/indexes/{index}/refresh",
     .id = "indexRefresh",
     .tag = "search",
     .summary = "Catch up with the dataset now",
     .description = "It happens by itself too.",
     PARAMS(route_wait_params),
     .response = REPORT_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JOB,
     .handler = h_index_refresh},
    {.method = "POST",
     .path = "/vectors/indexes/{index}/fold",
     .id = "indexFold",
     .tag = "search",
     .summary = "Fold all changes into a new generation",
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE,
     .handler = h_index_fold},
    {.method = "POST",
     .path = "/vectors/evaluate/{index}",
     .id = "indexEvaluate",
     .tag = "search",
     .summary = "Measure recall and latency",
     .request = EVALUATE_REQUEST,
     .response = EVALUATE_RESPONSE,
     .flags = ROUTE_JSON,
     .handler = h_index_evaluate},
    {.method = "POST",
     .path = "/vectors/search",
     .id = "vectorSearch",
     .tag = "search",
     .summary = "Search an index by meaning",
     .description = "Exactly k hits when k chunks qualify.",
     .request = VECTOR_REQUEST,
     .response = ANSWER_RESPONSE,
     .flags = ROUTE_JSON,
     .handler = h_vector_search},
    {.method = "POST",
     .path = "/search",
     .id = "search",
     .tag = "search",
     .summary = "Search by words and meaning",
     .description = "Words are joined by OR; \"a phrase\", begin*, AND, OR, NOT and parentheses mean what they say.",
     PARAMS(search_params),
     .request = SEARCH_REQUEST,
     .response = SEARCH_RESPONSE,
     .flags = ROUTE_JSON,
     .handler = h_search},
};

struct route_table gateway_search_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
