/* Position deletes as bitmaps.
 *
 * A delete file never changes, so the rows that it takes out of a data file are
 * read once and remembered, under a budget, least recently used out first. A SELECT names one bitmap for each
 * data file that has deletes; they are numbered one after the other, as the
 * files stand in its list. Where bitmaps would be too large, or there is
 * nobody to hold them, the SELECT joins with the delete files instead.
 */
#include "dataset/deletes.h"

#include "dataset/dataset_internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define BUCKETS          4096
#define REMEMBERED_BYTES ((size_t)64 << 20)
/* Small ones: more of them than any table has between two compactions, so that
 * those of files long gone do not pile up to the budget. */
#define REMEMBERED_MOST 16384
#define BITMAPS_BYTES   ((uint64_t)64 << 20) /* of one SELECT */
#define ROWS_MAX        ((int64_t)20000000)  /* of the delete files of one SELECT */

/* Rows that one delete file takes out of one data file; counted. */
struct rows_gone {
    struct tn_ring ring;
    atomic_size_t references;
    const char *delete_path, *data_path; /* behind the struct */
    int64_t *rows;
    size_t count, capacity;
    size_t bytes;           /* as the memory counts it */
    struct rows_gone *next; /* of the bucket */
};

struct dataset_deletes {
    pthread_mutex_t mutex;
    struct rows_gone *buckets[BUCKETS];
    struct tn_ring ring;
    size_t bytes, count;
};

struct dataset_deletes *dataset_deletes_new(void)
{
    struct dataset_deletes *deletes = tn_calloc(1, sizeof *deletes);
    pthread_mutex_init(&deletes->mutex, NULL);
    tn_ring_init(&deletes->ring);
    return deletes;
}

static struct rows_gone *gone_new(const char *delete_path, const char *data_path)
{
    size_t delete_bytes = strlen(delete_path) + 1, data_bytes = strlen(data_path) + 1;
    struct rows_gone *gone = tn_calloc(1, sizeof *gone + delete_bytes + data_bytes);
    char *text = (char *)(gone + 1);
    gone->references = 1;
    gone->delete_path = memcpy(text, delete_path, delete_bytes);
    gone->data_path = memcpy(text + delete_bytes, data_path, data_bytes);
    return gone;
}

static void gone_unref(struct rows_gone *gone)
{
    if (!gone || atomic_fetch_sub(&gone->references, 1) != 1)
        return;
    free(gone->rows);
    free(gone);
}

static size_t bucket_of(const char *delete_path, const char *data_path)
{
    uint64_t hash = tn_hash64(delete_path, strlen(delete_path), 0);
    return (size_t)(tn_hash64(data_path, strlen(data_path), hash) % BUCKETS);
}

/* Where the pointer to it stands; to NULL when it is not there. */
static struct rows_gone **find(struct dataset_deletes *deletes, const char *delete_path, const char *data_path)
{
    struct rows_gone **at = &deletes->buckets[bucket_of(delete_path, data_path)];
    while (*at && !(tn_streq((*at)->delete_path, delete_path) && tn_streq((*at)->data_path, data_path)))
        at = &(*at)->next;
    return at;
}

static void forget(struct dataset_deletes *deletes, struct rows_gone **at)
{
    struct rows_gone *gone = *at;
    *at = gone->next;
    tn_ring_leave(&gone->ring);
    deletes->bytes -= gone->bytes;
    deletes->count--;
    gone_unref(gone);
}

static void forget_oldest(struct dataset_deletes *deletes)
{
    const struct rows_gone *oldest = tn_ring_oldest(&deletes->ring);
    forget(deletes, find(deletes, oldest->delete_path, oldest->data_path));
}

void dataset_deletes_free(struct dataset_deletes *deletes)
{
    if (!deletes)
        return;
    while (tn_ring_oldest(&deletes->ring))
        forget_oldest(deletes);
    pthread_mutex_destroy(&deletes->mutex);
    free(deletes);
}

/* Counted for the caller; NULL when it is not there. */
static struct rows_gone *recall(struct dataset_deletes *deletes, const char *delete_path, const char *data_path)
{
    pthread_mutex_lock(&deletes->mutex);
    struct rows_gone *gone = *find(deletes, delete_path, data_path);
    if (gone) {
        atomic_fetch_add(&gone->references, 1);
        tn_ring_renew(&deletes->ring, &gone->ring);
    }
    pthread_mutex_unlock(&deletes->mutex);
    return gone;
}

static void remember(struct dataset_deletes *deletes, struct rows_gone *gone)
{
    size_t bytes =
        sizeof *gone + strlen(gone->delete_path) + strlen(gone->data_path) + 2 + gone->capacity * sizeof *gone->rows;
    if (bytes > REMEMBERED_BYTES / 4)
        return;
    atomic_fetch_add(&gone->references, 1);
    gone->bytes = bytes;
    pthread_mutex_lock(&deletes->mutex);
    struct rows_gone **at = find(deletes, gone->delete_path, gone->data_path);
    if (*at)
        forget(deletes, at); /* two read it at once */
    at = &deletes->buckets[bucket_of(gone->delete_path, gone->data_path)];
    gone->next = *at;
    *at = gone;
    tn_ring_enter(&deletes->ring, &gone->ring);
    deletes->bytes += bytes;
    deletes->count++;
    while (deletes->bytes > REMEMBERED_BYTES || deletes->count > REMEMBERED_MOST)
        forget_oldest(deletes);
    pthread_mutex_unlock(&deletes->mutex);
}

void dataset_deletes_note(struct dataset_deletes *deletes, const char *delete_path, const char *data_path,
                          const int64_t *positions, size_t count)
{
    if (!deletes)
        return;
    struct rows_gone *gone = gone_new(delete_path, data_path);
    gone->rows = tn_realloc_array(NULL, TN_MAX(count, (size_t)1), sizeof *gone->rows);
    gone->count = gone->capacity = count;
    if (count)
        memcpy(gone->rows, positions, count * sizeof *gone->rows);
    remember(deletes, gone);
    gone_unref(gone);
}

struct dataset_deletes_state dataset_deletes_state(struct dataset_deletes *deletes)
{
    pthread_mutex_lock(&deletes->mutex);
    struct dataset_deletes_state state = {deletes->count, deletes->bytes};
    pthread_mutex_unlock(&deletes->mutex);
    return state;
}

/* ---- reading ------------------------------------------------------------------------ */

/* One data file's share of one delete file. */
struct pair {
    const char *delete_path, *delete_key, *data_path;
    struct rows_gone *gone;
    bool read; /* now, not before */
};

struct reading {
    struct lake *lake;
    struct tn_arena *arena;
    const struct iceberg_plan *plan;
    struct pair *pairs; /* in the plan's order */
    size_t pair_count;
    /* The delete files that are read, and for each its pairs. */
    const char **files;
    struct pair ***wanted;
    size_t *wanted_count;
    size_t file_count;
};

/* (index of the delete file, data file's path, row) */
static enum tn_code take_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct reading *reading = context;
    size_t file = (size_t)cells[0].integer;
    if (cells[1].null || cells[2].null || file >= reading->file_count)
        return tn_fail(err, TN_ECORRUPT, "a position-delete file has a row without path or position");
    for (size_t i = 0; i < reading->wanted_count[file]; i++) {
        const struct pair *pair = reading->wanted[file][i];
        size_t length = strlen(pair->data_path);
        if (length != cells[1].text.length || memcmp(pair->data_path, cells[1].text.data, length) != 0)
            continue;
        struct rows_gone *gone = pair->gone;
        TN_GROW(gone->rows, gone->count, gone->capacity);
        gone->rows[gone->count++] = cells[2].integer;
        break;
    }
    return TN_OK;
}

/* Sorts the pairs that are not remembered by delete file. */
static void list_files(struct reading *reading)
{
    reading->files = TN_ARENA_ARRAY(reading->arena, const char *, reading->pair_count + 1);
    reading->wanted = TN_ARENA_ARRAY(reading->arena, struct pair **, reading->pair_count + 1);
    reading->wanted_count = TN_ARENA_ARRAY(reading->arena, size_t, reading->pair_count + 1);
    size_t slots = 64;
    while (slots < 2 * reading->pair_count)
        slots *= 2;
    uint32_t *slot_of = TN_ARENA_ARRAY(reading->arena, uint32_t, slots); /* file + 1 by key */
    for (size_t i = 0; i < reading->pair_count; i++) {
        struct pair *pair = &reading->pairs[i];
        if (!pair->read)
            continue;
        size_t at = (size_t)tn_hash64(pair->delete_key, strlen(pair->delete_key), 0) & (slots - 1);
        while (slot_of[at] && !tn_streq(reading->files[slot_of[at] - 1], pair->delete_key))
            at = (at + 1) & (slots - 1);
        if (!slot_of[at]) {
            reading->files[reading->file_count++] = pair->delete_key;
            slot_of[at] = (uint32_t)reading->file_count;
        }
        size_t file = slot_of[at] - 1, count = reading->wanted_count[file];
        if ((count & (count - 1)) == 0) { /* a power of two: full */
            struct pair **more = TN_ARENA_ARRAY(reading->arena, struct pair *, count ? 2 * count : 1);
            if (count)
                memcpy(more, reading->wanted[file], count * sizeof *more);
            reading->wanted[file] = more;
        }
        reading->wanted[file][reading->wanted_count[file]++] = pair;
    }
}

static enum tn_code read_files(struct reading *reading, struct tn_error *err)
{
    list_files(reading);
    if (reading->file_count == 0)
        return TN_OK;
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT CAST(file_index AS BIGINT), file_path, pos FROM read_parquet([");
    for (size_t i = 0; i < reading->file_count; i++) {
        char *path;
        TN_TRY(store_needed_path(reading->lake->store, reading->arena, reading->files[i], &path, err));
        tn_buf_puts(&sql, i ? ", " : "");
        tn_buf_put_sql_string(&sql, path);
    }
    tn_buf_puts(&sql, "])");
    const struct engine_select select = {.sql = sql.data};
    return engine_select(reading->lake->engine, &select, NULL, NULL, NULL, take_row, reading, err);
}

static enum tn_code collect(struct reading *reading, struct dataset_deletes *deletes, struct tn_error *err)
{
    const struct iceberg_plan *plan = reading->plan;
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_plan_file *file = &plan->files[i];
        for (size_t d = 0; d < file->delete_count; d++) {
            struct pair *pair = &reading->pairs[reading->pair_count++];
            *pair = (struct pair){file->deletes[d]->path, file->delete_keys[d], file->file->path, NULL, false};
            pair->gone = recall(deletes, pair->delete_path, pair->data_path);
            pair->read = !pair->gone;
            if (pair->read)
                pair->gone = gone_new(pair->delete_path, pair->data_path);
        }
    }
    TN_TRY(read_files(reading, err));
    for (size_t i = 0; i < reading->pair_count; i++)
        if (reading->pairs[i].read)
            remember(deletes, reading->pairs[i].gone);
    return TN_OK;
}

/* ---- bitmaps --------------------------------------------------------------------------- */

struct set_hold {
    struct engine_hold hold;
    struct engine *engine;
    uint64_t first;
    size_t count;
};

static void set_hold_free(struct engine_hold *hold)
{
    struct set_hold *set = (struct set_hold *)hold;
    engine_live_remove(set->engine, set->first, set->count);
    free(set);
}

static struct engine_bitmap *make_bitmap(const struct iceberg_file *file, const struct pair *pairs, size_t count)
{
    struct engine_bitmap *bitmap = engine_bitmap_new((size_t)file->record_count, UINT64_MAX);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < pairs[i].gone->count; k++) {
            int64_t row = pairs[i].gone->rows[k];
            if (row >= 0 && row < file->record_count)
                engine_bitmap_set(bitmap, (uint64_t)row);
        }
    return bitmap;
}

static struct set_hold *number_bitmaps(const struct reading *reading)
{
    const struct iceberg_plan *plan = reading->plan;
    struct engine_bitmap **bitmaps = TN_ARENA_ARRAY(reading->arena, struct engine_bitmap *, plan->file_count + 1);
    size_t count = 0;
    const struct pair *pairs = reading->pairs;
    for (size_t i = 0; i < plan->file_count; i++) {
        if (plan->files[i].delete_count == 0)
            continue;
        bitmaps[count++] = make_bitmap(plan->files[i].file, pairs, plan->files[i].delete_count);
        pairs += plan->files[i].delete_count;
    }
    struct set_hold *set = tn_calloc(1, sizeof *set);
    *set = (struct set_hold){
        .hold = {.references = 1, .free = set_hold_free}, .engine = reading->lake->engine, .count = count};
    set->first = engine_live_add(set->engine, bitmaps, count);
    for (size_t i = 0; i < count; i++)
        engine_bitmap_unref(bitmaps[i]);
    return set;
}

/* *ret_pairs: of delete files and data files. */
static bool is_affordable(const struct iceberg_plan *plan, size_t *ret_pairs)
{
    uint64_t bytes = 0;
    int64_t rows = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_plan_file *file = &plan->files[i];
        if (file->delete_count == 0)
            continue;
        if (file->file->record_count < 0)
            return false;
        bytes += (uint64_t)file->file->record_count / 8 + 64;
        pairs += file->delete_count;
        for (size_t d = 0; d < file->delete_count; d++)
            rows += TN_MAX(file->deletes[d]->record_count, (int64_t)0);
        if (bytes > BITMAPS_BYTES || rows > ROWS_MAX)
            return false;
    }
    *ret_pairs = pairs;
    return true;
}

static enum tn_code reading_begin(struct reading *reading, struct dataset_deletes *deletes, size_t pairs,
                                  struct tn_error *err)
{
    reading->pairs = TN_ARENA_ARRAY(reading->arena, struct pair, pairs + 1);
    return collect(reading, deletes, err);
}

static void reading_end(struct reading *reading)
{
    for (size_t i = 0; i < reading->pair_count; i++)
        gone_unref(reading->pairs[i].gone);
}

enum tn_code dataset_deletes_each(struct lake *lake, struct dataset_deletes *deletes, const struct iceberg_plan *plan,
                                  void (*gone)(void *context, size_t file, int64_t row), void *context,
                                  bool *ret_done, struct tn_error *err)
{
    size_t pairs = 0;
    *ret_done = is_affordable(plan, &pairs);
    if (!*ret_done || pairs == 0)
        return TN_OK;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct reading reading = {.lake = lake, .arena = arena, .plan = plan};
    enum tn_code code = reading_begin(&reading, deletes, pairs, err);
    const struct pair *pair = reading.pairs;
    for (size_t i = 0; code == TN_OK && i < plan->file_count; i++)
        for (size_t d = 0; d < plan->files[i].delete_count; d++, pair++)
            for (size_t k = 0; k < pair->gone->count; k++)
                gone(context, i, pair->gone->rows[k]);
    reading_end(&reading);
    return code;
}

enum tn_code dataset_deletes_hold(struct lake *lake, struct dataset_deletes *deletes, const struct iceberg_plan *plan,
                                  uint64_t *ret_first, struct engine_hold **ret, struct tn_error *err)
{
    size_t pairs = 0;
    *ret = NULL;
    if (!deletes || !is_affordable(plan, &pairs) || pairs == 0)
        return TN_OK;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct reading reading = {.lake = lake, .arena = arena, .plan = plan};
    enum tn_code code = reading_begin(&reading, deletes, pairs, err);
    if (code == TN_OK) {
        struct set_hold *set = number_bitmaps(&reading);
        *ret_first = set->first;
        *ret = &set->hold;
    }
    reading_end(&reading);
    return code;
}
