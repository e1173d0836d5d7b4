/* Documents in: one file as it is, or the files of a form. */
#include "gateway/gateway_internal.h"
#include "gateway/multipart.h"

#define FORM_FIELD_MAX ((size_t)4 << 10)

struct upload {
    struct request *request;
    struct ingest_documents_options options;
    const char *name;
    struct ingest_documents *documents; /* NULL until the first file begins */
    struct multipart *multipart;
    bool in_file, file_seen, counted;
    const char *field;
    struct tn_buf field_text;
};

static void cancel_documents(void *documents)
{
    ingest_documents_cancel(documents);
}

static void upload_free(void *context)
{
    struct upload *upload = context;
    request_on_cancel(upload->request, NULL, NULL);
    ingest_documents_free(upload->documents);
    multipart_free(upload->multipart);
    tn_buf_release(&upload->field_text);
    if (upload->counted)
        atomic_fetch_sub(&upload->request->gateway->ingests, 1);
    free(upload);
}

static struct document_limits read_limits(const struct tn_config *config)
{
    struct document_limits limits = document_limits_default();
    limits.file_bytes = tn_config_size(config, "documents.max_file");
    limits.text_bytes = tn_config_size(config, "documents.max_text");
    limits.memory_bytes = tn_config_size(config, "documents.memory");
    limits.seconds = (uint32_t)(tn_config_ms(config, "documents.timeout") / 1000);
    limits.pages = (uint32_t)tn_config_int(config, "documents.max_pages");
    limits.archive_files = (uint32_t)tn_config_int(config, "documents.max_archive_files");
    limits.archive_bytes = tn_config_size(config, "documents.max_archive");
    return limits;
}

static enum tn_code set_option(struct upload *upload, const char *name, const char *value, struct tn_error *err)
{
    if (tn_streq(name, "dataset"))
        upload->options.dataset = value;
    else if (tn_streq(name, "name"))
        upload->name = value;
    else if (tn_streq(name, "reason"))
        upload->options.reason = *value ? value : NULL;
    else
        return tn_fail(err, TN_EFIELD, "unknown field \"%.80s\" in the form", name);
    return TN_OK;
}

static enum tn_code begin_file(struct upload *upload, const char *name, struct tn_error *err)
{
    struct request *request = upload->request;
    upload->file_seen = true;
    if (!upload->documents) {
        TN_TRY(ingest_documents_new(&request->gateway->lake, &upload->options, &upload->documents, err));
        request_on_cancel(request, cancel_documents, upload->documents);
    }
    return ingest_documents_begin(upload->documents, name, err);
}

/* ---- forms ------------------------------------------------------------------------- */

static enum tn_code part_begin(void *context, const struct multipart_part *part, struct tn_error *err)
{
    struct upload *upload = context;
    upload->in_file = part->filename != NULL;
    if (upload->in_file)
        return begin_file(upload, *part->filename ? part->filename : part->name, err);
    upload->field = tn_arena_strdup(upload->request->arena, part->name);
    tn_buf_clear(&upload->field_text);
    return upload->file_seen
               ? tn_fail(err, TN_EREQUEST, "the field \"%.80s\" must stand before the files", part->name)
               : TN_OK;
}

static enum tn_code part_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct upload *upload = context;
    if (upload->in_file)
        return ingest_documents_data(upload->documents, bytes, count, err);
    if (upload->field_text.len + count > FORM_FIELD_MAX)
        return tn_fail(err, TN_ETOOLARGE, "the field \"%.80s\" is too long", upload->field);
    tn_buf_append(&upload->field_text, bytes, count);
    return TN_OK;
}

static enum tn_code part_end(void *context, struct tn_error *err)
{
    struct upload *upload = context;
    if (upload->in_file)
        return ingest_documents_end(upload->documents, err);
    const char *text = upload->field_text.data ? upload->field_text.data : "";
    if (strlen(text) != upload->field_text.len ||
        tn_utf8_valid_prefix(text, upload->field_text.len) != upload->field_text.len)
        return tn_fail(err, TN_EREQUEST, "the field \"%.80s\" is not text", upload->field);
    return set_option(upload, upload->field, tn_arena_strdup(upload->request->arena, text), err);
}

/* ---- the handlers -------------------------------------------------------------------- */

static enum tn_code feed(struct request *request, const void *bytes, size_t count, struct tn_error *err)
{
    struct upload *upload = request->upload;
    return upload->multipart ? multipart_feed(upload->multipart, bytes, count, err)
                             : ingest_documents_data(upload->documents, bytes, count, err);
}

static enum tn_code count_in(struct upload *upload, struct tn_error *err)
{
    struct gateway *gateway = upload->request->gateway;
    upload->counted = true;
    if (atomic_fetch_add(&gateway->ingests, 1) < gateway->limits.max_ingests)
        return TN_OK;
    (void)tn_fail(err, TN_EBUSY, "%d ingests are running already", gateway->limits.max_ingests);
    tn_error_hint(err, "try again in a moment, or raise the setting ingest.max_running");
    return TN_EBUSY;
}

enum tn_code h_documents_start(struct request *request, struct tn_error *err)
{
    struct upload *upload = tn_calloc(1, sizeof *upload);
    upload->request = request;
    request->upload = upload;
    request->upload_free = upload_free;
    request->upload_feed = feed;
    upload->options = (struct ingest_documents_options){.actor = request->actor.name,
                                                        .request_id = request->id,
                                                        .limits = read_limits(request->gateway->lake.config)};
    TN_TRY(count_in(upload, err));
    for (size_t i = 0; i < request->target.param_count; i++)
        TN_TRY(set_option(upload, request->target.params[i].name, request->target.params[i].value, err));
    if (http_media_is(request->content_type, "multipart/form-data")) {
        const struct multipart_sink sink = {
            .context = upload, .begin = part_begin, .data = part_data, .end = part_end};
        return multipart_new(request->content_type, &sink, &upload->multipart, err);
    }
    if (!upload->name || !*upload->name) {
        (void)tn_fail(err, TN_EREQUEST, "the file has no name");
        tn_error_hint(err, "POST /ingest/documents?dataset=NAME&name=report.pdf, or send a form with files");
        return TN_EREQUEST;
    }
    return begin_file(upload, upload->name, err);
}

static enum tn_code all_read(struct upload *upload, struct tn_error *err)
{
    if (!upload->multipart)
        return ingest_documents_end(upload->documents, err);
    TN_TRY(multipart_finish(upload->multipart, err));
    return upload->file_seen ? TN_OK : tn_fail(err, TN_EREQUEST, "the form holds no file");
}

enum tn_code h_documents(struct request *request, struct tn_error *err)
{
    struct upload *upload = request->upload;
    struct tn_json json = reply_json(request);
    uint64_t bytes = 0, rows = 0;
    enum tn_code code = all_read(upload, err);
    if (code == TN_OK)
        code = ingest_documents_finish(upload->documents, &json, err);
    if (upload->documents)
        ingest_documents_progress(upload->documents, &bytes, &rows);
    if (code == TN_OK)
        metrics_ingest(request->gateway->metrics, bytes, rows);
    TN_LOG(TN_LOG_INFO, "documents.end", TN_FS("result", tn_code_word(code)),
           TN_FS("dataset", upload->options.dataset), TN_FI("bytes", bytes), TN_FI("rows", rows),
           TN_FI("took_ms", (tn_mono_ns() - request->started_ns) / 1000000));
    request->upload = NULL;
    upload_free(upload);
    return code;
}
