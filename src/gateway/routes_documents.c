/* The routes of documents. */
#include "gateway/gateway_internal.h"

#define STRING "{\"type\":\"string\"}"
#define NUMBER "{\"type\":[\"integer\",\"string\"]}"
#define ID     "{\"type\":[\"integer\",\"string\",\"null\"]}"

#define DOCUMENTS_RESPONSE                                                                                           \
    "{\"type\":\"object\",\"required\":[\"dataset\",\"pages_dataset\",\"files\",\"ingested\",\"unchanged\","         \
    "\"failed\",\"pages\",\"needs_ocr\",\"errors\"],\"properties\":{\"dataset\":" STRING                             \
    ",\"pages_dataset\":" STRING ",\"files\":" NUMBER ",\"ingested\":" NUMBER ",\"unchanged\":" NUMBER               \
    ",\"failed\":" NUMBER ",\"pages\":" NUMBER ",\"needs_ocr\":" NUMBER ",\"snapshot_id\":" ID                       \
    ",\"pages_snapshot_id\":" ID ",\"ocr_job\":{\"type\":[\"string\",\"null\"]},\"errors\":{\"type\":\"array\","     \
    "\"items\":{\"type\":\"object\",\"required\":["                                                                  \
    "\"path\",\"code\",\"detail\"],\"properties\":{\"path\":" STRING ",\"code\":" STRING ",\"detail\":" STRING       \
    ",\"hint\":" STRING "}}}}}"

static const struct route_param document_params[] = {
    {.name = "dataset", .schema = STRING, .help = "Into which dataset; its pages go into DATASET__pages."},
    {.name = "name",
     .schema = STRING,
     .help = "The path of a file that is sent as it is; a form's files have names."},
    {.name = "auto_embed",
     .schema = "{\"enum\":[\"true\",\"false\"]}",
     .help = "Whether the pages are to be searchable by themselves, from now on."},
    {.name = "reason", .schema = STRING, .help = "Why; kept with the snapshots."}};

static const struct route_param ocr_params[] = {
    {.name = "languages",
     .schema = STRING,
     .help = "Tesseract's words, with + between: eng+deu; default: documents.ocr_languages."},
    {.name = "reason", .schema = STRING, .help = "Why; kept with the snapshots."},
    {.name = "wait",
     .schema = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600}",
     .help = "Seconds to wait for its end."}};

#define OCR_RESPONSE                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"dataset\",\"engine\",\"pages\",\"failed\",\"documents\",\"errors\"],"      \
    "\"properties\":{\"dataset\":" STRING ",\"engine\":" STRING ",\"pages\":" NUMBER ",\"failed\":" NUMBER           \
    ",\"documents\":" NUMBER ",\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["         \
    "\"path\",\"page\",\"code\",\"detail\"],\"properties\":{\"path\":" STRING ",\"page\":" ID ",\"code\":" STRING    \
    ",\"detail\":" STRING ",\"hint\":{\"type\":[\"string\",\"null\"]}}}}}}"

static const struct route routes[] = {
    {.method = "POST",
     .path = "/datasets/{dataset}/ocr",
     .id = "ocr",
     .tag = "ingest",
     .summary = "Read the scanned pages of documents",
     .description = "A job. Each page that is an image without text (needs_ocr) is read by tesseract; its text goes "
                    "into its row, and indexes follow. A page that cannot be read is told and does not keep the "
                    "others out.",
     PARAMS(ocr_params),
     .response = OCR_RESPONSE,
     .flags = ROUTE_WRITE | ROUTE_JOB,
     .handler = h_ocr},
    {.method = "POST",
     .path = "/ingest/documents",
     .id = "ingestDocuments",
     .tag = "ingest",
     .summary = "Load documents, and archives of them",
     .description = "The body is one file (PDF, DOCX, HTML, Markdown, text, EML, image, or a zip archive of them) with its "
                    "path in name=, or a form with any number of files. A file that cannot be read is told in "
                    "errors and does not keep the others out. A file whose bytes are known under its path changes "
                    "nothing; other bytes replace its rows.",
     PARAMS(document_params),
     .response = DOCUMENTS_RESPONSE,
     .flags = ROUTE_UPLOAD | ROUTE_WRITE,
     .handler = h_documents,
     .start = h_documents_start},
};

struct route_table gateway_document_routes(void)
{
    return (struct route_table){.routes = routes, .count = TN_COUNT(routes)};
}
