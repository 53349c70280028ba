"""Numbers are written with a point or with a comma."""

import pytest
import regex

from service.decimals import COMMA, POINT, has_comma, with_comma, with_point


@pytest.mark.parametrize(
    ("point", "comma"),
    [
        ("1.8", "1,8"),
        ("1,200", "1\u202f200"),
        ("1,200,000.50", "1\u202f200\u202f000,50"),
        ("1200", "1200"),
    ],
)
def test_a_number_is_written_both_ways(point: str, comma: str) -> None:
    one, other = regex.fullmatch(POINT, point), regex.fullmatch(COMMA, comma)
    assert one is not None
    assert other is not None
    assert with_comma(one) == with_comma(other) == comma
    assert with_point(one) == with_point(other) == point


@pytest.mark.parametrize("text", ["1,8", "1,20", "1 200", "1.200.000", "", "."])
def test_a_number_with_a_comma_is_none_with_a_point(text: str) -> None:
    assert regex.fullmatch(POINT, text) is None


def test_french_has_a_comma() -> None:
    assert has_comma("fr-CA")
    assert not has_comma("en")
    assert not has_comma("zh-Hant")
