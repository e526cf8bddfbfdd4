"""Searching saved embeddings: clipcu and NumPy in one process, one after the other.

    numpy_search.py make FILE.npy ROWS COLUMNS f4|f2     a file of random rows, of length 1
    numpy_search.py LIBCLIPCU FILE.npy [THREADS [ROUNDS]]

NumPy's way is E @ q and argpartition, of the matrix in memory; for f2, which its matrix product has
no fast code for, of an f4 copy. Rows have length 1, so it need not divide. Prints medians."""
import ctypes
import os
import statistics
import sys
import time

TOP = 10


def make(path, rows, columns, kind):
    import numpy as np
    rng = np.random.default_rng(1)
    out = np.lib.format.open_memmap(path, mode="w+", dtype="<" + kind, shape=(rows, columns))
    for at in range(0, rows, 50000):
        block = rng.standard_normal((min(50000, rows - at), columns), dtype=np.float32)
        out[at:at + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    out.flush()


class Hit(ctypes.Structure):
    _fields_ = [("row", ctypes.c_int64), ("cosine", ctypes.c_float)]


def compare(library, path, threads, rounds):
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    import numpy as np
    lib = ctypes.CDLL(os.path.abspath(library))
    index = ctypes.c_void_p()
    assert lib.clipcu_index_open(path.encode(), ctypes.byref(index), None) == 0
    matrix = np.load(path).astype(np.float32)
    rng = np.random.default_rng(2)
    queries = rng.standard_normal((32, matrix.shape[1]), dtype=np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    def clipcu(count):
        hits = (Hit * (count * TOP))()
        assert lib.clipcu_index_search(index, queries.ctypes.data_as(ctypes.c_void_p), count, TOP,
                                       threads, hits, None) == 0
        return [[hits[q * TOP + i].row for i in range(TOP)] for q in range(count)]

    def numpy(count):
        found = []
        scores = queries[:count] @ matrix.T if count > 1 else (matrix @ queries[0])[None]
        for row in scores:
            best = np.argpartition(row, -TOP)[-TOP:]
            found.append(best[np.argsort(-row[best], kind="stable")].tolist())
        return found

    print(f"{path}: {matrix.shape[0]} x {matrix.shape[1]}, {threads} threads, NumPy "
          f"{np.__version__}, medians of {rounds} rounds")
    for count in (1, 32):
        same = sum(a == b for a, b in zip(clipcu(count), numpy(count)))
        times = {clipcu: [], numpy: []}
        for _ in range(rounds):
            for way in times:
                started = time.perf_counter()
                way(count)
                times[way].append(time.perf_counter() - started)
        ours, theirs = (1e3 * statistics.median(times[way]) for way in (clipcu, numpy))
        print(f"{count:3d} queries: clipcu {ours:8.1f} ms, NumPy {theirs:8.1f} ms, ratio "
              f"{theirs / ours:.2f}; the same {TOP} rows in the same order: {same} of {count}")


if __name__ == "__main__":
    if len(sys.argv) == 6 and sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    elif len(sys.argv) in (3, 4, 5):
        numbers = [int(word) for word in sys.argv[3:]]
        compare(sys.argv[1], sys.argv[2], *(numbers + [1, 7][len(numbers):]))
    else:
        sys.exit(__doc__)
