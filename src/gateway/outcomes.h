/* gateway: the handlers of outcomes. */
#ifndef TARN_GATEWAY_OUTCOMES_H
#define TARN_GATEWAY_OUTCOMES_H

#include "gateway/gateway_internal.h"

route_handler h_outcomes_record, h_outcomes_rank, h_outcomes_demote, h_outcomes_ab, h_outcomes_trends,
    h_outcomes_dashboard, h_outcomes_export, h_outcomes_import, h_outcomes_check;

#endif
