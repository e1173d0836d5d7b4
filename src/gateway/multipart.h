/* multipart/form-data, cut as it streams in. Holds one block and one part's
 * headers, never a part. Belongs to one thread at a time. */
#ifndef TARN_GATEWAY_MULTIPART_H
#define TARN_GATEWAY_MULTIPART_H

#include "base/base.h"

struct multipart;

struct multipart_part {
    const char *name;     /* of the form's field; "" when it has none */
    const char *filename; /* NULL for a plain field */
};

struct multipart_sink {
    void *context;
    enum tn_code (*begin)(void *context, const struct multipart_part *part, struct tn_error *err);
    enum tn_code (*data)(void *context, const void *bytes, size_t count, struct tn_error *err);
    enum tn_code (*end)(void *context, struct tn_error *err);
};

/* The boundary is taken from the Content-Type; TN_EREQUEST when it has none. */
enum tn_code multipart_new(const char *content_type, const struct multipart_sink *sink, struct multipart **ret,
                           struct tn_error *err) TN_CHECKED;
void multipart_free(struct multipart *multipart);
TN_DEFINE_CLEANUP(struct multipart, multipart_free)
enum tn_code multipart_feed(struct multipart *multipart, const void *bytes, size_t count,
                            struct tn_error *err) TN_CHECKED;
/* After the last byte: TN_EREQUEST unless the closing boundary was there. */
enum tn_code multipart_finish(struct multipart *multipart, struct tn_error *err) TN_CHECKED;

#endif
