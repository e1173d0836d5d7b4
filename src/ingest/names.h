/* names.h: column names that SQL can say without quotes, where possible.
 *
 * A name keeps its case, its letters (of any script) and digits; every run of
 * other characters becomes one underscore, none at the ends; a digit in front
 * gets an underscore before it; what leaves nothing becomes column_N. The dots
 * of flattened JSON stay. Names are unique without regard to case (name,
 * name_2, ...) and at most NAMES_MAX_BYTES long.
 */
#ifndef TARN_INGEST_NAMES_H
#define TARN_INGEST_NAMES_H

#include "base/mem.h"

#define NAMES_MAX_BYTES 63

/* `originals` are valid UTF-8; NULL or "" where there is none. The result's
 * names are the arena's. With `dotted`, the parts between dots are cleaned one
 * by one. */
const char **names_clean(struct tn_arena *arena, const char *const *originals, size_t count, bool dotted);

#endif
