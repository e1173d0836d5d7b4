/* document: what people write, as text that a machine can search.
 *
 * Two halves:
 *
 *   chunk.h            cuts a text into pieces for a model (included here)
 *   this file          makes text of PDF, DOCX, HTML, Markdown, EML and plain
 *                      text, takes zip archives apart, and knows images of
 *                      pages, which have text only once OCR has read them
 *
 * Files come from anywhere, so no byte of them is looked at in the caller's
 * process. A document_extractor is a helper process (the same program, started
 * again with DOCUMENT_WORKER as its first argument) that makes a child for
 * each file. The child gives up, before it reads a byte, the network, the file
 * system and most system calls, and works under limits on memory, time and
 * output (cage.h). A file that crashes, floods or hangs its reader costs that
 * child and gives one error; the next file goes on.
 *
 *     document_extractor_new(&limits, NULL, &extractor, err);
 *     document_extract(extractor, fd, "report.pdf", &sink, err);
 *     document_extractor_free(extractor);
 *
 * What a file is, its bytes say; the name decides only between text, Markdown
 * and HTML, whose bytes look alike. A PDF's sections are its pages; those of
 * other types are what stands under one heading, with the headings above as
 * "Guide > Setup". In the text, headings are lines like "## Setup", as the
 * chunker reads them; pages are parted by a form feed.
 *
 * A zip archive is no document: its members go to the sink as files, as
 * attachments of mails do, for another call.
 *
 * Memory: the document's text (limits.text_bytes) twice. Files found inside
 * are streamed. Threads: one extractor, one thread at a time.
 * Errors. About the file: TN_EUNREADABLE (damaged, a password, a crash of its
 * reader), TN_EUNSUPPORTED (not a document), TN_ETOOLARGE, TN_ETIMEOUT (a
 * limit; the hint names the setting). All others are about the machine, or
 * come from the sink: document_error_is_of_file tells them apart.
 */
#ifndef TARN_DOCUMENT_DOCUMENT_H
#define TARN_DOCUMENT_DOCUMENT_H

#include "base/base.h"
#include "document/chunk.h"

enum document_type {
    DOCUMENT_NONE, /* unknown */
    DOCUMENT_PDF,
    DOCUMENT_DOCX,
    DOCUMENT_HTML,
    DOCUMENT_MARKDOWN,
    DOCUMENT_TEXT,
    DOCUMENT_EML,
    DOCUMENT_ZIP,
    DOCUMENT_IMAGE /* of pages that wait for OCR */
};
const char *document_type_name(enum document_type type); /* "pdf" */
/* "pdf" or "PDF" back to the type; false for other words. */
bool document_type_parse(const char *word, enum document_type *ret);
/* What the first bytes of a file are, for who has to decide where it goes:
 * NONE when they are not clearly a document (text of any kind is not). */
enum document_type document_sniff(const char *bytes, size_t count);

struct document_field {
    const char *name, *value;
};
/* A page, or what stands under one heading. */
struct document_section {
    uint32_t number; /* of the page; else 1, 2, ... */
    const char *heading;
    size_t start, length; /* of the text */
    bool needs_ocr;       /* an image of a page, without text */
};
/* All texts are valid UTF-8 and live as long as the document. */
struct document {
    struct tn_arena *arena;
    enum document_type type;
    const char *title;   /* its own, or its first heading, or NULL */
    const char *author;  /* or NULL */
    const char *created; /* RFC 3339 in UTC, or NULL */
    struct document_field *fields;
    size_t field_count;
    struct tn_buf text;
    struct document_section *sections;
    size_t section_count;
    uint32_t pages; /* 0 for types that have none */
    bool needs_ocr; /* some page does */
    const char **warnings;
    size_t warning_count;
};
void document_free(struct document *document);
TN_DEFINE_CLEANUP(struct document, document_free)

struct document_limits {
    uint64_t file_bytes;    /* of one document */
    uint64_t text_bytes;    /* that it may give */
    uint64_t memory_bytes;  /* of the process that reads it */
    uint32_t seconds;       /* that this may take */
    uint32_t pages;         /* of one document */
    uint32_t archive_files; /* in one archive or mail */
    uint64_t archive_bytes; /* that it may unpack to */
};
struct document_limits document_limits_default(void);

/* Where what was found goes. An error of a function ends the call and comes
 * back from it. Each may be called on the caller's thread only. */
struct document_sink {
    void *context;
    /* Once at most; borrowed. */
    enum tn_code (*document)(void *context, const struct document *document, struct tn_error *err);
    /* Instead of it, when not NULL: the document is the function's, also when it fails. */
    enum tn_code (*keep)(void *context, struct document *document, struct tn_error *err);
    /* Files inside: begin, data ..., end. The name is a relative path without
     * "..", valid UTF-8. */
    enum tn_code (*file_begin)(void *context, const char *name, struct tn_error *err);
    enum tn_code (*file_data)(void *context, const void *bytes, size_t count, struct tn_error *err);
    enum tn_code (*file_end)(void *context, struct tn_error *err);
    /* A member that cannot be unpacked (a password, a method); may be NULL. */
    enum tn_code (*file_failed)(void *context, const char *name, const struct tn_error *why, struct tn_error *err);
};

struct document_extractor;
/* `program` is what is started; NULL: this program again. Cheap: the helper
 * starts with the first file. */
enum tn_code document_extractor_new(const struct document_limits *limits, const char *program,
                                    struct document_extractor **ret, struct tn_error *err) TN_CHECKED;
void document_extractor_free(struct document_extractor *extractor);
TN_DEFINE_CLEANUP(struct document_extractor, document_extractor_free)
/* Reads the regular file `fd` from its beginning (its position moves). `name` is what
 * it is called, for its type and for errors. */
enum tn_code document_extract(struct document_extractor *extractor, int fd, const char *name,
                              const struct document_sink *sink, struct tn_error *err) TN_CHECKED;
bool document_error_is_of_file(enum tn_code code);
/* Asked ten times a second while a file is read: once it says yes, the child is
 * killed and the call ends with TN_ECANCELLED. NULL: never. */
void document_extractor_stop_when(struct document_extractor *extractor, bool (*stopping)(void *context),
                                  void *context);

/* ---- OCR ---------------------------------------------------------------------
 * A page that is an image, drawn by pdftoppm when it is one of a PDF and read by
 * tesseract, in the same cage and under the same limits, each for one page. Languages are tesseract's
 * words, "eng+deu"; others are TN_EREQUEST. */

/* Whether both programs are where the helper looks. */
bool document_ocr_installed(void);
/* TN_EUNSUPPORTED, with what to install, when a program or a language is
 * missing; else what reads: "tesseract 5.3.0". */
enum tn_code document_ocr_look(struct document_extractor *extractor, const char *languages, char ret_engine[64],
                               struct tn_error *err) TN_CHECKED;
/* Page `page` (from 1) of a PDF or an image, appended to `ret_text`, and how sure the
 * words are, 0 to 100. Errors as of document_extract. */
enum tn_code document_ocr_page(struct document_extractor *extractor, int fd, uint32_t page, const char *languages,
                               struct tn_buf *ret_text, unsigned *ret_confidence, struct tn_error *err) TN_CHECKED;

/* The helper's main function: returns the exit status. For main(), before
 * anything else, when the first argument is this word. */
#define DOCUMENT_WORKER "__extract"
int document_worker_main(void);

/* A path that came from outside as it is kept: "/" between its parts, none
 * "." or "..", no control characters, at most 1,000 bytes; NULL when nothing
 * is left. The arena's. */
char *document_clean_path(struct tn_arena *arena, const char *path);

/* The same reading without a cage, in this process: for tests and fuzzers of
 * the readers. PDF needs the cage and is TN_EUNSUPPORTED here. */
enum tn_code document_read(const struct document_limits *limits, int fd, const char *name,
                           const struct document_sink *sink, struct tn_error *err) TN_CHECKED;

#endif
