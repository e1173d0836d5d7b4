/* The vocabulary as it lies in the asset: words, and a hash table over them
 * that was built at import, so that opening a model builds nothing. */
#include "embed/embed_internal.h"

static enum tn_code check_table(const struct embed_vocab *vocab, uint32_t bytes, struct tn_error *err)
{
    if (vocab->offsets[0] != 0 || vocab->offsets[vocab->count] != bytes)
        return tn_fail(err, TN_ECORRUPT, "the asset's vocabulary does not fill its block");
    for (uint32_t i = 0; i < vocab->count; i++)
        if (vocab->offsets[i] > vocab->offsets[i + 1])
            return tn_fail(err, TN_ECORRUPT, "word %u of the asset's vocabulary ends before it starts", i);
    uint32_t used = 0;
    for (uint32_t i = 0; i <= vocab->slot_mask; i++) {
        if (vocab->slots[i] == ASSET_NO_WORD)
            continue;
        if (vocab->slots[i] >= vocab->count)
            return tn_fail(err, TN_ECORRUPT, "the asset's word table names word %u of %u", vocab->slots[i],
                           vocab->count);
        used++;
    }
    if (used > vocab->count)
        return tn_fail(err, TN_ECORRUPT, "the asset's word table is fuller than its vocabulary");
    return TN_OK;
}

enum tn_code embed_vocab_open(const struct asset_header *header, const char *block, struct embed_vocab *ret,
                              struct tn_error *err)
{
    struct asset_vocab_place place;
    asset_vocab_place(header, &place);
    struct embed_vocab vocab = {
        .offsets = (const uint32_t *)(const void *)(block + place.offsets),
        .slots = (const uint32_t *)(const void *)(block + place.slots),
        .bytes = block + place.bytes,
        .count = header->vocab,
        .slot_mask = header->hash_slots - 1,
        .cls = header->cls,
        .sep = header->sep,
        .unk = header->unk,
        .lowercase = header->flags & ASSET_LOWERCASE,
        .cjk = header->flags & ASSET_CJK,
    };
    TN_TRY(check_table(&vocab, header->vocab_bytes, err));
    for (uint32_t i = 0; i < vocab.count; i++)
        vocab.longest = TN_MAX(vocab.longest, vocab.offsets[i + 1] - vocab.offsets[i]);
    *ret = vocab;
    return TN_OK;
}

uint32_t embed_vocab_find(const struct embed_vocab *vocab, const char *bytes, size_t length)
{
    for (uint32_t slot = asset_word_hash(bytes, length);; slot++) {
        uint32_t word = vocab->slots[slot & vocab->slot_mask];
        if (word == ASSET_NO_WORD)
            return word;
        uint32_t start = vocab->offsets[word];
        if (vocab->offsets[word + 1] - start == length && memcmp(vocab->bytes + start, bytes, length) == 0)
            return word;
    }
}
