/* Which chunks a search may return: those of rows that meet the predicate, and
 * of no row that was changed or deleted since the snapshot that the index shows.
 *
 * One bit per chunk. What a predicate says is kept for as long as the index
 * shows the same: whatever is committed meanwhile changes rows that are left out
 * anyway (changed.c), or adds rows without a chunk. So while rows are written
 * all the time a predicate is evaluated once for each catch-up, and not for each
 * search. What is left of it for one snapshot of the dataset is kept beside.
 */
#include "index/index_internal.h"

#define STANDING ((int64_t)-1) /* in place of a dataset's snapshot: whatever that is */

void allowed_unref(struct allowed *allowed)
{
    if (allowed && atomic_fetch_sub(&allowed->references, 1) == 1)
        free(allowed);
}

static void forget(struct allowed_kept *kept, size_t at)
{
    free(kept->entries[at].predicate);
    allowed_unref(kept->entries[at].allowed);
    kept->entries[at] = kept->entries[--kept->count];
}

void allow_forget(struct logical *logical)
{
    pthread_mutex_lock(&logical->allowed_lock);
    while (logical->standing.count > 0)
        forget(&logical->standing, 0);
    while (logical->allowed.count > 0)
        forget(&logical->allowed, 0);
    pthread_mutex_unlock(&logical->allowed_lock);
}

static struct allowed_kept *kept_of(struct logical *logical, const struct allowed_entry *key)
{
    return key->current == STANDING ? &logical->standing : &logical->allowed;
}

static struct allowed *recall(struct logical *logical, const struct allowed_entry *key)
{
    struct allowed_kept *kept = kept_of(logical, key);
    struct allowed *found = NULL;
    pthread_mutex_lock(&logical->allowed_lock);
    for (size_t i = 0; i < kept->count && !found; i++) {
        struct allowed_entry *entry = &kept->entries[i];
        if (entry->applied == key->applied && entry->current == key->current && entry->epoch == key->epoch &&
            entry->schema_id == key->schema_id && tn_streq(entry->predicate, key->predicate)) {
            entry->used = ++kept->clock;
            found = entry->allowed;
            atomic_fetch_add(&found->references, 1);
        }
    }
    pthread_mutex_unlock(&logical->allowed_lock);
    return found;
}

static void remember(struct logical *logical, const struct allowed_entry *key, struct allowed *allowed)
{
    struct allowed_kept *kept = kept_of(logical, key);
    pthread_mutex_lock(&logical->allowed_lock);
    if (kept->count == ALLOWED_KEPT) {
        size_t oldest = 0;
        for (size_t i = 1; i < ALLOWED_KEPT; i++)
            if (kept->entries[i].used < kept->entries[oldest].used)
                oldest = i;
        forget(kept, oldest);
    }
    atomic_fetch_add(&allowed->references, 1);
    struct allowed_entry *entry = &kept->entries[kept->count++];
    *entry = *key;
    entry->predicate = tn_strdup(key->predicate);
    entry->allowed = allowed;
    entry->used = ++kept->clock;
    pthread_mutex_unlock(&logical->allowed_lock);
}

/* ---- making one -------------------------------------------------------------- */

struct marking {
    struct docs *docs;
    struct allowed *allowed;
    struct tn_buf id;
    bool set;
};

static void mark(void *context, int64_t chunk)
{
    const struct marking *marking = context;
    struct allowed *allowed = marking->allowed;
    if ((uint64_t)chunk >= allowed->bit_count)
        return;
    uint8_t bit = (uint8_t)(1U << (chunk % 8)), *byte = &allowed->bits[chunk / 8];
    *byte = marking->set ? (uint8_t)(*byte | bit) : (uint8_t)(*byte & ~bit);
}

static enum tn_code mark_doc(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct marking *marking = context;
    (void)err;
    if (cells[0].null)
        return TN_OK;
    tn_buf_clear(&marking->id);
    tn_buf_append(&marking->id, cells[0].text.data, cells[0].text.length);
    docs_each(marking->docs, marking->id.data, mark, marking);
    return TN_OK;
}

static enum tn_code mark_all(struct logical *logical, struct marking *marking, const char *sql, struct tn_error *err)
{
    const struct engine_select select = {.sql = sql};
    return engine_select(logical->service->lake->engine, &select, NULL, NULL, NULL, mark_doc, marking, err);
}

static enum tn_code mark_passing(struct logical *logical, const struct relation *relation, const char *predicate,
                                 struct marking *marking, struct tn_arena *arena, bool *ret_varies,
                                 struct tn_error *err)
{
    const char *safe;
    TN_AUTO_BUF sql = {0};
    TN_TRY(engine_guard_predicate(logical->service->lake->engine, predicate, strlen(predicate), arena, &safe,
                                  ret_varies, err));
    tn_buf_printf(&sql, "SELECT %s FROM (SELECT * FROM (%s) AS ", relation->doc_id, relation->made.definition);
    tn_buf_put_sql_name(&sql, logical->definition.dataset);
    tn_buf_printf(&sql, " WHERE (%s))", safe);
    marking->set = true;
    /* What the engine says against this text, it says against the predicate. */
    struct tn_error why = {0};
    enum tn_code code = mark_all(logical, marking, sql.data, &why);
    if (code == TN_EINTERNAL) {
        tn_fail(err, TN_ESQL, "filter: %s", why.detail);
        tn_error_hint(err, "A filter is over the columns of the dataset \"%s\".", logical->definition.dataset);
        return TN_ESQL;
    }
    why.line = why.column = 0; /* counted in this text, which nobody wrote */
    if (code != TN_OK && err)
        *err = why;
    return code;
}

static void unmark_doc(void *context, const char *doc_id)
{
    struct marking *marking = context;
    docs_each(marking->docs, doc_id, mark, marking);
}

/* Where the snapshot that the index shows cannot be told any more, documents that
 * are not there at all go; what else changed is found by the walk, which then
 * looks at everything. */
static enum tn_code unmark_lost(struct logical *logical, int64_t current, struct marking *marking,
                                struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct allowed *allowed = marking->allowed;
    AUTO_RELATION relation = {0};
    TN_AUTO_BUF sql = {0};
    TN_TRY(relation_open(logical, current, arena, &relation, err));
    TN_AUTO_FREE uint8_t *before = tn_malloc(allowed->bit_count / 8 + 1);
    memcpy(before, allowed->bits, allowed->bit_count / 8 + 1);
    memset(allowed->bits, 0, allowed->bit_count / 8 + 1);
    tn_buf_printf(&sql, "SELECT %s FROM (%s)", relation.doc_id, relation.made.definition);
    marking->set = true;
    TN_TRY(mark_all(logical, marking, sql.data, err));
    for (size_t i = 0; i <= allowed->bit_count / 8; i++)
        allowed->bits[i] &= before[i];
    return TN_OK;
}

static enum tn_code unmark_changed(struct logical *logical, const struct allowed_entry *key,
                                   const struct iceberg_metadata *metadata, struct marking *marking,
                                   struct tn_error *err)
{
    bool known = false;
    marking->set = false;
    TN_TRY(changed_each(logical, metadata, key->applied, key->current, unmark_doc, marking, &known, err));
    return known ? TN_OK : unmark_lost(logical, key->current, marking, err);
}

static struct allowed *allowed_new(uint64_t count)
{
    struct allowed *allowed = tn_calloc(1, sizeof *allowed + count / 8 + 1);
    atomic_init(&allowed->references, 1);
    allowed->bit_count = count;
    return allowed;
}

static void count_matches(struct allowed *allowed)
{
    uint64_t count = allowed->bit_count;
    allowed->matches = 0;
    for (uint64_t i = count; i % 8 != 0; i++)
        allowed->bits[i / 8] &= (uint8_t) ~(1U << (i % 8));
    for (size_t i = 0; i < (count + 7) / 8; i++)
        allowed->matches += (unsigned)__builtin_popcount(allowed->bits[i]);
}

/* The chunks whose rows meet the predicate, be they as they were or not. */
static enum tn_code make_standing(struct logical *logical, const struct allowed_entry *key, int64_t current,
                                  struct allowed **ret, bool *ret_varies, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(allowed_unref_p)
    struct allowed *allowed = allowed_new((uint64_t)atomic_load(&logical->next_chunk));
    struct marking marking = {.allowed = allowed};
    AUTO_RELATION relation = {0};
    TN_TRY(files_docs(logical, &marking.docs, err));
    TN_TRY(relation_open(logical, current, arena, &relation, err));
    enum tn_code code = mark_passing(logical, &relation, key->predicate, &marking, arena, ret_varies, err);
    tn_buf_release(&marking.id);
    TN_TRY(code);
    count_matches(allowed);
    *ret = TN_TAKE(allowed);
    return TN_OK;
}

/* *ret_keep false: it may be another one the next time. Such a one is never kept,
 * so whoever finds one need not ask. */
static enum tn_code standing(struct logical *logical, const struct allowed_entry *key, struct allowed **ret,
                             bool *ret_keep, struct tn_error *err)
{
    struct allowed_entry one = *key;
    bool varies = false;
    one.current = STANDING;
    *ret_keep = true;
    *ret = recall(logical, &one);
    if (*ret)
        return TN_OK;
    atomic_fetch_add_explicit(&logical->service->counts.filters, 1, memory_order_relaxed);
    TN_TRY(make_standing(logical, &one, key->current, ret, &varies, err));
    *ret_keep = !varies;
    if (*ret_keep)
        remember(logical, &one, *ret);
    return TN_OK;
}

/* Of those (`standing`, or NULL: of all) the ones that are as they were. */
static enum tn_code make(struct logical *logical, const struct iceberg_metadata *metadata,
                         const struct allowed_entry *key, const struct allowed *standing, struct allowed **ret,
                         struct tn_error *err)
{
    uint64_t count = standing ? standing->bit_count : (uint64_t)atomic_load(&logical->next_chunk);
    TN_CLEANUP(allowed_unref_p) struct allowed *allowed = allowed_new(count);
    struct marking marking = {.allowed = allowed};
    TN_TRY(files_docs(logical, &marking.docs, err));
    if (standing)
        memcpy(allowed->bits, standing->bits, count / 8 + 1);
    else
        memset(allowed->bits, 0xFF, count / 8 + 1);
    enum tn_code code = unmark_changed(logical, key, metadata, &marking, err);
    tn_buf_release(&marking.id);
    TN_TRY(code);
    count_matches(allowed);
    *ret = TN_TAKE(allowed);
    return TN_OK;
}

void allow_there(struct logical *logical, struct allowed **allowed)
{
    TN_CLEANUP(allowed_unref_p) struct allowed *before = TN_TAKE(*allowed);
    uint64_t count = before ? before->bit_count : (uint64_t)atomic_load(&logical->next_chunk);
    struct allowed *there = allowed_new(count);
    for (uint64_t id = 0; id < count; id++)
        if ((!before || allowed_has(before, (int64_t)id)) && chunk_file_has(logical->chunks, (int64_t)id))
            there->bits[id / 8] |= (uint8_t)(1U << (id % 8));
    count_matches(there);
    *allowed = there;
}

static enum tn_code find(struct logical *logical, const struct iceberg_metadata *metadata,
                         const struct allowed_entry *key, struct allowed **ret, struct tn_error *err)
{
    bool behind = key->applied != key->current, keep = true;
    TN_CLEANUP(allowed_unref_p) struct allowed *whole = NULL;
    *ret = behind ? recall(logical, key) : NULL;
    if (*ret)
        return TN_OK;
    if (key->predicate[0])
        TN_TRY(standing(logical, key, &whole, &keep, err));
    if (!behind) {
        *ret = TN_TAKE(whole);
        return TN_OK;
    }
    TN_TRY(make(logical, metadata, key, whole, ret, err));
    if (keep)
        remember(logical, key, *ret);
    return TN_OK;
}

enum tn_code allow(struct logical *logical, const char *predicate, struct allowed **ret, int64_t *ret_current,
                   bool *ret_behind, struct tn_error *err)
{
    /* The epoch first: what changes behind this line makes another entry. */
    uint64_t epoch = atomic_load(&logical->epoch);
    int64_t applied = atomic_load(&logical->applied);
    struct allowed_entry key = {.epoch = epoch,
                                .applied = applied ? applied : atomic_load(&logical->begun),
                                .predicate = (char *)(uintptr_t)(predicate ? predicate : "")};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(dataset_open(logical, &metadata, err));
    key.current = metadata->current ? metadata->current->id : 0;
    key.schema_id = metadata->schema->id;
    *ret_current = key.current;
    *ret_behind = applied != key.current;
    *ret = NULL;
    if (!key.predicate[0] && key.applied == key.current)
        return TN_OK;
    return find(logical, metadata, &key, ret, err);
}
