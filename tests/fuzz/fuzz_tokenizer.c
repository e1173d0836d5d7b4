/* Any bytes as a text (and, before the first NUL, as a vocabulary): ids stay
 * within the vocabulary, places within the text, counts within the room. */
#include "fuzz.h"

#include "base/base.h"
#include "embed/embed_internal.h"
#include "embed/import.h"

static void tokenize(const struct embed_vocab *vocab, struct embed_text text, size_t capacity)
{
    uint32_t *ids = tn_malloc(capacity * sizeof *ids);
    struct embed_span *spans = tn_malloc(capacity * sizeof *spans);
    bool truncated = false;
    size_t count = embed_vocab_tokenize(vocab, "q: ", text, ids, spans, capacity, &truncated);
    FUZZ_CHECK(count >= 2 && count <= capacity && (!truncated || count == capacity));
    FUZZ_CHECK(ids[0] == vocab->cls && ids[count - 1] == vocab->sep);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(ids[i] < vocab->count && spans[i].start <= spans[i].end && spans[i].end <= text.length);
    free(ids);
    free(spans);
}

static void run(const char *words, size_t length, struct embed_text text, uint32_t flags)
{
    TN_CLEANUP(import_vocab_release) struct import_vocab made = {0};
    struct tn_error err = {0};
    if (import_vocab_build(words, length, &made, &err) != TN_OK)
        return;
    struct asset_header header = {.vocab = made.count,
                                  .vocab_bytes = made.bytes,
                                  .hash_slots = made.slots,
                                  .flags = flags,
                                  .cls = made.cls,
                                  .sep = made.sep,
                                  .unk = made.unk};
    struct embed_vocab vocab;
    FUZZ_CHECK(embed_vocab_open(&header, made.block.data, &vocab, &err) == TN_OK);
    tokenize(&vocab, text, 2);
    tokenize(&vocab, text, 9);
    tokenize(&vocab, text, 600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char words[] =
        "[UNK]\n[CLS]\n[SEP]\nthe\nlake\n##s\nun\n##aff\n##able\na\n##a\n.\n#\ncafe\n\xC3\xA9\n";
    const char *bytes = (const char *)data;
    size_t first = size ? strnlen(bytes, size) : 0;
    struct embed_text all = {size ? bytes : "", size};
    struct embed_text rest = {first < size ? bytes + first : "", size - first};
    run(words, sizeof words - 1, all, ASSET_LOWERCASE | ASSET_CJK);
    run(words, sizeof words - 1, all, 0);
    if (first)
        run(bytes, first, rest, ASSET_LOWERCASE);
    return 0;
}
