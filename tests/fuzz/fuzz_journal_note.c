/* Names of batches below journal/foreign and journal/intended: any text at all.
 * What is taken is written again as the same name, and what is not leaves the
 * result as it was. */
#include "fuzz.h"

#include "journal/journal_internal.h"

#include <inttypes.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_AUTO_FREE char *name = tn_strndup((const char *)data, size);
    const struct tail_batch untouched = {.uuid = "nothing yet", .sequence = 17, .snapshot_id = -18, .events = 19};
    struct tail_batch found = untouched;
    if (!journal_parse_note(name, &found)) {
        FUZZ_CHECK(memcmp(&found, &untouched, sizeof found) == 0);
        return 0;
    }
    FUZZ_CHECK(strlen(found.uuid) == TN_UUID_TEXT - 1 && !strchr(found.uuid, '/') && found.events == 19);
    TN_AUTO_FREE char *again =
        tn_asprintf("%s/%" PRId64 "-%" PRId64 ".parquet", found.uuid, found.sequence, found.snapshot_id);
    FUZZ_CHECK(strcmp(again, name) == 0);
    return 0;
}
