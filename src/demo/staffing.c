/* The company behind the rows: who lives where and does what, which job is
 * whose, who was placed when. Everything that rows of several tables must agree
 * on is decided here, once; the rest is drawn row by row.
 *
 * Candidates sit in cells by profession and city. A job draws its candidate
 * from its own cell, and only from the first three fifths of it: the others
 * are the cold leads.
 */
#include "demo/demo_internal.h"

static const uint64_t base_rows[DEMO_TABLES] = {100000, 2000, 15000, 50000, 1000000, 800000, 500000};

static void shuffle(uint32_t *items, uint64_t count, uint64_t seed, enum demo_stream stream)
{
    struct demo_dice dice = demo_dice_for(seed, stream, 0);
    for (uint64_t i = 0; i < count; i++)
        items[i] = (uint32_t)i;
    for (uint64_t i = count; i > 1; i--) {
        uint64_t j = demo_dice_below(&dice, i);
        uint32_t kept = items[i - 1];
        items[i - 1] = items[j];
        items[j] = kept;
    }
}

static void seat_candidates(struct demo_staffing *s)
{
    uint64_t n = s->rows[DEMO_CANDIDATES], city_total = 0, trade_total = 0, seen = 0;
    for (size_t c = 0; c < demo_city_count; c++)
        city_total += demo_cities[c].weight;
    for (size_t p = 0; p < demo_profession_count; p++)
        trade_total += demo_professions[p].weight;
    size_t cell = 0;
    for (size_t p = 0; p < demo_profession_count; p++) {
        for (size_t c = 0; c < demo_city_count; c++) {
            s->cell_start[cell++] = (uint32_t)(n * seen / (city_total * trade_total));
            seen += (uint64_t)demo_professions[p].weight * demo_cities[c].weight;
        }
    }
    s->cell_start[cell] = (uint32_t)n;
    shuffle(s->by_trade, n, s->seed, DEMO_STREAM_TRADE_ORDER);
    shuffle(s->caller_order, n, s->seed, DEMO_STREAM_CALLER_ORDER);
    for (size_t i = 0; i < cell; i++) {
        for (uint32_t slot = s->cell_start[i]; slot < s->cell_start[i + 1]; slot++) {
            struct demo_candidate *candidate = &s->candidates[s->by_trade[slot]];
            candidate->profession = (uint16_t)(i / demo_city_count);
            candidate->city = (uint16_t)(i % demo_city_count);
        }
    }
}

static uint16_t draw_city(struct demo_dice *dice)
{
    uint64_t total = 0;
    for (size_t c = 0; c < demo_city_count; c++)
        total += demo_cities[c].weight;
    uint64_t at = demo_dice_below(dice, total);
    size_t c = 0;
    while (at >= demo_cities[c].weight)
        at -= demo_cities[c++].weight;
    return (uint16_t)c;
}

static uint16_t draw_profession(struct demo_dice *dice)
{
    uint64_t total = 0;
    for (size_t p = 0; p < demo_profession_count; p++)
        total += demo_professions[p].weight;
    uint64_t at = demo_dice_below(dice, total);
    size_t p = 0;
    while (at >= demo_professions[p].weight)
        at -= demo_professions[p++].weight;
    return (uint16_t)p;
}

/* Mostly one of the client's own vertical. */
static uint16_t draw_profession_of(struct demo_dice *dice, uint16_t trade)
{
    uint16_t drawn = draw_profession(dice);
    if (demo_dice_percent(dice, 20))
        return drawn;
    for (int i = 0; i < 40 && !tn_streq(demo_professions[drawn].vertical, demo_professions[trade].vertical); i++)
        drawn = draw_profession(dice);
    return drawn;
}

static void open_jobs(struct demo_staffing *s)
{
    for (uint64_t i = 0; i < s->rows[DEMO_CLIENTS]; i++) {
        struct demo_dice dice = demo_dice_for(s->seed, DEMO_STREAM_COMPANY, i);
        s->client_city[i] = draw_city(&dice);
        s->client_trade[i] = draw_profession(&dice);
    }
    const uint64_t span = DEMO_LEAD_DAYS + DEMO_WEEKS * 7 - 10;
    for (uint64_t i = 0; i < s->rows[DEMO_JOB_ORDERS]; i++) {
        struct demo_dice dice = demo_dice_for(s->seed, DEMO_STREAM_JOB, i);
        struct demo_job *job = &s->jobs[i];
        job->client = (uint32_t)demo_dice_steep(&dice, s->rows[DEMO_CLIENTS]);
        job->profession = draw_profession_of(&dice, s->client_trade[job->client]);
        job->city = demo_dice_percent(&dice, 70) ? s->client_city[job->client] : draw_city(&dice);
        job->opened_day = (uint16_t)(i * span / s->rows[DEMO_JOB_ORDERS]);
        const struct demo_profession *profession = &demo_professions[job->profession];
        uint64_t quarters = demo_dice_below(&dice, 4 * (profession->pay_high - profession->pay_low) + 1);
        job->pay_cents = (uint32_t)(profession->pay_low * 100 + quarters * 25);
        job->bill_cents = (uint32_t)(job->pay_cents * (132 + demo_dice_below(&dice, 38)) / 100);
    }
}

static uint32_t draw_candidate(const struct demo_staffing *s, struct demo_dice *dice, const struct demo_job *job)
{
    size_t row = (size_t)job->profession * demo_city_count;
    uint32_t from = s->cell_start[row + job->city], to = s->cell_start[row + job->city + 1];
    if (from == to) {
        from = s->cell_start[row];
        to = s->cell_start[row + demo_city_count];
    }
    if (from == to) {
        from = 0;
        to = (uint32_t)s->rows[DEMO_CANDIDATES];
    }
    uint64_t warm = TN_MAX((uint64_t)(to - from) * 3 / 5, 1);
    return s->by_trade[from + demo_dice_mild(dice, warm)];
}

static struct demo_placement draw_placement(const struct demo_staffing *s, uint64_t i)
{
    struct demo_dice dice = demo_dice_for(s->seed, DEMO_STREAM_PLACEMENT, i);
    struct demo_placement placement = {.weeks = (uint16_t)(3 + demo_dice_mild(&dice, 50))};
    placement.active = demo_dice_percent(&dice, 18);
    uint64_t latest = DEMO_WEEKS - placement.weeks;
    placement.start_week = (uint16_t)(placement.active ? latest : demo_dice_below(&dice, latest + 1));

    /* One of the jobs opened in the months before, the newest most likely. */
    uint64_t jobs = s->rows[DEMO_JOB_ORDERS];
    uint64_t known = (DEMO_LEAD_DAYS + placement.start_week * 7u) * jobs / (DEMO_LEAD_DAYS + DEMO_WEEKS * 7);
    uint64_t back = demo_dice_steep(&dice, jobs / 10 + 1) + 1;
    placement.job = (uint32_t)(known > back ? known - back : 0);
    const struct demo_job *job = &s->jobs[placement.job];
    placement.candidate = draw_candidate(s, &dice, job);
    placement.recruiter = (uint16_t)demo_dice_mild(&dice, demo_recruiter_count);
    placement.pay_cents = job->pay_cents + 25 * (uint32_t)demo_dice_below(&dice, 5);
    placement.bill_cents = job->bill_cents + 50 * (uint32_t)demo_dice_below(&dice, 3);
    return placement;
}

/* Placements are numbered as they start: a counting sort by week. */
static void place_people(struct demo_staffing *s)
{
    uint64_t n = s->rows[DEMO_PLACEMENTS];
    uint64_t next[DEMO_WEEKS + 1] = {0};
    struct demo_placement *drawn TN_AUTO_FREE = tn_calloc(n, sizeof *drawn);
    for (uint64_t i = 0; i < n; i++) {
        drawn[i] = draw_placement(s, i);
        next[drawn[i].start_week + 1]++;
    }
    for (size_t week = 1; week <= DEMO_WEEKS; week++)
        next[week] += next[week - 1];
    uint64_t weeks = 0;
    for (uint64_t i = 0; i < n; i++) {
        const struct demo_placement *placement = &drawn[i];
        s->placements[next[placement->start_week]++] = *placement;
        weeks += placement->weeks;
        struct demo_job *job = &s->jobs[placement->job];
        if (job->filled < UINT16_MAX)
            job->filled++;
        struct demo_candidate *candidate = &s->candidates[placement->candidate];
        candidate->placed = placement->active ? 2 : TN_MAX(candidate->placed, 1);
    }
    uint64_t seen = 0;
    for (uint64_t i = 0; i < n; i++) {
        s->sheet_start[i] = s->rows[DEMO_TIMESHEETS] * seen / weeks;
        seen += s->placements[i].weeks;
    }
    s->sheet_start[n] = s->rows[DEMO_TIMESHEETS];
}

enum tn_code demo_staffing_new(double scale, uint64_t seed, struct demo_staffing **ret, struct tn_error *err)
{
    if (!(scale > 0 && scale <= DEMO_MAX_SCALE)) {
        tn_fail(err, TN_EUSAGE, "scale %g is out of range", scale);
        tn_error_hint(err, "give a scale above 0 and up to %g; 1 is 2,467,000 rows", DEMO_MAX_SCALE);
        return TN_EUSAGE;
    }
    struct demo_staffing *s = tn_calloc(1, sizeof *s);
    s->seed = seed;
    s->first_day = tn_days_from_civil(2026, 11, 1) - DEMO_WEEKS * 7;
    for (size_t t = 0; t < DEMO_TABLES; t++)
        s->rows[t] = TN_MAX((uint64_t)((double)base_rows[t] * scale + 0.5), 1);
    uint64_t people = s->rows[DEMO_CANDIDATES];
    s->candidates = tn_calloc(people, sizeof *s->candidates);
    s->by_trade = tn_calloc(people, sizeof *s->by_trade);
    s->caller_order = tn_calloc(people, sizeof *s->caller_order);
    s->cell_start = tn_calloc(demo_profession_count * demo_city_count + 1, sizeof *s->cell_start);
    s->client_city = tn_calloc(s->rows[DEMO_CLIENTS], sizeof *s->client_city);
    s->client_trade = tn_calloc(s->rows[DEMO_CLIENTS], sizeof *s->client_trade);
    s->jobs = tn_calloc(s->rows[DEMO_JOB_ORDERS], sizeof *s->jobs);
    s->placements = tn_calloc(s->rows[DEMO_PLACEMENTS], sizeof *s->placements);
    s->sheet_start = tn_calloc(s->rows[DEMO_PLACEMENTS] + 1, sizeof *s->sheet_start);
    seat_candidates(s);
    open_jobs(s);
    place_people(s);
    *ret = s;
    return TN_OK;
}

void demo_staffing_free(struct demo_staffing *s)
{
    if (!s)
        return;
    free(s->candidates);
    free(s->by_trade);
    free(s->caller_order);
    free(s->cell_start);
    free(s->client_city);
    free(s->client_trade);
    free(s->jobs);
    free(s->placements);
    free(s->sheet_start);
    free(s);
}

uint64_t demo_staffing_rows(const struct demo_staffing *staffing, enum demo_table table)
{
    return staffing->rows[table];
}
