"""The matrix products of a decoder step, each timed with nothing around it."""

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import fixed, graphs
from benchmarks.graphs import Product
from benchmarks.plain_loop import PlainLoop
from benchmarks.sessions import Array, Bound, Session
from service.bundle import Bundle

SAMPLE = 0.01
"""Seconds that a sample lasts."""

Seat = Sequence[Bound]
"""A product made ready once a thread."""


def seconds(bundle: Bundle, source: int, batch: int, threads: int, rounds: int) -> dict[str, float]:
    """Return seconds of each product, less what an empty call costs; all threads at once.

    Each is a graph with the product's own weights and the activations of a real step of
    `batch` sentences of `source` tokens; outputs are bound, so nothing is allocated.
    """
    decoder = bundle.path(bundle.manifest.model.graph("decoder").file)
    found = graphs.products(decoder)
    activations = _activations(bundle, found, source, batch)
    empty = Session(graphs.nothing(), 1)
    seats = [[empty.bind({"input": np.zeros(1, np.float32)}) for _ in range(threads)]]
    for product in found:
        session = Session(product.model, 1)
        feeds = {name: activations[name] for name in product.activations}
        seats.append([session.bind(feeds) for _ in range(threads)])
    counts = [max(10, round(SAMPLE / _together(seat, 10))) for seat in seats]
    samples = [
        [_together(seat, count) for seat, count in zip(seats, counts, strict=True)]
        for _ in range(rounds)
    ]
    nothing, *times = (statistics.median(column) for column in zip(*samples, strict=True))
    names = [f"{product.name} ({product.operator})" for product in found]
    return {name: max(0.0, own - nothing) for name, own in zip(names, times, strict=True)}


def operators(bundle: Bundle, source: int, batch: int, steps: int) -> dict[str, float]:
    """Return seconds a step by operator of the decoder, on one thread, as ONNX Runtime says."""
    decoder = bundle.path(bundle.manifest.model.graph("decoder").file)
    feeds = _feeds(bundle, source, batch)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(decoder.read_bytes(), 1, Path(folder) / "decoder")
        for _ in range(steps):
            session.run(session.outputs, feeds)
        return {name: spent / steps for name, spent in session.operators().items()}


def _activations(
    bundle: Bundle, products: Sequence[Product], source: int, batch: int
) -> dict[str, Array]:
    """Return what the products read in the first step of a batch."""
    decoder = bundle.path(bundle.manifest.model.graph("decoder").file)
    feeds = _feeds(bundle, source, batch)
    names = list(dict.fromkeys(name for one in products for name in one.activations))
    inner = [name for name in names if name not in feeds]
    found = Session(graphs.revealing(decoder, inner), 1).run(inner, feeds)
    return {name: found[name] if name in found else feeds[name] for name in names}


def _feeds(bundle: Bundle, source: int, batch: int) -> dict[str, Array]:
    """Return what the first step of a batch reads."""
    model = bundle.manifest.model
    least = graphs.pieces(bundle.path(model.graph("encoder").file))
    feeds = PlainLoop(bundle, 1).encode(fixed.sources(batch, source, least, model.special.eos))
    return {"token": np.full(batch, model.special.bos), **feeds}


def _together(seat: Seat, calls: int) -> float:
    """Return seconds a call on the slowest of the threads."""
    gate = threading.Barrier(len(seat))
    took = [0.0] * len(seat)

    def work(place: int) -> None:
        gate.wait()
        start = time.perf_counter()
        for _ in range(calls):
            seat[place].run()
        took[place] = (time.perf_counter() - start) / calls

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(seat))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(took)
