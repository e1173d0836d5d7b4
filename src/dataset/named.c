/* Name mappings: JSON in a property of the table, resolved for each file against
 * the columns that it really has. */
#include "dataset/named.h"

#include "dataset/dataset_internal.h"
#include "dataset/find.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define PROPERTY      "schema.name-mapping.default"
#define MAPPING_BYTES ((size_t)4 << 20)
#define BUCKETS       1024
#define BYTES_MAX     ((size_t)4 << 20) /* then all is forgotten */

struct named_file {
    struct named_file *next;
    char *names; /* each with its NUL, an empty one ends them; NULL: the file has field ids */
    char path[];
};

struct dataset_named {
    pthread_mutex_t mutex;
    struct named_file *buckets[BUCKETS];
    size_t bytes;
};

struct dataset_named *dataset_named_new(void)
{
    struct dataset_named *named = tn_calloc(1, sizeof *named);
    pthread_mutex_init(&named->mutex, NULL);
    return named;
}

static void forget_all(struct dataset_named *named)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (named->buckets[i]) {
            struct named_file *file = named->buckets[i];
            named->buckets[i] = file->next;
            free(file->names);
            free(file);
        }
    }
    named->bytes = 0;
}

void dataset_named_free(struct dataset_named *named)
{
    if (!named)
        return;
    forget_all(named);
    pthread_mutex_destroy(&named->mutex);
    free(named);
}

static size_t bucket_of(const char *path)
{
    return tn_hash64(path, strlen(path), 0) % BUCKETS;
}

static size_t names_size(const char *names)
{
    const char *at = names;
    while (*at)
        at += strlen(at) + 1;
    return (size_t)(at - names) + 1;
}

static const char *copy_names(struct tn_arena *arena, const char *names, size_t size)
{
    char *copy = tn_arena_alloc(arena, size);
    memcpy(copy, names, size);
    return copy;
}

static bool recall(struct dataset_named *named, struct tn_arena *arena, const char *path, const char **ret_names)
{
    if (!named)
        return false;
    pthread_mutex_lock(&named->mutex);
    const struct named_file *file = named->buckets[bucket_of(path)];
    while (file && !tn_streq(file->path, path))
        file = file->next;
    if (file)
        *ret_names = file->names ? copy_names(arena, file->names, names_size(file->names)) : NULL;
    pthread_mutex_unlock(&named->mutex);
    return file != NULL;
}

static void remember(struct dataset_named *named, const char *path, const char *names)
{
    size_t length = strlen(path) + 1, size = names ? names_size(names) : 0;
    if (!named || length + size > BYTES_MAX / 16)
        return;
    struct named_file *file = tn_calloc(1, sizeof *file + length);
    memcpy(file->path, path, length);
    if (names) {
        file->names = tn_calloc(1, size);
        memcpy(file->names, names, size);
    }
    pthread_mutex_lock(&named->mutex);
    if (named->bytes + sizeof *file + length + size > BYTES_MAX)
        forget_all(named);
    named->bytes += sizeof *file + length + size;
    struct named_file **bucket = &named->buckets[bucket_of(path)];
    file->next = *bucket;
    *bucket = file;
    pthread_mutex_unlock(&named->mutex);
}

/* ---- what files say --------------------------------------------------------------- */

#define FILES_AT_ONCE 256

/* The schema of each file comes as a tree in pre-order: the root, then each column with all that is below it. */
struct footers {
    struct tn_arena *arena;
    const char *paths[FILES_AT_ONCE];
    const char **found[FILES_AT_ONCE]; /* where the names go */
    bool done[FILES_AT_ONCE];
    size_t count, at; /* at: the file whose rows come */
    struct tn_buf names;
    int64_t below; /* elements of the column at hand that have not come yet */
    bool begun, ids;
};

static const char *copy_text(struct tn_arena *arena, const struct engine_cell *cell)
{
    return tn_arena_strndup(arena, cell->text.data, cell->text.length);
}

static void end_file(struct footers *footers)
{
    if (!footers->begun)
        return;
    const char *names = NULL, *path = footers->paths[footers->at];
    tn_buf_append(&footers->names, "", 1);
    if (!footers->ids)
        names = copy_names(footers->arena, footers->names.data, footers->names.len);
    for (size_t i = footers->at; i < footers->count; i++) { /* a damaged table may name it twice */
        if (!tn_streq(footers->paths[i], path))
            continue;
        *footers->found[i] = names;
        footers->done[i] = true;
    }
    footers->begun = false;
}

static enum tn_code begin_file(struct footers *footers, const struct engine_cell *name, struct tn_error *err)
{
    const char *path = copy_text(footers->arena, name);
    end_file(footers);
    footers->at = 0;
    while (footers->at < footers->count && !tn_streq(footers->paths[footers->at], path))
        footers->at++;
    if (footers->at == footers->count)
        return tn_fail(err, TN_EINTERNAL, "%s was not asked for its columns", path);
    tn_buf_clear(&footers->names);
    footers->below = 0;
    footers->ids = false;
    footers->begun = true;
    return TN_OK;
}

static bool is_at_hand(const struct footers *footers, const struct engine_cell *name)
{
    const char *path = footers->paths[footers->at];
    return footers->begun && strlen(path) == name->text.length &&
           memcmp(path, name->text.data, name->text.length) == 0;
}

static enum tn_code take_element(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct footers *footers = context;
    int64_t children = cells[3].null ? 0 : cells[3].integer;
    if (!is_at_hand(footers, &cells[0])) /* its root */
        return begin_file(footers, &cells[0], err);
    footers->ids = footers->ids || !cells[2].null;
    if (footers->below == 0 && !cells[1].null && cells[1].text.length > 0) {
        tn_buf_append(&footers->names, cells[1].text.data, cells[1].text.length);
        tn_buf_append(&footers->names, "", 1);
    }
    footers->below += children - (footers->below > 0);
    return TN_OK;
}

static enum tn_code read_footers(struct lake *lake, struct footers *footers, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT file_name, name, field_id, num_children FROM parquet_schema([");
    for (size_t i = 0; i < footers->count; i++) {
        tn_buf_puts(&sql, i ? ", " : "");
        tn_buf_put_sql_string(&sql, footers->paths[i]);
    }
    tn_buf_puts(&sql, "]) ORDER BY file_name, column_id");
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(lake->engine, &select, NULL, NULL, NULL, take_element, footers, err));
    end_file(footers);
    for (size_t i = 0; i < footers->count; i++)
        if (!footers->done[i])
            return tn_fail(err, TN_EINTERNAL, "%s did not say its columns", footers->paths[i]);
    return TN_OK;
}

/* Of up to FILES_AT_ONCE files of the plan. */
static enum tn_code read_some(struct lake *lake, struct tn_arena *arena, const struct iceberg_plan *plan,
                              const size_t *missing, size_t count, const char **names, struct tn_error *err)
{
    struct footers footers = {.arena = arena, .count = count};
    for (size_t i = 0; i < count; i++) {
        char *path;
        TN_TRY(store_needed_path(lake->store, arena, plan->files[missing[i]].key, &path, err));
        footers.paths[i] = path;
        footers.found[i] = &names[missing[i]];
    }
    enum tn_code code = read_footers(lake, &footers, err);
    tn_buf_release(&footers.names);
    for (size_t i = 0; code == TN_OK && i < count; i++)
        remember(dataset_relations_named(lake->relations), plan->files[missing[i]].file->path, names[missing[i]]);
    return code;
}

/* For each file what its columns are called; NULL where they have field ids, as those of our own have. */
static enum tn_code find_names(struct lake *lake, struct tn_arena *arena, const struct iceberg_plan *plan,
                               const char **names, struct tn_error *err)
{
    struct dataset_named *named = dataset_relations_named(lake->relations);
    size_t missing[FILES_AT_ONCE], count = 0;
    for (size_t i = 0; i < plan->file_count; i++) {
        const char *path = plan->files[i].file->path;
        if (strstr(path, DATASET_FILE_MARK) || recall(named, arena, path, &names[i]))
            continue;
        missing[count++] = i;
        if (count < FILES_AT_ONCE)
            continue;
        TN_TRY(read_some(lake, arena, plan, missing, count, names, err));
        count = 0;
    }
    return count ? read_some(lake, arena, plan, missing, count, names, err) : TN_OK;
}

/* ---- the mapping ------------------------------------------------------------------ */

struct mapping {
    struct tn_arena *arena;
    const struct iceberg_plan *plan;
    const struct iceberg_schema *schema;
    const json_t *entries; /* [{"field-id": 1, "names": ["a", "b"]}, ...] */
};

/* The file's own name of the column, or NULL. */
static const char *name_in(const struct mapping *mapping, const char *names, int32_t id)
{
    for (size_t i = 0; i < json_array_size(mapping->entries); i++) {
        const json_t *entry = json_array_get(mapping->entries, i), *called = json_object_get(entry, "names");
        const json_t *of = json_object_get(entry, "field-id");
        if (!json_is_integer(of) || json_integer_value(of) != id)
            continue;
        for (size_t k = 0; k < json_array_size(called); k++) {
            const char *name = json_string_value(json_array_get(called, k));
            for (const char *at = names; name && *at; at += strlen(at) + 1)
                if (tn_streq(at, name))
                    return at;
        }
    }
    return NULL;
}

/* A column that the table is partitioned by need not be in its files. */
static void put_default(const struct mapping *mapping, const struct iceberg_file *file,
                        const struct iceberg_field *field, struct tn_buf *out)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(mapping->plan->metadata, file->spec_id);
    bool bytes = field->type->kind == ICEBERG_BINARY || field->type->kind == ICEBERG_FIXED;
    for (size_t i = 0; spec && !bytes && i < spec->field_count && i < file->partition_count; i++) {
        const struct iceberg_partition_field *part = &spec->fields[i];
        if (part->source_id != field->id || !tn_streq(part->transform, "identity") || !file->partition[i].data)
            continue;
        TN_AUTO_BUF text = {0};
        iceberg_value_format(field->type, file->partition[i], &text);
        tn_buf_put_sql_string(out, text.data ? text.data : "");
        return;
    }
    tn_buf_puts(out, "NULL");
}

/* *ret_whole: each column is there, so that any file with these names has this text. */
static void put_mapping(const struct mapping *mapping, const struct iceberg_file *file, const char *names,
                        struct tn_buf *out, bool *ret_whole)
{
    *ret_whole = true;
    tn_buf_puts(out, ", schema = MAP {");
    for (size_t i = 0; i < mapping->schema->field_count; i++) {
        const struct iceberg_field *field = &mapping->schema->fields[i];
        const char *name = name_in(mapping, names, field->id);
        *ret_whole = *ret_whole && name;
        tn_buf_puts(out, i ? ", " : "");
        tn_buf_put_sql_string(out, name ? name : tn_arena_printf(mapping->arena, "tarn_absent_%d", field->id));
        tn_buf_puts(out, ": {'name': ");
        tn_buf_put_sql_string(out, dataset_staged_name(mapping->arena, field));
        tn_buf_puts(out, ", 'type': ");
        tn_buf_put_sql_string(out, catalog_sql_type(mapping->arena, field->type));
        tn_buf_puts(out, ", 'default_value': ");
        if (name)
            tn_buf_puts(out, "NULL");
        else
            put_default(mapping, file, field, out);
        tn_buf_putc(out, '}');
    }
    tn_buf_putc(out, '}');
}

static bool same_names(const char *a, const char *b)
{
    size_t size = names_size(a);
    return size == names_size(b) && memcmp(a, b, size) == 0;
}

/* One of those before where it is equal. */
static const char *keep_text(struct tn_arena *arena, const char *const *before, size_t count,
                             const struct tn_buf *text)
{
    for (size_t i = count; i-- > 0;)
        if (before[i] && tn_streq(before[i], text->data))
            return before[i];
    return tn_arena_strndup(arena, text->data, text->len);
}

static enum tn_code map_files(struct lake *lake, const struct mapping *mapping, const char ***ret,
                              struct tn_error *err)
{
    const struct iceberg_plan *plan = mapping->plan;
    const char **names = TN_ARENA_ARRAY(mapping->arena, const char *, plan->file_count + 1);
    const char **texts = TN_ARENA_ARRAY(mapping->arena, const char *, plan->file_count + 1);
    const char *last = NULL, *last_names = NULL;
    bool whole = false;
    TN_TRY(find_names(lake, mapping->arena, plan, names, err));
    for (size_t i = 0; i < plan->file_count; i++) {
        if (!names[i])
            continue;
        if (!(last && whole && same_names(names[i], last_names))) {
            TN_AUTO_BUF text = {0};
            put_mapping(mapping, plan->files[i].file, names[i], &text, &whole);
            last = keep_text(mapping->arena, texts, i, &text);
            last_names = names[i];
        }
        texts[i] = last;
    }
    if (last)
        *ret = texts;
    return TN_OK;
}

enum tn_code dataset_named_mappings(struct lake *lake, const struct iceberg_plan *plan,
                                    const struct iceberg_schema *schema, struct tn_arena *arena, const char ***ret,
                                    struct tn_error *err)
{
    const char *text = plan->metadata ? iceberg_metadata_property(plan->metadata, PROPERTY) : NULL;
    TN_AUTO_JSON *entries = NULL;
    *ret = NULL;
    if (!text)
        return TN_OK;
    TN_TRY(tn_json_parse(text, strlen(text), MAPPING_BYTES, PROPERTY, &entries, err));
    const struct mapping mapping = {.arena = arena, .plan = plan, .schema = schema, .entries = entries};
    return map_files(lake, &mapping, ret, err);
}

enum tn_code dataset_named_require(struct lake *lake, const char *dataset, const struct iceberg_plan *plan,
                                   struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    if (iceberg_metadata_property(plan->metadata, PROPERTY))
        return TN_OK;
    const char **names = TN_ARENA_ARRAY(arena, const char *, plan->file_count + 1);
    TN_TRY(find_names(lake, arena, plan, names, err));
    for (size_t i = 0; i < plan->file_count; i++) {
        if (!names[i])
            continue;
        tn_fail(err, TN_EUNSUPPORTED,
                "%s has no field ids, and dataset \"%s\" has no property " PROPERTY
                ": which columns it has is not known, and they would be written down as NULL",
                plan->files[i].file->path, dataset);
        tn_error_hint(err, "Set the property, as the engine that took the file in can, or take the file out again.");
        return TN_EUNSUPPORTED;
    }
    return TN_OK;
}
