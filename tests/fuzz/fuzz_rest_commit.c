/* Any bytes as a commit, a transaction and a CreateTableRequest of the REST
 * catalog. What is accepted is metadata that a strict parse takes, keeps what
 * the change did not name, and can be committed to again by Tarn itself. */
#include "fuzz.h"

#include "base/base.h"
#include "iceberg/metadata_internal.h"
#include "store/store.h"

#include <string.h>
#include <unistd.h>

static const char base_json[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"file:///t\","
    "\"last-sequence-number\":2,\"last-updated-ms\":2000,\"last-column-id\":2,\"current-schema-id\":0,\"schemas\":["
    "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"s\",\"required\":false,\"type\":\"string\"}]}],\"default-spec-id\":0,\"partition-specs\":["
    "{\"spec-id\":0,\"fields\":[]}],\"last-partition-id\":999,\"default-sort-order-id\":0,\"sort-orders\":["
    "{\"order-id\":0,\"fields\":[]}],\"properties\":{\"k\":\"v\"},\"current-snapshot-id\":11,\"refs\":{\"main\":"
    "{\"snapshot-id\":11,\"type\":\"branch\"},\"old\":{\"snapshot-id\":10,\"type\":\"tag\"}},\"snapshots\":["
    "{\"snapshot-id\":10,\"sequence-number\":1,\"timestamp-ms\":1000,\"manifest-list\":\"file:///t/a\",\"summary\":"
    "{\"operation\":\"append\"},\"schema-id\":0},{\"snapshot-id\":11,\"parent-snapshot-id\":10,\"sequence-number\":2,"
    "\"timestamp-ms\":2000,\"manifest-list\":\"file:///t/"
    "b\",\"summary\":{\"operation\":\"append\"},\"schema-id\":0}],"
    "\"snapshot-log\":[{\"timestamp-ms\":1000,\"snapshot-id\":10},{\"timestamp-ms\":2000,\"snapshot-id\":11}],"
    "\"metadata-log\":[],\"x-unknown\":{\"kept\":[1.50]}}";

static struct iceberg_table table;
static struct iceberg_metadata *base;

static void set_up(void)
{
    static char folder[] = "/tmp/tarn-fuzz-XXXXXX";
    struct store *store = NULL;
    if (base)
        return;
    FUZZ_CHECK(mkdtemp(folder) && tn_random_init(NULL) == TN_OK);
    FUZZ_CHECK(store_open_local(folder, &store, NULL) == TN_OK);
    table = (struct iceberg_table){.store = store, .prefix = "datasets/t"};
    FUZZ_CHECK(iceberg_metadata_parse(base_json, sizeof base_json - 1, "base", &base, NULL) == TN_OK);
    base->version = 1;
    FUZZ_CHECK(rmdir(folder) == 0 || access(folder, F_OK) == 0); /* nothing is written here */
}

/* Tarn's own next commit on top of what the client made. */
static void commit_on(const struct iceberg_metadata *metadata)
{
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = NULL;
    ICEBERG_AUTO_METADATA *next = NULL;
    ICEBERG_AUTO_METADATA *again = NULL;
    struct tn_error err = {0};
    size_t length = 0;
    if (metadata->format_version != 2)
        return;
    draft = metadata_draft_new(metadata);
    FUZZ_CHECK(metadata_draft_finish(draft, 3, "t/3", "file:///t/3", 7, &next, &err) == TN_OK);
    const char *json = iceberg_metadata_json(next, &length);
    FUZZ_CHECK(iceberg_metadata_parse(json, length, "again", &again, &err) == TN_OK);
    FUZZ_CHECK(again->snapshot_count == metadata->snapshot_count && again->ref_count == metadata->ref_count);
}

static void check(enum tn_code code, const struct iceberg_metadata *on, const struct iceberg_metadata *next,
                  const struct tn_error *err)
{
    if (code != TN_OK) {
        FUZZ_CHECK(!next && err->detail[0] && tn_code_http_status(code) < 500);
        return;
    }
    size_t length = 0;
    const char *json = iceberg_metadata_json(next, &length);
    FUZZ_CHECK(!on || memmem(json, length, "\"x-unknown\":{\"kept\":[1.50]}", 26));
    FUZZ_CHECK(!on || strcmp(next->uuid, on->uuid) == 0);
    commit_on(next);
}

static void apply(const struct iceberg_change *change)
{
    ICEBERG_AUTO_METADATA *next = NULL;
    ICEBERG_AUTO_METADATA *made = NULL;
    struct tn_error err = {0};
    enum tn_code code = iceberg_change_apply(&table, base, 2, change, &next, &err);
    check(code, base, next, &err);
    (void)iceberg_change_creates(change);
    code = iceberg_change_apply(&table, NULL, 1, change, &made, &err);
    check(code, NULL, made, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    set_up();
    for (int several = 0; several < 2; several++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct iceberg_change *changes = NULL;
        size_t count = 0;
        struct tn_error err = {0};
        enum tn_code code = iceberg_changes_read(arena, text, size, several, &changes, &count, &err);
        FUZZ_CHECK(code == TN_OK || (tn_code_http_status(code) < 500 && err.detail[0]));
        for (size_t i = 0; code == TN_OK && i < count && i < 4; i++)
            apply(&changes[i]);
    }
    ICEBERG_AUTO_METADATA *made = NULL;
    struct tn_error err = {0};
    enum tn_code code = iceberg_change_create(&table, 1, text, size, &made, &err);
    check(code, NULL, made, &err);
    return 0;
}
