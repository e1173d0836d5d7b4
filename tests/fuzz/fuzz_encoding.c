/* Encodings and compression: the output is always valid UTF-8, however the
 * input is cut. The first byte chooses. */
#include "ingest/encoding.h"
#include "ingest/inflate.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tn_code discard(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    size_t *total = context;
    (void)bytes;
    *total += count;
    return *total > (8U << 20) ? tn_fail(err, TN_ETOOLARGE, "enough") : TN_OK;
}

static void try_inflate(const uint8_t *data, size_t size)
{
    enum inflate_kind kind = inflate_detect(data, size);
    if (kind == INFLATE_NONE)
        return;
    size_t total = 0;
    struct inflate *inflate = inflate_new(kind, discard, &total);
    size_t half = size / 2;
    if (inflate_push(inflate, data, half, NULL) == TN_OK &&
        inflate_push(inflate, data + half, size - half, NULL) == TN_OK && inflate_finish(inflate, NULL) != TN_OK)
        total = 0;
    inflate_free(inflate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum encoding from = ENCODING_UTF16LE + data[0] % 3;
    size_t cut = data[1] % size, mark;
    data++;
    size--;
    (void)encoding_detect(data, size, &mark);
    if (mark > size)
        abort();
    size_t prefix = encoding_utf8_prefix((const char *)data, size);
    if (prefix != tn_utf8_valid_prefix((const char *)data, size))
        abort();
    struct tn_buf whole = {0}, pieces = {0};
    struct encoding_state a = {.from = from}, b = {.from = from};
    cut = cut > size ? size : cut;
    encoding_convert(&a, data, size, &whole);
    encoding_finish(&a, &whole);
    encoding_convert(&b, data, cut, &pieces);
    encoding_convert(&b, data + cut, size - cut, &pieces);
    encoding_finish(&b, &pieces);
    if (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
        abort();
    if (whole.len && tn_utf8_valid_prefix(whole.data, whole.len) != whole.len)
        abort();
    tn_buf_release(&whole);
    tn_buf_release(&pieces);
    try_inflate(data, size);
    return 0;
}
