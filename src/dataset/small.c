/* The rows of small files in memory.
 *
 * One table of the engine for each schema of a dataset. Files never change, so
 * what was added once stays right; what compactions took away weighs the
 * table down until it is begun anew. Texts name a version's bitmap by its
 * number, and whatever names one holds it and the table.
 *
 * Locks: smalls->mutex guards the list and the figures; a table's `growing` its
 * files and the statements that add to it, and is taken first.
 */
#include "dataset/small.h"

#include "dataset/dataset_internal.h"
#include "dataset/width.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define TABLES_MAX     16
#define BYTES_MAX      ((uint64_t)64 << 20)
#define FILE_BYTES_MAX (INT64_C(64) << 10)
#define FILE_ROWS_MAX  INT64_C(4096)
#define ROWS_MAX       INT64_C(100000) /* of one version */
#define FILES_MIN      8               /* fewer are not worth a table */
#define NAME           "memory.main.\"small:%" PRIu64 "\""

struct small_file {
    char *path;
    uint64_t offset;
    struct small_file *next;
};

#define BUCKETS 1024

struct small_table {
    atomic_size_t references;
    struct dataset_smalls *smalls;
    struct engine *engine;
    char *uuid;
    int32_t schema_id;
    uint64_t serial, used, bytes;
    pthread_mutex_t growing;
    bool broken; /* what it holds is not sure */
    uint64_t rows;
    struct small_file *buckets[BUCKETS];
};

struct dataset_smalls {
    pthread_mutex_t mutex;
    struct small_table *tables[TABLES_MAX];
    size_t count;
    uint64_t clock, serial, bytes; /* bytes: of tables that somebody holds yet, too */
};

struct dataset_smalls *dataset_smalls_new(void)
{
    struct dataset_smalls *smalls = tn_calloc(1, sizeof *smalls);
    pthread_mutex_init(&smalls->mutex, NULL);
    return smalls;
}

uint64_t dataset_smalls_bytes(struct dataset_smalls *smalls)
{
    pthread_mutex_lock(&smalls->mutex);
    uint64_t bytes = smalls->bytes;
    pthread_mutex_unlock(&smalls->mutex);
    return bytes;
}

/* ---- tables ---------------------------------------------------------------------- */

static struct small_file **find_file(struct small_table *table, const char *path)
{
    struct small_file **link = &table->buckets[tn_hash64(path, strlen(path), 0) % BUCKETS];
    while (*link && !tn_streq((*link)->path, path))
        link = &(*link)->next;
    return link;
}

static void table_unref(struct small_table *table)
{
    if (!table || atomic_fetch_sub(&table->references, 1) != 1)
        return;
    TN_AUTO_BUF sql = {0};
    struct tn_error err = {0};
    tn_buf_printf(&sql, "DROP TABLE IF EXISTS " NAME, table->serial);
    if (engine_run(table->engine, sql.data, NULL, NULL, &err) != TN_OK)
        TN_LOG(TN_LOG_WARN, "small.drop", TN_FS("error", err.detail));
    pthread_mutex_lock(&table->smalls->mutex);
    table->smalls->bytes -= table->bytes;
    pthread_mutex_unlock(&table->smalls->mutex);
    for (size_t i = 0; i < BUCKETS; i++) {
        while (table->buckets[i]) {
            struct small_file *file = table->buckets[i];
            table->buckets[i] = file->next;
            free(file->path);
            free(file);
        }
    }
    pthread_mutex_destroy(&table->growing);
    free(table->uuid);
    free(table);
}
TN_DEFINE_CLEANUP(struct small_table, table_unref)

void dataset_smalls_free(struct dataset_smalls *smalls)
{
    if (!smalls)
        return;
    while (smalls->count > 0)
        table_unref(smalls->tables[--smalls->count]);
    pthread_mutex_destroy(&smalls->mutex);
    free(smalls);
}

/* Under the mutex: takes the one at that place out of the list. */
static struct small_table *take_out(struct dataset_smalls *smalls, size_t at)
{
    struct small_table *table = smalls->tables[at];
    smalls->tables[at] = smalls->tables[--smalls->count];
    return table;
}

/* Held for the caller. A new one takes the place of the least recently used. */
static struct small_table *find_table(struct lake *lake, struct dataset_smalls *smalls, const char *uuid,
                                      int32_t schema_id)
{
    struct small_table *found = NULL, *dropped = NULL;
    pthread_mutex_lock(&smalls->mutex);
    size_t oldest = 0;
    for (size_t i = 0; i < smalls->count; i++) {
        struct small_table *table = smalls->tables[i];
        if (table->schema_id == schema_id && tn_streq(table->uuid, uuid))
            found = table;
        if (table->used < smalls->tables[oldest]->used)
            oldest = i;
    }
    if (!found) {
        if (smalls->count == TABLES_MAX)
            dropped = take_out(smalls, oldest);
        found = tn_calloc(1, sizeof *found);
        *found = (struct small_table){.references = 1,
                                      .smalls = smalls,
                                      .engine = lake->engine,
                                      .uuid = tn_strdup(uuid),
                                      .schema_id = schema_id,
                                      .serial = ++smalls->serial};
        pthread_mutex_init(&found->growing, NULL);
        smalls->tables[smalls->count++] = found;
    }
    found->used = ++smalls->clock;
    atomic_fetch_add(&found->references, 1);
    pthread_mutex_unlock(&smalls->mutex);
    table_unref(dropped);
    return found;
}

/* The next who asks begins anew. */
static void abandon(struct small_table *table)
{
    struct dataset_smalls *smalls = table->smalls;
    bool listed = false;
    pthread_mutex_lock(&smalls->mutex);
    for (size_t i = 0; i < smalls->count && !listed; i++) {
        listed = smalls->tables[i] == table;
        if (listed)
            (void)take_out(smalls, i);
    }
    pthread_mutex_unlock(&smalls->mutex);
    if (listed)
        table_unref(table);
}

/* False when there is no room, even without those that nobody uses. */
static bool make_room(struct small_table *table, uint64_t bytes)
{
    struct dataset_smalls *smalls = table->smalls;
    for (;;) {
        struct small_table *victim = NULL;
        size_t at = 0;
        pthread_mutex_lock(&smalls->mutex);
        bool room = smalls->bytes + bytes <= BYTES_MAX;
        if (room) {
            smalls->bytes += bytes;
            table->bytes += bytes;
        }
        for (size_t i = 0; i < smalls->count && !room; i++)
            if (smalls->tables[i] != table && (!victim || smalls->tables[i]->used < victim->used))
                victim = smalls->tables[at = i];
        if (victim)
            (void)take_out(smalls, at);
        pthread_mutex_unlock(&smalls->mutex);
        if (!victim)
            return room;
        table_unref(victim);
    }
}

/* ---- which files ------------------------------------------------------------------- */

static bool is_small(const struct iceberg_file *file)
{
    return file->size_bytes <= FILE_BYTES_MAX && file->record_count > 0 && file->record_count <= FILE_ROWS_MAX;
}

static bool has_name(const struct iceberg_schema *schema, const char *name)
{
    return iceberg_schema_find(schema, name, true) != NULL;
}

struct taking {
    struct lake *lake;
    struct dataset_deletes *deletes;
    const struct iceberg_plan *plan;
    const struct iceberg_schema *schema;
    struct tn_arena *arena;
    struct small_table *table;
    struct iceberg_plan_file *files; /* those that are taken */
    size_t count;
    int64_t rows;
};

/* False when they are not worth it. */
static bool choose(struct taking *taking, const struct iceberg_plan *plan, bool *taken)
{
    if (has_name(taking->schema, "tarn_file") || has_name(taking->schema, "tarn_pos") ||
        has_name(taking->schema, "rowid"))
        return false;
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_file *file = plan->files[i].file;
        taken[i] = is_small(file) && taking->rows + file->record_count <= ROWS_MAX;
        if (!taken[i])
            continue;
        taking->files[taking->count++] = plan->files[i];
        taking->rows += file->record_count;
    }
    /* What is left of a table for one query's conditions is a text of its own, to be compiled. */
    return taking->count >= (size_t)(plan->pruned_count ? 2 * FILES_MIN : FILES_MIN);
}

/* ---- growing ------------------------------------------------------------------------ */

struct added {
    struct small_table *table;
    const struct iceberg_plan_file *files;
    size_t count, seen;
    uint64_t bytes; /* that their rows take */
};

static void put_look(const struct taking *taking, uint64_t first_row, struct tn_buf *sql)
{
    tn_buf_printf(sql, "SELECT tarn_file, count(*), min(rowid - tarn_pos), max(rowid - tarn_pos), CAST(sum(%d",
                  DATASET_PLACE_WIDTH);
    for (size_t i = 0; i < taking->schema->field_count; i++) {
        tn_buf_puts(sql, " + ");
        dataset_width_put(&taking->schema->fields[i], sql);
    }
    tn_buf_printf(sql, ") AS BIGINT) FROM " NAME " WHERE rowid >= %" PRIu64 " GROUP BY tarn_file",
                  taking->table->serial, first_row);
}

/* (file, rows, least and greatest difference of row and position, bytes) */
static enum tn_code take_offset(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct added *added = context;
    int64_t at = cells[0].integer;
    if (at < 0 || (size_t)at >= added->count || cells[2].integer < 0 || cells[2].integer != cells[3].integer ||
        cells[1].integer != added->files[at].file->record_count)
        return tn_fail(err, TN_EINTERNAL, "a table of small files is not what it was to be");
    const char *path = added->files[at].file->path;
    struct small_file **link = find_file(added->table, path);
    struct small_file *file = tn_calloc(1, sizeof *file);
    file->path = tn_strdup(path);
    file->offset = (uint64_t)cells[2].integer;
    file->next = *link;
    *link = file;
    added->table->rows += (uint64_t)cells[1].integer;
    added->bytes += (uint64_t)cells[4].integer;
    added->seen++;
    return TN_OK;
}

/* Deletes are bits: the rows come as the files have them. */
static enum tn_code add_files(struct taking *taking, const struct iceberg_plan_file *files, size_t count,
                              uint64_t *ret_bytes, struct tn_error *err)
{
    struct small_table *table = taking->table;
    struct iceberg_plan_file *whole = TN_ARENA_ARRAY(taking->arena, struct iceberg_plan_file, count);
    for (size_t i = 0; i < count; i++)
        whole[i] = (struct iceberg_plan_file){.file = files[i].file, .key = files[i].key};
    const struct iceberg_plan plan = {.metadata = taking->plan->metadata,
                                      .snapshot = taking->plan->snapshot,
                                      .schema = taking->schema,
                                      .files = whole,
                                      .file_count = count};
    struct added added = {.table = table, .files = files, .count = count};
    uint64_t before = table->rows;
    TN_AUTO_BUF sql = {0};
    if (before)
        tn_buf_printf(&sql, "INSERT INTO " NAME " ", table->serial);
    else
        tn_buf_printf(&sql, "CREATE OR REPLACE TABLE " NAME " AS ", table->serial);
    TN_TRY(dataset_files_sql(taking->lake, &plan, taking->schema, DATASET_WITH_NUMBERS, &sql, NULL, err));
    TN_TRY(engine_run(taking->lake->engine, sql.data, NULL, NULL, err));
    tn_buf_clear(&sql);
    put_look(taking, before, &sql);
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(taking->lake->engine, &select, NULL, NULL, NULL, take_offset, &added, err));
    *ret_bytes = added.bytes;
    return added.seen == count ? TN_OK : tn_fail(err, TN_EINTERNAL, "a table of small files lacks some");
}

/* Before they are read. */
static uint64_t estimate(const struct taking *taking, const struct iceberg_plan_file *files, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += (uint64_t)files[i].file->record_count * (12 + 16 * taking->schema->field_count) +
                 3 * (uint64_t)files[i].file->size_bytes;
    return bytes;
}

static void correct(struct small_table *table, uint64_t estimated, uint64_t bytes)
{
    pthread_mutex_lock(&table->smalls->mutex);
    table->bytes += bytes - estimated; /* modulo 2^64: right also when it is less */
    table->smalls->bytes += bytes - estimated;
    pthread_mutex_unlock(&table->smalls->mutex);
}

/* Under `growing`. *ret_there: all files are in the table. */
static enum tn_code grow(struct taking *taking, bool *ret_there, struct tn_error *err)
{
    struct small_table *table = taking->table;
    struct iceberg_plan_file *missing = TN_ARENA_ARRAY(taking->arena, struct iceberg_plan_file, taking->count);
    size_t count = 0;
    *ret_there = false;
    for (size_t i = 0; i < taking->count; i++)
        if (!*find_file(table, taking->files[i].file->path))
            missing[count++] = taking->files[i];
    if (table->broken)
        return TN_OK;
    uint64_t estimated = estimate(taking, missing, count), bytes = 0;
    if (count > 0 && !make_room(table, estimated))
        return TN_OK;
    if (count > 0) {
        table->broken = true;
        TN_TRY(add_files(taking, missing, count, &bytes, err));
        table->broken = false;
        correct(table, estimated, bytes);
    }
    *ret_there = true;
    return TN_OK;
}

/* ---- a version's bits ------------------------------------------------------------------ */

struct small_hold {
    struct engine_hold hold;
    struct small_table *table;
    uint64_t id;
};

static void small_hold_free(struct engine_hold *hold)
{
    struct small_hold *small = (struct small_hold *)hold;
    engine_live_remove(small->table->engine, small->id, 1);
    table_unref(small->table);
    free(small);
}

struct marking {
    struct engine_bitmap *bitmap;
    const uint64_t *offsets; /* of the files that are taken */
    const struct iceberg_plan_file *files;
};

static void mark_gone(void *context, size_t file, int64_t row)
{
    const struct marking *marking = context;
    if (row >= 0 && row < marking->files[file].file->record_count)
        engine_bitmap_set(marking->bitmap, marking->offsets[file] + (uint64_t)row);
}

/* Nothing is the version's but its files' rows without what was deleted from
 * them. *ret is NULL when the deletes are too many. Under `growing`. */
static enum tn_code make_bits(struct taking *taking, struct engine_bitmap **ret, struct tn_error *err)
{
    struct small_table *table = taking->table;
    uint64_t *offsets = TN_ARENA_ARRAY(taking->arena, uint64_t, taking->count);
    struct engine_bitmap *bitmap = engine_bitmap_new((size_t)table->rows, table->rows);
    memset(bitmap->words, 0xFF, bitmap->word_count * sizeof *bitmap->words);
    for (size_t i = 0; i < taking->count; i++) {
        offsets[i] = (*find_file(table, taking->files[i].file->path))->offset;
        for (int64_t row = 0; row < taking->files[i].file->record_count; row++) {
            uint64_t bit = offsets[i] + (uint64_t)row;
            bitmap->words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
        }
    }
    struct marking marking = {bitmap, offsets, taking->files};
    const struct iceberg_plan plan = {.files = taking->files, .file_count = taking->count};
    bool done = false;
    enum tn_code code = dataset_deletes_each(taking->lake, taking->deletes, &plan, mark_gone, &marking, &done, err);
    if (code == TN_OK && done)
        *ret = bitmap;
    else
        engine_bitmap_unref(bitmap);
    return code;
}

static const char *text_of(const struct taking *taking, uint64_t id)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < taking->schema->field_count; i++) {
        tn_buf_puts(&sql, i ? ", s." : "s.");
        tn_buf_put_sql_name(&sql, taking->schema->fields[i].name);
    }
    tn_buf_printf(&sql, " FROM " NAME " s WHERE tarn_live(%" PRIu64 ", s.rowid)", taking->table->serial, id);
    return tn_arena_strndup(taking->arena, sql.data, sql.len);
}

static enum tn_code take(struct taking *taking, struct engine_bitmap **ret, bool *ret_worn, struct tn_error *err)
{
    struct small_table *table = taking->table;
    bool there = false;
    pthread_mutex_lock(&table->growing);
    enum tn_code code = grow(taking, &there, err);
    if (code == TN_OK && there)
        code = make_bits(taking, ret, err);
    *ret_worn = table->broken || table->rows > 4 * (uint64_t)taking->rows + 16384;
    pthread_mutex_unlock(&table->growing);
    return code;
}

enum tn_code dataset_smalls_take(struct lake *lake, struct dataset_smalls *smalls, struct dataset_deletes *deletes,
                                 const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                                 struct tn_arena *arena, struct small_part *ret, struct tn_error *err)
{
    *ret = (struct small_part){0};
    struct taking taking = {.lake = lake, .deletes = deletes, .plan = plan, .schema = schema, .arena = arena};
    if (!smalls || !deletes || !plan->metadata || plan->file_count < FILES_MIN)
        return TN_OK;
    bool *taken = TN_ARENA_ARRAY(arena, bool, plan->file_count);
    taking.files = TN_ARENA_ARRAY(arena, struct iceberg_plan_file, plan->file_count);
    if (!choose(&taking, plan, taken))
        return TN_OK;
    TN_CLEANUP(table_unref_p) struct small_table *table = find_table(lake, smalls, plan->metadata->uuid, schema->id);
    struct engine_bitmap *bitmap = NULL;
    bool worn = false;
    taking.table = table;
    enum tn_code code = take(&taking, &bitmap, &worn, err);
    if (worn)
        abandon(table);
    if (code != TN_OK || !bitmap)
        return code;
    struct small_hold *hold = tn_calloc(1, sizeof *hold);
    *hold = (struct small_hold){.hold = {.references = 1, .free = small_hold_free}, .table = table};
    hold->id = engine_live_add(lake->engine, &bitmap, 1);
    engine_bitmap_unref(bitmap);
    *ret = (struct small_part){.sql = text_of(&taking, hold->id), .taken = taken, .hold = &hold->hold};
    (void)TN_TAKE(table); /* the hold's */
    return TN_OK;
}
