/* Text: strict parsing and checking of what came from outside.
 *
 * The parsers accept the whole input or nothing: no leading or trailing space,
 * no sign where none belongs, no overflow. They return false and leave *ret
 * untouched otherwise.
 */
#ifndef TARN_BASE_STR_H
#define TARN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool tn_streq(const char *a, const char *b)
{
    return __builtin_strcmp(a, b) == 0;
}
bool tn_str_starts_with(const char *text, const char *prefix);
bool tn_str_ends_with(const char *text, const char *suffix);
/* ASCII case only. */
bool tn_str_equal_nocase(const char *a, const char *b);
/* Whether a file's name has, behind something, one of the endings (".pdf"; NULL
 * ends the list). ASCII case does not matter. */
bool tn_name_has_ending(const char *name, const char *const *endings);
char tn_ascii_lower(char c);

bool tn_parse_i64(const char *text, int64_t *ret);
bool tn_parse_u64(const char *text, uint64_t *ret);
bool tn_parse_double(const char *text, double *ret); /* finite, locale-free */
bool tn_parse_bool(const char *text, bool *ret);     /* true/false yes/no on/off 1/0 */
/* "512", "64KB", "1.5GB", "1GiB" (KB = 1024 too); bytes. */
bool tn_parse_size(const char *text, uint64_t *ret_bytes);
/* "250ms", "30s", "5m", "2h", "1d"; a bare number is milliseconds. */
bool tn_parse_duration_ms(const char *text, uint64_t *ret_ms);

/* Renders 1536 as "1.5 KB", 2467000 as "2,467,000" and 1234567 ms as "20m 34s". `out` >= 32 bytes. */
const char *tn_format_size(uint64_t bytes, char out[32]);
const char *tn_format_count(int64_t value, char out[32]);
/* What a noun ends in behind a count: "" for one, else "s". */
static inline const char *tn_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}
const char *tn_format_duration(uint64_t ms, char out[32]);

/* Length of the longest prefix that is valid UTF-8 (no surrogates, no
 * overlong forms); equal to `length` when all of it is. */
size_t tn_utf8_valid_prefix(const char *bytes, size_t length);
/* Terminal columns that valid UTF-8 takes (wide characters count 2). */
size_t tn_utf8_width(const char *text, size_t length);
/* Largest n <= limit that does not cut a character of valid UTF-8. */
size_t tn_utf8_floor(const char *text, size_t length, size_t limit);
/* Writes 1 to 4 bytes; returns how many. */
size_t tn_utf8_put(uint32_t code_point, char out[4]);

/* %XX and, when plus_is_space, '+'. In place; false on a bad escape or NUL. */
bool tn_url_decode(char *text, bool plus_is_space);
void tn_hex_encode(const void *bytes, size_t count, char *out); /* out: 2 * count + 1 */
bool tn_hex_decode(const char *hex, void *out, size_t count);   /* hex: exactly 2 * count */

/* Edit distance (insert, delete, replace, swap of neighbours), ASCII case
 * ignored; at most limit + 1. */
size_t tn_edit_distance(const char *a, const char *b, size_t limit);
/* The candidate nearest to `word`, or NULL when none is near enough to be
 * what was meant. The result is one of `candidates`. */
const char *tn_suggest(const char *word, const char *const *candidates, size_t count);

#endif
