/* OCR as a job: the pages of a dataset of documents that are images. Ordered by
 * an ingest that brought some (documents.ocr: auto), or by a request. What a
 * run has read is in the rows, so that one that is broken off goes on there. */
#include "gateway/gateway_internal.h"
#include "ingest/ingest.h"

static void show_progress(void *run, uint64_t pages, uint64_t of)
{
    job_run_progress(run, pages, of, "pages");
}

static void show_line(void *run, const char *text)
{
    job_run_log(run, "%s", text);
}

#define PROGRAMS 2 /* of each page: one draws it, one reads it */
#define ENOUGH   ((uint64_t)384 << 20)

/* As many pages at once as there are CPUs, when each has the memory that most
 * need; what needs more is read alone, with all of it. */
static enum tn_code reserve(struct job_run *run, struct ingest_ocr_options *options, struct tn_error *err)
{
    uint64_t part = job_run_memory(run) / PROGRAMS, wanted = options->limits.memory_bytes;
    uint64_t fits = part / TN_MIN(wanted, ENOUGH);
    options->readers = (size_t)TN_MAX(TN_MIN(fits, (uint64_t)job_run_threads(run)), (uint64_t)1);
    options->memory_alone = TN_MIN(wanted, part);
    options->limits.memory_bytes = TN_MIN(wanted, part / options->readers);
    return job_run_reserve(run, PROGRAMS * options->readers * options->limits.memory_bytes, err);
}

static enum tn_code run_ocr(struct job_run *run, void *context, struct tn_error *err)
{
    struct gateway *gateway = context;
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *result = NULL;
    struct tn_json json = tn_json_writer(&text);
    struct ingest_ocr_options options = {.limits = document_limits_of(gateway->lake.config),
                                         .languages =
                                             tn_config_string(gateway->lake.config, "documents.ocr_languages"),
                                         .stopping = job_run_stopping_fn,
                                         .progress = show_progress,
                                         .log = show_line,
                                         .context = run};
    const struct tn_json_field fields[] = {
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &options.dataset, .required = true},
        {.name = "languages", .kind = TN_JSON_STRING, .ret = &options.languages},
        {.name = "actor", .kind = TN_JSON_STRING, .ret = &options.actor},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &options.reason},
        {.name = "request_id", .kind = TN_JSON_STRING, .ret = &options.request_id},
    };
    TN_TRY(tn_json_read(job_run_arguments(run), "the job's arguments", fields, TN_COUNT(fields), err));
    TN_TRY(reserve(run, &options, err));
    TN_TRY(ingest_ocr(&gateway->lake, &options, &json, err));
    TN_TRY(tn_json_parse(text.data, text.len, text.len, "result", &result, err));
    job_run_result(run, result);
    return TN_OK;
}

void ocr_job_add(struct gateway *gateway)
{
    job_kind_add(gateway->jobs, "ocr", run_ocr, gateway);
}

static enum tn_code submit(struct request *request, const char *dataset, const char *languages, const char *reason,
                           char ret_id[JOB_ID_TEXT], struct tn_error *err)
{
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(dataset, exact);
    TN_AUTO_JSON *arguments = json_pack("{s:s, s:s?, s:s, s:s?, s:s}", "dataset", exact, "languages", languages,
                                        "actor", request->actor.name, "reason", reason, "request_id", request->id);
    const struct job_request job = {
        .kind = "ocr",
        .subject = exact,
        .arguments = arguments,
        .once = true,
        .again = true,
        .actor = request->actor.name,
        .request_id = request->id,
    };
    return job_submit(request->gateway->jobs, &job, ret_id, err);
}

enum tn_code ocr_after_ingest(struct request *request, const char *dataset, char ret_id[JOB_ID_TEXT],
                              struct tn_error *err)
{
    ret_id[0] = '\0';
    if (!tn_streq(tn_config_string(request->gateway->lake.config, "documents.ocr"), "auto") ||
        !document_ocr_installed())
        return TN_OK;
    return submit(request, dataset, NULL, NULL, ret_id, err);
}

enum tn_code h_ocr(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char id[JOB_ID_TEXT];
    const char *dataset = request->match.captures[0];
    TN_TRY(catalog_load(request->gateway->lake.catalog, dataset, &metadata, err));
    if (!document_ocr_installed()) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "OCR needs tesseract and pdftoppm, and they are not installed here");
        tn_error_hint(err, "apt install tesseract-ocr poppler-utils on the server, and ask again");
        return TN_EUNSUPPORTED;
    }
    TN_TRY(submit(request, dataset, http_param(&request->target, "languages"), http_param(&request->target, "reason"),
                  id, err));
    return job_reply(request, id, err);
}
