"""Measures are found in text, and written as the target's language does."""

import pytest

from service import measures


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("It is 1.8 m or 120cm, not 5km/h.", "en", ["1.8 m", "120cm", "5km/h"]),
        ("1,200 kg of 16 GB, 20 m² and 5 kWh", "en", ["1,200 kg", "16 GB", "20 m²", "5 kWh"]),
        ("Il fait 1,8 m et 1 200 kg, 16 Go.", "fr", ["1,8 m", "1 200 kg", "16 Go"]),
        ("我瘦了5kg，身高1.8 m。", "zh", ["5kg", "1.8 m"]),
        ("12 Go players at 7 Go boards", "en", []),
        ("a 5-m rope, 3 months, 4 mice, 10 m-high, 7 V's", "en", []),
        ("1,8 m", "en", []),
        ("B5 kg, 3-5 kg, 1 2 kg", "en", []),
        ("2 h, 3 min, 4 s", "fr", []),
    ],
)
def test_measures_are_a_number_and_a_symbol(text: str, language: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in measures.find(text, language)] == found


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("1.8 m", "1,8 m"),
        ("1,200 kg", "1\u202f200 kg"),
        ("1,200,000.5 km", "1\u202f200\u202f000,5 km"),
        ("16 GB", "16 Go"),
        ("5kB", "5ko"),
        ("120cm", "120cm"),
        ("90 km/h", "90 km/h"),
    ],
)
def test_a_measure_is_written_as_the_target_does(english: str, french: str) -> None:
    assert measures.speller("en", "fr")(english) == french
    assert measures.speller("fr", "en")(french) == english
    assert measures.speller("fr-CA", "en-GB")(french) == english
    assert measures.speller("zh", "en")(english) == english


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("1.8 m", "1.8米"),
        ("120cm", "120厘米"),
        ("1,200.5 kg", "1,200.5公斤"),
        ("20 m²", "20平方米"),
        ("16 GB", "16 GB"),
        ("90 km/h", "90 km/h"),
        ("5m", "5m"),
    ],
)
def test_chinese_has_words_for_common_units(english: str, chinese: str) -> None:
    assert measures.speller("en", "zh")(english) == chinese
    french = measures.speller("en", "fr")(english)
    assert measures.speller("fr", "zh-Hant")(french) == chinese
    assert measures.speller("zh", "zh-Hant")(english) == english


@pytest.mark.parametrize("other", ["`1.8 m`", "1.8", "x@1.8.fr", "m", "", "Priya"])
def test_nothing_else_is_written_otherwise(other: str) -> None:
    assert measures.speller("en", "fr")(other) == other
    assert measures.speller("fr", "en")(other) == other
    assert measures.speller("en", "zh")(other) == other


@pytest.mark.parametrize("unit", ["1", "1,", "1,234", "1 ", "1 234", "1.", "1 k", "1\u202f", "1kg"])
@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_hostile_texts_are_searched_in_linear_time(unit: str, language: str) -> None:
    text = unit * (30_000 // len(unit))
    assert all(0 <= start < end <= len(text) for start, end in measures.find(text, language))
