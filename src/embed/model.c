/* Opening an asset: map, check, point into it. */
#include "embed/embed_internal.h"

#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *block_at(const struct asset_header *h, const char *bytes, uint32_t block)
{
    uint64_t offset, size;
    asset_block_place(h, block, &offset, &size);
    return bytes + offset;
}

static const float *floats_at(const char *block, size_t offset)
{
    return (const float *)(const void *)(block + offset);
}

static struct embed_matrix matrix_at(const char *block, const struct asset_matrix_place *place, uint32_t outputs,
                                     uint32_t inputs)
{
    return (struct embed_matrix){
        .outputs = outputs,
        .inputs = inputs,
        .codes = (const int8_t *)(block + place->codes),
        .scale = floats_at(block, place->scale),
        .sums = floats_at(block, place->sums),
        .bias = floats_at(block, place->bias),
    };
}

/* `bytes`: the layers' blocks, one after the other. */
static void point_layers(struct embed_model *m, const char *bytes)
{
    const struct asset_header *h = &m->header;
    struct asset_layer_place place;
    asset_layer_place(h, &place);
    for (uint32_t i = 0; i < h->layers; i++) {
        const char *block = bytes + i * asset_align(place.end);
        struct embed_layer *layer = &m->layers[i];
        *layer = (struct embed_layer){
            .qkv = matrix_at(block, &place.qkv, 3 * h->hidden, h->hidden),
            .out = matrix_at(block, &place.out, h->hidden, h->hidden),
            .up = matrix_at(block, &place.up, h->inner, h->hidden),
            .down = matrix_at(block, &place.down, h->hidden, h->inner),
            .after_attention = {floats_at(block, place.gain1), floats_at(block, place.shift1)},
            .after_inner = {floats_at(block, place.gain2), floats_at(block, place.shift2)},
        };
        layer->qkv.next = layer->out.codes;
        layer->out.next = layer->up.codes;
        layer->up.next = layer->down.codes;
        if (i > 0)
            m->layers[i - 1].down.next = layer->qkv.codes;
    }
}

static void point_into(struct embed_model *m, const char *bytes)
{
    const struct asset_header *h = &m->header;
    const char *words = block_at(h, bytes, ASSET_WORDS);
    m->words = (const int8_t *)words;
    m->word_scales = floats_at(words, asset_word_scales(h));
    const char *positions = block_at(h, bytes, ASSET_POSITIONS);
    m->positions = floats_at(positions, 0);
    m->first_norm.gain = floats_at(positions, asset_position_gain(h));
    m->first_norm.shift = floats_at(positions, asset_position_shift(h));

    point_layers(m, block_at(h, bytes, ASSET_LAYERS));
}

static enum tn_code check_blocks(const struct asset_header *h, const char *bytes, struct tn_error *err)
{
    for (uint32_t i = 0; i < ASSET_LAYERS + h->layers; i++) {
        uint64_t offset, size;
        asset_block_place(h, i, &offset, &size);
        if (tn_crc32c(0, bytes + offset, size) != h->block_crc[i]) {
            (void)tn_fail(err, TN_ECORRUPT, "block %u of the asset is damaged: its checksum does not match", i);
            tn_error_hint(err, "import the model again");
            return TN_ECORRUPT;
        }
    }
    return TN_OK;
}

static enum tn_code read_meta(struct embed_model *m, const char *bytes, struct tn_error *err)
{
    const struct asset_header *h = &m->header;
    TN_AUTO_JSON *json = NULL;
    TN_TRY(tn_json_parse(block_at(h, bytes, ASSET_META), h->meta_bytes, ASSET_META_MAX, "the asset's description",
                         &json, err));
    const char *name = NULL, *query = "", *document = "";
    const struct tn_json_field fields[] = {
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name, .required = true},
        {.name = "query_prefix", .kind = TN_JSON_STRING, .ret = &query},
        {.name = "document_prefix", .kind = TN_JSON_STRING, .ret = &document},
    };
    TN_TRY(tn_json_read(json, "the asset's description", fields, TN_COUNT(fields), err));
    m->info.name = tn_arena_strdup(m->arena, name);
    m->info.query_prefix = tn_arena_strdup(m->arena, query);
    m->info.document_prefix = tn_arena_strdup(m->arena, document);
    return TN_OK;
}

static void fill_info(struct embed_model *m)
{
    const struct asset_header *h = &m->header;
    tn_hex_encode(h->digest, sizeof h->digest, m->info.digest);
    m->info.dimension = h->hidden;
    m->info.max_tokens = h->max_tokens;
    m->info.vocabulary = h->vocab;
    m->info.layers = h->layers;
    m->info.pooling = (enum embed_pooling)h->pooling;
    m->info.normalise = h->flags & ASSET_NORMALISE;
    m->info.lowercase = h->flags & ASSET_LOWERCASE;
    m->info.asset_bytes = h->file_bytes;
    m->info.kernel = m->kernels->name;
}

static enum tn_code open_into(struct embed_model *m, const char *bytes, size_t size, bool strict,
                              struct tn_error *err)
{
    if (size < ASSET_HEADER_BYTES)
        return tn_fail(err, TN_ECORRUPT, "not an embedding asset: %zu bytes", size);
    memcpy(&m->header, bytes, sizeof m->header);
    if (!strict)
        m->header.header_crc = asset_header_crc(&m->header);
    TN_TRY(asset_header_check(&m->header, err));
    uint64_t want = asset_file_bytes(&m->header);
    if (m->header.file_bytes != want || size != want)
        return tn_fail(err, TN_ECORRUPT, "the asset has %zu bytes, its model needs %llu", size,
                       (unsigned long long)want);
    if (strict)
        TN_TRY(check_blocks(&m->header, bytes, err));
    TN_TRY(embed_vocab_open(&m->header, block_at(&m->header, bytes, ASSET_VOCAB), &m->vocab, err));
    TN_TRY(read_meta(m, bytes, err));
    m->layers = tn_calloc(m->header.layers, sizeof *m->layers);
    point_into(m, bytes);
    m->kernels = embed_kernels_get();
    fill_info(m);
    return TN_OK;
}

static struct embed_model *model_new(void)
{
    struct embed_model *m = tn_calloc(1, sizeof *m);
    m->arena = tn_arena_new();
    m->idle = embed_idle_new();
    return m;
}

enum tn_code embed_model_open_bytes(const void *bytes, size_t size, bool strict, struct embed_model **ret,
                                    struct tn_error *err)
{
    TN_CLEANUP(embed_model_close_p) struct embed_model *m = model_new();
    TN_TRY(open_into(m, bytes, size, strict, err));
    *ret = TN_TAKE(m);
    return TN_OK;
}

static enum tn_code map_file(struct embed_model *m, const char *path, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        return tn_fail_errno(err, errno, "cannot open the embedding asset %s", path);
    if (!S_ISREG(info.st_mode) || info.st_size < ASSET_HEADER_BYTES)
        return tn_fail(err, TN_ECORRUPT, "%s is not an embedding asset", path);
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map the embedding asset %s", path);
    m->map = map;
    m->map_bytes = (size_t)info.st_size;
    return TN_OK;
}

/* The layers are read from end to end for every text. In the page cache they lie
 * on small pages, whose tables cost a short query a fifth of its time: a copy on
 * large ones is read instead of them, not beside them, so that as much memory
 * is in use. Models of more than this stay where the system can drop them. */
#define COPY_MAX ((size_t)128 << 20)

static void copy_layers(struct embed_model *m)
{
    uint64_t start = 0, last = 0, bytes = 0;
    asset_block_place(&m->header, ASSET_LAYERS, &start, &bytes);
    asset_block_place(&m->header, ASSET_LAYERS + m->header.layers - 1, &last, &bytes);
    size_t size = (size_t)(last + bytes - start);
    if (size > COPY_MAX || !tn_pages_map(size, &m->layer_pages))
        return;
    memcpy(m->layer_pages.data, (const char *)m->map + start, size);
    point_layers(m, m->layer_pages.data);
}

enum tn_code embed_model_open(const char *asset_path, struct embed_model **ret, struct tn_error *err)
{
    TN_CLEANUP(embed_model_close_p) struct embed_model *m = model_new();
    TN_TRY(map_file(m, asset_path, err));
    enum tn_code code = open_into(m, m->map, m->map_bytes, true, err);
    if (code != TN_OK) {
        tn_error_context(err, "%s", asset_path);
        return code;
    }
    /* The check read every page. Most rows of the word table will not be
     * wanted again: they count as this process's memory until given back. */
    (void)madvise(m->map, m->map_bytes, MADV_DONTNEED);
    copy_layers(m);
    (void)madvise(m->map, m->map_bytes, MADV_DONTNEED);
    *ret = TN_TAKE(m);
    return TN_OK;
}

void embed_model_close(struct embed_model *model)
{
    if (!model)
        return;
    embed_idle_free(model->idle);
    tn_pages_unmap(&model->layer_pages);
    if (model->map)
        (void)munmap(model->map, model->map_bytes);
    free(model->layers);
    tn_arena_free(model->arena);
    free(model);
}

const struct embed_info *embed_model_info(const struct embed_model *model)
{
    return &model->info;
}

static const char *prefix_of(const struct embed_model *m, enum embed_kind kind)
{
    switch (kind) {
    case EMBED_QUERY:
        return m->info.query_prefix;
    case EMBED_DOCUMENT:
        return m->info.document_prefix;
    default:
        return "";
    }
}

size_t embed_tokenize(const struct embed_model *model, enum embed_kind kind, struct embed_text text, uint32_t *ids,
                      struct embed_span *spans, size_t capacity, bool *ret_truncated)
{
    return embed_vocab_tokenize(&model->vocab, prefix_of(model, kind), text, ids, spans, capacity, ret_truncated);
}

size_t embed_count_tokens(const struct embed_model *model, enum embed_kind kind, struct embed_text text)
{
    return embed_vocab_tokenize(&model->vocab, prefix_of(model, kind), text, NULL, NULL, SIZE_MAX, NULL);
}
