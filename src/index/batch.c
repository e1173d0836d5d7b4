/* A batch of chunks: embedded, committed to the table, shown by the working files.
 *
 * Building, the table goes first: a chunk is there when its row is, and what a
 * crash leaves out after that, resync.c brings in. A small catch-up shows its
 * chunks first, for somebody may wait for them: their documents are committed,
 * and what a crash leaves over is made again from those.
 */
#include "index/index_internal.h"

#include <math.h>

#define EMBED_AT_ONCE 64 /* texts between two looks at whether to stop */

void batch_release(struct batch *batch)
{
    tn_arena_free(batch->arena);
    free(batch->pieces);
    free(batch->gone);
    free(batch->vectors);
    *batch = (struct batch){0};
}

/* ---- vectors -------------------------------------------------------------------- */

static bool normalise(float *vector, uint32_t dimension)
{
    double sum = 0;
    for (uint32_t i = 0; i < dimension; i++)
        sum += (double)vector[i] * (double)vector[i];
    if (!isfinite(sum))
        return false;
    for (uint32_t i = 0; i < dimension && sum > 0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(sum));
    return true;
}

static bool find_in_index(struct logical *logical, const unsigned char *hash, float *out)
{
    struct reader *reader = NULL;
    struct keyword_reader *words;
    int64_t id = -1;
    bool found = false;
    pthread_rwlock_rdlock(&logical->gate);
    struct vector_index *vectors = atomic_load(&logical->open) ? atomic_load(&logical->vectors) : NULL;
    if (vectors && files_reader(logical, &reader, NULL) == TN_OK) {
        found = files_words(logical, reader, &words, NULL) == TN_OK &&
                keyword_find_hash(words, hash, &id, NULL) == TN_OK && id >= 0 &&
                vector_index_get(vectors, id, out, NULL) == TN_OK;
        files_reader_back(logical, reader);
    }
    pthread_rwlock_unlock(&logical->gate);
    return found;
}

/* The vector of a text that some index with this model has already. */
static bool find_known(const struct logical *logical, struct logical *const *all, size_t count,
                       const unsigned char *hash, float *out)
{
    for (size_t i = 0; i < count; i++)
        if (tn_streq(all[i]->definition.version, logical->definition.version) &&
            tn_streq(all[i]->definition.model, logical->definition.model) && find_in_index(all[i], hash, out))
            return true;
    return false;
}

static bool find_in_batch(const struct batch *batch, const float *vectors, size_t at, float *out)
{
    const uint32_t dimension = batch->logical->definition.dimension;
    for (size_t i = 0; i < at; i++)
        if (memcmp(batch->pieces[i].hash, batch->pieces[at].hash, KEYWORD_HASH_BYTES) == 0) {
            memcpy(out, vectors + i * dimension, dimension * sizeof *out);
            return true;
        }
    return false;
}

static bool is_repeat(const struct batch *batch, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (memcmp(batch->pieces[i].hash, batch->pieces[at].hash, KEYWORD_HASH_BYTES) == 0)
            return true;
    return false;
}

/* Texts under a heading are read with it: it often says what they are about. */
static struct model_text text_of(struct tn_arena *arena, const struct piece *piece)
{
    if (!piece->heading[0])
        return (struct model_text){.data = piece->text, .length = piece->text_length};
    char *text = tn_arena_printf(arena, "%s\n%.*s", piece->heading, (int)piece->text_length, piece->text);
    return (struct model_text){.data = text, .length = strlen(text)};
}

static enum tn_code embed_some(struct batch *batch, const size_t *which, size_t count, float *vectors,
                               struct tn_error *err)
{
    const struct definition *definition = &batch->logical->definition;
    const struct index_embedder *embedder = &batch->logical->service->embedder;
    const uint32_t dimension = definition->dimension;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_FREE float *made = tn_calloc(count, dimension * sizeof *made);
    struct model_text texts[EMBED_AT_ONCE];
    /* Somebody may wait for a small change; a job waits for everybody. */
    const struct model_call call = {.use = MODEL_DOCUMENT,
                                    .priority = batch->run ? TN_BACKGROUND : TN_FOREGROUND,
                                    .version = definition->version,
                                    .cancel = &batch->logical->halted};
    for (size_t i = 0; i < count; i++)
        texts[i] = text_of(arena, &batch->pieces[which[i]]);
    TN_TRY(embedder->embed(embedder->context, definition->model, &call, texts, count, made, err));
    for (size_t i = 0; i < count; i++) {
        if (!normalise(made + i * dimension, dimension))
            return tn_fail(err, TN_ECORRUPT, "model \"%s\" gave a vector that is not finite", definition->model);
        memcpy(vectors + which[i] * dimension, made + i * dimension, dimension * sizeof *made);
    }
    return TN_OK;
}

static enum tn_code embed_all(struct batch *batch, const size_t *which, size_t count, float *vectors,
                              struct tn_error *err)
{
    for (size_t at = 0; at < count; at += EMBED_AT_ONCE) {
        size_t some = TN_MIN(count - at, (size_t)EMBED_AT_ONCE);
        if (logical_stopping(batch->logical, batch->run))
            return logical_stopped(batch->logical, err);
        TN_TRY(embed_some(batch, which + at, some, vectors, err));
        batch->report->embedded += some;
        atomic_fetch_add_explicit(&batch->logical->service->counts.embedded, some, memory_order_relaxed);
    }
    return TN_OK;
}

static enum tn_code fill_vectors(struct batch *batch, float *vectors, struct tn_error *err)
{
    const uint32_t dimension = batch->logical->definition.dimension;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_FREE size_t *which = tn_calloc(batch->count + 1, sizeof *which);
    struct logical **all = NULL;
    size_t count = 0, all_count = logical_all(batch->logical->service, arena, &all);
    for (size_t i = 0; i < batch->count; i++) {
        float *vector = vectors + i * dimension;
        if (batch->pieces[i].given) {
            memcpy(vector, batch->pieces[i].given, dimension * sizeof *vector);
            (void)normalise(vector, dimension);
        } else if (!is_repeat(batch, i)) {
            if (!find_known(batch->logical, all, all_count, batch->pieces[i].hash, vector))
                which[count++] = i;
        }
    }
    for (size_t i = 0; i < all_count; i++)
        logical_unref(all[i]);
    batch->report->reused += batch->count - count;
    atomic_fetch_add_explicit(&batch->logical->service->counts.reused, batch->count - count, memory_order_relaxed);
    TN_TRY(embed_all(batch, which, count, vectors, err));
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->pieces[i].given && is_repeat(batch, i))
            (void)find_in_batch(batch, vectors, i, vectors + i * dimension);
    return TN_OK;
}

/* ---- the working files ------------------------------------------------------------ */

static enum tn_code apply_texts(struct logical *logical, const struct piece *pieces, size_t count,
                                const int64_t *gone, size_t gone_count, uint64_t *ret_length, struct tn_error *err)
{
    struct chunk_record record;
    for (size_t i = 0; i < gone_count; i++)
        if (chunk_file_get(logical->chunks, gone[i], &record, NULL) == TN_OK)
            TN_TRY(keyword_remove(logical->words, gone[i], record.text, record.text_length, err));
    pthread_mutex_lock(&logical->docs_lock);
    struct docs *docs = atomic_load(&logical->docs);
    for (size_t i = 0; i < gone_count; i++)
        if (chunk_file_get(logical->chunks, gone[i], &record, NULL) == TN_OK)
            chunk_file_remove(logical->chunks, gone[i]);
    enum tn_code code = TN_OK;
    for (size_t i = 0; i < count && code == TN_OK; i++) {
        const struct piece *piece = &pieces[i];
        record = (struct chunk_record){.id = piece->id,
                                       .number = piece->number,
                                       .begin = piece->begin,
                                       .end = piece->end,
                                       .doc_id = piece->doc_id,
                                       .doc_id_length = strlen(piece->doc_id),
                                       .column = piece->column,
                                       .column_length = strlen(piece->column),
                                       .text = piece->text,
                                       .text_length = piece->text_length};
        code = chunk_file_put(logical->chunks, &record, err);
    }
    if (code == TN_OK)
        code = chunk_file_flush(logical->chunks, ret_length, err);
    for (size_t i = 0; i < count && code == TN_OK && docs; i++)
        docs_add(docs, pieces[i].doc_id, strlen(pieces[i].doc_id), pieces[i].id);
    pthread_mutex_unlock(&logical->docs_lock);
    return code;
}

static enum tn_code apply_words(struct logical *logical, const struct piece *pieces, size_t count,
                                struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct keyword_chunk chunk = {
            .id = pieces[i].id, .doc_id = pieces[i].doc_id, .column = pieces[i].column, .number = pieces[i].number};
        memcpy(chunk.hash, pieces[i].hash, sizeof chunk.hash);
        TN_TRY(keyword_add(logical->words, &chunk, pieces[i].text, pieces[i].text_length, err));
    }
    return TN_OK;
}

static enum tn_code apply_vectors(struct logical *logical, const struct piece *pieces, size_t count,
                                  const float *vectors, const int64_t *gone, size_t gone_count, struct tn_error *err)
{
    TN_AUTO_FREE int64_t *ids = tn_calloc(count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = pieces[i].id;
    TN_TRY(files_insert_vectors(logical, ids, vectors, count, err));
    struct vector_index *index = atomic_load(&logical->vectors);
    return index && gone_count > 0 ? vector_index_delete(index, gone, gone_count, NULL, err) : TN_OK;
}

static enum tn_code apply_all(struct logical *logical, const struct piece *pieces, size_t count, const float *vectors,
                              const int64_t *gone, size_t gone_count, int64_t shown, struct tn_error *err)
{
    uint64_t length;
    int64_t next = atomic_load(&logical->next_chunk);
    TN_TRY(apply_texts(logical, pieces, count, gone, gone_count, &length, err));
    TN_TRY(apply_vectors(logical, pieces, count, vectors, gone, gone_count, err));
    TN_TRY(apply_words(logical, pieces, count, err));
    for (size_t i = 0; i < count; i++)
        next = TN_MAX(next, pieces[i].id + 1);
    TN_TRY(keyword_set(logical->words, "log_length", (int64_t)length, err));
    TN_TRY(keyword_set(logical->words, "next_chunk", next, err));
    TN_TRY(keyword_set(logical->words, "table_snapshot", shown, err));
    TN_TRY(keyword_commit(logical->words, err));
    atomic_store(&logical->next_chunk, next);
    return TN_OK;
}

struct gone_chunk {
    const char *doc_id; /* of the mapped file: it stays */
    size_t length;
    int64_t id;
};

static size_t note_gone(struct logical *logical, const int64_t *gone, size_t gone_count, struct gone_chunk *ret)
{
    struct chunk_record record;
    size_t count = 0;
    for (size_t i = 0; i < gone_count; i++)
        if (chunk_file_get(logical->chunks, gone[i], &record, NULL) == TN_OK)
            ret[count++] = (struct gone_chunk){record.doc_id, record.doc_id_length, gone[i]};
    return count;
}

/* Last of all: a search that comes meanwhile learns from here which chunks a
 * changed document has, to leave them out, and still finds them elsewhere. */
static void forget_gone(struct logical *logical, const struct gone_chunk *gone, size_t count)
{
    pthread_mutex_lock(&logical->docs_lock);
    struct docs *docs = atomic_load(&logical->docs);
    for (size_t i = 0; i < count && docs; i++)
        docs_remove(docs, gone[i].doc_id, gone[i].length, gone[i].id);
    pthread_mutex_unlock(&logical->docs_lock);
}

enum tn_code batch_apply(struct logical *logical, const struct piece *pieces, size_t count, const float *vectors,
                         const int64_t *gone, size_t gone_count, int64_t shown, struct tn_error *err)
{
    TN_AUTO_FREE struct gone_chunk *noted = tn_calloc(gone_count + 1, sizeof *noted);
    size_t noted_count = note_gone(logical, gone, gone_count, noted);
    TN_TRY(keyword_begin(logical->words, err));
    enum tn_code code = apply_all(logical, pieces, count, vectors, gone, gone_count, shown, err);
    if (code != TN_OK) {
        keyword_rollback(logical->words);
        atomic_fetch_add(&logical->epoch, 1);
    }
    forget_gone(logical, noted, noted_count);
    return code;
}

/* ---- both ---------------------------------------------------------------------------- */

static bool is_empty(const struct batch *batch)
{
    return batch->count == 0 && batch->gone_count == 0;
}

static enum tn_code embed_batch(struct batch *batch, struct tn_error *err)
{
    struct logical *logical = batch->logical;
    free(batch->vectors);
    batch->vectors = tn_calloc(batch->count + 1, logical->definition.dimension * sizeof *batch->vectors);
    TN_TRY(fill_vectors(batch, batch->vectors, err));
    int64_t next = atomic_load(&logical->next_chunk);
    for (size_t i = 0; i < batch->count; i++)
        batch->pieces[i].id = next + (int64_t)i;
    return TN_OK;
}

static enum tn_code put_into_table(struct batch *batch, struct tn_error *err)
{
    TN_FAULT("index.before_table");
    if (batch->count > 0)
        TN_TRY(table_append(batch->logical, batch->pieces, batch->count, batch->vectors, err));
    TN_FAULT("index.between");
    TN_TRY(table_delete(batch->logical, batch->gone, batch->gone_count, err));
    TN_FAULT("index.before_files");
    return TN_OK;
}

static void begin_next(struct batch *batch)
{
    batch->report->chunks += batch->count;
    batch->report->deleted += batch->gone_count;
    batch->count = batch->gone_count = batch->bytes = 0;
    tn_arena_reset(batch->arena);
}

enum tn_code batch_flush(struct batch *batch, struct tn_error *err)
{
    if (is_empty(batch))
        return TN_OK;
    TN_TRY(embed_batch(batch, err));
    TN_TRY(put_into_table(batch, err));
    TN_TRY(batch_apply(batch->logical, batch->pieces, batch->count, batch->vectors, batch->gone, batch->gone_count,
                       table_snapshot(batch->logical), err));
    atomic_fetch_add(&batch->logical->epoch, 1); /* rows that are new are found before all of them are */
    begin_next(batch);
    return TN_OK;
}

enum tn_code batch_show(struct batch *batch, struct tn_error *err)
{
    if (is_empty(batch))
        return TN_OK;
    TN_TRY(embed_batch(batch, err));
    return batch_apply(batch->logical, batch->pieces, batch->count, batch->vectors, batch->gone, batch->gone_count,
                       BATCH_AHEAD, err);
}

enum tn_code batch_keep(struct batch *batch, struct tn_error *err)
{
    if (is_empty(batch))
        return TN_OK;
    TN_TRY(put_into_table(batch, err));
    TN_TRY(keyword_set(batch->logical->words, "table_snapshot", table_snapshot(batch->logical), err));
    begin_next(batch);
    return TN_OK;
}
