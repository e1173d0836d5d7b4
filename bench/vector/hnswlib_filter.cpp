// hnswlib's own filtered search over a bitmap, timed without an interpreter:
// hnswlib_filter GRAPH DIMENSIONS QUERIES.npy TRUTH.npy BITS.npy SECONDS
// prints a line of JSON per width of the walk, until SECONDS are used up.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <hnswlib/hnswlib.h>

// What follows the header of a .npy of the harness: version 1, C order.
static std::vector<char> body(const char *path)
{
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.size() < 10 || memcmp(bytes.data(), "\x93NUMPY\1", 7) != 0) {
        fprintf(stderr, "%s is no .npy of version 1\n", path);
        exit(1);
    }
    size_t header = 10 + (unsigned char)bytes[8] + 256 * (unsigned char)bytes[9];
    bytes.erase(bytes.begin(), bytes.begin() + (long)header);
    return bytes;
}

struct Bitmap : hnswlib::BaseFilterFunctor {
    std::vector<char> bits;
    bool operator()(hnswlib::labeltype id) override { return id / 8 < bits.size() && (bits[id / 8] >> (id % 8) & 1); }
};

static double processor_seconds()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    const size_t dims = strtoul(argv[2], nullptr, 10), k = 10;
    hnswlib::InnerProductSpace space(dims);
    hnswlib::HierarchicalNSW<float> graph(&space, argv[1]);
    std::vector<char> query_bytes = body(argv[3]), truth_bytes = body(argv[4]);
    const long *truth = (const long *)truth_bytes.data();
    const size_t count = query_bytes.size() / (dims * sizeof(float));
    std::vector<float> queries(count * dims);
    memcpy(queries.data(), query_bytes.data(), queries.size() * sizeof(float));
    Bitmap bitmap;
    bitmap.bits = body(argv[5]);
    const double end = processor_seconds() + strtod(argv[6], nullptr);
    for (size_t width = 10; width <= 20000 && processor_seconds() < end; width *= 2) {
        graph.setEf(width);
        double start = processor_seconds();
        size_t good = 0;
        for (size_t q = 0; q < count; q++) {
            auto found = graph.searchKnn(queries.data() + q * dims, k, &bitmap);
            std::set<long> wanted(truth + q * k, truth + (q + 1) * k);
            for (; !found.empty(); found.pop())
                good += wanted.count((long)found.top().second);
        }
        double recall = (double)good / (double)(count * k);
        printf("{\"ef\": %zu, \"recall\": %.4f, \"qps\": %.1f}\n", width, recall,
               (double)count / (processor_seconds() - start));
        fflush(stdout);
        if (recall >= 0.9995)
            break;
    }
    return 0;
}
