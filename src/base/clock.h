/* Time is UTC everywhere: microseconds since 1970, RFC 3339 in text. */
#ifndef TARN_BASE_CLOCK_H
#define TARN_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t tn_now_us(void); /* wall clock */
int64_t tn_now_ms(void);
uint64_t tn_mono_ns(void); /* monotonic; for durations only */

/* "2026-11-21T01:02:03.456789Z"; the fraction only when it is not zero. */
#define TN_TIME_TEXT 40
const char *tn_time_format(int64_t us, char out[TN_TIME_TEXT]);
/* RFC 3339 with any offset, or a bare date or "date time" taken as UTC. */
bool tn_time_parse(const char *text, int64_t *ret_us);

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. */
int32_t tn_days_from_civil(int year, unsigned month, unsigned day);
void tn_civil_from_days(int32_t days, int *ret_year, unsigned *ret_month, unsigned *ret_day);
bool tn_civil_valid(int year, unsigned month, unsigned day);

#endif
