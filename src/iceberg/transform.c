/* Partition transforms: from a column's value to the partition that it lies in.
 *
 * Every engine that writes into a table must find the same partition for the
 * same value, or readers that skip partitions overlook rows. The
 * specification's Appendix B has the hash, its section on partitioning the rest.
 */
#include "base/clock.h"
#include "base/str.h"
#include "iceberg/manifest.h"
#include "iceberg/value.h"

#include <string.h>

#define MICROS_PER_HOUR INT64_C(3600000000)

/* --- The hash: Murmur3, x86, 32 bits, seed 0 --- */

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static uint32_t mix(uint32_t word)
{
    return rotate(word * 0xcc9e2d51U, 15) * 0x1b873593U;
}

static int32_t murmur3(const uint8_t *bytes, size_t length)
{
    uint32_t hash = 0, tail = 0;
    for (size_t i = 0; i + 4 <= length; i += 4) {
        uint32_t word = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2] << 16 |
                        (uint32_t)bytes[i + 3] << 24;
        hash = rotate(hash ^ mix(word), 13) * 5 + 0xe6546b64U;
    }
    for (size_t i = length & 3; i > 0; i--)
        tail = tail << 8 | bytes[(length & ~(size_t)3) + i - 1];
    hash ^= mix(tail) ^ (uint32_t)length;
    hash = (hash ^ hash >> 16) * 0x85ebca6bU;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35U;
    return (int32_t)(hash ^ hash >> 16);
}

int32_t iceberg_hash(const struct iceberg_type *type, struct iceberg_bytes value)
{
    uint8_t bytes[16];
    size_t length = 0;
    switch (type->kind) {
    case ICEBERG_INT: /* all as longs, so that widening a column moves no row */
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        for (uint64_t number = (uint64_t)value_get_i64(value); length < 8; number >>= 8)
            bytes[length++] = (uint8_t)number;
        return murmur3(bytes, length);
    case ICEBERG_DECIMAL: { /* in as few bytes as hold it */
        size_t skip = 0;
        while (skip + 1 < value.length && ((value.data[skip] == 0x00 && !(value.data[skip + 1] & 0x80)) ||
                                           (value.data[skip] == 0xFF && (value.data[skip + 1] & 0x80))))
            skip++;
        return murmur3(value.data + skip, value.length - skip);
    }
    default:
        return murmur3(value.data, value.length);
    }
}

/* --- What a spec says --- */

static const struct {
    const char *word;
    enum iceberg_transform_kind kind;
} words[] = {
    {"identity", ICEBERG_IDENTITY}, {"void", ICEBERG_VOID}, {"year", ICEBERG_YEAR},
    {"month", ICEBERG_MONTH},       {"day", ICEBERG_DAY},   {"hour", ICEBERG_HOUR},
};

/* "bucket[16]": the number, which is above 0. */
static bool read_width(const char *text, const char *word, int64_t *ret)
{
    size_t length = strlen(word), end = strlen(text);
    char digits[12];
    if (!tn_str_starts_with(text, word) || end < length + 2 || end - length - 1 >= sizeof digits ||
        text[end - 1] != ']')
        return false;
    memcpy(digits, text + length, end - length - 1);
    digits[end - length - 1] = '\0';
    return *digits >= '0' && *digits <= '9' && tn_parse_i64(digits, ret) && *ret > 0 && *ret <= INT32_MAX;
}

static bool read_transform(const char *text, struct iceberg_transform *ret)
{
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (tn_streq(text, words[i].word)) {
            ret->kind = words[i].kind;
            return true;
        }
    ret->kind = ICEBERG_BUCKET;
    if (read_width(text, "bucket[", &ret->width))
        return true;
    ret->kind = ICEBERG_TRUNCATE;
    return read_width(text, "truncate[", &ret->width);
}

static bool is_clock(enum iceberg_kind kind)
{
    return kind == ICEBERG_TIMESTAMP || kind == ICEBERG_TIMESTAMPTZ;
}

/* Which types the specification lets a transform take. */
static bool takes(enum iceberg_transform_kind transform, enum iceberg_kind kind)
{
    if (kind == ICEBERG_STRUCT || kind == ICEBERG_LIST || kind == ICEBERG_MAP || kind == ICEBERG_UNSUPPORTED)
        return transform == ICEBERG_VOID;
    switch (transform) {
    case ICEBERG_BUCKET:
        return kind != ICEBERG_BOOLEAN && kind != ICEBERG_FLOAT && kind != ICEBERG_DOUBLE;
    case ICEBERG_TRUNCATE:
        return kind == ICEBERG_INT || kind == ICEBERG_LONG || kind == ICEBERG_DECIMAL || kind == ICEBERG_STRING ||
               kind == ICEBERG_BINARY;
    case ICEBERG_YEAR:
    case ICEBERG_MONTH:
    case ICEBERG_DAY:
        return kind == ICEBERG_DATE || is_clock(kind);
    case ICEBERG_HOUR:
        return is_clock(kind);
    default:
        return true;
    }
}

bool iceberg_transform_fits(const char *text, const struct iceberg_type *type)
{
    struct iceberg_transform transform = {0};
    if (!read_transform(text, &transform))
        return !tn_str_starts_with(text, "bucket[") && !tn_str_starts_with(text, "truncate[");
    return type->kind == ICEBERG_UNSUPPORTED || takes(transform.kind, type->kind);
}

static enum tn_code prepare(const struct iceberg_partition_field *field, const struct iceberg_schema *schema,
                            struct iceberg_transform *ret, struct tn_error *err)
{
    size_t at = 0;
    if (!read_transform(field->transform, ret))
        return tn_fail(err, TN_EUNSUPPORTED, "partition field \"%s\" is made by \"%s\", which Tarn does not compute",
                       field->name, field->transform);
    while (at < schema->field_count && schema->fields[at].id != field->source_id)
        at++;
    if (at == schema->field_count)
        return tn_fail(err, TN_EUNSUPPORTED,
                       "partition field \"%s\" is made of field %d, which is no column of the table", field->name,
                       field->source_id);
    ret->column = at;
    ret->source = schema->fields[at].type;
    if (!takes(ret->kind, ret->source->kind))
        return tn_fail(err, TN_EUNSUPPORTED, "partition field \"%s\": \"%s\" is not defined for column \"%s\"",
                       field->name, field->transform, schema->fields[at].name);
    return TN_OK;
}

enum tn_code iceberg_partitioner_init(struct tn_arena *arena, const struct iceberg_spec *spec,
                                      const struct iceberg_schema *schema, struct iceberg_partitioner *ret,
                                      struct tn_error *err)
{
    struct iceberg_transform *fields = TN_ARENA_ARRAY(arena, struct iceberg_transform, spec->field_count + 1);
    for (size_t i = 0; i < spec->field_count; i++)
        TN_TRY(prepare(&spec->fields[i], schema, &fields[i], err));
    *ret = (struct iceberg_partitioner){.spec_id = spec->id,
                                        .fields = fields,
                                        .field_count = spec->field_count,
                                        .types = manifest_partition_types(arena, spec, schema)};
    return TN_OK;
}

/* --- Values --- */

static int64_t floor_divide(int64_t number, int64_t by)
{
    return number / by - (number % by < 0);
}

static struct iceberg_bytes put_int(struct tn_arena *arena, int64_t number)
{
    return value_put_le(arena, (uint64_t)number, 4);
}

/* The greatest multiple of the width that is not above the number. One below
 * the type's least wraps round, as in other engines. */
static struct iceberg_bytes truncate_number(const struct iceberg_transform *transform, struct tn_arena *arena,
                                            struct iceberg_bytes value)
{
    if (transform->source->kind == ICEBERG_DECIMAL) {
        value_i128 number = value_get_decimal(value), width = transform->width;
        return value_put_decimal(arena, number - ((number % width) + width) % width);
    }
    int64_t number = value_get_i64(value);
    uint64_t rest = (uint64_t)(((number % transform->width) + transform->width) % transform->width);
    return value_put_le(arena, (uint64_t)number - rest, transform->source->kind == ICEBERG_INT ? 4 : 8);
}

static struct iceberg_bytes truncate_text(const struct iceberg_transform *transform, struct iceberg_bytes value)
{
    size_t end = 0;
    if (transform->source->kind == ICEBERG_BINARY) {
        value.length = TN_MIN(value.length, (size_t)transform->width);
        return value;
    }
    for (int64_t points = 0; end < value.length && points < transform->width; points++)
        do
            end++;
        while (end < value.length && (value.data[end] & 0xC0) == 0x80);
    value.length = end;
    return value;
}

static struct iceberg_bytes part_of_time(const struct iceberg_transform *transform, struct tn_arena *arena,
                                         struct iceberg_bytes value)
{
    int64_t number = value_get_i64(value);
    if (transform->kind == ICEBERG_HOUR)
        return put_int(arena, floor_divide(number, MICROS_PER_HOUR));
    int64_t days = is_clock(transform->source->kind) ? floor_divide(number, 24 * MICROS_PER_HOUR) : number;
    if (transform->kind == ICEBERG_DAY)
        return put_int(arena, days);
    int year;
    unsigned month, day;
    tn_civil_from_days((int32_t)days, &year, &month, &day);
    return put_int(arena, transform->kind == ICEBERG_YEAR ? year - 1970 : (year - 1970) * 12 + (int)month - 1);
}

static struct iceberg_bytes apply(const struct iceberg_transform *transform, struct tn_arena *arena,
                                  struct iceberg_bytes value)
{
    if (!value.data)
        return (struct iceberg_bytes){0};
    switch (transform->kind) {
    case ICEBERG_IDENTITY:
        return value;
    case ICEBERG_BUCKET:
        return put_int(arena, (iceberg_hash(transform->source, value) & INT32_MAX) % transform->width);
    case ICEBERG_TRUNCATE:
        return transform->source->kind == ICEBERG_STRING || transform->source->kind == ICEBERG_BINARY
                   ? truncate_text(transform, value)
                   : truncate_number(transform, arena, value);
    case ICEBERG_YEAR:
    case ICEBERG_MONTH:
    case ICEBERG_DAY:
    case ICEBERG_HOUR:
        return part_of_time(transform, arena, value);
    case ICEBERG_VOID:
        break;
    }
    return (struct iceberg_bytes){0};
}

void iceberg_partition_of(const struct iceberg_partitioner *partitioner, struct tn_arena *arena,
                          const struct iceberg_bytes *sources, struct iceberg_bytes *ret)
{
    for (size_t i = 0; i < partitioner->field_count; i++)
        ret[i] = apply(&partitioner->fields[i], arena, sources[i]);
}

int iceberg_partition_compare(const struct iceberg_type *const *types, const struct iceberg_bytes *a,
                              const struct iceberg_bytes *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!a[i].data || !b[i].data) {
            if (a[i].data || b[i].data)
                return a[i].data ? 1 : -1;
            continue;
        }
        bool known = types && types[i] && iceberg_value_valid(types[i], a[i]) && iceberg_value_valid(types[i], b[i]);
        int order = known ? iceberg_value_compare(types[i], a[i], b[i]) : value_compare_raw(a[i], b[i]);
        if (order)
            return order;
    }
    return 0;
}

/* --- Which schema has a spec's columns --- */

static bool knows(struct tn_arena *arena, const struct iceberg_spec *spec, const struct iceberg_schema *schema)
{
    const struct iceberg_type **types = manifest_partition_types(arena, spec, schema);
    for (size_t i = 0; i < spec->field_count; i++)
        if (!types[i] || types[i]->field_count > 0 || types[i]->kind == ICEBERG_UNSUPPORTED)
            return false;
    return true;
}

const struct iceberg_schema *iceberg_spec_schema(struct tn_arena *arena, const struct iceberg_metadata *metadata,
                                                 const struct iceberg_spec *spec,
                                                 const struct iceberg_schema *preferred)
{
    if (spec->field_count == 0 || knows(arena, spec, preferred))
        return preferred;
    for (size_t i = metadata->schema_count; i-- > 0;)
        if (knows(arena, spec, metadata->schemas[i]))
            return metadata->schemas[i];
    return NULL;
}
