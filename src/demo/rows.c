/* The rows of the seven tables. Each function draws what only its own row
 * knows and takes the rest from the company.
 */
#include "demo/demo_internal.h"

static const char *const candidate_columns[] = {
    "candidate_id", "first_name",       "last_name",    "email",  "phone",          "city",        "state", "zip",
    "skills",       "years_experience", "desired_rate", "status", "available_from", "resume_text", NULL};
static const char *const client_columns[] = {"client_id",     "company_name", "vertical", "contact_name",
                                             "contact_email", "phone",        "city",     "state",
                                             "zip",           "client_since", NULL};
static const char *const job_columns[] = {"job_id", "client_id", "title",     "description", "requirements",
                                          "city",   "state",     "bill_rate", "pay_rate",    "openings",
                                          "status", "opened_on", NULL};
static const char *const placement_columns[] = {"placement_id", "job_id",   "candidate_id", "recruiter",
                                                "bill_rate",    "pay_rate", "start_date",   "end_date",
                                                "status",       NULL};
static const char *const timesheet_columns[] = {"timesheet_id", "placement_id", "week_ending", "hours",
                                                "bill_total",   "pay_total",    "approved",    NULL};
static const char *const call_columns[] = {"call_id", "started_at",       "recruiter",   "direction", "candidate_id",
                                           "phone",   "duration_seconds", "disposition", NULL};
static const char *const email_columns[] = {
    "email_id", "sent_at", "recruiter", "candidate_id", "direction", "subject", "opened", "opened_at", NULL};

const char *const *const demo_columns[DEMO_TABLES] = {
    [DEMO_CANDIDATES] = candidate_columns, [DEMO_CLIENTS] = client_columns,       [DEMO_JOB_ORDERS] = job_columns,
    [DEMO_PLACEMENTS] = placement_columns, [DEMO_TIMESHEETS] = timesheet_columns, [DEMO_CALL_LOG] = call_columns,
    [DEMO_EMAIL_LOG] = email_columns,
};

struct row {
    const struct demo_staffing *staffing;
    uint64_t number;
    struct demo_dice dice;
    struct demo_emit *emit;
    struct tn_buf *text; /* scratch */
};

static void emit_text_buf(struct row *row)
{
    demo_emit_text(row->emit, row->text->data ? row->text->data : "");
    tn_buf_clear(row->text);
}

/* People type telephone numbers as they like. */
static void put_phone(struct tn_buf *buf, unsigned area, uint64_t line, uint64_t style)
{
    static const char *const heads[] = {"(", "", "+1 ", ""};
    static const char *const middles[] = {") 555-", "-555-", " 555 ", ".555."};
    tn_buf_puts(buf, heads[style]);
    demo_put_uint(buf, area, 3);
    tn_buf_puts(buf, middles[style]);
    demo_put_uint(buf, line, 4);
}

static void put_candidate_phone(struct row *row, uint64_t candidate, bool dialed)
{
    struct demo_dice dice = demo_dice_for(row->staffing->seed, DEMO_TABLES + 64, candidate);
    uint64_t line = demo_dice_below(&dice, 10000);
    uint64_t style = demo_dice_below(&dice, 4);
    unsigned area = demo_cities[row->staffing->candidates[candidate].city].area;
    put_phone(row->text, area, line, dialed ? 1 : style);
}

static void emit_zip(struct row *row, const struct demo_city *city)
{
    demo_put_uint(row->text, city->zip_base + demo_dice_below(&row->dice, city->zip_span), 5);
    emit_text_buf(row);
}

static void put_candidate(struct row *row)
{
    static const char *const domains[] = {"@example.com", "@example.net", "@example.org", "@mail.example.com"};
    struct demo_dice *dice = &row->dice;
    const struct demo_candidate *who = &row->staffing->candidates[row->number];
    const struct demo_profession *profession = &demo_professions[who->profession];
    const struct demo_city *city = &demo_cities[who->city];
    const struct demo_name *first = &demo_first_names[demo_dice_below(dice, demo_first_name_count)];
    const struct demo_name *last = &demo_last_names[demo_dice_mild(dice, demo_last_name_count)];
    unsigned years = (unsigned)demo_dice_mild(dice, 32);
    unsigned skills = demo_skills_pick(dice);

    demo_emit_id(row->emit, "CAND-", row->number + 1, 6);
    demo_emit_text(row->emit, first->text);
    demo_emit_text(row->emit, last->text);
    tn_buf_puts(row->text, first->ascii);
    tn_buf_putc(row->text, '.');
    tn_buf_puts(row->text, last->ascii);
    demo_put_uint(row->text, row->number + 1, 1);
    tn_buf_puts(row->text, domains[demo_dice_below(dice, TN_COUNT(domains))]);
    emit_text_buf(row);
    put_candidate_phone(row, row->number, false);
    emit_text_buf(row);
    demo_emit_text(row->emit, city->name);
    demo_emit_text(row->emit, city->state);
    emit_zip(row, city);
    demo_skills_put(row->text, profession, skills, "; ");
    emit_text_buf(row);
    demo_emit_uint(row->emit, years);
    uint64_t range = (profession->pay_high - profession->pay_low) * 100u;
    uint64_t rate = profession->pay_low * 100u + range * TN_MIN(years, 24) / 30 + demo_dice_below(dice, 17) * 25;
    demo_emit_cents(row->emit, rate / 25 * 25);
    uint64_t mood = demo_dice_below(dice, 100);
    demo_emit_text(row->emit, who->placed == 2 ? "placed"
                              : mood < 72      ? "active"
                              : mood < 96      ? "inactive"
                                               : "do_not_contact");
    if (who->placed == 2 || demo_dice_percent(dice, 15))
        demo_emit_null(row->emit);
    else
        demo_emit_date(row->emit, row->staffing->first_day + DEMO_WEEKS * 7 + (int32_t)demo_dice_steep(dice, 90));
    demo_resume_put(row->text, profession, skills, years, city->name, dice);
    emit_text_buf(row);
}

static void put_client(struct row *row)
{
    struct demo_dice *dice = &row->dice;
    const struct demo_city *city = &demo_cities[row->staffing->client_city[row->number]];
    const struct demo_name *first = &demo_first_names[demo_dice_below(dice, demo_first_name_count)];
    const struct demo_name *last = &demo_last_names[demo_dice_below(dice, demo_last_name_count)];
    demo_emit_id(row->emit, "CLI-", row->number + 1, 5);
    demo_company_put(row->text, row->staffing, row->number);
    emit_text_buf(row);
    demo_emit_text(row->emit, demo_professions[row->staffing->client_trade[row->number]].vertical);
    tn_buf_puts(row->text, first->text);
    tn_buf_putc(row->text, ' ');
    tn_buf_puts(row->text, last->text);
    emit_text_buf(row);
    tn_buf_puts(row->text, first->ascii);
    tn_buf_putc(row->text, '.');
    tn_buf_puts(row->text, last->ascii);
    tn_buf_puts(row->text, "@client");
    demo_put_uint(row->text, row->number + 1, 1);
    tn_buf_puts(row->text, ".example");
    emit_text_buf(row);
    uint64_t line = demo_dice_below(dice, 10000);
    put_phone(row->text, city->area, line, demo_dice_below(dice, 4));
    emit_text_buf(row);
    demo_emit_text(row->emit, city->name);
    demo_emit_text(row->emit, city->state);
    emit_zip(row, city);
    demo_emit_date(row->emit, row->staffing->first_day - DEMO_LEAD_DAYS - (int32_t)demo_dice_steep(dice, 4000));
}

static void put_job(struct row *row)
{
    struct demo_dice *dice = &row->dice;
    const struct demo_job *job = &row->staffing->jobs[row->number];
    const struct demo_profession *profession = &demo_professions[job->profession];
    const struct demo_city *city = &demo_cities[job->city];
    unsigned skills = demo_skills_pick(dice);
    unsigned years = 1 + (unsigned)demo_dice_below(dice, 8);
    demo_emit_id(row->emit, "JOB-", row->number + 1, 6);
    demo_emit_id(row->emit, "CLI-", job->client + 1, 5);
    demo_emit_text(row->emit, profession->title);
    tn_buf_puts(row->text, "We need ");
    tn_buf_puts(row->text, demo_article(profession->title));
    tn_buf_putc(row->text, ' ');
    tn_buf_puts(row->text, profession->title);
    tn_buf_puts(row->text, " in ");
    tn_buf_puts(row->text, city->name);
    tn_buf_puts(row->text, ". A good day looks like this: \"");
    tn_buf_puts(row->text, profession->deeds[demo_dice_below(dice, DEMO_DEEDS)]);
    tn_buf_puts(row->text, "\"");
    emit_text_buf(row);
    demo_put_uint(row->text, years, 1);
    tn_buf_puts(row->text, "+ years; ");
    demo_skills_put(row->text, profession, skills, "; ");
    emit_text_buf(row);
    demo_emit_text(row->emit, city->name);
    demo_emit_text(row->emit, city->state);
    demo_emit_cents(row->emit, job->bill_cents);
    demo_emit_cents(row->emit, job->pay_cents);
    uint64_t missing = demo_dice_steep(dice, 4);
    demo_emit_uint(row->emit, TN_MAX(job->filled + missing, 1));
    bool recent = job->opened_day > DEMO_LEAD_DAYS + DEMO_WEEKS * 7 - 90;
    uint64_t fate = demo_dice_below(dice, 100);
    demo_emit_text(row->emit, job->filled > 0 && missing == 0 ? "filled"
                              : recent && fate < 80           ? "open"
                              : fate < 55                     ? "closed"
                              : fate < 85                     ? "cancelled"
                                                              : "on_hold");
    demo_emit_date(row->emit, row->staffing->first_day - DEMO_LEAD_DAYS + job->opened_day);
}

static void put_placement(struct row *row)
{
    const struct demo_placement *placement = &row->staffing->placements[row->number];
    int32_t start = row->staffing->first_day + placement->start_week * 7 + 1;
    demo_emit_uint(row->emit, row->number + 1);
    demo_emit_id(row->emit, "JOB-", placement->job + 1, 6);
    demo_emit_id(row->emit, "CAND-", placement->candidate + 1, 6);
    demo_emit_text(row->emit, demo_recruiters[placement->recruiter]);
    demo_emit_cents(row->emit, placement->bill_cents);
    demo_emit_cents(row->emit, placement->pay_cents);
    demo_emit_date(row->emit, start);
    if (placement->active)
        demo_emit_null(row->emit);
    else
        demo_emit_date(row->emit, start + placement->weeks * 7 - 3);
    demo_emit_text(row->emit, placement->active                   ? "active"
                              : demo_dice_percent(&row->dice, 88) ? "completed"
                                                                  : "terminated");
}

/* The placement whose timesheets include `sheet`. */
static uint64_t placement_of(const struct demo_staffing *s, uint64_t sheet)
{
    uint64_t low = 0, high = s->rows[DEMO_PLACEMENTS];
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (s->sheet_start[middle] <= sheet)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void put_timesheet(struct row *row)
{
    static const uint16_t usual_tenths[] = {400, 400, 400, 400, 400, 400, 375, 375, 320, 240, 425, 450, 480, 520};
    const struct demo_staffing *s = row->staffing;
    uint64_t at = placement_of(s, row->number);
    const struct demo_placement *placement = &s->placements[at];
    uint64_t sheets = s->sheet_start[at + 1] - s->sheet_start[at];
    uint64_t week = placement->start_week + (row->number - s->sheet_start[at]) * placement->weeks / sheets;
    uint64_t tenths = usual_tenths[demo_dice_below(&row->dice, TN_COUNT(usual_tenths))];
    uint64_t paid = tenths > 400 ? 400 + (tenths - 400) * 3 / 2 : tenths; /* time and a half */
    bool fresh = week + 2 >= DEMO_WEEKS;
    demo_emit_uint(row->emit, row->number + 1);
    demo_emit_uint(row->emit, at + 1);
    demo_emit_date(row->emit, s->first_day + (int32_t)(week + 1) * 7);
    demo_emit_tenths(row->emit, tenths);
    demo_emit_cents(row->emit, placement->bill_cents * paid / 10);
    demo_emit_cents(row->emit, placement->pay_cents * paid / 10);
    demo_emit_bool(row->emit, demo_dice_percent(&row->dice, fresh ? 40 : 98));
}

struct moment {
    int32_t day;
    uint32_t second;
};

/* Row `number` of `rows` spread over the office hours of all weeks, in order. */
static struct moment office_time(struct row *row, uint64_t rows)
{
    const uint64_t day_seconds = 9 * 3600;
    const uint64_t all = DEMO_WEEKS * 5 * day_seconds;
    uint64_t at = row->number * all / rows;
    at += demo_dice_below(&row->dice, TN_MAX(all / rows, 1));
    uint64_t day = at / day_seconds;
    return (struct moment){
        .day = row->staffing->first_day + 1 + (int32_t)(day / 5 * 7 + day % 5),
        .second = (uint32_t)(8 * 3600 + 1800 + at % day_seconds),
    };
}

static void put_call(struct row *row)
{
    const struct demo_staffing *s = row->staffing;
    struct demo_dice *dice = &row->dice;
    uint64_t candidate = s->caller_order[demo_dice_mild(dice, s->rows[DEMO_CANDIDATES])];
    struct moment moment = office_time(row, s->rows[DEMO_CALL_LOG]);
    uint64_t luck = demo_dice_below(dice, 100);
    demo_emit_uint(row->emit, row->number + 1);
    demo_emit_time(row->emit, moment.day, moment.second);
    demo_emit_text(row->emit, demo_recruiters[demo_dice_mild(dice, demo_recruiter_count)]);
    demo_emit_text(row->emit, demo_dice_percent(dice, 78) ? "outbound" : "inbound");
    demo_emit_id(row->emit, "CAND-", candidate + 1, 6);
    put_candidate_phone(row, candidate, true);
    emit_text_buf(row);
    uint64_t seconds = luck < 38 ? 20 + demo_dice_steep(dice, 1500) : luck < 68 ? 4 + demo_dice_below(dice, 50) : 0;
    demo_emit_uint(row->emit, seconds);
    demo_emit_text(row->emit, luck < 38   ? "connected"
                              : luck < 68 ? "voicemail"
                              : luck < 92 ? "no_answer"
                              : luck < 98 ? "busy"
                                          : "wrong_number");
}

static void put_email(struct row *row)
{
    const struct demo_staffing *s = row->staffing;
    struct demo_dice *dice = &row->dice;
    uint64_t candidate = s->caller_order[demo_dice_mild(dice, s->rows[DEMO_CANDIDATES])];
    struct moment moment = office_time(row, s->rows[DEMO_EMAIL_LOG]);
    bool outbound = demo_dice_percent(dice, 82);
    uint64_t subject = demo_dice_mild(dice, demo_subject_count);
    demo_emit_uint(row->emit, row->number + 1);
    demo_emit_time(row->emit, moment.day, moment.second);
    demo_emit_text(row->emit, demo_recruiters[demo_dice_mild(dice, demo_recruiter_count)]);
    demo_emit_id(row->emit, "CAND-", candidate + 1, 6);
    demo_emit_text(row->emit, outbound ? "outbound" : "inbound");
    const char *pattern = demo_subjects[subject], *blank = strstr(pattern, "%s");
    tn_buf_append(row->text, pattern, blank ? (size_t)(blank - pattern) : strlen(pattern));
    if (blank) {
        tn_buf_puts(row->text, demo_cities[s->candidates[candidate].city].name);
        tn_buf_puts(row->text, blank + 2);
    }
    emit_text_buf(row);
    bool opened = !outbound || demo_dice_percent(dice, 18 + (unsigned)(subject * 11 % 37));
    demo_emit_bool(row->emit, opened);
    if (opened)
        demo_emit_time(row->emit, moment.day, moment.second + 30 + (uint32_t)demo_dice_steep(dice, 6 * 3600));
    else
        demo_emit_null(row->emit);
}

void demo_rows_render(const struct demo_staffing *staffing, enum demo_table table, uint64_t first, uint64_t count,
                      struct demo_emit *emit)
{
    static void (*const writers[DEMO_TABLES])(struct row *) = {
        [DEMO_CANDIDATES] = put_candidate, [DEMO_CLIENTS] = put_client,       [DEMO_JOB_ORDERS] = put_job,
        [DEMO_PLACEMENTS] = put_placement, [DEMO_TIMESHEETS] = put_timesheet, [DEMO_CALL_LOG] = put_call,
        [DEMO_EMAIL_LOG] = put_email,
    };
    TN_AUTO_BUF text = {0};
    struct row row = {.staffing = staffing, .emit = emit, .text = &text};
    for (uint64_t i = first; i < first + count; i++) {
        row.number = i;
        row.dice = demo_dice_for(staffing->seed, table, i);
        demo_emit_begin(emit);
        writers[table](&row);
        demo_emit_end(emit);
    }
}
