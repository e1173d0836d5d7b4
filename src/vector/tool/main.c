/* tarn-vector: build, search, judge and change vector indexes from the shell. */
#include "vector/tool/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"build",
     "build ROWS OUT [--metric cosine|ip|l2] [--threads N] [--degree M] [--ef-construction N] [--seed N]\n"
     "        [--raw f32|f16] [--bits 4|8] [--ids FILE] [--samples FILE] [--memory SIZE] [--limit N]",
     "Builds from .npy or .fvecs. OUT ending in .tvg is a lone generation, else the folder of an index.", 2, 2,
     command_build},
    {"search",
     "search INDEX QUERIES [--k N] [--recall R | --ef N | --exact | --scan] [--threads N] [--filter BITMAP]\n"
     "        [--out FILE] [--distances FILE] [--rounds N] [--cold]",
     "Searches every query; ids go to --out (.npy int64 or .ivecs). BITMAP: bit i passes id i.", 2, 2,
     command_search},
    {"eval",
     "eval INDEX QUERIES --truth FILE [--k N] [--windows 16,32,..] [--threads N] [--rounds N] [--filter BITMAP]",
     "Recall and speed for each window (ef), against true ids.", 2, 2, command_eval},
    {"insert", "insert INDEX ROWS [--ids FILE] [--fold]",
     "Inserts or replaces rows; ids default to following the largest.", 2, 2, command_insert},
    {"delete", "delete INDEX IDS [--fold]", "Deletes the rows whose ids the file lists.", 2, 2, command_delete},
    {"fold", "fold INDEX [--threads N]", "Builds the next generation from all changes and makes it active.", 1, 1,
     command_fold},
    {"rollback", "rollback INDEX", "Makes the previous generation active again, keeping later changes.", 1, 1,
     command_rollback},
    {"verify", "verify INDEX|GENERATION", "Reads everything and checks it.", 1, 1, command_verify},
    {"info", "info INDEX|GENERATION", "What an index holds.", 1, 1, command_info},
    {"truth", "truth ROWS QUERIES --out FILE [--k N] [--metric M] [--threads N] [--limit N] [--distances FILE]",
     "True nearest rows by brute force.", 2, 2, command_truth},
    {"generate", "generate PREFIX --rows N [--dims D] [--queries N] [--seed N] [--threads N] [--noise X] [--k N]",
     "Makes embedding-like rows, queries like them and queries unlike them, with the truth; prints how hard they "
     "are.",
     1, 1, command_generate},
    {"measure-insert", "measure-insert INDEX ROWS [--threads N] [--batch N] [--limit N]",
     "Inserts N rows (10,000) in calls of --batch (256), each durable, and looks for the last row after each call.",
     2, 2, command_measure_insert},
    {"measure-fold", "measure-fold INDEX ROWS QUERIES [--threads N] [--recall R] [--seconds S] [--limit N]",
     "Inserts ROWS, then times searches before, during and after a fold at low priority.", 3, 3,
     command_measure_fold},
    {"measure-churn",
     "measure-churn INDEX ROWS QUERIES [--rounds N] [--fraction X] [--recall R] [--queries N] [--threads N]",
     "Rounds (20) that each replace a tenth of an index of the first rows of ROWS by others of them, and fold; "
     "recall "
     "against exact search, before and after the fold.",
     3, 3, command_measure_churn},
};

static void print_usage(FILE *to)
{
    (void)fprintf(to, "tarn-vector %s (%s)\n\n", TARN_VERSION, vector_instruction_set());
    for (size_t i = 0; i < TN_COUNT(commands); i++)
        (void)fprintf(to, "  tarn-vector %s\n        %s\n", commands[i].usage, commands[i].help);
    (void)fprintf(to, "\nEvery command takes --json.\n");
}

struct option {
    const char *name;
    enum { OPTION_FLAG, OPTION_COUNT, OPTION_REAL, OPTION_TEXT, OPTION_SIZE } kind;
    void *to;
};

static enum tn_code set_option(const struct option *o, const char *value, struct tn_error *err)
{
    bool good = true;
    if (o->kind == OPTION_FLAG)
        *(bool *)o->to = true;
    else if (o->kind == OPTION_TEXT)
        *(const char **)o->to = value;
    else if (o->kind == OPTION_COUNT)
        good = tn_parse_u64(value, o->to);
    else if (o->kind == OPTION_SIZE)
        good = tn_parse_size(value, o->to);
    else
        good = tn_parse_double(value, o->to);
    return good ? TN_OK : tn_fail(err, TN_EUSAGE, "--%s: \"%s\" is not a number", o->name, value);
}

static enum tn_code parse(int argc, char **argv, struct arguments *a, struct tn_error *err)
{
    const char *metric = "cosine";
    const char *raw = "f32";
    const struct option options[] = {
        {"json", OPTION_FLAG, &a->json},
        {"exact", OPTION_FLAG, &a->exact},
        {"scan", OPTION_FLAG, &a->scan},
        {"cold", OPTION_FLAG, &a->cold},
        {"fold", OPTION_FLAG, &a->fold},
        {"quiet", OPTION_FLAG, &a->quiet},
        {"metric", OPTION_TEXT, &metric},
        {"raw", OPTION_TEXT, &raw},
        {"threads", OPTION_COUNT, &a->threads},
        {"ef-construction", OPTION_COUNT, &a->ef_construction},
        {"seed", OPTION_COUNT, &a->seed},
        {"degree", OPTION_COUNT, &a->degree},
        {"k", OPTION_COUNT, &a->k},
        {"ef", OPTION_COUNT, &a->ef},
        {"limit", OPTION_COUNT, &a->limit},
        {"rounds", OPTION_COUNT, &a->rounds},
        {"rows", OPTION_COUNT, &a->rows},
        {"dims", OPTION_COUNT, &a->dims},
        {"queries", OPTION_COUNT, &a->queries},
        {"bits", OPTION_COUNT, &a->bits},
        {"batch", OPTION_COUNT, &a->batch},
        {"memory", OPTION_SIZE, &a->memory},
        {"recall", OPTION_REAL, &a->recall},
        {"noise", OPTION_REAL, &a->noise},
        {"ood", OPTION_REAL, &a->ood},
        {"fraction", OPTION_REAL, &a->fraction},
        {"seconds", OPTION_REAL, &a->seconds},
        {"ids", OPTION_TEXT, &a->ids},
        {"out", OPTION_TEXT, &a->out},
        {"filter", OPTION_TEXT, &a->filter},
        {"samples", OPTION_TEXT, &a->samples},
        {"truth", OPTION_TEXT, &a->truth},
        {"windows", OPTION_TEXT, &a->windows},
        {"distances", OPTION_TEXT, &a->distances_out},
    };
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (a->file_count == (int)TN_COUNT(a->files))
                return tn_fail(err, TN_EUSAGE, "too many files: %s", argv[i]);
            a->files[a->file_count++] = argv[i];
            continue;
        }
        const struct option *found = NULL;
        const char *names[TN_COUNT(options)];
        for (size_t j = 0; j < TN_COUNT(options); j++) {
            names[j] = options[j].name;
            if (tn_streq(options[j].name, argv[i] + 2))
                found = &options[j];
        }
        if (!found) {
            const char *near = tn_suggest(argv[i] + 2, names, TN_COUNT(options));
            (void)tn_fail(err, TN_EUSAGE, "unknown option %s", argv[i]);
            if (near)
                tn_error_hint(err, "did you mean --%s?", near);
            return TN_EUSAGE;
        }
        if (found->kind != OPTION_FLAG && i + 1 == argc)
            return tn_fail(err, TN_EUSAGE, "%s needs a value", argv[i]);
        TN_TRY(set_option(found, found->kind == OPTION_FLAG ? "" : argv[i + 1], err));
        i += found->kind != OPTION_FLAG;
    }
    if (!vector_metric_parse(metric, &a->metric))
        return tn_fail(err, TN_EUSAGE, "--metric %s: cosine, ip and l2 are possible", metric);
    if (!tn_streq(raw, "f32") && !tn_streq(raw, "f16"))
        return tn_fail(err, TN_EUSAGE, "--raw %s: f32 and f16 are possible", raw);
    a->raw = tn_streq(raw, "f16") ? VECTOR_F16 : VECTOR_F32;
    if (a->threads > 256 || a->k > VECTOR_K_MAX || a->ef > VECTOR_WINDOW_MAX || a->dims > VECTOR_DIMENSIONS_MAX ||
        a->degree > 64 || a->ef_construction > 4096 || a->bits > 8 || a->batch > 1000000)
        return tn_fail(err, TN_EUSAGE, "a number is out of range");
    return TN_OK;
}

static enum tn_code run(int argc, char **argv, struct tn_error *err)
{
    const struct command *command = NULL;
    const char *names[TN_COUNT(commands)];
    for (size_t i = 0; i < TN_COUNT(commands); i++) {
        names[i] = commands[i].name;
        if (tn_streq(commands[i].name, argv[1]))
            command = &commands[i];
    }
    if (!command) {
        const char *near = tn_suggest(argv[1], names, TN_COUNT(commands));
        (void)tn_fail(err, TN_EUSAGE, "unknown command %s", argv[1]);
        tn_error_hint(err, near ? "did you mean %s?" : "tarn-vector --help lists them", near);
        return TN_EUSAGE;
    }
    struct arguments a = {
        .k = 10, .rounds = 1, .dims = 768, .queries = 1000, .seed = 1, .noise = 0.02, .ood = 0.8, .seconds = 3};
    TN_TRY(parse(argc - 2, argv + 2, &a, err));
    if (a.file_count < command->files_min || a.file_count > command->files_max || a.k == 0)
        return tn_fail(err, TN_EUSAGE, "usage: tarn-vector %s", command->usage);
    return command->run(&a, err);
}

int main(int argc, char **argv)
{
    tn_fault_init();
    if (argc < 2 || tn_streq(argv[1], "--help") || tn_streq(argv[1], "help")) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    struct tn_error error = {0};
    enum tn_code code = run(argc, argv, &error);
    if (code == TN_OK)
        return 0;
    (void)fprintf(stderr, "tarn-vector: %s\n", error.detail);
    if (error.hint[0])
        (void)fprintf(stderr, "  %s\n", error.hint);
    return tn_code_exit_status(code);
}
