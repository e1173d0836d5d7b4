/* A segment of the outcomes' log, as it lies on disk: any bytes at all. What is
 * opened must be whole or cut, and what was cut must take an append. */
#include "fuzz.h"

#include "outcome/log.h"

#include <string.h>
#include <unistd.h>

static enum tn_code count_entry(void *context, const struct outcome_entry *entry, struct tn_error *err)
{
    (void)err;
    FUZZ_CHECK(entry->task_type[0] && entry->model_id[0]);
    FUZZ_CHECK(entry->import || entry->successes + entry->failures == 1);
    ++*(int64_t *)context;
    return TN_OK;
}

static void read_frame(const uint8_t *data, size_t size)
{
    struct log_frame frame;
    struct tn_error err = {0};
    int64_t count = 0;
    if (size < LOG_HEADER || !log_header_read((const char *)data, &frame))
        return;
    frame.payload_length = TN_MIN(frame.payload_length, size - LOG_HEADER);
    frame.count = TN_MIN(frame.count, (uint32_t)1000);
    char *payload = malloc(frame.payload_length ? frame.payload_length : 1);
    memcpy(payload, data + LOG_HEADER, frame.payload_length);
    (void)log_frame_holds(&frame, payload);
    /* Past the checksum, so that the lines are reached. */
    if (log_frame_each(&frame, payload, 0, count_entry, &count, &err) == TN_OK)
        FUZZ_CHECK(count == (int64_t)frame.count);
    else
        FUZZ_CHECK(err.detail[0]);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > (256U << 10))
        return 0;
    read_frame(data, size);
    /* In memory where that can be had: every run makes files durable. */
    char folder[] = "/dev/shm/tarn-fuzz-XXXXXX", on_disk[] = "/tmp/tarn-fuzz-XXXXXX";
    if (!mkdtemp(folder)) {
        FUZZ_CHECK(mkdtemp(on_disk) != NULL);
        memcpy(folder, on_disk, sizeof on_disk);
    }
    tn_log_configure(TN_LOG_OFF, false);
    char *path = tn_asprintf("%s/0000000000000001.log", folder);
    struct tn_error err = {0};
    struct outcome_log log;
    static const char line[] = "{\"task_type\":\"t\",\"model_id\":\"m\",\"success\":1,\"timeout\":0,\"tokens\":0,"
                               "\"cost\":0,\"time\":\"2026-01-01T00:00:00.000000Z\"}\n";
    FUZZ_CHECK(tn_file_replace(path, data, size, 0600, &err) == TN_OK);
    if (log_open(folder, 0, &log, &err) == TN_OK) {
        int64_t before = log.last_id, count = 0;
        FUZZ_CHECK(log_lock(&log, &err) == TN_OK);
        FUZZ_CHECK(log_append(&log, 1, line, sizeof line - 1, &err) == TN_OK);
        FUZZ_CHECK(log_follow(&log, &err) == TN_OK && log.last_id == before + 1);
        FUZZ_CHECK(log_read(folder, log.last_id, log.last_id, count_entry, &count, &err) == TN_OK && count == 1);
        log_unlock(&log);
        log_close(&log);
    } else {
        FUZZ_CHECK(err.detail[0]);
    }
    free(path);
    FUZZ_CHECK(tn_remove_tree(folder, &err) == TN_OK);
    return 0;
}
