/* The simulated disk: names, and what a crash makes of names and bytes. */
#include "base/base.h"
#include "tests/sim/disk_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct disk disk;

void disk_say(const char *format, ...)
{
    if (!disk.log)
        return;
    va_list args;
    va_start(args, format);
    (void)printf("      ");
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
}

struct disk_node *disk_node_new(bool folder, struct disk_node *parent)
{
    struct disk_node *node = tn_calloc(1, sizeof *node);
    node->folder = folder;
    node->parent = parent;
    node->number = ++disk.node_count;
    node->changed_ns = disk_clock_ns();
    node->next = disk.nodes;
    disk.nodes = node;
    return node;
}

static void free_entry(struct disk_entry *entry)
{
    free(entry->name);
    free(entry->past);
}

void disk_begin(uint64_t seed, int64_t clock_ms)
{
    disk = (struct disk){
        .dice = {seed ^ UINT64_C(0xD15C)}, .entropy = {seed ^ UINT64_C(0xE27809)}, .omission = disk.omission};
    disk.clock_ns = clock_ms * 1000000;
    disk.root = disk_node_new(true, NULL);
    disk.root->parent = disk.root;
}

void disk_end(void)
{
    for (struct disk_node *node = disk.nodes, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->entry_count; i++)
            free_entry(&node->entries[i]);
        free(node->entries);
        free(node->bytes);
        free(node->lost);
        free(node);
    }
    for (size_t i = 0; i < disk.file_count; i++)
        free(disk.files[i].path);
    free(disk.files);
    disk = (struct disk){.omission = disk.omission};
}

void disk_set_faults(const struct disk_faults *faults)
{
    disk.faults = faults ? *faults : (struct disk_faults){0};
}

void disk_set_omission(enum disk_omission omission)
{
    disk.omission = omission;
}

enum disk_omission disk_omission(void)
{
    return disk.omission;
}

void disk_set_log(bool on)
{
    disk.log = on;
}

void disk_die_after(unsigned changes)
{
    disk.changes_left = changes;
}

bool disk_is_dead(void)
{
    return disk.dead;
}

struct disk_counts disk_counts(void)
{
    return disk.counts;
}

int64_t disk_clock_ns(void)
{
    disk.clock_ns += (int64_t)dice_below(&disk.entropy, 400000);
    return disk.clock_ns;
}

void disk_move_clock(int64_t ms)
{
    disk.clock_ns += ms * 1000000;
}

void disk_random(void *out, size_t count)
{
    unsigned char *to = out;
    for (size_t i = 0; i < count; i += 8) {
        uint64_t value = dice_next(&disk.entropy);
        memcpy(to + i, &value, TN_MIN(count - i, sizeof value));
    }
}

/* --- Names --- */

struct disk_entry *disk_entry_of(struct disk_node *folder, const char *name)
{
    uint64_t hash = tn_hash64(name, strlen(name), 0);
    for (size_t i = 0; i < folder->entry_count; i++)
        if (folder->entries[i].hash == hash && tn_streq(folder->entries[i].name, name))
            return &folder->entries[i];
    return NULL;
}

void disk_name(struct disk_node *folder, const char *name, struct disk_node *node)
{
    struct disk_entry *entry = disk_entry_of(folder, name);
    if (!entry) {
        TN_GROW(folder->entries, folder->entry_count, folder->entry_capacity);
        entry = &folder->entries[folder->entry_count++];
        *entry = (struct disk_entry){.name = tn_strdup(name), .hash = tn_hash64(name, strlen(name), 0)};
    }
    TN_GROW(entry->past, entry->past_count, entry->past_capacity);
    entry->past[entry->past_count++] = entry->now;
    entry->now = node;
    folder->changed_ns = disk_clock_ns();
}

void disk_folder_synced(struct disk_node *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < folder->entry_count; i++) {
        struct disk_entry *entry = &folder->entries[i];
        bool skip = disk.omission == DISK_OMITS_NEW_FOLDER_FSYNC && entry->now && entry->now->folder;
        if (!skip)
            entry->past_count = 0;
        if (!entry->now && entry->past_count == 0)
            free_entry(entry);
        else
            folder->entries[kept++] = *entry;
    }
    folder->entry_count = kept;
}

/* One part of the path; the node is a folder. NULL and errno. */
static struct disk_node *step(struct disk_node *node, const char *part)
{
    if (tn_streq(part, "."))
        return node;
    if (tn_streq(part, ".."))
        return node->parent;
    const struct disk_entry *entry = disk_entry_of(node, part);
    if (!entry || !entry->now)
        errno = ENOENT;
    return entry ? entry->now : NULL;
}

struct disk_node *disk_find(const char *path, struct disk_node **ret_folder, const char **ret_name)
{
    struct disk_node *node = disk.root;
    const char *at = path + strlen(DISK_ROOT);
    while (*at == '/') {
        while (*at == '/')
            at++;
        const char *end = strchrnul(at, '/');
        if (end == at)
            break;
        if (!node->folder) {
            errno = ENOTDIR;
            return NULL;
        }
        char part[256];
        if ((size_t)(end - at) >= sizeof part) {
            errno = ENAMETOOLONG;
            return NULL;
        }
        memcpy(part, at, (size_t)(end - at));
        part[end - at] = '\0';
        if (ret_folder && !*end) {
            *ret_folder = node;
            *ret_name = at;
        }
        node = step(node, part);
        if (!node)
            return NULL;
        at = end;
    }
    return node;
}

/* --- Crashes --- */

static void lose_names(struct disk_node *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < folder->entry_count; i++) {
        struct disk_entry *entry = &folder->entries[i];
        if (entry->past_count) {
            size_t choice = dice_below(&disk.dice, entry->past_count + 1);
            struct disk_node *chosen = choice < entry->past_count ? entry->past[choice] : entry->now;
            if (chosen != entry->now)
                disk_say("lost: \"%s\" is %s again", entry->name, chosen ? "what it was" : "not there");
            entry->now = chosen;
            entry->past_count = 0;
        }
        if (entry->now)
            folder->entries[kept++] = *entry;
        else
            free_entry(entry);
    }
    folder->entry_count = kept;
}

static void lose_page(struct disk_node *node, size_t page, bool lost)
{
    size_t begin = TN_MAX(page * DISK_PAGE, lost ? 0 : node->synced);
    size_t end = TN_MIN((page + 1) * DISK_PAGE, node->size);
    if (begin >= end)
        return;
    uint64_t choice = lost ? 2 : dice_below(&disk.dice, 4);
    if (choice < 2)
        return; /* written in time */
    if (choice == 3)
        begin += dice_below(&disk.dice, end - begin);
    memset(node->bytes + begin, 0, end - begin);
}

static void lose_bytes(struct disk_node *node)
{
    bool dirty = node->size > node->synced;
    if (dirty) {
        size_t most = node->size - node->synced;
        uint64_t choice = dice_below(&disk.dice, 4);
        if (choice == 0)
            node->size = node->synced;
        else if (choice == 1)
            node->size = node->synced + dice_below(&disk.dice, most);
    }
    for (size_t page = 0; page * DISK_PAGE < node->size; page++) {
        bool lost = page < node->lost_count && node->lost[page];
        if (lost || (page + 1) * DISK_PAGE > node->synced)
            lose_page(node, page, lost);
    }
    node->synced = node->size;
    node->lost_count = 0;
}

void disk_reboot(bool power_failed)
{
    for (size_t i = 0; i < disk.file_count; i++)
        disk.files[i].node = NULL;
    disk.dead = false;
    disk.changes_left = 0;
    if (!power_failed)
        return;
    for (struct disk_node *node = disk.nodes; node; node = node->next) {
        if (node->folder)
            lose_names(node);
        else
            lose_bytes(node);
    }
}

bool disk_peek(const char *path, const unsigned char **ret_bytes, size_t *ret_count)
{
    const struct disk_node *node = disk_find(path, NULL, NULL);
    if (!node || node->folder)
        return false;
    *ret_bytes = node->bytes;
    *ret_count = node->size;
    return true;
}
