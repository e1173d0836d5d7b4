/* A log of trials of any bytes: every record that is read can be written and
 * read again. And a sample of queries of any bytes. */
#include "index/asked.h"
#include "index/trial_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tn_code check(void *context, const struct trial_record *record, struct tn_error *err)
{
    struct tn_arena *arena = context;
    struct trial_record again;
    TN_AUTO_BUF line = {0};
    trial_record_write(record, &line);
    if (line.len > TRIAL_LINE_MAX)
        return TN_OK; /* escapes may make it longer than a line may be */
    TN_TRY(trial_record_read(line.data, line.len, arena, &again, err));
    if (again.record != record->record || again.seed != record->seed || !tn_streq(again.reason, record->reason))
        abort();
    return TN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(asked_free_p) struct asked *asked = asked_new(4);
    size_t damaged = 0;
    if (size > 65536)
        return 0;
    if (trial_records_read((const char *)data, size, arena, check, arena, &damaged, NULL) != TN_OK)
        abort();
    (void)asked_read(asked, data, size);
    return 0;
}
