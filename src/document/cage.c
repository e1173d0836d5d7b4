/* The cage (see cage.h). Raw system calls: the C library has no names for
 * Landlock, and a filter this small needs no library of its own. */
#include "document/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

/* AddressSanitizer keeps shadow memory of terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

void cage_leave_network(void)
{
    int flags = CLONE_NEWNET | CLONE_NEWIPC;
    if (unshare(flags) != 0)
        (void)!unshare(flags | CLONE_NEWUSER);
}

/* ---- limits ------------------------------------------------------------------------------ */

static bool set_limit(__rlimit_resource_t which, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (getrlimit(which, &now) != 0)
        return false;
    hard = TN_MIN(hard, now.rlim_max);
    const struct rlimit wanted = {.rlim_cur = TN_MIN(soft, hard), .rlim_max = hard};
    return setrlimit(which, &wanted) == 0;
}

static bool set_limits(const struct document_limits *limits)
{
    rlim_t memory = SANITIZED ? RLIM_INFINITY : (rlim_t)limits->memory_bytes;
    return set_limit(RLIMIT_AS, memory, memory) && set_limit(RLIMIT_CPU, limits->seconds, limits->seconds + 2) &&
           set_limit(RLIMIT_CORE, 0, 0) && set_limit(RLIMIT_FSIZE, 0, 0) && set_limit(RLIMIT_NOFILE, 64, 64);
}

/* ---- Landlock ------------------------------------------------------------------------------ */

#define READ_FOLDER (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* All that the first version of Landlock knows. */
#define EVERY_ACCESS ((UINT64_C(1) << 13) - 1)

static void allow_path(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {.allowed_access = access};
    beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0)
        return;
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    (void)close(beneath.parent_fd);
}

/* Older kernels have none, and some turn it off: then identity and seccomp remain. */
static void restrict_paths(enum cage_profile profile)
{
    static const char *const folders[] = {"/usr", "/lib", "/lib64", "/bin", "/etc/fonts", "/nix/store"};
    const struct landlock_ruleset_attr attr = {.handled_access_fs = EVERY_ACCESS};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0)
        return;
    for (size_t i = 0; profile == CAGE_TOOLS && i < TN_COUNT(folders); i++)
        allow_path(ruleset, folders[i], READ_FOLDER);
    if (profile == CAGE_TOOLS)
        allow_path(ruleset, "/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE);
    (void)syscall(SYS_landlock_restrict_self, ruleset, 0);
    (void)close(ruleset);
}

/* ---- seccomp ---------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

static const unsigned parse_calls[] = {
    SYS_read,           SYS_readv,         SYS_pread64,      SYS_write,
    SYS_writev,         SYS_close,         SYS_fstat,        SYS_newfstatat,
    SYS_lseek,          SYS_munmap,        SYS_mremap,       SYS_brk,
    SYS_madvise,        SYS_futex,         SYS_rt_sigaction, SYS_getpid,
    SYS_rt_sigprocmask, SYS_rt_sigreturn,  SYS_sigaltstack,  SYS_gettid,
    SYS_tgkill,         SYS_exit,          SYS_exit_group,   SYS_getrandom,
    SYS_gettimeofday,   SYS_clock_gettime, SYS_sched_yield,  SYS_restart_syscall,
    SYS_getrusage,
};
/* Their third argument must not ask for memory that can be executed. */
static const unsigned mapping_calls[] = {SYS_mmap, SYS_mprotect};
static const unsigned tool_refused[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_open_by_handle_at,
    SYS_kill,
    SYS_tkill,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
};

#define FILTER_MAX 128
struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short length;
};

static void put(struct filter *filter, struct sock_filter instruction)
{
    if (filter->length < FILTER_MAX)
        filter->code[filter->length++] = instruction;
}

#define LOAD(member)                                                                                                 \
    (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define JUMP(test, value, if_true, if_false)                                                                         \
    (struct sock_filter) BPF_JUMP(BPF_JMP | (test) | BPF_K, (value), (if_true), (if_false))
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, (what))

#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

static void answer_calls(struct filter *filter, const unsigned *calls, size_t count, unsigned answer)
{
    for (size_t i = 0; i < count; i++) {
        put(filter, JUMP(BPF_JEQ, calls[i], 0, 1));
        put(filter, RETURN(answer));
    }
}

static bool restrict_calls(enum cage_profile profile)
{
#ifdef THIS_ARCH
    struct filter filter = {.length = 0};
    put(&filter, LOAD(arch));
    put(&filter, JUMP(BPF_JEQ, THIS_ARCH, 1, 0));
    put(&filter, RETURN(SECCOMP_RET_KILL_PROCESS));
    put(&filter, LOAD(nr));
#ifdef __x86_64__
    put(&filter, JUMP(BPF_JGE, 0x40000000, 0, 1)); /* the x32 calls */
    put(&filter, RETURN(SECCOMP_RET_KILL_PROCESS));
#endif
    if (profile == CAGE_TOOLS) {
        answer_calls(&filter, tool_refused, TN_COUNT(tool_refused), REFUSE);
        put(&filter, RETURN(SECCOMP_RET_ALLOW));
    } else {
        answer_calls(&filter, parse_calls, TN_COUNT(parse_calls), SECCOMP_RET_ALLOW);
        put(&filter, JUMP(BPF_JEQ, mapping_calls[0], 1, 0));
        put(&filter, JUMP(BPF_JEQ, mapping_calls[1], 0, 2));
        put(&filter, LOAD(args[2]));
        put(&filter, JUMP(BPF_JSET, PROT_EXEC, 0, 1));
        put(&filter, RETURN(REFUSE));
        put(&filter, RETURN(SECCOMP_RET_ALLOW));
    }
    if (filter.length == FILTER_MAX)
        return false;
    const struct sock_fprog program = {.len = filter.length, .filter = filter.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
    (void)profile;
    return true;
#endif
}

enum tn_code cage_enter(enum cage_profile profile, const struct document_limits *limits, struct tn_error *err)
{
    if (!set_limits(limits))
        return tn_fail_errno(err, errno, "cannot limit the process that reads documents");
    if (geteuid() == 0) { /* where root may not even do this, the rest must do */
        (void)!setgroups(0, NULL);
        (void)!setresgid(NOBODY, NOBODY, NOBODY);
        (void)!setresuid(NOBODY, NOBODY, NOBODY);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of identity forgets it */
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return tn_fail(err, TN_EUNAVAILABLE, "the kernel has no way to hold a process (no_new_privs)");
    restrict_paths(profile);
    if (!restrict_calls(profile)) {
        (void)tn_fail(err, TN_EUNAVAILABLE, "the kernel refuses a filter of system calls (seccomp)");
        tn_error_hint(err, "documents are read in a process without network and files; run Tarn where seccomp is "
                           "allowed (a container's profile may forbid it)");
        return TN_EUNAVAILABLE;
    }
    return TN_OK;
}
