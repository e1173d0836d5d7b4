/* A form with files: its fields become options, its files are streamed. What
 * POST /ingest/file and POST /ingest/documents have in common. */
#ifndef TARN_GATEWAY_FORM_H
#define TARN_GATEWAY_FORM_H

#include "gateway/multipart.h"

struct form_sink {
    size_t field_max;  /* bytes of a field's value */
    const char *files; /* what fields must stand before: "the file", "the files" */
    bool (*is_file)(const struct multipart_part *part);
    enum tn_code (*option)(void *context, const char *name, const char *value, struct tn_error *err);
    enum tn_code (*file_begin)(void *context, const struct multipart_part *part, struct tn_error *err);
    enum tn_code (*file_data)(void *context, const void *bytes, size_t count, struct tn_error *err);
    enum tn_code (*file_end)(void *context, struct tn_error *err);
};

struct form {
    const struct form_sink *sink;
    void *context;
    struct tn_arena *arena; /* borrowed; the options' texts live in it */
    struct multipart *multipart;
    bool in_file, file_seen;
    const char *field; /* that is being read */
    struct tn_buf field_text;
};

/* `sink` outlives the form. The content type names the boundary. */
enum tn_code form_init(struct form *form, const struct form_sink *sink, void *context, struct tn_arena *arena,
                       const char *content_type, struct tn_error *err) TN_CHECKED;
/* Also of one that is all zero. */
void form_release(struct form *form);
enum tn_code form_feed(struct form *form, const void *bytes, size_t count, struct tn_error *err) TN_CHECKED;
/* After the last byte: the form was whole and held a file. */
enum tn_code form_finish(struct form *form, struct tn_error *err) TN_CHECKED;

#endif
