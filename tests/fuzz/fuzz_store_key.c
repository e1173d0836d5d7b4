/* Any text as a key and as a URI: what is accepted stays below the root. */
#include "fuzz.h"

#include "base/base.h"
#include "store/store.h"

#include <string.h>

static void check_key(const char *key)
{
    size_t length = strlen(key);
    FUZZ_CHECK(length >= 1 && length <= STORE_MAX_KEY && key[0] != '/' && key[length - 1] != '/');
    FUZZ_CHECK(!strstr(key, "//") && strcmp(key, "..") != 0 && strncmp(key, "../", 3) != 0);
    FUZZ_CHECK(!strstr(key, "/../") && !tn_str_ends_with(key, "/.."));
    FUZZ_CHECK(strcmp(key, ".staging") != 0 && strncmp(key, ".staging/", 9) != 0);
    FUZZ_CHECK(tn_utf8_valid_prefix(key, length) == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store *store;
    if (!store)
        FUZZ_CHECK(store_open_local("/tmp", &store, NULL) == TN_OK);
    TN_AUTO_FREE char *text = tn_strndup((const char *)data, size);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    char *key = NULL;
    if (store_check_key(text, &err) == TN_OK) {
        check_key(text);
        const char *uri = store_uri(store, arena, text);
        FUZZ_CHECK(store_key_of_uri(store, arena, uri, &key, &err) == TN_OK && strcmp(key, text) == 0);
    } else {
        FUZZ_CHECK(err.detail[0] && err.hint[0]);
    }
    key = NULL;
    if (store_key_of_uri(store, arena, text, &key, NULL) == TN_OK)
        check_key(key);
    else
        FUZZ_CHECK(!key);
    return 0;
}
