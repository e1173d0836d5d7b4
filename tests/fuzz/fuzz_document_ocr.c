/* What tesseract prints of hostile pixels: any bytes give text no longer than they are, twice over. */
#include "document/ocr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_AUTO_BUF text = {0};
    unsigned confidence;
    ocr_take_tsv((const char *)data, size, &text, &confidence);
    if (text.len > 2 * size || confidence > 100)
        abort();
    return 0;
}
