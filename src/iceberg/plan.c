/* Scan planning: from a snapshot to the files that a query must read. */
#include "base/str.h"
#include "iceberg/plan_internal.h"
#include "iceberg/schema.h"
#include "iceberg/value.h"

#include <inttypes.h>
#include <string.h>

/* A delete file with what is needed to find its data files. */
struct plan_delete {
    const struct iceberg_file *file;
    const char *key;
    struct iceberg_bytes target;       /* {NULL}: of several data files */
    struct iceberg_bytes lower, upper; /* of the paths inside; {NULL}: unknown */
};

struct plan {
    struct iceberg_plan shown; /* first */
    struct tn_arena *arena;
    struct iceberg_table table;
    struct manifest_object **held;
    size_t held_count, held_capacity;
    struct plan_delete *deletes; /* those with a target first, sorted by it */
    size_t delete_count, delete_capacity, targeted_count;
    struct iceberg_plan_file *files;
    size_t file_count, file_capacity;
    const struct iceberg_predicate *predicates;
    size_t predicate_count;
};

void iceberg_plan_free(struct iceberg_plan *plan)
{
    if (!plan)
        return;
    struct plan *inner = (struct plan *)plan;
    for (size_t i = 0; i < inner->held_count; i++)
        manifest_object_unref(inner->held[i]);
    iceberg_metadata_unref((struct iceberg_metadata *)(uintptr_t)plan->metadata);
    tn_arena_free(inner->arena);
    free(inner->held);
    free(inner->deletes);
    free(inner->files);
    free(inner);
}

static enum tn_code plan_hold_manifest(struct plan *plan, const struct manifest_row *row,
                                       const struct manifest_object **ret, struct tn_error *err)
{
    struct manifest_object *manifest = NULL;
    TN_TRY(table_open_manifest(&plan->table, plan->shown.metadata, row, &manifest, err));
    TN_GROW(plan->held, plan->held_count, plan->held_capacity);
    plan->held[plan->held_count++] = manifest;
    *ret = manifest;
    return TN_OK;
}

/* --- What we do not read --- */

static enum tn_code plan_unsupported(const struct plan *plan, const char *feature, const char *where,
                                     struct tn_error *err)
{
    (void)tn_fail(err, TN_EUNSUPPORTED, "%s uses %s, which is not read here (%s)", plan->table.prefix, feature,
                  where);
    tn_error_hint(err, "read it with the engine that wrote it, or rewrite its data files there");
    return TN_EUNSUPPORTED;
}

static enum tn_code plan_check_types(const struct plan *plan, const struct iceberg_field *fields, size_t count,
                                     struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_type *type = fields[i].type;
        if (type->kind == ICEBERG_UNSUPPORTED) {
            TN_AUTO_BUF feature = {0};
            tn_buf_puts(&feature, "the type ");
            iceberg_type_format(type, &feature);
            return plan_unsupported(plan, feature.data, fields[i].name, err);
        }
        TN_TRY(plan_check_types(plan, type->fields, type->field_count, err));
    }
    return TN_OK;
}

static enum tn_code plan_check_file(const struct plan *plan, const struct iceberg_file *file, struct tn_error *err)
{
    if (file->content == ICEBERG_EQUALITY_DELETES)
        return plan_unsupported(plan, "equality deletes", file->path, err);
    if (tn_str_equal_nocase(file->format, "PARQUET"))
        return TN_OK;
    if (tn_str_equal_nocase(file->format, "PUFFIN"))
        return plan_unsupported(plan, "deletion vectors", file->path, err);
    return plan_unsupported(plan, file->format, file->path, err);
}

/* --- Delete files --- */

static struct iceberg_bytes plan_text(const char *text)
{
    return (struct iceberg_bytes){(const uint8_t *)text, strlen(text)};
}

static enum tn_code plan_add_delete(struct plan *plan, const struct iceberg_file *file, struct tn_error *err)
{
    struct plan_delete found = {.file = file};
    TN_TRY(plan_check_file(plan, file, err));
    TN_TRY(iceberg_resolve(plan->arena, &plan->table, plan->shown.metadata, file->path, &found.key, err));
    const struct iceberg_stats *paths = iceberg_file_stats(file, ICEBERG_DELETE_PATH_ID);
    if (paths) {
        found.lower = paths->lower;
        found.upper = paths->upper;
    }
    if (file->referenced_data_file)
        found.target = plan_text(file->referenced_data_file);
    else if (found.lower.data && value_same(found.lower, found.upper))
        found.target = found.lower;
    TN_GROW(plan->deletes, plan->delete_count, plan->delete_capacity);
    plan->deletes[plan->delete_count++] = found;
    plan->targeted_count += found.target.data != NULL;
    return TN_OK;
}

static int plan_delete_order(const void *a, const void *b)
{
    const struct plan_delete *x = a, *y = b;
    if (!x->target.data || !y->target.data)
        return !x->target.data - !y->target.data;
    return value_compare_raw(x->target, y->target);
}

static bool plan_delete_may_touch(const struct plan_delete *deletes, struct iceberg_bytes path)
{
    return (!deletes->lower.data || value_compare_raw(deletes->lower, path) <= 0) &&
           (!deletes->upper.data || value_compare_raw(path, deletes->upper) <= 0);
}

/* The first targeted delete file whose target is not below `path`. */
static size_t plan_first_delete(const struct plan *plan, struct iceberg_bytes path)
{
    size_t low = 0, high = plan->targeted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (value_compare_raw(plan->deletes[middle].target, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A position delete counts for data of its own commit and earlier ones. */
static void plan_assign_deletes(struct plan *plan, struct iceberg_plan_file *out, const size_t *which, size_t count)
{
    const struct iceberg_file **files = TN_ARENA_ARRAY(plan->arena, const struct iceberg_file *, count);
    const char **keys = TN_ARENA_ARRAY(plan->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        files[i] = plan->deletes[which[i]].file;
        keys[i] = plan->deletes[which[i]].key;
    }
    out->deletes = files;
    out->delete_keys = keys;
    out->delete_count = count;
    plan->shown.deleted_file_count++;
}

static void plan_find_deletes(struct plan *plan, struct iceberg_plan_file *out)
{
    const struct iceberg_bytes path = plan_text(out->file->path);
    if (!plan->delete_count)
        return;
    TN_AUTO_FREE size_t *which = tn_calloc(plan->delete_count, sizeof *which);
    size_t count = 0;
    for (size_t i = plan_first_delete(plan, path);
         i < plan->targeted_count && value_compare_raw(plan->deletes[i].target, path) == 0; i++)
        if (out->file->sequence_number <= plan->deletes[i].file->sequence_number)
            which[count++] = i;
    for (size_t i = plan->targeted_count; i < plan->delete_count; i++)
        if (out->file->sequence_number <= plan->deletes[i].file->sequence_number &&
            plan_delete_may_touch(&plan->deletes[i], path))
            which[count++] = i;
    if (count)
        plan_assign_deletes(plan, out, which, count);
}

/* --- Data files --- */

static enum tn_code plan_add_data(struct plan *plan, const struct iceberg_file *file, struct tn_error *err)
{
    TN_TRY(plan_check_file(plan, file, err));
    if (file->record_count == 0)
        return TN_OK;
    if (prune_file(plan->shown.schema, plan->predicates, plan->predicate_count, file)) {
        plan->shown.pruned_count++;
        return TN_OK;
    }
    TN_GROW(plan->files, plan->file_count, plan->file_capacity);
    struct iceberg_plan_file *out = &plan->files[plan->file_count++];
    *out = (struct iceberg_plan_file){.file = file};
    TN_TRY(iceberg_resolve(plan->arena, &plan->table, plan->shown.metadata, file->path, &out->key, err));
    plan_find_deletes(plan, out);
    plan->shown.record_count += file->record_count;
    plan->shown.size_bytes += file->size_bytes;
    return TN_OK;
}

static int plan_file_order(const void *a, const void *b)
{
    const struct iceberg_plan_file *x = a, *y = b;
    int64_t s = x->file->sequence_number, t = y->file->sequence_number;
    return s != t ? (s > t) - (s < t) : strcmp(x->file->path, y->file->path);
}

/* --- All --- */

static enum tn_code plan_read(struct plan *plan, const struct manifest_object *list, int32_t content,
                              struct tn_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct manifest_row *row = &list->rows[i];
        const struct manifest_object *manifest = NULL;
        if (row->content != content || (row->added_files == 0 && row->existing_files == 0))
            continue;
        TN_TRY(plan_hold_manifest(plan, row, &manifest, err));
        for (size_t k = 0; k < manifest->count; k++) {
            const struct manifest_entry *entry = &manifest->entries[k];
            if (entry->status == MANIFEST_DELETED)
                continue;
            TN_TRY(content == MANIFEST_DATA ? plan_add_data(plan, &entry->file, err)
                                            : plan_add_delete(plan, &entry->file, err));
        }
    }
    return TN_OK;
}

static enum tn_code plan_fill(struct plan *plan, struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    struct iceberg_plan *shown = &plan->shown;
    if (shown->metadata->format_version > 2)
        return plan_unsupported(plan, "format version 3", shown->metadata->uri ? shown->metadata->uri : "metadata",
                                err);
    TN_TRY(plan_check_types(plan, shown->schema->fields, shown->schema->field_count, err));
    if (!shown->snapshot)
        return TN_OK;
    TN_TRY(table_open_list(&plan->table, shown->metadata, shown->snapshot, &list, err));
    TN_TRY(plan_read(plan, list, MANIFEST_DELETES, err));
    if (plan->delete_count)
        qsort(plan->deletes, plan->delete_count, sizeof *plan->deletes, plan_delete_order);
    TN_TRY(plan_read(plan, list, MANIFEST_DATA, err));
    if (plan->file_count)
        qsort(plan->files, plan->file_count, sizeof *plan->files, plan_file_order);
    shown->files = plan->files;
    shown->file_count = plan->file_count;
    return TN_OK;
}

enum tn_code iceberg_plan_new(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                              const struct iceberg_snapshot *snapshot, const struct iceberg_predicate *predicates,
                              size_t predicate_count, struct iceberg_plan **ret, struct tn_error *err)
{
    struct plan *plan = tn_calloc(1, sizeof *plan);
    ICEBERG_AUTO_PLAN *owner = &plan->shown;
    plan->arena = tn_arena_new();
    plan->table = *table;
    plan->shown.metadata = iceberg_metadata_ref(metadata);
    plan->shown.snapshot = snapshot ? snapshot : metadata->current;
    plan->shown.schema = iceberg_metadata_schema_at(metadata, plan->shown.snapshot);
    plan->predicates = predicates;
    plan->predicate_count = predicate_count;
    TN_TRY(plan_fill(plan, err));
    plan->predicates = NULL; /* the caller's, and used up */
    *ret = TN_TAKE(owner);
    return TN_OK;
}
