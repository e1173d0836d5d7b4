/* vector: nearest neighbours in memory, with recall that is stated.
 *
 * A library over base alone. Three nouns:
 *
 *   generation   one immutable file: a graph, quantised codes, ids and the raw
 *                vectors, opened by mmap (docs/formats/generation.md). Built by
 *                vector_build.
 *   index        a folder with generations, a pointer to the active one, and
 *                a log of the changes made since it was built
 *                (docs/formats/delta-log.md). Or a lone generation file,
 *                read-only.
 *   searcher     the scratch memory of one searching thread.
 *
 *     struct vector_index *index = NULL;
 *     struct vector_searcher *searcher = NULL;
 *     TN_TRY(vector_index_open("films.index", NULL, &index, err));
 *     TN_TRY(vector_searcher_new(index, &searcher, err));
 *     struct vector_params params = {.k = 10, .recall = 0.95F};
 *     struct vector_hit hits[10];
 *     size_t count;
 *     TN_TRY(vector_search(searcher, query, &params, hits, &count, NULL, err));
 *
 * Distances. Smaller is nearer. VECTOR_COSINE: 1 - cos, in [0, 2].
 * VECTOR_INNER_PRODUCT: minus the product. VECTOR_L2: the Euclidean distance
 * (not its square). They are computed on the raw vectors in float32; estimates
 * from codes only choose candidates. Equal distances are ordered by id.
 *
 * Rows. An id is any int64 and the caller's; it names one row. Identical rows
 * share a node of the graph and are all found. A row with a NaN or an infinity
 * is refused by id. A zero row has no direction: under VECTOR_COSINE it stays
 * out of the graph and counts as distance 1 from everything.
 *
 * The contract of k. A search returns exactly k hits when k rows qualify (are
 * alive and pass the filter), fewer only when fewer qualify; never an id
 * twice. What varies is how near they are: recall is the share of the true
 * nearest k among them, and a generation knows, from sample queries, how wide
 * to search for a wanted recall. Exact searches have recall 1.
 *
 * Threads. An index may be used by any number of threads. A searcher belongs to
 * one thread at a time and takes no lock and allocates nothing in a search
 * (except after a swap, to fit the new generation). Changes are serialised
 * inside. A search sees one instant: all of a change or none of it, and of a
 * generation and its changes what belonged together when it began.
 *
 * Memory. Whatever is sized by data is checked against the budget that the
 * caller gives and fails with TN_ENOMEM, saying how much was wanted.
 */
#ifndef TARN_VECTOR_VECTOR_H
#define TARN_VECTOR_VECTOR_H

#include "base/error.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_DIMENSIONS_MIN 2
#define VECTOR_DIMENSIONS_MAX 4096
#define VECTOR_ROWS_MAX       UINT32_C(2000000000) /* in a generation */
#define VECTOR_K_MAX          10000
#define VECTOR_WINDOW_MAX     65536 /* of a search, "ef" */
#define VECTOR_SAMPLES_MAX    4096  /* sample queries of a generation */

enum vector_metric { VECTOR_COSINE, VECTOR_INNER_PRODUCT, VECTOR_L2 };
enum vector_type { VECTOR_F32, VECTOR_F16 };

/* "cosine", "ip", "l2"; false for anything else. */
bool vector_metric_parse(const char *word, enum vector_metric *ret);
const char *vector_metric_word(enum vector_metric metric);
/* The instruction set in use: "avx512", "avx2", "scalar", "neon", "neondot". */
const char *vector_instruction_set(void);

/* ---- building ---------------------------------------------------------- */

/* Rows to build from, borrowed for the call. Either `data` (row i begins
 * i * stride bytes in; stride 0 means packed) or `fetch`, which writes one row
 * of float32 and may be called by several threads at once. */
struct vector_rows {
    uint64_t count;
    uint32_t dims;
    enum vector_type type; /* of data */
    const void *data;
    size_t stride;
    void (*fetch)(void *context, uint64_t row, float *out);
    void *context;
    const int64_t *ids; /* NULL: the row's number */
};

/* Steers a running build from any other thread. `= {0}` lets it run. */
struct vector_control {
    atomic_int command; /* enum vector_command */
};
enum vector_command { VECTOR_RUN, VECTOR_PAUSE, VECTOR_CANCEL };

enum vector_phase {
    VECTOR_PHASE_READ,
    VECTOR_PHASE_GRAPH,
    VECTOR_PHASE_REPAIR,
    VECTOR_PHASE_CALIBRATE,
    VECTOR_PHASE_WRITE
};
const char *vector_phase_word(enum vector_phase phase);

struct vector_build_options {
    enum vector_metric metric;
    enum vector_type raw;     /* how raw vectors are kept; VECTOR_F16 halves them */
    uint32_t degree;          /* M: links a node seeks; twice that in the lowest layer. 0: 16. At most 64 */
    uint32_t ef_construction; /* candidates considered per row. 0: 200 */
    uint32_t code_bits;       /* 4 or 8; 0: 8 below 192 dimensions, else 4 */
    uint32_t threads;         /* 0: one per CPU. 1 makes the result a function of rows, options and seed */
    uint64_t seed;
    uint64_t memory_budget;         /* bytes; 0: no limit */
    bool low_priority;              /* workers yield to everything else */
    struct vector_control *control; /* NULL: cannot be steered */
    /* Called from one thread at a time, a few times a second at most; false cancels. */
    bool (*progress)(void *context, enum vector_phase phase, uint64_t done, uint64_t total);
    void *progress_context;
    /* Real queries to calibrate with (rows of float32, packed). Without them
     * queries are made up between and beyond neighbouring rows. */
    const float *samples;
    uint32_t sample_count;
    uint64_t last_change; /* number of the last logged change that the rows include */
};

struct vector_build_report {
    uint64_t rows, nodes, zeros, duplicates;
    uint64_t repaired; /* nodes that no search could have reached */
    uint64_t bytes_on_disk, bytes_of_raw;
    uint64_t peak_memory; /* of the build's own large blocks */
    double seconds, read_seconds, graph_seconds, calibrate_seconds, write_seconds;
    double cpu_seconds; /* of all threads of the build together */
};

/* Writes the generation file `path` (by way of a temporary name: it appears
 * whole or not at all). TN_EREFUSED names a row that is not finite or an id
 * that occurs twice; TN_ECANCELLED; TN_ENOMEM. */
enum tn_code vector_build(const struct vector_rows *rows, const struct vector_build_options *options,
                          const char *path, struct vector_build_report *ret_report, struct tn_error *err) TN_CHECKED;

/* What a build of so many rows will need in memory, beside the rows. */
uint64_t vector_build_memory(uint64_t rows, const struct vector_build_options *options, uint32_t dims);

/* ---- checking ---------------------------------------------------------- */

struct vector_verify_report {
    uint64_t blocks; /* checksummed blocks read */
    uint64_t nodes, links;
    uint64_t unreachable; /* nodes not reachable from the entry: 0 in what vector_build writes */
    uint64_t self_links, double_links;
    double mean_degree;
};
/* Reads everything: checksums, bounds of every link, ids unique, reachability.
 * TN_ECORRUPT says what is wrong first. */
enum tn_code vector_verify_file(const char *path, struct vector_verify_report *ret_report,
                                struct tn_error *err) TN_CHECKED;

/* ---- an index ----------------------------------------------------------- */

struct vector_index;

struct vector_open_options {
    bool read_only;         /* changes are refused; no lock is taken on the folder */
    bool no_warm;           /* stay on the mapped file: least memory, first touches slower */
    bool warm_now;          /* do the background's work (checks, copy to large pages, tuning) before returning */
    uint64_t memory_budget; /* of large pages and delta; 0: no limit. Warming that does not fit is left out */
    uint32_t fold_rows;     /* fold by itself, at low priority, once so many rows have changed; 0: never */
};
/* For fold_rows. Every search scans the codes of the delta: at 768 dimensions
 * and 10,000 rows that is 0.2 to 0.3 ms, and in proportion. A fold that begins
 * there leaves in the delta what comes in while it runs: rows changed per
 * second times its seconds. A delta holds 16 million rows; a change that does
 * not fit is TN_EREFUSED. */
#define VECTOR_FOLD_ROWS 10000U

/* Makes a new folder `path` around a generation file, which is moved in. */
enum tn_code vector_index_create(const char *path, const char *generation_file, struct tn_error *err) TN_CHECKED;
/* A folder, or a generation file (then read-only). Header, table and footer
 * are checked before this returns; contents in the background, which begins
 * after the first search or a tenth of a second and whose finding
 * vector_index_health reports. The log is replayed; a torn last record (never
 * acknowledged) is dropped, other damage is TN_ECORRUPT. options may be NULL. */
enum tn_code vector_index_open(const char *path, const struct vector_open_options *options, struct vector_index **ret,
                               struct tn_error *err) TN_CHECKED;
/* No searcher may be in a search. NULL-safe. */
void vector_index_close(struct vector_index *index);
TN_DEFINE_CLEANUP(struct vector_index, vector_index_close)

/* Waits for the background check of the active generation; its verdict. */
enum tn_code vector_index_health(struct vector_index *index, struct tn_error *err) TN_CHECKED;

struct vector_index_info {
    uint64_t generation; /* its number; 0 for a lone file */
    enum vector_metric metric;
    enum vector_type raw;
    uint32_t dims, code_bits, degree, ef_construction;
    uint64_t seed;
    uint64_t rows; /* in the generation, deleted ones included */
    uint64_t nodes, zeros;
    uint64_t live;        /* rows that a search may return */
    uint64_t delta_rows;  /* live rows in the delta */
    uint64_t deleted;     /* rows of the generation deleted or replaced since */
    uint64_t last_change; /* number of the last change */
    uint64_t bytes_on_disk;
    uint64_t bytes_resident; /* what searching needs in memory, without raw vectors */
    uint64_t bytes_of_raw;
    uint64_t folds;      /* that the index began by itself (fold_rows) since it was opened */
    enum tn_code folded; /* how the last of them ended */
    bool warm;
    uint32_t expand, ahead; /* tuned: nodes expanded per round, prefetch distance */
};
void vector_index_info(struct vector_index *index, struct vector_index_info *ret);

/* Bytes of the active generation's file that are in memory at this moment: what
 * an index with no_warm takes, and the system takes back when it wants them.
 * The kernel is asked; of a file beyond a gigabyte, about a sample of it. */
uint64_t vector_index_mapped_bytes(struct vector_index *index);

/* The window that the calibration gives for this k and recall. */
uint32_t vector_index_window(struct vector_index *index, uint32_t k, float recall);

/* The largest id of any row, dead ones included: where new ids can begin. -1
 * when none is larger. */
int64_t vector_index_largest_id(struct vector_index *index);

/* The raw vector of a row as the metric sees it (unit length for cosine), dims
 * floats. TN_ENOTFOUND. Waits for a change that is being put into memory, never
 * for a disk. */
enum tn_code vector_index_get(struct vector_index *index, int64_t id, float *ret, struct tn_error *err) TN_CHECKED;

/* ---- changing ----------------------------------------------------------- */

/* Inserts or replaces `count` rows of float32, packed. When it returns, the
 * rows are in the log, on disk (concurrent callers share an fsync), and seen by
 * every search that starts from now on. All rows of a call become visible
 * together. TN_EREFUSED changes nothing. */
enum tn_code vector_index_insert(struct vector_index *index, const int64_t *ids, const float *rows, size_t count,
                                 struct tn_error *err) TN_CHECKED;
/* Unknown ids are passed over; ret_deleted (may be NULL) counts the others. */
enum tn_code vector_index_delete(struct vector_index *index, const int64_t *ids, size_t count, size_t *ret_deleted,
                                 struct tn_error *err) TN_CHECKED;

/* Builds the next generation from the live rows and swaps it in; searches and
 * changes go on meanwhile, changes held up only for the swap itself. Metric, raw
 * type, degree and seed are kept; options (may be NULL) gives ef_construction,
 * threads, budget, priority, control and progress. With low_priority all of the
 * building is done by threads that give way to every other. One fold at a time:
 * TN_EBUSY. Call it from a thread of your own, or let fold_rows call it. */
enum tn_code vector_index_fold(struct vector_index *index, const struct vector_build_options *options,
                               struct vector_build_report *ret_report, struct tn_error *err) TN_CHECKED;
/* Puts the previous generation back; the changes made since the fold are kept.
 * TN_ENOTFOUND when there is none. It waits for no build: a fold under way
 * loses its base and ends with TN_EBUSY. */
enum tn_code vector_index_rollback(struct vector_index *index, struct tn_error *err) TN_CHECKED;
/* Removes the files of generations that are neither active nor its previous. */
enum tn_code vector_index_prune(struct vector_index *index, struct tn_error *err) TN_CHECKED;

/* ---- generations beside the active one ---------------------------------- */

struct vector_generation {
    uint64_t number, seed, rows, nodes;
    uint64_t last_change; /* the last change that it includes */
    uint64_t bytes;       /* of its file */
    int64_t built_us;     /* when its file was finished */
    uint32_t degree, ef_construction, code_bits;
    enum vector_type raw;
    bool active, previous;
};
#define VECTOR_GENERATIONS_MAX 1024
/* Those that have a file, by number; more than `capacity` are left out. */
enum tn_code vector_index_generations(struct vector_index *index, struct vector_generation *ret, size_t capacity,
                                      size_t *ret_count, struct tn_error *err) TN_CHECKED;
/* The path of one, to be opened read-only by vector_index_open. The caller's to free(). */
char *vector_index_generation_path(const struct vector_index *index, uint64_t number)
    __attribute__((returns_nonnull));
/* Builds a generation from the live rows and leaves it beside the active one.
 * Degree, ef_construction, code bits and seed are the options' where they are
 * not 0, else the active one's; the raw type is the options'. One build or
 * fold at a time: TN_EBUSY. */
enum tn_code vector_index_build(struct vector_index *index, const struct vector_build_options *options,
                                uint64_t *ret_number, struct vector_build_report *ret_report,
                                struct tn_error *err) TN_CHECKED;
/* A generation that is there takes the active one's place, which becomes the
 * previous one. Changes made since it was built are taken over from the logs;
 * TN_ECONFLICT when they are gone. TN_ENOTFOUND; nothing happens when it is
 * the active one. Searches go on meanwhile, changes are held up for the swap. */
enum tn_code vector_index_promote(struct vector_index *index, uint64_t number, struct tn_error *err) TN_CHECKED;
/* Removes the files of generations that are neither active, nor previous, nor
 * named, nor being built; and of their logs those that none of these needs. */
enum tn_code vector_index_keep(struct vector_index *index, const uint64_t *numbers, size_t count,
                               struct tn_error *err) TN_CHECKED;

/* ---- searching ---------------------------------------------------------- */

struct vector_searcher;
/* Freed before its index is closed. */
enum tn_code vector_searcher_new(struct vector_index *index, struct vector_searcher **ret,
                                 struct tn_error *err) TN_CHECKED;
void vector_searcher_free(struct vector_searcher *searcher);
TN_DEFINE_CLEANUP(struct vector_searcher, vector_searcher_free)

enum vector_filter_kind { VECTOR_FILTER_NONE, VECTOR_FILTER_BITMAP, VECTOR_FILTER_IDS, VECTOR_FILTER_CALLBACK };

/* Which rows qualify; borrowed for the search. */
struct vector_filter {
    enum vector_filter_kind kind;
    /* BITMAP: id passes when bit (id - first_id) is set, bit 0 the lowest of byte 0. */
    const uint8_t *bits;
    uint64_t bit_count;
    int64_t first_id;
    /* IDS: ascending, unique. */
    const int64_t *ids;
    uint64_t id_count;
    /* CALLBACK: must give the same answer each time during a search. */
    bool (*passes)(void *context, int64_t id);
    void *context;
    /* How many rows pass, roughly, if known; 0: found out, which takes a few
     * microseconds per million bits. Only speed depends on it. */
    uint64_t matches;
};

enum vector_mode { VECTOR_MODE_AUTO, VECTOR_MODE_GRAPH, VECTOR_MODE_SCAN, VECTOR_MODE_EXACT };

struct vector_params {
    uint32_t k;                         /* 1 to VECTOR_K_MAX */
    float recall;                       /* wanted, 0 < recall < 1; used when window is 0. Both 0: 0.95 */
    uint32_t window;                    /* candidates kept ("ef"); raised to k where smaller */
    uint32_t rerank;                    /* at most so many raw vectors are read; 0: by the spread of the estimates */
    uint32_t patience;                  /* stop after so many rounds without a better k; 0: never */
    enum vector_mode mode;              /* SCAN: all codes; EXACT: all raw vectors */
    const struct vector_filter *filter; /* NULL: all rows */
    /* At most max_per_group hits share a group_of value. 0: no limit. */
    uint32_t max_per_group;
    uint64_t (*group_of)(void *context, int64_t id);
    void *group_context;
};

struct vector_hit {
    int64_t id;
    float distance;
};

enum vector_strategy {
    VECTOR_STRATEGY_GRAPH,   /* the walk */
    VECTOR_STRATEGY_LATE,    /* the walk; what does not pass routes but is not returned */
    VECTOR_STRATEGY_TWO_HOP, /* a walk over passing nodes, two links at a time */
    VECTOR_STRATEGY_GATHER,  /* the codes of all passing rows */
    VECTOR_STRATEGY_SCAN,    /* all codes */
    VECTOR_STRATEGY_EXACT,   /* all raw vectors */
};
const char *vector_strategy_word(enum vector_strategy strategy);
enum vector_stop { VECTOR_STOP_WINDOW, VECTOR_STOP_PATIENCE, VECTOR_STOP_COST, VECTOR_STOP_ALL };
const char *vector_stop_word(enum vector_stop stop);

/* What a search did: learning feeds on it. */
struct vector_stats {
    uint64_t generation;
    uint32_t window;
    uint32_t hops;      /* nodes expanded */
    uint32_t distances; /* estimates from codes */
    uint32_t reranked;  /* distances from raw vectors */
    uint32_t visited;   /* nodes seen */
    uint32_t delta_scanned;
    enum vector_strategy strategy; /* that produced the answer */
    bool fell_back;                /* the first strategy could not keep the contract */
    enum vector_stop stop;
    float selectivity; /* estimated share of rows that pass; 1 without filter */
    /* Estimated distances after 16 expansions, of the nearest, the tenth and
     * the sixteenth candidate; NaN when the walk ended before. */
    float probe_first, probe_tenth, probe_sixteenth;
};

/* hits: room for k. ret_stats may be NULL. A query that is not finite, or is
 * zero under cosine, is TN_EREQUEST. */
enum tn_code vector_search(struct vector_searcher *searcher, const float *query, const struct vector_params *params,
                           struct vector_hit *hits, size_t *ret_count, struct vector_stats *ret_stats,
                           struct tn_error *err) TN_CHECKED;

/* All rows within `distance`, nearest first, at most `capacity` of them;
 * ret_more says that there were more. params->k is not used; recall, window
 * (as a start) and filter are. */
enum tn_code vector_search_range(struct vector_searcher *searcher, const float *query, float distance,
                                 const struct vector_params *params, struct vector_hit *hits, size_t capacity,
                                 size_t *ret_count, bool *ret_more, struct vector_stats *ret_stats,
                                 struct tn_error *err) TN_CHECKED;

/* Many queries (packed float32) over `threads` threads: hits and counts are
 * k and 1 per query; stats and nanoseconds (one per query) may be NULL. The
 * first error ends it. */
enum tn_code vector_search_batch(struct vector_index *index, const float *queries, size_t query_count,
                                 const struct vector_params *params, uint32_t threads, struct vector_hit *hits,
                                 size_t *counts, struct vector_stats *stats, uint64_t *nanoseconds,
                                 struct tn_error *err) TN_CHECKED;

#endif
