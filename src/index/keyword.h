/* keyword: which chunks there are, and which words stand in them.
 *
 * One SQLite file: a table of the chunks (document, number, content hash), an
 * FTS5 index of their texts, which keeps no text itself, and a few numbers
 * that say what the working files show. A write is a transaction of the one
 * writer; readers have connections of their own and see the last commit.
 *
 * Queries. keyword_query makes of any text an expression that FTS5 accepts:
 * words are joined by OR, "quoted words" are a phrase, word* a prefix, AND, OR
 * and NOT in capitals and parentheses mean what they say. Whatever else stands
 * there is passed over; very common English words are passed over when others
 * are left.
 *
 * Threads: a writer or reader belongs to one thread at a time.
 * Errors: TN_ECORRUPT for a damaged file, TN_EIO and TN_EDISKFULL.
 */
#ifndef TARN_INDEX_KEYWORD_H
#define TARN_INDEX_KEYWORD_H

#include "base/base.h"

#define KEYWORD_HASH_BYTES 16

/* False when there is nothing in it to look for. */
bool keyword_query(const char *text, size_t length, struct tn_buf *ret);
/* Whether it passes over that word where others are left. */
bool keyword_query_skips(const char *word, size_t length);

struct keyword_writer;
/* `fresh`: the file is begun anew. */
enum tn_code keyword_writer_open(const char *path, bool fresh, struct keyword_writer **ret,
                                 struct tn_error *err) TN_CHECKED;
void keyword_writer_close(struct keyword_writer *writer);
TN_DEFINE_CLEANUP(struct keyword_writer, keyword_writer_close)
enum tn_code keyword_begin(struct keyword_writer *writer, struct tn_error *err) TN_CHECKED;
enum tn_code keyword_commit(struct keyword_writer *writer, struct tn_error *err) TN_CHECKED;
void keyword_rollback(struct keyword_writer *writer); /* what was begun and not committed */

struct keyword_chunk {
    int64_t id;
    const char *doc_id, *column; /* terminated */
    uint32_t number;
    unsigned char hash[KEYWORD_HASH_BYTES];
};
enum tn_code keyword_add(struct keyword_writer *writer, const struct keyword_chunk *chunk, const char *text,
                         size_t length, struct tn_error *err) TN_CHECKED;
/* The text must be the one that was added. */
enum tn_code keyword_remove(struct keyword_writer *writer, int64_t id, const char *text, size_t length,
                            struct tn_error *err) TN_CHECKED;
/* Numbers that go with the file; 0 when never set. */
enum tn_code keyword_get(struct keyword_writer *writer, const char *name, int64_t *ret,
                         struct tn_error *err) TN_CHECKED;
enum tn_code keyword_set(struct keyword_writer *writer, const char *name, int64_t value,
                         struct tn_error *err) TN_CHECKED;
/* In a transaction of its own that is on the disk afterwards, with all that came before. */
struct keyword_number {
    const char *name;
    int64_t value;
};
enum tn_code keyword_set_durably(struct keyword_writer *writer, const struct keyword_number *numbers, size_t count,
                                 struct tn_error *err) TN_CHECKED;
/* Chunks in the order of their ids, of one document or of all (NULL). */
typedef enum tn_code keyword_chunk_fn(void *context, const struct keyword_chunk *chunk, struct tn_error *err);
enum tn_code keyword_chunks(struct keyword_writer *writer, const char *doc_id, keyword_chunk_fn *each, void *context,
                            struct tn_error *err) TN_CHECKED;

/* The words of all chunks once more, when the file has them by the rules of an
 * earlier version (keyword_fold.h); else nothing. Before any reader is opened. */
typedef enum tn_code keyword_text_fn(void *context, int64_t id, struct tn_buf *ret, struct tn_error *err);
enum tn_code keyword_cut_again(struct keyword_writer *writer, keyword_text_fn *text_of, void *context,
                               struct tn_error *err) TN_CHECKED;

struct keyword_reader;
enum tn_code keyword_reader_open(const char *path, struct keyword_reader **ret, struct tn_error *err) TN_CHECKED;
void keyword_reader_close(struct keyword_reader *reader);
TN_DEFINE_CLEANUP(struct keyword_reader, keyword_reader_close)
/* Where words stand, kept between searches and shared by the readers of one
 * file: a search of words, phrases and prefixes that are joined by OR is answered
 * from memory then, and its answer is the same. Other searches ask FTS5. What was
 * not used for longest goes when it is more than `most_bytes`. Any thread. */
struct keyword_lists;
struct keyword_lists *keyword_lists_new(size_t most_bytes) __attribute__((returns_nonnull));
void keyword_lists_free(struct keyword_lists *lists);
TN_DEFINE_CLEANUP(struct keyword_lists, keyword_lists_free)
size_t keyword_lists_bytes(struct keyword_lists *lists);
double keyword_lists_filled(struct keyword_lists *lists); /* the share of `most_bytes` */

/* Matches, best first, then by id; `passes` NULL: all. `each` returns false to
 * end it. Scores are BM25, larger is better. */
struct keyword_search {
    const char *expression;      /* of keyword_query */
    struct keyword_lists *lists; /* NULL: FTS5 is asked; else of searches with the same length_of and usual_length */
    bool (*passes)(void *context, int64_t id);
    bool (*each)(void *context, int64_t id, double score);
    uint32_t (*length_of)(void *context, int64_t id); /* bytes of a chunk's text; NULL: length does not count */
    uint32_t usual_length;                            /* with length_of: bytes of a usual chunk */
    const int64_t
        *judged; /* rising ids of which the score is wanted, wherever they rank; known before the first `each` */
    double *ret_judged; /* of each; NAN: no match, or it does not pass */
    size_t judged_count;
    double *ret_full; /* what a usual chunk with each of the terms once would score, 0 without a match; or NULL */
    void *context;
    size_t most; /* 0: as many as `each` wants; else sorting is cheaper */
};
enum tn_code keyword_search(struct keyword_reader *reader, const struct keyword_search *search,
                            struct tn_error *err) TN_CHECKED;
/* The lists of an expression's words, for searches that will come; of `search`
 * that is `expression`, `lists`, `length_of` and its `context`, which `stopping`
 * (or NULL) is asked with now and then: true ends it with TN_ECANCELLED. */
enum tn_code keyword_learn(struct keyword_reader *reader, const struct keyword_search *search,
                           bool (*stopping)(void *context), struct tn_error *err) TN_CHECKED;
/* A chunk with that content: its id, or -1. */
enum tn_code keyword_find_hash(struct keyword_reader *reader, const unsigned char hash[KEYWORD_HASH_BYTES],
                               int64_t *ret, struct tn_error *err) TN_CHECKED;

#endif
