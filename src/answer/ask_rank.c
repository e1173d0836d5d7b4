/* Which tables a question is about: words that the question shares with their
 * names, columns, descriptions, tags and values. A word that every table has
 * says little, one that a single table has says much. */
#include "answer/ask.h"

#include <math.h>
#include <string.h>

#define WORDS_MAX   64
#define WORD_LENGTH 32

struct words {
    char text[WORDS_MAX][WORD_LENGTH];
    size_t count;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* "calls", "called", "calling" and "call" meet. */
static void stem(char *word)
{
    static const char *const ends[] = {"ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "s", "y", "e"};
    size_t length = strlen(word);
    for (size_t i = 0; i < TN_COUNT(ends); i++) {
        size_t tail = strlen(ends[i]);
        if (length >= tail + 3 && tn_streq(word + length - tail, ends[i])) {
            word[length - tail] = '\0';
            return;
        }
    }
}

static bool is_common(const char *word)
{
    static const char *const common[] = {"the",  "and",  "for",  "with", "from", "that", "this", "what", "which",
                                         "who",  "how",  "many", "much", "are",  "was",  "were", "have", "has",
                                         "had",  "not",  "all",  "any",  "our",  "per",  "than", "more", "most",
                                         "show", "list", "give", "find", "each", "of",   "in",   "on",   "is",
                                         "to",   "by",   "do",   "at",   "an",   "or",   "me",   "we"};
    for (size_t i = 0; i < TN_COUNT(common); i++)
        if (tn_streq(word, common[i]))
            return true;
    return false;
}

/* The next word of a text in lower case, stemmed; false at the end. */
static bool next_word(const char **at, char out[WORD_LENGTH])
{
    size_t length = 0;
    while (**at && !is_word(**at))
        (*at)++;
    for (; is_word(**at); (*at)++)
        if (length + 1 < WORD_LENGTH)
            out[length++] = tn_ascii_lower(**at);
    out[length] = '\0';
    return length > 0;
}

static void read_question(const char *question, struct words *ret)
{
    char word[WORD_LENGTH];
    for (const char *at = question; ret->count < WORDS_MAX && next_word(&at, word);) {
        bool seen = strlen(word) < 2 || is_common(word);
        stem(word);
        for (size_t i = 0; i < ret->count; i++)
            seen = seen || tn_streq(ret->text[i], word);
        if (!seen)
            memcpy(ret->text[ret->count++], word, WORD_LENGTH);
    }
}

/* Raises the weight of each question's word that the text has. */
static void weigh_text(const struct words *words, const char *text, double weight, double *weights)
{
    char word[WORD_LENGTH];
    for (const char *at = text; at && next_word(&at, word);) {
        stem(word);
        for (size_t i = 0; i < words->count; i++)
            if (weights[i] < weight && tn_streq(words->text[i], word))
                weights[i] = weight;
    }
}

static void weigh_table(const struct words *words, const struct ask_table *table, double *weights)
{
    weigh_text(words, table->name, 4, weights);
    weigh_text(words, table->description, 2, weights);
    weigh_text(words, table->tags, 2, weights);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct ask_column *column = &table->columns[i];
        weigh_text(words, column->name, 2, weights);
        weigh_text(words, column->description, 1.5, weights);
        for (size_t k = 0; column->values && k < column->values->count; k++)
            weigh_text(words, column->values->values[k], 1.5, weights);
    }
}

static bool has_column(const struct ask_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (tn_str_equal_nocase(table->columns[i].name, name))
            return true;
    return false;
}

static bool joins(const struct ask_table *a, const struct ask_table *b)
{
    for (size_t i = 0; i < a->column_count; i++)
        if (a->columns[i].key && !tn_str_equal_nocase(a->columns[i].name, "id") && has_column(b, a->columns[i].name))
            return true;
    return false;
}

static int by_score(const void *a, const void *b)
{
    const struct ask_table *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* From the best ones, so that joining is looked at for few tables only. */
static void add_neighbours(struct ask_table *tables, size_t count)
{
    enum { FROM = 8 };
    size_t from = TN_MIN(count, FROM);
    double best[FROM];
    for (size_t i = 0; i < from; i++)
        best[i] = tables[i].score;
    for (size_t k = 0; k < count; k++) {
        double gift = 0;
        for (size_t i = 0; i < from; i++)
            if (i != k && best[i] / 4 > gift && (joins(&tables[i], &tables[k]) || joins(&tables[k], &tables[i])))
                gift = best[i] / 4;
        tables[k].score += gift;
    }
}

void ask_rank(const char *question, struct ask_table *tables, size_t count)
{
    TN_AUTO_FREE struct words *words = tn_calloc(1, sizeof *words);
    read_question(question, words);
    TN_AUTO_FREE double *weights = tn_calloc(tn_size_mul(count + 1, WORDS_MAX), sizeof *weights);
    for (size_t i = 0; i < count; i++)
        weigh_table(words, &tables[i], weights + i * WORDS_MAX);
    for (size_t i = 0; i < count; i++)
        tables[i].score = 0;
    for (size_t w = 0; w < words->count; w++) {
        size_t tables_with = 0;
        for (size_t i = 0; i < count; i++)
            tables_with += weights[i * WORDS_MAX + w] > 0;
        for (size_t i = 0; i < count && tables_with > 0; i++)
            tables[i].score += weights[i * WORDS_MAX + w] * log1p((double)count / (double)tables_with);
    }
    qsort(tables, count, sizeof *tables, by_score);
    add_neighbours(tables, count);
    qsort(tables, count, sizeof *tables, by_score);
}
