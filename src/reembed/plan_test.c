/* Plans, signatures, definitions and texts: all that needs no server. */
#include "reembed/reembed_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void defaults_are_the_requirements(void **state)
{
    struct reembed_plan plan;
    (void)state;
    reembed_plan_defaults(&plan);
    assert_int_equal(plan.batch_size, 128);
    assert_true(plan.drop_hnsw_first);
    assert_false(plan.concurrent_index);
    assert_int_equal(plan.mode, REEMBED_STAGED);
    assert_string_equal(plan.table, "knowledge_nodes");
    assert_string_equal(plan.index_name, "idx_knowledge_nodes_embedding_hnsw");
    assert_string_equal(plan.registry_table, "embedding_model");
}

static void plans_that_cannot_be_are_refused(void **state)
{
    struct reembed_plan plan;
    struct tn_error err = {0};
    (void)state;
    reembed_plan_defaults(&plan);
    assert_int_equal(check_plan(&plan, &err), TN_EUSAGE);
    assert_non_null(strstr(err.detail, "--postgres-url"));
    plan.url = "postgresql://x";
    assert_int_equal(check_plan(&plan, &err), TN_OK);
    plan.batch_size = REEMBED_BATCH_MAX + 1;
    assert_int_equal(check_plan(&plan, &err), TN_EUSAGE);
    plan.batch_size = 0;
    assert_int_equal(check_plan(&plan, &err), TN_EUSAGE);
}

static void modes_have_words(void **state)
{
    enum reembed_mode mode = REEMBED_STAGED;
    (void)state;
    assert_true(reembed_mode_parse("in-place", &mode));
    assert_int_equal(mode, REEMBED_IN_PLACE);
    assert_string_equal(reembed_mode_word(mode), "in-place");
    assert_true(reembed_mode_parse(reembed_mode_word(REEMBED_STAGED), &mode));
    assert_int_equal(mode, REEMBED_STAGED);
    assert_false(reembed_mode_parse("both", &mode));
}

/* ---- signatures -------------------------------------------------------------------------- */

static void signatures_tell_models_apart(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct model_info model = {
        .name = "builtin/m", .version = "v1", .dimension = 384, .normalised = true, .document_prefix = "p: "};
    struct model_info others[] = {model, model, model, model, model};
    struct reembed_signature first, again, other;
    (void)state;
    others[0].name = "builtin/n";
    others[1].version = "v2";
    others[2].dimension = 768;
    others[3].normalised = false;
    others[4].document_prefix = "p:";
    reembed_signature_of(&model, arena, &first);
    reembed_signature_of(&model, arena, &again);
    assert_true(reembed_signature_equal(&first, &again));
    assert_int_equal(strlen(first.hash), 64);
    for (size_t i = 0; i < TN_COUNT(others); i++) {
        reembed_signature_of(&others[i], arena, &other);
        assert_false(reembed_signature_equal(&first, &other));
        assert_string_not_equal(first.hash, other.hash);
    }
}

static void the_registry_is_believed_as_far_as_the_column_bears_it_out(void **state)
{
    struct reembed_signature signature = {.name = "m", .dimension = 8, .hash = "h"};
    struct target target = {.changes_type = false};
    struct registry registry = {.has_row = true, .current = signature};
    struct leftover leftover = {.state = LEFTOVER_NONE};
    (void)state;
    assert_true(check_same_model(&target, &registry, &leftover, &signature));
    leftover.unfinished_in_place = true;
    assert_false(check_same_model(&target, &registry, &leftover, &signature));
    leftover.unfinished_in_place = false;
    leftover.state = LEFTOVER_SWITCHED;
    assert_false(check_same_model(&target, &registry, &leftover, &signature));
    leftover.state = LEFTOVER_NONE;
    target.changes_type = true;
    assert_false(check_same_model(&target, &registry, &leftover, &signature));
    target.changes_type = false;
    registry.current.hash = "other";
    assert_false(check_same_model(&target, &registry, &leftover, &signature));
}

/* ---- definitions ----------------------------------------------------------------------------- */

static void definitions_change_their_operators(void **state)
{
    static const struct {
        const char *from, *to;
        bool half;
    } cases[] = {
        {"USING hnsw (e vector_cosine_ops)", "USING hnsw (e halfvec_cosine_ops)", true},
        {"USING hnsw (e public.vector_l2_ops)", "USING hnsw (e public.halfvec_l2_ops)", true},
        {"USING hnsw (e halfvec_ip_ops)", "USING hnsw (e vector_ip_ops)", false},
        {"USING hnsw (e halfvec_cosine_ops)", "USING hnsw (e halfvec_cosine_ops)", true},
        {"ON my_vector_l2_ops USING hnsw (vector)", "ON my_vector_l2_ops USING hnsw (vector)", true},
        {"", "", true},
    };
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++)
        assert_string_equal(index_definition_for(arena, cases[i].from, cases[i].half), cases[i].to);
}

static void names_are_cut_at_the_first_dot(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *schema, *name;
    (void)state;
    split_name(arena, "t", &schema, &name);
    assert_null(schema);
    assert_string_equal(name, "t");
    split_name(arena, "my schema.a.b", &schema, &name);
    assert_string_equal(schema, "my schema");
    assert_string_equal(name, "a.b");
}

/* ---- texts ---------------------------------------------------------------------------------------- */

static void reports_say_the_three_figures(void **state)
{
    TN_AUTO_BUF text = {0}, json = {0};
    TN_AUTO_JSON *read = NULL;
    const struct reembed_report report = {.rows_updated = 1234567,
                                          .duration_secs = 61.5,
                                          .index_rebuild_secs = 2.25,
                                          .rows_embedded = 1234567,
                                          .approach = "rewrite",
                                          .target = {.name = "builtin/m", .dimension = 8, .hash = "h"}};
    struct tn_json out = tn_json_writer(&json);
    (void)state;
    reembed_report_text(&report, &text);
    assert_non_null(strstr(text.data, "1,234,567 rows updated in 1m 1s, index rebuilt in 2.2"));
    reembed_report_json(&report, &out);
    assert_int_equal(tn_json_parse(json.data, json.len, json.len, "report", &read, NULL), TN_OK);
    assert_int_equal(json_integer_value(json_object_get(read, "rows_updated")), 1234567);
    assert_float_equal(json_real_value(json_object_get(read, "duration_secs")), 61.5, 0);
    assert_float_equal(json_real_value(json_object_get(read, "index_rebuild_secs")), 2.25, 0);
}

static void previews_have_the_requirements_fields(void **state)
{
    static const char *const keys[] = {"rows_to_update",    "embedder_batches", "estimated_walltime_secs",
                                       "current_signature", "target_signature", "would_alter_typmod"};
    TN_AUTO_BUF text = {0}, json = {0};
    TN_AUTO_JSON *read = NULL;
    const struct reembed_preview preview = {.rows_to_update = 50,
                                            .embedder_batches = 1,
                                            .estimated_walltime_secs = 31,
                                            .current = {.name = "old", .dimension = 64, .hash = "x"},
                                            .target = {.name = "new", .dimension = 128, .hash = "y"},
                                            .has_current = true,
                                            .would_alter_typmod = true,
                                            .server = "h:1/d",
                                            .table = "public.t",
                                            .column_type = "vector(64)",
                                            .target_type = "vector(128)",
                                            .approach = "rewrite",
                                            .rate_source = "assumed"};
    struct tn_json out = tn_json_writer(&json);
    (void)state;
    reembed_preview_text(&preview, &text);
    assert_non_null(strstr(text.data, "vector(64) becomes vector(128)"));
    assert_non_null(strstr(text.data, "Nothing was written."));
    reembed_preview_json(&preview, &out);
    assert_int_equal(tn_json_parse(json.data, json.len, json.len, "preview", &read, NULL), TN_OK);
    for (size_t i = 0; i < TN_COUNT(keys); i++)
        assert_non_null(json_object_get(read, keys[i]));
    assert_string_equal(json_string_value(json_object_get(json_object_get(read, "current_signature"), "name")),
                        "old");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_requirements),
        cmocka_unit_test(plans_that_cannot_be_are_refused),
        cmocka_unit_test(modes_have_words),
        cmocka_unit_test(signatures_tell_models_apart),
        cmocka_unit_test(the_registry_is_believed_as_far_as_the_column_bears_it_out),
        cmocka_unit_test(definitions_change_their_operators),
        cmocka_unit_test(names_are_cut_at_the_first_dot),
        cmocka_unit_test(reports_say_the_three_figures),
        cmocka_unit_test(previews_have_the_requirements_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
