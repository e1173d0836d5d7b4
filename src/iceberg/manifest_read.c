/* Manifests, decoded by the schema that they carry. */
#include "iceberg/manifest.h"

#include "base/str.h"

#include <string.h>

/* Ids of the specification, for files whose writers left them out. */
static const struct avro_name entry_names[] = {
    {"status", 0}, {"snapshot_id", 1}, {"sequence_number", 3}, {"file_sequence_number", 4}, {"data_file", 2},
};
static const struct avro_name file_names[] = {
    {"content", 134},
    {"file_path", 100},
    {"file_format", 101},
    {"partition", 102},
    {"record_count", 103},
    {"file_size_in_bytes", 104},
    {"column_sizes", 108},
    {"value_counts", 109},
    {"null_value_counts", 110},
    {"nan_value_counts", 137},
    {"lower_bounds", 125},
    {"upper_bounds", 128},
    {"key_metadata", 131},
    {"split_offsets", 132},
    {"equality_ids", 135},
    {"sort_order_id", 140},
    {"referenced_data_file", 143},
    {"content_offset", 144},
    {"content_size_in_bytes", 145},
};

struct manifest_reader {
    struct manifest_object *object;
    struct tn_arena *scratch; /* the file's schema and header: of no use when it is decoded */
    struct avro_reader avro;
    const struct iceberg_spec *spec;
    int32_t *partition_position; /* of each field of the file's partition record in the spec, or NONE */
    struct iceberg_stats *stats; /* of the entry being read; sorted when it is done */
    size_t stats_count, stats_capacity;
    int64_t content_offset;
    size_t capacity;
};

static void manifest_reader_release(struct manifest_reader *reader)
{
    avro_reader_release(&reader->avro);
    manifest_object_unref(reader->object);
    tn_arena_free(reader->scratch);
    free(reader->partition_position);
    free(reader->stats);
}

/* --- Statistics: six maps become one array, one element per column --- */

/* The element for a column; appended when it is new. Maps come sorted or
 * nearly so, and the search starts where the last one ended. */
static struct iceberg_stats *manifest_stats_slot(struct manifest_reader *reader, int32_t field_id, size_t *hint)
{
    for (size_t n = 0; n < reader->stats_count; n++) {
        size_t at = *hint + n;
        if (at >= reader->stats_count)
            at -= reader->stats_count;
        if (reader->stats[at].field_id == field_id) {
            *hint = at + 1 < reader->stats_count ? at + 1 : 0;
            return &reader->stats[at];
        }
    }
    TN_GROW(reader->stats, reader->stats_count, reader->stats_capacity);
    reader->stats[reader->stats_count] = (struct iceberg_stats){.field_id = field_id,
                                                                .column_size = ICEBERG_NONE,
                                                                .value_count = ICEBERG_NONE,
                                                                .null_count = ICEBERG_NONE,
                                                                .nan_count = ICEBERG_NONE};
    return &reader->stats[reader->stats_count++];
}

#define MANIFEST_MAX_STATS 20000 /* columns of one file; searching is quadratic when hostile */

static enum tn_code manifest_read_stat(struct manifest_reader *reader, struct avro_in *in,
                                       const struct avro_type *record, int32_t map_id, size_t *hint)
{
    int32_t key = ICEBERG_NONE;
    int64_t number = ICEBERG_NONE;
    struct iceberg_bytes bytes = {NULL, 0};
    bool bounds = map_id == 125 || map_id == 128;
    TN_TRY(avro_get_i32(in, record->fields[0].type, &key));
    if (bounds)
        TN_TRY(avro_get_bytes(in, record->fields[1].type, &bytes));
    else
        TN_TRY(avro_get_i64(in, record->fields[1].type, &number));
    if (reader->stats_count >= MANIFEST_MAX_STATS)
        return avro_fail(in, "statistics for too many columns");
    struct iceberg_stats *slot = manifest_stats_slot(reader, key, hint);
    if (bytes.data) {
        uint8_t *copy = tn_arena_alloc(reader->object->arena, bytes.length + 1);
        memcpy(copy, bytes.data, bytes.length);
        bytes.data = copy;
    }
    switch (map_id) {
    case 108:
        slot->column_size = number;
        break;
    case 109:
        slot->value_count = number;
        break;
    case 110:
        slot->null_count = number;
        break;
    case 137:
        slot->nan_count = number;
        break;
    case 125:
        slot->lower = bytes;
        break;
    default:
        slot->upper = bytes;
        break;
    }
    return TN_OK;
}

static enum tn_code manifest_read_stats(struct manifest_reader *reader, struct avro_in *in,
                                        const struct avro_type *type, int32_t map_id)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind == AVRO_NULL)
        return TN_OK;
    const struct avro_type *record = type->kind == AVRO_ARRAY ? type->parts[0] : NULL;
    if (!record || record->kind != AVRO_RECORD || record->count != 2)
        return avro_fail(in, "column statistics are not an array of key and value");
    struct avro_items items = {0};
    size_t hint = 0;
    bool more = true;
    for (;;) {
        TN_TRY(avro_items_next(in, &items, &more));
        if (!more)
            return TN_OK;
        TN_TRY(manifest_read_stat(reader, in, record, map_id, &hint));
    }
}

/* --- Lists of numbers --- */

#define MANIFEST_MAX_NUMBERS ((size_t)1 << 20) /* row groups or columns of one file */

static enum tn_code manifest_read_numbers(struct manifest_reader *reader, struct avro_in *in,
                                          const struct avro_type *type, const int64_t **ret, size_t *ret_count)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind == AVRO_NULL)
        return TN_OK;
    if (type->kind != AVRO_ARRAY)
        return avro_fail(in, "a list of numbers is stored as another type");
    struct avro_items items = {0};
    TN_AUTO_FREE int64_t *numbers = NULL;
    size_t count = 0, capacity = 0;
    bool more = true;
    for (;;) {
        TN_TRY(avro_items_next(in, &items, &more));
        if (!more)
            break;
        if (count == MANIFEST_MAX_NUMBERS)
            return avro_fail(in, "a list of numbers is too long");
        TN_GROW(numbers, count, capacity);
        numbers[count] = 0;
        TN_TRY(avro_get_i64(in, type->parts[0], &numbers[count++]));
    }
    int64_t *copy = TN_ARENA_ARRAY(reader->object->arena, int64_t, count);
    if (count)
        memcpy(copy, numbers, count * sizeof *copy);
    *ret = copy;
    *ret_count = count;
    return TN_OK;
}

static enum tn_code manifest_read_equality(struct manifest_reader *reader, struct avro_in *in,
                                           const struct avro_type *type, struct iceberg_file *file)
{
    const int64_t *numbers = NULL;
    TN_TRY(manifest_read_numbers(reader, in, type, &numbers, &file->equality_count));
    int32_t *ids = TN_ARENA_ARRAY(reader->object->arena, int32_t, file->equality_count);
    for (size_t i = 0; i < file->equality_count; i++)
        ids[i] = (int32_t)numbers[i];
    file->equality_ids = ids;
    return TN_OK;
}

/* --- Partitions --- */

/* A value in the single-value form: what Avro has as varints becomes little-
 * endian, decimals lose their padding. */
static enum tn_code manifest_read_value(struct manifest_reader *reader, struct avro_in *in,
                                        const struct avro_type *type, struct iceberg_bytes *ret)
{
    struct tn_arena *arena = reader->object->arena;
    struct iceberg_bytes bytes = {NULL, 0};
    int64_t number = 0;
    bool flag = false;
    size_t width = 0;
    uint8_t raw[8];
    TN_TRY(avro_enter(in, type, &type));
    switch (type->kind) {
    case AVRO_NULL:
        return TN_OK;
    case AVRO_BOOLEAN:
        TN_TRY(avro_get_bool(in, type, &flag));
        number = flag;
        width = 1;
        break;
    case AVRO_INT:
    case AVRO_LONG:
        TN_TRY(avro_get_i64(in, type, &number));
        width = type->kind == AVRO_INT ? 4 : 8;
        break;
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        bytes.data = in->at;
        bytes.length = type->kind == AVRO_FLOAT ? 4 : 8;
        TN_TRY(avro_skip(in, type));
        break;
    default:
        TN_TRY(avro_get_bytes(in, type, &bytes));
        break;
    }
    for (size_t i = 0; i < width; i++)
        raw[i] = (uint8_t)((uint64_t)number >> (8 * i));
    if (width)
        bytes = (struct iceberg_bytes){raw, width};
    if (type->logical && tn_streq(type->logical, "decimal"))
        while (bytes.length > 1 && ((bytes.data[0] == 0x00 && !(bytes.data[1] & 0x80)) ||
                                    (bytes.data[0] == 0xFF && (bytes.data[1] & 0x80)))) {
            bytes.data++;
            bytes.length--;
        }
    uint8_t *copy = tn_arena_alloc(arena, bytes.length + 1);
    memcpy(copy, bytes.data, bytes.length);
    *ret = (struct iceberg_bytes){copy, bytes.length};
    return TN_OK;
}

static enum tn_code manifest_read_partition(struct manifest_reader *reader, struct avro_in *in,
                                            const struct avro_type *type, struct iceberg_file *file)
{
    TN_TRY(avro_enter(in, type, &type));
    if (!reader->spec || type->kind != AVRO_RECORD)
        return avro_skip(in, type);
    struct iceberg_bytes *values =
        TN_ARENA_ARRAY(reader->object->arena, struct iceberg_bytes, reader->spec->field_count);
    file->partition = values;
    file->partition_count = reader->spec->field_count;
    for (size_t i = 0; i < type->count; i++) {
        size_t at = 0;
        while (at < reader->spec->field_count && reader->spec->fields[at].field_id != type->fields[i].id)
            at++;
        if (at == reader->spec->field_count)
            TN_TRY(avro_skip(in, type->fields[i].type));
        else
            TN_TRY(manifest_read_value(reader, in, type->fields[i].type, &values[at]));
    }
    return TN_OK;
}

/* --- Entries --- */

static enum tn_code manifest_read_file_field(struct manifest_reader *reader, struct avro_in *in,
                                             const struct avro_field *field, struct iceberg_file *file)
{
    struct tn_arena *arena = reader->object->arena;
    int32_t content = ICEBERG_DATA;
    switch (field->id) {
    case 134:
        TN_TRY(avro_get_i32(in, field->type, &content));
        if (content < ICEBERG_DATA || content > ICEBERG_EQUALITY_DELETES)
            return avro_fail(in, "an unknown kind of file");
        file->content = (enum iceberg_content)content;
        return TN_OK;
    case 100:
        return avro_get_text(in, field->type, arena, &file->path);
    case 101:
        return avro_get_text(in, field->type, arena, &file->format);
    case 102:
        return manifest_read_partition(reader, in, field->type, file);
    case 103:
        return avro_get_i64(in, field->type, &file->record_count);
    case 104:
        return avro_get_i64(in, field->type, &file->size_bytes);
    case 108:
    case 109:
    case 110:
    case 137:
    case 125:
    case 128:
        return manifest_read_stats(reader, in, field->type, field->id);
    case 132:
        return manifest_read_numbers(reader, in, field->type, &file->split_offsets, &file->split_count);
    case 135:
        return manifest_read_equality(reader, in, field->type, file);
    case 140:
        return avro_get_i32(in, field->type, &file->sort_order_id);
    case 143:
        return avro_get_text(in, field->type, arena, &file->referenced_data_file);
    default:
        return avro_skip(in, field->type);
    }
}

static enum tn_code manifest_read_file(struct manifest_reader *reader, struct avro_in *in,
                                       const struct avro_type *type, struct iceberg_file *file)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind != AVRO_RECORD)
        return avro_fail(in, "data_file is not a record");
    reader->stats_count = 0;
    for (size_t i = 0; i < type->count; i++)
        TN_TRY(manifest_read_file_field(reader, in, &type->fields[i], file));
    if (!file->path || !file->format)
        return avro_fail(in, "an entry has no file_path or no file_format");
    if (file->record_count < 0 || file->size_bytes < 0)
        return avro_fail(in, "an entry has no record_count or no file_size_in_bytes");
    if (reader->stats_count)
        qsort(reader->stats, reader->stats_count, sizeof *reader->stats, manifest_stats_order);
    struct iceberg_stats *stats = TN_ARENA_ARRAY(reader->object->arena, struct iceberg_stats, reader->stats_count);
    if (reader->stats_count)
        memcpy(stats, reader->stats, reader->stats_count * sizeof *stats);
    file->stats = stats;
    file->stats_count = reader->stats_count;
    return TN_OK;
}

/* What the entry does not say comes from the manifest's row in the list. */
static enum tn_code manifest_inherit(struct avro_in *in, const struct manifest_row *row, struct manifest_entry *entry)
{
    struct iceberg_file *file = &entry->file;
    entry->explicit_sequence = file->sequence_number != ICEBERG_NONE;
    if (file->snapshot_id == ICEBERG_NONE)
        file->snapshot_id = row->added_snapshot_id;
    /* Sequence 0 is what files of format 1 have, whatever their status. */
    bool may_inherit = entry->status == MANIFEST_ADDED || row->sequence_number == 0;
    if (!may_inherit && (file->sequence_number == ICEBERG_NONE || file->file_sequence_number == ICEBERG_NONE))
        return avro_fail(in, "an entry that is not new has no sequence number");
    if (file->sequence_number == ICEBERG_NONE)
        file->sequence_number = row->sequence_number;
    if (file->file_sequence_number == ICEBERG_NONE)
        file->file_sequence_number = row->sequence_number;
    return TN_OK;
}

static enum tn_code manifest_read_entry(struct manifest_reader *reader, const struct manifest_row *row,
                                        struct manifest_entry *entry)
{
    struct avro_in *in = &reader->avro.in;
    const struct avro_type *type = reader->avro.type;
    struct iceberg_file *file = &entry->file;
    int32_t status = ICEBERG_NONE;
    *file = (struct iceberg_file){.spec_id = row->spec_id,
                                  .record_count = ICEBERG_NONE,
                                  .size_bytes = ICEBERG_NONE,
                                  .sort_order_id = ICEBERG_NONE,
                                  .snapshot_id = ICEBERG_NONE,
                                  .sequence_number = ICEBERG_NONE,
                                  .file_sequence_number = ICEBERG_NONE};
    for (size_t i = 0; i < type->count; i++) {
        const struct avro_field *field = &type->fields[i];
        switch (field->id) {
        case 0:
            TN_TRY(avro_get_i32(in, field->type, &status));
            break;
        case 1:
            TN_TRY(avro_get_i64(in, field->type, &file->snapshot_id));
            break;
        case 3:
            TN_TRY(avro_get_i64(in, field->type, &file->sequence_number));
            break;
        case 4:
            TN_TRY(avro_get_i64(in, field->type, &file->file_sequence_number));
            break;
        case 2:
            TN_TRY(manifest_read_file(reader, in, field->type, file));
            break;
        default:
            TN_TRY(avro_skip(in, field->type));
            break;
        }
    }
    if (status < MANIFEST_EXISTING || status > MANIFEST_DELETED || !file->path)
        return avro_fail(in, "an entry has no status or no file");
    entry->status = (enum manifest_status)status;
    bool deletes = file->content != ICEBERG_DATA;
    if (deletes != (row->content == MANIFEST_DELETES))
        return avro_fail(in, deletes ? "a delete file in a manifest of data files"
                                     : "a data file in a manifest of delete files");
    return manifest_inherit(in, row, entry);
}

/* Partition fields without ids are found by their names in the spec. */
static void manifest_resolve(struct manifest_reader *reader)
{
    const struct avro_type *top = reader->avro.type;
    avro_resolve_names(top, entry_names, TN_COUNT(entry_names));
    const struct avro_field *data_file = avro_field_by_id(top, 2);
    const struct avro_type *record = data_file ? avro_unwrap(data_file->type) : NULL;
    avro_resolve_names(record, file_names, TN_COUNT(file_names));
    const struct avro_field *partition = avro_field_by_id(record, 102);
    const struct avro_type *tuple = partition ? avro_unwrap(partition->type) : NULL;
    for (size_t i = 0; reader->spec && i < reader->spec->field_count; i++) {
        const struct avro_name name = {reader->spec->fields[i].name, reader->spec->fields[i].field_id};
        avro_resolve_names(tuple, &name, 1);
    }
    manifest_note_form(&reader->object->form, top);
}

enum tn_code manifest_decode(const void *bytes, size_t length, const char *uri, const struct manifest_row *row,
                             const struct iceberg_spec *spec, struct manifest_object **ret, struct tn_error *err)
{
    TN_CLEANUP(manifest_reader_release) struct manifest_reader reader = {.scratch = tn_arena_new(), .spec = spec};
    struct manifest_object *object = reader.object = manifest_object_new(uri, false);
    TN_TRY(avro_reader_open(&reader.avro, reader.scratch, bytes, length, object->uri, err));
    if (reader.avro.type->kind != AVRO_RECORD)
        return tn_fail(err, TN_ECORRUPT, "%s: not a manifest", uri);
    manifest_resolve(&reader);
    manifest_note_header(object, &reader.avro);
    bool more = true;
    for (;;) {
        TN_TRY(avro_reader_next(&reader.avro, &more));
        if (!more)
            break;
        TN_GROW(object->entries, object->count, reader.capacity);
        object->entries[object->count] = (struct manifest_entry){0};
        TN_TRY(manifest_read_entry(&reader, row, &object->entries[object->count]));
        object->count++;
    }
    object->entries = tn_realloc_array(object->entries, TN_MAX(object->count, (size_t)1), sizeof *object->entries);
    object->bytes = tn_arena_reserved(object->arena) + object->count * sizeof *object->entries + sizeof *object;
    *ret = TN_TAKE(reader.object);
    return TN_OK;
}
