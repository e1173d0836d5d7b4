/* The working files of an index: opened when first needed, shared by searches. */
#include "index/trial.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static enum tn_code open_vectors(struct logical *logical, struct tn_error *err)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/vectors", logical->folder);
    const struct vector_open_options options = {.no_warm = logical_on_disk(logical)};
    struct vector_index *vectors = NULL;
    struct stat status;
    if (stat(path, &status) != 0)
        return TN_OK;
    TN_TRY(vector_index_open(path, &options, &vectors, err));
    struct vector_index_info info;
    vector_index_info(vectors, &info);
    if (info.dims != logical->definition.dimension) {
        vector_index_close(vectors);
        return tn_fail(err, TN_ECORRUPT, "%s holds vectors of another size than the index", path);
    }
    atomic_store(&logical->vectors, vectors);
    tuning_apply(logical);
    return TN_OK;
}

static char *asked_path(const struct logical *logical)
{
    return tn_asprintf("%s/asked", logical->folder);
}

static enum tn_code text_of_chunk(void *chunks, int64_t id, struct tn_buf *ret, struct tn_error *err)
{
    struct chunk_record record;
    TN_TRY(chunk_file_get(chunks, id, &record, err));
    tn_buf_append(ret, record.text, record.text_length);
    return TN_OK;
}

static enum tn_code open_all(struct logical *logical, bool fresh, struct tn_error *err)
{
    TN_AUTO_FREE char *words = tn_asprintf("%s/words.db", logical->folder);
    int64_t applied = 0, begun = 0, next = 0;
    TN_TRY(tn_mkdirs(logical->folder, 0700, err));
    TN_TRY(keyword_writer_open(words, fresh, &logical->words, err));
    logical->lists = keyword_lists_new(logical_on_disk(logical) ? LISTS_BYTES_ON_DISK : LISTS_BYTES);
    TN_TRY(keyword_get(logical->words, "snapshot", &applied, err));
    TN_TRY(keyword_get(logical->words, "begun", &begun, err));
    TN_TRY(keyword_get(logical->words, "next_chunk", &next, err));
    TN_TRY(texts_open(logical, err));
    TN_TRY(keyword_cut_again(logical->words, text_of_chunk, logical->chunks, err));
    TN_TRY(open_vectors(logical, err));
    TN_AUTO_FREE char *asked = asked_path(logical);
    asked_load(logical->tuning->asked, asked);
    if (!atomic_load(&logical->vectors) && next > 0)
        return tn_fail(err, TN_ECORRUPT, "%s/vectors is missing", logical->folder);
    atomic_store(&logical->applied, applied);
    atomic_store(&logical->begun, begun);
    atomic_store(&logical->next_chunk, next);
    return TN_OK;
}

void files_close(struct logical *logical)
{
    for (size_t i = 0; i < logical->reader_count; i++) {
        keyword_reader_close(logical->readers[i]->words);
        vector_searcher_free(logical->readers[i]->searcher);
        free(logical->readers[i]);
    }
    logical->reader_count = 0;
    /* A sample that is lost is no loss. */
    TN_AUTO_FREE char *asked = asked_path(logical);
    if (atomic_load(&logical->open))
        (void)!asked_save(logical->tuning->asked, asked, NULL);
    vector_index_close(atomic_exchange(&logical->vectors, NULL));
    chunk_file_close(TN_TAKE(logical->chunks));
    logical->texts_stay = false;
    keyword_writer_close(TN_TAKE(logical->words));
    keyword_lists_free(TN_TAKE(logical->lists));
    atomic_store(&logical->looked_ahead, 0);
    docs_free(atomic_exchange(&logical->docs, NULL));
    allow_forget(logical);
    changed_forget(logical);
    atomic_store(&logical->open, false);
    atomic_store(&logical->synced, false);
}

/* Under work and the gate. Damaged files are thrown away: the table has it all. */
static enum tn_code open_or_begin(struct logical *logical, struct tn_error *err)
{
    struct tn_error why = {0};
    enum tn_code code = open_all(logical, false, &why);
    if (code == TN_ECORRUPT || code == TN_ENOTFOUND) {
        TN_LOG(TN_LOG_WARN, "index.remade", TN_FS("index", logical->definition.name), TN_FS("why", why.detail));
        files_close(logical);
        TN_TRY(tn_remove_tree(logical->folder, err));
        code = open_all(logical, true, &why);
    }
    if (code != TN_OK) {
        files_close(logical);
        if (err)
            *err = why;
        return code;
    }
    atomic_store(&logical->open, true);
    return TN_OK;
}

/* Under work. The table may be ahead (a crash) or all there is (the files were lost). */
static enum tn_code open_held(struct logical *logical, bool with_table, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    if (!atomic_load(&logical->open)) {
        pthread_rwlock_wrlock(&logical->gate);
        code = atomic_load(&logical->dropped)
                   ? tn_fail(err, TN_ENOTFOUND, "index \"%s\" was dropped", logical->definition.name)
                   : open_or_begin(logical, err);
        pthread_rwlock_unlock(&logical->gate);
    }
    if (code == TN_OK && !atomic_load(&logical->synced) && (with_table || resync_is_idle(logical))) {
        code = resync(logical, err);
        if (code == TN_OK)
            atomic_store(&logical->synced, true);
    }
    return code;
}

/* Those that wait for the files hear of every end of an opening, a good one or not. */
static void let_go(struct logical *logical)
{
    pthread_mutex_unlock(&logical->work);
    pthread_mutex_lock(&logical->opened_lock);
    pthread_cond_broadcast(&logical->opened);
    pthread_mutex_unlock(&logical->opened_lock);
}

enum tn_code files_open(struct logical *logical, struct tn_error *err)
{
    if (atomic_load(&logical->synced))
        return TN_OK;
    pthread_mutex_lock(&logical->work);
    enum tn_code code = open_held(logical, true, err);
    let_go(logical);
    return code;
}

static bool is_there(struct logical *logical, bool synced)
{
    return atomic_load(synced ? &logical->synced : &logical->open);
}

/* Until they are there, or until whoever opens them is done, or until then: *ret_late. */
static void wait_for_opener(struct logical *logical, bool synced, uint64_t until_ns, bool *ret_late)
{
    pthread_mutex_lock(&logical->opened_lock);
    *ret_late = tn_mono_ns() >= until_ns;
    if (!*ret_late && !is_there(logical, synced))
        (void)tn_cond_wait_until(&logical->opened, &logical->opened_lock, until_ns);
    pthread_mutex_unlock(&logical->opened_lock);
}

static enum tn_code open_if_free(struct logical *logical, bool synced, uint64_t patience_ms, struct tn_error *err)
{
    /* Without jobs nobody but the one who asks would read the table. */
    bool with_table = synced && !logical->service->jobs, late = false, tried = false;
    uint64_t until = tn_mono_ns() + patience_ms * 1000000;
    while (!late && !is_there(logical, synced)) {
        if (!tried && pthread_mutex_trylock(&logical->work) == 0) {
            enum tn_code code = open_held(logical, with_table, err);
            let_go(logical);
            TN_TRY(code);
            tried = true;
            if (!is_there(logical, synced))
                catalog_wake(logical->service->lake->catalog); /* the follower has it read the table */
            continue;
        }
        wait_for_opener(logical, synced, until, &late);
    }
    return TN_OK;
}

enum tn_code files_look(struct logical *logical, bool synced, uint64_t patience_ms, struct tn_error *err)
{
    TN_TRY(open_if_free(logical, synced, patience_ms, err));
    if (atomic_load(&logical->open))
        return TN_OK;
    if (atomic_load(&logical->dropped))
        return tn_fail(err, TN_ENOTFOUND, "index \"%s\" was dropped", logical->definition.name);
    tn_fail(err, TN_EUNAVAILABLE, "the files of index \"%s\" are being opened", logical->definition.name);
    tn_error_hint(err, "ask again in a moment");
    return TN_EUNAVAILABLE;
}

enum tn_code files_reader(struct logical *logical, struct reader **ret, struct tn_error *err)
{
    struct reader *reader = NULL;
    pthread_mutex_lock(&logical->readers_lock);
    if (logical->reader_count > 0)
        reader = logical->readers[--logical->reader_count];
    pthread_mutex_unlock(&logical->readers_lock);
    if (!reader)
        reader = tn_calloc(1, sizeof *reader);
    struct vector_index *vectors = atomic_load(&logical->vectors);
    if (!reader->searcher && vectors) {
        enum tn_code code = vector_searcher_new(vectors, &reader->searcher, err);
        if (code != TN_OK) {
            keyword_reader_close(reader->words);
            free(reader);
            return code;
        }
    }
    *ret = reader;
    return TN_OK;
}

/* A search by meaning alone has no use for them. */
enum tn_code files_words(struct logical *logical, struct reader *reader, struct keyword_reader **ret,
                         struct tn_error *err)
{
    if (!reader->words) {
        TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", logical->folder);
        TN_TRY(keyword_reader_open(path, &reader->words, err));
    }
    *ret = reader->words;
    return TN_OK;
}

void files_reader_back(struct logical *logical, struct reader *reader)
{
    if (!reader)
        return;
    pthread_mutex_lock(&logical->readers_lock);
    bool keep = logical->reader_count < READERS_KEPT;
    if (keep)
        logical->readers[logical->reader_count++] = reader;
    pthread_mutex_unlock(&logical->readers_lock);
    if (!keep) {
        keyword_reader_close(reader->words);
        vector_searcher_free(reader->searcher);
        free(reader);
    }
}

/* ---- documents in memory ----------------------------------------------------------- */

/* Read off the chunk file, which any thread may read. What a batch changes
 * meanwhile it does to the table too once that is there; doing a change twice
 * is harmless. */
enum tn_code files_docs(struct logical *logical, struct docs **ret, struct tn_error *err)
{
    struct docs *docs = atomic_load(&logical->docs);
    enum tn_code code = TN_OK;
    if (!docs) {
        pthread_mutex_lock(&logical->docs_lock);
        docs = atomic_load(&logical->docs);
        if (!docs) {
            struct chunk_record record;
            docs = docs_new();
            for (int64_t id = 0; id < chunk_file_limit(logical->chunks) && code == TN_OK; id++) {
                code = chunk_file_get(logical->chunks, id, &record, err);
                if (code == TN_OK)
                    docs_add(docs, record.doc_id, record.doc_id_length, id);
                else if (code == TN_ENOTFOUND)
                    code = TN_OK;
            }
            if (code == TN_OK)
                atomic_store(&logical->docs, docs);
            else
                docs_free(docs);
        }
        pthread_mutex_unlock(&logical->docs_lock);
    }
    if (code == TN_OK)
        *ret = docs;
    return code;
}

/* ---- the first vectors ----------------------------------------------------------------- */

static enum tn_code begin_vectors(struct logical *logical, const int64_t *ids, const float *rows, size_t count,
                                  struct tn_error *err)
{
    TN_AUTO_FREE char *file = tn_asprintf("%s/first.generation", logical->folder);
    TN_AUTO_FREE char *path = tn_asprintf("%s/vectors", logical->folder);
    const struct vector_rows first = {
        .count = count, .dims = logical->definition.dimension, .type = VECTOR_F32, .data = rows, .ids = ids};
    struct vector_build_options options = {.metric = VECTOR_COSINE, .threads = 1};
    tuning_build_options(logical, &options);
    struct vector_build_report report;
    struct vector_index *vectors = NULL;
    TN_TRY(tn_remove_tree(path, err));
    TN_TRY(vector_build(&first, &options, file, &report, err));
    TN_TRY(vector_index_create(path, file, err));
    const struct vector_open_options opened = {.no_warm = logical_on_disk(logical)};
    TN_TRY(vector_index_open(path, &opened, &vectors, err));
    atomic_store(&logical->vectors, vectors);
    return TN_OK;
}

enum tn_code files_insert_vectors(struct logical *logical, const int64_t *ids, const float *rows, size_t count,
                                  struct tn_error *err)
{
    struct vector_index *vectors = atomic_load(&logical->vectors);
    if (count == 0)
        return TN_OK;
    if (!vectors)
        return begin_vectors(logical, ids, rows, count, err);
    return vector_index_insert(vectors, ids, rows, count, err);
}
