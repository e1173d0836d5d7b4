/* Any bytes as a JSON document: what is accepted must survive being written
 * and read again, and request reading must cope with any document. */
#include "fuzz.h"

#include "base/base.h"
#include "base/json_floats.h"

#include <math.h>
#include <string.h>

static void read_as_request(const json_t *json)
{
    const char *name = "unset";
    int64_t limit = -1;
    double score = -1;
    bool flag = false;
    json_t *any = NULL, *list = NULL, *object = NULL;
    const struct tn_json_field fields[] = {
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name, .required = true},
        {.name = "limit", .kind = TN_JSON_INT, .ret = &limit, .min = 1, .max = 100},
        {.name = "score", .kind = TN_JSON_DOUBLE, .ret = &score},
        {.name = "flag", .kind = TN_JSON_BOOL, .ret = &flag},
        {.name = "any", .kind = TN_JSON_ANY, .ret = &any},
        {.name = "list", .kind = TN_JSON_ARRAY, .ret = &list},
        {.name = "object", .kind = TN_JSON_OBJECT, .ret = &object},
    };
    struct tn_error err = {0};
    if (tn_json_read(json, "body", fields, TN_COUNT(fields), &err) == TN_OK) {
        FUZZ_CHECK(strcmp(name, "unset") != 0 || json_object_get(json, "name"));
        FUZZ_CHECK(limit == -1 || (limit >= 1 && limit <= 100));
    } else {
        FUZZ_CHECK(strcmp(name, "unset") == 0 && limit == -1 && !any && err.detail[0]);
    }
}

/* What is cut out is what the document has, and what remains is one exactly when the whole is. */
static void cut_floats(const char *text, size_t length, const json_t *whole)
{
    float out[64];
    struct tn_json_floats found;
    if (!tn_json_cut_floats(text, length, "vector", out, TN_COUNT(out), &found))
        return;
    FUZZ_CHECK(found.begin <= found.end && found.end < length && found.count > 0);
    TN_AUTO_BUF text_left = {0};
    TN_AUTO_JSON *left = NULL;
    tn_buf_append(&text_left, text, found.begin);
    tn_buf_append(&text_left, text + found.end, length - found.end);
    bool well = tn_json_parse(text_left.data, text_left.len, 1 << 20, "input", &left, NULL) == TN_OK;
    FUZZ_CHECK(well == (whole != NULL));
    if (!well)
        return;
    const json_t *list = json_object_get(whole, "vector");
    FUZZ_CHECK(json_array_size(list) == found.count && json_array_size(json_object_get(left, "vector")) == 0);
    for (size_t i = 0; i < found.count; i++) {
        float wanted = (float)json_number_value(json_array_get(list, i));
        FUZZ_CHECK(out[i] >= nextafterf(wanted, -INFINITY) && out[i] <= nextafterf(wanted, INFINITY));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_AUTO_BUF quoted = {0};
    tn_json_quote(&quoted, (const char *)data, size);
    FUZZ_CHECK(tn_utf8_valid_prefix(quoted.data, quoted.len) == quoted.len);

    TN_AUTO_JSON *json = NULL;
    struct tn_error err = {0};
    if (tn_json_parse((const char *)data, size, 1 << 20, "input", &json, &err) != TN_OK) {
        FUZZ_CHECK(!json && err.detail[0]);
        cut_floats((const char *)data, size, NULL);
        return 0;
    }
    TN_AUTO_BUF text = {0}, second = {0};
    tn_json_dump(json, &text);
    TN_AUTO_JSON *again = NULL;
    FUZZ_CHECK(tn_json_parse(text.data, text.len, text.len, "again", &again, &err) == TN_OK);
    FUZZ_CHECK(json_equal(json, again));
    tn_json_dump(again, &second);
    FUZZ_CHECK(strcmp(text.data, second.data) == 0);
    read_as_request(json);
    cut_floats((const char *)data, size, json);
    return 0;
}
