/* chunk.h: a text cut into pieces that a model can read whole.
 *
 *     struct document_chunker chunker;
 *     document_chunker_init(&chunker, text, length, &options);
 *     for (struct document_chunk chunk; document_chunker_next(&chunker, &chunk);)
 *         use(text + chunk.start, chunk.length, chunk.heading);
 *     document_chunker_release(&chunker);
 *
 * A chunk ends where a sentence does, before a heading, or, when a sentence
 * alone is larger than a chunk, between words; a word that is larger is cut
 * between characters as a reader sees them, never inside one (a letter with
 * its accents, a flag, a family joined from four people). White space at both
 * ends is left out. So without overlap the chunks, with the white space
 * between them, are the source: nothing else is lost, nothing stands twice.
 * Text of white space alone has no chunks.
 *
 * Sentences end with . ! ? and their kin, 。！？ and theirs, at blank lines,
 * before list items, and at the end of a line of code or of a table. A period behind an
 * abbreviation ("Dr.", "e.g."), an initial, or before a small letter ends
 * none. This is a plain reading of UAX #29, good for prose, not a linguist.
 *
 * With overlap, a chunk begins with the last whole sentences (or words, when
 * the last sentence is too long) of the one before, as many as fit in
 * `overlap`; never across a heading.
 *
 * Limits: a chunk counts at most `size` units, unless one single character as
 * a reader sees it counts more. Sizes in tokens are those of the whole chunk
 * as the callback counts it.
 *
 * The same text and options give the same chunks, on any machine. The text
 * should be valid UTF-8; a byte that is not counts as a character.
 * Memory: a few bytes for each sentence of one chunk. Time: linear.
 * Threads: one chunker, one thread at a time. No errors.
 */
#ifndef TARN_DOCUMENT_CHUNK_H
#define TARN_DOCUMENT_CHUNK_H

#include "base/base.h"

enum document_chunk_unit { DOCUMENT_CHUNK_CHARACTERS, DOCUMENT_CHUNK_TOKENS };

struct document_chunk_options {
    enum document_chunk_unit unit;
    uint32_t size;    /* most units of a chunk; 0: 1,000 characters or 256 tokens */
    uint32_t overlap; /* units that a chunk may repeat of the one before; cut to half of `size` */
    bool no_headings; /* lines like "## Results" are text as any other (they are headings otherwise) */
    /* TOKENS: how many tokens these bytes are, without the marks that a model
     * puts around a text. Must be the same for the same bytes. */
    uint32_t (*count)(void *context, const char *text, size_t length);
    void *count_context;
};

struct document_chunk {
    size_t start, length; /* bytes of the text */
    uint32_t tokens;      /* units: tokens, or characters (code points) */
    const char *heading; /* headings above the chunk's beginning, "Guide > Setup"; "" for none; until the next call */
};

#define DOCUMENT_HEADING_LEVELS 6

struct document_chunk_piece; /* a sentence or less */
struct document_chunker {
    struct document_chunk_options options;
    const char *text; /* borrowed */
    size_t length;
    size_t at;                   /* read so far */
    size_t words_from, words_to; /* a sentence that is larger than a chunk */
    bool fenced;                 /* inside ``` at `at` */
    struct document_chunk_piece *pieces;
    size_t count, capacity;
    size_t headings[DOCUMENT_HEADING_LEVELS]; /* where the headings in force begin; SIZE_MAX for none */
    struct tn_buf heading;
};

/* Borrows the text until release; copies the options. */
void document_chunker_init(struct document_chunker *chunker, const char *text, size_t length,
                           const struct document_chunk_options *options);
/* False when there are no more. */
bool document_chunker_next(struct document_chunker *chunker, struct document_chunk *ret);
void document_chunker_release(struct document_chunker *chunker);

#endif
