/* The lake's folder: made, locked, and found again by other processes.
 *
 * The lock is <lake>/tarn.lock and not below state/, which anybody may delete
 * at any time. The run file, state/server.json, is how the command line finds
 * a running server: it holds a token that only this machine's owner of the
 * folder can read and that is worth nothing once the server has stopped. */
#include "gateway/gateway_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_FILE_MAX ((size_t)16 << 10)
/* A process that looks whether the lock is held holds it for an instant. */
#define LOCK_TRIES 4

static const char yaml_text[] =
    "# Configuration of this lake. Every key has a default, so this file may stay as it is.\n"
    "# `tarn config show` prints every key, its value, what it means and where the value came from.\n"
    "#\n"
    "# server:\n"
    "#   port: 7341\n"
    "# sql:\n"
    "#   memory: 50%\n";

static bool is_there(struct tn_arena *arena, const char *folder, const char *name)
{
    struct stat st;
    return stat(tn_path_join(arena, folder, name), &st) == 0;
}

/* tarn.yaml comes last: with it the folder is a lake. */
static enum tn_code make_skeleton(const char *folder, struct tn_arena *arena, bool commented, struct tn_error *err)
{
    TN_TRY(tn_mkdirs(tn_path_join(arena, folder, "buckets/primary"), 0755, err));
    TN_TRY(tn_mkdirs(tn_path_join(arena, folder, "state"), 0700, err));
    if (is_there(arena, folder, "tarn.yaml"))
        return TN_OK;
    return tn_file_replace(tn_path_join(arena, folder, "tarn.yaml"), yaml_text, commented ? strlen(yaml_text) : 0,
                           0644, err);
}

enum tn_code lakedir_prepare(const char *folder, bool create, bool commented, struct tn_arena *arena,
                             const char **ret_absolute, struct tn_error *err)
{
    bool lake = is_there(arena, folder, "buckets/primary") || is_there(arena, folder, "tarn.yaml");
    if (!lake && !create) {
        (void)tn_fail(err, TN_ENOTFOUND, "there is no lake in %s", folder);
        tn_error_hint(err, "`tarn --lake %s init` makes one", folder);
        return TN_ENOTFOUND;
    }
    if (!lake)
        TN_TRY(tn_mkdirs(folder, 0755, err));
    char *absolute = NULL;
    TN_TRY(tn_path_real(arena, folder, &absolute, err));
    TN_TRY(make_skeleton(absolute, arena, commented, err));
    *ret_absolute = absolute;
    return TN_OK;
}

/* ---- the lock ---------------------------------------------------------------- */

static enum tn_code fail_locked(struct gateway *gateway, const char *holder, struct tn_error *err)
{
    char *url = NULL, *token = NULL;
    TN_AUTO_BUF at = {0};
    if (gateway_find(gateway->folder, gateway->arena, &url, &token, NULL) == TN_OK)
        tn_buf_printf(&at, ", which serves it at %s", url);
    (void)tn_fail(err, TN_ELOCKED, "the lake %s is in use by %s%s", gateway->folder,
                  holder && *holder ? holder : "another process", at.data ? at.data : "");
    tn_error_hint(err, at.len > 0 ? "commands find that server by themselves; stop it to serve the lake from here"
                                  : "wait for that process, or stop it");
    return TN_ELOCKED;
}

enum tn_code lakedir_lock(struct gateway *gateway, struct tn_error *err)
{
    char time[TN_TIME_TEXT];
    const char *path = tn_path_join(gateway->arena, gateway->folder, "tarn.lock");
    const char *who = tn_arena_printf(gateway->arena, "process %ld (%s, since %s)", (long)getpid(),
                                      gateway->embedded ? "a tarn command" : "tarn serve",
                                      tn_time_format(tn_now_us() / 1000000 * 1000000, time));
    char *holder = NULL;
    for (int i = 0; i < LOCK_TRIES; i++) {
        enum tn_code code = tn_lock_file(path, who, gateway->arena, &gateway->lock_fd, &holder, err);
        if (code != TN_ELOCKED)
            return code;
        const struct timespec nap = {.tv_nsec = 10000000};
        (void)nanosleep(&nap, NULL);
    }
    return fail_locked(gateway, holder, err);
}

static bool lock_is_held(struct tn_arena *arena, const char *lake)
{
    TN_AUTO_CLOSE int fd = open(tn_path_join(arena, lake, "tarn.lock"), O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/* ---- the run file ------------------------------------------------------------ */

/* Whole or not at all, and without an fsync: it speaks of a process, which no
 * power failure outlives, and nobody is served before it is there. */
static enum tn_code write_whole(const char *path, const struct tn_buf *text, struct tn_error *err)
{
    TN_AUTO_FREE char *other = tn_asprintf("%s.new", path);
    (void)unlink(other);
    TN_AUTO_CLOSE int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot make %s", other);
    TN_TRY(tn_write_all(fd, text->data, text->len, other, err));
    return rename(other, path) == 0 ? TN_OK : tn_fail_errno(err, errno, "cannot make %s", path);
}

enum tn_code lakedir_write_run_file(struct gateway *gateway, const char *path, const char *token,
                                    struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "url", gateway->url);
    tn_json_kstr(&json, "token", token);
    tn_json_ki64(&json, "pid", getpid());
    tn_json_close(&json, '}');
    tn_buf_putc(&text, '\n');
    return write_whole(path, &text, err);
}

void lakedir_remove_run_file(struct gateway *gateway)
{
    (void)unlink(tn_path_join(gateway->arena, gateway->folder, "state/server.json"));
}

static enum tn_code run_file_read(const char *lake, struct tn_arena *arena, char **ret_url, char **ret_token,
                                  int64_t *ret_pid, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *document = NULL;
    const char *url = NULL, *token = NULL;
    const struct tn_json_field fields[] = {
        {.name = "url", .kind = TN_JSON_STRING, .ret = &url, .required = true},
        {.name = "token", .kind = TN_JSON_STRING, .ret = &token, .required = true},
        {.name = "pid", .kind = TN_JSON_INT, .ret = ret_pid, .required = true},
    };
    TN_TRY(tn_file_read(tn_path_join(arena, lake, "state/server.json"), RUN_FILE_MAX, &text, err));
    TN_TRY(tn_json_parse(text.data ? text.data : "", text.len, RUN_FILE_MAX, "server.json", &document, err));
    TN_TRY(tn_json_read(document, "server.json", fields, TN_COUNT(fields), err));
    *ret_url = tn_arena_strdup(arena, url);
    *ret_token = tn_arena_strdup(arena, token);
    return TN_OK;
}

enum tn_code gateway_find(const char *lake, struct tn_arena *arena, char **ret_url, char **ret_token,
                          struct tn_error *err)
{
    char *url = NULL, *token = NULL;
    int64_t pid = 0;
    bool alive = run_file_read(lake, arena, &url, &token, &pid, NULL) == TN_OK && pid > 0 &&
                 (kill((pid_t)pid, 0) == 0 || errno == EPERM) && lock_is_held(arena, lake);
    if (!alive) {
        (void)tn_fail(err, TN_ENOTFOUND, "no server runs on the lake %s", lake);
        tn_error_hint(err, "`tarn --lake %s serve` starts one", lake);
        return TN_ENOTFOUND;
    }
    *ret_url = url;
    *ret_token = token;
    return TN_OK;
}
