/* Any bytes as an asset, checksums aside: what opens must encode a text
 * without touching a byte that is not its own. */
#include "fuzz.h"

#include "base/base.h"
#include "embed/embed_internal.h"

static void encode(const struct embed_model *model)
{
    TN_CLEANUP(embed_scratch_free_p) struct embed_scratch *scratch = NULL;
    struct tn_error err = {0};
    struct embed_text text = {"the lake is cold, unaffordable zebra", 36};
    if (embed_scratch_new(model, &scratch, &err) != TN_OK)
        return;
    TN_AUTO_FREE float *out = tn_calloc(embed_model_info(model)->dimension, sizeof *out);
    struct embed_count count = {0};
    if (embed_encode(model, scratch, EMBED_QUERY, &text, 1, out, &count, &err) != TN_OK)
        FUZZ_CHECK(err.detail[0]);
    else
        FUZZ_CHECK(count.tokens >= 2 && count.tokens <= embed_model_info(model)->max_tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct embed_model *model = NULL;
    struct tn_error err = {0};
    /* Mapped files are aligned; a copy of their exact size keeps the address
     * sanitizer's end. */
    void *copy = NULL;
    if (posix_memalign(&copy, 64, size ? size : 1) != 0)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (embed_model_open_bytes(copy, size, true, &model, &err) != TN_OK)
        FUZZ_CHECK(err.detail[0]);
    embed_model_close(model);
    model = NULL;
    if (embed_model_open_bytes(copy, size, false, &model, &err) == TN_OK)
        encode(model);
    else
        FUZZ_CHECK(err.detail[0]);
    embed_model_close(model);
    free(copy);
    return 0;
}
