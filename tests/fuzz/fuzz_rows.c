/* Bodies of rows and keys in paths: anything at all, against one schema with
 * every sort of column. */
#include "fuzz.h"

#include "ingest/ingest.h"
#include "ingest/rows_json.h"

#include <string.h>

static const char *const types[] = {"BIGINT",
                                    "VARCHAR",
                                    "DOUBLE",
                                    "FLOAT",
                                    "BOOLEAN",
                                    "DECIMAL(12,2)",
                                    "DATE",
                                    "TIME",
                                    "TIMESTAMP",
                                    "TIMESTAMPTZ",
                                    "UUID",
                                    "BLOB",
                                    "INTEGER[]",
                                    "STRUCT(x BIGINT, y VARCHAR[])",
                                    "MAP(INTEGER, DOUBLE)"};

static const struct iceberg_schema *make_schema(struct tn_arena *arena)
{
    struct iceberg_schema *schema = tn_arena_alloc(arena, sizeof *schema);
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, TN_COUNT(types));
    static const int32_t key[] = {1, 7};
    for (size_t i = 0; i < TN_COUNT(types); i++) {
        fields[i].id = (int32_t)i + 1;
        fields[i].name = tn_arena_printf(arena, i == 1 ? "n.%c" : "%c", (int)('a' + i));
        FUZZ_CHECK(catalog_type_from_sql(arena, types[i], &fields[i].type, NULL) == TN_OK);
    }
    *schema = (struct iceberg_schema){
        .fields = fields, .field_count = TN_COUNT(types), .identifier_ids = key, .identifier_count = 2};
    return schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > (64U << 10))
        return 0;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct rows_json_shape shape = {.schema = make_schema(arena), .max_rows = 100, .same_columns = data[0] & 1};
    struct tn_error err = {0};
    struct rows_json rows;
    char *text = malloc(size - 1 ? size - 1 : 1);
    memcpy(text, data + 1, size - 1);
    if (rows_json_read(arena, &shape, text, size - 1, &rows, &err) == TN_OK) {
        FUZZ_CHECK(rows.row_count <= 100 && rows.column_count <= TN_COUNT(types));
        for (size_t i = 0; i < rows.column_count; i++)
            FUZZ_CHECK(rows.field_ids[i] >= 1 && (size_t)rows.field_ids[i] <= TN_COUNT(types));
    } else {
        FUZZ_CHECK(err.detail[0]);
    }
    free(text);
    char *key = tn_strndup((const char *)data + 1, size - 1);
    struct engine_cell *cells;
    if (ingest_rows_key(arena, shape.schema, key, &cells, &err) == TN_OK)
        FUZZ_CHECK(!cells[1].null || key[0] == '[');
    free(key);
    return 0;
}
