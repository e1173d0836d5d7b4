/* What the build and developers do with assets; not installed.
 *
 *   embed_tool ASSET                 rates at several lengths, one thread
 *   embed_tool ASSET FILE OUT.f32    vectors of the lines of FILE
 *   embed_tool ASSET FILE -          token ids of the lines of FILE
 *   embed_tool --import DIR ASSET    make an asset
 */
#include "embed/embed.h"

#include "base/base.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(const struct tn_error *err)
{
    (void)fprintf(stderr, "%s\n", err->detail);
    if (err->hint[0])
        (void)fprintf(stderr, "%s\n", err->hint);
    exit(1);
}

/* Best of several rounds of about a third of a second. */
static void measure(const struct embed_model *model, struct embed_scratch *scratch, size_t tokens)
{
    TN_AUTO_BUF text = {0};
    static const char *const words[] = {"lake ", "river ", "stone ", "cloud ", "table ", "glass ", "seven "};
    for (size_t i = 0; i + 2 < tokens; i++)
        tn_buf_puts(&text, words[i % TN_COUNT(words)]);
    float *out = tn_calloc(embed_model_info(model)->dimension, sizeof *out);
    struct embed_text one = {text.data, text.len};
    struct embed_count count = {0};
    struct tn_error err = {0};
    double best = 1e9;
    for (int round = 0; round < 6; round++) {
        double start = cpu_seconds();
        size_t runs = 0;
        for (; cpu_seconds() - start < 0.3; runs++)
            if (embed_encode(model, scratch, EMBED_PLAIN, &one, 1, out, &count, &err) != TN_OK)
                fail(&err);
        best = TN_MIN(best, (cpu_seconds() - start) / (double)runs);
    }
    (void)printf("%4u tokens  %8.3f ms  %7.1f texts/s\n", count.tokens, best * 1e3, 1 / best);
    free(out);
}

static void rates(const struct embed_model *model, struct embed_scratch *scratch)
{
    static const size_t lengths[] = {8, 14, 32, 64, 128, 256, 512};
    for (size_t i = 0; i < TN_COUNT(lengths); i++)
        if (lengths[i] <= embed_model_info(model)->max_tokens)
            measure(model, scratch, lengths[i]);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("resident at most %.1f MB\n", (double)usage.ru_maxrss / 1024);
}

static void print_tokens(const struct embed_model *model, struct embed_text text)
{
    uint32_t ids[512];
    size_t count = embed_tokenize(model, EMBED_PLAIN, text, ids, NULL, TN_COUNT(ids), NULL);
    for (size_t i = 0; i < count; i++)
        (void)printf("%s%u", i ? " " : "", ids[i]);
    (void)printf("\n");
}

static void lines(const struct embed_model *model, struct embed_scratch *scratch, const char *in, const char *out)
{
    FILE *from = fopen(in, "r");
    FILE *to = tn_streq(out, "-") ? NULL : fopen(out, "wb");
    if (!from || (!to && !tn_streq(out, "-")))
        exit(1);
    TN_AUTO_FREE float *vector = tn_calloc(embed_model_info(model)->dimension, sizeof *vector);
    TN_AUTO_FREE char *line = NULL;
    size_t room = 0;
    ssize_t length;
    struct tn_error err = {0};
    while ((length = getline(&line, &room, from)) > 0) {
        struct embed_text text = {line, (size_t)(length - (line[length - 1] == '\n'))};
        if (!to) {
            print_tokens(model, text);
            continue;
        }
        if (embed_encode(model, scratch, EMBED_PLAIN, &text, 1, vector, NULL, &err) != TN_OK)
            fail(&err);
        (void)fwrite(vector, sizeof *vector, embed_model_info(model)->dimension, to);
    }
    (void)fclose(from);
    if (to)
        (void)fclose(to);
}

int main(int argc, char **argv)
{
    struct tn_error err = {0};
    if (argc == 4 && tn_streq(argv[1], "--import")) {
        if (embed_model_import(argv[2], argv[3], NULL, &err) != TN_OK)
            fail(&err);
        return 0;
    }
    if (argc != 2 && argc != 4) {
        (void)fprintf(stderr, "usage: embed_tool ASSET [LINES OUT.f32|-] | --import DIR ASSET\n");
        return 2;
    }
    TN_CLEANUP(embed_model_close_p) struct embed_model *model = NULL;
    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    double start = cpu_seconds();
    if (embed_model_open(argv[1], &model, &err) != TN_OK || embed_scratch_new(model, &scratch, &err) != TN_OK)
        fail(&err);
    const struct embed_info *info = embed_model_info(model);
    (void)fprintf(stderr, "%s %.16s: %u dimensions, %u tokens, %s, opened in %.1f ms, %s\n", info->name, info->digest,
                  info->dimension, info->max_tokens, info->pooling == EMBED_POOL_CLS ? "cls" : "mean",
                  (cpu_seconds() - start) * 1e3, info->kernel);
    if (argc == 2)
        rates(model, scratch);
    else
        lines(model, scratch, argv[2], argv[3]);
    return 0;
}
