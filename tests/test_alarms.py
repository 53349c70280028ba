"""How warnings are counted: on answers made by hand, and on the toy model."""

import dataclasses
import gzip
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from model_export import alarms
from model_export.alarms import Row, halves, measure, sample, table, thresholds
from model_export.corpus import Pair
from model_export.damage import Damaged
from service.alignment import Link
from service.diagnostics import Caution, Evidence, Seen, diagnose
from service.manifest import Manifest
from service.translation import Alignment
from service.translator import Translator
from tests import toy
from tests.stand_ins import BOUNDS, LINKS, MATRIX, side

PLAIN = diagnose(Seen(("a",), ("b",), {"cross": MATRIX}, "cross", LINKS, BOUNDS))


def made(
    omission: Sequence[int] = (), hallucination: Sequence[int] = (), links: Sequence[Link] = ()
) -> Alignment:
    """An answer that warns of these words."""
    cautions = [Caution("possible_omission", "", tuple(omission))] if omission else []
    if hallucination:
        cautions.append(Caution("possible_hallucination", "", tuple(hallucination)))
    told = dataclasses.replace(
        PLAIN,
        warnings=tuple(cautions),
        evidence=Evidence(float(len(omission)), float(len(hallucination))),
    )
    return Alignment(side("a", None), side("b", None), None, tuple(links), "", 0.0, told)


def test_warnings_are_counted_by_kind() -> None:
    answers = [made(), made([1]), made([1, 2], [3]), made([], [4])]
    counted = [alarms._warned(answers, codes) for codes in alarms.WARNINGS.values()]
    assert counted == [50.0, 50.0, 75.0]


def test_a_hit_is_located_by_the_words_that_it_names() -> None:
    clean = [made(links=[Link(4, 0, 1.0), Link(5, 1, 1.0)])]
    cut = [Damaged(0, "", frozenset({1}))] * 3
    found = [made([5, 6]), made([4]), made()]  # right place, wrong place, not found
    assert alarms._located("possible_omission", cut, found, clean) == 50.0
    put = [Damaged(0, "", frozenset({7, 8}))] * 2
    found = [made([], [8]), made([7], [1])]
    assert alarms._located("possible_hallucination", put, found, clean) == 50.0
    assert alarms._located("possible_hallucination", put, [made(), made()], clean) == 0.0


def test_sets_are_those_of_the_languages_and_turn_with_them(tmp_path: Path) -> None:
    def between(source: str, target: str) -> Manifest:
        joiners = {"en": " ", "fr": " ", "zh": ""}
        near, far = (SimpleNamespace(code=one, joiner=joiners[one]) for one in (source, target))
        return cast(Manifest, SimpleNamespace(source=near, target=far))

    ahead, back = between("en", "zh"), between("zh", "en")
    names = ["dev/tatoeba.en-zh.tsv.gz", "alignment/nist02_150.en-zh.tsv.gz"]
    assert alarms.sets_of(ahead) == alarms.sets_of(back) == names
    assert alarms.sets_of(between("fr", "zh")) == []
    with gzip.open(tmp_path / "a.en-zh.tsv.gz", "wt", encoding="utf-8") as out:
        out.write("Thanks\t谢谢\n")
    assert alarms.read_set(tmp_path, "a.en-zh.tsv.gz", ahead) == [Pair("Thanks", "谢谢", "")]
    assert alarms.read_set(tmp_path, "a.en-zh.tsv.gz", back) == [Pair("谢谢", "Thanks", "")]
    gold = "alignment/b.en-zh.tsv.gz"
    (tmp_path / "alignment").mkdir()
    with gzip.open(tmp_path / gold, "wt", encoding="utf-8") as out:
        out.write("Thanks a lot\t非常 感谢\t1-0 |\n")
    (read,) = alarms.read_set(tmp_path, gold, ahead)
    assert (read.source, read.target) == ("Thanks a lot", "非常感谢")


def test_a_threshold_leaves_one_clean_pair_in_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [made(range(1, n + 1), range(2 * n)) for n in range(1, 102)]
    monkeypatch.setattr(alarms, "_aligned", lambda *_: answers)
    found = thresholds(cast(Translator, None), [])
    assert (found.omission, found.hallucination) == pytest.approx((96.0, 192.0))


def test_halves_and_samples() -> None:
    pairs = [Pair(str(n), "", "") for n in range(9)]
    tuning, rest = halves(pairs)
    assert [*tuning, *rest] == pairs
    assert len(tuning) == 4
    assert sorted(p.source for p in sample(pairs, 99, 1)) == [p.source for p in pairs]
    assert sample(pairs, 3, 1) == sample(pairs, 3, 1)
    assert len(sample(pairs, 3, 1)) == 3


def test_the_toy_model_is_measured(translator: Translator) -> None:
    rng = random.Random(2)
    lines = [toy.pair(rng).line().split("\t") for _ in range(30)]
    pairs = [Pair(source, target, "") for source, target, _ in lines]
    rows = list(measure(translator, "toy", pairs, 1))
    assert len(rows) == 5 * 3
    found = {(row.damage, row.warning): row for row in rows}
    for kind in ("omission", "hallucination"):
        row = found[kind, f"possible_{kind}"]
        assert row.warned > found["none", f"possible_{kind}"].warned
        assert row.precision is not None
        assert row.precision > 50
        assert row.located is not None
    assert found["swap", "either"].located is None
    assert all(row.precision is None for row in rows if row.damage.startswith("none"))
    assert rows == list(measure(translator, "toy", pairs, 1))


def test_a_table_has_a_line_for_every_measurement() -> None:
    rows = [
        Row("dev", "none", "either", 9, 11.111),
        Row("dev", "swap", "either", 9, 50.0, 81.8181, 0.0),
    ]
    console: Any = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(table(rows))
    text = capture.get()
    assert "11.1" in text
    assert "81.8" in text
