/* The chunker: examples by table, and properties over made-up texts. */
#include "base/test_support.h"
#include "document/chunk.h"
#include "document/text.h"

#include <string.h>

/* A stand-in tokenizer: words of letters and digits cost one for every four
 * bytes begun, any other visible character one. */
static uint32_t count_tokens(void *context, const char *text, size_t length)
{
    uint32_t count = 0, c;
    size_t run = 0;
    (void)context;
    for (size_t at = 0; at < length;) {
        size_t size = text_decode(text + at, length - at, &c);
        bool letter = c >= 0x80 ? !text_is_space(c) && !text_is_ideograph(c) : (c | 32) - 'a' < 26 || c - '0' < 10;
        count += letter ? run % 4 == 0 : !text_is_space(c);
        run = letter ? run + 1 : 0;
        at += size;
    }
    return count;
}

static struct document_chunk_options by_tokens(uint32_t size, uint32_t overlap)
{
    return (struct document_chunk_options){
        .unit = DOCUMENT_CHUNK_TOKENS, .size = size, .overlap = overlap, .count = count_tokens};
}

static struct document_chunk_options by_characters(uint32_t size, uint32_t overlap)
{
    return (struct document_chunk_options){.unit = DOCUMENT_CHUNK_CHARACTERS, .size = size, .overlap = overlap};
}

/* "[chunk][chunk]", line feeds shown as |. */
static void draw(const char *text, const struct document_chunk_options *options, bool headings, struct tn_buf *out)
{
    struct document_chunker chunker;
    struct document_chunk chunk;
    document_chunker_init(&chunker, text, strlen(text), options);
    while (document_chunker_next(&chunker, &chunk)) {
        tn_buf_putc(out, '[');
        if (headings)
            tn_buf_printf(out, "%s: ", chunk.heading);
        for (size_t i = 0; i < chunk.length; i++)
            tn_buf_putc(out, text[chunk.start + i] == '\n' ? '|' : text[chunk.start + i]);
        tn_buf_putc(out, ']');
    }
    document_chunker_release(&chunker);
}

static void test_where_it_cuts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t size, overlap;
        const char *want;
    } cases[] = {
        {"", 20, 0, ""},
        {" \n\t\n ", 20, 0, ""},
        {"One. Two. Three.", 9, 0, "[One. Two.][Three.]"},
        {"  One.  ", 9, 0, "[One.]"},
        {"Dr. Who met J. Smith. He left.", 22, 0, "[Dr. Who met J. Smith.][He left.]"},
        {"See e.g. this. And v. 2.0 there.", 18, 0, "[See e.g. this.][And v. 2.0 there.]"},
        {"\"Stop!\" he said. (Why?) Nobody knew.", 16, 0, "[\"Stop!\" he said.][(Why?)][Nobody knew.]"},
        {"今天下雨。我们在家。很好！", 7, 0, "[今天下雨。][我们在家。][很好！]"},
        {"aaaaaaaaaaaaaaaaaaaaaa", 10, 0, "[aaaaaaaaaa][aaaaaaaaaa][aa]"},
        {"e\u0301e\u0301e\u0301e\u0301", 3, 0, "[e\u0301][e\u0301][e\u0301][e\u0301]"},
        {"one two three four five six", 13, 0, "[one two three][four five six]"},
        {"- first item\n- second item\n- third", 24, 0, "[- first item][- second item|- third]"},
        {"A line that\nwraps here. Next.", 23, 0, "[A line that|wraps here.][Next.]"},
        {"Para one\n\nPara two\n\nPara three", 18, 0, "[Para one||Para two][Para three]"},
        {"a\tb\nc\td\n", 4, 0, "[a\tb][c\td]"},
        {"One. Two. Six. Ten. Elf.", 14, 5, "[One. Two. Six.][Six. Ten. Elf.]"},
        {"One two three four five. Six.", 24, 10, "[One two three four five.][four five. Six.]"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF out = {0};
        const struct document_chunk_options options = by_characters(cases[i].size, cases[i].overlap);
        draw(cases[i].text, &options, false, &out);
        assert_string_equal(out.data ? out.data : "", cases[i].want);
    }
}

static void test_headings(void **state)
{
    (void)state;
    static const char text[] = "Before.\n\n# Guide\n\n## Setup ##\n\nInstall it first. Then run it.\n\n"
                               "```\n# no heading\nx = 1\n```\n## Use\nType a question and wait.\n# End\nBye.";
    TN_AUTO_BUF out = {0};
    const struct document_chunk_options options = by_characters(60, 0);
    draw(text, &options, true, &out);
    assert_string_equal(out.data, "[: Before.||# Guide||## Setup ##||Install it first.]"
                                  "[Guide > Setup: Then run it.||```|# no heading|x = 1|```]"
                                  "[Guide > Use: ## Use|Type a question and wait.][End: # End|Bye.]");
}

static void test_headings_off(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct document_chunk_options options = by_characters(12, 0);
    options.no_headings = true;
    draw("# one two\nthree four", &options, true, &out);
    assert_string_equal(out.data, "[: # one two][: three four]");
}

/* ---- properties -------------------------------------------------------------------------- */

static uint64_t roll(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

/* Texts of all the things that make cutting hard. */
static void invent(uint64_t *seed, struct tn_buf *out)
{
    static const char *const parts[] = {
        "word",
        "Another",
        "x",
        "Dr.",
        "e.g.",
        "3.14",
        ".",
        "!",
        "?",
        "…",
        "。",
        "今天",
        "テスト",
        "e\u0301",
        "👨‍👩‍👧",
        "🇩🇪",
        "👍🏽",
        "नमस्ते",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "\n# Heading\n",
        "\n## Sub heading\n",
        "\n- item ",
        "\n```\n",
        "\f",
        "\u00A0",
        "\u3000",
        "\"",
        ")",
        "Donaudampfschifffahrtsgesellschaft",
        " \u0301",
        "\xFF",
        "#",
    };
    size_t count = roll(seed) % 120;
    for (size_t i = 0; i < count; i++) {
        tn_buf_puts(out, parts[roll(seed) % TN_COUNT(parts)]);
        if (roll(seed) % 3)
            tn_buf_putc(out, ' ');
    }
}

static bool all_space(const char *text, size_t length)
{
    uint32_t c;
    for (size_t at = 0; at < length;) {
        at += text_decode(text + at, length - at, &c);
        if (!text_is_space(c))
            return false;
    }
    return true;
}

/* Whether a cut at `at` keeps what belongs together: the cluster that began before ends by there. */
static bool between_clusters(const char *text, size_t length, size_t at)
{
    size_t from = 0;
    while (from < at)
        from += text_cluster(text + from, length - from);
    return from == at;
}

static void check_chunks(const char *text, size_t length, const struct document_chunk_options *options)
{
    struct document_chunker chunker;
    struct document_chunk chunk;
    size_t end = 0, last_start = 0, number = 0;
    document_chunker_init(&chunker, text, length, options);
    while (document_chunker_next(&chunker, &chunk)) {
        assert_true(chunk.length > 0 && chunk.start + chunk.length <= length);
        assert_true(chunk.start + chunk.length > end);        /* it brings something new */
        assert_true(number == 0 || chunk.start > last_start); /* and leaves something behind */
        if (options->overlap == 0)
            assert_true(chunk.start >= end);
        if (chunk.start > end)
            assert_true(all_space(text + end, chunk.start - end));
        assert_true(between_clusters(text, length, chunk.start));
        uint32_t units = options->unit == DOCUMENT_CHUNK_TOKENS
                             ? count_tokens(NULL, text + chunk.start, chunk.length)
                             : (uint32_t)text_characters(text + chunk.start, chunk.length);
        assert_int_equal(units, chunk.tokens);
        if (units > options->size)
            assert_int_equal(text_cluster(text + chunk.start, chunk.length), chunk.length);
        if (chunk.start < end) {
            size_t shared = end - chunk.start;
            uint32_t again = options->unit == DOCUMENT_CHUNK_TOKENS
                                 ? count_tokens(NULL, text + chunk.start, shared)
                                 : (uint32_t)text_characters(text + chunk.start, shared);
            assert_true(again <= options->overlap);
        }
        last_start = chunk.start;
        end = chunk.start + chunk.length;
        number++;
    }
    assert_true(all_space(text + end, length - end));
    document_chunker_release(&chunker);
}

static void test_properties(void **state)
{
    (void)state;
    uint64_t seed = 20240607;
    for (int round = 0; round < 4000; round++) {
        TN_AUTO_BUF text = {0};
        invent(&seed, &text);
        uint32_t size = (uint32_t)(2 + roll(&seed) % 60), overlap = (uint32_t)(roll(&seed) % (size / 2 + 1));
        struct document_chunk_options options =
            roll(&seed) % 2 ? by_tokens(size, overlap) : by_characters(size, overlap);
        options.overlap = roll(&seed) % 2 ? overlap : 0;
        check_chunks(text.data ? text.data : "", text.len, &options);
    }
}

/* One sentence of a megabyte: the work must stay linear, and the memory that of one chunk. */
static void test_endless_sentence(void **state)
{
    (void)state;
    TN_AUTO_BUF text = {0};
    for (int i = 0; i < 100000; i++)
        tn_buf_puts(&text, i % 1000 ? "lorem ipsum " : "\n# heading of a section\n");
    const struct document_chunk_options options = by_tokens(256, 32);
    struct document_chunker chunker;
    struct document_chunk chunk;
    size_t chunks = 0, covered = 0;
    document_chunker_init(&chunker, text.data, text.len, &options);
    for (; document_chunker_next(&chunker, &chunk); chunks++)
        covered = chunk.start + chunk.length;
    assert_true(chunks > 100 && covered > text.len - 10);
    assert_true(chunker.capacity < 4096);
    document_chunker_release(&chunker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_cuts),    cmocka_unit_test(test_headings),
        cmocka_unit_test(test_headings_off),     cmocka_unit_test(test_properties),
        cmocka_unit_test(test_endless_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
