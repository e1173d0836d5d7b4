/* What delimits the cells, where the header stands, what is above it.
 *
 * Every candidate delimiter is tried on the sample with the reader that will
 * do the real work; the one whose records agree best on their number of cells
 * wins. Titles above the header and ragged records lower the agreement a
 * little, so a wrong candidate that needs them loses to one that does not.
 */
#include "ingest/classify.h"
#include "ingest/csv.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_RECORDS 5000
#define SAMPLE_BYTES   (512U << 10)
#define TITLE_RECORDS  20
#define WIDEST         4096

struct trial {
    struct csv_dialect dialect;
    size_t records, width, skipped;
    uint64_t fields, literal;
    double score;
};

struct sample {
    const char *text;
    size_t length;
    bool whole;
};

/* The sample's complete records under this dialect. */
static size_t sample_length(const struct sample *sample, const struct csv_dialect *dialect)
{
    if (sample->whole)
        return sample->length;
    size_t open;
    size_t length = csv_scan_end(dialect, sample->text, sample->length, &open);
    return length ? length : sample->length;
}

/* Counts of cells: how often each, and those of the first records. */
struct tally {
    uint32_t frequency[WIDEST];
    uint16_t first[TITLE_RECORDS + 1];
};

static void tally_records(const struct sample *sample, struct trial *trial, struct tally *tally)
{
    struct cell cells[2];
    struct csv_reader reader;
    memset(tally, 0, sizeof *tally);
    csv_reader_init(&reader, &trial->dialect, 2, cells, 2, sample->text, sample_length(sample, &trial->dialect));
    while (trial->records < SAMPLE_RECORDS && csv_reader_next(&reader)) {
        size_t count = reader.record.count < WIDEST ? reader.record.count : WIDEST - 1;
        if (trial->records <= TITLE_RECORDS)
            tally->first[trial->records] = (uint16_t)count;
        tally->frequency[count]++;
        trial->fields += count;
        trial->records++;
    }
    trial->literal = reader.literal;
}

/* A record above the usual ones is a title when it has one cell, or clearly
 * fewer than they have; one cell less may be a header that forgot a name. */
static size_t count_titles(const struct tally *tally, size_t records, size_t width)
{
    size_t titles = 0;
    while (titles < TITLE_RECORDS && titles < records && tally->first[titles] < width &&
           (tally->first[titles] == 1 || (size_t)tally->first[titles] + 1 < width))
        titles++;
    return titles < TITLE_RECORDS && titles < records ? titles : 0;
}

static void try_dialect(const struct sample *sample, struct trial *trial, struct tally *tally)
{
    tally_records(sample, trial, tally);
    for (size_t count = 2; count < WIDEST; count++)
        if (tally->frequency[count] && tally->frequency[count] >= tally->frequency[trial->width])
            trial->width = count;
    if (trial->width < 2)
        return;
    trial->skipped = count_titles(tally, trial->records, trial->width);
    double usual = tally->frequency[trial->width];
    trial->dialect.agreement = usual / (double)(trial->records - trial->skipped);
    trial->score = trial->dialect.agreement - 0.02 * (double)trial->skipped;
    if (trial->fields)
        trial->score -= (double)trial->literal / (double)trial->fields;
}

/* "1,5;2,5": commas that stand between digits inside cells of another
 * delimiter are decimal commas. */
static bool has_decimal_commas(const struct sample *sample, const struct csv_dialect *dialect)
{
    size_t decimal = 0, other = 0;
    size_t length = sample_length(sample, dialect);
    for (size_t i = 1; i + 1 < length; i++) {
        if (sample->text[i] != ',')
            continue;
        bool digits = sample->text[i - 1] >= '0' && sample->text[i - 1] <= '9' && sample->text[i + 1] >= '0' &&
                      sample->text[i + 1] <= '9';
        digits ? decimal++ : other++;
    }
    return decimal > 0 && decimal > 4 * other;
}

static bool is_better(const struct sample *sample, const struct trial *a, const struct trial *b)
{
    if (a->width < 2 || a->score < 0.5)
        return false;
    if (b->width < 2 || b->score < 0.5)
        return true;
    if (a->score > b->score + 0.05)
        return true;
    if (a->score < b->score - 0.05)
        return false;
    if (b->dialect.delimiter == ',' && has_decimal_commas(sample, &a->dialect) && a->score >= b->score)
        return true;
    if (a->score > b->score + 1e-9 || a->score < b->score - 1e-9)
        return a->score > b->score;
    return a->width > b->width;
}

static struct trial best_delimiter(const struct sample *sample, const char *candidates, char line_end, char quote,
                                   char escape, struct tally *tally)
{
    struct trial best = {.dialect = {.delimiter = ',', .quote = quote, .escape = escape, .line_end = line_end}};
    for (const char *c = candidates; *c; c++) {
        struct trial trial = {.dialect = {.delimiter = *c, .quote = quote, .escape = escape, .line_end = line_end}};
        try_dialect(sample, &trial, tally);
        if (is_better(sample, &trial, &best))
            best = trial;
    }
    return best;
}

/* Backslashes protect quotes when believing so leaves fewer odd fields. */
static void refine_escape(const struct sample *sample, struct trial *best, struct tally *tally)
{
    if (best->literal == 0 && best->score >= 0.99)
        return;
    if (!memmem(sample->text, sample->length, "\\\"", 2))
        return;
    struct trial trial = {.dialect = best->dialect};
    trial.dialect.escape = '\\';
    try_dialect(sample, &trial, tally);
    if (trial.width >= 2 && trial.literal < best->literal && trial.score >= best->score)
        *best = trial;
}

/* Single quotes count only in a file that has no double ones and closes each
 * it opens. */
static void refine_quote(const struct sample *sample, struct trial *best, struct tally *tally)
{
    if (memchr(sample->text, '"', sample->length) || !memchr(sample->text, '\'', sample->length))
        return;
    struct trial trial = {.dialect = best->dialect};
    trial.dialect.quote = trial.dialect.escape = '\'';
    struct cell cells[256];
    struct csv_reader reader;
    uint64_t quoted = 0;
    try_dialect(sample, &trial, tally);
    csv_reader_init(&reader, &trial.dialect, 2, cells, 256, sample->text, sample_length(sample, &trial.dialect));
    while (csv_reader_next(&reader))
        for (size_t i = 0; i < reader.record.count && i < 256; i++)
            quoted += cells[i].kind == CELL_QUOTED;
    if (reader.literal == 0 && quoted >= trial.records && quoted >= 2 && trial.score >= best->score)
        *best = trial;
}

/* ---- the header ---------------------------------------------------------- */

#define HEADER_CELLS 4096

struct head {
    struct csv_reader reader;
    struct cell cells[HEADER_CELLS];
};

static enum cell_class class_of(const struct cell *cell)
{
    uint32_t marks = 0;
    return cell->length ? classify_cell(cell, &marks) : CLASS_EMPTY;
}

static bool is_valuelike(enum cell_class class)
{
    switch (class) {
    case CLASS_EMPTY:
    case CLASS_EMPTY_QUOTED:
    case CLASS_NULL_WORD:
    case CLASS_TEXT:
        return false;
    default:
        return true;
    }
}

static bool is_year(const struct cell *cell)
{
    return cell->length == 4 && (memcmp(cell->text, "19", 2) == 0 || memcmp(cell->text, "20", 2) == 0) &&
           class_of(cell) == CLASS_INT;
}

static size_t filled_cells(const struct record *record)
{
    size_t filled = 0;
    for (size_t i = 0; i < record->count && i < HEADER_CELLS; i++)
        filled += record->cells[i].length > 0;
    return filled;
}

/* The record that might be the header: does it look like names? Numbers may be
 * names too: years over what is no year ("region,2023,2024"), or any integer
 * where names over values elsewhere leave no doubt. */
static bool looks_like_header(const struct record *first, const struct record *second)
{
    size_t names = 0, numbers = 0, years = 0, names_over_values = 0;
    for (size_t i = 0; i < first->count && i < HEADER_CELLS; i++) {
        const struct cell *cell = &first->cells[i];
        const struct cell *below = second && i < second->count ? &second->cells[i] : NULL;
        enum cell_class class = class_of(cell);
        if (class == CLASS_EMPTY || class == CLASS_EMPTY_QUOTED)
            continue;
        if (!is_valuelike(class) || (class == CLASS_BOOL && cell->length <= 2)) {
            names++;
            names_over_values += below && is_valuelike(class_of(below));
            continue;
        }
        if (class != CLASS_INT || !below)
            return false;
        numbers++;
        years += is_year(cell) && !is_year(below);
    }
    return names > 0 && (years == numbers || names_over_values > 2 * numbers);
}

/* A padded title ("Report,,,") is above the header too: at most one filled
 * cell where a record soon after has more. Returns how many to skip from where
 * the reader stands; the copy leaves the reader there. */
static size_t count_padded_titles(struct csv_reader reader, size_t width)
{
    for (size_t n = 0; width >= 3 && n < TITLE_RECORDS && csv_reader_next(&reader); n++)
        if (filled_cells(&reader.record) >= 2)
            return n;
    return 0;
}

static void find_header(const struct sample *sample, const struct csv_wish *wish, size_t skip,
                        struct csv_dialect *dialect)
{
    struct head *heads = calloc(2, sizeof *heads);
    if (!heads)
        abort();
    struct head *first = &heads[0], *second = &heads[1];
    struct csv_reader *reader = &first->reader;
    size_t reader_width = dialect->width < HEADER_CELLS ? dialect->width : HEADER_CELLS;
    csv_reader_init(reader, dialect, reader_width, first->cells, HEADER_CELLS, sample->text,
                    sample_length(sample, dialect));
    reader->at = sample->text + dialect->body;
    while (dialect->title_lines < skip && csv_reader_next(reader))
        dialect->title_lines++;
    for (size_t padded = count_padded_titles(*reader, dialect->width); padded && csv_reader_next(reader); padded--)
        dialect->title_lines++;
    dialect->body = (uint64_t)(reader->at - sample->text);
    if (csv_reader_next(reader)) {
        second->reader = *reader;
        second->reader.record.cells = second->cells;
        const struct record *below = csv_reader_next(&second->reader) ? &second->reader.record : NULL;
        dialect->has_header = wish->header >= 0 ? wish->header > 0 : looks_like_header(&reader->record, below);
        dialect->header = (uint64_t)(reader->record.start - sample->text);
        if (dialect->has_header) {
            dialect->body = (uint64_t)(reader->at - sample->text);
            if (reader->record.count > dialect->width)
                dialect->width = reader->record.count;
        }
    }
    free(heads);
}

/* Excel's "sep=;" line says it all. */
static bool take_sep_line(struct sample *sample, struct csv_dialect *dialect)
{
    if (sample->length < 6 || memcmp(sample->text, "sep=", 4) != 0)
        return false;
    size_t at = 5 + (sample->text[5] == '\r');
    if (at >= sample->length || sample->text[at] != '\n')
        return false;
    dialect->delimiter = sample->text[4];
    dialect->body = at + 1;
    return true;
}

void csv_detect(const char *text, size_t length, bool whole, const struct csv_wish *wish, struct csv_dialect *ret)
{
    struct sample sample = {text, length, whole};
    if (length > SAMPLE_BYTES) {
        sample.length = SAMPLE_BYTES;
        sample.whole = false;
    }
    struct csv_dialect said = {0};
    bool sep_line = take_sep_line(&sample, &said);
    struct sample rest = {text + said.body, sample.length - said.body, sample.whole};
    char line_end = !memchr(text, '\n', sample.length) && memchr(text, '\r', sample.length) ? '\r' : '\n';
    char fixed[2] = {wish->delimiter ? wish->delimiter : said.delimiter, '\0'};
    struct tally *tally = malloc(sizeof *tally);
    if (!tally)
        abort();
    struct trial best = best_delimiter(&rest, fixed[0] ? fixed : ",\t;|", line_end, '"', '"', tally);
    if (best.width < 2 && !fixed[0])
        best = best_delimiter(&rest, "^~\x01", line_end, '"', '"', tally);
    if (best.width < 2 && !fixed[0] && best.dialect.delimiter != ',')
        best.dialect.delimiter = ',';
    if (best.width < 2 && fixed[0])
        best.dialect.delimiter = fixed[0];
    if (best.width >= 2) {
        refine_escape(&rest, &best, tally);
        refine_quote(&rest, &best, tally);
    }
    free(tally);
    *ret = best.dialect;
    ret->sep_line = sep_line;
    ret->width = best.width >= 2 ? best.width : 1;
    ret->body = said.body;
    find_header(&sample, wish, best.width >= 2 ? best.skipped : 0, ret);
}
