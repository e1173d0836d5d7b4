/* The code table's readers and the writers of error texts. */
#include "base/error.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    const char *title;
    int http;
    int exit;
} code_table[] = {
#define X(code, word, http, exit, title) [code] = {word, title, http, exit},
    TN_CODES(X)
#undef X
};
#define CODE_COUNT (sizeof code_table / sizeof code_table[0])

/* Prints into out and, when the text had to be cut, ends it in "..." without
 * leaving half a character behind. */
static void print_cut(char *out, size_t size, const char *format, va_list args) TN_PRINTF(3, 0);
static void print_cut(char *out, size_t size, const char *format, va_list args)
{
    int wanted = vsnprintf(out, size, format, args);
    if (wanted < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)wanted < size)
        return;
    /* Only the end may be broken; what stands before is kept as it came. */
    size_t keep = size - 4;
    while (keep > 0 && ((unsigned char)out[keep] & 0xC0) == 0x80)
        keep--;
    memcpy(out + keep, "...", 4);
}

enum tn_code tn_vfail(struct tn_error *err, enum tn_code code, const char *format, va_list args)
{
    if (!err)
        return code;
    /* The arguments may point into err itself. */
    char text[sizeof err->detail];
    print_cut(text, sizeof text, format, args);
    memcpy(err->detail, text, sizeof text);
    err->code = code;
    err->line = 0;
    err->column = 0;
    err->hint[0] = '\0';
    return code;
}

enum tn_code tn_fail(struct tn_error *err, enum tn_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)tn_vfail(err, code, format, args);
    va_end(args);
    return code;
}

static enum tn_code code_of_errno(int value, const char **ret_hint)
{
    switch (value) {
    case ENOSPC:
        *ret_hint = "free some space on that disk, then try again";
        return TN_EDISKFULL;
    case EDQUOT:
        *ret_hint = "this user's disk quota is used up: free some space or ask for more, then try again";
        return TN_EDISKFULL;
    case EROFS:
        *ret_hint = "the file system is mounted read-only: remount it for writing or use another folder";
        return TN_EREADONLY;
    case ENOENT:
        *ret_hint = "check the spelling of the path";
        return TN_ENOTFOUND;
    case ENOMEM:
        *ret_hint = "stop other programs or lower the memory limits in tarn.yaml";
        return TN_ENOMEM;
    case EACCES:
    case EPERM:
        *ret_hint = "check the owner and the permissions of the path and of the folders above it";
        return TN_EIO;
    case EMFILE:
    case ENFILE:
        *ret_hint = "too many files are open: raise the limit (ulimit -n)";
        return TN_EIO;
    case EFBIG:
        *ret_hint = "a limit of the system forbids files of that size (ulimit -f): raise it";
        return TN_EIO;
    case EIO:
        *ret_hint = "the device reported an error: check its health (dmesg, smartctl) before going on";
        return TN_EIO;
    default:
        *ret_hint = "look at the path, its permissions and the state of the disk";
        return TN_EIO;
    }
}

enum tn_code tn_fail_errno(struct tn_error *err, int errno_value, const char *format, ...)
{
    const char *hint = NULL;
    enum tn_code code = code_of_errno(errno_value, &hint);
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    char text[sizeof err->detail];
    print_cut(text, sizeof text, format, args);
    va_end(args);
    char reason[128];
    const char *meaning = strerror_r(errno_value, reason, sizeof reason);
    (void)tn_fail(err, code, "%s: %s", text, meaning);
    tn_error_hint(err, "%s", hint);
    return code;
}

void tn_error_hint(struct tn_error *err, const char *format, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    char text[sizeof err->hint];
    print_cut(text, sizeof text, format, args);
    va_end(args);
    memcpy(err->hint, text, sizeof text);
}

static void print_detail(struct tn_error *err, const char *format, ...) TN_PRINTF(2, 3);
static void print_detail(struct tn_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_cut(err->detail, sizeof err->detail, format, args);
    va_end(args);
}

void tn_error_context(struct tn_error *err, const char *format, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    char place[sizeof err->detail];
    print_cut(place, sizeof place, format, args);
    va_end(args);
    char detail[sizeof err->detail];
    memcpy(detail, err->detail, sizeof detail);
    print_detail(err, "%s: %s", place, detail);
}

static size_t index_of(enum tn_code code)
{
    size_t index = (size_t)code;
    return index < CODE_COUNT ? index : (size_t)TN_EINTERNAL;
}

const char *tn_code_word(enum tn_code code)
{
    return code_table[index_of(code)].word;
}
const char *tn_code_title(enum tn_code code)
{
    return code_table[index_of(code)].title;
}
int tn_code_http_status(enum tn_code code)
{
    return code_table[index_of(code)].http;
}
int tn_code_exit_status(enum tn_code code)
{
    return code_table[index_of(code)].exit;
}

enum tn_code tn_code_from_word(const char *word)
{
    for (size_t i = 0; word && i < CODE_COUNT; i++) {
        if (tn_streq(code_table[i].word, word))
            return (enum tn_code)i;
    }
    return TN_EINTERNAL;
}
