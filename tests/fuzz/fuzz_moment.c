/* Any text as a moment: a number, a time, a state's name or a name, and never
 * two of them; what is no moment leaves the result as it was. */
#include "fuzz.h"

#include "dataset/moment.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_AUTO_FREE char *text = tn_strndup((const char *)data, size);
    const struct moment untouched = {.kind = MOMENT_NOW, .snapshot_id = 17, .time_us = 18, .sequence = 19};
    struct moment moment = untouched;
    struct tn_error err = {0};
    int64_t number = 0, time = 0;
    bool digits = *text && strspn(text, "0123456789") == strlen(text);
    bool is_number = tn_parse_i64(text, &number), is_time = tn_time_parse(text, &time);
    if (moment_parse(text, &moment, &err) != TN_OK) {
        FUZZ_CHECK(!*text || (digits && !is_number));
        FUZZ_CHECK(*err.detail && moment.kind == untouched.kind && moment.snapshot_id == 17 && moment.time_us == 18);
        FUZZ_CHECK(moment_is_reserved(text));
        return 0;
    }
    FUZZ_CHECK(is_number == (moment.kind == MOMENT_VERSION || moment.kind == MOMENT_START));
    FUZZ_CHECK(is_time == (moment.kind == MOMENT_TIME));
    FUZZ_CHECK(moment.kind != MOMENT_NOW && (moment.kind != MOMENT_VERSION || moment.snapshot_id == number));
    FUZZ_CHECK(moment.kind != MOMENT_COMMIT || strncmp(text, "replay-", 7) == 0);
    FUZZ_CHECK(moment.kind != MOMENT_NAME || moment.name == text);
    FUZZ_CHECK(moment_is_reserved(text) == (moment.kind != MOMENT_NAME));
    return 0;
}
