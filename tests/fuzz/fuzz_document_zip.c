/* Archives and DOCX: the directory, every member, and the whole as a document. */
#include "document/readers.h"
#include "document/wire.h"
#include "document/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tn_code drop_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    (void)context, (void)bytes, (void)count, (void)err;
    return TN_OK;
}

static void read_members(const char *bytes, size_t size)
{
    TN_CLEANUP(zip_release) struct zip zip = {.fd = -1};
    struct tn_error error;
    if (zip_open_bytes(bytes, size, 1000, &zip, &error) != TN_OK)
        return;
    for (size_t i = 0; i < zip.count; i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        (void)document_clean_path(arena, zip.entries[i].name);
        (void)!zip_unpack(&zip, &zip.entries[i], 1 << 20, drop_data, NULL, &error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(document_free_p) struct document *document = document_new(DOCUMENT_DOCX);
    struct document_limits limits = document_limits_default();
    const struct document_sink sink = {0};
    struct outline outline;
    struct tn_error error;
    limits.text_bytes = 1 << 20;
    outline_init(&outline, document, limits.text_bytes);
    const struct document_input input = {
        .bytes = (const char *)data, .count = size, .name = "fuzz", .limits = &limits, .sink = &sink};
    read_members((const char *)data, size);
    if (reader_docx(&input, &outline, &error) == TN_OK && outline_finish(&outline, &error) == TN_OK &&
        !wire_document_is_sound(document))
        abort();
    return 0;
}
