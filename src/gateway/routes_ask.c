/* The route of questions to tables. */
#include "gateway/answers.h"

#define STRING "{\"type\":\"string\"}"
#define TEXT   "{\"type\":[\"string\",\"null\"]}"
#define OBJECT "{\"type\":\"object\"}"
#define FLAG   "{\"type\":\"boolean\"}"

#define ASK_REQUEST                                                                                                  \
    "{\"type\":\"object\",\"required\":[\"question\"],\"additionalProperties\":false,\"properties\":{\"question\":"  \
    "{\"type\":\"string\",\"maxLength\":4096},\"model\":{\"type\":\"string\",\"description\":\"A language model, "   \
    "or "                                                                                                            \
    "auto (by what is remembered of them).\"},\"datasets\":{\"type\":\"array\",\"minItems\":1,\"items\":" STRING     \
    ",\"description\":\"The only ones that may be read.\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,"           \
    "\"description\":\"Most rows; 100.\"},\"stream\":{\"type\":\"boolean\",\"description\":\"Server-sent events: "   \
    "sql, retry, rows, done; error.\"}}}"
#define ATTEMPT "{\"type\":\"object\",\"properties\":{\"sql\":" TEXT ",\"error\":" TEXT "}}"
#define ASK_RESPONSE                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"answer_id\",\"question\",\"sql\",\"columns\",\"rows\",\"row_count\","      \
    "\"truncated\",\"sentence\",\"model\",\"attempts\",\"refused\",\"snapshots\",\"choice\",\"usage\"],"             \
    "\"properties\":{\"answer_id\":" STRING ",\"question\":" STRING ",\"sql\":" TEXT                                 \
    ",\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":" STRING               \
    ",\"type\":" STRING "}}},\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"array\"}},\"row_count\":{\"type\":"  \
    "\"integer\"},\"truncated\":" FLAG ",\"sentence\":" TEXT ",\"model\":" TEXT                                      \
    ",\"attempts\":{\"type\":\"array\",\"items\":" ATTEMPT "},\"refused\":" FLAG ",\"reason\":" TEXT                 \
    ",\"warnings\":{\"type\":\"array\",\"items\":" STRING "},\"snapshots\":" OBJECT ",\"choice\":" OBJECT            \
    ",\"usage\":" OBJECT ",\"elapsed_ms\":{\"type\":\"number\"}}}"

static const struct route routes[] = {
    {.method = "POST",
     .path = "/ask",
     .id = "ask",
     .tag = "answers",
     .summary = "Answer a question from tables, by SQL",
     .description = "A language model writes one SELECT, which passes the same judgement as any query; the answer is "
                    "its rows, the SQL and a sentence. SQL that is refused is shown with a 422 and not run.",
     .request = ASK_REQUEST,
     .response = ASK_RESPONSE,
     .media = "application/json,text/event-stream",
     .flags = ROUTE_JSON | ROUTE_QUERY,
     .handler = h_ask},
};

struct route_table gateway_ask_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
