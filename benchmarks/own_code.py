"""Where newtest has code of its own though a library exists: the quadratic programmes, k-means, and SigV4's check.

python benchmarks/own_code.py [--repeats 5]

CPU seconds in one process, in turns, medians; what both answer is compared too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CLASSES, GROUPS = 1000, 11  # a thousand classes of ten votes: 0 to 10 selected


def cpu(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    answer = function()
    return time.process_time() - started, answer


def row(name: str, peer: str, ours: list[float], theirs: list[float], said: str) -> None:
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"| {name} | {peer} | {mine:.4g} | {other:.4g} | {other / mine:.1f} | {said} |", flush=True)


def programmes(repeats: int) -> None:
    """Convex quadratic programmes with bounds and one sum, a class each, against SciPy's SLSQP class by class."""
    from scipy.optimize import minimize

    from newtest.frequency.weights import minimise

    draw = np.random.default_rng(0)
    square = draw.normal(size=(CLASSES, GROUPS, GROUPS))
    gram: Floats = square @ square.transpose(0, 2, 1) / GROUPS + 0.05 * np.eye(GROUPS)
    linear, root = draw.normal(size=(CLASSES, GROUPS)), draw.uniform(0.5, 1.5, (CLASSES, GROUPS))
    most = draw.uniform(0.2, 0.6, (CLASSES, GROUPS))

    def one(c: int) -> Floats:
        found = minimize(
            lambda z: z @ gram[c] @ z / 2 - linear[c] @ z,
            most[c] / 2,
            jac=lambda z: gram[c] @ z - linear[c],
            bounds=[(0, high) for high in most[c]],
            constraints={"type": "eq", "fun": lambda z: root[c] @ z - 1, "jac": lambda z: root[c]},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 200},
        )
        return np.asarray(found.x, np.float64)

    ours, theirs, apart = [], [], 0.0
    for _ in range(repeats):
        seconds, z = cpu(lambda: minimise(gram, linear, root, most))
        peer_seconds, w = cpu(lambda: np.array([one(c) for c in range(CLASSES)]))
        ours.append(seconds)
        theirs.append(peer_seconds)
        cost = [np.einsum("ci,cij,cj->c", v, gram, v) / 2 - (linear * v).sum(1) for v in (z, w)]
        apart = max(apart, float(np.abs(cost[0] - cost[1]).max()))
    row(
        f"interior point, {CLASSES} classes x {GROUPS}",
        "SciPy's SLSQP",
        ours,
        theirs,
        f"minima apart by {apart:.0e}",
    )


def centroids(repeats: int, clusters: int) -> None:
    """Spherical k-means of 20,000 rows x 256 in 20 heaps, 12 rounds, against FAISS's."""
    import faiss

    from newtest.pool.dedup.clusters import kmeans

    draw = np.random.default_rng(0)
    heaps = draw.normal(size=(20, 256))
    rows = (draw.normal(size=(20_000, 256)) + heaps[draw.integers(0, 20, 20_000)]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    halves = rows.astype(np.float16)

    def ours_of(seed: int) -> npt.NDArray[np.float32]:
        return kmeans(lambda some: halves[some], len(halves), clusters, seed, "cpu")

    def theirs_of(seed: int) -> npt.NDArray[np.float32]:
        made = faiss.Kmeans(256, clusters, niter=12, spherical=True, seed=seed, max_points_per_centroid=256)
        made.train(rows)
        return np.asarray(made.centroids, np.float32)

    ours, theirs, close = [], [], ([], [])  # type: tuple[list[float], list[float], tuple[list[float], list[float]]]
    for seed in range(repeats):
        for times, kept, make in ((ours, close[0], kmeans), (theirs, close[1], None)):
            seconds, found = cpu(lambda: ours_of(seed) if make else theirs_of(seed))  # noqa: B023
            times.append(seconds)
            kept.append(float((rows @ found.T).max(axis=1).mean()))
    said = (
        f"mean cosine to the centroid {statistics.mean(close[0]):.3f}, FAISS {statistics.mean(close[1]):.3f}"
    )
    row(f"k-means, {clusters} clusters", "FAISS", ours, theirs, said)


def signatures(repeats: int) -> None:
    """1,000 signed calls checked, against botocore signing them again to compare."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    from newtest.crowd.server.sigv4 import Credentials, SignedRequest, verify

    body = b'{"MaxResults": 100}'
    headers = {"Host": "127.0.0.1", "X-Amz-Target": "MTurkRequesterServiceV20170117.ListHITs"}

    def signed() -> AWSRequest:
        request = AWSRequest("POST", "http://127.0.0.1/", dict(headers), body)
        SigV4Auth(Theirs("id", "secret"), "mturk-requester", "us-east-1").add_auth(request)
        return request

    sent = signed()
    lower = {name.lower(): value for name, value in sent.headers.items()}
    got, mine = SignedRequest("POST", "/", "", lower, body), Credentials("id", "secret")
    ours = [cpu(lambda: [verify(got, mine, time.time()) for _ in range(1000)])[0] for _ in range(repeats)]
    theirs = [cpu(lambda: [signed() for _ in range(1000)])[0] for _ in range(repeats)]
    row("SigV4, 1,000 calls", "botocore", ours, theirs, "botocore signs, it does not check")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| ours | peer | ours, CPU s | peer, CPU s | ratio | answers |")
    print("|---|---|---|---|---|---|")
    programmes(repeats)
    for clusters in (20, 100):
        centroids(repeats, clusters)
    signatures(repeats)


if __name__ == "__main__":
    main()
