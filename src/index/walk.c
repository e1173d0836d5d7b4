/* Building and catching up: which documents changed, cut into chunks, compared
 * with those that are there.
 *
 * A walk over all documents and one over what changed are the same but for the
 * SELECT and for the end: after all of them, documents that were not met are
 * gone. The index's snapshot moves at the very end, so a walk that was ended
 * early is taken up by the next, which finds what is committed and skips it.
 */
#include "index/trial.h"

#include <inttypes.h>

#define FOLD_ROWS    20000U /* changes that are folded while a walk goes on */
#define FOLD_AT_END  1000U
#define GONE_AT_ONCE 10000
/* Of a walk: texts, vectors and their rows, the embedder's scratches. */
#define BATCH_MEMORY ((uint64_t)48 << 20)

struct walk {
    struct batch batch;
    struct logical *logical;
    const struct relation *relation; /* NULL: out of memory */
    bool everything, changes;        /* all documents; the first cell says what happened */
    bool show_first;                 /* the last batch is searchable before it is in the table */
    uint64_t total, most;
    bool more;
    uint64_t *met; /* hashes of the documents met, for `everything` */
    size_t met_count, met_capacity;
    struct tn_arena *cut_arena;
    struct piece *cut; /* chunks of the document at hand */
    size_t cut_count, cut_capacity;
    bool *kept;
    size_t kept_capacity;
    struct docs *seen; /* documents met, when several rows may be one */
};

/* ---- one document ---------------------------------------------------------------- */

static uint32_t count_tokens(void *context, const char *text, size_t length)
{
    const struct logical *logical = context;
    const struct index_embedder *embedder = &logical->service->embedder;
    const struct model_text model_text = {.data = text, .length = length};
    return (uint32_t)embedder->count_tokens(embedder->context, logical->definition.model, model_text);
}

static void hash_piece(const struct walk *walk, struct piece *piece)
{
    unsigned char digest[TN_HASH_BYTES];
    struct tn_hash hash;
    tn_hash_init(&hash);
    tn_hash_update(&hash, piece->heading, strlen(piece->heading) + 1);
    tn_hash_update(&hash, piece->text, piece->text_length);
    if (piece->given)
        tn_hash_update(&hash, piece->given, walk->logical->definition.dimension * sizeof *piece->given);
    tn_hash_final(&hash, digest);
    memcpy(piece->hash, digest, sizeof piece->hash);
}

static void add_piece(struct walk *walk, const struct piece *piece)
{
    TN_GROW(walk->cut, walk->cut_count, walk->cut_capacity);
    walk->cut[walk->cut_count] = *piece;
    walk->cut[walk->cut_count].number = (uint32_t)walk->cut_count;
    hash_piece(walk, &walk->cut[walk->cut_count++]);
}

static void cut_text(struct walk *walk, const char *column, const char *text, size_t length)
{
    const struct definition *definition = &walk->logical->definition;
    const struct document_chunk_options options = {.unit = DOCUMENT_CHUNK_TOKENS,
                                                   .size = definition->chunk_size,
                                                   .overlap = definition->chunk_overlap,
                                                   .count = count_tokens,
                                                   .count_context = walk->logical};
    struct document_chunker chunker;
    struct document_chunk chunk;
    document_chunker_init(&chunker, text, length, &options);
    while (document_chunker_next(&chunker, &chunk)) {
        const struct piece piece = {.column = column,
                                    .text = text + chunk.start,
                                    .text_length = chunk.length,
                                    .begin = chunk.start,
                                    .end = chunk.start + chunk.length,
                                    .heading = tn_arena_strdup(walk->cut_arena, chunk.heading)};
        add_piece(walk, &piece);
    }
    document_chunker_release(&chunker);
}

/* A row with a vector is one chunk; its text is what the text columns say. */
static enum tn_code cut_given(struct walk *walk, const char *doc_id, const struct engine_cell *cells,
                              struct tn_error *err)
{
    const struct definition *definition = &walk->logical->definition;
    const struct engine_cell *cell = &cells[definition->column_count];
    TN_AUTO_JSON *list = NULL;
    TN_AUTO_BUF text = {0};
    if (cell->null)
        return TN_OK;
    if (tn_json_parse(cell->text.data, cell->text.length, 1 << 20, "vector", &list, NULL) != TN_OK)
        return tn_fail(err, TN_EREFUSED, "the vector of row \"%.60s\" holds something that is no finite number",
                       doc_id);
    if (json_array_size(list) != definition->dimension)
        return tn_fail(err, TN_EREFUSED, "the vector of row \"%.60s\" has %zu numbers, those of the index %u", doc_id,
                       json_array_size(list), definition->dimension);
    float *vector = TN_ARENA_ARRAY(walk->cut_arena, float, definition->dimension);
    for (size_t i = 0; i < definition->dimension; i++)
        vector[i] = (float)json_number_value(json_array_get(list, i));
    for (size_t i = 0; i < definition->column_count; i++)
        if (!cells[i].null && cells[i].text.length > 0) {
            tn_buf_puts(&text, text.len ? "\n" : "");
            tn_buf_append(&text, cells[i].text.data, cells[i].text.length);
        }
    const struct piece piece = {.column = definition->vector_column,
                                .text = tn_arena_memdup(walk->cut_arena, text.data, text.len),
                                .text_length = text.len,
                                .end = text.len,
                                .heading = "",
                                .given = vector};
    add_piece(walk, &piece);
    return TN_OK;
}

/* ---- against what is there ---------------------------------------------------------- */

static enum tn_code judge_chunk(void *context, const struct keyword_chunk *chunk, struct tn_error *err)
{
    struct walk *walk = context;
    struct batch *batch = &walk->batch;
    (void)err;
    for (size_t i = 0; i < walk->cut_count; i++)
        if (!walk->kept[i] && walk->cut[i].number == chunk->number && tn_streq(walk->cut[i].column, chunk->column) &&
            memcmp(walk->cut[i].hash, chunk->hash, sizeof chunk->hash) == 0) {
            walk->kept[i] = true;
            return TN_OK;
        }
    TN_GROW(batch->gone, batch->gone_count, batch->gone_capacity);
    batch->gone[batch->gone_count++] = chunk->id;
    return TN_OK;
}

static void take_piece(struct batch *batch, const struct piece *piece, const char *doc_id, uint32_t dimension)
{
    TN_GROW(batch->pieces, batch->count, batch->capacity);
    struct piece *kept = &batch->pieces[batch->count++];
    *kept = *piece;
    kept->doc_id = tn_arena_strdup(batch->arena, doc_id);
    kept->column = tn_arena_strdup(batch->arena, piece->column);
    kept->heading = tn_arena_strdup(batch->arena, piece->heading);
    kept->text = tn_arena_strndup(batch->arena, piece->text, piece->text_length);
    if (piece->given) {
        float *vector = TN_ARENA_ARRAY(batch->arena, float, dimension);
        memcpy(vector, piece->given, dimension * sizeof *vector);
        kept->given = vector;
    }
    batch->bytes += piece->text_length;
}

/* What a new generation takes while it is built: rows, codes and links. One for
 * which there is no memory now is built another time. */
static bool reserve_for_fold(struct walk *walk, const struct vector_index_info *info, uint64_t *ret)
{
    uint64_t rows = info->rows + info->delta_rows;
    uint64_t bytes = BATCH_MEMORY + rows * ((uint64_t)info->dims * 6 + 1024);
    struct tn_error why = {0};
    if (job_run_reserve(walk->batch.run, bytes, &why) == TN_OK) {
        *ret = bytes;
        return true;
    }
    job_run_log(walk->batch.run, "not folded: %s", why.detail);
    return false;
}

static bool fold_goes_on(void *context, enum vector_phase phase, uint64_t done, uint64_t total)
{
    const struct walk *walk = context;
    (void)phase;
    (void)done;
    (void)total;
    return !logical_stopping(walk->logical, walk->batch.run);
}

static bool is_due(const struct vector_index_info *info, bool at_end)
{
    uint64_t changed = info->delta_rows + info->deleted;
    if (!at_end)
        return info->delta_rows >= FOLD_ROWS && info->delta_rows >= info->rows;
    return (changed >= FOLD_AT_END && changed >= info->rows / 2) || info->delta_rows >= VECTOR_FOLD_ROWS;
}

bool walk_fold_is_due(struct logical *logical)
{
    struct vector_index_info info = {0};
    pthread_rwlock_rdlock(&logical->gate);
    struct vector_index *vectors = atomic_load(&logical->open) ? atomic_load(&logical->vectors) : NULL;
    if (vectors)
        vector_index_info(vectors, &info);
    pthread_rwlock_unlock(&logical->gate);
    return is_due(&info, true);
}

/* One that is stopped leaves everything as it was: what it would have folded is
 * still in the delta, and the next walk finds it due. */
static enum tn_code fold_vectors_if_due(struct walk *walk, bool at_end, struct tn_error *err)
{
    struct vector_index *vectors = atomic_load(&walk->logical->vectors);
    struct vector_index_info info;
    if (!vectors)
        return TN_OK;
    vector_index_info(vectors, &info);
    uint64_t changed = info.delta_rows + info.deleted;
    if (!is_due(&info, at_end))
        return TN_OK;
    TN_CLEANUP(samples_release) struct samples samples = {0};
    struct vector_build_options options = {
        .low_priority = true, .threads = 1, .progress = fold_goes_on, .progress_context = walk};
    struct vector_build_report report;
    if (walk->batch.run && !reserve_for_fold(walk, &info, &options.memory_budget))
        return TN_OK;
    if (walk->batch.run)
        job_run_log(walk->batch.run, "folding %" PRIu64 " changed chunks into a new generation", changed);
    samples_choose(walk->logical, walk->batch.run, &samples);
    options.samples = samples.rows;
    options.sample_count = samples.count;
    enum tn_code code = vector_index_fold(vectors, &options, &report, err);
    if (walk->batch.run)
        TN_TRY(job_run_reserve(walk->batch.run, BATCH_MEMORY, err));
    if (code == TN_EBUSY)
        return TN_OK; /* a trial is built, or was promoted meanwhile: the next walk folds */
    TN_TRY(code);
    TN_TRY(generations_keep(walk->logical, err));
    walk->batch.report->folded = true;
    return TN_OK;
}

static enum tn_code fold_if_due(struct walk *walk, bool at_end, struct tn_error *err)
{
    texts_fold_if_due(walk->logical);
    return fold_vectors_if_due(walk, at_end, err);
}

/* The table is the checkpoint; that one is saved says that the job gets on, and
 * a process that dies now and then does not fail it. */
static enum tn_code save_progress(const struct walk *walk, struct tn_error *err)
{
    TN_AUTO_JSON *state = json_pack("{s:I}", "chunks", (json_int_t)walk->batch.report->chunks);
    return job_run_save(walk->batch.run, state, err);
}

static enum tn_code flush(struct walk *walk, struct tn_error *err)
{
    bool any = walk->batch.count > 0 || walk->batch.gone_count > 0;
    TN_TRY(batch_flush(&walk->batch, err));
    if (walk->batch.run)
        job_run_progress(walk->batch.run, walk->batch.report->documents, walk->total, "documents");
    if (walk->batch.run && any)
        TN_TRY(save_progress(walk, err));
    return fold_if_due(walk, false, err);
}

static enum tn_code compare(struct walk *walk, const char *doc_id, struct tn_error *err)
{
    struct batch *batch = &walk->batch;
    if (walk->cut_count > walk->kept_capacity) {
        walk->kept_capacity = walk->cut_count * 2;
        walk->kept = tn_realloc_array(walk->kept, walk->kept_capacity, sizeof *walk->kept);
    }
    if (walk->cut_count > 0)
        memset(walk->kept, 0, walk->cut_count * sizeof *walk->kept);
    TN_TRY(keyword_chunks(walk->logical->words, doc_id, judge_chunk, walk, err));
    for (size_t i = 0; i < walk->cut_count; i++)
        if (!walk->kept[i]) {
            take_piece(batch, &walk->cut[i], doc_id, walk->logical->definition.dimension);
            if (batch->count >= BATCH_CHUNKS || batch->bytes >= BATCH_BYTES)
                TN_TRY(flush(walk, err));
        }
    return batch->gone_count >= GONE_AT_ONCE ? flush(walk, err) : TN_OK;
}

/* ---- rows ------------------------------------------------------------------------------ */

static void meet(struct walk *walk, const char *doc_id)
{
    TN_GROW(walk->met, walk->met_count, walk->met_capacity);
    walk->met[walk->met_count++] = tn_hash64(doc_id, strlen(doc_id), 0);
}

static void note_seen(void *context, int64_t chunk)
{
    (void)chunk;
    *(bool *)context = true;
}

/* Cells: [change,] document id, text columns, [vector]. */
static enum tn_code take_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct walk *walk = context;
    const struct definition *definition = &walk->logical->definition;
    if (walk->more || (walk->most > 0 && walk->batch.report->documents >= walk->most)) {
        walk->more = true;
        return TN_OK;
    }
    if (walk->batch.report->documents % 64 == 0 && logical_stopping(walk->logical, walk->batch.run))
        return logical_stopped(walk->logical, err);
    bool deleted = walk->changes && cells[0].text.length == 6 && memcmp(cells[0].text.data, "delete", 6) == 0;
    cells += walk->changes;
    if (cells[0].null)
        return TN_OK;
    tn_arena_reset(walk->cut_arena);
    const char *doc_id = tn_arena_strndup(walk->cut_arena, cells[0].text.data, cells[0].text.length);
    walk->batch.report->documents++;
    walk->cut_count = 0;
    if (walk->seen) { /* several rows may be one document: the first one speaks for all */
        bool seen = false;
        docs_each(walk->seen, doc_id, note_seen, &seen);
        if (seen)
            return TN_OK;
        docs_add(walk->seen, doc_id, strlen(doc_id), 0);
    }
    if (walk->everything)
        meet(walk, doc_id);
    if (!deleted && definition->vector_column)
        TN_TRY(cut_given(walk, doc_id, cells + 1, err));
    else if (!deleted)
        for (size_t i = 0; i < definition->column_count; i++)
            if (!cells[1 + i].null)
                cut_text(walk, definition->columns[i], cells[1 + i].text.data, cells[1 + i].text.length);
    return compare(walk, doc_id, err);
}

static enum tn_code judge_unmet(void *context, const struct keyword_chunk *chunk, struct tn_error *err)
{
    struct walk *walk = context;
    struct batch *batch = &walk->batch;
    uint64_t hash = tn_hash64(chunk->doc_id, strlen(chunk->doc_id), 0);
    (void)err;
    if (walk->met_count > 0 && bsearch(&hash, walk->met, walk->met_count, sizeof *walk->met, tn_order_u64))
        return TN_OK;
    TN_GROW(batch->gone, batch->gone_count, batch->gone_capacity);
    batch->gone[batch->gone_count++] = chunk->id;
    return TN_OK;
}

/* Other numbers are told as DOUBLE: some have more digits than the text is read with. */
static bool is_list_of_floats(const struct iceberg_schema *schema, const char *column)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct iceberg_type *type = schema->fields[i].type;
        if (tn_str_equal_nocase(schema->fields[i].name, column))
            return type->kind == ICEBERG_LIST && type->field_count == 1 &&
                   (type->fields[0].type->kind == ICEBERG_FLOAT || type->fields[0].type->kind == ICEBERG_DOUBLE);
    }
    return false;
}

static void put_columns(const struct walk *walk, struct tn_buf *sql)
{
    const struct definition *definition = &walk->logical->definition;
    tn_buf_printf(sql, "%s AS tarn_doc", walk->relation->doc_id);
    for (size_t i = 0; i < definition->column_count; i++) {
        tn_buf_puts(sql, ", ");
        tn_buf_put_sql_name(sql, definition->columns[i]);
    }
    if (definition->vector_column) {
        bool plain = is_list_of_floats(walk->relation->metadata->schema, definition->vector_column);
        tn_buf_puts(sql, plain ? ", CAST(" : ", CAST(CAST(");
        tn_buf_put_sql_name(sql, definition->vector_column);
        tn_buf_puts(sql, plain ? " AS VARCHAR)" : " AS DOUBLE[]) AS VARCHAR)");
    }
}

/* Without a key, a row that went may have a twin that is still there. */
static void put_changes(const struct walk *walk, const char *changes, struct tn_buf *sql)
{
    tn_buf_puts(sql, "SELECT change, ");
    put_columns(walk, sql);
    tn_buf_printf(sql, " FROM (%s)", changes);
    if (!walk->relation->keyed)
        tn_buf_printf(sql, " WHERE change <> 'delete' OR %s NOT IN (SELECT %s FROM (%s))", walk->relation->doc_id,
                      walk->relation->doc_id, walk->relation->made.definition);
}

static enum tn_code run_walk(struct walk *walk, const char *changes, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    if (changes) {
        put_changes(walk, changes, &sql);
    } else {
        tn_buf_puts(&sql, "SELECT ");
        put_columns(walk, &sql);
        tn_buf_printf(&sql, " FROM (%s)", walk->relation->made.definition);
    }
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(walk->logical->service->lake->engine, &select, NULL, NULL, NULL, take_row, walk, err));
    if (walk->everything && !walk->more) {
        if (walk->met_count > 0)
            qsort(walk->met, walk->met_count, sizeof *walk->met, tn_order_u64);
        TN_TRY(flush(walk, err));
        TN_TRY(keyword_chunks(walk->logical->words, NULL, judge_unmet, walk, err));
    }
    return TN_OK;
}

/* The newest change of a document says what it is now. */
static enum tn_code run_recent(struct walk *walk, const struct recent *recent, struct tn_error *err)
{
    const struct definition *definition = &walk->logical->definition;
    struct engine_cell cells[2 + INDEX_COLUMNS_MAX];
    TN_AUTO_BUF id = {0};
    for (size_t i = recent->count; i-- > 0;) {
        const struct dataset_recent_row *row = &recent->rows[i];
        const char *change = row->removed ? "delete" : "update";
        recent_doc_id(recent, row->cells, &id);
        cells[0] = (struct engine_cell){.text = {change, strlen(change)}};
        cells[1] = (struct engine_cell){.text = {id.data ? id.data : "", id.len}};
        for (size_t c = 0; c < definition->column_count; c++)
            cells[2 + c] = row->cells[recent->columns[c]];
        TN_TRY(take_row(walk, cells, err));
    }
    return TN_OK;
}

/* ---- the end ------------------------------------------------------------------------------ */

static void show(struct logical *logical, int64_t snapshot)
{
    atomic_store(&logical->applied, snapshot);
    atomic_fetch_add(&logical->epoch, 1);
}

static enum tn_code finish(struct walk *walk, int64_t snapshot, struct tn_error *err)
{
    struct logical *logical = walk->logical;
    TN_TRY(flush(walk, err));
    TN_TRY(keyword_set(logical->words, "snapshot", snapshot, err));
    show(logical, snapshot);
    return fold_if_due(walk, true, err);
}

/* Searches see it as soon as it is embedded; the table's commit follows. Until
 * that is done the files on disk speak of the snapshot before. */
static enum tn_code finish_shown(struct walk *walk, int64_t snapshot, struct tn_error *err)
{
    struct logical *logical = walk->logical;
    int64_t before = atomic_load(&logical->applied);
    TN_TRY(batch_show(&walk->batch, err));
    show(logical, snapshot);
    enum tn_code code = batch_keep(&walk->batch, err);
    if (code == TN_OK)
        code = keyword_set(logical->words, "snapshot", snapshot, err);
    if (code != TN_OK) {
        show(logical, before);
        return code;
    }
    return fold_if_due(walk, true, err);
}

static void walk_release(struct walk *walk)
{
    batch_release(&walk->batch);
    tn_arena_free(walk->cut_arena);
    docs_free(walk->seen);
    free(walk->cut);
    free(walk->kept);
    free(walk->met);
}

static enum tn_code end_walk(struct walk *walk, int64_t snapshot, bool *ret_more, struct tn_error *err)
{
    *ret_more = walk->more;
    if (walk->more)
        return flush(walk, err);
    return walk->show_first ? finish_shown(walk, snapshot, err) : finish(walk, snapshot, err);
}

static enum tn_code walk_engine(struct walk *walk, int64_t current, bool *ret_more, struct tn_error *err)
{
    struct logical *logical = walk->logical;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    AUTO_RELATION relation = {0};
    struct engine_relation changes = {0};
    TN_TRY(relation_open(logical, current, arena, &relation, err));
    TN_TRY(relation_changes(logical, atomic_load(&logical->applied), current, arena, &changes, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = changes.hold;
    walk->relation = &relation;
    walk->everything = changes.definition == NULL;
    walk->changes = changes.definition != NULL;
    if (!relation.keyed)
        walk->seen = docs_new();
    if (walk->everything)
        walk->total = (uint64_t)TN_MAX(iceberg_snapshot_count(relation.metadata->current, "total-records", 0), 0);
    TN_TRY(run_walk(walk, changes.definition, err));
    return end_walk(walk, current, ret_more, err);
}

static enum tn_code walk_recent(struct walk *walk, const struct recent *recent, int64_t current, bool *ret_more,
                                struct tn_error *err)
{
    walk->changes = true;
    walk->seen = docs_new();
    atomic_fetch_add_explicit(&walk->logical->service->counts.from_memory, 1, memory_order_relaxed);
    TN_TRY(run_recent(walk, recent, err));
    return end_walk(walk, current, ret_more, err);
}

/* Searches are answered before the first walk has ended, and leave out what has
 * changed since it began. */
static enum tn_code note_begin(struct logical *logical, int64_t current, struct tn_error *err)
{
    if (atomic_load(&logical->begun) != 0 || atomic_load(&logical->next_chunk) != 0)
        return TN_OK;
    TN_TRY(keyword_set(logical->words, "begun", current, err));
    atomic_store(&logical->begun, current);
    return TN_OK;
}

enum tn_code walk_changes(struct logical *logical, struct job_run *run, uint64_t most, struct index_report *ret,
                          bool *ret_more, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    int64_t applied = atomic_load(&logical->applied);
    *ret = (struct index_report){.snapshot_id = applied};
    *ret_more = false;
    TN_TRY(dataset_open(logical, &metadata, err));
    int64_t current = metadata->current ? metadata->current->id : 0;
    if (current != applied)
        TN_TRY(dataset_check_columns(logical, metadata, err));
    ret->snapshot_id = current;
    atomic_store(&logical->walked_to, current);
    if (current == 0 || (current == applied && !run))
        return TN_OK;
    if (applied == 0)
        TN_TRY(note_begin(logical, current, err));
    if (run)
        TN_TRY(job_run_reserve(run, BATCH_MEMORY, err));
    TN_CLEANUP(walk_release)
    struct walk walk = {.logical = logical,
                        .most = most,
                        .show_first = run == NULL && applied != 0,
                        .cut_arena = tn_arena_new(),
                        .batch = {.logical = logical, .run = run, .report = ret, .arena = tn_arena_new()}};
    AUTO_RECENT recent = {0};
    if (current == applied)
        return fold_if_due(&walk, true, err); /* it may have been stopped when the walk was done */
    changed_point(logical, metadata, applied, current);
    return recent_open(logical, metadata, applied, current, &recent)
               ? walk_recent(&walk, &recent, current, ret_more, err)
               : walk_engine(&walk, current, ret_more, err);
}

enum tn_code walk_locked(struct logical *logical, struct job_run *run, uint64_t most, bool wait,
                         struct index_report *ret, bool *ret_more, bool *ret_busy, struct tn_error *err)
{
    TN_TRY(files_open(logical, err));
    *ret_busy = false;
    if (wait)
        pthread_mutex_lock(&logical->work);
    else if (pthread_mutex_trylock(&logical->work) != 0) {
        *ret_busy = true;
        return TN_OK;
    }
    atomic_store(&logical->working, true);
    enum tn_code code = TN_OK;
    if (atomic_load(&logical->dropped) || !atomic_load(&logical->open))
        code = tn_fail(err, TN_ENOTFOUND, "index \"%s\" was dropped", logical->definition.name);
    if (code == TN_OK)
        code = resync(logical, err);
    if (code == TN_OK)
        code = walk_changes(logical, run, most, ret, ret_more, err);
    atomic_store(&logical->working, false);
    pthread_mutex_unlock(&logical->work);
    return code;
}
