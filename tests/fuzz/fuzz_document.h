/* Shared by the fuzz targets of document's readers: any bytes give a sound
 * document or an error. Header only. */
#ifndef TARN_FUZZ_DOCUMENT_H
#define TARN_FUZZ_DOCUMENT_H

#include "document/readers.h"
#include "document/wire.h"

static enum tn_code drop_name(void *context, const char *name, struct tn_error *err)
{
    (void)context, (void)name, (void)err;
    return TN_OK;
}

static enum tn_code drop_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    (void)context, (void)bytes, (void)count, (void)err;
    return TN_OK;
}

static enum tn_code drop_end(void *context, struct tn_error *err)
{
    (void)context, (void)err;
    return TN_OK;
}

typedef enum tn_code document_reader(const struct document_input *input, struct outline *outline,
                                     struct tn_error *err);

static int read_document(enum document_type type, document_reader *reader, const uint8_t *data, size_t size)
{
    TN_CLEANUP(document_free_p) struct document *document = document_new(type);
    TN_AUTO_FREE char *copy = tn_malloc(size + 1);
    struct document_limits limits = document_limits_default();
    const struct document_sink sink = {.file_begin = drop_name, .file_data = drop_data, .file_end = drop_end};
    struct outline outline;
    struct tn_error error;
    memcpy(copy, data, size); /* readers get a byte of NUL behind the file, as read.c gives it */
    copy[size] = '\0';
    limits.text_bytes = 1 << 20;
    outline_init(&outline, document, limits.text_bytes);
    const struct document_input input = {
        .bytes = copy, .count = size, .name = "fuzz", .limits = &limits, .sink = &sink};
    if (reader(&input, &outline, &error) == TN_OK && outline_finish(&outline, &error) == TN_OK &&
        !wire_document_is_sound(document))
        abort();
    return 0;
}

#endif
