/* Preloaded into the server by tests: system calls that fail as real ones do.
 *
 * TARN_TEST_SHIM names a file of lines, read again whenever it changes:
 *
 *     fsync EIO PART        calls on files whose path contains PART fail
 *     fsync EIO PART$       on files whose path ends with PART
 *     fsync EIO PART 3      the third of them and all that follow
 *     write ENOSPC PART     (writes: a part of the bytes is taken first)
 *     write SHORT PART      at most 1000 bytes of each write are taken
 *     write HOLD PART       they wait for as long as the rule is there
 *     link EIO PART, rename EIO PART, unlink EIO PART, read EIO PART
 *     CALL COUNT PART       nothing fails
 *     link STOP PART        the process is stopped (SIGSTOP) right before
 *     clock -86400          the wall clock is that many seconds off
 *
 * Each call that a rule meant makes "<file>.hits" longer by a byte, so that a
 * test sees that something was injected (the clock: once per rule).
 *
 * Never installed, never linked into anything. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RULES = 8 };

struct rule {
    char call[16], error[16], part[200];
    long from, seen;
};

static struct {
    pthread_mutex_t lock;
    struct timespec changed;
    ino_t inode;
    struct rule rules[MOST_RULES];
    size_t count;
    long clock_off;
    bool clock_told;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static void tell_hit(void)
{
    char path[4096];
    const char *rules = getenv("TARN_TEST_SHIM");
    (void)snprintf(path, sizeof path, "%s.hits", rules ? rules : "");
    int fd = rules ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || REAL(write)(fd, ".", 1) != 1)
        abort();
    (void)close(fd);
}

static void read_rules(const char *path)
{
    char line[256];
    FILE *file = fopen(path, "re");
    state.count = 0;
    state.clock_off = 0;
    state.clock_told = false;
    while (file && fgets(line, sizeof line, file) && state.count < MOST_RULES) {
        struct rule *rule = &state.rules[state.count];
        memset(rule, 0, sizeof *rule);
        if (sscanf(line, "clock %ld", &state.clock_off) == 1)
            continue;
        if (sscanf(line, "%15s %15s %199s %ld", rule->call, rule->error, rule->part, &rule->from) >= 2)
            state.count++;
    }
    if (file)
        (void)fclose(file);
}

/* The lock is held. */
static void look_again(void)
{
    const char *path = getenv("TARN_TEST_SHIM");
    struct stat info;
    if (!path || stat(path, &info) != 0) {
        state.count = 0;
        state.clock_off = 0;
        state.inode = 0;
        return;
    }
    if (info.st_ino == state.inode && info.st_mtim.tv_sec == state.changed.tv_sec &&
        info.st_mtim.tv_nsec == state.changed.tv_nsec)
        return;
    state.inode = info.st_ino;
    state.changed = info.st_mtim;
    read_rules(path);
}

static bool means(const struct rule *rule, const char *path)
{
    size_t part = strlen(rule->part), length = strlen(path);
    if (part == 0 || rule->part[part - 1] != '$')
        return strstr(path, rule->part) != NULL;
    part--;
    return length >= part && strncmp(path + length - part, rule->part, part) == 0;
}

/* The word of the rule for this call on this path; false when there is none. */
static bool rule_for(const char *call, const char *path, char word[16])
{
    bool found = false;
    (void)pthread_mutex_lock(&state.lock);
    int before = errno;
    look_again();
    errno = before;
    for (size_t i = 0; i < state.count && !found; i++) {
        struct rule *rule = &state.rules[i];
        if (strcmp(rule->call, call) != 0 || !means(rule, path) || ++rule->seen < rule->from)
            continue;
        tell_hit();
        found = strcmp(rule->error, "COUNT") != 0;
        memcpy(word, rule->error, 16);
    }
    errno = before;
    (void)pthread_mutex_unlock(&state.lock);
    return found;
}

/* Whether a look at the file's path is worth while. */
static bool has_rules(void)
{
    (void)pthread_mutex_lock(&state.lock);
    int before = errno;
    look_again();
    errno = before;
    bool has = state.count > 0;
    (void)pthread_mutex_unlock(&state.lock);
    return has;
}

static bool rule_for_fd(const char *call, int fd, char word[16])
{
    char link[64], path[4096];
    if (fd <= 2 || !has_rules())
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/')
        return false;
    path[length] = '\0';
    return rule_for(call, path, word);
}

static int number_of(const char *word)
{
    return strcmp(word, "ENOSPC") == 0 ? ENOSPC : strcmp(word, "EROFS") == 0 ? EROFS : EIO;
}

static int refuse(const char *word)
{
    errno = number_of(word);
    return -1;
}

/* How many bytes a write may take; 0: it fails. */
static size_t room(int fd, size_t count, char word[16])
{
    static __thread int calls;
    bool meant = rule_for_fd("write", fd, word);
    for (; meant && strcmp(word, "HOLD") == 0; meant = rule_for_fd("write", fd, word))
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (!meant)
        return count;
    if (strcmp(word, "SHORT") == 0)
        return count < 1000 ? count : 1000;
    /* Every second one takes something, as a disk does that fills up. */
    return ++calls % 2 && count > 1 ? count / 2 : 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    char word[16];
    size_t taken = count ? room(fd, count, word) : 0;
    return count && !taken ? refuse(word) : REAL(write)(fd, bytes, taken);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    char word[16];
    size_t taken = count ? room(fd, count, word) : 0;
    return count && !taken ? refuse(word) : REAL(pwrite)(fd, bytes, taken, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset)
{
    return pwrite(fd, bytes, count, offset);
}

int fsync(int fd)
{
    char word[16];
    return rule_for_fd("fsync", fd, word) ? refuse(word) : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    char word[16];
    return rule_for_fd("fsync", fd, word) ? refuse(word) : REAL(fdatasync)(fd);
}

ssize_t read(int fd, void *bytes, size_t count)
{
    char word[16];
    return rule_for_fd("read", fd, word) ? refuse(word) : REAL(read)(fd, bytes, count);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
    char word[16];
    return rule_for_fd("read", fd, word) ? refuse(word) : REAL(pread)(fd, bytes, count, offset);
}

ssize_t pread64(int fd, void *bytes, size_t count, off_t offset)
{
    return pread(fd, bytes, count, offset);
}

/* What a hardened build calls. */
ssize_t __read_chk(int fd, void *bytes, size_t count, size_t room_there);
ssize_t __pread_chk(int fd, void *bytes, size_t count, off_t offset, size_t room_there);
ssize_t __pread64_chk(int fd, void *bytes, size_t count, off_t offset, size_t room_there);

ssize_t __read_chk(int fd, void *bytes, size_t count, size_t room_there)
{
    if (count > room_there)
        abort();
    return read(fd, bytes, count);
}

ssize_t __pread_chk(int fd, void *bytes, size_t count, off_t offset, size_t room_there)
{
    if (count > room_there)
        abort();
    return pread(fd, bytes, count, offset);
}

ssize_t __pread64_chk(int fd, void *bytes, size_t count, off_t offset, size_t room_there)
{
    return __pread_chk(fd, bytes, count, offset, room_there);
}

int link(const char *from, const char *to)
{
    char word[16];
    if (!rule_for("link", to, word))
        return REAL(link)(from, to);
    if (strcmp(word, "STOP") != 0)
        return refuse(word);
    (void)raise(SIGSTOP);
    return REAL(link)(from, to);
}

int rename(const char *from, const char *to)
{
    char word[16];
    return rule_for("rename", to, word) ? refuse(word) : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    char word[16];
    return rule_for("unlink", path, word) ? refuse(word) : REAL(unlink)(path);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    char word[16];
    return rule_for("rename", to, word) ? refuse(word) : REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int result = REAL(clock_gettime)(clock, ret);
    if (clock != CLOCK_REALTIME || result != 0)
        return result;
    (void)pthread_mutex_lock(&state.lock);
    look_again();
    ret->tv_sec += state.clock_off;
    if (state.clock_off && !state.clock_told)
        tell_hit();
    state.clock_told = state.clock_off != 0;
    (void)pthread_mutex_unlock(&state.lock);
    return result;
}
