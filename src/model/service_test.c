/* The registry and what is held against it: a service whose provider is the
 * test's own. */
#include "model/model_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct tn_config_key keys[] = {
    {"ai.embed.model", TN_CONFIG_STRING, "", NULL, 0, 0, ""},
    {"ai.chat.model", TN_CONFIG_STRING, "", NULL, 0, 0, ""},
    {"ai.ollama.url", TN_CONFIG_STRING, "http://127.0.0.1:1", NULL, 0, 0, ""},
    {"ai.ollama.keep_alive", TN_CONFIG_DURATION, "5m", NULL, 0, 0, ""},
    {"ai.openai.url", TN_CONFIG_STRING, "", NULL, 0, 0, ""},
    {"ai.openai.key_file", TN_CONFIG_STRING, "", NULL, 0, 0, ""},
    {"ai.timeout", TN_CONFIG_DURATION, "5s", NULL, 0, 0, ""},
    {"ai.retries", TN_CONFIG_INT, "0", NULL, 0, 0, ""},
    {"ai.concurrency", TN_CONFIG_INT, "2", NULL, 0, 0, ""},
    {"ai.batch", TN_CONFIG_INT, "2", NULL, 0, 0, ""},
    {"ai.verify", TN_CONFIG_DURATION, "0", NULL, 0, 0, ""},
};

struct world {
    char folder[64];
    struct tn_config *config;
    struct model_service *service;
    const char *digest;
    uint32_t dimension;
    size_t embeds;
    struct tn_error err;
};

/* Ollama: one model, whose vectors are 1, 2, 3 ... */
static enum tn_code answer(void *transport, const struct model_http_request *request, struct model_http_reply *ret,
                           struct tn_error *err)
{
    struct world *world = transport;
    struct tn_json json = tn_json_writer(&ret->body);
    (void)err;
    *ret = (struct model_http_reply){.status = 200};
    if (tn_streq(request->path, "/api/tags")) {
        tn_buf_printf(&ret->body, "{\"models\":[{\"name\":\"m:latest\",\"digest\":\"%s\"}]}", world->digest);
        return TN_OK;
    }
    if (!tn_streq(request->path, "/api/embed")) {
        ret->status = 404;
        return TN_OK;
    }
    world->embeds++;
    TN_AUTO_JSON *asked = json_loadb(request->body, request->body_length, 0, NULL);
    tn_json_open(&json, '{');
    tn_json_key(&json, "embeddings");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < json_array_size(json_object_get(asked, "input")); i++) {
        tn_json_open(&json, '[');
        for (uint32_t d = 0; d < world->dimension; d++)
            tn_json_i64(&json, d + 1);
        tn_json_close(&json, ']');
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    return TN_OK;
}

static enum tn_code open_service(struct world *world)
{
    const struct model_options options = {.config = world->config, .folder = world->folder};
    TN_TRY(model_service_open(&options, &world->service, &world->err));
    world->service->providers[MODEL_OLLAMA].send = answer;
    world->service->providers[MODEL_OLLAMA].transport = world;
    return TN_OK;
}

static void reopen(struct world *world)
{
    model_service_close(world->service);
    world->service = NULL;
    assert_int_equal(open_service(world), TN_OK);
}

static int set_up(void **state)
{
    struct world *world = tn_calloc(1, sizeof *world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/tarn-test-models-XXXXXX");
    world->digest = "one";
    world->dimension = 4;
    *state = world;
    const struct tn_config_table table = {.keys = keys, .count = TN_COUNT(keys)};
    return !mkdtemp(world->folder) || tn_random_init(&world->err) != TN_OK ||
           tn_config_load_text(table, "", 0, "test", &world->config, &world->err) != TN_OK ||
           open_service(world) != TN_OK;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    model_service_close(world->service);
    tn_config_free(world->config);
    enum tn_code code = tn_remove_tree(world->folder, NULL);
    free(world);
    return code == TN_OK ? 0 : -1;
}

static enum tn_code embed_three(struct world *world, const char *version)
{
    const struct model_text texts[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    const struct model_call call = {.version = version};
    float out[3 * 4];
    memset(out, 0, sizeof out);
    TN_TRY(model_embed(world->service, "ollama/m", &call, texts, TN_COUNT(texts), out, NULL, &world->err));
    assert_true(out[0] == 1 && out[11] == 4);
    return TN_OK;
}

static void test_a_model_is_registered_once(void **state)
{
    struct world *world = *state;
    struct model_info info, again;
    assert_int_equal(model_find(world->service, "ollama/m:latest", &info, &world->err), TN_OK);
    assert_string_equal(info.name, "ollama/m");
    assert_string_equal(info.version, "one");
    assert_int_equal(info.dimension, 4);
    assert_false(info.normalised);
    assert_int_equal(world->embeds, 1);
    assert_int_equal(model_find(world->service, "m", &again, &world->err), TN_OK);
    assert_ptr_equal(info.version, again.version);
    assert_int_equal(embed_three(world, "one"), TN_OK);
    assert_int_equal(world->embeds, 3); /* two batches */
    reopen(world);
    assert_int_equal(embed_three(world, "one"), TN_OK);
    assert_int_equal(world->embeds, 5); /* no new probe */
}

static void test_another_version_is_refused_until_accepted(void **state)
{
    struct world *world = *state;
    struct model_info before, after;
    assert_int_equal(model_find(world->service, "ollama/m", &before, &world->err), TN_OK);
    world->digest = "two";
    assert_int_equal(embed_three(world, NULL), TN_ECONFLICT);
    assert_non_null(strstr(world->err.hint, "tarn model accept ollama/m"));
    reopen(world);
    assert_int_equal(embed_three(world, NULL), TN_ECONFLICT);
    assert_int_equal(model_accept(world->service, "ollama/m", &after, &world->err), TN_OK);
    assert_string_equal(after.version, "two");
    assert_int_equal(embed_three(world, "two"), TN_OK);
    assert_int_equal(embed_three(world, "one"), TN_ECONFLICT);
}

static void test_a_failed_accept_changes_nothing(void **state)
{
    struct world *world = *state;
    struct model_info info;
    assert_int_equal(model_find(world->service, "ollama/m", &info, &world->err), TN_OK);
    world->service->providers[MODEL_OLLAMA].url[0] = '\0';
    assert_int_equal(model_accept(world->service, "ollama/m", &info, &world->err), TN_ENOTFOUND);
    world->service->providers[MODEL_OLLAMA].url[0] = 'h';
    assert_int_equal(embed_three(world, "one"), TN_OK);
}

static void test_another_dimension_is_refused(void **state)
{
    struct world *world = *state;
    assert_int_equal(embed_three(world, NULL), TN_OK);
    world->dimension = 3;
    assert_int_equal(embed_three(world, NULL), TN_ECONFLICT);
    world->dimension = 4;
    assert_int_equal(embed_three(world, NULL), TN_OK);
}

/* Without a digest the vector of a fixed text tells models apart. */
static void test_a_probe_stands_for_a_digest(void **state)
{
    struct world *world = *state;
    struct model_info info;
    world->digest = "";
    assert_int_equal(model_find(world->service, "ollama/m", &info, &world->err), TN_OK);
    assert_true(tn_str_starts_with(info.version, "probe-"));
    reopen(world);
    assert_int_equal(embed_three(world, NULL), TN_OK);
    assert_true(world->service->models->entry->probe != NULL);
    world->service->models->entry->probe[0] = -127;
    assert_int_equal(embed_three(world, NULL), TN_ECONFLICT);
}

static void test_names_and_defaults(void **state)
{
    struct world *world = *state;
    struct model_info info;
    assert_int_equal(model_find(world->service, NULL, &info, &world->err), TN_ENOTFOUND);
    assert_int_equal(model_find(world->service, "nobody", &info, &world->err), TN_ENOTFOUND);
    assert_int_equal(model_find(world->service, "openai/x", &info, &world->err), TN_ENOTFOUND);
    assert_non_null(strstr(world->err.hint, "ai.openai.url"));
    assert_int_equal(model_find(world->service, "bad name", &info, &world->err), TN_EREQUEST);
    assert_int_equal(model_find_chat(world->service, NULL, &info, &world->err), TN_ENOTFOUND);
    assert_int_equal(model_set_default(world->service, "ollama/m", false, &info, &world->err), TN_OK);
    reopen(world);
    assert_int_equal(model_find(world->service, "", &info, &world->err), TN_OK);
    assert_string_equal(info.name, "ollama/m");
    assert_true(model_count_tokens(world->service, NULL, (struct model_text){"a lake", 6}) >= 4);
}

#define DAMAGED_PROBE                                                                                                \
    "{\"format\":1,\"models\":[{\"name\":\"ollama/m\",\"version\":\"1\",\"dimension\":4,\"max_tokens\":9,"           \
    "\"probe\":\"00\"}]}"

static void test_a_damaged_registry_is_not_overlooked(void **state)
{
    struct world *world = *state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"format\":2,\"models\":[]}",
        "{\"format\":1,\"models\":[{\"name\":\"ollama/m\"}]}",
        "{\"format\":1,\"models\":[{\"name\":\"x/m\",\"version\":\"1\",\"dimension\":4,\"max_tokens\":9}]}",
        DAMAGED_PROBE,
    };
    model_service_close(world->service);
    world->service = NULL;
    TN_AUTO_FREE char *path = tn_asprintf("%s/registry.json", world->folder);
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        assert_int_equal(tn_file_replace(path, texts[i], strlen(texts[i]), 0600, &world->err), TN_OK);
        assert_int_equal(open_service(world), TN_ECORRUPT);
        assert_non_null(strstr(world->err.detail, "registry.json"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_model_is_registered_once),           TEST(test_another_version_is_refused_until_accepted),
        TEST(test_a_failed_accept_changes_nothing),      TEST(test_another_dimension_is_refused),
        TEST(test_a_probe_stands_for_a_digest),          TEST(test_names_and_defaults),
        TEST(test_a_damaged_registry_is_not_overlooked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
