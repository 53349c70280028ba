"""The embedded bundles, as a new user meets them: sensible words, links where a reader would."""

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from service.bundle import open_bundle
from service.options import Options, Pair
from service.shelf import EMBEDDED
from service.translation import TranslatedSentence
from service.translator import Translator
from tests.conftest import CAPACITY

NAMES = sorted(path.parent.name for path in EMBEDDED.glob("*/bundle.json"))


@cache
def opened(name: str) -> Translator:
    return Translator(open_bundle(EMBEDDED / name), CAPACITY)


@pytest.fixture(scope="module", autouse=True)
def closing() -> Iterator[None]:
    """Open no bundle twice, and leave none open."""
    yield
    for name in NAMES:
        opened(name).close(1.0)
    opened.cache_clear()


def linked(one: TranslatedSentence) -> set[tuple[str, str]]:
    source, target = one.source.words, one.best.target.words
    return {(source[x.source].text, target[x.target].text) for x in one.best.alignment}


EVERYDAY = [
    ("en-fr", "How was your day?", {("How", "Comment"), ("day", "journée"), ("?", "?")}),
    (
        "en-fr",
        "The cat is sleeping on the chair.",
        {("cat", "chat"), ("on", "sur"), ("chair", "chaise")},
    ),
    (
        "en-fr",
        "I bought a red car yesterday.",
        {("red", "rouge"), ("car", "voiture"), ("yesterday", "hier")},
    ),
    ("fr-en", "Qui êtes-vous ?", {("Qui", "Who"), ("êtes", "are"), ("vous", "you")}),
    (
        "fr-en",
        "Comment s'est passée ta journée ?",
        {("Comment", "How"), ("ta", "your"), ("journée", "day")},
    ),
    (
        "fr-en",
        "J'ai acheté une voiture rouge hier.",
        {("rouge", "red"), ("voiture", "car"), ("hier", "yesterday")},
    ),
    ("en-zh", "Who are you?", {("Who", "谁"), ("are", "是"), ("you", "你")}),
    ("en-zh", "The house is red.", {("house", "房子"), ("is", "是"), ("red", "红色")}),
    ("en-zh", "Where is the station?", {("Where", "哪里"), ("?", "？")}),
    ("zh-en", "你是谁？", {("谁", "Who"), ("是", "are"), ("你", "you")}),
    ("zh-en", "车站在哪里？", {("车站", "station"), ("哪里", "Where")}),
    (
        "zh-en",
        "我昨天买了一辆红色的车。",
        {("昨天", "yesterday"), ("红色", "red"), ("车", "car")},
    ),
]


@pytest.mark.parametrize(("name", "text", "links"), EVERYDAY)
def test_everyday_sentences(name: str, text: str, links: set[tuple[str, str]]) -> None:
    (made,) = asyncio.run(opened(name).translate([text], Options()))
    assert links <= linked(made.sentences[0])


@pytest.mark.parametrize(
    ("name", "careless", "careful"),
    [
        ("en-zh", "who are you", "Who are you?"),
        ("en-fr", "who are you", "Who are you?"),
        ("zh-en", "\u4f60\u662f\u8c01", "\u4f60\u662f\u8c01\uff1f"),
    ],
)
def test_careless_writing_is_read_as_well(name: str, careless: str, careful: str) -> None:
    one, other = asyncio.run(opened(name).translate([careless, careful], Options()))
    assert one.text == other.text


@pytest.mark.parametrize("beam", [1, 4])
def test_the_words_that_it_began_with(beam: int) -> None:
    (made,) = asyncio.run(opened("en-zh").translate(["Who are you?"], Options(beam_size=beam)))
    assert made.text == "你是谁？"


@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_is_small_and_verified(name: str) -> None:
    manifest = opened(name).manifest
    assert manifest.parameters < 14_000_000
    assert sum(file.bytes for file in manifest.files) < 20_000_000
    assert manifest.verification["int8"]["crowd"] == 0.0


GIVEN = [
    ("en-fr", ("Who", "are", "you", "?"), ("Qui", "êtes", "vous", "?"), "0-0 1-1 2-2 3-3"),
    (
        "fr-en",
        ("Le", "chat", "noir", "dort", "."),
        ("The", "black", "cat", "sleeps", "."),
        "0-0 1-2 2-1 3-3 4-4",
    ),
    ("en-zh", ("Who", "are", "you", "?"), ("你", "是", "谁", "？"), "0-2 1-1 2-0 3-3"),
    ("zh-en", ("这", "是", "什么", "？"), ("What", "is", "this", "?"), "0-2 1-1 2-0 3-3"),
]


@pytest.mark.parametrize(("name", "source", "target", "links"), GIVEN)
def test_given_words_are_linked(
    name: str, source: tuple[str, ...], target: tuple[str, ...], links: str
) -> None:
    options = Options(attention="alignment")
    (made,) = asyncio.run(opened(name).align([Pair(source, target)], options))
    assert made.pharaoh == links


FRAMES = {"en": "This is {} for you.", "fr": "Voici {} pour vous.", "zh": "这是给你的{}。"}
KEPT = [
    *("https://example.org/a?b=c", "example.org/help", "me@example.org", "`ls -l`", "{name}", "%s"),
    *("<b>", "😀", "90 km/h"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", KEPT)
def test_what_is_kept_comes_over_exactly_once(name: str, kept: str) -> None:
    (made,) = asyncio.run(opened(name).translate([FRAMES[name[:2]].format(kept)], Options()))
    assert made.text.count(kept) == 1


WRITTEN = [
    ("en-fr", "He is 1.8 m tall and needs 16 GB.", ("1,8 m", "16 Go")),
    ("en-zh", "He is 1.8 m tall and needs 16 GB.", ("1.8米", "16 GB")),
    ("fr-en", "Il mesure 1,8 m.", ("1.8 m",)),
    ("en-zh", "The meeting is on May 12, 1990.", ("1990年5月12日",)),
    ("zh-en", "会议在1994年1月22日。", ("January 22, 1994",)),
    ("zh-en", "我们需要7把椅子和73张桌子。", ("7", "73")),
    ("en-zh", "I gave Mbeki 5 dollars.", ("Mbeki", "5")),
    ("en-fr", "My birthday is May 17.", ("le", "17", "mai")),
    ("en-fr", "In 1994, Svetlana moved to Paris.", ("1994", "Svetlana", "Paris")),
    ("en-fr", "On May 3, 1947, Kavanagh met Zelenka.", ("3", "1947", "Kavanagh", "Zelenka")),
    ("fr-en", "J'ai donné 13 euros à Zelenka.", ("13", "Zelenka")),
]


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize(("name", "text", "written"), WRITTEN)
def test_measures_dates_and_numbers_come_over_as_the_target_writes_them(
    name: str, text: str, written: tuple[str, ...], beam: int
) -> None:
    (made,) = asyncio.run(opened(name).translate([text], Options(beam_size=beam)))
    words = [word.text for word in made.sentences[0].best.target.words]
    assert all(words.count(one) == 1 for one in written)


def sentences(name: str) -> list[str]:
    """Some of the sentences in a bundle's source language, and one that is hardly in any."""
    file = Path(__file__).parent / "sentences" / f"{name[:2]}.txt"
    return [*file.read_text(encoding="utf-8").splitlines()[::20], "I don't know 你好 😀."]


STRANGERS = [
    ("en-fr", "My friend Priya lives in Hyderabad.", ["Priya", "Hyderabad"]),
    ("fr-en", "Sophie Lefebvre travaille chez Renault.", ["Sophie Lefebvre", "Renault"]),
    ("en-zh", "Have you met Zendaya?", ["Zendaya"]),
    ("zh-en", "\u97e9\u6885\u6885\u559c\u6b22\u82f9\u679c\u3002", ["Han Meimei"]),
    ("zh-en", "\u5f35\u5049\u6628\u5929\u4f86\u4e86\u3002", ["Zhang Wei"]),
    (
        "zh-en",
        "\u738b\u5148\u751f\u548c\u674e\u5973\u58eb\u662f\u670b\u53cb\u3002",
        ["Mr. Wang", "Ms. Li"],
    ),
]


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize(("name", "text", "strangers"), STRANGERS)
def test_names_that_a_bundle_does_not_know_come_over(
    name: str, text: str, strangers: list[str], beam: int
) -> None:
    [one] = asyncio.run(opened(name).translate([text], Options(beam_size=beam)))
    words = [word.text for word in one.sentences[0].best.target.words]
    assert [words.count(stranger) for stranger in strangers] == [1] * len(strangers)


LABELS = [
    ("en-fr", "The cat is on the table", ""),
    ("en-fr", "Who are you", "?"),
    ("en-zh", "The cat is on the table", ""),
    ("fr-en", "Le chat est sur la table", ""),
    ("fr-en", "Comment ça va", "?"),
    ("fr-en", "Où est la gare", "?"),
    ("zh-en", "\u732b\u5728\u684c\u5b50\u4e0a", ""),
]


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize(("name", "text", "mark"), LABELS)
def test_labels_get_no_full_stop(name: str, text: str, mark: str, beam: int) -> None:
    [one] = asyncio.run(opened(name).translate([text], Options(beam_size=beam)))
    assert one.text.endswith(mark)
    assert bool(mark) != one.text[-1].isalnum()


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_or_in_a_list_the_answer_is_the_same(name: str, beam: int) -> None:
    translator, options = opened(name), Options(beam_size=beam)
    texts = sentences(name)
    together = asyncio.run(translator.translate(texts, options))
    for text, crowd in zip(texts, together, strict=True):
        (alone,) = asyncio.run(translator.translate([text], options))
        assert alone.text == crowd.text
        assert alone.score == crowd.score
        for one, other in zip(alone.sentences, crowd.sentences, strict=True):
            assert one.best.target == other.best.target
            assert one.best.alignment == other.best.alignment
            assert one.best.attention is not None
            assert other.best.attention is not None
            assert (one.best.attention == other.best.attention).all()
