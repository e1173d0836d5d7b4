/* How fast a job goes. */
#include "job/job_internal.h"

#include <math.h>

#define WINDOW_S   10.0
#define SAMPLE_NS  UINT64_C(200000000)
#define SILENCE_NS UINT64_C(10000000000)

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

void job_rate_note(struct job_rate *rate, uint64_t done, uint64_t now_ns)
{
    if (!rate->begun || done < rate->done) {
        *rate = (struct job_rate){.at_ns = now_ns, .done = done, .begun = true};
        return;
    }
    uint64_t passed = now_ns - rate->at_ns;
    if (passed < SAMPLE_NS)
        return; /* goes into the next sample */
    double sample = (double)(done - rate->done) / seconds(passed);
    double weight = 1 - exp(-seconds(passed) / WINDOW_S);
    rate->per_second = rate->known ? rate->per_second + weight * (sample - rate->per_second) : sample;
    rate->known = true;
    rate->at_ns = now_ns;
    rate->done = done;
}

double job_rate_now(const struct job_rate *rate, uint64_t now_ns)
{
    if (!rate->known)
        return 0;
    uint64_t silent = now_ns > rate->at_ns ? now_ns - rate->at_ns : 0;
    if (silent <= SILENCE_NS)
        return rate->per_second;
    return rate->per_second * exp(-seconds(silent - SILENCE_NS) / WINDOW_S);
}
