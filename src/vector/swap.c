/* Another generation takes the active one's place: folded, promoted, or the one
 * before again.
 *
 * Changes that it does not have are carried over from the logs into its own,
 * most of them without holding writers up, the last few under the write lock.
 * The order of durable steps is: generation file, log, active pointer; a crash
 * between any two leaves the old state.
 *
 * Every change has a number, one more than the one before and never reused, and
 * a generation says the last one that it includes. So it is the same thing
 * whichever generation comes: its own log, plus the changes that only the logs
 * of others have. Several may be needed: what was changed since a generation
 * was built may lie in the logs of all that were active meanwhile.
 */
#include "vector/index.h"

#include "base/fault.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the files of a folder ---- */

bool index_file_number(const char *name, uint64_t *ret, bool *ret_log)
{
    unsigned long long number = 0;
    int used = 0;
    bool log = sscanf(name, "delta-%llu.log%n", &number, &used) == 1 && used > 0 && name[used] == '\0';
    if (log || (sscanf(name, "generation-%llu.tvg%n", &number, &used) == 1 && used > 0 && name[used] == '\0') ||
        (sscanf(name, "generation-%llu.tvg.tmp%n", &number, &used) == 1 && used > 0 && name[used] == '\0')) {
        *ret = number;
        *ret_log = log;
        return true;
    }
    return false;
}

enum tn_code index_next_number(struct vector_index *index, uint64_t *ret, struct tn_error *err)
{
    uint64_t active, previous, number;
    bool log;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    uint64_t most = TN_MAX(active, previous);
    DIR *folder = opendir(index->path);
    if (!folder)
        return tn_fail_errno(err, errno, "cannot list %s", index->path);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (index_file_number(entry->d_name, &number, &log))
            most = TN_MAX(most, number);
    (void)closedir(folder);
    *ret = most + 1;
    return TN_OK;
}

/* ---- carrying changes from one log to another ---- */

struct carrying {
    struct index_state *to;
    uint64_t carried;
};

static enum tn_code carry_record(void *context, const struct delta_record *record, struct tn_error *err)
{
    struct carrying *c = context;
    /* One that is further on: another log has those between. */
    if (record->change != c->to->last_change + 1)
        return TN_OK;
    uint64_t end;
    TN_TRY(delta_log_append(c->to->log, record, &end, err));
    c->carried++;
    return state_apply(c->to, record, err);
}

/* Every change of log `number` that `to` lacks next. No log: no changes. */
static enum tn_code carry(struct vector_index *index, uint64_t number, struct carrying *c, struct tn_error *err)
{
    TN_AUTO_FREE char *path = index_log_path(index->path, number);
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return TN_OK;
    if (fd < 0 || fstat(fd, &st) != 0)
        return tn_fail_errno(err, errno, "cannot read %s", path);
    if (st.st_size == 0)
        return TN_OK;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map %s", path);
    size_t whole;
    enum tn_code code =
        delta_log_replay(map, (size_t)st.st_size, path, c->to->generation->space.dims, carry_record, c, &whole, err);
    (void)munmap(map, (size_t)st.st_size);
    return code;
}

/* Once over all logs but its own. */
static enum tn_code carry_from_each(struct vector_index *index, struct carrying *c, struct tn_error *err)
{
    uint64_t number;
    bool log;
    DIR *folder = opendir(index->path);
    if (!folder)
        return tn_fail_errno(err, errno, "cannot list %s", index->path);
    enum tn_code code = TN_OK;
    for (struct dirent *entry; code == TN_OK && (entry = readdir(folder));)
        if (index_file_number(entry->d_name, &number, &log) && log && number != c->to->number)
            code = carry(index, number, c, err);
    (void)closedir(folder);
    return code;
}

/* Until no log has the next change. Usually the active one has them all. */
static enum tn_code catch_up(struct vector_index *index, uint64_t active, struct index_state *to,
                             struct tn_error *err)
{
    struct carrying c = {.to = to};
    TN_TRY(carry(index, active, &c, err));
    struct index_state *from = atomic_load(&index->state);
    (void)pthread_mutex_lock(&index->write_lock);
    uint64_t wanted = from->last_change;
    (void)pthread_mutex_unlock(&index->write_lock);
    do {
        c.carried = 0;
        if (to->last_change < wanted)
            TN_TRY(carry_from_each(index, &c, err));
    } while (c.carried > 0);
    if (to->last_change >= wanted)
        return TN_OK;
    tn_fail(err, TN_ECONFLICT, "generation %llu lacks changes whose log is gone", (unsigned long long)to->number);
    tn_error_hint(err, "build it again from the rows of today");
    return TN_ECONFLICT;
}

/* Under write_lock: the last few, and both files durable. */
static enum tn_code finish(struct vector_index *index, const struct index_state *from, struct index_state *to,
                           struct tn_error *err)
{
    struct carrying c = {.to = to};
    TN_TRY(carry(index, from->number, &c, err));
    TN_TRY(delta_log_sync(to->log, delta_log_size(to->log), err));
    TN_FAULT("vector.promote.before_pointer");
    TN_TRY(index_active_write(index->path, to->number, from->number, err));
    TN_FAULT("vector.promote.after_pointer");
    return TN_OK;
}

enum tn_code index_promote_state(struct vector_index *index, struct index_state **to, struct tn_error *err)
{
    struct index_state *from = atomic_load(&index->state);
    TN_TRY(catch_up(index, from->number, *to, err));
    TN_TRY(delta_log_sync((*to)->log, delta_log_size((*to)->log), err)); /* most of it, unhurried */
    (void)pthread_mutex_lock(&index->write_lock);
    enum tn_code code = finish(index, from, *to, err);
    if (code == TN_OK)
        index_swap(index, TN_TAKE(*to));
    (void)pthread_mutex_unlock(&index->write_lock);
    return code;
}

/* ---- promotion, and back ---- */

static enum tn_code promote_locked(struct vector_index *index, uint64_t number, struct tn_error *err)
{
    uint64_t active, previous;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    if (number == active)
        return TN_OK;
    TN_AUTO_FREE char *path = index_generation_path(index->path, number);
    if (number == 0 || number == index->building || access(path, F_OK) != 0)
        return tn_fail(err, TN_ENOTFOUND, "there is no generation %llu", (unsigned long long)number);
    TN_CLEANUP(state_free_p) struct index_state *state = NULL;
    TN_TRY(state_open(index, number, &state, err));
    return index_promote_state(index, &state, err);
}

static enum tn_code rollback_locked(struct vector_index *index, struct tn_error *err)
{
    uint64_t active, previous;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    if (previous == 0)
        return tn_fail(err, TN_ENOTFOUND, "there is no previous generation to go back to");
    return promote_locked(index, previous, err);
}

static enum tn_code check_writable(const struct vector_index *index, struct tn_error *err)
{
    return index->read_only ? tn_fail(err, TN_EREADONLY, "the index is open read-only") : TN_OK;
}

enum tn_code vector_index_promote(struct vector_index *index, uint64_t number, struct tn_error *err)
{
    TN_TRY(check_writable(index, err));
    (void)pthread_mutex_lock(&index->swap_lock);
    enum tn_code code = promote_locked(index, number, err);
    (void)pthread_mutex_unlock(&index->swap_lock);
    return code;
}

enum tn_code vector_index_rollback(struct vector_index *index, struct tn_error *err)
{
    TN_TRY(check_writable(index, err));
    (void)pthread_mutex_lock(&index->swap_lock);
    enum tn_code code = rollback_locked(index, err);
    (void)pthread_mutex_unlock(&index->swap_lock);
    return code;
}
