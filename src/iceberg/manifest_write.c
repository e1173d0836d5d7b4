/* Manifests and manifest lists, encoded.
 *
 * The Avro schemas stand here as text, because every attribute in them counts:
 * readers reject optional fields whose null does not come first, and fields
 * without ids. Only the partition record changes from table to table.
 */
#include "base/json.h"
#include "base/str.h"
#include "iceberg/manifest.h"
#include "iceberg/schema.h"
#include "iceberg/value.h"

#include <string.h>

#define FIELD(name, type, id) "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define OPTIONAL(name, type, id)                                                                                     \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define ID_MAP(name, key, value, type)                                                                               \
    "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":" RECORD(                                                 \
        name, FIELD("key", "\"int\"", key) "," FIELD("value", type, value)) "}"
#define LIST(type, id) "{\"type\":\"array\",\"items\":" type ",\"element-id\":" #id "}"

#define INT    "\"int\""
#define LONG   "\"long\""
#define BYTES  "\"bytes\""
#define STRING "\"string\""

/* clang-format off */
static const char list_schema[] =
    RECORD("manifest_file",
        FIELD("manifest_path", STRING, 500) ","
        FIELD("manifest_length", LONG, 501) ","
        FIELD("partition_spec_id", INT, 502) ","
        FIELD("content", INT, 517) ","
        FIELD("sequence_number", LONG, 515) ","
        FIELD("min_sequence_number", LONG, 516) ","
        FIELD("added_snapshot_id", LONG, 503) ","
        FIELD("added_files_count", INT, 504) ","
        FIELD("existing_files_count", INT, 505) ","
        FIELD("deleted_files_count", INT, 506) ","
        FIELD("added_rows_count", LONG, 512) ","
        FIELD("existing_rows_count", LONG, 513) ","
        FIELD("deleted_rows_count", LONG, 514) ","
        OPTIONAL("partitions", LIST(RECORD("r508",
            FIELD("contains_null", "\"boolean\"", 509) ","
            OPTIONAL("contains_nan", "\"boolean\"", 518) ","
            OPTIONAL("lower_bound", BYTES, 510) ","
            OPTIONAL("upper_bound", BYTES, 511)), 508), 507) ","
        OPTIONAL("key_metadata", BYTES, 519));

/* The partition record's fields stand between the two halves. */
static const char entry_schema_head[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
        FIELD("status", INT, 0) ","
        OPTIONAL("snapshot_id", LONG, 1) ","
        OPTIONAL("sequence_number", LONG, 3) ","
        OPTIONAL("file_sequence_number", LONG, 4) ","
        "{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
        FIELD("content", INT, 134) ","
        FIELD("file_path", STRING, 100) ","
        FIELD("file_format", STRING, 101) ","
        "{\"name\":\"partition\",\"type\":{\"type\":\"record\",\"name\":\"r102\",\"fields\":[";
static const char entry_schema_tail[] =
        "]},\"field-id\":102},"
        FIELD("record_count", LONG, 103) ","
        FIELD("file_size_in_bytes", LONG, 104) ","
        OPTIONAL("column_sizes", ID_MAP("k117_v118", 117, 118, LONG), 108) ","
        OPTIONAL("value_counts", ID_MAP("k119_v120", 119, 120, LONG), 109) ","
        OPTIONAL("null_value_counts", ID_MAP("k121_v122", 121, 122, LONG), 110) ","
        OPTIONAL("nan_value_counts", ID_MAP("k138_v139", 138, 139, LONG), 137) ","
        OPTIONAL("lower_bounds", ID_MAP("k126_v127", 126, 127, BYTES), 125) ","
        OPTIONAL("upper_bounds", ID_MAP("k129_v130", 129, 130, BYTES), 128) ","
        OPTIONAL("key_metadata", BYTES, 131) ","
        OPTIONAL("split_offsets", LIST(LONG, 133), 132) ","
        OPTIONAL("equality_ids", LIST(INT, 136), 135) ","
        OPTIONAL("sort_order_id", INT, 140) ","
        OPTIONAL("referenced_data_file", STRING, 143)
        "]},\"field-id\":2}]}";
/* clang-format on */

/* --- Partition records --- */

static int manifest_decimal_bytes(int precision)
{
    value_i128 limit = 1;
    for (int i = 0; i < precision; i++)
        limit *= 10;
    int bytes = 1;
    for (value_i128 reach = 128; reach < limit; reach *= 256)
        bytes++;
    return bytes;
}

static void manifest_partition_avro_type(const struct iceberg_type *type, int32_t field_id, struct tn_buf *out)
{
    switch (type->kind) {
    case ICEBERG_DATE:
        tn_buf_puts(out, "{\"type\":\"int\",\"logicalType\":\"date\"}");
        break;
    case ICEBERG_TIME:
        tn_buf_puts(out, "{\"type\":\"long\",\"logicalType\":\"time-micros\"}");
        break;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        tn_buf_printf(out, "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":%s}",
                      type->kind == ICEBERG_TIMESTAMPTZ ? "true" : "false");
        break;
    case ICEBERG_UUID:
        tn_buf_printf(out, "{\"type\":\"fixed\",\"name\":\"uuid_%d\",\"size\":16,\"logicalType\":\"uuid\"}",
                      field_id);
        break;
    case ICEBERG_FIXED:
        tn_buf_printf(out, "{\"type\":\"fixed\",\"name\":\"fixed_%d\",\"size\":%d}", field_id, type->length);
        break;
    case ICEBERG_DECIMAL:
        tn_buf_printf(out,
                      "{\"type\":\"fixed\",\"name\":\"decimal_%d\",\"size\":%d,\"logicalType\":\"decimal\","
                      "\"precision\":%d,\"scale\":%d}",
                      field_id, manifest_decimal_bytes(type->precision), type->precision, type->scale);
        break;
    case ICEBERG_BINARY:
        tn_buf_puts(out, BYTES);
        break;
    default:
        tn_buf_printf(out, "\"%s\"", iceberg_kind_word(type->kind));
        break;
    }
}

/* Avro names are [A-Za-z_][A-Za-z0-9_]*; other bytes become _xHH. */
static void manifest_avro_name(const char *name, struct tn_buf *out)
{
    if (*name >= '0' && *name <= '9')
        tn_buf_putc(out, '_');
    for (; *name; name++) {
        char c = *name;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')
            tn_buf_putc(out, c);
        else
            tn_buf_printf(out, "_x%02X", (unsigned)(unsigned char)c);
    }
}

static void manifest_entry_schema(const struct manifest_build *build, struct tn_buf *out)
{
    tn_buf_puts(out, entry_schema_head);
    for (size_t i = 0; i < build->spec->field_count; i++) {
        const struct iceberg_partition_field *field = &build->spec->fields[i];
        tn_buf_puts(out, i ? ",{\"name\":\"" : "{\"name\":\"");
        manifest_avro_name(field->name, out);
        tn_buf_puts(out, "\",\"type\":[\"null\",");
        manifest_partition_avro_type(build->types[i], field->field_id, out);
        tn_buf_printf(out, "],\"default\":null,\"field-id\":%d}", field->field_id);
    }
    tn_buf_puts(out, entry_schema_tail);
}

static void manifest_spec_json(const struct iceberg_spec *spec, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '[');
    for (size_t i = 0; i < spec->field_count; i++) {
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "name", spec->fields[i].name);
        tn_json_kstr(&json, "transform", spec->fields[i].transform);
        tn_json_key(&json, "source-id");
        tn_json_int(&json, spec->fields[i].source_id);
        tn_json_key(&json, "field-id");
        tn_json_int(&json, spec->fields[i].field_id);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
}

static void manifest_put_value(struct tn_buf *out, const struct iceberg_type *type, struct iceberg_bytes value)
{
    if (!value.data) {
        avro_put_null(out);
        return;
    }
    avro_put_some(out);
    switch (type->kind) {
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        avro_put_varint(out, value_get_i64(value));
        break;
    case ICEBERG_DOUBLE: {
        double number = value_get_f64(value); /* may be a float's four bytes */
        tn_buf_append(out, &number, sizeof number);
        break;
    }
    case ICEBERG_DECIMAL:
        for (size_t n = value.length; n < (size_t)manifest_decimal_bytes(type->precision); n++)
            tn_buf_putc(out, (char)(value.data[0] & 0x80 ? 0xFF : 0x00));
        tn_buf_append(out, value.data, value.length);
        break;
    case ICEBERG_STRING:
    case ICEBERG_BINARY:
        avro_put_bytes(out, value.data, value.length);
        break;
    default: /* boolean, float, uuid, fixed */
        tn_buf_append(out, value.data, value.length);
        break;
    }
}

static void manifest_summarize(struct manifest_build *build, const struct iceberg_file *file)
{
    for (size_t i = 0; i < build->spec->field_count; i++) {
        struct manifest_field_summary *summary = &build->summaries[i];
        struct iceberg_bytes value = file->partition[i];
        const struct iceberg_type *type = build->types[i];
        if (!value.data) {
            summary->contains_null = true;
            continue;
        }
        if ((type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE) &&
            value_get_f64(value) != value_get_f64(value)) {
            summary->contains_nan = 1;
            continue;
        }
        if (!summary->lower.data || iceberg_value_compare(type, value, summary->lower) < 0)
            summary->lower = value_put(build->arena, value.data, value.length);
        if (!summary->upper.data || iceberg_value_compare(type, value, summary->upper) > 0)
            summary->upper = value_put(build->arena, value.data, value.length);
    }
}

/* --- Manifests --- */

enum tn_code manifest_build_open(struct manifest_build *build, struct tn_arena *arena, enum manifest_content content,
                                 const struct iceberg_schema *schema, const char *schema_json,
                                 const struct iceberg_spec *spec, const uint8_t *sync, struct tn_error *err)
{
    *build = (struct manifest_build){.arena = arena, .spec = spec};
    build->types = manifest_partition_types(arena, spec, schema);
    for (size_t i = 0; i < spec->field_count; i++)
        if (!build->types[i] || iceberg_kind_nested(build->types[i]->kind) ||
            build->types[i]->kind == ICEBERG_UNSUPPORTED)
            return tn_fail(err, TN_EUNSUPPORTED, "partition field \"%s\" (%s) cannot be written",
                           spec->fields[i].name, spec->fields[i].transform);
    build->summaries = TN_ARENA_ARRAY(arena, struct manifest_field_summary, spec->field_count);
    TN_AUTO_BUF avro_schema = {0};
    TN_AUTO_BUF spec_json = {0};
    char schema_id[16], spec_id[16];
    manifest_entry_schema(build, &avro_schema);
    manifest_spec_json(spec, &spec_json);
    (void)snprintf(schema_id, sizeof schema_id, "%d", schema->id);
    (void)snprintf(spec_id, sizeof spec_id, "%d", spec->id);
    const struct iceberg_pair pairs[] = {
        {"schema", schema_json},
        {"schema-id", schema_id},
        {"partition-spec", spec_json.data},
        {"partition-spec-id", spec_id},
        {"format-version", "2"},
        {"content", content == MANIFEST_DATA ? "data" : "deletes"},
    };
    avro_writer_open(&build->writer, avro_schema.data, pairs, TN_COUNT(pairs), true, sync);
    build->row =
        (struct manifest_row){.spec_id = spec->id, .content = (int32_t)content, .min_sequence_number = INT64_MAX};
    return TN_OK;
}

static void manifest_put_optional(struct tn_buf *out, int64_t value)
{
    if (value == ICEBERG_NONE) {
        avro_put_null(out);
        return;
    }
    avro_put_some(out);
    avro_put_varint(out, value);
}

/* One of the maps of counts: `offset` is the member of struct iceberg_stats. */
static void manifest_put_counts(struct tn_buf *out, const struct iceberg_file *file, size_t offset)
{
    int64_t count = 0;
    for (size_t i = 0; i < file->stats_count; i++)
        count += *(const int64_t *)(const void *)((const char *)&file->stats[i] + offset) != ICEBERG_NONE;
    if (count == 0) {
        avro_put_null(out);
        return;
    }
    avro_put_some(out);
    avro_put_varint(out, count);
    for (size_t i = 0; i < file->stats_count; i++) {
        int64_t value = *(const int64_t *)(const void *)((const char *)&file->stats[i] + offset);
        if (value == ICEBERG_NONE)
            continue;
        avro_put_varint(out, file->stats[i].field_id);
        avro_put_varint(out, value);
    }
    avro_put_varint(out, 0);
}

static void manifest_put_bounds(struct tn_buf *out, const struct iceberg_file *file, bool upper)
{
    int64_t count = 0;
    for (size_t i = 0; i < file->stats_count; i++)
        count += (upper ? file->stats[i].upper : file->stats[i].lower).data != NULL;
    if (count == 0) {
        avro_put_null(out);
        return;
    }
    avro_put_some(out);
    avro_put_varint(out, count);
    for (size_t i = 0; i < file->stats_count; i++) {
        struct iceberg_bytes bound = upper ? file->stats[i].upper : file->stats[i].lower;
        if (!bound.data)
            continue;
        avro_put_varint(out, file->stats[i].field_id);
        avro_put_bytes(out, bound.data, bound.length);
    }
    avro_put_varint(out, 0);
}

static void manifest_put_lists(struct tn_buf *out, const struct iceberg_file *file)
{
    if (file->split_count) {
        avro_put_some(out);
        avro_put_varint(out, (int64_t)file->split_count);
        for (size_t i = 0; i < file->split_count; i++)
            avro_put_varint(out, file->split_offsets[i]);
        avro_put_varint(out, 0);
    } else {
        avro_put_null(out);
    }
    if (file->equality_count) {
        avro_put_some(out);
        avro_put_varint(out, (int64_t)file->equality_count);
        for (size_t i = 0; i < file->equality_count; i++)
            avro_put_varint(out, file->equality_ids[i]);
        avro_put_varint(out, 0);
    } else {
        avro_put_null(out);
    }
}

static void manifest_put_file(struct manifest_build *build, const struct iceberg_file *file)
{
    struct tn_buf *out = &build->writer.block;
    avro_put_varint(out, (int64_t)file->content);
    avro_put_text(out, file->path);
    avro_put_text(out, file->format ? file->format : "PARQUET");
    for (size_t i = 0; i < build->spec->field_count; i++)
        manifest_put_value(out, build->types[i], file->partition[i]);
    avro_put_varint(out, file->record_count);
    avro_put_varint(out, file->size_bytes);
    manifest_put_counts(out, file, offsetof(struct iceberg_stats, column_size));
    manifest_put_counts(out, file, offsetof(struct iceberg_stats, value_count));
    manifest_put_counts(out, file, offsetof(struct iceberg_stats, null_count));
    manifest_put_counts(out, file, offsetof(struct iceberg_stats, nan_count));
    manifest_put_bounds(out, file, false);
    manifest_put_bounds(out, file, true);
    avro_put_null(out); /* key_metadata */
    manifest_put_lists(out, file);
    manifest_put_optional(out, file->sort_order_id);
    if (file->referenced_data_file) {
        avro_put_some(out);
        avro_put_text(out, file->referenced_data_file);
    } else {
        avro_put_null(out);
    }
}

enum tn_code manifest_build_add(struct manifest_build *build, enum manifest_status status,
                                const struct iceberg_file *file, struct tn_error *err)
{
    struct tn_buf *out = &build->writer.block;
    struct manifest_row *row = &build->row;
    /* Nothing outside the spec's tuple can be written, nor less than it. */
    if (file->partition_count != build->spec->field_count)
        return tn_fail(err, TN_EINTERNAL, "%s has %zu partition values, its spec %d has %zu fields", file->path,
                       file->partition_count, build->spec->id, build->spec->field_count);
    bool inherits = status == MANIFEST_ADDED && file->sequence_number <= 0;
    avro_put_varint(out, (int64_t)status);
    manifest_put_optional(out, file->snapshot_id);
    manifest_put_optional(out, inherits ? ICEBERG_NONE : file->sequence_number);
    manifest_put_optional(out, status == MANIFEST_ADDED ? ICEBERG_NONE : file->file_sequence_number);
    manifest_put_file(build, file);
    if (status != MANIFEST_DELETED && !inherits)
        row->min_sequence_number = TN_MIN(row->min_sequence_number, file->sequence_number);
    switch (status) {
    case MANIFEST_ADDED:
        row->added_files++;
        row->added_rows += file->record_count;
        break;
    case MANIFEST_EXISTING:
        row->existing_files++;
        row->existing_rows += file->record_count;
        break;
    case MANIFEST_DELETED:
        row->deleted_files++;
        row->deleted_rows += file->record_count;
        break;
    }
    manifest_summarize(build, file);
    return avro_writer_end_record(&build->writer, err);
}

enum tn_code manifest_build_finish(struct manifest_build *build, struct tn_error *err)
{
    TN_TRY(avro_writer_finish(&build->writer, err));
    build->row.length = (int64_t)build->writer.out.len;
    build->row.partitions = build->summaries;
    build->row.partition_count = build->spec->field_count;
    return TN_OK;
}

void manifest_build_release(struct manifest_build *build)
{
    avro_writer_release(&build->writer);
}

/* --- Lists --- */

static void manifest_put_optional_bytes(struct tn_buf *out, struct iceberg_bytes bytes)
{
    if (!bytes.data) {
        avro_put_null(out);
        return;
    }
    avro_put_some(out);
    avro_put_bytes(out, bytes.data, bytes.length);
}

static void manifest_put_summaries(struct tn_buf *out, const struct manifest_row *row)
{
    avro_put_some(out);
    if (row->partition_count) {
        avro_put_varint(out, (int64_t)row->partition_count);
        for (size_t i = 0; i < row->partition_count; i++) {
            const struct manifest_field_summary *summary = &row->partitions[i];
            avro_put_bool(out, summary->contains_null);
            if (summary->contains_nan < 0) {
                avro_put_null(out);
            } else {
                avro_put_some(out);
                avro_put_bool(out, summary->contains_nan > 0);
            }
            manifest_put_optional_bytes(out, summary->lower);
            manifest_put_optional_bytes(out, summary->upper);
        }
    }
    avro_put_varint(out, 0);
}

static void manifest_put_row(struct tn_buf *out, const struct manifest_row *row)
{
    avro_put_text(out, row->path);
    avro_put_varint(out, row->length);
    avro_put_varint(out, row->spec_id);
    avro_put_varint(out, row->content);
    avro_put_varint(out, row->sequence_number);
    avro_put_varint(out, row->min_sequence_number);
    avro_put_varint(out, row->added_snapshot_id);
    avro_put_varint(out, row->added_files);
    avro_put_varint(out, row->existing_files);
    avro_put_varint(out, row->deleted_files);
    avro_put_varint(out, row->added_rows);
    avro_put_varint(out, row->existing_rows);
    avro_put_varint(out, row->deleted_rows);
    manifest_put_summaries(out, row);
    manifest_put_optional_bytes(out, row->key_metadata);
}

enum tn_code manifest_list_encode(const struct manifest_row *rows, size_t count, int64_t snapshot_id,
                                  int64_t parent_id, int64_t sequence_number, const uint8_t *sync, struct tn_buf *out,
                                  struct tn_error *err)
{
    TN_CLEANUP(avro_writer_release) struct avro_writer writer;
    char snapshot[32], parent[32] = "null", sequence[32];
    (void)snprintf(snapshot, sizeof snapshot, "%lld", (long long)snapshot_id);
    (void)snprintf(sequence, sizeof sequence, "%lld", (long long)sequence_number);
    if (parent_id != ICEBERG_NONE)
        (void)snprintf(parent, sizeof parent, "%lld", (long long)parent_id);
    const struct iceberg_pair pairs[] = {
        {"snapshot-id", snapshot},
        {"parent-snapshot-id", parent},
        {"sequence-number", sequence},
        {"format-version", "2"},
    };
    avro_writer_open(&writer, list_schema, pairs, TN_COUNT(pairs), true, sync);
    for (size_t i = 0; i < count; i++) {
        manifest_put_row(&writer.block, &rows[i]);
        TN_TRY(avro_writer_end_record(&writer, err));
    }
    TN_TRY(avro_writer_finish(&writer, err));
    tn_buf_append(out, writer.out.data, writer.out.len);
    return TN_OK;
}
