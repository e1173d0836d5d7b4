/* Answers of model servers: streams of both protocols, in whole and cut into
 * pieces, must come to the same; vectors and error texts are read too. */
#include "fuzz.h"

#include "model/model_internal.h"

static enum tn_code read_stream(enum model_wire wire, const char *bytes, size_t size, size_t step,
                                struct tn_buf *answer)
{
    struct model_stream stream;
    enum tn_code code = TN_OK;
    struct tn_error err = {0};
    model_stream_init(&stream, wire, answer);
    for (size_t at = 0; at < size && code == TN_OK; at += step)
        code = model_stream_feed(&stream, bytes + at, TN_MIN(step, size - at), &err);
    if (code == TN_OK)
        code = model_stream_end(&stream, &err);
    model_stream_release(&stream);
    return code;
}

static void read_both_ways(enum model_wire wire, const char *bytes, size_t size)
{
    TN_AUTO_BUF whole = {0};
    TN_AUTO_BUF pieces = {0};
    enum tn_code one = read_stream(wire, bytes, size, TN_MAX(size, (size_t)1), &whole);
    enum tn_code other = read_stream(wire, bytes, size, 7, &pieces);
    FUZZ_CHECK(one == other);
    FUZZ_CHECK(whole.len == pieces.len);
    FUZZ_CHECK(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
}

static void read_vectors(enum model_kind kind, const char *bytes, size_t size)
{
    struct model_vectors vectors = {.count = 2};
    struct tn_error err = {0};
    enum tn_code code = model_read_vectors(kind, bytes, size, &vectors, &err);
    FUZZ_CHECK(code != TN_OK || (vectors.found && vectors.dimension > 0));
    free(vectors.found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    char said[64];
    read_both_ways(MODEL_WIRE_OLLAMA, bytes, size);
    read_both_ways(MODEL_WIRE_OPENAI, bytes, size);
    read_vectors(MODEL_OLLAMA, bytes, size);
    read_vectors(MODEL_OPENAI, bytes, size);
    model_error_text(bytes, size, said, sizeof said);
    FUZZ_CHECK(strlen(said) < sizeof said);
    return 0;
}
