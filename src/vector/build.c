/* vector_build: rows to nodes to codes to a graph to a file.
 *
 *   read       every row is checked and hashed; mean and norms are summed;
 *              equal rows fold into one node
 *   encode     every node is rotated and quantised, twice: 8 bits to build
 *              with, 4 (or 8) to be searched with
 *   graph      graph_build.c, graph_finish.c
 *   write      generation_write.c, which also calibrates (calibrate.c)
 */
#include "vector/build.h"
#include "base/order.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/pool.h"
#include "vector/generation.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

bool build_goes_on(struct builder *b, uint32_t worker)
{
    if (atomic_load_explicit(&b->cancelled, memory_order_relaxed) ||
        atomic_load_explicit(&b->failure, memory_order_relaxed) != TN_OK)
        return false;
    struct vector_control *control = b->options->control;
    while (control && atomic_load_explicit(&control->command, memory_order_relaxed) != VECTOR_RUN) {
        if (atomic_load(&control->command) == VECTOR_CANCEL) {
            atomic_store(&b->cancelled, true);
            return false;
        }
        (void)usleep(10000);
    }
    if (!b->options->progress || (worker != 0 && !b->options->low_priority))
        return true;
    if (pthread_mutex_trylock(&b->progress_lock) != 0)
        return true;
    uint64_t now = tn_mono_ns();
    bool go = true;
    if (now - b->last_progress_ns > UINT64_C(100000000)) {
        b->last_progress_ns = now;
        go = b->options->progress(b->options->progress_context, b->phase, atomic_load(&b->done), b->phase_total);
    }
    (void)pthread_mutex_unlock(&b->progress_lock);
    if (!go)
        atomic_store(&b->cancelled, true);
    return go;
}

void build_phase(struct builder *b, enum vector_phase phase, uint64_t total)
{
    b->phase = phase;
    b->phase_total = total;
    atomic_store(&b->next, 0);
    atomic_store(&b->done, 0);
}

enum tn_code build_outcome(struct builder *b, struct tn_error *err)
{
    if (atomic_load(&b->cancelled))
        return tn_fail(err, TN_ECANCELLED, "the build was cancelled");
    enum tn_code code = (enum tn_code)atomic_load(&b->failure);
    if (code != TN_OK && b->worker_error.code != TN_OK) {
        if (err)
            *err = b->worker_error;
        return code;
    }
    return code == TN_OK ? TN_OK : tn_fail(err, code, "not enough memory for a building thread");
}

static int64_t row_id(const struct builder *b, uint64_t row)
{
    return b->rows->ids ? b->rows->ids[row] : (int64_t)row;
}

enum space_kind build_row(const struct builder *b, uint64_t row, float *out)
{
    const struct vector_rows *rows = b->rows;
    if (rows->fetch) {
        rows->fetch(rows->context, row, out);
    } else {
        size_t width = rows->type == VECTOR_F16 ? 2 : 4;
        size_t stride = rows->stride ? rows->stride : rows->dims * width;
        const unsigned char *p = (const unsigned char *)rows->data + row * stride;
        if (rows->type == VECTOR_F16) {
            for (uint32_t i = 0; i < rows->dims; i++) {
                uint16_t half;
                memcpy(&half, p + 2 * (size_t)i, 2);
                out[i] = vector_half_to_float(half);
            }
        } else {
            memcpy(out, p, rows->dims * sizeof *out);
        }
    }
    return space_prepare(&b->space, out, out);
}

/* ---- read ---- */

struct reading {
    struct builder *b;
    uint64_t *hashes; /* 0: a zero row */
    pthread_mutex_t lock;
    double *mean; /* dims */
    double norm_sum;
    double norm2_min, norm2_max;
};

static void refuse_row(struct builder *b, uint64_t row)
{
    int expected = TN_OK;
    if (atomic_compare_exchange_strong(&b->failure, &expected, TN_EREFUSED)) {
        (void)tn_fail(&b->worker_error, TN_EREFUSED, "row %llu (id %lld) is not finite or too large",
                      (unsigned long long)row, (long long)row_id(b, row));
        tn_error_hint(&b->worker_error, "leave out rows with NaN or infinity");
    }
}

#define CHUNK 256U

static void read_worker(void *context, uint32_t worker)
{
    struct reading *r = context;
    struct builder *b = r->b;
    uint32_t dims = b->space.dims;
    double *mean = tn_calloc(dims, sizeof *mean);
    float *row = tn_calloc(dims, sizeof *row);
    double least = INFINITY, most = 0;
    for (;;) {
        uint64_t start = atomic_fetch_add(&b->next, CHUNK);
        if (start >= b->phase_total || !build_goes_on(b, worker))
            break;
        uint64_t end = TN_MIN(start + CHUNK, b->phase_total);
        for (uint64_t i = start; i < end; i++) {
            enum space_kind kind = build_row(b, i, row);
            if (kind == SPACE_NOT_FINITE) {
                refuse_row(b, i);
                break;
            }
            double norm2 = 0;
            for (uint32_t d = 0; d < dims; d++) {
                mean[d] += (double)row[d];
                norm2 += (double)row[d] * (double)row[d];
                row[d] += 0.0F; /* -0 and 0 are the same vector */
            }
            least = fmin(least, norm2);
            most = fmax(most, norm2);
            r->hashes[i] = kind == SPACE_ZERO ? 0 : tn_hash64(row, dims * sizeof *row, 1) | 1;
        }
        atomic_fetch_add_explicit(&b->done, end - start, memory_order_relaxed);
    }
    (void)pthread_mutex_lock(&r->lock);
    for (uint32_t d = 0; d < dims; d++)
        r->mean[d] += mean[d];
    r->norm2_min = fmin(r->norm2_min, least);
    r->norm2_max = fmax(r->norm2_max, most);
    (void)pthread_mutex_unlock(&r->lock);
    free(row);
    free(mean);
}

static bool rows_equal(const struct builder *b, uint64_t x, uint64_t y, float *two_rows)
{
    float *a = two_rows;
    float *c = two_rows + b->space.dims;
    (void)build_row(b, x, a);
    (void)build_row(b, y, c);
    for (uint32_t d = 0; d < b->space.dims; d++)
        if (a[d] < c[d] || a[d] > c[d])
            return false;
    return true;
}

/* row_node becomes the first equal row (for now), NODE_NONE for zero rows. */
static enum tn_code fold_equal(struct builder *b, const uint64_t *hashes, struct tn_error *err)
{
    uint64_t n = b->rows->count;
    uint64_t slots = 16;
    while (slots < n + n / 2)
        slots *= 2;
    TN_AUTO_FREE uint32_t *table = tn_try_malloc(slots * sizeof *table);
    if (!table)
        return tn_fail(err, TN_ENOMEM, "not enough memory to find equal rows");
    memset(table, 0xFF, slots * sizeof *table);
    TN_AUTO_FREE float *two_rows = tn_realloc_array(NULL, 2 * (size_t)b->space.dims, sizeof *two_rows);
    b->nodes = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (hashes[i] == 0) {
            b->row_node[i] = NODE_NONE;
            b->zero_count++;
            continue;
        }
        uint64_t at = hashes[i] >> 1 & (slots - 1);
        while (table[at] != NODE_NONE && (hashes[table[at]] != hashes[i] || !rows_equal(b, table[at], i, two_rows)))
            at = (at + 1) & (slots - 1);
        if (table[at] == NODE_NONE) {
            table[at] = (uint32_t)i;
            b->node_row[b->nodes++] = (uint32_t)i;
        } else {
            b->duplicate_count++;
        }
        b->row_node[i] = table[at];
    }
    return TN_OK;
}

/* Layers by a coin per row; node_row is put in order of layers, shuffled
 * within each; row_node becomes node numbers. */
static void draw_levels(struct builder *b)
{
    uint64_t seed = b->options->seed;
    double scale = 1 / log((double)b->degree);
    TN_AUTO_FREE uint8_t *level = tn_malloc(b->nodes + 1);
    uint32_t counts[LEVELS_MAX + 1] = {0};
    for (uint32_t i = b->nodes; i > 1; i--) {
        uint32_t j = (uint32_t)(space_mix64(seed + 7 + i) % i);
        uint32_t row = b->node_row[i - 1];
        b->node_row[i - 1] = b->node_row[j];
        b->node_row[j] = row;
    }
    for (uint32_t i = 0; i < b->nodes; i++) {
        double u = ((double)(space_mix64(seed ^ space_mix64(b->node_row[i])) >> 11) + 1) * 0x1p-53;
        level[i] = (uint8_t)fmin(-log(u) * scale, LEVELS_MAX);
        counts[level[i]]++;
    }
    uint32_t starts[LEVELS_MAX + 1];
    uint32_t start = 0;
    for (uint32_t l = LEVELS_MAX + 1; l-- > 0;) {
        starts[l] = start;
        start += counts[l];
        if (l > 0 && start > 0 && b->levels == 0)
            b->levels = l;
        if (l > 0)
            b->level_nodes[l - 1] = start;
    }
    TN_AUTO_FREE uint32_t *ordered = tn_realloc_array(NULL, (size_t)b->nodes + 1, sizeof *ordered);
    TN_AUTO_FREE uint32_t *node_of = tn_realloc_array(NULL, b->rows->count + 1, sizeof *node_of);
    for (uint32_t i = 0; i < b->nodes; i++) {
        uint32_t node = starts[level[i]]++;
        ordered[node] = b->node_row[i];
        node_of[b->node_row[i]] = node;
    }
    memcpy(b->node_row, ordered, b->nodes * sizeof *ordered);
    for (uint64_t i = 0; i < b->rows->count; i++)
        if (b->row_node[i] != NODE_NONE)
            b->row_node[i] = node_of[b->row_node[i]];
}

static enum tn_code check_ids(const struct vector_rows *rows, struct tn_error *err)
{
    if (!rows->ids)
        return TN_OK;
    TN_AUTO_FREE int64_t *ids = tn_try_malloc(rows->count * sizeof *ids + 1);
    if (!ids)
        return tn_fail(err, TN_ENOMEM, "not enough memory to check %llu ids", (unsigned long long)rows->count);
    memcpy(ids, rows->ids, rows->count * sizeof *ids);
    qsort(ids, rows->count, sizeof *ids, tn_order_i64);
    for (uint64_t i = 1; i < rows->count; i++)
        if (ids[i] == ids[i - 1])
            return tn_fail(err, TN_EREFUSED, "id %lld occurs twice", (long long)ids[i]);
    return TN_OK;
}

static enum tn_code read_rows(struct builder *b, struct tn_error *err)
{
    uint64_t n = b->rows->count;
    TN_AUTO_FREE uint64_t *hashes = tn_try_malloc(n * sizeof *hashes + 1);
    TN_AUTO_FREE double *mean = tn_calloc((size_t)b->space.dims + 1, sizeof *mean);
    b->row_node = tn_try_malloc(n * sizeof *b->row_node + 1);
    b->node_row = tn_try_malloc(n * sizeof *b->node_row + 1);
    if (!hashes || !b->row_node || !b->node_row)
        return tn_fail(err, TN_ENOMEM, "not enough memory for %llu rows", (unsigned long long)n);
    struct reading r = {.b = b, .hashes = hashes, .mean = mean, .norm2_min = INFINITY};
    (void)pthread_mutex_init(&r.lock, NULL);
    build_phase(b, VECTOR_PHASE_READ, n);
    parallel_run(b->threads, b->options->low_priority, read_worker, &r);
    (void)pthread_mutex_destroy(&r.lock);
    TN_TRY(build_outcome(b, err));
    TN_TRY(fold_equal(b, hashes, err));
    draw_levels(b);

    /* Rows of nearly one length need no lift: the product orders them as distance does. */
    bool lifted = b->space.metric == VECTOR_INNER_PRODUCT && r.norm2_max - r.norm2_min > 1e-3 * r.norm2_max;
    if (lifted)
        space_init(&b->space, b->space.metric, b->space.dims, b->space.code_bits, true, b->options->seed);
    b->space.lift = (float)r.norm2_max;
    TN_AUTO_FREE float *center = tn_calloc((size_t)b->space.dims + 1, sizeof *center);
    for (uint32_t d = 0; d < b->space.dims && n > b->zero_count; d++)
        center[d] = (float)(mean[d] / (double)(n - b->zero_count));
    _Alignas(64) float rotated[SPACE_PADDED_MAX];
    space_rotate_query(&b->space, center, rotated);
    memcpy(b->space.center, rotated, b->space.padded * sizeof *rotated);
    return TN_OK;
}

/* ---- encode ---- */

struct encoding {
    struct builder *b;
    pthread_mutex_t lock;
    double norm2;
};

static void encode_worker(void *context, uint32_t worker)
{
    struct encoding *e = context;
    struct builder *b = e->b;
    uint32_t padded = b->space.padded;
    size_t search_bytes = space_code_bytes(&b->space);
    _Alignas(64) float row[VECTOR_DIMENSIONS_MAX + 16];
    _Alignas(64) float rotated[SPACE_PADDED_MAX];
    double norm2 = 0;
    for (;;) {
        uint64_t start = atomic_fetch_add(&b->next, CHUNK);
        if (start >= b->phase_total || !build_goes_on(b, worker))
            break;
        for (uint64_t i = start; i < TN_MIN(start + CHUNK, b->phase_total); i++) {
            (void)build_row(b, b->node_row[i], row);
            space_rotate_row(&b->space, row, rotated);
            uint8_t *code = (uint8_t *)b->codes.data + i * padded;
            struct code_factor *factor = (struct code_factor *)b->factors.data + i;
            space_encode_build(&b->space, rotated, code, factor);
            int32_t sum = 0;
            for (uint32_t d = 0; d < padded; d++)
                sum += code[d] - 128;
            b->code_sums[i] = sum;
            norm2 += (double)factor->add;
            space_encode(&b->space, rotated, (uint8_t *)b->search_codes.data + i * search_bytes,
                         (struct code_factor *)b->search_factors.data + i);
        }
    }
    (void)pthread_mutex_lock(&e->lock);
    e->norm2 += norm2;
    (void)pthread_mutex_unlock(&e->lock);
}

/* How far estimates lie from truth, over random pairs of rows. */
static void measure_noise(struct builder *b)
{
    struct space_query *query = aligned_alloc(64, (sizeof *query + 63) / 64 * 64);
    TN_AUTO_FREE float *row = tn_calloc(b->space.dims, sizeof *row);
    if (!query || b->nodes < 2) {
        free(query);
        return;
    }
    const struct vector_kernels *k = b->space.kernels;
    b->space.noise = 1;
    double sum = 0;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < 512; i++) {
        uint32_t a = (uint32_t)(space_mix64(i) % b->nodes);
        uint32_t c = (uint32_t)(space_mix64(i + 100000) % b->nodes);
        (void)build_row(b, b->node_row[a], row);
        if (space_query_set(&b->space, row, query) != SPACE_FINE || !(query->sigma > 0))
            continue;
        struct score_query q = {b->search_codes.data,
                                b->search_factors.data,
                                space_code_bytes(&b->space),
                                query->steps,
                                b->space.padded,
                                query->scale,
                                query->bias,
                                0};
        float estimate;
        (b->space.code_bits == 4 ? k->score_u4 : k->score_u8)(&q, &c, 1, &estimate);
        (void)build_row(b, b->node_row[c], row);
        float exact = b->space.metric == VECTOR_L2 ? k->l2_f32(row, query->prepared, b->space.dims)
                                                   : -k->dot_f32(row, query->prepared, b->space.dims);
        if (b->space.metric == VECTOR_COSINE)
            exact += 1;
        double off = (double)((query->base + estimate - exact) / query->sigma);
        sum += off * off;
        pairs++;
    }
    b->space.noise = pairs ? (float)sqrt(sum / pairs) : 0;
    free(query);
}

static enum tn_code encode_rows(struct builder *b, struct tn_error *err)
{
    uint64_t n = b->nodes;
    TN_TRY(block_alloc(&b->codes, n * b->space.padded + 64, &b->budget, "codes", err));
    TN_TRY(block_alloc(&b->factors, n * sizeof(struct code_factor) + 64, &b->budget, "factors", err));
    TN_TRY(block_alloc(&b->search_codes, n * space_code_bytes(&b->space) + 64, &b->budget, "codes", err));
    TN_TRY(block_alloc(&b->search_factors, n * sizeof(struct code_factor) + 64, &b->budget, "factors", err));
    b->code_sums = tn_try_malloc(n * sizeof *b->code_sums + 1);
    if (!b->code_sums)
        return tn_fail(err, TN_ENOMEM, "not enough memory for sums of codes");
    struct encoding e = {.b = b};
    (void)pthread_mutex_init(&e.lock, NULL);
    build_phase(b, VECTOR_PHASE_READ, n);
    parallel_run(b->threads, b->options->low_priority, encode_worker, &e);
    (void)pthread_mutex_destroy(&e.lock);
    TN_TRY(build_outcome(b, err));
    b->space.radius = n ? (float)sqrt(e.norm2 / (double)n) : 0;
    measure_noise(b);
    return TN_OK;
}

/* ---- all of it ---- */

static void builder_release(struct builder *b)
{
    block_free(&b->codes, &b->budget);
    block_free(&b->factors, &b->budget);
    block_free(&b->search_codes, &b->budget);
    block_free(&b->search_factors, &b->budget);
    block_free(&b->links0, &b->budget);
    block_free(&b->distances0, &b->budget);
    for (uint32_t l = 0; l < LEVELS_MAX; l++) {
        block_free(&b->links[l], &b->budget);
        block_free(&b->distances[l], &b->budget);
    }
    free(b->row_node);
    free(b->node_row);
    free(b->code_sums);
    free(b->locks);
    (void)pthread_mutex_destroy(&b->progress_lock);
    free(b);
}
static void builder_release_p(struct builder **b)
{
    if (*b)
        builder_release(*b);
}

uint64_t vector_build_memory(uint64_t rows, const struct vector_build_options *options, uint32_t dims)
{
    uint64_t degree = options->degree ? options->degree : 16;
    uint64_t padded = ((uint64_t)dims + 64) / 64 * 64 + 64;
    uint64_t list = 3 * degree * 8 + 4;
    uint64_t per_row = padded + padded / 2 + 16 + list + list / degree + 4 + 4 + 8 + 12 + 4 + 1 + 8;
    return rows * per_row + ((uint64_t)24 << 20);
}

static enum tn_code check_options(const struct vector_rows *rows, const struct vector_build_options *o,
                                  struct tn_error *err)
{
    if (rows->dims < VECTOR_DIMENSIONS_MIN || rows->dims > VECTOR_DIMENSIONS_MAX)
        return tn_fail(err, TN_EREQUEST, "%u dimensions; 2 to 4096 are possible", rows->dims);
    if (rows->count == 0 || rows->count > VECTOR_ROWS_MAX)
        return tn_fail(err, TN_EREQUEST, "%llu rows; 1 to %u are possible", (unsigned long long)rows->count,
                       VECTOR_ROWS_MAX);
    if (o->degree == 1 || o->degree > DEGREE_MAX)
        return tn_fail(err, TN_EREQUEST, "degree %u; 2 to %d are possible", o->degree, DEGREE_MAX);
    if (o->ef_construction > 4096)
        return tn_fail(err, TN_EREQUEST, "ef_construction %u; at most 4096 is possible", o->ef_construction);
    if (o->code_bits != 0 && o->code_bits != 4 && o->code_bits != 8)
        return tn_fail(err, TN_EREQUEST, "%u bits per code; 4 and 8 are possible", o->code_bits);
    if (o->sample_count > VECTOR_SAMPLES_MAX)
        return tn_fail(err, TN_EREQUEST, "%u sample queries; at most %d are kept", o->sample_count,
                       VECTOR_SAMPLES_MAX);
    uint64_t need = vector_build_memory(rows->count, o, rows->dims);
    if (o->memory_budget && need > o->memory_budget) {
        (void)tn_fail(err, TN_ENOMEM, "building over %llu rows of %u dimensions needs %llu bytes, the budget is %llu",
                      (unsigned long long)rows->count, rows->dims, (unsigned long long)need,
                      (unsigned long long)o->memory_budget);
        tn_error_hint(err, "raise the memory budget, or lower degree");
        return TN_ENOMEM;
    }
    return TN_OK;
}

static double seconds_since(uint64_t *mark)
{
    uint64_t now = tn_mono_ns();
    double seconds = (double)(now - *mark) * 1e-9;
    *mark = now;
    return seconds;
}

enum tn_code vector_build(const struct vector_rows *rows, const struct vector_build_options *options,
                          const char *path, struct vector_build_report *ret_report, struct tn_error *err)
{
    TN_TRY(check_options(rows, options, err));
    TN_TRY(check_ids(rows, err));
    TN_CLEANUP(builder_release_p) struct builder *b = aligned_alloc(64, (sizeof *b + 63) / 64 * 64);
    if (!b)
        return tn_fail(err, TN_ENOMEM, "not enough memory to build");
    memset(b, 0, sizeof *b);
    (void)pthread_mutex_init(&b->progress_lock, NULL);
    b->rows = rows;
    b->options = options;
    b->budget.limit = options->memory_budget;
    b->threads = options->threads ? options->threads : (uint32_t)tn_cpu_count();
    b->degree = options->degree ? options->degree : 16;
    b->ef = TN_MAX(options->ef_construction ? options->ef_construction : 200, b->degree);
    uint32_t bits = options->code_bits ? options->code_bits : rows->dims < 192 ? 8 : 4;
    space_init(&b->space, options->metric, rows->dims, bits, false, options->seed);

    uint64_t start = tn_mono_ns(), cpu = thread_cpu_ns();
    uint64_t mark = start;
    struct vector_build_report report = {.rows = rows->count};
    TN_TRY(read_rows(b, err));
    TN_TRY(encode_rows(b, err));
    report.read_seconds = seconds_since(&mark);
    if (b->nodes) {
        TN_TRY(graph_build(b, err));
        TN_TRY(graph_finish(b, err));
    }
    report.graph_seconds = seconds_since(&mark);
    TN_TRY(generation_write(b, path, &report, err));
    report.write_seconds = seconds_since(&mark) - report.calibrate_seconds;
    report.seconds = seconds_since(&start);
    report.cpu_seconds = (double)(thread_cpu_ns() - cpu) * 1e-9;
    report.nodes = b->nodes;
    report.zeros = b->zero_count;
    report.duplicates = b->duplicate_count;
    report.repaired = b->repaired;
    report.peak_memory = b->budget.peak;
    if (ret_report)
        *ret_report = report;
    return TN_OK;
}
