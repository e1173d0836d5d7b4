/* Compaction as a job: the same work as POST /datasets/{dataset}/compact, for
 * whoever does not want to wait. A compaction commits group by group, so that
 * one that is interrupted has lost one group and begins with what is left. */
#include "gateway/gateway_internal.h"

void compact_json(const char *dataset, const struct dataset_compacted *done, struct tn_json *json)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {{"files_before", done->files_before},
                  {"files_after", done->files_after},
                  {"rows", done->rows},
                  {"deleted_rows", done->deleted_rows},
                  {"bytes", done->bytes},
                  {"lost_groups", done->lost_groups}};
    tn_json_open(json, '{');
    tn_json_kstr(json, "dataset", dataset);
    tn_json_kstr(json, "status", done->groups > 0 ? "compacted" : "unchanged");
    for (size_t i = 0; i < TN_COUNT(counts); i++) {
        tn_json_key(json, counts[i].key);
        tn_json_u64(json, counts[i].value);
    }
    tn_json_ki64(json, "snapshot_id", done->snapshot_id);
    tn_json_close(json, '}');
}

void compact_tell(struct gateway *gateway, const char *dataset, const struct dataset_compacted *done)
{
    struct tn_error error = {0};
    if (done->groups > 0 && dataset_journal_foreign(&gateway->lake, dataset, &error) != TN_OK)
        TN_LOG(TN_LOG_WARN, "journal.told_later", TN_FS("dataset", dataset), TN_FS("error", error.detail));
}

static void keep_result(struct job_run *run, const char *dataset, const struct dataset_compacted *done)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *result = NULL;
    struct tn_json json = tn_json_writer(&text);
    compact_json(dataset, done, &json);
    if (tn_json_parse(text.data, text.len, text.len, "result", &result, NULL) == TN_OK)
        job_run_result(run, result);
}

static enum tn_code run_compact(struct job_run *run, void *context, struct tn_error *err)
{
    struct gateway *gateway = context;
    const char *dataset = NULL;
    struct dataset_compaction options = {.cancelled = job_run_stopping_fn, .cancel_context = run};
    const struct tn_json_field fields[] = {
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &dataset, .required = true},
        {.name = "actor", .kind = TN_JSON_STRING, .ret = &options.actor},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &options.reason},
        {.name = "request_id", .kind = TN_JSON_STRING, .ret = &options.request_id},
        {.name = "debt_only", .kind = TN_JSON_BOOL, .ret = &options.debt_only},
    };
    TN_TRY(tn_json_read(job_run_arguments(run), "the job's arguments", fields, TN_COUNT(fields), err));
    struct dataset_debt debt = {0};
    TN_TRY(dataset_debt(&gateway->lake, dataset, &debt, err));
    job_run_progress(run, 0, debt.data_files, "files");
    job_run_log(run, "%llu files, %llu of them small, %llu deleted rows", (unsigned long long)debt.data_files,
                (unsigned long long)debt.small_files, (unsigned long long)debt.deleted_rows);
    struct dataset_compacted done = {0};
    TN_TRY(dataset_compact(&gateway->lake, dataset, &options, &done, err));
    compact_tell(gateway, dataset, &done);
    job_run_progress(run, debt.data_files, debt.data_files, "files");
    job_run_log(run, "%llu files became %llu", (unsigned long long)done.files_before,
                (unsigned long long)done.files_after);
    keep_result(run, dataset, &done);
    return TN_OK;
}

void job_kinds_add(struct gateway *gateway)
{
    job_kind_add(gateway->jobs, "compact", run_compact, gateway);
    postgres_job_add(gateway);
    ocr_job_add(gateway);
}

enum tn_code compact_later(struct request *request, const char *dataset, const struct dataset_compaction *options,
                           struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char id[JOB_ID_TEXT];
    TN_TRY(catalog_load(request->gateway->lake.catalog, dataset, &metadata, err)); /* is it there at all */
    TN_AUTO_JSON *arguments =
        json_pack("{s:s, s:s?, s:s?, s:s, s:b}", "dataset", dataset, "actor", options->actor, "reason",
                  options->reason, "request_id", request->id, "debt_only", options->debt_only);
    const struct job_request wanted = {
        .kind = "compact",
        .subject = dataset,
        .arguments = arguments,
        .once = true,
        .again = true,
        .actor = options->actor,
        .request_id = request->id,
    };
    TN_TRY(job_submit(request->gateway->jobs, &wanted, id, err));
    return job_reply(request, id, err);
}
