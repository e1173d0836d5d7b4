/* tarn doctor: the tables. Looks at the files as any other reader would, so
 * that it works beside a running server and without one. */
#include "cli/doctor.h"

#include "catalog/catalog.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { OLD_MS = 24 * 3600 * 1000, FUTURE_MS = 60 * 1000, MOST_FINDINGS = 20 };

struct examination {
    struct doctor *doctor;
    const char *dataset;
    size_t fatal, untidy;
    uint64_t orphans, orphan_bytes;
};

static void on_finding(void *context, const struct iceberg_finding *finding)
{
    struct examination *examination = context;
    if ((finding->fatal ? examination->fatal++ : examination->untidy++) >= MOST_FINDINGS)
        return;
    doctor_find(examination->doctor, finding->fatal ? DOCTOR_ERROR : DOCTOR_WARNING, "table",
                finding->fatal ? "restore the file from a backup; until then this dataset may answer wrongly" : NULL,
                "%s: %s (%s) in %s", examination->dataset, finding->text, finding->rule, finding->where);
}

static void on_orphan(void *context, const char *key, int64_t size_bytes)
{
    struct examination *examination = context;
    (void)key;
    examination->orphans++;
    examination->orphan_bytes += size_bytes > 0 ? (uint64_t)size_bytes : 0;
}

static enum tn_code examine(struct examination *examination, struct catalog *catalog, struct tn_error *err)
{
    struct doctor *doctor = examination->doctor;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct iceberg_table table = catalog_table(catalog, doctor->cli->arena, examination->dataset);
    TN_TRY(catalog_load(catalog, examination->dataset, &metadata, err));
    TN_TRY(iceberg_check(&table, metadata, on_finding, examination, err));
    if (doctor->engine) {
        struct doctor_live *live = tn_arena_alloc(doctor->cli->arena, sizeof *live);
        *live = (struct doctor_live){.next = doctor->live,
                                     .dataset = tn_arena_strdup(doctor->cli->arena, examination->dataset)};
        TN_TRY(doctor_read_files(doctor->engine, &table, metadata, on_finding, examination, &live->rows, err));
        doctor->live = live;
    }
    TN_TRY(iceberg_table_orphans(&table, OLD_MS, false, on_orphan, examination, err));
    size_t more = examination->fatal + examination->untidy - TN_MIN(examination->fatal, (size_t)MOST_FINDINGS) -
                  TN_MIN(examination->untidy, (size_t)MOST_FINDINGS);
    if (more > 0)
        doctor_find(doctor, DOCTOR_NOTE, "table", NULL, "%s: and %zu findings more", examination->dataset, more);
    if (metadata->last_updated_ms > tn_now_ms() + FUTURE_MS)
        doctor_find(doctor, DOCTOR_WARNING, "clock", "compare the clock with another one",
                    "%s was last changed in the future: the clock was, or is, wrong", examination->dataset);
    return TN_OK;
}

static void check_staging(struct doctor *doctor, const char *bucket, bool served)
{
    const char *folder = tn_path_join(doctor->cli->arena, bucket, ".staging");
    DIR *stream = opendir(folder);
    uint64_t files = 0, old = 0, bytes = 0;
    char size[32];
    for (const struct dirent *entry; stream && (entry = readdir(stream));) {
        struct stat info;
        TN_AUTO_FREE char *path = tn_asprintf("%s/%s", folder, entry->d_name);
        if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        files++;
        bytes += (uint64_t)info.st_size;
        old += (int64_t)info.st_mtime * 1000 < tn_now_ms() - OLD_MS;
    }
    if (stream)
        (void)closedir(stream);
    (void)tn_format_size(bytes, size);
    if (!served && files > 0)
        doctor_find(doctor, DOCTOR_NOTE, "leftovers", "nothing to do: the next start removes them",
                    "%" PRIu64 " staging files (%s) of commands that ended early", files, size);
    else if (old > 0)
        doctor_find(doctor, DOCTOR_WARNING, "leftovers", "restart the server: a start removes them",
                    "%" PRIu64 " staging files (%s), %" PRIu64 " of them older than a day", files, size, old);
    else
        doctor_find(doctor, DOCTOR_OK, "leftovers", NULL, "no staging files were left behind");
}

static enum tn_code check_all(struct doctor *doctor, const char *bucket, struct tn_error *err)
{
    TN_CLEANUP(store_close_p) struct store *store = NULL;
    TN_CLEANUP(catalog_close_p) struct catalog *catalog = NULL;
    const char *const *names = NULL;
    size_t count = 0, errors = doctor->errors;
    uint64_t orphans = 0, orphan_bytes = 0;
    TN_TRY(store_open_local(bucket, &store, err));
    TN_TRY(catalog_open(store, &catalog, err));
    TN_TRY(catalog_list(catalog, doctor->cli->arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct examination examination = {.doctor = doctor, .dataset = names[i]};
        struct tn_error error = {0};
        if (examine(&examination, catalog, &error) != TN_OK) {
            tn_error_context(&error, "%s", names[i]);
            doctor_find_error(doctor, "table", &error);
        }
        orphans += examination.orphans;
        orphan_bytes += examination.orphan_bytes;
    }
    if (doctor->errors == errors)
        doctor_find(doctor, DOCTOR_OK, "tables", NULL, "%zu datasets, %s are sound", count,
                    doctor->engine ? "metadata, manifests and files" : "metadata and manifests");
    if (orphans > 0) {
        char size[32];
        doctor_find(doctor, DOCTOR_NOTE, "leftovers", "harmless; they cost disk space only",
                    "%" PRIu64 " files (%s) older than a day belong to no version of a table", orphans,
                    tn_format_size(orphan_bytes, size));
    }
    return TN_OK;
}

void doctor_check_tables(struct doctor *doctor, const char *bucket, bool served)
{
    struct tn_error error = {0};
    check_staging(doctor, bucket, served);
    if (check_all(doctor, bucket, &error) != TN_OK)
        doctor_find_error(doctor, "tables", &error);
}

/* ---- reading ------------------------------------------------------------------------ */

static enum tn_code count_rows(struct doctor *doctor, struct client *client, const char *name, int64_t *ret,
                               struct tn_error *err)
{
    (void)doctor;
    TN_AUTO_JSON *body = json_object(), *answer = NULL;
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT count(*) FROM ");
    tn_buf_put_sql_name(&sql, name);
    (void)json_object_set_new(body, "sql", json_string(sql.data));
    TN_TRY(client_json(client, "POST", "/query/sql", body, &answer, err));
    *ret = json_integer_value(json_array_get(json_array_get(json_object_get(answer, "rows"), 0), 0));
    return TN_OK;
}

static int64_t live_rows(const struct doctor *doctor, const char *dataset)
{
    for (const struct doctor_live *live = doctor->live; live; live = live->next)
        if (tn_streq(live->dataset, dataset))
            return live->rows;
    return ICEBERG_NONE;
}

/* A row that two delete files name is counted as two deletes by the metadata.
 * Whether that explains the difference, only counting tells. */
static void judge_rows(struct doctor *doctor, const char *name, int64_t rows, int64_t said, bool deletes)
{
    int64_t live = live_rows(doctor, name);
    if (rows > said && deletes && live == rows)
        doctor_find(doctor, DOCTOR_NOTE, "reading", "compact it: the deletes are then gone",
                    "%s has %" PRId64 " rows, counted in its files; its metadata says %" PRId64 ", because %" PRId64
                    " deletes name rows that others delete too",
                    name, rows, said, rows - said);
    else if (rows > said && deletes && !doctor->engine)
        doctor_find(doctor, DOCTOR_NOTE, "reading", "tarn doctor --deep counts them in the files",
                    "%s has %" PRId64 " rows and not %" PRId64 ": its delete files may overlap", name, rows, said);
    else if (live != ICEBERG_NONE && live != rows)
        doctor_find(doctor, DOCTOR_ERROR, "reading", "report it: reading and counting disagree",
                    "%s answers with %" PRId64 " rows, and its files hold %" PRId64, name, rows, live);
    else
        doctor_find(doctor, DOCTOR_ERROR, "reading", "restore its data files from a backup",
                    "%s has %" PRId64 " rows, and its metadata says %" PRId64, name, rows, said);
}

static enum tn_code read_all(struct doctor *doctor, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *items = NULL;
    size_t errors = doctor->errors, held = 0;
    TN_TRY(cli_connect(doctor->cli, false, &client, err));
    TN_TRY(cli_fetch_items(client, doctor->cli->arena, "/catalog/datasets", &items, err));
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        int64_t rows = 0, said = json_integer_value(json_object_get(item, "rows"));
        struct tn_error error = {0};
        if (!name)
            continue;
        enum tn_code code = count_rows(doctor, client, name, &rows, &error);
        if (code == TN_EUNSUPPORTED) { /* held for others; its metadata was looked at, and said so */
            held++;
        } else if (code != TN_OK) {
            tn_error_context(&error, "%s", name);
            doctor_find_error(doctor, "reading", &error);
        } else if (rows != said) {
            judge_rows(doctor, name, rows, said, json_integer_value(json_object_get(item, "delete_files")) > 0);
        }
    }
    int64_t events = 0;
    struct tn_error error = {0};
    if (count_rows(doctor, client, "journal", &events, &error) != TN_OK) {
        tn_error_context(&error, "the journal");
        doctor_find_error(doctor, "reading", &error);
    }
    if (doctor->errors == errors)
        doctor_find(doctor, DOCTOR_OK, "reading", NULL, "%zu datasets answer, and their rows add up",
                    json_array_size(items) - held);
    return TN_OK;
}

void doctor_check_reading(struct doctor *doctor)
{
    struct tn_error error = {0};
    if (read_all(doctor, &error) != TN_OK)
        doctor_find_error(doctor, "reading", &error);
}
