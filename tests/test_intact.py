"""What comes over intact: counted on translations written by hand, and with the toy model."""

import tomllib

import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_export import __main__ as commands
from model_export import intact
from model_export.intact import Row, Sentence, is_intact, sentences, table
from service.bundle import Bundle


@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_sentences_are_filled_for_each_kind(language: str) -> None:
    made = sentences(language, 13, seed=1)
    kinds = {one.kind for one in made}
    assert len(made) == 13 * len(kinds)
    assert kinds >= {"number", "time", "name", "web address", "code", "placeholder", "measure"}
    for one in made:
        assert one.things
        assert all(thing in one.text for thing in one.things)
        assert f"{{{one.kind}}}" not in one.text
        assert is_intact(one, one.text)
    assert sentences(language, 13, seed=1) == made != sentences(language, 13, seed=2)


def test_all_languages_have_the_same_kinds() -> None:
    texts = tomllib.loads(intact.TEXTS.read_text(encoding="utf-8"))
    fillings = texts.pop("fillings")
    (kinds,) = {tuple(sorted(some)) for some in texts.values()}
    assert set(fillings) <= set(kinds)


@pytest.mark.parametrize(
    ("things", "translation", "whole"),
    [
        (("7:30",), "Le train part à 7 h 30.", True),
        (("7:30",), "Le train part à 17:30.", False),
        (("3.5",), "J'ai couru 3,5 km.", True),
        (("3.5",), "J'ai couru 35 km.", False),
        (("50", "850"), "50 sur 850", True),
        (("50", "850"), "850 sur 850", False),
        (("50", "50"), "50 sur 50", True),
        (("50",), "50 sur 50", False),
        (("80 kg",), "我需要80kg。", True),
        (("80 kg",), "我需要180kg。", False),
        (("Priya",), "Priya est là.", True),
        (("Priya",), "Elle est là.", False),
        (("`x = 1`",), "Que fait `x = 1` ?", True),
    ],
)
def test_a_thing_comes_over_as_often_as_it_is_there(
    things: tuple[str, ...], translation: str, whole: bool
) -> None:
    assert is_intact(Sentence("", "", things), translation) is whole


def test_a_table_ends_with_all_kinds_together() -> None:
    console = Console(width=80, record=True)
    console.print(table([Row("a", 3, (("x", "y"),)), Row("b", 5, ())]))
    *_, last, _ = console.export_text().splitlines()
    assert last.strip("│ ").split() == ["all", "│", "8", "│", "87.5"]


def test_a_sealed_bundle_is_measured(toy_bundle: Bundle) -> None:
    arguments = ["intact", str(toy_bundle.folder), "--count", "2", "--lost"]
    result = CliRunner().invoke(commands.app, arguments, env={"NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    kinds = len({one.kind for one in sentences("en", 1, 1)})
    assert f"│ {2 * kinds} │" in " ".join(result.output.split())
    assert "number: " in result.output, "the toy model keeps none"


def test_a_language_without_sentences_is_named() -> None:
    with pytest.raises(intact.LanguageError, match="no sentences in de, only in en, fr, zh"):
        sentences("de", 1, 1)
    assert intact.LanguageError in commands.MENDABLE
