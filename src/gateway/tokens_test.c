#include "gateway/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static char *path_of(struct tn_arena *arena)
{
    return tn_path_join(arena, folder, "tokens.json");
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tarn_tokens_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return tn_remove_tree(folder, NULL) == TN_OK ? 0 : -1;
}

static void test_life(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(tokens_close_p) struct tokens *tokens = NULL;
    struct tn_error err = {0};
    struct token_identity who = {0}, seen = {0};
    char token[TOKEN_TEXT];
    assert_int_equal(tokens_open(path_of(arena), &tokens, &err), TN_OK);
    assert_int_equal(tokens_count(tokens), 0);
    assert_int_equal(tokens_add(tokens, "laptop", &who, token, &err), TN_OK);
    assert_false(tokens_recall(tokens, token, &seen));
    assert_int_equal(tokens_check(tokens, token, &seen, &err), TN_OK);
    assert_string_equal(seen.name, "laptop");
    assert_true(tokens_recall(tokens, token, &seen));

    struct stat st;
    assert_int_equal(stat(path_of(arena), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    TN_AUTO_BUF text = {0};
    assert_int_equal(tn_file_read(path_of(arena), 100000, &text, &err), TN_OK);
    assert_null(strstr(text.data, token));
    assert_null(strstr(text.data, token + 14));
    assert_non_null(strstr(text.data, "$argon2id$"));

    tokens_close(TN_TAKE(tokens));
    assert_int_equal(tokens_open(path_of(arena), &tokens, &err), TN_OK);
    assert_int_equal(tokens_count(tokens), 1);
    assert_int_equal(tokens_check(tokens, token, &seen, &err), TN_OK);
    assert_int_equal(tokens_revoke(tokens, "00000000", &err), TN_ENOTFOUND);
    assert_int_equal(tokens_revoke(tokens, who.id, &err), TN_OK);
    assert_false(tokens_recall(tokens, token, &seen));
    assert_int_equal(tokens_check(tokens, token, &seen, &err), TN_EUNAUTHORIZED);
}

static void test_wrong(void **state)
{
    (void)state;
    TN_CLEANUP(tokens_close_p) struct tokens *tokens = NULL;
    struct tn_error err = {0};
    struct token_identity who = {0}, seen = {0};
    char token[TOKEN_TEXT];
    assert_int_equal(tokens_open(NULL, &tokens, &err), TN_OK);
    assert_int_equal(tokens_add(tokens, "a", &who, token, &err), TN_OK);
    static const char *const bad[] = {"", "x", "tarn_", "tarn_12345678", "tarn_1234_x", "tarn_zzzzzzzz_x"};
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        assert_int_equal(tokens_check(tokens, bad[i], &seen, &err), TN_EUNAUTHORIZED);
    char wrong[TOKEN_TEXT];
    memcpy(wrong, token, sizeof wrong);
    wrong[20] = wrong[20] == 'a' ? 'b' : 'a';
    for (int i = 0; i < 10; i++)
        assert_int_equal(tokens_check(tokens, wrong, &seen, &err), TN_EUNAUTHORIZED);
    assert_int_equal(tokens_check(tokens, wrong, &seen, &err), TN_EBUSY);
    assert_int_equal(tokens_add(tokens, "", &who, token, &err), TN_EREQUEST);
    assert_int_equal(tokens_add(tokens, "a\nb", &who, token, &err), TN_EREQUEST);
}

static void test_sessions(void **state)
{
    (void)state;
    TN_CLEANUP(tokens_close_p) struct tokens *tokens = NULL;
    struct tn_error err = {0};
    struct token_identity who = {0}, seen = {0};
    char token[TOKEN_TEXT], session[TOKEN_SESSION_TEXT];
    assert_int_equal(tokens_open(NULL, &tokens, &err), TN_OK);
    assert_int_equal(tokens_add(tokens, "a", &who, token, &err), TN_OK);
    assert_int_equal(tokens_session_make(tokens, &who, 3600, session, &err), TN_OK);
    assert_true(tokens_session_recall(tokens, session, &seen));
    assert_string_equal(seen.id, who.id);
    session[10] = session[10] == '9' ? '8' : '9'; /* a later or earlier expiry */
    assert_false(tokens_session_recall(tokens, session, &seen));
    assert_int_equal(tokens_session_make(tokens, &who, -5, session, &err), TN_OK);
    assert_false(tokens_session_recall(tokens, session, &seen));
    assert_false(tokens_session_recall(tokens, "", &seen));
    assert_false(tokens_session_recall(tokens, "a.b", &seen));
    assert_int_equal(tokens_session_make(tokens, &who, 3600, session, &err), TN_OK);
    assert_int_equal(tokens_revoke(tokens, who.id, &err), TN_OK);
    assert_false(tokens_session_recall(tokens, session, &seen));
}

static void test_local(void **state)
{
    (void)state;
    TN_CLEANUP(tokens_close_p) struct tokens *tokens = NULL;
    TN_AUTO_BUF list = {0};
    struct tn_error err = {0};
    struct token_identity seen = {0};
    char token[TOKEN_TEXT];
    assert_int_equal(tokens_open(NULL, &tokens, &err), TN_OK);
    assert_int_equal(tokens_add_local(tokens, "this machine", token, &err), TN_OK);
    assert_true(tokens_recall(tokens, token, &seen));
    assert_int_equal(tokens_count(tokens), 0);
    struct tn_json json = tn_json_writer(&list);
    tokens_list(tokens, &json);
    assert_string_equal(list.data, "[]");
    assert_int_equal(tokens_revoke(tokens, seen.id, &err), TN_ENOTFOUND);
    token[30] = token[30] == 'a' ? 'b' : 'a';
    assert_int_equal(tokens_check(tokens, token, &seen, &err), TN_EUNAUTHORIZED);
}

static void test_file_refused(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    struct tokens *tokens = NULL;
    static const struct {
        const char *text;
        mode_t mode;
    } cases[] = {
        {"{\"version\":1,\"tokens\":[]}", 0644},
        {"{\"version\":2,\"tokens\":[]}", 0600},
        {"{\"version\":1,\"tokens\":[{}]}", 0600},
        {"{\"version\":1}", 0600},
        {"not json", 0600},
        {"", 0600},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        char *path = path_of(arena);
        assert_int_equal(tn_file_replace(path, cases[i].text, strlen(cases[i].text), cases[i].mode, &err), TN_OK);
        assert_int_not_equal(tokens_open(path, &tokens, &err), TN_OK);
        assert_null(tokens);
        assert_non_null(strstr(err.detail, "tokens.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),  cmocka_unit_test(test_wrong),        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_local), cmocka_unit_test(test_file_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
