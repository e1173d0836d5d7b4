/* tarn_sim: runs histories, names the seed of any that breaks.
 *
 *     tarn_sim [--histories N] [--first SEED] [--omit WHAT] [--must-break]
 *
 * TARN_SIM_SEED=n runs that one and tells all that happens. With --omit the
 * disk leaves something out that it was asked to do; --must-break turns the
 * result around: the histories must then notice. */
#include "tests/sim/sim.h"
#include "tests/sim/wrap.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *word;
    enum disk_omission omission;
} omissions[] = {
    {"folder-fsync", DISK_OMITS_FOLDER_FSYNC},         {"file-fsync", DISK_OMITS_FILE_FSYNC},
    {"new-folder-fsync", DISK_OMITS_NEW_FOLDER_FSYNC}, {"pointer-fsync", DISK_OMITS_POINTER_FSYNC},
    {"exclusive-link", DISK_OMITS_EXCLUSIVE_LINK},     {"recovery", DISK_OMITS_RECOVERY},
};

static char last_words[96];

static void on_abort(int number)
{
    ssize_t ignored = __real_write(STDERR_FILENO, last_words, strlen(last_words));
    (void)ignored;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

struct options {
    uint64_t histories, first;
    enum disk_omission omission;
    bool must_break, log;
};

static bool read_options(int argc, char **argv, struct options *ret)
{
    const char *seed = getenv("TARN_SIM_SEED");
    *ret = (struct options){.histories = 300, .first = 1};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (tn_streq(argv[i], "--must-break")) {
            ret->must_break = true;
            continue;
        }
        i++;
        if (tn_streq(argv[i - 1], "--histories") && tn_parse_u64(value, &ret->histories))
            continue;
        if (tn_streq(argv[i - 1], "--first") && tn_parse_u64(value, &ret->first))
            continue;
        for (size_t k = 0; k < TN_COUNT(omissions) && tn_streq(argv[i - 1], "--omit"); k++)
            if (tn_streq(value, omissions[k].word))
                ret->omission = omissions[k].omission;
        if (!ret->omission)
            return false;
    }
    if (seed && *seed) {
        ret->histories = 1;
        ret->log = true;
        return tn_parse_u64(seed, &ret->first);
    }
    return true;
}

struct totals {
    uint64_t acts, crashes, acknowledged, broken;
    struct disk_counts disk;
};

static void run_one(const struct options *options, uint64_t seed, struct totals *totals)
{
    struct sim sim;
    (void)snprintf(last_words, sizeof last_words, "aborted: TARN_SIM_SEED=%llu replays it\n",
                   (unsigned long long)seed);
    if (options->log)
        (void)printf("seed %llu\n", (unsigned long long)seed);
    disk_set_omission(options->omission);
    bool fine = sim_run(&sim, seed, options->log);
    const struct disk_counts counts = disk_counts();
    totals->acts += sim.acts;
    totals->crashes += sim.crashes;
    totals->acknowledged += sim.acknowledged;
    totals->disk.calls += counts.calls;
    totals->disk.fsyncs += counts.fsyncs;
    totals->disk.faults += counts.faults;
    if (!fine) {
        totals->broken++;
        if (!options->must_break || totals->broken == 1)
            (void)printf("seed %llu breaks after %u acts and %u crashes: %s\n  TARN_SIM_SEED=%llu replays it\n",
                         (unsigned long long)seed, sim.acts, sim.crashes, sim.why, (unsigned long long)seed);
        (void)fflush(stdout);
    }
    disk_end();
    tn_arena_free(sim.arena);
}

/* A long run says how far it is; a short one only how it ended. */
static void tell_progress(uint64_t done, const struct options *options, const struct totals *totals, uint64_t began)
{
    if (done % 1000 || done == options->histories)
        return;
    (void)printf("%llu of %llu histories, %llu broke, %.0f s\n", (unsigned long long)done,
                 (unsigned long long)options->histories, (unsigned long long)totals->broken,
                 (double)(tn_mono_ns() - began) / 1e9);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct options options;
    struct totals totals = {0};
    struct tn_error err = {0};
    if (!read_options(argc, argv, &options) || tn_random_init(&err) != TN_OK) {
        (void)fprintf(stderr, "tarn_sim [--histories N] [--first SEED] [--omit WHAT] [--must-break]\n");
        return 2;
    }
    tn_log_configure(options.log ? TN_LOG_INFO : TN_LOG_OFF, false);
    (void)signal(SIGABRT, on_abort);
    (void)signal(SIGSEGV, on_abort);
    uint64_t began = tn_mono_ns();
    for (uint64_t i = 0; i < options.histories && !(options.must_break && totals.broken); i++) {
        run_one(&options, options.first + i, &totals);
        tell_progress(i + 1, &options, &totals, began);
    }
    (void)printf("%llu histories from seed %llu: %llu acts, %llu acknowledged commits, %llu crashes, %llu system "
                 "calls, %llu fsyncs, %llu injected failures, %.1f s; %llu broke\n",
                 (unsigned long long)options.histories, (unsigned long long)options.first,
                 (unsigned long long)totals.acts, (unsigned long long)totals.acknowledged,
                 (unsigned long long)totals.crashes, (unsigned long long)totals.disk.calls,
                 (unsigned long long)totals.disk.fsyncs, (unsigned long long)totals.disk.faults,
                 (double)(tn_mono_ns() - began) / 1e9, (unsigned long long)totals.broken);
    return (totals.broken > 0) == options.must_break ? 0 : 1;
}
