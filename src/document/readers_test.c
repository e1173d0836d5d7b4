/* The readers by example, and the cage around them. The program is its own
 * helper: main() takes the word that document_extract starts it with. */
#include "base/test_support.h"
#include "document/cage.h"
#include "document/document.h"
#include "document/readers.h"
#include "document/zip.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a call gave, as text: "type|title|author|created", sections "<n heading: text>", files "{name: bytes}". */
struct seen {
    struct tn_buf text;
    bool in_file;
};

static enum tn_code see_document(void *context, const struct document *document, struct tn_error *err)
{
    struct tn_buf *out = &((struct seen *)context)->text;
    (void)err;
    tn_buf_printf(out, "%s|%s|%s|%s", document_type_name(document->type), document->title ? document->title : "-",
                  document->author ? document->author : "-", document->created ? document->created : "-");
    for (size_t i = 0; i < document->section_count; i++) {
        const struct document_section *section = &document->sections[i];
        tn_buf_printf(out, "\n<%u %s: %.*s>", section->number, section->heading, (int)section->length,
                      document->text.data + section->start);
    }
    tn_buf_putc(out, '\n');
    return TN_OK;
}

static enum tn_code see_begin(void *context, const char *name, struct tn_error *err)
{
    (void)err;
    tn_buf_printf(&((struct seen *)context)->text, "{%s: ", name);
    return TN_OK;
}

static enum tn_code see_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    (void)err;
    tn_buf_append(&((struct seen *)context)->text, bytes, TN_MIN(count, (size_t)40));
    return TN_OK;
}

static enum tn_code see_end(void *context, struct tn_error *err)
{
    (void)err;
    tn_buf_puts(&((struct seen *)context)->text, "}\n");
    return TN_OK;
}

static enum tn_code see_bad(void *context, const char *name, const struct tn_error *why, struct tn_error *err)
{
    (void)err;
    tn_buf_printf(&((struct seen *)context)->text, "!%s: %s\n", name, why->detail);
    return TN_OK;
}

static struct document_sink sink_of(struct seen *seen)
{
    return (struct document_sink){.context = seen,
                                  .document = see_document,
                                  .file_begin = see_begin,
                                  .file_data = see_data,
                                  .file_end = see_end,
                                  .file_failed = see_bad};
}

static int file_of(const char *bytes, size_t count)
{
    int fd = memfd_create("document", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(tn_write_all(fd, bytes, count, "memory", &test_err));
    return fd;
}

static void check_read(const char *name, const char *bytes, const char *want)
{
    const struct document_limits limits = document_limits_default();
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    TN_AUTO_CLOSE int fd = file_of(bytes, strlen(bytes));
    assert_ok(document_read(&limits, fd, name, &sink, &test_err));
    assert_string_equal(seen.text.data ? seen.text.data : "", want);
    tn_buf_release(&seen.text);
}

static void test_text(void **state)
{
    (void)state;
    check_read("a.txt", "Hello,\r\nworld\x07!\r\n", "text|-|-|-\n<1 : Hello,\nworld!>\n");
    check_read("a.txt", "caf\xE9 \x80", "text|-|-|-\n<1 : café €>\n");
    check_read("a.log", "\xEF\xBB\xBFmark", "text|-|-|-\n<1 : mark>\n");
}

static void test_markdown(void **state)
{
    (void)state;
    check_read("a.md",
               "---\ntitle: \"The guide\"\nauthor: Ann\ndate: 2024-01-31\ntags: [a, b]\n---\n"
               "Before\n\n# One #\ntext\n```\n# no heading\n```\n## Two\nmore\n\nThree\n=====\nend\n",
               "markdown|The guide|Ann|2024-01-31T00:00:00Z\n<1 : Before>\n<2 One: # One\n\ntext\n```\n# no "
               "heading\n```>\n<3 One > Two: ## Two\n\nmore>\n<4 Three: # Three\n\nend>\n");
}

static void test_html(void **state)
{
    (void)state;
    check_read("x",
               "<!DOCTYPE html><html><head><title>A &amp; B</title><meta name=author content='Ann'>"
               "<style>p{}</style><script>alert(1)</script></head><body><p>One   <b>two</b>\nthree<br>four"
               "<h2>Head <i>ing</i></h2><ul><li>a<li>b</ul><table><tr><td>1<td>2</table><pre>x\n  y</pre>",
               "html|A & B|Ann|-\n<1 : One two three\nfour>\n"
               "<2 Head ing: ## Head ing\n\n- a\n- b\n\n1\t2\n\n```\nx\n  y\n```>\n");
    check_read("x.html", "<p>\xE4\xF6", "html|-|-|-\n<1 : äö>\n");
    check_read("x.html", "<html><head><meta charset=koi8-r></head><body>\xF0\xF2\xE9\xF7\xE5\xF4",
               "html|-|-|-\n<1 : ПРИВЕТ>\n");
}

static void test_mail(void **state)
{
    (void)state;
    check_read(
        "m",
        "From: =?utf-8?Q?J=C3=B6rg?= <j@example.org>\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"
        " =?utf-8?Q?_und?= mehr\r\n"
        "Date: Wed, 31 Jan 2024 12:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\npreamble\r\n--b1\r\n"
        "Content-Type: multipart/alternative; boundary=b2\r\n\r\n--b2\r\nContent-Type: text/plain; "
        "charset=iso-8859-1\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6n, =\r\ndass es geht.\r\n--b2\r\n"
        "Content-Type: text/html\r\n\r\n<p>HTML\r\n--b2--\r\n--b1\r\n"
        "Content-Type: text/plain; name=\"no.txt\"\r\nContent-Disposition: attachment; filename=\"../a/b.txt\"\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b1--\r\n",
        "{a/b.txt: hello}\neml|Grüße und mehr|Jörg <j@example.org>|2024-01-31T11:00:00Z\n"
        "<1 : Schön, dass es geht.>\n");
}

/* ---- archives -------------------------------------------------------------------------------- */

static void put16(struct tn_buf *out, unsigned value)
{
    tn_buf_putc(out, (char)(value & 0xFF));
    tn_buf_putc(out, (char)(value >> 8 & 0xFF));
}

static void put32(struct tn_buf *out, unsigned long value)
{
    put16(out, (unsigned)(value & 0xFFFF));
    put16(out, (unsigned)(value >> 16 & 0xFFFF));
}

struct made {
    struct tn_buf body, directory;
    unsigned count;
};

/* Stored, with a checksum that crc32 of zlib would give: computed bit by bit. */
static unsigned long crc_of(const char *bytes, size_t count)
{
    unsigned long crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return crc ^ 0xFFFFFFFFu;
}

static void add_member(struct made *zip, const char *name, const char *text, unsigned flags)
{
    size_t at = zip->body.len, length = strlen(text), name_length = strlen(name);
    unsigned long crc = crc_of(text, length);
    for (int central = 0; central < 2; central++) {
        struct tn_buf *out = central ? &zip->directory : &zip->body;
        tn_buf_append(out, central ? "PK\1\2\x14\0" : "PK\3\4", central ? 6 : 4);
        put16(out, 20);
        put16(out, flags);
        put16(out, 0);
        put32(out, 0);
        put32(out, crc);
        put32(out, length);
        put32(out, length);
        put16(out, (unsigned)name_length);
        put16(out, 0);
        if (central) {
            tn_buf_append(out, "\0\0\0\0\0\0\0\0\0\0", 10);
            put32(out, at);
        }
        tn_buf_append(out, name, name_length);
        if (!central)
            tn_buf_append(out, text, length);
    }
    zip->count++;
}

static void end_zip(struct made *zip)
{
    size_t at = zip->body.len;
    tn_buf_append(&zip->body, zip->directory.data, zip->directory.len);
    tn_buf_append(&zip->body, "PK\5\6\0\0\0\0", 8);
    put16(&zip->body, zip->count);
    put16(&zip->body, zip->count);
    put32(&zip->body, zip->directory.len);
    put32(&zip->body, at);
    put16(&zip->body, 0);
    tn_buf_release(&zip->directory);
}

#define WORD_XML(body)                                                                                               \
    "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">"   \
    "<w:body>" body "</w:body></w:document>"

static void make_docx(struct made *zip, const char *body)
{
    add_member(zip, "docProps/core.xml",
               "<p xmlns:dc=\"d\"><dc:title>Report</dc:title><dc:creator>Ann</dc:creator>"
               "<created>2024-01-31T12:00:00Z</created></p>",
               0);
    add_member(zip, "word/styles.xml",
               "<w:styles xmlns:w=\"w\"><w:style w:styleId=\"berschrift2\"><w:name w:val=\"heading "
               "2\"/></w:style></w:styles>",
               0);
    add_member(zip, "word/document.xml", body, 0);
    end_zip(zip);
}

static void test_docx(void **state)
{
    (void)state;
    const struct document_limits limits = document_limits_default();
    struct made zip = {0};
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    make_docx(&zip,
              WORD_XML("<w:p><w:r><w:t>One </w:t></w:r><w:r><w:t>two</w:t><w:tab/><w:t>three</w:t></w:r></w:p>"
                       "<w:p><w:pPr><w:pStyle w:val=\"berschrift2\"/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p>"
                       "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t><w:delText>gone</w:delText></w:r></w:p>"
                       "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
                       "<w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"));
    TN_AUTO_CLOSE int fd = file_of(zip.body.data, zip.body.len);
    assert_ok(document_read(&limits, fd, "x.docx", &sink, &test_err));
    assert_string_equal(seen.text.data, "docx|Report|Ann|2024-01-31T12:00:00Z\n<1 : One two\tthree>\n"
                                        "<2 Head: ## Head\n\n- item\n\na \tb>\n");
    tn_buf_release(&seen.text);
    tn_buf_release(&zip.body);
}

static void test_docx_with_entities(void **state)
{
    (void)state;
    const struct document_limits limits = document_limits_default();
    struct made zip = {0};
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    make_docx(&zip, "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><x>&b;</x>");
    TN_AUTO_CLOSE int fd = file_of(zip.body.data, zip.body.len);
    assert_int_equal(document_read(&limits, fd, "x.docx", &sink, &test_err), TN_EUNREADABLE);
    assert_non_null(strstr(test_err.detail, "document type"));
    tn_buf_release(&zip.body);
}

static void test_archive(void **state)
{
    (void)state;
    const struct document_limits limits = document_limits_default();
    struct made zip = {0};
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    add_member(&zip, "a/one.txt", "eins", 0);
    add_member(&zip, "__MACOSX/a/._one.txt", "litter", 0);
    add_member(&zip, "../../etc/two.md", "# zwei", 0);
    add_member(&zip, "secret.txt", "xxxx", 1);
    add_member(&zip, "folder/", "", 0);
    end_zip(&zip);
    TN_AUTO_CLOSE int fd = file_of(zip.body.data, zip.body.len);
    assert_ok(document_read(&limits, fd, "x.zip", &sink, &test_err));
    assert_string_equal(seen.text.data, "{a/one.txt: eins}\n{etc/two.md: # zwei}\n"
                                        "!secret.txt: it is protected by a password\n");
    tn_buf_release(&seen.text);
    /* Every beginning of it is an error or a part, never worse. */
    for (size_t cut = 0; cut < zip.body.len; cut++) {
        struct zip part = {.fd = -1};
        if (zip_open_bytes(zip.body.data, cut, 100, &part, NULL) == TN_OK)
            zip_release(&part);
    }
    tn_buf_release(&zip.body);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        enum tn_code code;
        const char *says;
    } cases[] = {
        {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, TN_EUNSUPPORTED, "old Office"},
        {"\x89PNG\r\n\x1A\n\0\0\0\r", 12, TN_EUNREADABLE, "PNG"},
        {"", 0, TN_EUNREADABLE, "empty"},
        {"PK\3\4 and nothing", 16, TN_EUNREADABLE, "directory"},
        {"\1\2\3\4\5\6\0\1\2\3\4\5\6\7\10\2\3\4", 18, TN_EUNSUPPORTED, "neither"},
    };
    const struct document_limits limits = document_limits_default();
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_CLOSE int fd = file_of(cases[i].bytes, cases[i].length);
        assert_int_equal(document_read(&limits, fd, "x.bin", &sink, &test_err), cases[i].code);
        assert_non_null(strstr(test_err.detail, cases[i].says));
    }
}

/* ---- the cage ----------------------------------------------------------------------------------- */

/* In a child: 0 when all that must be refused is. */
static int try_to_escape(enum cage_profile profile)
{
    const struct document_limits limits = document_limits_default();
    int pipes[2];
    if (pipe(pipes) != 0 || cage_enter(profile, &limits, NULL) != TN_OK)
        return 1;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        return 2;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || open("/tmp/escaped", O_WRONLY | O_CREAT, 0600) >= 0)
        return 3;
    if (profile == CAGE_PARSE && (fork() >= 0 || execl("/bin/true", "true", (char *)NULL) == 0))
        return 4;
    if (profile == CAGE_PARSE &&
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 5;
    if (kill(getppid(), 0) == 0)
        return 6;
    return write(pipes[1], "x", 1) == 1 ? 0 : 7;
}

static void test_cage(void **state)
{
    (void)state;
    for (int profile = CAGE_PARSE; profile <= CAGE_TOOLS; profile++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(try_to_escape((enum cage_profile)profile));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void test_extract(void **state)
{
    (void)state;
    const struct document_limits limits = document_limits_default();
    TN_CLEANUP(document_extractor_free_p) struct document_extractor *extractor = NULL;
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    assert_ok(document_extractor_new(&limits, NULL, &extractor, &test_err));
    static const struct {
        const char *name, *bytes;
        enum tn_code code;
    } files[] = {
        {"a.md", "# One\ntext", TN_OK},
        {"b.bin", "PAR1 and so on", TN_EUNSUPPORTED},
        {"c.pdf", "%PDF-1.4\nnothing of the kind", TN_EUNREADABLE},
        {"d.html", "<h1>Two</h1>three", TN_OK},
    };
    for (size_t i = 0; i < TN_COUNT(files); i++) {
        TN_AUTO_CLOSE int fd = file_of(files[i].bytes, strlen(files[i].bytes));
        enum tn_code code = document_extract(extractor, fd, files[i].name, &sink, &test_err);
        if (code == TN_OK && files[i].code == TN_OK)
            continue;
        assert_int_equal(code, files[i].code);
        assert_true(document_error_is_of_file(code));
    }
    assert_string_equal(seen.text.data,
                        "markdown|One|-|-\n<1 One: # One\n\ntext>\nhtml|Two|-|-\n<1 Two: # Two\n\nthree>\n");
    tn_buf_release(&seen.text);
}

/* More text than may be, and a sink that has had enough: the next file goes on. */
static void test_extract_goes_on(void **state)
{
    (void)state;
    struct document_limits limits = document_limits_default();
    limits.text_bytes = 1000;
    TN_CLEANUP(document_extractor_free_p) struct document_extractor *extractor = NULL;
    TN_AUTO_BUF long_text = {0};
    struct seen seen = {0};
    const struct document_sink sink = sink_of(&seen);
    assert_ok(document_extractor_new(&limits, NULL, &extractor, &test_err));
    for (int i = 0; i < 1000; i++)
        tn_buf_puts(&long_text, "line\n");
    TN_AUTO_CLOSE int big = file_of(long_text.data, long_text.len);
    TN_AUTO_CLOSE int small = file_of("short", 5);
    assert_int_equal(document_extract(extractor, big, "a.txt", &sink, &test_err), TN_ETOOLARGE);
    assert_ok(document_extract(extractor, small, "b.txt", &sink, &test_err));
    assert_string_equal(seen.text.data, "text|-|-|-\n<1 : short>\n");
    tn_buf_release(&seen.text);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a/b.txt", "a/b.txt"},
        {"/etc/passwd", "etc/passwd"},
        {"..\\..\\x", "x"},
        {"./a//b/../c", "a/b/c"},
        {"..", NULL},
        {"a\x01\x02"
         "b",
         "ab"},
        {"C:\\Users\\x.doc", "C:/Users/x.doc"},
        {"", NULL},
    };
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const char *got = document_clean_path(arena, cases[i][0]);
        if (cases[i][1])
            assert_string_equal(got, cases[i][1]);
        else
            assert_null(got);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && tn_streq(argv[1], DOCUMENT_WORKER))
        return document_worker_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_markdown), cmocka_unit_test(test_html),
        cmocka_unit_test(test_mail),    cmocka_unit_test(test_docx),     cmocka_unit_test(test_docx_with_entities),
        cmocka_unit_test(test_archive), cmocka_unit_test(test_refusals), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_cage),    cmocka_unit_test(test_extract),  cmocka_unit_test(test_extract_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
