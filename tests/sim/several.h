/* Private to the simulation: what the catalog does beyond one table. */
#ifndef TARN_TESTS_SIM_SEVERAL_H
#define TARN_TESTS_SIM_SEVERAL_H

#include "tests/sim/sim.h"

/* Commits a change to all tables, which must be there; `trying` of each says
 * what it may be then, and sim->together which belong together. */
enum tn_code several_commit(struct sim *sim);
/* What the catalog does when a lake is opened, and before the next commit
 * after one that failed. */
enum tn_code several_recover(struct sim *sim);
/* After that: is the last transaction there in all tables or in none? */
bool several_all_or_none(struct sim *sim);

/* Creates the next namespace; the document of names is replaced whole. */
enum tn_code several_name(struct sim *sim);
/* Are the namespaces those that were acknowledged, and at most the one that
 * was under way? */
bool several_verify_names(struct sim *sim);

#endif
