/* The texts of the working files, in a log that is written anew now and then.
 *
 * The next pair of files is durable before words.db says that it counts, and
 * that is durable before the pair of before is removed: whichever counts after a
 * crash is there, and the other is removed when the files are opened. */
#include "index/index_internal.h"

enum tn_code texts_open(struct logical *logical, struct tn_error *err)
{
    int64_t number = 0, length = 0;
    TN_TRY(keyword_get(logical->words, "log_number", &number, err));
    TN_TRY(keyword_get(logical->words, "log_length", &length, err));
    TN_TRY(chunk_file_open(logical->folder, (uint64_t)number, (uint64_t)length, &logical->chunks, err));
    return chunk_file_sweep(logical->folder, (uint64_t)number, err);
}

static bool has_to_stop(void *context)
{
    return logical_stopping(context, NULL);
}

/* Searches that are under way have texts of the old pair. */
static void change_over(struct logical *logical, struct chunk_file *next)
{
    pthread_rwlock_wrlock(&logical->gate);
    struct chunk_file *before = logical->chunks;
    logical->chunks = next;
    pthread_rwlock_unlock(&logical->gate);
    chunk_file_close(before);
}

static enum tn_code fold(struct logical *logical, struct tn_error *err)
{
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *next = NULL;
    uint64_t length = 0, before = chunk_file_bytes(logical->chunks);
    int64_t number = 0;
    TN_TRY(keyword_get(logical->words, "log_number", &number, err));
    number++;
    TN_TRY(chunk_file_fold(logical->chunks, logical->folder, (uint64_t)number, has_to_stop, logical, &next, &length,
                           err));
    TN_FAULT("index.log_written");
    const struct keyword_number numbers[] = {{"log_number", number}, {"log_length", (int64_t)length}};
    TN_TRY(keyword_set_durably(logical->words, numbers, TN_COUNT(numbers), err));
    TN_FAULT("index.log_chosen");
    change_over(logical, TN_TAKE(next));
    TN_LOG(TN_LOG_INFO, "index.log_folded", TN_FS("index", logical->definition.name),
           TN_FI("before", (int64_t)before), TN_FI("after", (int64_t)chunk_file_bytes(logical->chunks)));
    return chunk_file_sweep(logical->folder, (uint64_t)number, err);
}

/* A log that cannot be written anew is as good as it was: it is said, and looked at again when it is opened. */
void texts_fold_if_due(struct logical *logical)
{
    struct tn_error why = {0};
    if (logical->texts_stay || !chunk_file_fold_is_due(logical->chunks))
        return;
    enum tn_code code = fold(logical, &why);
    if (code == TN_OK || code == TN_ECANCELLED)
        return;
    logical->texts_stay = true;
    TN_LOG(TN_LOG_WARN, "index.log_not_folded", TN_FS("index", logical->definition.name), TN_FS("why", why.detail));
}
