/* Queries of any kind: the expression is one that FTS5 accepts. */
#include "index/keyword.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keyword_reader *reader;

static bool take(void *context, int64_t id, double score)
{
    (void)context;
    (void)id;
    (void)score;
    return true;
}

static void open_once(void)
{
    static struct keyword_writer *writer;
    struct tn_error err = {0};
    if (reader)
        return;
    char folder[] = "/tmp/tarn-fuzz-XXXXXX", path[64];
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/words.db", folder);
    if (keyword_writer_open(path, true, &writer, &err) != TN_OK || keyword_reader_open(path, &reader, &err) != TN_OK)
        abort();
    if (tn_remove_tree(folder, NULL) != TN_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_AUTO_BUF expression = {0};
    struct tn_error err = {0};
    open_once();
    if (!keyword_query((const char *)data, size, &expression))
        return 0;
    const struct keyword_search search = {.expression = expression.data, .each = take, .most = 10};
    if (keyword_search(reader, &search, &err) != TN_OK)
        abort();
    return 0;
}
