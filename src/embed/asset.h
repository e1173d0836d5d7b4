/* The asset's layout: one header, then blocks whose places follow from it.
 * docs/formats/embedding-asset.md is the specification. */
#ifndef TARN_EMBED_ASSET_H
#define TARN_EMBED_ASSET_H

#include "embed/embed.h"

#include "base/hash.h"

#include <string.h>

enum {
    ASSET_VERSION = 1,
    ASSET_HEADER_BYTES = 512,
    ASSET_LAYERS_MAX = 48,
    ASSET_HIDDEN_MAX = 2048,
    ASSET_INNER_MAX = 8192,
    ASSET_POSITIONS_MAX = 8192,
    ASSET_VOCAB_MAX = 1 << 20,
    ASSET_META_MAX = 1 << 16,
};

enum asset_flag {
    ASSET_NORMALISE = 1,
    ASSET_LOWERCASE = 2, /* lower-case and without accents */
    ASSET_CJK = 4,       /* each ideograph is a word */
};

/* Blocks in their order in the file; layer i is ASSET_LAYERS + i. */
enum asset_block { ASSET_META, ASSET_VOCAB, ASSET_WORDS, ASSET_POSITIONS, ASSET_LAYERS };

/* Little endian, as every machine that Tarn runs on. */
struct asset_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    uint64_t file_bytes;
    uint8_t digest[TN_HASH_BYTES];
    uint32_t hidden, layers, heads, inner, vocab, positions, max_tokens;
    uint32_t pooling, flags;
    uint32_t cls, sep, unk;
    float epsilon;
    uint32_t meta_bytes, vocab_bytes, hash_slots;
    uint32_t unused[17];
    uint32_t block_crc[ASSET_LAYERS + ASSET_LAYERS_MAX];
    uint32_t more_unused[28];
    uint32_t header_crc; /* of all before it */
};
_Static_assert(sizeof(struct asset_header) == ASSET_HEADER_BYTES, "the header has no padding");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "assets are little endian");

extern const char asset_magic[8];

/* y = codes * x: int8 [outputs/16][inputs/4][16][4], one scale a row. */
struct embed_matrix {
    uint32_t outputs, inputs;
    const int8_t *codes;
    const float *scale; /* of an output's codes */
    const float *sums;  /* scale * sum of the output's codes */
    const float *bias;
    const int8_t *next; /* codes of the matrix that will be wanted after this one; NULL: not known */
};

struct embed_norm {
    const float *gain, *shift;
};

struct embed_layer {
    struct embed_matrix qkv, out, up, down;
    struct embed_norm after_attention, after_inner;
};

/* Byte offsets within a block; the block's end last. */
struct asset_matrix_place {
    size_t codes, scale, sums, bias, end;
};
struct asset_vocab_place {
    size_t offsets, slots, bytes, end;
};
struct asset_layer_place {
    struct asset_matrix_place qkv, out, up, down;
    size_t gain1, shift1, gain2, shift2, end;
};

static inline size_t asset_align(size_t offset)
{
    return (offset + 63) & ~(size_t)63;
}

/* The header's numbers are within their limits and fit each other: what every
 * function below relies on. TN_ECORRUPT otherwise. */
enum tn_code asset_header_check(const struct asset_header *header, struct tn_error *err) TN_CHECKED;
uint32_t asset_header_crc(const struct asset_header *header);
/* Offset in the file and length of a block. */
void asset_block_place(const struct asset_header *header, uint32_t block, uint64_t *ret_offset, uint64_t *ret_bytes);
uint64_t asset_file_bytes(const struct asset_header *header);

void asset_vocab_place(const struct asset_header *header, struct asset_vocab_place *ret);
void asset_layer_place(const struct asset_header *header, struct asset_layer_place *ret);
/* Words: codes [vocab][hidden], then one scale each. */
size_t asset_word_scales(const struct asset_header *header);
/* Positions: floats [positions][hidden], then gain and shift of the first norm. */
size_t asset_position_gain(const struct asset_header *header);
size_t asset_position_shift(const struct asset_header *header);

/* What slots of the vocabulary's table are filled by. */
uint32_t asset_word_hash(const char *bytes, size_t length);
#define ASSET_NO_WORD UINT32_MAX

#endif
