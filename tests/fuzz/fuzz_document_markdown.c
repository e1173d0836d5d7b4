/* Markdown: any bytes give a sound document. */
#include "fuzz_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return read_document(DOCUMENT_MARKDOWN, reader_markdown, data, size);
}
