/* Old places of rows to new ones: for each file an array. */
#include "dataset/moves.h"

#include <stdatomic.h>
#include <string.h>

/* Rows of all files, also those that are deleted: 32 MB. */
#define ROWS_MAX UINT64_C(8000000)

struct dataset_moves {
    atomic_size_t references;
    struct dataset_moved_file *files; /* by path */
    size_t count;
    uint64_t bytes;
};

static int by_path(const void *a, const void *b)
{
    const struct dataset_moved_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

struct dataset_moves *dataset_moves_new(const struct iceberg_plan_file *files, size_t count)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < count && rows <= ROWS_MAX; i++)
        rows += files[i].file->record_count < 0 ? ROWS_MAX + 1 : (uint64_t)files[i].file->record_count;
    if (rows > ROWS_MAX)
        return NULL;
    struct dataset_moves *moves = tn_calloc(1, sizeof *moves);
    atomic_init(&moves->references, 1);
    moves->files = tn_calloc(count + 1, sizeof *moves->files);
    moves->count = count;
    moves->bytes = sizeof *moves + count * sizeof *moves->files + rows * sizeof(uint32_t);
    for (size_t i = 0; i < count; i++) {
        uint64_t own = (uint64_t)files[i].file->record_count;
        moves->files[i] = (struct dataset_moved_file){
            .path = tn_strdup(files[i].file->path), .places = tn_calloc(own + 1, sizeof(uint32_t)), .count = own};
        moves->bytes += strlen(files[i].file->path) + 1;
    }
    if (count > 0)
        qsort(moves->files, count, sizeof *moves->files, by_path);
    return moves;
}

struct dataset_moves *dataset_moves_ref(struct dataset_moves *moves)
{
    atomic_fetch_add(&moves->references, 1);
    return moves;
}

void dataset_moves_unref(struct dataset_moves *moves)
{
    if (!moves || atomic_fetch_sub(&moves->references, 1) > 1)
        return;
    for (size_t i = 0; i < moves->count; i++) {
        free((void *)(uintptr_t)moves->files[i].path);
        free(moves->files[i].places);
    }
    free(moves->files);
    free(moves);
}

uint64_t dataset_moves_bytes(const struct dataset_moves *moves)
{
    return moves->bytes;
}

struct dataset_moved_file *dataset_moves_file(const struct dataset_moves *moves, const char *path)
{
    const struct dataset_moved_file wanted = {.path = path};
    return moves->count > 0 ? bsearch(&wanted, moves->files, moves->count, sizeof wanted, by_path) : NULL;
}

bool dataset_moved_put(struct dataset_moved_file *file, int64_t position, uint32_t place)
{
    if (position < 0 || (uint64_t)position >= file->count || place == UINT32_MAX)
        return false;
    file->places[position] = place + 1;
    return true;
}

int64_t dataset_moved_place(const struct dataset_moved_file *file, int64_t position)
{
    return position < 0 || (uint64_t)position >= file->count ? -1 : (int64_t)file->places[position] - 1;
}
