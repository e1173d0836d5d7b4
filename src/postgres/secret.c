/* Passwords: read from files that are safe, kept out of texts, wiped. */
#include "postgres/postgres_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD_MOST 1024

enum tn_code postgres_password_read(const char *path, char **ret, struct tn_error *err)
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

/* The next field of a line of a password file; a backslash takes the next
 * character as it is. */
static const char *next_field(const char *at, char *out, size_t room)
{
    size_t length = 0;
    for (; *at && *at != ':'; at++) {
        if (*at == '\\' && at[1])
            at++;
        if (length + 1 < room)
            out[length++] = *at;
    }
    out[length] = '\0';
    return *at ? at + 1 : at;
}

/* "host:port:database:user:password", each but the last perhaps a star. */
static bool line_fits(const char *line, const struct postgres_place *place, char *password, size_t room)
{
    const char *const wanted[] = {place->host, place->port, place->database, place->user ? place->user : ""};
    char field[PASSWORD_MOST + 1];
    if (*line == '#' || !*line)
        return false;
    for (size_t i = 0; i < TN_COUNT(wanted); i++) {
        line = next_field(line, field, sizeof field);
        bool socket = i == 0 && wanted[0][0] == '/' && tn_streq(field, "localhost");
        if (!tn_streq(field, "*") && !tn_streq(field, wanted[i]) && !socket)
            return false;
    }
    (void)next_field(line, password, room);
    return *password != '\0';
}

/* As libpq does: a file that others may read, or that is not there, says nothing. */
static void search_file(const char *path, const struct postgres_place *place, char **ret)
{
    char line[4 * PASSWORD_MOST], password[PASSWORD_MOST + 1];
    struct stat info;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    bool safe = fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && !(info.st_mode & (S_IRWXG | S_IRWXO));
    while (safe && !*ret && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line_fits(line, place, password, sizeof password))
            *ret = tn_strdup(password);
    }
    explicit_bzero(line, sizeof line);
    explicit_bzero(password, sizeof password);
    (void)fclose(file);
}

enum tn_code postgres_password_local(const char *url, char **ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_place_release) struct postgres_place place = {0};
    TN_TRY(postgres_place_parse(url, &place, err));
    const char *password = place.password, *path = getenv("PGPASSFILE"), *home = getenv("HOME");
    *ret = NULL;
    if (!password || !*password)
        password = getenv("PGPASSWORD");
    if (password && *password) {
        *ret = tn_strdup(password);
        return TN_OK;
    }
    TN_AUTO_FREE char *usual = home ? tn_asprintf("%s/.pgpass", home) : NULL;
    if (path && *path)
        search_file(path, &place, ret);
    else if (usual)
        search_file(usual, &place, ret);
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
