/* Files: reading, replacing, trees, locks. */
#include "base/test_support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void read_whole_files(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/file", (char *)*state);
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < TN_COUNT(sizes); i++) {
        TN_AUTO_FREE char *bytes = tn_malloc(sizes[i] + 1);
        memset(bytes, 'a' + (int)i, sizes[i] + 1);
        assert_ok(tn_file_replace(path, bytes, sizes[i], 0640, &test_err));
        TN_AUTO_BUF got = {0};
        tn_buf_puts(&got, "kept");
        assert_ok(tn_file_read(path, sizes[i], &got, &test_err));
        assert_int_equal(got.len, sizes[i] + 4);
        assert_memory_equal(got.data + 4, bytes, sizes[i]);
        assert_int_equal(got.data[got.len], '\0');
        if (sizes[i] == 0)
            continue;
        struct tn_error err = {0};
        assert_int_equal(tn_file_read(path, sizes[i] - 1, &got, &err), TN_ETOOLARGE);
        assert_int_equal(got.len, sizes[i] + 4);
        assert_non_null(strstr(err.detail, path));
    }
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void read_failures(void **state)
{
    TN_AUTO_BUF got = {0};
    TN_AUTO_FREE char *absent = tn_asprintf("%s/absent", (char *)*state);
    struct tn_error err = {0};
    assert_int_equal(tn_file_read(absent, 10, &got, &err), TN_ENOTFOUND);
    assert_non_null(strstr(err.detail, absent));
    assert_int_equal(tn_file_read(*state, 10, &got, &err), TN_EIO); /* a folder */
    assert_int_equal(got.len, 0);
    /* Sizes of files in /proc are 0. */
    assert_ok(tn_file_read("/proc/self/status", 1 << 20, &got, &test_err));
    assert_true(got.len > 100);
}

static size_t count_entries(const char *folder)
{
    TN_AUTO_FREE char *command = tn_asprintf("ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    unsigned count = 999;
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%u", &count), 1);
    (void)pclose(pipe);
    return count;
}

static void replace_is_all_or_nothing(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/file", (char *)*state);
    TN_AUTO_FREE char *folder = tn_asprintf("%s/folder", (char *)*state);
    assert_ok(tn_file_replace(path, "old", 3, 0600, &test_err));
    assert_ok(tn_file_replace(path, "new", 3, 0600, &test_err));
    assert_int_equal(count_entries(*state), 1);
    /* A folder in its place: refused, and no temporary file stays. */
    assert_int_equal(mkdir(folder, 0755), 0);
    struct tn_error err = {0};
    assert_int_equal(tn_file_replace(folder, "new", 3, 0600, &err), TN_EIO);
    assert_int_equal(count_entries(*state), 2);
    TN_AUTO_FREE char *nowhere = tn_asprintf("%s/no/file", (char *)*state);
    assert_int_equal(tn_file_replace(nowhere, "new", 3, 0600, &err), TN_ENOTFOUND);
}

static void pread_checks(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/file", (char *)*state);
    assert_ok(tn_file_replace(path, "0123456789", 10, 0600, &test_err));
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char out[8] = "";
    assert_ok(tn_pread_all(fd, out, 3, 7, path, &test_err));
    assert_string_equal(out, "789");
    assert_ok(tn_pread_all(fd, out, 0, 10, path, &test_err));
    struct tn_error err = {0};
    assert_int_equal(tn_pread_all(fd, out, 4, 7, path, &err), TN_ECORRUPT);
    assert_non_null(strstr(err.detail, "byte 10"));
    assert_int_equal(tn_pread_all(fd, out, 1, UINT64_MAX, path, &err), TN_ECORRUPT);
    assert_int_equal(tn_write_all(fd, "x", 1, path, &err), TN_EIO); /* opened for reading */
    assert_int_equal(tn_pread_all(-1, out, 1, 0, path, &err), TN_EIO);
    assert_ok(tn_fsync_fd(fd, path, &test_err));
    assert_int_equal(tn_fsync_dir(path, &err), TN_EIO);
    assert_ok(tn_fsync_dir(*state, &test_err));
}

static void full_device(void **state)
{
    (void)state;
    TN_AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    struct tn_error err = {0};
    assert_int_equal(tn_write_all(fd, "x", 1, "/dev/full", &err), TN_EDISKFULL);
    assert_true(err.hint[0] != '\0');
}

static void folders(void **state)
{
    const char *root = *state;
    TN_AUTO_FREE char *deep = tn_asprintf("%s/a//b/c/", root);
    TN_AUTO_FREE char *below_file = tn_asprintf("%s/a/file/x", root);
    TN_AUTO_FREE char *file = tn_asprintf("%s/a/file", root);
    TN_AUTO_FREE char *top = tn_asprintf("%s/a", root);
    assert_ok(tn_mkdirs(deep, 0755, &test_err));
    assert_ok(tn_mkdirs(deep, 0755, &test_err));
    assert_ok(tn_mkdirs("/", 0755, &test_err));
    assert_int_equal(tn_mkdirs("", 0755, NULL), TN_ENOTFOUND);
    assert_ok(tn_file_replace(file, "x", 1, 0600, &test_err));
    struct tn_error err = {0};
    assert_int_equal(tn_mkdirs(below_file, 0755, &err), TN_EIO);
    assert_non_null(strstr(err.detail, file));
    assert_int_equal(tn_mkdirs(file, 0755, &err), TN_EIO);

    /* Links are removed, what they lead to is not. */
    TN_AUTO_FREE char *outside = tn_asprintf("%s/outside", root);
    TN_AUTO_FREE char *kept = tn_asprintf("%s/outside/kept", root);
    TN_AUTO_FREE char *link = tn_asprintf("%s/a/b/link", root);
    assert_ok(tn_mkdirs(outside, 0755, &test_err));
    assert_ok(tn_file_replace(kept, "x", 1, 0600, &test_err));
    assert_int_equal(symlink(outside, link), 0);
    assert_ok(tn_remove_tree(top, &test_err));
    assert_int_equal(access(top, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_ok(tn_remove_tree(top, &test_err)); /* missing is fine */
    assert_ok(tn_remove_tree(kept, &test_err));
    assert_int_equal(access(kept, F_OK), -1);
}

static void paths(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    assert_string_equal(tn_path_join(arena, "a", "b"), "a/b");
    assert_string_equal(tn_path_join(arena, "a/", "b"), "a/b");
    assert_string_equal(tn_path_join(arena, "/", "b"), "/b");
    assert_string_equal(tn_path_join(arena, "", "b"), "b");
    char *real = NULL;
    assert_int_equal(tn_path_real(arena, "/no/such/path", &real, NULL), TN_ENOTFOUND);
    assert_null(real);
    TN_AUTO_FREE char *link = tn_asprintf("%s/link", (char *)*state);
    assert_int_equal(symlink("/", link), 0);
    assert_ok(tn_path_real(arena, link, &real, &test_err));
    assert_string_equal(real, "/");
}

static void locks(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_FREE char *path = tn_asprintf("%s/lock", (char *)*state);
    int fd = -1, other = -1;
    char *holder = NULL;
    assert_ok(tn_file_replace(path, "a longer text of somebody before", 32, 0600, &test_err));
    assert_ok(tn_lock_file(path, "server 42\n", arena, &fd, &holder, &test_err));
    assert_true(fd >= 0 && !holder);
    struct tn_error err = {0};
    assert_int_equal(tn_lock_file(path, "second", arena, &other, &holder, &err), TN_ELOCKED);
    assert_string_equal(holder, "server 42");
    assert_int_equal(other, -1);
    assert_non_null(strstr(err.detail, "server 42"));
    assert_true(err.hint[0] != '\0');
    (void)close(fd);
    assert_ok(tn_lock_file(path, "third", arena, &other, &holder, &test_err));
    (void)close(other);
    /* The system lets go of it when the holder dies. */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(tn_lock_file(path, "child", arena, &other, &holder, NULL) == TN_OK ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_ok(tn_lock_file(path, "after", arena, &fd, &holder, &test_err));
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(read_whole_files),
        FOLDER_TEST(read_failures),
        FOLDER_TEST(replace_is_all_or_nothing),
        FOLDER_TEST(pread_checks),
        FOLDER_TEST(full_device),
        FOLDER_TEST(folders),
        FOLDER_TEST(paths),
        FOLDER_TEST(locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
