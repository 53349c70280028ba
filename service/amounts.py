"""Writes amounts of money as another language does: where the sign stands, and the decimals.

    English, Chinese  $250, €1,299.99, -£4.50
    French            250 $, 1 299,99 €, -4,50 £

Amounts with letters, such as US$300 or $5M, stay as they stand. `untranslatable` finds them all.
"""

from collections.abc import Callable

import regex

from service.decimals import COMMA, POINT, SPACE, has_comma, with_comma, with_point

_SIGN = "(?P<sign>[$€£¥￥₹₽₩₺₪฿])"
_MINUS = "(?P<minus>-?)"
_WITH_POINT = regex.compile(
    rf"{_MINUS}{_SIGN}{SPACE}?{POINT}|{_MINUS}{POINT}{SPACE}?{_SIGN}", regex.ASCII
)
_WITH_COMMA = regex.compile(rf"{_MINUS}{COMMA}{SPACE}?{_SIGN}", regex.ASCII)


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is an amount of a source; anything else stays as it is."""
    if has_comma(source) == has_comma(target):
        return str
    return _behind if has_comma(target) else _before


def _behind(amount: str) -> str:
    found = _WITH_POINT.fullmatch(amount, concurrent=False)
    if found is None:
        return amount
    return f"{found['minus']}{with_comma(found)}\u00a0{found['sign']}"


def _before(amount: str) -> str:
    found = _WITH_COMMA.fullmatch(amount, concurrent=False)
    return amount if found is None else f"{found['minus']}{found['sign']}{with_point(found)}"
