/* embed: the built-in text embedder. Texts become vectors of unit length whose
 * dot product says how near they are in meaning.
 *
 * It runs sentence models of the BERT family (MiniLM, bge, e5, gte: WordPiece
 * vocabulary, learned positions, exact GELU) on the CPU, in this process, with
 * int8 weights, from one file: the asset (docs/formats/embedding-asset.md).
 *
 *   embed_model_import()   a folder as published (config.json, vocab.txt,
 *                          model.safetensors) becomes an asset; once, seconds
 *   embed_model_open()     maps an asset; milliseconds
 *   embed_encode()         texts in, vectors out; one scratch per call
 *   embed_encode_batch()   the same over a pool's threads
 *   embed_tokenize()       the tokens alone, with their places in the text
 *
 * Ownership. The model owns its mapping, the copy of its layers and the strings of embed_model_info();
 * texts and outputs are the caller's and only borrowed during a call.
 *
 * Threads. Any number of threads may use an open model at once; each call works
 * in a scratch of its own, which the model lends from a few that it keeps, or
 * the caller brings. Close it when none does.
 *
 * Errors. Import says TN_EUNSUPPORTED with the name of what is not supported,
 * TN_ENOTFOUND for a missing file, TN_ECORRUPT for weights that do not match
 * their own description. Open says TN_ECORRUPT for a damaged asset. Encoding
 * fails only when a model's weights make numbers that are not finite
 * (TN_ECORRUPT) or memory ends (TN_ENOMEM).
 *
 * Results. The same asset, text and instruction set give the same bits, alone
 * or in a batch. Instruction sets differ by rounding (cosine above .9999),
 * except "avx2", whose activations have 7 bits (cosine to float .998 instead of
 * .999). Vectors of two assets must never be compared: the digest in
 * embed_model_info() tells them apart.
 */
#ifndef TARN_EMBED_EMBED_H
#define TARN_EMBED_EMBED_H

#include "base/error.h"
#include "base/mem.h"
#include "base/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct embed_model;
struct embed_scratch;

enum embed_pooling { EMBED_POOL_MEAN, EMBED_POOL_CLS };

/* What a text is for. Some models want "query: " or "passage: " before it; the
 * model knows its own prefixes, and PLAIN adds none. */
enum embed_kind { EMBED_PLAIN, EMBED_QUERY, EMBED_DOCUMENT };

/* UTF-8 without terminator. Bytes that are not UTF-8 are passed over. */
struct embed_text {
    const char *data;
    size_t length;
};

/* What became of one text. */
struct embed_count {
    uint32_t tokens; /* encoded, with the two that frame every text */
    bool truncated;  /* there was more than max_tokens: the end was not read */
};

struct embed_info {
    const char *name; /* "all-MiniLM-L6-v2" */
    char digest[65];  /* of weights, vocabulary and settings: the model's version */
    uint32_t dimension;
    uint32_t max_tokens; /* with the two that frame every text */
    uint32_t vocabulary;
    uint32_t layers;
    enum embed_pooling pooling;
    bool normalise;           /* vectors have length 1 */
    bool lowercase;           /* case and accents are ignored */
    const char *query_prefix; /* never NULL */
    const char *document_prefix;
    uint64_t asset_bytes;
    const char *kernel; /* the instruction set in use */
};

/* --- Import --------------------------------------------------------------- */

struct embed_import_options {
    const char *name;         /* NULL: the folder's name */
    const char *query_prefix; /* NULL: what the folder says, else what the family is known to want */
    const char *document_prefix;
    /* Called now and then with bytes of weights converted; may be NULL. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* Writes `asset_path` from the model in folder `dir`: under a temporary name,
 * synced, then renamed, so that a reader sees the old asset, the new one or
 * none. Options may be NULL. Memory: a few rows and one layer. */
enum tn_code embed_model_import(const char *dir, const char *asset_path, const struct embed_import_options *options,
                                struct tn_error *err) TN_CHECKED;

/* --- Models --------------------------------------------------------------- */

/* Maps the asset and checks all of it. Layers of up to 128 MB are then copied to
 * memory on large pages, where reading them costs less, and their part of the
 * map is given back. An asset must be replaced by renaming, as import does,
 * never be rewritten in place. */
enum tn_code embed_model_open(const char *asset_path, struct embed_model **ret, struct tn_error *err) TN_CHECKED;
void embed_model_close(struct embed_model *model);
/* Valid as long as the model. */
const struct embed_info *embed_model_info(const struct embed_model *model);
TN_DEFINE_CLEANUP(struct embed_model, embed_model_close)

/* --- Tokens --------------------------------------------------------------- */

/* Bytes of the text, [start, end), of the word that a token came from; the
 * framing tokens have an empty one at the text's start and end. */
struct embed_span {
    uint32_t start;
    uint32_t end;
};

/* Writes at most `capacity` (>= 2) token ids, framing tokens included, and
 * where `spans` is not NULL their words. Returns how many; *ret_truncated (may
 * be NULL) says whether there were more. Names of special tokens in a text
 * ("[SEP]") are plain text: a document cannot forge them. Texts of 4 GB and
 * more are read up to there. */
size_t embed_tokenize(const struct embed_model *model, enum embed_kind kind, struct embed_text text, uint32_t *ids,
                      struct embed_span *spans, size_t capacity, bool *ret_truncated);

/* How many tokens a text has, framing ones included, however long it is. */
size_t embed_count_tokens(const struct embed_model *model, enum embed_kind kind, struct embed_text text);

/* --- Vectors -------------------------------------------------------------- */

/* Working memory of one thread for one model: about 5 MB for 256 tokens of 384
 * dimensions, touched only as far as texts are long. */
enum tn_code embed_scratch_new(const struct embed_model *model, struct embed_scratch **ret,
                               struct tn_error *err) TN_CHECKED;
void embed_scratch_free(struct embed_scratch *scratch);
TN_DEFINE_CLEANUP(struct embed_scratch, embed_scratch_free)

/* `out` has count * dimension floats; `ret_counts` count entries or NULL. On
 * failure `out` is undefined. `scratch` NULL: one that the model lends. */
enum tn_code embed_encode(const struct embed_model *model, struct embed_scratch *scratch, enum embed_kind kind,
                          const struct embed_text *texts, size_t count, float *out, struct embed_count *ret_counts,
                          struct tn_error *err) TN_CHECKED;

/* As embed_encode, spread over the pool's threads (texts are handed out one by
 * one, so their lengths may differ); returns when all are done. Must not be
 * called with a background priority from a foreground task of the same pool. */
enum tn_code embed_encode_batch(const struct embed_model *model, struct tn_pool *pool, enum tn_priority priority,
                                enum embed_kind kind, const struct embed_text *texts, size_t count, float *out,
                                struct embed_count *ret_counts, struct tn_error *err) TN_CHECKED;

#endif
