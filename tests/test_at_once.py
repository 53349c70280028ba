"""Alignments of a bundle that reads targets at once, and of the same without its graph for it."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.bundle import Bundle
from service.directions import align_both_ways
from service.options import Options, Pair
from service.translation import Alignment
from service.translator import Translator
from tests import toy
from tests.conftest import CAPACITY

PAIRS = [
    *(
        Pair(toy.text(one.source), toy.text(one.target))
        for one in (toy.pair(random.Random(seed)) for seed in range(12))
    ),
    Pair(("The", "cat", "sees", "the", "dog", "."), ("Le", "chat", "voit", "le", "chien", ".")),
    Pair("The cat.", "Un tout autre texte, qui n'a rien à voir avec le premier 😀."),
    Pair("The black cat sees the bird.", "Le"),
    Pair("The moon likes the king.", None),
]
OPTIONS = [
    Options(attention="alignment"),
    Options(attention="cross", unit="word", heads=True),
    Options(attention="alignment", unit="word", diagnostics=True),
    Options(attention="none"),
]


@pytest.fixture
def stepping(toy_bundle: Bundle) -> Iterator[Translator]:
    """The toy bundle as it would be without the graph."""
    model = toy_bundle.manifest.model
    graphs = tuple(graph for graph in model.graphs if graph.role != "forced")
    assert len(graphs) == len(model.graphs) - 1
    manifest = replace(toy_bundle.manifest, model=replace(model, graphs=graphs))
    made = Translator(replace(toy_bundle, manifest=manifest), CAPACITY)
    yield made
    made.close(1.0)


def check_equal(found: Alignment, expected: Alignment) -> None:
    """To the last bit, whatever there is."""
    for one, other in ((found.attention, expected.attention), (found.heads, expected.heads)):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert np.asarray(one).shape == np.asarray(other).shape
            assert (np.asarray(one) == np.asarray(other)).all()
    assert found.source == expected.source
    assert found.target == expected.target
    assert found.alignment == expected.alignment
    assert found.pharaoh == expected.pharaoh
    assert found.score == expected.score
    assert found.diagnostics == expected.diagnostics


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_alignment_is_the_same(
    translator: Translator, stepping: Translator, options: Options
) -> None:
    found, expected = (asyncio.run(one.align(PAIRS, options)) for one in (translator, stepping))
    for one, other in zip(found, expected, strict=True):
        check_equal(one, other)


def test_so_it_is_in_both_directions(translator: Translator, stepping: Translator) -> None:
    options = Options(attention="alignment", unit="word")
    pairs = PAIRS[:8]
    found = asyncio.run(align_both_ways(translator, stepping, pairs, options, "union"))
    expected = asyncio.run(align_both_ways(stepping, translator, pairs, options, "union"))
    for one, other in zip(found, expected, strict=True):
        check_equal(one, other)


def test_a_pair_without_a_target_is_let_in_once(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its alignment is not refused, however much waits, when its translation is done."""
    begun: list[bool] = []
    genuine = translator._engine.run

    async def run(jobs: Any, deadline: Any, has_begun: bool) -> Any:
        begun.append(has_begun)
        return await genuine(jobs, deadline, has_begun)

    monkeypatch.setattr(translator._engine, "run", run)
    pairs = [Pair("The dog likes the king.", None), Pair("The cat.", "Le chat.")]
    asyncio.run(translator.align(pairs, OPTIONS[0]))
    assert begun == [False, True]
    begun.clear()
    asyncio.run(translator.align(pairs[1:], OPTIONS[0]))
    assert begun == [False]
