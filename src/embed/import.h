/* Parts of import: what a model's folder says, and writing an asset. */
#ifndef TARN_EMBED_IMPORT_H
#define TARN_EMBED_IMPORT_H

#include "embed/asset.h"

#include "base/base.h"

/* What the folder's JSON files say; strings are the arena's. */
struct import_config {
    uint32_t hidden, layers, heads, inner, vocab, positions, max_tokens;
    float epsilon;
    enum embed_pooling pooling;
    bool normalise, lowercase, cjk;
    const char *name, *query_prefix, *document_prefix;
};

enum tn_code import_config_read(struct tn_arena *arena, const char *dir, const struct embed_import_options *options,
                                struct import_config *ret, struct tn_error *err) TN_CHECKED;

/* vocab.txt as the asset's block, and the ids that frame texts. */
struct import_vocab {
    struct tn_buf block;
    uint32_t count, bytes, slots;
    uint32_t cls, sep, unk;
};
enum tn_code import_vocab_read(const char *path, struct import_vocab *ret, struct tn_error *err) TN_CHECKED;
enum tn_code import_vocab_build(const char *text, size_t length, struct import_vocab *ret,
                                struct tn_error *err) TN_CHECKED;
static inline void import_vocab_release(struct import_vocab *vocab)
{
    tn_buf_release(&vocab->block);
}

/* An asset being written: blocks in their order, each from front to end. */
struct asset_writer {
    int fd;
    const char *path; /* borrowed */
    char *temporary;  /* its file is removed by release unless finished */
    struct asset_header header;
    uint64_t at;
    uint32_t block; /* the one being written */
    struct tn_hash hash;
};

/* `header` has every number but checksums, digest and file_bytes. */
enum tn_code asset_writer_open(struct asset_writer *ret, const char *path, const struct asset_header *header,
                               struct tn_error *err) TN_CHECKED;
enum tn_code asset_writer_put(struct asset_writer *w, const void *bytes, size_t count,
                              struct tn_error *err) TN_CHECKED;
/* Zeros up to the next multiple of 64. */
enum tn_code asset_writer_align(struct asset_writer *w, struct tn_error *err) TN_CHECKED;
/* Ends the block; the bytes put must be as many as its place has. */
enum tn_code asset_writer_end_block(struct asset_writer *w, struct tn_error *err) TN_CHECKED;
/* Header, sync, rename. */
enum tn_code asset_writer_finish(struct asset_writer *w, struct tn_error *err) TN_CHECKED;
void asset_writer_release(struct asset_writer *w);

#endif
