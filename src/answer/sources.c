/* From passages to sources: near copies out, neighbours joined, packed. */
#include "answer/sources.h"
#include "answer/words.h"

struct group {
    size_t *members; /* of passages, the best first */
    size_t count;
    bool out;
};

/* ---- near copies --------------------------------------------------------------- */

static bool is_copy(const struct passage *passages, const size_t *kept, size_t kept_count, const struct passage *one,
                    struct tn_arena *scratch)
{
    for (size_t i = 0; i < kept_count; i++) {
        const struct passage *other = &passages[kept[i]];
        if (one->length == other->length && memcmp(one->text, other->text, one->length) == 0)
            return true;
        tn_arena_reset(scratch);
        if (answer_near_copy(one->text, one->length, other->text, other->length, scratch))
            return true;
    }
    return false;
}

/* ---- neighbours ------------------------------------------------------------------- */

/* Whether the text is exactly the bytes that the chunk names, so that overlaps
 * can be computed. */
static bool is_exact(const struct passage *passage)
{
    return passage->chunk.end >= passage->chunk.begin && passage->length == passage->chunk.end - passage->chunk.begin;
}

static bool are_neighbours(const struct passage *a, const struct passage *b)
{
    if (!is_exact(a) || !is_exact(b) || !tn_streq(a->chunk.doc_id, b->chunk.doc_id) ||
        !tn_streq(a->chunk.column, b->chunk.column))
        return false;
    const struct answer_chunk *first = a->chunk.begin <= b->chunk.begin ? &a->chunk : &b->chunk;
    const struct answer_chunk *second = first == &a->chunk ? &b->chunk : &a->chunk;
    return second->begin <= first->end && second->end > first->end;
}

/* Joins a passage to the group that it stands beside; else it is its own. */
static void put_in_group(const struct passage *passages, size_t index, size_t total, struct group *groups,
                         size_t *count, struct tn_arena *arena)
{
    for (size_t g = 0; g < *count; g++)
        for (size_t m = 0; m < groups[g].count; m++)
            if (are_neighbours(&passages[groups[g].members[m]], &passages[index])) {
                groups[g].members[groups[g].count++] = index;
                return;
            }
    struct group *group = &groups[(*count)++];
    group->members = TN_ARENA_ARRAY(arena, size_t, total);
    group->members[0] = index;
    group->count = 1;
}

static void order_by_place(const struct passage *passages, struct group *group)
{
    for (size_t i = 1; i < group->count; i++)
        for (size_t j = i;
             j > 0 && passages[group->members[j]].chunk.begin < passages[group->members[j - 1]].chunk.begin; j--) {
            size_t swap = group->members[j];
            group->members[j] = group->members[j - 1];
            group->members[j - 1] = swap;
        }
}

/* The group's text. Members may have been joined over a third one that both
 * touch, so a piece that adds nothing is possible. */
static void join(const struct passage *passages, struct group *group, struct tn_arena *arena, struct source *ret)
{
    TN_AUTO_BUF text = {0};
    struct source_part *parts = TN_ARENA_ARRAY(arena, struct source_part, group->count);
    order_by_place(passages, group);
    uint64_t end = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct passage *passage = &passages[group->members[i]];
        uint64_t begin = passage->chunk.begin;
        size_t known = i > 0 && begin < end ? (size_t)TN_MIN(end - begin, (uint64_t)passage->length) : 0;
        parts[i] = (struct source_part){passage, text.len};
        tn_buf_append(&text, passage->text + known, passage->length - known);
        end = TN_MAX(end, passage->chunk.end);
    }
    ret->parts = parts;
    ret->part_count = group->count;
    ret->length = text.len;
    ret->text = tn_arena_strndup(arena, text.data ? text.data : "", text.len);
}

static void make_source(const struct passage *passages, struct group *group, struct tn_arena *arena,
                        struct source *ret)
{
    *ret = (struct source){0};
    if (group->count > 1) {
        join(passages, group, arena, ret);
        return;
    }
    struct source_part *part = TN_ARENA_ARRAY(arena, struct source_part, 1);
    *part = (struct source_part){&passages[group->members[0]], 0};
    *ret =
        (struct source){.text = part->passage->text, .length = part->passage->length, .parts = part, .part_count = 1};
}

/* ---- room ------------------------------------------------------------------------------ */

/* As many sentences as fit; at least a beginning of the first. */
static size_t cut_to(const struct source *source, const struct packing *packing, struct tn_arena *arena)
{
    struct answer_span *spans;
    size_t count = answer_sentences(source->text, source->length, arena, &spans), best = 0;
    for (size_t i = 0; i < count; i++) {
        if (packing->count_tokens(packing->context, source->text, spans[i].end) > packing->tokens)
            break;
        best = spans[i].end;
    }
    return best ? best : tn_utf8_floor(source->text, source->length, TN_MIN(source->length, packing->tokens));
}

static void number(struct source *source, struct passage *passages, const struct group *group, uint32_t value)
{
    source->number = value;
    for (size_t i = 0; i < group->count; i++)
        passages[group->members[i]].chunk.source = value;
}

static void take_what_fits(struct passage *passages, struct group *groups, size_t group_count,
                           const struct packing *packing, struct tn_arena *arena, struct sources *ret)
{
    size_t left = packing->tokens;
    for (size_t g = 0; g < group_count; g++) {
        struct source source;
        make_source(passages, &groups[g], arena, &source);
        size_t tokens = packing->count_tokens(packing->context, source.text, source.length);
        if (tokens > left && ret->count == 0) {
            source.length = cut_to(&source, packing, arena);
            tokens = left;
        }
        if (tokens > left || source.length == 0) {
            ret->unfit += groups[g].count;
            continue;
        }
        left -= tokens;
        number(&source, passages, &groups[g], (uint32_t)ret->count + 1);
        ret->items[ret->count++] = source;
    }
}

void sources_pack(struct passage *passages, size_t count, const struct packing *packing, struct tn_arena *arena,
                  struct sources *ret)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    size_t *kept = TN_ARENA_ARRAY(arena, size_t, count + 1);
    struct group *groups = TN_ARENA_ARRAY(arena, struct group, count + 1);
    size_t kept_count = 0, group_count = 0;
    *ret = (struct sources){.items = TN_ARENA_ARRAY(arena, struct source, count + 1)};
    for (size_t i = 0; i < count && kept_count < packing->most; i++) {
        if (is_copy(passages, kept, kept_count, &passages[i], scratch)) {
            ret->copies++;
            continue;
        }
        kept[kept_count++] = i;
        put_in_group(passages, i, packing->most, groups, &group_count, arena);
    }
    take_what_fits(passages, groups, group_count, packing, arena, ret);
}

const struct answer_chunk *source_chunk(const struct source *source, size_t at)
{
    size_t part = 0;
    while (part + 1 < source->part_count && source->parts[part + 1].at <= at)
        part++;
    return &source->parts[part].passage->chunk;
}
