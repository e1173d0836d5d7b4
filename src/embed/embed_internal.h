/* What the parts of embed share: the opened model, the tokenizer, the encoder. */
#ifndef TARN_EMBED_EMBED_INTERNAL_H
#define TARN_EMBED_EMBED_INTERNAL_H

#include "embed/asset.h"
#include "embed/kernels.h"

#include "base/mem.h"

#include <pthread.h>

struct embed_vocab {
    const uint32_t *offsets; /* count + 1, into bytes */
    const uint32_t *slots;   /* open addressing; ASSET_NO_WORD is free */
    const char *bytes;
    uint32_t count, slot_mask, longest;
    uint32_t cls, sep, unk;
    bool lowercase, cjk;
};

/* Scratches lent to whoever brings none; at most one a CPU stays. */
struct embed_idle {
    pthread_mutex_t lock;
    struct embed_scratch *first;
    size_t count;
};
struct embed_idle *embed_idle_new(void) __attribute__((returns_nonnull)); /* encode.c */
void embed_idle_free(struct embed_idle *idle);

struct embed_model {
    void *map; /* NULL when the bytes are somebody else's */
    size_t map_bytes;
    struct tn_pages layer_pages; /* a copy of the layers' blocks, where there is one */
    struct asset_header header;
    struct embed_vocab vocab;
    const int8_t *words;
    const float *word_scales;
    const float *positions;
    struct embed_norm first_norm;
    struct embed_layer *layers;
    const struct embed_kernels *kernels;
    struct tn_arena *arena; /* the strings of info */
    struct embed_info info;
    struct embed_idle *idle;
};

/* Opens an asset in memory: 64-byte aligned, valid as long as the model.
 * Checksums are looked at when `strict`; everything that memory safety stands
 * on is checked always. */
enum tn_code embed_model_open_bytes(const void *bytes, size_t size, bool strict, struct embed_model **ret,
                                    struct tn_error *err) TN_CHECKED;

/* The vocabulary's table, checked so that no look-up leaves it. */
enum tn_code embed_vocab_open(const struct asset_header *header, const char *block, struct embed_vocab *ret,
                              struct tn_error *err) TN_CHECKED;
/* The id of a word, or ASSET_NO_WORD. */
uint32_t embed_vocab_find(const struct embed_vocab *vocab, const char *bytes, size_t length);

/* embed_tokenize with the prefix spelled out; `ids` NULL only counts. */
size_t embed_vocab_tokenize(const struct embed_vocab *vocab, const char *prefix, struct embed_text text,
                            uint32_t *ids, struct embed_span *spans, size_t capacity, bool *ret_truncated);

#endif
