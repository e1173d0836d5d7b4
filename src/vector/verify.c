/* Checking a generation: blocks against their checksums, the graph against
 * what walks rely on. */
#include "vector/generation.h"

#include "base/hash.h"

#include <stdlib.h>

enum tn_code generation_check_blocks(const struct generation *g, const atomic_bool *stop, uint64_t *ret_blocks,
                                     struct tn_error *err)
{
    const struct section_entry *sums = &g->header.sections[SECTION_CHECKSUMS];
    uint64_t blocks = 0;
    for (int s = 0; s < SECTION_CHECKSUMS; s++) {
        const struct section_entry *e = &g->header.sections[s];
        for (uint64_t at = 0; at < e->bytes; at += GENERATION_BLOCK, blocks++) {
            if (stop && atomic_load_explicit(stop, memory_order_relaxed))
                return tn_fail(err, TN_ECANCELLED, "the check was stopped");
            uint64_t count = TN_MIN(GENERATION_BLOCK, e->bytes - at);
            uint32_t want;
            memcpy(&want, g->map + sums->offset + blocks * 4, 4);
            if (tn_crc32c(0, g->map + e->offset + at, count) != want) {
                (void)tn_fail(err, TN_ECORRUPT, "%s: section \"%s\" is damaged between bytes %llu and %llu", g->path,
                              section_name((enum section)s), (unsigned long long)(e->offset + at),
                              (unsigned long long)(e->offset + at + count));
                tn_error_hint(err, "roll back to the previous generation, or build this one again");
                return TN_ECORRUPT;
            }
        }
    }
    *ret_blocks = blocks;
    return TN_OK;
}

static enum tn_code check_lists(const struct generation *g, const uint32_t *links, uint32_t nodes, uint32_t degree,
                                uint32_t level, const atomic_bool *stop, struct tn_error *err)
{
    for (uint32_t node = 0; node < nodes; node++) {
        if (node % 65536 == 0 && stop && atomic_load_explicit(stop, memory_order_relaxed))
            return tn_fail(err, TN_ECANCELLED, "the check was stopped");
        const uint32_t *list = links + (size_t)node * degree;
        bool ended = false;
        for (uint32_t i = 0; i < degree; i++) {
            if (list[i] == NODE_NONE) {
                ended = true;
            } else if (ended || list[i] >= nodes) {
                return tn_fail(err, TN_ECORRUPT, "%s: node %u links to %u in layer %u of %u nodes", g->path, node,
                               list[i], level, nodes);
            }
        }
    }
    return TN_OK;
}

static enum tn_code check_rows(const struct generation *g, struct tn_error *err)
{
    if (g->first) {
        if (g->first[0] != 0 || g->first[g->nodes] != g->rows - g->zeros)
            return tn_fail(err, TN_ECORRUPT, "%s: the table of first rows does not cover the rows", g->path);
        for (uint32_t i = 0; i < g->nodes; i++)
            if (g->first[i] >= g->first[i + 1])
                return tn_fail(err, TN_ECORRUPT, "%s: node %u has no rows", g->path, i);
    }
    for (uint32_t i = 0; i < g->rows; i++) {
        if (g->by_id[i] >= g->rows)
            return tn_fail(err, TN_ECORRUPT, "%s: the order of ids names row %u of %u", g->path, g->by_id[i],
                           g->rows);
        if (i > 0 && g->ids[g->by_id[i - 1]] >= g->ids[g->by_id[i]])
            return tn_fail(err, TN_ECORRUPT, "%s: id %lld is out of order or occurs twice", g->path,
                           (long long)g->ids[g->by_id[i]]);
    }
    return TN_OK;
}

enum tn_code generation_check_structure(const struct generation *g, const atomic_bool *stop, struct tn_error *err)
{
    TN_TRY(check_lists(g, g->cold.links, g->nodes, 2 * g->header.degree, 0, stop, err));
    for (uint32_t l = 0; l < g->header.levels; l++)
        TN_TRY(check_lists(g, g->cold.upper[l], g->header.level_nodes[l], g->header.degree, l + 1, stop, err));
    return check_rows(g, err);
}

static void examine_lists(const struct generation *g, struct vector_verify_report *report)
{
    uint32_t degree = 2 * g->header.degree;
    for (uint32_t node = 0; node < g->nodes; node++) {
        const uint32_t *list = g->cold.links + (size_t)node * degree;
        for (uint32_t i = 0; i < degree && list[i] != NODE_NONE; i++) {
            report->links++;
            report->self_links += list[i] == node;
            for (uint32_t j = 0; j < i; j++)
                report->double_links += list[j] == list[i];
        }
    }
    report->mean_degree = g->nodes ? (double)report->links / g->nodes : 0;
}

static enum tn_code count_unreachable(const struct generation *g, uint64_t *ret, struct tn_error *err)
{
    if (g->nodes == 0) {
        *ret = 0;
        return TN_OK;
    }
    uint32_t degree = 2 * g->header.degree;
    TN_AUTO_FREE uint8_t *seen = tn_try_malloc(g->nodes);
    TN_AUTO_FREE uint32_t *queue = tn_try_malloc((size_t)g->nodes * sizeof *queue);
    if (!seen || !queue)
        return tn_fail(err, TN_ENOMEM, "not enough memory to walk the graph");
    memset(seen, 0, g->nodes);
    uint32_t head = 0;
    uint32_t tail = 0;
    queue[tail++] = 0;
    seen[0] = 1;
    while (head < tail) {
        const uint32_t *list = g->cold.links + (size_t)queue[head++] * degree;
        for (uint32_t i = 0; i < degree && list[i] != NODE_NONE; i++)
            if (!seen[list[i]]) {
                seen[list[i]] = 1;
                queue[tail++] = list[i];
            }
    }
    *ret = g->nodes - tail;
    return TN_OK;
}

enum tn_code vector_verify_file(const char *path, struct vector_verify_report *ret_report, struct tn_error *err)
{
    TN_CLEANUP(generation_close_p) struct generation *g = NULL;
    struct vector_verify_report report = {0};
    TN_TRY(generation_open(path, false, &g, err));
    TN_TRY(generation_check_blocks(g, NULL, &report.blocks, err));
    TN_TRY(generation_check_structure(g, NULL, err));
    report.nodes = g->nodes;
    examine_lists(g, &report);
    TN_TRY(count_unreachable(g, &report.unreachable, err));
    if (ret_report)
        *ret_report = report;
    return TN_OK;
}
