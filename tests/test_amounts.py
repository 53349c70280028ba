"""Amounts of money are written as the target's language does."""

import pytest

from service.amounts import speller


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("$250", "250\u00a0$"),
        ("€1,299.99", "1\u202f299,99\u00a0€"),
        ("-£4.50", "-4,50\u00a0£"),
        ("¥100000", "100000\u00a0¥"),
    ],
)
def test_an_amount_is_written_as_the_target_does(english: str, french: str) -> None:
    assert speller("en", "fr")(english) == speller("zh", "fr-CA")(english) == french
    assert speller("fr", "en")(french) == speller("fr", "zh")(french) == english
    assert speller("en", "zh")(english) == english


def test_every_form_is_read() -> None:
    for form in ("20 €", "20€", "€ 20", "20\u00a0€"):
        assert speller("en", "fr")(form) == "20\u00a0€"
    for form in ("3,50 €", "3,50€", "3,50\u202f€"):
        assert speller("fr", "en")(form) == "€3.50"


@pytest.mark.parametrize(
    "other",
    ["US$300", "$5M", "$1.2.3", "€1,29", "25 °C", "$HOME", "`$5`", "$", "", "-", "1,29,9 €"],
)
def test_nothing_else_is_written_otherwise(other: str) -> None:
    assert speller("en", "fr")(other) == other
    assert speller("fr", "en")(other) == other
