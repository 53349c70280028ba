"""Texts that vary: what they spell, and where their links go."""

import dataclasses
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model_export import corpus, variety
from model_export.config import Variety
from model_export.corpus import Encoded, Ragged
from model_export.subwords import Splitter
from model_export.variety import Varied
from service.tokenizer import Tokenizer

BUNDLE = Path(corpus.__file__).parents[1] / "service" / "bundles" / "en-fr"
SOURCE, TARGET = Tokenizer(BUNDLE / "source.model"), Tokenizer(BUNDLE / "target.model")
PLAIN = Variety(0.0, 0.0, 0.3, 0.0, 0.0)
TEXTS = [
    ("Who are you?", "Qui êtes-vous ?"),
    ("The regulations protect Arabs.", "Les règlements protègent les Arabes."),
    ("A \U0001f600 smiles.", "Un \U0001f600 sourit."),
    ("ok", "ok"),
]


def pairs() -> Encoded:
    """Texts whose pieces are linked first to first and last to last."""
    sources = [SOURCE.encode(text).ids for text, _ in TEXTS]
    targets = [TARGET.encode(text).ids for _, text in TEXTS]
    links = [
        sorted({0, len(source) - 1 << 16 | len(target) - 1})
        for source, target in zip(sources, targets, strict=True)
    ]
    shares = np.ones(len(TEXTS), np.float32)
    return Encoded(Ragged.of(sources), Ragged.of(targets), Ragged.of(links), shares)


def varied(options: Variety, key: int = 0, indices: tuple[int, ...] = (0, 1, 2, 3)) -> Encoded:
    splitters = Splitter(BUNDLE / "source.model"), Splitter(BUNDLE / "target.model")
    return Varied(*splitters, options).rows(pairs(), indices, (1, key))


def sources(rows: Encoded) -> list[str]:
    return [SOURCE.decode(rows.source[i].tolist()).text for i in range(len(rows.source))]


def ids(rows: Encoded) -> list[list[int]]:
    return [rows.source[i].tolist() for i in range(len(rows.source))]


def test_nothing_varies_unless_asked() -> None:
    rows, before = varied(PLAIN, indices=(2, 0)), pairs()
    for row, index in enumerate((2, 0)):
        assert rows.source[row].tolist() == before.source[index].tolist()
        assert rows.target[row].tolist() == before.target[index].tolist()
        assert rows.links[row].tolist() == before.links[index].tolist()


def test_other_splits_spell_the_same_text() -> None:
    options = dataclasses.replace(PLAIN, source_splits=1.0, target_splits=1.0)
    found = [varied(options, key) for key in range(8)]
    for rows in found:
        assert sources(rows) == [text for text, _ in TEXTS]
        targets = [TARGET.decode(rows.target[i].tolist()).text for i in range(len(TEXTS))]
        assert targets == [text for _, text in TEXTS]
    assert len({tuple(rows.source[1].tolist()) for rows in found}) > 3
    assert len({tuple(rows.target[1].tolist()) for rows in found}) > 3
    assert len({tuple(rows.source[2].tolist()) for rows in found}) == 1, "bytes stay as they are"


def test_splits_come_as_often_as_their_probability_says() -> None:
    splitter, text = Splitter(BUNDLE / "source.model"), " as to"
    scores = {part: splitter._scores[part] for part in _parts(text) if part in splitter._scores}
    every = [split for split in _splits(text) if scores.keys() >= set(split)]
    weights = np.exp([0.3 * sum(scores[piece][1] for piece in split) for split in every])
    rng, counts = np.random.default_rng(1), Counter[tuple[int, ...]]()
    for _ in range(4000):
        counts[tuple(splitter.sample(text, 0.3, rng))] += 1
    for split, chance in zip(every, weights / weights.sum(), strict=True):
        found = counts[tuple(scores[piece][0] for piece in split)] / 4000
        assert found == pytest.approx(chance, abs=0.04)
    assert len(counts) > 5


def _parts(text: str) -> list[str]:
    return [text[a:b] for a in range(len(text)) for b in range(a + 1, len(text) + 1)]


def _splits(text: str) -> list[list[str]]:
    if not text:
        return [[]]
    return [[text[:n], *rest] for n in range(1, len(text) + 1) for rest in _splits(text[n:])]


def test_chance_is_the_same_in_another_process() -> None:
    """What resumes a run is another process than the one that began it."""
    code = (
        "import dataclasses; from tests.test_variety import *;"
        "print(ids(varied(dataclasses.replace(PLAIN, source_splits=1.0), 3)))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = ids(varied(dataclasses.replace(PLAIN, source_splits=1.0), 3))
    assert there.stdout.strip() == str(here)


def test_what_no_piece_spells_keeps_its_best_split() -> None:
    splitter = Splitter(BUNDLE / "source.model")
    text = " \U0001f600!"
    assert splitter.sample(text, 0.3, np.random.default_rng(1)) == splitter.split(text)


def test_the_same_key_varies_alike() -> None:
    options = dataclasses.replace(PLAIN, source_splits=0.5, lower_case=0.5)
    first, again, other = (varied(options, key) for key in (3, 3, 4))
    assert ids(first) == ids(again)
    assert ids(first) != ids(other)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"lower_case": 1.0}, "who are you?"),
        ({"unfinished": 1.0}, "Who are you"),
        ({"lower_case": 1.0, "unfinished": 1.0}, "who are you"),
        ({"lower_case": 1.0, "unfinished": 1.0, "source_splits": 1.0}, "who are you"),
    ],
)
def test_sources_are_written_carelessly(changed: dict[str, float], expected: str) -> None:
    rows = varied(dataclasses.replace(PLAIN, **changed))
    assert sources(rows)[0] == expected
    assert sources(rows)[3] == "ok"
    assert rows.target[0].tolist() == list(TARGET.encode("Qui êtes-vous ?").ids)


def test_links_follow_their_characters() -> None:
    options = dataclasses.replace(PLAIN, source_splits=1.0, target_splits=1.0)
    for key in range(20):
        rows = varied(options, key)
        links = {(link >> 16, link & 0xFFFF) for link in rows.links[1].tolist()}
        source, target = rows.source[1].tolist(), rows.target[1].tolist()
        assert (0, 0) in links
        assert (len(source) - 1, len(target) - 1) in links
        widths = Splitter(BUNDLE / "source.model").widths(source)
        begins = np.cumsum([0, *widths])
        for s, t in links:
            if t == 0:
                assert begins[s] < len(" The"), "the first piece was all of 'The'"


def test_a_link_of_a_mark_that_is_gone_is_gone() -> None:
    rows = varied(dataclasses.replace(PLAIN, unfinished=1.0))
    assert rows.links[0].tolist() == [0]
    assert max(link >> 16 for link in rows.links[1].tolist()) < len(rows.source[1])


def test_pieces_share_characters_where_they_overlap() -> None:
    assert variety._shared([3, 2, 4], [1, 4, 2, 2]) == [[0, 1], [1], [2, 3]]
    assert variety._shared([3, 2], [3]) == [[0], []]
