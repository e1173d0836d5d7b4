/* Private to the simulation: changes of one table. */
#ifndef TARN_TESTS_SIM_CHANGE_H
#define TARN_TESTS_SIM_CHANGE_H

#include "tests/sim/sim.h"

/* A change that suits the version; its name. */
const char *change_draw(struct sim *sim, const struct sim_version *base, struct sim_change *ret);
void change_draw_append(struct sim *sim, struct sim_change *ret);
/* Writes the files and tells the transaction. */
enum tn_code change_fill(struct sim *sim, int process, struct iceberg_tx *tx, struct sim_change *change);
/* Numbers the attempt; what the table is if it commits on `base`. */
const struct sim_version *change_try(struct sim *sim, struct iceberg_tx *tx, const struct sim_version *base,
                                     const struct sim_change *change);
/* A file as another program writes it: without an fsync. */
enum tn_code change_write_plain(const char *path, const void *bytes, size_t count, struct tn_error *err);

#endif
