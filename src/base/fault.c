/* Named crash points (see fault.h). */
#include "base/fault.h"

#include "base/str.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Bool tn_fault_armed;

static bool listing;
static char wanted[128];
static _Atomic int64_t passes_left;

void tn_fault_init(void)
{
    const char *spec = getenv("TARN_FAULT");
    tn_fault_armed = false;
    listing = false;
    if (!spec || !*spec)
        return;
    if (tn_streq(spec, "list")) {
        listing = true;
        tn_fault_armed = true;
        return;
    }
    int64_t passes = 1;
    const char *colon = strrchr(spec, ':');
    size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
    if (length >= sizeof wanted || (colon && (!tn_parse_i64(colon + 1, &passes) || passes < 1))) {
        (void)fprintf(stderr, "tarn: TARN_FAULT=%s is not NAME or NAME:N\n", spec);
        return;
    }
    memcpy(wanted, spec, length);
    wanted[length] = '\0';
    atomic_store(&passes_left, passes);
    tn_fault_armed = true;
}

void tn_fault_hit(const char *name)
{
    if (listing) {
        (void)fprintf(stderr, "fault %s\n", name); /* unbuffered: one write */
        return;
    }
    if (!tn_streq(name, wanted) || atomic_fetch_sub(&passes_left, 1) != 1)
        return;
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}
