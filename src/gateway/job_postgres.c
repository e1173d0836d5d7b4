/* Ingest from PostgreSQL: the request, and the job that it becomes.
 *
 * A job's arguments are on disk, and so they hold no password: one that came
 * with the request is kept in memory under a random name that the arguments
 * bear, for as long as the process lives. A job that goes on after a restart
 * looks into the file that the request named, or where libpq looks. */
#include "gateway/gateway_internal.h"
#include "postgres/postgres.h"

#define KEPT_MOST   256
#define TABLES_MOST 10000

struct kept_password {
    char name[TN_UUID_TEXT];
    char *password;
};

struct postgres_passwords {
    pthread_mutex_t lock;
    struct kept_password items[KEPT_MOST]; /* a ring: the oldest goes first */
    size_t next;
};

static void wipe(struct kept_password *item)
{
    if (item->password)
        explicit_bzero(item->password, strlen(item->password));
    free(TN_TAKE(item->password));
}

static const char *keep_password(struct gateway *gateway, struct tn_arena *arena, const char *password)
{
    struct postgres_passwords *kept = gateway->postgres_passwords;
    (void)pthread_mutex_lock(&kept->lock);
    struct kept_password *item = &kept->items[kept->next++ % KEPT_MOST];
    wipe(item);
    item->password = tn_strdup(password);
    const char *name = tn_arena_strdup(arena, tn_uuid4(item->name));
    (void)pthread_mutex_unlock(&kept->lock);
    return name;
}

/* The caller's; NULL when it is not there any more. */
static char *find_password(struct gateway *gateway, const char *name)
{
    struct postgres_passwords *kept = gateway->postgres_passwords;
    char *found = NULL;
    (void)pthread_mutex_lock(&kept->lock);
    for (size_t i = 0; i < KEPT_MOST && !found; i++)
        if (kept->items[i].password && tn_streq(kept->items[i].name, name))
            found = tn_strdup(kept->items[i].password);
    (void)pthread_mutex_unlock(&kept->lock);
    return found;
}

static void forget_password(struct gateway *gateway, const char *name)
{
    struct postgres_passwords *kept = gateway->postgres_passwords;
    (void)pthread_mutex_lock(&kept->lock);
    for (size_t i = 0; name && i < KEPT_MOST; i++)
        if (kept->items[i].password && tn_streq(kept->items[i].name, name))
            wipe(&kept->items[i]);
    (void)pthread_mutex_unlock(&kept->lock);
}

void postgres_passwords_free(struct gateway *gateway)
{
    struct postgres_passwords *kept = gateway->postgres_passwords;
    if (!kept)
        return;
    for (size_t i = 0; i < KEPT_MOST; i++)
        wipe(&kept->items[i]);
    (void)pthread_mutex_destroy(&kept->lock);
    free(TN_TAKE(gateway->postgres_passwords));
}

/* ---- what a request and a job's arguments have in common ---------------------------- */

struct wanted {
    struct ingest_postgres_options options;
    const char *url, *mode, *secret;
    json_t *tables;
};

#define WANTED_FIELDS(w)                                                                                             \
    {.name = "url", .kind = TN_JSON_STRING, .ret = &(w)->options.url, .required = true},                             \
        {.name = "tables", .kind = TN_JSON_ARRAY, .ret = &(w)->tables},                                              \
        {.name = "schema", .kind = TN_JSON_STRING, .ret = &(w)->options.schema},                                     \
        {.name = "query", .kind = TN_JSON_STRING, .ret = &(w)->options.query},                                       \
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &(w)->options.dataset},                                   \
        {.name = "key", .kind = TN_JSON_STRING, .ret = &(w)->options.key},                                           \
        {.name = "incremental", .kind = TN_JSON_STRING, .ret = &(w)->options.incremental},                           \
        {.name = "numeric", .kind = TN_JSON_STRING, .ret = &(w)->options.numeric},                                   \
        {.name = "mode", .kind = TN_JSON_STRING, .ret = &(w)->mode},                                                 \
        {.name = "compare", .kind = TN_JSON_BOOL, .ret = &(w)->options.compare},                                     \
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &(w)->options.reason},                                     \
    {                                                                                                                \
        .name = "secret", .kind = TN_JSON_STRING, .ret = &(w)->secret                                                \
    }

static enum tn_code read_mode(struct wanted *wanted, struct tn_error *err)
{
    static const char *const words[] = {"", "append", "replace", "upsert"};
    if (!wanted->mode)
        return TN_OK;
    for (size_t i = 1; i < TN_COUNT(words); i++) {
        if (tn_streq(wanted->mode, words[i])) {
            wanted->options.mode = (enum ingest_postgres_mode)i;
            return TN_OK;
        }
    }
    return tn_fail(err, TN_EREQUEST, "mode must be append, replace or upsert, not \"%.40s\"", wanted->mode);
}

static enum tn_code read_tables(struct tn_arena *arena, struct wanted *wanted, struct tn_error *err)
{
    size_t count = json_array_size(wanted->tables);
    if (count > TABLES_MOST)
        return tn_fail(err, TN_ETOOLARGE, "tables: at most %d", TABLES_MOST);
    const char **names = TN_ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        names[i] = json_string_value(json_array_get(wanted->tables, i));
        if (!names[i])
            return tn_fail(err, TN_EREQUEST, "tables must be a list of names");
    }
    wanted->options.tables = names;
    wanted->options.table_count = count;
    return TN_OK;
}

static enum tn_code complete(struct tn_arena *arena, struct wanted *wanted, struct tn_error *err)
{
    TN_TRY(read_mode(wanted, err));
    return read_tables(arena, wanted, err);
}

/* A file of the lake's folder "secrets": a name alone, so that no request can
 * have another file read. */
static enum tn_code secret_path(const struct gateway *gateway, struct tn_arena *arena, const char *name,
                                const char **ret, struct tn_error *err)
{
    if (!name)
        return TN_OK;
    if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > 200) {
        tn_fail(err, TN_EREQUEST, "secret must be the name of a file in the lake's folder secrets");
        tn_error_hint(err, "put the password into LAKE/secrets/NAME, chmod 600, and say \"secret\": \"NAME\"");
        return TN_EREQUEST;
    }
    *ret = tn_path_join(arena, tn_path_join(arena, gateway->folder, "secrets"), name);
    return TN_OK;
}

/* ---- the job ------------------------------------------------------------------------ */

static void show_progress(void *run, uint64_t rows, uint64_t expected)
{
    job_run_progress(run, rows, expected, "rows");
}

static void show_line(void *run, const char *text)
{
    job_run_log(run, "%s", text);
}

static void keep_result(struct job_run *run, const struct tn_buf *text)
{
    TN_AUTO_JSON *result = NULL;
    if (tn_json_parse(text->data, text->len, text->len, "result", &result, NULL) == TN_OK)
        job_run_result(run, result);
}

static enum tn_code ingest_now(struct gateway *gateway, struct job_run *run, struct wanted *wanted,
                               const char *password_name, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    uint64_t started = tn_mono_ns();
    char *password = password_name ? find_password(gateway, password_name) : NULL;
    wanted->options.password = password;
    wanted->options.stopping = job_run_stopping_fn;
    wanted->options.progress = show_progress;
    wanted->options.log = show_line;
    wanted->options.context = run;
    enum tn_code code = ingest_postgres(&gateway->lake, &wanted->options, &json, err);
    if (code == TN_EFORBIDDEN && password_name && !password)
        tn_error_hint(err, "the password that came with the request was not kept beyond a restart: send the request "
                           "again, or name a file of the lake's secrets");
    if (code == TN_OK) {
        keep_result(run, &text);
        forget_password(gateway, password_name);
    }
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
    TN_LOG(TN_LOG_INFO, "postgres.end", TN_FS("result", tn_code_word(code)), TN_FS("job", job_run_id(run)),
           TN_FI("took_ms", (tn_mono_ns() - started) / 1000000));
    return code;
}

static enum tn_code run_postgres(struct job_run *run, void *context, struct tn_error *err)
{
    struct gateway *gateway = context;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct wanted wanted = {0};
    const char *password_name = NULL;
    const struct tn_json_field fields[] = {
        WANTED_FIELDS(&wanted),
        {.name = "password_name", .kind = TN_JSON_STRING, .ret = &password_name},
        {.name = "actor", .kind = TN_JSON_STRING, .ret = &wanted.options.actor},
        {.name = "request_id", .kind = TN_JSON_STRING, .ret = &wanted.options.request_id},
    };
    TN_TRY(tn_json_read(job_run_arguments(run), "the job's arguments", fields, TN_COUNT(fields), err));
    TN_TRY(complete(arena, &wanted, err));
    TN_TRY(secret_path(gateway, arena, wanted.secret, &wanted.options.password_file, err));
    return ingest_now(gateway, run, &wanted, password_name, err);
}

void postgres_job_add(struct gateway *gateway)
{
    gateway->postgres_passwords = tn_calloc(1, sizeof *gateway->postgres_passwords);
    (void)pthread_mutex_init(&gateway->postgres_passwords->lock, NULL);
    job_kind_add(gateway->jobs, "postgres", run_postgres, gateway);
}

/* ---- the request ---------------------------------------------------------------------- */

static enum tn_code submit(struct request *request, const struct wanted *wanted, const json_t *body,
                           const char *label, const char *clean_url, const char *password, struct tn_error *err)
{
    char id[JOB_ID_TEXT];
    TN_AUTO_JSON *arguments = json_copy((json_t *)(uintptr_t)body);
    (void)json_object_del(arguments, "password");
    (void)json_object_set_new(arguments, "url", json_string(clean_url));
    (void)json_object_set_new(arguments, "actor", json_string(request->actor.name));
    (void)json_object_set_new(arguments, "request_id", json_string(request->id));
    if (password)
        (void)json_object_set_new(arguments, "password_name",
                                  json_string(keep_password(request->gateway, request->arena, password)));
    const struct ingest_postgres_options *options = &wanted->options;
    const char *what = options->query ? "query" : options->table_count ? options->tables[0] : options->schema;
    const struct job_request job = {
        .kind = "postgres",
        .subject = tn_arena_printf(request->arena, "%s %s%s", label, what, options->table_count > 1 ? ", ..." : ""),
        .arguments = arguments,
        .actor = request->actor.name,
        .request_id = request->id,
    };
    TN_TRY(job_submit(request->gateway->jobs, &job, id, err));
    return job_reply(request, id, err);
}

enum tn_code h_ingest_postgres(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct wanted wanted = {0};
    const char *password = NULL, *ignored = NULL;
    char *label = NULL, *clean_url = NULL, *url_password = NULL;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        WANTED_FIELDS(&wanted),
        {.name = "password", .kind = TN_JSON_STRING, .ret = &password},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(complete(request->arena, &wanted, err));
    TN_TRY(secret_path(request->gateway, request->arena, wanted.secret, &ignored, err));
    TN_TRY(ingest_postgres_check(&wanted.options, &label, &clean_url, &url_password, err));
    enum tn_code code = submit(request, &wanted, body, label, clean_url, password ? password : url_password, err);
    if (url_password)
        explicit_bzero(url_password, strlen(url_password));
    free(url_password);
    free(label);
    free(clean_url);
    return code;
}
