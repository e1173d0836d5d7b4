/* Every configuration key of Tarn: its default, its limits, and the sentence
 * that `tarn config show` and the guide print for it. */
#include "gateway/settings.h"

#define KB     INT64_C(1024)
#define MB     (1024 * KB)
#define GB     (1024 * MB)
#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)

static const struct tn_config_key keys[] = {
    {"server.bind", TN_CONFIG_STRING, "127.0.0.1", NULL, 0, 0,
     "Address to listen on. Anything but a loopback address needs TLS, or server.insecure_remote."},
    {"server.port", TN_CONFIG_INT, "7341", NULL, 0, 65535, "TCP port; 0 takes a free one."},
    {"server.tls_cert", TN_CONFIG_STRING, "", NULL, 0, 0, "File with the certificate chain (PEM); turns TLS on."},
    {"server.tls_key", TN_CONFIG_STRING, "", NULL, 0, 0, "File with the certificate's private key (PEM)."},
    {"server.insecure_remote", TN_CONFIG_BOOL, "false", NULL, 0, 0,
     "Allow listening beyond loopback without TLS: tokens and data then cross the network in the clear."},
    {"server.allowed_hosts", TN_CONFIG_STRING, "", NULL, 0, 0,
     "Names that the Host header may have beside localhost, comma separated; * allows every name."},
    {"server.allowed_origins", TN_CONFIG_STRING, "", NULL, 0, 0,
     "Origins of web pages that may call besides this server's own, comma separated."},
    {"server.max_body", TN_CONFIG_SIZE, "16MB", NULL, 1 * KB, 1 * GB,
     "Largest request body, files to ingest apart (see ingest.max_size)."},
    {"server.max_header", TN_CONFIG_SIZE, "16KB", NULL, 1 * KB, 64 * KB,
     "Largest request line and headers together."},
    {"server.header_timeout", TN_CONFIG_DURATION, "10s", NULL, 100, 1 * HOUR,
     "How long a client may take to send a request's headers once it has begun."},
    {"server.idle_timeout", TN_CONFIG_DURATION, "60s", NULL, 1 * SECOND, 24 * HOUR,
     "How long a connection may stay without a request or without a byte in or out."},
    {"server.min_rate", TN_CONFIG_SIZE, "256", NULL, 0, 1 * GB,
     "Bytes a second below which an upload, after 30 seconds, is given up; 0 never gives up."},
    {"server.connections", TN_CONFIG_INT, "256", NULL, 4, 100000, "Connections at once."},
    {"server.drain", TN_CONFIG_DURATION, "10s", NULL, 0, 1 * HOUR,
     "How long running requests may take to end after SIGTERM before they are cancelled."},
    {"sql.memory", TN_CONFIG_SIZE, "50%", NULL, 64 * MB, INT64_MAX, "Hard limit of the SQL engine's memory."},
    {"sql.threads", TN_CONFIG_INT, "0", NULL, 0, 1024, "Threads of the SQL engine; 0: one per CPU."},
    {"sql.timeout", TN_CONFIG_DURATION, "5m", NULL, 0, 24 * HOUR,
     "Longest time for one query; a request may ask for less. 0: none."},
    {"sql.max_rows", TN_CONFIG_INT, "100000000", NULL, 0, INT64_MAX,
     "Most rows of one result; a request may ask for less. 0: no limit."},
    {"sql.max_queries", TN_CONFIG_INT, "16", NULL, 1, 1024, "Queries at once; one more is answered 429."},
    {"sql.temp", TN_CONFIG_SIZE, "0", NULL, 0, INT64_MAX,
     "Disk space for sorts and joins that do not fit in memory; 0: ten times sql.memory."},
    {"ingest.max_rejects", TN_CONFIG_INT, "0", NULL, 0, INT64_MAX,
     "Rows that one ingest may reject before it fails whole; a request may say otherwise."},
    {"ingest.max_size", TN_CONFIG_SIZE, "0", NULL, 0, INT64_MAX, "Largest file to ingest over HTTP; 0: no limit."},
    {"ingest.max_running", TN_CONFIG_INT, "4", NULL, 1, 64, "Ingests at once; one more is answered 429."},
    {"ingest.threads", TN_CONFIG_INT, "0", NULL, 0, 1024, "Threads that read and write files; 0: one per CPU."},
    {"cache.memory", TN_CONFIG_SIZE, "25%", NULL, 0, INT64_MAX,
     "Memory for datasets that are held in it because they are in use; a part of sql.memory. 0: none."},
    {"upkeep.enabled", TN_CONFIG_BOOL, "true", NULL, 0, 0,
     "Whether the server compacts, thins old snapshots, rolls the journal and removes orphans by itself."},
    {"upkeep.interval", TN_CONFIG_DURATION, "1s", NULL, 10, 24 * HOUR, "How often it looks for something to do."},
    {"upkeep.compact_files", TN_CONFIG_INT, "100", NULL, 2, 1000000,
     "Small files and delete files at which a dataset is compacted."},
    {"upkeep.compact_deleted", TN_CONFIG_INT, "20", NULL, 1, 100,
     "Percent of a dataset's rows that may be deleted before it is compacted."},
    {"upkeep.orphan_grace", TN_CONFIG_DURATION, "24h", NULL, 60 * SECOND, 8760 * HOUR,
     "Age from which files that nothing refers to are removed."},
    {"retention.snapshots", TN_CONFIG_INT, "1000", NULL, 10, 100000,
     "The newest snapshots of a dataset, which all stay; older ones are thinned, and told from the journal."},
    {"retention.hourly", TN_CONFIG_DURATION, "168h", NULL, 0, 876000 * HOUR,
     "Up to this age one snapshot an hour stays of those."},
    {"retention.daily", TN_CONFIG_DURATION, "876000h", NULL, 0, 876000 * HOUR,
     "Up to this age one snapshot a day stays of those."},
    {"log.level", TN_CONFIG_CHOICE, "info", "debug|info|warn|error|off", 0, 0, "The least important lines to print."},
    {"log.format", TN_CONFIG_CHOICE, "text", "text|json", 0, 0, "How log lines look."},
};

struct tn_config_table gateway_config_table(void)
{
    return (struct tn_config_table){.keys = keys, .count = TN_COUNT(keys)};
}
