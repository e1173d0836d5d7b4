/* vocab.txt, one word a line, becomes the asset's vocabulary block: where each
 * word starts, a hash table of the words, the words themselves. */
#include "embed/import.h"

#include "base/base.h"

enum { VOCAB_TEXT_MAX = 64 << 20 };

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = length && text[length - 1] != '\n';
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Reads words into offsets (count + 1) and packs their bytes at `bytes`. */
static size_t pack_words(const char *text, size_t length, uint32_t *offsets, char *bytes)
{
    size_t word = 0;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        const char *line = text + at;
        const char *newline = memchr(line, '\n', length - at);
        size_t all = newline ? (size_t)(newline - line) : length - at;
        size_t size = all && line[all - 1] == '\r' ? all - 1 : all;
        offsets[word++] = (uint32_t)used;
        memcpy(bytes + used, line, size);
        used += size;
        at += all + 1;
    }
    offsets[word] = (uint32_t)used;
    return used;
}

/* A word that stands twice keeps its last number, as in the reference. */
static void fill_slots(uint32_t count, const uint32_t *offsets, const char *bytes, uint32_t *slots, uint32_t mask)
{
    for (uint32_t i = 0; i <= mask; i++)
        slots[i] = ASSET_NO_WORD;
    for (uint32_t i = 0; i < count; i++) {
        const char *word = bytes + offsets[i];
        size_t length = offsets[i + 1] - offsets[i];
        uint32_t slot = asset_word_hash(word, length) & mask;
        while (slots[slot] != ASSET_NO_WORD) {
            uint32_t other = slots[slot];
            if (offsets[other + 1] - offsets[other] == length && memcmp(bytes + offsets[other], word, length) == 0)
                break;
            slot = (slot + 1) & mask;
        }
        slots[slot] = i;
    }
}

static enum tn_code find_special(const struct import_vocab *vocab, const uint32_t *offsets, const char *bytes,
                                 const char *name, uint32_t *ret, struct tn_error *err)
{
    size_t length = strlen(name);
    for (uint32_t i = 0; i < vocab->count; i++)
        if (offsets[i + 1] - offsets[i] == length && memcmp(bytes + offsets[i], name, length) == 0) {
            *ret = i;
            return TN_OK;
        }
    (void)tn_fail(err, TN_EUNSUPPORTED, "vocab.txt has no %s: not a WordPiece vocabulary of the BERT family", name);
    return TN_EUNSUPPORTED;
}

enum tn_code import_vocab_build(const char *text, size_t length, struct import_vocab *ret, struct tn_error *err)
{
    size_t count = count_lines(text, length);
    if (count < 4 || count > ASSET_VOCAB_MAX || length > ASSET_VOCAB_MAX * (size_t)64)
        return tn_fail(err, TN_EUNSUPPORTED, "vocab.txt has %zu words; supported are 4 to %d", count,
                       ASSET_VOCAB_MAX);
    TN_CLEANUP(import_vocab_release) struct import_vocab vocab = {.count = (uint32_t)count, .slots = 8};
    while (vocab.slots < 2 * vocab.count)
        vocab.slots *= 2;
    struct asset_header header = {.vocab = vocab.count, .hash_slots = vocab.slots, .vocab_bytes = (uint32_t)length};
    struct asset_vocab_place place;
    asset_vocab_place(&header, &place);
    char *block = tn_buf_reserve(&vocab.block, place.end);
    memset(block, 0, place.end);
    uint32_t *offsets = (uint32_t *)(void *)(block + place.offsets);
    char *bytes = block + place.bytes;
    vocab.bytes = (uint32_t)pack_words(text, length, offsets, bytes);
    fill_slots(vocab.count, offsets, bytes, (uint32_t *)(void *)(block + place.slots), vocab.slots - 1);
    vocab.block.len = place.bytes + vocab.bytes;
    vocab.block.data[vocab.block.len] = '\0';
    TN_TRY(find_special(&vocab, offsets, bytes, "[CLS]", &vocab.cls, err));
    TN_TRY(find_special(&vocab, offsets, bytes, "[SEP]", &vocab.sep, err));
    TN_TRY(find_special(&vocab, offsets, bytes, "[UNK]", &vocab.unk, err));
    *ret = vocab;
    vocab.block = (struct tn_buf){0};
    return TN_OK;
}

enum tn_code import_vocab_read(const char *path, struct import_vocab *ret, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    enum tn_code code = tn_file_read(path, VOCAB_TEXT_MAX, &text, err);
    if (code == TN_ENOTFOUND)
        tn_error_hint(err, "models of the BERT family have a vocab.txt; those with sentencepiece.bpe.model or "
                           "tokenizer.model have another tokenizer and are not supported");
    if (code != TN_OK)
        return code;
    return import_vocab_build(text.data ? text.data : "", text.len, ret, err);
}
