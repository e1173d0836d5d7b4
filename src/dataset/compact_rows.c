/* A compaction whose rows are in memory. */
#include "dataset/compact_rows.h"

#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"
#include "dataset/fresh.h"

#include <string.h>

/* What a group may be to be merged here: the cells of its rows are in memory
 * all at once. */
#define ROWS_MAX  INT64_C(20000)
#define BYTES_MAX (INT64_C(8) << 20)
#define NOWHERE   SIZE_MAX

struct row {
    size_t file; /* of those that were loaded */
    int64_t pos;
    const struct engine_cell *cells;
    const struct iceberg_bytes *bytes;
};

struct compact_rows {
    struct lake *lake;
    struct tn_arena *arena;
    const struct iceberg_schema *schema; /* the base's, which outlives this */
    struct cells_shape shape;
    const struct iceberg_plan_file *files;
    size_t file_count;
    size_t *offsets; /* each file's first row among all rows of all files */
    bool *gone;      /* of those */
    size_t *places;  /* of those: where it went; or NOWHERE */
    size_t total;
    struct row *rows;
    size_t count;
    const struct fresh_file **held;
    size_t held_count;
};

void compact_rows_free(struct compact_rows *rows)
{
    if (!rows)
        return;
    for (size_t i = 0; i < rows->held_count; i++)
        dataset_fresh_unref(rows->held[i]);
    tn_arena_free(rows->arena);
    free(rows);
}

size_t compact_rows_count(const struct compact_rows *rows)
{
    return rows->count;
}

/* ---- a plan's files ----------------------------------------------------------------- */

struct compact_index {
    const struct iceberg_plan *plan;
    size_t slots;
    size_t *at; /* file + 1 by path */
};

static size_t slot_of(const struct compact_index *index, const char *path)
{
    size_t slot = (size_t)tn_hash64(path, strlen(path), 0) & (index->slots - 1);
    while (index->at[slot] && !tn_streq(index->plan->files[index->at[slot] - 1].file->path, path))
        slot = (slot + 1) & (index->slots - 1);
    return slot;
}

struct compact_index *compact_index_new(struct tn_arena *arena, const struct iceberg_plan *plan)
{
    struct compact_index *index = TN_ARENA_ARRAY(arena, struct compact_index, 1);
    *index = (struct compact_index){.plan = plan, .slots = 64};
    while (index->slots < 2 * plan->file_count)
        index->slots *= 2;
    index->at = TN_ARENA_ARRAY(arena, size_t, index->slots);
    for (size_t i = 0; i < plan->file_count; i++)
        index->at[slot_of(index, plan->files[i].file->path)] = i + 1;
    return index;
}

const struct iceberg_plan_file *compact_index_find(const struct compact_index *index, const char *path)
{
    size_t at = index->at[slot_of(index, path)];
    return at ? &index->plan->files[at - 1] : NULL;
}

/* ---- loading ------------------------------------------------------------------------- */

static bool is_affordable(const struct iceberg_metadata *base, const struct iceberg_plan_file *files, size_t count)
{
    int64_t rows = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        rows += files[i].file->record_count;
        bytes += files[i].file->size_bytes;
        if (files[i].file->record_count < 0 || rows > ROWS_MAX || bytes > BYTES_MAX)
            return false;
    }
    return iceberg_small_can(base->schema);
}

static void mark_gone(void *context, size_t file, int64_t pos)
{
    const struct compact_rows *rows = context;
    if (pos >= 0 && pos < rows->files[file].file->record_count)
        rows->gone[rows->offsets[file] + (size_t)pos] = true;
}

static void add_row(struct compact_rows *rows, size_t file, int64_t pos, const struct engine_cell *cells)
{
    if (!rows->gone[rows->offsets[file] + (size_t)pos])
        rows->rows[rows->count++] = (struct row){.file = file, .pos = pos, .cells = cells};
}

/* What memory has; the rest of the files into `missing`, by their numbers. */
static size_t take_fresh(struct compact_rows *rows, struct dataset_fresh *fresh, size_t *missing)
{
    size_t missing_count = 0;
    for (size_t i = 0; i < rows->file_count; i++) {
        const struct iceberg_file *file = rows->files[i].file;
        const struct fresh_file *found = dataset_fresh_find(fresh, file->path, rows->schema->id);
        if (!found || found->count != (size_t)file->record_count || found->width != rows->shape.width) {
            dataset_fresh_unref(found);
            missing[missing_count++] = i;
            continue;
        }
        rows->held[rows->held_count++] = found;
        for (size_t pos = 0; pos < found->count; pos++)
            add_row(rows, i, (int64_t)pos, found->cells + pos * found->width);
    }
    return missing_count;
}

struct reading {
    struct compact_rows *rows;
    const size_t *missing;
    size_t count, last; /* the file of the row before */
    size_t seen;
};

static enum tn_code take_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct reading *reading = context;
    struct compact_rows *rows = reading->rows;
    const struct engine_cell *path = &cells[0];
    for (size_t tried = 0; tried < reading->count; tried++, reading->last = (reading->last + 1) % reading->count) {
        size_t file = reading->missing[reading->last];
        const struct iceberg_file *known = rows->files[file].file;
        if (strlen(known->path) != path->text.length || memcmp(known->path, path->text.data, path->text.length) != 0)
            continue;
        if (cells[1].integer < 0 || cells[1].integer >= known->record_count)
            break;
        reading->seen++;
        add_row(rows, file, cells[1].integer, cells_copy(&rows->shape, rows->arena, cells + 2));
        return TN_OK;
    }
    return tn_fail(err, TN_EINTERNAL, "a file has other rows than the table says");
}

static enum tn_code read_missing(struct compact_rows *rows, const struct iceberg_metadata *base,
                                 const size_t *missing, size_t count, struct tn_error *err)
{
    struct iceberg_plan_file *files = TN_ARENA_ARRAY(rows->arena, struct iceberg_plan_file, count);
    struct reading reading = {.rows = rows, .missing = missing, .count = count};
    size_t expected = 0;
    for (size_t i = 0; i < count; i++) { /* without their deletes: those are known */
        const struct iceberg_plan_file *file = &rows->files[missing[i]];
        files[i] = (struct iceberg_plan_file){.file = file->file, .key = file->key};
        expected += (size_t)file->file->record_count;
    }
    const struct iceberg_plan part = {
        .metadata = base, .snapshot = base->current, .schema = rows->schema, .files = files, .file_count = count};
    TN_AUTO_BUF sql = {0};
    TN_TRY(dataset_placed_files_sql(rows->lake, &part, rows->schema, &sql, err));
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(rows->lake->engine, &select, NULL, NULL, NULL, take_row, &reading, err));
    return reading.seen == expected
               ? TN_OK
               : tn_fail(err, TN_ECORRUPT, "files of \"%s\" have %zu rows where the table says %zu", base->location,
                         reading.seen, expected);
}

/* False when a row holds what only the engine can write. */
static bool make_bytes(struct compact_rows *rows)
{
    size_t width = rows->shape.width, total = 0;
    for (size_t r = 0; r < rows->count; r++) {
        struct iceberg_bytes *bytes = TN_ARENA_ARRAY(rows->arena, struct iceberg_bytes, width);
        for (size_t i = 0; i < width; i++) {
            if (!cells_bytes(rows->arena, rows->schema->fields[i].type, &rows->shape.columns[i],
                             &rows->rows[r].cells[i], &bytes[i]))
                return false;
            total += bytes[i].length;
        }
        rows->rows[r].bytes = bytes;
    }
    return total <= ICEBERG_SMALL_MAX_BYTES;
}

static int by_key(const void *a, const void *b, void *context)
{
    const struct row *x = a, *y = b;
    const struct compact_rows *rows = context;
    for (size_t i = 0; i < rows->shape.key_count; i++) {
        size_t at = rows->shape.key[i];
        struct iceberg_bytes left = x->bytes[at], right = y->bytes[at];
        if (!left.data || !right.data) {
            if (!left.data != !right.data)
                return left.data ? -1 : 1;
            continue;
        }
        int order = iceberg_value_compare(rows->schema->fields[at].type, left, right);
        if (order)
            return order;
    }
    int order = strcmp(rows->files[x->file].file->path, rows->files[y->file].file->path);
    return order ? order : (x->pos > y->pos) - (x->pos < y->pos);
}

static void sort(struct compact_rows *rows)
{
    if (rows->count > 1)
        qsort_r(rows->rows, rows->count, sizeof *rows->rows, by_key, rows);
    for (size_t i = 0; i < rows->total; i++)
        rows->places[i] = NOWHERE;
    for (size_t i = 0; i < rows->count; i++)
        rows->places[rows->offsets[rows->rows[i].file] + (size_t)rows->rows[i].pos] = i;
}

static void make_room(struct compact_rows *rows)
{
    rows->offsets = TN_ARENA_ARRAY(rows->arena, size_t, rows->file_count + 1);
    for (size_t i = 0; i < rows->file_count; i++) {
        rows->offsets[i] = rows->total;
        rows->total += (size_t)rows->files[i].file->record_count;
    }
    rows->gone = TN_ARENA_ARRAY(rows->arena, bool, rows->total + 1);
    rows->places = TN_ARENA_ARRAY(rows->arena, size_t, rows->total + 1);
    rows->rows = TN_ARENA_ARRAY(rows->arena, struct row, rows->total + 1);
    rows->held = TN_ARENA_ARRAY(rows->arena, const struct fresh_file *, rows->file_count + 1);
}

static enum tn_code load(struct compact_rows *rows, const struct iceberg_metadata *base, bool *ret_can,
                         struct tn_error *err)
{
    struct dataset_relations *relations = rows->lake->relations;
    const struct iceberg_plan plan = {.files = rows->files, .file_count = rows->file_count};
    make_room(rows);
    TN_TRY(cells_shape_init(&rows->shape, rows->arena, rows->schema, err));
    TN_TRY(
        dataset_deletes_each(rows->lake, dataset_relations_deletes(relations), &plan, mark_gone, rows, ret_can, err));
    if (!*ret_can)
        return TN_OK;
    size_t *missing = TN_ARENA_ARRAY(rows->arena, size_t, rows->file_count + 1);
    size_t missing_count = take_fresh(rows, dataset_relations_fresh(relations), missing);
    if (missing_count > 0)
        TN_TRY(read_missing(rows, base, missing, missing_count, err));
    *ret_can = make_bytes(rows);
    if (*ret_can)
        sort(rows);
    return TN_OK;
}

enum tn_code compact_rows_load(struct lake *lake, const struct iceberg_metadata *base,
                               const struct iceberg_plan_file *files, size_t count, struct compact_rows **ret,
                               struct tn_error *err)
{
    bool can = false;
    *ret = NULL;
    if (!lake->relations || !is_affordable(base, files, count))
        return TN_OK;
    TN_CLEANUP(compact_rows_free_p) struct compact_rows *rows = tn_calloc(1, sizeof *rows);
    rows->lake = lake;
    rows->arena = tn_arena_new();
    rows->schema = base->schema;
    rows->files = files;
    rows->file_count = count;
    TN_TRY(load(rows, base, &can, err));
    if (can)
        *ret = TN_TAKE(rows);
    return TN_OK;
}

/* ---- using ------------------------------------------------------------------------------ */

enum tn_code compact_rows_write(const struct compact_rows *rows, struct tn_arena *arena, struct tn_buf *out,
                                struct iceberg_file *ret, struct tn_error *err)
{
    size_t width = rows->shape.width;
    struct iceberg_bytes *cells = TN_ARENA_ARRAY(rows->arena, struct iceberg_bytes, rows->count * width);
    for (size_t i = 0; i < rows->count; i++)
        memcpy(cells + i * width, rows->rows[i].bytes, width * sizeof *cells);
    return iceberg_small_write(arena, rows->schema, cells, rows->count, out, ret, err);
}

void compact_rows_tell(const struct compact_rows *rows, struct tn_arena *arena, struct dataset_change *ret)
{
    size_t keys = rows->shape.key_count;
    struct dataset_place *removed = TN_ARENA_ARRAY(arena, struct dataset_place, rows->count + 1);
    struct engine_cell *removed_keys = TN_ARENA_ARRAY(arena, struct engine_cell, rows->count * keys + 1);
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->rows[i];
        removed[i] = (struct dataset_place){rows->files[row->file].file->path, row->pos};
        cells_key_of(&rows->shape, row->cells, removed_keys + i * keys);
    }
    *ret = (struct dataset_change){
        .removed = removed, .removed_keys = removed_keys, .removed_count = rows->count, .moved = rows->count > 0};
}

struct finding {
    const struct compact_rows *rows;
    const size_t *files; /* the loaded file of each that is asked for */
    bool *found;         /* by the row's new place */
};

static void find_one(void *context, size_t file, int64_t pos)
{
    const struct finding *finding = context;
    const struct compact_rows *rows = finding->rows;
    size_t loaded = finding->files[file];
    if (pos < 0 || pos >= rows->files[loaded].file->record_count)
        return;
    size_t place = rows->places[rows->offsets[loaded] + (size_t)pos];
    if (place != NOWHERE)
        finding->found[place] = true;
}

enum tn_code compact_rows_find(const struct compact_rows *rows, const struct iceberg_plan_file *files, size_t count,
                               struct tn_arena *arena, int64_t **ret, size_t *ret_count, bool *ret_done,
                               struct tn_error *err)
{
    const struct iceberg_plan loaded = {.files = rows->files, .file_count = rows->file_count};
    const struct compact_index *index = compact_index_new(arena, &loaded);
    const struct iceberg_plan plan = {.files = files, .file_count = count};
    size_t *numbers = TN_ARENA_ARRAY(arena, size_t, count + 1), found = 0;
    struct finding finding = {rows, numbers, TN_ARENA_ARRAY(arena, bool, rows->count + 1)};
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_plan_file *file = compact_index_find(index, files[i].file->path);
        if (!file)
            return tn_fail(err, TN_EINTERNAL, "%s is no file of the compaction", files[i].file->path);
        numbers[i] = (size_t)(file - rows->files);
    }
    TN_TRY(dataset_deletes_each(rows->lake, dataset_relations_deletes(rows->lake->relations), &plan, find_one,
                                &finding, ret_done, err));
    int64_t *positions = TN_ARENA_ARRAY(arena, int64_t, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        if (finding.found[i])
            positions[found++] = (int64_t)i;
    *ret = positions;
    *ret_count = found;
    return TN_OK;
}

void compact_rows_keep(const struct compact_rows *rows, const char *path)
{
    struct dataset_fresh *fresh = dataset_relations_fresh(rows->lake->relations);
    const struct engine_cell **cells = TN_ARENA_ARRAY(rows->arena, const struct engine_cell *, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        cells[i] = rows->rows[i].cells;
    if (path)
        dataset_fresh_note(fresh, path, &rows->shape, cells, rows->count);
    for (size_t i = 0; i < rows->file_count; i++)
        dataset_fresh_forget(fresh, rows->files[i].file->path);
}
