/* An index described. Whoever asks how far it is waits for none of the work that
 * gets it there: what cannot be told without waiting is null. */
#include "index/trial.h"

#define DESCRIBE_PATIENCE_MS 100

static bool has_problem(struct logical *logical)
{
    pthread_mutex_lock(&logical->problem_lock);
    bool has = logical->problem[0] != '\0';
    pthread_mutex_unlock(&logical->problem_lock);
    return has;
}

static const char *state_of(struct logical *logical, int64_t current)
{
    int64_t applied = atomic_load(&logical->applied);
    if (atomic_load(&logical->working) && applied == 0)
        return "building";
    if (applied == 0)
        return has_problem(logical) ? "failed" : "empty";
    return applied == current ? "ready" : "behind";
}

static void put_problem(struct logical *logical, const char *more, struct tn_json *out)
{
    char problem[sizeof logical->problem];
    pthread_mutex_lock(&logical->problem_lock);
    memcpy(problem, logical->problem, sizeof problem);
    pthread_mutex_unlock(&logical->problem_lock);
    tn_json_kstr(out, "problem", more ? more : problem[0] ? problem : NULL);
}

/* On disk: what of its files is in memory now, which the system takes back when it needs it. */
static uint64_t resident_bytes(const struct logical *logical, struct vector_index *vectors)
{
    struct vector_index_info info = {0};
    if (!vectors)
        return 0;
    if (logical_on_disk(logical))
        return vector_index_mapped_bytes(vectors);
    vector_index_info(vectors, &info);
    return info.bytes_resident;
}

uint64_t index_resident_bytes(struct index_service *service)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    uint64_t sum = 0;
    size_t count = logical_all(service, arena, &all);
    for (size_t i = 0; i < count; i++) {
        if (pthread_rwlock_tryrdlock(&all[i]->gate) == 0) {
            if (atomic_load(&all[i]->open))
                sum += resident_bytes(all[i], atomic_load(&all[i]->vectors));
            pthread_rwlock_unlock(&all[i]->gate);
        }
        logical_unref(all[i]);
    }
    return sum;
}

static void put_count(struct tn_json *out, const char *key, bool known, uint64_t count)
{
    if (known)
        tn_json_ki64(out, key, (int64_t)count);
    else
        tn_json_kstr(out, key, NULL);
}

/* Not open: they are not there yet, or are replaced at this moment. */
static void put_files(struct logical *logical, bool open, struct tn_json *out)
{
    struct vector_index *vectors = open ? atomic_load(&logical->vectors) : NULL;
    struct vector_index_info info = {0};
    struct docs *docs = NULL;
    if (vectors)
        vector_index_info(vectors, &info);
    bool counted = open && files_docs(logical, &docs, NULL) == TN_OK;
    put_count(out, "documents", counted, counted ? docs_count(docs) : 0);
    put_count(out, "chunks", counted, counted ? docs_chunks(docs) : 0);
    put_count(out, "generation", open, info.generation);
    put_count(out, "generation_rows", open, info.rows);
    put_count(out, "delta_rows", open, info.delta_rows);
    put_count(out, "deleted_rows", open, info.deleted);
    put_count(out, "bytes_on_disk", open, info.bytes_on_disk + (open ? chunk_file_bytes(logical->chunks) : 0));
    put_count(out, "bytes_resident", open, resident_bytes(logical, vectors));
}

static void put_definition(const struct definition *definition, struct tn_json *out)
{
    char time[TN_TIME_TEXT];
    tn_json_kstr(out, "name", definition->name);
    tn_json_kstr(out, "dataset", definition->dataset);
    tn_json_kstr(out, "vectors", definition->table);
    tn_json_kstrs(out, "text_columns", definition->columns, definition->column_count);
    tn_json_kstr(out, "vector_column", definition->vector_column);
    tn_json_kstr(out, "model", definition->model);
    tn_json_kstr(out, "model_version", definition->version);
    tn_json_ki64(out, "dimension", definition->dimension);
    tn_json_key(out, "chunk");
    tn_json_open(out, '{');
    tn_json_ki64(out, "size", definition->chunk_size);
    tn_json_ki64(out, "overlap", definition->chunk_overlap);
    tn_json_close(out, '}');
    tn_json_kstr(out, "backend", definition->backend);
    tn_json_kstr(out, "created", tn_time_format(definition->created_us, time));
}

static void describe(struct logical *logical, struct tn_json *out)
{
    int64_t current = 0;
    struct tn_error why = {0};
    enum tn_code code = files_look(logical, false, DESCRIBE_PATIENCE_MS, NULL);
    bool there = dataset_snapshot(logical, &current, &why) == TN_OK;
    if (!there)
        current = -1;
    /* Held for writing only while files are opened, replaced or removed. */
    bool entered = code == TN_OK && pthread_rwlock_tryrdlock(&logical->gate) == 0;
    bool open = entered && atomic_load(&logical->open);
    bool opening = code == TN_EUNAVAILABLE || (code == TN_OK && !open);
    tn_json_open(out, '{');
    put_definition(&logical->definition, out);
    tn_json_kstr(out, "state", open ? state_of(logical, current) : opening ? "opening" : "damaged");
    put_problem(logical, there ? NULL : why.detail, out);
    tn_json_ki64(out, "snapshot_id", atomic_load(&logical->applied));
    tuning_put(logical, open, out);
    put_files(logical, open, out);
    tn_json_close(out, '}');
    if (entered)
        pthread_rwlock_unlock(&logical->gate);
}

enum tn_code index_show(struct index_service *service, const char *name, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_find(service, name, &logical, err));
    describe(logical, out);
    return TN_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct logical *const *x = a, *const *y = b;
    return strcmp((*x)->definition.name, (*y)->definition.name);
}

enum tn_code index_list(struct index_service *service, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    size_t count = logical_all(service, arena, &all);
    (void)err;
    if (count > 1)
        qsort(all, count, sizeof *all, by_name);
    tn_json_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        describe(all[i], out);
        logical_unref(all[i]);
    }
    tn_json_close(out, ']');
    return TN_OK;
}
