/* Rows to a sentence, and a model's sentence held against the rows. */
#include "answer/ask.h"

#include <math.h>
#include <string.h>

#define NUMBERS_MAX 50 /* in one sentence */
#define SHOWN_MAX   80 /* bytes of a value in our sentence */
#define PARTS_MAX   8  /* columns in it */

/* ---- ours ------------------------------------------------------------------------ */

static void put_value(const json_t *value, struct tn_buf *out)
{
    if (json_is_null(value)) {
        tn_buf_puts(out, "nothing");
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t length = strlen(text), kept = tn_utf8_floor(text, length, SHOWN_MAX);
        for (size_t i = 0; i < kept; i++)
            tn_buf_putc(out, (unsigned char)text[i] < ' ' ? ' ' : text[i]);
        if (kept < length)
            tn_buf_puts(out, "...");
    } else {
        TN_AUTO_BUF text = {0};
        tn_json_dump(value, &text);
        size_t kept = tn_utf8_floor(text.data, text.len, SHOWN_MAX);
        tn_buf_append(out, text.data, kept);
        if (kept < text.len)
            tn_buf_puts(out, "...");
    }
}

/* "city Chicago, n 12" */
static void put_row(const json_t *columns, const json_t *row, struct tn_buf *out)
{
    size_t count = json_array_size(row), shown = TN_MIN(count, PARTS_MAX);
    for (size_t i = 0; i < shown; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(columns, i), "name"));
        tn_buf_printf(out, "%s%s ", i ? ", " : "", name ? name : "");
        put_value(json_array_get(row, i), out);
    }
    if (shown < count)
        tn_buf_printf(out, ", and %zu more columns", count - shown);
}

const char *ask_plain_sentence(const struct ask_result *result, struct tn_arena *arena)
{
    TN_AUTO_JSON *columns = json_loads(result->columns, 0, NULL);
    /* The rows may be megabytes: the first one is enough. */
    TN_AUTO_JSON *row = result->row_count > 0
                            ? json_loadb(result->rows + 1, result->rows_length - 1, JSON_DISABLE_EOF_CHECK, NULL)
                            : NULL;
    TN_AUTO_BUF out = {0};
    if (result->row_count == 0)
        tn_buf_puts(&out, "No row answers the question");
    else if (result->row_count == 1 && json_array_size(row) == 1) {
        put_row(columns, row, &out);
    } else {
        tn_buf_printf(&out, "%s%llu row%s%s", result->truncated ? "The first " : "",
                      (unsigned long long)result->row_count, result->row_count == 1 ? ": " : "s",
                      result->row_count == 1 ? "" : "; the first: ");
        put_row(columns, row, &out);
    }
    tn_buf_putc(&out, '.');
    return tn_arena_strndup(arena, out.data, out.len);
}

/* ---- numbers of a text -------------------------------------------------------------- */

/* A run of letters and digits with a digit in it: "1,204.50", "C00042", "3rd". */
struct number {
    char text[40]; /* without separators of thousands and zeros in front; cut */
    double value;  /* NaN: it has letters, or is too long */
    int decimals;
    bool negative, whole; /* whole: digits alone */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* "3rd" is 3. */
static size_t without_ordinal(const char *text, size_t length)
{
    static const char *const ends[] = {"st", "nd", "rd", "th"};
    for (size_t i = 0; i < TN_COUNT(ends) && length > 2; i++)
        if (is_digit(text[length - 3]) && tn_ascii_lower(text[length - 2]) == ends[i][0] &&
            tn_ascii_lower(text[length - 1]) == ends[i][1])
            return length - 2;
    return length;
}

static bool digits_at(const char *text, const char *end, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text + i >= end || !is_digit(text[i]))
            return false;
    return text + count >= end || !is_digit(text[count]);
}

/* The digits of a number with its groups and fraction; where it ends. */
static const char *read_digits(const char *at, const char *end, bool grouped, struct tn_buf *out, struct number *ret)
{
    while (at < end && (is_digit(*at) || (grouped && *at == ',' && out->len > 0 && digits_at(at + 1, end, 3)))) {
        if (*at != ',' && !(out->len == 1 && out->data[0] == '0'))
            tn_buf_putc(out, *at);
        else if (*at != ',')
            out->data[0] = *at; /* zeros in front do not count */
        at++;
    }
    if (at + 1 < end && *at == '.' && is_digit(at[1])) {
        const char *begin = at;
        do
            tn_buf_putc(out, *at++);
        while (at < end && is_digit(*at));
        ret->decimals = (int)TN_MIN(at - begin - 1, 15);
        ret->whole = false;
    }
    if (!ret->whole && at + 1 < end && (*at == 'e' || *at == 'E') && (is_digit(at[1]) || at[1] == '-')) {
        do
            tn_buf_putc(out, *at++);
        while (at < end && is_digit(*at));
        ret->decimals = 15;
    }
    return at;
}

/* The next number from *at on. `before` begins the text; `grouped`: a comma may
 * stand between thousands. */
static bool next_number(const char *before, const char **at, const char *end, bool grouped, struct number *ret)
{
    const char *c = *at;
    for (;; c++) {
        if (c >= end)
            return false;
        if (is_digit(*c))
            break;
    }
    const char *word = c;
    while (word > before && word > *at && is_letter(word[-1]))
        word--;
    TN_AUTO_BUF text = {0};
    *ret = (struct number){.value = NAN, .whole = true};
    const char *behind = read_digits(c, end, grouped, &text, ret);
    const char *last = behind;
    while (last < end && (is_letter(*last) || is_digit(*last)))
        last++;
    bool letters = word < c || (last > behind && c + without_ordinal(c, (size_t)(last - c)) != behind);
    if (letters) {
        size_t length = (size_t)(last - word);
        snprintf(ret->text, sizeof ret->text, "%.*s", (int)TN_MIN(length, sizeof ret->text - 1), word);
        ret->whole = false;
    } else {
        snprintf(ret->text, sizeof ret->text, "%s", text.data);
        if (text.len >= sizeof ret->text || !tn_parse_double(text.data, &ret->value))
            ret->value = NAN;
        ret->negative =
            word > before && word[-1] == '-' && (word - 1 == before || (!is_digit(word[-2]) && !is_letter(word[-2])));
    }
    *at = last;
    return true;
}

/* ---- are they the same? --------------------------------------------------------------- */

/* `said` may be rounded to the digits that it gives, and leave a sign to words. */
static bool same(const struct number *said, const struct number *there)
{
    if (said->negative && !there->negative)
        return false;
    if (tn_str_equal_nocase(said->text, there->text))
        return true;
    if (isnan(said->value) || isnan(there->value) || (said->whole && there->whole))
        return false;
    double scale = pow(10, said->decimals);
    double rounded = round(there->value * scale) / scale;
    double slack = 1e-12 * fmax(1, fabs(said->value));
    return fabs(rounded - said->value) <= slack || fabs(there->value - said->value) <= slack;
}

static bool has_number(const char *text, size_t length, bool grouped, const struct number *said)
{
    struct number there;
    for (const char *at = text; next_number(text, &at, text + length, grouped, &there);)
        if (same(said, &there))
            return true;
    return false;
}

static bool text_has(const char *text, const struct number *said)
{
    return has_number(text, strlen(text), true, said);
}

/* In JSON a comma parts numbers, but for those inside of texts. */
static bool rows_have(const struct ask_result *result, const struct number *said)
{
    const char *at = result->rows, *end = result->rows + result->rows_length;
    for (bool quoted = false; at < end; quoted = !quoted) {
        const char *begin = at;
        while (at < end && *at != '"')
            at += *at == '\\' && at + 1 < end ? 2 : 1;
        if (has_number(begin, (size_t)(at - begin), quoted, said))
            return true;
        at += at < end;
    }
    return false;
}

static bool count_is(const struct number *said, const struct ask_result *result)
{
    char count[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)result->row_count);
    return !said->negative && tn_streq(said->text, count);
}

/* ---- numbers in words -------------------------------------------------------------------- */

static const struct {
    const char *word, *digits; /* "": no row says that */
} number_words[] = {
    {"zero", "0"},     {"one", "1"},      {"two", "2"},        {"three", "3"},     {"four", "4"},
    {"five", "5"},     {"six", "6"},      {"seven", "7"},      {"eight", "8"},     {"nine", "9"},
    {"ten", "10"},     {"eleven", "11"},  {"twelve", "12"},    {"thirteen", "13"}, {"fourteen", "14"},
    {"fifteen", "15"}, {"sixteen", "16"}, {"seventeen", "17"}, {"eighteen", "18"}, {"nineteen", "19"},
    {"twenty", "20"},  {"thirty", "30"},  {"forty", "40"},     {"fifty", "50"},    {"sixty", "60"},
    {"seventy", "70"}, {"eighty", "80"},  {"ninety", "90"},    {"dozen", ""},      {"dozens", ""},
    {"hundred", ""},   {"hundreds", ""},  {"thousand", ""},    {"thousands", ""},  {"million", ""},
    {"millions", ""},  {"billion", ""},   {"billions", ""},
};

static bool has_word(const char *text, size_t length, const char *word)
{
    size_t wanted = strlen(word);
    for (size_t i = 0; i + wanted <= length; i++) {
        size_t k = 0;
        while (k < wanted && tn_ascii_lower(text[i + k]) == word[k])
            k++;
        if (k == wanted && (i == 0 || !is_letter(text[i - 1])) && (i + k == length || !is_letter(text[i + k])))
            return true;
    }
    return false;
}

/* "one of the two" counts nothing by its first word. */
static bool is_pronoun(const char *word, const char *behind)
{
    return tn_streq(word, "one") && strncmp(behind, " of ", 4) == 0;
}

static bool word_holds(const char *word, const char *behind, const struct ask_result *result, const char *question)
{
    for (size_t i = 0; i < TN_COUNT(number_words); i++) {
        if (!tn_streq(word, number_words[i].word) || is_pronoun(word, behind))
            continue;
        struct number said = {.value = NAN, .whole = true};
        snprintf(said.text, sizeof said.text, "%s", number_words[i].digits);
        bool known = tn_parse_double(said.text, &said.value);
        return (known && (count_is(&said, result) || rows_have(result, &said))) ||
               has_word(result->rows, result->rows_length, word) || has_word(question, strlen(question), word);
    }
    return true;
}

static bool words_hold(const char *sentence, const struct ask_result *result, const char *question, char wrong[64])
{
    for (const char *at = sentence; *at;) {
        char word[16];
        size_t length = 0;
        const char *begin = at;
        for (; is_letter(*at); at++)
            if (length + 1 < sizeof word)
                word[length++] = tn_ascii_lower(*at);
        word[length] = '\0';
        if (at == begin) {
            at++;
        } else if (!word_holds(word, at, result, question)) {
            snprintf(wrong, 64, "%s", word);
            return false;
        }
    }
    return true;
}

bool ask_numbers_hold(const char *sentence, const struct ask_result *result, const char *question, const char *sql,
                      char wrong[64])
{
    struct number said;
    size_t count = 0;
    const char *end = sentence + strlen(sentence);
    for (const char *at = sentence; next_number(sentence, &at, end, true, &said);) {
        bool asked = text_has(question, &said) && text_has(sql, &said);
        if (++count > NUMBERS_MAX || (!asked && !count_is(&said, result) && !rows_have(result, &said))) {
            snprintf(wrong, 64, "%s%s", said.negative ? "-" : "", said.text);
            return false;
        }
    }
    return words_hold(sentence, result, question, wrong);
}
