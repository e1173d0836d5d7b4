/* The last queries' vectors, in memory and in a file. */
#include "index/asked.h"

#include <math.h>
#include <pthread.h>

#define MAGIC "TARNASK1"

/* Little endian, as all machines that Tarn runs on. */
struct file_head {
    char magic[8];
    uint32_t dimension, count;
    uint32_t crc; /* of the vectors */
    uint32_t reserved[3];
};
_Static_assert(sizeof(struct file_head) == 32, "the head is a format");

struct asked {
    pthread_mutex_t lock;
    uint32_t dimension;
    uint64_t hashes[ASKED_KEPT];
    float *rows; /* ASKED_KEPT of them, once there is one */
    size_t count, next;
    bool changed;
};

struct asked *asked_new(uint32_t dimension)
{
    struct asked *asked = tn_calloc(1, sizeof *asked);
    (void)pthread_mutex_init(&asked->lock, NULL);
    asked->dimension = dimension;
    return asked;
}

void asked_free(struct asked *asked)
{
    if (!asked)
        return;
    (void)pthread_mutex_destroy(&asked->lock);
    free(asked->rows);
    free(asked);
}

/* Under the lock. */
static void add(struct asked *asked, const float *vector)
{
    size_t bytes = asked->dimension * sizeof *vector;
    uint64_t hash = tn_hash64(vector, bytes, 1);
    for (size_t i = 0; i < asked->count; i++)
        if (asked->hashes[i] == hash)
            return;
    if (!asked->rows)
        asked->rows = tn_calloc(ASKED_KEPT, bytes);
    memcpy(asked->rows + asked->next * asked->dimension, vector, bytes);
    asked->hashes[asked->next] = hash;
    asked->next = (asked->next + 1) % ASKED_KEPT;
    asked->count = TN_MIN(asked->count + 1, (size_t)ASKED_KEPT);
    asked->changed = true;
}

void asked_note(struct asked *asked, const float *vector)
{
    if (pthread_mutex_trylock(&asked->lock) != 0)
        return; /* a search does not wait for a sample */
    add(asked, vector);
    pthread_mutex_unlock(&asked->lock);
}

size_t asked_take(struct asked *asked, size_t most, float *out)
{
    pthread_mutex_lock(&asked->lock);
    size_t count = TN_MIN(most, asked->count);
    for (size_t i = 0; i < count; i++) {
        size_t from = (asked->next + ASKED_KEPT - 1 - i) % ASKED_KEPT;
        memcpy(out + i * asked->dimension, asked->rows + from * asked->dimension, asked->dimension * sizeof *out);
    }
    pthread_mutex_unlock(&asked->lock);
    return count;
}

/* ---- the file --------------------------------------------------------------------- */

static bool is_query(const float *vector, uint32_t dimension)
{
    float length = 0;
    for (uint32_t i = 0; i < dimension; i++)
        length += vector[i] * vector[i];
    return isfinite(length) && length > 0;
}

bool asked_read(struct asked *asked, const void *bytes, size_t size)
{
    struct file_head head;
    if (size < sizeof head)
        return false;
    memcpy(&head, bytes, sizeof head);
    size_t row = asked->dimension * sizeof(float);
    if (memcmp(head.magic, MAGIC, sizeof head.magic) != 0 || head.dimension != asked->dimension ||
        head.count > ASKED_KEPT || size - sizeof head != head.count * row ||
        head.crc != tn_crc32c(0, (const char *)bytes + sizeof head, size - sizeof head))
        return false;
    TN_AUTO_FREE float *vector = tn_calloc(asked->dimension, sizeof *vector);
    pthread_mutex_lock(&asked->lock);
    for (uint32_t i = 0; i < head.count; i++) {
        memcpy(vector, (const char *)bytes + sizeof head + i * row, row);
        if (is_query(vector, asked->dimension))
            add(asked, vector);
    }
    asked->changed = false;
    pthread_mutex_unlock(&asked->lock);
    return true;
}

void asked_load(struct asked *asked, const char *path)
{
    TN_AUTO_BUF bytes = {0};
    size_t most = sizeof(struct file_head) + ASKED_KEPT * asked->dimension * sizeof(float);
    if (tn_file_read(path, most, &bytes, NULL) == TN_OK && !asked_read(asked, bytes.data, bytes.len))
        TN_LOG(TN_LOG_WARN, "index.asked_unreadable", TN_FS("file", path));
}

/* Oldest first, so that reading it keeps the order. */
static void put_all(struct asked *asked, struct tn_buf *out)
{
    struct file_head head = {.magic = MAGIC, .dimension = asked->dimension, .count = (uint32_t)asked->count};
    tn_buf_append(out, &head, sizeof head);
    for (size_t i = asked->count; i-- > 0;) {
        size_t from = (asked->next + ASKED_KEPT - 1 - i) % ASKED_KEPT;
        tn_buf_append(out, asked->rows + from * asked->dimension, asked->dimension * sizeof *asked->rows);
    }
    head.crc = tn_crc32c(0, out->data + sizeof head, out->len - sizeof head);
    memcpy(out->data, &head, sizeof head);
}

enum tn_code asked_save(struct asked *asked, const char *path, struct tn_error *err)
{
    TN_AUTO_BUF bytes = {0};
    pthread_mutex_lock(&asked->lock);
    if (asked->changed)
        put_all(asked, &bytes);
    asked->changed = false;
    pthread_mutex_unlock(&asked->lock);
    return bytes.len > 0 ? tn_file_replace(path, bytes.data, bytes.len, 0600, err) : TN_OK;
}
