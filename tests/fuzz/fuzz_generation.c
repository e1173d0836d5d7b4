/* A generation file from a stranger: opened, verified, searched.
 *
 * Checksums would stop nearly every mutation at the door, and somebody who
 * wants to do harm can compute them; so unless the last byte is odd, they are
 * made right again first, and what counts is that every number behind them is
 * checked. Blocks are as they are in the file: verify must say so or pass, and
 * a search over unverified blocks must stay in bounds.
 */
#include "fuzz.h"

#include "base/hash.h"
#include "vector/generation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void repair(uint8_t *bytes, size_t size)
{
    struct generation_header h;
    struct generation_footer f;
    if (size < GENERATION_HEADER + sizeof f)
        return;
    memcpy(&h, bytes, sizeof h);
    memcpy(&f, bytes + size - sizeof f, sizeof f);
    memcpy(f.magic, GENERATION_END_MAGIC, 8);
    h.file_bytes = f.file_bytes = size;
    memcpy(bytes, &h, sizeof h);
    const struct section_entry *sums = &h.sections[SECTION_CHECKSUMS];
    if (sums->offset <= size && sums->bytes <= size - sums->offset) {
        for (int s = 0; s < SECTION_CHECKSUMS; s++) {
            const struct section_entry *e = &h.sections[s];
            uint64_t c = e->first_checksum;
            for (uint64_t at = 0; e->offset <= size && e->bytes <= size - e->offset && at < e->bytes;
                 at += GENERATION_BLOCK, c++) {
                if (c >= sums->bytes / 4)
                    break;
                uint32_t crc = tn_crc32c(0, bytes + e->offset + at, TN_MIN(GENERATION_BLOCK, e->bytes - at));
                memcpy(bytes + sums->offset + c * 4, &crc, 4);
            }
        }
        f.checksums_crc = tn_crc32c(0, bytes + sums->offset, sums->bytes);
    }
    f.header_crc = tn_crc32c(0, bytes, GENERATION_HEADER);
    f.crc = tn_crc32c(0, &f, offsetof(struct generation_footer, crc));
    memcpy(bytes + size - sizeof f, &f, sizeof f);
}

static void search_all_ways(const char *path)
{
    struct vector_open_options options = {.no_warm = true};
    TN_CLEANUP(vector_index_close_p) struct vector_index *index = NULL;
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    if (vector_index_open(path, &options, &index, NULL) != TN_OK ||
        vector_searcher_new(index, &searcher, NULL) != TN_OK)
        return;
    struct vector_index_info info;
    vector_index_info(index, &info);
    float *query = tn_calloc(info.dims, sizeof *query);
    for (uint32_t d = 0; d < info.dims; d++)
        query[d] = (float)(d % 7) - 2;
    struct vector_hit hits[8];
    size_t count;
    const uint8_t bits[4] = {0x55, 0xFF, 0, 0x81};
    struct vector_filter filter = {.kind = VECTOR_FILTER_BITMAP, .bits = bits, .bit_count = 32};
    for (int mode = VECTOR_MODE_AUTO; mode <= VECTOR_MODE_EXACT; mode++)
        for (int filtered = 0; filtered < 2; filtered++) {
            struct vector_params p = {.k = 8, .mode = (enum vector_mode)mode, .filter = filtered ? &filter : NULL};
            if (vector_search(searcher, query, &p, hits, &count, NULL, NULL) == TN_OK && count > 8)
                abort();
        }
    (void)(vector_index_get(index, 3, query, NULL) == TN_OK);
    free(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 20)
        return 0;
    uint8_t *bytes = tn_malloc(size + 1);
    memcpy(bytes, data, size);
    if (size && data[size - 1] % 2 == 0)
        repair(bytes, size);
    int fd = memfd_create("generation", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    char *path = tn_asprintf("/proc/self/fd/%d", fd);
    struct vector_verify_report report;
    (void)(vector_verify_file(path, &report, NULL) == TN_OK);
    search_all_ways(path);
    free(path);
    (void)close(fd);
    free(bytes);
    return 0;
}
