/* The chunks and their words, in SQLite. */
#include "index/keyword.h"

#include "index/keyword_bag.h"
#include "index/keyword_rank.h"
#include "index/keyword_tokens.h"

#include <unistd.h>

#define WORDS_TABLE                                                                                                  \
    "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='', tokenize='" KEYWORD_TOKENIZE "');"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS numbers(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS chunks(id INTEGER PRIMARY KEY, doc TEXT NOT NULL, number INTEGER NOT NULL,"
    " field TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS chunks_by_doc ON chunks(doc);"
    "CREATE INDEX IF NOT EXISTS chunks_by_hash ON chunks(hash);"
    "CREATE TABLE IF NOT EXISTS removed(number INTEGER PRIMARY KEY, id INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO numbers(name, value) SELECT 'last', coalesce(max(id), -1) FROM chunks;" WORDS_TABLE;

enum statement { ADD, ADD_WORDS, ADD_LAST, REMOVE, REMOVE_WORDS, NOTE, NOTE_LESS, GET, SET, OF_DOC, ALL, STATEMENTS };
static const char *const texts[STATEMENTS] = {
    [ADD] = "INSERT OR REPLACE INTO chunks(id, doc, number, field, hash) VALUES(?, ?, ?, ?, ?)",
    [ADD_WORDS] = "INSERT INTO words(rowid, text) VALUES(?, ?)",
    [ADD_LAST] = ("INSERT INTO numbers(name, value) VALUES('last', ?)"
                  " ON CONFLICT(name) DO UPDATE SET value = excluded.value WHERE excluded.value > value"),
    [REMOVE] = "DELETE FROM chunks WHERE id = ?",
    [REMOVE_WORDS] = "INSERT INTO words(words, rowid, text) VALUES('delete', ?, ?)",
    [NOTE] = "INSERT INTO removed(id) VALUES(?)",
    [NOTE_LESS] = "DELETE FROM removed WHERE number <= ?",
    [GET] = "SELECT value FROM numbers WHERE name = ?",
    [SET] = "INSERT OR REPLACE INTO numbers(name, value) VALUES(?, ?)",
    [OF_DOC] = "SELECT id, doc, number, field, hash FROM chunks WHERE doc = ? ORDER BY id",
    [ALL] = "SELECT id, doc, number, field, hash FROM chunks ORDER BY id",
};

struct keyword_writer {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
};

struct keyword_reader {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *find, *search[2][2]; /* by whether there is a filter, and a limit */
    struct keyword_bag *bag;           /* NULL until a search keeps lists */
    const struct keyword_search *current;
    struct keyword_ranking ranking;
};

static enum tn_code db_fail(sqlite3 *db, const char *path, struct tn_error *err)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    enum tn_code ours = TN_EIO;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR)
        ours = TN_ECORRUPT;
    else if (code == SQLITE_FULL)
        ours = TN_EDISKFULL;
    return tn_fail(err, ours, "%s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
}

static enum tn_code exec(sqlite3 *db, const char *sql, const char *path, struct tn_error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? TN_OK : db_fail(db, path, err);
}

static enum tn_code prepare(sqlite3 *db, const char *sql, const char *path, sqlite3_stmt **ret, struct tn_error *err)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK
               ? TN_OK
               : db_fail(db, path, err);
}

/* ---- the writer ------------------------------------------------------------ */

enum tn_code keyword_writer_open(const char *path, bool fresh, struct keyword_writer **ret, struct tn_error *err)
{
    TN_CLEANUP(keyword_writer_close_p) struct keyword_writer *writer = tn_calloc(1, sizeof *writer);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    writer->path = tn_strdup(path);
    for (size_t i = 0; fresh && i < TN_COUNT(suffixes); i++) {
        TN_AUTO_FREE char *file = tn_asprintf("%s%s", path, suffixes[i]);
        (void)unlink(file);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &writer->db, flags, NULL) != SQLITE_OK)
        return db_fail(writer->db, path, err);
    if (keyword_fold_register(writer->db) != SQLITE_OK)
        return db_fail(writer->db, path, err);
    /* A lost last commit is noticed and made again; a torn one cannot be. */
    TN_TRY(
        exec(writer->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000;", path, err));
    TN_TRY(exec(writer->db, schema, path, err));
    for (size_t i = 0; i < STATEMENTS; i++)
        TN_TRY(prepare(writer->db, texts[i], path, &writer->statements[i], err));
    *ret = TN_TAKE(writer);
    return TN_OK;
}

void keyword_writer_close(struct keyword_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(writer->statements[i]);
    (void)sqlite3_close(writer->db);
    free(writer->path);
    free(writer);
}

static enum tn_code run(struct keyword_writer *writer, enum statement which, struct tn_error *err)
{
    sqlite3_stmt *statement = writer->statements[which];
    int code = sqlite3_step(statement);
    enum tn_code result = code == SQLITE_DONE || code == SQLITE_ROW ? TN_OK : db_fail(writer->db, writer->path, err);
    (void)sqlite3_reset(statement);
    return result;
}

enum tn_code keyword_begin(struct keyword_writer *writer, struct tn_error *err)
{
    return exec(writer->db, "BEGIN IMMEDIATE", writer->path, err);
}

enum tn_code keyword_commit(struct keyword_writer *writer, struct tn_error *err)
{
    return exec(writer->db, "COMMIT", writer->path, err);
}

void keyword_rollback(struct keyword_writer *writer)
{
    if (!sqlite3_get_autocommit(writer->db))
        (void)sqlite3_exec(writer->db, "ROLLBACK", NULL, NULL, NULL);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text, size_t length)
{
    (void)sqlite3_bind_text64(statement, at, text, length, SQLITE_STATIC, SQLITE_UTF8);
}

/* For the lists that readers keep: an id that is gone, or -1 where none of them holds. */
static enum tn_code note_removed(struct keyword_writer *writer, int64_t id, struct tn_error *err)
{
    (void)sqlite3_bind_int64(writer->statements[NOTE], 1, id);
    TN_TRY(run(writer, NOTE, err));
    int64_t number = sqlite3_last_insert_rowid(writer->db);
    (void)sqlite3_bind_int64(writer->statements[NOTE_LESS], 1, number - KEYWORD_REMOVED_KEPT);
    return run(writer, NOTE_LESS, err);
}

enum tn_code keyword_add(struct keyword_writer *writer, const struct keyword_chunk *chunk, const char *text,
                         size_t length, struct tn_error *err)
{
    sqlite3_stmt *add = writer->statements[ADD], *words = writer->statements[ADD_WORDS];
    (void)sqlite3_bind_int64(add, 1, chunk->id);
    bind_text(add, 2, chunk->doc_id, strlen(chunk->doc_id));
    (void)sqlite3_bind_int64(add, 3, chunk->number);
    bind_text(add, 4, chunk->column, strlen(chunk->column));
    (void)sqlite3_bind_blob(add, 5, chunk->hash, sizeof chunk->hash, SQLITE_STATIC);
    TN_TRY(run(writer, ADD, err));
    (void)sqlite3_bind_int64(words, 1, chunk->id);
    bind_text(words, 2, text, length);
    TN_TRY(run(writer, ADD_WORDS, err));
    (void)sqlite3_bind_int64(writer->statements[ADD_LAST], 1, chunk->id);
    TN_TRY(run(writer, ADD_LAST, err));
    return sqlite3_changes(writer->db) > 0 ? TN_OK : note_removed(writer, -1, err); /* not behind all others */
}

enum tn_code keyword_remove(struct keyword_writer *writer, int64_t id, const char *text, size_t length,
                            struct tn_error *err)
{
    (void)sqlite3_bind_int64(writer->statements[REMOVE], 1, id);
    TN_TRY(run(writer, REMOVE, err));
    (void)sqlite3_bind_int64(writer->statements[REMOVE_WORDS], 1, id);
    bind_text(writer->statements[REMOVE_WORDS], 2, text, length);
    TN_TRY(run(writer, REMOVE_WORDS, err));
    return note_removed(writer, id, err);
}

enum tn_code keyword_get(struct keyword_writer *writer, const char *name, int64_t *ret, struct tn_error *err)
{
    sqlite3_stmt *statement = writer->statements[GET];
    bind_text(statement, 1, name, strlen(name));
    int code = sqlite3_step(statement);
    enum tn_code result = TN_OK;
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    else if (code == SQLITE_DONE)
        *ret = 0;
    else
        result = db_fail(writer->db, writer->path, err);
    (void)sqlite3_reset(statement);
    return result;
}

enum tn_code keyword_set(struct keyword_writer *writer, const char *name, int64_t value, struct tn_error *err)
{
    bind_text(writer->statements[SET], 1, name, strlen(name));
    (void)sqlite3_bind_int64(writer->statements[SET], 2, value);
    return run(writer, SET, err);
}

/* Numbers, and with them all that was committed before. */
static enum tn_code set_all(struct keyword_writer *writer, const struct keyword_number *numbers, size_t count,
                            struct tn_error *err)
{
    TN_TRY(keyword_begin(writer, err));
    enum tn_code code = TN_OK;
    for (size_t i = 0; i < count && code == TN_OK; i++)
        code = keyword_set(writer, numbers[i].name, numbers[i].value, err);
    if (code == TN_OK)
        code = keyword_commit(writer, err);
    if (code != TN_OK)
        keyword_rollback(writer);
    return code;
}

enum tn_code keyword_set_durably(struct keyword_writer *writer, const struct keyword_number *numbers, size_t count,
                                 struct tn_error *err)
{
    TN_TRY(exec(writer->db, "PRAGMA synchronous=FULL", writer->path, err));
    enum tn_code code = set_all(writer, numbers, count, err);
    (void)sqlite3_exec(writer->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
    return code;
}

static void read_chunk(sqlite3_stmt *statement, struct keyword_chunk *ret)
{
    *ret = (struct keyword_chunk){.id = sqlite3_column_int64(statement, 0),
                                  .doc_id = (const char *)sqlite3_column_text(statement, 1),
                                  .number = (uint32_t)sqlite3_column_int64(statement, 2),
                                  .column = (const char *)sqlite3_column_text(statement, 3)};
    const void *hash = sqlite3_column_blob(statement, 4);
    if (hash && sqlite3_column_bytes(statement, 4) == KEYWORD_HASH_BYTES)
        memcpy(ret->hash, hash, sizeof ret->hash);
    if (!ret->doc_id)
        ret->doc_id = "";
    if (!ret->column)
        ret->column = "";
}

enum tn_code keyword_chunks(struct keyword_writer *writer, const char *doc_id, keyword_chunk_fn *each, void *context,
                            struct tn_error *err)
{
    sqlite3_stmt *statement = writer->statements[doc_id ? OF_DOC : ALL];
    enum tn_code result = TN_OK;
    int code = SQLITE_DONE;
    if (doc_id)
        bind_text(statement, 1, doc_id, strlen(doc_id));
    while (result == TN_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct keyword_chunk chunk;
        read_chunk(statement, &chunk);
        result = each(context, &chunk, err);
    }
    if (result == TN_OK && code != SQLITE_DONE)
        result = db_fail(writer->db, writer->path, err);
    (void)sqlite3_reset(statement);
    return result;
}

/* ---- words cut by the rules of before ------------------------------------------ */

static enum tn_code is_current(struct keyword_writer *writer, bool *ret, struct tn_error *err)
{
    static const char sql[] = "SELECT sql LIKE '%''" KEYWORD_TOKENIZE "''%' FROM sqlite_master WHERE name = 'words'";
    sqlite3_stmt *statement = NULL;
    TN_TRY(prepare(writer->db, sql, writer->path, &statement, err));
    int code = sqlite3_step(statement);
    *ret = code == SQLITE_ROW && sqlite3_column_int(statement, 0) != 0;
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? TN_OK : db_fail(writer->db, writer->path, err);
}

struct cutting {
    struct keyword_writer *writer;
    keyword_text_fn *text_of;
    void *context;
    struct tn_buf text;
};

static enum tn_code cut_one(void *context, const struct keyword_chunk *chunk, struct tn_error *err)
{
    struct cutting *cutting = context;
    sqlite3_stmt *words = cutting->writer->statements[ADD_WORDS];
    tn_buf_clear(&cutting->text);
    TN_TRY(cutting->text_of(cutting->context, chunk->id, &cutting->text, err));
    (void)sqlite3_bind_int64(words, 1, chunk->id);
    bind_text(words, 2, cutting->text.data ? cutting->text.data : "", cutting->text.len);
    return run(cutting->writer, ADD_WORDS, err);
}

enum tn_code keyword_cut_again(struct keyword_writer *writer, keyword_text_fn *text_of, void *context,
                               struct tn_error *err)
{
    bool current;
    TN_TRY(is_current(writer, &current, err));
    if (current)
        return TN_OK;
    struct cutting cutting = {.writer = writer, .text_of = text_of, .context = context};
    TN_TRY(keyword_begin(writer, err));
    enum tn_code code = exec(writer->db, "DROP TABLE words;" WORDS_TABLE, writer->path, err);
    if (code == TN_OK)
        code = keyword_chunks(writer, NULL, cut_one, &cutting, err);
    if (code == TN_OK)
        code = keyword_commit(writer, err);
    else
        keyword_rollback(writer);
    tn_buf_release(&cutting.text);
    return code;
}

/* ---- readers ----------------------------------------------------------------- */

static void passes(sqlite3_context *context, int count, sqlite3_value **values)
{
    const struct keyword_reader *reader = sqlite3_user_data(context);
    (void)count;
    sqlite3_result_int(context, reader->current->passes(reader->current->context, sqlite3_value_int64(values[0])));
}

enum tn_code keyword_reader_open(const char *path, struct keyword_reader **ret, struct tn_error *err)
{
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = tn_calloc(1, sizeof *reader);
    reader->path = tn_strdup(path);
    if (sqlite3_open_v2(path, &reader->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return db_fail(reader->db, path, err);
    (void)sqlite3_busy_timeout(reader->db, 5000);
    if (keyword_fold_register(reader->db) != SQLITE_OK)
        return db_fail(reader->db, path, err);
    if (sqlite3_create_function_v2(reader->db, "tarn_passes", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, reader, passes,
                                   NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(reader->db, path, err);
    if (keyword_rank_register(reader->db, &reader->ranking) != SQLITE_OK)
        return db_fail(reader->db, path, err);
    TN_TRY(
        exec(reader->db, "PRAGMA query_only=ON; PRAGMA cache_size=-16000; PRAGMA mmap_size=268435456;", path, err));
    TN_TRY(prepare(reader->db, "SELECT id FROM chunks WHERE hash = ? LIMIT 1", path, &reader->find, err));
    for (int filtered = 0; filtered < 2; filtered++)
        for (int limited = 0; limited < 2; limited++) {
            char sql[200];
            snprintf(
                sql, sizeof sql,
                "SELECT rowid, tarn_rank(words) AS score FROM words WHERE words MATCH ?1%s ORDER BY score, rowid%s",
                filtered ? " AND tarn_passes(rowid)" : "", limited ? " LIMIT ?2" : "");
            TN_TRY(prepare(reader->db, sql, path, &reader->search[filtered][limited], err));
        }
    *ret = TN_TAKE(reader);
    return TN_OK;
}

void keyword_reader_close(struct keyword_reader *reader)
{
    if (!reader)
        return;
    keyword_bag_close(reader->bag);
    (void)sqlite3_finalize(reader->find);
    for (int i = 0; i < 4; i++)
        (void)sqlite3_finalize(reader->search[i / 2][i % 2]);
    (void)sqlite3_close(reader->db);
    free(reader->path);
    free(reader);
}

static enum tn_code search_fts(struct keyword_reader *reader, const struct keyword_search *search,
                               struct tn_error *err)
{
    sqlite3_stmt *statement = reader->search[search->passes != NULL][search->most > 0];
    enum tn_code result = TN_OK;
    int code;
    reader->current = search;
    reader->ranking = (struct keyword_ranking){.length_of = search->length_of,
                                               .context = search->context,
                                               .usual = search->usual_length ? search->usual_length : 1,
                                               .judged = search->judged,
                                               .ret_judged = search->ret_judged,
                                               .judged_count = search->judged_count};
    keyword_rank_mark(&reader->ranking);
    bind_text(statement, 1, search->expression, strlen(search->expression));
    if (search->most > 0)
        (void)sqlite3_bind_int64(statement, 2, (int64_t)search->most);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        if (!search->each(search->context, sqlite3_column_int64(statement, 0), -sqlite3_column_double(statement, 1)))
            break;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        result = db_fail(reader->db, reader->path, err);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    if (search->ret_full)
        *search->ret_full = reader->ranking.full;
    reader->current = NULL;
    return result;
}

static enum tn_code open_bag(struct keyword_reader *reader, struct tn_error *err)
{
    if (reader->bag || keyword_bag_open(reader->db, &reader->bag) == SQLITE_OK)
        return TN_OK;
    return db_fail(reader->db, reader->path, err);
}

enum tn_code keyword_search(struct keyword_reader *reader, const struct keyword_search *search, struct tn_error *err)
{
    bool done = false;
    for (size_t i = 0; i < search->judged_count; i++)
        search->ret_judged[i] = NAN;
    if (search->ret_full)
        *search->ret_full = 0;
    if (search->lists) {
        TN_TRY(open_bag(reader, err));
        if (keyword_bag_search(reader->bag, search, &done) != SQLITE_OK)
            return db_fail(reader->db, reader->path, err);
    }
    return done ? TN_OK : search_fts(reader, search, err);
}

enum tn_code keyword_learn(struct keyword_reader *reader, const struct keyword_search *search,
                           bool (*stopping)(void *context), struct tn_error *err)
{
    TN_TRY(open_bag(reader, err));
    int code = keyword_bag_learn(reader->bag, search, stopping);
    if (code == SQLITE_INTERRUPT)
        return tn_fail(err, TN_ECANCELLED, "%s: stopped", reader->path);
    return code == SQLITE_OK ? TN_OK : db_fail(reader->db, reader->path, err);
}

enum tn_code keyword_find_hash(struct keyword_reader *reader, const unsigned char hash[KEYWORD_HASH_BYTES],
                               int64_t *ret, struct tn_error *err)
{
    (void)sqlite3_bind_blob(reader->find, 1, hash, KEYWORD_HASH_BYTES, SQLITE_STATIC);
    int code = sqlite3_step(reader->find);
    enum tn_code result = TN_OK;
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        *ret = code == SQLITE_ROW ? sqlite3_column_int64(reader->find, 0) : -1;
    else
        result = db_fail(reader->db, reader->path, err);
    (void)sqlite3_reset(reader->find);
    return result;
}
