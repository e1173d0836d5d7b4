/* For unit tests of any module: cmocka with the headers it wants, and checks
 * that show the error's text. */
#ifndef TARN_BASE_TEST_SUPPORT_H
#define TARN_BASE_TEST_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

/* Where assert_ok looks for the text: pass &test_err to the call. */
TN_UNUSED static struct tn_error test_err;

#define assert_ok(expression)                                                                                        \
    do {                                                                                                             \
        enum tn_code got_ = (expression);                                                                            \
        if (got_ != TN_OK)                                                                                           \
            fail_msg("%s: %s: %s", #expression, tn_code_word(got_), test_err.detail);                                \
    } while (0)

/* A fresh folder as the test's state, removed with all in it afterwards. */
static inline int test_folder_make(void **state)
{
    char *path = tn_strdup("/tmp/tarn-test-XXXXXX");
    if (!mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

static inline int test_folder_remove(void **state)
{
    char *path = *state;
    enum tn_code code = tn_remove_tree(path, &test_err);
    free(path);
    return code == TN_OK ? 0 : -1;
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, test_folder_make, test_folder_remove)

#endif
