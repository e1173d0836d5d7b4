/* Any bytes as a manifest of data files, of delete files, and as a manifest
 * list. What is accepted is written again and must read the same. */
#include "fuzz.h"

#include "base/id.h"
#include "iceberg/manifest.h"
#include "iceberg/plan_internal.h"

#include <string.h>

static const struct iceberg_partition_field parts[] = {{1, 1000, "a", "identity"}, {2, 1001, "b", "bucket[4]"}};
static const struct iceberg_spec partitioned = {1, parts, 2}, plain = {0, NULL, 0};
static const uint8_t sync_marker[AVRO_SYNC_BYTES] = "0123456789abcdef";

/* Statistics from outside reach comparisons and printing. */
static void use_stats(const struct iceberg_file *file)
{
    static const enum iceberg_kind kinds[] = {ICEBERG_LONG,      ICEBERG_DOUBLE, ICEBERG_STRING, ICEBERG_DATE,
                                              ICEBERG_TIMESTAMP, ICEBERG_UUID,   ICEBERG_BINARY, ICEBERG_BOOLEAN};
    for (size_t i = 0; i < file->stats_count; i++) {
        const struct iceberg_stats *stats = &file->stats[i];
        for (size_t k = 0; k < TN_COUNT(kinds); k++) {
            const struct iceberg_field field = {
                .id = stats->field_id, .name = "c", .type = iceberg_type_of(kinds[k])};
            const struct iceberg_schema schema = {.fields = &field, .field_count = 1};
            const struct iceberg_predicate predicate = {stats->field_id, ICEBERG_LT, &stats->upper, 1};
            TN_AUTO_BUF text = {0};
            (void)prune_file(&schema, &predicate, 1, file);
            iceberg_value_format(field.type, stats->lower, &text);
        }
    }
}

static void write_again(const struct manifest_object *object, const struct manifest_row *row)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(manifest_build_release) struct manifest_build build;
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *again = NULL;
    const struct iceberg_schema empty = {0};
    struct tn_error err = {0};
    FUZZ_CHECK(manifest_build_open(&build, arena, (enum manifest_content)row->content, &empty, "{}", &plain,
                                   sync_marker, &err) == TN_OK);
    for (size_t i = 0; i < object->count; i++) {
        struct iceberg_file file = object->entries[i].file;
        file.partition_count = 0;
        FUZZ_CHECK(manifest_build_add(&build, object->entries[i].status, &file, &err) == TN_OK);
    }
    FUZZ_CHECK(manifest_build_finish(&build, &err) == TN_OK);
    if (manifest_decode(build.writer.out.data, build.writer.out.len, "again", row, &plain, &again, &err) != TN_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        abort();
    }
    FUZZ_CHECK(again->count == object->count);
    for (size_t i = 0; i < object->count; i++) {
        FUZZ_CHECK(strcmp(again->entries[i].file.path, object->entries[i].file.path) == 0);
        FUZZ_CHECK(again->entries[i].file.record_count == object->entries[i].file.record_count);
    }
}

static void as_manifest(const uint8_t *data, size_t size, int32_t content, const struct iceberg_spec *spec)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *object = NULL;
    const struct manifest_row row = {.path = "m", .content = content, .sequence_number = 5, .added_snapshot_id = 9};
    struct tn_error err = {0};
    if (manifest_decode(data, size, "input", &row, spec, &object, &err) != TN_OK) {
        FUZZ_CHECK(!object && err.detail[0]);
        return;
    }
    for (size_t i = 0; i < object->count; i++)
        use_stats(&object->entries[i].file);
    write_again(object, &row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *again = NULL;
    struct tn_error err = {0};
    as_manifest(data, size, MANIFEST_DATA, &partitioned);
    as_manifest(data, size, MANIFEST_DELETES, NULL);
    if (manifest_list_decode(data, size, "input", &list, &err) == TN_OK) {
        TN_AUTO_BUF bytes = {0};
        FUZZ_CHECK(manifest_list_encode(list->rows, list->count, 1, 2, 3, sync_marker, &bytes, &err) == TN_OK);
        FUZZ_CHECK(manifest_list_decode(bytes.data, bytes.len, "again", &again, &err) == TN_OK);
        FUZZ_CHECK(again->count == list->count);
    }
    return 0;
}
