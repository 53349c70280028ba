"""What time and memory do as sentences get longer, more at once, and more one after another."""

import asyncio
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import psutil

from benchmarks import fixed, interleave, ours, report, results, sentences
from benchmarks.interleave import Candidate, Effort
from benchmarks.ours import Ours
from benchmarks.report import Bar
from service import cores
from service.bundle import Bundle
from service.engine import Capacity
from service.options import Options
from service.translator import Translator

LENGTHS, CONCURRENT = (5, 10, 20, 50, 100, 200), (1, 32)
SEQUENCES, SOURCE, TARGET = (1, 2, 4, 8, 16, 32, 64, 128, 256), 12, 13
ROWS, ROW_LENGTHS = 256, (12, 100)
SOAK, QUICK_SOAK, TEXTS, SAMPLES = 50_000, 2_000, 200, 50
MOST_GROWTH = 0.02
MICRO, KIB, MIB = 1e6, 2**10, 2**20


def run(quick: bool) -> None:
    """Measure, print and write `results/growth.json`."""
    report.show_machine()
    bundle, effort = ours.shipped(), interleave.QUICK if quick else interleave.FULL
    report.progress("one sentence after another")
    memory = soak(bundle, QUICK_SOAK if quick else SOAK)
    report.progress("sentence length")
    lengths = by_length(bundle, effort)
    report.progress("concurrent sequences")
    concurrent = by_concurrency(bundle, effort)
    report.progress("memory of a slot")
    slots = [alone(slot, length) for length in ROW_LENGTHS]
    bars = [Bar("growth of memory over the sentences", grown(memory), MOST_GROWTH, at_most=True)]
    _show(lengths, concurrent, slots, memory)
    report.show_bars(bars)
    found = {
        "by_length": lengths,
        "by_concurrency": concurrent,
        "slots": slots,
        "sentences": QUICK_SOAK if quick else SOAK,
        "texts": sentences.origin(),
        "resident_mib": [round(size / MIB, 1) for size in memory],
        "bars": [bar.as_json() for bar in bars],
    }
    results.write("growth", found)


def by_length(bundle: Bundle, effort: Effort) -> list[dict[str, float]]:
    """Return microseconds a token for sources of some tokens and targets of as many."""
    with Ours(bundle, ours.capacity()) as engine:
        work = {f"{length} {count}": (length, count) for length in LENGTHS for count in CONCURRENT}
        candidates = [
            Candidate(name, partial(engine.fixed, _sources(engine, count, length), length, 1))
            for name, (length, count) in work.items()
        ]
        samples = interleave.measure(candidates, effort)
    return [
        {
            "tokens": length,
            "concurrent": count,
            "microseconds": _token(samples[name], length * count),
        }
        for name, (length, count) in work.items()
    ]


def by_concurrency(bundle: Bundle, effort: Effort) -> list[dict[str, float]]:
    """Return microseconds a token, and of a whole call, for more and more sentences at once.

    There are slots for all of them.
    """
    workers = cores.usable()
    slots = -(-SEQUENCES[-1] // workers)
    with Ours(bundle, ours.capacity(workers, slots, slots * 64)) as engine:
        candidates = [
            Candidate(str(count), partial(engine.fixed, _sources(engine, count, SOURCE), TARGET, 1))
            for count in SEQUENCES
        ]
        samples = interleave.measure(candidates, effort)
    return [
        {
            "concurrent": count,
            "microseconds": _token(samples[str(count)], count * TARGET),
            "milliseconds_a_call": 1000 * statistics.median(samples[str(count)]),
        }
        for count in SEQUENCES
    ]


def alone(measure: Callable[[int], dict[str, float]], length: int) -> dict[str, float]:
    """Measure in a new process, whose memory nothing has used before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, length).result()


def slot(length: int) -> dict[str, float]:
    """Return the bytes of a slot for sources of a length: its tensors, and what a process gains.

    The gain is in resident memory from few to many rows of one worker, over these rows, with
    all that steps of so many rows need besides.
    """
    few = ROWS // 16
    with Ours(ours.shipped(), Capacity(1, ROWS, ROWS * 2 * length, ours.UNBOUNDED)) as engine:
        one = engine.runner.encode(_sources(engine, 1, length))[0]
        tensors = sum(array.nbytes for array in (*one.memory.values(), *one.state.values()))
        engine.fixed(_sources(engine, few, length), TARGET, 1)
        before = resident()
        engine.fixed(_sources(engine, ROWS, length), TARGET, 1)
        gained = (resident() - before) / (ROWS - few)
    return {"source_tokens": length + 1, "tensors": tensors, "resident": round(gained)}


def soak(bundle: Bundle, count: int) -> list[int]:
    """Translate many sentences, text to text, and return resident bytes along the way."""
    texts = sentences.read(count)
    memory: list[int] = []
    translator = Translator(bundle, ours.capacity())

    async def translate() -> None:
        for start in range(0, count, TEXTS):
            await translator.translate(texts[start : start + TEXTS], Options())
            memory.append(resident())

    try:
        asyncio.run(translate())
    finally:
        translator.close(1.0)
    return memory[:: max(1, len(memory) // SAMPLES)]


def grown(memory: Sequence[int]) -> float:
    """Return by what share memory grew from the second fifth of the run to the last."""
    fifth = max(1, len(memory) // 5)
    early, late = memory[fifth : 2 * fifth] or memory[:1], memory[-fifth:]
    return statistics.median(late) / statistics.median(early) - 1


def resident() -> int:
    """Return the bytes that this process has in memory."""
    return psutil.Process().memory_info().rss


def _sources(engine: Ours, count: int, length: int) -> list[list[int]]:
    return fixed.sources(count, length, engine.source_pieces, engine.model.special.eos)


def _token(seconds: Sequence[float], tokens: int) -> float:
    return round(statistics.median(seconds) / tokens * MICRO, 1)


def _show(
    lengths: Sequence[dict[str, float]],
    concurrent: Sequence[dict[str, float]],
    slots: Sequence[dict[str, float]],
    memory: Sequence[int],
) -> None:
    figure = report.figure
    rows = [
        [str(length), *(figure(one["microseconds"]) for one in lengths if one["tokens"] == length)]
        for length in LENGTHS
    ]
    heads = [f"µs a token, {count} at once" for count in CONCURRENT]
    report.show_table("Sentence length", ["tokens in and out", *heads], rows)
    rows = [
        [str(one["concurrent"]), figure(one["microseconds"]), figure(one["milliseconds_a_call"])]
        for one in concurrent
    ]
    report.show_table("Sentences at once", ["", "µs a token", "ms for all"], rows)
    rows = [
        [str(one["source_tokens"]), figure(one["tensors"] / KIB), figure(one["resident"] / KIB)]
        for one in slots
    ]
    header = ["source tokens", "KiB of tensors", "KiB of the process"]
    report.show_table("Memory of a slot", header, rows)
    sizes = [figure(memory[at] / MIB) for at in (0, len(memory) // 5, len(memory) // 2, -1)]
    header = ["", "at first", "after a fifth", "half way", "at the end"]
    report.show_table("Resident memory", header, [["MiB", *sizes]])
