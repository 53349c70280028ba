"""What stands apart in a source does so in its translation."""

from pathlib import Path

import pytest

import service
from service.gaps import parted
from service.hypotheses import Source
from service.keeping import STAND_INS, swap
from service.segmentation import Span
from service.tokenizer import Tokenizer

BUNDLES = Path(service.__file__).parent / "bundles"
FRENCH = Tokenizer(BUNDLES / "en-fr" / "target.model", " ")
CHINESE = Tokenizer(BUNDLES / "en-zh" / "target.model", "")


def about(text: str, kept: list[str], target: Tokenizer, spaces: bool) -> Source:
    bare = Source(3, 0, 1, {}, stand_ins=frozenset(map(target.byte_id, map(ord, STAND_INS))))
    spans = [Span(text.index(one), text.index(one) + len(one)) for one in kept]
    return parted(bare, text, swap(text, spans).kept, target, spaces)


@pytest.mark.parametrize(
    ("text", "joins"), [("the {n}.", False), ("({n}", False), ("l'{n}", False), ("the{n}", True)]
)
def test_no_letter_stands_before_what_is_kept(text: str, joins: bool) -> None:
    found = about(text, ["{n}"], FRENCH, spaces=True)
    assert found.spaces
    assert found.gap == FRENCH.space
    assert found.joined == found.stand_ins
    assert found.joining == (frozenset() if joins else FRENCH.lettered)
    assert FRENCH.encode("le chat").ids[-1] in FRENCH.lettered
    assert not {FRENCH.space, FRENCH.eos, *FRENCH.encode("!").ids} & FRENCH.lettered


def test_in_chinese_no_ascii_stands_beside_what_begins_or_ends_in_it() -> None:
    found = about("Tell Mbeki: 5月, 日A!", ["Mbeki", "5月", "日A"], CHINESE, spaces=False)
    assert not found.spaces
    first, second, third = (CHINESE.byte_id(ord(one)) for one in STAND_INS[:3])
    assert {first, third} == found.joining & found.stand_ins
    assert {first, second} == found.joined & found.stand_ins
    (five,) = CHINESE.encode("5").ids
    assert five in found.joining & found.joined
    assert not set(CHINESE.encode("你。").ids) & (found.joining | found.joined)


@pytest.mark.parametrize("text", ["5{n}", "{n}px", "is {n}px"])
def test_what_stands_close_in_the_source_may_in_chinese_too(text: str) -> None:
    found = about(text, ["{n}"], CHINESE, spaces=False)
    assert found.gap is None
    assert not found.joining | found.joined
