/* A long list of numbers in a JSON object, read without building the document.
 *
 * A query's vector is nine tenths of its request: as a document each number
 * costs a node, a copy and a strtod. Only the list is read here; the rest is
 * left to tn_json_parse, which stays the judge of the document.
 */
#ifndef TARN_BASE_JSON_FLOATS_H
#define TARN_BASE_JSON_FLOATS_H

#include <stdbool.h>
#include <stddef.h>

struct tn_json_floats {
    size_t count;
    size_t begin, end; /* of the bytes between the brackets */
};
/* Finds "key":[numbers] in the outermost object. True: all between the brackets
 * are numbers of JSON, at least one, at most `capacity`, and `out` has them;
 * the text without these bytes is a document exactly when the whole one is.
 * False (nothing is said about why): there is none, or one that is better read
 * as part of the document. A number is the nearest float, but for one in some
 * billions that lies in the middle between two. */
bool tn_json_cut_floats(const char *text, size_t length, const char *key, float *out, size_t capacity,
                        struct tn_json_floats *ret);

#endif
