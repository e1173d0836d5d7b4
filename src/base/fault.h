/* Named fault points, for the tests that crash the real binary.
 *
 * TN_FAULT("commit.before_pointer") costs one predictable branch. With
 * TARN_FAULT=NAME[:N] in the environment the N-th pass (default first)
 * through that point kills the process with SIGKILL, as a power switch would
 * as far as memory is concerned. `TARN_FAULT=list` makes each point print its
 * name to standard error when passed, so that a test can find them all.
 */
#ifndef TARN_BASE_FAULT_H
#define TARN_BASE_FAULT_H

extern _Bool tn_fault_armed;
void tn_fault_init(void); /* reads the environment; call once from main */
void tn_fault_hit(const char *name);
#define TN_FAULT(name)                                                                                               \
    do {                                                                                                             \
        if (__builtin_expect(tn_fault_armed, 0))                                                                     \
            tn_fault_hit(name);                                                                                      \
    } while (0)

#endif
