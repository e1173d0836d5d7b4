/* What the tables should be, computed beside the code under test. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

bool sim_violation(struct sim *sim, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!sim->failed)
        (void)vsnprintf(sim->why, sizeof sim->why, format, args);
    va_end(args);
    if (!sim->failed)
        sim_say(sim, "VIOLATION: %s", sim->why);
    sim->failed = true;
    return false;
}

void sim_say(const struct sim *sim, const char *format, ...)
{
    va_list args;
    if (!sim->log)
        return;
    va_start(args, format);
    (void)printf("  ");
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
}

/* One to three pages: enough for a crash to lose one of several. */
size_t sim_size(const char *key)
{
    return 1 + (size_t)(tn_hash64(key, strlen(key), 7) % 12000);
}

void sim_bytes(const char *key, unsigned char *out, size_t count)
{
    struct dice dice = {tn_hash64(key, strlen(key), 3)};
    for (size_t i = 0; i < count; i += 8) {
        uint64_t value = dice_next(&dice) | UINT64_C(0x0101010101010101); /* a zeroed byte shows */
        memcpy(out + i, &value, TN_MIN(count - i, sizeof value));
    }
}

static bool is_removed(const struct sim_change *change, const struct sim_file *file)
{
    if (change->remove_all)
        return true;
    for (size_t i = 0; i < change->removed_count; i++)
        if (tn_streq(change->removed[i], file->path) || (file->target && tn_streq(change->removed[i], file->target)))
            return true;
    return false;
}

static const struct sim_snapshot *next_snapshot(struct sim *sim, const struct sim_version *base,
                                                const struct sim_change *change, int64_t id)
{
    const struct sim_snapshot *start = change->start ? change->start : base->current;
    size_t before = start ? start->file_count : 0;
    struct sim_file *files = TN_ARENA_ARRAY(sim->arena, struct sim_file, before + change->added_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < before; i++)
        if (!is_removed(change, &start->files[i]))
            files[count++] = start->files[i];
    for (size_t i = 0; i < change->added_count; i++)
        files[count++] = change->added[i];
    struct sim_snapshot *snapshot = tn_arena_alloc(sim->arena, sizeof *snapshot);
    *snapshot = (struct sim_snapshot){.id = id, .files = files, .file_count = count, .extra = change->extra};
    return snapshot;
}

static void apply_tag(struct sim_version *next, const struct sim_tag *tag)
{
    size_t at = 0;
    while (at < next->tag_count && !tn_streq(next->tags[at].name, tag->name))
        at++;
    if (tag->id == ICEBERG_NONE)
        next->tags[at] = next->tags[--next->tag_count];
    else
        next->tags[at] = *tag;
    next->tag_count += at == next->tag_count && tag->id != ICEBERG_NONE;
}

const struct sim_version *sim_apply(struct sim *sim, const struct sim_version *base, const struct sim_change *change,
                                    int number, int64_t snapshot_id)
{
    struct sim_version *next = tn_arena_alloc(sim->arena, sizeof *next);
    /* A table made anew has nothing of the one that was dropped. */
    struct sim_version kept = base->exists ? *base : (struct sim_version){.version = base->version};
    *next = (struct sim_version){
        .base = base, .number = number, .version = base->version + 1, .exists = true, .current = kept.current};
    next->snapshots = TN_ARENA_ARRAY(sim->arena, const struct sim_snapshot *, kept.snapshot_count + 1);
    next->tags = TN_ARENA_ARRAY(sim->arena, struct sim_tag, kept.tag_count + 1);
    if (kept.tag_count)
        memcpy(next->tags, kept.tags, kept.tag_count * sizeof *kept.tags);
    next->tag_count = kept.tag_count;
    for (size_t i = 0; i < kept.snapshot_count; i++)
        if (kept.snapshots[i]->id != change->forgotten)
            next->snapshots[next->snapshot_count++] = kept.snapshots[i];
    if (change->tag.name[0])
        apply_tag(next, &change->tag);
    if (sim_makes_snapshot(change)) {
        next->current = next_snapshot(sim, &kept, change, snapshot_id);
        next->snapshots[next->snapshot_count++] = next->current;
    }
    return next;
}

const struct sim_version *sim_vanish(struct sim *sim, const struct sim_version *base)
{
    struct sim_version *next = tn_arena_alloc(sim->arena, sizeof *next);
    *next = (struct sim_version){.base = base, .version = base->version + 1};
    return next;
}

const struct sim_version *sim_return(struct sim *sim, const struct sim_version *base)
{
    struct sim_version *next = tn_arena_alloc(sim->arena, sizeof *next);
    *next = *base->base;
    next->base = base;
    next->version = base->version + 1;
    return next;
}

static bool is_same(const struct sim_version *one, bool exists, int64_t version, int number)
{
    return one && one->exists == exists && one->version == version && (!exists || one->number == number);
}

const struct sim_version *sim_allowed(const struct sim_table *table, bool exists, int64_t version, int number)
{
    if (is_same(table->trying, exists, version, number))
        return table->trying;
    for (const struct sim_version *at = table->seen; at; at = at->base) {
        if (is_same(at, exists, version, number))
            return at;
        if (at == table->acknowledged)
            return NULL;
    }
    return NULL;
}
