/* keyword_sample: which words many texts have, judged by some of them.
 *
 * Counting all words of all texts would cost what it is to save; a few hundred
 * texts tell which words stand in one of ten. Private to index.
 *
 * Threads: one at a time. Errors: TN_EIO when SQLite has no FTS5.
 */
#ifndef TARN_INDEX_KEYWORD_SAMPLE_H
#define TARN_INDEX_KEYWORD_SAMPLE_H

#include "base/base.h"

#define KEYWORD_SAMPLE_TEXT 4096 /* bytes of a text that are looked at */

struct keyword_sample;
enum tn_code keyword_sample_new(struct keyword_sample **ret, struct tn_error *err) TN_CHECKED;
void keyword_sample_free(struct keyword_sample *sample);
TN_DEFINE_CLEANUP(struct keyword_sample, keyword_sample_free)
void keyword_sample_add(struct keyword_sample *sample, const char *text, size_t length);

/* Words that at least `share` of the texts have, those of most texts first, as
 * expressions of keyword_query; without those that a query passes over. How many,
 * `most` at most; they are the sample's. */
size_t keyword_sample_words(struct keyword_sample *sample, double share, size_t most, const char **ret);

#endif
