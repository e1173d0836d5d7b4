/* ocr.h: text from the image of a page, by tesseract. In the child, caged as
 * pdf.c is: the text of hostile pixels is as little believed as any other.
 */
#ifndef TARN_DOCUMENT_OCR_H
#define TARN_DOCUMENT_OCR_H

#include "document/outline.h"

#define OCR_LANGUAGES_MAX 64

/* Page `page` of a PDF or an image, one section; with the field "confidence".
 * The headers of an image are held against the limits once more before it is decoded. */
enum tn_code ocr_read_page(int fd, uint32_t page, const char *languages, const struct document_limits *limits,
                           struct outline *outline, struct tn_error *err) TN_CHECKED;
/* No file: the field "engine", when the languages are there. */
enum tn_code ocr_look(const char *languages, struct outline *outline, struct tn_error *err) TN_CHECKED;

/* What tesseract prints as TSV, as text: words with blanks between, lines, and
 * an empty line between paragraphs. Mean confidence of the words, 0 to 100. */
void ocr_take_tsv(const char *tsv, size_t length, struct tn_buf *text, unsigned *ret_confidence);

#endif
