/* What a language model said: any bytes. The checked text is text, its citations
 * name sources, and their quotes stand there. */
#include "fuzz.h"

#include "answer/sources.h"

#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
    "The notice period is six weeks. It must be given in writing.\n\nNobody works on Sundays.",
    "Welders need the D1.1 certificate, renewed every\n  three years. Pay is \"weekly\" [1] "
    "\xe2\x80\x9cnow\xe2\x80\x9d \xe2\x80\xa6",
};

static void check_citations(const struct checked *checked)
{
    for (size_t i = 0; i < checked->citation_count; i++) {
        const struct answer_citation *citation = &checked->citations[i];
        FUZZ_CHECK(citation->source >= 1 && citation->source <= 2);
        FUZZ_CHECK(strstr(texts[citation->source - 1], citation->quote) != NULL);
    }
    FUZZ_CHECK(checked->support >= 0 && checked->support <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct passage passages[2] = {0};
    struct source_part parts[2];
    struct source items[2];
    struct checked checked;
    if (size > 4096)
        return 0;
    for (uint32_t i = 0; i < 2; i++) {
        passages[i] = (struct passage){.chunk = {.doc_id = "d"}, .text = texts[i], .length = strlen(texts[i])};
        parts[i] = (struct source_part){&passages[i], 0};
        items[i] = (struct source){i + 1, texts[i], strlen(texts[i]), &parts[i], 1};
    }
    const struct sources sources = {.items = items, .count = 2};
    char *said = malloc(size ? size : 1);
    memcpy(said, data, size);
    cite_check(said, size, &sources, arena, &checked);
    check_citations(&checked);
    (void)rag_is_sentinel(said, size);
    (void)rag_rerank_read(said, size, passages, 2, arena);
    free(said);
    return 0;
}
