/* From published float weights to an asset of int8: each row of a matrix gets
 * the scale that puts its largest weight at 127. */
#include "embed/import.h"
#include "embed/safetensors.h"

#include <math.h>

struct importer {
    struct import_config config;
    struct safetensors weights;
    const char *prefix; /* of tensor names: "" or "bert." */
    struct asset_writer out;
    const struct embed_import_options *options;
    uint64_t done, total;
    float *row; /* room for one row of any matrix */
    struct tn_error *err;
};

/* A matrix on its way: the asset's arrays of one matrix. */
struct matrix_buffer {
    struct asset_matrix_place place;
    uint32_t outputs, inputs;
    char *bytes; /* of the layer's block */
};

static enum tn_code find(const struct importer *im, const char *name, uint64_t rows, uint64_t columns,
                         const struct safetensors_entry **ret)
{
    char full[160];
    (void)snprintf(full, sizeof full, "%s%s", im->prefix, name);
    const struct safetensors_entry *entry = safetensors_find(&im->weights, full);
    if (!entry)
        return tn_fail(im->err, TN_ECORRUPT, "model.safetensors has no tensor \"%s\"", full);
    if (entry->type == SAFETENSORS_OTHER)
        return tn_fail(im->err, TN_EUNSUPPORTED, "tensor \"%s\" is of type %s; supported are F32, F16, BF16", full,
                       entry->dtype);
    bool fits = columns ? entry->dims == 2 && entry->shape[0] == rows && entry->shape[1] == columns
                        : entry->dims == 1 && entry->shape[0] == rows;
    if (!fits)
        return tn_fail(im->err, TN_ECORRUPT, "tensor \"%s\" does not have the shape that config.json describes",
                       full);
    *ret = entry;
    return TN_OK;
}

static void note_progress(struct importer *im, uint64_t bytes)
{
    im->done += bytes;
    if (im->options && im->options->progress)
        im->options->progress(im->options->context, im->done, im->total);
}

static enum tn_code read_vector(struct importer *im, const char *name, uint32_t count, float *out)
{
    const struct safetensors_entry *entry = NULL;
    TN_TRY(find(im, name, count, 0, &entry));
    TN_TRY(safetensors_read(&im->weights, entry, 0, count, out, im->err));
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(out[i]))
            return tn_fail(im->err, TN_ECORRUPT, "tensor \"%s\" has a value that is not a number", name);
    return TN_OK;
}

/* Codes of one row; false when it has a value that is not finite. */
static bool quantise(const float *row, size_t count, int8_t *codes, float *ret_scale)
{
    float most = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(row[i]))
            return false;
        most = fmaxf(most, fabsf(row[i]));
    }
    float scale = most / 127.0F;
    /* A row so near to zero that its scale has no inverse is zero. */
    if (!isnormal(scale)) {
        memset(codes, 0, count);
        *ret_scale = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        codes[i] = (int8_t)lrintf(row[i] / scale);
    *ret_scale = scale;
    return true;
}

/* Row n of the packed form [outputs/16][inputs/4][16][4]. */
static void put_row(const struct matrix_buffer *m, size_t n, const int8_t *codes, float scale)
{
    int8_t *to = (int8_t *)(m->bytes + m->place.codes) + n / 16 * 16 * m->inputs + n % 16 * 4;
    int32_t sum = 0;
    for (size_t k = 0; k < m->inputs; k += 4, to += 64) {
        memcpy(to, codes + k, 4);
        sum += codes[k] + codes[k + 1] + codes[k + 2] + codes[k + 3];
    }
    ((float *)(void *)(m->bytes + m->place.scale))[n] = scale;
    ((float *)(void *)(m->bytes + m->place.sums))[n] = scale * (float)sum;
}

/* The tensor `name`.weight and .bias as rows first to first + rows of m. */
static enum tn_code put_matrix(struct importer *im, const char *name, const struct matrix_buffer *m, uint32_t first,
                               uint32_t rows)
{
    char part[128];
    const struct safetensors_entry *entry = NULL;
    (void)snprintf(part, sizeof part, "%s.weight", name);
    TN_TRY(find(im, part, rows, m->inputs, &entry));
    int8_t codes[ASSET_INNER_MAX];
    for (uint32_t i = 0; i < rows; i++) {
        float scale = 0;
        TN_TRY(safetensors_read(&im->weights, entry, (uint64_t)i * m->inputs, m->inputs, im->row, im->err));
        if (!quantise(im->row, m->inputs, codes, &scale))
            return tn_fail(im->err, TN_ECORRUPT, "tensor \"%s\" has a value that is not a number", part);
        put_row(m, first + i, codes, scale);
    }
    note_progress(im, entry->end - entry->begin);
    (void)snprintf(part, sizeof part, "%s.bias", name);
    return read_vector(im, part, rows, (float *)(void *)(m->bytes + m->place.bias) + first);
}

static enum tn_code put_norm(struct importer *im, const char *name, char *gain, char *shift)
{
    char part[128];
    (void)snprintf(part, sizeof part, "%s.weight", name);
    TN_TRY(read_vector(im, part, im->config.hidden, (float *)(void *)gain));
    (void)snprintf(part, sizeof part, "%s.bias", name);
    return read_vector(im, part, im->config.hidden, (float *)(void *)shift);
}

static enum tn_code fill_layer(struct importer *im, uint32_t layer, const struct asset_layer_place *place,
                               char *block)
{
    uint32_t hidden = im->config.hidden;
    uint32_t inner = im->config.inner;
    const struct matrix_buffer qkv = {place->qkv, 3 * hidden, hidden, block};
    const struct matrix_buffer out = {place->out, hidden, hidden, block};
    const struct matrix_buffer up = {place->up, inner, hidden, block};
    const struct matrix_buffer down = {place->down, hidden, inner, block};
    const struct {
        const char *name;
        const struct matrix_buffer *matrix;
        uint32_t first, rows;
    } parts[] = {
        {"attention.self.query", &qkv, 0, hidden},
        {"attention.self.key", &qkv, hidden, hidden},
        {"attention.self.value", &qkv, 2 * hidden, hidden},
        {"attention.output.dense", &out, 0, hidden},
        {"intermediate.dense", &up, 0, inner},
        {"output.dense", &down, 0, hidden},
    };
    char name[96];
    for (size_t i = 0; i < TN_COUNT(parts); i++) {
        (void)snprintf(name, sizeof name, "encoder.layer.%u.%s", layer, parts[i].name);
        TN_TRY(put_matrix(im, name, parts[i].matrix, parts[i].first, parts[i].rows));
    }
    (void)snprintf(name, sizeof name, "encoder.layer.%u.attention.output.LayerNorm", layer);
    TN_TRY(put_norm(im, name, block + place->gain1, block + place->shift1));
    (void)snprintf(name, sizeof name, "encoder.layer.%u.output.LayerNorm", layer);
    return put_norm(im, name, block + place->gain2, block + place->shift2);
}

static enum tn_code write_layers(struct importer *im)
{
    struct asset_layer_place place;
    asset_layer_place(&im->out.header, &place);
    TN_AUTO_FREE char *block = tn_try_malloc(place.end);
    if (!block)
        return tn_fail(im->err, TN_ENOMEM, "no memory for one layer of the model (%zu bytes)", place.end);
    memset(block, 0, place.end);
    for (uint32_t i = 0; i < im->config.layers; i++) {
        TN_TRY(fill_layer(im, i, &place, block));
        TN_TRY(asset_writer_put(&im->out, block, place.end, im->err));
        TN_TRY(asset_writer_end_block(&im->out, im->err));
    }
    return TN_OK;
}

static enum tn_code write_words(struct importer *im)
{
    enum { ROWS_AT_ONCE = 256 };
    const struct import_config *c = &im->config;
    const struct safetensors_entry *entry = NULL;
    TN_TRY(find(im, "embeddings.word_embeddings.weight", c->vocab, c->hidden, &entry));
    TN_AUTO_FREE float *scales = tn_calloc(c->vocab, sizeof *scales);
    TN_AUTO_FREE int8_t *codes = tn_malloc((size_t)ROWS_AT_ONCE * c->hidden);
    for (uint32_t i = 0; i < c->vocab;) {
        uint32_t rows = TN_MIN((uint32_t)ROWS_AT_ONCE, c->vocab - i);
        for (uint32_t r = 0; r < rows; r++, i++) {
            TN_TRY(safetensors_read(&im->weights, entry, (uint64_t)i * c->hidden, c->hidden, im->row, im->err));
            if (!quantise(im->row, c->hidden, codes + (size_t)r * c->hidden, &scales[i]))
                return tn_fail(im->err, TN_ECORRUPT, "tensor \"%s\" has a value that is not a number", entry->name);
        }
        TN_TRY(asset_writer_put(&im->out, codes, (size_t)rows * c->hidden, im->err));
        note_progress(im, (entry->end - entry->begin) / c->vocab * rows);
    }
    TN_TRY(asset_writer_align(&im->out, im->err));
    TN_TRY(asset_writer_put(&im->out, scales, c->vocab * sizeof *scales, im->err));
    return asset_writer_end_block(&im->out, im->err);
}

/* Positions carry the embedding of the first segment, which every token has. */
static enum tn_code write_positions(struct importer *im)
{
    const struct import_config *c = &im->config;
    const struct safetensors_entry *positions = NULL;
    const struct safetensors_entry *segments = NULL;
    TN_TRY(find(im, "embeddings.position_embeddings.weight", c->positions, c->hidden, &positions));
    const char *segment_name = "embeddings.token_type_embeddings.weight";
    if (find(im, segment_name, 2, c->hidden, &segments) != TN_OK)
        TN_TRY(find(im, segment_name, 1, c->hidden, &segments));
    TN_AUTO_FREE float *segment = tn_calloc(c->hidden, sizeof *segment);
    TN_TRY(safetensors_read(&im->weights, segments, 0, c->hidden, segment, im->err));
    for (uint32_t i = 0; i < c->positions; i++) {
        TN_TRY(safetensors_read(&im->weights, positions, (uint64_t)i * c->hidden, c->hidden, im->row, im->err));
        for (uint32_t d = 0; d < c->hidden; d++) {
            im->row[d] += segment[d];
            if (!isfinite(im->row[d]))
                return tn_fail(im->err, TN_ECORRUPT, "tensor \"%s\" has a value that is not a number",
                               positions->name);
        }
        TN_TRY(asset_writer_put(&im->out, im->row, c->hidden * sizeof *im->row, im->err));
    }
    note_progress(im, positions->end - positions->begin);
    TN_TRY(asset_writer_align(&im->out, im->err));
    TN_TRY(put_norm(im, "embeddings.LayerNorm", (char *)(void *)im->row, (char *)(void *)segment));
    TN_TRY(asset_writer_put(&im->out, im->row, c->hidden * sizeof *im->row, im->err));
    TN_TRY(asset_writer_align(&im->out, im->err));
    TN_TRY(asset_writer_put(&im->out, segment, c->hidden * sizeof *segment, im->err));
    return asset_writer_end_block(&im->out, im->err);
}

static void describe(const struct import_config *c, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "name", c->name);
    tn_json_kstr(&json, "query_prefix", c->query_prefix);
    tn_json_kstr(&json, "document_prefix", c->document_prefix);
    tn_json_close(&json, '}');
}

static struct asset_header make_header(const struct import_config *c, const struct import_vocab *vocab,
                                       const struct tn_buf *meta)
{
    return (struct asset_header){
        .hidden = c->hidden,
        .layers = c->layers,
        .heads = c->heads,
        .inner = c->inner,
        .vocab = c->vocab,
        .positions = c->positions,
        .max_tokens = c->max_tokens,
        .pooling = c->pooling,
        .flags =
            (c->normalise ? ASSET_NORMALISE : 0U) | (c->lowercase ? ASSET_LOWERCASE : 0U) | (c->cjk ? ASSET_CJK : 0U),
        .cls = vocab->cls,
        .sep = vocab->sep,
        .unk = vocab->unk,
        .epsilon = c->epsilon,
        .meta_bytes = (uint32_t)meta->len,
        .vocab_bytes = vocab->bytes,
        .hash_slots = vocab->slots,
    };
}

static enum tn_code write_asset(struct importer *im, const char *path, const struct import_vocab *vocab)
{
    TN_AUTO_BUF meta = {0};
    describe(&im->config, &meta);
    struct asset_header header = make_header(&im->config, vocab, &meta);
    TN_TRY(asset_writer_open(&im->out, path, &header, im->err));
    TN_TRY(asset_writer_put(&im->out, meta.data, meta.len, im->err));
    TN_TRY(asset_writer_end_block(&im->out, im->err));
    TN_TRY(asset_writer_put(&im->out, vocab->block.data, vocab->block.len, im->err));
    TN_TRY(asset_writer_end_block(&im->out, im->err));
    TN_TRY(write_words(im));
    TN_TRY(write_positions(im));
    TN_TRY(write_layers(im));
    return asset_writer_finish(&im->out, im->err);
}

static void importer_release(struct importer *im)
{
    asset_writer_release(&im->out);
    safetensors_release(&im->weights);
    free(im->row);
}

enum tn_code embed_model_import(const char *dir, const char *asset_path, const struct embed_import_options *options,
                                struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(importer_release)
    struct importer im = {.weights = {.fd = -1}, .prefix = "", .options = options, .err = err};
    TN_CLEANUP(import_vocab_release) struct import_vocab vocab = {0};
    TN_TRY(import_config_read(arena, dir, options, &im.config, err));
    TN_TRY(import_vocab_read(tn_path_join(arena, dir, "vocab.txt"), &vocab, err));
    if (vocab.count != im.config.vocab)
        return tn_fail(err, TN_ECORRUPT, "vocab.txt has %u words, config.json says %u", vocab.count, im.config.vocab);
    enum tn_code code = safetensors_open(tn_path_join(arena, dir, "model.safetensors"), &im.weights, err);
    if (code == TN_ENOTFOUND)
        tn_error_hint(err, "weights must be in model.safetensors; pytorch_model.bin is a program, not data, and is "
                           "not read");
    if (code != TN_OK)
        return code;
    if (!safetensors_find(&im.weights, "embeddings.word_embeddings.weight"))
        im.prefix = "bert.";
    for (size_t i = 0; i < im.weights.count; i++)
        im.total += im.weights.entries[i].end - im.weights.entries[i].begin;
    im.row = tn_malloc(TN_MAX(im.config.hidden, im.config.inner) * sizeof *im.row);
    return write_asset(&im, asset_path, &vocab);
}
