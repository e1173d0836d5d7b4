/* A chunk file of any bytes: opened or refused, every chunk read or refused, and
 * all of them written anew or not. */
#include "index/chunk_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_part(const char *folder, const char *name, const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0)
        abort();
}

/* The first two bytes say how much of the rest is the log; the map follows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[] = "/tmp/tarn-fuzz-XXXXXX";
    static bool made;
    if (size < 2 || size > 65536)
        return 0;
    if (!made && !mkdtemp(folder))
        abort();
    made = true;
    size_t log = TN_MIN((size_t)(data[0] | data[1] << 8), size - 2);
    write_part(folder, "chunks.log", data + 2, log);
    write_part(folder, "chunks.map", data + 2 + log, size - 2 - log);
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    if (chunk_file_open(folder, 0, CHUNK_FILE_WHOLE, &file, NULL) == TN_OK) {
        int64_t limit = TN_MIN(chunk_file_limit(file), 10000);
        struct chunk_record record;
        volatile char last = 0;
        for (int64_t id = -1; id <= limit; id++)
            if (chunk_file_get(file, id, &record, NULL) == TN_OK && record.text_length > 0)
                last = record.text[record.text_length - 1];
        (void)last;
        TN_CLEANUP(chunk_file_close_p) struct chunk_file *next = NULL;
        uint64_t length;
        if (chunk_file_limit(file) <= 10000)
            (void)!chunk_file_fold(file, folder, 1, NULL, NULL, &next, &length, NULL);
    }
    return 0;
}
