/* Skills, résumés and company names: the texts that search must understand.
 * A résumé names only skills that its skills column lists.
 */
#include "demo/demo_internal.h"

unsigned demo_skills_pick(struct demo_dice *dice)
{
    unsigned skills = 1;
    if (demo_dice_percent(dice, 92))
        skills |= 2;
    for (unsigned i = 2; i < DEMO_SKILLS; i++)
        if (demo_dice_percent(dice, 42))
            skills |= 1u << i;
    /* Somebody with one skill alone would leave the résumé short of words. */
    return __builtin_popcount(skills) < 3 ? skills | 14u : skills;
}

void demo_skills_put(struct tn_buf *buf, const struct demo_profession *profession, unsigned skills,
                     const char *separator)
{
    bool first = true;
    for (unsigned i = 0; i < DEMO_SKILLS; i++) {
        if (!(skills & (1u << i)))
            continue;
        if (!first)
            tn_buf_puts(buf, separator);
        first = false;
        tn_buf_puts(buf, profession->skills[i]);
    }
}

/* "A, B and C" from the first `limit` of the skills. */
static void put_skill_sentence(struct tn_buf *buf, const struct demo_profession *profession, unsigned skills,
                               unsigned limit)
{
    unsigned count = TN_MIN((unsigned)__builtin_popcount(skills), limit), done = 0;
    for (unsigned i = 0; i < DEMO_SKILLS && done < count; i++) {
        if (!(skills & (1u << i)))
            continue;
        if (done > 0)
            tn_buf_puts(buf, done + 1 == count ? " and " : ", ");
        tn_buf_puts(buf, profession->skills[i]);
        done++;
    }
}

static const char *const levels[] = {"Junior ", "", "", "Senior ", "Lead "};
static const char *const openings[] = {
    "%L%T with %Y in %F.",
    "%L%T, %Y of experience in %F.",
    "I am %A %L%T from %C and have spent %Y in %F.",
    "%Y in %F, most of it as %A %L%T.",
};
static const char *const habits[] = {
    "Day to day I work with ",
    "Strong in ",
    "Hands-on experience with ",
    "Comfortable with ",
};
static const char *const closings[] = {
    "References are available on request.",
    "Looking for a contract within an hour of %C.",
    "Open to nights, weekends and travel.",
    "Available for remote or on-site work.",
    "Prefers long assignments and a team that talks.",
    "Seeking a contract-to-hire role.",
};

const char *demo_article(const char *noun)
{
    return strchr("AEIOU", noun[0]) ? "an" : "a";
}

struct blanks {
    const char *level;
    const char *title;
    const char *field;
    const char *city;
    unsigned years;
};

static void put_filled(struct tn_buf *buf, const char *pattern, const struct blanks *blanks)
{
    for (; *pattern; pattern++) {
        if (*pattern != '%') {
            tn_buf_putc(buf, *pattern);
            continue;
        }
        switch (*++pattern) {
        case 'A':
            tn_buf_puts(buf, demo_article(*blanks->level ? blanks->level : blanks->title));
            break;
        case 'L':
            tn_buf_puts(buf, blanks->level);
            break;
        case 'T':
            tn_buf_puts(buf, blanks->title);
            break;
        case 'F':
            tn_buf_puts(buf, blanks->field);
            break;
        case 'C':
            tn_buf_puts(buf, blanks->city);
            break;
        default:
            demo_put_uint(buf, blanks->years, 1);
            tn_buf_puts(buf, blanks->years == 1 ? " year" : " years");
        }
    }
}

void demo_resume_put(struct tn_buf *buf, const struct demo_profession *profession, unsigned skills, unsigned years,
                     const char *city, struct demo_dice *dice)
{
    struct blanks blanks = {
        .level = levels[years < 3    ? 0
                        : years < 14 ? 1 + demo_dice_below(dice, 3)
                                     : 4],
        .title = profession->title,
        .field = profession->field,
        .city = city,
        .years = years,
    };
    /* One résumé in five was pasted with its line breaks. */
    const char *gap = demo_dice_percent(dice, 20) ? "\n" : " ";
    put_filled(buf, openings[demo_dice_below(dice, TN_COUNT(openings))], &blanks);
    tn_buf_puts(buf, gap);
    tn_buf_puts(buf, habits[demo_dice_below(dice, TN_COUNT(habits))]);
    put_skill_sentence(buf, profession, skills, 4);
    tn_buf_putc(buf, '.');

    uint64_t first = demo_dice_below(dice, DEMO_DEEDS);
    uint64_t deeds = 1 + demo_dice_below(dice, years < 3 ? 2 : 3);
    for (uint64_t i = 0; i < deeds; i++) {
        tn_buf_puts(buf, i == 0 ? gap : " ");
        tn_buf_puts(buf, profession->deeds[(first + i) % DEMO_DEEDS]);
    }
    tn_buf_puts(buf, gap);
    tn_buf_puts(buf, profession->papers[demo_dice_below(dice, TN_COUNT(profession->papers))]);
    tn_buf_putc(buf, ' ');
    put_filled(buf, closings[demo_dice_below(dice, TN_COUNT(closings))], &blanks);
}

void demo_company_put(struct tn_buf *buf, const struct demo_staffing *staffing, uint64_t client)
{
    struct demo_dice dice = demo_dice_for(staffing->seed, DEMO_CLIENTS, client);
    tn_buf_puts(buf, demo_last_names[demo_dice_below(&dice, demo_last_name_count)].text);
    if (demo_dice_percent(&dice, 30)) {
        tn_buf_putc(buf, ' ');
        tn_buf_puts(buf, demo_last_names[demo_dice_below(&dice, demo_last_name_count)].text);
    }
    bool care = tn_streq(demo_professions[staffing->client_trade[client]].vertical, "Healthcare");
    uint64_t tail = care ? demo_dice_below(&dice, DEMO_CARE_TAILS)
                         : DEMO_CARE_TAILS + demo_dice_below(&dice, demo_company_tail_count - DEMO_CARE_TAILS);
    tn_buf_puts(buf, demo_company_tails[tail]);
}
