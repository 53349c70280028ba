"""Quality against speed: what is measured of every way to serve, and how it is drawn."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from matplotlib.figure import Figure

from benchmarks import interleave, ours, report
from benchmarks.interleave import Effort
from model_export.decode import greedy
from model_export.run import Run
from model_export.subwords import EOS
from service import cores
from service.bundle import Bundle
from tests.architectures import lively, network
from tests.figures import PNG, curves

pytest.importorskip("ctranslate2")

import ctranslate2

from benchmarks import record
from benchmarks.ctranslate import Layout
from benchmarks.record import Filled, Point, Served, Texts

TEXTS = Texts(["a", "b"], ["one two three four five", "six seven eight nine ten"], "en")
POINTS = [
    Point("ours", 1, 30.0, 200.0, 0),
    Point("theirs", 1, 29.0, 100.0, 2),
    Point("ours", 4, 31.0, 50.0, 0),
    Point("theirs", 4, 30.5, 25.0, 1),
]


class Way:
    """Knows the references, or with a beam of one only the first of them."""

    def __init__(self) -> None:
        self.beams: list[int] = []

    def translate(self, beam: int) -> list[list[int]]:
        self.beams.append(beam)
        return [[0, EOS], [1, EOS] if beam > 1 else [0]]

    def text(self, tokens: Sequence[int]) -> str:
        return TEXTS.references[tokens[0]]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "progress", lambda _: None)


def test_every_way_is_measured_with_its_own_beam() -> None:
    ways = {name: Way() for name in ("ours", "theirs")}
    given = cast("dict[str, Served | Filled]", ways)
    narrow, wide = (
        record.measure(given, TEXTS, beam, Effort(2, 0.0, pause=0.0)) for beam in (1, 4)
    )
    assert [(point.name, point.beam) for point in narrow] == [("ours", 1), ("theirs", 1)]
    for one, other in zip(narrow, wide, strict=True):
        assert 0 < one.bleu < 99
        assert other.bleu == 100
        assert (one.cut, other.cut) == (1, 0)
        assert min(one.sentences_per_second, other.sentences_per_second) > 0
    for way in ways.values():
        half = len(way.beams) // 2
        assert way.beams == [1] * half + [4] * half


def test_speed_is_sentences_by_the_median_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleave, "measure", lambda *_: {"ours": [0.5, 0.1, 90.0, 0.25, 0.5]})
    ways = cast("dict[str, Served | Filled]", {"ours": Way()})
    (point,) = record.measure(ways, TEXTS, 4, record.EFFORT)
    assert point == Point("ours", 4, 100.0, 4.0, 0)


def test_a_line_joins_the_beams_of_a_way(tmp_path: Path, drawn: list[Figure]) -> None:
    record.draw(POINTS, tmp_path / "record.png")
    assert (tmp_path / "record.png").read_bytes().startswith(PNG)
    (axes,) = drawn[0].axes
    assert curves(axes) == {"ours": [[200, 30], [50, 31]], "theirs": [[100, 29], [25, 30.5]]}
    assert [text.get_text() for text in axes.texts] == ["beam 1", "beam 4"] * 2
    assert axes.get_xlabel() == "sentences a second"


def test_a_bundle_translates_prepared_ids_and_reads_its_own(toy_bundle: Bundle) -> None:
    texts = Texts(["The king sees the queen.", "The old dog likes the moon."], ["", ""], "fr")
    served = Served(toy_bundle, texts)
    with served._engine:
        narrow, wide = served.translate(1), served.translate(4)
    assert {tokens[-1] for tokens in narrow} == {EOS}
    written = [served.text(tokens) for tokens in narrow]
    assert written == ["Le roi voit le dame.", "Le chien vieux aime le lune."]
    assert [served.text(tokens) for tokens in wide] == written


def test_a_run_is_filled_and_reads_its_own(
    toy_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 here, so that every token is known."""
    small = network("transformer", "transformer", "multi-head", alignment_head=0)
    sizes = dataclasses.replace(small, decoder=dataclasses.replace(small.decoder, heads=2))
    source, target = toy_run.tokenizers()
    model = lively(sizes, pieces=(source.size, target.size))
    asked: list[str] = []

    def exact(folder: str, compute_type: str, inter_threads: int, intra_threads: int) -> Any:
        asked.append(f"{compute_type} {inter_threads}×{intra_threads}")
        return translator(folder, compute_type="float32")

    translator = ctranslate2.Translator
    monkeypatch.setattr(ctranslate2, "Translator", exact)
    texts = Texts(["The king sees the queen.", "The moon."], ["", ""], "fr")
    filled = Filled(toy_run, model, texts, tmp_path / "filled", Layout(2, 1))
    assert asked == ["int8 2×1"]
    ids = [source.encode(text).ids for text in texts.sources]
    limit = 3 * max(len(one) + 1 for one in ids) + 20
    expected = greedy(model, ids, limit)
    made = filled.translate(1)
    assert [tokens[:-1] if tokens[-1] == EOS else tokens for tokens in made] == expected
    assert filled.text(expected[0]) == target.decode(expected[0]).text


def test_each_group_has_a_limit_of_its_own_and_the_order_comes_back(
    toy_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that never ends writes as much as it may: as ours may, of one sentence a group."""
    source, target = toy_run.tokenizers()
    small = network("transformer", "transformer", "multi-head", alignment_head=0)
    sizes = dataclasses.replace(small, decoder=dataclasses.replace(small.decoder, heads=2))
    model = lively(sizes, pieces=(source.size, target.size))
    with torch.no_grad():
        model.decoder.bias[EOS] = -100.0
    texts = Texts(["The moon.", "The king sees the queen. " * 8, "A tree by the house."], [], "fr")
    filled = Filled(toy_run, model, texts, tmp_path / "filled", Layout(2, 1))
    widths = [len(source.encode(text).ids) + 1 for text in texts.sources]
    monkeypatch.setattr(record, "AT_ONCE", 1)
    assert list(map(len, filled.translate(1))) == [ours.limit(width, 800) for width in widths]
    assert list(map(len, filled.translate(4))) == [ours.limit(width, 800) for width in widths]
    monkeypatch.setattr(record, "AT_ONCE", 2)
    first, second, third = map(len, filled.translate(1))
    assert first == ours.limit(widths[0], 800), "the shortest is alone in the last group"
    assert second == third == ours.limit(widths[1], 800)


def test_our_engine_and_ctranslate2_serve_the_same_weights(
    toy_run: Run, toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphs of other weights lie in the run's folder, from an earlier export."""
    run = dataclasses.replace(toy_run, folder=Path(shutil.copytree(toy_run.folder, tmp_path / "r")))
    source, target = run.tokenizers()
    small = network("transformer", "transformer", "multi-head", alignment_head=0)
    sizes = dataclasses.replace(small, decoder=dataclasses.replace(small.decoder, heads=2))
    model = lively(sizes, pieces=(source.size, target.size))
    texts = Texts(["The king sees the queen.", "The moon."], ["", ""], "fr")
    monkeypatch.setattr(cores, "usable", lambda: 1)
    ways = record.ways_to_serve(toy_bundle, run, model, texts, tmp_path)
    bundle, engine, theirs = ways.values()
    assert isinstance(bundle, Served)
    assert isinstance(engine, Served)
    with bundle._engine, engine._engine:
        ids = [source.encode(text).ids for text in texts.sources]
        expected = greedy(model, ids, 10)
        for way in (engine, theirs):
            agree = [
                one[:10] == other for one, other in zip(way.translate(1), expected, strict=True)
            ]
            assert any(agree), "int8 may choose another token, but not everywhere"
