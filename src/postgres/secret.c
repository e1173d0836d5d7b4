/* Passwords: read from files that are safe, kept out of texts, wiped. */
#include "postgres/postgres_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD_MOST 1024

enum tn_code postgres_password_file(const char *path, char **ret, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return tn_fail_errno(err, errno, "password file %s", path);
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "password file %s", path);
    if (!S_ISREG(info.st_mode) || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        tn_fail(err, TN_EREFUSED, "password file %s can be read by others than its owner, or is no file", path);
        tn_error_hint(err, "chmod 600 %s", path);
        return TN_EREFUSED;
    }
    char text[PASSWORD_MOST + 1];
    ssize_t got = read(fd, text, PASSWORD_MOST);
    if (got < 0)
        return tn_fail_errno(err, errno, "password file %s", path);
    text[got] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    bool empty = text[0] == '\0';
    if (!empty)
        *ret = tn_strdup(text);
    explicit_bzero(text, sizeof text);
    if (empty)
        return tn_fail(err, TN_EREFUSED, "password file %s holds no password in its first line", path);
    return TN_OK;
}

void postgres_forget(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(TN_TAKE(*secret));
}

void postgres_scrub(char *text, const char *secret)
{
    size_t length = secret ? strlen(secret) : 0;
    if (length == 0)
        return;
    for (char *at = text; (at = strstr(at, secret)) != NULL;) {
        /* Three stars whatever the length, so that it does not tell either. */
        size_t shown = TN_MIN(length, (size_t)3);
        memset(at, '*', shown);
        memmove(at + shown, at + length, strlen(at + length) + 1);
        at += shown;
    }
}
