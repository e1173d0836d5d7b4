/* The forward pass: one text at a time, all of its tokens through one layer
 * after the other. Matrices are int8 by 8-bit activations; norms, softmax,
 * GELU and attention are float. */
#include "embed/embed_internal.h"

#include <math.h>
#include <stdatomic.h>

/* One allocation, cut up; rows are tokens. */
struct embed_scratch {
    const struct embed_model *model;
    struct embed_scratch *next; /* while idle */
    void *memory;
    uint32_t *ids;
    float *x;     /* [tokens][hidden]: the text so far */
    float *qkv;   /* [tokens][3 * hidden] */
    float *mixed; /* [tokens][hidden]: attention's result */
    float *added; /* [tokens][hidden]: what a norm adds to x */
    float *inner; /* [tokens][inner] */
    float *keys, *values, *scores;
    float *step, *low;              /* [tokens] */
    uint8_t *codes, *room;          /* [tokens][max of hidden and inner] */
    struct embed_outlier *outliers; /* [tokens * EMBED_OUTLIERS] */
};

/* Adds a part and returns where it starts. */
static size_t place_part(size_t *end, size_t count, size_t size)
{
    size_t at = *end;
    *end = asset_align(at + tn_size_mul(count, size));
    return at;
}

enum tn_code embed_scratch_new(const struct embed_model *model, struct embed_scratch **ret, struct tn_error *err)
{
    const struct asset_header *h = &model->header;
    size_t tokens = h->max_tokens;
    size_t padded = (tokens + EMBED_ROW_PAD - 1) / EMBED_ROW_PAD * EMBED_ROW_PAD;
    size_t head = h->hidden / h->heads;
    size_t end = 0;
    size_t ids = place_part(&end, tokens, sizeof(uint32_t));
    size_t x = place_part(&end, tokens * h->hidden, sizeof(float));
    size_t qkv = place_part(&end, tokens * h->hidden, 3 * sizeof(float));
    size_t mixed = place_part(&end, tokens * h->hidden, sizeof(float));
    size_t added = place_part(&end, tokens * h->hidden, sizeof(float));
    size_t inner = place_part(&end, tokens * h->inner, sizeof(float));
    size_t keys = place_part(&end, padded * head, sizeof(float));
    size_t values = place_part(&end, tokens * head, sizeof(float));
    size_t scores = place_part(&end, padded * EMBED_QUERY_ROWS, sizeof(float));
    size_t step = place_part(&end, tokens, sizeof(float));
    size_t low = place_part(&end, tokens, sizeof(float));
    size_t codes = place_part(&end, tokens, TN_MAX(h->hidden, h->inner));
    size_t room = place_part(&end, tokens, TN_MAX(h->hidden, h->inner));
    size_t outliers = place_part(&end, tokens * EMBED_OUTLIERS, sizeof(struct embed_outlier));

    char *memory = aligned_alloc(64, end);
    if (!memory)
        return tn_fail(err, TN_ENOMEM, "no memory for embedding texts of %zu tokens (%zu bytes)", tokens, end);
    struct embed_scratch *s = tn_calloc(1, sizeof *s);
    *s = (struct embed_scratch){
        .model = model,
        .memory = memory,
        .ids = (uint32_t *)(void *)(memory + ids),
        .x = (float *)(void *)(memory + x),
        .qkv = (float *)(void *)(memory + qkv),
        .mixed = (float *)(void *)(memory + mixed),
        .added = (float *)(void *)(memory + added),
        .inner = (float *)(void *)(memory + inner),
        .keys = (float *)(void *)(memory + keys),
        .values = (float *)(void *)(memory + values),
        .scores = (float *)(void *)(memory + scores),
        .step = (float *)(void *)(memory + step),
        .low = (float *)(void *)(memory + low),
        .codes = (uint8_t *)(memory + codes),
        .room = (uint8_t *)(memory + room),
        .outliers = (struct embed_outlier *)(void *)(memory + outliers),
    };
    *ret = s;
    return TN_OK;
}

void embed_scratch_free(struct embed_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->memory);
    free(scratch);
}

struct embed_idle *embed_idle_new(void)
{
    struct embed_idle *idle = tn_calloc(1, sizeof *idle);
    (void)pthread_mutex_init(&idle->lock, NULL);
    return idle;
}

void embed_idle_free(struct embed_idle *idle)
{
    while (idle->first) {
        struct embed_scratch *scratch = idle->first;
        idle->first = scratch->next;
        embed_scratch_free(scratch);
    }
    (void)pthread_mutex_destroy(&idle->lock);
    free(idle);
}

static enum tn_code scratch_borrow(const struct embed_model *model, struct embed_scratch **ret, struct tn_error *err)
{
    struct embed_scratch *scratch = NULL;
    /* Never waited for: who holds it may be a thread that stands behind all others. */
    if (pthread_mutex_trylock(&model->idle->lock) == 0) {
        scratch = model->idle->first;
        if (scratch) {
            model->idle->first = scratch->next;
            model->idle->count--;
        }
        (void)pthread_mutex_unlock(&model->idle->lock);
    }
    if (!scratch)
        return embed_scratch_new(model, ret, err);
    *ret = scratch;
    return TN_OK;
}

static void scratch_return(struct embed_scratch *scratch)
{
    struct embed_idle *idle = scratch->model->idle;
    size_t most = tn_cpu_count();
    bool keep = false;
    if (pthread_mutex_trylock(&idle->lock) == 0) {
        keep = idle->count < most;
        if (keep) {
            scratch->next = idle->first;
            idle->first = scratch;
            idle->count++;
        }
        (void)pthread_mutex_unlock(&idle->lock);
    }
    if (!keep)
        embed_scratch_free(scratch);
}

static void scratch_return_p(struct embed_scratch **scratch)
{
    if (*scratch)
        scratch_return(*scratch);
}

/* Codes of all rows, one after the other: with `gelu`, of what that makes of
 * them, while they are near. Returns how many outliers there are. */
static size_t code_rows(const struct embed_matrix *matrix, float *x, size_t rows, bool gelu, struct embed_scratch *s)
{
    const struct embed_kernels *k = s->model->kernels;
    size_t apart = 0;
    for (size_t i = 0; i < rows; i++, x += matrix->inputs) {
        if (gelu)
            k->gelu(x, matrix->inputs);
        struct embed_outlier *found = s->outliers + apart;
        size_t more =
            k->quantise(x, 1, matrix->inputs, s->codes + i * matrix->inputs, s->step + i, s->low + i, found);
        for (size_t o = 0; o < more; o++)
            found[o].row = (uint32_t)i;
        apart += more;
    }
    return apart;
}

static void multiply(const struct embed_matrix *matrix, float *x, size_t rows, bool gelu, float *out,
                     struct embed_scratch *s)
{
    const struct embed_kernels *k = s->model->kernels;
    size_t apart = code_rows(matrix, x, rows, gelu, s);
    struct embed_rows coded = {.codes = s->codes, .step = s->step, .low = s->low, .count = rows, .room = s->room};
    k->multiply(matrix, &coded, out);
    k->correct(matrix, s->outliers, apart, out);
}

static void look_up(struct embed_scratch *s, size_t tokens)
{
    const struct embed_model *m = s->model;
    size_t hidden = m->header.hidden;
    for (size_t i = 0; i < tokens; i++) {
        const int8_t *word = m->words + s->ids[i] * hidden;
        const float *position = m->positions + i * hidden;
        float scale = m->word_scales[s->ids[i]];
        float *x = s->x + i * hidden;
        for (size_t d = 0; d < hidden; d++)
            x[d] = (float)word[d] * scale + position[d];
    }
    m->kernels->normalise(s->x, NULL, tokens, hidden, &m->first_norm, m->header.epsilon);
}

static void attend(struct embed_scratch *s, size_t tokens)
{
    const struct embed_model *m = s->model;
    size_t hidden = m->header.hidden;
    size_t dims = hidden / m->header.heads;
    for (uint32_t head = 0; head < m->header.heads; head++) {
        const float *queries = s->qkv + head * dims;
        struct embed_attention a = {
            .queries = queries,
            .keys = queries + hidden,
            .values = queries + 2 * hidden,
            .stride = 3 * hidden,
            .rows = tokens,
            .dims = dims,
            .scale = 1.0F / sqrtf((float)dims),
            .out = s->mixed + head * dims,
            .out_stride = hidden,
            .keys_across = s->keys,
            .values_dense = s->values,
            .scores = s->scores,
        };
        m->kernels->attend(&a);
    }
}

static void run_layer(const struct embed_layer *layer, struct embed_scratch *s, size_t tokens)
{
    const struct embed_model *m = s->model;
    const struct embed_kernels *k = m->kernels;
    size_t hidden = m->header.hidden;
    multiply(&layer->qkv, s->x, tokens, false, s->qkv, s);
    attend(s, tokens);
    multiply(&layer->out, s->mixed, tokens, false, s->added, s);
    k->normalise(s->x, s->added, tokens, hidden, &layer->after_attention, m->header.epsilon);
    multiply(&layer->up, s->x, tokens, false, s->inner, s);
    multiply(&layer->down, s->inner, tokens, true, s->added, s);
    k->normalise(s->x, s->added, tokens, hidden, &layer->after_inner, m->header.epsilon);
}

static enum tn_code pool_tokens(const struct embed_scratch *s, size_t tokens, float *out, struct tn_error *err)
{
    const struct asset_header *h = &s->model->header;
    size_t rows = h->pooling == EMBED_POOL_CLS ? 1 : tokens;
    memcpy(out, s->x, h->hidden * sizeof *out);
    for (size_t i = 1; i < rows; i++)
        for (size_t d = 0; d < h->hidden; d++)
            out[d] += s->x[i * h->hidden + d];
    double squares = 0;
    for (size_t d = 0; d < h->hidden; d++) {
        out[d] /= (float)rows;
        squares += (double)out[d] * (double)out[d];
    }
    if (!isfinite(squares) || (squares == 0 && (h->flags & ASSET_NORMALISE)))
        return tn_fail(err, TN_ECORRUPT, "model %s makes a vector without a finite length: its weights are damaged",
                       s->model->info.name);
    if (h->flags & ASSET_NORMALISE) {
        float inverse = (float)(1.0 / sqrt(squares));
        for (size_t d = 0; d < h->hidden; d++)
            out[d] *= inverse;
    }
    return TN_OK;
}

enum tn_code embed_encode(const struct embed_model *model, struct embed_scratch *scratch, enum embed_kind kind,
                          const struct embed_text *texts, size_t count, float *out, struct embed_count *ret_counts,
                          struct tn_error *err)
{
    TN_CLEANUP(scratch_return_p) struct embed_scratch *lent = NULL;
    if (!scratch)
        TN_TRY(scratch_borrow(model, &lent, err));
    scratch = scratch ? scratch : lent;
    for (size_t i = 0; i < count; i++) {
        bool truncated = false;
        size_t tokens =
            embed_tokenize(model, kind, texts[i], scratch->ids, NULL, model->header.max_tokens, &truncated);
        look_up(scratch, tokens);
        for (uint32_t layer = 0; layer < model->header.layers; layer++)
            run_layer(&model->layers[layer], scratch, tokens);
        TN_TRY(pool_tokens(scratch, tokens, out + i * model->header.hidden, err));
        if (ret_counts)
            ret_counts[i] = (struct embed_count){.tokens = (uint32_t)tokens, .truncated = truncated};
    }
    return TN_OK;
}

/* --- Batches -------------------------------------------------------------- */

struct batch {
    const struct embed_model *model;
    enum embed_kind kind;
    const struct embed_text *texts;
    size_t count;
    float *out;
    struct embed_count *counts;
    atomic_size_t next;
    atomic_bool failed; /* whoever sets it first writes err */
    enum tn_code code;
    struct tn_error err;
};

static void batch_fail(struct batch *b, enum tn_code code, const struct tn_error *err)
{
    if (atomic_exchange(&b->failed, true))
        return;
    b->code = code;
    b->err = *err;
}

/* One thread's share: the next text until there is none. */
static void batch_run(void *argument)
{
    struct batch *b = argument;
    struct tn_error err = {0};
    TN_CLEANUP(scratch_return_p) struct embed_scratch *scratch = NULL;
    enum tn_code code = scratch_borrow(b->model, &scratch, &err);
    while (code == TN_OK && !atomic_load(&b->failed)) {
        size_t i = atomic_fetch_add(&b->next, 1);
        if (i >= b->count)
            return;
        code = embed_encode(b->model, scratch, b->kind, b->texts + i, 1, b->out + i * b->model->header.hidden,
                            b->counts ? b->counts + i : NULL, &err);
    }
    if (code != TN_OK)
        batch_fail(b, code, &err);
}

enum tn_code embed_encode_batch(const struct embed_model *model, struct tn_pool *pool, enum tn_priority priority,
                                enum embed_kind kind, const struct embed_text *texts, size_t count, float *out,
                                struct embed_count *ret_counts, struct tn_error *err)
{
    struct batch batch = {
        .model = model, .kind = kind, .texts = texts, .count = count, .out = out, .counts = ret_counts};
    /* Who waits works along, in the background as one of threads of equal rank. */
    size_t threads = TN_MIN(tn_pool_threads(pool) + (priority == TN_BACKGROUND), count);
    TN_CLEANUP(tn_group_free_p) struct tn_group *group = tn_group_new(pool, priority);
    for (size_t i = 0; i < threads; i++)
        tn_group_add(group, batch_run, &batch);
    tn_group_wait(group);
    if (batch.code != TN_OK && err)
        *err = batch.err;
    return batch.code;
}
