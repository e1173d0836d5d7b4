/* disk: a file system in memory that forgets what was not made durable.
 *
 * The store runs on it unchanged: wrap.c puts these functions in the place of
 * the system calls (the linker's --wrap), for paths below DISK_ROOT only. So it
 * is the product's own code, src/store and src/base/fs.c as they are compiled
 * for the server, that decides what is fsynced and in which order.
 *
 * What is remembered, and what may happen to it when the power goes:
 *
 *   bytes    behind the last successful fsync of the file: the file may be
 *            shorter, and each page of 4 KB of the rest may be there, zero, or
 *            cut in the middle, in any combination;
 *   names    made, changed or removed since the last fsync of their folder:
 *            each may be, independently of all others, anything that it was
 *            since then. A rename is two names, in two folders;
 *   fsync    that failed: the pages are clean afterwards and some of them are
 *            lost, and a later fsync succeeds without writing them. (A folder's
 *            names stay undecided until an fsync of it succeeds: they are in a
 *            journal, which a file system does not throw away.)
 *
 * This is weaker than ext4, xfs or btrfs promise, and as weak as POSIX allows.
 * A process that is killed loses nothing but its descriptors.
 *
 * One disk at a time, one thread. A dead disk (disk_is_dead) fails every call
 * with EIO, so the code under test unwinds by its own error paths and nothing
 * that it still does reaches the disk.
 */
#ifndef TARN_TESTS_SIM_DISK_H
#define TARN_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define DISK_ROOT     "/sim"
#define DISK_FIRST_FD (1 << 20)
#define DISK_DEVICE   77

/* Each happens once in so many calls; 0 is never. */
struct disk_faults {
    unsigned read_error;  /* EIO from open, read, stat, listing */
    unsigned write_error; /* EIO from whatever changes something, before it does */
    unsigned late_error;  /* the same from link and rename, after they did */
    unsigned full;        /* ENOSPC */
    unsigned fsync_error; /* EIO, and pages are lost */
    unsigned short_write;
    unsigned interrupted; /* EINTR */
    bool no_links;        /* link(2) is not supported here */
};

/* What the disk does not do although it was asked: shows that a history
 * breaks when the code under test does not ask. */
enum disk_omission {
    DISK_OMITS_NOTHING,
    DISK_OMITS_FOLDER_FSYNC,     /* of all folders */
    DISK_OMITS_NEW_FOLDER_FSYNC, /* of a folder, for the folders in it */
    DISK_OMITS_FILE_FSYNC,       /* of all files */
    DISK_OMITS_POINTER_FSYNC,    /* of files that are a commit's pointer */
    DISK_OMITS_EXCLUSIVE_LINK,   /* link replaces what is there */
    DISK_OMITS_RECOVERY,         /* not the disk: the histories do not let the catalog recover */
};

void disk_begin(uint64_t seed, int64_t clock_ms);
void disk_end(void);
void disk_set_faults(const struct disk_faults *faults); /* NULL: none */
void disk_set_omission(enum disk_omission omission);
enum disk_omission disk_omission(void);
void disk_set_log(bool on);
/* Dies at the n-th call from now that changes something; 0 is never. */
void disk_die_after(unsigned changes);
bool disk_is_dead(void);
/* After a kill the cache is still there; after a power failure each thing that
 * is undecided becomes one of what it may be. */
void disk_reboot(bool power_failed);
int64_t disk_clock_ns(void); /* moves on a little with each look */
void disk_move_clock(int64_t ms);
void disk_random(void *out, size_t count);
/* How many system calls of each sort the disk has seen. */
struct disk_counts {
    uint64_t calls, changes, fsyncs, faults;
};
struct disk_counts disk_counts(void);

/* As the system calls: -1 and errno on failure. */
int disk_open(const char *path, int flags);
int disk_close(int fd);
ssize_t disk_write(int fd, const void *bytes, size_t count);
ssize_t disk_read(int fd, void *out, size_t count, int64_t offset); /* offset -1: read(2) */
int disk_fsync(int fd);
int disk_stat(const char *path, struct stat *ret);
int disk_fstat(int fd, struct stat *ret);
int disk_touch(int fd); /* its time becomes now */
int disk_link(const char *from, const char *to);
int disk_rename(const char *from, const char *to, bool replace);
int disk_unlink(const char *path, bool folder);
int disk_mkdir(const char *path);
char *disk_realpath(const char *path); /* free() it */
/* The names in a folder, in an order that the seed decides; each and the
 * array are the caller's. -1 and errno. */
int disk_list(int fd, char ***ret_names, size_t *ret_count);
/* "<path of fd>/<name>" for the calls that end in "at"; free() it. */
char *disk_path_at(int fd, const char *name);
/* What lies behind a path now, without faults, for the checks; false when
 * there is no such file. Borrowed. */
bool disk_peek(const char *path, const unsigned char **ret_bytes, size_t *ret_count);

#endif
