/* For the tests of embed: a small model written as it would be published, and
 * the same model run in double precision. */
#ifndef TARN_EMBED_TEST_SUPPORT_H
#define TARN_EMBED_TEST_SUPPORT_H

#include "base/test_support.h"
#include "embed/embed_internal.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TINY_HIDDEN = 64, TINY_LAYERS = 2, TINY_HEADS = 2, TINY_INNER = 128, TINY_POSITIONS = 48, TINY_TENSORS = 64 };

static const char tiny_vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nlake\nis\ncold\nwarm\n##er\n##est\nun\n##afford\n##able\n"
    ".\n,\n!\n\xE4\xBD\xA0\ncafe\nx\n##x\nnew\n#\nquery\npassage\n:\n";
enum { TINY_VOCAB = 26 };

static const char tiny_config[] =
    "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"],\"hidden_act\":\"gelu\",\"hidden_size\":64,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":128,\"vocab_size\":26,"
    "\"max_position_embeddings\":48,\"layer_norm_eps\":1e-12}";
static const char tiny_pooling[] = "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":false}";

TN_UNUSED static uint64_t test_state = 88172645463325252U;

/* Uniform in (-1, 1). */
static inline double test_random(void)
{
    test_state ^= test_state << 13;
    test_state ^= test_state >> 7;
    test_state ^= test_state << 17;
    return (double)(test_state >> 11) * 0x1p-52 - 1.0;
}

struct tiny_tensor {
    char name[128];
    size_t rows, columns; /* columns 0: a vector */
    float *values;
};
struct tiny_model {
    struct tiny_tensor tensors[TINY_TENSORS];
    size_t count;
};

static inline float *tiny_add(struct tiny_model *m, const char *name, size_t rows, size_t columns, double spread,
                              double middle)
{
    struct tiny_tensor *t = &m->tensors[m->count++];
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->rows = rows;
    t->columns = columns;
    size_t count = rows * TN_MAX(columns, (size_t)1);
    t->values = tn_malloc(count * sizeof *t->values);
    for (size_t i = 0; i < count; i++)
        t->values[i] = (float)(middle + spread * test_random());
    return t->values;
}

static inline void tiny_add_pair(struct tiny_model *m, const char *at, const char *name, size_t rows, size_t columns)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s%s.weight", at, name);
    (void)tiny_add(m, full, rows, columns, columns ? 0.2 : 0.3, columns ? 0 : 1);
    (void)snprintf(full, sizeof full, "%s%s.bias", at, name);
    (void)tiny_add(m, full, rows, 0, 0.1, 0);
}

static inline void tiny_make(struct tiny_model *m)
{
    *m = (struct tiny_model){0};
    test_state = 88172645463325252U;
    (void)tiny_add(m, "embeddings.word_embeddings.weight", TINY_VOCAB, TINY_HIDDEN, 1, 0);
    (void)tiny_add(m, "embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_HIDDEN, 0.3, 0);
    (void)tiny_add(m, "embeddings.token_type_embeddings.weight", 2, TINY_HIDDEN, 0.1, 0);
    tiny_add_pair(m, "", "embeddings.LayerNorm", TINY_HIDDEN, 0);
    for (unsigned i = 0; i < TINY_LAYERS; i++) {
        char at[32];
        (void)snprintf(at, sizeof at, "encoder.layer.%u.", i);
        tiny_add_pair(m, at, "attention.self.query", TINY_HIDDEN, TINY_HIDDEN);
        tiny_add_pair(m, at, "attention.self.key", TINY_HIDDEN, TINY_HIDDEN);
        tiny_add_pair(m, at, "attention.self.value", TINY_HIDDEN, TINY_HIDDEN);
        tiny_add_pair(m, at, "attention.output.dense", TINY_HIDDEN, TINY_HIDDEN);
        tiny_add_pair(m, at, "attention.output.LayerNorm", TINY_HIDDEN, 0);
        tiny_add_pair(m, at, "intermediate.dense", TINY_INNER, TINY_HIDDEN);
        tiny_add_pair(m, at, "output.dense", TINY_HIDDEN, TINY_INNER);
        tiny_add_pair(m, at, "output.LayerNorm", TINY_HIDDEN, 0);
    }
}

static inline void tiny_release(struct tiny_model *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->tensors[i].values);
    m->count = 0;
}

/* The safetensors file of the model. */
static inline void tiny_weights(const struct tiny_model *m, struct tn_buf *out)
{
    TN_AUTO_BUF json = {0};
    size_t at = 0;
    tn_buf_puts(&json, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < m->count; i++) {
        const struct tiny_tensor *t = &m->tensors[i];
        size_t bytes = t->rows * TN_MAX(t->columns, (size_t)1) * sizeof(float);
        tn_buf_printf(&json, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu", t->name, t->rows);
        if (t->columns)
            tn_buf_printf(&json, ",%zu", t->columns);
        tn_buf_printf(&json, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    tn_buf_putc(&json, '}');
    uint64_t length = json.len;
    tn_buf_append(out, &length, sizeof length);
    tn_buf_append(out, json.data, json.len);
    for (size_t i = 0; i < m->count; i++)
        tn_buf_append(out, m->tensors[i].values,
                      m->tensors[i].rows * TN_MAX(m->tensors[i].columns, (size_t)1) * sizeof(float));
}

static inline void test_write(const char *folder, const char *name, const void *bytes, size_t count)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s", folder, name);
    assert_ok(tn_file_replace(path, bytes, count, 0644, &test_err));
}

static inline void test_write_text(const char *folder, const char *name, const char *text)
{
    test_write(folder, name, text, strlen(text));
}

/* The model's folder in full. */
static inline void tiny_write(const struct tiny_model *m, const char *folder)
{
    TN_AUTO_BUF weights = {0};
    TN_AUTO_FREE char *pooling = tn_asprintf("%s/1_Pooling", folder);
    assert_ok(tn_mkdirs(pooling, 0755, &test_err));
    tiny_weights(m, &weights);
    test_write(folder, "model.safetensors", weights.data, weights.len);
    test_write_text(folder, "config.json", tiny_config);
    test_write_text(folder, "vocab.txt", tiny_vocab);
    test_write_text(pooling, "config.json", tiny_pooling);
}

/* --- The same in double precision ----------------------------------------- */

static inline const float *tiny_find(const struct tiny_model *m, const char *at, const char *name)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s%s", at, name);
    for (size_t i = 0; i < m->count; i++)
        if (tn_streq(m->tensors[i].name, full))
            return m->tensors[i].values;
    fail_msg("no tensor %s", full);
    return NULL;
}

static inline void tiny_dense(const struct tiny_model *m, const char *at, const char *name, const double *x,
                              size_t tokens, size_t inputs, size_t outputs, double *out)
{
    char part[64];
    (void)snprintf(part, sizeof part, "%s.weight", name);
    const float *w = tiny_find(m, at, part);
    (void)snprintf(part, sizeof part, "%s.bias", name);
    const float *b = tiny_find(m, at, part);
    for (size_t t = 0; t < tokens; t++)
        for (size_t o = 0; o < outputs; o++) {
            double sum = (double)b[o];
            for (size_t i = 0; i < inputs; i++)
                sum += x[t * inputs + i] * (double)w[o * inputs + i];
            out[t * outputs + o] = sum;
        }
}

static inline void tiny_norm(const struct tiny_model *m, const char *at, const char *name, double *x,
                             const double *added, size_t tokens)
{
    char part[64];
    (void)snprintf(part, sizeof part, "%s.weight", name);
    const float *gain = tiny_find(m, at, part);
    (void)snprintf(part, sizeof part, "%s.bias", name);
    const float *shift = tiny_find(m, at, part);
    for (size_t t = 0; t < tokens; t++, x += TINY_HIDDEN) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < TINY_HIDDEN; i++) {
            x[i] += added ? added[t * TINY_HIDDEN + i] : 0;
            mean += x[i] / TINY_HIDDEN;
        }
        for (size_t i = 0; i < TINY_HIDDEN; i++)
            square += (x[i] - mean) * (x[i] - mean) / TINY_HIDDEN;
        for (size_t i = 0; i < TINY_HIDDEN; i++)
            x[i] = (x[i] - mean) / sqrt(square + 1e-12) * (double)gain[i] + (double)shift[i];
    }
}

static inline void tiny_attend(const double *q, const double *k, const double *v, size_t tokens, double *out)
{
    enum { DIMS = TINY_HIDDEN / TINY_HEADS };
    memset(out, 0, tokens * TINY_HIDDEN * sizeof *out);
    for (size_t head = 0; head < TINY_HEADS; head++)
        for (size_t t = 0; t < tokens; t++) {
            double weights[TINY_POSITIONS], sum = 0;
            for (size_t j = 0; j < tokens; j++) {
                double dot = 0;
                for (size_t d = head * DIMS; d < (head + 1) * DIMS; d++)
                    dot += q[t * TINY_HIDDEN + d] * k[j * TINY_HIDDEN + d];
                sum += weights[j] = exp(dot / sqrt((double)DIMS));
            }
            for (size_t j = 0; j < tokens; j++)
                for (size_t d = head * DIMS; d < (head + 1) * DIMS; d++)
                    out[t * TINY_HIDDEN + d] += weights[j] / sum * v[j * TINY_HIDDEN + d];
        }
}

static inline void tiny_layer(const struct tiny_model *m, unsigned layer, double *x, size_t tokens)
{
    enum { SIZE = TINY_POSITIONS * TINY_HIDDEN };
    static double q[SIZE], k[SIZE], v[SIZE], mixed[SIZE], added[SIZE], inner[TINY_POSITIONS * TINY_INNER];
    char at[32];
    (void)snprintf(at, sizeof at, "encoder.layer.%u.", layer);
    tiny_dense(m, at, "attention.self.query", x, tokens, TINY_HIDDEN, TINY_HIDDEN, q);
    tiny_dense(m, at, "attention.self.key", x, tokens, TINY_HIDDEN, TINY_HIDDEN, k);
    tiny_dense(m, at, "attention.self.value", x, tokens, TINY_HIDDEN, TINY_HIDDEN, v);
    tiny_attend(q, k, v, tokens, mixed);
    tiny_dense(m, at, "attention.output.dense", mixed, tokens, TINY_HIDDEN, TINY_HIDDEN, added);
    tiny_norm(m, at, "attention.output.LayerNorm", x, added, tokens);
    tiny_dense(m, at, "intermediate.dense", x, tokens, TINY_HIDDEN, TINY_INNER, inner);
    for (size_t i = 0; i < tokens * TINY_INNER; i++)
        inner[i] = inner[i] / 2 * (1 + erf(inner[i] / sqrt(2)));
    tiny_dense(m, at, "output.dense", inner, tokens, TINY_INNER, TINY_HIDDEN, added);
    tiny_norm(m, at, "output.LayerNorm", x, added, tokens);
}

/* The vector of token ids: mean of the last layer, or its first row; length 1. */
static inline void tiny_forward(const struct tiny_model *m, const uint32_t *ids, size_t tokens, bool cls, double *out)
{
    static double x[TINY_POSITIONS * TINY_HIDDEN];
    const float *words = tiny_find(m, "", "embeddings.word_embeddings.weight");
    const float *positions = tiny_find(m, "", "embeddings.position_embeddings.weight");
    const float *segment = tiny_find(m, "", "embeddings.token_type_embeddings.weight");
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < TINY_HIDDEN; i++)
            x[t * TINY_HIDDEN + i] =
                (double)words[ids[t] * TINY_HIDDEN + i] + (double)positions[t * TINY_HIDDEN + i] + (double)segment[i];
    tiny_norm(m, "", "embeddings.LayerNorm", x, NULL, tokens);
    for (unsigned i = 0; i < TINY_LAYERS; i++)
        tiny_layer(m, i, x, tokens);
    double square = 0;
    for (size_t i = 0; i < TINY_HIDDEN; i++) {
        out[i] = 0;
        for (size_t t = 0; t < (cls ? 1 : tokens); t++)
            out[i] += x[t * TINY_HIDDEN + i];
        square += out[i] * out[i];
    }
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        out[i] /= sqrt(square);
}

#endif
