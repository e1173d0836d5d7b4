/* recent.h: what writes of rows tell about themselves. Private to dataset. */
#ifndef TARN_DATASET_RECENT_H
#define TARN_DATASET_RECENT_H

#include "dataset/cells.h"

struct recent_change {
    const struct cells_shape *shape;
    const struct engine_cell *const *removed, *const *added; /* rows */
    size_t removed_count, added_count;
};
/* Under the dataset's lock, before the version is published. Copies. */
void recent_note(struct dataset_recent *recent, const char *name, const struct iceberg_metadata *before,
                 const struct iceberg_metadata *after, const struct recent_change *change);

#endif
