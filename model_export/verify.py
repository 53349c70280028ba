"""torch against `service.runner`: the agreement that `seal` asks for.

fp32 graphs are compared with the model, int8 graphs with a torch simulation of the same
scales. Every sentence is decoded alone by torch, then by the serving engine alone, and in a
crowd of mixed lengths. Tokens must be equal, log-probabilities and both attentions within
the tolerance; alone and in the crowd, int8 must agree to the last bit.

Where the bundle has a graph that reads a given target at once, it is given what torch has
chosen, alone and in a crowd, and is compared with torch and with the same read step by step:
in int8, this too must agree to the last bit.

torch adds floats in another order than the graphs. In fp32 that shows in the sixth decimal.
In int8 an activation on the border between two of its 255 values may fall to the other side,
and the difference stays for the rest of the sentence; so int8 is also asked for the share of
a sentence's log-probabilities that agree to `CLOSE`, on average over the sentences, lest a long one
decide: wrong scales or weights would ruin it. Where torch
rates two tokens alike, within the tolerance, either may be chosen; such a sentence is compared
up to there.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from model_export import draft
from model_export.decode import pad_sources
from model_export.evaluate import CAPACITY
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.simulate import simulate
from model_export.subwords import BOS, EOS
from model_export.wait import wait
from service.admission import Job
from service.bundle import Bundle
from service.engine import Engine
from service.forced_graph import forced_graph
from service.hypotheses import Path, Source
from service.manifest import Model
from service.runner import Runner
from service.search import Forced, Greedy

TOLERANCE = {"fp32": 1e-3, "int8": 0.3}
CLOSE = 1e-4
CLOSE_SHARE = {"fp32": 0.99, "int8": 0.8}
SENTENCES = 96


@dataclass(frozen=True, slots=True)
class Reference:
    """What torch says of a sentence: T tokens, log-probabilities and margins, attentions."""

    tokens: list[int]
    scores: NDArray[np.float32]
    margins: NDArray[np.float32]
    attention: dict[str, NDArray[np.float32]]


@dataclass(slots=True)
class Agreement:
    """The largest differences seen, and how many sentences were compared.

    `close_share` is the mean over sentences of the share of log-probabilities within `CLOSE`. Of
    `at_once` targets that were read at once, `forced` is the largest difference from torch and
    `steps` from the same step by step.
    """

    precision: str
    tolerance: float
    sentences: int = 0
    tokens: int = 0
    different_tokens: int = 0
    near_ties: int = 0
    close_tokens: int = 0
    close_share: float = 0.0
    log_probability: float = 0.0
    attention: dict[str, float] = field(default_factory=dict)
    crowd: float = 0.0
    at_once: int = 0
    forced: float = 0.0
    steps: float = 0.0

    @property
    def holds(self) -> bool:
        """True when everything lies within the tolerance."""
        differences = [self.log_probability, *self.attention.values(), self.forced]
        exact = max(self.crowd, self.steps) <= (0.0 if self.precision == "int8" else self.tolerance)
        close = self.close_share >= CLOSE_SHARE[self.precision]
        return self.different_tokens == 0 and exact and close and max(differences) <= self.tolerance


@torch.inference_mode()
def reference(model: Seq2Seq, source: Sequence[int], limit: int) -> Reference:
    """Decode one sentence greedily with torch, ids without `</s>`."""
    padded, lengths = pad_sources([source])
    memory = model.encode(padded, lengths)
    state, token = memory.first, torch.tensor([BOS])
    in_heads = model.sizes.attention.kind == "multi-head"  # or no axis of heads is served
    tokens: list[int] = []
    scores, margins, cross, alignment = [], [], [], []
    while len(tokens) < limit and EOS not in tokens:
        step = model.step(token, state, memory)
        state = step.state
        logs = torch.log_softmax(step.logits[0], dim=-1)
        best = torch.topk(logs, 2)
        token = best.indices[:1]
        tokens.append(int(token))
        scores.append(float(best.values[0]))
        margins.append(float(best.values[0] - best.values[1]))
        if step.cross is not None:
            cross.append((step.cross[0] if in_heads else step.cross[0, 0]).numpy())
        if step.alignment is not None:
            alignment.append(step.alignment[0].numpy())
    rows = {"cross": np.stack(cross)} if cross else {}
    if alignment:
        rows["alignment"] = np.stack([*alignment[1:], _end(source)])
    return Reference(tokens, np.array(scores, "f"), np.array(margins, "f"), rows)


def _end(source: Sequence[int]) -> NDArray[np.float32]:
    row = np.zeros(len(source) + 1, np.float32)
    row[-1] = 1.0
    return row


def verify(run: Run, model: Seq2Seq, precision: str) -> Agreement:
    """Compare the exported graphs of one precision with torch on dev sentences."""
    bundle = draft.open_draft(run, precision)
    about = bundle.manifest.model
    calibrated = about.scales.get("calibrated", {})
    compared = model if precision == "fp32" else simulate(model, calibrated)
    sources = verification_sources(run)
    limits = [2 * len(source) + 10 for source in sources]
    expected = [reference(compared, s, limit) for s, limit in zip(sources, limits, strict=True)]

    def jobs() -> list[Job]:
        return [
            Job((*s, EOS), Greedy(told(about, s), limit))
            for s, limit in zip(sources, limits, strict=True)
        ]

    found = Agreement(precision, TOLERANCE[precision])
    alone, crowd = decoded(Runner(bundle.read, about), jobs)
    for one, path, many in zip(expected, alone, crowd, strict=True):
        compare(found, one, path)
        found.crowd = max(found.crowd, distance(path, many))
    if forced_graph(about):
        verify_forced(found, bundle, sources, expected)
    return found


def verify_forced(
    found: Agreement,
    bundle: Bundle,
    sources: Sequence[Sequence[int]],
    expected: Sequence[Reference],
) -> None:
    """Add what differs where targets are read at once, those that torch has chosen."""
    about = bundle.manifest.model
    without = replace(about, graphs=tuple(one for one in about.graphs if one.role != "forced"))

    def jobs() -> list[Job]:
        return [
            Job((*s, EOS), Forced(told(about, s), [t for t in one.tokens if t != EOS]))
            for s, one in zip(sources, expected, strict=True)
        ]

    alone, crowd = decoded(Runner(bundle.read, about), jobs)
    steps, _ = decoded(Runner(bundle.read, without), jobs)
    for one, path, many, step in zip(expected, alone, crowd, steps, strict=True):
        found.at_once += 1
        found.forced = max(found.forced, missed(one, path))
        found.crowd = max(found.crowd, distance(path, many))
        found.steps = max(found.steps, distance(path, step))


def told(about: Model, source: Sequence[int]) -> Source:
    """Return what a search must know of a sentence, ids without `</s>`."""
    delays = {attention.kind: attention.delay for attention in about.attention}
    return Source(len(source) + 1, EOS, BOS, delays)


def decoded(runner: Runner, jobs: Callable[[], list[Job]]) -> tuple[list[Path], list[Path]]:
    """Return the best paths of jobs that are decoded one after the other, and all together."""
    engine = Engine(runner, CAPACITY)
    try:
        together = [paths[0] for paths in wait(engine.run(jobs()))]
        return [wait(engine.run([job]))[0][0] for job in jobs()], together
    finally:
        engine.close(0.0)


def verification_sources(run: Run) -> list[tuple[int, ...]]:
    """Return dev sentences of all lengths, and one of bytes alone."""
    source, _ = run.tokenizers()
    texts = sorted((pair.source for pair in run.dev_pairs()), key=len)
    spread = texts[:: max(1, len(texts) // SENTENCES)]
    chosen = [*spread, texts[-1], "▁ 你好 😀"]
    return [source.encode(text).ids for text in chosen]


def compare(found: Agreement, expected: Reference, path: Path) -> None:
    """Add what differs between torch and the service on one sentence to `found`."""
    found.sentences += 1
    same = next(
        (i for i, (a, b) in enumerate(zip(expected.tokens, path.tokens, strict=False)) if a != b),
        min(len(expected.tokens), len(path.tokens)),
    )
    found.tokens += same
    if same < max(len(expected.tokens), len(path.tokens)):
        tie = bool(same < len(expected.tokens) and expected.margins[same] < found.tolerance)
        found.near_ties += tie
        found.different_tokens += not tie
    scores = np.abs(expected.scores[:same] - path.scores[:same])
    close = int((scores <= CLOSE).sum())
    found.close_tokens += close
    found.close_share += (close / max(1, same) - found.close_share) / found.sentences
    found.log_probability = max(found.log_probability, float(scores.max(initial=0.0)))
    for kind, rows in expected.attention.items():
        known = same if same == len(expected.tokens) or kind == "cross" else same - 1
        known = max(0, min(known, len(path.attention[kind])))
        if not path.finished and kind == "alignment":
            known = max(0, known - 1)
        differences = np.abs(rows[:known] - path.attention[kind][:known])
        found.attention[kind] = max(
            found.attention.get(kind, 0.0), float(differences.max(initial=0.0))
        )


def missed(expected: Reference, path: Path) -> float:
    """Return the largest difference between torch and a path that was given torch's tokens.

    The path goes on with `</s>` where torch was cut, and so knows what the last token is about.
    """
    count = len(expected.tokens)
    parts = [expected.scores - path.scores[:count]]
    for kind, rows in expected.attention.items():
        known = count if count == len(path.tokens) or kind == "cross" else count - 1
        parts.append(rows[:known] - path.attention[kind][:known])
    return max(float(np.abs(part).max(initial=0.0)) for part in parts)


def distance(one: Path, other: Path) -> float:
    """Return the largest difference of two paths of a sentence; infinite if tokens differ."""
    if one.tokens != other.tokens:
        return float("inf")
    parts = [one.scores - other.scores]
    parts += [one.attention[kind] - other.attention[kind] for kind in one.attention]
    return max(float(np.abs(part).max(initial=0.0)) for part in parts)


def facts(found: Agreement) -> dict[str, object]:
    """Return an agreement as the manifest states it."""
    return {**asdict(found), "holds": found.holds}
