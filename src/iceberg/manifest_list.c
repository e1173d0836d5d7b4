/* Manifest lists, decoded by the schema that they carry; and what the validator
 * wants to know of the form of both. */
#include "base/str.h"
#include "iceberg/manifest.h"

#include <string.h>

/* Ids of the specification, for files whose writers left them out. */
static const struct avro_name row_names[] = {
    {"manifest_path", 500},
    {"manifest_length", 501},
    {"partition_spec_id", 502},
    {"content", 517},
    {"sequence_number", 515},
    {"min_sequence_number", 516},
    {"added_snapshot_id", 503},
    {"added_files_count", 504},
    {"existing_files_count", 505},
    {"deleted_files_count", 506},
    {"added_data_files_count", 504},
    {"existing_data_files_count", 505},
    {"deleted_data_files_count", 506},
    {"added_rows_count", 512},
    {"existing_rows_count", 513},
    {"deleted_rows_count", 514},
    {"partitions", 507},
    {"key_metadata", 519},
};
static const struct avro_name summary_names[] = {
    {"contains_null", 509},
    {"contains_nan", 518},
    {"lower_bound", 510},
    {"upper_bound", 511},
};

struct list_reader {
    struct manifest_object *object;
    struct tn_arena *scratch; /* as in manifest_read.c */
    struct avro_reader avro;
    size_t capacity;
};

static void list_reader_release(struct list_reader *reader)
{
    avro_reader_release(&reader->avro);
    manifest_object_unref(reader->object);
    tn_arena_free(reader->scratch);
}

/* --- What the validator wants to know --- */

void manifest_note_form(struct manifest_form *form, const struct avro_type *record)
{
    for (size_t i = 0; record && record->kind == AVRO_RECORD && i < record->count; i++) {
        const struct avro_type *type = record->fields[i].type;
        if (record->fields[i].id == ICEBERG_NONE || record->fields[i].id_by_name)
            form->ids_by_name = true;
        if (type->kind == AVRO_UNION && type->parts[0]->kind != AVRO_NULL)
            form->null_not_first = true;
        const struct avro_type *inner = avro_unwrap(type);
        if (inner && inner->kind == AVRO_ARRAY) {
            bool map = inner->logical && tn_streq(inner->logical, "map");
            if (!map && inner->element_id == ICEBERG_NONE)
                form->ids_by_name = true;
            inner = inner->parts[0];
        }
        manifest_note_form(form, inner);
    }
}

static const char *header_text(struct manifest_object *object, const char *text)
{
    return text ? tn_arena_strdup(object->arena, text) : NULL;
}

void manifest_note_header(struct manifest_object *object, const struct avro_reader *avro)
{
    struct manifest_form *form = &object->form;
    form->codec = avro->codec_missing ? NULL : header_text(object, avro->codec);
    form->header_format_version = header_text(object, avro_reader_pair(avro, "format-version"));
    form->header_content = header_text(object, avro_reader_pair(avro, "content"));
    form->header_schema = header_text(object, avro_reader_pair(avro, "schema"));
    form->header_spec_id = header_text(object, avro_reader_pair(avro, "partition-spec-id"));
}

/* --- Rows --- */

static enum tn_code manifest_read_summary(struct list_reader *reader, struct avro_in *in,
                                          const struct avro_type *record, struct manifest_field_summary *summary)
{
    struct tn_arena *arena = reader->object->arena;
    bool nan = false;
    summary->contains_nan = -1;
    for (size_t i = 0; i < record->count; i++) {
        const struct avro_field *field = &record->fields[i];
        struct iceberg_bytes bytes = {NULL, 0};
        if (field->id == 509) {
            TN_TRY(avro_get_bool(in, field->type, &summary->contains_null));
        } else if (field->id == 518) {
            const struct avro_type *type = NULL;
            TN_TRY(avro_enter(in, field->type, &type));
            TN_TRY(avro_get_bool(in, type, &nan));
            if (type->kind != AVRO_NULL)
                summary->contains_nan = nan;
        } else if (field->id == 510 || field->id == 511) {
            TN_TRY(avro_get_bytes(in, field->type, &bytes));
            if (bytes.data) {
                uint8_t *copy = tn_arena_alloc(arena, bytes.length + 1);
                memcpy(copy, bytes.data, bytes.length);
                bytes.data = copy;
            }
            *(field->id == 510 ? &summary->lower : &summary->upper) = bytes;
        } else {
            TN_TRY(avro_skip(in, field->type));
        }
    }
    return TN_OK;
}

static enum tn_code manifest_read_summaries(struct list_reader *reader, struct avro_in *in,
                                            const struct avro_type *type, struct manifest_row *row)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind == AVRO_NULL)
        return TN_OK;
    if (type->kind != AVRO_ARRAY || type->parts[0]->kind != AVRO_RECORD)
        return avro_fail(in, "partitions are not an array of records");
    TN_AUTO_FREE struct manifest_field_summary *list = NULL;
    size_t count = 0, capacity = 0;
    struct avro_items items = {0};
    bool more = true;
    for (;;) {
        TN_TRY(avro_items_next(in, &items, &more));
        if (!more)
            break;
        TN_GROW(list, count, capacity);
        list[count] = (struct manifest_field_summary){0};
        TN_TRY(manifest_read_summary(reader, in, type->parts[0], &list[count++]));
    }
    struct manifest_field_summary *copy = TN_ARENA_ARRAY(reader->object->arena, struct manifest_field_summary, count);
    if (count)
        memcpy(copy, list, count * sizeof *copy);
    row->partitions = copy;
    row->partition_count = count;
    return TN_OK;
}

static enum tn_code manifest_read_row_field(struct list_reader *reader, struct avro_in *in,
                                            const struct avro_field *field, struct manifest_row *row)
{
    const struct {
        int32_t id;
        int64_t *wide;
        int32_t *narrow;
    } numbers[] = {
        {501, &row->length, NULL},
        {502, NULL, &row->spec_id},
        {517, NULL, &row->content},
        {515, &row->sequence_number, NULL},
        {516, &row->min_sequence_number, NULL},
        {503, &row->added_snapshot_id, NULL},
        {504, NULL, &row->added_files},
        {505, NULL, &row->existing_files},
        {506, NULL, &row->deleted_files},
        {512, &row->added_rows, NULL},
        {513, &row->existing_rows, NULL},
        {514, &row->deleted_rows, NULL},
    };
    for (size_t i = 0; i < TN_COUNT(numbers); i++)
        if (numbers[i].id == field->id)
            return numbers[i].wide ? avro_get_i64(in, field->type, numbers[i].wide)
                                   : avro_get_i32(in, field->type, numbers[i].narrow);
    if (field->id == 500)
        return avro_get_text(in, field->type, reader->object->arena, &row->path);
    if (field->id == 507)
        return manifest_read_summaries(reader, in, field->type, row);
    if (field->id == 519) {
        struct iceberg_bytes bytes = {NULL, 0};
        TN_TRY(avro_get_bytes(in, field->type, &bytes));
        if (bytes.data) {
            uint8_t *copy = tn_arena_alloc(reader->object->arena, bytes.length + 1);
            memcpy(copy, bytes.data, bytes.length);
            row->key_metadata = (struct iceberg_bytes){copy, bytes.length};
        }
        return TN_OK;
    }
    return avro_skip(in, field->type);
}

static enum tn_code manifest_read_row(struct list_reader *reader, struct manifest_row *row)
{
    struct avro_in *in = &reader->avro.in;
    const struct avro_type *type = reader->avro.type;
    *row = (struct manifest_row){.length = ICEBERG_NONE,
                                 .added_snapshot_id = ICEBERG_NONE,
                                 .added_files = ICEBERG_NONE,
                                 .existing_files = ICEBERG_NONE,
                                 .deleted_files = ICEBERG_NONE,
                                 .added_rows = ICEBERG_NONE,
                                 .existing_rows = ICEBERG_NONE,
                                 .deleted_rows = ICEBERG_NONE};
    for (size_t i = 0; i < type->count; i++)
        TN_TRY(manifest_read_row_field(reader, in, &type->fields[i], row));
    if (!row->path || row->length < 0)
        return avro_fail(in, "a row has no manifest_path or no manifest_length");
    if (row->content != MANIFEST_DATA && row->content != MANIFEST_DELETES)
        return avro_fail(in, "a row has an unknown kind of content");
    return TN_OK;
}

enum tn_code manifest_list_decode(const void *bytes, size_t length, const char *uri, struct manifest_object **ret,
                                  struct tn_error *err)
{
    TN_CLEANUP(list_reader_release) struct list_reader reader = {.scratch = tn_arena_new()};
    struct manifest_object *object = reader.object = manifest_object_new(uri, true);
    TN_TRY(avro_reader_open(&reader.avro, reader.scratch, bytes, length, object->uri, err));
    const struct avro_type *type = reader.avro.type;
    if (type->kind != AVRO_RECORD)
        return tn_fail(err, TN_ECORRUPT, "%s: not a manifest list", uri);
    avro_resolve_names(type, row_names, TN_COUNT(row_names));
    const struct avro_field *partitions = avro_field_by_id(type, 507);
    const struct avro_type *array = partitions ? avro_unwrap(partitions->type) : NULL;
    if (array && array->kind == AVRO_ARRAY)
        avro_resolve_names(array->parts[0], summary_names, TN_COUNT(summary_names));
    manifest_note_form(&object->form, type);
    manifest_note_header(object, &reader.avro);
    bool more = true;
    for (;;) {
        TN_TRY(avro_reader_next(&reader.avro, &more));
        if (!more)
            break;
        TN_GROW(object->rows, object->count, reader.capacity);
        TN_TRY(manifest_read_row(&reader, &object->rows[object->count]));
        object->count++;
    }
    object->rows = tn_realloc_array(object->rows, TN_MAX(object->count, (size_t)1), sizeof *object->rows);
    object->bytes = tn_arena_reserved(object->arena) + object->count * sizeof *object->rows + sizeof *object;
    *ret = TN_TAKE(reader.object);
    return TN_OK;
}
