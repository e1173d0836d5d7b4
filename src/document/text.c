/* Characters (see text.h). The tables are ranges of whole blocks: a character
 * that they take for a mark although it is none only moves a cut by one place. */
#include "document/text.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c > ranges[mid].last)
            low = mid + 1;
        else if (c < ranges[mid].first)
            high = mid;
        else
            return true;
    }
    return false;
}

size_t text_decode(const char *p, size_t left, uint32_t *ret)
{
    const unsigned char *b = (const unsigned char *)p;
    if (b[0] < 0x80) {
        *ret = b[0];
        return 1;
    }
    size_t want = b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    if (b[0] >= 0xC2 && b[0] <= 0xF4 && left >= want && tn_utf8_valid_prefix(p, want) == want) {
        uint32_t c = b[0] & (0xFFu >> (want + 1));
        for (size_t i = 1; i < want; i++)
            c = c << 6 | (b[i] & 0x3F);
        *ret = c;
        return want;
    }
    *ret = 0xFFFD;
    return 1;
}

bool text_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool text_is_ideograph(uint32_t c)
{
    return (c >= 0x3005 && c <= 0x3007) || (c >= 0x3021 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

bool text_is_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z';
    if (c >= 0xDF && c <= 0xFF)
        return c != 0xF7;
    if (c >= 0x100 && c <= 0x17F) /* pairs, the capital first; three runs begin at an odd place */
        return (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E) ? !(c & 1) : (c & 1) || c == 0x138;
    return (c >= 0x3AC && c <= 0x3CE) || (c >= 0x430 && c <= 0x45F);
}

/* Marks that belong to the character before them, by block. */
static const struct range marks[] = {
    {0x300, 0x36F},     {0x483, 0x489},     {0x591, 0x5BD},     {0x5BF, 0x5BF},     {0x5C1, 0x5C2},
    {0x5C4, 0x5C5},     {0x5C7, 0x5C7},     {0x610, 0x61A},     {0x64B, 0x65F},     {0x670, 0x670},
    {0x6D6, 0x6DC},     {0x6DF, 0x6E4},     {0x6E7, 0x6E8},     {0x6EA, 0x6ED},     {0x711, 0x711},
    {0x730, 0x74A},     {0x7A6, 0x7B0},     {0x7EB, 0x7F3},     {0x816, 0x82D},     {0x859, 0x85B},
    {0x8D3, 0x903},     {0x93A, 0x93C},     {0x93E, 0x94F},     {0x951, 0x957},     {0x962, 0x963},
    {0x981, 0x983},     {0x9BC, 0x9BC},     {0x9BE, 0x9CD},     {0x9D7, 0x9D7},     {0x9E2, 0x9E3},
    {0xA01, 0xA03},     {0xA3C, 0xA51},     {0xA70, 0xA71},     {0xA75, 0xA75},     {0xA81, 0xA83},
    {0xABC, 0xABC},     {0xABE, 0xACD},     {0xAE2, 0xAE3},     {0xAFA, 0xAFF},     {0xB01, 0xB03},
    {0xB3C, 0xB3C},     {0xB3E, 0xB57},     {0xB62, 0xB63},     {0xB82, 0xB82},     {0xBBE, 0xBCD},
    {0xBD7, 0xBD7},     {0xC00, 0xC04},     {0xC3C, 0xC3C},     {0xC3E, 0xC56},     {0xC62, 0xC63},
    {0xC81, 0xC83},     {0xCBC, 0xCBC},     {0xCBE, 0xCD6},     {0xCE2, 0xCE3},     {0xD00, 0xD03},
    {0xD3B, 0xD3C},     {0xD3E, 0xD4D},     {0xD57, 0xD57},     {0xD62, 0xD63},     {0xD81, 0xD83},
    {0xDCA, 0xDDF},     {0xDF2, 0xDF3},     {0xE31, 0xE31},     {0xE33, 0xE3A},     {0xE47, 0xE4E},
    {0xEB1, 0xEB1},     {0xEB3, 0xEBC},     {0xEC8, 0xECE},     {0xF18, 0xF19},     {0xF35, 0xF35},
    {0xF37, 0xF37},     {0xF39, 0xF39},     {0xF3E, 0xF3F},     {0xF71, 0xF84},     {0xF86, 0xF87},
    {0xF8D, 0xFBC},     {0xFC6, 0xFC6},     {0x102B, 0x103E},   {0x1056, 0x1059},   {0x105E, 0x1060},
    {0x1062, 0x1064},   {0x1067, 0x106D},   {0x1071, 0x1074},   {0x1082, 0x108D},   {0x1160, 0x11FF},
    {0x135D, 0x135F},   {0x1712, 0x1715},   {0x1732, 0x1734},   {0x1752, 0x1753},   {0x1772, 0x1773},
    {0x17B4, 0x17D3},   {0x17DD, 0x17DD},   {0x180B, 0x180F},   {0x18A9, 0x18A9},   {0x1920, 0x193B},
    {0x1A17, 0x1A1B},   {0x1A55, 0x1A7F},   {0x1AB0, 0x1B04},   {0x1B34, 0x1B44},   {0x1B6B, 0x1B73},
    {0x1B80, 0x1B82},   {0x1BA1, 0x1BAD},   {0x1BE6, 0x1BF3},   {0x1C24, 0x1C37},   {0x1CD0, 0x1CE8},
    {0x1DC0, 0x1DFF},   {0x200C, 0x200D},   {0x20D0, 0x20F0},   {0x2CEF, 0x2CF1},   {0x2D7F, 0x2D7F},
    {0x2DE0, 0x2DFF},   {0x302A, 0x302F},   {0x3099, 0x309A},   {0xA66F, 0xA672},   {0xA674, 0xA67D},
    {0xA69E, 0xA69F},   {0xA6F0, 0xA6F1},   {0xA802, 0xA802},   {0xA806, 0xA806},   {0xA80B, 0xA80B},
    {0xA823, 0xA827},   {0xA880, 0xA881},   {0xA8B4, 0xA8C5},   {0xA8E0, 0xA8F1},   {0xA926, 0xA92D},
    {0xA947, 0xA953},   {0xA980, 0xA983},   {0xA9B3, 0xA9C0},   {0xAA29, 0xAA36},   {0xAA43, 0xAA43},
    {0xAA4C, 0xAA4D},   {0xAAB0, 0xAAC1},   {0xAAEB, 0xAAEF},   {0xAAF5, 0xAAF6},   {0xABE3, 0xABED},
    {0xD7B0, 0xD7FB},   {0xFB1E, 0xFB1E},   {0xFE00, 0xFE0F},   {0xFE20, 0xFE2F},   {0x101FD, 0x101FD},
    {0x10A01, 0x10A0F}, {0x10A38, 0x10A3F}, {0x11000, 0x11002}, {0x11038, 0x11046}, {0x1107F, 0x11082},
    {0x110B0, 0x110BA}, {0x11100, 0x11102}, {0x11127, 0x11134}, {0x1D165, 0x1D169}, {0x1D16D, 0x1D172},
    {0x1D17B, 0x1D18B}, {0x1E130, 0x1E136}, {0x1E2EC, 0x1E2EF}, {0x1E8D0, 0x1E8D6}, {0x1E944, 0x1E94A},
    {0x1F3FB, 0x1F3FF}, {0xE0020, 0xE007F}, {0xE0100, 0xE01EF},
};

static bool is_flag_letter(uint32_t c)
{
    return c >= 0x1F1E6 && c <= 0x1F1FF;
}

size_t text_cluster(const char *p, size_t left)
{
    uint32_t first, c, before;
    size_t length = text_decode(p, left, &first);
    if (first == '\r' && length < left && p[length] == '\n')
        return length + 1;
    if (first < 0x20)
        return length;
    bool flag = is_flag_letter(first);
    before = first;
    while (length < left && length < TEXT_CLUSTER_MAX) {
        size_t size = text_decode(p + length, left - length, &c);
        bool joined = before == 0x200D && c >= 0x2190; /* an emoji behind a joiner */
        bool second = flag && is_flag_letter(c);
        if (!joined && !second && !is_in(marks, TN_COUNT(marks), c))
            break;
        flag = false;
        before = c;
        length += size;
    }
    return length;
}

size_t text_characters(const char *p, size_t length)
{
    size_t count = 0;
    uint32_t c;
    for (size_t at = 0; at < length; count++)
        at += text_decode(p + at, length - at, &c);
    return count;
}

void text_put_clean(struct tn_buf *out, const char *bytes, size_t count)
{
    for (size_t at = 0; at < count;) {
        size_t run = at;
        while (run < count && ((unsigned char)bytes[run] >= 0x20 || bytes[run] == '\n' || bytes[run] == '\t') &&
               bytes[run] != 0x7F && (unsigned char)bytes[run] < 0x80)
            run++;
        tn_buf_append(out, bytes + at, run - at);
        at = run;
        if (at == count)
            return;
        uint32_t c;
        size_t size = text_decode(bytes + at, count - at, &c);
        if (c == 0xFFFD)
            tn_buf_append(out, "\xEF\xBF\xBD", 3);
        else if (c >= 0xA0)
            tn_buf_append(out, bytes + at, size);
        else if (c == '\r' || c == 0x85 || c == '\v')
            tn_buf_append(out, "\n", c == '\r' && at + 1 < count && bytes[at + 1] == '\n' ? 0 : 1);
        else if (c == '\f')
            tn_buf_puts(out, "\n\n");
        at += size;
    }
}

void text_trim_end(struct tn_buf *out)
{
    while (out->len &&
           (out->data[out->len - 1] == ' ' || (out->data[out->len - 1] >= 9 && out->data[out->len - 1] <= 13)))
        out->len--;
    if (out->data)
        out->data[out->len] = '\0';
}

void text_end_line(struct tn_buf *out)
{
    text_trim_end(out);
    if (out->len)
        tn_buf_putc(out, '\n');
}

/* ---- encodings --------------------------------------------------------------------- */

/* 0x80 to 0x9F of Windows-1252; the five that it leaves out stay as they are. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
};

static void put_char(struct tn_buf *out, uint32_t c)
{
    char bytes[4];
    tn_buf_append(out, bytes, tn_utf8_put(c, bytes));
}

static void from_windows(const char *bytes, size_t count, struct tn_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char b = (unsigned char)bytes[i];
        put_char(out, b >= 0x80 && b < 0xA0 ? windows_1252[b - 0x80] : b);
    }
}

static void from_utf16(const char *bytes, size_t count, bool big, struct tn_buf *out)
{
    const unsigned char *b = (const unsigned char *)bytes;
    for (size_t i = 0; i + 1 < count; i += 2) {
        uint32_t c = big ? (uint32_t)b[i] << 8 | b[i + 1] : (uint32_t)b[i + 1] << 8 | b[i];
        if (c >= 0xD800 && c < 0xDC00 && i + 3 < count) {
            uint32_t low = big ? (uint32_t)b[i + 2] << 8 | b[i + 3] : (uint32_t)b[i + 3] << 8 | b[i + 2];
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i += 2;
            }
        }
        put_char(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
    }
}

/* Zero bytes in every second place of the beginning: UTF-16 of mostly Latin text. */
static bool looks_like_utf16(const char *bytes, size_t count, bool big)
{
    size_t seen = TN_MIN(count, (size_t)512) / 2, zeros = 0;
    for (size_t i = 0; i < seen; i++) {
        zeros += bytes[2 * i + !big] == 0;
        if (bytes[2 * i + big] == 0)
            return false;
    }
    return seen >= 2 && zeros * 10 >= seen * 7;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (tn_str_equal_nocase(name, *names))
            return true;
    return false;
}

static bool is_charset_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:");
    return length > 1 && length < 40 && name[length] == '\0';
}

/* Whether the C library knows the name; what cannot be converted is U+FFFD. */
static bool from_charset(const char *bytes, size_t count, const char *charset, struct tn_buf *out)
{
    static const char *const own[] = {"utf-8", "utf8", "us-ascii", "ascii", NULL};
    if (!is_charset_name(charset) || is_one_of(charset, own))
        return false;
    iconv_t converter = iconv_open("UTF-8", charset);
    if (converter == (iconv_t)-1)
        return false;
    char *in = (char *)(uintptr_t)bytes;
    while (count) {
        size_t room = TN_MIN(count * 4 + 16, (size_t)1 << 16), left = room;
        char *to = tn_buf_reserve(out, room);
        size_t done = iconv(converter, &in, &count, &to, &left);
        out->len += room - left;
        if (done != (size_t)-1 || errno == E2BIG)
            continue;
        tn_buf_append(out, "\xEF\xBF\xBD", 3);
        in++, count--;
    }
    (void)iconv_close(converter);
    if (out->data)
        out->data[out->len] = '\0';
    return true;
}

size_t text_preload_charsets(void)
{
    static const char *const common[] = {
        "ISO-8859-2",   "ISO-8859-5", "ISO-8859-7",  "ISO-8859-9",   "ISO-8859-15",  "WINDOWS-1250",
        "WINDOWS-1251", "KOI8-R",     "SHIFT_JIS",   "EUC-JP",       "GB18030",      "GBK",
        "BIG5",         "EUC-KR",     "ISO-2022-JP", "WINDOWS-1253", "WINDOWS-1254", "WINDOWS-1257",
    };
    static iconv_t kept[TN_COUNT(common)]; /* for the life of the process: that is the point */
    size_t loaded = 0;
    for (size_t i = 0; i < TN_COUNT(common); i++) {
        kept[i] = iconv_open("UTF-8", common[i]);
        loaded += kept[i] != (iconv_t)-1;
    }
    return loaded;
}

void text_to_utf8(const char *bytes, size_t count, const char *charset, struct tn_buf *out)
{
    static const char *const single[] = {"windows-1252", "cp1252", "iso-8859-1", "latin1", "latin-1", NULL};
    static const char *const wide[] = {"utf-16", "utf-16le", "utf-16be", NULL};
    bool says_wide = charset && is_one_of(charset, wide);
    if (count >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        tn_buf_append(out, bytes + 3, count - 3);
    else if (count >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0))
        from_utf16(bytes + 2, count - 2, bytes[0] == '\xFE', out);
    else if (charset && !says_wide && !is_one_of(charset, single) && from_charset(bytes, count, charset, out))
        return;
    else if (says_wide || looks_like_utf16(bytes, count, false))
        from_utf16(bytes, count, says_wide && tn_str_equal_nocase(charset, "utf-16be"), out);
    else if (looks_like_utf16(bytes, count, true))
        from_utf16(bytes, count, true, out);
    else if ((charset && is_one_of(charset, single)) || tn_utf8_valid_prefix(bytes, count) != count)
        from_windows(bytes, count, out);
    else
        tn_buf_append(out, bytes, count);
}
