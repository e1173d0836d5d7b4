/* base: what every module stands on. Nothing here knows about lakes.
 *
 * This is the module's public header; the parts may also be included alone:
 *
 *   error.h   codes, texts, the table to HTTP and exit status
 *   mem.h     cleanup attributes, allocation, arenas
 *   buf.h     growable buffer, string builder, SQL quoting
 *   str.h     strict parsing, UTF-8, suggestions
 *   hash.h    content hash, CRC-32C
 *   clock.h   UTC time          id.h     UUIDs, randomness
 *   log.h     structured lines  pool.h   threads
 *   fs.h      files, durability fault.h  named crash points
 *   json.h    strict JSON in, streamed JSON out
 *   config.h  tarn.yaml, environment, flags
 *   machine.h memory of this machine
 *   ring.h    order of use      cond.h   timed waits
 *   order.h   comparing numbers
 */
#ifndef TARN_BASE_BASE_H
#define TARN_BASE_BASE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/config.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/order.h"
#include "base/pool.h"
#include "base/ring.h"
#include "base/str.h"

#endif
