/* Names of the public enumerations. */
#include "vector/kernels.h"
#include "vector/vector.h"

#include "base/str.h"

static const char *const metrics[] = {"cosine", "ip", "l2"};

bool vector_metric_parse(const char *word, enum vector_metric *ret)
{
    for (size_t i = 0; i < TN_COUNT(metrics); i++)
        if (tn_streq(word, metrics[i])) {
            *ret = (enum vector_metric)i;
            return true;
        }
    return false;
}

const char *vector_metric_word(enum vector_metric metric)
{
    return (size_t)metric < TN_COUNT(metrics) ? metrics[metric] : "?";
}

const char *vector_instruction_set(void)
{
    return vector_kernels_get()->name;
}

const char *vector_phase_word(enum vector_phase phase)
{
    static const char *const words[] = {"read", "graph", "repair", "calibrate", "write"};
    return (size_t)phase < TN_COUNT(words) ? words[phase] : "?";
}

const char *vector_strategy_word(enum vector_strategy strategy)
{
    static const char *const words[] = {"graph", "late", "two_hop", "gather", "scan", "exact"};
    return (size_t)strategy < TN_COUNT(words) ? words[strategy] : "?";
}

const char *vector_stop_word(enum vector_stop stop)
{
    static const char *const words[] = {"window", "patience", "cost", "all"};
    return (size_t)stop < TN_COUNT(words) ? words[stop] : "?";
}
