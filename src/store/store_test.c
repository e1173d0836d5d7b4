/* Keys, URIs, single objects. */
#include "store/test_support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void keys(void **state)
{
    (void)state;
    char long_part[300], long_key[1100];
    memset(long_part, 'p', 256);
    long_part[256] = '\0';
    memset(long_key, 'k', sizeof long_key);
    for (size_t i = 100; i < sizeof long_key; i += 100)
        long_key[i] = '/';
    long_key[1025] = '\0';
    const struct {
        const char *key;
        bool good;
    } cases[] = {
        {"a", true},           {"a/b/c.parquet", true}, {"datasets/ärger/1", true},
        {".hidden", true},     {"a/.staging/b", true},  {"...", true},
        {"a b", true},         {"_errors/x", true},     {"", false},
        {"/a", false},         {"a/", false},           {"a//b", false},
        {".", false},          {"a/..", false},         {"../a", false},
        {"a/./b", false},      {"a\nb", false},         {"a\x7F", false},
        {"a\xFF", false},      {"\xED\xA0\x80", false}, {".staging", false},
        {".staging/x", false}, {long_part, false},      {long_key, false},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct tn_error err = {0};
        enum tn_code code = store_check_key(cases[i].key, &err);
        if (code != (cases[i].good ? TN_OK : TN_EREQUEST))
            fail_msg("key %zu (%.20s): %s", i, cases[i].key, tn_code_word(code));
        assert_int_equal(cases[i].good, err.hint[0] == '\0');
    }
    long_part[255] = '\0';
    assert_int_equal(store_check_key(long_part, NULL), TN_OK);
    long_key[1024] = '\0';
    assert_int_equal(store_check_key(long_key, NULL), TN_OK);
}

static void bad_keys_everywhere(void **state)
{
    struct fixture *f = *state;
    TN_AUTO_BUF out = {0};
    uint64_t size = 7;
    bool there = true;
    char *path = NULL;
    char byte = 'x';
    struct store *s = f->store;
    assert_int_equal(store_put(s, "../x", "", 0, NULL), TN_EREQUEST);
    assert_int_equal(store_create(s, "../x", "", 0, NULL), TN_EREQUEST);
    assert_int_equal(store_put_file(s, "../x", "/etc/hostname", NULL), TN_EREQUEST);
    assert_int_equal(store_get(s, "../x", 10, &out, NULL), TN_EREQUEST);
    assert_int_equal(store_read(s, "../x", 0, 1, &byte, NULL), TN_EREQUEST);
    assert_int_equal(store_head(s, "../x", &size, NULL), TN_EREQUEST);
    assert_int_equal(store_exists(s, "../x", &there, NULL), TN_EREQUEST);
    assert_int_equal(store_local_path(s, f->arena, "../x", &path, NULL), TN_EREQUEST);
    assert_int_equal(store_delete(s, "../x", NULL), TN_EREQUEST);
    assert_int_equal(store_list(s, "../", NULL, NULL, NULL), TN_EREQUEST);
    assert_int_equal(store_list(s, "/", NULL, NULL, NULL), TN_EREQUEST);
    assert_true(size == 7 && there && !path && byte == 'x' && !out.data);
}

static void uris(void **state)
{
    struct fixture *f = *state;
    char *uri = store_uri(f->store, f->arena, "datasets/d/1.parquet");
    char *want = tn_arena_printf(f->arena, "file://%s/datasets/d/1.parquet", f->root);
    assert_string_equal(uri, want);
    assert_memory_equal(uri, "file:///tmp/", 12);
    assert_string_equal(store_uri(f->store, f->arena, ""), tn_arena_printf(f->arena, "file://%s", f->root));

    static const char *const schemes[] = {"file://", "file:", "", "file://localhost"};
    for (size_t i = 0; i < TN_COUNT(schemes); i++) {
        char *key = NULL;
        assert_ok(store_key_of_uri(f->store, f->arena, tn_arena_printf(f->arena, "%s%s/a/b", schemes[i], f->root),
                                   &key, &test_err));
        assert_string_equal(key, "a/b");
    }
    const char *outside[] = {
        "file:///etc/passwd",
        "s3://bucket/a",
        "a/b",
        "",
        tn_arena_printf(f->arena, "file://%s", f->root),
        tn_arena_printf(f->arena, "file://%s/", f->root),
        tn_arena_printf(f->arena, "file://%s-other/a", f->root),
        tn_arena_printf(f->arena, "file://%s/../secret", f->root),
        tn_arena_printf(f->arena, "file://%s//a", f->root),
        tn_arena_printf(f->arena, "file://host%s/a", f->root),
        tn_arena_printf(f->arena, "file://%s/.staging/a", f->root),
    };
    for (size_t i = 0; i < TN_COUNT(outside); i++) {
        char *key = NULL;
        struct tn_error err = {0};
        assert_int_equal(store_key_of_uri(f->store, f->arena, outside[i], &key, &err), TN_ENOTFOUND);
        assert_null(key);
        assert_true(err.hint[0] != '\0');
    }
}

static void put_get(void **state)
{
    struct fixture *f = *state;
    assert_absent(f, "a/b");
    assert_ok(store_put(f->store, "a/b", "one", 3, &test_err));
    assert_content(f, "a/b", "one");
    assert_ok(store_put(f->store, "a/b", "second", 6, &test_err));
    assert_content(f, "a/b", "second");
    assert_ok(store_put(f->store, "empty", NULL, 0, &test_err));
    uint64_t size = 9;
    assert_ok(store_head(f->store, "empty", &size, &test_err));
    assert_int_equal(size, 0);
    assert_ok(store_head(f->store, "a/b", &size, &test_err));
    assert_int_equal(size, 6);

    TN_AUTO_BUF buf = {0};
    tn_buf_puts(&buf, "kept:");
    struct tn_error err = {0};
    assert_int_equal(store_get(f->store, "a/b", 5, &buf, &err), TN_ETOOLARGE);
    assert_int_equal(store_get(f->store, "a/none", 5, &buf, &err), TN_ENOTFOUND);
    assert_non_null(strstr(err.detail, "a/none"));
    assert_int_equal(store_get(f->store, "a", 5, &buf, &err), TN_ENOTFOUND);
    assert_int_equal(store_get(f->store, "a/b/c", 5, &buf, &err), TN_ENOTFOUND);
    assert_string_equal(buf.data, "kept:");
    assert_ok(store_get(f->store, "a/b", 6, &buf, &test_err));
    assert_string_equal(buf.data, "kept:second");

    char part[4] = "...";
    assert_ok(store_read(f->store, "a/b", 2, 3, part, &test_err));
    assert_string_equal(part, "con");
    assert_int_equal(store_read(f->store, "a/b", 4, 3, part, &err), TN_ECORRUPT);
    assert_int_equal(store_read(f->store, "a/b", UINT64_MAX, 3, part, &err), TN_ECORRUPT);
    assert_int_equal(store_read(f->store, "none", 0, 3, part, &err), TN_ENOTFOUND);
    assert_int_equal(staged_count(f), 0);
}

static void objects_and_folders(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_put(f->store, "a/b", "x", 1, &test_err));
    struct tn_error err = {0};
    assert_int_equal(store_put(f->store, "a/b/c", "y", 1, &err), TN_ECONFLICT);
    assert_int_equal(store_create(f->store, "a/b/c/d", "y", 1, &err), TN_ECONFLICT);
    assert_non_null(strstr(err.detail, "\"a/b\""));
    assert_int_equal(store_put(f->store, "a", "y", 1, &err), TN_ECONFLICT);
    assert_int_equal(store_create(f->store, "a", "y", 1, &err), TN_ECONFLICT);
    assert_content(f, "a/b", "x");
    assert_int_equal(staged_count(f), 0);
}

static void create_only_once(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_create(f->store, "commits/1", "first", 5, &test_err));
    struct tn_error err = {0};
    assert_int_equal(store_create(f->store, "commits/1", "late", 4, &err), TN_EEXISTS);
    assert_true(err.hint[0] != '\0');
    assert_content(f, "commits/1", "first");
    assert_int_equal(staged_count(f), 0);
}

static void delete_and_prune(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_put(f->store, "a/b/c/1", "x", 1, &test_err));
    assert_ok(store_put(f->store, "a/2", "x", 1, &test_err));
    assert_ok(store_delete(f->store, "a/b/c/1", &test_err));
    assert_ok(store_delete(f->store, "a/b/c/1", &test_err));
    assert_ok(store_delete(f->store, "nowhere/1", &test_err));
    assert_ok(store_delete(f->store, "a", &test_err)); /* a folder is no object */
    assert_content(f, "a/2", "x");
    struct stat info;
    assert_int_equal(stat(tn_arena_printf(f->arena, "%s/a/b", f->root), &info), -1);
    /* The store remembers folders that it made; these are gone again. */
    assert_ok(store_put(f->store, "a/b/c/1", "again", 5, &test_err));
    assert_content(f, "a/b/c/1", "again");
}

static void folder_removed_behind_our_back(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_put(f->store, "a/b/1", "x", 1, &test_err));
    assert_ok(tn_remove_tree(tn_arena_printf(f->arena, "%s/a", f->root), &test_err));
    assert_ok(store_put(f->store, "a/b/1", "y", 1, &test_err));
    assert_ok(tn_remove_tree(tn_arena_printf(f->arena, "%s/a", f->root), &test_err));
    assert_ok(store_create(f->store, "a/b/2", "z", 1, &test_err));
    assert_ok(tn_remove_tree(tn_arena_printf(f->arena, "%s/.staging", f->root), &test_err));
    assert_ok(store_put(f->store, "a/b/3", "z", 1, &test_err));
    assert_content(f, "a/b/2", "z");
}

static void local_paths(void **state)
{
    struct fixture *f = *state;
    char *path = NULL;
    assert_int_equal(store_local_path(f->store, f->arena, "a", &path, NULL), TN_ENOTFOUND);
    assert_int_equal(store_needed_path(f->store, f->arena, "a", &path, &test_err), TN_ECORRUPT);
    assert_non_null(strstr(test_err.detail, "\"a\""));
    assert_null(path);
    assert_ok(store_put(f->store, "a", "bytes", 5, &test_err));
    assert_ok(store_local_path(f->store, f->arena, "a", &path, &test_err));
    assert_ok(store_needed_path(f->store, f->arena, "a", &path, &test_err));
    TN_AUTO_BUF got = {0};
    assert_ok(tn_file_read(path, 100, &got, &test_err));
    assert_string_equal(got.data, "bytes");
}

static void write_file(const char *path, const char *text)
{
    assert_ok(tn_file_replace(path, text, strlen(text), 0644, &test_err));
}

static void put_file(void **state)
{
    struct fixture *f = *state;
    char *path = NULL;
    assert_ok(store_stage_path(f->store, f->arena, ".parquet", &path, &test_err));
    assert_true(tn_str_ends_with(path, ".parquet"));
    char *other = NULL;
    assert_ok(store_stage_path(f->store, f->arena, "", &other, &test_err));
    assert_string_not_equal(path, other);
    assert_int_equal(store_stage_path(f->store, f->arena, "/../x", &other, NULL), TN_EINTERNAL);
    write_file(path, "rows");
    assert_ok(store_put_file(f->store, "d/1.parquet", path, &test_err));
    assert_content(f, "d/1.parquet", "rows");
    assert_int_equal(access(path, F_OK), -1);

    struct tn_error err = {0};
    assert_int_equal(store_put_file(f->store, "d/2", path, &err), TN_ENOTFOUND);
    assert_int_equal(store_put_file(f->store, "d/2", f->root, &err), TN_EREQUEST);
    char *mine = tn_arena_printf(f->arena, "%s/mine", f->folder);
    write_file(mine, "mine");
    assert_int_equal(store_put_file(f->store, "d/1.parquet/x", mine, &err), TN_ECONFLICT);
    assert_int_equal(access(mine, F_OK), 0); /* a failure leaves it to the caller */
    assert_ok(store_put_file(f->store, "d/2", mine, &test_err));
    assert_content(f, "d/2", "mine");
}

static void put_file_from_other_file_system(void **state)
{
    struct fixture *f = *state;
    char name[] = "/dev/shm/tarn-store-test-XXXXXX";
    int fd = mkstemp(name);
    struct stat there, here;
    if (fd < 0 || fstat(fd, &there) != 0 || stat(f->root, &here) != 0 || there.st_dev == here.st_dev) {
        if (fd >= 0) {
            (void)close(fd);
            (void)unlink(name);
        }
        skip();
    }
    assert_int_equal(write(fd, "far away", 8), 8);
    (void)close(fd);
    struct tn_error err = {0};
    assert_ok(store_put(f->store, "d/1", "x", 1, &test_err));
    assert_int_equal(store_put_file(f->store, "d", name, &err), TN_ECONFLICT);
    assert_int_equal(access(name, F_OK), 0);
    assert_ok(store_put_file(f->store, "d/far", name, &test_err));
    assert_int_equal(access(name, F_OK), -1);
    assert_content(f, "d/far", "far away");
    assert_int_equal(staged_count(f), 0);
}

static void staging(void **state)
{
    struct fixture *f = *state;
    char *path = NULL;
    for (int i = 0; i < 3; i++) {
        assert_ok(store_stage_path(f->store, f->arena, ".x", &path, &test_err));
        write_file(path, "left behind");
    }
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_ok(store_stage_path(f->store, f->arena, "", &path, &test_err));
    assert_ok(tn_mkdirs(tn_arena_printf(f->arena, "%s/part", path), 0755, &test_err));
    uint64_t removed = 77;
    assert_ok(store_clean_staging(f->store, 3600 * 1000, &removed, &test_err));
    assert_int_equal(removed, 1);
    assert_ok(store_clean_staging(f->store, 0, &removed, &test_err));
    assert_int_equal(removed, 3);
    assert_ok(store_clean_staging(f->store, 0, &removed, &test_err));
    assert_int_equal(removed, 0);
}

static void opening(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    char *file = tn_arena_printf(f->arena, "%s/file", f->folder);
    write_file(file, "");
    struct tn_error err = {0};
    assert_int_equal(store_open_local(file, &store, &err), TN_EIO);
    assert_null(store);
    assert_non_null(strstr(err.detail, file));
    /* Opened through a link the same objects have the same URIs. */
    char *link = tn_arena_printf(f->arena, "%s/link", f->folder);
    assert_int_equal(symlink(f->root, link), 0);
    assert_ok(store_open_local(link, &store, &test_err));
    assert_string_equal(store_uri(store, f->arena, "k"), store_uri(f->store, f->arena, "k"));
    store_close(store);
    store_close(NULL);
}

static void hint_pays_no_fsync(void **state)
{
    struct fixture *f = *state;
    TN_AUTO_BUF read = {0};
    assert_ok(store_put(f->store, "d/a", "1", 1, &test_err)); /* the folder's own first fsyncs */
    uint64_t before = store_counters(f->store).fsyncs;
    assert_ok(store_put_hint(f->store, "d/hint", "old", 3, &test_err));
    assert_ok(store_put_hint(f->store, "d/hint", "new", 3, &test_err));
    assert_int_equal(store_counters(f->store).fsyncs, before);
    assert_ok(store_get(f->store, "d/hint", 100, &read, &test_err));
    assert_string_equal(read.data, "new");
}

/* What other processes left there is made durable; nothing there is fine. */
static void syncs_a_folder(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_sync_folder(f->store, "not/there", &test_err));
    assert_ok(store_put(f->store, "folder/object", "x", 1, &test_err));
    uint64_t before = store_counters(f->store).fsyncs;
    assert_ok(store_sync_folder(f->store, "folder", &test_err));
    assert_true(store_counters(f->store).fsyncs > before);
    assert_int_equal(store_sync_folder(f->store, "../folder", &test_err), TN_EREQUEST);
    fixture_reopen(f, "eio@folder:folder");
    assert_int_equal(store_sync_folder(f->store, "folder", &test_err), TN_EIO);
    assert_content(f, "folder/object", "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        STORE_TEST(bad_keys_everywhere),
        STORE_TEST(uris),
        STORE_TEST(put_get),
        STORE_TEST(hint_pays_no_fsync),
        STORE_TEST(objects_and_folders),
        STORE_TEST(create_only_once),
        STORE_TEST(delete_and_prune),
        STORE_TEST(folder_removed_behind_our_back),
        STORE_TEST(local_paths),
        STORE_TEST(put_file),
        STORE_TEST(put_file_from_other_file_system),
        STORE_TEST(staging),
        STORE_TEST(opening),
        STORE_TEST(syncs_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
