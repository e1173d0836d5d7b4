/* The routes of jobs. */
#include "gateway/gateway_internal.h"

#define STRING "{\"type\":\"string\"}"
#define TEXT   "{\"type\":[\"string\",\"null\"]}"
#define NUMBER "{\"type\":[\"number\",\"string\",\"null\"]}"

#define JOB                                                                                                          \
    "{\"type\":\"object\",\"required\":[\"id\",\"kind\",\"state\",\"progress\"],\"properties\":{\"id\":" STRING      \
    ",\"kind\":" STRING ",\"subject\":" TEXT ",\"state\":{\"enum\":[\"queued\",\"running\",\"waiting\","             \
    "\"paused\",\"done\",\"failed\",\"cancelled\"]},\"reason\":" TEXT ",\"priority\":{\"type\":\"integer\"},"        \
    "\"progress\":{\"type\":\"object\",\"properties\":{\"done\":" NUMBER ",\"total\":" NUMBER ",\"unit\":" TEXT      \
    ",\"rate\":" NUMBER ",\"seconds_left\":" NUMBER "}},\"created\":" TEXT ",\"started\":" TEXT ",\"ended\":" TEXT   \
    ",\"tries_again\":" TEXT ",\"attempts\":" NUMBER ",\"memory_reserved_bytes\":" NUMBER                            \
    ",\"result\":{},\"error\":{\"type\":[\"object\",\"null\"]},"                                                     \
    "\"actor\":" TEXT ",\"request_id\":" TEXT "}}"
#define LIST_OF(item)                                                                                                \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":" item "},\"next_cursor\":" TEXT "}}"

static const struct route_param list_params[] = {
    {.name = "state",
     .schema = "{\"enum\":[\"queued\",\"running\",\"waiting\",\"paused\",\"done\",\"failed\",\"cancelled\"]}",
     .help = "Jobs in this state."},
    {.name = "limit", .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}", .help = "Most items; 100."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};

static const struct route_param get_params[] = {
    {.name = "wait",
     .schema = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600}",
     .help = "Answer when it has ended, at the latest after so many seconds."}};

static const struct route_param events_params[] = {
    {.name = "Last-Event-ID", .schema = STRING, .in = "header", .help = "The id of the last event that was seen."}};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/jobs",
     .id = "jobs",
     .tag = "jobs",
     .summary = "Long work, newest first",
     PARAMS(list_params),
     .response = LIST_OF(JOB),
     .handler = h_job_list},
    {.method = "GET",
     .path = "/jobs/{id}",
     .id = "job",
     .tag = "jobs",
     .summary = "One job",
     PARAMS(get_params),
     .response = JOB,
     .handler = h_job_get},
    {.method = "DELETE",
     .path = "/jobs/{id}",
     .id = "jobCancel",
     .tag = "jobs",
     .summary = "Cancel a job",
     .description = "What it has committed stays. One that runs ends at its next good moment.",
     .response = JOB,
     .flags = ROUTE_WRITE,
     .handler = h_job_cancel},
    {.method = "PATCH",
     .path = "/jobs/{id}",
     .id = "jobChange",
     .tag = "jobs",
     .summary = "Move a job forward or back",
     .description = "The highest priority begins first; 0 is usual. One that runs already goes on.",
     .request = "{\"type\":\"object\",\"required\":[\"priority\"],\"additionalProperties\":false,\"properties\":{"
                "\"priority\":{\"type\":\"integer\",\"minimum\":-1000,\"maximum\":1000}}}",
     .response = JOB,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_job_change},
    {.method = "POST",
     .path = "/jobs/{id}/pause",
     .id = "jobPause",
     .tag = "jobs",
     .summary = "Hold a job",
     .response = JOB,
     .flags = ROUTE_WRITE,
     .handler = h_job_pause},
    {.method = "POST",
     .path = "/jobs/{id}/resume",
     .id = "jobResume",
     .tag = "jobs",
     .summary = "Let a job go on",
     .description = "A paused one, a waiting one at once, a failed one from its last checkpoint.",
     .response = JOB,
     .flags = ROUTE_WRITE,
     .handler = h_job_resume},
    {.method = "GET",
     .path = "/jobs/{id}/log",
     .id = "jobLog",
     .tag = "jobs",
     .summary = "What a job said, oldest first",
     .response = LIST_OF("{\"type\":\"object\"}"),
     .handler = h_job_log},
    {.method = "GET",
     .path = "/jobs/{id}/events",
     .id = "jobEvents",
     .tag = "jobs",
     .summary = "Follow a job by Server-Sent Events",
     .description = "Events state, progress and end; each carries the job as GET /jobs/{id} shows it.",
     PARAMS(events_params),
     .media = "text/event-stream",
     .handler = h_job_events},
};

struct route_table gateway_job_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
