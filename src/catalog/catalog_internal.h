/* Inside catalog. */
#ifndef TARN_CATALOG_CATALOG_INTERNAL_H
#define TARN_CATALOG_CATALOG_INTERNAL_H

#include "catalog/catalog.h"

/* What a column is called in the source and how sensitive it is, from
 * CATALOG_P_COLUMNS. Borrowed from `columns`; NULL where not noted. */
const char *catalog_column_note(const json_t *columns, int32_t field_id, const char *what);

#endif
