"""LanceDB over the same vectors and texts, in this process: no HTTP, no JSON."""
import shutil
import statistics
import time

import pyarrow.parquet as parquet

from lake import Client, quantile, questions

LIMIT = 120  # seconds for building, and for each kind of search


def rows_of(folder):
    """Texts and vectors, from the table that Tarn keeps them in."""
    files = sorted(folder.glob("buckets/primary/datasets/candidates__vectors/data/**/*.parquet"))
    seen = {}
    for file in files:
        if "embedding" not in parquet.read_schema(file).names:
            continue  # places of deleted rows
        batch = parquet.read_table(file, columns=["doc_id", "text", "embedding"]).to_pylist()
        seen.update((row["doc_id"], row) for row in batch)
    return list(seen.values())


def timed(actions, most):
    took, until = [], time.monotonic() + LIMIT
    for action in actions[:most]:
        started = time.perf_counter()
        action()
        took.append((time.perf_counter() - started) * 1000)
        if time.monotonic() > until:
            break
    return took[len(took) // 10:]


def ours(client, bodies, path):
    return timed([lambda body=body: client.ask("POST", path, body) for body in bodies], 500)


def measure(bench):
    import lancedb
    import numpy
    import pyarrow
    people = {row["candidate_id"]: row for row in bench.people()}
    rows = rows_of(bench.lake)
    texts = questions(list(people.values()), 600, 51)
    with bench.serve() as server:
        client = Client(server.url, server.token)
        vectors = client.ask("POST", "/ai/embed", {"texts": texts, "use": "query"})["vectors"]
        near = ours(client, [{"index": "candidates", "vector": vector, "k": 10} for vector in vectors], "/vectors/search")
        mixed = ours(client, [{"index": "candidates", "query": text, "k": 10} for text in texts], "/search")
        found = [[hit["doc_id"] for hit in client.ask("POST", "/vectors/search", {"index": "candidates", "vector": vector, "k": 10})["hits"]]
                 for vector in vectors[:100]]
    matrix = numpy.array([row["embedding"] for row in rows], dtype=numpy.float32)
    folder = bench.home / "lance"
    shutil.rmtree(folder, ignore_errors=True)
    rates = [float(people[row["doc_id"]]["desired_rate"] or 0) if row["doc_id"] in people else 0.0 for row in rows]
    dimension = matrix.shape[1]
    flat = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(matrix.reshape(-1)), dimension)
    started = time.monotonic()
    table = lancedb.connect(str(folder)).create_table("t", pyarrow.table({
        "doc_id": [row["doc_id"] for row in rows], "text": [row["text"] for row in rows], "rate": rates, "vector": flat}))
    table.create_index(metric="cosine", vector_column_name="vector", index_type="IVF_HNSW_SQ")
    table.create_fts_index("text")
    table.create_scalar_index("rate")
    built = time.monotonic() - started
    queries = numpy.array(vectors, dtype=numpy.float32)
    search = lambda i: table.search(queries[i], vector_column_name="vector").metric("cosine").limit(10)
    peer_near = timed([lambda i=i: search(i).select(["doc_id", "text"]).to_list() for i in range(len(texts))], 500)
    peer_mixed = timed([lambda i=i: table.search(query_type="hybrid", vector_column_name="vector").vector(queries[i]).text(texts[i]).limit(10).to_list()
                        for i in range(len(texts))], 200)
    ids = [row["doc_id"] for row in rows]
    exact = [{ids[n] for n in numpy.argpartition(-(matrix @ queries[i]), 10)[:10]} for i in range(100)]
    theirs = [{hit["doc_id"] for hit in search(i).select(["doc_id"]).to_list()} for i in range(100)]
    shutil.rmtree(folder, ignore_errors=True)

    def recall(lists):
        return statistics.fmean(len(truth.intersection(hits)) / 10 for truth, hits in zip(exact, lists))

    p50, peer50 = quantile(near, .5), quantile(peer_near, .5)
    bench.note("by a vector, one Python client: p50 (recall@10)", f"{p50:.2f} ms over HTTP ({recall(found):.3f})", "ahead", p50 < peer50,
               f"LanceDB in process {peer50:.2f} ms ({recall(theirs):.3f}), built in {built:.0f} s")
    p50, peer50 = quantile(mixed, .5), quantile(peer_mixed, .5)
    bench.note("hybrid, the text embedded by us and given to the peer: p50", f"{p50:.2f} ms over HTTP", "ahead", p50 < peer50,
               f"LanceDB in process {peer50:.2f} ms")
