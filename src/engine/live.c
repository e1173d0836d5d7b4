/* tarn_live(set, row) and tarn_live(first, file, row): is the row still there?
 *
 * Rows that were deleted from immutable files and tables stand in bitmaps.
 * The text of a SELECT names them by number; numbers are never used again, so
 * a text that outlives its bitmaps fails instead of seeing others'. Whoever
 * gives the text to the engine holds the bitmaps until the query has ended.
 *
 * A chunk's rows mostly lie in one file: the lookup is done when the number
 * changes, not for each row.
 */
#include "engine/engine_internal.h"

#define BUCKETS 4096

struct live_entry {
    uint64_t id;
    struct engine_bitmap *bitmap;
    struct live_entry *next;
};

struct live {
    pthread_rwlock_t lock;
    uint64_t next_id;
    atomic_uint read_marked; /* see mark_read */
    struct live_entry *buckets[BUCKETS];
};

struct engine_bitmap *engine_bitmap_new(size_t bits, uint64_t limit)
{
    size_t words = (bits + 63) / 64;
    struct engine_bitmap *bitmap = tn_calloc(1, sizeof *bitmap + words * sizeof bitmap->words[0]);
    bitmap->references = 1;
    bitmap->limit = limit;
    bitmap->word_count = words;
    return bitmap;
}

struct engine_bitmap *engine_bitmap_ref(struct engine_bitmap *bitmap)
{
    atomic_fetch_add(&bitmap->references, 1);
    return bitmap;
}

void engine_bitmap_unref(struct engine_bitmap *bitmap)
{
    if (bitmap && atomic_fetch_sub(&bitmap->references, 1) == 1)
        free(bitmap);
}

/* ---- the registry ---------------------------------------------------------- */

struct live *live_new(void)
{
    struct live *live = tn_calloc(1, sizeof *live);
    pthread_rwlock_init(&live->lock, NULL);
    live->next_id = 1;
    return live;
}

void live_free(struct live *live)
{
    if (!live)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (live->buckets[i]) {
            struct live_entry *entry = live->buckets[i];
            live->buckets[i] = entry->next;
            engine_bitmap_unref(entry->bitmap);
            free(entry);
        }
    }
    pthread_rwlock_destroy(&live->lock);
    free(live);
}

/* A bitmap is let go behind the end of the last query that reads it. The engine
 * puts these in order, by means that the thread sanitizer does not see: for
 * its eyes, and only then, reading and letting go meet in a counter. */
static inline void mark_read(struct live *live)
{
#if defined(__SANITIZE_THREAD__)
    atomic_fetch_add_explicit(&live->read_marked, 1, memory_order_release);
#else
    (void)live;
#endif
}

static inline void see_reads(struct live *live)
{
#if defined(__SANITIZE_THREAD__)
    (void)atomic_load_explicit(&live->read_marked, memory_order_acquire);
#else
    (void)live;
#endif
}

uint64_t engine_live_add(struct engine *engine, struct engine_bitmap *const *bitmaps, size_t count)
{
    struct live *live = engine->live;
    pthread_rwlock_wrlock(&live->lock);
    uint64_t first = live->next_id;
    live->next_id += count;
    for (size_t i = 0; i < count; i++) {
        struct live_entry *entry = tn_malloc(sizeof *entry);
        struct live_entry **bucket = &live->buckets[(first + i) % BUCKETS];
        *entry = (struct live_entry){first + i, engine_bitmap_ref(bitmaps[i]), *bucket};
        *bucket = entry;
    }
    pthread_rwlock_unlock(&live->lock);
    return first;
}

void engine_live_remove(struct engine *engine, uint64_t first, size_t count)
{
    struct live *live = engine->live;
    see_reads(live);
    pthread_rwlock_wrlock(&live->lock);
    for (uint64_t id = first; id < first + count; id++) {
        struct live_entry **link = &live->buckets[id % BUCKETS];
        while (*link && (*link)->id != id)
            link = &(*link)->next;
        struct live_entry *entry = *link;
        if (!entry)
            continue;
        *link = entry->next;
        engine_bitmap_unref(entry->bitmap);
        free(entry);
    }
    pthread_rwlock_unlock(&live->lock);
}

/* Borrowed: whoever runs the query holds it. NULL when it is not there. */
static const struct engine_bitmap *look_up(struct live *live, uint64_t id)
{
    pthread_rwlock_rdlock(&live->lock);
    const struct live_entry *entry = live->buckets[id % BUCKETS];
    while (entry && entry->id != id)
        entry = entry->next;
    const struct engine_bitmap *bitmap = entry ? entry->bitmap : NULL;
    pthread_rwlock_unlock(&live->lock);
    return bitmap;
}

/* ---- the functions ------------------------------------------------------------ */

static const uint64_t *column(duckdb_data_chunk input, idx_t at)
{
    return duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, at));
}

static inline bool is_live(const struct engine_bitmap *bitmap, uint64_t row)
{
    uint64_t word = row / 64;
    return row < bitmap->limit && (word >= bitmap->word_count || !(bitmap->words[word] >> (row % 64) & 1));
}

/* Set 0 is there without being added: nothing is gone. */
static const struct engine_bitmap all = {.limit = UINT64_MAX};

static void live_of(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output, bool files)
{
    struct live *live = duckdb_scalar_function_get_extra_info(info);
    idx_t count = duckdb_data_chunk_get_size(input);
    const uint64_t *sets = column(input, 0);
    const uint64_t *file = files ? column(input, 1) : NULL;
    const uint64_t *rows = column(input, files ? 2 : 1);
    bool *result = duckdb_vector_get_data(output);
    const struct engine_bitmap *bitmap = NULL;
    uint64_t current = 0;
    for (idx_t i = 0; i < count; i++) {
        uint64_t id = sets[i] + (file ? file[i] : 0);
        if (!bitmap || id != current) {
            bitmap = id ? look_up(live, id) : &all;
            current = id;
        }
        if (!bitmap) {
            duckdb_scalar_function_set_error(info, "the deletes of this version are no longer held: ask again");
            return;
        }
        result[i] = is_live(bitmap, rows[i]);
    }
    mark_read(live);
}

static void live_in_table(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    live_of(info, input, output, false);
}

static void live_in_files(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    live_of(info, input, output, true);
}

static void add_parameter(duckdb_scalar_function function, duckdb_type id)
{
    duckdb_logical_type type = duckdb_create_logical_type(id);
    duckdb_scalar_function_add_parameter(function, type);
    duckdb_destroy_logical_type(&type);
}

static void add_function(duckdb_scalar_function_set set, struct live *live, bool files)
{
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type boolean = duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
    duckdb_scalar_function_set_name(function, "tarn_live");
    add_parameter(function, DUCKDB_TYPE_BIGINT);
    if (files)
        add_parameter(function, DUCKDB_TYPE_UBIGINT);
    add_parameter(function, DUCKDB_TYPE_BIGINT);
    duckdb_scalar_function_set_return_type(function, boolean);
    duckdb_scalar_function_set_extra_info(function, live, NULL);
    duckdb_scalar_function_set_function(function, files ? live_in_files : live_in_table);
    (void)duckdb_add_scalar_function_to_set(set, function);
    duckdb_destroy_logical_type(&boolean);
    duckdb_destroy_scalar_function(&function);
}

enum tn_code live_register(duckdb_connection connection, struct live *live, struct tn_error *err)
{
    duckdb_scalar_function_set set = duckdb_create_scalar_function_set("tarn_live");
    add_function(set, live, false);
    add_function(set, live, true);
    duckdb_state state = duckdb_register_scalar_function_set(connection, set);
    duckdb_destroy_scalar_function_set(&set);
    if (state != DuckDBSuccess)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine refuses the function tarn_live");
    return TN_OK;
}
