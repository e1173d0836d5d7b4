/* What a model said, held against its sources. */
#include "answer/sources.h"
#include "answer/words.h"

#include <math.h>

enum { NUMBERS_MAX = 32, QUOTE_MAX = 1200, QUOTE_WORDS = 3, NEAR_BYTES = 160, CITED_MAX = 300 };

enum mark_kind { MARK_QUOTE, MARK_NUMBERS, MARK_IMAGE };
struct mark {
    enum mark_kind kind;
    size_t begin, end;
    size_t inner, inner_end; /* of a quote: without its marks */
    uint32_t numbers[NUMBERS_MAX];
    size_t number_count;
    bool drop;
    const struct source *proof; /* of a quote: where it stands, and there */
    size_t proof_begin, proof_end;
};

struct check {
    const char *text;
    size_t length;
    const struct sources *sources;
    struct tn_arena *arena;
    struct mark *marks;
    size_t count;
    struct checked *ret;
};

/* ---- reading marks ------------------------------------------------------------------ */

static size_t opening(const char *text, size_t length, size_t at, bool *ret_curly)
{
    if (length - at >= 3 && memcmp(text + at, "\u201c", 3) == 0) {
        *ret_curly = true;
        return 3;
    }
    bool before = at == 0 || strchr(" \n\t(-:*", text[at - 1]) != NULL;
    *ret_curly = false;
    return text[at] == '"' && before && at + 1 < length && !strchr(" \n\t", text[at + 1]) ? 1 : 0;
}

/* "..." or its curly form, on lines that follow each other. */
static bool read_quote(const char *text, size_t length, size_t at, struct mark *ret)
{
    bool curly;
    size_t opened = opening(text, length, at, &curly);
    if (opened == 0)
        return false;
    for (size_t i = at + opened; i < length && i - at < QUOTE_MAX; i++) {
        if (text[i] == '\n' && i + 1 < length && text[i + 1] == '\n')
            return false;
        bool closes = curly ? length - i >= 3 && memcmp(text + i, "\u201d", 3) == 0
                            : text[i] == '"' && !strchr(" \n\t", text[i - 1]);
        if (!closes)
            continue;
        *ret = (struct mark){
            .kind = MARK_QUOTE, .begin = at, .end = i + (curly ? 3 : 1), .inner = at + opened, .inner_end = i};
        return true;
    }
    return false;
}

static size_t skip_word(const char *text, size_t length, size_t at, const char *word)
{
    size_t count = strlen(word);
    for (size_t i = 0; i < count; i++)
        if (at + i >= length || tn_ascii_lower(text[at + i]) != word[i])
            return at;
    return at + count;
}

/* [1], [1, 2], [1-3], [Source 2]. */
static bool read_numbers(const char *text, size_t length, size_t at, struct mark *ret)
{
    struct mark mark = {.kind = MARK_NUMBERS, .begin = at};
    bool range = false;
    if (text[at] != '[')
        return false;
    at = skip_word(text, length, at + 1, "source");
    at = skip_word(text, length, at, "s");
    for (; at < length && text[at] != ']'; at++) {
        if (text[at] == ' ' || text[at] == ',' || text[at] == ';')
            continue;
        if (text[at] == '-' && mark.number_count > 0) {
            range = true;
            continue;
        }
        uint32_t value = 0;
        size_t digits = 0;
        for (; at < length && text[at] >= '0' && text[at] <= '9' && digits < 6; at++, digits++)
            value = value * 10 + (uint32_t)(text[at] - '0');
        if (digits == 0)
            return false;
        at--;
        uint32_t from = range ? mark.numbers[mark.number_count - 1] + 1 : value;
        for (uint32_t n = from; n <= value && mark.number_count < NUMBERS_MAX; n++)
            mark.numbers[mark.number_count++] = n;
        range = false;
    }
    if (at >= length || mark.number_count == 0)
        return false;
    mark.end = at + 1;
    *ret = mark;
    return true;
}

/* ![text](address): whoever shows it would fetch it. */
static bool read_image(const char *text, size_t length, size_t at, struct mark *ret)
{
    if (length - at < 2 || text[at] != '!' || text[at + 1] != '[')
        return false;
    const char *middle = memmem(text + at, TN_MIN(length - at, (size_t)QUOTE_MAX), "](", 2);
    const char *close = middle ? memchr(middle, ')', (size_t)(text + length - middle)) : NULL;
    if (!close)
        return false;
    *ret = (struct mark){.kind = MARK_IMAGE, .begin = at, .end = (size_t)(close - text) + 1, .drop = true};
    return true;
}

static void read_marks(struct check *check)
{
    size_t capacity = 0;
    TN_AUTO_FREE struct mark *marks = NULL;
    for (size_t at = 0; at < check->length;) {
        struct mark mark;
        if (!read_quote(check->text, check->length, at, &mark) &&
            !read_numbers(check->text, check->length, at, &mark) &&
            !read_image(check->text, check->length, at, &mark)) {
            at++;
            continue;
        }
        TN_GROW(marks, check->count, capacity);
        marks[check->count++] = mark;
        at = mark.end;
    }
    check->marks = TN_ARENA_ARRAY(check->arena, struct mark, check->count + 1);
    if (check->count > 0)
        memcpy(check->marks, marks, check->count * sizeof *marks);
}

/* ---- judging --------------------------------------------------------------------------- */

static const struct source *source_of(const struct check *check, uint32_t number)
{
    return number >= 1 && number <= check->sources->count ? &check->sources->items[number - 1] : NULL;
}

static void drop(struct check *check, uint32_t number, const char *quote, size_t length, const char *reason)
{
    check->ret->dropped[check->ret->dropped_count++] =
        (struct answer_dropped){number, quote ? tn_arena_strndup(check->arena, quote, length) : NULL, reason};
}

static void judge_numbers(struct check *check, struct mark *mark)
{
    size_t kept = 0;
    for (size_t i = 0; i < mark->number_count; i++) {
        if (source_of(check, mark->numbers[i]))
            mark->numbers[kept++] = mark->numbers[i];
        else
            drop(check, mark->numbers[i], NULL, 0, "there is no source of this number");
    }
    mark->number_count = kept;
    mark->drop = kept == 0;
}

/* Whether nothing but a few words, and no end of a sentence, lies between. */
static bool belongs(const struct check *check, size_t from, size_t to)
{
    bool only_signs = true;
    if (to < from || to - from > NEAR_BYTES)
        return false;
    for (size_t i = from; i < to; i++)
        only_signs = only_signs && strchr(" .,;:!?)", check->text[i]) != NULL;
    for (size_t i = from; i < to && !only_signs; i++)
        if (check->text[i] == '\n' || ((check->text[i] == '.' || check->text[i] == '!' || check->text[i] == '?') &&
                                       i + 1 < to && check->text[i + 1] == ' '))
            return false;
    return true;
}

/* The numbers that a quote is given: those behind it, else those before. */
static struct mark *numbers_of(const struct check *check, size_t quote)
{
    const struct mark *mark = &check->marks[quote];
    if (quote + 1 < check->count && check->marks[quote + 1].kind == MARK_NUMBERS &&
        belongs(check, mark->end, check->marks[quote + 1].begin))
        return &check->marks[quote + 1];
    if (quote > 0 && check->marks[quote - 1].kind == MARK_NUMBERS &&
        belongs(check, check->marks[quote - 1].end, mark->begin))
        return &check->marks[quote - 1];
    return NULL;
}

static bool prove(const struct check *check, struct mark *quote, const struct source *source)
{
    if (!source || !cite_find(check->text + quote->inner, quote->inner_end - quote->inner, source->text,
                              source->length, check->arena, &quote->proof_begin, &quote->proof_end))
        return false;
    quote->proof = source;
    return true;
}

static size_t count_words(const char *text, size_t begin, size_t end)
{
    size_t words = 0;
    for (size_t i = begin; i < end; i++)
        words += text[i] != ' ' && text[i] != '\n' && (i == begin || text[i - 1] == ' ' || text[i - 1] == '\n');
    return words;
}

static void judge_quote(struct check *check, size_t index)
{
    struct mark *quote = &check->marks[index], *numbers = numbers_of(check, index);
    const char *words = check->text + quote->inner;
    size_t length = quote->inner_end - quote->inner;
    bool proven = false, longer = count_words(check->text, quote->inner, quote->inner_end) >= QUOTE_WORDS;
    for (size_t i = 0; numbers && i < numbers->number_count && !proven; i++)
        proven = prove(check, quote, source_of(check, numbers->numbers[i]));
    if (proven || !longer)
        return;
    if (numbers) {
        quote->drop = true;
        drop(check, numbers->number_count ? numbers->numbers[0] : 0, words, length, "the source does not say this");
        if (numbers->begin >= quote->end)
            numbers->drop = true;
        return;
    }
    for (size_t i = 0; i < check->sources->count && !proven; i++)
        proven = prove(check, quote, &check->sources->items[i]);
    check->ret->unproven += !proven;
}

static void judge(struct check *check)
{
    size_t most = 0;
    for (size_t i = 0; i < check->count; i++)
        most += 1 + check->marks[i].number_count;
    check->ret->dropped = TN_ARENA_ARRAY(check->arena, struct answer_dropped, most + 1);
    for (size_t i = 0; i < check->count; i++) {
        if (check->marks[i].kind == MARK_NUMBERS)
            judge_numbers(check, &check->marks[i]);
        if (check->marks[i].kind == MARK_IMAGE)
            drop(check, 0, check->text + check->marks[i].begin, check->marks[i].end - check->marks[i].begin,
                 "an answer shows no images");
    }
    for (size_t i = 0; i < check->count; i++)
        if (check->marks[i].kind == MARK_QUOTE)
            judge_quote(check, i);
}

/* ---- what stays ---------------------------------------------------------------------------- */

static void put_numbers(const struct mark *mark, struct tn_buf *out)
{
    for (size_t i = 0; i < mark->number_count; i++)
        tn_buf_printf(out, "[%u]", mark->numbers[i]);
}

static void put_text(struct check *check)
{
    TN_AUTO_BUF out = {0};
    size_t at = 0;
    for (size_t i = 0; i < check->count; i++) {
        const struct mark *mark = &check->marks[i];
        tn_buf_append(&out, check->text + at, mark->begin - at);
        at = mark->end;
        if (mark->drop && mark->kind == MARK_QUOTE)
            tn_buf_puts(&out, "[quote removed]");
        else if (mark->drop)
            while (out.len > 0 && out.data[out.len - 1] == ' ')
                out.data[--out.len] = '\0';
        else if (mark->kind == MARK_NUMBERS)
            put_numbers(mark, &out);
        else
            tn_buf_append(&out, check->text + mark->begin, mark->end - mark->begin);
    }
    tn_buf_append(&out, check->text + at, check->length - at);
    while (out.len > 0 && strchr(" \n\t", out.data[out.len - 1]))
        out.data[--out.len] = '\0';
    check->ret->text = tn_arena_strndup(check->arena, out.data ? out.data : "", out.len);
}

/* The sentence of a source that has most of some words. */
static struct answer_span best_sentence(const struct source *source, const struct answer_words *words,
                                        struct tn_arena *arena)
{
    struct answer_span *spans, best = {0, 0};
    size_t count = answer_sentences(source->text, source->length, arena, &spans);
    double most = -1;
    for (size_t i = 0; i < count; i++) {
        struct answer_words own =
            answer_words_of(source->text + spans[i].begin, spans[i].end - spans[i].begin, arena);
        double share = answer_words_share(words, &own);
        if (share > most) {
            most = share;
            best = spans[i];
        }
    }
    return best;
}

static void add_citation(struct check *check, const struct source *source, size_t begin, size_t end)
{
    const struct answer_chunk *chunk = source_chunk(source, begin);
    size_t length = tn_utf8_floor(source->text + begin, end - begin, TN_MIN(end - begin, (size_t)CITED_MAX));
    const char *quote = tn_arena_strndup(check->arena, source->text + begin, length);
    struct checked *ret = check->ret;
    for (size_t i = 0; i < ret->citation_count; i++)
        if (ret->citations[i].source == source->number && tn_streq(ret->citations[i].quote, quote))
            return;
    ret->citations[ret->citation_count++] = (struct answer_citation){.source = source->number,
                                                                     .doc_id = chunk->doc_id,
                                                                     .chunk_no = chunk->chunk_no,
                                                                     .quote = quote,
                                                                     .title = chunk->title,
                                                                     .page = chunk->page};
}

/* The words that a group of numbers vouches for: its sentence, or the one before
 * when the numbers stand behind the full stop. */
static struct answer_words words_before(const struct check *check, const struct answer_span *spans, size_t count,
                                        size_t at)
{
    size_t i = 0;
    while (i + 1 < count && spans[i + 1].begin <= at)
        i++;
    for (; count > 0; i--) {
        size_t end = TN_MAX(spans[i].begin, TN_MIN(at, spans[i].end));
        struct answer_words words = answer_words_of(check->text + spans[i].begin, end - spans[i].begin, check->arena);
        if (words.count > 0 || i == 0)
            return words;
    }
    return (struct answer_words){0};
}

static void cite(struct check *check)
{
    struct answer_span *spans;
    size_t span_count = answer_sentences(check->text, check->length, check->arena, &spans), most = 0;
    for (size_t i = 0; i < check->count; i++)
        most += 1 + check->marks[i].number_count;
    check->ret->citations = TN_ARENA_ARRAY(check->arena, struct answer_citation, most + 1);
    for (size_t i = 0; i < check->count; i++) {
        const struct mark *mark = &check->marks[i];
        if (mark->kind == MARK_QUOTE && mark->proof)
            add_citation(check, mark->proof, mark->proof_begin, mark->proof_end);
        if (mark->kind != MARK_NUMBERS || mark->drop)
            continue;
        const struct mark *quote = i > 0 && check->marks[i - 1].kind == MARK_QUOTE ? &check->marks[i - 1] : NULL;
        struct answer_words words = words_before(check, spans, span_count, mark->begin);
        for (size_t n = 0; n < mark->number_count; n++) {
            const struct source *source = source_of(check, mark->numbers[n]);
            if (quote && quote->proof == source && belongs(check, quote->end, mark->begin))
                continue; /* its words stand there already */
            struct answer_span best = best_sentence(source, &words, check->arena);
            add_citation(check, source, best.begin, best.end);
        }
    }
}

/* The numbers are ours to count, not words that a source must have. */
static void put_said(const struct checked *checked, struct tn_buf *out)
{
    size_t length = strlen(checked->text);
    struct mark mark;
    for (size_t at = 0; at < length;) {
        if (read_numbers(checked->text, length, at, &mark))
            at = mark.end;
        else
            tn_buf_putc(out, checked->text[at++]);
    }
}

static double support(const struct check *check)
{
    TN_AUTO_BUF all = {0};
    TN_AUTO_BUF answer = {0};
    put_said(check->ret, &answer);
    for (size_t i = 0; i < check->sources->count; i++) {
        tn_buf_append(&all, check->sources->items[i].text, check->sources->items[i].length);
        tn_buf_putc(&all, '\n');
    }
    struct answer_words said = answer_words_of(answer.data ? answer.data : "", answer.len, check->arena);
    struct answer_words there = answer_words_of(all.data ? all.data : "", all.len, check->arena);
    return answer_words_share(&said, &there);
}

void cite_check(const char *answer, size_t length, const struct sources *sources, struct tn_arena *arena,
                struct checked *ret)
{
    *ret = (struct checked){0};
    struct check check = {.text = answer, .length = length, .sources = sources, .arena = arena, .ret = ret};
    read_marks(&check);
    judge(&check);
    put_text(&check);
    cite(&check);
    ret->support = support(&check);
}
