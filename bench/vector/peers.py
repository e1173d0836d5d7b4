"""One peer in a process of its own: builds, sweeps its parameters, prints JSON lines.

Each peer answers a whole batch in one call on one thread, so that no
interpreter time counts against it. The rate is per second of processor time,
which on an idle machine is wall time and on a shared one leaves out what the
others took. LanceDB chooses its threads itself: the time of all of them counts.
"""

import argparse
import json
import os
import resource
import shutil
import time

import numpy as np

WINDOWS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]


def recall(found, truth):
    """Share of true ids among the found; an id given twice is an error."""
    total = 0.0
    for got, want in zip(found, truth):
        got = [int(x) for x in got if x >= 0]
        assert len(set(got)) == len(got), "an id was returned twice"
        total += len(set(got) & set(int(x) for x in want)) / len(want)
    return total / len(truth)


class Hnswlib:
    sweep = [{"ef": w} for w in WINDOWS]

    def build(self, rows, threads, metric):
        """The file of an earlier build on the same rows is used again, with that build's figures."""
        import hnswlib

        self.index = hnswlib.Index(space=metric, dim=rows.shape[1])
        if os.path.exists(f"{self.kept}.json"):
            self.index.load_index(f"{self.kept}.bin", max_elements=len(rows))
            with open(f"{self.kept}.json") as f:
                self.figures = json.load(f)
            return
        self.index.init_index(len(rows), M=16, ef_construction=200, random_seed=1)
        self.index.add_items(rows, num_threads=threads)

    def search(self, queries, k, ef, threads=1):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]


class Usearch:
    dtype = "f32"
    sweep = [{"expansion": w} for w in WINDOWS]

    def build(self, rows, threads, metric):
        from usearch.index import Index

        name = {"cosine": "cos", "l2": "l2sq", "ip": "ip"}[metric]
        self.index = Index(ndim=rows.shape[1], metric=name, dtype=self.dtype, connectivity=16, expansion_add=200)
        self.index.add(np.arange(len(rows)), rows, threads=threads)

    def search(self, queries, k, expansion, threads=1):
        self.index.expansion_search = expansion
        return self.index.search(queries, k, threads=threads).keys


class UsearchI8(Usearch):
    dtype = "i8"


class Faiss:
    """`factory` names the index; rows are unit vectors under cosine, where the inner product orders them."""

    factory = ""
    sweep = []

    def build(self, rows, threads, metric):
        import faiss

        faiss.omp_set_num_threads(threads)
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.index_factory(rows.shape[1], self.factory.format(lists=int(4 * len(rows) ** 0.5),
                                                                            half=rows.shape[1] // 2), kind)
        if hasattr(self.index, "hnsw"):
            self.index.hnsw.efConstruction = 200
        self.index.train(rows)
        self.index.add(rows)
        faiss.omp_set_num_threads(1)

    def search(self, queries, k, threads=1, **settings):
        import faiss

        faiss.omp_set_num_threads(threads)
        space = faiss.ParameterSpace()
        for name, value in settings.items():
            space.set_index_parameter(self.index, name, value)
        return self.index.search(queries, k)[1]


class FaissHnswFlat(Faiss):
    factory = "HNSW16,Flat"
    sweep = [{"efSearch": w} for w in WINDOWS]


class FaissHnswSq8(Faiss):
    factory = "HNSW16,SQ8"
    sweep = [{"efSearch": w} for w in WINDOWS]


class FaissIvfPqFast(Faiss):
    factory = "IVF{lists},PQ{half}x4fs,RFlat"
    sweep = [{"nprobe": n, "k_factor_rf": f} for f in (4, 10) for n in (8, 16, 32, 64, 128, 256)]


class FaissRabitq(Faiss):
    factory = "RR,IVF{lists},RaBitQ,Refine(Flat)"
    sweep = [{"nprobe": n, "k_factor_rf": f} for f in (8, 20) for n in (8, 16, 32, 64, 128, 256)]


class Lance:
    kind = "IVF_RQ"
    sweep = [{"nprobes": n, "refine": r} for r in (5, 20) for n in (2, 5, 10, 30, 80)]

    def build(self, rows, threads, metric):
        import lancedb
        import pyarrow as pa

        path = f"{self.work}/lance-{self.kind}"
        shutil.rmtree(path, ignore_errors=True)
        values = pa.array(rows.reshape(-1))
        table = pa.table({"id": np.arange(len(rows)), "vector": pa.FixedSizeListArray.from_arrays(values, rows.shape[1])})
        self.table = lancedb.connect(path).create_table("t", table)
        self.metric = metric
        self.table.create_index(metric=metric, vector_column_name="vector", index_type=self.kind)

    def search(self, queries, k, nprobes, refine, threads=1):
        hits = (self.table.search(list(queries)).distance_type(self.metric).nprobes(nprobes).refine_factor(refine)
                .select(["id", "_distance"]).limit(k).to_arrow())
        found = np.full((len(queries), k), -1, dtype=np.int64)
        # A single query comes back without its number.
        at = hits.column("query_index").to_numpy() if len(queries) > 1 else np.zeros(hits.num_rows, dtype=np.int64)
        order = np.lexsort((hits.column("_distance").to_numpy(), at))
        at, ids = at[order], hits.column("id").to_numpy()[order]
        found[at, np.arange(len(at)) - np.searchsorted(at, at)] = ids
        return found


class LanceHnsw(Lance):
    kind = "IVF_HNSW_SQ"


PEERS = {"hnswlib": Hnswlib, "usearch": Usearch, "usearch-i8": UsearchI8, "faiss-hnsw": FaissHnswFlat,
         "faiss-hnsw-sq8": FaissHnswSq8, "faiss-ivfpq-fastscan": FaissIvfPqFast, "faiss-rabitq": FaissRabitq,
         "lancedb-ivf-rq": Lance, "lancedb-hnsw-sq": LanceHnsw}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--peer", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--metric", default="cosine")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=240)
    p.add_argument("--k", type=int, default=10)
    a = p.parse_args()
    peer = PEERS[a.peer]()
    peer.work = a.work
    peer.kept = f"{a.data}.{a.peer}"
    rows = np.ascontiguousarray(np.load(f"{a.data}.base.npy"), dtype=np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.monotonic()
    peer.build(rows, a.threads, a.metric)
    figures = {"build_seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - cpu,
               "bytes_per_row": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(rows)}
    figures = getattr(peer, "figures", figures)
    if a.peer == "hnswlib" and not hasattr(peer, "figures"):
        peer.index.save_index(f"{peer.kept}.bin")
        with open(f"{peer.kept}.json", "w") as f:
            json.dump(figures, f)
    print(json.dumps(figures), flush=True)
    begin = time.monotonic()
    sweep(a, peer, "like", 1, begin + a.seconds * 0.45)
    sweep(a, peer, "unlike", 1, begin + a.seconds * 0.8)
    if not a.peer.startswith("lancedb"):  # its number of threads is not ours to choose
        sweep(a, peer, "like", 2, begin + a.seconds)


def latencies(peer, queries, k, settings):
    """p50 and p99 of one query a call, in microseconds, the call through Python included."""
    taken = []
    for i in range(min(len(queries), 500)):
        start = time.perf_counter()
        peer.search(queries[i : i + 1], k, **settings)
        taken.append((time.perf_counter() - start) * 1e6)
    return {"p50_us": float(np.percentile(taken, 50)), "p99_us": float(np.percentile(taken, 99))}


def sweep(a, peer, kind, threads, end):
    """Every setting until the time is up; latencies for the first that reaches .95."""
    if a.seconds <= 0 or not os.path.exists(f"{a.data}.{kind}.npy"):
        return
    queries = np.ascontiguousarray(np.load(f"{a.data}.{kind}.npy"), dtype=np.float32)
    truth = np.load(f"{a.data}.{kind}.truth.npy")[:, : a.k]
    timed = threads > 1
    for settings in peer.sweep:
        if time.monotonic() > end:
            break
        best = best_cpu = float("inf")
        for _ in range(a.rounds):
            start, cpu = time.monotonic(), time.process_time()
            found = peer.search(queries, a.k, threads=threads, **settings)
            best = min(best, time.monotonic() - start)
            best_cpu = min(best_cpu, time.process_time() - cpu)
            if time.monotonic() > end:
                break
        if threads > 1:  # the wall clock is what more threads are for
            best_cpu = best
        point = {"queries": kind, "threads": threads, "settings": settings, "recall": recall(found, truth),
                 "qps": len(queries) / best_cpu, "qps_wall": len(queries) / best}
        if point["recall"] >= 0.95 and not timed:
            point.update(latencies(peer, queries, a.k, settings))
            timed = True
        print(json.dumps(point), flush=True)


if __name__ == "__main__":
    main()
