/* Which files can hold no row that matters, told by their statistics.
 *
 * A file is left out only when its statistics prove it; whatever is unknown,
 * malformed or inverted proves nothing. NULL satisfies no comparison. NaN sorts
 * above every number (as the SQL engine has it), and bounds do not cover it.
 */
#include "iceberg/plan_internal.h"
#include "iceberg/value.h"

#include <math.h>

struct prune_column {
    const struct iceberg_type *type;
    struct iceberg_bytes lower, upper; /* {NULL}: unknown */
    bool no_nulls, only_nulls;
    bool may_be_nan;
};

static bool prune_is_float(const struct iceberg_type *type)
{
    return type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE;
}

static struct prune_column prune_describe(const struct iceberg_type *type, const struct iceberg_stats *stats)
{
    struct prune_column column = {.type = type, .lower = stats->lower, .upper = stats->upper};
    column.no_nulls = stats->null_count == 0;
    column.only_nulls = stats->null_count > 0 && stats->null_count == stats->value_count;
    column.may_be_nan = prune_is_float(type) && stats->nan_count != 0;
    if (!iceberg_value_valid(type, column.lower))
        column.lower.data = NULL;
    if (!iceberg_value_valid(type, column.upper))
        column.upper.data = NULL;
    if (column.lower.data && column.upper.data && iceberg_value_compare(type, column.lower, column.upper) > 0)
        column.lower.data = column.upper.data = NULL; /* some writers swapped them */
    return column;
}

/* Every value of the column is above `value`. */
static bool prune_all_above(const struct prune_column *column, struct iceberg_bytes value, bool or_equal)
{
    if (!column->lower.data)
        return false;
    int order = iceberg_value_compare(column->type, column->lower, value);
    return order > 0 || (or_equal && order == 0);
}

static bool prune_all_below(const struct prune_column *column, struct iceberg_bytes value, bool or_equal)
{
    if (!column->upper.data || column->may_be_nan)
        return false;
    int order = iceberg_value_compare(column->type, column->upper, value);
    return order < 0 || (or_equal && order == 0);
}

static bool prune_excludes_value(const struct prune_column *column, struct iceberg_bytes value)
{
    /* The value is a number here, so that NaN in the column does not match it. */
    return prune_all_above(column, value, false) ||
           (column->upper.data && iceberg_value_compare(column->type, column->upper, value) < 0);
}

static bool prune_usable(const struct iceberg_type *type, struct iceberg_bytes value)
{
    return iceberg_value_valid(type, value) && !(prune_is_float(type) && isnan(value_get_f64(value)));
}

static bool prune_comparison(const struct prune_column *column, enum iceberg_op op, struct iceberg_bytes value)
{
    switch (op) {
    case ICEBERG_LT:
        return prune_all_above(column, value, true);
    case ICEBERG_LE:
        return prune_all_above(column, value, false);
    case ICEBERG_GT:
        return prune_all_below(column, value, true);
    case ICEBERG_GE:
        return prune_all_below(column, value, false);
    case ICEBERG_NE:
        return column->lower.data && column->upper.data && !column->may_be_nan &&
               iceberg_value_compare(column->type, column->lower, value) == 0 &&
               iceberg_value_compare(column->type, column->upper, value) == 0;
    default:
        return prune_excludes_value(column, value);
    }
}

static bool prune_predicate(const struct prune_column *column, const struct iceberg_predicate *predicate)
{
    if (predicate->op == ICEBERG_IS_NULL)
        return column->no_nulls;
    if (column->only_nulls)
        return true;
    if (predicate->op == ICEBERG_NOT_NULL)
        return false;
    for (size_t i = 0; i < predicate->value_count; i++)
        if (!prune_usable(column->type, predicate->values[i]))
            return false;
    if (predicate->op != ICEBERG_IN)
        return predicate->value_count == 1 && prune_comparison(column, predicate->op, predicate->values[0]);
    for (size_t i = 0; i < predicate->value_count; i++)
        if (!prune_excludes_value(column, predicate->values[i]))
            return false;
    return true;
}

static const struct iceberg_field *prune_column_of(const struct iceberg_schema *schema, int32_t field_id)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].id == field_id)
            return &schema->fields[i];
    return NULL; /* inside a list, counts are not of rows */
}

bool prune_file(const struct iceberg_schema *schema, const struct iceberg_predicate *predicates, size_t count,
                const struct iceberg_file *file)
{
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_field *field = prune_column_of(schema, predicates[i].field_id);
        const struct iceberg_stats *stats = iceberg_file_stats(file, predicates[i].field_id);
        if (!field || !stats)
            continue;
        const struct prune_column column = prune_describe(field->type, stats);
        if (prune_predicate(&column, &predicates[i]))
            return true;
    }
    return false;
}
