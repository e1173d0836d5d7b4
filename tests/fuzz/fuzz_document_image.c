/* Images: their headers, and the document of pages that comes of them. */
#include "fuzz_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return read_document(DOCUMENT_IMAGE, reader_image, data, size);
}
