/* tarn doctor: the memory of models' outcomes. */
#include "cli/doctor.h"

#include <inttypes.h>

static enum tn_code check(struct doctor *doctor, struct tn_error *err)
{
    struct client *client;
    TN_AUTO_JSON *answer = NULL;
    TN_TRY(cli_connect(doctor->cli, false, &client, err));
    TN_TRY(client_json(client, "POST", "/outcomes/check?repair=true", NULL, &answer, err));
    int64_t events = json_integer_value(json_object_get(answer, "events"));
    if (!json_is_true(json_object_get(answer, "sound")))
        doctor_find(doctor, DOCTOR_WARNING, "outcomes", "nothing to do: they were counted again from the log", "%s",
                    json_string_value(json_object_get(answer, "text")));
    else if (events > 0 || json_integer_value(json_object_get(answer, "models")) > 0)
        doctor_find(doctor, DOCTOR_OK, "outcomes", NULL, "%" PRId64 " outcomes of models, and their sums are right",
                    events);
    return TN_OK;
}

void doctor_check_outcomes(struct doctor *doctor)
{
    struct tn_error error = {0};
    if (check(doctor, &error) != TN_OK)
        doctor_find_error(doctor, "outcomes", &error);
}
