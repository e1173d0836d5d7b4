/* Frames (see wire.h). */
#include "document/wire.h"

#include "document/outline.h"

#include <string.h>

static enum tn_code put_frame(int fd, enum wire_kind kind, const void *bytes, size_t count, struct tn_error *err)
{
    char header[WIRE_HEADER];
    uint32_t length = (uint32_t)count;
    header[0] = (char)kind;
    memcpy(header + 1, &length, sizeof length);
    TN_TRY(tn_write_all(fd, header, sizeof header, "pipe", err));
    return count ? tn_write_all(fd, bytes, count, "pipe", err) : TN_OK;
}

static enum tn_code put_pieces(int fd, enum wire_kind kind, const char *bytes, size_t count, struct tn_error *err)
{
    for (size_t at = 0; at < count; at += WIRE_PIECE_MAX)
        TN_TRY(put_frame(fd, kind, bytes + at, TN_MIN(count - at, WIRE_PIECE_MAX), err));
    return TN_OK;
}

static void put_sections(struct tn_json *json, const struct document *document)
{
    tn_json_key(json, "sections");
    tn_json_open(json, '[');
    for (size_t i = 0; i < document->section_count; i++) {
        const struct document_section *section = &document->sections[i];
        tn_json_open(json, '[');
        tn_json_int(json, section->number);
        tn_json_str(json, section->heading);
        tn_json_int(json, (int64_t)section->start);
        tn_json_int(json, (int64_t)section->length);
        tn_json_bool(json, section->needs_ocr);
        tn_json_close(json, ']');
    }
    tn_json_close(json, ']');
}

static enum tn_code put_document(void *context, const struct document *document, struct tn_error *err)
{
    const struct wire_out *out = context;
    TN_AUTO_BUF head = {0};
    struct tn_json json = tn_json_writer(&head);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "type", document_type_name(document->type));
    tn_json_kstr(&json, "title", document->title);
    tn_json_kstr(&json, "author", document->author);
    tn_json_kstr(&json, "created", document->created);
    tn_json_key(&json, "pages");
    tn_json_int(&json, document->pages);
    tn_json_kbool(&json, "needs_ocr", document->needs_ocr);
    tn_json_key(&json, "fields");
    tn_json_open(&json, '{');
    for (size_t i = 0; i < document->field_count; i++)
        tn_json_kstr(&json, document->fields[i].name, document->fields[i].value);
    tn_json_close(&json, '}');
    tn_json_kstrs(&json, "warnings", document->warnings, document->warning_count);
    put_sections(&json, document);
    tn_json_close(&json, '}');
    if (head.len > WIRE_HEAD_MAX)
        return tn_fail(err, TN_ETOOLARGE, "its headings and metadata are larger than 64 MB");
    TN_TRY(put_frame(out->fd, WIRE_HEAD, head.data, head.len, err));
    TN_TRY(put_pieces(out->fd, WIRE_TEXT, document->text.data, document->text.len, err));
    return put_frame(out->fd, WIRE_WHOLE, NULL, 0, err);
}

static enum tn_code put_file(void *context, const char *name, struct tn_error *err)
{
    return put_frame(((const struct wire_out *)context)->fd, WIRE_FILE, name, strlen(name), err);
}

static enum tn_code put_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    return put_pieces(((const struct wire_out *)context)->fd, WIRE_DATA, bytes, count, err);
}

static enum tn_code put_end(void *context, struct tn_error *err)
{
    return put_frame(((const struct wire_out *)context)->fd, WIRE_END, NULL, 0, err);
}

static enum tn_code put_error(int fd, enum wire_kind kind, const char *name, const struct tn_error *error,
                              struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "name", name);
    tn_json_kstr(&json, "code", tn_code_word(error->code));
    tn_json_kstr(&json, "detail", error->detail);
    tn_json_kstr(&json, "hint", error->hint);
    tn_json_close(&json, '}');
    return put_frame(fd, kind, text.data, text.len, err);
}

static enum tn_code put_bad(void *context, const char *name, const struct tn_error *why, struct tn_error *err)
{
    return put_error(((const struct wire_out *)context)->fd, WIRE_BAD, name, why, err);
}

struct document_sink wire_sink(struct wire_out *out)
{
    return (struct document_sink){.context = out,
                                  .document = put_document,
                                  .file_begin = put_file,
                                  .file_data = put_data,
                                  .file_end = put_end,
                                  .file_failed = put_bad};
}

enum tn_code wire_put_error(int fd, const struct tn_error *error, struct tn_error *err)
{
    return put_error(fd, WIRE_ERROR, NULL, error, err);
}

enum tn_code wire_put_done(int fd, struct tn_error *err)
{
    return put_frame(fd, WIRE_DONE, NULL, 0, err);
}

/* ---- the reading side ---------------------------------------------------------------------- */

static const char *copy_text(struct document *document, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? tn_arena_strdup(document->arena, text) : NULL;
}

static bool take_section(struct document *document, const json_t *item, struct document_section *ret)
{
    const char *heading = json_string_value(json_array_get(item, 1));
    json_int_t number = json_integer_value(json_array_get(item, 0)), start, length;
    start = json_integer_value(json_array_get(item, 2));
    length = json_integer_value(json_array_get(item, 3));
    if (!heading || number < 0 || number > UINT32_MAX || start < 0 || length < 0)
        return false;
    *ret = (struct document_section){.number = (uint32_t)number,
                                     .heading = tn_arena_strdup(document->arena, heading),
                                     .start = (size_t)start,
                                     .length = (size_t)length,
                                     .needs_ocr = json_is_true(json_array_get(item, 4))};
    return true;
}

static enum tn_code take_lists(struct document *document, const json_t *head, struct tn_error *err)
{
    const json_t *sections = json_object_get(head, "sections"), *warnings = json_object_get(head, "warnings");
    json_t *fields = json_object_get(head, "fields"), *value;
    const char *key;
    document->sections = tn_calloc(json_array_size(sections) + 1, sizeof *document->sections);
    for (size_t i = 0; i < json_array_size(sections); i++)
        if (!take_section(document, json_array_get(sections, i), &document->sections[document->section_count++]))
            return tn_fail(err, TN_ECORRUPT, "a section is not one");
    document->fields = tn_calloc(json_object_size(fields) + 1, sizeof *document->fields);
    json_object_foreach(fields, key, value)
    {
        if (json_is_string(value))
            document->fields[document->field_count++] = (struct document_field){
                tn_arena_strdup(document->arena, key), tn_arena_strdup(document->arena, json_string_value(value))};
    }
    document->warnings = tn_calloc(json_array_size(warnings) + 1, sizeof *document->warnings);
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        if (text)
            document->warnings[document->warning_count++] = tn_arena_strdup(document->arena, text);
    }
    return TN_OK;
}

enum tn_code wire_take_head(const char *json, size_t length, struct document **ret, struct tn_error *err)
{
    TN_AUTO_JSON *head = NULL;
    TN_CLEANUP(document_free_p) struct document *document = document_new(DOCUMENT_NONE);
    TN_TRY(tn_json_parse(json, length, WIRE_HEAD_MAX, "document", &head, err));
    const char *type = json_string_value(json_object_get(head, "type"));
    json_int_t pages = json_integer_value(json_object_get(head, "pages"));
    if (!type || !document_type_parse(type, &document->type) || pages < 0 || pages > UINT32_MAX)
        return tn_fail(err, TN_ECORRUPT, "the document has no type");
    document->title = copy_text(document, head, "title");
    document->author = copy_text(document, head, "author");
    document->created = copy_text(document, head, "created");
    int64_t us;
    if (document->created && !tn_time_parse(document->created, &us))
        document->created = NULL;
    document->pages = (uint32_t)pages;
    document->needs_ocr = json_is_true(json_object_get(head, "needs_ocr"));
    TN_TRY(take_lists(document, head, err));
    *ret = TN_TAKE(document);
    return TN_OK;
}

bool wire_document_is_sound(const struct document *document)
{
    const struct tn_buf *text = &document->text;
    const char *bytes = text->data ? text->data : "";
    if (tn_utf8_valid_prefix(bytes, text->len) != text->len || memchr(bytes, 0, text->len))
        return false;
    for (size_t i = 0; i < document->section_count; i++) {
        const struct document_section *section = &document->sections[i];
        if (section->start > text->len || section->length > text->len - section->start)
            return false;
        size_t end = section->start + section->length; /* bounds that do not cut a character */
        if ((section->start < text->len && (bytes[section->start] & 0xC0) == 0x80) ||
            (end < text->len && (bytes[end] & 0xC0) == 0x80))
            return false;
    }
    return true;
}

void wire_take_error(const char *json, size_t length, struct tn_error *ret, char *name, size_t name_room)
{
    TN_AUTO_JSON *object = NULL;
    *ret = (struct tn_error){0};
    if (name)
        name[0] = '\0';
    if (tn_json_parse(json, length, WIRE_PIECE_MAX, "error", &object, NULL) != TN_OK) {
        (void)tn_fail(ret, TN_EUNREADABLE, "its reader gave no reason");
        return;
    }
    const char *code = json_string_value(json_object_get(object, "code"));
    const char *detail = json_string_value(json_object_get(object, "detail"));
    const char *hint = json_string_value(json_object_get(object, "hint"));
    const char *which = json_string_value(json_object_get(object, "name"));
    enum tn_code found = code ? tn_code_from_word(code) : TN_EUNREADABLE;
    (void)tn_fail(ret, found == TN_OK ? TN_EUNREADABLE : found, "%s", detail ? detail : "unreadable");
    if (hint && *hint)
        tn_error_hint(ret, "%s", hint);
    if (name && which)
        (void)snprintf(name, name_room, "%s", which);
}
