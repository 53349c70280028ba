"""Names that a model has not learnt are found; words that it knows, and titles, are not."""

import dataclasses

import pytest

from service import names
from service.bundle import Bundle
from service.errors import DamagedBundle
from service.keeping import STAND_INS
from service.units import Units

KNOWN = "door\nmet\nnorth\nopen\nthe\nthird\nto\nwest\nLondon\nTom\n\u00c9tats-Unis\n"
FIND = names.reader(KNOWN.encode(), "known.txt", "en", "fr")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I met Priya and Tom.", ["Priya"]),
        ("Priya met Lefebvre.", ["Priya", "Lefebvre"]),
        ("The Tom Lefebvre Doors met West Ham North.", ["Tom Lefebvre Doors", "Ham"]),
        ("Thirdly, he met Thirdly", ["Thirdly"]),
        ("Thirdly", []),
        ("Jean-Luc met \u00c9mile-\u00c9tienne.", ["Jean-Luc", "\u00c9mile-\u00c9tienne"]),
        ("Dvo\u0159a\u0301k met KPMG", ["Dvo\u0159a\u0301k", "KPMG"]),
        ("He met O'Brien's Zoe", ["He", "Brien", "Zoe"]),
        ("The OPEN Door to the North-West, London and \u00c9tats-Unis", []),
        ("Dis-moi, A, I, \u0410\u043d\u043d\u0430, A380, snake_Case, iPhone", []),
        ("Zoe Opens Wide Doors", []),
        ("OPENING DOORS", []),
        ("", []),
    ],
)
def test_a_word_with_a_capital_that_is_not_known_is_a_name(text: str, found: list[str]) -> None:
    assert [span.of(text) for span in FIND(text, False)] == found
    apart = [span.of(text) for span in FIND(text, True)]
    assert apart == [word for name in found for word in name.split()]


def test_chinese_names_are_those_that_are_not_known() -> None:
    find = names.reader("汤姆\n".encode(), "known.txt", "zh-Hans", "en")
    for text, found in (("汤姆和张伟来了。", "张伟"), ("湯姆和張偉來了。", "張偉")):
        assert [span.of(text) for span in find(text, False)] == [found]


def test_chinese_names_have_their_title_with_them_for_english_alone() -> None:
    text = "汤姆先生，王女士和張偉老師"
    for target, apart, found in (
        ("en-GB", False, ["王女士", "張偉老師"]),
        ("en", True, ["王", "張偉"]),
        ("fr", False, ["王", "張偉"]),
    ):
        find = names.reader("汤姆\n".encode(), "known.txt", "zh", target)
        assert [span.of(text) for span in find(text, apart)] == found


def test_without_a_list_nothing_is_a_name() -> None:
    assert names.none("I met Priya.", False) == []


@pytest.mark.parametrize("content", [b"\xff", b"a" * (names.MOST_BYTES + 1)])
def test_a_list_that_cannot_be_read_damages_a_bundle(content: bytes) -> None:
    with pytest.raises(DamagedBundle, match=r"known\.txt"):
        names.reader(content, "known.txt", "en", "fr")


def test_a_bundle_keeps_the_names_of_its_sources(
    toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = dataclasses.replace(
        toy_bundle.manifest, stand_ins=STAND_INS, known_words="known.txt"
    )
    listed = Bundle.read
    monkeypatch.setattr(
        Bundle,
        "read",
        lambda self, name: KNOWN.encode() if name == "known.txt" else listed(self, name),
    )
    units = Units(dataclasses.replace(toy_bundle, manifest=manifest))
    unit = units.text("Tom met Priya.", 0, "source")
    assert list(unit.carried.values()) == ["Priya"]
    assert not units.text("Tom met Priya.", 0, "target").kept
    pair = units.pair("Tom met Priya.", "Tom a vu Priya.")
    assert list(pair.source.carried.values()) == list(pair.target.carried.values()) == ["Priya"]
    pair = units.pair(("Ann", "Lee", "met", "Tom"), ("Ann", "Lee"))
    assert list(pair.source.carried.values()) == ["Ann", "Lee"]
    assert list(units.pair("Ann Lee met Tom", "Ann Lee").source.carried.values()) == ["Ann Lee"]
    assert len(units.given(("Ann", "Lee"), "source").kept) == 2
