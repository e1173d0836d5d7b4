/* Chunks: whatever the text and the sizes, they go forward, lie within it, and leave out white space alone. */
#include "document/document.h"
#include "document/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One token for each four bytes begun. */
static uint32_t count_tokens(void *context, const char *text, size_t length)
{
    (void)context, (void)text;
    return (uint32_t)((length + 3) / 4);
}

static void check_gap(const char *text, size_t length)
{
    uint32_t c;
    for (size_t at = 0; at < length;) {
        at += text_decode(text + at, length - at, &c);
        if (!text_is_space(c))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const struct document_chunk_options options = {.unit = data[0] & 1 ? DOCUMENT_CHUNK_TOKENS
                                                                       : DOCUMENT_CHUNK_CHARACTERS,
                                                   .no_headings = data[0] & 2,
                                                   .size = 1 + data[1] % 200u,
                                                   .overlap = data[2] % 100u,
                                                   .count = count_tokens};
    TN_AUTO_FREE char *text = tn_malloc(size);
    struct document_chunker chunker;
    struct document_chunk chunk;
    size_t length = size - 3, end = 0;
    memcpy(text, data + 3, length);
    document_chunker_init(&chunker, text, length, &options);
    while (document_chunker_next(&chunker, &chunk)) {
        size_t stop = chunk.start + chunk.length;
        if (chunk.length == 0 || stop > length || stop <= end)
            abort();
        if (chunk.start > end)
            check_gap(text + end, chunk.start - end);
        if (chunk.tokens > options.size && text_cluster(text + chunk.start, chunk.length) != chunk.length)
            abort();
        end = stop;
    }
    check_gap(text + end, length - end);
    document_chunker_release(&chunker);
    return 0;
}
