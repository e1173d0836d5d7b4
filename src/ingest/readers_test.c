/* Several readers at once: what was put comes back in its order. The program is
 * its own helper: main() takes the word that the readers' threads start it with. */
#include "base/test_support.h"
#include "ingest/documents_readers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define READERS 3
#define FILES   40

static int file_of(const char *text)
{
    int fd = memfd_create("document", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static const char mail[] = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
                           "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
                           "body\r\n--x\r\nContent-Type: text/plain; name=a.txt\r\n"
                           "Content-Disposition: attachment; filename=a.txt\r\n\r\ninside\r\n--x--\r\n";

/* Every seventh cannot be read, every fifth holds a file. */
static int make(size_t n)
{
    char text[64];
    if (n % 7 == 6)
        return file_of("\x7F"
                       "ELF and no document");
    if (n % 5 == 4)
        return file_of(mail);
    (void)snprintf(text, sizeof text, "# File %zu\nIts text.\n", n);
    return file_of(text);
}

static void judge(const struct reading *reading, size_t n)
{
    char title[32];
    (void)snprintf(title, sizeof title, "File %zu", n);
    if (n % 7 == 6) {
        assert_int_equal(reading->code, TN_EUNSUPPORTED);
        assert_null(reading->document);
    } else if (n % 5 == 4) {
        assert_true(reading->has_files);
        assert_null(reading->document);
    } else {
        assert_int_equal(reading->code, TN_OK);
        assert_false(reading->has_files);
        assert_string_equal(reading->document->title, title);
    }
}

static void test_in_their_order(void **state)
{
    (void)state;
    const struct document_limits limits = document_limits_default();
    TN_CLEANUP(readers_free_p) struct readers *readers = readers_new(&limits, READERS);
    struct reading readings[FILES] = {0};
    size_t put = 0;
    for (size_t taken = 0; taken < FILES; taken++) {
        for (; put < FILES && put - taken < readers_room(readers); put++) {
            readings[put] = (struct reading){.fd = make(put), .name = put % 5 == 4 ? "a.eml" : "a.md"};
            readers_put(readers, &readings[put]);
        }
        struct reading *reading = readers_take(readers);
        assert_ptr_equal(reading, &readings[taken]);
        judge(reading, taken);
        document_free(reading->document);
        (void)close(reading->fd);
    }
}

/* What is put after it is not read; who goes away need not take anything. */
static void test_cancelled(void **state)
{
    (void)state;
    const struct document_limits limits = document_limits_default();
    struct readers *readers = readers_new(&limits, 2);
    struct reading readings[4] = {0};
    readers_cancel(readers);
    for (size_t i = 0; i < TN_COUNT(readings); i++) {
        readings[i] = (struct reading){.fd = make(0), .name = "a.md"};
        readers_put(readers, &readings[i]);
    }
    assert_int_equal(readers_take(readers)->code, TN_ECANCELLED);
    readers_free(readers);
    for (size_t i = 0; i < TN_COUNT(readings); i++) {
        assert_null(readings[i].document);
        (void)close(readings[i].fd);
    }
}

/* One that was too much beside others is read once more, with more, while none of them is. */
static void test_alone(void **state)
{
    (void)state;
    const struct document_limits roomy = document_limits_default();
    struct document_limits tight = roomy;
    tight.text_bytes = 4;
    TN_CLEANUP(readers_free_p) struct readers *readers = readers_new(&tight, 2);
    struct reading readings[3] = {0};
    for (size_t i = 0; i < TN_COUNT(readings); i++) {
        readings[i] = (struct reading){.fd = make(i), .name = "a.md"};
        readers_put(readers, &readings[i]);
    }
    for (size_t i = 0; i < TN_COUNT(readings); i++) {
        struct reading *reading = readers_take(readers);
        assert_int_equal(reading->code, TN_ETOOLARGE);
        readers_read_alone(readers, &roomy, reading);
        judge(reading, i);
        document_free(reading->document);
        (void)close(reading->fd);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && tn_streq(argv[1], DOCUMENT_WORKER))
        return document_worker_main();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_their_order), cmocka_unit_test(test_cancelled),
                                       cmocka_unit_test(test_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
