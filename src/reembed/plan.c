/* Defaults, words, and what vectors were made by. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>
#include <stdio.h>

void reembed_plan_defaults(struct reembed_plan *ret)
{
    *ret = (struct reembed_plan){
        .batch_size = 128,
        .drop_hnsw_first = true,
        .concurrent_index = false,
        .table = "knowledge_nodes",
        .id_column = "id",
        .text_column = "content",
        .vector_column = "embedding",
        .index_name = "idx_knowledge_nodes_embedding_hnsw",
        .registry_table = "embedding_model",
        .mode = REEMBED_STAGED,
        .lock_timeout_ms = 10000,
        .lock_tries = 6,
    };
}

bool reembed_mode_parse(const char *word, enum reembed_mode *ret)
{
    if (tn_streq(word, "staged"))
        *ret = REEMBED_STAGED;
    else if (tn_streq(word, "in-place"))
        *ret = REEMBED_IN_PLACE;
    else
        return false;
    return true;
}

const char *reembed_mode_word(enum reembed_mode mode)
{
    return mode == REEMBED_STAGED ? "staged" : "in-place";
}

/* Everything that makes vectors of one model differ from those of another
 * under its name; each part ends in a byte that cannot stand in it. */
void reembed_signature_of(const struct model_info *model, struct tn_arena *arena, struct reembed_signature *ret)
{
    struct tn_hash hash;
    char hex[TN_HASH_HEX], numbers[64];
    (void)snprintf(numbers, sizeof numbers, "%" PRIu32 "/%d", model->dimension, model->normalised);
    const char *const parts[] = {"tarn reembed 1", model->name, model->version, numbers, model->document_prefix};
    tn_hash_init(&hash);
    for (size_t i = 0; i < TN_COUNT(parts); i++)
        tn_hash_update(&hash, parts[i] ? parts[i] : "", strlen(parts[i] ? parts[i] : "") + 1);
    tn_hash_final_hex(&hash, hex);
    *ret = (struct reembed_signature){
        .name = tn_arena_strdup(arena, model->name),
        .dimension = model->dimension,
        .hash = tn_arena_strdup(arena, hex),
    };
}

bool reembed_signature_equal(const struct reembed_signature *a, const struct reembed_signature *b)
{
    return a->dimension == b->dimension && tn_streq(a->name, b->name) && tn_streq(a->hash, b->hash);
}

/* From what a server was seen to keep in memory: 5,098 bytes for 1,024 floats at m = 16. */
uint64_t graph_bytes(uint64_t rows, uint32_t dimension, bool half)
{
    return rows * ((uint64_t)dimension * (half ? 2 : 4) + 1000);
}
