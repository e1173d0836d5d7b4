/* The parts of the simulated disk. */
#ifndef TARN_TESTS_SIM_DISK_INTERNAL_H
#define TARN_TESTS_SIM_DISK_INTERNAL_H

#include "tests/sim/dice.h"
#include "tests/sim/disk.h"

enum { DISK_PAGE = 4096 };

struct disk_node;

/* One name in a folder. past[0] is what is on the disk for sure; with no past
 * that is `now`. A NULL node is "no such name". */
struct disk_entry {
    char *name;
    uint64_t hash;
    struct disk_node *now;
    struct disk_node **past;
    size_t past_count, past_capacity;
};

struct disk_node {
    struct disk_node *next; /* of all nodes: freed with the disk */
    uint64_t number;
    bool folder;
    int64_t changed_ns;
    /* A file: bytes below `synced` are on the disk, but for the pages lost. */
    unsigned char *bytes;
    size_t size, capacity, synced;
    bool *lost;
    size_t lost_count; /* pages that `lost` tells of */
    /* A folder */
    struct disk_node *parent;
    struct disk_entry *entries;
    size_t entry_count, entry_capacity;
};

struct disk_file {
    struct disk_node *node; /* NULL: closed */
    char *path;
    size_t at;
    bool writes;
};

struct disk {
    struct dice dice, entropy;
    struct disk_faults faults;
    enum disk_omission omission;
    bool log, dead;
    unsigned changes_left; /* 0: for ever */
    int64_t clock_ns;
    struct disk_node *root, *nodes;
    uint64_t node_count;
    struct disk_file *files;
    size_t file_count, file_capacity;
    struct disk_counts counts;
};

extern struct disk disk;

/* The node, or NULL and errno. With `ret_folder` the last part need not be
 * there: its folder and name (borrowed from path). */
struct disk_node *disk_find(const char *path, struct disk_node **ret_folder, const char **ret_name);
struct disk_entry *disk_entry_of(struct disk_node *folder, const char *name);
/* Gives the name a new meaning, and remembers the old one until an fsync. */
void disk_name(struct disk_node *folder, const char *name, struct disk_node *node);
void disk_folder_synced(struct disk_node *folder);
struct disk_node *disk_node_new(bool folder, struct disk_node *parent);
void disk_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
