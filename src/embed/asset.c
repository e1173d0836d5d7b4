/* Where things are in an asset. The places are computed, not stored, so that a
 * header that passes asset_header_check cannot point anywhere. */
#include "embed/asset.h"

#include <math.h>

const char asset_magic[8] = {'T', 'A', 'R', 'N', 'E', 'M', 'B', '\n'};

static bool shape_fits(const struct asset_header *h)
{
    if (h->hidden < 64 || h->hidden > ASSET_HIDDEN_MAX || h->hidden % 64)
        return false;
    if (h->inner < 64 || h->inner > ASSET_INNER_MAX || h->inner % 64)
        return false;
    if (h->layers < 1 || h->layers > ASSET_LAYERS_MAX)
        return false;
    if (h->heads < 1 || h->hidden % h->heads || h->hidden / h->heads % 32)
        return false;
    if (h->positions < 2 || h->positions > ASSET_POSITIONS_MAX)
        return false;
    return h->max_tokens >= 2 && h->max_tokens <= h->positions;
}

static bool vocabulary_fits(const struct asset_header *h)
{
    if (h->vocab < 4 || h->vocab > ASSET_VOCAB_MAX || h->vocab_bytes > ASSET_VOCAB_MAX * 64U)
        return false;
    if (h->cls >= h->vocab || h->sep >= h->vocab || h->unk >= h->vocab)
        return false;
    /* At least one slot stays free, or looking for an absent word never ends. */
    return h->hash_slots > h->vocab && h->hash_slots <= 4U * ASSET_VOCAB_MAX &&
           (h->hash_slots & (h->hash_slots - 1)) == 0;
}

enum tn_code asset_header_check(const struct asset_header *h, struct tn_error *err)
{
    if (memcmp(h->magic, asset_magic, sizeof asset_magic) != 0)
        return tn_fail(err, TN_ECORRUPT, "not an embedding asset: the first bytes are others");
    if (h->version != ASSET_VERSION || h->header_bytes != ASSET_HEADER_BYTES) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "embedding asset of version %u; this program reads version %d",
                      h->version, ASSET_VERSION);
        tn_error_hint(err, "import the model again with this program");
        return TN_EUNSUPPORTED;
    }
    if (h->header_crc != asset_header_crc(h))
        return tn_fail(err, TN_ECORRUPT, "the asset's header is damaged: its checksum does not match");
    if (!shape_fits(h) || !vocabulary_fits(h) || h->meta_bytes > ASSET_META_MAX || h->pooling > EMBED_POOL_CLS)
        return tn_fail(err, TN_ECORRUPT, "the asset's header describes an impossible model");
    if (!isfinite(h->epsilon) || h->epsilon <= 0)
        return tn_fail(err, TN_ECORRUPT, "the asset's header has no usable epsilon");
    return TN_OK;
}

uint32_t asset_header_crc(const struct asset_header *header)
{
    return tn_crc32c(0, header, offsetof(struct asset_header, header_crc));
}

size_t asset_word_scales(const struct asset_header *h)
{
    return asset_align((size_t)h->vocab * h->hidden);
}

size_t asset_position_gain(const struct asset_header *h)
{
    return asset_align((size_t)h->positions * h->hidden * sizeof(float));
}

size_t asset_position_shift(const struct asset_header *h)
{
    return asset_position_gain(h) + asset_align(h->hidden * sizeof(float));
}

void asset_vocab_place(const struct asset_header *h, struct asset_vocab_place *ret)
{
    ret->offsets = 0;
    ret->slots = asset_align(((size_t)h->vocab + 1) * sizeof(uint32_t));
    ret->bytes = ret->slots + asset_align((size_t)h->hash_slots * sizeof(uint32_t));
    ret->end = ret->bytes + h->vocab_bytes;
}

static size_t place_matrix(size_t at, size_t outputs, size_t inputs, struct asset_matrix_place *ret)
{
    size_t row = asset_align(outputs * sizeof(float));
    ret->codes = at;
    ret->scale = at + asset_align(outputs * inputs);
    ret->sums = ret->scale + row;
    ret->bias = ret->sums + row;
    ret->end = ret->bias + row;
    return ret->end;
}

void asset_layer_place(const struct asset_header *h, struct asset_layer_place *ret)
{
    size_t row = asset_align(h->hidden * sizeof(float));
    size_t at = place_matrix(0, 3 * (size_t)h->hidden, h->hidden, &ret->qkv);
    at = place_matrix(at, h->hidden, h->hidden, &ret->out);
    ret->gain1 = at;
    ret->shift1 = at + row;
    at = place_matrix(at + 2 * row, h->inner, h->hidden, &ret->up);
    at = place_matrix(at, h->hidden, h->inner, &ret->down);
    ret->gain2 = at;
    ret->shift2 = at + row;
    ret->end = at + 2 * row;
}

static uint64_t block_bytes(const struct asset_header *h, uint32_t block)
{
    struct asset_vocab_place vocab;
    struct asset_layer_place layer;
    switch (block) {
    case ASSET_META:
        return h->meta_bytes;
    case ASSET_VOCAB:
        asset_vocab_place(h, &vocab);
        return vocab.end;
    case ASSET_WORDS:
        return asset_word_scales(h) + (size_t)h->vocab * sizeof(float);
    case ASSET_POSITIONS:
        return asset_position_shift(h) + h->hidden * sizeof(float);
    default:
        asset_layer_place(h, &layer);
        return layer.end;
    }
}

void asset_block_place(const struct asset_header *h, uint32_t block, uint64_t *ret_offset, uint64_t *ret_bytes)
{
    uint64_t at = ASSET_HEADER_BYTES;
    for (uint32_t i = 0; i < block; i++)
        at = asset_align(at + block_bytes(h, i));
    *ret_offset = at;
    *ret_bytes = block_bytes(h, block);
}

uint64_t asset_file_bytes(const struct asset_header *h)
{
    uint64_t at = 0;
    uint64_t bytes = 0;
    asset_block_place(h, ASSET_LAYERS + h->layers - 1, &at, &bytes);
    return at + bytes;
}

uint32_t asset_word_hash(const char *bytes, size_t length)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001B3);
    return (uint32_t)(h ^ (h >> 29));
}
