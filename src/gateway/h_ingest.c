/* Files in: raw or as a part of a form, to be loaded or only looked at. */
#include "gateway/form.h"
#include "gateway/gateway_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORM_FIELD_MAX ((size_t)64 << 10)

/* One upload. Its texts are the request's arena's. */
struct upload {
    struct request *request;
    struct ingest_options options;
    struct ingest *ingest; /* NULL until the file begins */
    struct form form;
    const char *auto_embed; /* "true", "false"; NULL: nothing is said */
    bool counted;
};

static void cancel_ingest(void *ingest)
{
    ingest_cancel(ingest);
}

static void upload_free(void *context)
{
    struct upload *upload = context;
    request_on_cancel(upload->request, NULL, NULL);
    ingest_free(upload->ingest);
    form_release(&upload->form);
    if (upload->counted)
        ingests_count_out(upload->request->gateway);
    free(upload);
}

/* ---- options ------------------------------------------------------------------- */

static enum tn_code set_mode(const char *text, enum dataset_mode *ret, struct tn_error *err)
{
    static const char *const words[] = {
        [DATASET_APPEND] = "append", [DATASET_REPLACE] = "replace", [DATASET_UPSERT] = "upsert"};
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (tn_streq(text, words[i])) {
            *ret = (enum dataset_mode)i;
            return TN_OK;
        }
    return tn_fail(err, TN_EREQUEST, "mode must be append, replace or upsert, not \"%.40s\"", text);
}

enum tn_code embed_word(const char *value, const char **ret, struct tn_error *err)
{
    if (!tn_streq(value, "true") && !tn_streq(value, "false"))
        return tn_fail(err, TN_EREQUEST, "auto_embed must be true or false, not \"%.40s\"", value);
    *ret = value[0] == 't' ? "true" : "false";
    return TN_OK;
}

/* One option by name, from the query or from the form. */
static enum tn_code set_option(struct upload *upload, const char *name, const char *value, struct tn_error *err)
{
    struct ingest_options *options = &upload->options;
    const struct {
        const char *name;
        const char **slot;
    } texts[] = {
        {"dataset", &options->dataset},     {"source", &options->source}, {"format", &options->format},
        {"types", &options->types},         {"header", &options->header}, {"delimiter", &options->delimiter},
        {"encoding", &options->encoding},   {"key", &options->key},       {"reason", &options->reason},
        {"workspace", &options->workspace},
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        if (tn_streq(name, texts[i].name)) {
            *texts[i].slot = *value ? value : NULL;
            return TN_OK;
        }
    if (tn_streq(name, "mode"))
        return set_mode(value, &options->mode, err);
    if (tn_streq(name, "auto_embed"))
        return embed_word(value, &upload->auto_embed, err);
    uint64_t count = 0;
    if (!tn_streq(name, "max_rejects"))
        return tn_fail(err, TN_EFIELD, "unknown field \"%.80s\" in the form", name);
    if (!tn_parse_u64(value, &count) || count > INT64_MAX)
        return tn_fail(err, TN_EREQUEST, "max_rejects must be a whole number, not \"%.40s\"", value);
    options->max_rejects = (int64_t)count;
    return TN_OK;
}

static enum tn_code begin_file(struct upload *upload, struct tn_error *err)
{
    struct request *request = upload->request;
    TN_TRY(ingest_new(&request->gateway->lake, &upload->options, &upload->ingest, err));
    request_on_cancel(request, cancel_ingest, upload->ingest);
    return TN_OK;
}

/* ---- forms --------------------------------------------------------------------- */

static bool is_file(const struct multipart_part *part)
{
    return part->filename != NULL || tn_streq(part->name, "file");
}

static enum tn_code form_option(void *context, const char *name, const char *value, struct tn_error *err)
{
    struct upload *upload = context;
    return set_option(upload, name, value, err);
}

static enum tn_code file_begin(void *context, const struct multipart_part *part, struct tn_error *err)
{
    struct upload *upload = context;
    if (upload->form.file_seen)
        return tn_fail(err, TN_EREQUEST, "the form holds more than one file");
    if (part->filename && *part->filename && !upload->options.source)
        upload->options.source = tn_arena_strdup(upload->request->arena, part->filename);
    return begin_file(upload, err);
}

static enum tn_code file_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct upload *upload = context;
    return ingest_feed(upload->ingest, bytes, count, err);
}

static enum tn_code file_end(void *context, struct tn_error *err)
{
    (void)context, (void)err;
    return TN_OK;
}

static const struct form_sink file_form = {.field_max = FORM_FIELD_MAX,
                                           .files = "the file",
                                           .is_file = is_file,
                                           .option = form_option,
                                           .file_begin = file_begin,
                                           .file_data = file_data,
                                           .file_end = file_end};

/* ---- the handlers -------------------------------------------------------------- */

static enum tn_code feed(struct request *request, const void *bytes, size_t count, struct tn_error *err)
{
    struct upload *upload = request->upload;
    return upload->form.multipart ? form_feed(&upload->form, bytes, count, err)
                                  : ingest_feed(upload->ingest, bytes, count, err);
}

enum tn_code h_ingest_start(struct request *request, struct tn_error *err)
{
    struct upload *upload = tn_calloc(1, sizeof *upload);
    upload->request = request;
    request->upload = upload;
    request->upload_free = upload_free;
    request->upload_feed = feed;
    upload->options = (struct ingest_options){
        .actor = request->actor.name,
        .request_id = request->id,
        .max_rejects = request->gateway->limits.max_rejects > 0 ? request->gateway->limits.max_rejects : -1};
    TN_TRY(ingests_count_in(request->gateway, &upload->counted, err));
    for (size_t i = 0; i < request->target.param_count; i++)
        TN_TRY(set_option(upload, request->target.params[i].name, request->target.params[i].value, err));
    if (!http_media_is(request->content_type, "multipart/form-data"))
        return begin_file(upload, err);
    return form_init(&upload->form, &file_form, upload, request->arena, request->content_type, err);
}

static enum tn_code all_read(struct upload *upload, struct tn_error *err)
{
    return upload->form.multipart ? form_finish(&upload->form, err) : TN_OK;
}

static enum tn_code done(struct request *request, enum tn_code code)
{
    struct upload *upload = request->upload;
    struct ingest_progress progress = {0};
    if (upload->ingest)
        ingest_progress(upload->ingest, &progress);
    if (code == TN_OK)
        metrics_ingest(request->gateway->metrics, progress.bytes_in, progress.rows_loaded);
    TN_LOG(TN_LOG_INFO, "ingest.end", TN_FS("result", tn_code_word(code)), TN_FS("dataset", upload->options.dataset),
           TN_FS("source", upload->options.source), TN_FI("bytes", progress.bytes_in),
           TN_FI("rows", progress.rows_loaded), TN_FI("took_ms", (tn_mono_ns() - request->started_ns) / 1000000));
    request->upload = NULL;
    upload_free(upload);
    return code;
}

enum tn_code embed_remember(struct request *request, const char *dataset, const char *word, struct tn_error *err)
{
    struct gateway *gateway = request->gateway;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char *index = NULL;
    TN_TRY(catalog_load(gateway->lake.catalog, dataset, &metadata, err));
    const char *before = iceberg_metadata_property(metadata, CATALOG_P_AUTO_EMBED);
    TN_AUTO_JSON *patch = json_pack("{s:b}", "auto_embed", tn_streq(word, "true"));
    if (!before || !tn_streq(before, word))
        TN_TRY(catalog_patch(gateway->lake.catalog, dataset, patch, err));
    if (tn_streq(word, "true"))
        TN_TRY(index_embed_now(gateway->indexes, dataset, request->actor.name, &index, err));
    free(index);
    return TN_OK;
}

enum tn_code embed_as_said(struct request *request, const char *member, const char *word, struct tn_json *json,
                           struct tn_error *err)
{
    struct tn_buf *body = &request->reply.body;
    TN_AUTO_JSON *answer = NULL; /* it knows the name, also one that the source's made */
    struct tn_error why = {0};
    TN_TRY(tn_json_parse(body->data, body->len, body->len, "answer", &answer, err));
    const char *dataset = json_string_value(json_object_get(answer, member));
    enum tn_code code = embed_remember(request, dataset, word, &why);
    if (code != TN_OK && code != TN_EDATASET) { /* of files that all failed, no dataset is made */
        if (err)
            *err = why;
        return code;
    }
    body->len--; /* the closing bracket */
    json->depth = 1;
    json->comma = true;
    tn_json_kbool(json, "auto_embed", tn_streq(word, "true"));
    tn_json_key(json, "indexes");
    index_list_of(request->gateway->indexes, dataset, json);
    tn_json_close(json, '}');
    return TN_OK;
}

enum tn_code h_ingest_file(struct request *request, struct tn_error *err)
{
    struct upload *upload = request->upload;
    struct tn_json json = reply_json(request);
    enum tn_code code = all_read(upload, err);
    if (code == TN_OK)
        code = ingest_finish(upload->ingest, &json, err);
    if (code == TN_OK && upload->auto_embed)
        code = embed_as_said(request, "dataset", upload->auto_embed, &json, err);
    return done(request, code);
}

enum tn_code h_ingest_preview(struct request *request, struct tn_error *err)
{
    struct upload *upload = request->upload;
    struct tn_json json = reply_json(request);
    enum tn_code code = all_read(upload, err);
    if (code == TN_OK)
        code = ingest_preview(upload->ingest, &json, err);
    request->upload = NULL;
    upload_free(upload);
    return code;
}

/* ---- rejects -------------------------------------------------------------------- */

struct sink {
    int fd;
    const char *path;
    struct tn_error *err;
};

static enum tn_code write_rejects(void *context, const char *bytes, size_t count)
{
    struct sink *sink = context;
    return tn_write_all(sink->fd, bytes, count, sink->path, sink->err);
}

/* Through a file that has no name any more: there may be millions. */
enum tn_code h_ingest_rejects(struct request *request, struct tn_error *err)
{
    struct lake *lake = &request->gateway->lake;
    char *path = NULL;
    struct stat st;
    TN_TRY(store_stage_path(lake->store, request->arena, ".ndjson", &path, err));
    TN_AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    (void)unlink(path);
    if (fd < 0)
        return tn_fail(err, TN_EIO, "cannot make a file for the rejected rows");
    struct sink sink = {.fd = fd, .path = path, .err = err};
    TN_TRY(ingest_rejects(lake, request->match.captures[0], write_rejects, &sink, err));
    if (fstat(fd, &st) != 0)
        return tn_fail(err, TN_EIO, "cannot read the file of the rejected rows");
    reply_status(request, 200, "application/x-ndjson");
    request->reply.fd = fd;
    request->reply.fd_size = (uint64_t)st.st_size;
    fd = -1;
    return TN_OK;
}
