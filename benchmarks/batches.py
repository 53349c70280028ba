"""Continuous batching against closed batches: real sentences, each as long as it becomes.

Closed batches run until their longest sentence is done. Both decode greedily with the
shipped graphs, the plain loop with one session on all cores.
"""

import statistics
from functools import partial

from benchmarks import interleave, ours, report, results, sentences
from benchmarks.interleave import Candidate, Samples
from benchmarks.plain_loop import PlainLoop
from service import cores
from service.bundle import Bundle
from service.tokenizer import Tokenizer

SENTENCES, QUICK_SENTENCES, CLOSED = 400, 64, 32
OURS = "Interlinea, continuous"
ARRIVAL = f"plain loop, batches of {CLOSED} as they come"
SORTED = f"plain loop, batches of {CLOSED} sorted by length"


def encoded(bundle: Bundle, count: int) -> list[list[int]]:
    """Return sentences as ids with `</s>` last."""
    manifest = bundle.manifest
    tokenizer = Tokenizer(bundle.path(manifest.source.tokenizer), manifest.source.joiner)
    eos = manifest.model.special.eos
    return [[*tokenizer.encode(text).ids, eos] for text in sentences.read(count)]


def run(quick: bool) -> None:
    """Measure, print and write `results/batches.json`."""
    report.show_machine()
    bundle = ours.shipped()
    sources = encoded(bundle, QUICK_SENTENCES if quick else SENTENCES)
    plain = PlainLoop(bundle, cores.usable())
    with ours.Ours(bundle, ours.capacity()) as engine:
        tokens = sum(len(path.tokens) for path in engine.greedy(sources))
        told = plain.greedy(sources, CLOSED)
        candidates = [
            Candidate(OURS, partial(engine.greedy, sources)),
            Candidate(ARRIVAL, partial(plain.greedy, sources, CLOSED)),
            Candidate(SORTED, partial(plain.greedy, sorted(sources, key=len), CLOSED)),
        ]
        effort = interleave.QUICK if quick else interleave.FULL
        samples = interleave.measure(candidates, effort)
    _show(samples, tokens)
    lengths = sorted(len(source) for source in sources)
    results.write(
        "batches",
        {
            "texts": sentences.origin(),
            "sentences": len(sources),
            "source_tokens": {"median": statistics.median(lengths), "most": lengths[-1]},
            "target_tokens": tokens,
            "target_tokens_of_plain_loop": told,
            "rounds": effort.rounds,
            "candidates": {
                name: {
                    "tokens_per_second": round(tokens / statistics.median(seconds), 1),
                    "milliseconds": [round(1000 * one, 3) for one in seconds],
                    "interlinea_times_faster": round(interleave.ratio(seconds, samples[OURS]), 3),
                }
                for name, seconds in samples.items()
            },
        },
    )


def _show(samples: Samples, tokens: int) -> None:
    rows = [
        [
            name,
            f"{tokens / statistics.median(seconds):,.0f}",
            f"{interleave.ratio(seconds, samples[OURS]):.2f}",
        ]
        for name, seconds in samples.items()
    ]
    report.show_table("Real sentences, greedy", ["", "tokens/s", "ours is × faster"], rows)
