/* What a generation's recall is measured with while it is built: queries like
 * those that people ask. The last ones that were asked, and where those are few,
 * some words out of chunks, embedded as a query would be. A query is short and a
 * chunk is long, so that a query lies farther from everything than chunks from
 * each other, and is harder to answer well than any vector made of chunks.
 */
#include "index/trial.h"

#include <math.h>

#define SAMPLES_MOST  256U
#define SAMPLES_LEAST 64U /* fewer say nothing: the builder makes some up */
#define CHUNKS_EACH   16U /* chunks for one sample, in a small index */
#define SNIPPET_WORDS 14U /* as questions have */
#define SNIPPET_BYTES 160U
#define AT_ONCE       32U

void samples_release(struct samples *samples)
{
    free(samples->rows);
    *samples = (struct samples){0};
}

static bool is_usable(const float *vector, uint32_t dimension)
{
    double sum = 0;
    for (uint32_t i = 0; i < dimension; i++)
        sum += (double)vector[i] * (double)vector[i];
    return isfinite(sum) && sum > 0;
}

/* Some words in a row, from a place that the number decides. */
static struct model_text snippet(const char *text, size_t length, uint64_t number)
{
    size_t begin = length > SNIPPET_BYTES ? (size_t)(number % (length - SNIPPET_BYTES)) : 0, end, words = 0;
    if (begin > 0) {
        const char *space = memchr(text + begin, ' ', length - begin);
        begin = space && (size_t)(space - text) + SNIPPET_BYTES / 4 < length ? (size_t)(space - text) + 1
                                                                             : tn_utf8_floor(text, length, begin);
    }
    for (end = begin; end < length && end - begin < SNIPPET_BYTES && words < SNIPPET_WORDS; end++)
        words += text[end] == ' ';
    if (end < length)
        end = tn_utf8_floor(text, length, end);
    return (struct model_text){.data = text + begin, .length = end - begin};
}

/* Chunks all over the index; fewer than `most` where some are gone or empty. A
 * trial holds neither the work nor the files, which may be replaced meanwhile. */
static size_t choose_texts(struct logical *logical, size_t most, uint64_t turn, struct tn_arena *arena,
                           struct model_text *ret)
{
    pthread_rwlock_rdlock(&logical->gate);
    int64_t limit = chunk_file_limit(logical->chunks);
    size_t count = 0;
    for (size_t i = 0; i < most && limit > 0; i++) {
        const uint64_t at[2] = {turn, i};
        uint64_t number = tn_hash64(at, sizeof at, 11);
        struct chunk_record record;
        if (chunk_file_get(logical->chunks, (int64_t)(number % (uint64_t)limit), &record, NULL) != TN_OK)
            continue;
        ret[count] = snippet(record.text, record.text_length, number >> 20);
        ret[count].data = tn_arena_strndup(arena, ret[count].data, ret[count].length);
        count += ret[count].length > 0;
    }
    pthread_rwlock_unlock(&logical->gate);
    return count;
}

/* A model that is away is no reason not to build. */
static void make_up(struct logical *logical, const struct job_run *run, size_t wanted, struct samples *samples)
{
    const struct definition *definition = &logical->definition;
    const struct index_embedder *embedder = &logical->service->embedder;
    const struct model_call call = {.use = MODEL_QUERY, .priority = TN_BACKGROUND, .version = definition->version};
    struct model_text texts[AT_ONCE];
    TN_AUTO_FREE float *made = tn_calloc(AT_ONCE, definition->dimension * sizeof *made);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (uint64_t turn = 0; samples->count < wanted && turn < 2 * wanted / AT_ONCE; turn++) {
        size_t count = choose_texts(logical, TN_MIN(wanted - samples->count, (size_t)AT_ONCE), turn, arena, texts);
        if (logical_stopping(logical, run) ||
            (count > 0 &&
             embedder->embed(embedder->context, definition->model, &call, texts, count, made, NULL) != TN_OK))
            return;
        for (size_t i = 0; i < count; i++) {
            const float *vector = made + i * definition->dimension;
            if (is_usable(vector, definition->dimension))
                memcpy(samples->rows + (size_t)samples->count++ * definition->dimension, vector,
                       definition->dimension * sizeof *vector);
        }
    }
}

void samples_choose(struct logical *logical, const struct job_run *run, struct samples *ret)
{
    const struct definition *definition = &logical->definition;
    pthread_rwlock_rdlock(&logical->gate);
    size_t chunks = (size_t)TN_MAX(chunk_file_limit(logical->chunks), 0);
    pthread_rwlock_unlock(&logical->gate);
    size_t wanted = TN_MIN(TN_MAX(chunks / CHUNKS_EACH, (size_t)SAMPLES_LEAST), (size_t)SAMPLES_MOST);
    struct samples samples = {.rows = tn_calloc(SAMPLES_MOST, definition->dimension * sizeof *samples.rows)};
    size_t asked = asked_take(logical->tuning->asked, wanted, samples.rows);
    for (size_t i = 0; i < asked; i++) {
        const float *vector = samples.rows + i * definition->dimension;
        if (is_usable(vector, definition->dimension))
            memmove(samples.rows + (size_t)samples.count++ * definition->dimension, vector,
                    definition->dimension * sizeof *vector);
    }
    if (!definition->vector_column)
        make_up(logical, run, wanted, &samples);
    if (samples.count < SAMPLES_LEAST)
        samples_release(&samples);
    *ret = samples;
}
