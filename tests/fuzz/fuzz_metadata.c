/* Any bytes as table metadata, as a schema, and as a pointer. Metadata that is
 * accepted can be made into a next version, which must be accepted too and show
 * the same. */
#include "fuzz.h"

#include "iceberg/table_internal.h"

#include <string.h>

static void next_version(const struct iceberg_metadata *metadata)
{
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(metadata);
    ICEBERG_AUTO_METADATA *next = NULL;
    ICEBERG_AUTO_METADATA *again = NULL;
    struct tn_error err = {0};
    size_t length = 0;
    metadata_draft_set_property(draft, "k", "v");
    FUZZ_CHECK(metadata_draft_finish(draft, 2, "t/metadata/2", "file:///t/2", 7, &next, &err) == TN_OK);
    const char *json = iceberg_metadata_json(next, &length);
    if (iceberg_metadata_parse(json, length, "again", &again, &err) != TN_OK) {
        (void)fprintf(stderr, "%s\n%.*s\n", err.detail, (int)length, json);
        abort();
    }
    FUZZ_CHECK(again->snapshot_count == metadata->snapshot_count);
    FUZZ_CHECK(again->schema->id == metadata->schema->id);
    FUZZ_CHECK(again->ref_count == metadata->ref_count);
    FUZZ_CHECK(!again->current == !metadata->current);
    FUZZ_CHECK(strcmp(iceberg_metadata_property(again, "k"), "v") == 0);
    for (size_t i = 0; i < again->snapshot_count; i++)
        FUZZ_CHECK(strcmp(again->snapshots[i]->json, metadata->snapshots[i]->json) == 0);
}

static void as_schema(const char *text, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct iceberg_schema *schema = NULL, *again = NULL, *grown = NULL, *numbered = NULL;
    TN_AUTO_BUF json = {0};
    int32_t last = 0;
    if (iceberg_schema_parse(arena, text, size, &schema, NULL) != TN_OK)
        return;
    iceberg_schema_json(schema, &json);
    FUZZ_CHECK(iceberg_schema_parse(arena, json.data, json.len, &again, NULL) == TN_OK);
    FUZZ_CHECK(again->field_count == schema->field_count);
    if (iceberg_schema_assign_ids(arena, schema, 1, &numbered, &last, NULL) == TN_OK &&
        iceberg_schema_evolve(arena, numbered, schema, last, &grown, NULL) == TN_OK)
        FUZZ_CHECK(grown->field_count >= schema->field_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct table_pointer pointer;
    struct tn_error err = {0};
    const char *text = (const char *)data;
    if (iceberg_metadata_parse(text, size, "input", &metadata, &err) == TN_OK) {
        (void)iceberg_metadata_as_of(metadata, 5);
        if (metadata->format_version > 1)
            next_version(metadata);
    } else {
        FUZZ_CHECK(!metadata && err.detail[0]);
    }
    as_schema(text, size);
    if (table_pointer_parse(arena, text, size, "input", &pointer, &err) == TN_OK)
        FUZZ_CHECK(pointer.dropped || pointer.metadata);
    return 0;
}
