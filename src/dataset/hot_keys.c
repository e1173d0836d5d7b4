/* Rows by key: open addressing over packed rows.
 *
 * A packed row is what cells say, one behind the other: a byte that is 0 for
 * NULL, then the value; of texts their length and bytes. Files are shared by
 * their rows and go with the last one.
 *
 * A compaction that says where each row went (moves.h) touches no row: its files
 * lead to the new one. A row learns of it when somebody looks at it, and
 * each call takes some further ones along, until nothing is left of the old files.
 */
#include "dataset/hot_keys.h"

#include "base/slab.h"
#include "dataset/cells.h"

#include <string.h>

#define SLOTS_FIRST    1024
#define SETTLED_A_CALL 256

struct keys_file {
    size_t rows; /* and files that lead to it */
    struct keys_file *next, **link;
    struct keys_file *to; /* where its rows went; NULL: they lie in it */
    struct dataset_moves *moves;
    const struct dataset_moved_file *places; /* the moves' */
    char path[];
};

struct keys_row {
    struct keys_file *file;
    int64_t pos;
    uint64_t length;
    unsigned char bytes[];
};

struct keys_slot {
    uint64_t hash;
    struct keys_row *row; /* NULL: free */
};

struct hot_keys {
    struct tn_arena *arena; /* of the shape */
    struct cells_shape shape;
    struct keys_slot *slots;
    size_t slot_count, count;
    uint64_t seed;
    struct tn_slab *rows;
    struct keys_file *files;
    struct keys_file *last;  /* the one that was named last */
    size_t leading, settled; /* files that lead elsewhere; the slot up to which rows were taken along */
    uint64_t leading_bytes;
    struct engine_cell *scratch; /* a row */
    struct tn_buf packed;
};

enum tn_code hot_keys_new(const struct iceberg_schema *schema, struct hot_keys **ret, struct tn_error *err)
{
    TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = tn_calloc(1, sizeof *keys);
    keys->arena = tn_arena_new();
    TN_TRY(cells_shape_init(&keys->shape, keys->arena, iceberg_schema_copy(keys->arena, schema), err));
    if (keys->shape.key_count == 0)
        return tn_fail(err, TN_EREFUSED, "the dataset has no key");
    keys->rows = tn_slab_new();
    keys->slot_count = SLOTS_FIRST;
    keys->slots = tn_calloc(keys->slot_count, sizeof *keys->slots);
    keys->seed = tn_random_u64();
    keys->scratch = TN_ARENA_ARRAY(keys->arena, struct engine_cell, keys->shape.width + 1);
    *ret = TN_TAKE(keys);
    return TN_OK;
}

void hot_keys_free(struct hot_keys *keys)
{
    if (!keys)
        return;
    tn_slab_free(keys->rows);
    while (keys->files) {
        struct keys_file *file = keys->files;
        keys->files = file->next;
        dataset_moves_unref(file->moves);
        free(file);
    }
    free(keys->slots);
    tn_buf_release(&keys->packed);
    tn_arena_free(keys->arena);
    free(keys);
}

size_t hot_keys_count(const struct hot_keys *keys)
{
    return keys->count;
}

uint64_t hot_keys_bytes(const struct hot_keys *keys)
{
    return tn_slab_bytes(keys->rows) + keys->slot_count * sizeof *keys->slots + keys->leading_bytes;
}

/* ---- files -------------------------------------------------------------------- */

static struct keys_file *file_of(struct hot_keys *keys, const char *path)
{
    if (keys->last && tn_streq(keys->last->path, path))
        return keys->last;
    size_t length = strlen(path) + 1;
    struct keys_file *file = tn_malloc(sizeof *file + length);
    *file = (struct keys_file){.next = keys->files, .link = &keys->files};
    memcpy(file->path, path, length);
    if (file->next)
        file->next->link = &file->next;
    keys->files = keys->last = file;
    return file;
}

static void leave_file(struct hot_keys *keys, struct keys_file *file)
{
    while (file && --file->rows == 0) {
        struct keys_file *to = file->to;
        *file->link = file->next;
        if (file->next)
            file->next->link = file->link;
        if (keys->last == file)
            keys->last = NULL;
        if (to) {
            keys->leading--;
            keys->leading_bytes -= file->places->count * sizeof *file->places->places;
            dataset_moves_unref(file->moves);
        }
        free(file);
        file = to;
    }
}

/* The row says where it lies. One that the moves do not know stays. */
static void settle(struct hot_keys *keys, struct keys_row *row)
{
    while (row->file->to) {
        struct keys_file *from = row->file;
        int64_t place = dataset_moved_place(from->places, row->pos);
        if (place < 0)
            return;
        row->file = from->to;
        row->pos = place;
        row->file->rows++;
        leave_file(keys, from);
    }
}

static void settle_some(struct hot_keys *keys)
{
    for (size_t i = 0; i < SETTLED_A_CALL && keys->leading > 0; i++) {
        struct keys_row *row = keys->slots[keys->settled++ & (keys->slot_count - 1)].row;
        if (row)
            settle(keys, row);
    }
}

/* All rows of the old files at once. */
static void lead_files(struct hot_keys *keys, const struct dataset_change *change)
{
    struct keys_file *to = NULL;
    for (struct keys_file *file = keys->files; file; file = file->next) {
        const struct dataset_moved_file *places = file->to ? NULL : dataset_moves_file(change->moves, file->path);
        if (!places)
            continue;
        to = to ? to : file_of(keys, change->added_path); /* stands in front of those that are looked at */
        to->rows++;
        file->to = to;
        file->moves = dataset_moves_ref(change->moves);
        file->places = places;
        keys->leading++;
        keys->leading_bytes += places->count * sizeof *places->places;
    }
}

/* ---- packed rows ----------------------------------------------------------------- */

/* Bytes of a value that has always the same; 0: a text. */
static size_t width_of(enum engine_kind kind)
{
    switch (kind) {
    case ENGINE_VARCHAR:
    case ENGINE_BLOB:
    case ENGINE_OTHER:
        return 0;
    case ENGINE_DECIMAL:
        return sizeof(engine_wide);
    case ENGINE_UUID:
        return 16;
    case ENGINE_BOOLEAN:
    case ENGINE_INTEGER:
    case ENGINE_BIGINT:
    case ENGINE_DOUBLE:
    case ENGINE_DATE:
    case ENGINE_TIME:
    case ENGINE_TIMESTAMP:
    case ENGINE_TIMESTAMPTZ:
        return sizeof(int64_t);
    }
    return 0;
}

static void pack(const struct cells_shape *shape, const struct engine_cell *row, struct tn_buf *out)
{
    tn_buf_clear(out);
    for (size_t i = 0; i < shape->width; i++) {
        const struct engine_cell *cell = &row[i];
        size_t width = width_of(shape->columns[i].type.kind);
        tn_buf_putc(out, cell->null ? 0 : 1);
        if (cell->null)
            continue;
        if (width) { /* they share the union's first bytes */
            tn_buf_append(out, (const char *)&cell->integer, width);
            continue;
        }
        tn_buf_append(out, (const char *)&cell->text.length, sizeof cell->text.length);
        tn_buf_append(out, cell->text.data, cell->text.length);
    }
}

/* Texts stay where they are. */
static void unpack(const struct cells_shape *shape, const struct keys_row *row, struct engine_cell *ret)
{
    const unsigned char *at = row->bytes;
    memset(ret, 0, shape->width * sizeof *ret);
    for (size_t i = 0; i < shape->width; i++) {
        size_t width = width_of(shape->columns[i].type.kind);
        ret[i].null = !*at++;
        if (ret[i].null)
            continue;
        if (width) {
            memcpy(&ret[i].integer, at, width);
            at += width;
            continue;
        }
        memcpy(&ret[i].text.length, at, sizeof ret[i].text.length);
        at += sizeof ret[i].text.length;
        ret[i].text.data = (const char *)at;
        at += ret[i].text.length;
    }
}

/* ---- slots ------------------------------------------------------------------------- */

static void put_slot(struct hot_keys *keys, struct keys_slot slot)
{
    size_t mask = keys->slot_count - 1, at = slot.hash & mask;
    while (keys->slots[at].row)
        at = (at + 1) & mask;
    keys->slots[at] = slot;
}

static void grow(struct hot_keys *keys)
{
    struct keys_slot *old = keys->slots;
    size_t old_count = keys->slot_count;
    keys->slot_count *= 2;
    keys->slots = tn_calloc(keys->slot_count, sizeof *keys->slots);
    for (size_t i = 0; i < old_count; i++)
        if (old[i].row)
            put_slot(keys, old[i]);
    free(old);
}

/* Empties a slot; those behind it that were pushed past it move up. */
static void clear_slot(struct hot_keys *keys, size_t at)
{
    size_t mask = keys->slot_count - 1;
    for (size_t next = (at + 1) & mask; keys->slots[next].row; next = (next + 1) & mask) {
        size_t home = keys->slots[next].hash & mask;
        if (((next - home) & mask) < ((next - at) & mask))
            continue;
        keys->slots[at] = keys->slots[next];
        at = next;
    }
    keys->slots[at].row = NULL;
}

void hot_keys_add(struct hot_keys *keys, const struct dataset_place *place, const struct engine_cell *row)
{
    struct engine_cell key[CELLS_KEY_MAX];
    if (keys->count * 3 >= keys->slot_count * 2)
        grow(keys);
    cells_key_of(&keys->shape, row, key);
    pack(&keys->shape, row, &keys->packed);
    struct keys_row *packed = tn_slab_take(keys->rows, sizeof *packed + keys->packed.len);
    *packed = (struct keys_row){.file = file_of(keys, place->path), .pos = place->pos, .length = keys->packed.len};
    memcpy(packed->bytes, keys->packed.data, keys->packed.len);
    packed->file->rows++;
    put_slot(keys, (struct keys_slot){cells_key_hash(&keys->shape, key, keys->seed), packed});
    keys->count++;
}

/* The slot of a row, or SIZE_MAX. */
static size_t find_row(struct hot_keys *keys, const struct engine_cell *key, const struct dataset_place *place)
{
    uint64_t hash = cells_key_hash(&keys->shape, key, keys->seed);
    size_t mask = keys->slot_count - 1;
    for (size_t at = hash & mask; keys->slots[at].row; at = (at + 1) & mask) {
        struct keys_row *row = keys->slots[at].row;
        if (keys->slots[at].hash != hash)
            continue;
        settle(keys, row);
        if (row->pos == place->pos && tn_streq(row->file->path, place->path))
            return at;
    }
    return SIZE_MAX;
}

static bool remove_row(struct hot_keys *keys, const struct engine_cell *key, const struct dataset_place *place)
{
    size_t at = find_row(keys, key, place);
    if (at == SIZE_MAX)
        return false;
    struct keys_row *row = keys->slots[at].row;
    keys->count--;
    leave_file(keys, row->file);
    tn_slab_give(keys->rows, row, sizeof *row + row->length);
    clear_slot(keys, at);
    return true;
}

/* Rows that are not there any more were changed while the file was written. */
static void move_rows(struct hot_keys *keys, const struct dataset_change *change)
{
    for (size_t i = 0; i < change->removed_count; i++) {
        size_t at = find_row(keys, change->removed_keys + i * keys->shape.key_count, &change->removed[i]);
        if (at == SIZE_MAX)
            continue;
        struct keys_row *row = keys->slots[at].row;
        leave_file(keys, row->file);
        row->file = file_of(keys, change->added_path);
        row->file->rows++;
        row->pos = (int64_t)i;
    }
}

bool hot_keys_apply(struct hot_keys *keys, const struct dataset_change *change)
{
    size_t width = keys->shape.width, key_width = keys->shape.key_count;
    settle_some(keys);
    if (change->moved) {
        if (change->removed_count == 0) /* nobody says where to */
            return false;
        if (change->moves)
            lead_files(keys, change);
        else
            move_rows(keys, change);
        return true;
    }
    for (size_t i = 0; i < change->removed_count; i++)
        if (!remove_row(keys, change->removed_keys + i * key_width, &change->removed[i]))
            return false;
    for (size_t i = 0; i < change->added_rows; i++) {
        const struct dataset_place place = {change->added_path, (int64_t)i};
        hot_keys_add(keys, &place, change->added + i * width);
    }
    return true;
}

/* ---- looking up ---------------------------------------------------------------------- */

static enum tn_code find_one(struct hot_keys *keys, const struct engine_cell *key, dataset_found_fn *each,
                             void *context, struct tn_error *err)
{
    struct engine_cell found[CELLS_KEY_MAX];
    uint64_t hash = cells_key_hash(&keys->shape, key, keys->seed);
    size_t mask = keys->slot_count - 1;
    for (size_t at = hash & mask; keys->slots[at].row; at = (at + 1) & mask) {
        struct keys_row *row = keys->slots[at].row;
        if (keys->slots[at].hash != hash)
            continue;
        settle(keys, row);
        unpack(&keys->shape, row, keys->scratch);
        cells_key_of(&keys->shape, keys->scratch, found);
        if (!cells_key_equal(&keys->shape, found, key))
            continue;
        const struct dataset_place place = {row->file->path, row->pos};
        TN_TRY(each(context, &place, keys->scratch, err));
    }
    return TN_OK;
}

enum tn_code hot_keys_find(struct hot_keys *keys, const struct engine_cell *wanted, size_t count,
                           dataset_found_fn *each, void *context, struct tn_error *err)
{
    size_t width = keys->shape.key_count;
    settle_some(keys);
    for (size_t i = 0; i < count; i++)
        TN_TRY(find_one(keys, wanted + i * width, each, context, err));
    return TN_OK;
}
