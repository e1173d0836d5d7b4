/* The SELECT that stands for one snapshot of a dataset.
 *
 * Files are read by field id, so renamed and added columns come out right.
 * The rows of small files come from memory (small.h), where their text may be held.
 * Files that Tarn wrote with exactly the wanted schema need no mapping and
 * skip it: that is the common case and a little faster. The kinds of files (as
 * they are, mapped, with deletes) are united in that order; nothing
 * depends on it, but rows of one ingest stay in their order. Files without
 * field ids (named.h) are kinds of their own, one for each text that maps them.
 *
 * Position deletes become bitmaps (deletes.h) where somebody holds these as long
 * as the text is used. Else they are joined: they name (file, row) pairs. The delete file says the path; the
 * reader says file_index, the place in the list. VALUES join the two, one row
 * for each pair of a delete file and a data file that it applies to, because
 * the same delete file may apply to an older file and not to a newer one.
 */
#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"
#include "dataset/find.h"
#include "dataset/named.h"
#include "dataset/readable.h"
#include "dataset/small.h"

#include <inttypes.h>

#include <string.h>

/* The last three have deletes: as bits for the reader's rows, or by a join. */
enum file_class { FILE_AS_IS, FILE_MAPPED, FILE_LIVE_AS_IS, FILE_LIVE_MAPPED, FILE_DELETED, FILE_CLASSES };

struct reader {
    struct lake *lake;
    struct tn_arena *arena;
    const struct iceberg_plan *plan;
    const struct iceberg_schema *schema;
    struct tn_buf *out;
    enum dataset_placing placing;
    bool bits;     /* deletes are bitmaps, numbered from first_bits on */
    bool shadowed; /* a column is called as the reader calls the place of a row */
    uint64_t first_bits;
    const char *const *named; /* for each file of the plan: its mapping by names, or NULL; NULL: none has one */
    const char *naming;       /* the mapping of the files that are put, NULL: by field ids */
};

/* What the reader of files calls the place of a row, and what we do. */
static const char *const reader_names[] = {"file_index", "file_row_number"};
static const char *const place_names[] = {"tarn_path", "tarn_pos", "tarn_file"};

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tn_str_equal_nocase(name, names[i]))
            return true;
    return false;
}

static const char *name_among(const struct iceberg_schema *schema, const char *const *names, size_t count)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (is_one_of(schema->fields[i].name, names, count))
            return schema->fields[i].name;
    return NULL;
}

static enum tn_code check_names(const struct iceberg_schema *schema, struct tn_error *err)
{
    const char *taken = name_among(schema, place_names, TN_COUNT(place_names));
    if (!taken)
        return TN_OK;
    tn_fail(err, TN_EUNSUPPORTED, "the column \"%s\" is called as Tarn calls the place of a row", taken);
    tn_error_hint(err,
                  "rename the column with the engine that made the table, or load the rows into a dataset of their "
                  "own");
    return TN_EUNSUPPORTED;
}

static enum file_class classify(const struct reader *reader, const struct iceberg_plan_file *file)
{
    bool as_is = !reader->shadowed && dataset_file_is_as_is(file->file, reader->schema->id);
    if (file->delete_count > 0)
        return !reader->bits ? FILE_DELETED : as_is ? FILE_LIVE_AS_IS : FILE_LIVE_MAPPED;
    return as_is ? FILE_AS_IS : FILE_MAPPED;
}

static const char *naming_of(const struct reader *reader, size_t file)
{
    return reader->named ? reader->named[file] : NULL;
}

/* Whether a file of the plan is one of those that are put now. */
static bool is_put(const struct reader *reader, size_t file, enum file_class class)
{
    return naming_of(reader, file) == reader->naming && classify(reader, &reader->plan->files[file]) == class;
}

const char *dataset_staged_name(struct tn_arena *arena, const struct iceberg_field *field)
{
    return is_one_of(field->name, reader_names, TN_COUNT(reader_names))
               ? tn_arena_printf(arena, "tarn_field_%d", field->id)
               : field->name;
}

static void put_columns(const struct reader *reader, const char *prefix)
{
    for (size_t i = 0; i < reader->schema->field_count; i++) {
        const struct iceberg_field *field = &reader->schema->fields[i];
        const char *name = dataset_staged_name(reader->arena, field);
        tn_buf_puts(reader->out, i ? ", " : "");
        tn_buf_puts(reader->out, prefix);
        tn_buf_put_sql_name(reader->out, name);
        if (name != field->name) {
            tn_buf_puts(reader->out, " AS ");
            tn_buf_put_sql_name(reader->out, field->name);
        }
    }
}

static enum tn_code put_path(const struct reader *reader, const char *key, struct tn_error *err)
{
    char *path;
    TN_TRY(store_needed_path(reader->lake->store, reader->arena, key, &path, err));
    tn_buf_put_sql_string(reader->out, path);
    return TN_OK;
}

static enum tn_code put_paths(const struct reader *reader, enum file_class class, struct tn_error *err)
{
    bool comma = false;
    tn_buf_putc(reader->out, '[');
    for (size_t i = 0; i < reader->plan->file_count; i++) {
        if (!is_put(reader, i, class))
            continue;
        tn_buf_puts(reader->out, comma ? ", " : "");
        TN_TRY(put_path(reader, reader->plan->files[i].key, err));
        comma = true;
    }
    tn_buf_putc(reader->out, ']');
    return TN_OK;
}

void dataset_put_mapping(struct tn_arena *arena, const struct iceberg_schema *schema, struct tn_buf *out)
{
    tn_buf_puts(out, ", schema = MAP {");
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct iceberg_field *field = &schema->fields[i];
        tn_buf_printf(out, "%s%d: {'name': ", i ? ", " : "", field->id);
        tn_buf_put_sql_string(out, dataset_staged_name(arena, field));
        tn_buf_puts(out, ", 'type': ");
        tn_buf_put_sql_string(out, catalog_sql_type(arena, field->type));
        tn_buf_puts(out, ", 'default_value': NULL}");
    }
    tn_buf_putc(out, '}');
}

static void put_mapping(const struct reader *reader)
{
    if (reader->naming)
        tn_buf_puts(reader->out, reader->naming);
    else
        dataset_put_mapping(reader->arena, reader->schema, reader->out);
}

/* The reader says file_index, the place in its own list. */
static void put_place(const struct reader *reader, enum file_class class)
{
    if (reader->placing == DATASET_UNPLACED)
        return;
    bool paths = reader->placing == DATASET_WITH_PATHS, comma = false;
    tn_buf_puts(reader->out, "list_extract([");
    for (size_t i = 0; i < reader->plan->file_count; i++) {
        if (!is_put(reader, i, class))
            continue;
        tn_buf_puts(reader->out, comma ? ", " : "");
        if (paths)
            tn_buf_put_sql_string(reader->out, reader->plan->files[i].file->path);
        else
            tn_buf_printf(reader->out, "%zu::INTEGER", i);
        comma = true;
    }
    tn_buf_printf(reader->out,
                  "], CAST(r.file_index AS BIGINT) + 1) AS %s, CAST(r.file_row_number AS BIGINT) AS tarn_pos, ",
                  paths ? "tarn_path" : "tarn_file");
}

/* The bitmaps stand in the plan's order; those of one class, which is the list
 * that file_index counts, in general do not follow each other. */
static void put_live(const struct reader *reader, enum file_class class)
{
    uint64_t bits = reader->first_bits, first = 0, next = 0;
    bool dense = true, comma = false;
    TN_AUTO_BUF list = {0};
    for (size_t i = 0; i < reader->plan->file_count; i++) {
        const struct iceberg_plan_file *file = &reader->plan->files[i];
        if (file->delete_count == 0)
            continue;
        if (is_put(reader, i, class)) {
            first = comma ? first : bits;
            dense = dense && (!comma || bits == next);
            tn_buf_printf(&list, "%s%" PRIu64, comma ? ", " : "", bits);
            next = bits + 1;
            comma = true;
        }
        bits++;
    }
    if (dense)
        tn_buf_printf(reader->out, " WHERE tarn_live(%" PRIu64 ", r.file_index, r.file_row_number)", first);
    else
        tn_buf_printf(reader->out,
                      " WHERE tarn_live(list_extract([%s], CAST(r.file_index AS BIGINT) + 1), r.file_row_number)",
                      list.data);
}

static enum tn_code put_simple(const struct reader *reader, enum file_class class, struct tn_error *err)
{
    tn_buf_puts(reader->out, "SELECT ");
    put_place(reader, class);
    put_columns(reader, "r.");
    tn_buf_puts(reader->out, " FROM read_parquet(");
    TN_TRY(put_paths(reader, class, err));
    if (class == FILE_MAPPED || class == FILE_LIVE_MAPPED)
        put_mapping(reader);
    tn_buf_puts(reader->out, ") r");
    if (class == FILE_LIVE_AS_IS || class == FILE_LIVE_MAPPED)
        put_live(reader, class);
    return TN_OK;
}

/* The delete files of the plan, each once. */
static size_t collect_deletes(const struct reader *reader, const char **ret_keys)
{
    size_t count = 0;
    for (size_t i = 0; i < reader->plan->file_count; i++) {
        const struct iceberg_plan_file *file = &reader->plan->files[i];
        for (size_t d = 0; d < file->delete_count; d++) {
            size_t at = 0;
            while (at < count && !tn_streq(ret_keys[at], file->delete_keys[d]))
                at++;
            if (at == count)
                ret_keys[count++] = file->delete_keys[d];
        }
    }
    return count;
}

/* (data file's index, delete file's index, data file's path) */
static void put_delete_pairs(const struct reader *reader, const char *const *keys, size_t key_count)
{
    size_t index = 0;
    bool comma = false;
    for (size_t i = 0; i < reader->plan->file_count; i++) {
        const struct iceberg_plan_file *file = &reader->plan->files[i];
        if (!is_put(reader, i, FILE_DELETED))
            continue;
        for (size_t d = 0; d < file->delete_count; d++) {
            size_t at = 0;
            while (at < key_count && !tn_streq(keys[at], file->delete_keys[d]))
                at++;
            tn_buf_printf(reader->out, "%s(%zu::UBIGINT, %zu::UBIGINT, ", comma ? ", " : "", index, at);
            tn_buf_put_sql_string(reader->out, file->file->path);
            tn_buf_putc(reader->out, ')');
            comma = true;
        }
        index++;
    }
}

static enum tn_code put_deleted(const struct reader *reader, struct tn_error *err)
{
    size_t pairs = 0;
    for (size_t i = 0; i < reader->plan->file_count; i++)
        pairs += reader->plan->files[i].delete_count;
    const char **keys = TN_ARENA_ARRAY(reader->arena, const char *, pairs);
    size_t key_count = collect_deletes(reader, keys);

    tn_buf_puts(reader->out, "SELECT ");
    put_place(reader, FILE_DELETED);
    put_columns(reader, "r.");
    tn_buf_puts(reader->out, " FROM read_parquet(");
    TN_TRY(put_paths(reader, FILE_DELETED, err));
    put_mapping(reader);
    tn_buf_puts(reader->out, ") r WHERE NOT EXISTS (SELECT 1 FROM read_parquet([");
    for (size_t i = 0; i < key_count; i++) {
        tn_buf_puts(reader->out, i ? ", " : "");
        TN_TRY(put_path(reader, keys[i], err));
    }
    tn_buf_puts(reader->out, "]) d JOIN (VALUES ");
    put_delete_pairs(reader, keys, key_count);
    tn_buf_puts(reader->out,
                ") f(data_index, delete_index, path) ON d.file_index = f.delete_index AND d.file_path = f.path "
                "WHERE f.data_index = r.file_index AND d.pos = r.file_row_number)");
    return TN_OK;
}

static void put_empty(const struct reader *reader)
{
    tn_buf_puts(reader->out, "SELECT ");
    if (reader->placing == DATASET_WITH_PATHS)
        tn_buf_puts(reader->out, "CAST(NULL AS VARCHAR) AS tarn_path, CAST(NULL AS BIGINT) AS tarn_pos, ");
    else if (reader->placing == DATASET_WITH_NUMBERS)
        tn_buf_puts(reader->out, "CAST(NULL AS INTEGER) AS tarn_file, CAST(NULL AS BIGINT) AS tarn_pos, ");
    for (size_t i = 0; i < reader->schema->field_count; i++) {
        const struct iceberg_field *field = &reader->schema->fields[i];
        tn_buf_printf(reader->out, "%sCAST(NULL AS %s) AS ", i ? ", " : "",
                      catalog_sql_type(reader->arena, field->type));
        tn_buf_put_sql_name(reader->out, field->name);
    }
    tn_buf_puts(reader->out, " WHERE false");
}

/* Two holds as one. */
struct both {
    struct engine_hold hold, *first, *second;
};

static void both_free(struct engine_hold *hold)
{
    struct both *both = (struct both *)hold;
    engine_hold_unref(both->first);
    engine_hold_unref(both->second);
    free(both);
}

static struct engine_hold *hold_both(struct engine_hold *first, struct engine_hold *second)
{
    if (!first || !second)
        return first ? first : second;
    struct both *both = tn_calloc(1, sizeof *both);
    *both = (struct both){.hold = {.references = 1, .free = both_free}, .first = first, .second = second};
    return &both->hold;
}

/* Takes small files out of the reader's plan where their rows are in memory. */
static enum tn_code take_small(struct reader *reader, struct iceberg_plan *rest, struct small_part *ret,
                               struct tn_error *err)
{
    struct dataset_relations *relations = reader->lake->relations;
    TN_TRY(dataset_smalls_take(reader->lake, dataset_relations_smalls(relations),
                               dataset_relations_deletes(relations), reader->plan, reader->schema, reader->arena, ret,
                               err));
    if (!ret->hold)
        return TN_OK;
    struct iceberg_plan_file *files =
        TN_ARENA_ARRAY(reader->arena, struct iceberg_plan_file, reader->plan->file_count);
    *rest = *reader->plan;
    rest->files = files;
    rest->file_count = 0;
    for (size_t i = 0; i < reader->plan->file_count; i++)
        if (!ret->taken[i])
            files[rest->file_count++] = reader->plan->files[i];
    reader->plan = rest;
    return TN_OK;
}

/* The files that have their columns by the reader's `naming`. */
static enum tn_code put_classes(const struct reader *reader, bool *united, struct tn_error *err)
{
    size_t counts[FILE_CLASSES] = {0};
    for (size_t i = 0; i < reader->plan->file_count; i++)
        if (naming_of(reader, i) == reader->naming)
            counts[classify(reader, &reader->plan->files[i])]++;
    for (enum file_class class = FILE_AS_IS; class < FILE_CLASSES; class ++) {
        if (counts[class] == 0)
            continue;
        tn_buf_puts(reader->out, *united ? " UNION ALL " : "");
        *united = true;
        if (class == FILE_DELETED)
            TN_TRY(put_deleted(reader, err));
        else
            TN_TRY(put_simple(reader, class, err));
    }
    return TN_OK;
}

static enum tn_code put_files(struct reader *reader, bool united, struct tn_error *err)
{
    TN_TRY(put_classes(reader, &united, err));
    for (size_t i = 0; reader->named && i < reader->plan->file_count; i++) {
        bool met = !reader->named[i];
        for (size_t k = 0; k < i && !met; k++)
            met = reader->named[k] == reader->named[i];
        reader->naming = reader->named[i];
        if (!met)
            TN_TRY(put_classes(reader, &united, err));
    }
    return TN_OK;
}

enum tn_code dataset_files_sql(struct lake *lake, const struct iceberg_plan *plan,
                               const struct iceberg_schema *schema, enum dataset_placing placing, struct tn_buf *out,
                               struct engine_hold **ret_hold, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = NULL;
    struct reader reader = {
        .lake = lake, .arena = arena, .plan = plan, .schema = schema, .out = out, .placing = placing};
    reader.shadowed = name_among(schema, reader_names, TN_COUNT(reader_names)) != NULL;
    struct iceberg_plan rest;
    struct small_part small = {0};
    TN_TRY(dataset_check_readable(plan, schema, err));
    if (placing != DATASET_UNPLACED)
        TN_TRY(check_names(schema, err));
    if (ret_hold && placing == DATASET_UNPLACED)
        TN_TRY(take_small(&reader, &rest, &small, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *small_hold = small.hold;
    if (ret_hold)
        TN_TRY(dataset_deletes_hold(lake, dataset_relations_deletes(lake->relations), reader.plan, &reader.first_bits,
                                    &hold, err));
    reader.bits = hold != NULL;
    const char **named;
    TN_TRY(dataset_named_mappings(lake, reader.plan, schema, arena, &named, err));
    reader.named = named;
    if (small.hold)
        tn_buf_puts(out, small.sql);
    else if (plan->file_count == 0)
        put_empty(&reader);
    TN_TRY(put_files(&reader, small.hold != NULL, err));
    if (ret_hold)
        *ret_hold = hold_both(TN_TAKE(hold), TN_TAKE(small_hold));
    return TN_OK;
}

enum tn_code dataset_read_sql(struct lake *lake, const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                              struct tn_buf *out, struct tn_error *err)
{
    return dataset_files_sql(lake, plan, schema, DATASET_UNPLACED, out, NULL, err);
}

enum tn_code dataset_placed_files_sql(struct lake *lake, const struct iceberg_plan *plan,
                                      const struct iceberg_schema *schema, struct tn_buf *out, struct tn_error *err)
{
    return dataset_files_sql(lake, plan, schema, DATASET_WITH_PATHS, out, NULL, err);
}
