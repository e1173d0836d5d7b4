/* The small model end to end: import, open, encode, and what goes wrong. */
#include "embed/import.h"
#include "embed/test_support.h"

static struct embed_model *open_tiny(const char *folder, struct tiny_model *tiny)
{
    TN_AUTO_FREE char *asset = tn_asprintf("%s/tiny.asset", folder);
    struct embed_model *model = NULL;
    tiny_make(tiny);
    tiny_write(tiny, folder);
    assert_ok(embed_model_import(folder, asset, NULL, &test_err));
    assert_ok(embed_model_open(asset, &model, &test_err));
    return model;
}

static const char *const texts[] = {"the lake is cold.",
                                    "The LAKE is colder, the lake is warmest!",
                                    "unaffordable",
                                    "x",
                                    "caf\xC3\xA9 \xE4\xBD\xA0\xE4\xBD\xA0 zebra",
                                    ""};

static void test_vectors_match_double_precision(void **state)
{
    static const char *const names[] = {"scalar", "avx2", "avx2exact", "avxvnni", "vnni256", "avx512vnni", "neondot"};
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = open_tiny(*state, &tiny);
    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    assert_ok(embed_scratch_new(model, &scratch, &test_err));
    for (size_t k = 0; k < TN_COUNT(names); k++) {
        model->kernels = embed_kernels_named(names[k]);
        for (size_t i = 0; i < TN_COUNT(texts) && model->kernels; i++) {
            uint32_t ids[TINY_POSITIONS];
            struct embed_text text = {texts[i], strlen(texts[i])};
            size_t tokens = embed_tokenize(model, EMBED_PLAIN, text, ids, NULL, TINY_POSITIONS, NULL);
            double want[TINY_HIDDEN], cosine = 0;
            float got[TINY_HIDDEN];
            tiny_forward(&tiny, ids, tokens, false, want);
            assert_ok(embed_encode(model, scratch, EMBED_PLAIN, &text, 1, got, NULL, &test_err));
            for (size_t d = 0; d < TINY_HIDDEN; d++)
                cosine += want[d] * (double)got[d];
            if (cosine < (tn_streq(names[k], "avx2") ? 0.999 : 0.9995))
                fail_msg("%s, text %zu: cosine %.6f", names[k], i, cosine);
        }
    }
}

static void test_information(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = open_tiny(*state, &tiny);
    const struct embed_info *info = embed_model_info(model);
    assert_int_equal(info->dimension, TINY_HIDDEN);
    assert_int_equal(info->max_tokens, TINY_POSITIONS);
    assert_int_equal(info->vocabulary, TINY_VOCAB);
    assert_int_equal(info->pooling, EMBED_POOL_MEAN);
    assert_true(info->normalise && info->lowercase);
    assert_int_equal(strlen(info->digest), 64);
    assert_string_equal(info->query_prefix, "");
    assert_non_null(strstr(*state, info->name));
}

static void test_import_is_repeatable_and_digest_follows_weights(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *first = open_tiny(*state, &tiny);
    tiny_release(&tiny);
    TN_CLEANUP(embed_model_close_p) struct embed_model *second = open_tiny(*state, &tiny);
    assert_string_equal(first->info.digest, second->info.digest);
    TN_AUTO_FREE char *asset = tn_asprintf("%s/other.asset", (char *)*state);
    TN_CLEANUP(embed_model_close_p) struct embed_model *other = NULL;
    tiny.tensors[7].values[5] += 0.1F;
    tiny_write(&tiny, *state);
    assert_ok(embed_model_import(*state, asset, NULL, &test_err));
    assert_ok(embed_model_open(asset, &other, &test_err));
    assert_string_not_equal(first->info.digest, other->info.digest);
}

static void test_cls_pooling_and_prefixes(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *unused = open_tiny(*state, &tiny);
    TN_AUTO_FREE char *asset = tn_asprintf("%s/cls.asset", (char *)*state);
    test_write_text(*state, "1_Pooling/config.json",
                    "{\"pooling_mode_mean_tokens\":false,\"pooling_mode_cls_token\":true}");
    struct embed_import_options options = {.name = "e5-tiny"};
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = NULL;
    assert_ok(embed_model_import(*state, asset, &options, &test_err));
    assert_ok(embed_model_open(asset, &model, &test_err));
    assert_string_equal(model->info.name, "e5-tiny");
    assert_string_equal(model->info.query_prefix, "query: ");
    assert_string_equal(model->info.document_prefix, "passage: ");
    assert_int_equal(model->info.pooling, EMBED_POOL_CLS);

    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    assert_ok(embed_scratch_new(model, &scratch, &test_err));
    struct embed_text bare = {"the lake", 8}, spelled = {"query: the lake", 15};
    float got[TINY_HIDDEN], same[TINY_HIDDEN], plain[TINY_HIDDEN];
    assert_ok(embed_encode(model, scratch, EMBED_QUERY, &bare, 1, got, NULL, &test_err));
    assert_ok(embed_encode(model, scratch, EMBED_PLAIN, &spelled, 1, same, NULL, &test_err));
    assert_ok(embed_encode(model, scratch, EMBED_PLAIN, &bare, 1, plain, NULL, &test_err));
    assert_memory_equal(got, same, sizeof got);
    assert_memory_not_equal(got, plain, sizeof got);

    uint32_t ids[TINY_POSITIONS];
    double want[TINY_HIDDEN], cosine = 0;
    size_t tokens = embed_tokenize(model, EMBED_QUERY, bare, ids, NULL, TINY_POSITIONS, NULL);
    tiny_forward(&tiny, ids, tokens, true, want);
    for (size_t d = 0; d < TINY_HIDDEN; d++)
        cosine += want[d] * (double)got[d];
    assert_true(cosine > 0.998);
}

static void test_long_texts_are_cut_and_reported(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = open_tiny(*state, &tiny);
    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    assert_ok(embed_scratch_new(model, &scratch, &test_err));
    TN_AUTO_BUF text = {0};
    for (int i = 0; i < TINY_POSITIONS - 2; i++)
        tn_buf_puts(&text, "lake ");
    struct embed_text exact = {text.data, text.len};
    float a[TINY_HIDDEN], b[TINY_HIDDEN];
    struct embed_count count;
    assert_ok(embed_encode(model, scratch, EMBED_PLAIN, &exact, 1, a, &count, &test_err));
    assert_int_equal(count.tokens, TINY_POSITIONS);
    assert_false(count.truncated);
    tn_buf_puts(&text, "cold");
    struct embed_text longer = {text.data, text.len};
    assert_ok(embed_encode(model, scratch, EMBED_PLAIN, &longer, 1, b, &count, &test_err));
    assert_int_equal(count.tokens, TINY_POSITIONS);
    assert_true(count.truncated);
    assert_memory_equal(a, b, sizeof a);
}

static void test_batches_equal_single_texts(void **state)
{
    enum { COUNT = 200 };
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = open_tiny(*state, &tiny);
    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    TN_CLEANUP(tn_pool_free_p) struct tn_pool *pool = NULL;
    assert_ok(embed_scratch_new(model, &scratch, &test_err));
    assert_ok(tn_pool_new(3, &pool, &test_err));
    static struct embed_text many[COUNT];
    static float one[COUNT * TINY_HIDDEN], all[COUNT * TINY_HIDDEN];
    struct embed_count counts[COUNT] = {{0}};
    for (size_t i = 0; i < COUNT; i++)
        many[i] = (struct embed_text){texts[i % TN_COUNT(texts)], strlen(texts[i % TN_COUNT(texts)])};
    assert_ok(embed_encode(model, scratch, EMBED_PLAIN, many, COUNT, one, NULL, &test_err));
    assert_ok(embed_encode_batch(model, pool, TN_BACKGROUND, EMBED_PLAIN, many, COUNT, all, counts, &test_err));
    assert_memory_equal(one, all, sizeof one);
    assert_int_equal(counts[0].tokens, 7);
    assert_ok(embed_encode_batch(model, pool, TN_BACKGROUND, EMBED_PLAIN, many, 0, all, NULL, &test_err));
}

/* An opened file's layers are a copy on pages of their own; bytes in memory are read where they are. */
static void test_a_copy_of_the_layers_gives_the_same(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = open_tiny(*state, &tiny), *mapped = NULL;
    assert_ok(embed_model_open_bytes(model->map, model->map_bytes, true, &mapped, &test_err));
    const char *copy = model->layer_pages.data, *codes = (const char *)model->layers[0].qkv.codes;
    assert_true(copy && codes >= copy && codes < copy + model->map_bytes);
    assert_null(mapped->layer_pages.data);
    assert_ptr_equal(model->layers[0].down.next, model->layers[1].qkv.codes);
    assert_null(model->layers[TINY_LAYERS - 1].down.next);
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        const struct embed_text one = {texts[i], strlen(texts[i])};
        float here[TINY_HIDDEN], there[TINY_HIDDEN];
        assert_ok(embed_encode(model, NULL, EMBED_PLAIN, &one, 1, here, NULL, &test_err));
        assert_ok(embed_encode(mapped, NULL, EMBED_PLAIN, &one, 1, there, NULL, &test_err));
        assert_memory_equal(here, there, sizeof here);
    }
}

/* Each damaged byte is noticed, each early end too. */
static void test_damaged_assets_are_refused(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = open_tiny(*state, &tiny);
    size_t size = model->map_bytes;
    TN_AUTO_FREE char *bytes = aligned_alloc(64, asset_align(size));
    assert_non_null(bytes);
    memcpy(bytes, model->map, size);
    struct embed_model *bad = NULL;
    for (size_t at = 0; at < size; at += at < 600 ? 1 : 997) {
        bytes[at] = (char)(bytes[at] ^ 0x11);
        uint64_t offset = 0, length = 0;
        bool padding = at >= ASSET_HEADER_BYTES;
        for (uint32_t i = 0; i < ASSET_LAYERS + TINY_LAYERS && padding; i++) {
            asset_block_place(&model->header, i, &offset, &length);
            padding = !(at >= offset && at < offset + length);
        }
        struct tn_error err = {0};
        if (!padding) {
            assert_true(embed_model_open_bytes(bytes, size, true, &bad, &err) != TN_OK);
            assert_true(err.detail[0]);
        }
        bytes[at] = (char)(bytes[at] ^ 0x11);
    }
    for (size_t end = 0; end < size; end += end < 600 ? 1 : 4999)
        assert_true(embed_model_open_bytes(bytes, end, true, &bad, NULL) != TN_OK);
    assert_null(bad);
    assert_ok(embed_model_open_bytes(bytes, size, true, &bad, &test_err));
    embed_model_close(bad);
}

static void expect_refusal(const char *folder, enum tn_code code, const char *says)
{
    TN_AUTO_FREE char *asset = tn_asprintf("%s/refused.asset", folder);
    struct tn_error err = {0};
    struct stat info;
    assert_int_equal(embed_model_import(folder, asset, NULL, &err), code);
    if (!strstr(err.detail, says))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, says);
    assert_int_not_equal(stat(asset, &info), 0);
}

static void test_unsupported_models_are_named(void **state)
{
    static const struct {
        const char *file, *text, *says;
        enum tn_code code;
    } cases[] = {
        {"config.json", "{\"model_type\":\"xlm-roberta\"}", "xlm-roberta", TN_EUNSUPPORTED},
        {"config.json", "{\"model_type\":\"bert\",\"hidden_act\":\"gelu_new\"}", "gelu_new", TN_EUNSUPPORTED},
        {"config.json", "{\"architectures\":[\"NewModel\"]}", "NewModel", TN_EUNSUPPORTED},
        {"config.json", "{\"position_embedding_type\":\"relative_key\"}", "relative_key", TN_EUNSUPPORTED},
        {"config.json", "{\"hidden_size\":0}", "hidden_size", TN_ECORRUPT},
        {"config.json", "[1]", "not an object", TN_ECORRUPT},
        {"config.json", "{", "config.json", TN_EJSON},
        {"tokenizer_config.json", "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}", "XLMRoberta", TN_EUNSUPPORTED},
        {"tokenizer_config.json", "{\"strip_accents\":false}", "strip_accents", TN_EUNSUPPORTED},
        {"modules.json", "[{\"type\":\"x.models.Dense\"}]", "Dense", TN_EUNSUPPORTED},
        {"modules.json", "[{\"type\":\"x.Pooling\",\"path\":\"../../etc\"}]", "Pooling", TN_EUNSUPPORTED},
        {"1_Pooling/config.json", "{\"pooling_mode_max_tokens\":true}", "pooling_mode_max_tokens", TN_EUNSUPPORTED},
        {"1_Pooling/config.json", "{}", "one vector", TN_EUNSUPPORTED},
        {"vocab.txt", "a\nb\n", "words", TN_EUNSUPPORTED},
        {"vocab.txt", "a\nb\nc\nd\n", "[CLS]", TN_EUNSUPPORTED},
        {"vocab.txt", "[CLS]\n[SEP]\n[UNK]\na\n", "config.json says", TN_ECORRUPT},
        {"model.safetensors", "short", "safetensors", TN_ECORRUPT},
        {"model.safetensors", "\2\0\0\0\0\0\0\0{}", "safetensors", TN_ECORRUPT},
    };
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    tiny_make(&tiny);
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_FREE char *folder = tn_asprintf("%s/%zu", (char *)*state, i);
        assert_ok(tn_mkdirs(folder, 0755, &test_err));
        tiny_write(&tiny, folder);
        bool binary = cases[i].text[0] == 2;
        test_write(folder, cases[i].file, cases[i].text, binary ? 10 : strlen(cases[i].text));
        expect_refusal(folder, cases[i].code, cases[i].says);
    }
}

static void test_broken_weights_are_refused(void **state)
{
    TN_CLEANUP(tiny_release) struct tiny_model tiny;
    tiny_make(&tiny);
    tiny.tensors[9].values[3] = NAN;
    tiny_write(&tiny, *state);
    expect_refusal(*state, TN_ECORRUPT, "not a number");
    tiny.tensors[9].values[3] = 0;
    tiny.tensors[9].name[3] = 'Q';
    tiny_write(&tiny, *state);
    expect_refusal(*state, TN_ECORRUPT, "no tensor");
    TN_AUTO_FREE char *path = tn_asprintf("%s/config.json", (char *)*state);
    assert_int_equal(remove(path), 0);
    expect_refusal(*state, TN_ENOTFOUND, "config.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_vectors_match_double_precision),
        FOLDER_TEST(test_information),
        FOLDER_TEST(test_import_is_repeatable_and_digest_follows_weights),
        FOLDER_TEST(test_cls_pooling_and_prefixes),
        FOLDER_TEST(test_long_texts_are_cut_and_reported),
        FOLDER_TEST(test_batches_equal_single_texts),
        FOLDER_TEST(test_a_copy_of_the_layers_gives_the_same),
        FOLDER_TEST(test_damaged_assets_are_refused),
        FOLDER_TEST(test_unsupported_models_are_named),
        FOLDER_TEST(test_broken_weights_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
