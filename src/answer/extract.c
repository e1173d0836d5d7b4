/* An answer without a language model: the sentences that match. */
#include "answer/sources.h"
#include "answer/words.h"

#include <math.h>

enum {
    LOOK_MOST = 6,    /* sentences whose meaning is looked at: each costs the embedder one to two milliseconds */
    TAKE_MOST = 4,    /* sentences of an answer */
    OF_ONE = 2,       /* of one source */
    LENGTH_LEAST = 20 /* bytes; headings and lone words say nothing */
};
#define WORD_WEIGHT 0.35 /* beside the nearness in meaning */
#define FLOOR_SHARE 0.75 /* of the best score, that others must reach */

struct sentence {
    const struct source *source;
    struct answer_span span;
    double words, nearness, score;
    bool taken;
};

/* By words, then by the source's rank, then by place. */
static bool before(const struct sentence *a, const struct sentence *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    if (a->source->number != b->source->number)
        return a->source->number < b->source->number;
    return a->span.begin < b->span.begin;
}

static int by_score(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

static int by_place(const void *a, const void *b)
{
    const struct sentence *x = a, *y = b;
    if (x->source->number != y->source->number)
        return x->source->number < y->source->number ? -1 : 1;
    return (x->span.begin > y->span.begin) - (x->span.begin < y->span.begin);
}

static size_t read_sentences(const char *question, const struct sources *sources, struct tn_arena *arena,
                             struct sentence **ret)
{
    struct answer_words asked = answer_words_of(question, strlen(question), arena);
    size_t count = 0, capacity = 0;
    TN_AUTO_FREE struct sentence *all = NULL;
    for (size_t i = 0; i < sources->count; i++) {
        struct answer_span *spans;
        size_t spans_count = answer_sentences(sources->items[i].text, sources->items[i].length, arena, &spans);
        for (size_t s = 0; s < spans_count; s++) {
            size_t length = spans[s].end - spans[s].begin;
            if (length < LENGTH_LEAST && spans_count > 1)
                continue;
            struct answer_words said = answer_words_of(sources->items[i].text + spans[s].begin, length, arena);
            TN_GROW(all, count, capacity);
            double share = answer_words_share(&asked, &said);
            /* The best source's sentences are looked at even without a common word. */
            all[count++] = (struct sentence){
                .source = &sources->items[i], .span = spans[s], .words = share, .score = share - 0.02 * (double)i};
        }
    }
    *ret = TN_ARENA_ARRAY(arena, struct sentence, count + 1);
    if (count > 0)
        memcpy(*ret, all, count * sizeof **ret);
    return count;
}

static enum tn_code look_at_meaning(struct sentence *sentences, size_t count, const struct nearness *nearness,
                                    struct tn_error *err)
{
    struct model_text texts[LOOK_MOST];
    double near[LOOK_MOST];
    if (nearness) {
        for (size_t i = 0; i < count; i++)
            texts[i] = (struct model_text){sentences[i].source->text + sentences[i].span.begin,
                                           sentences[i].span.end - sentences[i].span.begin};
        TN_TRY(nearness->of(nearness->context, texts, count, near, err));
    }
    for (size_t i = 0; i < count; i++) {
        sentences[i].nearness = nearness ? near[i] : 0;
        sentences[i].score = nearness ? near[i] + WORD_WEIGHT * sentences[i].words : sentences[i].words;
    }
    return TN_OK;
}

static bool repeats(const struct sentence *sentences, size_t count, const struct sentence *one,
                    struct tn_arena *arena)
{
    for (size_t i = 0; i < count; i++)
        if (sentences[i].taken &&
            answer_near_copy(sentences[i].source->text + sentences[i].span.begin,
                             sentences[i].span.end - sentences[i].span.begin, one->source->text + one->span.begin,
                             one->span.end - one->span.begin, arena))
            return true;
    return false;
}

static void choose(struct sentence *sentences, size_t count, struct tn_arena *arena)
{
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < TAKE_MOST; i++) {
        size_t same = 0;
        for (size_t j = 0; j < i; j++)
            same += sentences[j].taken && sentences[j].source == sentences[i].source;
        if (same >= OF_ONE || sentences[i].score < FLOOR_SHARE * sentences[0].score ||
            repeats(sentences, i, &sentences[i], arena))
            continue;
        sentences[i].taken = true;
        taken++;
    }
}

/* A sentence as one line; the citation keeps it as it stands. */
static void put_line(struct tn_buf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool blank = text[i] == '\n' || text[i] == '\r' || text[i] == '\t' || text[i] == ' ';
        if (!blank)
            tn_buf_putc(out, text[i]);
        else if (out->len > 0 && out->data[out->len - 1] != ' ')
            tn_buf_putc(out, ' ');
    }
}

static void write_out(struct sentence *sentences, size_t count, struct tn_arena *arena, struct checked *ret)
{
    TN_AUTO_BUF out = {0};
    ret->citations = TN_ARENA_ARRAY(arena, struct answer_citation, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct sentence *sentence = &sentences[i];
        if (!sentence->taken)
            continue;
        const char *text = sentence->source->text + sentence->span.begin;
        size_t length = sentence->span.end - sentence->span.begin;
        const struct answer_chunk *chunk = source_chunk(sentence->source, sentence->span.begin);
        if (out.len > 0)
            tn_buf_putc(&out, '\n');
        put_line(&out, text, length);
        tn_buf_printf(&out, " [%u]", sentence->source->number);
        ret->citations[ret->citation_count++] =
            (struct answer_citation){.source = sentence->source->number,
                                     .doc_id = chunk->doc_id,
                                     .chunk_no = chunk->chunk_no,
                                     .quote = tn_arena_strndup(arena, text, length),
                                     .title = chunk->title,
                                     .page = chunk->page};
    }
    ret->text = tn_arena_strndup(arena, out.data ? out.data : "", out.len);
}

enum tn_code extract_answer(const char *question, const struct sources *sources, const struct nearness *nearness,
                            struct tn_arena *arena, struct checked *ret, struct tn_error *err)
{
    struct sentence *sentences;
    struct checked made = {.support = 1};
    size_t count = read_sentences(question, sources, arena, &sentences);
    if (count > 0)
        qsort(sentences, count, sizeof *sentences, by_score);
    count = TN_MIN(count, (size_t)LOOK_MOST);
    TN_TRY(look_at_meaning(sentences, count, nearness, err));
    if (count > 0)
        qsort(sentences, count, sizeof *sentences, by_score);
    choose(sentences, count, arena);
    if (count > 0)
        qsort(sentences, count, sizeof *sentences, by_place);
    write_out(sentences, count, arena, &made);
    *ret = made;
    return TN_OK;
}
