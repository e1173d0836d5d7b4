#include "gateway/form.h"

#include <string.h>

static enum tn_code part_begin(void *context, const struct multipart_part *part, struct tn_error *err)
{
    struct form *form = context;
    form->in_file = form->sink->is_file(part);
    if (form->in_file) {
        TN_TRY(form->sink->file_begin(form->context, part, err));
        form->file_seen = true;
        return TN_OK;
    }
    form->field = tn_arena_strdup(form->arena, part->name);
    tn_buf_clear(&form->field_text);
    if (form->file_seen)
        return tn_fail(err, TN_EREQUEST, "the field \"%.80s\" must stand before %s", part->name, form->sink->files);
    return TN_OK;
}

static enum tn_code part_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct form *form = context;
    if (form->in_file)
        return form->sink->file_data(form->context, bytes, count, err);
    if (form->field_text.len + count > form->sink->field_max)
        return tn_fail(err, TN_ETOOLARGE, "the field \"%.80s\" is too long", form->field);
    tn_buf_append(&form->field_text, bytes, count);
    return TN_OK;
}

static enum tn_code part_end(void *context, struct tn_error *err)
{
    struct form *form = context;
    if (form->in_file)
        return form->sink->file_end(form->context, err);
    const char *text = form->field_text.data ? form->field_text.data : "";
    if (strlen(text) != form->field_text.len ||
        tn_utf8_valid_prefix(text, form->field_text.len) != form->field_text.len)
        return tn_fail(err, TN_EREQUEST, "the field \"%.80s\" is not text", form->field);
    return form->sink->option(form->context, form->field, tn_arena_strdup(form->arena, text), err);
}

enum tn_code form_init(struct form *form, const struct form_sink *sink, void *context, struct tn_arena *arena,
                       const char *content_type, struct tn_error *err)
{
    const struct multipart_sink parts = {.context = form, .begin = part_begin, .data = part_data, .end = part_end};
    *form = (struct form){.sink = sink, .context = context, .arena = arena};
    return multipart_new(content_type, &parts, &form->multipart, err);
}

void form_release(struct form *form)
{
    multipart_free(form->multipart);
    tn_buf_release(&form->field_text);
    *form = (struct form){0};
}

enum tn_code form_feed(struct form *form, const void *bytes, size_t count, struct tn_error *err)
{
    return multipart_feed(form->multipart, bytes, count, err);
}

enum tn_code form_finish(struct form *form, struct tn_error *err)
{
    TN_TRY(multipart_finish(form->multipart, err));
    return form->file_seen ? TN_OK : tn_fail(err, TN_EREQUEST, "the form holds no file");
}
