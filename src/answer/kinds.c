/* The kinds of answers that can be asked again. */
#include "answer/answer_internal.h"

const struct answer_kind *answer_kind_find(const char *name)
{
    static const struct answer_kind *const kinds[] = {&answer_kind_rag, &answer_kind_ask};
    for (size_t i = 0; i < TN_COUNT(kinds); i++)
        if (tn_streq(kinds[i]->name, name))
            return kinds[i];
    return NULL;
}
