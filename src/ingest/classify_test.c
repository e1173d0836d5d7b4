/* One value, one class: the table that says what each spelling could be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/classify.h"

#include <string.h>

#define T CLASS_TEXT

static const struct {
    const char *text;
    enum cell_class class;
    uint32_t marks;
} cases[] = {
    {"", CLASS_EMPTY, 0},
    {"NA", CLASS_NULL_WORD, 0},
    {"N/A", CLASS_NULL_WORD, 0},
    {"n/a", CLASS_NULL_WORD, 0},
    {"null", CLASS_NULL_WORD, 0},
    {"NULL", CLASS_NULL_WORD, 0},
    {"\\N", CLASS_NULL_WORD, 0},
    {"-", CLASS_NULL_WORD, 0},
    {"NaN", CLASS_NULL_WORD, 0},
    {"na", T, 0},
    {"Na", T, 0},
    {"0", CLASS_INT, 0},
    {"7", CLASS_INT, 0},
    {"-7", CLASS_INT, 0},
    {"2147483647", CLASS_INT, MARK_WIDE},
    {"123456789012345", CLASS_INT, MARK_WIDE},
    {"1234567890123456", CLASS_LONG_INT, MARK_WIDE},
    {"123456789012345678", CLASS_LONG_INT, MARK_WIDE},
    {"1234567890123456789", CLASS_LONG_DIGITS, MARK_WIDE},
    {"99999999999999999999999", CLASS_LONG_DIGITS, MARK_WIDE},
    {"02134", CLASS_LEADING_ZERO, 0},
    {"007", CLASS_LEADING_ZERO, 0},
    {"00", CLASS_LEADING_ZERO, 0},
    {"-0", CLASS_LEADING_ZERO, 0},
    {"-007", CLASS_LEADING_ZERO, 0},
    {"+15551234567", CLASS_PHONE, 0},
    {"+1 (555) 123-4567", CLASS_PHONE, 0},
    {"(555) 123-4567", CLASS_FORMATTED, 0},
    {"555-1234", T, 0},
    {"555-123-4567", T, 0},
    {"1.5", CLASS_DOUBLE, 0},
    {"-0.5", CLASS_DOUBLE, 0},
    {".5", CLASS_DOUBLE, 0},
    {"-.5", CLASS_DOUBLE, 0},
    {"0.10", CLASS_DOUBLE, 0},
    {"00.5", T, 0},
    {"-00.5", T, 0},
    {"5.", T, 0},
    {"1e5", T, 0},
    {"1e+5", CLASS_DOUBLE, 0},
    {"1.5e3", CLASS_DOUBLE, 0},
    {"1E-05", CLASS_DOUBLE, 0},
    {"1e999", T, 0},
    {"1.0e999", T, 0},
    {"1.2.3", T, 0},
    {"10.0.19041", T, 0},
    {"192.168.1.1", T, 0},
    {"1,234", CLASS_FORMATTED, 0},
    {"1,234.56", CLASS_FORMATTED, 0},
    {"12%", CLASS_FORMATTED, 0},
    {"$5", CLASS_FORMATTED, 0},
    {"1 234", CLASS_FORMATTED, 0},
    {"0x1F", T, 0},
    {"12abc", T, 0},
    {"true", CLASS_BOOL, MARK_TRUE_FALSE},
    {"FALSE", CLASS_BOOL, MARK_TRUE_FALSE << 1},
    {"t", CLASS_BOOL, MARK_T_F},
    {"No", CLASS_BOOL, MARK_YES_NO << 1},
    {"Y", CLASS_BOOL, MARK_Y_N},
    {"truth", T, 0},
    {"2024-01-31", CLASS_DATE, MARK_ISO | MARK_DASH},
    {"2024-02-30", T, 0},
    {"2023-02-29", T, 0},
    {"2024-02-29", CLASS_DATE, MARK_ISO | MARK_DASH},
    {"2024-1-5", T, 0},
    {"2024/01/31", CLASS_DATE, MARK_YMD | MARK_SLASH},
    {"31/01/2024", CLASS_DATE, MARK_DMY | MARK_SLASH},
    {"01/31/2024", CLASS_DATE, MARK_MDY | MARK_SLASH},
    {"03/04/2024", CLASS_DATE, MARK_EITHER | MARK_SLASH},
    {"3/4/2024", CLASS_DATE, MARK_EITHER | MARK_SLASH},
    {"31.01.2024", CLASS_DATE, MARK_DMY | MARK_DOT},
    {"31-01-2024", CLASS_DATE, MARK_DMY | MARK_DASH},
    {"31/01-2024", T, 0},
    {"32/01/2024", T, 0},
    {"01/02/24", CLASS_DATE, MARK_EITHER | MARK_SHORT_YEAR | MARK_SLASH},
    {"00/01/2024", T, 0},
    {"2024-01-31 14:30", CLASS_TIMESTAMP, MARK_ISO | MARK_DASH},
    {"2024-01-31T14:30:05", CLASS_TIMESTAMP, MARK_ISO | MARK_DASH},
    {"2024-01-31T14:30:05.123456", CLASS_TIMESTAMP, MARK_ISO | MARK_DASH},
    {"2024-01-31T14:30:05.123456789", T, 0},
    {"2024-01-31T14:30:05.123456000", CLASS_TIMESTAMP, MARK_ISO | MARK_DASH},
    {"2024-01-31T14:30:05Z", CLASS_TIMESTAMPTZ, MARK_ISO | MARK_DASH},
    {"2024-01-31T14:30:05+02:00", CLASS_TIMESTAMPTZ, MARK_ISO | MARK_DASH},
    {"2024-01-31 14:30:05 -0530", CLASS_TIMESTAMPTZ, MARK_ISO | MARK_DASH},
    {"2024-01-31T24:00:00", T, 0},
    {"2024-01-31 ", CLASS_DATE, MARK_ISO | MARK_DASH | MARK_SPACED},
    {"31/01/2024 14:30", CLASS_TIMESTAMP, MARK_DMY | MARK_SLASH},
    {"14:30", CLASS_TIME, 0},
    {"9:05:10", CLASS_TIME, 0},
    {" 12", CLASS_INT, MARK_SPACED},
    {"   ", T, MARK_SPACED},
    {"Namibia", T, 0},
    {"\xC3\xA9t\xC3\xA9", T, 0},
    {"12345-6789", T, 0},
    {"2024", CLASS_INT, 0},
    {"--5", T, 0},
    {"5-", T, 0},
    {"INF", T, 0},
};

static void test_classify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t marks = 0;
        char padded[128] = {0};
        memcpy(padded, cases[i].text, strlen(cases[i].text));
        enum cell_class class = classify_text(padded, strlen(padded), &marks);
        if (class != cases[i].class || marks != cases[i].marks)
            fail_msg("\"%s\": class %d marks %#x, expected %d %#x", cases[i].text, (int)class, marks,
                     (int)cases[i].class, cases[i].marks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classify)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
