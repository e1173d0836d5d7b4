/* Answers in pieces, and vectors: what is taken, what is refused. */
#include "model/model_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum tn_code count_piece(void *context, const char *text, size_t length)
{
    size_t *bytes = context;
    (void)text;
    *bytes += length;
    return TN_OK;
}

static enum tn_code want_no_more(void *context, const char *text, size_t length)
{
    (void)context;
    (void)text;
    (void)length;
    return TN_ECANCELLED;
}

/* Feeds `text` in steps of `step` bytes, then ends. */
static enum tn_code read_in_steps(enum model_wire wire, const char *text, size_t step, struct tn_buf *answer,
                                  struct model_usage *usage, struct tn_error *err)
{
    struct model_stream stream;
    size_t length = strlen(text), bytes = 0;
    model_stream_init(&stream, wire, answer);
    stream.piece = count_piece;
    stream.context = &bytes;
    enum tn_code code = TN_OK;
    for (size_t at = 0; at < length && code == TN_OK; at += step)
        code = model_stream_feed(&stream, text + at, TN_MIN(step, length - at), err);
    if (code == TN_OK)
        code = model_stream_end(&stream, err);
    assert_int_equal(bytes, answer->len);
    if (usage)
        *usage = stream.usage;
    model_stream_release(&stream);
    return code;
}

#define OLLAMA                                                                                                       \
    "{\"model\":\"q\",\"message\":{\"role\":\"assistant\",\"content\":\"Gr\\u00fc\"},\"done\":false}\n"              \
    "{\"response\":\"ezi\",\"done\":false}\r\n\n"                                                                    \
    "{\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":7,\"eval_count\":3}\n"
#define OPENAI                                                                                                       \
    ": comment\n\nevent: message\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"                    \
    "data: {\"choices\":[{\"delta\":{\"content\":\"Gr\\u00fc\"}}]}\r\n\r\n"                                          \
    "data:{\"choices\":[{\"delta\":{\"content\":\"ezi\"},\"finish_reason\":\"stop\"}]}\n\n"                          \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n"

static void test_cut_anywhere(void **state)
{
    (void)state;
    static const struct {
        enum model_wire wire;
        const char *text;
    } cases[] = {{MODEL_WIRE_OLLAMA, OLLAMA}, {MODEL_WIRE_OPENAI, OPENAI}};
    for (size_t i = 0; i < TN_COUNT(cases); i++)
        for (size_t step = 1; step < 200; step++) {
            TN_AUTO_BUF answer = {0};
            struct model_usage usage = {0};
            struct tn_error err = {0};
            assert_int_equal(read_in_steps(cases[i].wire, cases[i].text, step, &answer, &usage, &err), TN_OK);
            assert_string_equal(answer.data, "Gr\303\274ezi");
            assert_int_equal(usage.prompt_tokens, 7);
            assert_int_equal(usage.answer_tokens, 3);
            assert_false(usage.estimated);
        }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum model_wire wire;
        const char *text;
        enum tn_code code;
    } cases[] = {
        {MODEL_WIRE_OLLAMA, "{\"message\":{\"content\":\"half\"},\"done\":false}\n", TN_EUNAVAILABLE},
        {MODEL_WIRE_OLLAMA, "{\"message\":{\"content\":\"ha", TN_EUPSTREAM},
        {MODEL_WIRE_OLLAMA, "{\"error\":\"out of memory\"}\n", TN_EUNAVAILABLE},
        {MODEL_WIRE_OLLAMA, "[1]\n", TN_EUPSTREAM},
        {MODEL_WIRE_OLLAMA, "<html>\n", TN_EUPSTREAM},
        {MODEL_WIRE_OLLAMA, "", TN_EUNAVAILABLE},
        {MODEL_WIRE_OPENAI, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", TN_EUNAVAILABLE},
        {MODEL_WIRE_OPENAI, "data: {\"error\":{\"message\":\"no\"}}\n\n", TN_EUNAVAILABLE},
        {MODEL_WIRE_OPENAI, "data: oops\n\n", TN_EUPSTREAM},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF answer = {0};
        struct tn_error err = {0};
        assert_int_equal(read_in_steps(cases[i].wire, cases[i].text, 1000, &answer, NULL, &err), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_true(err.detail[0] != '\0');
    }
}

static void test_sizes_are_bounded(void **state)
{
    (void)state;
    struct model_stream stream;
    TN_AUTO_BUF answer = {0};
    TN_AUTO_BUF event = {0};
    struct tn_error err = {0};
    TN_AUTO_FREE char *block = tn_malloc(MODEL_EVENT_MAX / 2);
    memset(block, 'x', MODEL_EVENT_MAX / 2);
    model_stream_init(&stream, MODEL_WIRE_OLLAMA, &answer);
    assert_int_equal(model_stream_feed(&stream, block, MODEL_EVENT_MAX / 2, &err), TN_OK);
    assert_int_equal(model_stream_feed(&stream, block, MODEL_EVENT_MAX / 2, &err), TN_OK);
    assert_int_equal(model_stream_feed(&stream, block, 1, &err), TN_EUPSTREAM);
    model_stream_release(&stream);

    tn_buf_puts(&event, "{\"response\":\"");
    tn_buf_append(&event, block, MODEL_EVENT_MAX / 2);
    tn_buf_puts(&event, "\"}\n");
    model_stream_init(&stream, MODEL_WIRE_OLLAMA, &answer);
    enum tn_code code = TN_OK;
    for (int i = 0; i < 9 && code == TN_OK; i++)
        code = model_stream_feed(&stream, event.data, event.len, &err);
    assert_int_equal(code, TN_EUPSTREAM);
    assert_int_equal(answer.len, MODEL_ANSWER_MAX);
    model_stream_release(&stream);
}

static void test_a_piece_that_is_not_wanted_ends_it(void **state)
{
    (void)state;
    struct model_stream stream;
    TN_AUTO_BUF answer = {0};
    struct tn_error err = {0};
    model_stream_init(&stream, MODEL_WIRE_OLLAMA, &answer);
    stream.piece = want_no_more;
    assert_int_equal(model_stream_feed(&stream, OLLAMA, strlen(OLLAMA), &err), TN_ECANCELLED);
    model_stream_release(&stream);
}

/* ---- vectors ------------------------------------------------------------------------------ */

static enum tn_code read_vectors(enum model_kind kind, const char *body, size_t count, uint32_t dimension, float *out,
                                 struct tn_error *err)
{
    struct model_vectors vectors = {.count = count, .dimension = dimension, .out = out};
    enum tn_code code = model_read_vectors(kind, body, strlen(body), &vectors, err);
    free(vectors.found);
    return code;
}

static void test_vectors_stand_where_their_texts_do(void **state)
{
    (void)state;
    float out[4];
    struct tn_error err = {0};
    assert_int_equal(read_vectors(MODEL_OLLAMA, "{\"embeddings\":[[1,2],[3,4.5]]}", 2, 2, out, &err), TN_OK);
    assert_true(out[0] == 1 && out[1] == 2 && out[2] == 3 && out[3] == 4.5F);
    assert_int_equal(read_vectors(MODEL_OPENAI,
                                  "{\"data\":[{\"index\":1,\"embedding\":[3,4]},{\"index\":0,\"embedding\":[1,2]}]}",
                                  2, 2, out, &err),
                     TN_OK);
    assert_true(out[0] == 1 && out[1] == 2 && out[2] == 3 && out[3] == 4);
}

static void test_vectors_that_make_no_sense(void **state)
{
    (void)state;
    static const struct {
        enum model_kind kind;
        const char *body;
        enum tn_code code;
    } cases[] = {
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2]]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[1,2],[1,2]]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[1,2,3]]}", TN_ECONFLICT},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[1,null]]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[1,1e39]]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[0,0]]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[]]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],\"x\"]}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":null}", TN_EUPSTREAM},
        {MODEL_OLLAMA, "[]", TN_EUPSTREAM},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,NaN],[1,2]]}", TN_EUNAVAILABLE},
        {MODEL_OLLAMA, "{\"embeddings\":[[1,2],[1", TN_EUNAVAILABLE},
        {MODEL_OPENAI, "{\"data\":[{\"index\":0,\"embedding\":[1,2]},{\"index\":0,\"embedding\":[1,2]}]}",
         TN_EUPSTREAM},
        {MODEL_OPENAI, "{\"data\":[{\"index\":0,\"embedding\":[1,2]},{\"index\":9,\"embedding\":[1,2]}]}",
         TN_EUPSTREAM},
        {MODEL_OPENAI, "{\"data\":[{\"index\":0,\"embedding\":[1,2]},5]}", TN_EUPSTREAM},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        float out[4];
        struct tn_error err = {0};
        if (read_vectors(cases[i].kind, cases[i].body, 2, 2, out, &err) != cases[i].code)
            fail_msg("case %zu: %s", i, err.detail);
    }
}

/* ---- estimates and families ------------------------------------------------------------------- */

static void test_estimates(void **state)
{
    (void)state;
    size_t cut = 0;
    assert_int_equal(model_estimate_tokens("", 0, SIZE_MAX, NULL), 2);
    assert_int_equal(model_estimate_tokens("the lake, 42", 12, SIZE_MAX, NULL), 2 + 1 + 2 + 1 + 2);
    assert_int_equal(model_estimate_tokens("the lake, 42", 12, 4, &cut), 8);
    assert_int_equal(cut, 7); /* "the lak" */
    assert_int_equal(model_estimate_tokens("\303\274\303\274", 4, 5, &cut), 6);
    assert_int_equal(cut, 2); /* no character is cut in two */
    assert_string_equal(model_family_of("BAAI/bge-small-en-v1.5")->query_prefix,
                        "Represent this sentence for searching relevant passages: ");
    assert_string_equal(model_family_of("intfloat/multilingual-e5-small")->document_prefix, "passage: ");
    assert_string_equal(model_family_of("nomic-embed-text:v1.5")->query_prefix, "search_query: ");
    assert_string_equal(model_family_of("something")->query_prefix, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_sizes_are_bounded),
        cmocka_unit_test(test_a_piece_that_is_not_wanted_ends_it),
        cmocka_unit_test(test_vectors_stand_where_their_texts_do),
        cmocka_unit_test(test_vectors_that_make_no_sense),
        cmocka_unit_test(test_estimates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
