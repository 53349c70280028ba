"""Tags are taken out and put back by links: each once, around the same words, nested as before."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import marks
from service.marks import Mark
from service.tagging import Linked, retag, untag
from service.untranslatable import find
from service.words import words

PAIR = re.compile(r"</?[a-z]+>")


def found(text: str) -> list[Mark]:
    return marks.find(text, find(text, "en"), "fr")


def bare(text: str, joiner: str = " ") -> str | None:
    untagged = untag(text, found(text), joiner)
    return None if untagged is None else untagged.text


def put_back(text: str, target: str, links: Sequence[tuple[str, str]] | None = None) -> str:
    """The target with the text's tags; without links the words go over one by one."""
    untagged = untag(text, found(text), " ")
    assert untagged is not None
    near, far = words(untagged.text, "uax29"), words(target, "uax29-elision")
    if links is None:
        plain = [(at, at) for at in range(min(len(near), len(far)))]
    else:
        ours, theirs = ([w.of(t) for w in ws] for t, ws in ((untagged.text, near), (target, far)))
        plain = [(ours.index(one), theirs.index(other)) for one, other in links]
    return retag(untagged, Linked(near, target, far, plain))


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("<p>I like <b>red</b> wine.</p>", "I like red wine."),
        ("Apples</li><li>Pears", "Apples Pears"),
        ("one<br/>two", "one two"),
        ("Hello <br/> world <img src='x'>!", "Hello world !"),
        ("Mail {x} <b>now</b>.", "Mail {x} now."),
        ("No tags, 1 < 2.", None),
        ("<br/>", None),
        ("<b>!</b>", None),
    ],
)
def test_tags_are_taken_out(text: str, without: str | None) -> None:
    assert bare(text) == without


def test_chinese_words_need_no_space_between_them() -> None:
    assert bare("猫<br/>狗", "") == "猫狗"


def test_what_is_known_of_a_tag() -> None:
    untagged = untag("a <b>c</b><i>d</i>", found("a <b>c</b><i>d</i>"), " ")
    assert untagged is not None
    known = [(tag.mark.becomes, tag.at, tag.spaced, tag.joined) for tag in untagged.tags]
    assert known == [
        ("<b>", 2, True, False),
        ("</b>", 3, False, False),
        ("<i>", 3, False, True),
        ("</i>", 5, False, False),
    ]


@pytest.mark.parametrize(
    ("text", "target", "links", "tagged"),
    [
        (
            "<p>I like <b>red</b> wine.</p>",
            "J'aime le vin rouge.",
            [("I", "J'"), ("like", "aime"), ("red", "rouge"), ("wine", "vin"), (".", ".")],
            "<p>J'aime le vin <b>rouge</b>.</p>",
        ),
        (
            "The <i>big</i> <b>black</b> cat",
            "Le gros chat noir",
            [("big", "gros"), ("black", "noir"), ("cat", "chat")],
            "Le <i>gros</i> chat <b>noir</b>",
        ),
        (
            "<b>black <i>cats</i></b> sleep",
            "les chats noirs dorment",
            [("black", "noirs"), ("cats", "chats"), ("sleep", "dorment")],
            "les <b><i>chats</i> noirs</b> dorment",
        ),
        (
            "I do <b>not</b> know",
            "Je ne sais pas",
            [("I", "Je"), ("not", "ne"), ("not", "pas"), ("know", "sais")],
            "Je ne sais <b>pas</b>",
        ),
        (
            "the old man<br/>sleeps",
            "le vieil homme dort",
            [("old", "vieil"), ("man", "homme"), ("sleeps", "dort")],
            "le vieil homme<br/>dort",
        ),
        ("Hello <br/> world <img>!", "Bonjour monde !", None, "Bonjour <br/> monde <img>!"),
        ("See <b>this", "Voir ceci", None, "Voir <b>ceci"),
        ("this</b> is", "ceci est", None, "ceci</b> est"),
        ("<b><i>a</b></i> c", "x y", None, "<b><i>x</b></i> y"),
        ("a <b>red</b> dog", "un chien", [("a", "un"), ("dog", "chien")], "un <b></b>chien"),
        ("<b>Hi</b>", "", None, "<b></b>"),
        ("one</li><li>two", "un deux", None, "un</li><li>deux"),
        ('A "red" car', "Une voiture rouge", [("red", "rouge")], "Une voiture « rouge »"),
        ('A "red" car', "Une voiture", [("A", "Une"), ("car", "voiture")], "Une voiture"),
        ('A "<i>red</i>" car', "Une auto", [("A", "Une"), ("car", "auto")], "Une <i></i>auto"),
        ("A *red* car", "Une auto", [("A", "Une"), ("car", "auto")], "Une auto"),
        ("a <b>red</b> dog", "un chien bleu", [("dog", "chien")], "<b>un</b> chien bleu"),
        ("See [it](x).", "Vois cela.", [("See", "Vois"), (".", ".")], "Vois [cela](x)."),
        (
            "red <i>wine <b>now",
            "vin rouge là",
            [("red", "rouge"), ("wine", "vin")],
            "vin rouge <i><b>là",
        ),
        ("<br/> Go <br/> now", "Va là", None, "<br/> Va <br/> là"),
    ],
)
def test_tags_go_where_what_they_enclosed_went(
    text: str, target: str, links: Sequence[tuple[str, str]] | None, tagged: str
) -> None:
    assert put_back(text, target, links) == tagged


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> str:
    """Words and well-formed tags around some of them."""
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        inner = draw(trees(depth=depth - 1)) if depth and draw(st.booleans()) else ""
        name = draw(st.sampled_from("abi"))
        word = draw(st.sampled_from(["one", "two", "."]))
        parts.append(f"<{name}>{inner or word}</{name}>" if draw(st.booleans()) else word)
    return draw(st.sampled_from(["", " "])).join(parts)


@given(trees(), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), max_size=12))
def test_every_tag_comes_over_once_and_pairs_stay_nested(
    text: str, links: list[tuple[int, int]]
) -> None:
    untagged = untag(text, found(text), " ")
    if untagged is None:
        return
    target = "un deux, trois quatre."
    near, far = words(untagged.text, "uax29"), words(target, "uax29")
    valid = [(a, b) for a, b in links if a < len(near) and b < len(far)]
    tagged = retag(untagged, Linked(near, target, far, valid))
    assert PAIR.sub("", tagged).replace(" ", "") == target.replace(" ", "")
    assert sorted(PAIR.findall(tagged)) == sorted(PAIR.findall(text))
    open_tags: list[str] = []
    for tag in PAIR.findall(tagged):
        if tag.startswith("</"):
            assert open_tags.pop() == tag[2:-1]
        else:
            open_tags.append(tag[1:-1])
    assert not open_tags
