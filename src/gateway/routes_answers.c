/* The routes of answers. */
#include "gateway/answers.h"

#define STRING "{\"type\":\"string\"}"
#define TEXT   "{\"type\":[\"string\",\"null\"]}"
#define COUNT  "{\"type\":[\"integer\",\"string\",\"null\"]}"
#define NUMBER "{\"type\":[\"number\",\"null\"]}"
#define FLAG   "{\"type\":\"boolean\"}"

#define RAG_REQUEST                                                                                                  \
    "{\"type\":\"object\",\"required\":[\"question\"],\"additionalProperties\":false,\"properties\":{\"question\":"  \
    "{\"type\":\"string\",\"maxLength\":4096},\"index\":" STRING ",\"dataset\":{\"type\":\"string\","                \
    "\"description\":\"Whose newest index to look into, when no index is named.\"},\"k\":{\"type\":\"integer\","     \
    "\"minimum\":1,\"maximum\":50,\"description\":\"Passages; 8.\"},\"model\":{\"type\":\"string\",\"description\":" \
    "\"A language model, auto (by what is remembered of them) or none (the passages' own sentences).\"},"            \
    "\"filter\":{\"type\":\"string\",\"description\":\"A predicate over the dataset's columns.\"},\"rerank\":"       \
    "{\"type\":\"boolean\",\"description\":\"The language model puts the passages in order first.\"},\"stream\":"    \
    "{\"type\":\"boolean\",\"description\":\"Server-sent events: sources, token, done; error.\"}}}"
#define CITATION                                                                                                     \
    "{\"type\":\"object\",\"required\":[\"source\",\"doc_id\",\"chunk_no\",\"quote\"],\"properties\":{\"source\":"   \
    "{\"type\":\"integer\"},\"doc_id\":" STRING ",\"chunk_no\":{\"type\":\"integer\"},\"quote\":" TEXT               \
    ",\"title\":" TEXT ",\"page\":" COUNT "}}"
#define DROPPED                                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"source\":{\"type\":\"integer\"},\"quote\":" TEXT ",\"reason\":" TEXT "}" \
    "}"
#define CHOICE                                                                                                       \
    "{\"type\":\"object\",\"properties\":{\"how\":{\"enum\":[\"named\",\"default\",\"auto\",\"none\",null]},"        \
    "\"explored\":" FLAG ",\"trials\":" COUNT ",\"success_rate\":" NUMBER ",\"why\":" TEXT "}}"
#define USAGE                                                                                                        \
    "{\"type\":\"object\",\"properties\":{\"prompt_tokens\":" COUNT ",\"answer_tokens\":" COUNT                      \
    ",\"estimated\":" FLAG ",\"model_ms\":" NUMBER ",\"cost_usd\":" NUMBER "}}"
#define EVIDENCE                                                                                                     \
    "\"answer_id\":" STRING ",\"answer\":" TEXT ",\"citations\":{\"type\":\"array\",\"items\":" CITATION             \
    "},\"dropped\":{\"type\":\"array\",\"items\":" DROPPED "},\"warnings\":{\"type\":\"array\",\"items\":" STRING    \
    "},\"evidence\":{\"type\":\"object\"},\"refused\":" FLAG ",\"reason\":" TEXT ",\"model\":" TEXT                  \
    ",\"model_version\":" TEXT ",\"index\":" TEXT ",\"snapshots\":{\"type\":\"object\"},\"generation\":" COUNT       \
    ",\"choice\":" CHOICE ",\"usage\":" USAGE ",\"search_ms\":" NUMBER ",\"elapsed_ms\":" NUMBER
#define RAG_RESPONSE                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"answer_id\",\"answer\",\"citations\",\"refused\",\"model\",\"snapshots\"," \
    "\"generation\"],\"properties\":{" EVIDENCE "}}"
#define RECORD                                                                                                       \
    "{\"type\":\"object\",\"required\":[\"answer_id\",\"kind\",\"time\",\"question\",\"answer\",\"snapshots\","      \
    "\"chunks\"],\"properties\":{\"kind\":" STRING ",\"time\":" STRING ",\"actor\":" TEXT ",\"question\":" STRING    \
    ",\"request\":{\"type\":[\"object\",\"null\"]},\"prompt_version\":" TEXT ",\"chunks\":{\"type\":\"array\","      \
    "\"items\":{\"type\":\"object\"}},\"sql\":" TEXT ",\"row_count\":" COUNT ",\"feedback\":" TEXT "," EVIDENCE "}}"
#define LIST                                                                                                         \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":{\"type\":\"object\",\"required\":[\"answer_id\",\"kind\"]}},\"next_cursor\":" TEXT "}}"
#define REPLAY_REQUEST                                                                                               \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"data\":{\"enum\":[\"now\",\"then\"],"     \
    "\"description\":\"The data as they are (the default), or as they were when it was answered.\"},\"model\":"      \
    "{\"type\":\"string\",\"description\":\"Another model than the question named.\"}}}"
#define REPLAY_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"answer_id\",\"replay_id\",\"changed\",\"then\",\"now\"],\"properties\":{"  \
    "\"answer_id\":" STRING ",\"replay_id\":" STRING ",\"changed\":{\"type\":\"array\",\"items\":" STRING            \
    "},\"then\":{\"type\":\"object\"},\"now\":{\"type\":\"object\"}}}"
#define FEEDBACK_REQUEST                                                                                             \
    "{\"type\":\"object\",\"required\":[\"good\"],\"additionalProperties\":false,\"properties\":{\"good\":" FLAG "}" \
    "}"
#define FEEDBACK_RESPONSE                                                                                            \
    "{\"type\":\"object\",\"required\":[\"answer_id\",\"feedback\"],\"properties\":{\"answer_id\":" STRING           \
    ",\"feedback\":{\"enum\":[\"good\",\"bad\"]}}}"

static const struct route_param list_params[] = {
    {.name = "limit", .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}", .help = "Most items; 50."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/rag",
     .id = "rag",
     .tag = "answers",
     .summary = "Answer a question from texts, with citations, or refuse",
     .description = "Search, a language model over the best passages, its citations checked against them. Without "
                    "a language model: the passages' own sentences, and the model is null.",
     .request = RAG_REQUEST,
     .response = RAG_RESPONSE,
     .media = "application/json,text/event-stream",
     .flags = ROUTE_JSON | ROUTE_QUERY,
     .handler = h_rag},
    {.method = "GET",
     .path = "/answers",
     .id = "answers",
     .tag = "answers",
     .summary = "Answers that were given, newest first",
     PARAMS(list_params),
     .response = LIST,
     .handler = h_answer_list},
    {.method = "GET",
     .path = "/answers/{id}",
     .id = "answer",
     .tag = "answers",
     .summary = "One answer with all that made it",
     .response = RECORD,
     .handler = h_answer_get},
    {.method = "POST",
     .path = "/answers/{id}/replay",
     .id = "answerReplay",
     .tag = "answers",
     .summary = "Ask the same again and say what changed",
     .request = REPLAY_REQUEST,
     .response = REPLAY_RESPONSE,
     .flags = ROUTE_JSON,
     .handler = h_answer_replay},
    {.method = "POST",
     .path = "/answers/{id}/feedback",
     .id = "answerFeedback",
     .tag = "answers",
     .summary = "Say whether an answer was good",
     .description = "Counts as one trial more of its model. Said once; the same again changes nothing.",
     .request = FEEDBACK_REQUEST,
     .response = FEEDBACK_RESPONSE,
     .flags = ROUTE_JSON | ROUTE_WRITE,
     .handler = h_answer_feedback},
};

struct route_table gateway_answer_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
