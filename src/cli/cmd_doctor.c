/* tarn doctor: what is wrong with this lake, and what to do. */
#include "cli/doctor.h"
#include "cli/table.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *const level_names[] = {"ok", "note", "warning", "error"};

void doctor_find(struct doctor *doctor, enum doctor_level level, const char *what, const char *advice,
                 const char *format, ...)
{
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    json_t *finding = json_object();
    (void)json_object_set_new(finding, "level", json_string(level_names[level]));
    (void)json_object_set_new(finding, "check", json_string(what));
    (void)json_object_set_new(finding, "finding", json_string(text.data));
    (void)json_object_set_new(finding, "advice", advice && *advice ? json_string(advice) : json_null());
    (void)json_array_append_new(doctor->findings, finding);
    doctor->errors += level == DOCTOR_ERROR;
    doctor->warnings += level == DOCTOR_WARNING;
}

void doctor_find_error(struct doctor *doctor, const char *what, const struct tn_error *error)
{
    doctor_find(doctor, DOCTOR_ERROR, what, error->hint, "%s", error->detail);
}

static void check_disk(struct doctor *doctor, const char *lake)
{
    struct statvfs info;
    char available[32], total[32];
    if (statvfs(lake, &info) != 0) {
        doctor_find(doctor, DOCTOR_ERROR, "disk", "is the disk mounted?", "%s: %s", lake, strerror(errno));
        return;
    }
    uint64_t unit = info.f_frsize, left = unit * info.f_bavail, all = unit * info.f_blocks;
    (void)tn_format_size(left, available);
    (void)tn_format_size(all, total);
    enum doctor_level level = left < (64u << 20)                     ? DOCTOR_ERROR
                              : left < (1u << 30) || left < all / 20 ? DOCTOR_WARNING
                                                                     : DOCTOR_OK;
    doctor_find(doctor, level, "disk", level == DOCTOR_OK ? NULL : "make room, or move the lake to a larger disk",
                "%s free of %s", available, total);
    if (info.f_flag & ST_RDONLY)
        doctor_find(doctor, DOCTOR_ERROR, "disk", "mount it for writing", "the file system is read-only");
    else if (access(lake, W_OK | X_OK) != 0)
        doctor_find(doctor, DOCTOR_ERROR, "permissions", "run as the lake's owner, or change its permissions",
                    "%s cannot be written: %s", lake, strerror(errno));
    if (info.f_files > 0 && info.f_favail < 1000)
        doctor_find(doctor, DOCTOR_WARNING, "disk", "remove small files elsewhere on this disk",
                    "few inodes are left");
}

static bool holds_secret(const char *name)
{
    return strstr(name, "token") || tn_streq(name, "server.json") || tn_str_ends_with(name, ".key");
}

/* Files with secrets in one folder must be their owner's alone. */
static size_t check_secrets_in(struct doctor *doctor, const char *folder)
{
    size_t found = 0;
    DIR *stream = opendir(folder);
    if (!stream)
        return 0;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        struct stat info;
        if (!holds_secret(entry->d_name))
            continue;
        TN_AUTO_FREE char *path = tn_asprintf("%s/%s", folder, entry->d_name);
        if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        found++;
        if ((info.st_mode & 077) == 0)
            continue;
        TN_AUTO_FREE char *advice =
            tn_asprintf("chmod 600 %s, and make new tokens if others could have read it", path);
        doctor_find(doctor, DOCTOR_ERROR, "permissions", advice, "%s can be read by others (mode %03o)", path,
                    (unsigned)(info.st_mode & 0777));
    }
    (void)closedir(stream);
    return found;
}

static void check_secrets(struct doctor *doctor, const char *lake)
{
    size_t errors = doctor->errors;
    const char *state = tn_path_join(doctor->cli->arena, lake, "state");
    size_t found = check_secrets_in(doctor, lake) + check_secrets_in(doctor, state);
    if (doctor->errors == errors)
        doctor_find(doctor, DOCTOR_OK, "permissions", NULL,
                    "%zu files with secrets, all readable by their owner only", found);
}

static bool check_server(struct doctor *doctor, const char *lake)
{
    char *url = NULL, *token = NULL;
    if (gateway_find(lake, doctor->cli->arena, &url, &token, NULL) == TN_OK) {
        doctor_find(doctor, DOCTOR_OK, "server", NULL, "one serves this lake at %s", url);
        return true;
    }
    doctor_find(doctor, DOCTOR_OK, "server", NULL, "none runs; commands open the lake themselves");
    return false;
}

static bool check_config(struct doctor *doctor)
{
    const struct tn_config *config = NULL;
    struct tn_error error = {0};
    if (cli_config(doctor->cli, &config, &error) != TN_OK) {
        doctor_find_error(doctor, "configuration", &error);
        return false;
    }
    bool remote = !tn_str_starts_with(tn_config_string(config, "server.bind"), "127.") &&
                  !tn_streq(tn_config_string(config, "server.bind"), "::1") &&
                  !tn_streq(tn_config_string(config, "server.bind"), "localhost");
    if (remote && tn_config_string(config, "server.tls_cert")[0] == '\0')
        doctor_find(doctor, DOCTOR_WARNING, "configuration", "set server.tls_cert and server.tls_key",
                    "server.bind reaches beyond this machine without TLS: tokens cross the network in the clear");
    struct stat info;
    const char *key = tn_config_string(config, "server.tls_key");
    if (*key && stat(key, &info) == 0 && (info.st_mode & 077))
        doctor_find(doctor, DOCTOR_ERROR, "permissions", "chmod 600 the key", "%s can be read by others", key);
    doctor_find(doctor, DOCTOR_OK, "configuration", NULL, "it is good");
    return true;
}

static void check_clock(struct doctor *doctor)
{
    static const int64_t earliest_us = INT64_C(1767225600) * 1000000; /* 2026-01-01: before any release of Tarn */
    char now[TN_TIME_TEXT];
    (void)tn_time_format(tn_now_us(), now);
    if (tn_now_us() < earliest_us)
        doctor_find(doctor, DOCTOR_ERROR, "clock", "set the clock (timedatectl set-ntp true)", "it says %s", now);
    else
        doctor_find(doctor, DOCTOR_OK, "clock", NULL, "%s", now);
}

static void put_finding(const struct cli *cli, const json_t *finding, struct tn_buf *out)
{
    static const char *const colours[] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};
    const char *level = json_string_value(json_object_get(finding, "level"));
    const char *what = json_string_value(json_object_get(finding, "check"));
    const char *text = json_string_value(json_object_get(finding, "finding"));
    const char *advice = json_string_value(json_object_get(finding, "advice"));
    const char *colour = "";
    for (size_t i = 0; i < TN_COUNT(level_names) && cli->term.colour_out; i++)
        if (tn_streq(level, level_names[i]))
            colour = colours[i];
    tn_buf_printf(out, "%s%-8s%s %-14s ", colour, level, *colour ? "\033[0m" : "", what);
    term_put_safe(out, text ? text : "", text ? strlen(text) : 0);
    tn_buf_putc(out, '\n');
    if (advice) {
        tn_buf_printf(out, "%24s-> ", "");
        term_put_safe(out, advice, strlen(advice));
        tn_buf_putc(out, '\n');
    }
}

static enum tn_code print_findings(struct doctor *doctor, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < json_array_size(doctor->findings); i++) {
        if (doctor->cli->json) {
            tn_json_dump(json_array_get(doctor->findings, i), &text);
            tn_buf_putc(&text, '\n');
        } else {
            put_finding(doctor->cli, json_array_get(doctor->findings, i), &text);
        }
    }
    TN_TRY(cli_print(doctor->cli, &text, err));
    if (doctor->errors + doctor->warnings == 0)
        cli_note(doctor->cli, "All is well.");
    else
        cli_note(doctor->cli, "%zu errors, %zu warnings", doctor->errors, doctor->warnings);
    return TN_OK;
}

/* An engine of its own, that can read this bucket's files and nothing else. */
static enum tn_code open_engine(struct cli *cli, const char *bucket, struct engine **ret, struct tn_error *err)
{
    TN_AUTO_FREE char *folder = realpath(bucket, NULL);
    const char *const folders[] = {folder ? tn_arena_strdup(cli->arena, folder) : bucket};
    const struct engine_options options = {.memory_bytes = UINT64_C(256) << 20,
                                           .temp_folder = "",
                                           .threads = 1,
                                           .readable_folders = folders,
                                           .readable_count = TN_COUNT(folders)};
    return engine_open(&options, ret, err);
}

enum tn_code cmd_doctor(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *lake = cli_lake(cli);
    if (cli->server_by_flag) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "doctor examines a folder on this machine, not a server");
        tn_error_hint(err, "run it where the lake lies, with --lake");
        return code;
    }
    if (!cli_is_lake(lake)) {
        enum tn_code code = tn_fail(err, TN_ENOTFOUND, "%s is no lake", lake);
        tn_error_hint(err, "name one with --lake, or make one with `tarn init`");
        return code;
    }
    cli->server = NULL;
    TN_AUTO_JSON *findings = json_array();
    struct doctor doctor = {.cli = cli, .findings = findings};
    check_disk(&doctor, lake);
    check_secrets(&doctor, lake);
    bool good = check_config(&doctor);
    check_clock(&doctor);
    bool served = check_server(&doctor, lake);
    const char *bucket = tn_path_join(cli->arena, lake, "buckets/primary");
    TN_CLEANUP(engine_close_p) struct engine *engine = NULL;
    if (cli_args_has(args, "deep"))
        TN_TRY(open_engine(cli, bucket, &engine, err));
    doctor.engine = engine;
    doctor_check_tables(&doctor, bucket, served);
    if (good) {
        doctor_check_reading(&doctor);
        doctor_check_outcomes(&doctor);
    }
    TN_TRY(print_findings(&doctor, err));
    cli->exit_status = doctor.errors > 0 ? 1 : 0;
    return TN_OK;
}
