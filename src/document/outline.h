/* outline.h: how the readers write a document: text with headings, in order. */
#ifndef TARN_DOCUMENT_OUTLINE_H
#define TARN_DOCUMENT_OUTLINE_H

#include "document/document.h"

struct outline {
    struct document *document;
    uint64_t limit; /* bytes of text */
    bool full;      /* more was written than that; the rest was dropped */
    char *headings[DOCUMENT_HEADING_LEVELS];
    size_t section_start; /* of the section that is being written */
    const char *section_heading;
    size_t capacity, field_capacity, warning_capacity;
};

struct document *document_new(enum document_type type) __attribute__((returns_nonnull));
void outline_init(struct outline *outline, struct document *document, uint64_t limit);
/* Text as it comes: cleaned, white space kept. */
void outline_text(struct outline *outline, const char *bytes, size_t count);
/* Ends the line, or the paragraph, if one has begun. */
void outline_line(struct outline *outline);
void outline_paragraph(struct outline *outline);
/* Begins a section; an empty heading does nothing. Level 1 to 6. */
void outline_heading(struct outline *outline, unsigned level, const char *text, size_t length);
/* One page, whole. */
void outline_page(struct outline *outline, uint32_t number, const char *text, size_t length);
/* Text is copied and cleaned, white space at both ends dropped; nothing when it is empty. */
void outline_title(struct outline *outline, const char *text, size_t length);
void outline_field(struct outline *outline, const char *name, const char *value, size_t length);
void outline_warn(struct outline *outline, const char *format, ...) TN_PRINTF(2, 3);
/* Closes the last section; TN_ETOOLARGE when the text was too long. */
enum tn_code outline_finish(struct outline *outline, struct tn_error *err) TN_CHECKED;

#endif
