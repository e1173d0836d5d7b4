/* Which chunks a search may return: those of rows that meet the predicate, and
 * of no row that was changed or deleted since the snapshot that the index shows.
 *
 * One bit per chunk, remembered by predicate, snapshots and state of the index.
 */
#include "index/index_internal.h"

void allowed_unref(struct allowed *allowed)
{
    if (allowed && atomic_fetch_sub(&allowed->references, 1) == 1)
        free(allowed);
}

static void forget(struct logical *logical, size_t at)
{
    free(logical->allowed[at].predicate);
    allowed_unref(logical->allowed[at].allowed);
    logical->allowed[at] = logical->allowed[--logical->allowed_count];
}

void allow_forget(struct logical *logical)
{
    pthread_mutex_lock(&logical->allowed_lock);
    while (logical->allowed_count > 0)
        forget(logical, 0);
    pthread_mutex_unlock(&logical->allowed_lock);
}

static struct allowed *recall(struct logical *logical, const struct allowed_entry *key)
{
    struct allowed *found = NULL;
    pthread_mutex_lock(&logical->allowed_lock);
    for (size_t i = 0; i < logical->allowed_count && !found; i++) {
        struct allowed_entry *entry = &logical->allowed[i];
        if (entry->applied == key->applied && entry->current == key->current && entry->epoch == key->epoch &&
            tn_streq(entry->predicate, key->predicate)) {
            entry->used = ++logical->allowed_clock;
            found = entry->allowed;
            atomic_fetch_add(&found->references, 1);
        }
    }
    pthread_mutex_unlock(&logical->allowed_lock);
    return found;
}

static void remember(struct logical *logical, const struct allowed_entry *key, struct allowed *allowed)
{
    pthread_mutex_lock(&logical->allowed_lock);
    if (logical->allowed_count == ALLOWED_KEPT) {
        size_t oldest = 0;
        for (size_t i = 1; i < ALLOWED_KEPT; i++)
            if (logical->allowed[i].used < logical->allowed[oldest].used)
                oldest = i;
        forget(logical, oldest);
    }
    atomic_fetch_add(&allowed->references, 1);
    struct allowed_entry *entry = &logical->allowed[logical->allowed_count++];
    *entry = *key;
    entry->predicate = tn_strdup(key->predicate);
    entry->allowed = allowed;
    entry->used = ++logical->allowed_clock;
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
                                 struct marking *marking, struct tn_arena *arena, struct tn_error *err)
{
    const char *safe;
    TN_AUTO_BUF sql = {0};
    TN_TRY(engine_guard_predicate(logical->service->lake->engine, predicate, strlen(predicate), arena, &safe, err));
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

static void unmark_recent(const struct recent *recent, struct marking *marking)
{
    marking->set = false;
    for (size_t i = 0; i < recent->count; i++) {
        recent_doc_id(recent, recent->rows[i].cells, &marking->id);
        docs_each(marking->docs, marking->id.data ? marking->id.data : "", mark, marking);
    }
}

/* Documents that are not any more what the index shows. Where the snapshot it
 * shows cannot be told, those that are not there at all; what else changed is
 * found by the walk, which then looks at everything. */
static enum tn_code unmark_changed(struct logical *logical, const struct relation *relation,
                                   const struct allowed_entry *key, struct marking *marking, struct tn_arena *arena,
                                   struct tn_error *err)
{
    struct engine_relation changes = {0};
    TN_AUTO_BUF sql = {0};
    TN_TRY(relation_changes(logical, key->applied, key->current, arena, &changes, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = changes.hold;
    if (!changes.definition) {
        struct allowed *allowed = marking->allowed;
        TN_AUTO_FREE uint8_t *before = tn_malloc(allowed->bit_count / 8 + 1);
        memcpy(before, allowed->bits, allowed->bit_count / 8 + 1);
        memset(allowed->bits, 0, allowed->bit_count / 8 + 1);
        tn_buf_printf(&sql, "SELECT %s FROM (%s)", relation->doc_id, relation->made.definition);
        marking->set = true;
        TN_TRY(mark_all(logical, marking, sql.data, err));
        for (size_t i = 0; i <= allowed->bit_count / 8; i++)
            allowed->bits[i] &= before[i];
        return TN_OK;
    }
    tn_buf_printf(&sql, "SELECT %s FROM (%s) WHERE change <> 'insert'", relation->doc_id, changes.definition);
    if (!relation->keyed) /* a twin may still be there */
        tn_buf_printf(&sql, " AND %s NOT IN (SELECT %s FROM (%s))", relation->doc_id, relation->doc_id,
                      relation->made.definition);
    marking->set = false;
    return mark_all(logical, marking, sql.data, err);
}

/* The engine is asked for what memory does not know. */
static enum tn_code mark_key(struct logical *logical, const struct allowed_entry *key,
                             const struct iceberg_metadata *metadata, struct marking *marking, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    bool behind = key->applied != key->current;
    AUTO_RECENT recent = {0};
    AUTO_RELATION relation = {0};
    bool known = behind && recent_open(logical, metadata, key->applied, key->current, &recent);
    if (key->predicate[0] || (behind && !known))
        TN_TRY(relation_open(logical, key->current, arena, &relation, err));
    if (key->predicate[0])
        TN_TRY(mark_passing(logical, &relation, key->predicate, marking, arena, err));
    else
        memset(marking->allowed->bits, 0xFF, marking->allowed->bit_count / 8 + 1);
    if (known)
        unmark_recent(&recent, marking);
    return behind && !known ? unmark_changed(logical, &relation, key, marking, arena, err) : TN_OK;
}

static enum tn_code make(struct logical *logical, const struct iceberg_metadata *metadata,
                         const struct allowed_entry *key, struct allowed **ret, struct tn_error *err)
{
    uint64_t count = (uint64_t)atomic_load(&logical->next_chunk);
    TN_CLEANUP(allowed_unref_p) struct allowed *allowed = tn_calloc(1, sizeof *allowed + count / 8 + 1);
    struct marking marking = {.allowed = allowed};
    atomic_init(&allowed->references, 1);
    allowed->bit_count = count;
    TN_TRY(files_docs(logical, &marking.docs, err));
    enum tn_code code = mark_key(logical, key, metadata, &marking, err);
    tn_buf_release(&marking.id);
    TN_TRY(code);
    for (uint64_t i = count; i % 8 != 0; i++)
        allowed->bits[i / 8] &= (uint8_t) ~(1U << (i % 8));
    for (size_t i = 0; i < (count + 7) / 8; i++)
        allowed->matches += (unsigned)__builtin_popcount(allowed->bits[i]);
    *ret = TN_TAKE(allowed);
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
    *ret_current = key.current;
    *ret_behind = applied != key.current;
    *ret = NULL;
    if (!key.predicate[0] && key.applied == key.current)
        return TN_OK;
    struct allowed *found = recall(logical, &key);
    if (!found) {
        TN_TRY(make(logical, metadata, &key, &found, err));
        if (!key.predicate[0] || !engine_predicate_varies(logical->service->lake->engine, key.predicate))
            remember(logical, &key, found);
    }
    *ret = found;
    return TN_OK;
}
