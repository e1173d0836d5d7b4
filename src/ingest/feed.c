/* The way in: raw bytes are hashed, decompressed, recognised, transcoded,
 * spooled and surveyed, in one pass over them.
 *
 *   ingest_feed -> raw -> (inflate) -> text -> (transcode) -> spool + survey
 *
 * Only a file that turns out late not to be UTF-8 takes a second pass, over
 * its spool, as Windows-1252.
 */
#include "ingest/ingest_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many decompressed bytes decide on format and encoding. */
#define TEXT_HEAD_BYTES 4096
#define FEED_PIECE      (1U << 20)

enum tn_code ingest_check_cancelled(const struct ingest *ingest, struct tn_error *err)
{
    if (!atomic_load_explicit(&ingest->cancelled, memory_order_relaxed))
        return TN_OK;
    return tn_fail(err, TN_ECANCELLED, "the ingest was cancelled; nothing was written");
}

/* ---- decompressed bytes ---------------------------------------------------- */

static enum tn_code take_text(struct ingest *ingest, const char *bytes, size_t count, struct tn_error *err)
{
    if (ingest->spool.borrowed)
        return survey_push(&ingest->survey, bytes, count, err);
    if (ingest->format == INGEST_PARQUET)
        return spool_append(&ingest->spool, bytes, count, err);
    if (ingest->converter.from > ENCODING_UTF8) {
        tn_buf_clear(&ingest->converted);
        encoding_convert(&ingest->converter, bytes, count, &ingest->converted);
        bytes = ingest->converted.data;
        count = ingest->converted.len;
    }
    if (count == 0)
        return TN_OK;
    TN_TRY(spool_append(&ingest->spool, bytes, count, err));
    return survey_push(&ingest->survey, bytes, count, err);
}

/* Files that people send by mistake, by their first bytes. */
static enum tn_code refuse_binary(const char *bytes, size_t length, struct tn_error *err)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *what, *hint;
    } known[] = {
        {"PK\x03\x04", 4, "a zip archive (or an Office file)",
         "documents and archives of them go to POST /ingest/documents (tarn ingest sends them there); save sheets as CSV"},
        {"\xD0\xCF\x11\xE0", 4, "an old Excel workbook", "save the sheet as CSV"},
        {"%PDF", 4, "a PDF document",
         "documents go to POST /ingest/documents (tarn ingest sends them there); export tables as CSV"},
        {"SQLite format 3", 15, "an SQLite database", "export each table as CSV"},
        {"BZh", 3, "compressed with bzip2", "decompress it, or use gzip or zstd"},
        {"\xFD"
         "7zXZ",
         5, "compressed with xz", "decompress it, or use gzip or zstd"},
        {"ORC", 3, "an ORC file", "write it as Parquet"},
        {"Obj\x01", 4, "an Avro file", "write it as Parquet"},
        {"ARROW1", 6, "an Arrow file", "write it as Parquet"},
        {"\x89PNG", 4, "a picture", "send a table"},
        {"\xFF\xD8\xFF", 3, "a picture", "send a table"},
        {"\x7F"
         "ELF",
         4, "a program", "send a table"},
    };
    for (size_t i = 0; i < TN_COUNT(known); i++)
        if (length >= known[i].length && memcmp(bytes, known[i].magic, known[i].length) == 0) {
            tn_fail(err, TN_EUNSUPPORTED, "the file is %s", known[i].what);
            tn_error_hint(err, "%s; Tarn reads CSV, JSON and Parquet, also as .gz and .zst", known[i].hint);
            return TN_EUNSUPPORTED;
        }
    return TN_OK;
}

static enum tn_code start_text(struct ingest *ingest, struct tn_error *err)
{
    ingest->text_started = true;
    const char *head = ingest->text_head.data ? ingest->text_head.data : "";
    size_t length = ingest->text_head.len, mark = 0;
    bool parquet = length >= 4 && memcmp(head, "PAR1", 4) == 0;
    if (ingest->format == INGEST_PARQUET && !parquet)
        return tn_fail(err, TN_EUNREADABLE, "the file is no Parquet file: it does not begin with PAR1");
    if (parquet && ingest->format == INGEST_AUTO)
        ingest->format = INGEST_PARQUET;
    if (ingest->format == INGEST_PARQUET)
        return take_text(ingest, head, length, err);
    TN_TRY(refuse_binary(head, length, err));
    enum encoding found = encoding_detect((const unsigned char *)head, length, &mark);
    bool wide = ingest->encoding == ENCODING_UTF16LE || ingest->encoding == ENCODING_UTF16BE;
    /* A mark at the start knows better than a wish for one of the UTF-16. */
    enum encoding use = ingest->encoding == ENCODING_AUTO || (wide && mark == 2) ? found : ingest->encoding;
    if (use != found)
        mark = 0;
    if (use <= ENCODING_UTF8 && memchr(head, '\0', length)) {
        tn_fail(err, TN_EUNSUPPORTED, "the file is binary: there are zero bytes in it");
        tn_error_hint(err, "Tarn reads CSV, JSON and Parquet, also as .gz and .zst; encoding= names a text encoding");
        return TN_EUNSUPPORTED;
    }
    ingest->found_encoding = use;
    ingest->converter = (struct encoding_state){.from = use};
    survey_init(&ingest->survey, ingest->lake->pool, &ingest->wish, (int)ingest->format);
    if (ingest->spool.borrowed)
        ingest->spool.base = mark;
    return take_text(ingest, head + mark, length - mark, err);
}

static enum tn_code text_sink(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    struct ingest *ingest = context;
    if (ingest->text_started)
        return take_text(ingest, bytes, count, err);
    size_t room = TN_MIN(count, TEXT_HEAD_BYTES - ingest->text_head.len);
    tn_buf_append(&ingest->text_head, bytes, room);
    if (ingest->text_head.len < TEXT_HEAD_BYTES)
        return TN_OK;
    TN_TRY(start_text(ingest, err));
    return count > room ? take_text(ingest, bytes + room, count - room, err) : TN_OK;
}

/* ---- raw bytes ------------------------------------------------------------- */

static enum tn_code pass_raw(struct ingest *ingest, const char *bytes, size_t count, struct tn_error *err)
{
    return ingest->inflate ? inflate_push(ingest->inflate, bytes, count, err) : text_sink(ingest, bytes, count, err);
}

static enum tn_code start_raw(struct ingest *ingest, struct tn_error *err)
{
    ingest->raw_started = true;
    const char *head = ingest->head.data ? ingest->head.data : "";
    ingest->compression = inflate_detect((const unsigned char *)head, ingest->head.len);
    if (ingest->compression != INFLATE_NONE)
        ingest->inflate = inflate_new(ingest->compression, text_sink, ingest);
    return pass_raw(ingest, head, ingest->head.len, err);
}

static enum tn_code take_raw(struct ingest *ingest, const char *bytes, size_t count, struct tn_error *err)
{
    TN_TRY(ingest_check_cancelled(ingest, err));
    tn_hash_update(&ingest->hash, bytes, count);
    atomic_fetch_add_explicit(&ingest->bytes_in, count, memory_order_relaxed);
    if (ingest->raw_started)
        return pass_raw(ingest, bytes, count, err);
    size_t room = TN_MIN(count, INFLATE_MAGIC - ingest->head.len);
    tn_buf_append(&ingest->head, bytes, room);
    if (ingest->head.len < INFLATE_MAGIC)
        return TN_OK;
    TN_TRY(start_raw(ingest, err));
    return count > room ? pass_raw(ingest, bytes + room, count - room, err) : TN_OK;
}

enum tn_code ingest_feed(struct ingest *ingest, const void *bytes, size_t count, struct tn_error *err)
{
    if (ingest->failed != TN_OK)
        return tn_fail(err, ingest->failed, "the ingest has failed already");
    if (count)
        ingest->failed = take_raw(ingest, bytes, count, err);
    return ingest->failed;
}

/* ---- a file of the server's own ---------------------------------------------- */

/* Plain text in UTF-8 needs no copy: its own file is the spool. */
static bool can_borrow(const struct ingest *ingest, const unsigned char *head, size_t length)
{
    size_t mark;
    if (ingest->encoding > ENCODING_UTF8 || ingest->format == INGEST_PARQUET)
        return false;
    if (inflate_detect(head, length) != INFLATE_NONE || (length >= 4 && memcmp(head, "PAR1", 4) == 0))
        return false;
    return encoding_detect(head, length, &mark) <= ENCODING_UTF8;
}

static enum tn_code feed_descriptor(struct ingest *ingest, int fd, const char *path, uint64_t *ret_total,
                                    struct tn_error *err)
{
    TN_AUTO_FREE char *piece = tn_malloc(FEED_PIECE);
    uint64_t at = 0;
    for (;;) {
        ssize_t count = pread(fd, piece, FEED_PIECE, (off_t)at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return tn_fail_errno(err, errno, "%s", path);
        if (count == 0)
            break;
        TN_TRY(ingest_feed(ingest, piece, (size_t)count, err));
        at += (uint64_t)count;
    }
    *ret_total = at;
    return TN_OK;
}

enum tn_code ingest_feed_file(struct ingest *ingest, const char *path, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tn_fail_errno(err, errno, "%s", path);
    struct stat stat;
    unsigned char head[TEXT_HEAD_BYTES];
    ssize_t length = pread(fd, head, sizeof head, 0);
    if (length < 0 || fstat(fd, &stat) != 0)
        return tn_fail_errno(err, errno, "%s", path);
    if (S_ISREG(stat.st_mode) && can_borrow(ingest, head, (size_t)length)) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (own < 0)
            return tn_fail_errno(err, errno, "%s", path);
        spool_borrow(&ingest->spool, own, path, 0, (uint64_t)stat.st_size);
    }
    uint64_t total = 0;
    return feed_descriptor(ingest, fd, path, &total, err);
}

/* ---- the end ----------------------------------------------------------------- */

/* The file was hashed as it was; what is loaded must be the same. */
static enum tn_code check_borrowed(const struct ingest *ingest, struct tn_error *err)
{
    struct stat stat;
    if (!ingest->spool.borrowed)
        return TN_OK;
    if (fstat(ingest->spool.fd, &stat) != 0)
        return tn_fail_errno(err, errno, "%s", ingest->spool.path);
    int64_t changed_us = (int64_t)stat.st_mtim.tv_sec * 1000000 + stat.st_mtim.tv_nsec / 1000;
    if ((uint64_t)stat.st_size == atomic_load(&ingest->bytes_in) && changed_us < ingest->started_us)
        return TN_OK;
    tn_fail(err, TN_ECONFLICT, "%s changed while it was being read", ingest->spool.path);
    tn_error_hint(err, "try again when nobody writes it any more");
    return TN_ECONFLICT;
}

/* Everything again from the spool, as Windows-1252, into a new spool. */
static enum tn_code read_again(struct ingest *ingest, struct tn_error *err)
{
    struct spool old = ingest->spool;
    uint64_t size = old.borrowed ? atomic_load(&ingest->bytes_in) - old.base : old.size;
    spool_init(&ingest->spool, ingest->lake->store);
    survey_release(&ingest->survey);
    survey_init(&ingest->survey, ingest->lake->pool, &ingest->wish, (int)ingest->format);
    ingest->converter = (struct encoding_state){.from = ENCODING_WINDOWS_1252};
    ingest->found_encoding = ENCODING_WINDOWS_1252;
    TN_AUTO_FREE char *piece = tn_malloc(FEED_PIECE);
    enum tn_code code = TN_OK;
    for (uint64_t at = 0; code == TN_OK && at < size;) {
        size_t count = (size_t)TN_MIN(size - at, (uint64_t)FEED_PIECE);
        code = ingest_check_cancelled(ingest, err);
        if (code == TN_OK)
            code = spool_read(&old, at, count, piece, err);
        if (code == TN_OK)
            code = take_text(ingest, piece, count, err);
        at += count;
    }
    spool_release(&old);
    TN_TRY(code);
    return survey_finish(&ingest->survey, err);
}

static enum tn_code settle_encoding(struct ingest *ingest, struct tn_error *err)
{
    if (!ingest->survey.invalid)
        return TN_OK;
    const struct survey *survey = &ingest->survey;
    uint64_t line = survey->invalid_line + 1;
    if (survey->invalid_block > 0)
        line = survey->blocks[survey->invalid_block].first_line + survey->invalid_line;
    if (ingest->encoding == ENCODING_UTF8) {
        tn_fail(err, TN_EUNREADABLE, "line %llu is not valid UTF-8", (unsigned long long)line);
        tn_error_hint(err, "leave encoding= away to have it detected, or say encoding=windows-1252");
        return TN_EUNREADABLE;
    }
    ingest_warn(ingest, "the file is not valid UTF-8 (line %llu): read as Windows-1252", (unsigned long long)line);
    return read_again(ingest, err);
}

enum tn_code ingest_end_input(struct ingest *ingest, struct tn_error *err)
{
    if (ingest->failed != TN_OK)
        return tn_fail(err, ingest->failed, "the ingest has failed already");
    if (ingest->ended)
        return TN_OK;
    ingest->ended = true;
    if (!ingest->raw_started)
        TN_TRY(start_raw(ingest, err));
    if (ingest->inflate)
        TN_TRY(inflate_finish(ingest->inflate, err));
    inflate_free(TN_TAKE(ingest->inflate));
    if (!ingest->text_started)
        TN_TRY(start_text(ingest, err));
    tn_hash_final_hex(&ingest->hash, ingest->content_hash);
    if (ingest->format == INGEST_PARQUET)
        return spool_to_file(&ingest->spool, ".parquet", err);
    tn_buf_clear(&ingest->converted);
    encoding_finish(&ingest->converter, &ingest->converted);
    if (ingest->converted.len) {
        TN_TRY(spool_append(&ingest->spool, ingest->converted.data, ingest->converted.len, err));
        TN_TRY(survey_push(&ingest->survey, ingest->converted.data, ingest->converted.len, err));
    }
    TN_TRY(survey_finish(&ingest->survey, err));
    TN_TRY(settle_encoding(ingest, err));
    return check_borrowed(ingest, err);
}
