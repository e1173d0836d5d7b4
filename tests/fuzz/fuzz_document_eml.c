/* Mails: any bytes give a sound document or an error. */
#include "fuzz_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return read_document(DOCUMENT_EML, reader_eml, data, size);
}
