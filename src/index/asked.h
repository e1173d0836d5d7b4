/* asked.h: vectors of queries that people asked, the last ones, without their
 * texts: what a trial is measured with. Private to index. No lake is needed.
 * The file: docs/formats/asked-queries.md. */
#ifndef TARN_INDEX_ASKED_H
#define TARN_INDEX_ASKED_H

#include "base/base.h"

#define ASKED_KEPT 512

/* Of any thread. */
struct asked;
struct asked *asked_new(uint32_t dimension) __attribute__((returns_nonnull));
void asked_free(struct asked *asked);
TN_DEFINE_CLEANUP(struct asked, asked_free)
/* One that is there already is not taken again. Never waits. */
void asked_note(struct asked *asked, const float *vector);
/* At most `most`, newest first; `out` has room for them. */
size_t asked_take(struct asked *asked, size_t most, float *out);

/* A missing or damaged file is an empty one: it is a sample, not a record. */
void asked_load(struct asked *asked, const char *path);
/* Only when something was noted since. */
enum tn_code asked_save(struct asked *asked, const char *path, struct tn_error *err) TN_CHECKED;
/* The file's bytes into memory; false for anything but a whole file of this dimension. */
bool asked_read(struct asked *asked, const void *bytes, size_t size);

#endif
