/* demo, inside: the word lists, the company and the row writer. */
#ifndef TARN_DEMO_DEMO_INTERNAL_H
#define TARN_DEMO_DEMO_INTERNAL_H

#include "demo/demo.h"

/* --- words (lexicon.c, professions.c) --------------------------------- */

struct demo_name {
    const char *text;  /* as written, UTF-8 */
    const char *ascii; /* lower case, for an e-mail address */
};

struct demo_city {
    const char *name;
    const char *state;
    unsigned area;     /* telephone area code */
    unsigned zip_base; /* printed with five digits, so 2108 is "02108" */
    unsigned zip_span;
    unsigned weight;
};

#define DEMO_SKILLS 10
#define DEMO_DEEDS  6
struct demo_profession {
    const char *title;
    const char *vertical;
    const char *field; /* "... with 7 years in <field>" */
    unsigned weight;
    unsigned pay_low; /* dollars an hour */
    unsigned pay_high;
    const char *skills[DEMO_SKILLS]; /* the first two nearly everybody has */
    const char *deeds[DEMO_DEEDS];   /* whole sentences */
    const char *papers[3];           /* certificates and schooling */
};

extern const struct demo_name demo_first_names[];
extern const size_t demo_first_name_count;
extern const struct demo_name demo_last_names[];
extern const size_t demo_last_name_count;
extern const struct demo_city demo_cities[];
extern const size_t demo_city_count;
extern const struct demo_profession demo_professions[];
extern const size_t demo_profession_count;
extern const char *const demo_recruiters[];
extern const size_t demo_recruiter_count;
#define DEMO_CARE_TAILS 3
extern const char *const demo_company_tails[];
extern const size_t demo_company_tail_count;
extern const char *const demo_subjects[];
extern const size_t demo_subject_count;

/* --- chance: a small generator seeded by what a row is ------------------ */

struct demo_dice {
    uint64_t state;
};

struct demo_dice demo_dice_for(uint64_t seed, uint64_t stream, uint64_t row);
uint64_t demo_dice_roll(struct demo_dice *dice);
/* Even over 0 .. n-1 (n >= 1). */
uint64_t demo_dice_below(struct demo_dice *dice, uint64_t n);
/* True `percent` times in a hundred. */
bool demo_dice_percent(struct demo_dice *dice, unsigned percent);
/* Low values more often: densities falling as x^-1/3 and x^-1/2. */
uint64_t demo_dice_mild(struct demo_dice *dice, uint64_t n);
uint64_t demo_dice_steep(struct demo_dice *dice, uint64_t n);

/* --- the company (staffing.c) ------------------------------------------- */

/* The data spans the 200 weeks that end on Sunday 2026-11-01; the oldest jobs
 * were opened half a year before. */
#define DEMO_WEEKS     200
#define DEMO_LEAD_DAYS 182

struct demo_candidate {
    uint16_t profession;
    uint16_t city;
    uint8_t placed; /* 0 never, 1 once upon a time, 2 now */
};
struct demo_job {
    uint32_t client;
    uint16_t profession;
    uint16_t city;
    uint32_t bill_cents;
    uint32_t pay_cents;
    uint16_t opened_day; /* after first_day - DEMO_LEAD_DAYS */
    uint16_t filled;     /* placements */
};
struct demo_placement {
    uint32_t job;
    uint32_t candidate;
    uint32_t bill_cents;
    uint32_t pay_cents;
    uint16_t start_week;
    uint16_t weeks;
    uint16_t recruiter;
    bool active;
};

struct demo_staffing {
    uint64_t seed;
    uint64_t rows[DEMO_TABLES];
    int32_t first_day; /* since 1970: a Sunday, the end of week 0 */
    struct demo_candidate *candidates;
    uint32_t *by_trade;     /* candidates by profession, then city */
    uint32_t *cell_start;   /* index into by_trade of (profession, city); one more at the end */
    uint32_t *caller_order; /* candidates, the most called first */
    struct demo_job *jobs;
    struct demo_placement *placements;
    uint64_t *sheet_start; /* first timesheet of a placement; one more at the end */
    uint16_t *client_city;
    uint16_t *client_trade; /* a profession of its vertical */
};

/* Streams of chance, one for each thing that is decided. */
enum demo_stream {
    DEMO_STREAM_TRADE_ORDER = DEMO_TABLES,
    DEMO_STREAM_CALLER_ORDER,
    DEMO_STREAM_COMPANY,
    DEMO_STREAM_JOB,
    DEMO_STREAM_PLACEMENT,
};

/* --- writing rows (emit.c) ------------------------------------------------ */

struct demo_emit {
    struct tn_buf *buf;
    enum demo_format format;
    const char *const *columns;
    size_t column;
};

void demo_emit_header(struct demo_emit *emit);
void demo_emit_begin(struct demo_emit *emit);
void demo_emit_end(struct demo_emit *emit);
void demo_emit_text(struct demo_emit *emit, const char *text);
void demo_emit_null(struct demo_emit *emit);
void demo_emit_bool(struct demo_emit *emit, bool value);
void demo_emit_uint(struct demo_emit *emit, uint64_t value);
/* hundredths: 12345 is 123.45 */
void demo_emit_cents(struct demo_emit *emit, uint64_t cents);
/* tenths: 375 is 37.5 */
void demo_emit_tenths(struct demo_emit *emit, uint64_t tenths);
/* A text of `prefix` and a number of at least `digits` digits. */
void demo_emit_id(struct demo_emit *emit, const char *prefix, uint64_t number, unsigned digits);
void demo_emit_date(struct demo_emit *emit, int32_t day);
void demo_emit_time(struct demo_emit *emit, int32_t day, uint32_t second);

/* Digits alone, for texts that are put together. */
void demo_put_uint(struct tn_buf *buf, uint64_t value, unsigned min_digits);

#define DEMO_MAX_COLUMNS 20
extern const char *const *const demo_columns[DEMO_TABLES]; /* NULL-terminated */

/* One row of each table (rows.c, resume.c). */
void demo_rows_render(const struct demo_staffing *staffing, enum demo_table table, uint64_t first, uint64_t count,
                      struct demo_emit *emit);
/* Three to seven of the profession's skills, as bits. */
unsigned demo_skills_pick(struct demo_dice *dice);
void demo_skills_put(struct tn_buf *buf, const struct demo_profession *profession, unsigned skills,
                     const char *separator);
/* "a" or "an". */
const char *demo_article(const char *noun);
void demo_resume_put(struct tn_buf *buf, const struct demo_profession *profession, unsigned skills, unsigned years,
                     const char *city, struct demo_dice *dice);
void demo_company_put(struct tn_buf *buf, const struct demo_staffing *staffing, uint64_t client);

#endif
