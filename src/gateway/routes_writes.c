/* The routes that change rows, keep evidence and do upkeep. */
#include "gateway/gateway_internal.h"

#define STRING  "{\"type\":\"string\"}"
#define INTEGER "{\"type\":\"integer\",\"minimum\":0}"
#define NUMBER  "{\"type\":[\"integer\",\"string\"]}"
#define ID      "{\"type\":[\"integer\",\"string\",\"null\"]}"

#define ROWS_REQUEST                                                                                                 \
    "{\"description\":\"An array of objects, one object, or (application/x-ndjson) one object a line.\","            \
    "\"type\":[\"array\",\"object\"]}"
#define ROWS_RESPONSE                                                                                                \
    "{\"type\":\"object\",\"required\":[\"dataset\",\"inserted\",\"updated\",\"unchanged\",\"deleted\","             \
    "\"snapshot_id\"],\"properties\":{\"dataset\":" STRING ",\"inserted\":" NUMBER ",\"updated\":" NUMBER            \
    ",\"unchanged\":" NUMBER ",\"deleted\":" NUMBER ",\"snapshot_id\":" ID "}}"
#define EVENTS_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":{\"type\":\"object\"}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"
#define COMPACT_REQUEST                                                                                              \
    "{\"type\":[\"object\",\"null\"],\"additionalProperties\":false,\"properties\":{\"reason\":" STRING              \
    ",\"debt_only\":{\"type\":\"boolean\",\"description\":\"Leave large files with few deletes as they are.\"}}}"
#define EXPIRE_REQUEST                                                                                               \
    "{\"type\":\"object\",\"required\":[\"older_than\"],\"additionalProperties\":false,\"properties\":{"             \
    "\"older_than\":{\"type\":\"string\",\"description\":\"A time.\"},\"keep\":{\"type\":\"integer\",\"minimum\":1," \
    "\"description\":\"The newest so many stay whatever their age; 1.\"},\"preview\":{\"type\":\"boolean\","         \
    "\"description\":\"Only say what would go.\"},\"reason\":" STRING ",\"workspace\":" STRING "}}"
#define RESTORE_REQUEST                                                                                              \
    "{\"type\":\"object\",\"required\":[\"as_of\"],\"additionalProperties\":false,\"properties\":{\"as_of\":{"       \
    "\"type\":[\"string\",\"integer\"],\"description\":\"A snapshot id, a time or a tag.\"},\"reason\":" STRING      \
    ",\"workspace\":" STRING "}}"
#define TAG_REQUEST                                                                                                  \
    "{\"type\":[\"object\",\"null\"],\"additionalProperties\":false,\"properties\":{\"as_of\":{"                     \
    "\"type\":[\"string\",\"integer\",\"null\"],\"description\":\"Which state: a snapshot id, a time or another "    \
    "tag; the newest one.\"},\"move\":{\"type\":\"boolean\",\"description\":\"Point a tag that is there at "         \
    "another state.\"},\"reason\":" STRING ",\"workspace\":" STRING "}}"
#define TAG_STATE "\"name\":" STRING ",\"snapshot_id\":" ID ",\"committed_at\":{\"type\":[\"string\",\"null\"]}"
#define TAG_ITEM                                                                                                     \
    "{\"type\":\"object\",\"required\":[\"name\",\"type\",\"snapshot_id\"],\"properties\":{\"type\":{\"enum\":["     \
    "\"tag\",\"branch\"]}," TAG_STATE "}}"
#define TAG_RESPONSE                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"dataset\",\"status\",\"name\",\"snapshot_id\"],\"properties\":{"           \
    "\"dataset\":" STRING ",\"status\":{\"enum\":[\"created\",\"moved\",\"unchanged\",\"dropped\"]}," TAG_STATE "}}"
#define TAGS_RESPONSE                                                                                                \
    "{\"type\":\"object\",\"required\":[\"items\",\"next_cursor\"],\"properties\":{\"items\":{\"type\":\"array\","   \
    "\"items\":" TAG_ITEM "},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"
#define DELETE_REQUEST                                                                                               \
    "{\"type\":\"object\",\"required\":[\"where\"],\"additionalProperties\":false,\"properties\":{\"where\":{"       \
    "\"type\":\"string\",\"description\":\"A predicate over the dataset's columns.\"},\"reason\":" STRING            \
    ",\"workspace\":" STRING "}}"
#define DELETE_ONE_REQUEST                                                                                           \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"reason\":" STRING                         \
    ",\"workspace\":" STRING "}}"
#define STATUS_RESPONSE                                                                                              \
    "{\"type\":\"object\",\"required\":[\"dataset\",\"status\"],\"properties\":{\"dataset\":" STRING                 \
    ",\"status\":" STRING "}}"

#define IF_MATCH                                                                                                     \
    {                                                                                                                \
        .name = "If-Match", .schema = STRING, .in = "header",                                                        \
        .help = "A snapshot id in quotes: refuse with 412 when it is not the newest any more."                       \
    }
#define REASON                                                                                                       \
    {                                                                                                                \
        .name = "reason", .schema = STRING, .help = "Why; kept in the journal."                                      \
    }
#define WORKSPACE                                                                                                    \
    {                                                                                                                \
        .name = "workspace", .schema = STRING, .help = "For whose work; kept in the journal."                        \
    }

static const struct route_param append_params[] = {IF_MATCH, REASON, WORKSPACE};
static const struct route_param delete_params[] = {IF_MATCH};
static const struct route_param upsert_params[] = {
    IF_MATCH,
    REASON,
    WORKSPACE,
    {.name = "key", .schema = STRING, .help = "The key's columns (a,b), for a dataset that has none yet."}};
static const struct route_param compact_params[] = {
    {.name = "background", .schema = "{\"type\":\"boolean\"}", .help = "As a job; the answer is 202."},
    {.name = "wait",
     .schema = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600}",
     .help = "With background: seconds to wait for its end."}};
static const struct route_param journal_params[] = {
    {.name = "dataset", .schema = STRING, .help = "Events of this dataset."},
    {.name = "entity", .schema = STRING, .help = "Events of the record with this key."},
    {.name = "actor", .schema = STRING, .help = "Events by this token's owner."},
    {.name = "operation",
     .schema =
         "{\"enum\":[\"insert\",\"update\",\"delete\",\"ingest\",\"replace\",\"restore\",\"compact\",\"schema\","
         "\"expire\",\"create\",\"alter\",\"rollback\",\"rename\",\"drop\",\"describe\",\"namespace.create\","
         "\"namespace.update\",\"namespace.drop\",\"index.create\",\"index.drop\",\"tag.set\",\"tag.drop\"]}",
     .help = "Events of this kind; any other word is refused."},
    {.name = "since", .schema = STRING, .help = "At this time or later."},
    {.name = "until", .schema = STRING, .help = "Before this time."},
    {.name = "limit", .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}", .help = "Most items; 100."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};
static const struct route_param tags_params[] = {
    {.name = "limit", .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}", .help = "Most items; 100."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};
static const struct route_param tag_drop_params[] = {REASON, WORKSPACE};
static const struct route_param history_params[] = {
    {.name = "limit",
     .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000}",
     .help = "Most items; 1000."},
    {.name = "cursor", .schema = STRING, .help = "next_cursor of the page before."}};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/datasets/{dataset}/rows",
     .id = "rowsAppend",
     .tag = "rows",
     .summary = "Append rows",
     .description = "All or none. In a dataset with a key, no row may have a key that is there already.",
     PARAMS(append_params),
     .request = ROWS_REQUEST,
     .response = ROWS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_UPLOAD,
     .handler = h_rows_write,
     .start = h_rows_append_start},
    {.method = "PUT",
     .path = "/datasets/{dataset}/rows",
     .id = "rowsUpsert",
     .tag = "rows",
     .summary = "Insert or replace rows by key",
     .description = "All or none. A row that equals the one that is there writes nothing.",
     PARAMS(upsert_params),
     .request = ROWS_REQUEST,
     .response = ROWS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_UPLOAD,
     .handler = h_rows_write,
     .start = h_rows_upsert_start},
    {.method = "PATCH",
     .path = "/datasets/{dataset}/rows/{key}",
     .id = "rowsPatch",
     .tag = "rows",
     .summary = "Change some fields of one record",
     PARAMS(append_params),
     .request = "{\"type\":\"object\"}",
     .response = ROWS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_UPLOAD,
     .handler = h_rows_write,
     .start = h_rows_patch_start},
    {.method = "DELETE",
     .path = "/datasets/{dataset}/rows/{key}",
     .id = "rowsDelete",
     .tag = "rows",
     .summary = "Delete one record",
     PARAMS(append_params),
     .request = DELETE_ONE_REQUEST,
     .response = ROWS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_rows_delete},
    {.method = "POST",
     .path = "/datasets/{dataset}/delete",
     .id = "rowsDeleteWhere",
     .tag = "rows",
     .summary = "Delete the rows that meet a predicate",
     PARAMS(delete_params),
     .request = DELETE_REQUEST,
     .response = ROWS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_rows_delete_where},
    {.method = "POST",
     .path = "/datasets/{dataset}/compact",
     .id = "compact",
     .tag = "upkeep",
     .summary = "Merge small files and applied deletes",
     PARAMS(compact_params),
     .request = COMPACT_REQUEST,
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON | ROUTE_JOB,
     .handler = h_compact},
    {.method = "POST",
     .path = "/datasets/{dataset}/expire",
     .id = "expire",
     .tag = "upkeep",
     .summary = "Forget old snapshots",
     .description = "Their events stay in the journal. A tag keeps a snapshot for ever.",
     .request = EXPIRE_REQUEST,
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_expire},
    {.method = "POST",
     .path = "/datasets/{dataset}/restore",
     .id = "restore",
     .tag = "upkeep",
     .summary = "Make a past state the newest one",
     .description = "A new snapshot; nothing is destroyed.",
     PARAMS(delete_params),
     .request = RESTORE_REQUEST,
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_restore},
    {.method = "GET",
     .path = "/datasets/{dataset}/tags",
     .id = "tags",
     .tag = "upkeep",
     .summary = "Names of a dataset's states",
     .description = "Its tags, and the branches that other engines made, by name.",
     PARAMS(tags_params),
     .response = TAGS_RESPONSE,
     .handler = h_tags},
    {.method = "GET",
     .path = "/datasets/{dataset}/tags/{tag}",
     .id = "tagGet",
     .tag = "upkeep",
     .summary = "The state that a tag or branch names",
     .response = TAG_ITEM,
     .handler = h_tag_get},
    {.method = "PUT",
     .path = "/datasets/{dataset}/tags/{tag}",
     .id = "tagSet",
     .tag = "upkeep",
     .summary = "Name a state, and keep it",
     .description = "The snapshot stays until the tag goes. A number, a time or replay-N cannot be a name.",
     .request = TAG_REQUEST,
     .response = TAG_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_tag_set},
    {.method = "DELETE",
     .path = "/datasets/{dataset}/tags/{tag}",
     .id = "tagDrop",
     .tag = "upkeep",
     .summary = "Forget a tag",
     .description = "The snapshot stays as long as any other would.",
     PARAMS(tag_drop_params),
     .request = DELETE_ONE_REQUEST,
     .response = TAG_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JSON,
     .handler = h_tag_drop},
    {.method = "POST",
     .path = "/datasets/{dataset}/pin",
     .id = "pin",
     .tag = "upkeep",
     .summary = "Hold a dataset in memory",
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE,
     .handler = h_pin},
    {.method = "DELETE",
     .path = "/datasets/{dataset}/pin",
     .id = "unpin",
     .tag = "upkeep",
     .summary = "Let a dataset's copy in memory go",
     .response = STATUS_RESPONSE,
     .flags = ROUTE_WRITE,
     .handler = h_unpin},
    {.method = "GET",
     .path = "/journal",
     .id = "journal",
     .tag = "journal",
     .summary = "Who changed what, newest first",
     PARAMS(journal_params),
     .response = EVENTS_RESPONSE,
     .handler = h_journal},
    {.method = "GET",
     .path = "/catalog/datasets/{dataset}/history/{key}",
     .id = "history",
     .tag = "journal",
     .summary = "Every change of one record, oldest first",
     PARAMS(history_params),
     .response = EVENTS_RESPONSE,
     .handler = h_history},
};

struct route_table gateway_write_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
