/* The table behind gateway_config_table, without the rest of the gateway. */
#ifndef TARN_GATEWAY_SETTINGS_H
#define TARN_GATEWAY_SETTINGS_H

#include "base/config.h"

struct tn_config_table gateway_config_table(void);

#endif
