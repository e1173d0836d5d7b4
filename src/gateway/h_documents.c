/* Documents in: one file as it is, or the files of a form. */
#include "gateway/form.h"
#include "gateway/gateway_internal.h"

#define FORM_FIELD_MAX ((size_t)4 << 10)
#define READERS_MAX    16

struct upload {
    struct request *request;
    struct ingest_documents_options options;
    const char *name;
    const char *auto_embed;             /* "true", "false"; NULL: nothing is said */
    struct ingest_documents *documents; /* NULL until the first file begins */
    struct form form;
    bool counted;
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
    form_release(&upload->form);
    if (upload->counted)
        ingests_count_out(upload->request->gateway);
    free(upload);
}

struct document_limits document_limits_of(const struct tn_config *config)
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

/* Reading documents is long work, whoever waits for it: within what jobs may have. */
static size_t readers_of(const struct gateway *gateway)
{
    const struct tn_config *config = gateway->lake.config;
    size_t cpus = tn_cpu_count(), most = (size_t)tn_config_int(config, "jobs.cpus");
    uint64_t memory = tn_config_size(config, "jobs.memory") / tn_config_size(config, "documents.memory");
    most = TN_MIN(most ? most : cpus, (size_t)TN_MIN(memory, (uint64_t)READERS_MAX));
    return TN_MAX(TN_MIN(cpus, most), (size_t)1);
}

static enum tn_code set_option(struct upload *upload, const char *name, const char *value, struct tn_error *err)
{
    if (tn_streq(name, "dataset"))
        upload->options.dataset = value;
    else if (tn_streq(name, "name"))
        upload->name = value;
    else if (tn_streq(name, "reason"))
        upload->options.reason = *value ? value : NULL;
    else if (tn_streq(name, "auto_embed"))
        return embed_word(value, &upload->auto_embed, err);
    else
        return tn_fail(err, TN_EFIELD, "unknown field \"%.80s\" in the form", name);
    return TN_OK;
}

static enum tn_code begin_file(struct upload *upload, const char *name, struct tn_error *err)
{
    struct request *request = upload->request;
    if (!upload->documents) {
        TN_TRY(ingest_documents_new(&request->gateway->lake, &upload->options, &upload->documents, err));
        request_on_cancel(request, cancel_documents, upload->documents);
    }
    return ingest_documents_begin(upload->documents, name, err);
}

/* ---- forms ------------------------------------------------------------------------- */

static bool is_file(const struct multipart_part *part)
{
    return part->filename != NULL;
}

static enum tn_code form_option(void *context, const char *name, const char *value, struct tn_error *err)
{
    return set_option(context, name, value, err);
}

static enum tn_code file_begin(void *context, const struct multipart_part *part, struct tn_error *err)
{
    return begin_file(context, *part->filename ? part->filename : part->name, err);
}

static enum tn_code file_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    struct upload *upload = context;
    return ingest_documents_data(upload->documents, bytes, count, err);
}

static enum tn_code file_end(void *context, struct tn_error *err)
{
    struct upload *upload = context;
    return ingest_documents_end(upload->documents, err);
}

static const struct form_sink documents_form = {.field_max = FORM_FIELD_MAX,
                                                .files = "the files",
                                                .is_file = is_file,
                                                .option = form_option,
                                                .file_begin = file_begin,
                                                .file_data = file_data,
                                                .file_end = file_end};

/* ---- the handlers -------------------------------------------------------------------- */

static enum tn_code feed(struct request *request, const void *bytes, size_t count, struct tn_error *err)
{
    struct upload *upload = request->upload;
    return upload->form.multipart ? form_feed(&upload->form, bytes, count, err)
                                  : ingest_documents_data(upload->documents, bytes, count, err);
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
                                                        .limits = document_limits_of(request->gateway->lake.config)};
    upload->options.readers = readers_of(request->gateway);
    upload->options.keep_scans = !tn_streq(tn_config_string(request->gateway->lake.config, "documents.ocr"), "off");
    TN_TRY(ingests_count_in(request->gateway, &upload->counted, err));
    for (size_t i = 0; i < request->target.param_count; i++)
        TN_TRY(set_option(upload, request->target.params[i].name, request->target.params[i].value, err));
    if (http_media_is(request->content_type, "multipart/form-data"))
        return form_init(&upload->form, &documents_form, upload, request->arena, request->content_type, err);
    if (!upload->name || !*upload->name) {
        (void)tn_fail(err, TN_EREQUEST, "the file has no name");
        tn_error_hint(err, "POST /ingest/documents?dataset=NAME&name=report.pdf, or send a form with files");
        return TN_EREQUEST;
    }
    return begin_file(upload, upload->name, err);
}

static enum tn_code all_read(struct upload *upload, struct tn_error *err)
{
    return upload->form.multipart ? form_finish(&upload->form, err) : ingest_documents_end(upload->documents, err);
}

/* Of the pages, so that a hit names one; a no is for the documents' own rows as well. */
static enum tn_code embed_pages(struct upload *upload, struct tn_json *json, struct tn_error *err)
{
    struct request *request = upload->request;
    if (tn_streq(upload->auto_embed, "false"))
        TN_TRY(embed_remember(request, upload->options.dataset, "false", err));
    return embed_as_said(request, "pages_dataset", upload->auto_embed, json, err);
}

/* The job, if one reads the scans now, behind what the answer says. */
static enum tn_code order_ocr(struct upload *upload, struct tn_json *json, struct tn_error *err)
{
    char id[JOB_ID_TEXT] = "";
    if (ingest_documents_scans(upload->documents) > 0)
        TN_TRY(ocr_after_ingest(upload->request, upload->options.dataset, id, err));
    upload->request->reply.body.len--; /* the closing bracket */
    json->depth = 1;
    json->comma = true;
    tn_json_kstr(json, "ocr_job", id[0] ? id : NULL);
    tn_json_close(json, '}');
    return TN_OK;
}

enum tn_code h_documents(struct request *request, struct tn_error *err)
{
    struct upload *upload = request->upload;
    struct tn_json json = reply_json(request);
    uint64_t bytes = 0, rows = 0;
    enum tn_code code = all_read(upload, err);
    if (code == TN_OK)
        code = ingest_documents_finish(upload->documents, &json, err);
    if (code == TN_OK)
        code = order_ocr(upload, &json, err);
    if (code == TN_OK && upload->auto_embed)
        code = embed_pages(upload, &json, err);
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
