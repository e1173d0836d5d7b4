/* What a child says of a document: any JSON is refused or gives a document that can be judged. */
#include "document/outline.h"
#include "document/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(document_free_p) struct document *document = NULL;
    struct tn_error error, said;
    char name[64];
    wire_take_error((const char *)data, size, &said, name, sizeof name);
    if (wire_take_head((const char *)data, size, &document, &error) != TN_OK)
        return 0;
    tn_buf_puts(&document->text, "One page, gr\xC3\xBC\xC3\x9F.");
    if (wire_document_is_sound(document))
        for (size_t i = 0; i < document->section_count; i++)
            if (document->sections[i].start + document->sections[i].length > document->text.len)
                abort();
    return 0;
}
