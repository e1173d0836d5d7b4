/* The working files brought in line with the vectors table: after a crash
 * between the two, after they were lost, after somebody else wrote the table. */
#include "index/index_internal.h"

#define ROWS_AT_ONCE 1024

struct bits {
    uint64_t *words;
    size_t count;
};

static void set_bit(struct bits *bits, int64_t id)
{
    size_t word = (size_t)id / 64;
    if (word >= bits->count) {
        size_t count = TN_MAX(word + 1, bits->count * 2);
        bits->words = tn_realloc_array(bits->words, count, sizeof *bits->words);
        memset(bits->words + bits->count, 0, (count - bits->count) * sizeof *bits->words);
        bits->count = count;
    }
    bits->words[word] |= UINT64_C(1) << (id % 64);
}

static bool has_bit(const struct bits *bits, int64_t id)
{
    size_t word = (size_t)id / 64;
    return word < bits->count && (bits->words[word] >> (id % 64) & 1);
}

struct syncing {
    struct logical *logical;
    struct bits wanted, there;
    size_t there_count;
    int64_t first_missing; /* -1: none */
    struct tn_arena *arena;
    struct piece *pieces;
    float *vectors;
    size_t count;
    int64_t *gone;
    size_t gone_count, gone_capacity;
};

static enum tn_code note_wanted(void *context, int64_t id, struct tn_error *err)
{
    struct syncing *syncing = context;
    if (id < 0 || id >= CHUNK_ID_MAX)
        return tn_fail(err, TN_ECORRUPT, "dataset \"%s\" has a chunk with the number %lld",
                       syncing->logical->definition.table, (long long)id);
    set_bit(&syncing->wanted, id);
    if (!has_bit(&syncing->there, id) && (syncing->first_missing < 0 || id < syncing->first_missing))
        syncing->first_missing = id;
    return TN_OK;
}

static enum tn_code note_there(void *context, const struct keyword_chunk *chunk, struct tn_error *err)
{
    struct syncing *syncing = context;
    (void)err;
    set_bit(&syncing->there, chunk->id);
    syncing->there_count++;
    return TN_OK;
}

static enum tn_code note_gone(void *context, const struct keyword_chunk *chunk, struct tn_error *err)
{
    struct syncing *syncing = context;
    (void)err;
    if (!has_bit(&syncing->wanted, chunk->id)) {
        TN_GROW(syncing->gone, syncing->gone_count, syncing->gone_capacity);
        syncing->gone[syncing->gone_count++] = chunk->id;
    }
    return TN_OK;
}

static enum tn_code flush(struct syncing *syncing, struct tn_error *err)
{
    TN_TRY(
        batch_apply(syncing->logical, syncing->pieces, syncing->count, syncing->vectors, NULL, 0, BATCH_AHEAD, err));
    syncing->count = 0;
    atomic_fetch_add(&syncing->logical->epoch, 1);
    tn_arena_reset(syncing->arena);
    return TN_OK;
}

static enum tn_code take_row(void *context, const struct piece *piece, const float *vector, struct tn_error *err)
{
    struct syncing *syncing = context;
    if (logical_stopping(syncing->logical, NULL))
        return logical_stopped(syncing->logical, err);
    const uint32_t dimension = syncing->logical->definition.dimension;
    if (has_bit(&syncing->there, piece->id))
        return TN_OK;
    struct piece *kept = &syncing->pieces[syncing->count];
    *kept = *piece;
    kept->doc_id = tn_arena_strdup(syncing->arena, piece->doc_id);
    kept->column = tn_arena_strdup(syncing->arena, piece->column);
    kept->heading = tn_arena_strdup(syncing->arena, piece->heading);
    kept->text = tn_arena_strndup(syncing->arena, piece->text, piece->text_length);
    memcpy(syncing->vectors + syncing->count * dimension, vector, dimension * sizeof *vector);
    return ++syncing->count == ROWS_AT_ONCE ? flush(syncing, err) : TN_OK;
}

/* A crash leaves a batch of chunks too many. More than that was taken away by
 * others, and their documents are still there: they are looked at anew. Until
 * that has ended, searches know that they are behind. */
static enum tn_code look_anew(struct syncing *syncing, struct tn_error *err)
{
    struct logical *logical = syncing->logical;
    int64_t applied = 0;
    if (syncing->gone_count * 2 <= syncing->there_count)
        return TN_OK;
    TN_TRY(keyword_get(logical->words, "snapshot", &applied, err));
    if (applied == 0)
        return TN_OK;
    TN_LOG(TN_LOG_WARN, "index.vectors_lost", TN_FS("index", logical->definition.name),
           TN_FI("chunks", syncing->gone_count));
    TN_TRY(keyword_set(logical->words, "begun", applied, err));
    TN_TRY(keyword_set(logical->words, "snapshot", 0, err));
    atomic_store(&logical->begun, applied);
    atomic_store(&logical->applied, 0);
    logical->ordered_for = 0;
    return TN_OK;
}

static enum tn_code compare(struct syncing *syncing, struct tn_error *err)
{
    struct logical *logical = syncing->logical;
    TN_TRY(keyword_chunks(logical->words, NULL, note_there, syncing, err));
    TN_TRY(table_ids(logical, note_wanted, syncing, err));
    TN_TRY(keyword_chunks(logical->words, NULL, note_gone, syncing, err));
    if (syncing->gone_count > 0)
        TN_TRY(batch_apply(logical, NULL, 0, NULL, syncing->gone, syncing->gone_count, BATCH_AHEAD, err));
    atomic_fetch_add(&logical->epoch, 1);
    TN_TRY(look_anew(syncing, err));
    if (syncing->first_missing >= 0)
        TN_TRY(table_rows(logical, syncing->first_missing, take_row, syncing, err));
    return syncing->count > 0 ? flush(syncing, err) : TN_OK;
}

bool resync_is_idle(struct logical *logical)
{
    int64_t shown = 0;
    return keyword_get(logical->words, "table_snapshot", &shown, NULL) == TN_OK && shown == table_snapshot(logical);
}

enum tn_code resync(struct logical *logical, struct tn_error *err)
{
    int64_t shown = 0, now = table_snapshot(logical);
    TN_TRY(keyword_get(logical->words, "table_snapshot", &shown, err));
    if (shown == now)
        return TN_OK;
    struct syncing syncing = {.logical = logical, .first_missing = -1, .arena = tn_arena_new()};
    syncing.pieces = tn_calloc(ROWS_AT_ONCE, sizeof *syncing.pieces);
    syncing.vectors = tn_calloc(ROWS_AT_ONCE, logical->definition.dimension * sizeof *syncing.vectors);
    enum tn_code code = compare(&syncing, err);
    if (code == TN_OK)
        code = keyword_set(logical->words, "table_snapshot", now, err);
    tn_arena_free(syncing.arena);
    free(syncing.pieces);
    free(syncing.vectors);
    free(syncing.gone);
    free(syncing.wanted.words);
    free(syncing.there.words);
    if (code != TN_OK)
        tn_error_context(err, "index \"%s\" from its vectors table", logical->definition.name);
    return code;
}
