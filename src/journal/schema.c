/* The columns of an event. Their ids never change. */
#include "journal/journal_internal.h"

static const struct iceberg_type text_type = {.kind = ICEBERG_STRING};
static const struct iceberg_type long_type = {.kind = ICEBERG_LONG};
static const struct iceberg_type moment_type = {.kind = ICEBERG_TIMESTAMPTZ};

static const struct iceberg_field fields[JOURNAL_COLUMNS] = {
    [COLUMN_EVENT_ID] = {.id = 1, .required = true, .name = "event_id", .type = &text_type},
    [COLUMN_TS] = {.id = 2, .required = true, .name = "ts", .type = &moment_type},
    [COLUMN_DATASET] = {.id = 3, .required = true, .name = "dataset", .type = &text_type},
    [COLUMN_ENTITY] = {.id = 4, .name = "entity", .type = &text_type},
    [COLUMN_OPERATION] = {.id = 5, .required = true, .name = "operation", .type = &text_type},
    [COLUMN_FIELD] = {.id = 6, .name = "field", .type = &text_type},
    [COLUMN_OLD_VALUE] = {.id = 7, .name = "old_value", .type = &text_type},
    [COLUMN_NEW_VALUE] = {.id = 8, .name = "new_value", .type = &text_type},
    [COLUMN_ACTOR] = {.id = 9, .name = "actor", .type = &text_type},
    [COLUMN_SOURCE] = {.id = 10, .name = "source", .type = &text_type},
    [COLUMN_REASON] = {.id = 11, .name = "reason", .type = &text_type},
    [COLUMN_WORKSPACE] = {.id = 12, .name = "workspace", .type = &text_type},
    [COLUMN_REQUEST_ID] = {.id = 13, .name = "request_id", .type = &text_type},
    [COLUMN_SNAPSHOT_ID] = {.id = 14, .required = true, .name = "snapshot_id", .type = &long_type},
    [COLUMN_SEQUENCE] = {.id = 15, .required = true, .name = "sequence", .type = &long_type},
    [COLUMN_ORDINAL] = {.id = 16, .required = true, .name = "ordinal", .type = &long_type},
    [COLUMN_ROWS] = {.id = 17, .name = "rows", .type = &long_type},
    [COLUMN_TABLE_UUID] = {.id = 18, .required = true, .name = "table_uuid", .type = &text_type},
};

static const struct iceberg_schema schema = {.fields = fields, .field_count = JOURNAL_COLUMNS};

const struct iceberg_schema *journal_schema(void)
{
    return &schema;
}

void journal_put_columns(struct tn_buf *out, const char *prefix)
{
    for (size_t i = 0; i < JOURNAL_COLUMNS; i++)
        tn_buf_printf(out, "%s%s%s", i ? ", " : "", prefix, fields[i].name);
}

/* What was no commit has a number in place of a snapshot (note.c). */
void journal_put_answer(struct tn_buf *out)
{
    for (size_t i = 0; i < JOURNAL_COLUMNS; i++)
        tn_buf_printf(out,
                      i == COLUMN_SNAPSHOT_ID ? "%sCASE WHEN %s > 0 THEN snapshot_id END AS snapshot_id" : "%s%s",
                      i ? ", " : "", fields[i].name);
}
