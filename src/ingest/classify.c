/* What one value could be. The hot loop of profiling: one switch on the first
 * byte sends most values to the one test that can succeed.
 *
 * The rules are conservative, because a wrong number destroys what a person
 * typed (02134 is not 2134) while text can always be cast later.
 */
#include "ingest/classify.h"

#include "ingest/typed.h"

#include <string.h>
#include <strings.h>

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline bool equal_nocase(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

bool classify_is_null_word(const char *text, size_t length)
{
    switch (length) {
    case 1:
        return text[0] == '-';
    case 2:
        return memcmp(text, "\\N", 2) == 0 || memcmp(text, "NA", 2) == 0;
    case 3:
        return equal_nocase(text, 3, "N/A") || memcmp(text, "NaN", 3) == 0 || memcmp(text, "nan", 3) == 0;
    case 4:
        return memcmp(text, "null", 4) == 0 || memcmp(text, "NULL", 4) == 0 || memcmp(text, "Null", 4) == 0 ||
               memcmp(text, "None", 4) == 0 || memcmp(text, "#N/A", 4) == 0;
    default:
        return false;
    }
}

static enum cell_class classify_word(const char *text, size_t length, uint32_t *marks)
{
    static const struct {
        const char *word;
        uint32_t mark;
    } words[] = {
        {"true", MARK_TRUE_FALSE}, {"false", MARK_TRUE_FALSE << 1}, {"t", MARK_T_F}, {"f", MARK_T_F << 1},
        {"yes", MARK_YES_NO},      {"no", MARK_YES_NO << 1},        {"y", MARK_Y_N}, {"n", MARK_Y_N << 1},
    };
    if (length > 5)
        return CLASS_TEXT;
    char first = (char)(text[0] | 0x20);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].word[0] == first && equal_nocase(text, length, words[i].word)) {
            *marks |= words[i].mark;
            return CLASS_BOOL;
        }
    return classify_is_null_word(text, length) ? CLASS_NULL_WORD : CLASS_TEXT;
}

/* Dates and timestamps, in any of the orders that could be meant. */
static enum cell_class classify_moment(const char *text, size_t length, uint32_t *marks)
{
    struct typed_moment moment;
    if (!typed_scan_moment(text, length, &moment))
        return CLASS_TEXT;
    uint32_t found = 0;
    if (moment.year_first) {
        found = moment.separator == '-' ? MARK_ISO : MARK_YMD;
    } else {
        bool day_first = typed_moment_valid(&moment, TYPED_DMY), month_first = typed_moment_valid(&moment, TYPED_MDY);
        if (!day_first && !month_first)
            return CLASS_TEXT;
        found = day_first && month_first ? MARK_EITHER : day_first ? MARK_DMY : MARK_MDY;
        if (moment.short_year)
            found |= MARK_SHORT_YEAR;
    }
    found |= moment.separator == '/' ? MARK_SLASH : moment.separator == '.' ? MARK_DOT : MARK_DASH;
    *marks |= found;
    return !moment.has_time ? CLASS_DATE : moment.has_zone ? CLASS_TIMESTAMPTZ : CLASS_TIMESTAMP;
}

/* 1,234 and 1 234,5 and 12% and 1.234,56: numbers that are kept as text. */
static bool looks_formatted(const char *text, size_t length)
{
    size_t digits = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_digit(text[i]))
            digits++;
        else if (!memchr(" ,.%'-+$()", text[i], 10))
            return false;
    }
    return digits > 0;
}

static bool looks_time(const char *text, size_t length)
{
    size_t at = length > 1 && is_digit(text[1]) ? 2 : 1;
    return length >= at + 3 && length <= 15 && text[at] == ':' && is_digit(text[at + 1]) && is_digit(text[at + 2]);
}

/* A few digits and nothing else: no need to compute the number to know it. */
static inline bool is_short_fraction(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_digit(text[i]))
            return false;
    return length > 0 && length < 32;
}

/* Digits came to an end before the value did. */
static enum cell_class classify_after_digits(const char *text, size_t length, size_t at, uint32_t *marks)
{
    char c = text[at];
    if (c == '.' || c == 'e' || c == 'E') {
        double ignored;
        bool zero_led = text[0] == '0' && at > 1;
        bool minus_zero_led = text[0] == '-' && text[1] == '0' && at > 2;
        if (c == '.' && !zero_led && !minus_zero_led && is_short_fraction(text + at + 1, length - at - 1))
            return CLASS_DOUBLE;
        if (!zero_led && !minus_zero_led && typed_double_plain(text, length, &ignored))
            return CLASS_DOUBLE;
    }
    if ((c == '-' || c == '/' || c == '.') && (at == 4 || at <= 2)) {
        enum cell_class moment = classify_moment(text, length, marks);
        if (moment != CLASS_TEXT)
            return moment;
    }
    if (c == ':' && looks_time(text, length))
        return CLASS_TIME;
    bool dressed = c == ',' || c == '%' || c == ' ' || (c == '.' && memchr(text, ',', length));
    return dressed && looks_formatted(text, length) ? CLASS_FORMATTED : CLASS_TEXT;
}

static enum cell_class classify_number(const char *text, size_t length, uint32_t *marks)
{
    size_t start = text[0] == '-', at = start;
    while (at < length && is_digit(text[at]))
        at++;
    if (at < length)
        return classify_after_digits(text, length, at, marks);
    size_t digits = length - start;
    if (digits == 0)
        return CLASS_NULL_WORD;
    if (text[start] == '0' && (digits > 1 || start))
        return CLASS_LEADING_ZERO;
    if (digits > 9)
        *marks |= MARK_WIDE;
    return digits <= 15 ? CLASS_INT : digits <= 18 ? CLASS_LONG_INT : CLASS_LONG_DIGITS;
}

static enum cell_class classify_plus(const char *text, size_t length)
{
    size_t digits = 0;
    for (size_t i = 1; i < length; i++) {
        if (is_digit(text[i]))
            digits++;
        else if (!memchr(" ()-./", text[i], 6))
            return CLASS_TEXT;
    }
    return digits ? CLASS_PHONE : CLASS_TEXT;
}

enum cell_class classify_text(const char *text, size_t length, uint32_t *marks)
{
    if (length == 0)
        return CLASS_EMPTY;
    if (__builtin_expect(text[0] == ' ' || text[length - 1] == ' ' || text[0] == '\t', 0)) {
        while (length && (*text == ' ' || *text == '\t'))
            text++, length--;
        while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
            length--;
        *marks |= MARK_SPACED;
        if (length == 0)
            return CLASS_TEXT;
    }
    char lead = text[0];
    if (is_digit(lead) || lead == '-')
        return classify_number(text, length, marks);
    if ((char)(lead | 0x20) >= 'a' && (char)(lead | 0x20) <= 'z')
        return length > 5 ? CLASS_TEXT : classify_word(text, length, marks);
    switch (lead) {
    case '.': {
        double ignored;
        return typed_double_plain(text, length, &ignored) ? CLASS_DOUBLE : CLASS_TEXT;
    }
    case '+':
        return classify_plus(text, length);
    case '$':
    case '(':
        return looks_formatted(text, length) ? CLASS_FORMATTED : CLASS_TEXT;
    case '\\':
    case '#':
        return classify_is_null_word(text, length) ? CLASS_NULL_WORD : CLASS_TEXT;
    default:
        return CLASS_TEXT;
    }
}

static enum cell_class classify_json_number(const char *text, size_t length, uint32_t *marks)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return CLASS_DOUBLE;
    int64_t value;
    if (!typed_int(text, length, &value)) {
        *marks |= MARK_HUGE;
        return CLASS_LONG_DIGITS;
    }
    if (length > 9)
        *marks |= MARK_WIDE;
    return length - (text[0] == '-') <= 15 ? CLASS_INT : CLASS_LONG_INT;
}

/* JSON says itself what is a string; only moments in ISO 8601 are more. */
static enum cell_class classify_json_string(const struct cell *cell, uint32_t *marks)
{
    if (cell->escaped || cell->length < 10 || !is_digit(cell->text[0]))
        return CLASS_TEXT;
    uint32_t found = 0;
    enum cell_class moment = classify_moment(cell->text, cell->length, &found);
    if (moment == CLASS_TEXT || !(found & MARK_ISO))
        return CLASS_TEXT;
    *marks |= found;
    return moment;
}

enum cell_class classify_cell(const struct cell *cell, uint32_t *marks)
{
    switch ((enum cell_kind)cell->kind) {
    case CELL_PLAIN:
        return classify_text(cell->text, cell->length, marks);
    case CELL_QUOTED:
        if (cell->length == 0)
            return CLASS_EMPTY_QUOTED;
        return cell->escaped ? CLASS_TEXT : classify_text(cell->text, cell->length, marks);
    case CELL_JSON_STRING:
        return classify_json_string(cell, marks);
    case CELL_JSON_NUMBER:
        return classify_json_number(cell->text, cell->length, marks);
    case CELL_JSON_TRUE:
        *marks |= MARK_TRUE_FALSE;
        return CLASS_BOOL;
    case CELL_JSON_FALSE:
        *marks |= MARK_TRUE_FALSE << 1;
        return CLASS_BOOL;
    case CELL_JSON_ARRAY:
        return (enum cell_class)cell->escaped; /* the tokenizer classified it on the way */
    case CELL_JSON_OBJECT:
        return CLASS_JSON;
    case CELL_ABSENT:
    case CELL_JSON_NULL:
        break;
    }
    return CLASS_EMPTY;
}
