#include "dataset/width.h"

#include <inttypes.h>

#define PLACE_BYTES 16 /* of what has its bytes elsewhere */

uint64_t dataset_width(const struct iceberg_type *type)
{
    switch (type->kind) {
    case ICEBERG_BOOLEAN:
        return 1;
    case ICEBERG_INT:
    case ICEBERG_FLOAT:
    case ICEBERG_DATE:
        return 4;
    case ICEBERG_LONG:
    case ICEBERG_DOUBLE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return 8;
    case ICEBERG_DECIMAL:
        return type->precision <= 18 ? 8 : 16;
    default:
        return PLACE_BYTES;
    }
}

static bool has_bytes(const struct iceberg_type *type)
{
    return type->kind == ICEBERG_STRING || type->kind == ICEBERG_BINARY || type->kind == ICEBERG_FIXED;
}

bool dataset_width_is_whole(const struct iceberg_type *type)
{
    if (type->kind == ICEBERG_LIST)
        return type->fields[0].type->kind != ICEBERG_LIST && !has_bytes(type->fields[0].type) &&
               dataset_width_is_whole(type->fields[0].type);
    return type->kind != ICEBERG_STRUCT && type->kind != ICEBERG_MAP;
}

void dataset_width_put(const struct iceberg_field *field, struct tn_buf *sql)
{
    const struct iceberg_type *type = field->type;
    uint64_t behind = has_bytes(type) ? 1 : type->kind == ICEBERG_LIST ? dataset_width(type->fields[0].type) : 0;
    tn_buf_printf(sql, "%" PRIu64, dataset_width(type));
    if (!behind)
        return;
    tn_buf_puts(sql, type->kind == ICEBERG_STRING ? " + coalesce(strlen("
                     : type->kind == ICEBERG_LIST ? " + coalesce(len("
                                                  : " + coalesce(octet_length(");
    tn_buf_put_sql_name(sql, field->name);
    tn_buf_printf(sql, "), 0) * %" PRIu64, behind);
}
