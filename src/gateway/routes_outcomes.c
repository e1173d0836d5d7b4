/* The routes of model outcomes. */
#include "gateway/outcomes.h"

#define STRING "{\"type\":\"string\"}"
#define NUMBER "{\"type\":[\"number\",\"null\"]}"
#define COUNT  "{\"type\":[\"integer\",\"string\"]}"
#define FLAG   "{\"type\":\"boolean\"}"

#define OUTCOME                                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"task_type\":" STRING ",\"model_id\":" STRING ",\"success\":" FLAG        \
    ",\"timeout\":" FLAG ",\"tokens_used\":{\"type\":\"integer\",\"minimum\":0},\"cost_usd\":{\"type\":\"number\","  \
    "\"minimum\":0},\"timestamp\":" STRING ",\"key\":{\"type\":\"string\",\"description\":\"The same key again is "  \
    "the same outcome.\"},\"outcomes\":{\"type\":\"array\",\"description\":\"A batch of such objects, in the place " \
    "of all other fields; all or none.\",\"items\":{\"type\":\"object\"}}}}"
#define RECORDED                                                                                                     \
    "{\"type\":\"object\",\"required\":[\"recorded\",\"duplicates\",\"last_id\",\"degraded\"],\"properties\":{"      \
    "\"recorded\":" COUNT ",\"duplicates\":" COUNT ",\"last_id\":" COUNT ",\"degraded\":" FLAG "}}"
#define ITEMS                                                                                                        \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":{\"type\":\"object\"}},\"next_cursor\":{\"type\":\"null\"}}}"
#define DEMOTION                                                                                                     \
    "{\"type\":\"object\",\"required\":[\"demote\",\"certain\",\"why\",\"model\"],\"properties\":{\"demote\":" FLAG  \
    ",\"certain\":" FLAG ",\"why\":" STRING ",\"model\":{\"type\":\"object\"}}}"
#define AB                                                                                                           \
    "{\"type\":\"object\",\"required\":[\"incumbent\",\"challenger\",\"p_value\",\"test\",\"significant\","          \
    "\"verdict\"],\"properties\":{\"incumbent\":{\"type\":\"object\"},\"challenger\":{\"type\":\"object\"},"         \
    "\"p_value\":" NUMBER ",\"test\":" STRING ",\"significant\":" FLAG ",\"verdict\":" STRING "}}"
#define EXPORT                                                                                                       \
    "{\"type\":\"object\",\"required\":[\"format\",\"exported\",\"items\"],\"properties\":{\"format\":" STRING       \
    ",\"exported\":" STRING ",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}"
#define IMPORTED                                                                                                     \
    "{\"type\":\"object\",\"required\":[\"taken\",\"unchanged\",\"refused\",\"problems\"],\"properties\":{"          \
    "\"taken\":" COUNT ",\"unchanged\":" COUNT ",\"refused\":" COUNT ",\"problems\":{\"type\":\"array\",\"items\":{" \
    "\"type\":\"object\"}}}}"
#define CHECKED                                                                                                      \
    "{\"type\":\"object\",\"required\":[\"sound\",\"repaired\",\"events\",\"models\",\"wrong\",\"text\"],"           \
    "\"properties\":{\"sound\":" FLAG ",\"repaired\":" FLAG ",\"events\":" COUNT ",\"models\":" COUNT                \
    ",\"wrong\":" COUNT ",\"text\":" STRING "}}"

#define TASK_TYPE                                                                                                    \
    {                                                                                                                \
        .name = "task_type", .schema = STRING, .help = "Which task.", .required = true                               \
    }
#define MIN_SAMPLES(text)                                                                                            \
    {                                                                                                                \
        .name = "min_samples", .schema = "{\"type\":\"integer\",\"minimum\":0}", .help = text                        \
    }

static const struct route_param rank_params[] = {
    TASK_TYPE,
    MIN_SAMPLES("Models with fewer trials are left out; 3."),
    {.name = "by",
     .schema = "{\"enum\":[\"rate\",\"bound\",\"cost\",\"tokens\"]}",
     .help = "Plain success rate (the default), its lower bound, cost of a success, average tokens."},
    {.name = "limit",
     .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000}",
     .help = "Most items; all."}};
static const struct route_param dashboard_params[] = {
    {.name = "task_type", .schema = STRING, .help = "Only this one."}, MIN_SAMPLES("Fewer trials: left out; 0.")};
static const struct route_param demote_params[] = {
    TASK_TYPE,
    {.name = "model_id", .schema = STRING, .help = "Which model.", .required = true},
    {.name = "threshold",
     .schema = "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
     .help = "The success rate below which a model goes; 0.5."},
    MIN_SAMPLES("Not before so many trials; 3.")};
static const struct route_param ab_params[] = {
    TASK_TYPE,
    {.name = "incumbent", .schema = STRING, .help = "Default: the best lower bound."},
    {.name = "challenger", .schema = STRING, .help = "Default: the highest upper bound of the others."},
    {.name = "since", .schema = STRING, .help = "Only outcomes from this time on."},
    {.name = "alpha",
     .schema = "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}",
     .help = "Significant below this p value; 0.05."},
    MIN_SAMPLES("The incumbent has at least so many trials; 3.")};
static const struct route_param trends_params[] = {
    TASK_TYPE,
    {.name = "model_id", .schema = STRING, .help = "Only this model."},
    {.name = "days",
     .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":36500}",
     .help = "How far back; 30."}};
static const struct route_param export_params[] = {MIN_SAMPLES("Only entries with so many trials; 10.")};
static const struct route_param import_params[] = {
    {.name = "source", .schema = STRING, .help = "Whose numbers; what it says later replaces what it said before."},
    {.name = "dataset",
     .schema = STRING,
     .help = "Instead of a body: a dataset with task_type, model_id, success (and tokens_used, cost_usd, ...)."}};
static const struct route_param check_params[] = {
    {.name = "repair", .schema = FLAG, .help = "Put right what is wrong."}};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/outcomes",
     .id = "outcomesRecord",
     .tag = "outcomes",
     .summary = "Record how a model did",
     .description = "One outcome or a batch; answered when it is durable. All or none.",
     .request = OUTCOME,
     .response = RECORDED,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_outcomes_record},
    {.method = "GET",
     .path = "/outcomes/rank",
     .id = "outcomesRank",
     .tag = "outcomes",
     .summary = "Models of a task type, best first",
     PARAMS(rank_params),
     .response = ITEMS,
     .handler = h_outcomes_rank},
    {.method = "GET",
     .path = "/outcomes/dashboard",
     .id = "outcomesDashboard",
     .tag = "outcomes",
     .summary = "Every task type with its models",
     PARAMS(dashboard_params),
     .response = ITEMS,
     .handler = h_outcomes_dashboard},
    {.method = "GET",
     .path = "/outcomes/demote",
     .id = "outcomesDemote",
     .tag = "outcomes",
     .summary = "Whether a model should no longer be asked",
     PARAMS(demote_params),
     .response = DEMOTION,
     .handler = h_outcomes_demote},
    {.method = "GET",
     .path = "/outcomes/ab",
     .id = "outcomesAb",
     .tag = "outcomes",
     .summary = "A challenger against the incumbent",
     PARAMS(ab_params),
     .response = AB,
     .handler = h_outcomes_ab},
    {.method = "GET",
     .path = "/outcomes/trends",
     .id = "outcomesTrends",
     .tag = "outcomes",
     .summary = "Success by day, newest first",
     PARAMS(trends_params),
     .response = ITEMS,
     .handler = h_outcomes_trends},
    {.method = "GET",
     .path = "/outcomes/export",
     .id = "outcomesExport",
     .tag = "outcomes",
     .summary = "Aggregates with many trials, for another project",
     PARAMS(export_params),
     .response = EXPORT,
     .handler = h_outcomes_export},
    {.method = "POST",
     .path = "/outcomes/import",
     .id = "outcomesImport",
     .tag = "outcomes",
     .summary = "Take over aggregates that others made",
     .description = "An export, an old model-performance.json, or (with `dataset`) a dataset of outcomes.",
     PARAMS(import_params),
     .request = "{\"type\":[\"object\",\"null\"]}",
     .response = IMPORTED,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_outcomes_import},
    {.method = "POST",
     .path = "/outcomes/check",
     .id = "outcomesCheck",
     .tag = "outcomes",
     .summary = "Hold the aggregates against a recount",
     PARAMS(check_params),
     .response = CHECKED,
     .flags = ROUTE_WRITE,
     .handler = h_outcomes_check},
};

struct route_table gateway_outcome_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
