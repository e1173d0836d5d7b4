/* model-performance.json and exports of other projects: any document at all. */
#include "fuzz.h"

#include "outcome/outcome_internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > (64U << 10))
        return 0;
    struct tn_error err = {0};
    TN_AUTO_JSON *document = NULL;
    char *text = malloc(size ? size : 1);
    memcpy(text, data, size);
    if (tn_json_parse(text, size, size, "document", &document, &err) == TN_OK) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct outcome_imported report = {0};
        struct outcome_entry *entries;
        size_t count;
        if (outcome_import_read(document, "fuzz", arena, &entries, &count, &report, &err) == TN_OK) {
            TN_AUTO_BUF line = {0};
            for (size_t i = 0; i < count; i++) {
                struct outcome_entry again;
                tn_buf_clear(&line);
                outcome_entry_put(&entries[i], &line);
                /* What was taken can be read back from the log, the same. */
                FUZZ_CHECK(outcome_entry_read(arena, line.data, line.len - 1, &again, &err) == TN_OK);
                FUZZ_CHECK(again.import && again.successes == entries[i].successes &&
                           again.failures == entries[i].failures && again.tokens == entries[i].tokens &&
                           again.time_us == entries[i].time_us && tn_streq(again.model_id, entries[i].model_id));
            }
        } else {
            FUZZ_CHECK(err.detail[0]);
        }
        outcome_imported_release(&report);
    }
    free(text);
    return 0;
}
