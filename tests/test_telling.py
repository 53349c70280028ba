"""Tokens as a stream tells them: one by one, or all of a sentence once it is whole."""

import numpy as np
import pytest

from service.bundle import Bundle
from service.hypotheses import Chosen, Path
from service.options import Options
from service.reading import Reader
from service.telling import Place, Teller
from service.units import EOS, Bare, Units

SHOW = Options(attention="cross")


@pytest.fixture
def units(toy_bundle: Bundle) -> Units:
    return Units(toy_bundle)


@pytest.fixture
def teller(toy_bundle: Bundle, units: Units) -> Teller:
    return Teller(
        Reader(toy_bundle.manifest), {"cross": 0, "alignment": 1}, units.tokenizers["target"].eos
    )


def test_a_place_reads_its_text_without_tags_if_it_has_some(units: Units) -> None:
    unit, plain = units.text("the <b>cat</b>", 0, "source"), units.text("the cat", 0, "source")
    assert Place(0, 0, unit, None).read is unit
    bare = Bare(None, plain)  # type: ignore[arg-type]
    assert Place(0, 0, unit, bare).read is plain


def test_tokens_are_told_as_they_are_chosen(units: Units, teller: Teller) -> None:
    place = Place(2, 1, units.text("THE CAT SEES", 0, "source"), None)
    target = units.tokenizers["target"]
    spelling = target.spelling()
    row = np.array([0.25, 0.75], np.float32)
    deltas = []
    ids = (*target.encode("le chat").ids, target.eos)
    for step, token in enumerate(ids):
        told = teller.chosen(place, Chosen(step, token, -0.5, {"cross": row}), spelling, SHOW)
        assert (told.text, told.sentence, told.step, told.score) == (2, 1, step, -0.5)
        assert told.special == (EOS if token == target.eos else None)
        assert (told.attention["cross"] == row).all()
        deltas.append(told.delta)
    assert "".join(deltas) == "LE CHAT"


@pytest.mark.parametrize("finished", [True, False])
def test_a_whole_sentence_is_told_token_by_token(
    units: Units, teller: Teller, finished: bool
) -> None:
    pair = units.pair("the cat", "le chat noir")
    place = Place(0, 0, pair.source, None)
    ids = (*pair.target.encoded.ids, *([units.tokenizers["target"].eos] if finished else []))
    count = len(ids)
    rows = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    path = Path(
        ids, np.arange(count, dtype=np.float32), {"cross": rows, "alignment": rows}, finished
    )
    told = list(teller.late(place, pair, path, SHOW))
    assert "".join(one.delta for one in told) == "le chat noir"
    assert [one.score for one in told] == list(range(count))
    assert [one.special for one in told] == [None] * (count - finished) + [EOS] * finished
    assert set(told[0].attention) == {"cross"}
    assert (told[1].attention["alignment"] == rows[0]).all()
    assert (told[1].attention["cross"] == rows[1]).all()
    hidden = Options(attention="none", script="zh-Hant")
    assert not any(one.delta or one.attention for one in teller.late(place, pair, path, hidden))
