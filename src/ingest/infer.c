/* From counts to types: a type only when every value agrees. */
#include "ingest/profile.h"

#include <string.h>
#include <strings.h>

/* Families of classes that one type can hold together. */
enum family {
    FAMILY_NUMBER,
    FAMILY_BOOL,
    FAMILY_DATE,
    FAMILY_TIMESTAMP,
    FAMILY_TIMESTAMPTZ,
    FAMILY_LIST,
    FAMILY_COUNT
};

static uint64_t sum(const struct profile_column *column, uint32_t classes)
{
    uint64_t total = 0;
    for (unsigned class = 0; class < CLASS_COUNT; class ++)
        if (classes >> class & 1)
            total += column->count[class];
    return total;
}

#define BIT(class) (UINT32_C(1) << (class))
#define NULLS      (BIT(CLASS_EMPTY) | BIT(CLASS_EMPTY_QUOTED) | BIT(CLASS_NULL_WORD))
#define INTS       (BIT(CLASS_INT) | BIT(CLASS_LONG_INT))
#define NUMBERS    (INTS | BIT(CLASS_DOUBLE))
#define LISTS                                                                                                        \
    (BIT(CLASS_LIST_INT) | BIT(CLASS_LIST_DOUBLE) | BIT(CLASS_LIST_BOOL) | BIT(CLASS_LIST_TEXT) |                    \
     BIT(CLASS_LIST_EMPTY) | BIT(CLASS_JSON))
#define EVERY  (BIT(CLASS_COUNT) - 1)
#define VALUES (EVERY & ~NULLS)

static const struct {
    uint32_t classes;
    const char *words;
} families[FAMILY_COUNT] = {
    [FAMILY_NUMBER] = {NUMBERS, "numbers"},
    [FAMILY_BOOL] = {BIT(CLASS_BOOL), "booleans"},
    [FAMILY_DATE] = {BIT(CLASS_DATE), "dates"},
    [FAMILY_TIMESTAMP] = {BIT(CLASS_TIMESTAMP), "timestamps"},
    [FAMILY_TIMESTAMPTZ] = {BIT(CLASS_TIMESTAMPTZ), "timestamps with time zone"},
    [FAMILY_LIST] = {LISTS, "lists"},
};

static void set_text(struct infer_result *result)
{
    result->target = (struct typed_target){.type = {.kind = ENGINE_VARCHAR}, .sql_type = "VARCHAR"};
}

static void set_type(struct infer_result *result, enum engine_kind kind, const char *sql_type)
{
    result->target = (struct typed_target){.type = {.kind = kind}, .sql_type = sql_type, .null_words = true};
}

/* The earliest value outside of these classes. */
static const struct profile_place *first_outside(const struct profile_column *column, uint32_t classes)
{
    const struct profile_place *first = NULL;
    for (unsigned class = 0; class < CLASS_COUNT; class ++) {
        const struct profile_place *place = column->first[class];
        if ((classes | NULLS) >> class & 1 || !place)
            continue;
        if (!first || place->block < first->block || (place->block == first->block && place->line < first->line))
            first = place;
    }
    return first;
}

static void set_mixed(const struct profile_column *column, struct infer_result *result)
{
    set_text(result);
    for (unsigned i = 0; i < FAMILY_COUNT; i++) {
        uint64_t count = sum(column, families[i].classes);
        if (count * 2 < result->value_count || count == result->value_count)
            continue;
        result->doubt = INFER_MIXED;
        result->family = i == FAMILY_NUMBER && !column->count[CLASS_DOUBLE] ? "integers" : families[i].words;
        result->family_count = count;
        result->place = first_outside(column, families[i].classes);
    }
}

/* The words that name numbers nobody calculates with. */
static bool is_label_name(const char *name)
{
    static const char *const alone[] = {"phone",     "telephone", "tel",     "mobile",     "fax",
                                        "cellphone", "zip",       "zipcode", "postcode",   "postalcode",
                                        "plz",       "ssn",       "iban",    "phonenumber"};
    static const char *const pairs[][2] = {{"zip", "code"},     {"postal", "code"},   {"post", "code"},
                                           {"phone", "number"}, {"phone", "no"},      {"mobile", "number"},
                                           {"fax", "number"},   {"social", "number"}, {"tel", "no"}};
    /* The last two words of the name, cut at other characters and capitals. */
    char words[2][16] = {{0}};
    size_t length = 0;
    for (const char *p = name; *p; p++) {
        bool letter = ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z');
        bool capital = *p >= 'A' && *p <= 'Z' && p > name && p[-1] >= 'a' && p[-1] <= 'z';
        if ((!letter || capital) && length) {
            memcpy(words[0], words[1], sizeof words[0]);
            memset(words[1], 0, sizeof words[1]);
            length = 0;
        }
        if (letter && length < sizeof words[1] - 1)
            words[1][length++] = (char)(*p | 0x20);
    }
    const char *last = length ? words[1] : words[0];
    for (size_t i = 0; i < TN_COUNT(alone); i++)
        if (tn_streq(alone[i], last))
            return true;
    for (size_t i = 0; i < TN_COUNT(pairs); i++)
        if (length && tn_streq(pairs[i][0], words[0]) && tn_streq(pairs[i][1], words[1]))
            return true;
    return false;
}

static void infer_numbers(const struct profile_column *column, const char *name, struct infer_result *result)
{
    bool integers = column->count[CLASS_DOUBLE] == 0;
    set_type(result, integers ? ENGINE_BIGINT : ENGINE_DOUBLE, integers ? "BIGINT" : "DOUBLE");
    if (integers && name && is_label_name(name)) {
        set_text(result);
        result->doubt = INFER_BY_NAME;
    } else if (!integers && column->count[CLASS_LONG_INT]) {
        set_text(result);
        result->doubt = INFER_DIGITS;
        result->place = column->first[CLASS_LONG_INT];
    } else if (!integers && name && strcasecmp(name, "version") == 0) {
        set_text(result);
        result->doubt = INFER_BY_NAME;
    }
}

/* One spelling throughout; yes/no, y/n and t/f must both occur: a column of
 * NO alone may be Norway. */
static void infer_bool(const struct profile_column *column, struct infer_result *result)
{
    uint32_t marks = column->marks & MARK_BOOLS;
    unsigned pairs = 0;
    bool complete = false;
    for (unsigned shift = 0; shift < 8; shift += 2) {
        uint32_t pair = marks >> shift & 3;
        if (!pair)
            continue;
        pairs++;
        complete = pair == 3 || shift == 0;
    }
    if (pairs == 1 && complete)
        set_type(result, ENGINE_BOOLEAN, "BOOLEAN");
    else
        set_text(result);
}

static void infer_moment(const struct profile_column *column, enum cell_class class, struct infer_result *result)
{
    static const struct {
        enum engine_kind kind;
        const char *sql_type;
    } types[] = {
        {ENGINE_DATE, "DATE"}, {ENGINE_TIMESTAMP, "TIMESTAMP"}, {ENGINE_TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE"}};
    uint32_t marks = column->marks, forms = marks & MARK_DATES;
    uint32_t separators = marks & (MARK_SLASH | MARK_DASH | MARK_DOT);
    set_text(result);
    if (separators & (separators - 1)) {
        result->doubt = INFER_DATE_BOTH;
        return;
    }
    enum typed_order order;
    if (forms == MARK_ISO || forms == MARK_YMD) {
        order = TYPED_YMD;
    } else if (forms & (MARK_ISO | MARK_YMD)) {
        result->doubt = INFER_DATE_BOTH;
        return;
    } else if (forms & MARK_SHORT_YEAR) {
        result->doubt = INFER_SHORT_YEAR;
        return;
    } else if ((forms & (MARK_DMY | MARK_MDY)) == (MARK_DMY | MARK_MDY)) {
        result->doubt = INFER_DATE_BOTH;
        return;
    } else if (!(forms & (MARK_DMY | MARK_MDY))) {
        result->doubt = INFER_DATE_ORDER;
        return;
    } else {
        order = forms & MARK_DMY ? TYPED_DMY : TYPED_MDY;
    }
    unsigned index = (unsigned)class - CLASS_DATE;
    set_type(result, types[index].kind, types[index].sql_type);
    result->target.order = order;
}

static void infer_list(const struct profile_column *column, struct infer_result *result)
{
    uint64_t empty = column->count[CLASS_LIST_EMPTY], values = result->value_count;
    const char *type = NULL;
    if (values > empty && column->count[CLASS_LIST_INT] + empty == values)
        type = "BIGINT[]";
    else if (column->count[CLASS_LIST_DOUBLE] &&
             column->count[CLASS_LIST_DOUBLE] + column->count[CLASS_LIST_INT] + empty == values)
        type = "DOUBLE[]";
    else if (values > empty && column->count[CLASS_LIST_TEXT] + empty == values)
        type = "VARCHAR[]";
    else if (values > empty && column->count[CLASS_LIST_BOOL] + empty == values)
        type = "BOOLEAN[]";
    set_text(result);
    if (!type) {
        result->target.json = true;
        return;
    }
    result->target.list = true;
    result->target.sql_type = type;
}

void infer_column(const struct profile_column *column, const char *name, struct infer_result *ret)
{
    uint64_t values = sum(column, VALUES);
    *ret = (struct infer_result){.value_count = values};
    if (values == 0) {
        set_text(ret);
        return;
    }
    for (unsigned i = 0; i < FAMILY_COUNT; i++) {
        if (sum(column, families[i].classes) != values)
            continue;
        switch ((enum family)i) {
        case FAMILY_NUMBER:
            infer_numbers(column, name, ret);
            return;
        case FAMILY_BOOL:
            infer_bool(column, ret);
            return;
        case FAMILY_LIST:
            infer_list(column, ret);
            return;
        default:
            infer_moment(column, CLASS_DATE + (i - FAMILY_DATE), ret);
            return;
        }
    }
    set_mixed(column, ret);
    ret->target.json = sum(column, LISTS) > 0;
}

uint64_t infer_fitting(const struct profile_column *column, const struct typed_target *target, uint64_t *ret_values)
{
    *ret_values = sum(column, VALUES);
    if (target->format)
        return *ret_values;
    switch (target->type.kind) {
    case ENGINE_INTEGER:
    case ENGINE_BIGINT:
        return sum(column, INTS | BIT(CLASS_LEADING_ZERO) | BIT(CLASS_LONG_DIGITS));
    case ENGINE_DOUBLE:
    case ENGINE_DECIMAL:
        return sum(column, NUMBERS | BIT(CLASS_LEADING_ZERO) | BIT(CLASS_LONG_DIGITS));
    case ENGINE_BOOLEAN:
        return sum(column, BIT(CLASS_BOOL) | BIT(CLASS_INT));
    case ENGINE_DATE:
        return sum(column, BIT(CLASS_DATE));
    case ENGINE_TIME:
        return sum(column, BIT(CLASS_TIME));
    case ENGINE_TIMESTAMP:
        return sum(column, BIT(CLASS_TIMESTAMP) | BIT(CLASS_DATE));
    case ENGINE_TIMESTAMPTZ:
        return sum(column, BIT(CLASS_TIMESTAMPTZ));
    case ENGINE_VARCHAR:
        return target->list ? sum(column, LISTS & ~BIT(CLASS_JSON)) : *ret_values;
    default:
        return *ret_values;
    }
}
