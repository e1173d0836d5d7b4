/* Which files a compaction rewrites.
 *
 * By debt, files are weighed by their rows. Small files, sorted by them, are
 * merged in runs in which none is more than twice what comes before it: a row is
 * rewritten only when the file it lies in grows by half at least, so some
 * log(rows) times in its life, and a large file is not touched for a few small
 * ones. What is left has fewer than `many` files for each doubling. A file
 * with many deleted rows is written anew; the delete files of any other become
 * one when there are many. Files are merged with files of their own partition.
 */
#include "dataset/compact.h"
#include "dataset/compact_rows.h"
#include "dataset/rows_internal.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_BYTES (INT64_C(16) << 20)
#define GROUP_BYTES (INT64_C(64) << 20)
#define GROUP_ROWS  2000000
#define TINY_ROWS   256  /* files up to this are alike */
#define RUN_FACTOR  2    /* what the next file of a run may be of those before it */
#define TIRED_ROWS  5000 /* fewer deleted rows cost nobody anything, whatever their share */

bool compact_is_own_delete(const struct iceberg_plan_file *file, size_t at)
{
    const char *target = file->deletes[at]->referenced_data_file;
    return target && tn_streq(target, file->file->path);
}

int64_t compact_deleted_rows(const struct iceberg_plan_file *file)
{
    int64_t rows = 0;
    for (size_t i = 0; i < file->delete_count; i++)
        if (file->deletes[i]->referenced_data_file)
            rows += file->deletes[i]->record_count;
    return rows;
}

bool compact_is_small(const struct iceberg_plan_file *file)
{
    return file->file->size_bytes < SMALL_BYTES;
}

static int64_t live_rows(const struct iceberg_plan_file *file)
{
    return TN_MAX(file->file->record_count - compact_deleted_rows(file), (int64_t)0);
}

/* ---- partitions ------------------------------------------------------------------ */

/* Files of one group become one file, which lies where they all lie. */
static int by_partition(const struct iceberg_file *a, const struct iceberg_file *b)
{
    if (a->spec_id != b->spec_id)
        return a->spec_id < b->spec_id ? -1 : 1;
    if (a->partition_count != b->partition_count)
        return a->partition_count < b->partition_count ? -1 : 1;
    return iceberg_partition_compare(NULL, a->partition, b->partition, a->partition_count);
}

static int by_partition_and_place(const void *a, const void *b)
{
    const struct iceberg_plan_file *left = *(const struct iceberg_plan_file *const *)a;
    const struct iceberg_plan_file *right = *(const struct iceberg_plan_file *const *)b;
    int order = by_partition(left->file, right->file);
    return order ? order : (left > right) - (left < right);
}

/* The plan's files, those of one partition together, in the plan's order. */
static const struct iceberg_plan_file **sort_files(const struct iceberg_plan *plan, struct tn_arena *arena)
{
    const struct iceberg_plan_file **files =
        TN_ARENA_ARRAY(arena, const struct iceberg_plan_file *, plan->file_count + 1);
    for (size_t i = 0; i < plan->file_count; i++)
        files[i] = &plan->files[i];
    if (plan->file_count > 1)
        qsort(files, plan->file_count, sizeof *files, by_partition_and_place);
    return files;
}

/* ---- delete files of several data files ------------------------------------------- */

struct shared {
    const struct iceberg_file **files; /* sorted, each once; malloc'd */
    size_t count, capacity;
};

static int by_address(const void *a, const void *b)
{
    const struct iceberg_file *const *left = a, *const *right = b;
    return (*left > *right) - (*left < *right);
}

static void shared_add(struct shared *shared, const struct iceberg_plan_file *file)
{
    for (size_t i = 0; i < file->delete_count; i++) {
        if (file->deletes[i]->referenced_data_file)
            continue;
        TN_GROW(shared->files, shared->count, shared->capacity);
        shared->files[shared->count++] = file->deletes[i];
    }
}

static void shared_sort(struct shared *shared)
{
    size_t kept = 0;
    if (shared->count > 1)
        qsort(shared->files, shared->count, sizeof *shared->files, by_address);
    for (size_t i = 0; i < shared->count; i++)
        if (i == 0 || shared->files[i] != shared->files[i - 1])
            shared->files[kept++] = shared->files[i];
    shared->count = kept;
}

void compact_remove_shared(struct iceberg_tx *tx, const struct iceberg_plan *now, const struct iceberg_plan *group,
                           struct tn_arena *arena)
{
    struct shared inside = {0}, outside = {0};
    const struct compact_index *index = compact_index_new(arena, group);
    for (size_t i = 0; i < now->file_count; i++) {
        const struct iceberg_plan_file *file = &now->files[i];
        if (file->delete_count > 0)
            shared_add(compact_index_find(index, file->file->path) ? &inside : &outside, file);
    }
    shared_sort(&inside);
    shared_sort(&outside);
    for (size_t i = 0; i < inside.count; i++)
        if (!outside.count ||
            !bsearch(&inside.files[i], outside.files, outside.count, sizeof *outside.files, by_address))
            iceberg_tx_remove_file(tx, inside.files[i]->path);
    free(inside.files);
    free(outside.files);
}

/* Of data files that are gone, too: which rows it names stands in the file alone. */
static uint64_t shared_rows(const struct iceberg_plan *plan)
{
    struct shared shared = {0};
    uint64_t rows = 0;
    for (size_t i = 0; i < plan->file_count; i++)
        shared_add(&shared, &plan->files[i]);
    shared_sort(&shared);
    for (size_t i = 0; i < shared.count; i++)
        rows += (uint64_t)shared.files[i]->record_count;
    free(shared.files);
    return rows;
}

/* ---- groups -------------------------------------------------------------------- */

struct choosing {
    struct tn_arena *arena;
    struct compact_choice *choice;
    struct iceberg_plan_file *files; /* of the group being made; the groups share one list */
    size_t count;
    int64_t bytes, rows;
};

static void choosing_init(struct choosing *choosing, const struct iceberg_plan *plan, struct tn_arena *arena,
                          struct compact_choice *ret)
{
    *ret = (struct compact_choice){
        .groups = TN_ARENA_ARRAY(arena, struct compact_group, plan->file_count + 1),
        .merges = TN_ARENA_ARRAY(arena, const struct iceberg_plan_file *, plan->file_count + 1),
    };
    *choosing = (struct choosing){.arena = arena,
                                  .choice = ret,
                                  .files = TN_ARENA_ARRAY(arena, struct iceberg_plan_file, plan->file_count + 1)};
}

/* One file by itself, without deletes, is as good as it can be. */
static void end_group(struct choosing *choosing)
{
    struct compact_choice *choice = choosing->choice;
    bool pays = choosing->count > 1 || (choosing->count == 1 && choosing->files[0].delete_count > 0);
    if (pays) {
        choice->groups[choice->group_count++] = (struct compact_group){choosing->files, choosing->count};
        for (size_t i = 0; i < choosing->count; i++)
            choice->files += 1 + choosing->files[i].delete_count;
        choosing->files += choosing->count;
    }
    choosing->count = 0;
    choosing->bytes = choosing->rows = 0;
}

static bool has_room(const struct choosing *choosing, const struct iceberg_plan_file *file)
{
    return choosing->count == 0 || (choosing->bytes + file->file->size_bytes <= GROUP_BYTES &&
                                    choosing->rows + file->file->record_count <= GROUP_ROWS);
}

static void add_file(struct choosing *choosing, const struct iceberg_plan_file *file)
{
    if (!has_room(choosing, file) || (choosing->count > 0 && by_partition(choosing->files[0].file, file->file) != 0))
        end_group(choosing);
    choosing->files[choosing->count++] = *file;
    choosing->bytes += file->file->size_bytes;
    choosing->rows += file->file->record_count;
}

void compact_choose_all(const struct iceberg_plan *plan, struct tn_arena *arena, struct compact_choice *ret)
{
    struct choosing choosing;
    choosing_init(&choosing, plan, arena, ret);
    const struct iceberg_plan_file **files = sort_files(plan, arena);
    for (size_t i = 0; i < plan->file_count; i++)
        if (compact_is_small(files[i]) || files[i]->delete_count > 0)
            add_file(&choosing, files[i]);
    end_group(&choosing);
}

/* ---- by debt ------------------------------------------------------------------------ */

static size_t own_deletes(const struct iceberg_plan_file *file)
{
    size_t own = 0;
    for (size_t i = 0; i < file->delete_count; i++)
        own += compact_is_own_delete(file, i);
    return own;
}

/* Delete files that it shares with others go only with the file itself. */
static bool is_tired(const struct iceberg_plan_file *file, const struct compact_limits *limits)
{
    int64_t deleted = compact_deleted_rows(file);
    return (deleted >= TIRED_ROWS && (double)deleted > limits->deleted_share * (double)file->file->record_count) ||
           file->delete_count - own_deletes(file) >= TN_MAX(limits->many, (size_t)2);
}

/* Within a partition. */
static int by_rows(const void *a, const void *b)
{
    const struct iceberg_plan_file *left = *(const struct iceberg_plan_file *const *)a;
    const struct iceberg_plan_file *right = *(const struct iceberg_plan_file *const *)b;
    int order = by_partition(left->file, right->file);
    if (order)
        return order;
    int64_t difference = live_rows(left) - live_rows(right);
    return difference ? (difference > 0) - (difference < 0) : strcmp(left->file->path, right->file->path);
}

/* How many files from the first on belong together. */
static size_t run_length(const struct iceberg_plan_file *const *files, size_t count)
{
    struct choosing measure = {0};
    int64_t sum = 0;
    size_t length = 0;
    for (; length < count && has_room(&measure, files[length]); length++) {
        int64_t rows = live_rows(files[length]);
        if (by_partition(files[0]->file, files[length]->file) != 0)
            break;
        if (length > 0 && rows > TN_MAX((int64_t)TINY_ROWS, RUN_FACTOR * sum))
            break;
        sum += rows;
        measure.count++;
        measure.bytes += files[length]->file->size_bytes;
        measure.rows += files[length]->file->record_count;
    }
    return length;
}

static void choose_runs(struct choosing *choosing, const struct iceberg_plan_file **files, size_t count, size_t many)
{
    qsort(files, count, sizeof *files, by_rows);
    for (size_t at = 0; at < count;) {
        size_t length = run_length(files + at, count - at);
        bool worth = length >= many;
        for (size_t i = 0; worth && i < length; i++)
            add_file(choosing, files[at + i]);
        end_group(choosing);
        at += worth ? length : 1;
    }
}

static bool is_chosen(const struct compact_choice *choice, const struct iceberg_plan_file *file)
{
    for (size_t g = 0; g < choice->group_count; g++)
        for (size_t i = 0; i < choice->groups[g].count; i++)
            if (choice->groups[g].files[i].file == file->file)
                return true;
    return false;
}

static void choose_merge(struct compact_choice *choice, const struct iceberg_plan_file *file, size_t many)
{
    size_t own = own_deletes(file);
    if (own < many || is_chosen(choice, file))
        return;
    choice->merges[choice->merge_count++] = file;
    choice->files += own;
}

void compact_choose_debt(const struct iceberg_metadata *metadata, const struct iceberg_plan *plan,
                         const struct compact_limits *limits, struct tn_arena *arena, struct compact_choice *ret)
{
    struct choosing choosing;
    choosing_init(&choosing, plan, arena, ret);
    if (rows_check_writable(metadata, NULL) != TN_OK)
        return;
    const struct iceberg_plan_file **small =
        TN_ARENA_ARRAY(arena, const struct iceberg_plan_file *, plan->file_count + 1);
    const struct iceberg_plan_file **files = sort_files(plan, arena);
    size_t small_count = 0;
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_plan_file *file = files[i];
        if (is_tired(file, limits)) {
            ret->tired++;
            add_file(&choosing, file);
        } else if (compact_is_small(file)) {
            small[small_count++] = file;
        }
    }
    end_group(&choosing);
    choose_runs(&choosing, small, small_count, TN_MAX(limits->many, (size_t)2));
    for (size_t i = 0; i < plan->file_count; i++)
        choose_merge(ret, &plan->files[i], TN_MAX(limits->many, (size_t)2));
}

/* ---- debt, in figures -------------------------------------------------------------- */

static int64_t last_compaction_us(const struct iceberg_metadata *metadata)
{
    for (size_t i = metadata->snapshot_count; i > 0; i--)
        if (tn_streq(metadata->snapshots[i - 1]->operation, "replace"))
            return metadata->snapshots[i - 1]->timestamp_ms * 1000;
    return 0;
}

enum tn_code compact_debt(struct lake *lake, const char *name, const struct compact_limits *limits,
                          struct dataset_debt *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    char exact[CATALOG_NAME_MAX + 1];
    TN_TRY(catalog_load(lake->catalog, name, &metadata, err));
    catalog_exact_name(name, exact);
    struct iceberg_table table = catalog_table(lake->catalog, arena, exact);
    TN_TRY(iceberg_plan_new(&table, metadata, NULL, NULL, 0, &plan, err));
    struct compact_choice choice;
    compact_choose_debt(metadata, plan, limits, arena, &choice);
    struct dataset_debt debt = {.data_files = plan->file_count,
                                .snapshots = metadata->snapshot_count,
                                .due_files = choice.files,
                                .tired_files = choice.tired,
                                .compacted_us = last_compaction_us(metadata)};
    for (size_t i = 0; i < plan->file_count; i++) {
        debt.small_files += compact_is_small(&plan->files[i]);
        debt.deleted_rows += (uint64_t)compact_deleted_rows(&plan->files[i]);
        debt.rows += (uint64_t)plan->files[i].file->record_count;
        debt.bytes += (uint64_t)plan->files[i].file->size_bytes;
    }
    debt.deleted_rows = TN_MIN(debt.deleted_rows + shared_rows(plan), debt.rows);
    debt.rows -= debt.deleted_rows;
    if (metadata->current)
        debt.delete_files = (uint64_t)iceberg_snapshot_count(metadata->current, "total-delete-files", 0);
    *ret = debt;
    return TN_OK;
}

static const struct compact_limits usual_limits = {.many = COMPACT_MANY, .deleted_share = COMPACT_SHARE};

enum tn_code dataset_debt(struct lake *lake, const char *name, struct dataset_debt *ret, struct tn_error *err)
{
    return compact_debt(lake, name, &usual_limits, ret, err);
}
