/* The published model: token ids equal the reference tokenizer's, vectors are
 * near float ones. Skipped by name where tools/fetch_model.sh has not put the
 * model into the cache. */
#include "embed/test_support.h"

#include <unistd.h>

#define TESTDATA "src/embed/testdata/"

static struct embed_model *model;

static int open_published(void **state)
{
    (void)state;
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    TN_AUTO_FREE char *dir = cache && cache[0]
                                 ? tn_asprintf("%s/tarn/model/all-MiniLM-L6-v2", cache)
                                 : tn_asprintf("%s/.cache/tarn/model/all-MiniLM-L6-v2", home ? home : "");
    TN_AUTO_FREE char *config = tn_asprintf("%s/config.json", dir);
    if (access(config, R_OK) != 0) {
        (void)printf("the model is not in %s: run tools/fetch_model.sh\n", dir);
        return 0;
    }
    char asset[] = "/tmp/tarn-test-model-XXXXXX";
    int fd = mkstemp(asset);
    if (fd < 0)
        return -1;
    (void)close(fd);
    enum tn_code code = embed_model_import(dir, asset, NULL, &test_err);
    if (code == TN_OK)
        code = embed_model_open(asset, &model, &test_err);
    (void)unlink(asset);
    if (code != TN_OK)
        (void)printf("%s\n", test_err.detail);
    return code == TN_OK ? 0 : -1;
}

static int close_published(void **state)
{
    (void)state;
    embed_model_close(model);
    return 0;
}

#define NEEDS_MODEL()                                                                                                \
    do {                                                                                                             \
        if (!model)                                                                                                  \
            skip();                                                                                                  \
    } while (0)

static void test_what_the_folder_says(void **state)
{
    (void)state;
    NEEDS_MODEL();
    const struct embed_info *info = embed_model_info(model);
    assert_string_equal(info->name, "all-MiniLM-L6-v2");
    assert_int_equal(info->dimension, 384);
    assert_int_equal(info->max_tokens, 256);
    assert_int_equal(info->vocabulary, 30522);
    assert_true(info->normalise && info->lowercase && info->pooling == EMBED_POOL_MEAN);
    assert_true(info->asset_bytes < 25000000);
}

/* Each line of tokens.txt is [text, ids]. */
static void test_token_ids_equal_the_reference(void **state)
{
    (void)state;
    NEEDS_MODEL();
    FILE *file = fopen(TESTDATA "tokens.txt", "r");
    assert_non_null(file);
    TN_AUTO_FREE char *line = NULL;
    size_t room = 0, lines = 0;
    ssize_t length;
    while ((length = getline(&line, &room, file)) > 0) {
        json_error_t where;
        TN_AUTO_JSON *json = json_loadb(line, (size_t)length, JSON_ALLOW_NUL, &where);
        const json_t *text = json_array_get(json, 0), *want = json_array_get(json, 1);
        assert_non_null(want);
        uint32_t ids[256];
        struct embed_text one = {json_string_value(text), json_string_length(text)};
        size_t count = embed_tokenize(model, EMBED_PLAIN, one, ids, NULL, TN_COUNT(ids), NULL);
        lines++;
        if (count != json_array_size(want))
            fail_msg("line %zu: %zu tokens, want %zu", lines, count, json_array_size(want));
        for (size_t i = 0; i < count; i++)
            if (ids[i] != json_integer_value(json_array_get(want, i)))
                fail_msg("line %zu, token %zu: %u", lines, i, ids[i]);
    }
    (void)fclose(file);
    assert_true(lines > 300);
}

static void test_vectors_are_near_float_ones(void **state)
{
    (void)state;
    NEEDS_MODEL();
    static const char *const names[] = {"scalar", "avx2", "avx2exact", "avxvnni", "vnni256", "avx512vnni", "neondot"};
    TN_AUTO_BUF sentences = {0}, floats = {0};
    assert_ok(tn_file_read(TESTDATA "sentences.txt", 1 << 20, &sentences, &test_err));
    assert_ok(tn_file_read(TESTDATA "sentences.f32", 1 << 20, &floats, &test_err));
    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    assert_ok(embed_scratch_new(model, &scratch, &test_err));
    for (size_t k = 0; k < TN_COUNT(names); k++) {
        model->kernels = embed_kernels_named(names[k]);
        const char *line = sentences.data;
        for (size_t i = 0; model->kernels && *line; i++) {
            size_t length = strcspn(line, "\n");
            struct embed_text text = {line, length};
            line += length + 1;
            if (k == 0 && i % 8) /* the reference is slow */
                continue;
            float got[384], want[384];
            double cosine = 0;
            assert_true((i + 1) * sizeof want <= floats.len);
            memcpy(want, floats.data + i * sizeof want, sizeof want);
            assert_ok(embed_encode(model, scratch, EMBED_PLAIN, &text, 1, got, NULL, &test_err));
            for (size_t d = 0; d < 384; d++)
                cosine += (double)got[d] * (double)want[d];
            if (!(cosine >= (tn_streq(names[k], "avx2") ? 0.99 : 0.995) && cosine < 1.00001))
                fail_msg("%s, sentence %zu: cosine %.5f", names[k], i + 1, cosine);
        }
    }
    model->kernels = embed_kernels_get();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_folder_says),
        cmocka_unit_test(test_token_ids_equal_the_reference),
        cmocka_unit_test(test_vectors_are_near_float_ones),
    };
    return cmocka_run_group_tests(tests, open_published, close_published);
}
