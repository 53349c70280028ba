"""How often the service's warnings find pairs that were damaged on purpose, or cry wolf.

Clean pairs, damaged ones and the model's own translations are diagnosed as they would be served. A
warning is right in a damaged pair and wrong in a clean one. Precision is stated for as many clean
pairs as damaged ones; where fewer are damaged, it is lower.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from model_export import corpus
from model_export.damage import KINDS, Damaged
from service.diagnostics import Evidence
from service.manifest import Manifest
from service.options import Options, Pair
from service.translation import Alignment
from service.translator import Translator

GOLD = "alignment/"
"""The folder of gold alignments, whose columns are words with spaces between them."""

SETS = (
    "dev/tatoeba.en-fr.tsv.gz",
    "alignment/alibi_stories.en-fr.tsv.gz",
    "dev/tatoeba.en-zh.tsv.gz",
    "alignment/nist02_150.en-zh.tsv.gz",
)
"""Half of the first that fits tunes; its other half is measured, and so are all the others."""

PAIRS, SEED = 400, 1
"""How many pairs of a set, and which ones."""

FALSE_ALARMS = 0.05
"""Share of clean pairs that a threshold may warn about."""

DIAGNOSED = Options(attention="none", diagnostics=True)
OMISSION, HALLUCINATION = "possible_omission", "possible_hallucination"
WARNINGS = {
    OMISSION: {OMISSION},
    HALLUCINATION: {HALLUCINATION},
    "either": {OMISSION, HALLUCINATION},
}


@dataclass(frozen=True, slots=True)
class Row:
    """How many of the pairs, in percent, carry a warning, and how many of those are right.

    `located` are the warnings that name a word of the damage. Both are None where nothing was
    damaged, or where the warning is about something else.
    """

    set: str
    damage: str
    warning: str
    pairs: int
    warned: float
    precision: float | None = None
    located: float | None = None


def sets_of(manifest: Manifest) -> list[str]:
    """Return the sets in a bundle's languages, in either direction."""
    pair = {manifest.source.code, manifest.target.code}
    return [name for name in SETS if set(_languages(name)) == pair]


def read_set(data: Path, name: str, manifest: Manifest) -> list[corpus.Pair]:
    """Read a set, turned round if it is of the other direction.

    Gold alignments have spaces between words in every language; texts have them as usual.
    """
    pairs = corpus.read_pairs(data, [name])
    if _languages(name) == [manifest.target.code, manifest.source.code]:
        pairs = (corpus.Pair(pair.target, pair.source, pair.corpus) for pair in pairs)
    if not name.startswith(GOLD):
        return list(pairs)
    near, far = manifest.source.joiner, manifest.target.joiner
    return [
        corpus.Pair(near.join(pair.source.split()), far.join(pair.target.split()), pair.corpus)
        for pair in pairs
    ]


def _languages(name: str) -> list[str]:
    return name.removesuffix(".tsv.gz").rpartition(".")[2].split("-")


def halves(pairs: Sequence[corpus.Pair]) -> tuple[Sequence[corpus.Pair], Sequence[corpus.Pair]]:
    """Return the half that tunes and the half that is measured."""
    return pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]


def sample(pairs: Sequence[corpus.Pair], count: int, seed: int) -> list[corpus.Pair]:
    """Return `count` pairs, or all there are, in random order."""
    return random.Random(seed).sample(pairs, min(count, len(pairs)))


def thresholds(translator: Translator, pairs: Sequence[corpus.Pair]) -> Evidence:
    """Return the evidence that no more than `FALSE_ALARMS` of clean pairs reach."""
    found = [made.diagnostics for made in _aligned(translator, pairs)]
    omission = [one.evidence.omission for one in found if one]
    hallucination = [one.evidence.hallucination for one in found if one]
    return Evidence(_quantile(omission), _quantile(hallucination))


def measure(
    translator: Translator, name: str, pairs: Sequence[corpus.Pair], seed: int
) -> Iterator[Row]:
    """Damage the pairs in every way and yield how often each warning finds it."""
    clean = _aligned(translator, pairs)
    own = asyncio.run(translator.align([Pair(pair.source, None) for pair in pairs], DIAGNOSED))
    for warning, codes in WARNINGS.items():
        yield Row(name, "none", warning, len(clean), _warned(clean, codes))
        yield Row(name, "none, own translation", warning, len(own), _warned(own, codes))
    rng = random.Random(seed)
    for kind, damage in KINDS.items():
        damaged = list(damage(pairs, translator.manifest.target, rng))
        hurt = [corpus.Pair(pairs[one.index].source, one.target, "") for one in damaged]
        made = _aligned(translator, hurt)
        for warning, codes in WARNINGS.items():
            warned, alarms = _warned(made, codes), _warned(clean, codes)
            precision = 100 * warned / max(1e-9, warned + alarms)
            own_kind = warning == f"possible_{kind}"
            located = _located(warning, damaged, made, clean) if own_kind else None
            yield Row(name, kind, warning, len(made), warned, precision, located)


def table(rows: Sequence[Row]) -> Table:
    """Write measurements as a table, in percent."""
    made = Table("set", "damage", "warning")
    for figure in ("pairs", "warned", "precision", "located"):
        made.add_column(figure, justify="right")
    for row in rows:
        figures = (row.warned, row.precision, row.located)
        shown = ("" if figure is None else f"{figure:.1f}" for figure in figures)
        made.add_row(row.set, row.damage, row.warning, str(row.pairs), *shown)
    return made


def _aligned(translator: Translator, pairs: Sequence[corpus.Pair]) -> list[Alignment]:
    given = [Pair(pair.source, pair.target) for pair in pairs]
    return asyncio.run(translator.align(given, DIAGNOSED))


def _quantile(evidence: Sequence[float]) -> float:
    return float(np.quantile(evidence, 1 - FALSE_ALARMS))


def _named(made: Alignment, codes: set[str]) -> set[int]:
    """Return the words that warnings of some codes name."""
    cautions = made.diagnostics.warnings if made.diagnostics else ()
    return {word for caution in cautions if caution.code in codes for word in caution.words}


def _warned(made: Sequence[Alignment], codes: set[str]) -> float:
    return 100 * sum(bool(_named(one, codes)) for one in made) / max(1, len(made))


def _located(
    warning: str,
    damaged: Sequence[Damaged],
    made: Sequence[Alignment],
    clean: Sequence[Alignment],
) -> float:
    """Return how many of the warnings name a word that was lost, or put in, in percent.

    Lost are the source words that were linked to words which an omission cut out.
    """
    found = []
    for one, now in zip(damaged, made, strict=True):
        links = clean[one.index].alignment
        lost = {link.source for link in links if link.target in one.hurt}
        named = _named(now, {warning})
        if named:
            found.append(bool(named & (lost if warning == OMISSION else one.hurt)))
    return 100 * sum(found) / max(1, len(found))
