/* The routes of models. */
#include "gateway/gateway_internal.h"

#define STRING "{\"type\":\"string\"}"
#define ITEMS                                                                                                        \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":{\"type\":\"object\"}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"
#define MODEL_RESPONSE                                                                                               \
    "{\"type\":\"object\",\"required\":[\"name\",\"status\",\"provider\",\"version\"],\"properties\":{"              \
    "\"name\":" STRING ",\"status\":" STRING ",\"provider\":" STRING ",\"version\":" STRING "}}"
#define EMBED_REQUEST                                                                                                \
    "{\"type\":\"object\",\"required\":[\"texts\"],\"additionalProperties\":false,\"properties\":{\"model\":{"       \
    "\"type\":[\"string\",\"null\"],\"description\":\"PROVIDER/NAME; the default model when left out.\"},"           \
    "\"texts\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2048,\"items\":" STRING "},\"use\":{\"enum\":["       \
    "\"plain\",\"query\",\"document\",null],\"description\":\"Which of the model's prefixes goes before the "        \
    "texts; plain: none.\"},\"version\":{\"type\":[\"string\",\"null\"],\"description\":\"Refuse (409) another "     \
    "version of the model.\"}}}"
#define EMBED_RESPONSE                                                                                               \
    "{\"type\":\"object\",\"required\":[\"model\",\"version\",\"dimension\",\"normalised\",\"truncated\","           \
    "\"vectors\"],\"properties\":{\"model\":" STRING ",\"version\":" STRING                                          \
    ",\"dimension\":{\"type\":\"integer\"},\"normalised\":{\"type\":\"boolean\"},\"truncated\":{\"type\":"           \
    "\"integer\"},\"vectors\":{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}}}}"
#define GENERATE_REQUEST                                                                                             \
    "{\"type\":\"object\",\"required\":[\"prompt\"],\"additionalProperties\":false,\"properties\":{"                 \
    "\"prompt\":" STRING ",\"system\":{\"type\":[\"string\",\"null\"]},\"model\":{\"type\":[\"string\",\"null\"]},"  \
    "\"temperature\":{\"type\":\"number\",\"minimum\":0,\"maximum\":2},\"max_tokens\":{\"type\":\"integer\","        \
    "\"minimum\":1,\"maximum\":1048576},\"timeout_ms\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2147483647}," \
    "\"json\":{\"type\":\"boolean\",\"description\":\"Ask for one JSON object.\"},\"stream\":{\"type\":\"boolean\"," \
    "\"description\":\"Answer in server-sent events: {text} for each piece, then {done,model,usage}, or "            \
    "{error}.\"}}}"
#define GENERATE_RESPONSE                                                                                            \
    "{\"type\":\"object\",\"required\":[\"model\",\"text\",\"usage\"],\"properties\":{\"model\":" STRING             \
    ",\"version\":" STRING ",\"text\":" STRING ",\"usage\":{\"type\":\"object\"}}}"
#define OPENAI_EMBEDDINGS_REQUEST                                                                                    \
    "{\"type\":\"object\",\"required\":[\"input\"],\"properties\":{\"model\":{\"type\":[\"string\",\"null\"]},"      \
    "\"input\":{\"type\":[\"string\",\"array\"],\"minItems\":1,\"maxItems\":2048,\"items\":" STRING                  \
    "},\"encoding_format\":{\"enum\":[\"float\",\"base64\",null]}}}"
#define OPENAI_CHAT_REQUEST                                                                                          \
    "{\"type\":\"object\",\"required\":[\"messages\"],\"properties\":{\"model\":{\"type\":[\"string\",\"null\"]},"   \
    "\"messages\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":{\"type\":\"object\",\"required\":" \
    "[\"role\",\"content\"],\"properties\":{\"role\":{\"enum\":[\"system\",\"developer\",\"user\",\"assistant\"]},"  \
    "\"content\":" STRING "}}},\"stream\":{\"type\":\"boolean\"}}}"
#define OBJECT "{\"type\":\"object\"}"

static const struct route routes[] = {
    {.method = "GET",
     .path = "/ai/providers",
     .id = "aiProviders",
     .tag = "models",
     .summary = "Who answers, and how well",
     .response = ITEMS,
     .handler = h_ai_providers},
    {.method = "GET",
     .path = "/ai/models",
     .id = "aiModels",
     .tag = "models",
     .summary = "Models that are known or offered",
     .response = ITEMS,
     .handler = h_ai_models},
    {.method = "POST",
     .path = "/ai/models/accept",
     .id = "aiAccept",
     .tag = "models",
     .summary = "Take a model that changed as it is now",
     .description = "Vectors of the former version cannot be compared with new ones: embed indexes of it again.",
     .request = "{\"type\":\"object\",\"required\":[\"model\"],\"additionalProperties\":false,\"properties\":{"
                "\"model\":" STRING "}}",
     .response = MODEL_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_ai_accept},
    {.method = "POST",
     .path = "/ai/models/default",
     .id = "aiDefault",
     .tag = "models",
     .summary = "Choose the model where none is named",
     .request = "{\"type\":\"object\",\"required\":[\"model\"],\"additionalProperties\":false,\"properties\":{"
                "\"model\":" STRING ",\"chat\":{\"type\":\"boolean\",\"description\":\"For answers instead of "
                "vectors.\"}}}",
     .response = MODEL_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_ai_default},
    {.method = "POST",
     .path = "/ai/models/import",
     .id = "aiImport",
     .tag = "models",
     .summary = "Make a downloaded folder a built-in model",
     .description = "The folder (config.json, vocab.txt, model.safetensors) is on the server's machine.",
     .request = "{\"type\":\"object\",\"required\":[\"folder\"],\"additionalProperties\":false,\"properties\":{"
                "\"folder\":" STRING ",\"name\":{\"type\":[\"string\",\"null\"]}}}",
     .response = MODEL_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_ai_import},
    {.method = "POST",
     .path = "/ai/embed",
     .id = "aiEmbed",
     .tag = "models",
     .summary = "Texts to vectors",
     .request = EMBED_REQUEST,
     .response = EMBED_RESPONSE,
     .flags = ROUTE_JSON,
     .handler = h_ai_embed},
    {.method = "POST",
     .path = "/ai/generate",
     .id = "aiGenerate",
     .tag = "models",
     .summary = "A prompt to an answer",
     .request = GENERATE_REQUEST,
     .response = GENERATE_RESPONSE,
     .media = "application/json,text/event-stream",
     .flags = ROUTE_JSON,
     .handler = h_ai_generate},
    {.method = "GET",
     .path = "/v1/models",
     .id = "openaiModels",
     .tag = "models",
     .summary = "Models, in OpenAI's form",
     .response = OBJECT,
     .flags = ROUTE_OPENAI | ROUTE_LENIENT,
     .handler = h_openai_models},
    {.method = "POST",
     .path = "/v1/embeddings",
     .id = "openaiEmbeddings",
     .tag = "models",
     .summary = "Texts to vectors, in OpenAI's form",
     .request = OPENAI_EMBEDDINGS_REQUEST,
     .response = OBJECT,
     .flags = ROUTE_JSON | ROUTE_OPENAI | ROUTE_LENIENT,
     .handler = h_openai_embeddings},
    {.method = "POST",
     .path = "/v1/chat/completions",
     .id = "openaiChat",
     .tag = "models",
     .summary = "Messages to an answer, in OpenAI's form",
     .request = OPENAI_CHAT_REQUEST,
     .response = OBJECT,
     .media = "application/json,text/event-stream",
     .flags = ROUTE_JSON | ROUTE_OPENAI | ROUTE_LENIENT,
     .handler = h_openai_chat},
};

struct route_table gateway_ai_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
